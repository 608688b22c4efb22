"""The MEXC dialect: its shapes, order types, codes, limits."""

from decimal import Decimal as D

import pytest

from lab.sim.auth import sign_hmac


@pytest.fixture
def mexc(make):
    return make(venue="mexc", balances={"BTC": "1"})


def refused(response, code, status=400):
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def find(client, **name):
    return client.signed("GET", "/api/v3/order", symbol="BTCUSDT", **name).json()


def shape(value):
    return {key: type(item).__name__ for key, item in value.items()}


def test_exchange_info_has_no_filters(mexc, shared_json):
    info = mexc.public("/api/v3/exchangeInfo").json()
    symbol = info["symbols"][0]
    assert (symbol["status"], symbol["filters"], symbol["quoteAmountPrecision"]) == ("1", [], "1")
    assert symbol["baseSizePrecision"] == "0.00001" and symbol["baseAssetPrecision"] == 5
    recorded = shared_json("mexc/captured/exchange_info_2025.json")["body"]
    assert shape(symbol) == shape(recorded["symbols"][0])
    assert info.keys() == recorded.keys()


def test_default_symbols_envelope(mexc):
    assert mexc.public("/api/v3/defaultSymbols").json() == {"code": 200, "data": ["BTCUSDT"], "msg": None}
    assert mexc.signed("GET", "/api/v3/selfSymbols").json()["code"] == 200
    assert mexc.signed("GET", "/api/v3/tradeFee", symbol="BTCUSDT").json()["code"] == 0


def test_klines_have_eight_columns_and_60m(mexc):
    rows = mexc.public("/api/v3/klines", symbol="BTCUSDT", interval="60m", limit=3).json()
    assert all(len(row) == 8 and row[6] - row[0] == 3_600_000 for row in rows)
    refused(mexc.public("/api/v3/klines", symbol="BTCUSDT", interval="1h"), -1121)


def test_public_endpoints(mexc):
    assert mexc.public("/api/v3/ping").json() == {}
    assert mexc.public("/api/v3/time").json() == {"serverTime": mexc.sim.now_ms}
    assert len(mexc.public("/api/v3/depth", symbol="BTCUSDT", limit=7).json()["bids"]) == 7
    assert mexc.public("/api/v3/trades", symbol="BTCUSDT", limit=2).json()[0]["id"] is None
    assert mexc.public("/api/v3/aggTrades", symbol="BTCUSDT", limit=2).json()[0]["a"] is None
    assert mexc.public("/api/v3/avgPrice", symbol="BTCUSDT").json()["mins"] == 5
    assert mexc.public("/api/v3/ticker/24hr").json()[0]["count"] is None
    assert mexc.public("/api/v3/ticker/price", symbol="BTCUSDT").json()["symbol"] == "BTCUSDT"
    refused(mexc.public("/api/v3/depth", symbol="NOPE"), 10007)
    assert mexc.public("/api/v3/nothing").status_code == 404


def test_order_answer_says_little(mexc):
    bid, _ = mexc.best()
    made = mexc.limit("BUY", round(bid * 0.99, 2), "0.01", newClientOrderId="m1").json()
    assert set(made) == {"symbol", "orderId", "orderListId", "price", "origQty", "type", "side", "transactTime"}
    assert isinstance(made["orderId"], str) and made["orderId"].startswith("C02__")
    assert find(mexc, orderId=made["orderId"])["status"] == "NEW"
    assert find(mexc, origClientOrderId="m1")["orderId"] == made["orderId"]
    assert mexc.sim.books()["orders"][0]["orderId"] == made["orderId"]
    gone = mexc.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="m1").json()
    assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "m1")
    refused(mexc.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=made["orderId"]), -2011)
    refused(mexc.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId="C02__1"), -2013)


def test_market_orders_take_quote_to_buy_and_base_to_sell(mexc):
    bought = mexc.order("BUY", "MARKET", quoteOrderQty="100").json()
    sold = mexc.order("SELL", "MARKET", quantity="0.01").json()
    assert find(mexc, orderId=bought["orderId"])["status"] == find(mexc, orderId=sold["orderId"])["status"] == "FILLED"
    refused(mexc.order("BUY", "MARKET", quantity="0.01"), 10095)
    refused(mexc.order("SELL", "MARKET", quoteOrderQty="100"), 10095)
    trades = mexc.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json()
    assert {trade["orderId"] for trade in trades} == {bought["orderId"], sold["orderId"]}
    assert [trade["commissionAsset"] for trade in trades] == ["USDT", "BTC"], "newest first"
    assert mexc.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=bought["orderId"]).json() == trades[1:]


def test_time_in_force_is_a_type(mexc):
    asks = mexc.public("/api/v3/depth", symbol="BTCUSDT", limit=5).json()["asks"]
    mexc.sim.fault("partial_fill", method="POST", arg="0.5")
    partly = mexc.order("BUY", "IMMEDIATE_OR_CANCEL", price=asks[0][0], quantity="0.01").json()
    assert find(mexc, orderId=partly["orderId"])["status"] == "PARTIALLY_CANCELED"
    killed = mexc.order("BUY", "FILL_OR_KILL", price=str(D(asks[0][0]) - 1000), quantity="0.01").json()
    assert find(mexc, orderId=killed["orderId"])["status"] == "CANCELED"
    assert find(mexc, orderId=killed["orderId"])["type"] == "FILL_OR_KILL"
    refused(mexc.order("BUY", "LIMIT_MAKER", price=asks[0][0], quantity="0.01"), 30041)
    refused(mexc.order("SELL", "STOP_LOSS_LIMIT", price=asks[0][0], quantity="0.01", stopPrice="1"), 30041)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"symbol": "NOPE"}, 10007),
        ({"side": "HOLD"}, 33333),
        ({"side": None}, 700004),
        ({"quantity": None}, 700004),
        ({"quantity": "0.000001"}, 10096),
        ({"quantity": "0.00001"}, 30002),
        ({"quantity": "x"}, 700008),
        ({"quantity": "0"}, 10102),
        ({"price": "50000.001"}, 33333),
        ({"price": "1"}, 30010),
        ({"quantity": "1"}, 30004),
        ({"side": "SELL", "price": "65000", "quantity": "5"}, 30005),
    ],
)
def test_refusals(mexc, params, code):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "price": "50000", "quantity": "0.01"} | params
    sent = {name: value for name, value in order.items() if value is not None}
    refused(mexc.signed("POST", "/api/v3/order", **sent), code)
    refused(mexc.signed("POST", "/api/v3/order/test", **sent), code)
    assert mexc.sim.books()["orders"] == []


def test_order_test(mexc):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "price": "50000", "quantity": "0.01"}
    assert mexc.signed("POST", "/api/v3/order/test", **order).json() == {}
    assert mexc.sim.books()["orders"] == []


def test_keys_signatures_and_time(mexc):
    query = f"timestamp={mexc.sim.now_ms}"
    good = sign_hmac(b"simsecret", query)
    assert mexc.send("GET", f"/api/v3/account?{query}&signature={good}").status_code == 200
    refused(mexc.send("GET", f"/api/v3/account?{query}&signature={good.upper()}"), 602)
    refused(mexc.send("GET", f"/api/v3/account?{query}&signature={'0' * 64}"), 700002)
    refused(mexc.send("GET", f"/api/v3/account?{query}"), 700004)
    refused(mexc.send("GET", f"/api/v3/account?{query}&signature={good}", key=""), 400)
    refused(mexc.send("GET", f"/api/v3/account?{query}&signature={good}", key="other"), 10072)
    refused(mexc.signed("GET", "/api/v3/account", timestamp=mexc.sim.now_ms - 6000), 700003)
    refused(mexc.signed("GET", "/api/v3/account", timestamp=mexc.sim.now_ms + 2000), 700003)
    refused(mexc.signed("GET", "/api/v3/account", recvWindow=60_001), 700005)


def test_listings_have_their_own_time_limits(mexc):
    bid, _ = mexc.best()
    price = round(bid * 0.7, 2)
    old = mexc.limit("BUY", price, "0.001").json()["orderId"]
    mexc.order("BUY", "MARKET", quoteOrderQty="10")
    mexc.sim.advance(2 * 86_400_000)
    new = mexc.limit("BUY", price, "0.001").json()["orderId"]
    ask = {"symbol": "BTCUSDT"}
    assert [row["orderId"] for row in mexc.signed("GET", "/api/v3/allOrders", **ask).json()] == [new]
    week = mexc.signed("GET", "/api/v3/allOrders", **ask, startTime=mexc.sim.now_ms - 6 * 86_400_000).json()
    assert {row["orderId"] for row in week} >= {old, new}
    assert {row["orderId"] for row in mexc.signed("GET", "/api/v3/openOrders", **ask).json()} == {old, new}
    refused(mexc.signed("GET", "/api/v3/openOrders"), 700004)
    assert len(mexc.signed("GET", "/api/v3/myTrades", **ask).json()) == 1
    assert len(mexc.signed("DELETE", "/api/v3/openOrders", **ask).json()) == 2
    mexc.sim.advance(31 * 86_400_000)
    assert mexc.signed("GET", "/api/v3/myTrades", **ask).json() == []


def test_limits_are_per_endpoint_and_close_it_for_ten_minutes(mexc):
    answers = [mexc.public("/api/v3/exchangeInfo").status_code for _ in range(51)]
    assert answers == [200] * 50 + [429]
    closed = mexc.public("/api/v3/exchangeInfo")
    refused(closed, 429, 429)
    assert closed.headers["Retry-After"] == "600"
    assert mexc.public("/api/v3/time").status_code == 200
    mexc.sim.advance(599_999)
    assert mexc.public("/api/v3/exchangeInfo").status_code == 429
    mexc.sim.advance(1)
    assert mexc.public("/api/v3/exchangeInfo").status_code == 200


@pytest.mark.parametrize(
    ("kind", "arg", "status", "code"),
    [
        ("rate_limit_429", 5, 429, 429),
        ("ban_418", 5, 418, 403),
        ("timestamp_1021", None, 400, 700003),
        ("unknown_1007_after_accept", None, 504, 504),
        ("http_status", 500, 500, 500),
    ],
)
def test_faults_speak_mexc(mexc, kind, arg, status, code):
    mexc.sim.fault(kind, arg=arg)
    refused(mexc.order("BUY", "MARKET", quoteOrderQty="10"), code, status)
    assert len(mexc.sim.books()["orders"]) == (1 if kind.endswith("accept") else 0)


def test_filter_change_and_halt(mexc):
    mexc.sim.fault("filter_change", count=None, arg={"quoteAmountPrecision": "20", "baseAssetPrecision": 3})
    symbol = mexc.public("/api/v3/exchangeInfo").json()["symbols"][0]
    assert (symbol["quoteAmountPrecision"], symbol["baseAssetPrecision"]) == ("20", 3)
    refused(mexc.order("BUY", "MARKET", quoteOrderQty="10"), 30002)
    mexc.sim.clear_faults()
    mexc.sim.fault("symbol_halted", count=None)
    assert mexc.public("/api/v3/exchangeInfo").json()["symbols"][0]["status"] == "2"
    refused(mexc.order("BUY", "MARKET", quoteOrderQty="10"), 30000)


RECORDED = {
    "account": ("/api/v3/account", {}),
    "query_order": ("/api/v3/order", {"symbol": "BTCUSDT", "origClientOrderId": "m1"}),
    "open_orders": ("/api/v3/openOrders", {"symbol": "BTCUSDT"}),
    "my_trades": ("/api/v3/myTrades", {"symbol": "BTCUSDT"}),
}


@pytest.mark.parametrize("name", list(RECORDED))
def test_answers_have_the_recorded_keys(mexc, shared_json, name):
    bid, _ = mexc.best()
    mexc.limit("BUY", round(bid * 0.7, 2), "0.001", newClientOrderId="m1")
    mexc.order("BUY", "MARKET", quoteOrderQty="10")
    path, params = RECORDED[name]
    recorded, answer = shared_json(f"mexc/rest/{name}.json")["body"], mexc.signed("GET", path, **params).json()
    if isinstance(recorded, list):
        recorded, answer = recorded[0], answer[0]
    optional = {"icebergQty", "Qty"}  # in one example of the documentation, absent in others
    assert set(recorded) - optional <= set(answer)
