"""The exchange's own time, integer ms. The only room that looks at the host's clock, and not even that in --step."""

import time
from enum import StrEnum


class TimeMode(StrEnum):
    """How virtual time moves."""

    STEP = "step"  # only by advance()
    SPEED = "speed"  # `speed` times real time from the start
    REAL = "real"  # the host's wall clock


class SimClock:
    """Virtual now."""

    def __init__(self, mode: TimeMode, start_ms: int, speed: float = 1.0) -> None:
        self.mode = mode
        self._start_ms = start_ms
        self._speed = speed
        self._stepped_ms = start_ms
        self._began = time.monotonic()

    def now_ms(self) -> int:
        """Milliseconds since the epoch as the exchange sees them; never runs backwards."""
        if self.mode is TimeMode.STEP:
            return self._stepped_ms
        elapsed_ms = int((time.monotonic() - self._began) * 1000 * self._speed)
        return self._start_ms + elapsed_ms

    def advance(self, ms: int) -> int:
        """Move stepped time forward by `ms` >= 0 and return the new now."""
        assert self.mode is TimeMode.STEP
        assert ms >= 0
        self._stepped_ms += ms
        return self._stepped_ms


def wall_ms() -> int:
    """The host's wall clock."""
    return time.time_ns() // 1_000_000
