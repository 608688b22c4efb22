"""The numbered acceptance matrix (design 5): every venue client passes it on the simulator, by its own books.

V01-V09 reads and orders, V10-V19 outcomes of a submit, V20-V30 guards, V31-V34 secrets and modes, V35-V37 what comes
before an order's timestamp, V40-V46 order lists and trailing stops, V47
a key's rights. To add a venue: one row in CLIENTS and one in
WORDS; a capability it lacks is a row in LACKS with why.
"""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import binance_client
import btcturk_client
import mexc_client
from desk.base import clock, money
from desk.base.errors import ConfigError, WorldError
from desk.config.load import Settings
from desk.risk import breaker
from desk.risk.breaker_rules import State
from desk.state import store
from desk.venues import clock_sync, rate_budget
from desk.venues.outcome import Klass, VenueError
from desk.venues.protocol import (
    LIST_LEGS,
    ListKind,
    ListStatus,
    OrderListReport,
    OrderListRequest,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)
from desk.venues.table import VENUES, Purpose
from lab.sim.server import SimHandle, running_sim
from venue.kit import make_settings

CLIENTS: dict[str, Any] = {"binance": binance_client, "mexc": mexc_client, "btcturk": btcturk_client}
LACKS = {
    ("mexc", "key permissions"): "no endpoint tells them; the operator looks",
    ("btcturk", "key permissions"): "no endpoint tells them; the operator looks",
    ("mexc", "order lists"): "the exchange has none",
    ("btcturk", "order lists"): "the exchange has none",
    ("mexc", "stop orders"): "the exchange has none; exits are watched each tick",
    ("btcturk", "orders that may not wait"): "the exchange has no IOC, FOK and post-only orders; limits stand in",
    ("btcturk", "cancels answered at once"): "200 means received; what became of the order is asked for",
    ("btcturk", "unique client ids"): "not documented, and the documented example repeats one",
}  # fmt: skip
KEY = "simkey-fake-0123"
START = "2026-01-05T00:00:00+00:00"
D = Decimal


@dataclass(frozen=True)
class Words:
    """Where a venue keeps what the rows of the matrix break, and on which grid its prices stand."""

    order: str = "/api/v3/order"
    lookup: str = "/api/v3/order"
    depth: str = "/api/v3/depth"
    klines: str = "/api/v3/klines"
    account: str = "/api/v3/account"
    time: str = "/api/v3/time"
    tick: Decimal = D("0.01")
    secret: str = "simsecret-fake-4567"
    wrong_secret: str = "wrong-secret-1"


WORDS = {
    "binance": Words(),
    "mexc": Words(),
    "btcturk": Words(
        order="/api/v1/order", lookup="/api/v1/openOrders", depth="/api/v2/orderbook", klines="/v1/klines/history",
        account="/api/v1/users/balances", time="/api/v2/server/time", tick=D(1),
        secret=base64.b64encode(b"simsecret-fake-4567").decode(),
        wrong_secret=base64.b64encode(b"wrong-secret-1").decode(),
    ),
}  # fmt: skip
AFTER_THE_BYTES = (
    "drop_after_accept", "unknown_1007_after_accept", "bad_json", "reset_mid_body", "html_502", "redirect_307",
    "drop_before", "http_status",
)  # fmt: skip


class Desk:
    """One client on one simulator, with what it logged and the ids it made."""

    def __init__(self, venue: str, sim: SimHandle, settings: Settings) -> None:
        self.venue, self.sim, self.settings, self.words = venue, sim, settings, WORDS[venue]
        self.lines: list[str] = []
        self.client = self.another()
        self.made = 0

    def another(self, script: str = "router") -> Any:
        return CLIENTS[self.venue].make_client(
            self.settings, script=script, log=lambda level, line: self.lines.append(f"{level} {line}")
        )

    def tick(self, seconds: int) -> None:
        """Virtual time passes and a new tick begins."""
        self.sim.advance(seconds * 1000)
        clock.start_tick()

    def order(
        self, side: str = "BUY", kind: OrderType = OrderType.LIMIT, away: str = "0.8", **fields: Any
    ) -> OrderRequest:
        """An order of about 30 USDT, priced at `away` times the touch (0.8 rests a buy)."""
        self.made += 1
        book = self.client.book("BTCUSDT", 5)
        touch = (book.asks if side == "BUY" else book.bids)[0].price
        price = money.floor_step(touch * D(away), self.words.tick)
        values: dict[str, Any] = {
            "client_order_id": f"t{self.made}x{self.sim.now_ms}", "symbol": "BTCUSDT", "side": Side(side), "type": kind,
            "quantity": D("0.0005"), "price": price,
        }  # fmt: skip
        return OrderRequest(**(values | fields))

    def place(self, request: OrderRequest, **how: Any) -> OrderReport:
        found: OrderReport = self.client.place_order(request, self.client.caller.clock.venue_now_ms(), **how)
        return found

    def order_list(
        self, kind: ListKind, working: OrderType = OrderType.LIMIT_FOK, away: str = "1.01"
    ) -> OrderListRequest:
        """A list whose entry is priced at `away` times the touch and whose exits stand 10 % around it."""
        quantity = D(0) if kind in {ListKind.OPO, ListKind.OPOCO} else D("0.0004")
        roles = {
            "working": lambda: self.order("BUY", working, away),
            "above": lambda: self.order("SELL", OrderType.LIMIT_MAKER, "1.1", quantity=quantity),
            "below": lambda: self._stop(quantity),
        }
        roles |= {"pending": roles["below"], "pendingAbove": roles["above"], "pendingBelow": roles["below"]}
        legs = tuple(roles[name]() for name in LIST_LEGS[kind])
        return OrderListRequest(list_client_order_id=f"l{self.made}x{self.sim.now_ms}", kind=kind, legs=legs)

    def _stop(self, quantity: Decimal) -> OrderRequest:
        request = self.order("SELL", OrderType.STOP_LOSS_LIMIT, "0.89", quantity=quantity)
        assert request.price is not None
        return replace(request, stop_price=money.floor_step(request.price * D("1.01"), self.words.tick))

    def place_list(self, request: OrderListRequest, **how: Any) -> OrderListReport:
        found: OrderListReport = self.client.place_order_list(request, self.client.caller.clock.venue_now_ms(), **how)
        return found

    def list_posts(self) -> int:
        return sum(row["method"] == "POST" and "orderList" in row["path"] for row in self.sim.requests())

    def failed(self, act: Callable[[], object]) -> VenueError:
        with pytest.raises(VenueError) as caught:
            act()
        return caught.value

    def fill(self, side: str = "BUY") -> OrderRequest:
        """An order that fills at once."""
        kind = OrderType.LIMIT_IOC if has(self, "orders that may not wait") else OrderType.LIMIT
        request = self.order(side, kind, "1.01" if side == "BUY" else "0.99")
        self.place(request)
        return request

    def cancelled(self, request: OrderRequest) -> None:
        """A cancel, and the time the exchange takes for it."""
        told = self.client.cancel_order("BTCUSDT", request.client_order_id)
        at_once = has(self, "cancels answered at once")
        assert told.status is (OrderStatus.CANCELED if at_once else OrderStatus.PENDING_CANCEL)
        self.tick(0 if at_once else 1)

    def on_the_books(self, request: OrderRequest) -> list[dict[str, Any]]:
        return [row for row in self.sim.books()["orders"] if row["clientOrderId"] == request.client_order_id]

    def posts(self) -> int:
        return sum(row["method"] == "POST" and row["path"] == self.words.order for row in self.sim.requests())

    def calls(self) -> int:
        return len(self.sim.requests())

    def breaker(self, part: str = "api") -> State:
        return breaker.view(self.settings.home, self.settings.config.breakers).state(f"{self.venue}_{part}")


@pytest.fixture(params=CLIENTS)
def desk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    venue = request.param
    balances = {"USDT": "10000", "BTC": "1"}
    with running_sim(
        venue=venue,
        symbols=("BTCUSDT", "ETHUSDT"),
        api_key=KEY,
        api_secret=WORDS[venue].secret,
        balances=balances,
        start=START,
    ) as sim:
        names = {f"{venue.upper()}_{end}": value for end, value in
                 (("REST_URL", sim.rest_url), ("API_KEY", KEY), ("API_SECRET", WORDS[venue].secret))}  # fmt: skip
        names |= {"SANAD_CLOCK": f"{sim.admin_url}/sim/clock", "VENUES": venue, "UNIVERSE_SYMBOLS": "BTCUSDT,ETHUSDT"}
        yield Desk(venue, sim, make_settings(tmp_path, monkeypatch, names))


def has(desk: Desk, capability: str) -> bool:
    return (desk.venue, capability) not in LACKS


# -- V01-V09: reads and orders ---------------------------------------------------------------------------------------


def test_v01_the_clock_is_exact_when_time_stands_still(desk: Desk) -> None:
    probe = desk.client.server_time()
    assert (probe.server_ms, probe.offset_ms, probe.error_ms) == (desk.sim.now_ms, 0, 0)
    assert desk.client.caller.clock.resync().offset_ms == 0
    assert clock_sync.stored(desk.settings.home, desk.venue) is not None


def test_v02_filters_know_every_symbol_and_name_no_stranger(desk: Desk) -> None:
    found = desk.client.filters(("BTCUSDT", "NOSUCHCOIN", "ETHUSDT"))
    assert set(found) == {"BTCUSDT", "ETHUSDT"}
    for rules in found.values():
        assert rules.tick > 0
        assert rules.step > 0
        assert rules.notional_min > 0
        assert (rules.status, rules.entries_allowed, rules.exits_allowed) == ("TRADING", True, True)
        assert rules.symbol == rules.base + rules.quote
    assert desk.client.filters(("NOSUCHCOIN",)) == {}
    if VENUES[desk.venue].weight_header:
        budget = rate_budget.view(desk.settings.home, desk.venue)
        assert (budget.weight.limit, budget.orders["10S"].limit) == (6000, 50)


def test_v03_the_book_is_whole_and_its_age_is_the_answers(desk: Desk) -> None:
    book = desk.client.book("BTCUSDT", 5)
    assert book.bids[0].price < book.asks[0].price
    assert 1 <= len(book.bids) <= 5
    assert book.as_of_ms == desk.sim.now_ms


@pytest.mark.parametrize("interval_s", [60, 3600])
def test_v04_candles_are_oldest_first(desk: Desk, interval_s: int) -> None:
    bars = desk.client.klines("BTCUSDT", interval_s, 10)
    assert 1 <= len(bars) <= 10
    assert all(late.open_ms - early.open_ms == interval_s * 1000 for early, late in pairwise(bars))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    with pytest.raises(WorldError, match="no candles of 61 s"):
        desk.client.klines("BTCUSDT", 61, 10)


def test_v05_balances_are_the_exchanges(desk: Desk) -> None:
    told = desk.client.balances()
    books = desk.sim.books()["balances"]
    assert {asset: D(row["free"]) for asset, row in books.items() if D(row["free"])} == {
        asset: balance.free for asset, balance in told.items() if balance.free
    }


def test_v06_a_resting_order_is_seen_queried_and_cancelled(desk: Desk) -> None:
    request = desk.order()
    placed = desk.place(request)
    assert (placed.client_order_id, placed.status) == (request.client_order_id, OrderStatus.NEW)
    listed = desk.client.open_orders("BTCUSDT")
    assert [(one.client_order_id, one.quantity, one.price) for one in listed] == [
        (request.client_order_id, request.quantity, request.price)
    ]
    assert [one.client_order_id for one in desk.client.open_orders()] == [request.client_order_id]
    assert [one.client_order_id for one in desk.client.orders_since("BTCUSDT", desk.sim.now_ms - 1000)] == [
        request.client_order_id
    ]
    assert desk.client.orders_since("BTCUSDT", desk.sim.now_ms + 1000) == ()
    found = desk.client.get_order("BTCUSDT", request.client_order_id)
    assert (found.status, found.executed, found.order_id) == (OrderStatus.NEW, D(0), placed.order_id)
    desk.cancelled(request)
    assert desk.client.get_order("BTCUSDT", request.client_order_id).status is OrderStatus.CANCELED
    again = desk.failed(lambda: desk.client.cancel_order("BTCUSDT", request.client_order_id))
    assert (again.class_, again.sent) == (Klass.ORDER_NOT_FOUND_QUERY_FIRST, "rejected")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_v07_money_closes_order_trades_and_balances(desk: Desk, side: str) -> None:
    """P5: what the order says, what the trades say, and what the balances did are the same to the last digit."""
    before = desk.client.balances()
    request = desk.fill(side)
    told = desk.client.get_order("BTCUSDT", request.client_order_id)
    trades = [t for t in desk.client.my_trades("BTCUSDT", 0) if t.order_id == told.order_id]
    after = desk.client.balances()
    assert (told.status, told.executed) == (OrderStatus.FILLED, request.quantity)
    assert sum(t.quantity for t in trades) == told.executed
    assert sum(t.quantity * t.price for t in trades) == told.executed_quote
    sign = 1 if side == "BUY" else -1
    wanted = {"BTC": sign * told.executed, "USDT": -sign * told.executed_quote}
    for trade in trades:
        assert (trade.side, trade.fee > 0) == (Side(side), True)
        wanted[trade.fee_asset] -= trade.fee
    assert {asset: after[asset].free - before[asset].free for asset in wanted} == wanted


def test_v08_an_order_that_may_not_wait_ends_at_once(desk: Desk) -> None:
    if not has(desk, "orders that may not wait"):
        for kind in (OrderType.LIMIT_IOC, OrderType.LIMIT_FOK, OrderType.LIMIT_MAKER):
            refused = desk.failed(lambda kind=kind: desk.place(desk.order("BUY", kind, "0.9")))
            assert (refused.sent, refused.reason, desk.posts()) == ("not_sent", "venue:unsupported", 0)
        return
    for kind in (OrderType.LIMIT_IOC, OrderType.LIMIT_FOK):
        request = desk.order("BUY", kind, "0.9")
        desk.place(request)
        found = desk.client.get_order("BTCUSDT", request.client_order_id)
        assert (found.status in {OrderStatus.EXPIRED, OrderStatus.CANCELED}, found.executed) == (True, D(0))
    maker = desk.order("BUY", OrderType.LIMIT_MAKER, "1.01")
    assert desk.failed(lambda: desk.place(maker)).sent == "rejected"


def test_v09_a_stop_rests_where_the_venue_has_stops(desk: Desk) -> None:
    book = desk.client.book("BTCUSDT", 5)
    below = money.floor_step(book.bids[0].price * D("0.9"), desk.words.tick)
    request = desk.order("SELL", OrderType.STOP_LOSS_LIMIT, "0.89", stop_price=below)
    if has(desk, "stop orders"):
        desk.place(request)
        found = desk.client.get_order("BTCUSDT", request.client_order_id)
        assert (found.status, found.stop_price) == (OrderStatus.NEW, below)
    else:
        refused = desk.failed(lambda: desk.place(request))
        assert (refused.sent, desk.posts()) == ("not_sent", 0)


# -- V10-V19: outcomes of a submit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", AFTER_THE_BYTES)
def test_v10_a_doubtful_answer_is_unknown_sent_once_and_found_by_query(desk: Desk, kind: str) -> None:
    """P2: whatever breaks after the first byte, there is one POST, and the query tells the truth."""
    desk.sim.fault(kind, method="POST", path=desk.words.order, arg=503 if kind == "http_status" else None)
    request = desk.order()
    error = desk.failed(lambda: desk.place(request))
    assert (error.sent, error.order_may_exist, error.retryable) == ("unknown", True, False)
    assert error.counts_for_breaker
    stands = len(desk.on_the_books(request))
    found = desk.client.get_order("BTCUSDT", request.client_order_id)
    assert (found is not None) == bool(stands)
    assert stands == (kind in {"drop_after_accept", "unknown_1007_after_accept", "bad_json", "reset_mid_body"})
    assert desk.posts() == 1


def test_v11_an_unknown_id_is_a_definite_none(desk: Desk) -> None:
    assert desk.client.get_order("BTCUSDT", "neversent1") is None


def test_v12_a_lookup_that_fails_is_no_evidence(desk: Desk) -> None:
    request = desk.order()
    desk.place(request)
    desk.sim.fault("html_502", method="GET", path=desk.words.lookup, count=None)
    error = desk.failed(lambda: desk.client.get_order("BTCUSDT", request.client_order_id))
    assert error.retryable


@pytest.mark.parametrize(
    ("change", "klass"),
    [({"quantity": D("5")}, Klass.REJECTED), ({"quantity": D("0.00000001")}, Klass.LOCAL_BUG)],
)
def test_v13_a_definite_no_leaves_no_order(desk: Desk, change: dict[str, Any], klass: Klass) -> None:
    request = desk.order(away="0.9", **change)
    error = desk.failed(lambda: desk.place(request))
    assert (error.class_, error.sent, error.order_may_exist) == (klass, "rejected", False)
    assert not error.counts_for_breaker
    assert desk.on_the_books(request) == []


def test_v14_a_halted_symbol_is_named(desk: Desk) -> None:
    desk.sim.fault("symbol_halted", count=None, arg="BTCUSDT")
    request = desk.order()
    assert desk.failed(lambda: desk.place(request)).class_ is Klass.SYMBOL_HALTED
    assert not desk.client.filters(("BTCUSDT",))["BTCUSDT"].entries_allowed


def test_v15_the_last_look_stops_an_order_with_proof(desk: Desk) -> None:
    def stop() -> None:
        raise ConfigError("the kill switch is active")

    request = desk.order()
    error = desk.failed(lambda: desk.place(request, before_send=stop))
    assert (error.sent, error.class_, error.counts_for_breaker) == ("not_sent", Klass.NOT_SENT, False)
    assert error.reason == "the kill switch is active"
    assert desk.posts() == 0
    assert desk.breaker("orders") is State.CLOSED
    desk.place(request)
    assert desk.posts() == 1


def test_v16_an_old_timestamp_is_not_sent(desk: Desk) -> None:
    request = desk.order()
    error = desk.failed(lambda: desk.client.place_order(request, desk.sim.now_ms - 1001))
    assert (error.sent, error.reason, desk.posts()) == ("not_sent", "transport:stale_stamp", 0)
    desk.client.place_order(request, desk.sim.now_ms - 1000)
    assert desk.posts() == 1


def test_v17_nobody_listening_is_proof_that_nothing_left(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = desk.order()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    desk.settings = make_settings(tmp_path / "b", monkeypatch, {f"{desk.venue.upper()}_REST_URL": url})
    error = desk.failed(lambda: desk.another().place_order(request, clock.now_ms()))
    assert (error.sent, error.counts_for_breaker) == ("not_sent", True)


def test_v18_the_same_open_id_twice_is_refused_by_the_exchange(desk: Desk) -> None:
    request = desk.order()
    desk.place(request)
    if not has(desk, "unique client ids"):
        desk.place(request)
        found = desk.failed(lambda: desk.client.get_order("BTCUSDT", request.client_order_id))
        assert (found.message, found.class_) == ("2 orders have one client id", Klass.EXECUTION_UNKNOWN)
        return
    error = desk.failed(lambda: desk.place(request))
    if desk.venue == "binance":
        assert (error.class_, error.sent, error.order_may_exist) == (Klass.ALREADY_EXISTS, "unknown", True)
    assert len(desk.on_the_books(request)) == 1


def test_v19_a_probe_of_the_order_path_leaves_nothing(desk: Desk) -> None:
    for request in (desk.order(), None):
        desk.client.probe_orders(request)
    assert desk.sim.books()["orders"] == []


# -- V20-V30: guards --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["html_502", "drop_before", "bad_json", "reset_mid_body", "drop_after_accept"])
def test_v20_a_read_is_tried_three_times(desk: Desk, kind: str) -> None:
    desk.sim.fault(kind, method="GET", path=desk.words.depth, count=2)
    assert desk.client.book("BTCUSDT").bids
    desk.sim.fault(kind, method="GET", path=desk.words.klines, count=3)
    before = desk.calls()
    assert desk.failed(lambda: desk.client.klines("BTCUSDT", 60, 5)).retryable
    assert desk.calls() == before + 3


def test_v21_a_429_backs_off_reads_and_entries_not_cancels(desk: Desk) -> None:
    resting = desk.order()
    desk.place(resting)
    desk.sim.fault("rate_limit_429", path=desk.words.depth, arg=30)
    request = desk.order  # its book read meets the 429
    error = desk.failed(request)
    assert (error.class_, error.retry_after_s, error.counts_for_breaker) == (Klass.RATE_LIMITED, 30.0, True)
    before = desk.calls()
    assert desk.failed(lambda: desk.client.klines("BTCUSDT", 60, 5)).reason == "rate_budget:back_off"
    assert desk.calls() == before
    desk.cancelled(resting)


def test_v22_a_ban_stops_every_call_of_every_process(desk: Desk) -> None:
    desk.sim.fault("ban_418", path=desk.words.time, arg=300)
    assert desk.failed(desk.client.server_time).class_ is Klass.IP_BANNED
    before = desk.calls()
    other = desk.another("heartbeat")
    for act in (other.server_time, other.balances, lambda: other.cancel_order("BTCUSDT", "x")):
        assert desk.failed(act).reason == "rate_budget:banned"
    assert desk.calls() == before
    desk.tick(301)
    assert other.server_time().server_ms == desk.sim.now_ms


def test_v23_a_clock_refusal_is_measured_and_a_read_retried_once(desk: Desk) -> None:
    desk.client.caller.clock.resync()
    desk.sim.fault("clock_skew_ms", count=None, arg=9000)
    assert desk.client.balances()
    assert desk.client.caller.clock.known_offset_ms() == 9000
    request = desk.order()
    assert desk.place(request).client_order_id == request.client_order_id


def test_v24_an_order_refused_for_its_clock_is_not_sent_again(desk: Desk) -> None:
    desk.sim.fault("timestamp_1021", method="POST", path=desk.words.order, count=None)
    request = desk.order()
    error = desk.failed(lambda: desk.place(request))
    assert (error.class_, error.sent, desk.posts()) == (Klass.RESYNC_CLOCK, "rejected", 1)


def test_v25_a_clock_refusal_twice_gives_up(desk: Desk) -> None:
    desk.sim.fault("timestamp_1021", method="GET", path=desk.words.account, count=None)
    before = desk.calls()
    assert desk.failed(desk.client.balances).class_ is Klass.RESYNC_CLOCK
    accounts = [row for row in desk.sim.requests()[before:] if row["path"] == desk.words.account]
    assert len(accounts) == 2


def test_v26_five_failures_open_the_breaker_and_it_heals_itself(desk: Desk) -> None:
    desk.sim.fault("http_status", method="GET", path=desk.words.depth, count=5, arg=500)
    for _ in range(2):
        desk.failed(lambda: desk.client.book("BTCUSDT"))
    assert desk.breaker() is State.OPEN
    before = desk.calls()
    assert desk.failed(lambda: desk.client.book("BTCUSDT")).reason == "breaker:open"
    assert desk.calls() == before
    desk.tick(300)
    assert desk.client.book("BTCUSDT").bids
    assert desk.breaker() is State.CLOSED
    assert any("breaker HALF_OPEN -> CLOSED RESET" in line for line in desk.lines)


def test_v27_measuring_touches_no_breaker(desk: Desk) -> None:
    desk.sim.fault("http_status", path=desk.words.time, count=None, arg=500)
    for _ in range(7):
        desk.failed(desk.client.server_time)
    assert breaker.view(desk.settings.home, desk.settings.config.breakers).missing
    desk.sim.clear_faults()
    desk.sim.fault("http_status", method="GET", path=desk.words.depth, count=5, arg=500)
    for _ in range(2):
        desk.failed(lambda: desk.client.book("BTCUSDT"))
    assert desk.client.server_time().server_ms == desk.sim.now_ms, "nor does an open one stop it"
    assert desk.breaker() is State.OPEN


def test_v28_a_4xx_never_counts_and_is_neutral_to_a_probe(desk: Desk) -> None:
    for _ in range(6):
        desk.failed(lambda: desk.client.cancel_order("BTCUSDT", "never1"))
        desk.failed(lambda: desk.client.klines("NOSUCHCOIN", 60, 5))
    assert (desk.breaker(), desk.breaker("orders")) == (State.CLOSED, State.CLOSED)
    until = clock.iso(clock.now_ms() - 1000)
    forced = {"state": "open", "failure_count": 5, "cooldown_until": until}
    store.path_of(desk.settings.home, "circuit_breakers").write_text(json.dumps({f"{desk.venue}_api": forced}))
    desk.failed(lambda: desk.client.klines("NOSUCHCOIN", 60, 5))
    assert desk.breaker() is State.HALF_OPEN
    assert desk.client.book("BTCUSDT").bids
    assert desk.breaker() is State.CLOSED


def test_v29_orders_behind_an_open_breaker(desk: Desk) -> None:
    """Entries stop, an exit passes once a tick, cancels pass, a probe of the order path heals a half-open one."""
    request, other = desk.order(), desk.order("SELL", away="1.2")
    until = clock.iso(clock.now_ms() + 100_000)
    forced = {"state": "open", "failure_count": 5, "cooldown_until": until}
    store.path_of(desk.settings.home, "circuit_breakers").write_text(json.dumps({f"{desk.venue}_orders": forced}))
    assert desk.failed(lambda: desk.place(request)).reason == "breaker:open"
    assert desk.failed(lambda: desk.client.probe_orders(request)).reason == "breaker:open"
    assert desk.posts() == 0
    desk.sim.fault("http_status", method="POST", path=desk.words.order, arg=500)
    desk.failed(lambda: desk.place(other, purpose=Purpose.EXIT))
    assert desk.posts() == 1
    assert desk.failed(lambda: desk.place(other, purpose=Purpose.EXIT)).reason == "breaker:open"
    desk.failed(lambda: desk.client.cancel_order("BTCUSDT", "never1"))
    desk.tick(101)
    desk.client.probe_orders(request)
    assert desk.breaker("orders") is State.CLOSED
    assert desk.place(request).client_order_id == request.client_order_id


def test_v30_a_strange_book_is_handed_on_for_the_gates_to_judge(desk: Desk) -> None:
    desk.sim.fault("crossed_book", path=desk.words.depth)
    crossed = desk.client.book("BTCUSDT")
    assert crossed.bids[0].price >= crossed.asks[0].price
    desk.sim.fault("empty_book", path=desk.words.depth)
    assert desk.client.book("BTCUSDT").bids == ()


# -- V31-V34: secrets and modes ---------------------------------------------------------------------------------------


def test_v31_no_secret_leaves_in_any_log_state_or_error(desk: Desk) -> None:
    """P9, over every way a signed call can fail."""
    texts: list[str] = []
    for kind in (*AFTER_THE_BYTES, "rate_limit_429", "timestamp_1021", "latency_ms"):
        arg = {"http_status": 500, "rate_limit_429": 0, "latency_ms": 1}.get(kind)
        desk.sim.fault(kind, path=desk.words.account, count=3, arg=arg)
        try:
            desk.client.balances()
        except VenueError as error:
            texts += [str(error), repr(error), repr(error.__cause__), repr(error.__context__), repr(vars(error))]
        desk.sim.clear_faults()
        desk.tick(400)
    texts += [
        *desk.lines,
        repr(desk.settings.keys(desk.venue)),
        desk.client.caller.guard.transport.redact(desk.words.secret),
    ]
    texts += [path.read_text() for path in desk.settings.home.root.rglob("*") if path.is_file()]
    assert len(desk.lines) > 5
    for text in texts:
        assert desk.words.secret not in text
        assert KEY not in text
        assert "signature=" not in text


def test_v32_wrong_keys_are_fatal_and_missing_ones_name_the_variable(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upper = desk.venue.upper()
    names = {
        f"{upper}_REST_URL": desk.sim.rest_url,
        f"{upper}_API_KEY": KEY,
        f"{upper}_API_SECRET": desk.words.wrong_secret,
    }
    names["SANAD_CLOCK"] = f"{desk.sim.admin_url}/sim/clock"
    desk.settings = make_settings(tmp_path / "b", monkeypatch, names)
    assert desk.failed(desk.another().balances).class_ is Klass.FATAL_AUTH
    desk.settings = make_settings(tmp_path / "c", monkeypatch, names | {f"{upper}_API_SECRET": ""})
    before = desk.calls()
    with pytest.raises(ConfigError, match=f"{upper}_API_SECRET: is not set"):
        desk.another().balances()
    assert desk.calls() == before


def test_v33_paper_sends_no_order_to_an_exchange(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: with a mainnet address in PAPER the order stops before the network is touched."""
    request = desk.order()
    upper = desk.venue.upper()
    names = {"VENUE_ENV": "mainnet", f"{upper}_REST_URL": "", f"{upper}_API_KEY": KEY}
    names[f"{upper}_API_SECRET"] = desk.words.secret
    desk.settings = make_settings(tmp_path / "b", monkeypatch, names)
    client = desk.another()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **how: pytest.fail("touched the network"))
    error = desk.failed(lambda: client.place_order(request, clock.now_ms()))
    assert (error.sent, error.reason) == ("not_sent", "mode:paper_sends_no_orders")
    with pytest.raises(WorldError, match="journalled before they leave"):
        client.request("POST", desk.words.order, {"symbol": "BTCUSDT"}, signed=True)


def test_v34_any_endpoint_by_hand(desk: Desk) -> None:
    assert desk.client.request("get", desk.words.time)["serverTime"] == desk.sim.now_ms
    params = {} if desk.venue == "btcturk" else {"recvWindow": 1000}
    account = desk.client.request("GET", desk.words.account, params, signed=True, timeout=5)
    rows = account["data"] if desk.venue == "btcturk" else account["balances"]
    assert {row["asset"] for row in rows} >= {"BTC", "USDT"}
    price = money.text(desk.order().price or D(0))
    signed = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.0005", "newClientOrderId": "byhand1"}
    if desk.venue == "binance":
        signed["timeInForce"] = "GTC"
    if desk.venue == "btcturk":
        signed = {"pairSymbol": "BTCUSDT", "orderType": "buy", "orderMethod": "limit", "quantity": "0.0005"}
        signed["newOrderClientId"] = "byhand1"
    desk.client.request("POST", desk.words.order, signed | {"price": price}, signed=True)
    assert [row["clientOrderId"] for row in desk.sim.books()["orders"]] == ["byhand1"]


# -- V35-V37: before an order's timestamp ----------------------------------------------------------------------------


def _half_open(desk: Desk) -> None:
    """The order breaker's cool-down is over: one probe is due."""
    over = clock.iso(clock.now_ms() - 1000)
    forced = {"state": "open", "failure_count": 5, "cooldown_until": over}
    store.path_of(desk.settings.home, "circuit_breakers").write_text(json.dumps({f"{desk.venue}_orders": forced}))


def test_v35_an_order_is_admitted_and_connected_before_its_timestamp(desk: Desk) -> None:
    request = desk.order("SELL", away="1.2")
    _half_open(desk)
    with desk.client.ready(Purpose.EXIT):
        assert desk.breaker("orders") is State.HALF_OPEN, "the one probe is leased"
        with desk.another().ready(Purpose.EXIT):  # an exit never waits for a probe lease
            pass
        assert desk.posts() == 0
        desk.place(request, purpose=Purpose.EXIT)
    assert (desk.posts(), desk.breaker("orders")) == (1, State.CLOSED)


def test_v36_what_was_admitted_and_not_sent_gives_its_probe_back(desk: Desk) -> None:
    request = desk.order("SELL", away="1.2")
    _half_open(desk)
    with desk.client.ready(Purpose.EXIT):
        pass
    with pytest.raises(RuntimeError), desk.another().ready(Purpose.EXIT):  # an exit passes once a tick and process
        raise RuntimeError
    desk.client.probe_orders(request)
    assert desk.breaker("orders") is State.CLOSED, "the lease was free for the next probe"


def test_v37_no_way_open_means_nothing_to_write_down(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = clock.iso(clock.now_ms() + 100_000)
    forced = {"state": "open", "failure_count": 5, "cooldown_until": until}
    store.path_of(desk.settings.home, "circuit_breakers").write_text(json.dumps({f"{desk.venue}_orders": forced}))
    with pytest.raises(VenueError) as refused, desk.client.ready(Purpose.ENTRY):
        raise AssertionError("never reached")
    assert (refused.value.sent, refused.value.reason) == ("not_sent", "breaker:open")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    names = {f"{desk.venue.upper()}_REST_URL": url, f"{desk.venue.upper()}_API_KEY": KEY}
    names[f"{desk.venue.upper()}_API_SECRET"] = desk.words.secret
    desk.settings = make_settings(tmp_path / "b", monkeypatch, names)
    with pytest.raises(VenueError) as deaf, desk.another().ready(Purpose.ENTRY):
        raise AssertionError("never reached")
    assert (deaf.value.sent, deaf.value.counts_for_breaker) == ("not_sent", True)
    assert desk.posts() == 0


# -- V40-V46: order lists and trailing stops ---------------------------------------------------------------------------


def _states(desk: Desk, request: OrderListRequest) -> list[OrderStatus]:
    return [desk.client.get_order("BTCUSDT", leg.client_order_id).status for leg in request.legs]


def test_v40_what_a_symbol_takes_is_told_and_a_venue_without_lists_sends_none(desk: Desk) -> None:
    rules = desk.client.filters(("BTCUSDT",))["BTCUSDT"]
    if has(desk, "order lists"):
        assert rules.list_kinds == set(ListKind)
        assert (rules.order_lists_max, rules.trailing_allowed) == (20, True)
        assert (rules.trailing_below_bps_min, rules.trailing_above_bps_max) == (10, 2000)
        changed = {"opoAllowed": False, "allowTrailingStop": False}
        desk.sim.fault("filter_change", path="/api/v3/exchangeInfo", arg=changed)
        rules = desk.client.filters(("BTCUSDT",))["BTCUSDT"]
        assert rules.list_kinds == {ListKind.OCO, ListKind.OTO, ListKind.OTOCO}
        assert not rules.trailing_allowed
        return
    assert rules.list_kinds == frozenset()
    refused = desk.failed(lambda: desk.place_list(desk.order_list(ListKind.OCO)))
    assert (refused.sent, refused.reason, desk.posts()) == ("not_sent", "venue:unsupported", 0)
    assert desk.client.open_order_lists() == ()


@pytest.mark.parametrize("kind", ListKind)
def test_v41_a_list_is_placed_queried_and_cancelled(desk: Desk, kind: ListKind) -> None:
    if not has(desk, "order lists"):
        return
    request = desk.order_list(kind, OrderType.LIMIT, "0.8")
    placed = desk.place_list(request)
    assert (placed.list_client_order_id, placed.status) == (request.list_client_order_id, ListStatus.EXECUTING)
    assert [one.client_order_id for one in placed.reports] == [leg.client_order_id for leg in request.legs]
    waits = kind is not ListKind.OCO
    wanted = [OrderStatus.NEW, *([OrderStatus.PENDING_NEW if waits else OrderStatus.NEW] * (len(request.legs) - 1))]
    assert [one.status for one in placed.reports] == wanted == _states(desk, request)
    found = desk.client.get_order_list(request.list_client_order_id)
    assert (found.list_id, found.status, found.reports) == (placed.list_id, ListStatus.EXECUTING, ())
    assert [one.list_id for one in desk.client.open_order_lists()] == [placed.list_id]
    assert {one.list_id for one in desk.client.open_orders("BTCUSDT")} == {placed.list_id}
    gone = desk.client.cancel_order_list("BTCUSDT", request.list_client_order_id)
    assert (gone.status, {one.status for one in gone.reports}) == (ListStatus.ALL_DONE, {OrderStatus.CANCELED})
    assert desk.client.open_order_lists() == ()
    assert desk.client.get_order_list("never-sent-1") is None
    assert desk.sim.books()["balances"]["BTC"]["locked"] == "0.00000000"
    again = desk.failed(lambda: desk.client.cancel_order_list("BTCUSDT", request.list_client_order_id))
    assert (again.class_, again.sent) == (Klass.ORDER_NOT_FOUND_QUERY_FIRST, "rejected")


def test_v42_cancelling_a_leg_tells_of_that_leg_and_ends_the_list(desk: Desk) -> None:
    if not has(desk, "order lists"):
        return
    request = desk.order_list(ListKind.OCO)
    placed = desk.place_list(request)
    leg = request.legs[1].client_order_id
    told = desk.client.cancel_order("BTCUSDT", leg)
    assert (told.client_order_id, told.status, told.list_id) == (leg, OrderStatus.CANCELED, placed.list_id)
    assert _states(desk, request) == [OrderStatus.CANCELED, OrderStatus.CANCELED]


@pytest.mark.parametrize("kind", [kind for kind in ListKind if kind is not ListKind.OCO])
def test_v43_an_entry_filled_at_once_brings_its_trades_and_its_exits_stand_when_asked(
    desk: Desk, kind: ListKind
) -> None:
    if not has(desk, "order lists"):
        return
    request = desk.order_list(kind)
    working, *exits = desk.place_list(request).reports
    assert (working.status, sum(trade.quantity for trade in working.trades)) == (OrderStatus.FILLED, D("0.0005"))
    assert {one.status for one in exits} == {OrderStatus.PENDING_NEW}
    assert set(_states(desk, request)[1:]) == {OrderStatus.NEW}
    stop = desk.client.get_order("BTCUSDT", request.legs[-1].client_order_id)
    assert stop.quantity == D("0.0005" if kind in {ListKind.OPO, ListKind.OPOCO} else "0.0004")
    assert D(desk.sim.books()["balances"]["BTC"]["locked"]) == stop.quantity, "a pair locks its coins once"


def test_v44_an_entry_that_fills_in_part_leaves_nothing_standing(desk: Desk) -> None:
    if not has(desk, "order lists"):
        return
    desk.sim.fault("partial_fill", path="/api/v3/orderList", arg="0.4")
    request = desk.order_list(ListKind.OTOCO, OrderType.LIMIT_IOC)
    told = desk.place_list(request)
    assert [one.status for one in told.reports] == [OrderStatus.EXPIRED] * 3
    assert [one.expiry_reason for one in told.reports][1:] == ["OTO_PHASE_ONE_EXPIRED"] * 2
    assert (told.status, told.reports[0].executed) == (ListStatus.ALL_DONE, D("0.0002"))


@pytest.mark.parametrize("kind", AFTER_THE_BYTES)
def test_v45_a_doubtful_answer_to_a_list_is_unknown_sent_once_and_found_by_query(desk: Desk, kind: str) -> None:
    """P2 for lists: one POST, and list and legs are found by their ids, or are not there."""
    if not has(desk, "order lists"):
        return
    desk.sim.fault(kind, method="POST", path="/api/v3/orderList", arg=503 if kind == "http_status" else None)
    request = desk.order_list(ListKind.OTOCO)
    error = desk.failed(lambda: desk.place_list(request))
    assert (error.sent, error.order_may_exist, error.retryable) == ("unknown", True, False)
    stands = kind in {"drop_after_accept", "unknown_1007_after_accept", "bad_json", "reset_mid_body"}
    found = desk.client.get_order_list(request.list_client_order_id)
    legs = [desk.client.get_order("BTCUSDT", leg.client_order_id) for leg in request.legs]
    assert (found is not None) == stands == bool(desk.sim.lists())
    assert [leg is not None for leg in legs] == [stands] * 3
    assert desk.list_posts() == 1


def test_v45_a_look_up_of_a_list_that_fails_is_no_evidence(desk: Desk) -> None:
    if not has(desk, "order lists"):
        return
    desk.place_list(desk.order_list(ListKind.OCO))
    desk.sim.fault("html_502", method="GET", path="/api/v3/orderList", count=None)
    assert desk.failed(lambda: desk.client.get_order_list("never-sent-1")).retryable
    desk.sim.fault("html_502", method="GET", path="/api/v3/openOrderList", count=None)
    assert desk.failed(desk.client.open_order_lists).retryable


def test_v46_a_trailing_stop_rests_and_says_how_far_it_follows(desk: Desk) -> None:
    if not has(desk, "order lists"):
        return
    request = desk.order_list(ListKind.OCO)
    trailing = replace(request.legs[1], stop_price=None, trailing_bps=150)
    desk.place_list(replace(request, legs=(request.legs[0], trailing)))
    row = desk.client.request("GET", desk.words.order, {"symbol": "BTCUSDT", "origClientOrderId":
                              trailing.client_order_id}, signed=True)  # fmt: skip
    assert (row["trailingDelta"], row["status"], row["trailingTime"]) == (150, "NEW", desk.sim.now_ms)
    too_far = replace(trailing, client_order_id="far1", trailing_bps=2001)
    assert desk.failed(lambda: desk.place(too_far, purpose=Purpose.EXIT)).class_ is Klass.LOCAL_BUG


# -- V47: what our key may do ------------------------------------------------------------------------------------------


def test_v47_a_keys_rights_are_read_where_the_exchange_tells_them(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is no right: where they cannot be read the answer is an error, on the test network too."""
    if has(desk, "key permissions"):
        told = desk.client.key_permissions()
        assert (told.can_read, told.can_trade, told.can_withdraw, told.ip_restricted) == (True, True, False, True)
        assert (told.others, told.created_ms < desk.sim.now_ms) == ((), True)
        upper = desk.venue.upper()
        names = {f"{upper}_API_KEY": KEY, f"{upper}_API_SECRET": desk.words.secret}
        names[f"{upper}_REST_URL"] = desk.sim.rest_url
        desk.settings = make_settings(tmp_path / "t", monkeypatch, names | {"VENUE_ENV": "testnet"})
    before = desk.calls()
    refused = desk.failed(desk.another().key_permissions)
    assert (refused.sent, refused.reason, desk.calls()) == ("not_sent", "venue:unsupported", before)
