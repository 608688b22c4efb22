"""The circuit breaker's rules, pure: `(state, event) -> state`, and what one entry of the file becomes.

Rules.md, Circuit breakers. Times are epoch milliseconds of `base.clock`, because they are stored and compared across
processes. An entry an operator wrote with only `state`, `failure_count` and `cooldown_until` is valid; one that
cannot be read (unknown state word, unusable time) reads as open, and gets a full cooldown when next written.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import InvariantError
from desk.config.schema import Breakers as Limits
from desk.venues.table import Purpose

DAY_MS: Final = 86_400_000
TRIPS_KEPT_MS: Final = 7 * DAY_MS
TIMES_KEPT_MAX: Final = 200  # failures and trips kept per entry
COOLDOWN_MS_MAX: Final = 3 * DAY_MS  # the longest ban an exchange documents; no stored cooldown reaches further


class State(StrEnum):
    """The three states, as the file spells them."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Event(StrEnum):
    """What can happen to a breaker; the word also stands in the log line of the transition."""

    FAILURE = "FAILURE"  # counted, threshold not reached
    TRIPPED = "TRIPPED"  # threshold reached, or the exchange banned us
    SUCCESS = "RESET"  # the seed's word: a success resets the breaker
    COOLDOWN_PASSED = "COOLDOWN_PASSED"
    PROBE_FAILED = "PROBE_FAILED"
    PROBE_EXPIRED = "PROBE_EXPIRED"  # its prober crashed or hangs
    OPERATOR_RESET = "RESET_BY_OPERATOR"


NEXT: Final[Mapping[tuple[State, Event], State]] = {
    (State.CLOSED, Event.FAILURE): State.CLOSED,
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.CLOSED, Event.SUCCESS): State.CLOSED,
    (State.CLOSED, Event.OPERATOR_RESET): State.CLOSED,
    (State.OPEN, Event.FAILURE): State.OPEN,  # an exit or look-up that passed
    (State.OPEN, Event.SUCCESS): State.CLOSED,  # the same, and it worked
    (State.OPEN, Event.COOLDOWN_PASSED): State.HALF_OPEN,
    (State.OPEN, Event.OPERATOR_RESET): State.CLOSED,
    (State.HALF_OPEN, Event.SUCCESS): State.CLOSED,
    (State.HALF_OPEN, Event.PROBE_FAILED): State.OPEN,
    (State.HALF_OPEN, Event.PROBE_EXPIRED): State.OPEN,
    (State.HALF_OPEN, Event.OPERATOR_RESET): State.CLOSED,
}


class Pass(StrEnum):
    """How a purpose meets a breaker that is not closed."""

    REFUSED = "refused"
    FREE = "free"  # cancels
    ONCE = "once"  # exits: one per tick
    FEW = "few"  # reads of an exit, look-ups, reconcile: a few per tick
    LEASE = "lease"  # only with the probe lease


PASSES: Final[Mapping[tuple[State, Purpose], Pass]] = {
    (State.OPEN, Purpose.ENTRY): Pass.REFUSED,
    (State.OPEN, Purpose.EXIT): Pass.ONCE,
    (State.OPEN, Purpose.CANCEL): Pass.FREE,
    (State.OPEN, Purpose.PROBE): Pass.REFUSED,
    (State.OPEN, Purpose.READ): Pass.REFUSED,
    (State.OPEN, Purpose.LOOKUP): Pass.FEW,
    (State.HALF_OPEN, Purpose.ENTRY): Pass.REFUSED,
    (State.HALF_OPEN, Purpose.EXIT): Pass.ONCE,
    (State.HALF_OPEN, Purpose.CANCEL): Pass.FREE,
    (State.HALF_OPEN, Purpose.PROBE): Pass.LEASE,
    (State.HALF_OPEN, Purpose.READ): Pass.LEASE,
    (State.HALF_OPEN, Purpose.LOOKUP): Pass.FEW,
}


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The lease of the one half-open probe."""

    owner: str
    started_ms: int
    expires_ms: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One component's breaker."""

    state: State = State.CLOSED
    failures: tuple[int, ...] = ()  # times of countable failures, newest last
    failure_count: int = 0  # as last written; a hand-written one may have no times
    last_failure_ms: int = 0
    cooldown_until_ms: int = 0
    last_success_ms: int = 0
    probe: Probe | None = None
    trips: tuple[int, ...] = ()  # closed -> open, last 7 days
    readable: bool = True  # False: the entry made no sense and reads as open

    def trips_today(self, now_ms: int) -> int:
        """Trips on the UTC day of `now_ms`."""
        today = clock.utc_date(now_ms)
        return sum(1 for at in self.trips if clock.utc_date(at) == today)

    def trips_week(self, now_ms: int) -> int:
        """Trips in the last seven days."""
        return sum(1 for at in self.trips if at > now_ms - TRIPS_KEPT_MS)


def cooldown_ms(limits: Limits, component: str) -> int:
    """The configured cooldown of a component."""
    return 1000 * limits.cooldown_by_component_s.get(component, limits.cooldown_s)


def step(entry: Entry, event: Event, now_ms: int, limits: Limits, component: str, floor_ms: int = 0) -> Entry:
    """The entry after an event of ours.

    Args:
        floor_ms: Retry-After of the answer; a breaker that is open stays so at least that long.

    Raises:
        InvariantError: the pair is not in the table.
    """
    following = NEXT.get((entry.state, event))
    if following is None:
        raise InvariantError(f"breaker {component}: {event} in state {entry.state}")
    if event in {Event.SUCCESS, Event.OPERATOR_RESET}:
        success_ms = now_ms if event is Event.SUCCESS else entry.last_success_ms
        if entry.state is State.CLOSED and event is Event.SUCCESS:
            return msgspec.structs.replace(entry, last_success_ms=success_ms)
        return Entry(
            state=following, last_failure_ms=entry.last_failure_ms, last_success_ms=success_ms, trips=entry.trips
        )
    if event in {Event.FAILURE, Event.TRIPPED, Event.PROBE_FAILED}:
        entry = _counted(entry, now_ms, limits)
    if following is State.OPEN:
        entry = _opened(entry, now_ms, max(floor_ms, 0 if event is Event.FAILURE else cooldown_ms(limits, component)))
    if event is Event.TRIPPED:
        trips = (*_recent(entry.trips, now_ms, TRIPS_KEPT_MS), now_ms)
        entry = msgspec.structs.replace(entry, trips=trips[-TIMES_KEPT_MAX:])
    return msgspec.structs.replace(entry, state=following, probe=None)


def failure_event(entry: Entry, now_ms: int, limits: Limits, banned: bool) -> Event:
    """Which event a countable failure is, in this state."""
    if entry.state is State.HALF_OPEN:
        return Event.PROBE_FAILED
    if entry.state is State.OPEN:
        return Event.FAILURE
    many = len(_recent(entry.failures, now_ms, 1000 * limits.window_s)) + 1 >= limits.failures_max
    return Event.TRIPPED if many or banned else Event.FAILURE


def due_event(entry: Entry, now_ms: int) -> Event | None:
    """What the clock alone does to an entry."""
    if entry.state is State.OPEN and entry.readable and entry.cooldown_until_ms <= now_ms:
        return Event.COOLDOWN_PASSED
    if entry.state is State.HALF_OPEN and entry.probe is not None and entry.probe.expires_ms <= now_ms:
        return Event.PROBE_EXPIRED
    return None


def lease(entry: Entry, owner: str, now_ms: int, limits: Limits) -> Entry:
    """The entry with its probe given to `owner`."""
    probe = Probe(owner=owner, started_ms=now_ms, expires_ms=now_ms + 1000 * limits.probe_ttl_s)
    return msgspec.structs.replace(entry, probe=probe)


def parse(raw: object, now_ms: int, limits: Limits, component: str) -> Entry:
    """An entry of the file, hand-written or ours. Never raises: what cannot be read is open.

    A stored cooldown or lease further ahead than its longest possible length is cut to it (rules: Clock), so a clock
    set back cannot keep a breaker open for days.
    """
    unreadable = Entry(state=State.OPEN, cooldown_until_ms=now_ms + cooldown_ms(limits, component), readable=False)
    if not isinstance(raw, dict):
        return unreadable
    try:
        state = State(str(raw["state"]).lower().replace("-", "_"))
        cooldown_until_ms = _time(raw.get("cooldown_until"))
        entry = Entry(
            state=state, failures=_times(raw.get("failures")), failure_count=_count(raw.get("failure_count")),
            last_failure_ms=_time(raw.get("last_failure_at")), cooldown_until_ms=cooldown_until_ms,
            last_success_ms=_time(raw.get("last_success_at")), trips=_times(raw.get("trips")),
            probe=_probe(raw.get("probe"), now_ms + 1000 * limits.probe_ttl_s),
        )  # fmt: skip
    except (KeyError, ValueError, OverflowError, OSError):
        return unreadable
    if state is State.OPEN and not cooldown_until_ms:
        return msgspec.structs.replace(unreadable, trips=entry.trips, last_success_ms=entry.last_success_ms)
    longest_ms = now_ms + max(cooldown_ms(limits, component), _count(raw.get("cooldown_s")) * 1000)
    if "cooldown_s" not in raw:
        longest_ms = now_ms + COOLDOWN_MS_MAX
    return msgspec.structs.replace(entry, cooldown_until_ms=min(cooldown_until_ms, longest_ms))


def unparse(entry: Entry, old: object, now_ms: int) -> dict[str, Any]:
    """The entry as it stands in the file; keys of another version survive."""
    kept = dict(old) if isinstance(old, dict) else {}
    probe = entry.probe and {
        "owner": entry.probe.owner,
        "started_at": clock.iso(entry.probe.started_ms),
        "expires_at": clock.iso(entry.probe.expires_ms),
    }
    is_open = entry.state is State.OPEN
    length_s = max(0, entry.cooldown_until_ms - now_ms + 999) // 1000
    if is_open and _count(kept.get("cooldown_s")) and kept.get("cooldown_until") == _iso(entry.cooldown_until_ms):
        length_s = _count(kept["cooldown_s"])
    return kept | {
        "state": str(entry.state),
        "failure_count": entry.failure_count,
        "failures": [clock.iso(at) for at in entry.failures],
        "last_failure_at": _iso(entry.last_failure_ms),
        "cooldown_until": _iso(entry.cooldown_until_ms) if is_open else None,
        "cooldown_s": length_s if is_open else None,
        "last_success_at": _iso(entry.last_success_ms),
        "probe": probe,
        "trips_today": entry.trips_today(now_ms),
        "trips": [clock.iso(at) for at in entry.trips],
    }


def _counted(entry: Entry, now_ms: int, limits: Limits) -> Entry:
    failures = (*_recent(entry.failures, now_ms, 1000 * limits.window_s), now_ms)[-TIMES_KEPT_MAX:]
    return msgspec.structs.replace(entry, failures=failures, failure_count=len(failures), last_failure_ms=now_ms)


def _opened(entry: Entry, now_ms: int, length_ms: int) -> Entry:
    until_ms = max(entry.cooldown_until_ms, now_ms + min(length_ms, COOLDOWN_MS_MAX))
    return msgspec.structs.replace(entry, cooldown_until_ms=until_ms)


def _recent(times: tuple[int, ...], now_ms: int, window_ms: int) -> tuple[int, ...]:
    """Times inside the window; ones slightly ahead of a clock set back still count."""
    return tuple(at for at in times if now_ms - window_ms < at <= now_ms + window_ms)


def _time(value: object) -> int:
    if value is None or value == "":
        return 0
    if not isinstance(value, str):
        raise ValueError("a time is text")
    return clock.parse_iso(value)


def _times(value: object) -> tuple[int, ...]:
    return tuple(_time(item) for item in value[-TIMES_KEPT_MAX:]) if isinstance(value, list) else ()


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _probe(value: object, expires_ms_max: int) -> Probe | None:
    if not isinstance(value, dict):
        return None
    return Probe(
        owner=str(value.get("owner", "")),
        started_ms=_time(value.get("started_at")),
        expires_ms=min(_time(value.get("expires_at")), expires_ms_max),
    )


def _iso(at_ms: int) -> str | None:
    return clock.iso(at_ms) if at_ms else None
