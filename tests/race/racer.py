"""One of eight processes that do everything at once, round after round. Owns what a racer does, never what must hold.

In each round every racer records failures on one breaker and asks another for its probe, then plays its part: router
ticks and latch doors as real processes, latches, notes and reconciles beside them. Rounds start at a barrier; a part
takes as long as it takes, so that later parts meet earlier ones half-way.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings, load
from desk.config.schema import Breakers as Limits
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import breaker, kill_forms, kill_switch, observed
from desk.risk.breaker import Breakers
from desk.venues.table import Purpose
from lab.day import SCRIPTS

WAIT_S = 50  # at a barrier; longer than any round takes
DOOR_S = 60
FAILURES = 2  # per racer and round
NOTES = 8
LATCHES = 20  # so many that they go on while routers decide and send
COUNTED, PROBED = "alerts", "ai_gate"  # components no router touches
COUNTING = Limits(failures_max=10_000, window_s=1_000_000)  # never trips
PROBING = Limits(failures_max=1, cooldown_s=30)  # trips at once, half-open again in the next minute


@dataclass
class Said:
    """A door that ended.

    Attributes:
        lines: standard output and error.
    """

    round: int
    door: str
    exit_code: int
    lines: list[str]


@dataclass
class Tally:
    """What one racer saw; the end state must add up to the sum of them."""

    racer: int
    problem: str = ""
    failures: int = 0
    probes: list[int] = field(default_factory=list)  # the rounds in which it got the probe
    notes: list[str] = field(default_factory=list)
    engagements: int = 0
    releases: int = 0  # that really released
    doors: list[Said] = field(default_factory=list)


@dataclass
class Racer:
    """One process's hands on the home."""

    home: Home
    settings: Settings
    tally: Tally
    round: int = 0

    def play(self, number: int, part: str) -> None:
        """The common part, then this round's own."""
        self.round = number
        clock.start_tick()
        self._fail()
        self._probe()
        PARTS[part](self)

    def note(self) -> None:
        """Events that say what their writer had folded: nobody may have come between."""
        journal = self._journal("note")
        for number in range(NOTES):
            text = f"{self.tally.racer}/{self.round}/{number}"
            journal.transact(lambda fold, text=text: [_note(fold, text), _note(fold, text + "+")])
            self.tally.notes += [text, text + "+"]

    def engage(self) -> None:
        """The room's engage, each time with another note."""
        for number in range(LATCHES):
            reason = f"race {self.tally.racer}/{self.round}/{number}"
            report = kill_switch.engage(self.home, self._journal("kill_switch"), reason, "racer")
            assert report.file_written and report.journalled, report.problems
            self.tally.engagements += 1

    def release(self) -> None:
        """The room's release."""
        for _ in range(LATCHES):
            self.tally.releases += release_once(self.home, self.settings, self._journal("kill_switch"))

    def door(self, name: str, *arguments: str) -> None:
        """A door as cron or an operator starts it."""
        command = [sys.executable, str(SCRIPTS / f"{name}.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOOR_S)
        lines = (done.stdout + done.stderr).strip().splitlines()
        self.tally.doors.append(Said(self.round, " ".join((name, *arguments[:1])), done.returncode, lines))

    def _fail(self) -> None:
        hand = self._breakers(COUNTING)
        for _ in range(FAILURES):
            ticket = hand.admit(COUNTED, Purpose.READ)
            assert ticket.allowed
            hand.record_failure(ticket, "http 500", None, False)
            self.tally.failures += 1

    def _probe(self) -> None:
        """The one that gets the probe lets it fail, so that the next round has one again."""
        hand = self._breakers(PROBING)
        ticket = hand.admit(PROBED, Purpose.READ)
        if ticket.allowed:
            self.tally.probes.append(self.round)
            hand.record_failure(ticket, "http 500", None, False)

    def _breakers(self, limits: Limits) -> Breakers:
        hook = breaker.journal_hook(self.settings, "racer", _silent)
        return Breakers(self.home, limits, "racer", _silent, hook)

    def _journal(self, script: str) -> Journal:
        return journal_of(self.home, self.settings, script)


def _router_twice(racer: Racer) -> None:
    """The second tick of the same minute."""
    racer.door("router")
    racer.door("router")


PARTS: dict[str, Callable[[Racer], None]] = {
    "router": lambda racer: racer.door("router"),
    "router_twice": _router_twice,
    "reconcile": lambda racer: racer.door("reconcile"),
    "engage_door": lambda racer: racer.door("kill_switch", "engage", "--reason", f"door {racer.round}"),
    "release_door": lambda racer: racer.door("kill_switch", "release", "--reason", "race", "--ack", "I_UNDERSTAND"),
    "engage": Racer.engage,
    "release": Racer.release,
    "notes": Racer.note,
}


def run(number: int, root: str, env: dict[str, str], plan: list[str], gate: Barrier, told: "Queue[Tally]") -> None:
    """A racer's life: a part a round, between the coordinator's two barriers."""
    os.environ.update(env)
    tally = Tally(number)
    try:
        home = Home(Path(root))
        racer = Racer(home, load(home), tally)
        for turn, part in enumerate(plan):
            gate.wait(WAIT_S)
            racer.play(turn, part)
            gate.wait(WAIT_S)
    except BaseException:  # noqa: BLE001 - told to the coordinator, whatever it was
        tally.problem = traceback.format_exc()
        gate.abort()
    told.put(tally)


def journal_of(home: Home, settings: Settings, script: str) -> Journal:
    """A handle as a door has it, under the folder's own stamp."""
    ctx = Context(run_id="", cycle_id="", script=script, mode="", instance=settings.instance)
    return Journal(home, ctx, reserve_bytes=settings.config.journal.reserve_bytes)


def release_once(home: Home, settings: Settings, journal: Journal) -> bool:
    """Release the kill switch as the door does; True when this call released it."""
    outside = observed.for_release(home, settings, rebase_peak=False)
    facts_of = lambda fold, doc: kill_forms.release_facts(outside, fold, doc)  # noqa: E731 - one hook, in place
    report = kill_switch.release(home, journal, "race", "racer", facts_of, is_live=False)
    assert not report.held, report.held
    return report.released


def _note(fold: Fold, text: str) -> NewEvent:
    return NewEvent(event=Event.NOTE, data={"text": text, "after_seq": fold.seq, "after_hash": fold.hash})


def _silent(level: str, line: str) -> None:
    """Transitions are read from the journal."""
