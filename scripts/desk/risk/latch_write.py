"""The two orders of writing a latch, once for kill switch and pause (design 3).

Hold: file first, journal second when possible; either alone is enough. Let go: a mark in the file, then journal and
file under the file's lock. Each step can be repeated; a crash between any two leaves the latch on, and the same call
again finishes.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from desk.base import clock
from desk.base.errors import StateCorrupt, WorldError
from desk.base.paths import Home
from desk.journal.chain import NewEvent
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import control_edited, latch_file
from desk.risk.latch_file import RELEASING
from desk.state import store
from desk.state.store import Doc

Change = Callable[[Doc | None], Doc | None]  # the file's content -> the wanted one, None = leave it


class Place(msgspec.Struct, frozen=True):
    """Which latch: its file's key, the one writer allowed, and the least that means "on" in that file."""

    key: str
    writer: str
    on: Doc


class Written(msgspec.Struct, frozen=True):
    """Where a latch now stands; a problem is "" when that place holds it."""

    file_problem: str
    journal_problem: str

    @property
    def problems(self) -> tuple[str, ...]:
        """One clause for each place that could not be written."""
        return tuple(problem for problem in (self.file_problem, self.journal_problem) if problem)


class Verdict(Protocol):
    """Whether a latch may be let go."""

    @property
    def released(self) -> bool: ...


R = TypeVar("R", bound=Verdict)


class Release(msgspec.Struct, frozen=True):
    """Who lets go and why."""

    reason: str
    by: str


def hold(
    home: Home, journal: Journal, place: Place, change: Change, events: Callable[[Fold], Sequence[NewEvent]]
) -> Written:
    """Put a latch on, file first. Never raises for what the disk or another process does."""
    edited: list[Doc] = []

    def noting(doc: Doc | None) -> Doc | None:
        if doc is not None and store.was_edited(doc):
            edited.append(doc)
        return change(doc)

    def decide(fold: Fold) -> Sequence[NewEvent]:
        return [*control_edited.events_of(fold, place.key, edited[-1] if edited else None), *events(fold)]

    file_problem = _hold_file(home, place, noting)
    journal_problem = _hold_journal(journal, decide)
    if file_problem:  # once more: the other writer may be done, the journal's reserve may have made room
        file_problem = _hold_file(home, place, noting)
    return Written(file_problem, journal_problem)


def let_go(
    home: Home,
    journal: Journal,
    place: Place,
    release: Release,
    is_off: Callable[[Fold], bool],
    judge: Callable[[Fold, Doc | None, bool], R],
    events: Callable[[Fold, R], Sequence[NewEvent]],
    released_doc: Callable[[Doc | None, str, str], Doc],
) -> R:
    """Release a latch when `judge` says so, under both locks; returns its verdict.

    Args:
        is_off: the journal's latch is off.
        judge: (fold, file, unfinished) -> verdict; unfinished = the release was journalled and died before the file.
        events: what the release journals.

    Raises:
        StateError, JournalError: file or journal cannot be written; the latch stays on.
    """
    before = _readable(home, place)
    fold = journal.read_fold()
    verdict = judge(fold, before, latch_file.is_releasing(before) and is_off(fold))
    if not verdict.released:
        return verdict
    if not latch_file.is_releasing(before):
        store.update(home, place.key, lambda doc: _marked(doc, place, release), place.writer)
    final = [verdict]

    def change(doc: Doc | None) -> Doc | None:
        def decide(fold: Fold) -> Sequence[NewEvent]:
            is_unfinished = latch_file.is_releasing(before) and latch_file.is_releasing(doc) and is_off(fold)
            final[0] = judge(fold, doc, is_unfinished)
            if not final[0].released or is_unfinished:
                return []
            return [*control_edited.events_of(fold, place.key, before), *events(fold, final[0])]

        journal.transact(decide)
        return released_doc(doc, release.reason, release.by) if final[0].released else None

    store.update(home, place.key, change, place.writer)
    return final[0]


def _hold_file(home: Home, place: Place, change: Change) -> str:
    """Nothing when the file holds the latch, else what went wrong."""
    try:
        try:
            store.update(home, place.key, change, place.writer)
        except StateCorrupt:  # a copy is in quarantine; an engagement outranks whatever stood there
            store.write(home, place.key, change(None) or dict(place.on), place.writer)
    except WorldError as error:
        return error.line()
    return ""


def _hold_journal(journal: Journal, decide: Callable[[Fold], Sequence[NewEvent]]) -> str:
    try:
        journal.transact(decide)
    except WorldError as error:
        return error.line()
    return ""


def _readable(home: Home, place: Place) -> Doc | None:
    """The file's content; a corrupt one is first replaced by one that is on, so that a release goes through the locks.

    Raises:
        StateError: it cannot be read or replaced.
    """
    try:
        return store.read(home, place.key)
    except StateCorrupt:
        store.write(home, place.key, place.on | {"since": clock.iso(clock.now_ms())}, place.writer)
        return store.read(home, place.key)


def _marked(doc: Doc | None, place: Place, release: Release) -> Doc:
    """As it was (a missing one: on), with the mark of a release in progress."""
    mark = {"reason": release.reason, "by": release.by, "at": clock.iso(clock.now_ms())}
    return (dict(place.on) if doc is None else doc) | {RELEASING: mark}
