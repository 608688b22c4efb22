"""Candles of any interval, computed from the price path: whole bars are summed, cut bars follow the path.

Owns a cache of finished hours and days (the past of a path never changes). A window without any bar has no candle,
as on the exchange; volume inside a bar flows evenly in time.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from lab.sim.decimals import ZERO, down8
from lab.sim.intervals import DAY_MS, HOUR_MS, window_next, window_open
from lab.sim.path import FAR_FUTURE_MS, PricePath, price_on
from lab.sim.seeded import seed_number

TRADES_PER_BAR = 30
_SUMMED_MS = (DAY_MS, HOUR_MS)  # windows whose totals are remembered


class Candle(NamedTuple):
    """Totals of a window; volumes in base and quote asset, `taker_*` the part bought by takers."""

    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_volume: Decimal
    taker_quote_volume: Decimal


class Candles:
    """Windows over one path."""

    def __init__(self, path: PricePath) -> None:
        self._path = path
        self._bars = path.bars
        self._finished: dict[tuple[int, int], Candle | None] = {}

    def total(self, from_ms: int, to_ms: int) -> Candle | None:
        """Candle over [from_ms, to_ms] inclusive, or None when no bar lies in it."""
        return _merge(list(self._parts(from_ms, to_ms)), from_ms, to_ms)

    def latest(self, interval: str, now_ms: int, count: int, frozen_ms: int | None = None) -> list[Candle]:
        """The last `count` candles up to now, ascending; the newest one is unfinished."""
        found: list[Candle] = []
        open_ms = window_open(interval, now_ms)
        while len(found) < count and window_next(interval, open_ms) > self._bars.first_open_ms:
            candle = self.at(interval, open_ms, now_ms, frozen_ms)
            if candle:
                found.append(candle)
                open_ms = window_open(interval, open_ms - 1)
            else:
                open_ms = self._window_before_gap(interval, open_ms)
        return found[::-1]

    def since(self, interval: str, start_ms: int, now_ms: int, count: int, frozen_ms: int | None) -> list[Candle]:
        """Up to `count` candles that open at or after `start_ms`, ascending."""
        open_ms = window_open(interval, max(start_ms, self._bars.first_open_ms))
        found: list[Candle] = []
        while len(found) < count and open_ms <= now_ms:
            candle = self.at(interval, open_ms, now_ms, frozen_ms) if open_ms >= start_ms else None
            if candle:
                found.append(candle)
            open_ms = window_next(interval, open_ms) if candle else self._window_after_gap(interval, open_ms)
        return found

    def at(self, interval: str, open_ms: int, now_ms: int, frozen_ms: int | None = None) -> Candle | None:
        """The candle that opens at `open_ms` with values as of `now_ms`; closeTime is always the window's end."""
        close_ms = window_next(interval, open_ms) - 1
        seen_ms = min(close_ms, now_ms)
        if frozen_ms is not None and seen_ms > frozen_ms:
            return self._frozen(open_ms, close_ms, frozen_ms)
        if seen_ms < close_ms:
            candle = self.total(open_ms, seen_ms)
            return candle and candle._replace(close_ms=close_ms)
        key = (open_ms, close_ms)
        if key not in self._finished:
            self._finished[key] = self.total(open_ms, close_ms)
        return self._finished[key]

    def _frozen(self, open_ms: int, close_ms: int, frozen_ms: int) -> Candle:
        moved = self.total(open_ms, frozen_ms) if open_ms <= frozen_ms else None
        if moved:
            return moved._replace(close_ms=close_ms)
        price = self._path.price_at(frozen_ms)
        return Candle(open_ms, close_ms, price, price, price, price, ZERO, ZERO, 0, ZERO, ZERO)

    def _window_before_gap(self, interval: str, open_ms: int) -> int:
        index = self._bars.index_at(open_ms)
        before = self._bars.bar(index).open_ms if index >= 0 else self._bars.first_open_ms - 1
        return min(window_open(interval, open_ms - 1), window_open(interval, before + self._bars.step_ms - 1))

    def _window_after_gap(self, interval: str, open_ms: int) -> int:
        following = window_next(interval, open_ms)
        if self.total(following, following) is not None:
            return following
        opens = self._bars.next_open_ms(self._bars.index_at(following))
        return FAR_FUTURE_MS if opens is None else max(following, window_open(interval, opens))

    def _parts(self, from_ms: int, to_ms: int, depth: int = 0) -> Iterator[Candle]:
        size = _SUMMED_MS[depth] if depth < len(_SUMMED_MS) else 0
        if self._bars.step_ms >= size:
            yield from self._bar_parts(from_ms, to_ms)
            return
        first, last = -(-from_ms // size) * size, (to_ms + 1) // size * size
        if first >= last:
            yield from self._parts(from_ms, to_ms, depth + 1)
            return
        if from_ms < first:
            yield from self._parts(from_ms, first - 1, depth + 1)
        for open_ms in range(max(first, self._bars.first_open_ms // size * size), last, size):
            key = (open_ms, open_ms + size - 1)
            if key not in self._finished:
                self._finished[key] = _merge(list(self._parts(*key, depth + 1)), *key)
            whole = self._finished[key]
            if whole:
                yield whole
        if last <= to_ms:
            yield from self._parts(last, to_ms, depth + 1)

    def _bar_parts(self, from_ms: int, to_ms: int) -> Iterator[Candle]:
        index = max(0, self._bars.index_at(from_ms))
        while from_ms <= to_ms:
            bar_open = self._bars.bar(index).open_ms
            bar_end = bar_open + self._bars.step_ms - 1
            if bar_open > to_ms:
                return
            if bar_end >= from_ms:
                yield self._bar_part(index, max(from_ms, bar_open), min(to_ms, bar_end))
            following = self._bars.next_open_ms(index)
            if following is None or following > to_ms:
                return
            index += 1

    def _bar_part(self, index: int, from_ms: int, to_ms: int) -> Candle:
        bar = self._bars.bar(index)
        step = self._bars.step_ms
        whole = from_ms == bar.open_ms and to_ms == bar.open_ms + step - 1
        if whole and not self._path.touched_by_events(to_ms):
            prices = [bar.open, bar.high, bar.low, bar.close]
        else:
            prices = self._path_prices(from_ms, to_ms)
        begin, end = from_ms - bar.open_ms, to_ms - bar.open_ms + 1
        volume = down8(bar.volume * end / step) - down8(bar.volume * begin / step)
        typical = (prices[0] + max(prices) + min(prices) + prices[-1]) / 4
        taker = down8(volume * (35 + seed_number(bar.open_ms) % 31) / 100)
        trades = TRADES_PER_BAR * end // step - TRADES_PER_BAR * begin // step if bar.volume else 0
        return Candle(from_ms, to_ms, prices[0], max(prices), min(prices), prices[-1], volume, down8(volume * typical),
                      trades, taker, down8(taker * typical))  # fmt: skip

    def _path_prices(self, from_ms: int, to_ms: int) -> list[Decimal]:
        prices = []
        for segment in self._path.segments(from_ms, to_ms):
            prices.append(price_on(segment, max(from_ms, segment.start_ms), self._path.tick))
            prices.append(price_on(segment, min(to_ms, segment.last_ms), self._path.tick))
        return prices


def _merge(parts: list[Candle], from_ms: int, to_ms: int) -> Candle | None:
    if not parts:
        return None
    if len(parts) == 1:
        return parts[0]._replace(open_ms=from_ms, close_ms=to_ms)
    return Candle(
        from_ms, to_ms, parts[0].open, max(p.high for p in parts), min(p.low for p in parts), parts[-1].close,
        sum((p.volume for p in parts), ZERO), sum((p.quote_volume for p in parts), ZERO),
        sum(p.trades for p in parts), sum((p.taker_volume for p in parts), ZERO),
        sum((p.taker_quote_volume for p in parts), ZERO),
    )  # fmt: skip
