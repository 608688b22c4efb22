"""Every fault kind: what the client sees, what the exchange really did, how long it lasts."""

import time
from decimal import Decimal as D

import pytest
import requests

from lab.sim.faults import KINDS, FaultError

ORDER = {"method": "POST", "path": "/api/v3/order"}


def buy(client, **params):
    return client.order("BUY", "MARKET", quantity="0.01", newClientOrderId="f1", **params)


def placed(client):
    return [order["clientOrderId"] for order in client.sim.books()["orders"]]


def last_request(client):
    return client.sim.requests()[-1]


@pytest.mark.parametrize(
    ("kind", "arg", "status", "code", "header"),
    [
        ("http_status", 503, 503, -1000, None),
        ("http_status", 500, 500, -1000, None),
        ("rate_limit_429", 37, 429, -1003, "37"),
        ("ban_418", 180, 418, -1003, "180"),
        ("timestamp_1021", None, 400, -1021, None),
    ],
)
def test_answers_before_acceptance(client, kind, arg, status, code, header):
    client.sim.fault(kind, **ORDER, arg=arg)
    answer = buy(client)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers.get("Retry-After") == header
    assert placed(client) == [] and last_request(client)["outcome"] == kind
    assert buy(client).status_code == 200, "used up"


def test_html_answers(client):
    client.sim.fault("html_502", **ORDER)
    answer = buy(client)
    assert answer.status_code == 502 and answer.headers["Content-Type"].startswith("text/html")
    client.sim.fault("http_status", **ORDER, arg=403)
    waf = buy(client)
    assert waf.status_code == 403 and "<html>" in waf.text
    assert placed(client) == []


def test_redirect_points_elsewhere(client):
    client.sim.fault("redirect_307", **ORDER)
    answer = buy(client)
    assert answer.status_code == 307 and answer.headers["Location"].startswith("http://127.0.0.1:1/api/v3/order?side=")
    assert placed(client) == []


def test_drop_before_and_after(client):
    client.sim.fault("drop_before", **ORDER)
    with pytest.raises(requests.ConnectionError):
        buy(client)
    assert placed(client) == [] and last_request(client)["status"] is None
    client.sim.fault("drop_after_accept", **ORDER)
    with pytest.raises(requests.ConnectionError):
        buy(client)
    assert placed(client) == ["f1"] and last_request(client)["outcome"] == "drop_after_accept"
    seen = client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="f1").json()
    assert seen["status"] == "FILLED"


def test_reset_mid_body(client):
    client.sim.fault("reset_mid_body", **ORDER)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        buy(client)
    assert placed(client) == ["f1"]
    client.sim.fault("reset_mid_body", path="/api/v3/time")
    with client.session.get(f"{client.sim.rest_url}/api/v3/time", stream=True, timeout=5) as answer:
        assert answer.status_code == 200, "the status line went out"
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            answer.content  # noqa: B018


def test_unknown_1007_and_bad_json(client):
    client.sim.fault("unknown_1007_after_accept", **ORDER)
    answer = buy(client)
    assert (answer.status_code, answer.json()["code"]) == (504, -1007)
    assert placed(client) == ["f1"]
    client.sim.fault("bad_json", **ORDER)
    answer = buy(client)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        answer.json()
    assert placed(client) == ["f1", "f1"]


def test_an_error_after_the_order_was_taken(client):
    client.sim.fault("http_status_after_accept", **ORDER, arg=503)
    assert buy(client).status_code == 503
    assert placed(client) == ["f1"]


def test_latency_is_real_time_and_not_virtual(client):
    client.sim.fault("latency_ms", path="/api/v3/time", arg=150)
    before, began = client.sim.now_ms, time.perf_counter()
    client.public("/api/v3/time")
    assert time.perf_counter() - began >= 0.15 and client.sim.now_ms == before


def test_listing_lag_hides_the_order_but_not_from_a_cancel(client):
    bid, _ = client.best()
    client.sim.fault("listing_lag", **ORDER, arg=30)
    client.limit("BUY", round(bid * 0.9, 2), "0.01", newClientOrderId="hidden")
    ask = {"symbol": "BTCUSDT", "origClientOrderId": "hidden"}
    for _ in range(2):
        assert client.signed("GET", "/api/v3/order", **ask).json()["code"] == -2013
        assert client.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").json() == []
        assert client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json() == []
        client.sim.advance(14_999)
    client.sim.advance(2)
    assert client.signed("GET", "/api/v3/order", **ask).json()["status"] == "NEW"
    assert len(client.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").json()) == 1


def test_listing_lag_hides_trades_together_with_a_lost_answer(client):
    client.sim.fault("listing_lag", **ORDER, arg=5)
    client.sim.fault("drop_after_accept", **ORDER)
    with pytest.raises(requests.ConnectionError):
        buy(client)
    assert client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json() == []
    client.sim.advance(5000)
    assert len(client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json()) >= 1


def test_late_fill_of_market_and_limit(client):
    client.sim.fault("late_fill", **ORDER, arg=20, count=2)
    late = buy(client).json()
    _, ask = client.best()
    crossing = client.limit("BUY", round(ask * 1.02, 2), "0.01").json()
    assert (late["status"], crossing["status"]) == ("NEW", "NEW")
    client.sim.advance(19_999)
    assert {order["status"] for order in client.sim.books()["orders"]} == {"NEW"}
    client.sim.advance(1)
    assert {order["status"] for order in client.sim.books()["orders"]} == {"FILLED"}
    assert {trade["time"] for trade in client.sim.books()["trades"]} == {client.sim.now_ms}
    assert client.sim.books()["balances"]["USDT"]["locked"] == "0.00000000"


def test_late_order_can_be_cancelled(client):
    client.sim.fault("late_fill", **ORDER, arg=20)
    buy(client)
    gone = client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="f1").json()
    assert gone["status"] == "CANCELED"
    client.sim.advance(60_000)
    assert client.sim.books()["trades"] == []


def test_partial_fill_by_kind_of_order(client):
    _, ask = client.best()
    client.sim.fault("partial_fill", **ORDER, arg="0.4", count=4)
    market = client.order("BUY", "MARKET", quantity="0.01").json()
    ioc = client.order("BUY", "LIMIT", timeInForce="IOC", price=round(ask * 1.01, 2), quantity="0.01").json()
    fok = client.order("BUY", "LIMIT", timeInForce="FOK", price=round(ask * 1.01, 2), quantity="0.01").json()
    gtc = client.limit("BUY", round(ask * 1.01, 2), "0.01").json()
    assert [(order["status"], D(order["executedQty"])) for order in (market, ioc, fok, gtc)] == [
        ("EXPIRED", D("0.004")), ("EXPIRED", D("0.004")), ("EXPIRED", D(0)), ("PARTIALLY_FILLED", D("0.004"))
    ]  # fmt: skip
    client.sim.advance(120_000)
    assert client.sim.books()["orders"][-1]["status"] == "PARTIALLY_FILLED", "stays so until the faults are cleared"
    client.sim.clear_faults()
    client.sim.advance(60_000)
    assert client.sim.books()["orders"][-1]["status"] == "FILLED"


def test_crossed_and_empty_book(client):
    client.sim.fault("crossed_book", path="/api/v3/depth")
    book = client.public("/api/v3/depth", symbol="BTCUSDT").json()
    assert D(book["bids"][0][0]) > D(book["asks"][0][0])
    client.sim.fault("empty_book", count=None)
    assert client.public("/api/v3/depth", symbol="BTCUSDT").json()["asks"] == []
    assert client.public("/api/v3/ticker/bookTicker", symbol="BTCUSDT").json()["bidPrice"] == "0.00000000"
    order = buy(client).json()
    assert (order["status"], D(order["executedQty"])) == ("EXPIRED", 0)
    client.sim.clear_faults()
    assert len(client.public("/api/v3/depth", symbol="BTCUSDT").json()["asks"]) == 100


def test_frozen_price_stands_still_while_the_market_moves(client):
    client.sim.fault("frozen_price", path="/api/v3/ticker/price", count=None)
    client.sim.fault("frozen_price", path="/api/v3/klines", count=None)
    ask = {"symbol": "BTCUSDT"}
    frozen = set()
    for _ in range(5):
        client.sim.advance(61_000)
        frozen.add(client.public("/api/v3/ticker/price", **ask).json()["price"])
    assert len(frozen) == 1
    last = client.public("/api/v3/klines", **ask, interval="1m", limit=2).json()
    assert {row[4] for row in last} == frozen and {row[5] for row in last} == {"0.00000000"}
    assert last[-1][0] <= client.sim.now_ms <= last[-1][6], "bars go on, flat"
    client.sim.clear_faults()
    assert client.public("/api/v3/ticker/price", **ask).json()["price"] not in frozen


def test_symbol_halted(make):
    client = make(symbols=["BTCUSDT", "ETHUSDT"])
    client.sim.fault("symbol_halted", count=None, arg="BTCUSDT")
    states = {row["symbol"]: row["status"] for row in client.public("/api/v3/exchangeInfo").json()["symbols"]}
    assert states == {"BTCUSDT": "HALT", "ETHUSDT": "TRADING"}
    refused = buy(client)
    assert (refused.status_code, refused.json()) == (400, {"code": -1013, "msg": "Market is closed."})
    assert client.order("BUY", "MARKET", symbol="ETHUSDT", quantity="0.01").status_code == 200


def test_filter_change_is_shown_and_enforced(client):
    client.sim.fault(
        "filter_change", count=0, arg={"LOT_SIZE": {"stepSize": "0.01"}, "NOTIONAL": {"minNotional": "50"}}
    )
    info = client.public("/api/v3/exchangeInfo").json()["symbols"][0]
    shown = {row["filterType"]: row for row in info["filters"]}
    assert (shown["LOT_SIZE"]["stepSize"], shown["NOTIONAL"]["minNotional"]) == ("0.01000000", "50.00000000")
    assert client.order("BUY", "MARKET", quantity="0.015").json()["msg"] == "Filter failure: LOT_SIZE"
    assert client.order("BUY", "MARKET", quantity="0.02").status_code == 200


def test_clock_skew(client):
    client.sim.fault("clock_skew_ms", count=None, arg=7000)
    assert client.public("/api/v3/time").json()["serverTime"] == client.sim.now_ms + 7000
    assert client.signed("GET", "/api/v3/account").json()["code"] == -1021
    assert client.signed("GET", "/api/v3/account", timestamp=client.sim.now_ms + 7000).status_code == 200


def test_matching_counts_and_order_of_faults(client):
    client.sim.fault("http_status", method="GET", path="/api/v3/ti", count=2, arg=500)
    client.sim.fault("http_status", path="/api/v3/time", count=1, arg=502)
    answers = [client.public("/api/v3/time").status_code for _ in range(4)]
    assert answers == [500, 500, 502, 200], "one answer fault a request, the oldest first"
    client.sim.fault("http_status", arg=500)
    assert client.public("/api/v3/ping").status_code == 500, "missing fields match all"
    client.sim.fault("http_status", count=0, arg=500)
    assert {client.public("/api/v3/ping").status_code for _ in range(5)} == {500}, "0 lasts until cleared"
    assert requests.get(f"{client.sim.admin_url}/sim/clock", timeout=5).status_code == 200, "never on /sim"


def test_admin_over_http(client):
    base = client.sim.admin_url
    made = requests.post(f"{base}/sim/faults", json={"kind": "html_502", "match": {"method": "get"}}, timeout=5)
    assert made.status_code == 200 and made.json()["match"] == {"method": "GET"} and made.json()["count"] == 1
    assert requests.get(f"{base}/sim/faults", timeout=5).json()["faults"] == [made.json()]
    assert requests.delete(f"{base}/sim/faults", timeout=5).json() == {"faults": []}
    before = requests.get(f"{base}/sim/clock", timeout=5).json()["now_ms"]
    assert requests.post(f"{base}/sim/advance", json={"ms": 1500}, timeout=5).json() == {"now_ms": before + 1500}
    buy(client)
    books = requests.get(f"{base}/sim/books", timeout=5).json()
    assert set(books) == {"now_ms", "orders", "trades", "balances"}
    assert set(books["orders"][0]) == {
        "orderId", "clientOrderId", "symbol", "side", "type", "status", "origQty", "executedQty", "price", "time",
        "orderListId",
    }  # fmt: skip
    assert set(books["trades"][0]) == {
        "id", "orderId", "clientOrderId", "symbol", "side", "price", "qty", "commission", "commissionAsset", "time"
    }  # fmt: skip
    seen = requests.get(f"{base}/sim/requests", timeout=5).json()[-1]
    assert seen == {
        "time": client.sim.now_ms, "method": "POST", "path": "/api/v3/order", "outcome": "accepted", "status": 200,
        "clientOrderId": "f1",
    }  # fmt: skip
    assert requests.get(f"{base}/sim/nothing", timeout=5).status_code == 404
    for body in ({"ms": -1}, {"ms": "5"}, {}, {"ms": 5, "s": 1}, []):
        assert requests.post(f"{base}/sim/advance", json=body, timeout=5).status_code == 400


@pytest.mark.parametrize(
    "raw",
    [
        {}, {"kind": "gremlin"}, {"kind": "html_502", "when": 1}, {"kind": "html_502", "count": -1},
        {"kind": "html_502", "count": True}, {"kind": "html_502", "match": {"host": "x"}},
        {"kind": "html_502", "match": {"path": 5}}, {"kind": "latency_ms"}, {"kind": "latency_ms", "arg": -1},
        {"kind": "latency_ms", "arg": "NaN"}, {"kind": "http_status", "arg": 99}, {"kind": "partial_fill", "arg": 1},
        {"kind": "partial_fill", "arg": "x"}, {"kind": "clock_skew_ms", "arg": 1.5},
        {"kind": "filter_change", "arg": {}},
        {"kind": "filter_change", "arg": {"NOPE": {}}}, {"kind": "filter_change", "arg": {"LOT_SIZE": {"x": 1}}},
        {"kind": "filter_change", "arg": {"LOT_SIZE": {"stepSize": "x"}}}, {"kind": "drop_before", "arg": 1}, [], "x",
    ],
)  # fmt: skip
def test_bad_faults_are_refused_and_not_armed(client, raw):
    answer = requests.post(f"{client.sim.admin_url}/sim/faults", json=raw, timeout=5)
    assert answer.status_code == 400 and "\n" not in answer.json()["error"]
    assert client.sim.exchange.faults.armed == []


def test_every_kind_of_the_issue_is_there():
    assert set(KINDS) == {
        "pending_lag", "ws_drop", "ws_silent", "ws_garbage", "ws_late", "ws_shutdown", "ws_terminated",
        "latency_ms", "http_status", "rate_limit_429", "ban_418", "timestamp_1021", "unknown_1007_after_accept",
        "drop_before", "drop_after_accept", "http_status_after_accept",
        "reset_mid_body", "redirect_307", "bad_json", "mutate_body", "html_502", "late_fill",
        "partial_fill", "listing_lag", "crossed_book", "empty_book", "frozen_price", "symbol_halted", "filter_change",
        "clock_skew_ms",
    }  # fmt: skip


def test_handle_raises_on_bad_faults(client):
    with pytest.raises(FaultError):
        client.sim.fault("gremlin")
