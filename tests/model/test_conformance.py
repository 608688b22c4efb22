"""Real journals, replayed: what the doors write is what the model explored, move by move.

A move is one group's effect on one intent: its state before and after, whether it is an entry, and whether another
order of the symbol was unknown. A move the model never makes would mean that the exploration proves something else.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

import daykit
from desk.base import clock
from desk.execution import lookup, reconcile, submit
from desk.journal import chain, intent_table
from desk.journal.fold import apply
from desk.journal.state import Fold, empty
from kit import Bench, bench, entry, ok
from model import explorer
from model.system import World

Move = tuple[str, str, bool, bool]


@pytest.fixture(scope="module")
def explored() -> set[Move]:
    return explorer.explore(World(starts=(2, 1, 0), crashes=0)).moves


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


def moves(folder: Path) -> set[Move]:
    """The moves of every group of a home's journal."""
    found: set[Move] = set()
    fold = empty()
    for _, group in groupby(daykit.lines_of(folder), key=lambda line: line["seq"] - line["group"][0]):
        before = _states(fold)
        for line in group:
            apply(fold, chain._decoder.decode(chain.msgspec.json.encode(line)), 0, 1)
        found |= set(_moved(before, fold))
    return found


def _states(fold: Fold) -> dict[str, str]:
    return {name: intent.state for name, intent in fold.intents.intents.items()}


def _moved(before: dict[str, str], fold: Fold) -> Iterator[Move]:
    intents: dict[str, Any] = dict(fold.intents.intents)
    for name, intent in intents.items():
        old = before.get(name, "")
        if old != intent.state:
            others = [n for n, i in intents.items() if i.symbol == intent.symbol and n != name]
            yield old, intent.state, intent.kind == "ENTRY", any(before.get(n) == "SENT_UNKNOWN" for n in others)
