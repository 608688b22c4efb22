"""What PAUSE and DEGRADE write: the file's content and the journal's events. Pure but for the clock."""

from typing import Final

import msgspec

from desk.base import clock
from desk.base.reasons import Reason, find, shown
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold
from desk.risk import latch_file, pause_causes
from desk.risk.kill_forms import cleared_alerts
from desk.risk.latch_file import NORMAL, PAUSE, RANK, RELEASING, SEEN, PauseView
from desk.state import store
from desk.state.store import Doc

ALERT_SUBJECT: Final = "pause"
WAYS_OUT: Final = ("resume.py ", "audit.py reseal ", "mode.py switch ")  # every latch's alert names one
LIMITS_HASH: Final = "limits_hash"  # config hash when it was first latched
MISSING_LIVE: Final = PauseView(
    PAUSE, (str(Reason.STATE_CORRUPT),), "pause.json is missing", source="missing file (LIVE)"
)


def view_of(fold: Fold, doc: Doc | None, *, is_live: bool) -> PauseView:
    """The strictest of journal and a readable (or missing) file."""
    views = [latch_file.pause_of_journal(fold.portfolio.pause)]
    if doc is not None:
        parsed = latch_file.parse_pause(doc).pause
        views += [parsed] if parsed is not None else []
    elif is_live and was_ever_raised(fold):
        views.append(MISSING_LIVE)
    return latch_file.strictest_pause(views)


def unread(detail: str) -> PauseView:
    """How a corrupt or unreadable file reads."""
    return PauseView(PAUSE, (str(Reason.STATE_CORRUPT),), detail, source="unreadable file")


def was_ever_raised(fold: Fold) -> bool:
    """The journal has seen a pause, so the file existed: missing now, it was lost. A fresh folder has none yet."""
    return fold.portfolio.pause.since_ms > 0


def mirrored_doc(doc: Doc | None, view: PauseView) -> Doc:
    """The file as `view` would write it; unknown keys of the old content are kept."""
    since = clock.iso(view.since_ms or clock.now_ms())
    if view.state == NORMAL:
        return resumed_doc(doc, view.note, view.by) | {"since": since}
    kept = {key: item for key, item in (doc or {}).items() if key not in {RELEASING, "reason"}}
    return kept | {
        "state": view.state, "reasons": list(view.reasons), "note": view.note, "since": since, "by": view.by,
    }  # fmt: skip


def raised_doc(doc: Doc | None, fresh: PauseView, limits_hash: str) -> Doc | None:
    """The file after a raise, old reasons kept; None when it already says so."""
    old = latch_file.parse_pause(doc).pause if doc is not None else None
    view = latch_file.strictest_pause([old, fresh]) if old is not None and old.state != NORMAL else fresh
    wanted = mirrored_doc(doc, view) | ({"note": fresh.note} if fresh.note else {})
    measured = [code for code in fresh.reasons if pause_causes.cause_of(code) is not pause_causes.by_hand]
    if measured:
        table = wanted.get(SEEN)
        now = clock.iso(fresh.since_ms)
        wanted[SEEN] = {**(table if isinstance(table, dict) else {}), **dict.fromkeys(measured, now)}
    if limits_hash and LIMITS_HASH not in wanted:
        wanted[LIMITS_HASH] = limits_hash
    return None if wanted == doc and not store.was_edited(wanted) else wanted


def resumed_doc(doc: Doc | None, reason: str, by: str) -> Doc:
    """NORMAL, with the release's reason as note."""
    kept = {key: item for key, item in (doc or {}).items() if key not in {RELEASING, SEEN, LIMITS_HASH, "reason"}}
    return kept | {"state": NORMAL, "reasons": [], "note": reason, "since": clock.iso(clock.now_ms()), "by": by}


def raised(fold: Fold, state: str, codes: tuple[str, ...], note: str, by: str, limits_hash: str = "") -> list[NewEvent]:
    """PAUSE_RAISED and an alert per new code; [] when the journal's latch already says all of it."""
    latch = fold.portfolio.pause
    new = tuple(code for code in codes if latch.state == NORMAL or code not in latch.reasons)
    if not new and RANK[state] <= RANK.get(latch.state, 0):
        return []
    data = {"state": state, "reasons": list(codes), "by": by, "note": note, LIMITS_HASH: limits_hash}
    alerts = [_alert(code, state, note) for code in new or codes]
    known = tuple(dict.fromkeys(str(_known(code, state)) for code in codes))
    return [NewEvent(event=Event.PAUSE_RAISED, data=data, reason_codes=known), *alerts]


def released(fold: Fold, reason: str, by: str) -> list[NewEvent]:
    """PAUSE_RELEASED and the end of its alerts: one group."""
    event = NewEvent(event=Event.PAUSE_RELEASED, data={"reason": reason, "by": by})
    return [event, *cleared_alerts(fold, ALERT_SUBJECT)]


def _alert(code: str, state: str, note: str) -> NewEvent:
    text = f"{state} {shown(code)}" + (f": {note}" if note else "")
    raised = check.alert(_known(code, state), text, ALERT_SUBJECT)
    action = raised.data["action"]
    if not any(way in action for way in WAYS_OUT):  # a reason that also speaks of other files, or that nobody knows
        action = f"{action}; {Reason.MODE_PAUSE.action}"
    return msgspec.structs.replace(raised, data={**raised.data, "action": action})


def _known(code: str, state: str) -> Reason:
    """The enum's member; a text that is no code was written by hand."""
    return find(code) or (Reason.MANUAL_PAUSE if state == PAUSE else Reason.MANUAL_DEGRADE)
