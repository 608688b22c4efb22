"""Candle intervals: their names, their lengths, and where a window begins and ends (UTC). Pure."""

from datetime import UTC, datetime

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05
INTERVALS_MS = {
    "1s": 1000, "1m": MINUTE_MS, "3m": 3 * MINUTE_MS, "5m": 5 * MINUTE_MS, "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS, "1h": HOUR_MS, "2h": 2 * HOUR_MS, "4h": 4 * HOUR_MS, "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS, "12h": 12 * HOUR_MS, "1d": DAY_MS, "3d": 3 * DAY_MS, "1w": WEEK_MS, "1M": 0,
}  # fmt: skip


def window_open(interval: str, ms: int) -> int:
    """Opening time of the candle of `interval` that contains `ms` (weeks start on Monday, months on the 1st, UTC)."""
    if interval == "1M":
        day = datetime.fromtimestamp(ms // 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000
    size = INTERVALS_MS[interval]
    origin = _MONDAY_MS if interval == "1w" else 0
    return (ms - origin) // size * size + origin


def window_next(interval: str, open_ms: int) -> int:
    """Opening time of the candle after the one that opens at `open_ms`."""
    return window_open(interval, open_ms + 32 * DAY_MS) if interval == "1M" else open_ms + INTERVALS_MS[interval]
