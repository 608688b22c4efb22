"""Circuit breakers on the shared file `state/circuit_breakers.json`. Owns its reading and writing.

The rules are in `breaker_rules`; here each decision is one read, change and write under the file's lock, so that of
all processes exactly one gets the half-open probe and no failure is lost. The lock is never held across the network:
`admit` before a request, `record_*` after it. Transitions go to `on_change`, outside the lock, to be journalled.

A closed breaker costs one unlocked read. A corrupt or unreadable file is open for entries and for order tests; reads,
cancels, exits and look-ups go on without being counted.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import LockBusy, StateError, WorldError
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.config.load import Settings
from desk.config.schema import Breakers as Limits
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event as JournalEvent
from desk.journal.journal import Journal
from desk.risk import breaker_rules as rules
from desk.risk.breaker_rules import Entry, Event, Pass, State
from desk.state import store
from desk.venues.guard_types import Ticket
from desk.venues.table import Purpose

KEY: Final = "circuit_breakers"
WRITER: Final = "risk.breaker"
NEEDS_PROOF: Final = frozenset({Purpose.ENTRY, Purpose.PROBE})  # these never pass a file that cannot tell
UNREADABLE: Final = "unreadable"  # the "from" of an entry that made no sense
Log = Callable[[str, str], None]
_ordinal = itertools.count(1)


class BreakerChange(msgspec.Struct, frozen=True, kw_only=True):
    """One transition, for the journal (BREAKER_CHANGED) and the log."""

    component: str
    old: str
    new: str
    event: str
    cause: str
    script: str

    def line(self) -> str:
        """The operator's log line, in the runbook's form: `[BINANCE] breaker OPEN -> CLOSED RESET (...)`."""
        venue = self.component.split("_")[0].upper()
        step = f"{self.old.upper()} -> {self.new.upper()} {self.event}"
        return f"[{venue}] breaker {step} ({self.component}: {self.cause})"


class ControlEdited(msgspec.Struct, frozen=True):
    """The file was written by hand since our last write."""

    file: str = "circuit_breakers.json"


Note = BreakerChange | ControlEdited
OnChange = Callable[[Note], None]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says now. `problem` is "" or why it could not be read; `missing` when it does not exist."""

    entries: Mapping[str, Entry]
    missing: bool = False
    problem: str = ""

    def state(self, component: str) -> State:
        """A component's state: closed when it has no entry, open when the file cannot be read."""
        if self.problem:
            return State.OPEN
        found = self.entries.get(component)
        return found.state if found is not None else State.CLOSED


def view(home: Home, limits: Limits) -> View:
    """Read the file, without a lock and without changing it."""
    now_ms = clock.now_ms()
    try:
        doc = store.read(home, KEY)
    except StateError as error:
        return View(entries={}, problem=error.line())
    found = {name: rules.parse(raw, now_ms, limits, name) for name, raw in _components(doc)}
    return View(entries=found, missing=doc is None)


def ignore_change(note: Note) -> None:
    """An `on_change` for callers that journal nothing (a folder nobody has stamped yet)."""


class Breakers:
    """One process's hand on the breakers; implements `guard_types.BreakerPort`.

    Attributes:
        log: called with (level, line) for every transition and for a file that cannot be written.
        on_change: called with every transition and hand edit, outside the lock.
    """

    def __init__(self, home: Home, limits: Limits, script: str, log: Log, on_change: OnChange = ignore_change) -> None:
        self.home, self.limits, self.script = home, limits, script
        self.log, self.on_change = log, on_change
        self._passed: dict[tuple[str, Pass], int] = {}

    def start_tick(self) -> None:
        """A new tick of a loop: exits and look-ups may pass an open breaker again."""
        self._passed.clear()

    def admit(self, component: str, purpose: Purpose) -> Ticket:
        """May an attempt go? Never raises; an entry also needs the venue's other breaker closed."""
        now_ms = clock.now_ms()
        names = [component]
        if purpose is Purpose.ENTRY:
            venue = component.rpartition("_")[0]
            names = [f"{venue}_orders", f"{venue}_api"]
        try:
            doc = store.read(self.home, KEY) or {}
            entries = {name: self._parse(doc, name, now_ms) for name in names}
            if all(entry.state is State.CLOSED for entry in entries.values()):
                return Ticket(component=component, allowed=True, state=State.CLOSED)
            tickets = [self._admit_locked(name, purpose) for name in names if entries[name].state is not State.CLOSED]
        except (StateError, LockBusy) as error:
            self.log("WARN", f"breaker {component}: {error.line()}")
            allowed = purpose not in NEEDS_PROOF
            return Ticket(component=component, allowed=allowed, reason="" if allowed else str(Reason.BREAKER_CORRUPT))
        decisive = next((ticket for ticket in tickets if not ticket.allowed), tickets[0])
        return msgspec.structs.replace(decisive, component=component)

    def record_success(self, ticket: Ticket) -> None:
        """A good answer. Closes the breaker, unless the attempt left before it opened (that is old news)."""
        if not ticket.state or self._is_fresh_success(ticket):
            return

        def decide(entry: Entry, now_ms: int) -> tuple[Entry, Event | None]:
            if entry.state is not State.CLOSED and ticket.state == State.CLOSED:
                return msgspec.structs.replace(entry, last_success_ms=now_ms), None
            return rules.step(entry, Event.SUCCESS, now_ms, self.limits, ticket.component), Event.SUCCESS

        self._record(ticket, decide, "a request succeeded")

    def record_failure(self, ticket: Ticket, cause: str, retry_after_s: float | None, banned: bool) -> None:
        """A countable failure. Retry-After is a floor for the cooldown; a ban opens at once."""
        floor_ms = int((retry_after_s or 0) * 1000)

        def decide(entry: Entry, now_ms: int) -> tuple[Entry, Event | None]:
            event = rules.failure_event(entry, now_ms, self.limits, banned)
            return rules.step(entry, event, now_ms, self.limits, ticket.component, floor_ms), event

        self._record(ticket, decide, cause)

    def release_probe(self, ticket: Ticket) -> None:
        """A neutral end of an attempt (a 4xx, or nothing sent): give the probe back, change nothing else."""
        if not ticket.owner:
            return

        def decide(entry: Entry, now_ms: int) -> tuple[Entry, Event | None]:
            ours = entry.probe is not None and entry.probe.owner == ticket.owner
            return (msgspec.structs.replace(entry, probe=None) if ours else entry), None

        self._record(ticket, decide, "released")

    def time_step(self) -> tuple[BreakerChange, ...]:
        """What the clock does to every entry (heartbeat and policy_engine call this): open -> half_open after the
        cooldown, an expired probe -> open; an entry that made no sense is written down as open.

        Raises:
            StateCorrupt, StateError, LockBusy: the file cannot be read or written.
        """

        def decide(name: str, entry: Entry, now_ms: int) -> tuple[Entry, Event | None]:
            event = rules.due_event(entry, now_ms)
            if event is None:
                return entry, None
            return rules.step(entry, event, now_ms, self.limits, name), event

        return self._update(None, decide, "clock")

    def ensure(self, venues: Iterable[str]) -> None:
        """Create what is missing: one closed entry per component of each listed venue.

        Raises:
            StateCorrupt, StateError, LockBusy: the file cannot be read or written.
        """
        names = [f"{venue}_{part}" for venue in venues for part in ("api", "orders")]
        doc = store.read(self.home, KEY) or {}
        if all(name in doc for name in names):
            return
        now_ms = clock.now_ms()

        def change(current: store.Doc | None) -> store.Doc:
            return {name: rules.unparse(Entry(), None, now_ms) for name in names} | (current or {})

        store.update(self.home, KEY, change, WRITER)

    def reset(self, component: str, venues: Iterable[str]) -> tuple[BreakerChange, ...]:
        """Close one component, or "all"; a corrupt file is written anew. Returns the transitions made.

        Raises:
            StateError, LockBusy: the file cannot be written.
        """
        current = view(self.home, self.limits)
        if current.problem:
            names = [f"{venue}_{part}" for venue in venues for part in ("api", "orders")]
            if component not in {"all", *names}:
                names.append(component)
            fresh = {name: rules.unparse(Entry(), None, clock.now_ms()) for name in names}
            store.write(self.home, KEY, fresh, WRITER)
            changes = [self._change(name, UNREADABLE, Event.OPERATOR_RESET, "operator") for name in names]
            return self._tell(ControlEdited(), *changes)

        def decide(name: str, entry: Entry, now_ms: int) -> tuple[Entry, Event | None]:
            return rules.step(entry, Event.OPERATOR_RESET, now_ms, self.limits, name), Event.OPERATOR_RESET

        return self._update(None if component == "all" else component, decide, "operator")

    def _admit_locked(self, component: str, purpose: Purpose) -> Ticket:
        """Decide for a breaker that is not closed, under the lock: clock step first, then the pass or the lease."""
        owner = f"{self.script}-{os.getpid()}-{next(_ordinal)}"
        made: list[Ticket] = []

        def decide(name: str, entry: Entry, now_ms: int) -> tuple[Entry, Event | None]:
            made.clear()
            event = rules.due_event(entry, now_ms)
            if event is not None:
                entry = rules.step(entry, event, now_ms, self.limits, name)
            ticket, entry = self._decide_pass(name, entry, purpose, owner, now_ms)
            made.append(ticket)
            return entry, event

        self._update(component, decide, "clock")
        return made[0]

    def _decide_pass(self, name: str, entry: Entry, purpose: Purpose, owner: str, now_ms: int) -> tuple[Ticket, Entry]:
        """The ticket, and the entry with the lease when this attempt is the probe."""
        if entry.state is State.CLOSED:
            return Ticket(component=name, allowed=True, state=State.CLOSED), entry
        how = rules.PASSES[entry.state, purpose]
        allowed = how is Pass.FREE or self._may_pass(name, how)
        gets_lease = entry.state is State.HALF_OPEN and entry.probe is None and (allowed or how is Pass.LEASE)
        if gets_lease:
            entry = rules.lease(entry, owner, now_ms, self.limits)
        if allowed or gets_lease:
            ticket = Ticket(component=name, allowed=True, state=entry.state, owner=owner if gets_lease else "")
            return ticket, entry
        reason = Reason.BREAKER_OPEN if entry.state is State.OPEN else Reason.BREAKER_PROBING
        return Ticket(component=name, allowed=False, reason=str(reason), state=entry.state), entry

    def _may_pass(self, name: str, how: Pass) -> bool:
        """Count a pass through a breaker that is not closed, against the tick's allowance."""
        allowance = {Pass.ONCE: 1, Pass.FEW: self.limits.exit_reads_per_tick_max}.get(how, 0)
        used = self._passed.get((name, how), 0)
        if used >= allowance:
            return False
        self._passed[name, how] = used + 1
        return True

    def _is_fresh_success(self, ticket: Ticket) -> bool:
        """True when the file already says closed with a recent success: nothing to write."""
        now_ms = clock.now_ms()
        try:
            doc = store.read(self.home, KEY)
        except StateError:
            return True  # cannot be recorded; admit has said so
        if doc is None or ticket.component not in doc:
            return False
        entry = self._parse(doc, ticket.component, now_ms)
        age_ms = now_ms - entry.last_success_ms
        return entry.state is State.CLOSED and 0 <= age_ms < 1000 * self.limits.success_rewrite_s

    def _record(self, ticket: Ticket, decide: Callable[[Entry, int], tuple[Entry, Event | None]], cause: str) -> None:
        """Write a result. A result that cannot be written is logged: the call itself is over either way."""
        if not ticket.state:
            return
        try:
            self._update(ticket.component, lambda name, entry, now_ms: decide(entry, now_ms), cause)
        except (StateError, LockBusy) as error:
            self.log("WARN", f"breaker {ticket.component} not recorded: {error.line()}")

    def _update(
        self, component: str | None, decide: Callable[[str, Entry, int], tuple[Entry, Event | None]], cause: str
    ) -> tuple[BreakerChange, ...]:
        """Read, decide for one component (None: all), write if anything changed; one lock, then tell."""
        notes: list[Note] = []

        def change(current: store.Doc | None) -> store.Doc | None:
            notes.clear()
            doc, now_ms = current or {}, clock.now_ms()
            result = dict(doc)
            for name in [component] if component is not None else [name for name, _ in _components(doc)]:
                before = self._parse(doc, name, now_ms)
                after, event = decide(name, msgspec.structs.replace(before, readable=True), now_ms)
                if name in doc and after == before:
                    continue
                result[name] = rules.unparse(after, doc.get(name), now_ms)
                old = str(before.state) if before.readable else UNREADABLE
                if old != after.state:
                    notes.append(self._change(name, old, event, cause, after.state))
            if result == doc:
                return None
            if current is not None and store.was_edited(current):
                notes.insert(0, ControlEdited())
            return result

        store.update(self.home, KEY, change, WRITER)
        return self._tell(*notes)

    def _tell(self, *notes: Note) -> tuple[BreakerChange, ...]:
        for note in notes:
            if isinstance(note, BreakerChange):
                self.log("WARN" if note.new == State.OPEN else "INFO", note.line())
            self.on_change(note)
        return tuple(note for note in notes if isinstance(note, BreakerChange))

    def _change(self, name: str, old: str, event: Event | None, cause: str, new: State = State.CLOSED) -> BreakerChange:
        word = str(event) if event is not None else "READ_AS_OPEN"
        return BreakerChange(component=name, old=old, new=str(new), event=word, cause=cause, script=self.script)

    def _parse(self, doc: store.Doc, name: str, now_ms: int) -> Entry:
        return rules.parse(doc[name], now_ms, self.limits, name) if name in doc else Entry()


def journal_change(journal: Journal, note: Note, log: Log) -> None:
    """Journal a transition or a hand edit, where the folder is stamped (a breaker must not stamp a fresh one).

    A journal that cannot be written does not undo the transition: the file stands, the line is logged.
    """
    if isinstance(note, ControlEdited):
        codes = (str(Reason.CONTROL_EDITED),)
        new = NewEvent(event=JournalEvent.CONTROL_EDITED, data={"file": note.file}, reason_codes=codes)
    else:
        data = {"component": note.component, "from": note.old, "to": note.new}
        data |= {"cause": note.cause, "script": note.script}
        new = NewEvent(event=JournalEvent.BREAKER_CHANGED, data=data, venue=note.component.rpartition("_")[0])
    try:
        if journal.read_fold().seq:
            journal.transact(lambda fold: [new])
    except WorldError as error:
        log("ERROR", f"not journalled: {new.event}: {error.line()}")


def _components(doc: store.Doc | None) -> list[tuple[str, Any]]:
    """The components of the file; keys starting with _ are none."""
    return [(name, raw) for name, raw in (doc or {}).items() if not name.startswith("_")]


def journal_hook(settings: Settings, script: str, log: Log) -> OnChange:
    """An `on_change` that journals under the folder's own stamp; for doors and for a bare client call."""
    ctx = Context(run_id="", cycle_id="", script=script, mode="", instance=settings.instance)
    journal = Journal(settings.home, ctx, reserve_bytes=settings.config.journal.reserve_bytes)
    return lambda note: journal_change(journal, note, log)
