"""Reading a latch: the two control files, the journal's view, and the strictest of both. Pure but for `read_control`.

A hand-written file with only the runbook's fields is valid (`{"state": "active"}`). Whatever cannot be understood reads
as engaged: an unknown word, a wrong type, a corrupt or unreadable file (P3, P11).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from desk.base import clock
from desk.base.errors import StateCorrupt, StateError
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal.state import Latch
from desk.state import store
from desk.state.store import Doc

KILL_KEY: Final = "kill_switch"
PAUSE_KEY: Final = "pause"
ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
REDUCE_ONLY: Final = "reduce_only"
FREEZE_ALL: Final = "freeze_all"
NORMAL: Final = "NORMAL"
DEGRADE: Final = "DEGRADE"
PAUSE: Final = "PAUSE"
RANK: Final = {NORMAL: 0, DEGRADE: 1, PAUSE: 2}
MANUAL: Final = "manual"
# A release in progress leaves this mark in the file before it journals: a crash in between is told from an engagement.
RELEASING: Final = "releasing"
SEEN: Final = "seen"  # reason -> when its condition was last reported
REASONS_MAX: Final = 20
TEXT_MAX: Final = 500


class Reading(msgspec.Struct, frozen=True):
    """A control file as found: `problem` is "", missing, corrupt or unreadable; `doc` is set when it is ""."""

    doc: Doc | None
    problem: str = ""
    detail: str = ""


class KillView(msgspec.Struct, frozen=True):
    """The kill switch as one source, or all of them together, show it. `source` says which."""

    active: bool
    level: str = ""  # reduce_only | freeze_all while active
    reasons: tuple[str, ...] = ()
    note: str = ""
    since_ms: int = 0
    by: str = ""
    source: str = ""


class PauseView(msgspec.Struct, frozen=True):
    """PAUSE or DEGRADE, latched by hand or by a cause."""

    state: str  # NORMAL | DEGRADE | PAUSE
    reasons: tuple[str, ...] = ()
    note: str = ""
    since_ms: int = 0
    by: str = ""
    source: str = ""


class Parsed(msgspec.Struct, frozen=True):
    """A view read from a file, and the words in it nobody knows."""

    kill: KillView | None = None
    pause: PauseView | None = None
    unknown_words: tuple[str, ...] = ()


def read_control(home: Home, key: str) -> Reading:
    """One control file; never raises for what stands on the disk."""
    try:
        doc = store.read(home, key)
    except StateCorrupt as error:
        return Reading(None, "corrupt", error.line())
    except StateError as error:
        return Reading(None, "unreadable", error.line())
    if doc is None:
        return Reading(None, "missing", f"{store.path_of(home, key).name} is missing")
    return Reading(doc)


def parse_kill(doc: Doc) -> Parsed:
    """kill_switch.json: only the word `inactive` reads as inactive."""
    word = _word(doc.get("state"))
    if word == INACTIVE:
        return Parsed(kill=KillView(False, note=_text(doc.get("note")), since_ms=_ms(doc.get("since")), source="file"))
    unknown = [] if word == ACTIVE else [f"state {doc.get('state')!r}"[:TEXT_MAX]]
    level, level_known = _level(doc.get("level"))
    if not level_known:
        unknown.append(f"level {doc.get('level')!r}"[:TEXT_MAX])
    view = KillView(
        True, level, _reasons(doc) or (MANUAL,), _text(doc.get("note")), _ms(doc.get("since")), _text(doc.get("by")),
        "file",
    )  # fmt: skip
    return Parsed(kill=view, unknown_words=tuple(unknown))


def parse_pause(doc: Doc) -> Parsed:
    """pause.json: an unknown word reads as PAUSE."""
    word = _word(doc.get("state")).upper()
    known = word in RANK
    state = word if known else PAUSE
    default = str(Reason.MANUAL_DEGRADE if state == DEGRADE else Reason.MANUAL_PAUSE)
    reasons = (_reasons(doc) or (default,)) if state != NORMAL else ()
    view = PauseView(state, reasons, _text(doc.get("note")), _ms(doc.get("since")), _text(doc.get("by")), "file")
    return Parsed(pause=view, unknown_words=() if known else (f"state {doc.get('state')!r}"[:TEXT_MAX],))


def kill_of_journal(latch: Latch) -> KillView:
    """The journal's last kill-switch event."""
    if latch.state == INACTIVE:
        return KillView(False, note=latch.note, since_ms=latch.since_ms, by=latch.by, source="journal")
    return KillView(
        True, latch.level or REDUCE_ONLY, tuple(latch.reasons) or (MANUAL,), latch.note, latch.since_ms, latch.by,
        "journal",
    )  # fmt: skip


def pause_of_journal(latch: Latch) -> PauseView:
    """The journal's last pause event."""
    return PauseView(latch.state, tuple(latch.reasons), latch.note, latch.since_ms, latch.by, "journal")


def strictest_kill(views: Sequence[KillView]) -> KillView:
    """Active when any source is; levels, reasons and sources add up; the earliest known `since`."""
    active = [view for view in views if view.active]
    if not active:
        return views[0]
    level = FREEZE_ALL if any(view.level == FREEZE_ALL for view in active) else REDUCE_ONLY
    return KillView(
        True, level, _union([view.reasons for view in active]), _first([view.note for view in active]),
        min((view.since_ms for view in active if view.since_ms), default=0), _first([view.by for view in active]),
        "+".join(view.source for view in active),
    )  # fmt: skip


def strictest_pause(views: Sequence[PauseView]) -> PauseView:
    """The highest of NORMAL, DEGRADE, PAUSE; reasons of every source that is not NORMAL."""
    raised = [view for view in views if view.state != NORMAL]
    if not raised:
        return views[0]
    state = max((view.state for view in raised), key=lambda word: RANK[word])
    return PauseView(
        state, _union([view.reasons for view in raised]), _first([view.note for view in raised]),
        min((view.since_ms for view in raised if view.since_ms), default=0), _first([view.by for view in raised]),
        "+".join(view.source for view in raised),
    )  # fmt: skip


def seen_ms(doc: Doc | None) -> dict[str, int]:
    """When each reason's condition was last reported, by the file; {} when it cannot tell."""
    table = (doc or {}).get(SEEN)
    return {str(name): _ms(at) for name, at in table.items()} if isinstance(table, dict) else {}


def is_releasing(doc: Doc | None) -> bool:
    """A release was begun on this very content of the file and has not ended."""
    return doc is not None and isinstance(doc.get(RELEASING), dict) and not store.was_edited(doc)


def _level(value: object) -> tuple[str, bool]:
    """The level and whether the word was known. A word beginning with "freeze" means what it says; any other reads as
    a corrupt file does: reduce_only, so that exits stay open (P4)."""
    word = _word(value).replace("-", "_").replace(" ", "_")
    if word in {"", REDUCE_ONLY}:
        return REDUCE_ONLY, True
    return (FREEZE_ALL if word.startswith("freeze") else REDUCE_ONLY), word == FREEZE_ALL


def _reasons(doc: Doc) -> tuple[str, ...]:
    listed = doc.get("reasons")
    found = [_text(item) for item in listed] if isinstance(listed, list) else [_text(listed)]
    return _union([[_text(doc.get("reason"))], found])[:REASONS_MAX]


def _word(value: object) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _text(value: object) -> str:
    return value.strip()[:TEXT_MAX] if isinstance(value, str) else ""


def _ms(value: object) -> int:
    try:
        return clock.parse_iso(value) if isinstance(value, str) else 0
    except (ValueError, OverflowError):
        return 0


def _union(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items if item))


def _first(texts: Sequence[str]) -> str:
    return next((text for text in texts if text), "")
