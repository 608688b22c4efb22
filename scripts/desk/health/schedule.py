"""The schedule: which jobs run, how late each may be, and since when lateness counts. Pure.

rules.md, Health signals. A job is late from max(its last run, install, boot, end of heartbeat's own gap). Router,
heartbeat and reconcile are essential. The other jobs only save calls or show things: nothing trades blind without
them, so each is judged from its first scheduled run in this folder on; before that it is shown as NOT_ENABLED.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from desk.config.schema import Job
from desk.health.facts import HealthFacts, JobLook
from desk.venues.table import VENUES

ESSENTIAL: Final = ("router", "heartbeat", "reconcile")
STUCK: Final = frozenset({"router", "reconcile"})  # late beyond the second limit they PAUSE
COMMANDS: Final[Mapping[str, str]] = {  # what cron runs; doors not listed run without a command
    "policy_engine": "tick", "binance_client": "refresh", "mexc_client": "refresh",
    "btcturk_client": "refresh",
}  # fmt: skip
VENUE_OF: Final = {row.door: row.name for row in VENUES.values()}


class Lateness(StrEnum):
    """How a job stands."""

    OFF = "off"  # not scheduled, or its venue is not listed
    IDLE = "idle"  # scheduled, not essential, never ran here
    PENDING = "pending"  # never ran, within 2 intervals of install
    FINE = "fine"
    LATE = "late"
    STUCK = "stuck"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One job judged: how it stands and how long ago it last ran (counted as the rules say)."""

    job: JobLook
    lateness: Lateness
    age_ms: int
    is_busy: bool = False


def standing(facts: HealthFacts, job: JobLook) -> Standing:
    """How one job stands now."""
    ran_ms = 0 if facts.is_future(job.last_run_ms) else job.last_run_ms
    is_busy = _is_busy(facts, job, ran_ms)
    if is_busy:
        ran_ms = job.last_busy_ms
    age_ms = max(0, facts.now_ms - max(ran_ms, facts.since_ms))
    return Standing(job=job, lateness=_lateness(facts, job, ran_ms, age_ms), age_ms=age_ms, is_busy=is_busy)


def _lateness(facts: HealthFacts, job: JobLook, ran_ms: int, age_ms: int) -> Lateness:
    limits = facts.limits.health
    if not job.enabled or not job.listed:
        return Lateness.OFF
    if job.door == "heartbeat":
        return Lateness.FINE  # it is running
    if not ran_ms and job.door not in ESSENTIAL:
        return Lateness.IDLE
    if not ran_ms and facts.is_pending(job.interval_ms):
        return Lateness.PENDING
    if job.door in STUCK and age_ms > limits.late_pause_intervals * job.interval_ms:
        return Lateness.STUCK
    return Lateness.LATE if age_ms > limits.late_degrade_intervals * job.interval_ms else Lateness.FINE


def _is_busy(facts: HealthFacts, job: JobLook, ran_ms: int) -> bool:
    """The router found the order lease held by a holder that is alive: it counts as having run (design 3)."""
    deadline_ms = 1000 * facts.limits.runtime.tick_deadline_s
    alive = facts.lease.held and 0 <= facts.now_ms - facts.lease.alive_ms <= deadline_ms
    return alive and ran_ms < job.last_busy_ms <= facts.now_ms


def outage(facts: HealthFacts) -> tuple[str, ...]:
    """After heartbeat's own silence: the essential jobs that have not succeeded since; () when all have.

    A success within one heartbeat interval before the gap was noticed counts: the host was up again by then.
    """
    if not facts.gap_end_ms:
        return ()
    since_ms = facts.gap_end_ms - facts.interval_ms("heartbeat")
    waited = (facts.job(door) for door in sorted(STUCK))
    return tuple(job.door for job in waited if job is not None and job.last_success_ms < since_ms)


def gap_end_ms(now_ms: int, last_ms: int, reference_ms: int, interval_ms: int, intervals: int, known_ms: int) -> int:
    """When heartbeat's last silence ended: now when it was silent for longer than allowed, else what is known.

    Args:
        last_ms: heartbeat's last run, 0 for never; reference_ms: install or boot, whichever is later.
    """
    silent_ms = now_ms - (last_ms or reference_ms)
    return now_ms if silent_ms > intervals * interval_ms else min(known_ms, now_ms)


def rows(schedule: Mapping[str, Job], venues: tuple[str, ...]) -> tuple[JobLook, ...]:
    """Every job of the table, and the essential ones it leaves out (as not enabled)."""
    found = [
        JobLook(door=door, interval_s=job.interval_s, enabled=job.enabled, listed=is_listed(door, venues))
        for door, job in schedule.items()
    ]
    absent = [door for door in ESSENTIAL if door not in schedule]
    found += [JobLook(door=door, interval_s=Job().interval_s, enabled=False) for door in absent]
    return tuple(found)


def is_listed(door: str, venues: tuple[str, ...]) -> bool:
    """A venue client's job counts only where its venue is listed in VENUES."""
    return door not in VENUE_OF or VENUE_OF[door] in venues


def last_run_ms(record: Mapping[str, Any], door: str, known_ms: int) -> int:
    """The last run of the job itself: a run of another command of the same door (`time`, `check`) is none.

    Args:
        record: `state/runs/<door>.json`; known_ms: what the last heartbeat saw.
    """
    at_ms = whole(record.get("lastRunAtMs"))
    command = record.get("command")
    if door in COMMANDS and command is not None and command != COMMANDS[door]:
        return known_ms
    return at_ms


def whole(value: object) -> int:
    """A non-negative whole number of a state file; anything else is 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
