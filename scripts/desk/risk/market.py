"""What prices say: spread, slippage, range, falls, sanity. Pure; times in ms, results as fractions of a price.

Every function takes exactly what it judges. None means "cannot be known", and the caller denies.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec

from desk.base.money import ZERO, divide, frac
from desk.config.schema import Entries, MarketData
from desk.risk.facts import OtherMid, Poll, SymbolFacts
from desk.venues.protocol import Bar, Book, Level, Side


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity taken from one side of a book: average and worst price (0 when nothing was there), how much of it."""

    average: Decimal
    worst: Decimal
    filled: Decimal
    covered: bool


def bid_problem(book: Book) -> str:
    """Why the best bid cannot be used, "" when it can (rules: zero, negative, crossed, missing)."""
    if not book.bids:
        return "no bid"
    bid = book.bids[0].price
    if not bid.is_finite() or bid <= ZERO:
        return "best bid not above zero"
    if not book.asks:
        return "no ask"
    ask = book.asks[0].price
    return "" if ask.is_finite() and ask > bid else "best bid not below best ask"


def spread_frac(bid: Decimal, ask: Decimal) -> Decimal:
    """Best ask minus best bid, of mid. Both above zero."""
    return frac(ask - bid, (ask + bid) / 2)


def walk(levels: Sequence[Level], quantity: Decimal, side: Side, limit: Decimal | None = None) -> Walk:
    """Take `quantity` from the best levels on, no worse than `limit`.

    Args:
        levels: asks for a BUY, bids for a SELL, best first.
    """
    left, spent, worst = quantity, ZERO, ZERO
    for level in levels:
        beyond = limit is not None and (level.price > limit if side is Side.BUY else level.price < limit)
        if left <= ZERO or beyond:
            break
        taken = min(left, level.quantity)
        left, spent, worst = left - taken, spent + taken * level.price, level.price
    filled = quantity - left
    average = divide(spent, filled) if filled > ZERO else ZERO
    return Walk(average=average, worst=worst, filled=filled, covered=left <= ZERO)


def slippage_frac(average: Decimal, mid: Decimal, side: Side) -> Decimal:
    """How much worse than mid the average price is; never below 0."""
    worse = average - mid if side is Side.BUY else mid - average
    return max(frac(worse, mid), ZERO)


def window(bars: Sequence[Bar], now_ms: int, interval_s: int, minutes: int) -> tuple[Bar, ...] | None:
    """The bars that cover the last `minutes`, None when one is missing or unsound or they do not reach up to now.

    Args:
        now_ms: exchange time. The newest bar may be the open one, or the one before it.
    """
    step_ms = interval_s * 1000
    start_ms = now_ms - minutes * 60_000
    found = [bar for bar in bars if bar.open_ms + step_ms > start_ms]
    if not found or found[0].open_ms > start_ms or now_ms - found[-1].open_ms >= 2 * step_ms:
        return None
    if any(new.open_ms - old.open_ms != step_ms for old, new in pairwise(found)):
        return None
    return tuple(found) if all(ZERO < bar.low <= bar.high for bar in found) else None


def range_frac(bars: Iterable[Bar]) -> Decimal:
    """Highest high over lowest low, minus one. At least one sound bar."""
    found = tuple(bars)
    low = min(bar.low for bar in found)
    return frac(max(bar.high for bar in found) - low, low)


def fall_frac(bars: Iterable[Bar], polls: Iterable[Poll] = ()) -> Decimal:
    """The deepest fall that certainly happened, of its peak: from an earlier high to a later low.

    Inside one bar only open -> low and high -> close are certain. A poll follows every bar given.
    """
    peak = worst = ZERO
    for bar in bars:
        before = max(peak, bar.open)
        peak = max(peak, bar.high)
        worst = max(worst, frac(before - bar.low, before), frac(peak - bar.close, peak))
    for poll in polls:
        peak = max(peak, poll.bid)
        worst = max(worst, frac(peak - poll.bid, peak))
    return worst


def flash_crash_frac(found: SymbolFacts, now_ms: int, minutes: int) -> Decimal:
    """The deepest fall of the last `minutes`, from bars and from confirmed polls; 0 with neither.

    Unlike the volatility gate this needs no complete window: a fall seen in part of it is a fall.

    Args:
        now_ms: exchange time for bars and polls alike.
    """
    start_ms = now_ms - minutes * 60_000
    step_ms = found.interval_s * 1000
    bars = [b for b in found.bars if start_ms < b.open_ms + step_ms and b.open_ms <= now_ms and ZERO < b.low <= b.high]
    polls = [poll for poll in found.polls if poll.at_ms > start_ms and not poll.held]
    now = [poll for poll in polls[-1:] if poll.at_ms == found.book_ms]  # only this cycle's comes after every bar
    return max(fall_frac(bars, now), fall_frac((), polls))


def is_flash_crash(found: SymbolFacts, now_ms: int, limits: Entries) -> bool:
    """The kill switch's `flash_crash` condition (rules: volatility, flash crash)."""
    return flash_crash_frac(found, now_ms, limits.flash_crash_window_min) >= limits.flash_crash_frac


def deviation_frac(mid: Decimal, others: Iterable[OtherMid]) -> Decimal:
    """The largest distance to another venue's mid; 0 without one."""
    return max((_distance(mid, other.mid) for other in others), default=ZERO)


def is_outlier(poll: Poll, before: Sequence[Poll], confirmations: Iterable[Decimal], limits: MarketData) -> bool:
    """True when a poll jumped and nothing confirms it: it is held for one poll (rules: price sanity).

    Args:
        before: earlier polls, oldest first.
        confirmations: prices from elsewhere: other venues' mids, the last traded price.
    """
    accepted = [earlier for earlier in before if not earlier.held]
    if not accepted or _distance(poll.mid, accepted[-1].mid) <= limits.outlier_frac:
        return False
    if before[-1].held and _distance(poll.mid, before[-1].mid) <= limits.outlier_frac:
        return False  # two polls in a row say so
    return not is_confirmed(poll.mid, confirmations, limits)


def is_confirmed(mid: Decimal, prices: Iterable[Decimal], limits: MarketData) -> bool:
    """Another source knows about this price; with none it is not confirmed."""
    return any(_distance(mid, price) <= limits.cross_venue_block_frac for price in prices)


def last_traded(found: SymbolFacts) -> list[Decimal]:
    """The last traded price, by a candle that is still running or just over."""
    if not found.bars or found.bars_now_ms - found.bars[-1].open_ms >= 2 * found.interval_s * 1000:
        return []
    return [found.bars[-1].close] if found.bars[-1].close > ZERO else []


def is_frozen(polls: Sequence[Poll], equal_max: int) -> bool:
    """The last `equal_max` polls, taken at different times, have the same bid and ask."""
    last = polls[-equal_max:]
    if equal_max < 2 or len({poll.at_ms for poll in last}) < equal_max:
        return False
    return len({(poll.bid, poll.ask) for poll in last}) == 1


def _distance(price: Decimal, other: Decimal) -> Decimal:
    return frac(abs(price - other), other)
