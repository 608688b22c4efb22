"""Breakers on the shared file: who passes, who probes, what is recorded, and what a broken file does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desk.base import clock
from desk.base.paths import Home
from desk.config.schema import Breakers as Limits
from desk.journal.chain import Context
from desk.journal.journal import Journal
from desk.risk import breaker
from desk.risk.breaker import BreakerChange, Breakers, ControlEdited, Note, journal_change
from desk.risk.breaker_rules import State
from desk.state import store
from desk.venues.guard_types import Ticket
from desk.venues.table import Purpose

API, ORDERS = "binance_api", "binance_orders"


class Time:
    """The base clock, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 1_767_571_200_000
        monkeypatch.setattr(clock, "now_ms", lambda: self.ms)

    def pass_s(self, seconds: int) -> None:
        self.ms += 1000 * seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


class Hand(Breakers):
    """A process's hand, with what it told."""

    def __init__(self, root: Path, script: str = "router") -> None:
        self.lines: list[str] = []
        self.notes: list[Note] = []
        super().__init__(
            Home(root).ensure(), Limits(), script, lambda level, line: self.lines.append(line), self.notes.append
        )

    def attempt(self, purpose: Purpose, works: bool = True, component: str = API) -> Ticket:
        ticket = self.admit(component, purpose)
        if ticket.allowed and works:
            self.record_success(ticket)
        elif ticket.allowed:
            self.record_failure(ticket, "http 500", None, False)
        return ticket

    def break_it(self, component: str = API) -> None:
        for _ in range(5):
            self.attempt(Purpose.CANCEL if component == ORDERS else Purpose.READ, False, component)

    def state(self, component: str = API) -> State:
        return breaker.view(self.home, self.limits).state(component)

    @property
    def raw(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    @property
    def path(self) -> Path:
        return store.path_of(self.home, "circuit_breakers")


@pytest.fixture
def hand(tmp_path: Path, time: Time) -> Hand:
    return Hand(tmp_path)


def test_closed_to_open_to_half_open_to_closed(hand: Hand, time: Time) -> None:
    hand.break_it()
    assert hand.state() is State.OPEN
    assert not hand.attempt(Purpose.READ).allowed
    time.pass_s(300)
    assert hand.attempt(Purpose.READ).owner
    assert hand.state() is State.CLOSED
    assert hand.raw[API]["last_success_at"] == clock.iso(time.ms)
    assert [line.split(" (")[0] for line in hand.lines] == [
        "[BINANCE] breaker CLOSED -> OPEN TRIPPED",
        "[BINANCE] breaker OPEN -> HALF_OPEN COOLDOWN_PASSED",
        "[BINANCE] breaker HALF_OPEN -> CLOSED RESET",
    ]
    assert [(note.old, note.new) for note in hand.notes if isinstance(note, BreakerChange)] == [
        ("closed", "open"), ("open", "half_open"), ("half_open", "closed"),
    ]  # fmt: skip


def test_another_process_sees_it(hand: Hand, tmp_path: Path) -> None:
    hand.break_it()
    refused = Hand(tmp_path, "heartbeat").admit(API, Purpose.READ)
    assert (refused.allowed, refused.reason) == (False, "breaker:open")


def test_one_probe_among_many(hand: Hand, tmp_path: Path, time: Time) -> None:
    hand.break_it()
    time.pass_s(300)
    tickets = [Hand(tmp_path).admit(API, Purpose.READ) for _ in range(6)]
    assert sum(ticket.allowed for ticket in tickets) == 1
    assert {ticket.reason for ticket in tickets if not ticket.allowed} == {"breaker:half_open"}


def test_a_failed_probe_opens_for_a_full_cooldown(hand: Hand, time: Time) -> None:
    hand.break_it()
    time.pass_s(300)
    hand.attempt(Purpose.READ, works=False)
    assert hand.state() is State.OPEN
    time.pass_s(299)
    assert not hand.admit(API, Purpose.READ).allowed
    time.pass_s(1)
    assert hand.attempt(Purpose.READ).allowed
    assert hand.state() is State.CLOSED


def test_a_crashed_prober_is_seen_after_its_lease(hand: Hand, tmp_path: Path, time: Time) -> None:
    hand.break_it()
    time.pass_s(300)
    assert hand.admit(API, Purpose.READ).allowed  # and then the process dies
    time.pass_s(29)
    assert hand.time_step() == ()
    time.pass_s(1)
    changes = Hand(tmp_path, "heartbeat").time_step()
    assert [(c.old, c.new, c.event) for c in changes] == [("half_open", "open", "PROBE_EXPIRED")]


def test_a_neutral_end_gives_the_probe_back(hand: Hand, tmp_path: Path, time: Time) -> None:
    hand.break_it()
    time.pass_s(300)
    hand.release_probe(hand.admit(API, Purpose.READ))
    assert hand.state() is State.HALF_OPEN
    assert Hand(tmp_path).admit(API, Purpose.READ).owner


def test_only_the_holder_gives_the_probe_back(hand: Hand, tmp_path: Path, time: Time) -> None:
    hand.break_it()
    time.pass_s(300)
    old = hand.admit(API, Purpose.READ)
    hand.release_probe(old)
    Hand(tmp_path).admit(API, Purpose.READ)
    hand.release_probe(old)
    assert hand.raw[API]["probe"] is not None


def test_an_entry_needs_both_breakers_closed(hand: Hand, time: Time) -> None:
    assert hand.admit(ORDERS, Purpose.ENTRY).allowed
    hand.break_it(API)
    refused = hand.admit(ORDERS, Purpose.ENTRY)
    assert (refused.allowed, refused.component) == (False, ORDERS)
    time.pass_s(300)
    assert hand.admit(ORDERS, Purpose.ENTRY).reason == "breaker:half_open"
    hand.attempt(Purpose.READ)
    assert hand.admit(ORDERS, Purpose.ENTRY).allowed
    hand.break_it(ORDERS)
    assert not hand.admit(ORDERS, Purpose.ENTRY).allowed


def test_exits_pass_once_a_tick_cancels_always_lookups_five_times(hand: Hand) -> None:
    hand.break_it(API)
    hand.break_it(ORDERS)
    for _ in range(2):
        hand.start_tick()
        assert [hand.admit(ORDERS, Purpose.EXIT).allowed for _ in range(3)] == [True, False, False]
        assert all(hand.admit(ORDERS, Purpose.CANCEL).allowed for _ in range(9))
        assert [hand.admit(API, Purpose.LOOKUP).allowed for _ in range(7)] == [True] * 5 + [False] * 2
    assert not hand.admit(ORDERS, Purpose.PROBE).allowed


def test_an_exit_never_waits_for_a_probe_lease(hand: Hand, tmp_path: Path, time: Time) -> None:
    hand.break_it(ORDERS)
    time.pass_s(300)
    assert Hand(tmp_path).admit(ORDERS, Purpose.PROBE).owner
    passed = hand.admit(ORDERS, Purpose.EXIT)
    assert (passed.allowed, passed.owner) == (True, "")
    assert hand.admit(ORDERS, Purpose.CANCEL).allowed


@pytest.mark.parametrize("purpose", [Purpose.EXIT, Purpose.CANCEL])
def test_the_result_of_a_pass_counts(hand: Hand, time: Time, purpose: Purpose) -> None:
    hand.break_it(ORDERS)
    hand.attempt(purpose, works=False, component=ORDERS)
    assert hand.state(ORDERS) is State.OPEN
    hand.start_tick()
    hand.attempt(purpose, works=True, component=ORDERS)
    assert hand.state(ORDERS) is State.CLOSED


def test_an_answer_from_before_the_trip_does_not_close_it(hand: Hand, tmp_path: Path) -> None:
    early = Hand(tmp_path).admit(API, Purpose.READ)
    hand.break_it()
    Hand(tmp_path).record_success(early)
    assert hand.state() is State.OPEN


def test_last_success_is_rewritten_every_10_s_only(hand: Hand, time: Time) -> None:
    hand.attempt(Purpose.READ)
    first = hand.path.stat().st_mtime_ns
    time.pass_s(9)
    hand.attempt(Purpose.READ)
    assert hand.path.stat().st_mtime_ns == first
    time.pass_s(1)
    hand.attempt(Purpose.READ)
    assert hand.raw[API]["last_success_at"] == clock.iso(time.ms)


def test_the_runbooks_hand_edit(hand: Hand, time: Time) -> None:
    """Phase 2: forced open and expired, then one good request, file missing the rest."""
    forced = {"state": "open", "failure_count": 5, "cooldown_until": clock.iso(time.ms - 5000)}
    hand.path.write_text(json.dumps({API: forced, "_comment": "by hand"}, indent=2))
    assert [(c.old, c.new) for c in hand.time_step()] == [("open", "half_open")]
    assert hand.notes[0] == ControlEdited()
    hand.attempt(Purpose.READ)
    assert (hand.raw[API]["state"], hand.raw["_comment"]) == ("closed", "by hand")
    assert hand.notes.count(ControlEdited()) == 1, "our own writes are no edits"


def test_a_nonsense_entry_is_written_down_as_open_and_heals(hand: Hand, time: Time) -> None:
    hand.path.write_text(json.dumps({API: {"state": "clsoed"}}))
    assert not hand.admit(ORDERS, Purpose.ENTRY).allowed
    assert hand.raw[API]["state"] == "open"
    assert isinstance(hand.notes[-1], BreakerChange)
    assert (hand.notes[-1].old, hand.notes[-1].event) == ("unreadable", "READ_AS_OPEN")
    time.pass_s(300)
    hand.attempt(Purpose.READ)
    assert hand.state() is State.CLOSED


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"binance_api": {"state": "closed"}', "\x00\x00"])
def test_a_corrupt_file_is_open_for_entries_and_nothing_else(hand: Hand, text: str) -> None:
    hand.path.write_text(text)
    allowed = {purpose: hand.admit(API, purpose).allowed for purpose in Purpose if purpose is not Purpose.MEASURE}
    assert {purpose for purpose, may in allowed.items() if not may} == {Purpose.ENTRY, Purpose.PROBE}
    hand.attempt(Purpose.READ)
    assert hand.path.read_text() == text, "the original stays"
    assert [p.read_text() for p in hand.home.quarantine.iterdir()] == [text]
    assert breaker.view(hand.home, hand.limits).state(API) is State.OPEN


def test_reset_writes_a_corrupt_file_anew(hand: Hand) -> None:
    hand.path.write_text("{")
    changes = hand.reset("all", ["binance"])
    assert {(c.component, c.old, c.new) for c in changes} == {
        (API, "unreadable", "closed"), (ORDERS, "unreadable", "closed"),
    }  # fmt: skip
    assert hand.admit(ORDERS, Purpose.ENTRY).allowed


def test_reset_closes_one_or_all(hand: Hand) -> None:
    hand.break_it(API)
    hand.break_it(ORDERS)
    assert [c.component for c in hand.reset(API, ["binance"])] == [API]
    assert (hand.state(API), hand.state(ORDERS)) == (State.CLOSED, State.OPEN)
    assert [c.component for c in hand.reset("all", ["binance"])] == [ORDERS]
    assert hand.raw[ORDERS]["trips_today"] == 1, "a reset forgets no trip"


def test_a_missing_file_is_made_with_one_closed_entry_per_component(hand: Hand) -> None:
    assert breaker.view(hand.home, hand.limits).missing
    hand.ensure(["binance", "mexc"])
    names = {name for name in hand.raw if not name.startswith("_")}
    assert names == {"binance_api", "binance_orders", "mexc_api", "mexc_orders"}
    hand.break_it()
    hand.ensure(["binance"])
    assert hand.state() is State.OPEN


def test_results_that_cannot_be_written_are_logged_and_stop_nothing(hand: Hand) -> None:
    ticket = hand.admit(API, Purpose.READ)
    hand.path.mkdir()
    hand.record_failure(ticket, "http 500", None, False)
    assert any("not recorded" in line for line in hand.lines)
    assert not hand.admit(ORDERS, Purpose.ENTRY).allowed


def opened(root: Path, mode: str) -> Journal:
    ctx = Context(run_id="r", cycle_id="c", script="router", mode=mode, instance="i")
    return Journal(Home(root).ensure(), ctx)


@pytest.fixture
def journalled(tmp_path: Path) -> Callable[[], list[str]]:
    def events() -> list[str]:
        path = Home(tmp_path).journal
        return [json.loads(line)["event"] for line in path.read_text().splitlines()] if path.exists() else []

    return events


def test_transitions_are_journalled_in_a_stamped_folder_only(
    tmp_path: Path, journalled: Callable[[], list[str]]
) -> None:
    change = BreakerChange(component=API, old="closed", new="open", event="TRIPPED", cause="http 500", script="router")
    hand = opened(tmp_path, "")
    journal_change(hand, change, lambda level, line: None)
    assert journalled() == [], "a breaker must not stamp a fresh folder"
    opened(tmp_path, "PAPER").transact(lambda fold: [])
    assert journalled() == ["GENESIS"]
    journal_change(hand, change, lambda level, line: None)
    journal_change(hand, ControlEdited(), lambda level, line: None)
    assert journalled() == ["GENESIS", "BREAKER_CHANGED", "CONTROL_EDITED"]
    line = json.loads(Home(tmp_path).journal.read_text().splitlines()[1])
    assert (line["mode"], line["venue"]) == ("PAPER", "binance")
    assert line["data"] == {
        "component": API, "from": "closed", "to": "open", "cause": "http 500", "script": "router",
    }  # fmt: skip
