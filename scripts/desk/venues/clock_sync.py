"""Each exchange's clock against ours: offset and error bound, in `state/clock.json`.

A probe costs one request; the offset is the exchange's time minus ours at the middle of the trip, the error bound half
the trip; the median of several probes stands for 300 s. Under the simulator's clock time stands still inside a tick, so
one probe is exact. Measuring touches no breaker (rules: Health checks only measure).
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import LockBusy, StateError
from desk.base.paths import Home
from desk.config.schema import Clock as Limits
from desk.state import store
from desk.venues.outcome import VenueError
from desk.venues.protocol import TimeProbe

KEY: Final = "clock"
WRITER: Final = "venues.transport"


class Offset(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange's clock as last measured, in milliseconds; `measured_ms` is our own time."""

    offset_ms: int
    error_ms: int
    measured_ms: int

    def is_fresh(self, now_ms: int, limits: Limits) -> bool:
        """True while it may be used; one from the future is stale."""
        return -self.error_ms <= now_ms - self.measured_ms <= 1000 * limits.resync_s


def median(probes: list[TimeProbe], measured_ms: int) -> Offset:
    """The probe with the middle offset, and its error bound."""
    middle = sorted(probes, key=lambda probe: probe.offset_ms)[(len(probes) - 1) // 2]
    return Offset(offset_ms=middle.offset_ms, error_ms=middle.error_ms, measured_ms=measured_ms)


def probe_of(sent_ms: int, received_ms: int, server_ms: int) -> TimeProbe:
    """One look at the exchange's clock from the two ends of the trip and its answer."""
    trip_ms = max(0, received_ms - sent_ms)
    middle_ms = sent_ms + trip_ms // 2
    return TimeProbe(
        server_ms=server_ms, local_ms=middle_ms, offset_ms=server_ms - middle_ms, error_ms=(trip_ms + 1) // 2
    )


def stored(home: Home, venue: str) -> Offset | None:
    """The last measurement of a venue; None when there is none that can be read."""
    try:
        raw = (store.read(home, KEY) or {}).get(venue)
    except StateError:
        return None
    if not isinstance(raw, dict):
        return None
    try:
        values = {"offset_ms": raw["offset_ms"], "error_ms": raw["error_ms"]}
        return msgspec.convert(values | {"measured_ms": clock.parse_iso(raw["measured_at"])}, Offset)
    except (KeyError, ValueError, TypeError, msgspec.ValidationError):
        return None


class VenueClock(msgspec.Struct):
    """One venue's offset for one process: stored, or measured when that is too old.

    Attributes:
        probe: asks the exchange once.
    """

    home: Home
    venue: str
    limits: Limits
    probe: Callable[[], TimeProbe]
    log: Callable[[str, str], None]
    _current: Offset | None = None

    def offset(self) -> Offset:
        """The offset now.

        Raises:
            VenueError: too old, and the exchange does not answer.
        """
        if self._current is None:
            self._current = stored(self.home, self.venue)
        if self._current is None or not self._current.is_fresh(clock.now_ms(), self.limits):
            return self.resync()
        return self._current

    def resync(self) -> Offset:
        """Measure anew: the median of the answers that came; one is enough, none raises the last error.

        Raises:
            VenueError: the exchange does not answer.
        """
        wanted = 1 if clock.is_simulated() else max(1, self.limits.samples)
        probes: list[TimeProbe] = []
        for _ in range(wanted):
            try:
                probes.append(self.probe())
            except VenueError:
                if not probes:
                    raise
                break  # it answered and stopped: what we have is good enough
        self._current = median(probes, clock.now_ms())
        self._store(self._current)
        return self._current

    def venue_now_ms(self) -> int:
        """The exchange's time, by our clock and the offset."""
        return clock.now_ms() + self.offset().offset_ms

    def known_offset_ms(self) -> int:
        """The offset in hand, without asking anyone; 0 before the first measurement."""
        return self._current.offset_ms if self._current is not None else 0

    def _store(self, measured: Offset) -> None:
        part: dict[str, Any] = {
            "offset_ms": measured.offset_ms,
            "error_ms": measured.error_ms,
            "measured_at": clock.iso(measured.measured_ms),
        }
        try:
            try:
                store.update(self.home, KEY, lambda doc: (doc or {}) | {self.venue: part}, WRITER)
            except StateError:
                store.write(self.home, KEY, {self.venue: part}, WRITER)  # corrupt reads as missing: measured
        except (StateError, LockBusy) as error:
            self.log("WARN", f"clock offset not written: {error.line()}")
