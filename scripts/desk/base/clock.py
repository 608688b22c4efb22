"""The only clock. Owns "now"; writes nothing.

Stored and compared times come from here, aware UTC or integer milliseconds since the epoch. The wall
clock is read once per process (once per tick when a process runs several) and advanced by the monotonic
clock, so a step of the system clock in the middle of a tick cannot reorder events. Waits, deadlines and
lock ages use `monotonic_s`.

With VENUE_ENV=sim the environment may name another clock, SANAD_CLOCK (`{admin_url}/sim/clock`): the
simulator's. Its time stands still while a tick runs (design 5, Time). It is refused elsewhere.
"""

import http.client
import json
import os
import time
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlsplit

from desk.base.errors import ClockUnavailable

SIM_CLOCK_TIMEOUT_S = 5.0
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
PARSED_KEPT = 8  # the lines of a group carry one time, and are looked at more than once
WALL_MS_MAX = 4_102_444_800_000  # 2100-01-01: later is no clock of ours


class _Anchor:
    """Where the tick started: wall milliseconds and the monotonic reading taken with it."""

    wall_ms: int | None = None
    mono_ns: int = 0
    frozen: bool = False


def start_tick() -> int:
    """Read the clock anew for a tick; returns the epoch milliseconds.

    Raises:
        ClockUnavailable: SANAD_CLOCK is set but refused, not loopback, or silent.
    """
    url = os.environ.get("SANAD_CLOCK", "")
    _Anchor.mono_ns = time.monotonic_ns()
    if url:
        _Anchor.wall_ms, _Anchor.frozen = _read_sim_clock(url), True
    else:
        _Anchor.wall_ms, _Anchor.frozen = time.time_ns() // 1_000_000, False
    return _Anchor.wall_ms


def start_tick_anyway() -> int:
    """As `start_tick`; by the host's own clock when SANAD_CLOCK cannot be used. For what must work at any time."""
    try:
        return start_tick()
    except ClockUnavailable:
        _Anchor.wall_ms, _Anchor.frozen = time.time_ns() // 1_000_000, False
        return _Anchor.wall_ms


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    if _Anchor.wall_ms is None:
        start_tick()
    assert _Anchor.wall_ms is not None
    if _Anchor.frozen:
        return _Anchor.wall_ms
    return _Anchor.wall_ms + (time.monotonic_ns() - _Anchor.mono_ns) // 1_000_000


def now() -> datetime:
    """The current time, aware UTC."""
    return from_ms(now_ms())


def ahead_of_host_ms() -> int:
    """This clock minus the host's own: for a library that reads the host's wall clock by itself and takes an offset."""
    return now_ms() - time.time_ns() // 1_000_000


def is_simulated() -> bool:
    """True when the simulator's clock rules this tick (time stands still inside it)."""
    if _Anchor.wall_ms is None:
        start_tick()
    return _Anchor.frozen


def monotonic_s() -> float:
    """Seconds for waits, deadlines and durations; never stored, never compared with stored times."""
    return time.monotonic()


def pause_s(seconds: float) -> None:
    """Wait in real time. The only sleep of the house, so that it can be found and bounded."""
    time.sleep(max(0.0, seconds))


def from_ms(ms: int) -> datetime:
    """Epoch milliseconds to aware UTC."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def to_ms(moment: datetime) -> int:
    """Aware datetime to epoch milliseconds; a naive one is a bug and raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError("naive datetime")
    whole = moment.replace(microsecond=0)
    return round(whole.timestamp()) * 1000 + moment.microsecond // 1000


def iso(ms: int) -> str:
    """ISO-8601 with milliseconds and `+00:00`, the form of every stored time."""
    return from_ms(ms).isoformat(timespec="milliseconds")


@lru_cache(maxsize=PARSED_KEPT)
def parse_iso(text: str) -> int:
    """ISO-8601 with an offset (or Z) to epoch milliseconds.

    Raises:
        ValueError: not a time, or one without an offset.
    """
    return to_ms(datetime.fromisoformat(text))


def utc_date(ms: int) -> str:
    """The UTC calendar date, `YYYY-MM-DD`."""
    return iso(ms)[:10]


def _read_sim_clock(url: str) -> int:
    if os.environ.get("VENUE_ENV", "mainnet") != "sim":
        raise ClockUnavailable(
            "refused: only VENUE_ENV=sim may replace the clock", "SANAD_CLOCK", "unset it or set VENUE_ENV=sim"
        )
    host, port, path = _loopback_address(url)
    connection = http.client.HTTPConnection(host, port, timeout=SIM_CLOCK_TIMEOUT_S)
    try:
        connection.request("GET", path)
        value = json.loads(connection.getresponse().read(4096))["now_ms"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise ClockUnavailable(
            f"does not answer ({type(error).__name__})", "SANAD_CLOCK", "start the simulator or unset SANAD_CLOCK"
        ) from None
    finally:
        connection.close()
    if not isinstance(value, int) or isinstance(value, bool):
        raise ClockUnavailable("answered no integer now_ms", "SANAD_CLOCK", "point it at {admin_url}/sim/clock")
    if not 0 <= value <= WALL_MS_MAX:
        raise ClockUnavailable("answered a time no calendar has", "SANAD_CLOCK", "point it at {admin_url}/sim/clock")
    return value


def _loopback_address(url: str) -> tuple[str, int, str]:
    """Host, port and path of a loopback URL.

    Raises:
        ClockUnavailable: anything else.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS and parts.port is not None:
            return parts.hostname, parts.port, parts.path or "/"
    except ValueError:  # no URL at all, or a port that is none
        pass
    raise ClockUnavailable("refused: not a loopback http URL with a port", "SANAD_CLOCK", "use {admin_url}/sim/clock")
