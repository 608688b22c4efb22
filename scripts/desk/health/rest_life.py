"""When an exchange last answered over REST, as several checks need to know it. Pure."""

from desk.health.facts import HealthFacts


def is_fresh(facts: HealthFacts, venue: str) -> bool:
    """It has answered within the time after which it counts as stale."""
    return facts.now_ms - last_success_ms(facts, venue) <= 2 * facts.interval_ms("router")


def last_success_ms(facts: HealthFacts, venue: str) -> int:
    """The last answer, 0 for none.

    Where streams are asked for a stored price is no sign of it, but this heartbeat's own look at the exchange's clock
    is: with fresh streams there may be nothing else to ask for.
    """
    times = [entry.last_success_ms for name, entry in facts.breakers.items() if name == f"{venue}_api"]
    if venue in facts.streams:
        measured = facts.clocks.get(venue)
        times += [facts.now_ms] if measured is not None and measured.skew_ms is not None else []
    else:
        times += [poll.at_ms for found in facts.market.values() if found.venue == venue for poll in found.polls[-1:]]
    return max((at_ms for at_ms in times if not facts.is_future(at_ms)), default=0)
