"""Whoever books a fill that leaves a position bare protects it, or the lease holder does (design 3, P6)."""

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import livekit
import router
from desk.execution.cycle import Cycle
from lab.day import SCRIPTS
from livekit import Live

MAKER = {'order_type = "LIMIT_IOC"': 'order_type = "LIMIT_MAKER"', "order_ttl_s = 120": "order_ttl_s = 3600"}
UNTIL_FILLED_MAX = 15  # minutes
HOLDS = """
import sys
from pathlib import Path
from desk.base import clock
from desk.base.paths import Home
from desk.runtime.lease import order_lease
with order_lease(Home(Path(sys.argv[1])), "a test"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _bought_unseen(folder: Path, venue: str = "binance") -> Iterator[Live]:
    """A maker entry rests; the price falls to it between two ticks, and nobody has looked yet."""
    with livekit.armed(folder, venue, MAKER, scenario=livekit.moving("0.999")) as rig:
        rig.signal("in")
        rig.tick()
        assert rig.quantity == 0 and [order["status"] for order in rig.orders("BUY")] == ["NEW"]
        for _ in range(UNTIL_FILLED_MAX):
            rig.minute()
            if [order["status"] for order in rig.orders("BUY")] == ["FILLED"]:
                break
        assert [order["status"] for order in rig.orders("BUY")] == ["FILLED"] and rig.orders("SELL") == []
        yield rig


@pytest.mark.parametrize("venue", ["binance", "btcturk"])
def test_reconcile_protects_what_it_books(tmp_path: Path, venue: str) -> None:
    with _bought_unseen(tmp_path, venue) as rig:
        told = rig.door("reconcile", "--live")
        assert told.code == 0, told
        livekit.assert_protected(rig)
        rig.door("router", "--live")
        assert len(rig.orders("SELL")) == 1
        livekit.assert_books_close(rig)


@pytest.mark.parametrize(("arguments", "env"), [((), {}), (("--live",), {"SAFE_MODE": "true"})])
def test_reconcile_that_may_send_nothing_leaves_it_to_the_router(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    with _bought_unseen(tmp_path) as rig:
        told = rig.door("reconcile", *arguments, **env)
        assert "left to the router's next tick" in told.text, told
        assert rig.quantity > 0 and rig.orders("SELL") == []
        rig.door("router", "--live")
        livekit.assert_protected(rig)


def test_reconcile_leaves_it_to_the_holder_of_the_lease(tmp_path: Path) -> None:
    with _bought_unseen(tmp_path) as rig, subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(rig.home)], cwd=SCRIPTS, env={"PATH": "/usr/bin:/bin", **rig.env},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        told = rig.door("reconcile", "--live")
        assert "left to the lease holder" in told.text, told
        assert rig.quantity > 0 and rig.orders("SELL") == []
        holder.communicate("")


def test_the_holder_folds_anew_before_its_tick_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconcile books in the middle of a router's tick that had not seen the fill itself."""
    with _bought_unseen(tmp_path) as rig:
        stages = dict(router.STAGES)
        stages["RECOVER"] = stages["MANAGE"] = lambda state: None
        stages["EXECUTE"] = functools.partial(_meanwhile, stages["EXECUTE"], rig)
        monkeypatch.setattr(router, "STAGES", tuple(stages.items()))
        assert rig.door("router", "--live").code == 0
        livekit.assert_protected(rig)


def _meanwhile(stage: Callable[[Cycle], None], rig: Live, state: Cycle) -> None:
    stage(state)
    assert state.desk.fold().positions.positions[f"binance:{livekit.SYMBOL}"].quantity == 0
    assert "left to the lease holder" in rig.spawn("reconcile", "--live").text


def test_engage_protects_what_its_cancels_booked(tmp_path: Path) -> None:
    with _bought_unseen(tmp_path) as rig:
        assert rig.door("kill_switch", "engage", "--reason", "a test").code == 0
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)
