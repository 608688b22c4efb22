"""P11 as a machine: no path leads from active to inactive but a release that was journalled.

Operators, crashes between any two writes, edits, losses, restored copies, a journal that cannot be written, the
environment and the next tick's settling are mixed in any order, in PAPER and in LIVE. After every step the effective
latch is compared with what it was before: it may only have gone off in a release step that journalled it.

One thing no store can prove is left out on purpose: what only a file ever held (no writer has settled it, and the
journal could not be written) is gone when an operator deletes or rewrites that very file in PAPER.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from desk.base.reasons import Reason
from desk.journal.chain import Line, NewEvent
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import kill_switch, latches, observed, pause
from desk.risk.latch_file import read_control
from desk.risk.pause_causes import ResumeFacts
from unit.risk.latch_kit import MINUTE_MS, START_MS, Room, make

REASONS = st.sampled_from(["manual", "odd noise", "excessive_rest_errors", "flash_crash", "key_compromise_suspected"])
PLACES = st.sampled_from(["before", "after", "never"])
KILL_TEXTS = st.sampled_from(
    ['{"state": "inactive"}', '{"state": "active"}', '{"state": "off"}', "{", "[]", '{"state": "inactive", "x": 1}']
)
PAUSE_TEXTS = st.sampled_from(['{"state": "NORMAL"}', '{"state": "PAUSE"}', '{"state": "DEGRADE"}', "{", "{}"])
NAMES = st.sampled_from(["kill_switch", "pause"])


class Died(BaseException):
    """The process is gone."""


class Mortal(Journal):
    """A journal whose process dies before, or after, the group is durable, or whose disk takes nothing."""

    dies: str = "never"

    def transact(self, decide: Callable[[Fold], Sequence[NewEvent]]) -> tuple[Fold, list[Line]]:
        if self.dies == "before":
            raise Died
        found = super().transact(decide)
        if self.dies == "after":
            raise Died
        return found


class LatchMachine(RuleBasedStateMachine):
    """One folder. `held` is the effective state after the last step, per latch."""

    mode = "PAPER"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        self.room: Room = make(self.folder, self.patch, self.mode)
        self.patch.setattr("desk.state.store.READ_TRY_GAP_S", 0.0)
        self.now_ms = START_MS
        self.copies: dict[str, list[bytes]] = {"kill_switch": [], "pause": []}
        self.held = {"kill_switch": False, "pause": False}
        self.allowed: set[str] = set()  # latches this step may have let go

    @initialize()
    def begin(self) -> None:
        self.room.stamp()
        self.room.sync()
        self.held = self.now()

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.folder)

    def now(self) -> dict[str, bool]:
        found = self.room.latches()
        return {"kill_switch": found.kill.active, "pause": found.pause.state != "NORMAL"}

    def journal(self, dies: str = "never") -> Mortal:
        journal = Mortal(self.room.home, self.room.journal().ctx)
        journal.dies = dies
        return journal

    def attempt(self, act: Callable[[], Any]) -> None:
        """One process's life."""
        with contextlib.suppress(Died):
            act()

    def journalled(self, name: str) -> bool:
        portfolio = self.room.fold().portfolio
        return portfolio.kill_switch.state == "active" if name == "kill_switch" else portfolio.pause.state != "NORMAL"

    @rule(minutes=st.integers(1, 20))
    def time_passes(self, minutes: int) -> None:
        self.now_ms = self.room.at(self.now_ms + minutes * MINUTE_MS)

    @rule(reason=REASONS, level=st.sampled_from(["reduce_only", "freeze_all"]), dies=PLACES)
    def engage(self, reason: str, level: str, dies: str) -> None:
        journal = self.journal(dies)
        self.attempt(lambda: kill_switch.engage(self.room.home, journal, reason, "op", level=level, key_marks={}))
        assert self.now()["kill_switch"]

    @rule(reason=REASONS)
    def engage_without_a_journal(self, reason: str) -> None:
        journal = self.journal()
        journal._dead = "planted"
        report = kill_switch.engage(self.room.home, journal, reason, "op")
        assert report.durable and self.now()["kill_switch"]

    @rule(dies=PLACES, healthy=st.booleans())
    def release(self, dies: str, healthy: bool) -> None:
        self.allowed.add("kill_switch")
        before = self.room.fold().portfolio.kill_switch.since_ms, self.journalled("kill_switch")
        measured = self.now_ms if healthy else 0
        self.attempt(lambda: self.room.release(self.journal(dies), measured_ms=measured))
        if self.held["kill_switch"] and not self.now()["kill_switch"]:
            assert not self.journalled("kill_switch")
            assert dies == "never"  # a crash anywhere in it leaves the switch active
            assert before[1] is False or self.room.fold().portfolio.kill_switch.by == "tester"

    @rule(code=st.sampled_from([Reason.MANUAL_PAUSE, Reason.DISK_PAUSE, Reason.DRIFT_PAUSE]), dies=PLACES)
    def latch_pause(self, code: Reason, dies: str) -> None:
        journal = self.journal(dies)
        self.attempt(lambda: pause.latch_pause(self.room.home, journal, [code], "op"))
        assert self.now()["pause"]

    @rule(dies=PLACES, healthy=st.booleans())
    def resume(self, dies: str, healthy: bool) -> None:
        self.allowed.add("pause")
        facts = ResumeFacts(now_ms=self.now_ms, disk_free_bytes=10**10 if healthy else 0, reconcile_ms=self.now_ms)
        self.attempt(
            lambda: pause.resume(
                self.room.home, self.journal(dies), "checked", "tester",
                lambda fold, doc: observed.resume_facts(facts, fold, doc), is_live=self.mode == "LIVE",
            )
        )  # fmt: skip
        if self.held["pause"] and not self.now()["pause"]:
            assert dies == "never" and not self.journalled("pause")

    @rule(dies=PLACES)
    def next_tick(self, dies: str) -> None:
        journal = self.journal(dies)
        self.attempt(lambda: latches.sync_environment(self.room.home, journal, self.room.settings()))

    @rule(on=st.booleans())
    def environment(self, on: bool) -> None:
        if self.held["kill_switch"] and not on and not self.settled("kill_switch"):
            return  # the next tick takes it into the latch; before that it is only a word in the environment
        self.patch.setenv("KILL_SWITCH", "true" if on else "false")

    @rule(name=NAMES)
    def copy(self, name: str) -> None:
        if self.room.path(name).is_file():
            self.copies[name].append(self.room.path(name).read_bytes())

    @precondition(lambda self: any(self.copies.values()))
    @rule(data=st.data(), name=NAMES)
    def restore(self, data: st.DataObject, name: str) -> None:
        if self.copies[name] and self.settled(name):
            self.room.path(name).write_bytes(data.draw(st.sampled_from(self.copies[name])))

    @rule(text=KILL_TEXTS)
    def edit_kill_switch(self, text: str) -> None:
        if self.settled("kill_switch"):
            self.room.hand("kill_switch", text)

    @rule(text=PAUSE_TEXTS)
    def edit_pause(self, text: str) -> None:
        if self.settled("pause"):
            self.room.hand("pause", text)

    @rule(name=NAMES)
    def lose(self, name: str) -> None:
        if self.settled(name):
            self.room.path(name).unlink(missing_ok=True)

    def settled(self, name: str) -> bool:
        """The journal knows what holds, or the release that let it go was journalled (see the module's last words)."""
        releasing = (read_control(self.room.home, name).doc or {}).get("releasing")
        return not self.held[name] or self.journalled(name) or (releasing is not None and self.was_released(name))

    def was_released(self, name: str) -> bool:
        if not self.journalled(name):
            self.allowed.add(name)  # a journalled release whose file is now gone has ended
        return not self.journalled(name)

    @invariant()
    def nothing_goes_off_by_itself(self) -> None:
        found = self.now()
        for name, was_held in self.held.items():
            assert found[name] or not was_held or name in self.allowed, f"{name} went off by itself"
        self.held, self.allowed = found, set()

    @invariant()
    def the_journal_is_never_more_cautious_than_what_counts(self) -> None:
        for name, is_held in self.now().items():
            assert is_held or not self.journalled(name)


class LiveLatchMachine(LatchMachine):
    """The same in a LIVE folder, which starts active."""

    mode = "LIVE"


BOUNDS = settings(
    max_examples=30, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestPaperLatches = LatchMachine.TestCase
TestPaperLatches.settings = BOUNDS
TestLiveLatches = LiveLatchMachine.TestCase
TestLiveLatches.settings = BOUNDS


def test_the_machine_notices_a_latch_that_clears_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the effective latch believes the file alone. The machine must find it."""
    from hypothesis.stateful import run_state_machine_as_test

    quiet = latches.KillView(False, source="journal")
    monkeypatch.setattr(latches, "_kill_of_fold", lambda fold, strict: quiet)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(LatchMachine, settings=settings(BOUNDS, phases=[Phase.generate]))
