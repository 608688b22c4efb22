"""The exchange itself: its clock, its breakers, its request budget."""

from desk.base.reasons import Reason
from desk.risk.decision import Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.verdicts import allow, deny, is_exit

CLOSED = "closed"


def clock(proposal: Proposal, facts: Facts) -> Verdict:
    """The exchange's clock is measured, lately, and in LIVE within its limit (in PAPER more is a warning)."""
    venue = facts.venue(proposal.decision.venue)
    measured = venue.clock if venue is not None else None
    if measured is None or facts.limits is None:
        return deny("clock", Reason.CLOCK_UNKNOWN)
    limits = facts.limits.clock
    age_ms = facts.now_ms - measured.measured_ms
    if age_ms < -measured.error_ms:
        return deny("clock", Reason.TIME_FUTURE, "the clock measurement is from the future")
    if age_ms > limits.resync_s * 1000:
        return deny("clock", Reason.CLOCK_UNKNOWN, "the last measurement is too old", limit_s=limits.resync_s)
    if abs(measured.offset_ms) > limits.skew_max_ms:
        if facts.is_live:
            return deny("clock", Reason.CLOCK_SKEW, limit_ms=limits.skew_max_ms)
        return allow("clock", "beyond its limit, a warning in PAPER", Reason.CLOCK_SKEW, limit_ms=limits.skew_max_ms)
    return allow("clock", limit_ms=limits.skew_max_ms)


def breaker(proposal: Proposal, facts: Facts) -> Verdict:
    """Both breakers of the venue are closed and their file can be read."""
    venue = facts.venue(proposal.decision.venue)
    found = venue.breakers if venue is not None else None
    if found is None:
        return deny("breaker", Reason.BREAKER_CORRUPT, "not known")
    if found.problem:
        return deny("breaker", Reason.BREAKER_CORRUPT, found.problem)
    for component, state in (("api", found.api), ("orders", found.orders)):
        if state != CLOSED:
            reason = Reason.BREAKER_PROBING if state == "half_open" else Reason.BREAKER_OPEN
            return deny("breaker", reason, f"{proposal.decision.venue}_{component} is {state}", state=state)
    return allow("breaker", "both closed")


def rate_budget(proposal: Proposal, facts: Facts) -> Verdict:
    """Entries leave room in the request budget. An exit uses the reserve; only a ban stops it."""
    venue = facts.venue(proposal.decision.venue)
    rate = venue.rate if venue is not None else None
    if rate is not None and rate.ban_until_ms > facts.now_ms:
        return deny("rate_budget", Reason.RATE_BANNED)
    if is_exit(proposal):
        return allow("rate_budget", "the reserve is for exits")
    if rate is None or facts.limits is None:
        return deny("rate_budget", Reason.RATE_BUDGET, "not known")
    if rate.back_off_until_ms > facts.now_ms:
        return deny("rate_budget", Reason.RATE_BACK_OFF)
    stop_frac, orders_frac = facts.limits.rate_budget.entries_stop_frac, facts.limits.churn.order_count_block_frac
    if not rate.used_frac < stop_frac:
        return deny("rate_budget", Reason.RATE_BUDGET, limit_frac=stop_frac)
    if not rate.orders_frac < orders_frac:
        return deny("rate_budget", Reason.RATE_ORDERS, limit_frac=orders_frac)
    return allow("rate_budget", limit_frac=stop_frac)
