"""A machine of processes, clocks and answers against the breaker file: its invariants hold in every order."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from desk.base import clock
from desk.base.paths import Home
from desk.config.schema import Breakers as Limits
from desk.risk import breaker
from desk.risk.breaker import BreakerChange, Breakers
from desk.risk.breaker_rules import State
from desk.state import store
from desk.venues.guard_types import Ticket
from desk.venues.table import Purpose

API = "binance_api"
LEGAL = {("closed", "open"), ("open", "half_open"), ("open", "closed"), ("half_open", "closed"), ("half_open", "open")}
PURPOSES = st.sampled_from([Purpose.READ, Purpose.LOOKUP])


class BreakerMachine(RuleBasedStateMachine):
    """Three processes share one file; any of them may crash while it holds a ticket."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.now_ms = 1_767_571_200_000
        self.patch.setattr(clock, "now_ms", lambda: self.now_ms)
        self.root = Path(tempfile.mkdtemp())
        self.changes: list[BreakerChange] = []
        self.flying: list[tuple[Breakers, Ticket]] = []

    @initialize()
    def start(self) -> None:
        home = Home(self.root).ensure()
        self.hands = [Breakers(home, Limits(), f"p{n}", lambda level, line: None, self.note) for n in range(3)]

    def note(self, found: object) -> None:
        if isinstance(found, BreakerChange):
            self.changes.append(found)

    def is_leased(self) -> bool:
        probe = self.entry.get("probe")
        return bool(probe) and clock.parse_iso(probe["expires_at"]) > self.now_ms

    @property
    def entry(self) -> dict[str, Any]:
        doc = store.read(Home(self.root), "circuit_breakers") or {}
        found: dict[str, Any] = doc.get(API, {})
        return found

    @property
    def state(self) -> State:
        return breaker.view(self.hands[0].home, Limits()).state(API)

    @rule(process=st.integers(0, 2), purpose=PURPOSES)
    def ask(self, process: int, purpose: Purpose) -> None:
        before, leased = self.state, self.is_leased()
        ticket = self.hands[process].admit(API, purpose)
        if before is State.CLOSED:
            assert ticket.allowed
        assert not (leased and ticket.owner), "one probe at a time"
        if before is State.HALF_OPEN and purpose is Purpose.READ:
            assert ticket.allowed == bool(ticket.owner)
        if ticket.allowed:
            self.flying.append((self.hands[process], ticket))

    @rule(pick=st.integers(0, 50), ending=st.sampled_from(["success", "failure", "neutral", "crash"]))
    def answer(self, pick: int, ending: str) -> None:
        if not self.flying:
            return
        hand, ticket = self.flying.pop(pick % len(self.flying))
        if ending == "success":
            hand.record_success(ticket)
            if ticket.state != State.CLOSED:
                assert self.state is State.CLOSED, "a success that passed closes"
        elif ending == "failure":
            hand.record_failure(ticket, "http 500", None, False)
        elif ending == "neutral":
            hand.release_probe(ticket)

    @rule(seconds=st.sampled_from([1, 20, 31, 61, 301]))
    def wait(self, seconds: int) -> None:
        self.now_ms += 1000 * seconds

    @rule()
    def heartbeat(self) -> None:
        self.hands[0].start_tick()
        self.hands[0].time_step()

    @invariant()
    def every_step_is_legal(self) -> None:
        assert {(change.old, change.new) for change in self.changes} <= LEGAL
        last = "closed"
        for change in self.changes:
            assert change.old == last, "no transition is lost or told twice"
            last = change.new

    @invariant()
    def open_always_ends(self) -> None:
        if self.entry.get("state") == "open":
            assert clock.parse_iso(self.entry["cooldown_until"]) <= self.now_ms + 300_000

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.root)


BreakerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestBreakerMachine = BreakerMachine.TestCase
