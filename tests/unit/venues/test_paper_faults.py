"""Faults on demand: the answer may be lost, what was accepted never is."""

from pathlib import Path

import pytest

from desk.venues.outcome import Klass, VenueError
from desk.venues.paper_faults import PaperFaults
from desk.venues.protocol import OrderReport, OrderStatus, OrderType
from unit.venues.paper_kit import START_MS, SYMBOL, Desk, d, money_closes

MARKET, LIMIT, IOC = OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT_IOC
ASKS = [("100.00", "1"), ("100.10", "9")]


def status_of(desk: Desk, name: str = "c1") -> OrderReport | None:
    """Asked by a fresh process's eyes: another broker on the same home."""
    return Desk(desk.root, now_ms=desk.now_ms).client.get_order(SYMBOL, name)


@pytest.mark.parametrize(
    ("kind", "code", "stands"),
    [("drop_before", None, False), ("drop_after_accept", None, True), ("unknown_1007", -1007, True)],
)
def test_a_lost_answer(tmp_path: Path, kind: str, code: int | None, stands: bool) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(**{kind: 1}))
    with pytest.raises(VenueError) as error:
        desk.buy("1")
    assert (error.value.sent, error.value.order_may_exist, error.value.code) == ("unknown", True, code)
    assert error.value.class_ is Klass.EXECUTION_UNKNOWN
    found = status_of(desk)
    assert (found is not None) is stands
    assert desk.free("BTC") == (1 if stands else 0)
    assert desk.order("BUY", MARKET, "1", name="next").status is OrderStatus.FILLED  # only one call was hit


def test_a_refusal_on_demand(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(reject=2))
    for _ in range(2):
        with pytest.raises(VenueError) as error:
            desk.buy("1")
        assert (error.value.sent, error.value.order_may_exist) == ("rejected", False)
    assert desk.client.orders_since(None, 0) == ()
    desk.buy("1")


def test_a_refused_order_does_not_use_up_the_lost_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(drop_after_accept=1))
    with pytest.raises(VenueError, match="PRICE_FILTER"):
        desk.order("BUY", LIMIT, "1", "99.001")
    assert desk.faults.drop_after_accept == 1


def test_a_cancel_whose_answer_is_lost_was_done_and_may_be_sent_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(cancel_unknown=1))
    desk.order("BUY", LIMIT, "1", "90")
    with pytest.raises(VenueError) as error:
        desk.client.cancel_order(SYMBOL, "c1")
    assert (error.value.sent, error.value.order_may_exist) == ("unknown", False)
    assert status_of(desk).status is OrderStatus.CANCELED
    with pytest.raises(VenueError) as again:
        desk.client.cancel_order(SYMBOL, "c1")
    assert again.value.class_ is Klass.ORDER_NOT_FOUND_QUERY_FIRST


def test_a_listing_that_lags_hides_order_and_trades_but_not_the_money(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(listing_lag_ms=30_000))
    assert desk.order("BUY", LIMIT, "3", "100.00").executed == 1
    for now_ms, shown in ((START_MS + 29_999, False), (START_MS + 30_000, True)):
        desk.at(now_ms)
        assert (status_of(desk) is not None) is shown
        lists = (desk.client.open_orders(), desk.client.my_trades(SYMBOL, 0), desk.client.orders_since(None, 0))
        assert [bool(listed) for listed in lists] == [shown] * 3
        assert desk.free("BTC") == 1
    assert len(desk.broker.books("binance").orders) == 1


def test_a_late_fill_comes_with_the_first_book_after_its_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(late_fill_ms=90_000))
    report = desk.order("BUY", IOC, "2", "100.10")
    assert (report.status, report.executed, desk.locked("USDT")) == (OrderStatus.NEW, 0, d("200.20"))
    assert desk.show([("99", "1")], ASKS) == ()
    trades = desk.show([("99", "1")], ASKS)
    assert [(trade.quantity, trade.price) for trade in trades] == [(1, d("100.00")), (1, d("100.10"))]
    assert status_of(desk).status is OrderStatus.FILLED
    assert desk.locked("USDT") == 0


def test_a_late_market_purchase_spends_no_more_than_there_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(late_fill_ms=1), costs={"starting_balance_quote": d("150")})
    desk.order("BUY", MARKET, "1")
    assert (desk.locked("USDT"), desk.free("USDT")) == (100, 50)
    desk.show([("99", "1")], [("170.00", "9")])
    report = status_of(desk)
    assert (report.status, report.executed) == (OrderStatus.EXPIRED, d("0.88235"))
    assert 0 <= desk.free("USDT") < d("0.0017")
    assert money_closes(desk.broker.books("binance"))


def test_a_late_order_can_be_cancelled_before_it_fills(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(late_fill_ms=90_000))
    desk.buy("1")
    desk.client.cancel_order(SYMBOL, "c1")
    assert desk.show([("99", "1")], ASKS, 100_000) == ()
    assert desk.free("USDT") == 10000


def test_a_stop_waits_for_its_trigger_not_for_the_late_fill(tmp_path: Path) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(late_fill_ms=90_000))
    desk.order("BUY", OrderType.STOP_LOSS_LIMIT, "1", "103.00", "102.00")
    assert len(desk.show([("99", "1")], [("102.00", "5")])) == 1


@pytest.mark.parametrize(
    ("kind", "price", "status", "executed"),
    [
        (MARKET, "", OrderStatus.EXPIRED, "0.66666"),
        (IOC, "100.10", OrderStatus.EXPIRED, "0.66666"),
        (OrderType.LIMIT_FOK, "100.10", OrderStatus.EXPIRED, "0"),
        (LIMIT, "100.10", OrderStatus.PARTIALLY_FILLED, "0.66666"),
    ],
)
def test_a_partial_fill(tmp_path: Path, kind: OrderType, price: str, status: OrderStatus, executed: str) -> None:
    desk = Desk(tmp_path, faults=PaperFaults(partial_fill_frac=d("0.333333")))
    report = desk.order("BUY", kind, "2", price)
    assert (report.status, report.executed) == (status, d(executed))
    assert desk.free("USDT") + desk.locked("USDT") == 10000 - report.executed_quote
