"""The two marks of arming on the disk: `state/LIVE.ok` and the baseline's `state/safe_mode.json`. Writes both.

On mainnet LIVE.ok arms only together with the journal's LIVE_ARMED: a file made by hand, restored or left over arms
nothing. On testnet and simulator the file suffices, until a baseline is held (ADR 016). The baseline's safe mode is
the strictest of file and journal, as every latch: a lost, corrupt or edited file lifts nothing, and only
`arming.py baseline --clear` does. Who may arm, and when, is the door's question.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from desk.base import clock
from desk.base.errors import WorldError
from desk.base.paths import Home
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import control_edited, latch_file, latch_write
from desk.risk.latch_file import ACTIVE, INACTIVE, RELEASING, Reading
from desk.state import store
from desk.state.store import Doc

OK_KEY: Final = "live_ok"
SAFE_KEY: Final = "safe_mode"
WRITER: Final = "risk.arming"
ON, OFF = "on", "off"
BY_FILE: Final = "file"
PLACE: Final = latch_write.Place(SAFE_KEY, WRITER, {"state": ON, "reason": "the file was missing or corrupt"})


class Cleared(msgspec.Struct, frozen=True):
    """What clearing the baseline did. `was_on` is False when nothing held it."""

    released: bool
    was_on: bool


def is_armed(home: Home, fold: Fold | None, *, by_hand: bool = False) -> bool:
    """LIVE.ok is whole and ours, and the journal's last word is LIVE_ARMED.

    Args:
        by_hand: no real money is at stake (testnet, simulator): a file made by hand suffices, an empty one too, while
            the journal has never said otherwise. After a baseline only `arming.py arm` arms again.
    """
    if fold is None:
        return False
    armed = fold.portfolio.armed
    hand_counts = by_hand and (armed.state == ACTIVE or not armed.since_ms)
    if armed.state != ACTIVE and not hand_counts:
        return False
    doc = latch_file.read_control(home, OK_KEY).doc
    return doc is not None and (hand_counts or not store.was_edited(doc))


def holds_baseline(home: Home, fold: Fold | None) -> bool:
    """Safe mode is on, by file or journal; what cannot be read reads as on."""
    return fold is None or fold.portfolio.baseline.state == ACTIVE or _is_on(latch_file.read_control(home, SAFE_KEY))


def arm(home: Home, journal: Journal, reason: str, by: str) -> bool:
    """Journal first, then LIVE.ok; False when a baseline was held meanwhile. A crash between arms nothing.

    Raises:
        StateError, JournalError: not written; nothing is armed.
    """
    fold, _ = journal.transact(
        lambda fold: [] if holds_baseline(home, fold) else [_event(Event.LIVE_ARMED, reason, by)]
    )
    if holds_baseline(home, fold):
        return False
    wanted = {"reason": reason, "by": by, "since": clock.iso(clock.now_ms())}
    store.write(home, OK_KEY, wanted, WRITER)  # a baseline held since has journalled: the file alone arms nothing
    return True


def disarm(home: Home) -> str:
    """Remove LIVE.ok; a clause when it could not be removed (the journal's BASELINE_HELD disarms as well)."""
    try:
        store.remove(home, OK_KEY, WRITER)
    except (WorldError, OSError) as error:
        return f"state/LIVE.ok cannot be removed ({error})"
    return ""


def hold_baseline(home: Home, journal: Journal, reason: str, by: str) -> latch_write.Written:
    """Safe mode on: file first, then the journal. Never raises for what the disk does."""

    def change(doc: Doc | None) -> Doc | None:
        if doc is not None and _is_on(Reading(doc)) and not store.was_edited(doc) and RELEASING not in doc:
            return None
        kept = {key: item for key, item in (doc or {}).items() if key != RELEASING}
        return kept | {"state": ON, "reason": reason, "since": clock.iso(clock.now_ms()), "by": by}

    return latch_write.hold(home, journal, PLACE, change, lambda fold: [_event(Event.BASELINE_HELD, reason, by)])


def clear_baseline(home: Home, journal: Journal, reason: str, by: str) -> Cleared:
    """Safe mode off: journal, then the file. LIVE.ok does not come back by it.

    Raises:
        StateError, JournalError: one of them cannot be written; safe mode stays on.
    """

    def judge(fold: Fold, doc: Doc | None, is_unfinished: bool) -> Cleared:
        was_on = fold.portfolio.baseline.state == ACTIVE or (doc is not None and _is_on(Reading(doc)))
        return Cleared(released=was_on, was_on=was_on)

    def cleared_doc(doc: Doc | None, reason: str, by: str) -> Doc:
        kept = {key: item for key, item in (doc or {}).items() if key != RELEASING}
        return kept | {"state": OFF, "reason": reason, "since": clock.iso(clock.now_ms()), "by": by}

    return latch_write.let_go(
        home, journal, PLACE, latch_write.Release(reason, by),
        lambda fold: fold.portfolio.baseline.state == INACTIVE, judge,
        lambda fold, verdict: [_event(Event.BASELINE_CLEARED, reason, by)], cleared_doc,
    )  # fmt: skip


def settle_baseline(home: Home, journal: Journal) -> None:
    """What only the file holds is taken into the journal, so that losing the file later lifts nothing.

    Raises:
        JournalError: it cannot be written; the file goes on holding.
    """
    reading = latch_file.read_control(home, SAFE_KEY)
    is_unfinished = latch_file.is_releasing(reading.doc)
    if not _is_on(reading) or is_unfinished or journal.read_fold().portfolio.baseline.state == ACTIVE:
        return

    def decide(fold: Fold) -> Sequence[NewEvent]:
        if fold.portfolio.baseline.state == ACTIVE:
            return []
        reason = str((reading.doc or {}).get("reason") or f"safe_mode.json is {reading.problem or 'on'}")
        edited = control_edited.events_of(fold, SAFE_KEY, reading.doc)
        return [*edited, _event(Event.BASELINE_HELD, reason[: latch_file.TEXT_MAX], BY_FILE)]

    journal.transact(decide)


def _is_on(reading: Reading) -> bool:
    """Only the word `off`, or no file at all, reads as off."""
    if reading.doc is None:
        return reading.problem != "missing"
    return reading.doc.get("state") != OFF


def _event(name: Event, reason: str, by: str) -> NewEvent:
    return NewEvent(event=name, data={"reason": reason, "by": by})
