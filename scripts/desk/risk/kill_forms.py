"""What the kill switch writes: the file's content and the journal's events. Pure but for the clock."""

from collections.abc import Mapping
from typing import Final

import msgspec

from desk.base import clock, money
from desk.base.reasons import Reason
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold
from desk.risk import kill_reasons, latch_file
from desk.risk.kill_reasons import KillReason, ReleaseFacts
from desk.risk.latch_file import ACTIVE, INACTIVE, REDUCE_ONLY, RELEASING, SEEN, KillView
from desk.state import store
from desk.state.store import Doc

ALERT_SUBJECT: Final = "kill_switch"
KEY_MARKS: Final = "key_marks"  # venue -> fingerprint of the key in use when a compromise was suspected
MISSING_LIVE: Final = KillView(
    True, REDUCE_ONLY, ("manual",), "kill_switch.json is missing", source="missing file (LIVE)"
)


def view_of(fold: Fold, doc: Doc | None, *, is_live: bool) -> KillView:
    """The strictest of journal and a readable (or missing) file."""
    views = [latch_file.kill_of_journal(fold.portfolio.kill_switch)]
    parsed = latch_file.parse_kill(doc).kill if doc is not None else (MISSING_LIVE if is_live else None)
    return latch_file.strictest_kill(views + ([parsed] if parsed is not None else []))


def mirrored_doc(doc: Doc | None, view: KillView) -> Doc:
    """The file as `view` would write it; unknown keys of the old content are kept."""
    since = clock.iso(view.since_ms or clock.now_ms())
    if not view.active:
        return released_doc(doc, view.note, view.by) | {"since": since}
    kept = {key: item for key, item in (doc or {}).items() if key != RELEASING}
    return kept | {
        "state": ACTIVE, "level": view.level, "reason": view.reasons[0], "reasons": list(view.reasons),
        "note": view.note, "since": since, "by": view.by,
    }  # fmt: skip


def engaged_doc(
    doc: Doc | None, row: KillReason, note: str, level: str, by: str, key_marks: Mapping[str, str] | None
) -> Doc | None:
    """The file after an engagement, old reasons kept; None when it already says so."""
    now_ms = clock.now_ms()
    fresh = KillView(True, level, (row.name,), note, now_ms, by, "file")
    old = latch_file.parse_kill(doc).kill if doc is not None else None
    view = latch_file.strictest_kill([old, fresh]) if old is not None and old.active else fresh
    wanted = mirrored_doc(doc, view) | ({"note": note} if note else {})
    if row.name in kill_reasons.CONDITIONS:
        table = wanted.get(SEEN)
        wanted[SEEN] = {**(table if isinstance(table, dict) else {}), row.name: clock.iso(now_ms)}
    if row.code is Reason.KILL_KEY and key_marks is not None and KEY_MARKS not in wanted:
        wanted[KEY_MARKS] = dict(key_marks)
    return None if wanted == doc and not store.was_edited(wanted) else wanted


def released_doc(doc: Doc | None, reason: str, by: str) -> Doc:
    """Inactive, with the release's reason as note."""
    kept = {key: item for key, item in (doc or {}).items() if key not in {RELEASING, SEEN, KEY_MARKS}}
    return kept | {
        "state": INACTIVE, "level": REDUCE_ONLY, "reason": "", "reasons": [], "note": reason,
        "since": clock.iso(clock.now_ms()), "by": by,
    }  # fmt: skip


def activated(fold: Fold, row: KillReason, note: str, level: str, by: str) -> list[NewEvent]:
    """KILL_SWITCH_ACTIVATED and its CRIT alert; [] when the journal's latch already says all of it."""
    latch = fold.portfolio.kill_switch
    is_known = latch.state == ACTIVE and row.name in latch.reasons and level in {REDUCE_ONLY, latch.level}
    if is_known and note in {"", latch.note}:
        return []
    data = {"reason": row.name, "level": level, "by": by, "note": note}
    codes = (str(row.code), str(Reason.KILL_SWITCH))
    text = f"Kill-switch activated: {row.name}" + (f" ({note})" if note else "")
    return [
        NewEvent(event=Event.KILL_SWITCH_ACTIVATED, data=data, reason_codes=codes),
        check.alert(row.code, text, ALERT_SUBJECT),
    ]


def deactivated(fold: Fold, rebased: tuple[str, ...], reason: str, by: str) -> list[NewEvent]:
    """PEAK_REBASED per capital key, KILL_SWITCH_DEACTIVATED, and the end of the switch's alerts: one group."""
    events = []
    for name in rebased:
        venue, _, quote = name.partition(":")
        capital = fold.portfolio.capital[name]
        data = {
            "quote": quote, "old": money.text(capital.peak), "new": money.text(capital.equity), "reason": reason,
        }  # fmt: skip
        events.append(NewEvent(event=Event.PEAK_REBASED, data=data, venue=venue))
    events.append(NewEvent(event=Event.KILL_SWITCH_DEACTIVATED, data={"reason": reason, "by": by}))
    return events + cleared_alerts(fold, ALERT_SUBJECT)


def cleared_alerts(fold: Fold, subject: str) -> list[NewEvent]:
    """ALERT_CLEARED for every alert of a latch."""
    return [
        NewEvent(event=Event.ALERT_CLEARED, data={"fingerprint": fingerprint})
        for fingerprint in sorted(fold.portfolio.alerts)
        if fingerprint.endswith("|" + subject)
    ]


def peaks_to_rebase(fold: Fold, now_ms: int) -> tuple[str, ...]:
    """Capital keys below their peak that were not rebased within 7 days."""
    return tuple(
        name
        for name, capital in sorted(fold.portfolio.capital.items())
        if capital.peak > capital.equity > 0 and not kill_reasons.is_rebased_lately(capital, now_ms)
    )


def release_facts(observed: ReleaseFacts, fold: Fold, doc: Doc | None) -> ReleaseFacts:
    """`observed` (time, health, environment, keys) completed with what the fold and the file know of this latch."""
    latch, alerts = fold.portfolio.kill_switch, fold.portfolio.alerts
    engaged = {}
    for row in kill_reasons.ROWS:
        alert = alerts.get(check.alert(row.code, "", ALERT_SUBJECT).data["fingerprint"])
        engaged[row.name] = alert.first_ms if alert is not None else latch.since_ms
    since_ms = engaged[kill_reasons.KEY_COMPROMISE]
    foreign = [found.how for found in fold.portfolio.foreign.values() if found.seen_ms >= since_ms]
    marks = (doc or {}).get(KEY_MARKS)
    then = {str(name): str(mark) for name, mark in marks.items()} if isinstance(marks, dict) else None
    return msgspec.structs.replace(
        observed,
        engaged_ms=engaged,
        seen_ms=latch_file.seen_ms(doc),
        capital=fold.portfolio.capital,
        keys_then=then,
        foreign_unadopted=sum(how != "adopt" for how in foreign) if foreign else None,  # nothing adopted proves nothing
    )
