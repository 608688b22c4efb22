"""disk, rate_budget, config: what the host and the exchanges leave us, and what we were told."""

from collections.abc import Iterator
from typing import Any, Final

from desk.base import clock
from desk.base.reasons import Reason
from desk.health.facts import HealthFacts, frac_text
from desk.health.result import Cause, CheckResult, Status, judged
from desk.venues.rate_budget import Budget

MIB: Final = 1_048_576
OTHERS_MAY_READ: Final = 0o077


def disk(facts: HealthFacts) -> CheckResult:
    """Free space where state and journal live; both limits are inclusive (rules.md, Health signals)."""
    free, limits = facts.disk_free_bytes, facts.limits.health
    if free is None:
        text = "free space could not be measured"
        cause = Cause(reason=Reason.DISK_DEGRADE, text=text, status=facts.unknown, signal=True)
        return judged("disk", [cause], "", {"free_bytes": None})
    causes, shown = [], f"{free // MIB} MiB free"
    if free <= limits.disk_pause_bytes:
        text = f"at or below {limits.disk_pause_bytes // MIB} MiB"
        causes.append(Cause(reason=Reason.DISK_PAUSE, text=text, status=Status.CRITICAL, signal=True))
    elif free <= limits.disk_degrade_bytes:
        text = f"at or below {limits.disk_degrade_bytes // MIB} MiB"
        causes.append(Cause(reason=Reason.DISK_DEGRADE, text=text, signal=True))
    return judged("disk", causes, shown, {"free_bytes": free})


def rate_budget(facts: HealthFacts) -> CheckResult:
    """Share of each listed venue's request budget, back-off after 429, ban after 418."""
    causes = [*_file(facts)]
    data: dict[str, Any] = {}
    for venue in facts.venues:
        budget = facts.rates.get(venue)
        if budget is None:
            continue
        used = budget.weight.frac(facts.now_ms, facts.limits.rate_budget.weight_per_min_default)
        data[venue] = {"used_frac": frac_text(used), "orders_frac": frac_text(budget.order_frac(facts.now_ms))}
        causes += _venue(facts, venue, budget)
    shown = ", ".join(f"{venue} used {row['used_frac']}" for venue, row in data.items())
    return judged("rate_budget", causes, shown, data)


def config(facts: HealthFacts) -> CheckResult:
    """The configuration loaded (or no door would run); what is odd about it, and its hash."""
    causes = []
    if facts.limits_problem:
        text = f"{facts.limits_problem} -> {Reason.OVERLAY_CORRUPT.action}"
        causes.append(Cause(reason=Reason.OVERLAY_CORRUPT, text=text, status=Status.CRITICAL, signal=True))
    found = facts.env_file
    if found.problem:
        causes.append(Cause(reason=None, text=found.problem, status=facts.unknown, subject=".env"))
    if found.unknown:
        text = f".env: nobody reads {', '.join(found.unknown)}"
        causes.append(Cause(reason=None, text=text, subject=".env names"))
    if found.has_secrets and found.mode is not None and found.mode & OTHERS_MAY_READ:
        text = f".env holds keys and has mode {found.mode & 0o777:04o}: chmod 600 .env"
        causes.append(Cause(reason=None, text=text, subject=".env mode"))
    return judged("config", causes, f"hash {facts.config_hash} mode {facts.mode}", {"hash": facts.config_hash})


def _file(facts: HealthFacts) -> Iterator[Cause]:
    look = facts.files.get("rate_budget.json")
    if look is not None and look.problem:
        yield Cause(reason=Reason.STATE_CORRUPT, text=look.problem, status=facts.unknown, subject="rate_budget.json")


def _venue(facts: HealthFacts, venue: str, budget: Budget) -> Iterator[Cause]:
    limits, churn = facts.limits.rate_budget, facts.limits.churn
    used = budget.weight.frac(facts.now_ms, limits.weight_per_min_default)
    orders = budget.order_frac(facts.now_ms)
    if budget.banned(facts.now_ms):
        text = f"{venue} banned until {clock.iso(budget.ban_until_ms)}"
        yield Cause(reason=Reason.RATE_BANNED, text=text, status=Status.CRITICAL, signal=True, venue=venue)
    elif budget.backing_off(facts.now_ms):
        text = f"{venue} backing off until {clock.iso(budget.back_off_until_ms)}"
        yield Cause(reason=Reason.RATE_LIMITED, text=text, signal=True, venue=venue)
    if used >= limits.reads_stop_frac:
        yield Cause(reason=Reason.RATE_READS, text=f"{venue} weight {frac_text(used)} used", venue=venue)
    elif used >= limits.entries_stop_frac:
        yield Cause(reason=Reason.RATE_BUDGET, text=f"{venue} weight {frac_text(used)} used", venue=venue)
    if orders >= churn.order_count_warn_frac:
        yield Cause(reason=Reason.RATE_ORDERS, text=f"{venue} order count {frac_text(orders)} used", venue=venue)
