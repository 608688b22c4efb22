"""What a heartbeat journals: alerts that begin or end, and changes of Overall and of the system mode. Pure.

One alert per fingerprint while its cause stands. A WARN is raised once it is seen in 2 ticks, a CRIT at once. The text
is the reason's meaning and its subject: no measured value enters an event. Causes that latch (PAUSE, kill switch) are
announced by their latch, with the one command that releases it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from desk.base.reasons import CRIT, WARN, Reason
from desk.health.merge import counts_as
from desk.health.result import Cause, CheckResult, Status
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold
from desk.risk import kill_reasons, system_mode
from desk.risk.system_mode import ModeState

OURS: Final = "health:"  # fingerprints with this subject are heartbeat's to raise and to clear
SILENT: Final = frozenset({"system_mode"})  # it repeats what the other checks found
KILL_CODES: Final = frozenset(str(row.code) for row in kill_reasons.ROWS)


def alerts(results: Iterable[CheckResult], is_live: bool) -> dict[str, NewEvent]:
    """The alert of every cause that holds now, by fingerprint; of several with one fingerprint the worst."""
    found: dict[str, NewEvent] = {}
    for result in results:
        for cause in result.causes:
            status = counts_as(cause.status, is_live)
            if result.name in SILENT or cause.reason is None or cause.status is Status.PENDING or status is Status.OK:
                continue
            if _is_announced_by_a_latch(cause):
                continue
            event = _alert(result.name, cause.reason, cause, CRIT if status is Status.CRITICAL else WARN)
            fingerprint = event.data["fingerprint"]
            if fingerprint not in found or event.data["severity"] == CRIT:
                found[fingerprint] = event
    return found


def events(
    fold: Fold, current: dict[str, NewEvent], seen: Sequence[str], overall: str, mode: ModeState,
    not_ok: dict[str, str],
) -> list[NewEvent]:  # fmt: skip
    """What is new since the journal was last written to.

    Args:
        current: `alerts` of this heartbeat; seen: fingerprints of the one before.
        not_ok: check -> status, of those that are not OK.
    """
    wanted = [event for name, event in sorted(current.items()) if _is_due(fold, name, event, seen)]
    standing = fold.portfolio.alerts
    ended = [name for name in sorted(standing) if _is_ours(name) and name not in current]
    wanted += [NewEvent(event=Event.ALERT_CLEARED, data={"fingerprint": name}) for name in ended]
    if fold.portfolio.overall != overall:
        data = {"overall": overall, "from": fold.portfolio.overall, "checks": not_ok}
        wanted.append(NewEvent(event=Event.HEALTH_CHANGED, data=data))
    if fold.portfolio.system_mode != mode.mode:
        data = {"from": fold.portfolio.system_mode, "to": mode.mode, "reasons": list(mode.reasons)}
        wanted.append(NewEvent(event=Event.SYSTEM_MODE_CHANGED, data=data, reason_codes=mode.reasons))
    return wanted


def _is_due(fold: Fold, fingerprint: str, event: NewEvent, seen: Sequence[str]) -> bool:
    standing = fold.portfolio.alerts.get(fingerprint)
    severity = event.data["severity"]
    if standing is not None:
        return severity == CRIT and standing.severity != CRIT
    return severity == CRIT or fingerprint in seen


def _is_ours(fingerprint: str) -> bool:
    return fingerprint.rpartition("|")[2].startswith(OURS)


def _is_announced_by_a_latch(cause: Cause) -> bool:
    code = str(cause.reason)
    return (cause.signal and system_mode.wanted(code) == "PAUSE") or code in KILL_CODES


def _alert(name: str, reason: Reason, cause: Cause, severity: str) -> NewEvent:
    about = " ".join(part for part in (cause.venue, cause.symbol, cause.subject) if part)
    subject = f"{OURS}{name}" + (f":{cause.subject.replace('|', '/')}" if cause.subject else "")
    text = f"{name}: {reason.meaning}" + (f" ({about})" if about else "")
    event = check.alert(reason, text, subject, cause.venue, cause.symbol)
    return msgspec.structs.replace(event, data={**event.data, "severity": severity})
