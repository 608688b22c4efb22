"""A journal that lost orders: after the reseal the exchange's word is written down anew and trading can go on.

Design 3: PAUSE and unknown books until a full reconcile has re-booked orders and fills from the exchange.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import badkit
import binance_client
import daykit
import livekit
from desk.base.paths import Home
from desk.config.load import load
from desk.execution.accounts import Accounts
from desk.journal.state import Fold, is_open
from desk.state import lock
from desk.venues.protocol import SymbolRules
from lab.day import Day

SYMBOL = "BTCUSDT"
PROJECTIONS = ("intents.json", "positions.json", "portfolio.json", "audit_head.json")
ACK = ("--reason", "bad sector", "--ack", "I_UNDERSTAND")


def lose_all(played: Day, early: bytes) -> None:
    """Journal and projections, everything."""
    (played.home / "execution-logs" / "audit.jsonl").write_bytes(b"\0" * 4096)
    for name in PROJECTIONS:
        (played.home / "state" / name).unlink()


def lose_the_orders(played: Day, early: bytes) -> None:
    """What was written since before the entry."""
    (played.home / "execution-logs" / "audit.jsonl").write_bytes(early + b"not a line\n" * 9)
    for name in PROJECTIONS[:3]:  # the hint stays: it tells that more was durable
        (played.home / "state" / name).unlink()


@pytest.mark.parametrize("lose", [lose_all, lose_the_orders])
def test_orders_and_fills_are_booked_anew_and_trading_goes_on(
    tmp_path: Path, lose: Callable[[Day, bytes], None]
) -> None:
    with daykit.day(tmp_path / "home", SYMBOL, "--seed", "5", changes=daykit.NO_STRATEGIES) as played:
        played.play(3)
        early = (played.home / "execution-logs" / "audit.jsonl").read_bytes()
        daykit.drop_signal(played, "round", notional_quote="100", stop_price="30000")
        played.play(2)
        daykit.drop_signal(played, "out", side="SELL", kind="EXIT", quantity="1")
        played.play(2)
        before = daykit.fold_of(played.home)
        assert not before.positions.positions and before.portfolio.fills
        _hold(played, "hold")
        position = daykit.fold_of(played.home).positions.positions[f"binance:{SYMBOL}"]
        lose(played, early)
        with played._environment():
            assert played.run("audit", "reseal", *ACK).exit_code == 0
            assert daykit.fold_of(played.home).portfolio.resealed
            found = played.run("reconcile")
            assert found.exit_code == 0, found
            fold = daykit.fold_of(played.home)
            assert fold.positions.positions[f"binance:{SYMBOL}"].quantity == position.quantity
            assert _stops(fold) == 1
            played.run("heartbeat")
            assert played.run("resume", *ACK).exit_code == 0
            played.run("kill_switch", "release", *ACK)
        played.play(3)
        fold = daykit.fold_of(played.home)
        assert fold.positions.positions[f"binance:{SYMBOL}"].quantity == position.quantity
        assert _stops(fold) == 1
        with played._environment():
            assert played.run("reconcile").exit_code == 0
            assert played.run("audit", "verify").exit_code == 0
        _held_is_what_the_exchange_holds(played, fold)


def _hold(played: Day, name: str) -> None:
    """A second position, after the cool-down of the first."""
    played.play(61)
    daykit.drop_signal(played, name, notional_quote="100", stop_price="30000")
    played.play(3)


def _stops(fold: Fold) -> int:
    return sum(1 for intent in fold.intents.intents.values() if intent.leg == "stop" and is_open(intent))


def _held_is_what_the_exchange_holds(played: Day, fold: Fold) -> None:
    books = json.loads((played.home / "state" / "paper_broker.json").read_text())["venues"]["binance"]["balances"]
    there = {asset: Decimal(b["free"]) + Decimal(b["locked"]) for asset, b in books.items()}
    here = fold.portfolio.balances["binance"]
    assert {a: v for a, v in here.items() if v} == {a: v for a, v in there.items() if v}


# -- found by attack: what must hold after the re-booking


def _live_lost(rig: livekit.Live, early: bytes | None) -> None:
    """The journal since `early` is gone, or all of it."""
    logs, names = rig.home / "execution-logs", PROJECTIONS if early is None else PROJECTIONS[:3]
    (logs / "audit.jsonl").write_bytes(b"\0" * 4096 if early is None else early + b"not a line\n" * 9)
    for name in names:
        (rig.home / "state" / name).unlink(missing_ok=True)
    assert rig.door("audit", "reseal", *ACK).code == 0


def _hold_live(rig: livekit.Live) -> bytes:
    rig.signal("hold", notional_quote="100", stop_price="30000")
    rig.tick()
    assert rig.quantity
    return (rig.home / "execution-logs" / "audit.jsonl").read_bytes()


def _replace_stop(rig: livekit.Live) -> None:
    stop = next(name for name, i in rig.fold().intents.intents.items() if i.leg == "stop" and is_open(i))
    assert rig.door("orders", "cancel", stop, "--protection", "--yes", "--reason", "x").code == 0
    rig.tick()


def test_ids_used_while_the_journal_was_lost_are_never_used_again(tmp_path: Path) -> None:
    """P2: an id's attempt is read back from the id, cancelled stops without a trade included."""
    with livekit.armed(tmp_path) as rig:
        early = _hold_live(rig)
        for _ in range(3):
            _replace_stop(rig)
        _live_lost(rig, early)
        assert rig.door("reconcile").code == 0
        rig.door("heartbeat")
        assert rig.door("resume", *ACK).code == 0
        for _ in range(2):
            _replace_stop(rig)
        ids = [order["clientOrderId"] for order in rig.orders("SELL")]
        assert len(ids) == len(set(ids)) == 6
        assert sum(order["status"] == "NEW" for order in rig.orders("SELL")) == 1 and rig.quantity
        _balances_agree(rig)


def test_an_order_is_booked_once_however_long_the_reseal_lasts(tmp_path: Path) -> None:
    """P5: while the books are unknown (somebody traded by hand) no intent is forgotten, nor booked a second time."""
    with livekit.armed(tmp_path) as rig:
        early = (rig.home / "execution-logs" / "audit.jsonl").read_bytes()
        _hold_live(rig)
        held = rig.quantity
        with badkit._environment(rig.env):
            by_hand = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.001"}
            client = binance_client.make_client(load(Home(rig.home)))
            client.request("POST", "/api/v3/order", by_hand | {"newClientOrderId": "byhand1"}, signed=True)
        _live_lost(rig, early)
        assert rig.door("reconcile").code == 1
        assert rig.sim is not None
        rig.sim.advance(2 * 86_400_000)
        rig.tick()
        rig.tick()
        assert rig.fold().portfolio.resealed, "the foreign trade is not explained"
        assert (rig.quantity, len(rig.events("FILL"))) == (held, 1)


def test_a_router_that_comes_first_after_a_total_loss_opens_no_books(tmp_path: Path) -> None:
    """P5: opening balances and the orders still held are written in one group, by reconcile."""
    with livekit.armed(tmp_path) as rig:
        _hold_live(rig)
        _live_lost(rig, None)
        rig.minute()
        rig.door("router", "--live")
        assert rig.fold().portfolio.opening == {}
        assert rig.door("reconcile").code == 0
        first = _group_of(rig, "INITIAL_CAPITAL")
        group = [e for e in daykit.lines_of(rig.home) if e["seq"] - e["group"][0] == first]
        names = [e["event"] for e in group]
        assert names[names.index("INITIAL_CAPITAL") + 1 :] == ["INTENT_CREATED", "INTENT_SENT_UNKNOWN"] * 2
        assert rig.quantity and rig.fold().positions.positions[f"binance:{SYMBOL}"].stop_price == 30_000


def _balances_agree(rig: livekit.Live) -> None:
    here = rig.fold().portfolio.balances["binance"]
    assert {a: v for a, v in here.items() if v} == {a: rig.owned(a) for a in here if rig.owned(a)}


def _group_of(rig: livekit.Live, name: str) -> int:
    found = rig.events(name)[-1]
    return int(found["seq"]) - int(found["group"][0])


def test_verify_and_mode_show_know_that_a_stamped_folder_had_a_journal(tmp_path: Path) -> None:
    with daykit.day(tmp_path / "home", SYMBOL, "--seed", "5") as played, played._environment():
        played.sim.advance(60_000)
        played.run("router")
        lose_all(played, b"")
        (played.home / "execution-logs" / "audit.jsonl").unlink()
        assert played.run("audit", "verify").exit_code == 2
        assert played.run("mode", "show").exit_code == 2


def test_nothing_is_asked_of_the_exchange_under_the_journal_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State locks never cross the network (design 3): trading rules are asked for before the group is decided."""
    asked: list[bool] = []
    real = Accounts.rules

    def watched(accounts: Accounts, venue: str, symbol: str) -> SymbolRules | None:
        asked.append(lock.held(lock.Rank.JOURNAL))
        return real(accounts, venue, symbol)

    monkeypatch.setattr(Accounts, "rules", watched)
    for total in (True, False):
        with livekit.armed(tmp_path / str(total)) as rig:
            early = (rig.home / "execution-logs" / "audit.jsonl").read_bytes()
            _hold_live(rig)
            _live_lost(rig, None if total else early)
            assert rig.door("reconcile").code == 0 and rig.quantity
    assert asked and not any(asked)
