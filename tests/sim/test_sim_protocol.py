"""The protocol around the orders: keys, signatures, timestamps, weights, bans, order counts, unknown paths."""

import hashlib
import hmac
from urllib.parse import quote, urlencode

import pytest

from lab.sim.auth import Keys, sign_hmac, split_signature


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_keys(client):
    query = urlencode({"timestamp": client.sim.now_ms, "signature": "0" * 64})
    refused(client.send("GET", f"/api/v3/account?{query}", key=""), 401, -2014)
    refused(client.send("GET", f"/api/v3/account?{query}", key="other"), 401, -2015)
    refused(client.send("GET", f"/api/v3/account?{query}"), 400, -1022)


def test_mandatory_signing_parameters(client):
    refused(client.send("GET", "/api/v3/account"), 400, -1102)
    refused(client.send("GET", f"/api/v3/account?timestamp={client.sim.now_ms}"), 400, -1102)
    assert "'signature'" in client.send("GET", f"/api/v3/account?timestamp={client.sim.now_ms}").json()["msg"]


def test_signature_covers_query_then_body_exactly_as_sent(client):
    query = f"symbol=BTCUSDT&side=BUY&type=MARKET&newClientOrderId={quote('a_b-1')}"
    body = f"quantity=0.01&timestamp={client.sim.now_ms}"
    good = sign_hmac(b"simsecret", query + body)
    mixed = client.send("POST", f"/api/v3/order?{query}", body=f"{body}&signature={good}")
    assert mixed.status_code == 200, mixed.text
    joined = sign_hmac(b"simsecret", f"{query}&{body}")
    refused(client.send("POST", f"/api/v3/order?{query}", body=f"{body}&signature={joined}"), 400, -1022)


def test_signature_is_over_the_encoded_text(client):
    raw = f"symbol=BTCUSDT&origClientOrderId=a:b&timestamp={client.sim.now_ms}"
    encoded = raw.replace(":", "%3A")
    over_raw, over_encoded = (sign_hmac(b"simsecret", text) for text in (raw, encoded))
    refused(client.send("GET", f"/api/v3/order?{encoded}&signature={over_raw}"), 400, -1022)
    refused(client.send("GET", f"/api/v3/order?{encoded}&signature={over_encoded}"), 400, -2013)


def test_upper_case_signature_is_refused(client):
    query = f"timestamp={client.sim.now_ms}"
    good = hmac.new(b"simsecret", query.encode(), hashlib.sha256).hexdigest().upper()
    refused(client.send("GET", f"/api/v3/account?{query}&signature={good}"), 400, -1022)


def test_recorded_hmac_vectors(shared_json):
    for vector in shared_json("binance/signatures.json") + shared_json("mexc/signatures.json"):
        if "secret" in vector:
            assert Keys(vector["api_key"], vector["secret"]).accepts(vector["payload"], vector["signature"]), vector[
                "id"
            ]


def test_recorded_ed25519_vector(shared_json, tmp_path):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    vector = next(v for v in shared_json("binance/signatures.json") if v["id"] == "ed25519_pkcs8")
    private = serialization.load_pem_private_key(vector["private_key_pem"].encode(), None)
    formats = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    path = tmp_path / "public.pem"
    path.write_bytes(private.public_key().public_bytes(*formats))
    keys = Keys("k", "", path)
    assert keys.accepts(vector["payload"], quote(vector["signature"], safe=""))
    assert not keys.accepts(vector["payload"] + "0", vector["signature"])


def test_ed25519_account(make, ed25519_pair):
    public, sign = ed25519_pair
    client = make(ed25519_public=public)
    query = f"timestamp={client.sim.now_ms}"
    good = quote(sign(query), safe="")
    assert client.send("GET", f"/api/v3/account?{query}&signature={good}").status_code == 200
    refused(client.send("GET", f"/api/v3/account?{query}&signature={sign_hmac(b'simsecret', query)}"), 400, -1022)


def test_split_signature_takes_it_from_either_place():
    assert split_signature("a=1&signature=x", "") == ("a=1", "x")
    assert split_signature("signature=x&a=1", "b=2") == ("a=1b=2", "x")
    assert split_signature("a=1", "b=2&signature=x") == ("a=1b=2", "x")
    assert split_signature("a=1", "") == ("a=1", None)


@pytest.mark.parametrize(
    ("offset_ms", "window", "code"),
    [
        (0, None, None), (999, None, None), (1000, None, -1021), (-5000, None, None), (-5001, None, -1021),
        (-3000, 3000, None), (-3001, 3000, -1021), (-59_000, 60_000, None), (0, 60_001, -1131), (0, "5000.123", None),
    ],
)  # fmt: skip
def test_timestamp_both_ways(client, offset_ms, window, code):
    more = {} if window is None else {"recvWindow": window}
    answer = client.signed("GET", "/api/v3/account", timestamp=client.sim.now_ms + offset_ms, **more)
    if code is None:
        assert answer.status_code == 200, answer.text
    else:
        refused(answer, 400, code)


def test_timestamp_messages_and_microseconds(client):
    ahead = client.signed("GET", "/api/v3/account", timestamp=client.sim.now_ms + 2000).json()
    assert ahead["msg"] == "Timestamp for this request was 1000ms ahead of the server's time."
    late = client.signed("GET", "/api/v3/account", timestamp=client.sim.now_ms - 9000).json()
    assert late["msg"] == "Timestamp for this request is outside of the recvWindow."
    assert client.signed("GET", "/api/v3/account", timestamp=client.sim.now_ms * 1000).status_code == 200
    refused(client.signed("GET", "/api/v3/account", timestamp="soon"), 400, -1100)


def test_duplicate_and_unknown_parameters(client):
    refused(client.send("GET", "/api/v3/depth?symbol=BTCUSDT&symbol=BTCUSDT"), 400, -1101)
    refused(client.public("/api/v3/depth", symbol="BTCUSDT", colour="red"), 400, -1104)


def test_weights_are_charged_as_documented(client):
    used = 0
    for path, params, weight in (
        ("/api/v3/ping", {}, 1), ("/api/v3/time", {}, 1), ("/api/v3/exchangeInfo", {}, 20),
        ("/api/v3/depth", {"symbol": "BTCUSDT"}, 5), ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 500}, 25),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
        ("/api/v3/trades", {"symbol": "BTCUSDT"}, 25), ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
        ("/api/v3/avgPrice", {"symbol": "BTCUSDT"}, 2), ("/api/v3/ticker/24hr", {"symbol": "BTCUSDT"}, 2),
        ("/api/v3/ticker/24hr", {}, 80), ("/api/v3/ticker/price", {}, 4),
        ("/api/v3/ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
        ("/api/v3/depth", {"symbol": "NOPE"}, 5),
    ):  # fmt: skip
        used += weight
        answer = client.public(path, **params)
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == answer.headers["X-MBX-USED-WEIGHT"] == str(used), path
    client.sim.advance(60_000)
    assert client.public("/api/v3/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_signed_weights_and_free_orders(client):
    weight = lambda answer: int(answer.headers["X-MBX-USED-WEIGHT-1M"])  # noqa: E731
    placed = client.order("BUY", "MARKET", quantity="0.01")
    assert weight(placed) == 0, "a successful order costs nothing"
    assert (placed.headers["X-MBX-ORDER-COUNT-10S"], placed.headers["X-MBX-ORDER-COUNT-1D"]) == ("1", "1")
    failed = client.order("BUY", "MARKET", quantity="500")
    assert weight(failed) == 1 and "X-MBX-ORDER-COUNT-10S" not in failed.headers
    assert weight(client.signed("GET", "/api/v3/account")) == 21
    assert weight(client.signed("GET", "/api/v3/openOrders")) == 101
    assert weight(client.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")) == 107
    assert weight(client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")) == 127
    assert weight(client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=1)) == 132


def test_429_then_418_then_forgiven(make):
    client = make(weight_limit=100)
    for _ in range(5):
        assert client.public("/api/v3/exchangeInfo").status_code == 200
    limited = client.public("/api/v3/ping")
    refused(limited, 429, -1003)
    assert limited.json()["msg"].startswith(
        "Too much request weight used; current limit is 100 request weight per 1 MINUTE."
    )
    assert int(limited.headers["Retry-After"]) == 60 - client.sim.now_ms // 1000 % 60
    answers = [client.public("/api/v3/ping") for _ in range(10)]
    assert [answer.status_code for answer in answers] == [429] * 9 + [418]
    banned = answers[-1]
    assert banned.headers["Retry-After"] == "120" and str(client.sim.now_ms + 120_000) in banned.json()["msg"]
    client.sim.advance(119_000)
    assert client.public("/api/v3/ping").headers["Retry-After"] == "1"
    client.sim.advance(1000)
    assert client.public("/api/v3/ping").status_code == 200


def test_order_rate(make):
    client = make(orders_10s_limit=2)
    bid, _ = client.best()
    for _ in range(2):
        assert client.limit("BUY", round(bid * 0.9, 2), "0.01").status_code == 200
    third = client.limit("BUY", round(bid * 0.9, 2), "0.01")
    refused(third, 429, -1015)
    assert third.json()["msg"] == "Too many new orders; current limit is 2 orders per 10 SECOND."
    assert int(third.headers["Retry-After"]) <= 10
    client.sim.advance(10_000)
    assert client.limit("BUY", round(bid * 0.9, 2), "0.01").status_code == 200


def test_unknown_paths_methods_and_symbols(client):
    assert client.public("/api/v1/klines").status_code == 404
    assert client.send("POST", "/api/v3/userDataStream").status_code == 404
    assert client.send("PUT", "/api/v3/order").status_code == 405
    refused(client.public("/api/v3/depth", symbol="NOPE"), 400, -1121)
    refused(client.public("/api/v3/exchangeInfo", symbols='["BTCUSDT","NOPE"]'), 400, -1121)
    refused(client.public("/api/v3/klines", symbol="BTCUSDT", interval="7m"), 400, -1120)
    refused(client.public("/api/v3/depth"), 400, -1102)
    refused(client.public("/api/v3/exchangeInfo", symbols="nonsense"), 400, -1100)


def test_exchange_info_says_what_is_enforced(make):
    client = make(symbols=["BTCUSDT", "ETHUSDT"], weight_limit=777)
    info = client.public("/api/v3/exchangeInfo", symbol="ETHUSDT").json()
    assert info["rateLimits"][0] == {
        "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 777
    }  # fmt: skip
    assert [symbol["symbol"] for symbol in info["symbols"]] == ["ETHUSDT"]
    filters = {row["filterType"]: row for row in info["symbols"][0]["filters"]}
    assert set(filters) == {
        "PRICE_FILTER", "LOT_SIZE", "ICEBERG_PARTS", "MARKET_LOT_SIZE", "MAX_NUM_ORDER_LISTS",
        "TRAILING_DELTA", "PERCENT_PRICE_BY_SIDE",
        "NOTIONAL", "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS",
    }  # fmt: skip
    assert info["symbols"][0]["permissionSets"] == [["SPOT"]] and info["symbols"][0]["permissions"] == []


RECORDED = {
    "account": ("GET", "/api/v3/account", {}),
    "avg_price": ("GET", "/api/v3/avgPrice", {"symbol": "BTCUSDT"}),
    "book_ticker": ("GET", "/api/v3/ticker/bookTicker", {"symbol": "BTCUSDT"}),
    "cancel_all_open": ("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}),
    "cancel_order": ("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": 1}),
    "commission": ("GET", "/api/v3/account/commission", {"symbol": "BTCUSDT"}),
    "depth": ("GET", "/api/v3/depth", {"symbol": "BTCUSDT"}),
    "my_trades": ("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT"}),
    "open_orders": ("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"}),
    "order_full": ("POST", "/api/v3/order", {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}),
    "query_order": ("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": 1}),
    "rate_limit_order": ("GET", "/api/v3/rateLimit/order", {}),
    "ticker_24hr": ("GET", "/api/v3/ticker/24hr", {"symbol": "BTCUSDT"}),
    "ticker_price": ("GET", "/api/v3/ticker/price", {"symbol": "BTCUSDT"}),
    "time": ("GET", "/api/v3/time", {}),
    "trades": ("GET", "/api/v3/trades", {"symbol": "BTCUSDT"}),
}


def shape(value):
    """Keys and JSON types, lists by their first element."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize("name", list(RECORDED))
def test_answers_have_the_recorded_shape(client, shared_json, name):
    recorded = shared_json(f"binance/rest/{name}.json")["body"]
    bid, _ = client.best()
    client.limit("BUY", round(bid * 0.99, 2), "0.01")
    client.order("BUY", "MARKET", quantity="0.01")
    method, path, params = RECORDED[name]
    signed = method != "GET" or any(word in path for word in ("account", "order", "Order", "myTrades"))
    answer = client.signed(method, path, **params) if signed else client.public(path, **params)
    assert shape(answer.json()) == shape(recorded)
