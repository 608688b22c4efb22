"""The system mode as a machine: NORMAL, DEGRADE, PAUSE, EXIT. Pure; owns the table of signals and the hysteresis.

DEGRADE begins with any active signal and ends after 2 consecutive good heartbeats that span at least 60 s. PAUSE is
latched in its own file and in the journal until `resume.py`; here it is only read. The strictest wins.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from desk.base.reasons import Reason
from desk.config.schema import Health
from desk.risk.latch_file import DEGRADE, NORMAL, PAUSE, PauseView

EXIT: Final = "EXIT"
RANK: Final[Mapping[str, int]] = {NORMAL: 0, DEGRADE: 1, PAUSE: 2, EXIT: 3}
# signal -> the mode it asks for (rules.md, Health signals). A code that is not here asks for DEGRADE: never for OK.
SIGNALS: Final[Mapping[str, str]] = {
    Reason.MANUAL_DEGRADE: DEGRADE,
    Reason.LOOP_DEGRADE: DEGRADE,
    Reason.HOST_OUTAGE: DEGRADE,
    Reason.REST_DEGRADE: DEGRADE,
    Reason.REST_ERRORS: DEGRADE,
    Reason.WS_DEGRADE: DEGRADE,
    Reason.WS_RECONNECTS: DEGRADE,
    Reason.RATE_LIMITED: DEGRADE,
    Reason.DISK_DEGRADE: DEGRADE,
    Reason.CLOCK_DRIFT: DEGRADE,
    Reason.DRIFT_DEGRADE: DEGRADE,
    Reason.CLOCK_SKEW: DEGRADE,
    Reason.CLOCK_UNKNOWN: DEGRADE,
    Reason.JOB_DISABLED: DEGRADE,
    Reason.AUDIT_RESERVE: DEGRADE,
    Reason.OVERLAY_CORRUPT: DEGRADE,
    Reason.MANUAL_PAUSE: PAUSE,
    Reason.LOOP_PAUSE: PAUSE,
    Reason.REST_PAUSE: PAUSE,
    Reason.WS_PAUSE: PAUSE,
    Reason.DISK_PAUSE: PAUSE,
    Reason.TIMESTAMP_PAUSE: PAUSE,
    Reason.MANUAL_NEEDED: PAUSE,
    Reason.BREAKER_PAUSE: PAUSE,
    Reason.DRIFT_PAUSE: PAUSE,
    Reason.AUDIT_UNWRITABLE: PAUSE,
    Reason.AUDIT_DAMAGED: PAUSE,
    Reason.AUDIT_SHRUNK: PAUSE,
    Reason.AUDIT_RESEALED: PAUSE,
    Reason.PAPER_LOST: PAUSE,
    Reason.MODE_EXIT: EXIT,
}


class ModeState(msgspec.Struct, frozen=True, kw_only=True):
    """The mode and what the next heartbeat must remember of this one. Times are epoch ms.

    Attributes:
        since_ms: since when this mode holds.
        degraded: a signal was seen and 2 good heartbeats have not followed yet (true under PAUSE as well).
        good: consecutive good heartbeats since the last signal; `good_since_ms` is the first of them.
        causes: the signals that made it DEGRADE; kept, and shown, until it ends.
    """

    mode: str = NORMAL
    since_ms: int = 0
    reasons: tuple[str, ...] = ()
    degraded: bool = False
    good: int = 0
    good_since_ms: int = 0
    causes: tuple[str, ...] = ()


def wanted(code: str) -> str:
    """The mode a signal asks for."""
    return SIGNALS.get(code, DEGRADE)


def to_latch(active: Iterable[str]) -> tuple[str, ...]:
    """The signals among `active` that latch PAUSE: the caller hands them to `pause.latch_pause` at every look."""
    return tuple(sorted(code for code in active if wanted(code) == PAUSE))


def next_mode(previous: ModeState, active: frozenset[str], pause: PauseView, now_ms: int, limits: Health) -> ModeState:
    """One heartbeat: the mode after `previous`, with these signals active and this pause latched."""
    tracked = _track(previous, active, now_ms, limits)
    asked = {wanted(code) for code in active}
    modes = [NORMAL, DEGRADE if tracked.degraded else NORMAL, pause.state if pause.state in RANK else PAUSE, *asked]
    mode = max(modes, key=lambda word: RANK[word])
    reasons = [code for code in sorted(active) if wanted(code) == mode]
    reasons += pause.reasons if pause.state == mode and mode != NORMAL else ()
    reasons += tracked.causes if mode == DEGRADE else ()
    since_ms = previous.since_ms if previous.mode == mode and previous.since_ms else now_ms
    return msgspec.structs.replace(tracked, mode=mode, since_ms=since_ms, reasons=tuple(dict.fromkeys(reasons)))


def _track(previous: ModeState, active: frozenset[str], now_ms: int, limits: Health) -> ModeState:
    """The hysteresis of DEGRADE, kept running under PAUSE and EXIT too."""
    if active:
        causes = tuple(dict.fromkeys([*sorted(active), *(previous.causes if previous.degraded else ())]))
        return ModeState(degraded=True, causes=causes)
    if not previous.degraded:
        return ModeState()
    if not previous.good or now_ms < previous.good_since_ms:
        return ModeState(degraded=True, good=1, good_since_ms=now_ms, causes=previous.causes)
    good, span_ms = previous.good + 1, now_ms - previous.good_since_ms
    if good >= limits.good_heartbeats_to_leave_degrade and span_ms >= limits.good_span_min_s * 1000:
        return ModeState()
    return ModeState(degraded=True, good=good, good_since_ms=previous.good_since_ms, causes=previous.causes)
