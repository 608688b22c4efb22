"""BTCTurk's recorded answers turned into our words; what is missing or contradictory is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.base.errors import BadInput
from desk.venues import dialect, dialect_btcturk, outcome
from desk.venues.protocol import OrderRequest, OrderStatus, OrderType, Side, Trade
from desk.venues.table import VENUES, order_type
from venue.kit import contract, needs_contracts

D = Decimal


def told(name: str) -> Any:
    """The recorded body as our decoder reads it: numbers with a point stay text."""
    case = contract(f"btcturk/rest/{name}.json")
    found = outcome.classify(VENUES["btcturk"].errors, case["http_status"], {}, json.dumps(case["body"]).encode())
    assert found.klass is outcome.Klass.ACCEPTED
    return found.value


def row(**fields: Any) -> dict[str, Any]:
    """A row of allOrders."""
    values: dict[str, Any] = {
        "id": 1, "price": "500000", "quantity": "0.002", "stopPrice": "0", "pairSymbol": "BTCTRY", "type": "buy",
        "method": "limit", "orderClientId": "abc1", "time": 5, "updateTime": 6, "status": "Untouched",
        "leftAmount": "0.0020000000000000",
    }  # fmt: skip
    return {name: value for name, value in (values | fields).items() if value is not None}


def fill(quantity: str, price: str = "500000", number: int = 1) -> Trade:
    return Trade(
        trade_id=str(number), symbol="BTCTRY", order_id="1", client_order_id="", side=Side.BUY, quantity=D(quantity),
        price=D(price), fee=D(1), fee_asset="TRY", time_ms=7,
    )  # fmt: skip


def request(kind: OrderType = OrderType.LIMIT, **fields: Any) -> OrderRequest:
    values = {"client_order_id": "test", "symbol": "BTCTRY", "side": Side.BUY, "quantity": D("0.001")}
    return OrderRequest(**({"type": kind, "price": D("20000")} | values | fields))


@needs_contracts
def test_rules_round_prices_to_the_tick_not_to_the_scale() -> None:
    found = dialect_btcturk.rules(dialect_btcturk.data_of(told("exchange_info"))["symbols"][0])
    assert (found.symbol, found.base, found.quote, found.status) == ("BTCTRY", "BTC", "TRY", "TRADING")
    assert (found.tick, found.step, found.notional_min) == (D(10), D("1e-8"), D("99.91"))
    assert (found.quantity_min, found.quantity_max, found.price_max) == (D(0), D(0), D(10_000_000))
    assert found.order_types == ("MARKET", "LIMIT", "STOP_LOSS_LIMIT")
    assert (found.entries_allowed, found.exits_allowed) == (True, True)


def test_a_pair_that_does_not_trade_and_a_tick_that_is_not_told() -> None:
    pair = {"name": "XTRY", "status": "HALT", "numerator": "X", "denominator": "TRY", "numeratorScale": 4}
    found = dialect_btcturk.rules(pair | {"denominatorScale": 2, "filters": [], "orderMethods": ["LIMIT", "NEW_ONE"]})
    assert (found.tick, found.step, found.order_types) == (D("0.01"), D("0.0001"), ("LIMIT",))
    assert (found.status, found.entries_allowed, found.exits_allowed) == ("HALT", False, False)


def test_rules_do_not_move_with_the_price() -> None:
    """The limits of limit prices follow the market: taken as rules they would change with every refresh."""
    pair = {"name": "XTRY", "status": "TRADING", "numerator": "X", "denominator": "TRY", "numeratorScale": 4}
    pair |= {"denominatorScale": 2, "filters": []}
    moved = ({"minimumLimitOrderPrice": low, "maximumLimitOrderPrice": "900"} for low in ("1", "2"))
    assert len({dialect_btcturk.rules(pair | limits) for limits in moved}) == 1


@needs_contracts
def test_balances_and_the_book() -> None:
    found = dialect.balances(dialect_btcturk.data_of(told("balances")))
    assert found["TRY"].free + found["TRY"].locked == D("103158.9412490031968651")
    book = dialect_btcturk.book("BTCTRY", told("orderbook"), 0, 1_600_000_000_000)
    assert (book.bids[0].price, book.asks[0].quantity, book.as_of_ms) == (D(33245), D("0.03681877"), 1543836448605)


@needs_contracts
@pytest.mark.parametrize(("offset_ms", "as_of_ms"), [(600, 1543836448005), (-900, 1543836449000)])
def test_a_book_is_as_old_as_the_exchange_says_by_our_clock_and_never_younger_than_its_arrival(
    offset_ms: int, as_of_ms: int
) -> None:
    assert dialect_btcturk.book("BTCTRY", told("orderbook"), offset_ms, 1543836449000).as_of_ms == as_of_ms


@needs_contracts
def test_candles_come_from_columns_and_a_bar_without_trades_is_flat() -> None:
    first, between, last = dialect_btcturk.bars(told("klines_history"), 60)
    assert (first.open_ms, first.close, first.volume) == (1661990400000, D(368388), D("0.00035208"))
    assert (between.open_ms, between.open, between.low, between.volume) == (1661990460000, D(368388), D(368388), D(0))
    assert (last.open_ms, last.open, last.high) == (1661990520000, D(368467), D(369090))


@pytest.mark.parametrize(
    "change",
    [{"s": "error"}, {"t": [60, 60]}, {"t": [120, 60]}, {"c": [1]}, {"h": ["0.5", "1"]}, {"t": [60, 10**9]},
     {"t": ["x", "y"]}, {"v": [-1, 1]}],
)  # fmt: skip
def test_candles_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"s": "ok", "t": [60, 120], **{name: [1, 1] for name in "ohlcv"}}
    assert len(dialect_btcturk.bars(good, 60)) == 2
    with pytest.raises((KeyError, ValueError)):
        dialect_btcturk.bars(good | change, 60)
    assert dialect_btcturk.bars({"s": "no_data"}, 60) == ()


@needs_contracts
def test_open_orders_of_both_sides() -> None:
    rows = dialect_btcturk.open_rows(told("open_orders"))
    found = [dialect_btcturk.order(one) for one in rows]
    assert [one.order_id for one in found] == ["16071095", "16060235", "16060237"]
    assert [one.status for one in found] == [OrderStatus.NEW, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED]
    assert found[2].executed == D("0.04971904") - D("0.0412345")
    assert found[0].time_ms == 1591352311273, "time is 0 there"


@needs_contracts
@pytest.mark.parametrize(("name", "client_id"), [("single_order", "BtcTurk API"), ("all_orders_2021", "2ed187bd")])
def test_single_and_all_orders(name: str, client_id: str) -> None:
    value = dialect_btcturk.data_of(told(name))
    found = dialect_btcturk.order(value[0] if isinstance(value, list) else value)
    assert (found.client_order_id.startswith(client_id), found.status, found.executed) == (True, OrderStatus.NEW, 0)


def test_the_keys_of_other_pages_are_read_too() -> None:
    found = dialect_btcturk.order(row(pairSymbol=None, pairsymbol="BTCTRY", orderClientId=None, newOrderClientId="n"))
    assert (found.symbol, found.client_order_id) == ("BTCTRY", "n")


@needs_contracts
def test_trades_pay_fee_and_tax_in_the_quote_currency() -> None:
    found = dialect_btcturk.trades(told("user_trades"))
    assert [trade.side for trade in found] == [Side.SELL, Side.BUY, Side.BUY]
    assert (found[0].symbol, found[0].quantity, found[0].fee_asset) == ("BTCTRY", D("0.0004"), "TRY")
    assert found[0].fee == D("0.19098258") + D("0.03437687")


@pytest.mark.parametrize(
    ("change", "quantity"), [({"preciseAmount": "-0.33840811"}, "0.33840811"), ({"preciseAmount": None}, "0.3384")]
)
def test_an_amount_rounded_for_display_gives_way_to_the_precise_one(change: dict[str, Any], quantity: str) -> None:
    values = {"id": 1181163798924649598, "timestamp": 1, "amount": "-0.3384", "fee": "0", "tax": 0, "price": "122.00"}
    values |= {"numeratorSymbol": "ETHW", "denominatorSymbol": "TRY", "orderType": "sell", "orderId": 10938696222}
    found = dialect_btcturk.trade(values | change)
    assert (found.quantity, found.trade_id, found.fee) == (D(quantity), "1181163798924649598", D(0))


@pytest.mark.parametrize(
    "change", [{"amount": "0"}, {"fee": "0.1"}, {"fee": None}, {"price": "-1"}, {"orderType": "x"}, {"id": None}]
)
def test_a_trade_nobody_can_book_is_refused(change: dict[str, Any]) -> None:
    values = {"id": 1, "timestamp": 1, "amount": "1", "fee": "-1", "tax": "0", "price": "1", "orderId": 1}
    values |= {"numeratorSymbol": "A", "denominatorSymbol": "B", "orderType": "buy"}
    dialect_btcturk.trade(values)
    with pytest.raises((KeyError, ValueError)):
        dialect_btcturk.trade(values | change)


@needs_contracts
def test_an_acceptance_says_nothing_of_the_state() -> None:
    found = dialect_btcturk.placed(told("submit_order"), request())
    assert (found.status, found.executed, found.order_id) == (OrderStatus.NEW, D(0), "9932534")
    for other in (request(symbol="ETHTRY"), request(client_order_id="other"), request(side=Side.SELL)):
        with pytest.raises(ValueError, match="something else"):
            dialect_btcturk.placed(told("submit_order"), other)


def test_orders_in_btcturks_words() -> None:
    stop = request(OrderType.STOP_LOSS_LIMIT, side=Side.SELL, stop_price=D("19000"))
    assert dialect_btcturk.order_params(stop) == {
        "pairSymbol": "BTCTRY", "orderType": "sell", "orderMethod": "stoplimit", "newOrderClientId": "test",
        "quantity": D("0.001"), "price": D("20000"), "stopPrice": D("19000"),
    }  # fmt: skip
    bought = dialect_btcturk.order_params(request(OrderType.MARKET, quantity=D("0.00123456"), price=D("460001")))
    assert (bought["quantity"], "price" in bought) == (D("567.89"), False), "a market purchase is in TRY, rounded down"
    sold = dialect_btcturk.order_params(request(OrderType.MARKET, side=Side.SELL, price=None))
    assert sold["quantity"] == D("0.001")


@pytest.mark.parametrize("kind", sorted(set(OrderType) - VENUES["btcturk"].order_types))
def test_a_type_the_exchange_has_not_is_refused_and_its_stand_in_is_not(kind: OrderType) -> None:
    with pytest.raises(BadInput, match="BTCTurk has no"):
        dialect_btcturk.order_params(request(kind))
    assert order_type("btcturk", kind) is OrderType.LIMIT
    assert order_type("binance", kind) is kind


def test_the_venue_table_and_the_dialect_name_the_same_types() -> None:
    assert set(dialect_btcturk.METHODS) == VENUES["btcturk"].order_types
    with pytest.raises(BadInput, match="give a price"):
        dialect_btcturk.order_params(request(OrderType.MARKET, price=None))


@pytest.mark.parametrize(
    ("fields", "trades", "status", "executed"),
    [
        ({}, (), OrderStatus.NEW, "0"),
        ({"status": "Partial", "leftAmount": "0.001"}, ("0.001",), OrderStatus.PARTIALLY_FILLED, "0.001"),
        ({"status": "Partial", "leftAmount": "0.001"}, (), OrderStatus.PARTIALLY_FILLED, "0.001"),  # listed later
        ({"status": "Partial", "leftAmount": "0.001"}, ("0.001", "0.0005"), OrderStatus.PARTIALLY_FILLED, "0.0015"),
        ({"status": "Closed", "leftAmount": "0"}, ("0.0015", "0.0005"), OrderStatus.FILLED, "0.002"),
        ({"status": "Closed", "leftAmount": None}, (), OrderStatus.FILLED, "0.002"),
        ({"status": "Closed", "leftAmount": "0.0005"}, ("0.0015",), OrderStatus.EXPIRED, "0.0015"),
        ({"status": "Closed", "leftAmount": "0.002"}, (), OrderStatus.EXPIRED, "0"),
        ({"status": "Canceled", "leftAmount": "0.0005"}, ("0.0015",), OrderStatus.CANCELED, "0.0015"),
        ({"status": "Canceled"}, (), OrderStatus.CANCELED, "0"),
        ({"status": "Frozen"}, (), OrderStatus.UNRECOGNISED, "0"),
        ({"status": "Closed", "method": "market", "quantity": "1000", "leftAmount": "0"}, ("0.0019",),
         OrderStatus.FILLED, "0.0019"),
        ({"status": "Closed", "method": "Market", "quantity": "1000", "leftAmount": None}, ("0.0019",),
         OrderStatus.FILLED, "0.0019"),
        ({"status": "Closed", "method": "market", "quantity": "1000", "leftAmount": "1000"}, (),
         OrderStatus.EXPIRED, "0"),
        ({"status": "Canceled", "method": "market", "quantity": "1000", "leftAmount": "5"}, ("0.0019",),
         OrderStatus.CANCELED, "0.0019"),
        ({"status": "Closed", "method": "market", "type": "sell", "leftAmount": "0.0005"}, ("0.0015",),
         OrderStatus.EXPIRED, "0.0015"),
    ],
)  # fmt: skip
def test_what_an_order_executed_is_what_its_trades_say(
    fields: dict[str, Any], trades: tuple[str, ...], status: OrderStatus, executed: str
) -> None:
    fills = tuple(fill(quantity, number=number) for number, quantity in enumerate(trades))
    found = dialect_btcturk.with_trades(row(**fields), fills)
    assert (found.status, found.executed, found.trades) == (status, D(executed), fills)
    assert found.executed_quote == sum((f.quantity * f.price for f in fills), D(0))
    assert dialect_btcturk.may_have_traded(row(**fields)) or not trades


@pytest.mark.parametrize(
    ("fields", "trades"),
    [
        ({"leftAmount": "0.003"}, ()),
        ({"status": "Closed", "leftAmount": "0"}, ("0.003",)),
        ({"status": "Closed", "method": "market", "quantity": "1000", "leftAmount": "0"}, ()),  # not listed yet
        ({"status": None}, ()),
        ({"type": "lend"}, ()),
        ({"quantity": "-1"}, ()),
        ({"id": True}, ()),
    ],
)
def test_an_order_that_contradicts_itself_is_refused(fields: dict[str, Any], trades: tuple[str, ...]) -> None:
    with pytest.raises((KeyError, ValueError)):
        dialect_btcturk.with_trades(row(**fields), tuple(fill(quantity) for quantity in trades))


@pytest.mark.parametrize("value", [{"success": False, "data": []}, {"data": []}, {"success": "true", "data": []}])
def test_an_envelope_without_success_holds_nothing(value: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        dialect_btcturk.data_of(value)


NOT_USABLE = (KeyError, TypeError, IndexError, AttributeError, ValueError)  # what the guard calls an unusable answer
ANSWERS: dict[str, tuple[Any, Any]] = {  # a good answer, and what reads it
    "rules": (
        {"name": "BTCTRY", "status": "TRADING", "numerator": "BTC", "denominator": "TRY", "numeratorScale": 8,
         "denominatorScale": 2, "orderMethods": ["LIMIT"], "filters": [{"filterType": "PRICE_FILTER", "tickSize": "10",
         "minPrice": "0.1", "maxPrice": "100", "minExchangeValue": "99.91", "minAmount": None}]},
        dialect_btcturk.rules,
    ),
    "order": (row(), lambda value: dialect_btcturk.with_trades(value, (fill("0.001"),))),
    "trade": (
        {"id": 1, "timestamp": 1, "amount": "1", "fee": "-1", "tax": "0", "price": "1", "orderId": 1,
         "numeratorSymbol": "A", "denominatorSymbol": "B", "orderType": "buy"},
        dialect_btcturk.trade,
    ),
    "bars": ({"s": "ok", "t": [60, 180], **{name: [1, 1] for name in "ohlcv"}},
             lambda value: dialect_btcturk.bars(value, 60)),
    "book": ({"success": True, "data": {"timestamp": 1, "bids": [["1", "2"]], "asks": [["3", "4"]]}},
             lambda value: dialect_btcturk.book("BTCTRY", value, 0, 5)),
    "open": ({"success": True, "data": {"asks": [row()], "bids": []}},
             lambda value: [dialect_btcturk.order(one) for one in dialect_btcturk.open_rows(value)]),
    "placed": ({"success": True, "data": {"id": 1, "datetime": 1, "type": "Buy", "method": "Limit",
                "pairSymbol": "BTCTRY", "newOrderClientId": "test"}},
               lambda value: dialect_btcturk.placed(value, request())),
}  # fmt: skip
NUMBERS = st.sampled_from(["-0", "1e3", "1E-7", "1e999999", "NaN", "Infinity", "9" * 70, "0x1", "1_0", "\u0661", " 1"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5,
)  # fmt: skip


def spoilt(value: Any, path: list[int], lie: Any) -> Any:
    """The answer with one of its parts, found by walking `path`, replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return lie
    keys = sorted(value) if isinstance(value, dict) else range(len(value))
    chosen = list(keys)[path[0] % len(value)]
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[chosen] = spoilt(value[chosen], path[1:], lie)
    return changed


@pytest.mark.parametrize("name", ANSWERS)
@given(path=st.lists(st.integers(0, 30), max_size=4), lie=JSON)
def test_any_answer_is_read_or_refused(name: str, path: list[int], lie: Any) -> None:
    good, read = ANSWERS[name]
    assert read(good)
    try:
        read(spoilt(good, path, lie))
    except NOT_USABLE:
        return
