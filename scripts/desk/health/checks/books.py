"""reconcile and journal: are our books compared with the exchange, and can they be read and written."""

from collections.abc import Iterator
from typing import Any

from desk.base.reasons import Reason
from desk.health.facts import HealthFacts, ReconcileLook
from desk.health.result import Cause, CheckResult, Status, judged


def reconcile(facts: HealthFacts) -> CheckResult:
    """The last success is young enough and its drift score low (entries are blocked beyond 900 s)."""
    found = facts.reconciled
    if found is None or found.problem:
        why = found.problem if found is not None else ""
        return judged("reconcile", [_never(facts, why)], "")
    data: dict[str, Any] = {"last_success_ms": found.last_success_ms, "score": found.score, "clean": found.clean}
    if not found.last_success_ms:
        return judged("reconcile", [_never(facts, ""), *_drift(facts, found)], "", data)
    age_ms = facts.now_ms - found.last_success_ms
    causes = [*_age(facts, found, age_ms), *_drift(facts, found)]
    clean = "clean" if found.clean else "differences"
    return judged("reconcile", causes, f"{age_ms // 1000} s ago, {clean}, drift score {found.score}", data)


def journal(facts: HealthFacts) -> CheckResult:
    """The journal is whole and writable, its reserve stands, and the state files beside it can be read."""
    look = facts.journal
    causes: list[Cause] = []
    if look.damaged:
        reason = Reason.AUDIT_SHRUNK if look.shrunk else Reason.AUDIT_DAMAGED
        causes.append(Cause(reason=reason, text=look.damaged, status=Status.CRITICAL, signal=True))
    if look.unwritable:
        causes.append(Cause(reason=Reason.AUDIT_UNWRITABLE, text=look.unwritable, status=Status.CRITICAL, signal=True))
    if not look.reserve:
        text = "the disk reserve is gone and cannot be made again"
        causes.append(Cause(reason=Reason.AUDIT_RESERVE, text=text, status=Status.CRITICAL, signal=True))
    causes += [*_state_files(facts), *_resealed(facts)]
    shown = "" if look.damaged else _head(facts) + (", reserve made" if look.reserve_made else "")
    seq = facts.fold.seq if facts.fold is not None else None
    return judged("journal", causes, shown, {"seq": seq, "reserve": look.reserve, "writable": not look.unwritable})


def _head(facts: HealthFacts) -> str:
    if facts.fold is None or not facts.fold.seq:
        return "nothing written yet"
    return f"seq {facts.fold.seq} {facts.fold.hash[:12]}"


def _never(facts: HealthFacts, why: str) -> Cause:
    job = facts.job("reconcile")
    interval_ms = job.interval_ms if job is not None else facts.interval_ms("reconcile")
    if why:
        return Cause(reason=Reason.STATE_CORRUPT, text=why, status=facts.unknown, subject="reconcile.json")
    pending = facts.is_pending(interval_ms)
    status = Status.PENDING if pending else facts.unknown
    text = "has not succeeded yet" if pending else "has never succeeded: entries are blocked"
    return Cause(reason=Reason.RECONCILE_NEVER, text=text, status=status)


def _age(facts: HealthFacts, found: ReconcileLook, age_ms: int) -> Iterator[Cause]:
    limit_s = facts.limits.reconcile.age_max_s
    if facts.is_future(found.last_success_ms):
        yield Cause(reason=Reason.TIME_FUTURE, text="the last one is from the future", status=facts.unknown)
    elif age_ms > 1000 * limit_s:
        text = f"older than {limit_s} s: entries are blocked"
        yield Cause(reason=Reason.RECONCILE_STALE, text=text, status=Status.WARNING)


def _drift(facts: HealthFacts, found: ReconcileLook) -> Iterator[Cause]:
    limits, text = facts.limits.reconcile, f"drift score {found.score}"
    if found.score >= limits.drift_pause:
        yield Cause(reason=Reason.DRIFT_PAUSE, text=text, status=Status.CRITICAL, signal=True)
    elif found.score >= limits.drift_degrade:
        yield Cause(reason=Reason.DRIFT_DEGRADE, text=text, signal=True)
    elif found.score >= limits.drift_warn:
        yield Cause(reason=Reason.DRIFT_WARN, text=text)


def _state_files(facts: HealthFacts) -> Iterator[Cause]:
    for name, look in sorted(facts.files.items()):
        if look.problem:
            yield Cause(reason=Reason.STATE_CORRUPT, text=look.problem, status=facts.unknown, subject=name)
    if facts.paper_problem:
        yield Cause(
            reason=Reason.PAPER_LOST, text=facts.paper_problem, status=Status.CRITICAL, signal=True,
            subject="paper_broker.json",
        )  # fmt: skip


def _resealed(facts: HealthFacts) -> Iterator[Cause]:
    if facts.fold is not None and facts.fold.portfolio.resealed:
        text = "resealed: the books are unknown until a full reconcile"
        yield Cause(reason=Reason.AUDIT_RESEALED, text=text, status=Status.CRITICAL, signal=True)
