"""Orders on the Binance dialect: every type, every life, every refusal; and the balances they leave."""

from decimal import Decimal as D

import pytest


def money(client, asset):
    row = next(row for row in client.signed("GET", "/api/v3/account").json()["balances"] if row["asset"] == asset)
    return D(row["free"]), D(row["locked"])


def test_market_buy_pays_fee_in_base_and_closes(client):
    order = client.order("BUY", "MARKET", quantity="0.05").json()
    assert order["status"] == "FILLED" and D(order["executedQty"]) == D("0.05")
    fill = order["fills"][0]
    assert fill["commissionAsset"] == "BTC" and D(fill["commission"]) == D(fill["qty"]) / 1000
    cost = sum(D(fill["price"]) * D(fill["qty"]) for fill in order["fills"])
    assert D(order["cummulativeQuoteQty"]) == cost
    assert money(client, "USDT") == (10000 - cost, 0)
    assert money(client, "BTC") == (D("0.05") - sum(D(fill["commission"]) for fill in order["fills"]), 0)


def test_market_sell_pays_fee_in_quote(make):
    client = make(balances={"BTC": "1"})
    order = client.order("SELL", "MARKET", quantity="0.05").json()
    assert {fill["commissionAsset"] for fill in order["fills"]} == {"USDT"}
    fee = sum(D(fill["commission"]) for fill in order["fills"])
    assert money(client, "USDT")[0] == 10000 + D(order["cummulativeQuoteQty"]) - fee


def test_big_market_order_walks_the_book_and_the_liquidity_stays_eaten(make):
    client = make(balances={"USDT": "10000000"})
    before = client.public("/api/v3/depth", symbol="BTCUSDT", limit=20).json()["asks"]
    quantity = sum(D(qty) for _, qty in before[:4]) + D(before[4][1]) / 2
    quantity = quantity.quantize(D("0.00001"))
    order = client.order("BUY", "MARKET", quantity=str(quantity)).json()
    assert [D(fill["price"]) for fill in order["fills"]] == [D(price) for price, _ in before[:5]]
    after = client.public("/api/v3/depth", symbol="BTCUSDT", limit=20).json()["asks"]
    assert after[0][0] == before[4][0] and D(after[0][1]) == D(before[4][1]) - D(order["fills"][4]["qty"])
    client.sim.advance(1000)
    refilled = client.public("/api/v3/depth", symbol="BTCUSDT", limit=20).json()["asks"]
    assert D(refilled[0][0]) < D(after[0][0])


def test_quote_order_quantity(make):
    client = make(balances={"BTC": "1"})
    bought = client.order("BUY", "MARKET", quoteOrderQty="100").json()
    assert bought["status"] == "FILLED" and D(99) < D(bought["cummulativeQuoteQty"]) <= 100
    assert D(bought["origQuoteOrderQty"]) == 100 and bought["origQty"] == bought["executedQty"]
    sold = client.order("SELL", "MARKET", quoteOrderQty="100").json()
    assert sold["status"] == "FILLED" and D(99) < D(sold["cummulativeQuoteQty"]) <= 100


def test_limit_rests_locks_is_shown_and_is_cancelled(client):
    bid, _ = client.best()
    price = round(bid * 0.999, 2)
    order = client.limit("BUY", price, "0.01", newClientOrderId="mine").json()
    assert order["status"] == "NEW" and order["fills"] == []
    assert money(client, "USDT")[1] == D(str(price)) * D("0.01")
    book = client.public("/api/v3/depth", symbol="BTCUSDT", limit=500).json()["bids"]
    assert D(str(price)) in {D(level) for level, _ in book}
    assert [row["clientOrderId"] for row in client.signed("GET", "/api/v3/openOrders").json()] == ["mine"]
    gone = client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine").json()
    assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "mine") and gone["clientOrderId"] != "mine"
    assert money(client, "USDT") == (10000, 0)
    again = client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (again.status_code, again.json()) == (400, {"code": -2011, "msg": "Unknown order sent."})


def test_limit_that_crosses_takes_at_better_prices_and_frees_the_rest(client):
    _, ask = client.best()
    order = client.limit("BUY", round(ask * 1.01, 2), "0.01").json()
    assert order["status"] == "FILLED" and D(order["fills"][0]["price"]) == D(str(ask))
    assert money(client, "USDT") == (10000 - D(order["cummulativeQuoteQty"]), 0)


def falling(write_market):
    flat = (100, 100, 100, 100, 1000)
    return write_market([flat] * 4 + [(100, 100, 90, 90, 1000), (90, 90, 90, 90, 1000), (90, 101, 90, 101, 1000), flat])


def test_resting_limit_fills_only_when_the_path_trades_through(make, write_market):
    client = make(symbols=["XYZUSDT"], markets=[falling(write_market)], start=1_700_000_040_000 + 180_000)
    at_low = client.limit("BUY", "90", "1").json()["orderId"]
    above = client.limit("BUY", "95", "2").json()["orderId"]
    client.sim.advance(180_000)
    orders = {row["orderId"]: row for row in client.sim.books()["orders"]}
    assert orders[at_low]["status"] == "NEW", "touching is not trading through"
    assert orders[above]["status"] == "FILLED"
    trade = client.signed("GET", "/api/v3/myTrades", symbol="XYZUSDT").json()[0]
    assert (trade["price"], trade["isMaker"]) == ("95.00000000", True)
    assert client.sim.exchange.markets["XYZUSDT"].path.price_at(trade["time"]) < 95
    assert client.sim.exchange.markets["XYZUSDT"].path.price_at(trade["time"] - 1) >= 95


def test_resting_fill_is_bounded_by_the_volume_of_the_bar(make, write_market):
    client = make(
        symbols=["XYZUSDT"], markets=[falling(write_market)], start=1_700_000_040_000 + 180_000,
        balances={"USDT": "1000000"},
    )  # fmt: skip
    number = client.limit("BUY", "95", "700").json()["orderId"]
    client.sim.advance(119_999)
    seen = client.signed("GET", "/api/v3/order", symbol="XYZUSDT", orderId=number).json()
    assert (seen["status"], D(seen["executedQty"])) == ("PARTIALLY_FILLED", 250), "a quarter of the bar's 1000"
    client.sim.advance(120_000)
    seen = client.signed("GET", "/api/v3/order", symbol="XYZUSDT", orderId=number).json()
    assert (seen["status"], D(seen["executedQty"])) == ("FILLED", 700)


def test_orders_fill_in_the_order_of_the_path(make, write_market):
    client = make(symbols=["XYZUSDT"], markets=[falling(write_market)], start=1_700_000_040_000 + 180_000)
    low = client.limit("BUY", "93", "1").json()["orderId"]
    high = client.limit("BUY", "97", "1").json()["orderId"]
    client.sim.advance(300_000)
    assert [trade["orderId"] for trade in client.sim.books()["trades"]] == [high, low]


@pytest.mark.parametrize("jump", [1, 1000, 59_999, 300_000])
def test_the_size_of_the_steps_does_not_matter(make, write_market, jump):
    client = make(symbols=["XYZUSDT"], markets=[falling(write_market)], start=1_700_000_040_000 + 239_000)
    client.limit("BUY", "99.99", "1")
    client.limit("BUY", "93", "300")
    moved = 0
    while moved < 300_000 and (jump > 1 or moved < 200):
        moved += jump
        client.sim.advance(jump)
    client.sim.advance(max(0, 300_000 - moved))
    whole = make(symbols=["XYZUSDT"], markets=[falling(write_market)], start=1_700_000_040_000 + 239_000)
    whole.limit("BUY", "99.99", "1")
    whole.limit("BUY", "93", "300")
    whole.sim.advance(max(moved, 300_000))
    assert whole.sim.books()["trades"] == client.sim.books()["trades"]


def test_time_in_force(make):
    client = make(balances={"USDT": "100000000"})
    asks = client.public("/api/v3/depth", symbol="BTCUSDT", limit=5).json()["asks"]
    too_much = str(D(asks[0][1]) + 1)
    killed = client.order("BUY", "LIMIT", timeInForce="FOK", price=asks[0][0], quantity=too_much).json()
    assert (killed["status"], D(killed["executedQty"])) == ("EXPIRED", 0)
    taken = client.order("BUY", "LIMIT", timeInForce="IOC", price=asks[0][0], quantity=too_much).json()
    assert (taken["status"], taken["executedQty"]) == ("EXPIRED", asks[0][1])
    whole = client.order("BUY", "LIMIT", timeInForce="FOK", price=asks[1][0], quantity="0.001").json()
    assert whole["status"] == "FILLED"
    rests = client.limit("BUY", asks[1][0], str(D(asks[1][1]) * 3)).json()
    assert rests["status"] == "PARTIALLY_FILLED"
    left = D(rests["origQty"]) - D(rests["executedQty"])
    assert money(client, "USDT")[1] == D(asks[1][0]) * left, "what was saved on better prices is free again"


def test_limit_maker(client):
    bid, ask = client.best()
    refused = client.order("BUY", "LIMIT_MAKER", price=ask, quantity="0.01")
    assert (refused.status_code, refused.json()["code"]) == (400, -2010)
    assert refused.json()["msg"] == "Order would immediately match and take."
    assert client.order("BUY", "LIMIT_MAKER", price=bid, quantity="0.01").json().keys() == {
        "symbol", "orderId", "orderListId", "clientOrderId", "transactTime"
    }  # fmt: skip


def test_stop_loss_limit_triggers_on_the_path(make, write_market):
    client = make(
        symbols=["XYZUSDT"], markets=[falling(write_market)], start=1_700_000_040_000 + 180_000, balances={"XYZ": "5"}
    )
    stop = {"quantity": "5", "price": "90", "stopPrice": "95", "timeInForce": "GTC"}
    made = client.order("SELL", "STOP_LOSS_LIMIT", **stop).json()
    seen = client.signed("GET", "/api/v3/order", symbol="XYZUSDT", orderId=made["orderId"]).json()
    assert (seen["status"], seen["isWorking"], seen["workingTime"]) == ("NEW", False, -1)
    assert money(client, "XYZ") == (0, 5)
    assert all(D(price) != 90 for price, _ in client.public("/api/v3/depth", symbol="XYZUSDT").json()["asks"])
    client.sim.advance(120_000)
    seen = client.signed("GET", "/api/v3/order", symbol="XYZUSDT", orderId=made["orderId"]).json()
    assert (seen["status"], seen["isWorking"]) == ("FILLED", True)
    price = client.sim.exchange.markets["XYZUSDT"].path.price_at
    assert price(seen["workingTime"]) <= 95 < price(seen["workingTime"] - 1)


@pytest.mark.parametrize(
    ("side", "kind", "stop", "fills"),
    [
        ("SELL", "STOP_LOSS", "95", True),
        ("BUY", "TAKE_PROFIT", "95", True),
        ("BUY", "STOP_LOSS", "100.50", True),
        ("SELL", "TAKE_PROFIT", "100.50", True),
        ("SELL", "STOP_LOSS", "89", False),
        ("SELL", "TAKE_PROFIT", "102", False),
    ],
)
def test_market_stops(make, write_market, side, kind, stop, fills):
    client = make(
        symbols=["XYZUSDT"], markets=[falling(write_market)], start=1_700_000_040_000 + 180_000, balances={"XYZ": "5"}
    )
    made = client.order(side, kind, quantity="2", stopPrice=stop)
    assert made.status_code == 200, made.text
    client.sim.advance(300_000)
    assert client.sim.books()["orders"][0]["status"] == ("FILLED" if fills else "NEW")


def test_stop_that_would_trigger_at_once_is_refused(client):
    bid, ask = client.best()
    refused = client.order("BUY", "STOP_LOSS_LIMIT", quantity="0.01", price=bid, stopPrice=bid, timeInForce="GTC")
    assert refused.json() == {"code": -2010, "msg": "Order would trigger immediately."}


def test_client_ids_are_unique_among_open_orders_only(client):
    bid, ask = client.best()
    assert client.limit("BUY", round(bid * 0.99, 2), "0.01", newClientOrderId="same").status_code == 200
    second = client.limit("BUY", round(bid * 0.99, 2), "0.01", newClientOrderId="same")
    assert (second.status_code, second.json()) == (400, {"code": -2010, "msg": "Duplicate order sent."})
    client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="same")
    third = client.order("BUY", "MARKET", quantity="0.01", newClientOrderId="same").json()
    assert third["status"] == "FILLED", "accepted again once the earlier one is closed"
    seen = client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="same").json()
    assert seen["orderId"] == third["orderId"], "the newest wins"
    assert client.order("BUY", "MARKET", quantity="0.01", newClientOrderId="same").json()["status"] == "FILLED"


def test_response_types(client):
    ack = client.order("BUY", "MARKET", quantity="0.01", newOrderRespType="ACK").json()
    result = client.order("BUY", "MARKET", quantity="0.01", newOrderRespType="RESULT").json()
    assert "status" not in ack and "fills" not in result and result["status"] == "FILLED"


def test_queries(client):
    bid, _ = client.best()
    first = client.limit("BUY", round(bid * 0.99, 2), "0.01").json()["orderId"]
    second = client.order("BUY", "MARKET", quantity="0.01").json()["orderId"]
    seen = client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json()
    assert [row["orderId"] for row in seen] == [first, second]
    assert [row["orderId"] for row in client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", limit=1).json()] == [
        second
    ]
    later = client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=second).json()
    assert [row["orderId"] for row in later] == [second]
    trades = client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=second).json()
    assert trades and all(trade["orderId"] == second for trade in trades)
    from_id = client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=trades[-1]["id"]).json()
    assert [trade["id"] for trade in from_id] == [trades[-1]["id"]]
    now = client.sim.now_ms
    long = client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", startTime=now - 90_000_000, endTime=now)
    assert long.json() == {"code": -1127, "msg": "More than 24 hours between startTime and endTime."}
    missing = client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=99)
    assert (missing.status_code, missing.json()) == (400, {"code": -2013, "msg": "Order does not exist."})
    dense = client.signed("GET", "/api/v3/account", omitZeroBalances="true").json()["balances"]
    assert {row["asset"] for row in dense} == {"BTC", "USDT"}


def test_cancel_all(client):
    bid, _ = client.best()
    none = client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert none.json()["code"] == -2011
    for _ in range(3):
        client.limit("BUY", round(bid * 0.99, 2), "0.01")
    gone = client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").json()
    assert [row["status"] for row in gone] == ["CANCELED"] * 3
    assert money(client, "USDT") == (10000, 0)


def test_cancel_restrictions(client):
    bid, _ = client.best()
    number = client.limit("BUY", round(bid * 0.99, 2), "0.01").json()["orderId"]
    ask = {"symbol": "BTCUSDT", "orderId": number}
    refused = client.signed("DELETE", "/api/v3/order", **ask, cancelRestrictions="ONLY_PARTIALLY_FILLED").json()
    assert refused == {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}
    assert client.signed("DELETE", "/api/v3/order", **ask, cancelRestrictions="NEVER").json()["code"] == -1145
    done = client.signed("DELETE", "/api/v3/order", **ask, cancelRestrictions="ONLY_NEW", newClientOrderId="c1").json()
    assert (done["status"], done["clientOrderId"]) == ("CANCELED", "c1")


def replace(client, mode, old, **order):
    return client.signed(
        "POST", "/api/v3/order/cancelReplace", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
        cancelReplaceMode=mode, cancelOrderId=old, **order,
    )  # fmt: skip


def test_cancel_replace_semantics(client):
    bid, _ = client.best()
    price = round(bid * 0.99, 2)
    old = client.limit("BUY", price, "0.01").json()["orderId"]
    done = replace(client, "STOP_ON_FAILURE", old, price=price, quantity="0.02")
    body = done.json()
    assert done.status_code == 200 and body["newOrderResponse"]["status"] == "NEW"
    assert (body["cancelResult"], body["cancelResponse"]["orderId"]) == ("SUCCESS", old)
    new = body["newOrderResponse"]["orderId"]
    stopped = replace(client, "STOP_ON_FAILURE", old, price=price, quantity="0.02")
    assert (stopped.status_code, stopped.json()["code"]) == (400, -2022)
    assert stopped.json()["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    partly = replace(client, "STOP_ON_FAILURE", new, price=price, quantity="50")
    assert (partly.status_code, partly.json()["code"]) == (409, -2021)
    assert partly.json()["data"]["cancelResult"] == "SUCCESS" and partly.json()["data"]["newOrderResponse"]["code"] < 0
    other = replace(client, "ALLOW_FAILURE", 999, price=price, quantity="0.02")
    assert (other.status_code, other.json()["data"]["newOrderResult"]) == (409, "SUCCESS")
    both = replace(client, "ALLOW_FAILURE", 999, price=price, quantity="50")
    assert (both.status_code, both.json()["code"]) == (400, -2022)


def test_cancel_replace_judges_filters_and_counts_before_it_cancels(make):
    client = make(orders_10s_limit=3)
    bid, _ = client.best()
    price = round(bid * 0.99, 2)
    old = client.limit("BUY", price, "0.01").json()["orderId"]
    refused = replace(client, "STOP_ON_FAILURE", old, price=price, quantity="0.00000001")
    assert (refused.status_code, refused.json()["msg"]) == (400, "Filter failure: LOT_SIZE")
    missed = replace(client, "STOP_ON_FAILURE", 999, price=price, quantity="0.01")
    assert missed.json()["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    counts = {row["interval"]: row["count"] for row in client.signed("GET", "/api/v3/rateLimit/order").json()}
    assert counts["SECOND"] == 2, "one placed, one not attempted"
    client.limit("BUY", price, "0.01", newClientOrderId="third")
    stopped = replace(client, "STOP_ON_FAILURE", old, price=price, quantity="0.01")
    assert (stopped.status_code, stopped.json()["code"]) == (429, -1015)
    assert client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=old).json()["status"] == "NEW"
    only = replace(
        client, "STOP_ON_FAILURE", old, price=price, quantity="0.01", orderRateLimitExceededMode="CANCEL_ONLY"
    )
    assert (only.status_code, only.json()["code"], only.json()["data"]["cancelResult"]) == (429, -2021, "SUCCESS")
    assert client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=old).json()["status"] == "CANCELED"


def test_cancel_replace_of_a_leg_ends_its_list(make):
    client = make(balances={"BTC": "1", "USDT": "10000"})
    bid, _ = client.best()
    client.signed(
        "POST", "/api/v3/orderList/oco", symbol="BTCUSDT", side="SELL", quantity="0.01", aboveType="LIMIT_MAKER",
        abovePrice=round(bid * 1.1, 2), belowType="STOP_LOSS", belowStopPrice=round(bid * 0.9, 2),
    )  # fmt: skip
    done = replace(client, "STOP_ON_FAILURE", 1, price=round(bid * 0.99, 2), quantity="0.01").json()
    assert (done["cancelResponse"]["listOrderStatus"], done["newOrderResponse"]["status"]) == ("ALL_DONE", "NEW")
    assert [row["status"] for row in client.sim.books()["orders"]] == ["CANCELED", "CANCELED", "NEW"]


def test_order_test_changes_nothing(client):
    books = client.sim.books()
    ask = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    assert client.signed("POST", "/api/v3/order/test", **ask).json() == {}
    rates = client.signed("POST", "/api/v3/order/test", **ask, computeCommissionRates="true").json()
    assert rates["standardCommissionForOrder"]["taker"] == "0.00100000"
    poor = client.signed("POST", "/api/v3/order/test", **(ask | {"quantity": "50"}))
    assert poor.json()["code"] == -2010
    assert client.sim.books() == books


def test_insufficient_balance(client):
    for params in ({"type": "MARKET", "quantity": "5"}, {"type": "MARKET", "quoteOrderQty": "10001"}):
        refused = client.signed("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", **params)
        assert refused.status_code == 400
        assert refused.json() == {"code": -2010, "msg": "Account has insufficient balance for requested action."}
    assert client.order("SELL", "MARKET", quantity="0.01").json()["code"] == -2010
    assert client.sim.books()["orders"] == []


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"price": "60000.001"}, "PRICE_FILTER"),
        ({"quantity": "0.000015"}, "LOT_SIZE"),
        ({"quantity": "0.00001"}, "NOTIONAL"),
        ({"quantity": "90000"}, "LOT_SIZE"),
        ({"price": "1"}, "PERCENT_PRICE_BY_SIDE"),
        ({"type": "MARKET", "quantity": "200", "price": None, "timeInForce": None}, "MARKET_LOT_SIZE"),
    ],
)
def test_filters(client, params, says):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000",
             "quantity": "0.01"}  # fmt: skip
    order |= params
    refused = client.signed("POST", "/api/v3/order", **{name: value for name, value in order.items() if value})
    assert (refused.status_code, refused.json()) == (400, {"code": -1013, "msg": f"Filter failure: {says}"})


def test_max_num_orders(client):
    bid, _ = client.best()
    stop = {"quantity": "0.001", "price": round(bid * 1.2, 2), "stopPrice": round(bid * 1.1, 2), "timeInForce": "GTC"}
    for _ in range(5):
        assert client.order("BUY", "STOP_LOSS_LIMIT", **stop).status_code == 200
    assert client.order("BUY", "STOP_LOSS_LIMIT", **stop).json()["msg"] == "Filter failure: MAX_NUM_ALGO_ORDERS"
    answers = []
    for _ in range(196):
        client.sim.advance(250)
        answers.append(client.limit("BUY", round(bid * 0.5, 2), "0.001"))
    assert answers[194].status_code == 200 and answers[195].json()["msg"] == "Filter failure: MAX_NUM_ORDERS"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": None}, -1102),
        ({"side": None}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "FANCY"}, -1116),
        ({"timeInForce": "DAY"}, -1115),
        ({"timeInForce": None}, -1102),
        ({"quantity": None}, -1102),
        ({"quantity": "abc"}, -1100),
        ({"quantity": "1e-2"}, -1100),
        ({"quantity": "0.123456789"}, -1111),
        ({"quantity": "0"}, -1013),
        ({"quantity": ""}, -1105),
        ({"stopPrice": "1"}, -1106),
        ({"quoteOrderQty": "100"}, -1106),
        ({"newClientOrderId": "bad id!"}, -1100),
        ({"newOrderRespType": "LOUD"}, -1130),
        ({"colour": "red"}, -1104),
        ({"icebergQty": "0.01"}, -2010),
        ({"type": "MARKET", "price": None, "timeInForce": None, "quantity": None}, -1102),
        ({"type": "MARKET", "price": None, "timeInForce": None, "quoteOrderQty": "10"}, -1128),
    ],
)
def test_malformed_orders(client, params, code):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000",
             "quantity": "0.01"}  # fmt: skip
    order |= params
    refused = client.signed(
        "POST", "/api/v3/order", **{name: value for name, value in order.items() if value is not None}
    )
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert client.sim.books()["orders"] == []


def test_other_account_endpoints(client):
    assert client.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT").json()["standardCommission"] == {
        "maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"
    }  # fmt: skip
    client.order("BUY", "MARKET", quantity="0.01")
    assert [row["count"] for row in client.signed("GET", "/api/v3/rateLimit/order").json()] == [1, 1]
    rights = client.signed("GET", "/sapi/v1/account/apiRestrictions").json()
    assert rights["enableWithdrawals"] is False and rights["ipRestrict"] is True
    assert client.public("/sapi/v1/system/status").json() == {"status": 0, "msg": "normal"}
