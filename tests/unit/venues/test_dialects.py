"""The recorded answers of both exchanges turned into our words; what is missing or contradictory is refused."""

from decimal import Decimal
from typing import Any

import pytest

from desk.base.errors import BadInput
from desk.venues import dialect, dialect_binance, dialect_mexc
from desk.venues.protocol import OrderRequest, OrderStatus, OrderType, Side, SymbolRules
from venue.kit import contract, needs_contracts

D = Decimal


def order(kind: OrderType = OrderType.LIMIT_IOC, **fields: Any) -> OrderRequest:
    values = {"client_order_id": "abc1", "symbol": "BTCUSDT", "side": Side.BUY, "quantity": D("0.01")}
    return OrderRequest(**({"type": kind, "price": D("50000")} | values | fields))


def sold_at_market() -> OrderRequest:
    """The order of the documented answers."""
    name = "6gCrw2kRUAF9CvJDGP16IP"
    return order(OrderType.MARKET, client_order_id=name, side=Side.SELL, quantity=D(10), price=None)


@needs_contracts
def test_binance_symbols_of_2021_have_every_number() -> None:
    rows = contract("binance/captured/exchange_info_2021.json")["body"]["symbols"]
    found = dialect_binance.rules(rows[0])
    assert (found.tick, found.step, found.notional_min) == (D("0.01"), D("0.00001"), D("10"))
    assert (found.bid_multiplier_up, found.ask_multiplier_down) == (D(5), D("0.2"))
    assert (found.orders_max, found.algo_orders_max, found.market_quantity_max) == (200, 5, D("112.21108820"))
    assert found.entries_allowed
    assert found.exits_allowed


@needs_contracts
def test_every_recorded_exchange_info_is_read() -> None:
    seen: list[SymbolRules] = []
    for name in ("captured/exchange_info_2021", "captured/exchange_info_binanceus", "rest/exchange_info_docs"):
        seen += [dialect_binance.rules(row) for row in contract(f"binance/{name}.json")["body"]["symbols"]]
    assert all(rules.base and rules.quote for rules in seen)
    assert seen[-1].opo_allowed


@needs_contracts
def test_notional_and_min_notional_may_both_stand_the_higher_binds() -> None:
    filters = contract("binance/filters.json")["filters"]
    both = [dict(filters["NOTIONAL"], minNotional="5"), dict(filters["MIN_NOTIONAL"], minNotional="7")]
    for order_of in (both, both[::-1]):
        assert dialect_binance.rules(symbol(filters=order_of)).notional_min == D(7)
    assert dialect_binance.rules(symbol(filters=[filters["PERCENT_PRICE_BY_SIDE"]])).ask_multiplier_up == D(5)


def symbol(**fields: Any) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}
    grid = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
    ]
    return row | {"isSpotTradingAllowed": True, "permissionSets": [["SPOT"]], "filters": grid} | fields


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({}, True),
        ({"permissionSets": [["SPOT", "MARGIN"]], "permissions": []}, True),
        ({"permissionSets": [["SPOT"], ["TRD_GRP_004"]]}, False),  # an AND of ORs
        ({"permissionSets": [["TRD_GRP_004", "TRD_GRP_005"]]}, False),
        ({"permissionSets": [], "permissions": ["SPOT"]}, True),
        ({"permissionSets": [], "permissions": []}, True),
        ({"isSpotTradingAllowed": False}, False),
        ({"status": "CANCEL_ONLY"}, False),
        ({"status": "BREAK"}, False),
    ],
)
def test_who_may_trade_a_binance_symbol(fields: dict[str, Any], allowed: bool) -> None:
    assert dialect_binance.rules(symbol(**fields)).entries_allowed is allowed


@needs_contracts
def test_mexc_rules_come_from_fields_not_filters() -> None:
    rows = contract("mexc/captured/exchange_info_2025.json")["body"]["symbols"]
    found = dialect_mexc.rules(rows[0])
    assert (found.status, found.tick, found.step) == ("TRADING", D("0.00001"), D("0.01"))
    assert (found.notional_min, found.quantity_min, found.taker_fee_frac) == (D(1), D(0), D("0.0005"))
    old = dialect_mexc.rules(contract("mexc/rest/exchange_info_symbol_docs.json")["body"])
    assert (old.status, old.entries_allowed, old.step) == ("TRADING", False, D("0.01"))


@pytest.mark.parametrize(
    ("side_type", "status", "entries", "exits"),
    [(1, "1", True, True), ("2", "1", True, False), (3, "1", False, True), (4, "1", False, False),
     (1, "2", False, False)],
)  # fmt: skip
def test_mexc_trade_sides(side_type: Any, status: str, entries: bool, exits: bool) -> None:
    row = symbol(status=status, tradeSideType=side_type, quotePrecision=2, baseAssetPrecision=6)
    found = dialect_mexc.rules(row)
    assert (found.entries_allowed, found.exits_allowed) == (entries, exits)


def test_mexc_base_size_precision_is_minimum_and_step() -> None:
    row = symbol(status="1", quotePrecision=2, baseAssetPrecision=6, baseSizePrecision="0.0001")
    found = dialect_mexc.rules(row)
    assert (found.quantity_min, found.step) == (D("0.0001"), D("0.0001"))


@needs_contracts
def test_a_new_order_ack_result_and_full() -> None:
    ack, result, full = (contract(f"binance/rest/order_{kind}.json")["body"] for kind in ("ack", "result", "full"))
    asked = sold_at_market()
    found = dialect_binance.placed(ack, asked)
    assert (found.status, found.status_word, found.executed, found.order_id) == (OrderStatus.NEW, "", D(0), "28")
    assert dialect_binance.placed(result, asked).status is OrderStatus.FILLED
    told = dialect_binance.placed(full, asked)
    assert [trade.trade_id for trade in told.trades] == ["56", "57", "58", "59", "60"]
    assert sum(trade.quantity for trade in told.trades) == told.executed == D(10)


@needs_contracts
@pytest.mark.parametrize(
    "change",
    [{"symbol": "ETHUSDT"}, {"clientOrderId": "other"}, {"executedQty": "11"}, {"executedQty": "-1"}, {"orderId": None},
     {"fills": [{"price": "1", "qty": "1", "commission": "0", "commissionAsset": "USDT", "tradeId": 1}]},
     {"executedQty": 0.5}, {"status": 7}],
)  # fmt: skip
def test_a_lying_answer_is_refused(change: dict[str, Any]) -> None:
    full = contract("binance/rest/order_full.json")["body"]
    asked = sold_at_market()
    row = {name: value for name, value in (full | change).items() if value is not None}
    with pytest.raises((KeyError, TypeError, ValueError)):
        dialect_binance.placed(row, asked)


@needs_contracts
def test_a_mexc_acceptance_says_nothing_of_the_state() -> None:
    body = contract("mexc/rest/order_new.json")["body"]
    asked = order(OrderType.LIMIT, symbol="MXUSDT", client_order_id="mine1", quantity=D(50), price=D("0.1"))
    found = dialect_mexc.placed(body | {"status": "FILLED", "executedQty": "50"}, asked)
    assert (found.status, found.executed, found.client_order_id) == (OrderStatus.NEW, D(0), "mine1")
    assert found.order_id == "06a480e69e604477bfb48dddd5f0b750"


@pytest.mark.parametrize(
    ("word", "status"),
    [("EXPIRED_IN_MATCH", OrderStatus.EXPIRED), ("PARTIALLY_CANCELED", OrderStatus.CANCELED), ("NEW", OrderStatus.NEW),
     ("PENDING_CANCEL", OrderStatus.PENDING_CANCEL), ("SOMETHING_NEW", OrderStatus.UNRECOGNISED),
     ("UNRECOGNISED", OrderStatus.UNRECOGNISED)],
)  # fmt: skip
def test_status_words(word: str, status: OrderStatus) -> None:
    row = {"symbol": "S", "orderId": 1, "side": "BUY", "type": "LIMIT", "status": word, "origQty": "1", "price": "1"}
    found = dialect.report("binance", row, "c")
    assert (found.status, found.status_word) == (status, word)


@needs_contracts
@pytest.mark.parametrize("name", ["binance/rest/query_order", "mexc/rest/query_order", "mexc/captured/get_order"])
def test_queried_orders(name: str) -> None:
    found = dialect.told_of("x", contract(name + ".json")["body"], "LTCBTC", "myOrder1")
    assert (found.quantity, found.price, found.status, found.side) == (D(1), D("0.1"), OrderStatus.NEW, Side.BUY)
    with pytest.raises(ValueError, match="client order id of something else"):
        dialect.told_of("x", contract(name + ".json")["body"], "LTCBTC", "another")


@needs_contracts
@pytest.mark.parametrize("venue", ["binance", "mexc"])
def test_a_cancel_answer_is_about_the_original_id(venue: str) -> None:
    body = contract(f"{venue}/rest/cancel_order.json")["body"]
    found = dialect.told_of(venue, body, "LTCBTC", "myOrder1")
    assert (found.client_order_id, found.status) == ("myOrder1", OrderStatus.CANCELED)
    with pytest.raises(ValueError, match="something else"):
        dialect.told_of(venue, body, "LTCBTC", "cancelMyOrder1")


@needs_contracts
@pytest.mark.parametrize("venue", ["binance", "mexc"])
def test_trades_balances_books_and_candles(venue: str) -> None:
    trades = [dialect.trade(row) for row in contract(f"{venue}/rest/my_trades.json")["body"]]
    assert (trades[0].side, trades[0].fee, trades[0].fee_asset, trades[0].maker) == (Side.BUY, D("10.1"), "BNB", False)
    assert len(dialect.balances(contract(f"{venue}/rest/account.json")["body"]["balances"])) == 2
    bars = dialect.bars(contract(f"{venue}/rest/klines.json")["body"])
    assert bars[0].open_ms > 1_400_000_000_000
    assert bars[0].low <= bars[0].close <= bars[0].high
    book = dialect.book(venue, "X", contract(f"{venue}/rest/depth.json")["body"], 7)
    assert (book.as_of_ms, len(book.bids), len(book.asks)) == (7, 1, 1)


@pytest.mark.parametrize(
    "value",
    [{"bids": [["1", "1"], ["2", "1"]], "asks": []}, {"bids": [], "asks": [["2", "1"], ["1", "1"]]}, {"bids": []},
     {"bids": [["x", "1"]], "asks": []}, {"bids": [[1.5, "1"]], "asks": []}, {"bids": [["1"]], "asks": []}],
)  # fmt: skip
def test_an_unusable_book_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
        dialect.book("binance", "X", value, 0)


def test_candles_out_of_order_or_twice_are_refused() -> None:
    row = ["1", "1", "1", "1", "1"]
    for times in ((2, 1), (1, 1)):
        with pytest.raises(ValueError, match="not in order"):
            dialect.bars([[at, *row] for at in times])


def test_order_words_of_both() -> None:
    asked = order(OrderType.LIMIT_IOC)
    assert dialect_binance.order_params(asked)["timeInForce"] == "IOC"
    assert dialect_binance.order_params(asked)["newOrderRespType"] == "FULL"
    mexc = dialect_mexc.order_params(asked)
    assert (mexc["type"], "timeInForce" in mexc) == ("IMMEDIATE_OR_CANCEL", False)
    assert dialect_mexc.order_params(order(OrderType.LIMIT_FOK))["type"] == "FILL_OR_KILL"
    assert set(dialect_binance.TYPES) == set(OrderType)


def test_a_mexc_market_buy_is_in_quote_and_rounds_down() -> None:
    bought = dialect_mexc.order_params(order(OrderType.MARKET, quantity=D("0.333333333"), price=D(1)))
    assert (bought["quoteOrderQty"], "quantity" in bought) == (D("0.33333333"), False)
    assert dialect_mexc.order_params(order(OrderType.MARKET, side=Side.SELL, price=None))["quantity"] == D("0.01")
    with pytest.raises(BadInput, match="quote currency"):
        dialect_mexc.order_params(order(OrderType.MARKET, price=None))
    with pytest.raises(BadInput, match="MEXC has no STOP_LOSS_LIMIT"):
        dialect_mexc.order_params(order(OrderType.STOP_LOSS_LIMIT, stop_price=D(1)))


@needs_contracts
def test_a_keys_rights_are_read_word_by_word() -> None:
    body = contract("binance/sapi/api_restrictions.json")["body"]
    told = dialect_binance.key_permissions(body)
    assert (told.can_read, told.can_trade, told.can_withdraw, told.ip_restricted) == (True, False, False, False)
    assert (told.created_ms, told.others) == (1698645219000, ("enablePortfolioMarginTrading",))
    assert dialect_binance.key_permissions(body | {"enableWithdrawals": True}).can_withdraw
    for change in ({"enableWithdrawals": "false"}, {"enableWithdrawals": None}, {"ipRestrict": 1}):
        with pytest.raises(ValueError, match="no boolean"):
            dialect_binance.key_permissions(body | change)
    with pytest.raises(KeyError):
        dialect_binance.key_permissions({name: on for name, on in body.items() if name != "enableWithdrawals"})
