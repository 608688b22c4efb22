"""market_data and flash_crash: stored prices, for marking only, and the life of the REST connection behind them."""

from collections.abc import Iterator
from typing import Any, Final

from desk.base.money import text as money_text
from desk.base.reasons import Reason, find
from desk.health import rest_life
from desk.health.facts import HealthFacts, frac_text
from desk.health.result import Cause, CheckResult, Kill, Status, judged
from desk.journal.state import key
from desk.risk import market
from desk.risk.facts import OtherMid, Poll, SymbolFacts

REST_ERRORS_WINDOW_MS: Final = 60_000
KILL_AFTER_MS: Final = 60_000  # critical in this window and in the one before: two minutes running
TOGETHER_MS: Final = 60_000  # prices of two venues further apart in time say nothing about each other
REST_KILL: Final = "excessive_rest_errors"
FLASH_KILL: Final = "flash_crash"
STALE_CYCLES: Final = (Reason.DATA_STALE, Reason.DATA_INVALID_BID)


def market_data(facts: HealthFacts) -> CheckResult:
    """Each listed venue's REST connection and each symbol's last stored price."""
    causes: list[Cause] = []
    kills: list[Kill] = []
    for venue in facts.venues:
        causes += [*_file(facts, venue), *_rest(facts, venue), *_errors(facts, venue)]
    if facts.is_live and _errors_last_ms(facts) >= KILL_AFTER_MS:
        text = "REST errors critical two minutes running"
        causes.append(Cause(reason=Reason.KILL_REST, text=text, status=Status.CRITICAL))
        kills.append(Kill(reason=REST_KILL, text=text))
    for venue in facts.venues:
        for symbol in facts.symbols:
            causes += _symbol(facts, venue, symbol)
    causes += _cycles(facts)
    data = {name: _row(facts, found) for name, found in sorted(facts.market.items()) if found.polls}
    shown = ", ".join(f"{name} bid {row['bid']} {row['age_ms'] // 1000}s" for name, row in data.items())
    return judged("market_data", causes, shown, data, tuple(kills))


def flash_crash(facts: HealthFacts) -> CheckResult:
    """A fall of 0.10 in 15 minutes, by confirmed stored polls that are fresh; it engages the kill switch.

    A WARNING here: the market fell, the system works. The kill switch's own alert is CRIT.
    """
    limits, causes, kills = facts.limits.entries, [], []
    falls: dict[str, str] = {}
    for venue in facts.venues:
        for symbol in facts.symbols:
            name = key(venue, symbol)
            found = facts.market.get(name)
            if found is None or not _is_fresh(facts, found):
                causes.append(_unmeasured(facts, venue, symbol))
                continue
            fallen = market.flash_crash_frac(found, facts.now_ms, limits.flash_crash_window_min)
            falls[name] = frac_text(fallen)
            if fallen >= limits.flash_crash_frac:
                text = f"{name} fell {frac_text(fallen)} in {limits.flash_crash_window_min} min"
                causes.append(Cause(reason=Reason.FLASH_CRASH, text=text, venue=venue, symbol=symbol))
                kills.append(Kill(reason=FLASH_KILL, text=f"{name} fell"))
    shown = ", ".join(f"{name} {fall}" for name, fall in falls.items())
    window = f"{limits.flash_crash_window_min} min fall {shown}, limit {limits.flash_crash_frac}" if shown else ""
    return judged("flash_crash", causes, window, dict(falls), tuple(kills[:1]))


def rest_errors_since_ms(facts: HealthFacts) -> int:
    """Since when REST errors have been critical without a break, for the next heartbeat; 0 when they are not."""
    if max((_error_count(facts, venue) for venue in facts.venues), default=0) < facts.limits.health.rest_errors_crit:
        return 0
    was_silent = facts.gap_end_ms == facts.now_ms
    known_ms = 0 if was_silent or facts.is_future(facts.rest_errors_since_ms) else facts.rest_errors_since_ms
    return known_ms or facts.now_ms


def _errors_last_ms(facts: HealthFacts) -> int:
    since_ms = rest_errors_since_ms(facts)
    return facts.now_ms - since_ms if since_ms else 0


def _file(facts: HealthFacts, venue: str) -> Iterator[Cause]:
    problem = facts.market_problems.get(venue, "")
    if problem:
        file = problem.partition(": ")[0].rpartition("/")[2]  # the alert names it; its folder is no part of an event
        yield Cause(reason=Reason.STATE_CORRUPT, text=problem, status=facts.unknown, subject=file, venue=venue)


def _rest(facts: HealthFacts, venue: str) -> Iterator[Cause]:
    """How long ago the exchange last answered, by the breaker file and the stored prices."""
    last_ms = rest_life.last_success_ms(facts, venue)
    interval_ms = facts.interval_ms("router")
    if not last_ms and facts.is_pending(interval_ms):
        yield Cause(
            reason=Reason.REST_DEGRADE, text=f"{venue} has not been called yet", status=Status.PENDING, venue=venue
        )
        return
    age_ms = facts.now_ms - max(last_ms, facts.since_ms)
    text = f"{venue} last answered {age_ms // 1000} s ago"
    if age_ms > 1000 * facts.limits.health.rest_stale_pause_s:
        yield Cause(reason=Reason.REST_PAUSE, text=text, status=Status.CRITICAL, signal=True, venue=venue)
    elif age_ms > 2 * interval_ms:
        yield Cause(reason=Reason.REST_DEGRADE, text=text, signal=True, venue=venue)


def _error_count(facts: HealthFacts, venue: str) -> int:
    entries = [facts.breakers[name] for name in (f"{venue}_api", f"{venue}_orders") if name in facts.breakers]
    start_ms = facts.now_ms - REST_ERRORS_WINDOW_MS
    return sum(1 for entry in entries for at_ms in entry.failures if start_ms < at_ms <= facts.now_ms)


def _errors(facts: HealthFacts, venue: str) -> Iterator[Cause]:
    count, limits = _error_count(facts, venue), facts.limits.health
    text = f"{venue} {count} REST errors in 60 s"
    if count >= limits.rest_errors_crit:
        yield Cause(reason=Reason.REST_ERRORS, text=text, status=Status.CRITICAL, signal=True, venue=venue)
    elif count >= limits.rest_errors_warn:
        yield Cause(reason=Reason.REST_ERRORS, text=text, venue=venue)


def _symbol(facts: HealthFacts, venue: str, symbol: str) -> Iterator[Cause]:
    found = facts.market.get(key(venue, symbol))
    if found is None or not found.polls:
        pending = facts.is_pending(facts.interval_ms("router"))
        status = Status.PENDING if pending else facts.unknown
        text = f"{venue} {symbol} has no stored price" + (" yet" if pending else "")
        yield Cause(reason=Reason.DATA_MISSING, text=text, status=status, venue=venue, symbol=symbol)
        return
    last = found.polls[-1]
    age_ms = facts.now_ms - last.at_ms

    def cause(reason: Reason, what: str, status: Status = Status.WARNING) -> Cause:
        return Cause(reason=reason, text=f"{venue} {symbol} {what}", status=status, venue=venue, symbol=symbol)

    if facts.is_future(last.at_ms):
        yield cause(Reason.TIME_FUTURE, "price is from the future", facts.unknown)
    elif not _is_fresh(facts, found):
        yield cause(Reason.DATA_STALE, f"price is {age_ms // 1000} s old", facts.unknown)
    if found.problems:
        yield cause(Reason.DATA_INVALID_BID, found.problems[0])
    elif market.is_frozen(found.polls, facts.limits.market_data.equal_polls_stale):
        yield cause(Reason.DATA_FROZEN, f"has not moved for {facts.limits.market_data.equal_polls_stale} polls")
    if market.deviation_frac(last.mid, _others(facts, found)) > facts.limits.market_data.cross_venue_warn_frac:
        yield cause(Reason.DATA_DEVIATION, "differs between venues")


def _others(facts: HealthFacts, found: SymbolFacts) -> list[OtherMid]:
    """Other venues' mids, of prices seen at about the same time."""
    if not _is_fresh(facts, found):
        return []
    same = [other for other in facts.market.values() if other.symbol == found.symbol and other.venue != found.venue]
    last = [(other.venue, other.polls[-1]) for other in same if _is_fresh(facts, other)]
    near = [(venue, poll) for venue, poll in last if abs(poll.at_ms - found.polls[-1].at_ms) <= TOGETHER_MS]
    return [OtherMid(venue=venue, mid=poll.mid, at_ms=poll.at_ms) for venue, poll in near]


def _is_fresh(facts: HealthFacts, found: SymbolFacts) -> bool:
    """Young enough for marking."""
    last: Poll | None = found.polls[-1] if found.polls else None
    if last is None or facts.is_future(last.at_ms):
        return False
    return facts.now_ms - last.at_ms <= 1000 * facts.limits.market_data.marking_age_max_s


def _cycles(facts: HealthFacts) -> Iterator[Cause]:
    """Router cycles in a row that old or invalid prices blocked."""
    blocked = facts.fold.portfolio.blocked_cycles if facts.fold is not None else {}
    limits = facts.limits.health
    for code in STALE_CYCLES:
        count = blocked.get(str(code), 0)
        if count >= limits.stale_blocked_cycles_warn:
            status = Status.CRITICAL if count >= limits.stale_blocked_cycles_crit else Status.WARNING
            text = f"{count} cycles in a row blocked by {code}"
            yield Cause(reason=Reason.STALE_CYCLES, text=text, status=status, subject=str(find(code)))


def _unmeasured(facts: HealthFacts, venue: str, symbol: str) -> Cause:
    pending = facts.is_pending(facts.interval_ms("router"))
    status = Status.PENDING if pending else facts.unknown
    text = f"{venue} {symbol} no fresh prices" + (" yet" if pending else "")
    return Cause(reason=Reason.VOLATILITY_UNKNOWN, text=text, status=status, venue=venue, symbol=symbol)


def _row(facts: HealthFacts, found: SymbolFacts) -> dict[str, Any]:
    last = found.polls[-1]
    return {"bid": money_text(last.bid), "ask": money_text(last.ask), "age_ms": facts.now_ms - last.at_ms}
