"""Reading a list of trades or orders to its end. Owns the ways exchanges page; raises rather than miss one.

A look that supports "not found" or "money closes" counts only when it is complete (rules: Intents).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from desk.venues.fields import identity
from desk.venues.outcome import Finding, Klass, VenueError
from desk.venues.protocol import OrderReport, Trade

PAGES_MAX: Final = 50
DAY_MS: Final = 86_400_000  # the longest window Binance lists orders of in one call
Page = Callable[..., tuple[Trade, ...]]
OrderPage = Callable[..., tuple[OrderReport, ...]]
Rows = Callable[..., Sequence[Mapping[str, Any]]]


def by_id(page: Page, since_ms: int, size: int, venue: str) -> tuple[Trade, ...]:
    """Binance: the newest page first, which is nearly always all; else forward by trade id from `since_ms`.

    `startTime` alone may be cut to a day by the exchange, so it is only used to find a first id, and an empty first
    page although newer trades are known is an incomplete look.

    Raises:
        VenueError: incomplete after PAGES_MAX pages, or the pages contradict each other.
    """
    newest = page()
    if _whole_page(len(newest), size, venue) or min(trade.time_ms for trade in newest) < since_ms:
        return ordered(newest, since_ms)
    found = list(page(startTime=since_ms))
    if not found:
        raise _incomplete(venue, "no first page")
    for _ in range(PAGES_MAX):
        last = _newest(found, venue)
        more = page(fromId=last + 1)
        found += more
        if _whole_page(len(more), size, venue):
            return ordered((*found, *newest), since_ms)
    raise _incomplete(venue, f"more than {PAGES_MAX} pages")


def by_time(page: Page, since_ms: int, size: int, venue: str) -> tuple[Trade, ...]:
    """MEXC: windows of time, each ending where the page before it began (both ends included, repeats dropped).

    Raises:
        VenueError: incomplete after PAGES_MAX pages, or a page full of one instant.
    """
    found: dict[str, Trade] = {}
    end_ms: int | None = None
    for _ in range(PAGES_MAX):
        got = page(startTime=since_ms, endTime=end_ms)
        fresh = [trade for trade in got if trade.trade_id not in found]
        found |= {trade.trade_id: trade for trade in fresh}
        if _whole_page(len(got), size, venue):
            return ordered(tuple(found.values()), since_ms)
        oldest_ms = min(trade.time_ms for trade in got)
        if not fresh or oldest_ms == end_ms:
            raise _incomplete(venue, "a page full of one instant")
        end_ms = oldest_ms
    raise _incomplete(venue, f"more than {PAGES_MAX} pages")


def orders(page: OrderPage, since_ms: int, until_ms: int, size: int, venue: str) -> tuple[OrderReport, ...]:
    """Every order accepted in a span: windows of a day, a full one divided until each is whole; oldest first.

    Raises:
        VenueError: incomplete after PAGES_MAX pages, or a page full of one instant.
    """
    starts = range(since_ms, until_ms + 1, DAY_MS)
    todo = [(start, min(start + DAY_MS - 1, until_ms)) for start in starts]
    found: dict[str, OrderReport] = {}
    for _ in range(PAGES_MAX):
        if not todo:
            return tuple(sorted(found.values(), key=lambda order: (order.time_ms, order.order_id)))
        first, last = todo.pop()
        got = page(startTime=first, endTime=last)
        if _whole_page(len(got), size, venue, "orders"):
            found |= {order.order_id: order for order in got}
            continue
        oldest, newest = min(order.time_ms for order in got), max(order.time_ms for order in got)
        if oldest == newest:
            raise _incomplete(venue, "a page full of one instant", "orders")
        middle = (oldest + newest) // 2
        todo += [(first, middle), (middle + 1, last)]
    raise _incomplete(venue, f"more than {PAGES_MAX} pages", "orders")


def by_number(page: Rows, size: int, venue: str) -> list[Mapping[str, Any]]:
    """BTCTurk: numbered pages of orders. Whether 0 or 1 is the first is not documented, so the page without a number
    is read first, and page 1 may repeat it; what appears while we read moves others to later pages, not out of them.

    Raises:
        VenueError: incomplete after PAGES_MAX pages, or a full page of nothing new.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for number in range(PAGES_MAX):
        rows = page(page=number) if number else page()
        known = len(found)
        found |= {identity(row["id"]): row for row in rows}
        if _whole_page(len(rows), size, venue, "orders"):
            return list(found.values())
        if number > 1 and len(found) == known:
            raise _incomplete(venue, "a full page of nothing new", "orders")
    raise _incomplete(venue, f"more than {PAGES_MAX} pages", "orders")


def ordered(trades: tuple[Trade, ...], since_ms: int) -> tuple[Trade, ...]:
    """Each trade once, from a time on, oldest first."""
    unique = {trade.trade_id: trade for trade in trades if trade.time_ms >= since_ms}
    return tuple(sorted(unique.values(), key=lambda trade: (trade.time_ms, len(trade.trade_id), trade.trade_id)))


def _newest(found: list[Trade], venue: str) -> int:
    try:
        return max(int(trade.trade_id) for trade in found)
    except ValueError:
        raise _incomplete(venue, "a trade id that is no number") from None


def _whole_page(rows: int, size: int, venue: str, what: str = "trades") -> bool:
    """True when a page is the last one. One with more rows than asked for is of another list, and could go on so.

    Raises:
        VenueError: more rows than asked for.
    """
    if rows > size:
        raise _incomplete(venue, f"{rows} rows, {size} were asked for", what)
    return rows < size


def _incomplete(venue: str, why: str, what: str = "trades") -> VenueError:
    finding = Finding(klass=Klass.EXECUTION_UNKNOWN, message=f"incomplete list of {what}: {why}")
    return VenueError(venue, f"my {what}", finding, is_order=False, is_read=True)
