"""A list of trades is read to its end, or it is no evidence."""

from decimal import Decimal
from typing import Any

import pytest

from desk.venues import paging
from desk.venues.outcome import VenueError
from desk.venues.protocol import OrderReport, OrderStatus, Side, Trade


def trade(number: int, time_ms: int) -> Trade:
    one = Decimal(1)
    return Trade(
        trade_id=str(number), symbol="S", order_id="1", client_order_id="", side=Side.BUY, quantity=one, price=one,
        fee=one, fee_asset="S", time_ms=time_ms,
    )  # fmt: skip


class Exchange:
    """Pages like Binance (fromId, newest first page) or like MEXC (time windows, newest first)."""

    def __init__(self, trades: list[Trade], size: int) -> None:
        self.trades, self.size, self.calls = trades, size, 0

    def by_id(self, startTime: int | None = None, fromId: int | None = None) -> tuple[Trade, ...]:  # noqa: N803
        self.calls += 1
        if fromId is not None:
            return tuple([t for t in self.trades if int(t.trade_id) >= fromId][: self.size])
        if startTime is not None:
            return tuple([t for t in self.trades if t.time_ms >= startTime][: self.size])
        return tuple(self.trades[-self.size :])

    def by_time(self, startTime: int, endTime: int | None) -> tuple[Trade, ...]:  # noqa: N803
        self.calls += 1
        inside = [t for t in self.trades if startTime <= t.time_ms <= (endTime if endTime is not None else 10**15)]
        return tuple(reversed(inside[-self.size :]))

    def by_number(self, first: int, page: int | None = None) -> list[dict[str, Any]]:
        """Pages of orders, newest first; `first` is the number of the first page, which is also the unnumbered one."""
        self.calls += 1
        skipped = max(0, (page if page is not None else first) - first) * self.size
        rows = [{"id": int(t.trade_id)} for t in reversed(self.trades)]
        return rows[skipped : skipped + self.size]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35, 100])
@pytest.mark.parametrize("since", [0, 30, 10_000])
@pytest.mark.parametrize("way", ["by_id", "by_time"])
def test_nothing_is_missed_and_nothing_twice(count: int, since: int, way: str) -> None:
    trades = [trade(number, number * 3 // 2) for number in range(count)]
    exchange = Exchange(trades, 10)
    read: Any = getattr(paging, way)
    found = read(getattr(exchange, way), since, 10, "binance")
    assert [t.trade_id for t in found] == [t.trade_id for t in trades if t.time_ms >= since]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 35, 100])
@pytest.mark.parametrize("first", [0, 1])
def test_numbered_pages_are_read_whole_whatever_the_first_is_called(count: int, first: int) -> None:
    exchange = Exchange([trade(number, number) for number in range(count)], 10)
    found = paging.by_number(lambda **page: exchange.by_number(first, **page), 10, "btcturk")
    assert sorted(row["id"] for row in found) == list(range(count))
    assert exchange.calls <= count // 10 + 2


def test_an_order_that_appears_while_we_read_pushes_none_out() -> None:
    exchange = Exchange([trade(number, number) for number in range(35)], 10)

    def page(**which: Any) -> list[dict[str, Any]]:
        rows = exchange.by_number(1, **which)
        exchange.trades.append(trade(100 + exchange.calls, 1))
        return rows

    assert {row["id"] for row in paging.by_number(page, 10, "btcturk")} >= set(range(35))


def test_numbered_pages_that_never_change_are_incomplete() -> None:
    exchange = Exchange([trade(number, number) for number in range(10)], 10)
    with pytest.raises(VenueError, match="nothing new"):
        paging.by_number(lambda **page: exchange.by_number(1), 10, "btcturk")
    assert exchange.calls == 3


def test_the_usual_look_is_one_call() -> None:
    exchange = Exchange([trade(number, number) for number in range(9)], 10)
    paging.by_id(exchange.by_id, 0, 10, "binance")
    assert exchange.calls == 1


def test_a_page_full_of_one_instant_is_incomplete() -> None:
    exchange = Exchange([trade(number, 5) for number in range(30)], 10)
    with pytest.raises(VenueError, match="incomplete list"):
        paging.by_time(exchange.by_time, 0, 10, "mexc")


def test_an_exchange_that_never_ends_is_incomplete() -> None:
    endless = Exchange([trade(number, number) for number in range(20_000)], 10)
    for look, read in ((endless.by_id, paging.by_id), (endless.by_time, paging.by_time)):
        with pytest.raises(VenueError, match="more than 50 pages"):
            read(look, 0, 10, "binance")


def test_pages_that_contradict_each_other_are_incomplete() -> None:
    full = [trade(number, 100) for number in range(10)]
    with pytest.raises(VenueError, match="no first page"):
        paging.by_id(lambda **params: () if params else tuple(full), 0, 10, "binance")


def order(number: int, time_ms: int) -> OrderReport:
    one = Decimal(1)
    return OrderReport(
        venue="binance", symbol="S", client_order_id="", order_id=str(number), side=Side.BUY, type="LIMIT",
        status=OrderStatus.NEW, status_word="NEW", quantity=one, executed=one, executed_quote=one, price=one,
        stop_price=one, time_ms=time_ms, update_ms=time_ms,
    )  # fmt: skip


def listing(orders: list[OrderReport], size: int) -> Any:
    """Lists like Binance: at most a day at once, at most `size` rows."""

    def page(startTime: int, endTime: int) -> tuple[OrderReport, ...]:  # noqa: N803
        assert endTime - startTime < paging.DAY_MS
        return tuple([o for o in orders if startTime <= o.time_ms <= endTime][:size])

    return page


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 70])
@pytest.mark.parametrize("gap_ms", [1, 3, 5_000_000])
def test_orders_of_several_days_are_all_there(count: int, gap_ms: int) -> None:
    orders = [order(number, number * gap_ms) for number in range(count)]
    until_ms = 4 * paging.DAY_MS
    found = paging.orders(listing(orders, 10), 0, until_ms, 10, "binance")
    assert [o.time_ms for o in found] == [o.time_ms for o in orders if o.time_ms <= until_ms]


def test_more_orders_in_one_instant_than_a_page_holds_are_incomplete() -> None:
    with pytest.raises(VenueError, match="one instant"):
        paging.orders(listing([order(number, 7) for number in range(10)], 10), 0, 100, 10, "binance")


def test_a_span_too_long_to_list_is_incomplete() -> None:
    with pytest.raises(VenueError, match="more than 50 pages"):
        paging.orders(listing([], 10), 0, 60 * paging.DAY_MS, 10, "binance")
