"""When a latched PAUSE may be lifted: one check per reason code. Pure.

A check answers "" when its cause is gone, else one clause for the operator (rules.md, Health signals). A cause nobody
has measured since it was last reported still holds. To add a cause: one row here.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from desk.base.reasons import Reason, find, shown


class ResumeFacts(msgspec.Struct, frozen=True):
    """What the checks look at. Times are epoch ms; 0 = never or not known.

    Attributes:
        seen_ms: reason code -> when it was latched or last reported.
        measured_ms: when heartbeat last completed a run; `fresh_ms` is how old that may be.
        active_codes: reason codes whose condition heartbeat reports as holding now.
        reconcile_ms: when a clean reconcile last ended.
        late_jobs: scheduled jobs later than allowed, of router and reconcile.
        limits_then: config hash when PAUSE was latched ("" = not recorded); `limits_now`: today's.
    """

    now_ms: int
    seen_ms: Mapping[str, int] = msgspec.field(default_factory=dict)
    measured_ms: int = 0
    fresh_ms: int = 180_000
    active_codes: frozenset[str] = frozenset()
    disk_free_bytes: int = 0
    disk_pause_bytes: int = 536_870_912
    reconcile_ms: int = 0
    late_jobs: tuple[str, ...] = ()
    limits_then: str = ""
    limits_now: str = ""
    is_resealed: bool = False
    has_open_breaker: bool = False
    unknown_orders: int = 0
    open_positions: int = 0
    has_paper_books: bool = True


Cause = Callable[[ResumeFacts, str], str]


def by_hand(facts: ResumeFacts, code: str) -> str:
    """Raised by the operator: any time."""
    return ""


def measured(facts: ResumeFacts, code: str) -> str:
    """A heartbeat newer than the last report no longer sees it."""
    if code in facts.active_codes:
        return f"{shown(code)} holds: heartbeat still reports it"
    age_ms = facts.now_ms - facts.measured_ms
    if not facts.measured_ms or not 0 <= age_ms <= facts.fresh_ms:
        return f"{shown(code)} holds: nothing has measured it lately (run heartbeat.py)"
    if facts.measured_ms <= (facts.seen_ms.get(code, 0) or facts.now_ms):
        return f"{shown(code)} holds: it was still seen by the last heartbeat (run heartbeat.py again)"
    return ""


def disk(facts: ResumeFacts, code: str) -> str:
    """More room than the pause limit, measured now."""
    if facts.disk_free_bytes > facts.disk_pause_bytes:
        return ""
    return f"{shown(code)} holds: {facts.disk_free_bytes} bytes free, more than {facts.disk_pause_bytes} needed"


def loop_stuck(facts: ResumeFacts, code: str) -> str:
    """Router and reconcile run again."""
    return f"{shown(code)} holds: late is {', '.join(facts.late_jobs)}" if facts.late_jobs else ""


def reconciled(facts: ResumeFacts, code: str) -> str:
    """A clean reconcile newer than the last report."""
    if facts.reconcile_ms > (facts.seen_ms.get(code, 0) or facts.now_ms):
        return ""
    return f"{shown(code)} holds: no clean reconcile since (run reconcile.py)"


def drift(facts: ResumeFacts, code: str) -> str:
    """A clean reconcile newer than the recovery, and the limits of that time."""
    if facts.limits_then and facts.limits_then != facts.limits_now:
        return (
            f"{shown(code)} holds: the limits changed since (config {facts.limits_then}, now {facts.limits_now}); "
            "put them back"
        )
    return reconciled(facts, code)


def streams(facts: ResumeFacts, code: str) -> str:
    """No heartbeat sees it, and since then a clean reconcile under the same limits."""
    return measured(facts, code) or drift(facts, code)


def resealed(facts: ResumeFacts, code: str) -> str:
    """A full reconcile has re-read the books."""
    return f"{shown(code)} holds: the books are unknown (run reconcile.py)" if facts.is_resealed else ""


def breaker_blind(facts: ResumeFacts, code: str) -> str:
    """No breaker open, or no position, or no unknown order."""
    if facts.has_open_breaker and facts.unknown_orders and facts.open_positions:
        return f"{shown(code)} holds: a breaker is open and {facts.unknown_orders} orders are unknown"
    return ""


def paper_books(facts: ResumeFacts, code: str) -> str:
    """The paper books are back."""
    return "" if facts.has_paper_books else f"{shown(code)} holds: state/paper_broker.json is missing"


def proved_by_writing(facts: ResumeFacts, code: str) -> str:
    """The release itself reads the whole journal and appends to it: it cannot be written while the cause holds."""
    return ""


TABLE: Final[Mapping[str, Cause]] = {
    Reason.MANUAL_PAUSE: by_hand,
    Reason.MANUAL_DEGRADE: by_hand,
    Reason.DISK_PAUSE: disk,
    Reason.LOOP_PAUSE: loop_stuck,
    Reason.REST_PAUSE: measured,
    Reason.WS_PAUSE: streams,
    Reason.TIMESTAMP_PAUSE: measured,
    Reason.DRIFT_PAUSE: drift,
    Reason.MANUAL_NEEDED: reconciled,
    Reason.AUDIT_RESEALED: resealed,
    Reason.BREAKER_PAUSE: breaker_blind,
    Reason.PAPER_LOST: paper_books,
    Reason.AUDIT_UNWRITABLE: proved_by_writing,
    Reason.AUDIT_DAMAGED: proved_by_writing,
    Reason.AUDIT_SHRUNK: proved_by_writing,
    Reason.STATE_CORRUPT: proved_by_writing,  # of pause.json itself: the release writes it anew
}


def cause_of(code: str) -> Cause:
    """The check of a reason code: a code without a row is judged by measurement; a text that is no code is a hand's."""
    found = TABLE.get(code)
    if found is not None:
        return found
    return measured if find(code) is not None else by_hand


def still_held(codes: tuple[str, ...], facts: ResumeFacts) -> tuple[str, ...]:
    """Every clause that refuses to resume; () when nothing does."""
    clauses = [cause_of(code)(facts, code) for code in codes]
    return tuple(dict.fromkeys(clause for clause in clauses if clause))
