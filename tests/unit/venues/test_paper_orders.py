"""Every order type of the paper exchange against hand-made books: what it takes, at which price, what stays."""

from pathlib import Path

import pytest

from desk.base.money import text
from desk.venues.outcome import Klass, VenueError
from desk.venues.protocol import OrderStatus, OrderType, Trade
from unit.venues.paper_kit import START_MS, Desk, book, d, money_closes, rules_with

MARKET, LIMIT, IOC, FOK = OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT_IOC, OrderType.LIMIT_FOK
STOP, TARGET = OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def prices(trades: tuple[Trade, ...]) -> list[tuple[str, str]]:
    return [(text(trade.quantity), text(trade.price)) for trade in trades]


def test_market_buy_walks_the_book_level_by_level(desk: Desk) -> None:
    report = desk.order("BUY", MARKET, "2")
    assert report.status is OrderStatus.FILLED
    assert prices(report.trades) == [("1", "100"), ("1", "100.1")]
    assert (report.executed, report.executed_quote) == (d("2"), d("200.10"))
    assert (desk.free("BTC"), desk.free("USDT")) == (d("2"), d("9799.90"))


def test_market_sell_walks_the_bids(desk: Desk) -> None:
    desk.buy("2")
    report = desk.order("SELL", MARKET, "2")
    assert prices(report.trades) == [("1", "99.9"), ("1", "99.8")]
    assert desk.free("BTC") == 0


def test_market_is_bounded_by_the_depth_and_then_expires(desk: Desk) -> None:
    report = desk.order("BUY", MARKET, "20")
    assert (report.status, report.executed) == (OrderStatus.EXPIRED, d("8"))
    assert desk.locked("USDT") == 0


def test_market_without_the_other_side_expires_unfilled(desk: Desk) -> None:
    desk.shown = book([("99", "1")], [])
    report = desk.order("BUY", MARKET, "1")
    assert (report.status, report.trades) == (OrderStatus.EXPIRED, ())
    assert desk.free("USDT") == 10000


def test_ioc_takes_within_its_limit_and_the_rest_expires(desk: Desk) -> None:
    report = desk.order("BUY", IOC, "5", "100.10")
    assert (report.status, report.executed) == (OrderStatus.EXPIRED, d("3"))
    assert (desk.locked("USDT"), desk.free("USDT")) == (0, d("9699.80"))


@pytest.mark.parametrize(("quantity", "status"), [("3", OrderStatus.FILLED), ("3.00001", OrderStatus.EXPIRED)])
def test_fok_is_all_or_nothing(desk: Desk, quantity: str, status: OrderStatus) -> None:
    report = desk.order("BUY", FOK, quantity, "100.10")
    assert report.status is status
    assert report.executed == (d(quantity) if status is OrderStatus.FILLED else 0)


def test_slippage_worsens_each_price_onto_the_tick_against_us(tmp_path: Path) -> None:
    desk = Desk(tmp_path, costs={"slippage_bps": d("5")})
    assert prices(desk.buy("2").trades) == [("1", "100.05"), ("1", "100.16")]  # 100.15005 rounds up
    assert prices(desk.order("SELL", MARKET, "2").trades) == [("1", "99.85"), ("1", "99.75")]  # 99.85005, 99.7501


def test_slippage_never_passes_the_limit(tmp_path: Path) -> None:
    desk = Desk(tmp_path, costs={"slippage_bps": d("50")})
    assert prices(desk.order("BUY", IOC, "3", "100.20").trades) == [("1", "100.2"), ("2", "100.2")]
    assert prices(desk.order("SELL", IOC, "1", "99.70").trades) == [("1", "99.7")]


@pytest.mark.parametrize(
    ("fee_bps", "btc_fee", "usdt_fee"), [("10", "0.00000123", "0.00012188"), ("7.5", "0.00000093", "0.00009141")]
)
def test_fees_are_taken_from_what_is_received_and_rounded_up_to_eight_places(
    tmp_path: Path, fee_bps: str, btc_fee: str, usdt_fee: str
) -> None:
    desk = Desk(tmp_path, rules=rules_with(notional_min=d("0")), costs={"fee_bps": d(fee_bps)})
    bought = desk.buy("0.00123").trades[0]  # exactly 0.00000123 at 10 bps; 0.0000009225 at 7.5
    sold = desk.order("SELL", MARKET, "0.00122").trades[0]
    assert (bought.fee, bought.fee_asset) == (d(btc_fee), "BTC")
    assert (sold.fee, sold.fee_asset) == (d(usdt_fee), "USDT")  # of 0.121878
    assert money_closes(desk.broker.books("binance"))


def test_a_fee_never_exceeds_what_was_received(tmp_path: Path) -> None:
    tiny = rules_with(notional_min=d("0"), step=d("0"), quantity_min=d("0"))
    desk = Desk(tmp_path, rules=tiny, costs={"fee_bps": d("10")})
    trade = desk.order("BUY", MARKET, "0.000000001").trades[0]
    assert trade.fee == trade.quantity
    assert desk.free("BTC") == 0


def test_limit_takes_what_crosses_and_rests_with_the_remainder(desk: Desk) -> None:
    report = desk.order("BUY", LIMIT, "5", "100.10")
    assert (report.status, report.executed) == (OrderStatus.PARTIALLY_FILLED, d("3"))
    assert desk.locked("USDT") == d("200.20")
    assert [order.client_order_id for order in desk.client.open_orders()] == ["c1"]


def test_a_resting_limit_is_not_filled_at_its_price_but_through_it(desk: Desk) -> None:
    desk.order("BUY", LIMIT, "1", "99.50")
    assert desk.show([("99", "1")], [("99.50", "9")]) == ()
    trades = desk.show([("99", "1")], [("99.49", "9")])
    assert prices(trades) == [("1", "99.5")]
    assert trades[0].maker
    assert desk.client.get_order("BTCUSDT", "c1").status is OrderStatus.FILLED
    assert desk.free("USDT") == d("9900.50")


def test_a_resting_sale_needs_the_bid_through_it(desk: Desk) -> None:
    desk.buy("1")
    desk.order("SELL", LIMIT, "1", "100.50")
    assert desk.show([("100.50", "9")], [("100.60", "1")]) == ()
    assert prices(desk.show([("100.51", "9")], [("100.60", "1")])) == [("1", "100.5")]


def test_resting_fills_are_bounded_by_the_depth_at_or_through_the_price(desk: Desk) -> None:
    desk.order("BUY", LIMIT, "5", "99.50")
    trades = desk.show([("99", "1")], [("99.40", "1"), ("99.50", "2.000015"), ("99.60", "7")])
    assert prices(trades) == [("3.00001", "99.5")]  # whole steps only
    assert desk.locked("USDT") == d("1.99999") * d("99.50")


def test_the_same_book_shown_twice_fills_nothing_twice(desk: Desk) -> None:
    desk.order("BUY", LIMIT, "5", "99.50")
    assert len(desk.show([("99", "1")], [("99.40", "1")])) == 1
    assert desk.broker.on_book(desk.shown, desk.now_ms) == ()
    assert len(desk.show([("99", "1")], [("99.40", "1")])) == 1


def test_two_orders_do_not_take_the_same_depth(desk: Desk) -> None:
    assert prices(desk.order("BUY", IOC, "1", "100.00").trades) == [("1", "100")]
    assert desk.order("BUY", IOC, "1", "100.00").trades == ()


def test_an_older_book_is_ignored_by_resting_orders(desk: Desk) -> None:
    desk.order("BUY", LIMIT, "5", "99.50")
    desk.show([("99", "1")], [("99.40", "1")])
    stale = book([("98", "1")], [("98.10", "9")], START_MS)
    assert desk.broker.on_book(stale, desk.now_ms) == ()


def test_a_crossed_book_fills_nothing_and_takes_no_order(desk: Desk) -> None:
    desk.order("BUY", LIMIT, "1", "99.50")
    crossed = book([("99.30", "1")], [("99.20", "9")], START_MS + 1)
    assert desk.broker.on_book(crossed, START_MS + 1) == ()
    desk.shown = crossed
    with pytest.raises(VenueError) as error:
        desk.buy("1")
    assert error.value.sent == "not_sent"


def test_levels_without_price_or_quantity_do_not_exist(desk: Desk) -> None:
    desk.shown = book([("99", "1")], [("0", "5"), ("-1", "5"), ("100", "0"), ("100.50", "1")])
    assert prices(desk.buy("1").trades) == [("1", "100.5")]


def test_limit_maker_rests_or_is_refused(desk: Desk) -> None:
    with pytest.raises(VenueError) as error:
        desk.order("BUY", OrderType.LIMIT_MAKER, "1", "100.00")
    assert (error.value.class_, error.value.sent, error.value.order_may_exist) == (Klass.REJECTED, "rejected", False)
    assert error.value.message == "Order would immediately match and take."
    assert desk.order("BUY", OrderType.LIMIT_MAKER, "1", "99.99").status is OrderStatus.NEW
    assert prices(desk.show([("99", "1")], [("99.98", "5")])) == [("1", "99.99")]


def test_a_stop_sale_triggers_on_the_bid_and_takes_down_to_its_limit(desk: Desk) -> None:
    desk.buy("2")
    desk.order("SELL", STOP, "2", "97.00", "98.00")
    assert desk.locked("BTC") == 2
    assert desk.show([("98.01", "5")], [("98.10", "1")]) == ()
    trades = desk.show([("98.00", "0.5"), ("97.00", "0.5"), ("96.99", "9")], [("98.10", "1")])
    assert prices(trades) == [("0.5", "98"), ("0.5", "97")]
    assert not any(trade.maker for trade in trades)
    assert prices(desk.show([("97.50", "9")], [("98.10", "1")])) == [("1", "97")]  # then it rests


def test_a_triggered_stop_below_the_market_of_its_limit_stays_and_stays_triggered(desk: Desk) -> None:
    desk.buy("1")
    desk.order("SELL", STOP, "1", "97.00", "98.00")
    assert desk.show([("90.00", "5")], [("90.10", "1")]) == ()
    assert desk.show([("97.00", "5")], [("99.10", "1")]) == ()
    assert prices(desk.show([("99.00", "5")], [("99.10", "1")])) == [("1", "97")]  # no second trigger was needed


def test_a_stop_purchase_triggers_on_the_ask(desk: Desk) -> None:
    desk.order("BUY", STOP, "1", "103.00", "102.00")
    assert desk.show([("101", "5")], [("101.99", "5")]) == ()
    assert prices(desk.show([("101", "5")], [("102.00", "5")])) == [("1", "102")]


@pytest.mark.parametrize(
    ("side", "price", "stop", "quiet", "trigger", "paid"),
    [
        ("SELL", "103.00", "104.00", ("103.99", "104.10"), ("104.00", "104.10"), "104"),
        ("BUY", "97.00", "96.00", ("95.90", "96.01"), ("95.90", "96.00"), "96"),
    ],
)
def test_take_profit_triggers_with_the_market(
    desk: Desk, side: str, price: str, stop: str, quiet: tuple[str, str], trigger: tuple[str, str], paid: str
) -> None:
    desk.buy("1")
    desk.order(side, TARGET, "1", price, stop)
    assert desk.show([(quiet[0], "5")], [(quiet[1], "5")]) == ()
    assert prices(desk.show([(trigger[0], "5")], [(trigger[1], "5")])) == [("1", paid)]


def test_a_stop_that_would_trigger_at_once_is_refused(desk: Desk) -> None:
    desk.buy("1")
    with pytest.raises(VenueError, match="would trigger immediately"):
        desk.order("SELL", STOP, "1", "99.00", "99.90")


def test_a_stop_needs_no_book_to_rest(desk: Desk) -> None:
    desk.buy("1")
    desk.shown = None
    assert desk.order("SELL", STOP, "1", "97.00", "98.00").status is OrderStatus.NEW
    with pytest.raises(VenueError) as error:
        desk.order("SELL", MARKET, "1")
    assert (error.value.sent, error.value.order_may_exist) == ("not_sent", False)


def test_a_cancel_frees_what_was_locked_and_only_an_open_order_can_be_cancelled(desk: Desk) -> None:
    desk.order("BUY", LIMIT, "1", "99.50")
    report = desk.client.cancel_order("BTCUSDT", "c1")
    assert (report.status, desk.locked("USDT"), desk.free("USDT")) == (OrderStatus.CANCELED, 0, 10000)
    for symbol, name in (("BTCUSDT", "c1"), ("BTCUSDT", "nobody"), ("ETHUSDT", "c1")):
        with pytest.raises(VenueError) as error:
            desk.client.cancel_order(symbol, name)
        assert (error.value.class_, error.value.code) == (Klass.ORDER_NOT_FOUND_QUERY_FIRST, -2011)


def test_spot_locks_the_coins(desk: Desk) -> None:
    desk.buy("1")
    desk.order("SELL", STOP, "0.6", "97.00", "98.00")
    with pytest.raises(VenueError) as error:
        desk.order("SELL", MARKET, "0.5")
    assert (error.value.class_, error.value.code) == (Klass.REJECTED, -2010)
    assert desk.order("SELL", MARKET, "0.4").status is OrderStatus.FILLED


def test_a_client_id_is_unique_among_open_orders_only(desk: Desk) -> None:
    desk.order("BUY", LIMIT, "1", "99.50", name="same")
    with pytest.raises(VenueError) as error:
        desk.order("BUY", LIMIT, "1", "99.50", name="same")
    assert (error.value.class_, error.value.order_may_exist) == (Klass.ALREADY_EXISTS, True)
    desk.client.cancel_order("BTCUSDT", "same")
    again = desk.order("BUY", LIMIT, "1", "99.40", name="same")
    assert desk.client.get_order("BTCUSDT", "same") == again  # the newest


def test_latency_is_added_to_reported_times_only(tmp_path: Path) -> None:
    desk = Desk(tmp_path, costs={"latency_ms": 50})
    report = desk.buy("1")
    assert {report.time_ms, report.update_ms, report.trades[0].time_ms} == {START_MS + 50}


def test_lists_filter_by_symbol_and_time(desk: Desk) -> None:
    desk.buy("0.5")
    desk.at(START_MS + 1000)
    desk.buy("0.5")
    assert [trade.trade_id for trade in desk.client.my_trades("BTCUSDT", START_MS)] == ["1", "2"]
    assert [trade.trade_id for trade in desk.client.my_trades("BTCUSDT", START_MS + 1)] == ["2"]
    assert [order.order_id for order in desk.client.orders_since(None, START_MS + 1)] == ["2"]
    assert desk.client.my_trades("ETHUSDT", 0) == ()
    assert desk.client.get_order("ETHUSDT", "c1") is None


def test_a_symbol_without_grids_stays_exact(tmp_path: Path) -> None:
    free = rules_with(tick=d("0"), step=d("0"), notional_min=d("0"))
    desk = Desk(tmp_path, rules=free, costs={"fee_bps": d("7"), "slippage_bps": d("3")})
    desk.shown = book([("0.0000000123", "1e9")], [("0.00000001234567", "7777777.123456789012345")])
    desk.buy("6543210.9876543210")
    desk.order("SELL", MARKET, "6000000.5")
    books = desk.broker.books("binance")
    assert len(books.trades) == 2
    assert money_closes(books)
