"""circuit_breakers: what the shared file says about the listed venues (rules.md, Circuit breakers)."""

from collections.abc import Iterator, Mapping

from desk.base import clock
from desk.base.reasons import Reason
from desk.health.facts import HealthFacts
from desk.health.result import Cause, CheckResult, Status, judged
from desk.risk.breaker_rules import Entry, State
from desk.venues.table import VENUES


def circuit_breakers(facts: HealthFacts) -> CheckResult:
    """One open WARNING, open on two venues CRITICAL; half_open reads OK (probing); corrupt is open for entries."""
    if facts.breakers_problem:
        text = f"read as open: {facts.breakers_problem} -> {Reason.BREAKER_CORRUPT.action}"
        cause = Cause(reason=Reason.BREAKER_CORRUPT, text=text, status=facts.unknown, subject="circuit_breakers.json")
        return judged("circuit_breakers", [cause], "")
    found = {name: entry for name, entry in sorted(facts.breakers.items()) if _is_ours(facts, name)}
    causes = [*_missing(facts, found), *_open(facts, found), *_trips(facts, found)]
    shown = ", ".join(f"{name} {_word(entry)}" for name, entry in found.items() if entry.state is not State.OPEN)
    return judged("circuit_breakers", causes, shown, {name: str(entry.state) for name, entry in found.items()})


def _is_ours(facts: HealthFacts, name: str) -> bool:
    """A component of a listed venue, or of no venue at all (ai_gate, alerts)."""
    venue = name.rpartition("_")[0]
    return venue in facts.venues or venue not in VENUES


def _missing(facts: HealthFacts, found: Mapping[str, Entry]) -> Iterator[Cause]:
    names = [f"{venue}_{part}" for venue in facts.venues for part in ("api", "orders")]
    absent = [name for name in names if name not in found]
    if absent:
        text = f"no entry for {', '.join(absent)}"
        yield Cause(reason=Reason.BREAKER_CORRUPT, text=text, status=facts.unknown, subject="missing")


def _open(facts: HealthFacts, found: Mapping[str, Entry]) -> Iterator[Cause]:
    opened = {name: entry for name, entry in found.items() if entry.state is State.OPEN}
    venues = {name.rpartition("_")[0] for name in opened} & set(facts.venues)
    status = Status.CRITICAL if len(venues) > 1 else Status.WARNING
    for name, entry in opened.items():
        until = f" until {clock.iso(entry.cooldown_until_ms)}" if entry.cooldown_until_ms else ""
        text = f"{name} open{until}" if entry.readable else f"{name} makes no sense and reads as open"
        yield Cause(reason=Reason.BREAKER_OPEN, text=text, status=status, subject=name)
    positions = facts.fold.positions.positions if facts.fold is not None else {}
    if opened and positions and facts.unknown_orders():
        text = f"{len(positions)} positions open, {facts.unknown_orders()} orders unknown"
        yield Cause(reason=Reason.BREAKER_PAUSE, text=text, status=Status.CRITICAL, signal=True)


def _trips(facts: HealthFacts, found: Mapping[str, Entry]) -> Iterator[Cause]:
    limits = facts.limits.breakers
    for name, entry in found.items():
        day, week = entry.trips_today(facts.now_ms), entry.trips_week(facts.now_ms)
        if day > limits.trips_day_warn or week > limits.trips_week_warn:
            text = f"{name} tripped {day} times today, {week} times in 7 days"
            yield Cause(reason=Reason.BREAKER_TRIPS, text=text, subject=name)


def _word(entry: Entry) -> str:
    return "half_open (probing)" if entry.state is State.HALF_OPEN else str(entry.state)
