"""cron_health: does every scheduled job run, in time, within its time (rules.md, Health signals)."""

from collections.abc import Iterator
from typing import Any

from desk.base.reasons import Reason
from desk.health import schedule
from desk.health.facts import HealthFacts
from desk.health.result import Cause, CheckResult, Status, judged
from desk.health.schedule import ESSENTIAL, Lateness, Standing

SHOWN = {
    Lateness.OFF: "NOT_ENABLED", Lateness.IDLE: "NOT_ENABLED (never ran here)", Lateness.PENDING: "PENDING",
}  # fmt: skip


def cron_health(facts: HealthFacts) -> CheckResult:
    """Every row of [schedule], and heartbeat's own silence."""
    found = [schedule.standing(facts, job) for job in facts.jobs]
    causes = [cause for standing in found for cause in _job(facts, standing)]
    waiting = schedule.outage(facts)
    if waiting:
        text = f"heartbeat was silent; waiting for {' and '.join(waiting)} to succeed"
        causes.append(Cause(reason=Reason.HOST_OUTAGE, text=text, signal=True))
    fine = ", ".join(_shown(standing) for standing in found)
    return judged("cron_health", causes, fine, {standing.job.door: _row(standing) for standing in found})


def _job(facts: HealthFacts, found: Standing) -> Iterator[Cause]:
    job, door = found.job, found.job.door
    if found.lateness is Lateness.OFF:
        if facts.is_live and door in ESSENTIAL:
            text = f"{door} is disabled"
            yield Cause(reason=Reason.JOB_DISABLED, text=text, status=Status.CRITICAL, signal=True, subject=door)
        return
    if job.problem:
        yield Cause(reason=Reason.STATE_CORRUPT, text=f"{door}: {job.problem}", status=facts.unknown, subject=door)
    if facts.is_future(max(job.last_run_ms, job.last_busy_ms)):
        text = f"{door} ran in the future"
        yield Cause(reason=Reason.TIME_FUTURE, text=text, status=facts.unknown, subject=door)
    age = f"{found.age_ms // 1000} s ago, every {job.interval_s} s"
    if found.lateness is Lateness.PENDING:
        yield Cause(reason=Reason.JOB_PENDING, text=f"{door} has not run yet", status=Status.PENDING, subject=door)
    elif found.lateness is Lateness.LATE:
        yield Cause(reason=Reason.LOOP_DEGRADE, text=f"{door} last ran {age}", signal=True, subject=door)
    elif found.lateness is Lateness.STUCK:
        text = f"{door} last ran {age}"
        yield Cause(reason=Reason.LOOP_PAUSE, text=text, status=Status.CRITICAL, signal=True, subject=door)
    yield from _slow(facts, found)


def _slow(facts: HealthFacts, found: Standing) -> Iterator[Cause]:
    job = found.job
    warn_ms = job.interval_ms * facts.limits.health.duration_warn_frac
    if job.last_duration_ms > warn_ms:
        status = Status.CRITICAL if job.last_duration_ms > job.interval_ms else Status.WARNING
        text = f"{job.door} took {job.last_duration_ms} ms of its {job.interval_s} s"
        yield Cause(reason=Reason.JOB_SLOW, text=text, status=status, subject=job.door)


def _shown(found: Standing) -> str:
    if found.lateness in SHOWN:
        return f"{found.job.door} {SHOWN[found.lateness]}"
    if found.job.door == "heartbeat":
        return "heartbeat now"
    busy = " (busy)" if found.is_busy else ""
    return f"{found.job.door} {found.age_ms // 1000}s{busy}"


def _row(found: Standing) -> dict[str, Any]:
    job = found.job
    return {
        "status": found.lateness.upper(), "interval_s": job.interval_s, "enabled": job.enabled and job.listed,
        "last_run_ms": job.last_run_ms, "last_success_ms": job.last_success_ms,
        "last_duration_ms": job.last_duration_ms,
        "age_ms": found.age_ms,
    }  # fmt: skip
