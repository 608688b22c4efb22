"""Settling: file and journal of a latch agree afterwards, on the stricter of the two. Writes both.

What only a file holds (a crash between its two writes, a hand at 3 a.m., a journal that could not be written then) is
taken into the journal, so that losing the file later releases nothing. A file that shows less than the journal is
written anew; a missing one is put in place. An unfinished release is left to the command that began it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from desk.base.paths import Home
from desk.config.mode import Mode
from desk.journal.chain import NewEvent
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import (
    arming_latch,
    control_edited,
    kill_forms,
    kill_reasons,
    kill_switch,
    latch_file,
    limits_overlay,
    pause,
    pause_forms,
)
from desk.risk.latch_file import ACTIVE, FREEZE_ALL, INACTIVE, MANUAL, NORMAL, RANK, REDUCE_ONLY, KillView, Reading
from desk.risk.latch_write import Place
from desk.state import store
from desk.state.store import Doc

BY_FILE: Final = "file"


class Latch(msgspec.Struct, frozen=True):
    """How one latch settles: do file and journal say the same; what the journal lacks; what the file should say."""

    place: Place
    agrees: Callable[[Fold, Doc], bool]
    lacking: Callable[[Fold, Reading], Sequence[NewEvent]]
    mirrored: Callable[[Fold, Doc | None], Doc]


def settle(home: Home, journal: Journal, latch: Latch) -> None:
    """Make one latch's file and journal agree; reads only, when they do.

    Raises:
        StateError, JournalError: one of them cannot be written; what holds goes on holding.
    """
    reading = latch_file.read_control(home, latch.place.key)
    fold = journal.read_fold()
    if reading.problem in {"corrupt", "unreadable"}:  # the original stays until a command writes the file anew
        if latch.lacking(fold, reading):
            journal.transact(lambda fold: latch.lacking(fold, reading))
        return
    if reading.doc is not None and fold.seq and latch.agrees(fold, reading.doc):
        return

    def change(doc: Doc | None) -> Doc | None:
        found = Reading(doc, "" if doc is not None else "missing", reading.detail)
        fold, _ = journal.transact(
            lambda fold: [*control_edited.events_of(fold, latch.place.key, doc), *latch.lacking(fold, found)]
        )
        return None if doc is not None and latch.agrees(fold, doc) else latch.mirrored(fold, doc)

    store.update(home, latch.place.key, change, latch.place.writer)


def settle_kill(home: Home, journal: Journal) -> None:
    """The kill switch."""
    settle(home, journal, KILL)


def settle_pause(home: Home, journal: Journal) -> None:
    """PAUSE and DEGRADE."""
    settle(home, journal, PAUSED)


def _kill_agrees(fold: Fold, doc: Doc) -> bool:
    latch, found = fold.portfolio.kill_switch, latch_file.parse_kill(doc)
    if store.was_edited(doc) or found.unknown_words or found.kill is None:
        return False
    if latch_file.is_releasing(doc) and latch.state == INACTIVE:
        return True
    if not found.kill.active or latch.state == INACTIVE:
        return found.kill.active == (latch.state == ACTIVE)
    names = {kill_reasons.row_of(reason).name for reason in found.kill.reasons}
    return names == set(latch.reasons) and found.kill.level == latch.level


def _kill_lacking(fold: Fold, reading: Reading) -> list[NewEvent]:
    """What a file holds and the journal does not."""
    latch = fold.portfolio.kill_switch
    view = _kill_view(fold, reading)
    if view is None or not view.active or (latch_file.is_releasing(reading.doc) and latch.state == INACTIVE):
        return []
    known = set(latch.reasons) if latch.state == ACTIVE else set()
    if reading.doc is None and known:
        return []  # a lost or corrupt file adds nothing to a latch the journal holds
    rows = {kill_reasons.row_of(reason).name: reason for reason in view.reasons}
    new = {name: reason for name, reason in rows.items() if name not in known}
    if not new and view.level == FREEZE_ALL and latch.level != FREEZE_ALL:
        new = rows
    events = []
    for reason in new.values():
        row, free_text = kill_reasons.classify(reason)
        note = view.note or free_text
        events += kill_forms.activated(fold, row, note, view.level, view.by or BY_FILE)
    return events


def _kill_view(fold: Fold, reading: Reading) -> KillView | None:
    if reading.doc is not None:
        return latch_file.parse_kill(reading.doc).kill
    if reading.problem == "missing":
        return kill_forms.MISSING_LIVE if fold.portfolio.mode == Mode.LIVE else None
    return KillView(True, REDUCE_ONLY, (MANUAL,), f"kill_switch.json is {reading.problem}", by=BY_FILE)


def _pause_agrees(fold: Fold, doc: Doc) -> bool:
    latch, found = fold.portfolio.pause, latch_file.parse_pause(doc)
    if store.was_edited(doc) or found.unknown_words or found.pause is None:
        return False
    if latch_file.is_releasing(doc) and latch.state == NORMAL:
        return True
    return found.pause.state == latch.state and set(found.pause.reasons) == set(latch.reasons)


def _pause_lacking(fold: Fold, reading: Reading) -> list[NewEvent]:
    """What a file holds and the journal does not."""
    latch = fold.portfolio.pause
    if reading.doc is not None:
        view = latch_file.parse_pause(reading.doc).pause
    elif reading.problem == "missing":
        is_lost = fold.portfolio.mode == Mode.LIVE and pause_forms.was_ever_raised(fold)
        view = pause_forms.MISSING_LIVE if is_lost else None
    else:
        view = pause_forms.unread(f"pause.json is {reading.problem}")
    if view is None or view.state == NORMAL or (latch_file.is_releasing(reading.doc) and latch.state == NORMAL):
        return []
    if reading.doc is None and latch.state == view.state:
        return []
    is_raise = RANK[view.state] > RANK.get(latch.state, 0)
    if not is_raise and set(view.reasons) <= set(latch.reasons):
        return []
    return pause_forms.raised(fold, view.state, view.reasons, view.note, view.by or BY_FILE)


KILL: Final = Latch(
    kill_switch.PLACE,
    _kill_agrees,
    _kill_lacking,
    lambda fold, doc: kill_forms.mirrored_doc(doc, kill_forms.view_of(fold, doc, is_live=False)),
)
PAUSED: Final = Latch(
    pause.PLACE,
    _pause_agrees,
    _pause_lacking,
    lambda fold, doc: pause_forms.mirrored_doc(doc, pause_forms.view_of(fold, doc, is_live=False)),
)
ALL: Final = (settle_kill, settle_pause, limits_overlay.note_edit, arming_latch.settle_baseline)
