"""The part of the facts about each exchange: clock, breakers, request budget. Measures a clock that is too old.

Measuring writes `clock.json` through the venues room; nothing else is written here.
"""

from desk.base import clock
from desk.base.errors import WorldError
from desk.config.schema import Config
from desk.risk import breaker
from desk.risk.facts import BreakerFact, ClockFact, RateFact, VenueFacts
from desk.runtime.tick import Run
from desk.venues import clock_sync, rate_budget, table
from desk.venues.protocol import VenueClient


def clock_fact(run: Run, limits: Config, venue: str, client: VenueClient | None) -> ClockFact | None:
    """The exchange's clock as stored, measured anew when older than `clock.resync_s`; None when it does not answer."""
    found = clock_sync.stored(run.home, venue)
    if found is None or not found.is_fresh(clock.now_ms(), limits.clock):
        if client is None:
            return None
        hand = clock_sync.VenueClock(run.home, venue, limits.clock, client.server_time, run.log.line)
        try:
            found = hand.resync()
        except WorldError as error:
            run.log.error(error.line(), venue, "clock", type(error).__name__)
            return None
    return ClockFact(offset_ms=found.offset_ms, error_ms=found.error_ms, measured_ms=found.measured_ms)


def venue_facts(run: Run, limits: Config, venue: str, measured: ClockFact | None) -> VenueFacts:
    """Clock, breakers and budget of one exchange, as they stand after this cycle's reads."""
    return VenueFacts(
        venue=venue, clock=measured, breakers=_breakers(run, limits, venue), rate=_rate(run, limits, venue)
    )


def _breakers(run: Run, limits: Config, venue: str) -> BreakerFact:
    """An absent entry cannot prove that nothing is open, so it denies entries; heartbeat creates it."""
    found = breaker.view(run.home, limits.breakers)
    names = [f"{venue}_{part}" for part in ("api", "orders")]
    absent = [name for name in names if name not in found.entries]
    problem = found.problem or (f"no entry for {absent[0]} yet; run heartbeat.py" if absent else "")
    api, orders = (str(found.state(name)) for name in names)
    return BreakerFact(api=api, orders=orders, problem=problem)


def _rate(run: Run, limits: Config, venue: str) -> RateFact:
    now_ms, budget = clock.now_ms(), rate_budget.view(run.home, venue)
    row = table.VENUES.get(venue)
    default = (row.weight_limit if row is not None else 0) or limits.rate_budget.weight_per_min_default
    return RateFact(
        used_frac=budget.weight.frac(now_ms, default), orders_frac=budget.order_frac(now_ms),
        back_off_until_ms=budget.back_off_until_ms, ban_until_ms=budget.ban_until_ms,
    )  # fmt: skip
