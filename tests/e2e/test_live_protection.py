"""Protection on the LIVE path, on the simulated exchanges: what is held has its stop when a tick ends (P4, P6)."""

import functools
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import livekit
import router
from desk.base.errors import ConfigError, InvariantError
from desk.execution.cycle import Cycle

VENUES = ("binance", "mexc", "btcturk")


@pytest.mark.parametrize(("delay_s", "ticks_max"), [(0, 2), (150, 4)])
def test_an_exit_gets_through_where_a_cancel_is_only_received(tmp_path: Path, delay_s: int, ticks_max: int) -> None:
    """The stop's cancel takes effect between two ticks: the sale comes before a new stop could be in its way."""
    with livekit.armed(tmp_path, "btcturk") as rig:
        rig.signal("in")
        rig.tick()
        livekit.assert_protected(rig)
        if delay_s:
            rig.fault("listing_lag", delay_s, count=None, method="DELETE")
        rig.signal("out", side="SELL", kind="EXIT", edge_bps=None, notional_quote=None)
        for _ in range(ticks_max):
            told = rig.tick()
            assert {told[door].code for door in ("router", "heartbeat")} == {0}, told
            named = told.get("reconcile")  # it may look after the cancel took effect and before the sale, and says so
            assert named is None or named.code == 0 or (delay_s and "DIFF btcturk unprotected" in named.text), told
        assert rig.quantity == 0 and rig.owned() == 0
        assert [order["status"] for order in rig.orders("SELL")] == ["CANCELED", "FILLED"]
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", ["binance", "btcturk"])
@pytest.mark.parametrize("ends", ["propose_raises", "bug", "deadline"])
def test_a_position_whose_stop_was_cancelled_has_one_again_whatever_ends_the_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, venue: str, ends: str
) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("in")
        rig.tick()
        cancelled = rig.orders("SELL")[0]["clientOrderId"]
        assert rig.door("orders", "cancel", cancelled, "--protection", "--yes", "--reason", "a test").code in {0, 1}
        stages = dict(router.STAGES)
        stages[ENDS[ends][0]] = functools.partial(ENDS[ends][1], stages[ENDS[ends][0]])
        with monkeypatch.context() as patch:
            patch.setattr(router, "STAGES", tuple(stages.items()))
            rig.minute()
            said = rig.door("router", "--live")
        assert said.code == ENDS[ends][2], said
        assert rig.orders("SELL")[0]["status"] == "CANCELED"
        livekit.assert_protected(rig)
        assert rig.tick()["router"].code == 0
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


def test_where_a_cancel_is_answered_when_done_the_stop_is_back_before_anything_is_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.tick()
        stop = rig.orders("SELL")[0]["clientOrderId"]
        assert rig.door("orders", "cancel", stop, "--protection", "--yes", "--reason", "a test").code == 0
        seen: list[list[str]] = []
        stages = dict(router.STAGES) | {"PROPOSE": lambda _: seen.append([o["status"] for o in rig.orders("SELL")])}
        monkeypatch.setattr(router, "STAGES", tuple(stages.items()))
        rig.minute()
        rig.door("router", "--live")
        assert seen == [["CANCELED", "NEW"]]


@pytest.mark.parametrize("venue", ["binance", "btcturk"])
def test_a_late_tick_protects_what_it_bought_and_says_that_it_was_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, venue: str
) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        stages = dict(router.STAGES)
        stages["EXECUTE"] = functools.partial(_late, stages["EXECUTE"])
        monkeypatch.setattr(router, "STAGES", tuple(stages.items()))
        rig.signal("in")
        said = rig.tick()["router"]
        assert said.code == 1 and "the tick deadline passed" in said.last, said
        livekit.assert_protected(rig)


def _late(stage: Callable[[Cycle], None], state: Cycle) -> None:
    """The exchange was slow: the tick's time is used up when the stage ends."""
    stage(state)
    state.run.deadline_s = 0.0


def _refuses(stage: Callable[[Cycle], None], state: Cycle) -> None:
    raise ConfigError("is below what the strategies need", "market_data.bars_wanted", "raise it")


def _bug(stage: Callable[[Cycle], None], state: Cycle) -> None:
    raise InvariantError("a test")


ENDS = {"propose_raises": ("PROPOSE", _refuses, 2), "bug": ("PROPOSE", _bug, 2), "deadline": ("MANAGE", _late, 124)}


def test_a_stop_whose_answer_is_lost_is_found_and_not_doubled(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.fault("drop_after_accept", count=2)  # the entry's answer, then its stop's
        rig.tick()
        livekit.assert_protected(rig)
        rig.tick()
        assert len(rig.orders("SELL")) == 1
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
def test_a_resting_order_that_fills_later_is_protected_in_the_tick_that_learns_of_it(
    tmp_path: Path, venue: str
) -> None:
    changes = {'order_type = "LIMIT_IOC"': 'order_type = "LIMIT_MAKER"'}
    with livekit.armed(tmp_path, venue, changes, scenario=livekit.moving("0.995")) as rig:
        rig.signal("in")
        rig.tick()
        assert rig.quantity == 0
        for _ in range(4):  # the price falls to it
            rig.tick()
            if rig.quantity:
                break
        assert [order["status"] for order in rig.orders("BUY")] == ["FILLED"]
        assert rig.quantity == rig.owned() > 0
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
def test_a_part_that_filled_is_booked_and_protected(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("in")
        rig.fault("partial_fill", "0.5")
        assert rig.tick()["router"].code == 0
        bought = rig.orders("BUY")
        assert len(bought) == 1 and Decimal(bought[0]["executedQty"]) < Decimal(bought[0]["origQty"])
        assert rig.quantity == rig.owned() > 0
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


def test_where_a_cancel_is_only_received_the_rest_of_an_entry_gets_a_stop_of_its_own(tmp_path: Path) -> None:
    """The old stop stays: its cancel could take effect after the new one was placed for the rest alone."""
    with livekit.armed(tmp_path, "btcturk") as rig:
        rig.signal("in")
        rig.fault("partial_fill", "0.5")
        rig.tick()
        first = rig.quantity
        livekit.assert_protected(rig)
        rig.sim.clear_faults()  # the rest of the entry may fill now
        for _ in range(2):
            rig.tick()
            livekit.assert_protected(rig)
        assert rig.quantity == rig.owned() > first > 0
        assert [order["status"] for order in rig.orders("SELL")] == ["NEW", "NEW"]
        livekit.assert_books_close(rig)
