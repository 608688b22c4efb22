"""The price path: inside a bar the price goes O-L-H-C (up bar) or O-H-L-C (down bar), piecewise linear in time.

Scripted price events multiply it from their time on. In a gap and after the last bar the price is frozen at the last
close. Everything here is a pure function of (bars, events); integer milliseconds, prices on the tick.
"""

from bisect import bisect_right
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from lab.sim.bars import BarSource
from lab.sim.decimals import ONE

NO_BAR = -1
FAR_FUTURE_MS = 1 << 60


class PriceEvent(NamedTuple):
    """From `start_ms` on the price is multiplied by `factor`, reached linearly over `over_ms` (0 = at once)."""

    start_ms: int
    factor: Decimal
    over_ms: int


class Segment(NamedTuple):
    """A linear piece: knots (start_ms, start_price), (end_ms, end_price); valid on [start_ms, last_ms]."""

    start_ms: int
    start_price: Decimal
    end_ms: int
    end_price: Decimal
    last_ms: int
    bar: int  # index of the bar it belongs to, NO_BAR in a gap


class PricePath:
    """Price of one symbol at every millisecond."""

    def __init__(self, bars: BarSource, tick: Decimal, events: list[PriceEvent] | None = None) -> None:
        self.bars = bars
        self.tick = tick
        self._events = sorted(events or [])
        self._cuts = sorted({ms for event in self._events for ms in _ramp(event)})
        self._memo: tuple[int, Decimal] | None = None

    def price_at(self, ms: int) -> Decimal:
        """Price on the tick at `ms`; before the first bar its open."""
        if self._memo is None or self._memo[0] != ms:
            self._memo = (ms, price_on(self.segment_at(ms), ms, self.tick))
        return self._memo[1]

    def segments(self, from_ms: int, to_ms: int) -> Iterator[Segment]:
        """The linear pieces that cover [from_ms, to_ms], in time order."""
        ms = from_ms
        while ms <= to_ms:
            segment = self.segment_at(ms)
            yield segment
            ms = segment.last_ms + 1

    def segment_at(self, ms: int) -> Segment:
        """The linear piece `ms` lies on, price events applied."""
        raw = self._raw_segment_at(ms)
        if not self._cuts or self._cuts[0] > raw.last_ms:
            return raw
        place = bisect_right(self._cuts, ms)
        low = max(raw.start_ms, self._cuts[place - 1]) if place else raw.start_ms
        high = min(raw.end_ms, self._cuts[place]) if place < len(self._cuts) else raw.end_ms
        last = high - 1 if high < raw.end_ms else raw.last_ms
        return Segment(low, self._scaled(raw, low), high, self._scaled(raw, high), last, raw.bar)

    def touched_by_events(self, last_ms: int) -> bool:
        """True when some price event acts at or before `last_ms` (then candles must be built from the path)."""
        return bool(self._cuts) and self._cuts[0] <= last_ms

    def _scaled(self, raw: Segment, ms: int) -> Decimal:
        price = price_on(raw, ms, self.tick)
        for event in self._events:
            price *= _factor_at(event, ms)
        return max(self.tick, price.quantize(self.tick, rounding=ROUND_HALF_EVEN))

    def _raw_segment_at(self, ms: int) -> Segment:
        bars = self.bars
        index = bars.index_at(ms)
        if index < 0:
            price = bars.bar(0).open
            return Segment(ms, price, bars.first_open_ms - 1, price, bars.first_open_ms - 1, NO_BAR)
        bar = bars.bar(index)
        end = bar.open_ms + bars.step_ms - 1
        if ms > end:
            following = bars.next_open_ms(index)
            last = FAR_FUTURE_MS if following is None else following - 1
            return Segment(end + 1, bar.close, last, bar.close, last, NO_BAR)
        third = bars.step_ms // 3
        turns = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        first, second = bar.open_ms + third, bar.open_ms + 2 * third
        if ms < first:
            return Segment(bar.open_ms, bar.open, first, turns[0], first - 1, index)
        if ms < second:
            return Segment(first, turns[0], second, turns[1], second - 1, index)
        return Segment(second, turns[1], end, bar.close, end, index)


def price_on(segment: Segment, ms: int, tick: Decimal) -> Decimal:
    """Price on a segment at `ms`, interpolated and put on the tick; exact at the knots."""
    if ms <= segment.start_ms or segment.start_price == segment.end_price:
        return segment.start_price
    if ms >= segment.end_ms:
        return segment.end_price
    rise = segment.end_price - segment.start_price
    part = rise * (ms - segment.start_ms) / (segment.end_ms - segment.start_ms)
    return (segment.start_price + part).quantize(tick, rounding=ROUND_HALF_EVEN)


def _ramp(event: PriceEvent) -> tuple[int, int]:
    start = event.start_ms if event.over_ms else event.start_ms - 1
    return start, event.start_ms + event.over_ms


def _factor_at(event: PriceEvent, ms: int) -> Decimal:
    start, end = _ramp(event)
    if ms <= start:
        return ONE
    if ms >= end:
        return event.factor
    return ONE + (event.factor - ONE) * (ms - start) / (end - start)
