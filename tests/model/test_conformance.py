"""Real journals, replayed: what the doors write is what the model explored, move by move.

A move is one group's effect on one intent: its state before and after, whether it is an entry, and whether another
order of the symbol was unknown. A move the model never makes would mean that the exploration proves something else.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

import daykit
from desk.base import clock
from desk.execution import lookup, reconcile, submit
from desk.journal import intent_table
from kit import Bench, bench, entry, ok
from model import explorer
from model.replay import Move, moves
from model.system import World


@pytest.fixture(scope="module")
def explored() -> set[Move]:
    return explorer.explore(World(starts=(2, 1, 0, 0), crashes=0)).moves


def played(folder: Path) -> Path:
    """Two round trips by signals, a stop-out of time, restarts of nothing: an ordinary morning."""
    with daykit.day(folder, "BTCUSDT", "--seed", "5", changes=daykit.NO_STRATEGIES) as day:
        day.play(3)
        for number in range(2):
            daykit.drop_signal(day, f"in{number}", notional_quote="100", stop_price="30000")
            day.play(2)
            daykit.drop_signal(day, f"out{number}", side="SELL", kind="EXIT", quantity="1")
            day.play(62)
    return folder


def lost_answers(folder: Path) -> Path:
    """Answers lost before and after the exchange took the order, and a refusal."""
    desk = bench(folder)
    for number, fault in enumerate(("drop_before", "drop_after_accept", "reject")):
        setattr(desk.faults, fault, 1)
        submit.submit(desk.desk(), entry(decision=f"d{number}"), ok)
        for _ in range(3):
            desk.later(100_000)
            _look(desk)
    return folder


def _look(desk: Bench) -> None:
    lookup.look_at_all(desk.desk())
    reconcile.run(desk.desk(), ("binance",))


@pytest.mark.parametrize(
    ("make", "least"),
    [(played, {intent_table.CONFIRMED}), (lost_answers, {"NOT_FOUND", "CONFIRMED", "FAILED_TERMINAL"})],
)
def test_every_move_of_a_real_journal_is_one_of_the_models(
    make: Callable[[Path], Path], least: set[str], tmp_path: Path, explored: set[Move], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = moves(make(tmp_path / "home"))
    clock.start_tick()
    assert {after for _, after, _, _ in found} >= least | {intent_table.SENT_UNKNOWN}
    assert found - explored == set()


def test_a_journal_with_a_resent_order_does_not_conform(explored: set[Move]) -> None:
    """What "send it again" would write: the unknown order is created anew, or ended without evidence."""
    assert ("SENT_UNKNOWN", "CREATED", True, False) not in explored
    assert ("SENT_UNKNOWN", "DENIED", True, False) not in explored
    assert ("", "SENT_UNKNOWN", False, True) not in explored, "an exit beside an unknown order"
