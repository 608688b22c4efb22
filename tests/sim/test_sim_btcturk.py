"""The BTCTurk dialect over real HTTP: keys, shapes, orders, cancels that take time, fee and tax, quotas, faults."""

import base64
import hashlib
import hmac
import json
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.sim.auth import sign_base64
from lab.sim.btcturk_limits import QUOTAS
from lab.sim.btcturk_params import CODES, order_request
from lab.sim.build import SimConfig, build
from lab.sim.calls import Call
from lab.sim.clock import TimeMode
from lab.sim.fault_kinds import KINDS, Stage
from lab.sim.server import running_sim

SECRET = base64.b64encode(b"a-test-only-key").decode()
ORDER = {"method": "POST", "path": "/api/v1/order"}
DELETE = {"method": "DELETE", "path": "/api/v1/order"}
DAY_MS = 86_400_000


class Client:
    """Signs like the documentation says: base64(HMAC-SHA256(base64-decoded secret, key + stamp))."""

    def __init__(self, sim, key="simkey", secret=SECRET):
        self.sim, self.key, self.secret = sim, key, secret
        self.session = requests.Session()
        self.session.trust_env = False

    def headers(self, stamp=None):
        stamp = str(self.sim.now_ms if stamp is None else stamp)
        digest = hmac.new(base64.b64decode(self.secret), (self.key + stamp).encode(), hashlib.sha256).digest()
        return {"X-PCK": self.key, "X-Stamp": stamp, "X-Signature": base64.b64encode(digest).decode()}

    def send(self, method, path, headers=None, **kwargs):
        options = {"headers": headers, "timeout": 10, "allow_redirects": False}
        return self.session.request(method, f"{self.sim.rest_url}{path}", **options, **kwargs)

    def public(self, path, **params):
        return self.send("GET", path, params=params)

    def signed(self, method, path, **params):
        return self.send(method, path, self.headers(), params=params)

    def data(self, path, **params):
        return self.signed("GET", path, **params).json()["data"]

    def order(self, side, method, quantity, **fields):
        body = {"pairSymbol": "BTCTRY", "orderType": side, "orderMethod": method, "quantity": str(quantity)} | fields
        sent = {name: str(value) for name, value in body.items() if value is not None}
        headers = self.headers() | {"Content-Type": "application/json"}
        return self.send("POST", "/api/v1/order", headers, data=json.dumps(sent))

    def placed(self, *args, **fields):
        answer = self.order(*args, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def cancel(self, wire_id):
        return self.signed("DELETE", "/api/v1/order", id=wire_id)

    def seen(self, wire_id):
        return self.data(f"/api/v1/order/{wire_id}")

    def trades(self, wire_id):
        return self.data("/api/v1/users/transactions/trade", orderId=wire_id)

    def best(self):
        book = self.public("/api/v2/orderbook", pairSymbol="BTCTRY").json()["data"]
        return D(book["bids"][0][0]), D(book["asks"][0][0])

    def bid_below(self, quantity="0.01", **fields):
        """A limit buy that rests far below the market."""
        return self.placed("buy", "limit", quantity, price=self.best()[0] - 6000, **fields)


@pytest.fixture
def make():
    with ExitStack() as stack:
        defaults = {"venue": "btcturk", "symbols": ["BTCTRY"], "api_secret": SECRET,
                    "balances": {"BTC": "1", "TRY": "100000"}}  # fmt: skip
        yield lambda **options: Client(stack.enter_context(running_sim(**(defaults | options))))


@pytest.fixture
def turk(make):
    return make()


def refused(answer, message, code=None, status=400):
    body = answer.json()
    assert (answer.status_code, body["success"], body["message"]) == (status, False, message), answer.text
    assert body["code"] == (code if status == 400 else status)


def shape(value):
    return {key: type(item).__name__ for key, item in value.items()}


# --- keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1])
def test_recorded_signatures_are_accepted_byte_by_byte(make, shared_json, place):
    vector = shared_json("btcturk/signatures.json")[place]
    keys = {"api_key": vector["public_key"], "api_secret": vector["secret_base64"]}
    turk = make(start=int(vector["stamp"]), **keys)
    assert turk.send("GET", "/api/v1/users/balances", vector["headers"]).status_code == 200
    signature = vector["headers"]["X-Signature"]
    turned = signature.translate(str.maketrans("abcXYZ", "bcdYZX"))
    assert turned != signature
    refused(turk.send("GET", "/api/v1/users/balances", vector["headers"] | {"X-Signature": turned}),
            "Unauthorized - Invalid Signature", status=401)  # fmt: skip


def test_key_signature_and_stamp_are_each_checked(turk):
    def ask(**changes):
        return turk.send("GET", "/api/v1/users/balances", turk.headers() | changes)

    assert ask().status_code == 200
    refused(ask(**{"X-PCK": "other"}), "Unauthorized - Invalid Public Key", status=401)
    refused(ask(**{"X-Signature": ""}), "Unauthorized - Invalid Signature", status=401)
    refused(ask(**{"X-Stamp": str(turk.sim.now_ms + 1)}), "Unauthorized - Invalid Signature", status=401)
    refused(ask(**{"X-Stamp": "soon"}), "Unauthorized - Invalid Nonce", status=401)
    refused(turk.send("GET", "/api/v1/users/balances"), "Unauthorized - Invalid Public Key", status=401)
    refused(Client(turk.sim, secret="d3Jvbmc=").signed("GET", "/api/v1/users/balances"),
            "Unauthorized - Invalid Signature", status=401)  # fmt: skip


@pytest.mark.parametrize(("offset", "status"), [(-5000, 200), (5000, 200), (-5001, 401), (5001, 401)])
def test_the_stamp_may_be_five_seconds_off_both_ways(turk, shared_json, offset, status):
    answer = turk.send("GET", "/api/v1/users/balances", turk.headers(turk.sim.now_ms + offset))
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == shared_json("btcturk/errors/invalid_nonce.json")["body"]


def test_the_default_secret_is_known_to_clients_as_its_base64(make):
    turk = make(api_secret="simsecret")
    assert Client(turk.sim, secret="c2ltc2VjcmV0").signed("GET", "/api/v1/users/balances").status_code == 200


# --- public ----------------------------------------------------------------------------------------------------

PUBLIC = {
    "server_time": ("/api/v2/server/time", {}),
    "exchange_info": ("/api/v2/server/exchangeinfo", {}),
    "orderbook": ("/api/v2/orderbook", {"pairSymbol": "BTCTRY"}),
    "trades": ("/api/v2/trades", {"pairSymbol": "BTC_TRY"}),
    "ticker_2026": ("/api/v2/ticker", {"pairSymbol": "BTCTRY"}),
    "klines_history": ("/v1/klines/history", {"symbol": "BTCTRY", "resolution": "1"}),
    "ohlcs": ("/v1/ohlcs", {}),
}


@pytest.mark.parametrize("name", list(PUBLIC))
def test_public_answers_have_the_recorded_keys(turk, shared_json, name):
    path, params = PUBLIC[name]
    recorded = shared_json(f"btcturk/rest/{name}.json")["body"]
    if name == "klines_history":
        params = params | {"from": 0, "to": turk.sim.now_ms // 1000}
    answer = turk.public(path, **params).json()
    if isinstance(recorded, dict):
        assert recorded.keys() == answer.keys()
        recorded, answer = recorded.get("data", recorded), answer.get("data", answer)
    if isinstance(recorded, dict) and "symbols" in recorded:
        recorded, answer = recorded["symbols"][0], answer["symbols"][0]
        assert shape(recorded["filters"][0]) == shape(answer["filters"][0])
    if isinstance(recorded, list):
        recorded, answer = recorded[0], answer[0]
    assert recorded.keys() <= answer.keys()
    assert [key for key, value in recorded.items() if isinstance(value, str) != isinstance(answer[key], str)] == []


def test_pairs_are_written_both_ways_and_paths_in_any_case(turk):
    both = [turk.public("/api/v2/orderBook", pairSymbol=pair, limit=3).json() for pair in ("BTCTRY", "BTC_TRY")]
    assert both[0] == both[1] and len(both[0]["data"]["bids"]) == 3
    refused(turk.public("/api/v2/orderbook", pairSymbol="BTCEUR"), "FAILED_ORDER_PARAMETER")
    refused(turk.public("/api/v2/orderbook"), "FAILED_ORDER_PARAMETER")
    refused(turk.public("/api/v2/nothing"), "NOT_FOUND", status=404)
    refused(turk.send("POST", "/api/v2/ticker"), "METHOD_NOT_ALLOWED", status=405)


def test_tick_size_differs_from_the_denominator_scale(turk):
    symbol = turk.public("/api/v2/server/exchangeinfo").json()["data"]["symbols"][0]
    row = symbol["filters"][0]
    assert (symbol["numeratorScale"], symbol["denominatorScale"], row["tickSize"]) == (8, 2, "1")
    assert (row["minExchangeValue"], symbol["status"]) == ("99.91", "TRADING")


def test_candles_are_columns_in_seconds_without_bars_that_did_not_trade(make, write_market):
    rows = [(50000, 50010, 49990, 50005, 1), (50005, 50005, 50005, 50005, 0), None, (50005, 50030, 50000, 50020, "2.5")]
    start = 1_700_000_040_000
    turk = make(markets=[write_market(rows)], start=start + 239_000)
    ask = {"symbol": "BTCTRY", "resolution": "1", "from": start // 1000, "to": start // 1000 + 600}
    shown = turk.public("/v1/klines/history", **ask).json()
    assert shown == {"s": "ok", "t": [start // 1000, start // 1000 + 180], "h": [50010, 50030], "o": [50000, 50005],
                     "l": [49990, 50000], "c": [50005, shown["c"][1]], "v": [1, shown["v"][1]]}  # fmt: skip
    first = turk.public("/v1/klines/history", **ask | {"to": start // 1000 + 179}).json()
    assert first["t"] == [start // 1000]
    none = turk.public("/v1/klines/history", **ask | {"from": 2_000_000_000, "to": 2_000_000_600}).json()
    assert none["s"] == "no_data" and none["t"] == []
    wrong = turk.public("/v1/klines/history", **ask | {"resolution": "7"})
    assert (wrong.status_code, wrong.json()["s"]) == (400, "error")
    assert turk.public("/v1/ohlcs", pair="NOPE").json() == {"s": "error", "errmsg": "unknown_symbol"}


def test_candles_of_a_day_and_the_resolutions_clients_use(turk):
    now_s = turk.sim.now_ms // 1000
    for resolution, seconds in (("1", 60), ("15", 900), ("60", 3600), ("240", 14_400), ("1D", 86_400), ("1 d", 86_400)):
        ask = {"symbol": "BTCTRY", "resolution": resolution, "from": now_s - 2 * 86_400, "to": now_s}
        times = turk.public("/v1/klines/history", **ask).json()["t"]
        assert {later - earlier for earlier, later in pairwise(times)} == {seconds}
    days = turk.public("/v1/ohlcs", pair="BTCTRY", **{"from": now_s - 86_400, "to": now_s}).json()
    assert [day["time"] % 86_400 for day in days] == [0, 0]


def test_tape_and_ticker(turk):
    rows = turk.public("/api/v2/trades", pairSymbol="BTCTRY", last=5).json()["data"]
    assert len(rows) == 5 and rows == sorted(rows, key=lambda row: -row["date"])
    assert {row["side"] for row in rows} <= {"buy", "sell"}
    ticker = turk.public("/api/v2/ticker").json()["data"]
    assert len(ticker) == 1 and (ticker[0]["bid"], ticker[0]["ask"]) == turk.best()


# --- orders ----------------------------------------------------------------------------------------------------


def test_a_new_order_says_little_and_is_found_by_listing(turk, shared_json):
    made = turk.bid_below(newOrderClientId="mine1")
    recorded = shared_json("btcturk/rest/submit_order.json")["body"]["data"]
    assert shape(made) == shape(recorded)
    assert (made["type"], made["method"], made["newOrderClientId"]) == ("Buy", "Limit", "mine1")
    bids = turk.data("/api/v1/openOrders", pairSymbol="BTCTRY")["bids"]
    assert [(row["id"], row["orderClientId"], row["status"], row["time"]) for row in bids] == [
        (made["id"], "mine1", "Untouched", 0)
    ]
    listed = turk.data("/api/v1/allOrders", pairSymbol="BTC_TRY")
    assert [(row["orderClientId"], row["time"]) for row in listed] == [("mine1", turk.sim.now_ms)]
    assert turk.seen(made["id"]) == listed[0]
    assert turk.sim.books()["orders"][0]["orderId"] == made["id"]
    assert turk.sim.requests()[0]["path"] == "/api/v2/orderbook"
    assert turk.sim.requests()[1]["clientOrderId"] == "mine1"


RECORDED = {
    "all_orders_2021": "/api/v1/allOrders?pairSymbol=BTCTRY",
    "balances": "/api/v1/users/balances",
    "open_orders": "/api/v1/openOrders?pairSymbol=BTCTRY",
    "user_trades": "/api/v1/users/transactions/trade",
    "single_order": "/api/v1/order/10938696002",
}


@pytest.mark.parametrize("name", list(RECORDED))
def test_signed_answers_have_the_recorded_shape(turk, shared_json, name):
    turk.placed("buy", "market", "200")
    turk.bid_below()
    turk.placed("sell", "limit", "0.01", price=turk.best()[1] + 3000)
    recorded = shared_json(f"btcturk/rest/{name}.json")["body"]
    answer = turk.signed("GET", RECORDED[name]).json()
    assert answer.keys() == recorded.keys() and answer["message"] == recorded["message"]
    recorded, answer = recorded["data"], answer["data"]
    if name == "open_orders":
        assert recorded.keys() == answer.keys()
        recorded, answer = recorded["asks"], answer["asks"]
    if isinstance(recorded, list):
        recorded, answer = recorded[0], answer[0]
    assert shape(answer) == shape(recorded)


def test_client_ids_are_made_when_missing_and_may_repeat(turk):
    made = [turk.bid_below()["newOrderClientId"] for _ in range(2)]
    assert made[0] != made[1] and all(len(text) == 36 for text in made)
    turk.bid_below(newOrderClientId="twice")
    turk.bid_below(newOrderClientId="twice")
    assert [order["clientOrderId"] for order in turk.sim.books()["orders"]] == [*made, "twice", "twice"]


def test_parameters_may_come_as_json_numbers_or_in_the_query(turk):
    price = int(turk.best()[0]) - 6000
    body = {"pairSymbol": "BTCTRY", "orderType": "buy", "orderMethod": "limit", "quantity": 0.01, "price": price}
    assert (
        turk.send("POST", "/api/v1/order", turk.headers(), data=json.dumps(body)).json()["data"]["quantity"] == "0.01"
    )
    assert turk.signed("POST", "/api/v1/order", **body).status_code == 200
    for broken in ("{", "[]", '{"pairSymbol": {"a": 1}}', "{" * 5000):
        refused(turk.send("POST", "/api/v1/order", turk.headers(), data=broken), "FAILED_ORDER_PARAMETER")


def test_stop_orders_wait_trigger_and_then_trade(make, write_market):
    rows = [(50000, 50000, 50000, 50000, 10)] * 3 + [(50000, 50000, 49000, 49500, 10)] * 3
    turk = make(markets=[write_market(rows)], start=1_700_000_040_000 + 60_000)
    at_market = turk.placed("sell", "stopmarket", "0.01", stopPrice=49_800, price=None)
    with_limit = turk.placed("sell", "stoplimit", "0.01", stopPrice=49_800, price=49_600)
    assert [turk.seen(made["id"])["status"] for made in (at_market, with_limit)] == ["Untouched", "Untouched"]
    turk.sim.advance(240_000)
    shown = turk.seen(at_market["id"])
    assert (shown["status"], shown["method"], shown["stopPrice"]) == ("Closed", "stopmarket", "49800.00")
    assert shown["price"] == turk.trades(at_market["id"])[-1]["price"], "the first trade's price"
    assert turk.seen(with_limit["id"])["status"] == "Closed"
    assert all(D(row["price"]) >= 49_600 for row in turk.trades(with_limit["id"]))


def test_a_market_order_stops_at_its_reach_from_the_best_price():
    config = SimConfig(venue="btcturk", symbols=("BTCTRY",), mode=TimeMode.STEP, balances={"BTC": D(100)})
    exchange = build(config)[0]
    market = exchange.markets["BTCTRY"]
    wanted = {"orderMethod": "market", "orderType": "sell", "quantity": "90"}
    request = order_request(wanted, market.rules, "reach")
    assert request.reach_frac == D("0.05"), "as documented; the simulated book is not that deep"
    best = next(market.ladder.bids(exchange.now_ms)).price
    order = exchange.engine.place(replace(request, reach_frac=D("0.001")), exchange.now_ms, market.rules)
    prices = [trade.price for trade in order.trades]
    assert len(prices) > 5 and prices[0] == best and min(prices) >= best * D("0.999")
    assert next(market.ladder.bids(exchange.now_ms)).price < best * D("0.999"), "the next level was beyond"
    assert 0 < order.executed < 90 and order.status == "EXPIRED"


def test_what_a_market_order_does_not_get_is_cancelled(turk):
    turk.sim.fault("partial_fill", **ORDER, arg="0.5")
    shown = turk.seen(turk.placed("sell", "market", "0.02")["id"])
    assert (shown["status"], shown["quantity"], D(shown["leftAmount"])) == ("Canceled", "0.02000000", D("0.01"))


# --- refusals --------------------------------------------------------------------------------------------------

GOOD = {"side": "buy", "method": "limit", "quantity": "0.01", "price": "50000"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairSymbol": "NOPE"}, "FAILED_ORDER_PARAMETER"),
        ({"side": "hold"}, "ORDER_TYPE_NOT_SUPPORTED"),
        ({"method": "iceberg"}, "ORDER_METHOD_NOT_SUPPORTED"),
        ({"quantity": "many"}, "FAILED_ORDER_PARAMETER"),
        ({"quantity": "-1"}, "FAILED_ORDER_PARAMETER"),
        ({"quantity": "0"}, "FAILED_ORDER_PARAMETER"),
        ({"quantity": "1e-3"}, "FAILED_ORDER_PARAMETER"),
        ({"price": None}, "FAILED_ORDER_PARAMETER"),
        ({"newOrderClientId": "x" * 101}, "FAILED_ORDER_PARAMETER"),
        ({"quantity": "0.010000001"}, "FAILED_INVALID_QUANTITY_SCALE"),
        ({"price": "50000.5"}, "FAILED_INVALID_PRICE_SCALE"),
        ({"method": "stoplimit", "stopPrice": "70000.5"}, "FAILED_INVALID_STOP_PRICE_SCALE"),
        ({"quantity": "0.001"}, "FAILED_MIN_TOTAL_AMOUNT"),
        ({"method": "market", "quantity": "99.90"}, "FAILED_MIN_TOTAL_AMOUNT"),
        ({"price": "5000", "quantity": "1"}, "ORDER_MIN_PRICE_EXCEEDED"),
        ({"price": "700000"}, "PRICE_MUST_BE_LESS_THAN_MAXPRICE"),
        ({"price": "99000000"}, "PRICE_MUST_BE_LESS_THAN_MAXPRICE"),
        ({"quantity": "2"}, "BALANCE_NOT_ENOUGH"),
        ({"side": "sell", "price": "65000", "quantity": "1.1"}, "BALANCE_NOT_ENOUGH"),
        ({"method": "stoplimit", "stopPrice": "50000"}, "FAILED_STOP_PRICE_GREATER_THAN_BEST_ASK"),
        ({"side": "sell", "method": "stopmarket", "stopPrice": "70000"}, "FAILED_STOP_PRICE_LESS_THAN_BEST_BID"),
    ],
)
def test_each_refusal_has_its_message_and_its_documented_number(turk, changes, message):
    order = GOOD | changes
    answer = turk.order(order.pop("side"), order.pop("method"), order.pop("quantity"), **order)
    refused(answer, message, CODES.get(message))
    assert turk.sim.books()["orders"] == []


def test_money_held_by_open_orders_is_told_apart(turk):
    turk.placed("buy", "limit", "1.5", price=50_000)
    refused(turk.order("buy", "limit", "1", price=50_000), "FAILED_ORDER_WITH_OPEN_ORDERS", 1122)
    refused(turk.order("buy", "limit", "3", price=50_000), "BALANCE_NOT_ENOUGH")


def test_unknown_orders_are_400_not_404(turk):
    made = turk.bid_below()["id"]
    for path in (f"/api/v1/order/{made + 1}", "/api/v1/order/abc", "/api/v1/order/1", f"/api/v1/order/{9**40}"):
        refused(turk.signed("GET", path), "Order not found", 1152)
    for wire_id in (made + 1, "abc", "", 0):
        refused(turk.cancel(wire_id), "NO_ORDER_MATCHES_YOUR_REQUEST")


def test_numbers_and_messages_are_the_recorded_ones(shared_json):
    recorded = shared_json("btcturk/errors.json")
    assert recorded["numeric_since_2024_05_06"] == CODES
    for name in ("min_total", "price_scale"):
        body = shared_json(f"btcturk/errors/{name}.json")["body"]
        assert CODES[body["message"]] == body["code"]


AMOUNTS = st.sampled_from(
    ["200", "50000", "0.01", "70000", "9" * 10, "9" * 39, "0." + "1" * 37, "1e5", "NaN", "", "-1"]
)
WORDS = st.one_of(st.sampled_from(["BTC_TRY", "1", "0", "buy", "1D", "x", "\u0661", "9" * 39]), st.text(max_size=8))
NAMES = [
    "pairSymbol", "newOrderClientId", "id", "orderId", "page", "limit", "startTime", "endTime", "startDate", "endDate",
    "type", "symbol", "pair", "resolution", "from", "to", "last",
]  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(["limit", "market", "stoplimit", "stopmarket"]),
    st.sampled_from(["buy", "sell"]),
    st.fixed_dictionaries({"quantity": AMOUNTS, "price": AMOUNTS, "stopPrice": AMOUNTS}),
    st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=3),
)
def test_whatever_is_sent_is_answered(method, side, amounts, changes):
    exchange, dialect = build(SimConfig(venue="btcturk", symbols=("BTCTRY",), mode=TimeMode.STEP))
    stamp = str(exchange.now_ms)
    signature = sign_base64(b"simsecret", f"simkey{stamp}")
    headers = {"X-PCK": "simkey", "X-Stamp": stamp, "X-Signature": signature}
    good = {"pairSymbol": "BTCTRY", "orderType": side, "orderMethod": method, "symbol": "BTCTRY", "resolution": "240",
            "from": str(exchange.now_ms // 1000 - 9000), "to": stamp}  # fmt: skip
    query = urlencode(good | amounts | changes)
    for verb, path in dialect.endpoints:
        call = Call(verb, path.replace("{orderid}", "10938696001"), query, "", headers)
        assert dialect.handle(call).status in (200, 400)
    exchange.advance(60_000)


# --- cancels take time -----------------------------------------------------------------------------------------


def test_a_cancel_is_only_received_and_takes_effect_later(turk, shared_json):
    made = turk.bid_below()["id"]
    locked = D(turk.sim.books()["balances"]["TRY"]["locked"])
    answer = turk.cancel(made)
    assert (answer.status_code, answer.json()) == (200, shared_json("btcturk/rest/cancel_order.json")["body"])
    assert turk.seen(made)["status"] == "Untouched" and locked > 0
    assert len(turk.data("/api/v1/openOrders", pairSymbol="BTCTRY")["bids"]) == 1
    assert turk.cancel(made).status_code == 200, "received again"
    turk.sim.advance(1)
    assert turk.seen(made)["status"] == "Canceled"
    assert turk.data("/api/v1/openOrders", pairSymbol="BTCTRY") == {"asks": [], "bids": []}
    assert D(turk.sim.books()["balances"]["TRY"]["locked"]) == 0
    refused(turk.cancel(made), "ORDER_COULD_NOT_BE_CANCELED")


def test_while_time_stands_still_the_fourth_request_sees_the_cancel(turk):
    made = turk.bid_below()["id"]
    turk.cancel(made)
    assert [turk.seen(made)["status"] for _ in range(4)] == [*["Untouched"] * 3, "Canceled"]
    assert D(turk.sim.books()["balances"]["TRY"]["locked"]) == 0
    lagging = turk.bid_below()["id"]
    turk.sim.fault("listing_lag", **DELETE, arg=1)
    turk.cancel(lagging)
    assert {turk.seen(lagging)["status"] for _ in range(9)} == {"Untouched"}, "a cancel that lags is not hurried"


@pytest.mark.parametrize(("fraction", "status"), [(None, "Closed"), ("0.25", "Canceled")])
def test_a_fill_may_arrive_between_the_delete_and_the_final_state(turk, fraction, status):
    made = turk.bid_below("0.02")
    turk.sim.fault("late_fill", **DELETE, arg=3)
    if fraction:
        turk.sim.fault("partial_fill", **DELETE, arg=fraction)
    assert turk.cancel(made["id"]).status_code == 200
    turk.sim.advance(2999)
    assert (turk.seen(made["id"])["status"], turk.trades(made["id"])) == ("Untouched", [])
    turk.sim.advance(1)
    assert turk.seen(made["id"])["status"] == ("Closed" if fraction is None else "Partial")
    turk.sim.advance(1)
    shown, fills = turk.seen(made["id"]), turk.trades(made["id"])
    assert shown["status"] == status
    assert [(row["price"], D(row["amount"])) for row in fills] == [(made["price"], D("0.02") * D(fraction or 1))]
    assert D(shown["quantity"]) - D(shown["leftAmount"]) == D(fills[0]["amount"])
    assert D(turk.sim.books()["balances"]["TRY"]["locked"]) == 0


def test_the_final_state_may_lag_while_the_order_trades_on(turk):
    turk.sim.fault("late_fill", **ORDER, arg=5)
    crossing = turk.placed("buy", "limit", "0.01", price=turk.best()[1] + 500)["id"]
    turk.sim.fault("listing_lag", **DELETE, arg=10)
    turk.cancel(crossing)
    turk.sim.advance(4999)
    assert turk.seen(crossing)["status"] == "Untouched"
    turk.sim.advance(1)
    assert turk.seen(crossing)["status"] == "Closed", "filled before the cancel took effect"
    turk.sim.advance(10_000)
    assert turk.seen(crossing)["status"] == "Closed"
    resting = turk.bid_below()["id"]
    turk.sim.fault("listing_lag", **DELETE, arg=10)
    turk.cancel(resting)
    turk.sim.advance(9_999)
    assert turk.seen(resting)["status"] == "Untouched"
    turk.sim.advance(1)
    assert turk.seen(resting)["status"] == "Canceled"


def test_what_can_not_be_cancelled(turk):
    done = turk.placed("buy", "market", "200")["id"]
    refused(turk.cancel(done), "ORDER_COULD_NOT_BE_CANCELED")
    turk.sim.fault("late_fill", **ORDER, arg=60)
    waiting = turk.placed("buy", "market", "200")["id"]
    refused(turk.cancel(waiting), "ORDER_COULD_NOT_BE_CANCELED")
    stop = turk.placed("sell", "stopmarket", "0.01", stopPrice=turk.best()[0] - 5000)["id"]
    turk.sim.fault("symbol_halted", **DELETE)
    refused(turk.cancel(stop), "ORDER_CANCEL_BLOCKED")
    assert turk.cancel(stop).status_code == 200
    turk.sim.advance(1)
    assert turk.seen(stop)["status"] == "Canceled"


def test_a_stop_that_waits_offers_nothing_to_a_late_fill(turk):
    stop = turk.placed("sell", "stopmarket", "0.01", stopPrice=turk.best()[0] - 5000)["id"]
    turk.sim.fault("late_fill", **DELETE, arg=1)
    turk.cancel(stop)
    turk.sim.advance(1001)
    assert turk.seen(stop)["status"] == "Canceled" and turk.sim.books()["trades"] == []


# --- money -----------------------------------------------------------------------------------------------------


def shown_balances(turk):
    rows = {row["asset"]: row for row in turk.data("/api/v1/users/balances")}
    for row in rows.values():
        assert D(row["balance"]) == D(row["free"]) + D(row["locked"])
        assert all(len(row[name].partition(".")[2]) == 16 for name in ("balance", "free", "locked"))
    return {asset: D(row["balance"]) for asset, row in rows.items()}


def test_fee_and_tax_are_in_the_quote_currency_and_close_to_the_last_digit(make):
    turk = make(fee_bps="15.2542")
    before = shown_balances(turk)
    turk.placed("buy", "market", "1000")
    turk.placed("buy", "limit", "0.1", price=turk.best()[1] + 500)
    turk.placed("sell", "market", "0.05")
    turk.placed("sell", "limit", "0.02", price=turk.best()[0] - 500)
    turk.placed("buy", "limit", "0.3", price=turk.best()[0])
    turk.sim.advance(3_600_000)
    rows = turk.data("/api/v1/users/transactions/trade")
    assert len({row["orderId"] for row in rows}) == 5, "the resting order traded too"
    flow = defaultdict(D)
    for row in rows:
        amount, price, fee, tax = (D(row[name]) for name in ("amount", "price", "fee", "tax"))
        assert (amount < 0) == (row["orderType"] == "sell") and fee < 0 and tax < 0
        cost = abs(amount) * price
        assert -fee == (cost * D("0.00152542")).quantize(D("1e-8"), rounding="ROUND_DOWN")
        assert -tax == (cost * D("0.00152542") * D("0.18")).quantize(D("1e-8"), rounding="ROUND_DOWN")
        flow["BTC"] += amount
        flow["TRY"] += fee + tax - amount * price
    after = shown_balances(turk)
    assert after == {asset: before[asset] + flow[asset] for asset in before}
    ledger = turk.sim.ledger()["TRY"]
    assert D(ledger["fees"]) == -sum(D(row["fee"]) + D(row["tax"]) for row in rows)
    assert {trade["commissionAsset"] for trade in turk.sim.books()["trades"]} == {"TRY"}
    assert sum(D(trade["commission"]) for trade in turk.sim.books()["trades"]) == D(ledger["fees"])


def test_recorded_trades_have_the_tax_we_charge(shared_json):
    for row in shared_json("btcturk/rest/user_trades.json")["body"]["data"]:
        assert abs(D(row["tax"]) - D(row["fee"]) * D("0.18")) <= D("1e-8")


def test_a_market_buy_spends_its_quote_amount_with_fee_and_tax_inside(turk):
    made = turk.placed("buy", "market", "100")
    rows = turk.trades(made["id"])
    spent = sum(D(row["amount"]) * D(row["price"]) - D(row["fee"]) - D(row["tax"]) for row in rows)
    assert D("99.99") < spent <= 100
    assert shown_balances(turk)["TRY"] == 100_000 - spent
    assert made["quantity"] == "100"


def test_a_buy_must_hold_back_fee_and_tax(make):
    turk = make(balances={"TRY": "1000"})
    price = turk.best()[0] - 6000
    quantity = (1000 / price).quantize(D("1e-8"), rounding="ROUND_DOWN")
    refused(turk.order("buy", "limit", quantity, price=price), "BALANCE_NOT_ENOUGH")
    made = turk.placed("buy", "limit", (quantity / D("1.0012")).quantize(D("1e-8"), rounding="ROUND_DOWN"), price=price)
    locked = D(turk.sim.books()["balances"]["TRY"]["locked"])
    assert locked == (D(made["quantity"]) * price * D("1.00118")).quantize(D("1e-8"), rounding="ROUND_UP")


# --- lists -----------------------------------------------------------------------------------------------------


def test_all_orders_come_newest_first_in_pages(turk):
    made = []
    for _ in range(5):
        made.append(turk.bid_below()["id"])
        turk.sim.advance(1000)
    newest_first = made[::-1]

    def ids(**params):
        return [row["id"] for row in turk.data("/api/v1/allOrders", **params)]

    assert ids() == ids(pairSymbol="BTCTRY") == newest_first
    assert [ids(limit=2, page=page) for page in (1, 2, 3, 4)] == [
        newest_first[:2], newest_first[2:4], newest_first[4:], []
    ]  # fmt: skip
    assert ids(limit=2, page=0) == ids(limit=2)
    assert ids(orderId=made[3]) == newest_first[:2]
    first = turk.sim.now_ms - 5000
    assert ids(startTime=first, endTime=first + 1000) == [made[1], made[0]]
    for wrong in ({"page": "x"}, {"limit": "-1"}, {"orderId": "1.5"}, {"pairSymbol": "NOPE"}):
        refused(turk.signed("GET", "/api/v1/allOrders", **wrong), "FAILED_ORDER_PARAMETER")
    refused(turk.signed("GET", "/api/v1/openOrders"), "FAILED_ORDER_PARAMETER")


def test_trades_by_order_by_side_by_asset_and_by_date(make):
    turk = make(symbols=["BTCTRY", "ETHTRY"], balances={"TRY": "100000", "BTC": "1", "ETH": "1"})
    bought = turk.placed("buy", "market", "500")["id"]
    turk.sim.advance(1000)
    sold = turk.placed("sell", "market", "0.01")["id"]
    other = turk.placed("buy", "market", "500", pairSymbol="ETH_TRY")["id"]

    def orders(query=""):
        return {row["orderId"] for row in turk.data(f"/api/v1/users/transactions/trade{query}")}

    assert orders() == {bought, sold, other}
    assert orders(f"?orderId={sold}") == {sold}
    assert orders("?type=buy") == {bought, other} and orders("?type=buy&type=sell") == {bought, sold, other}
    assert orders("?symbol=eth") == {other} and orders("?pairSymbol=BTC_TRY") == {bought, sold}
    assert orders(f"?endDate={turk.sim.now_ms - 1}") == {bought}
    refused(turk.signed("GET", f"/api/v1/users/transactions/trade?orderId={sold}&type=buy"), "FAILED_ORDER_PARAMETER")
    turk.sim.advance(31 * DAY_MS)
    assert orders() == set() and orders(f"?startDate={turk.sim.now_ms - 32 * DAY_MS}") == {bought, sold, other}
    assert orders(f"?orderId={bought}") == {bought}
    assert all(row["id"] > 2**53 for row in turk.data(f"/api/v1/users/transactions/trade?orderId={bought}"))


# --- quotas ----------------------------------------------------------------------------------------------------


def test_quotas_are_the_recorded_ones(shared_json):
    assert [list(quota) for quota in QUOTAS] == shared_json("btcturk/rate_limits.json")["limits"]


def test_ten_orders_a_second_then_closed_for_a_second(turk):
    answers = [turk.order("buy", "market", "100").status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]
    turk.sim.advance(999)
    closed = turk.order("buy", "market", "100")
    refused(closed, "TOO_MANY_REQUESTS", status=429)
    assert closed.headers["Retry-After"] == "1"
    assert (closed.json()["limit"], closed.json()["period"]) == ("10", "1s")
    assert turk.cancel(1).status_code == 400, "another endpoint is open"
    turk.sim.advance(1)
    assert turk.order("buy", "market", "100").status_code == 200


def test_a_period_starts_with_its_first_request(turk, shared_json):
    turk.sim.advance(59_000)
    turk.data("/api/v1/users/balances")
    turk.sim.advance(59_999)
    answers = [turk.signed("GET", "/api/v1/users/balances") for _ in range(120)]
    assert [answer.status_code for answer in answers] == [200] * 119 + [429]
    assert answers[-1].headers["Retry-After"] == "60"
    assert answers[-1].json() == shared_json("btcturk/errors/rate_limited_ip.json")["body"]
    turk.sim.advance(60_000)
    assert turk.signed("GET", "/api/v1/users/balances").status_code == 200


# --- faults ----------------------------------------------------------------------------------------------------


def clients(turk):
    return [order["clientOrderId"] for order in turk.sim.books()["orders"]]


def buy(turk):
    return turk.order("buy", "market", "200", newOrderClientId="f1")


@pytest.mark.parametrize(
    ("kind", "arg", "status", "message", "wait"),
    [
        ("http_status", 500, 500, "INTERNAL_SERVER_ERROR", None),
        ("http_status", 503, 503, "SERVICE_UNAVAILABLE", None),
        ("rate_limit_429", 37, 429, "TOO_MANY_REQUESTS", "37"),
        ("ban_418", 180, 418, "IP_BLOCKED", "180"),
        ("timestamp_1021", None, 401, "Unauthorized - Invalid Nonce", None),
        ("unknown_1007_after_accept", None, 504, "GATEWAY_TIMEOUT", None),
        ("http_status_after_accept", 503, 503, "SERVICE_UNAVAILABLE", None),
    ],
)
def test_faults_that_answer_speak_btcturk(turk, kind, arg, status, message, wait):
    turk.sim.fault(kind, **ORDER, arg=arg)
    answer = buy(turk)
    refused(answer, message, status=status)
    assert answer.headers.get("Retry-After") == wait
    assert clients(turk) == (["f1"] if kind.endswith("accept") else [])
    assert turk.sim.requests()[-1]["outcome"] == kind
    assert turk.sim.requests()[-1]["clientOrderId"] == "f1"
    assert buy(turk).status_code == 200, "used up"


@pytest.mark.parametrize("kind", ["html_502", "redirect_307", "drop_before", "drop_after_accept", "reset_mid_body"])
def test_faults_of_the_wire(turk, kind):
    turk.sim.fault(kind, **ORDER)
    if kind.startswith(("drop", "reset")):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            buy(turk)
    else:
        assert buy(turk).status_code == int(kind[-3:])
    assert clients(turk) == (["f1"] if kind in ("drop_after_accept", "reset_mid_body") else [])
    assert len(turk.data("/api/v1/allOrders")) == len(clients(turk))


def test_bad_json_and_latency(turk):
    turk.sim.fault("bad_json", **ORDER)
    answer = buy(turk)
    with pytest.raises(ValueError, match=r"."):
        answer.json()
    assert (answer.status_code, clients(turk)) == (200, ["f1"])
    turk.sim.fault("latency_ms", path="/api/v2/server/time", arg=120)
    assert turk.public("/api/v2/server/time").elapsed.total_seconds() >= 0.12


def test_late_and_partial_fills(turk):
    turk.sim.fault("late_fill", **ORDER, arg=20)
    late = turk.placed("buy", "market", "200")["id"]
    turk.sim.advance(19_999)
    assert turk.seen(late)["status"] == "Untouched" and turk.trades(late) == []
    turk.sim.advance(1)
    assert turk.seen(late)["status"] == "Closed"
    turk.sim.fault("partial_fill", **ORDER, arg="0.5")
    partly = turk.placed("buy", "limit", "0.02", price=turk.best()[1] + 500)["id"]
    shown = turk.seen(partly)
    assert (shown["status"], D(shown["leftAmount"])) == ("Partial", D("0.01"))
    turk.cancel(partly)
    turk.sim.advance(1)
    assert turk.seen(partly)["status"] == "Canceled" and D(turk.seen(partly)["leftAmount"]) == D("0.01")


def test_listing_lag_hides_an_order_and_its_trades_from_every_list(turk):
    turk.sim.fault("listing_lag", **ORDER, arg=30)
    hidden = turk.placed("buy", "limit", "0.01", price=turk.best()[1] + 500, newOrderClientId="hidden")["id"]
    turk.sim.advance(29_999)
    refused(turk.signed("GET", f"/api/v1/order/{hidden}"), "Order not found", 1152)
    assert turk.data("/api/v1/allOrders") == turk.trades(hidden) == turk.data("/api/v1/users/transactions/trade") == []
    assert shown_balances(turk)["BTC"] > 1, "the money has moved"
    turk.sim.advance(1)
    assert [row["orderClientId"] for row in turk.data("/api/v1/allOrders")] == ["hidden"]
    assert turk.trades(hidden)


def test_faults_of_the_book_and_the_price(turk):
    book = {"pairSymbol": "BTCTRY"}
    turk.sim.fault("empty_book", path="/api/v2/orderbook")
    empty = turk.public("/api/v2/orderbook", **book).json()["data"]
    assert (empty["bids"], empty["asks"]) == ([], [])
    turk.sim.fault("crossed_book", path="/api/v2/orderbook")
    crossed = turk.public("/api/v2/orderbook", **book).json()["data"]
    assert D(crossed["bids"][0][0]) > D(crossed["asks"][0][0])
    turk.sim.fault("frozen_price", path="/api/v2/", count=None)
    first = turk.public("/api/v2/ticker").json()["data"][0]["last"]
    turk.sim.advance(600_000)
    assert turk.public("/api/v2/ticker").json()["data"][0]["last"] == first
    turk.sim.clear_faults()
    assert turk.public("/api/v2/ticker").json()["data"][0]["last"] != first
    turk.sim.fault("empty_book", **ORDER)
    nothing = turk.placed("buy", "market", "200")["id"]
    assert turk.seen(nothing)["status"] == "Canceled" and turk.trades(nothing) == []


def test_halt_and_filter_change(turk):
    turk.sim.fault("symbol_halted", count=3)
    assert turk.public("/api/v2/server/exchangeinfo").json()["data"]["symbols"][0]["status"] == "HALT"
    refused(turk.order("buy", "market", "200"), "FAILED_MARKET_ORDER", 1118)
    refused(turk.order("buy", "limit", "0.01", price=50_000), "FAILED_LIMIT_ORDER", 1120)
    changed = {"PRICE_FILTER": {"tickSize": "10", "minExchangeValue": "250"}, "numeratorScale": 3}
    turk.sim.fault("filter_change", count=None, arg=changed)
    symbol = turk.public("/api/v2/server/exchangeinfo").json()["data"]["symbols"][0]
    row = symbol["filters"][0]
    assert (row["tickSize"], row["minExchangeValue"], symbol["numeratorScale"]) == ("10", "250", 3)
    refused(turk.order("buy", "market", "200"), "FAILED_MIN_TOTAL_AMOUNT", 1123)
    refused(turk.order("buy", "limit", "0.01", price=50_001), "FAILED_INVALID_PRICE_SCALE", 1126)
    refused(turk.order("buy", "limit", "0.0101", price=50_000), "FAILED_INVALID_QUANTITY_SCALE", 1127)
    turk.sim.fault("filter_change", count=None, arg={"PRICE_FILTER": {"minAmount": "0.02", "maxAmount": "0.5"}})
    row = turk.public("/api/v2/server/exchangeinfo").json()["data"]["symbols"][0]["filters"][0]
    assert (row["minAmount"], row["maxAmount"]) == ("0.02", "0.5")
    refused(turk.order("buy", "limit", "0.01", price=50_000), "FAILED_MIN_TOTAL_AMOUNT", 1123)
    refused(turk.order("sell", "market", "0.6"), "FAILED_ORDER_PARAMETER")


def test_clock_skew_moves_the_clock_shown_and_the_clock_that_judges(turk):
    turk.sim.fault("clock_skew_ms", count=None, arg=7000)
    shown = turk.public("/api/v2/server/time").json()
    assert shown["serverTime"] == turk.sim.now_ms + 7000
    assert shown["serverTime2"] == "2026-01-05T00:00:07.0000000+00:00"
    refused(turk.signed("GET", "/api/v1/users/balances"), "Unauthorized - Invalid Nonce", status=401)
    right = turk.send("GET", "/api/v1/users/balances", turk.headers(turk.sim.now_ms + 7000))
    assert right.status_code == 200


def test_every_fault_kind_is_exercised_here():
    """All but `pending_lag` (it delays legs of order lists, which BTCTurk has not) and `mutate_body`, which knows no
    venue (tests/sim/test_sim_mutation.py)."""
    text = Path(__file__).read_text()
    requests_only = [kind for kind, row in KINDS.items() if row.stage is not Stage.STREAM]  # it serves no streams
    for elsewhere in ("pending_lag", "mutate_body"):
        requests_only.remove(elsewhere)
    assert [kind for kind in requests_only if f'"{kind}"' not in text] == []


# --- the seed decides ------------------------------------------------------------------------------------------


def drive(turk):
    for number in range(6):
        turk.placed("buy", "market", 200 + number)
        resting = turk.bid_below("0.01")["id"]
        turk.sim.fault("late_fill", **DELETE, arg=number)
        turk.cancel(resting)
        turk.sim.advance(60_000)
    return turk.sim.books(), turk.public("/api/v2/orderbook", pairSymbol="BTCTRY").text, turk.sim.requests()


def test_same_seed_same_everything_other_seed_other_books(make):
    first, second, other = drive(make(seed=11)), drive(make(seed=11)), drive(make(seed=12))
    assert first == second and first[0] != other[0]
    statuses = [order["status"] for order in first[0]["orders"]]
    assert statuses.count("FILLED") == 11 and statuses.count("CANCELED") == 1
