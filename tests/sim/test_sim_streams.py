"""WebSockets of the simulated Binance, by an independent client: market streams, the WebSocket API, user data, faults.

Stepped time: what is pushed follows from the steps alone.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lab.sim.fault_kinds import KINDS, Stage

START_MS = 1_767_571_200_000
API = "/ws-api/v3"
USER = "userDataStream.subscribe.signature"


class Listener:
    """A connection and the messages it got."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def next(self) -> Any:
        return json.loads(self.socket.recv(timeout=10))

    def upto(self, ms: int) -> list[Any]:
        """Messages until one that belongs to virtual time `ms`, this one included."""
        found = [self.next()]
        while when(found[-1]) < ms:
            found.append(self.next())
        return found

    def call(self, method: str, **params: Any) -> Any:
        self.socket.send(json.dumps({"id": "1", "method": method, "params": params}))
        return self.next()


def when(message: Any) -> int:
    data = message.get("event") or message.get("data") or message
    return int(data.get("E") or data.get("u") or data.get("lastUpdateId") or 0)


def signed(now_ms: int, secret: str = "simsecret", **params: Any) -> dict[str, Any]:
    """As the documentation says: sorted by name, apiKey included, nothing percent-encoded."""
    params = {"apiKey": "simkey", "timestamp": now_ms, **params}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return params | {"signature": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    with ExitStack() as stack:
        yield lambda client, path: Listener(
            stack.enter_context(connect(client.sim.ws_url + path, proxy=None, close_timeout=1))
        )


def test_a_raw_stream_shows_the_market_at_once_and_as_time_moves(client, listen):
    feed = listen(client, "/ws/btcusdt@bookTicker")
    first = feed.next()
    assert set(first) == {"u", "s", "b", "B", "a", "A"} and first["s"] == "BTCUSDT"
    client.sim.advance(60_000)
    pushed = [feed.next() for _ in range(5)]  # the newest five of a long step
    shown = client.public("/api/v3/ticker/bookTicker", symbol="BTCUSDT").json()
    assert (pushed[-1]["b"], pushed[-1]["a"]) == (shown["bidPrice"], shown["askPrice"])
    assert [push["u"] for push in pushed] == sorted({push["u"] for push in pushed})


def test_combined_streams_come_in_time_order_and_say_what_rest_says(client, listen):
    names = ("btcusdt@depth20@100ms", "btcusdt@kline_1m", "btcusdt@trade", "btcusdt@aggTrade", "btcusdt@ticker")
    feed = listen(client, "/stream?streams=" + "/".join(names))
    client.sim.advance(61_000)
    now_ms = client.sim.now_ms
    found: list[Any] = []
    while not any(one["stream"] == names[4] and when(one) == now_ms for one in found):
        found.append(feed.next())
    by_name = {name: [one["data"] for one in found if one["stream"] == name] for name in names}
    assert all(by_name.values())
    times = [when(one) for one in found if "E" in one["data"] and when(one) > START_MS]
    assert times == sorted(times)
    book = client.public("/api/v3/depth", symbol="BTCUSDT", limit=20).json()
    assert by_name[names[0]][-1]["bids"] == book["bids"] and by_name[names[0]][-1]["asks"] == book["asks"]
    over = [one["k"] for one in by_name[names[1]] if one["k"]["x"]]
    row = client.public("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=2).json()[0]
    letters = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")
    assert [over[-1][letter] for letter in letters] == row[:11]
    tape = client.public("/api/v3/trades", symbol="BTCUSDT", limit=1).json()[0]
    assert by_name[names[2]][-1]["t"] == tape["id"] and by_name[names[2]][-1]["p"] == tape["price"]
    assert by_name[names[4]][-1]["c"] == client.public("/api/v3/ticker/24hr", symbol="BTCUSDT").json()["lastPrice"]


def test_the_shapes_are_those_of_the_documentation(client, listen, shared_json):
    wanted = {
        "btcusdt@bookTicker": "book_ticker", "btcusdt@depth5": "partial_depth", "btcusdt@kline_1m": "kline",
        "btcusdt@trade": "trade", "btcusdt@aggTrade": "agg_trade", "btcusdt@ticker": "ticker",
    }  # fmt: skip
    feed = listen(client, "/stream?streams=" + "/".join(wanted))
    client.sim.advance(10_000)
    seen: dict[str, Any] = {}
    while len(seen) < len(wanted):
        message = feed.next()
        seen.setdefault(message["stream"], message["data"])
    for name, case in wanted.items():
        example = shared_json(f"binance/streams/{case}.json")["body"]
        assert set(seen[name]) == set(example), name
        assert {key: type(value) for key, value in seen[name].items()} == {k: type(v) for k, v in example.items()}, name
    assert set(seen["btcusdt@kline_1m"]["k"]) == set(shared_json("binance/streams/kline.json")["body"]["k"])


def test_subscribe_list_unsubscribe(client, listen):
    feed = listen(client, "/ws")
    for request, result in (
        ({"method": "SUBSCRIBE", "params": ["btcusdt@ticker", "nobody@ticker"], "id": 1}, None),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 2}, ["btcusdt@ticker", "nobody@ticker"]),
        ({"method": "UNSUBSCRIBE", "params": ["btcusdt@ticker"], "id": 3}, None),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 4}, ["nobody@ticker"]),
    ):
        feed.socket.send(json.dumps(request))
        answer = feed.next()
        while "id" not in answer:
            answer = feed.next()
        assert answer == {"result": result, "id": request["id"]}
    for broken in ("no json", "[1]", '{"method": "SUBSCRIBE", "params": [1], "id": 1}', '{"id": 1}'):
        feed.socket.send(broken)
        assert feed.next()["error"]["code"] == 3
    feed.socket.send('{"method": "JUMP", "id": 9}')
    assert feed.next()["error"]["code"] == 2


def test_the_same_steps_give_the_same_messages(make, listen):
    def play() -> list[Any]:
        client = make(seed=3)
        feed = listen(client, "/stream?streams=btcusdt@depth20@100ms/btcusdt@kline_1m/btcusdt@trade")
        for _ in range(3):
            client.sim.advance(20_000)
        return feed.upto(START_MS + 60_000)

    assert play() == play()


def test_user_data_tells_an_orders_life(client, listen, shared_json):
    feed = listen(client, API)
    assert feed.call("ping")["result"] == {}
    assert feed.call("time")["result"] == {"serverTime": client.sim.now_ms}
    assert feed.call(USER, **signed(client.sim.now_ms))["result"] == {"subscriptionId": 0}
    bid, _ = client.best()
    client.limit("BUY", f"{bid * 0.9:.2f}", "0.01", newClientOrderId="mine")
    client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="gone")
    client.order("BUY", "MARKET", quantity="0.01", newClientOrderId="taken")
    events = []
    while not events or events[-1]["X"] != "FILLED":
        wrapped = feed.next()
        assert set(wrapped) == {"subscriptionId", "event"} and wrapped["subscriptionId"] == 0
        if wrapped["event"]["e"] == "executionReport":
            events.append(wrapped["event"])
    told = [(one["x"], one["X"], one["c"], one["C"]) for one in events]
    assert told[:3] == [
        ("NEW", "NEW", "mine", ""),
        ("CANCELED", "CANCELED", "gone", "mine"),
        ("NEW", "NEW", "taken", ""),
    ]
    assert {one["x"] for one in events[3:]} == {"TRADE"}
    trades = client.sim.books()["trades"]
    assert [one["t"] for one in events[3:]] == [trade["id"] for trade in trades]
    cumulated = [sum(Decimal(trade["qty"]) for trade in trades[: place + 1]) for place in range(len(trades))]
    assert [Decimal(one["z"]) for one in events[3:]] == cumulated
    position = feed.next()["event"]
    held = client.sim.books()["balances"]
    assert {row["a"]: {"free": row["f"], "locked": row["l"]} for row in position["B"]} == held
    example = shared_json("binance/user_data/execution_report_new.json")["body"]["event"]
    assert set(events[0]) == set(example) - {"v"}  # v: a prevented match, never here


def test_a_resting_order_reports_its_fill_at_its_own_time(make, listen, write_market):
    client = make(markets=[write_market([("100", "101", "99", "100", "50")] * 10)], start=1_700_000_040_000)
    feed = listen(client, API)
    feed.call(USER, **signed(client.sim.now_ms))
    client.limit("BUY", "99.5", "1", newClientOrderId="rests")
    client.sim.advance(120_000)
    events = [feed.next()["event"] for _ in range(4)]
    fill = events[2]
    assert (fill["x"], fill["X"], fill["m"]) == ("TRADE", "FILLED", True)
    assert fill["E"] == fill["T"] == client.sim.books()["trades"][0]["time"] < client.sim.now_ms


def test_wrong_keys_signatures_and_times_are_refused(client, listen):
    feed, now_ms = listen(client, API), client.sim.now_ms

    def code(method: str, **params: Any) -> int:
        return int(feed.call(method, **params)["error"]["code"])

    unsorted = hmac.new(b"simsecret", f"timestamp={now_ms}&apiKey=simkey".encode(), hashlib.sha256).hexdigest()
    assert code(USER, apiKey="simkey", timestamp=now_ms, signature=unsorted) == -1022
    assert code(USER, **signed(now_ms, secret="other")) == -1022
    assert code(USER, **signed(now_ms) | {"apiKey": "nobody"}) == -2015
    assert code(USER, **signed(now_ms - 6000)) == -1021
    assert code(USER, apiKey="simkey") == -1102
    assert code("session.logon", **signed(now_ms)) == -4056  # HMAC keys cannot log on
    assert code("userDataStream.subscribe") == -2015  # nobody has logged on
    assert code("order.juggle") == -1000
    assert code("userDataStream.unsubscribe") == -2036
    assert feed.call(USER, **signed(now_ms, recvWindow=5000))["status"] == 200
    assert code(USER, **signed(now_ms)) == -2035  # one subscription per connection
    feed.socket.send("{")
    assert feed.next()["error"]["code"] == -1135


def test_an_ed25519_key_logs_on_and_subscribes(make, listen, ed25519_pair):
    public, sign = ed25519_pair
    client = make(ed25519_public=public)
    feed, now_ms = listen(client, API), client.sim.now_ms
    signature = sign(f"apiKey=simkey&timestamp={now_ms}")
    status = feed.call("session.logon", apiKey="simkey", timestamp=now_ms, signature=signature)["result"]
    assert status["apiKey"] == "simkey" and status["userDataStream"] is False
    assert feed.call("userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    assert feed.call("session.status")["result"]["userDataStream"] is True


def test_the_websocket_api_spends_the_same_weight_and_is_banned_alike(make, listen):
    client = make(weight_limit=20)
    feed = listen(client, API)
    spent = feed.call("ping")["rateLimits"][0]["count"]
    assert spent == 1 and client.public("/api/v3/ping").headers["X-MBX-USED-WEIGHT"] == "2"
    refused = [feed.call("userDataStream.unsubscribe") for _ in range(25)]
    assert refused[-1]["status"] == 418 and refused[-1]["error"]["data"]["retryAfter"] > client.sim.now_ms


# -- faults


def test_dropped_connections_end_without_a_goodbye(client, listen):
    feed = listen(client, "/ws/btcusdt@ticker")
    feed.next()
    client.sim.fault("ws_drop", path="/ws/")
    client.sim.advance(1000)
    with pytest.raises(ConnectionClosed) as ended:
        feed.next()
    assert ended.value.rcvd is None


def test_a_silent_stream_stays_connected_and_speaks_again(client, listen):
    feed = listen(client, "/ws/btcusdt@ticker")
    feed.next()
    client.sim.fault("ws_silent", count=None)
    client.sim.advance(5000)
    client.sim.clear_faults()
    client.sim.advance(1000)
    assert when(feed.next()) == client.sim.now_ms


def test_garbage_and_late_messages(client, listen):
    feed = listen(client, "/ws/btcusdt@ticker")
    feed.next()
    client.sim.fault("ws_garbage")
    client.sim.advance(1000)
    assert not feed.socket.recv(timeout=10).startswith("{")
    client.sim.fault("ws_late", arg=30)
    client.sim.advance(1000)
    late_ms = client.sim.now_ms
    client.sim.advance(29_000)
    client.sim.advance(1000)
    times = [when(feed.next()) for _ in range(3)]
    assert times == [late_ms + 29_000, late_ms, late_ms + 30_000]


@pytest.mark.parametrize("path", ["/ws/btcusdt@ticker", API])
def test_a_shutdown_is_announced_as_its_host_announces_it(client, listen, path, shared_json):
    feed = listen(client, path)
    feed.call(USER, **signed(client.sim.now_ms)) if path == API else feed.next()
    client.sim.fault("ws_shutdown")
    client.order("BUY", "MARKET", quantity="0.01")
    client.sim.advance(1000)
    said = feed.next()
    example = shared_json(
        "binance/ws_api/server_shutdown.json" if path == API else "binance/streams/server_shutdown_raw.json"
    )
    assert set(said) == set(example["body"]) and "serverShutdown" in json.dumps(said)
    with pytest.raises(ConnectionClosed):
        feed.next()


def test_a_terminated_subscription_tells_nothing_more_until_it_is_made_anew(client, listen):
    feed = listen(client, API)
    feed.call(USER, **signed(client.sim.now_ms))
    client.sim.fault("ws_terminated")
    client.order("BUY", "MARKET", quantity="0.01")
    assert feed.next()["event"]["e"] == "eventStreamTerminated"
    assert feed.call(USER, **signed(client.sim.now_ms))["result"] == {"subscriptionId": 1}
    client.order("SELL", "MARKET", quantity="0.005")
    assert feed.next()["subscriptionId"] == 1


def test_a_handshake_can_be_refused_and_stream_faults_leave_requests_alone(client, listen):
    client.sim.fault("http_status", path="/ws", arg=503)
    with pytest.raises(InvalidStatus):
        listen(client, "/ws/btcusdt@ticker")
    client.sim.fault("ws_drop", count=1)
    client.sim.fault("html_502", path="/api")
    assert client.public("/api/v3/time").status_code == 502  # not the ws_drop, which still waits for a message
    feed = listen(client, "/ws/btcusdt@ticker")
    with pytest.raises(ConnectionClosed):
        feed.next()


def test_a_frozen_market_is_frozen_on_streams_too(client, listen):
    feed = listen(client, "/ws/btcusdt@depth5@100ms")
    before = feed.next()
    client.sim.fault("frozen_price", count=None)
    client.sim.advance(100)
    client.sim.advance(100)
    assert {str([row[0] for row in feed.next()["bids"]]) for _ in range(2)} == {str([row[0] for row in before["bids"]])}


def test_a_connection_ends_after_a_day(client, listen):
    feed = listen(client, "/ws/btcusdt@ticker")
    feed.next()
    client.sim.advance(24 * 3_600_000)
    assert when(feed.next()) == client.sim.now_ms
    with pytest.raises(ConnectionClosed):
        feed.next()


def test_every_stream_fault_is_exercised_here():
    text = Path(__file__).read_text()
    assert [kind for kind, row in KINDS.items() if row.stage is Stage.STREAM and f'"{kind}"' not in text] == []


def test_other_venues_have_no_websockets(make):
    assert make(venue="mexc").sim.ws_url == ""
