"""A journal that lost orders: after the reseal the exchange's word is written down anew and trading can go on.

Design 3: PAUSE and unknown books until a full reconcile has re-booked orders and fills from the exchange.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import daykit
from desk.journal.state import Fold, is_open
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
