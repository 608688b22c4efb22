"""Indicators: pure Decimal functions on a tuple of bars. Own the arithmetic; know nothing of strategies or time.

Every function looks at the bars it is given and answers for the last one, or None when there are too few. Wilder's
averages start with a plain mean of the first `period` values and then smooth, as TA-Lib does.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

from desk.base.money import CONTEXT, ONE, ZERO, divide
from desk.venues.protocol import Bar

Bars = tuple[Bar, ...]
HUNDRED: Final = Decimal(100)
RSI_NEUTRAL: Final = Decimal(50)  # no movement at all is neither strength nor weakness (TA-Lib says 0 here)


def are_sound(bars: Bars) -> bool:
    """True when every bar is possible (finite, above zero, low to high around open and close) and they ascend.

    The functions below expect sound bars: what an exchange answered is checked here once, not in each of them.
    """
    return all(map(_is_sound, bars)) and all(old.open_ms < new.open_ms for old, new in pairwise(bars))


def sma(bars: Bars, period: int) -> Decimal | None:
    """Simple moving average of the last `period` closes, in price units."""
    if len(bars) < period:
        return None
    return _mean([bar.close for bar in bars[-period:]])


def rsi(bars: Bars, period: int) -> Decimal | None:
    """Relative strength index after Wilder over all the bars, 0 to 100; needs period + 1 bars."""
    if len(bars) <= period:
        return None
    moves = [new.close - old.close for old, new in pairwise(bars)]
    gain = _wilder([max(move, ZERO) for move in moves], period)
    loss = _wilder([max(-move, ZERO) for move in moves], period)
    return divide(HUNDRED * gain, gain + loss) if gain + loss else RSI_NEUTRAL


def atr(bars: Bars, period: int) -> Decimal | None:
    """Average true range after Wilder over all the bars, in price units; needs period + 1 bars."""
    if len(bars) <= period:
        return None
    ranges = [max(new.high, old.close) - min(new.low, old.close) for old, new in pairwise(bars)]
    return _wilder(ranges, period)


def returns(bars: Bars) -> tuple[Decimal, ...]:
    """Close-to-close returns as fractions, one fewer than the bars; closes must be above zero."""
    return tuple(divide(new.close, old.close) - ONE for old, new in pairwise(bars))


def realised_volatility(bars: Bars, period: int) -> Decimal | None:
    """Root mean square of the last `period` returns, a fraction per bar; needs period + 1 bars.

    The mean is taken as zero: over a few bars its estimate is noise, and leaving it in never overstates calm.
    """
    if len(bars) <= period:
        return None
    return CONTEXT.sqrt(_mean([move * move for move in returns(bars[-period - 1 :])]))


def _is_sound(bar: Bar) -> bool:
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not all(number.is_finite() for number in (*prices, bar.volume)):
        return False
    return 0 < bar.low == min(prices) and bar.high == max(prices) and bar.volume >= 0


def _mean(values: Sequence[Decimal]) -> Decimal:
    return divide(sum(values, ZERO), Decimal(len(values)))


def _wilder(values: Sequence[Decimal], period: int) -> Decimal:
    average = _mean(values[:period])
    for value in values[period:]:
        average = divide(average * (period - 1) + value, Decimal(period))
    return average
