"""Quarantine (rules.md): three refusals or three lost answers in a row in an hour, or a status that is not TRADING."""

from pathlib import Path

import msgspec
import pytest

from desk.base.reasons import Reason
from desk.execution import lookup, submit, symbol_care
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from kit import RULES, START_MS, Bench, bench, entry, ok

NAME = "binance:BTCUSDT"
HOUR_MS = 3_600_000


@pytest.fixture
def b(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    return bench(home)


def lose(b: Bench, number: int) -> None:
    """One entry whose answer is lost; it is found by its id in the same tick."""
    b.later(1000)
    b.faults.drop_after_accept = 1
    sent = submit.submit(b.desk(), entry(decision=f"lost{number}", quantity="0.001"), ok)
    assert sent.intent is not None and sent.intent.state == "SENT_UNKNOWN"
    lookup.look_at_all(b.desk())
    assert b.intents()[sent.order_id].state == "CONFIRMED"


def answered(b: Bench) -> None:
    b.later(1000)
    assert submit.submit(b.desk(), entry(decision="fine", quantity="0.001"), ok).error == ""


def refuse(b: Bench, number: int) -> None:
    """One entry the exchange refuses for its filters."""
    desk = b.desk()
    order_id = f"{number}" * 32
    created, sent = submit.intents.written_down(entry(decision=f"r{number}"), order_id, 0, b.now_ms, 5000)
    told = {"client_order_id": order_id, "code": "rejected_final_local_bug", "counts": "filter_reject"}
    failed = NewEvent(event=Event.INTENT_FAILED_TERMINAL, venue="binance", symbol="BTCUSDT", data=told)
    desk.commit_events(created, sent, failed)


def until(b: Bench) -> int:
    """Until when the symbol is off, 0 = it is not."""
    desk = b.desk()
    symbol_care.care(desk)
    return desk.fold().positions.quarantine.get(NAME, 0)


@pytest.mark.parametrize("spoil", [lose, refuse])
def test_three_in_a_row_are_an_hour_off(b: Bench, spoil: object) -> None:
    for number in range(3):
        assert until(b) == 0, number
        spoil(b, number)  # type: ignore[operator]
    assert until(b) == b.now_ms + HOUR_MS
    found = b.run().journal.read_fold()
    assert (found.positions.rejects, found.positions.timeouts) == ({}, {}), "the count starts anew"
    assert [a.code for a in found.portfolio.alerts.values()] == [str(Reason.SYMBOL_QUARANTINED)]


@pytest.mark.parametrize("spoil", [lose, refuse])
def test_a_success_in_between_starts_the_count_anew(b: Bench, spoil: object) -> None:
    for number in range(2):
        spoil(b, number)  # type: ignore[operator]
    answered(b)
    spoil(b, 2)  # type: ignore[operator]
    assert until(b) == 0


def test_a_refusal_is_an_answer(b: Bench) -> None:
    lose(b, 0)
    lose(b, 1)
    refuse(b, 2)
    lose(b, 3)
    assert until(b) == 0


@pytest.mark.parametrize("spoil", [lose, refuse])
def test_what_is_older_than_an_hour_does_not_count(b: Bench, spoil: object) -> None:
    spoil(b, 0)  # type: ignore[operator]
    b.later(HOUR_MS + 1000)
    spoil(b, 1)  # type: ignore[operator]
    spoil(b, 2)  # type: ignore[operator]
    assert until(b) == 0


def test_a_halted_symbol_is_off_for_an_hour_from_each_look_that_finds_it_so(b: Bench) -> None:
    b.rules = msgspec.structs.replace(RULES, status="BREAK", entries_allowed=False, exits_allowed=False)
    assert until(b) == START_MS + HOUR_MS
    b.later(HOUR_MS // 2)
    assert until(b) == START_MS + HOUR_MS
    b.rules = RULES
    b.later(HOUR_MS // 2 - 1000)
    assert until(b) == START_MS + HOUR_MS, "trading again does not shorten it"
    b.rules = msgspec.structs.replace(RULES, status="BREAK")
    b.later(1000)
    assert until(b) == START_MS + 2 * HOUR_MS


def test_an_order_found_late_was_still_unanswered_once(b: Bench) -> None:
    """The same lost answer is counted once, whoever writes it down again."""
    lose(b, 0)
    desk = b.desk()
    (order_id,) = desk.fold().intents.intents
    again = {"client_order_id": order_id, "why": "execution_unknown", "counts": "timeout"}
    desk.commit_events(NewEvent(event=Event.INTENT_UNANSWERED, venue="binance", symbol="BTCUSDT", data=again))
    assert [len(found) for found in desk.fold().positions.timeouts.values()] == [1]
