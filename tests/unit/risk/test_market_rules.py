"""Prices, pure: the walk of a book, windows of bars, falls, outliers, frozen prices."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.config.schema import Entries, MarketData
from desk.risk import market
from desk.risk.facts import OtherMid, Poll
from desk.venues.protocol import Bar, Level, Side
from unit.risk.facts_kit import MINUTE_MS, NOW_MS, SEEN, a_book, changed, d, flat_bars, polls

LIMITS = MarketData()


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    return tuple(Level(d(price), d(quantity)) for price, quantity in pairs)


ASKS = levels(("100", "1"), ("101", "2"), ("110", "5"))
BIDS = levels(("99", "1"), ("98", "2"), ("90", "5"))


def test_a_walk_averages_what_it_takes() -> None:
    found = market.walk(ASKS, d("2"), Side.BUY)
    assert (found.average, found.worst, found.filled, found.covered) == (d("100.5"), d("101"), d("2"), True)
    sold = market.walk(BIDS, d("3"), Side.SELL)
    assert (sold.worst, sold.covered) == (d("98"), True)


def test_a_walk_stops_at_the_limit_and_says_what_it_covered() -> None:
    assert market.walk(ASKS, d("4"), Side.BUY, d("101")).covered is False
    assert market.walk(ASKS, d("4"), Side.BUY, d("101")).filled == d("3")
    assert market.walk(BIDS, d("2"), Side.SELL, d("99")).filled == d("1")
    assert market.walk((), d("1"), Side.BUY).covered is False


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_size=20), st.integers(0, 10**7))
@settings(max_examples=200, deadline=None)
def test_a_walk_never_takes_more_than_there_is(pairs: list[tuple[int, int]], wanted: int) -> None:
    book = sorted((Level(Decimal(p), Decimal(q)) for p, q in pairs), key=lambda level: level.price)
    found = market.walk(book, Decimal(wanted), Side.BUY)
    assert found.filled == min(Decimal(wanted), sum((level.quantity for level in book), Decimal(0)))
    assert found.covered == (found.filled == wanted)
    if found.filled:
        assert book[0].price <= found.average <= found.worst


def test_slippage_counts_against_us_only() -> None:
    assert market.slippage_frac(d("103"), d("100"), Side.BUY) == d("0.03")
    assert market.slippage_frac(d("97"), d("100"), Side.SELL) == d("0.03")
    assert market.slippage_frac(d("97"), d("100"), Side.BUY) == 0


@pytest.mark.parametrize(
    ("bid", "ask", "problem"),
    [("1", "2", ""), ("0", "2", "above zero"), ("-1", "2", "above zero"), ("2", "2", "below"), ("3", "2", "below")],
)
def test_a_best_bid_is_usable_or_says_why_not(bid: str, ask: str, problem: str) -> None:
    found = market.bid_problem(a_book(bid, ask))
    assert problem in found
    assert bool(problem) == bool(found)


def test_an_empty_side_is_no_bid() -> None:
    assert market.bid_problem(changed(a_book(), bids=())) == "no bid"
    assert market.bid_problem(changed(a_book(), asks=())) == "no ask"


def test_a_window_needs_every_bar_up_to_now() -> None:
    bars = flat_bars(40)
    found = market.window(bars, NOW_MS, 60, 30)
    assert found is not None
    assert len(found) == 31  # the open one, 29 whole ones, and the one that covers the window's start
    assert market.window(bars, NOW_MS + 59_999, 60, 30) is not None
    assert market.window(bars, NOW_MS + 120_000, 60, 30) is None, "the newest bar is two steps old"
    assert market.window(bars[-30:], NOW_MS, 60, 30) is None, "does not reach back"
    assert market.window(bars[:-5] + bars[-4:], NOW_MS, 60, 30) is None, "a bar is missing"
    broken = (*bars[:-2], changed(bars[-2], low=d("0")), bars[-1])
    assert market.window(broken, NOW_MS, 60, 30) is None, "a bar without sense"
    assert market.window((), NOW_MS, 60, 30) is None


def bar(index: int, opened: str, high: str, low: str, close: str) -> Bar:
    return Bar(NOW_MS + index * MINUTE_MS, d(opened), d(high), d(low), d(close), d("1"))


def test_a_fall_is_counted_from_an_earlier_high_to_a_later_low() -> None:
    assert market.fall_frac([bar(0, "100", "110", "100", "110"), bar(1, "110", "110", "99", "100")]) == d("0.1")
    assert market.fall_frac([bar(0, "100", "100", "90", "95")]) == d("0.1"), "open to low is certain"
    assert market.fall_frac([bar(0, "90", "100", "90", "90")]) == d("0.1"), "high to close is certain"


def test_a_rise_is_no_fall() -> None:
    assert market.fall_frac([bar(0, "100", "120", "100", "120"), bar(1, "120", "140", "120", "140")]) == 0
    assert market.fall_frac([]) == 0


def seen(*pairs: tuple[str, str], bars: tuple[Bar, ...] = (), held: int = -9) -> object:
    found = [changed(poll, held=i == held) for i, poll in enumerate(polls(*pairs))]
    return changed(SEEN, bars=bars, polls=tuple(found))


def test_a_flash_crash_is_seen_by_bars_or_by_polls() -> None:
    fallen = (*flat_bars()[:-1], changed(flat_bars()[-1], low=d("44900"), close=d("45000")))
    assert market.is_flash_crash(changed(SEEN, bars=fallen), NOW_MS, Entries())
    assert not market.is_flash_crash(SEEN, NOW_MS, Entries())
    by_polls = seen(("50000", "50001"), ("44999", "45000"))
    assert market.is_flash_crash(by_polls, NOW_MS, Entries())  # type: ignore[arg-type]
    now = changed(SEEN, polls=polls(("44900", "44901")))
    assert market.is_flash_crash(now, NOW_MS, Entries()), "this cycle's bid against the bars' high"


def test_a_held_poll_is_no_flash_crash() -> None:
    held = seen(("50000", "50001"), ("30000", "30001"), held=1)
    assert not market.is_flash_crash(held, NOW_MS, Entries())  # type: ignore[arg-type]


def test_a_crash_older_than_the_window_is_over() -> None:
    old = [bar(-60 + i, "50000", "50000", "40000", "50000") if i == 5 else b for i, b in enumerate(flat_bars(60))]
    assert market.flash_crash_frac(changed(SEEN, bars=tuple(old)), NOW_MS, 15) < d("0.1")


def test_an_earlier_poll_does_not_come_after_the_bars() -> None:
    """The price rose 12 % within this minute and this cycle's book is missing: no fall happened."""
    rising = (*flat_bars()[:-1], changed(flat_bars()[-1], high=d("56000"), close=d("56000")))
    blind = changed(SEEN, bars=rising, book=None, book_ms=0, polls=polls(("49000", "49001"), ("49500", "49501")))
    assert not market.is_flash_crash(blind, NOW_MS, Entries())


def jump(bid: str, held: bool = False, at_ms: int = NOW_MS) -> Poll:
    return Poll(at_ms=at_ms, bid=d(bid), ask=d(bid) + 1, held=held)


BEFORE = (jump("50000", at_ms=NOW_MS - 2 * MINUTE_MS),)
HELD_BEFORE = (*BEFORE, jump("60000", held=True, at_ms=NOW_MS - MINUTE_MS))


@pytest.mark.parametrize(
    ("poll", "before", "confirmations", "outlier"),
    [
        (jump("57000"), BEFORE, [], False),  # 14 %
        (jump("58000"), BEFORE, [], True),  # 16 %
        (jump("42000"), BEFORE, [], True),
        (jump("58000"), (), [], False),  # the first poll ever
        (jump("58000"), BEFORE, [d("57000")], False),  # a second venue or the last trade agrees
        (jump("58000"), BEFORE, [d("50000")], True),
        (jump("61000"), HELD_BEFORE, [], False),  # the next poll confirms it
        (jump("50100"), HELD_BEFORE, [], False),  # it was a spike: back to the accepted price
        (jump("80000"), HELD_BEFORE, [], True),  # another spike confirms nothing
    ],
)
def test_an_outlier_is_held_until_something_confirms_it(
    poll: Poll, before: tuple[Poll, ...], confirmations: list[Decimal], outlier: bool
) -> None:
    assert market.is_outlier(poll, before, confirmations, LIMITS) is outlier


def test_a_frozen_price_needs_five_equal_polls_at_five_times() -> None:
    same = ("50000", "50001")
    assert market.is_frozen(polls(*[same] * 5), 5)
    assert not market.is_frozen(polls(*[same] * 4), 5)
    assert not market.is_frozen(polls(*[same] * 4, ("50000", "50002")), 5), "the ask moved"
    assert not market.is_frozen(polls(*[same] * 1) * 5, 5), "one poll five times over"
    assert market.is_frozen(polls(("1", "2"), *[same] * 5), 5)


def test_deviation_is_the_largest() -> None:
    others = [OtherMid(venue="a", mid=d("100"), at_ms=0), OtherMid(venue="b", mid=d("110"), at_ms=0)]
    assert market.deviation_frac(d("99"), others) == d("0.1")
    assert market.deviation_frac(d("99"), []) == 0
