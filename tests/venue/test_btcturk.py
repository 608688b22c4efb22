"""What only BTCTurk does, on its simulator: listed look-ups, received cancels, quote-currency purchases, two hosts."""

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import btcturk_client
from desk.base import clock, money
from desk.config.mode import Mode
from desk.execution import books, cancel, intent, lookup, submit
from desk.execution.desk import Desk
from desk.execution.intent import OrderPlan
from desk.journal.state import Intent
from desk.runtime import tick
from desk.state import store
from desk.venues.outcome import Klass, VenueError
from desk.venues.protocol import OrderReport, OrderRequest, OrderStatus, OrderType, Side
from lab.sim.server import SimHandle, running_sim
from venue.kit import answer, make_settings, raw_server

KEY, SECRET = "simkey-fake-0123", base64.b64encode(b"simsecret-fake-4567").decode()
SYMBOL = "BTCTRY"
D = Decimal
OPEN, ALL, FILLS = "/api/v1/openOrders", "/api/v1/allOrders", "/api/v1/users/transactions/trade"


class Turk:
    """One client on one simulator."""

    def __init__(self, sim: SimHandle, root: Path, monkeypatch: pytest.MonkeyPatch, mode: str = "PAPER") -> None:
        self.sim, self.made = sim, 0
        names = {
            "BTCTURK_REST_URL": sim.rest_url, "BTCTURK_API_KEY": KEY, "BTCTURK_API_SECRET": SECRET, "VENUES": "btcturk",
            "UNIVERSE_SYMBOLS": SYMBOL, "SANAD_CLOCK": f"{sim.admin_url}/sim/clock", "SYSTEM_MODE": mode,
        }  # fmt: skip
        self.settings = make_settings(root, monkeypatch, names)
        self.client = btcturk_client.make_client(self.settings, script="router", log=lambda level, line: None)
        self.rules = self.client.filters((SYMBOL,))[SYMBOL]

    def tick(self, seconds: int) -> None:
        self.sim.advance(seconds * 1000)
        clock.start_tick()

    def order(self, side: str = "BUY", kind: OrderType = OrderType.LIMIT, away: str = "0.8", **fields: Any) -> Any:
        """An order of about 150 TRY; 0.8 rests a purchase."""
        self.made += 1
        book = self.client.book(SYMBOL, 5)
        touch = (book.asks if side == "BUY" else book.bids)[0].price
        values: dict[str, Any] = {
            "client_order_id": f"t{self.made}x{self.sim.now_ms}", "symbol": SYMBOL, "side": Side(side), "type": kind,
            "quantity": money.floor_step(D(150) / touch, self.rules.step) or self.rules.step,
            "price": money.floor_step(touch * D(away), self.rules.tick),
        }  # fmt: skip
        return OrderRequest(**(values | fields))

    def place(self, request: OrderRequest) -> OrderReport:
        return self.client.place_order(request, self.client.caller.clock.venue_now_ms())

    def get(self, request: OrderRequest) -> OrderReport:
        found = self.client.get_order(SYMBOL, request.client_order_id)
        assert found is not None
        return found

    def paths(self) -> list[str]:
        return [f"{row['method']} {row['path']}" for row in self.sim.requests()]


@pytest.fixture
def sim() -> Iterator[SimHandle]:
    balances = {"TRY": "100000", "BTC": "1"}
    with running_sim(
        venue="btcturk", symbols=(SYMBOL,), api_key=KEY, api_secret=SECRET, balances=balances,
        start="2026-01-05T00:00:00+00:00",
    ) as found:  # fmt: skip
        yield found


@pytest.fixture
def turk(sim: SimHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Turk:
    return Turk(sim, tmp_path, monkeypatch)


def failed(act: Any) -> VenueError:
    with pytest.raises(VenueError) as caught:
        act()
    return caught.value


# -- looking up


def test_a_closed_order_is_found_on_a_later_page_with_its_trades(turk: Turk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(btcturk_client, "ORDERS_PAGE", 5)
    oldest = turk.order(away="1.01")
    turk.place(oldest)
    for _ in range(12):
        turk.place(turk.order(away="0.9"))
        turk.tick(1)
    told = turk.get(oldest)
    assert (told.status, told.executed) == (OrderStatus.FILLED, oldest.quantity)
    assert sum(trade.quantity for trade in told.trades) == told.executed
    assert turk.client.get_order(SYMBOL, "nobodys") is None
    assert turk.paths().count(f"GET {ALL}") == 2 * 4, "unnumbered, 1 (the same), 2, 3: twice"


def test_an_order_is_resolved_with_three_requests(turk: Turk) -> None:
    resting, filled = turk.order(), turk.order(away="1.01")
    turk.place(resting)
    turk.place(filled)
    for request, wanted in ((resting, [OPEN]), (filled, [OPEN, ALL, FILLS])):
        before = len(turk.paths())
        turk.get(request)
        assert turk.paths()[before:] == [f"GET {path}" for path in wanted]


@pytest.mark.parametrize("path", [OPEN, ALL])
def test_a_listing_that_is_not_whole_is_no_evidence(turk: Turk, path: str) -> None:
    for kind in ("html_502", "bad_json", "drop_after_accept", "rate_limit_429"):
        arg = 0 if kind == "rate_limit_429" else None
        turk.sim.fault(kind, method="GET", path=path, count=None, arg=arg)
        error = failed(lambda: turk.client.get_order(SYMBOL, "nobodys"))
        assert error.retryable
        turk.sim.clear_faults()
        turk.tick(600)
    assert turk.client.get_order(SYMBOL, "nobodys") is None


def test_a_row_nobody_can_read_makes_the_look_incomplete(turk: Turk) -> None:
    good = {
        "id": 1, "price": "5", "quantity": "2", "pairSymbol": SYMBOL, "type": "buy", "method": "limit",
        "status": "Untouched", "leftAmount": "2", "orderClientId": None,
    }  # fmt: skip
    assert btcturk_client._usable([good], SYMBOL) == [good]
    with pytest.raises(KeyError):  # one of ours would pass for somebody else's
        btcturk_client._usable([{name: value for name, value in good.items() if name != "orderClientId"}], SYMBOL)
    for change in ({"status": None}, {"pairSymbol": "ETHTRY"}, {"leftAmount": "3"}, {"id": None}):
        with pytest.raises((KeyError, ValueError)):
            btcturk_client._usable([good, good | change], SYMBOL)


def test_an_order_that_is_listed_late_is_not_there_before(turk: Turk) -> None:
    turk.sim.fault("listing_lag", method="POST", path="/api/v1/order", arg=120)
    request = turk.order()
    turk.place(request)
    assert turk.client.get_order(SYMBOL, request.client_order_id) is None
    turk.tick(121)
    assert turk.get(request).status is OrderStatus.NEW


# -- cancelling


def test_a_received_cancel_is_no_final_state_and_a_fill_may_still_come(turk: Turk) -> None:
    request = turk.order(away="0.95")
    turk.place(request)
    turk.sim.fault("late_fill", method="DELETE", path="/api/v1/order", arg=5)
    turk.sim.fault("partial_fill", method="DELETE", path="/api/v1/order", arg="0.5")
    told = turk.client.cancel_order(SYMBOL, request.client_order_id)
    assert (told.status, told.executed, told.client_order_id) == (
        OrderStatus.PENDING_CANCEL, 0, request.client_order_id,
    )  # fmt: skip
    assert turk.get(request).status is OrderStatus.NEW
    turk.tick(10)
    told = turk.get(request)
    assert (told.status, 0 < told.executed < request.quantity) == (OrderStatus.CANCELED, True)
    assert sum(trade.quantity for trade in told.trades) == told.executed
    money_closes(turk)


def test_a_cancel_that_finds_the_order_filled_says_query_it(turk: Turk) -> None:
    request = turk.order(away="1.01")
    turk.place(request)
    error = failed(lambda: turk.client.cancel_order(SYMBOL, request.client_order_id))
    assert (error.class_, error.sent, error.counts_for_breaker) == (
        Klass.ORDER_NOT_FOUND_QUERY_FIRST, "rejected", False,
    )  # fmt: skip
    assert "DELETE /api/v1/order" not in turk.paths()


def test_a_cancel_in_maintenance_may_be_sent_again(turk: Turk) -> None:
    request = turk.order()
    turk.place(request)
    turk.sim.fault("symbol_halted", count=None, arg=SYMBOL)
    error = failed(lambda: turk.client.cancel_order(SYMBOL, request.client_order_id))
    assert (error.class_, error.retryable) == (Klass.MAINTENANCE_RETRY_CANCEL, True)
    turk.sim.clear_faults()
    assert turk.client.cancel_order(SYMBOL, request.client_order_id).status is OrderStatus.PENDING_CANCEL


@pytest.mark.parametrize("kind", ["drop_after_accept", "html_502", "bad_json"])
def test_a_cancel_whose_answer_is_lost_is_looked_up(turk: Turk, kind: str) -> None:
    request = turk.order()
    turk.place(request)
    turk.sim.fault(kind, method="DELETE", path="/api/v1/order")
    assert failed(lambda: turk.client.cancel_order(SYMBOL, request.client_order_id)).sent == "unknown"
    turk.tick(1)
    expected = OrderStatus.NEW if kind == "html_502" else OrderStatus.CANCELED
    assert turk.get(request).status is expected


def test_a_cancel_passes_open_breakers_its_listing_too(turk: Turk) -> None:
    requests = [turk.order() for _ in range(7)]
    for request in requests:
        turk.place(request)
    until = clock.iso(clock.now_ms() + 300_000)
    forced = {"state": "open", "failure_count": 5, "cooldown_until": until}
    path = store.path_of(turk.settings.home, "circuit_breakers")
    path.write_text(json.dumps({"btcturk_api": forced, "btcturk_orders": forced}))
    for request in requests:
        assert turk.client.cancel_order(SYMBOL, request.client_order_id).status is OrderStatus.PENDING_CANCEL
    turk.tick(1)
    assert {order["status"] for order in turk.sim.books()["orders"]} == {"CANCELED"}


def test_where_time_goes_on_a_cancel_is_looked_at_again(turk: Turk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = turk.order()
    turk.place(request)
    waits: list[float] = []
    monkeypatch.setattr(clock, "is_simulated", lambda: False)
    monkeypatch.setattr(clock, "pause_s", lambda wait_s: (waits.append(wait_s), turk.sim.advance(1))[0])
    assert turk.client.cancel_order(SYMBOL, request.client_order_id).status is OrderStatus.CANCELED
    assert waits == [0]


def test_a_cancel_that_takes_long_is_waited_for_no_longer_than_a_stop_may_be_away(
    turk: Turk, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = turk.order()
    turk.place(request)
    turk.sim.fault("listing_lag", method="DELETE", arg=60)
    waits: list[float] = []
    monkeypatch.setattr(clock, "is_simulated", lambda: False)
    monkeypatch.setattr(clock, "pause_s", waits.append)
    assert turk.client.cancel_order(SYMBOL, request.client_order_id).status is OrderStatus.PENDING_CANCEL
    assert sum(waits) * 1000 == turk.settings.config.exits.unprotected_max_ms


# -- money


def money_closes(turk: Turk) -> None:
    """P5 over the whole session: opening, our trades, balances."""
    due = {"TRY": D(100_000), "BTC": D(1)}
    for trade in turk.client.my_trades(SYMBOL, 0):
        sign = 1 if trade.side is Side.BUY else -1
        due["BTC"] += sign * trade.quantity
        due["TRY"] -= sign * trade.quantity * trade.price + trade.fee
        assert trade.fee_asset == "TRY"
    assert {name: one.free + one.locked for name, one in turk.client.balances().items()} == due


def test_market_orders_in_both_currencies(turk: Turk) -> None:
    bought = turk.order(kind=OrderType.MARKET, away="1")
    turk.place(bought)
    told = turk.get(bought)
    spent = told.executed_quote + sum(trade.fee for trade in told.trades)
    assert told.status is OrderStatus.FILLED
    assert D(140) < spent <= bought.quantity * (bought.price or D(0))
    sold = turk.order("SELL", OrderType.MARKET)
    turk.place(sold)
    assert (turk.get(sold).status, turk.get(sold).executed) == (OrderStatus.FILLED, sold.quantity)
    money_closes(turk)


def test_a_market_purchase_without_a_price_is_not_sent(turk: Turk) -> None:
    error = failed(lambda: turk.place(turk.order(kind=OrderType.MARKET, price=None)))
    assert (error.sent, error.reason, "POST /api/v1/order" in turk.paths()) == ("not_sent", "venue:unsupported", False)


def test_trades_since_a_time(turk: Turk) -> None:
    turk.place(turk.order(away="1.01"))
    turk.tick(60)
    since = turk.sim.now_ms
    second = turk.order("SELL", away="0.99")
    turk.place(second)
    assert {trade.side for trade in turk.client.my_trades(SYMBOL, 0)} == {Side.BUY, Side.SELL}
    assert {trade.side for trade in turk.client.my_trades(SYMBOL, since)} == {Side.SELL}
    assert turk.client.my_trades(SYMBOL, since + 1) == ()


# -- hosts and headers


def test_the_candle_host_sees_no_key(turk: Turk) -> None:
    body = b'{"s":"ok","t":[60],"o":[1],"h":[1],"l":[1],"c":[1],"v":[1]}'
    with raw_server(lambda peer: peer.sendall(answer(body))) as (url, heads):
        turk.client._candles_url = url
        assert len(turk.client.klines(SYMBOL, 60, 5)) == 1
    assert heads[0].startswith(b"GET /v1/klines/history?symbol=BTCTRY&resolution=1&from=")
    assert b"x-pck" not in heads[0].lower()
    assert b"x-signature" not in heads[0].lower()


def test_key_and_signature_stand_in_headers_only_and_no_redirect_takes_them_along(turk: Turk) -> None:
    turk.sim.fault("redirect_307", path="/api/v1/users/balances", count=None)
    assert failed(turk.client.balances).class_ is Klass.EXECUTION_UNKNOWN
    with raw_server(lambda peer: peer.sendall(answer(b"{}"))) as (url, heads):
        turk.client.caller.guard.transport.base_url = url
        failed(turk.client.balances)
    line, _, rest = heads[0].partition(b"\r\n")
    assert line == b"GET /api/v1/users/balances HTTP/1.1"
    assert KEY.encode() in rest
    assert KEY.encode() not in line


# -- the resolver over the real client, LIVE on the simulator


@pytest.fixture
def live(sim: SimHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Turk:
    return Turk(sim, tmp_path, monkeypatch, "LIVE")


def desk_of(turk: Turk) -> Desk:
    clock.start_tick()
    run = tick._open("router", turk.settings.home, turk.settings, clock.now_ms(), True, False, None)
    assert run.settings.mode is Mode.LIVE
    desk = Desk(run, lambda venue: turk.client)
    assert books.open_books(desk, "btcturk")
    return desk


def sent(turk: Turk, fault: str = "", away: str = "1.01") -> Intent:
    request = turk.order(away=away)
    plan = OrderPlan(
        venue="btcturk", symbol=SYMBOL, base="BTC", quote="TRY", kind=intent.ENTRY, leg=intent.LEG_ENTRY, side=Side.BUY,
        type=OrderType.LIMIT, quantity=request.quantity, price=request.price, position_id="p1", decision_id="d1",
    )  # fmt: skip
    if fault:
        turk.sim.fault(fault, method="POST", path="/api/v1/order")
    submit.submit(desk_of(turk), plan, lambda: "")
    return state(turk)


def state(turk: Turk) -> Intent:
    return next(iter(desk_of(turk).fold().intents.intents.values()))


def look(turk: Turk, seconds: int) -> tuple[str, int]:
    turk.tick(seconds)
    lookup.look_at_all(desk_of(turk))
    found = state(turk)
    return found.state, found.looks


@pytest.mark.parametrize("fault", ["drop_after_accept", "unknown_1007_after_accept", "bad_json", "reset_mid_body"])
def test_a_lost_answer_is_found_with_its_fills(live: Turk, fault: str) -> None:
    assert sent(live, fault).state == "SENT_UNKNOWN"
    assert look(live, 1)[0] == "CONFIRMED"
    found = state(live)
    assert (found.status, found.filled, list(found.fees)) == ("FILLED", found.quantity, ["TRY"])
    assert live.paths().count("POST /api/v1/order") == 1


def test_an_order_that_never_arrived_takes_three_looks_after_300_s(live: Turk) -> None:
    assert sent(live, "drop_before").state == "SENT_UNKNOWN"
    found = [look(live, seconds) for seconds in (300, 1, 10, 20, 30)]
    assert found == [("SENT_UNKNOWN", n) for n in (0, 1, 1, 2)] + [("NOT_FOUND", 3)]
    assert live.paths().count("POST /api/v1/order") == 1


def test_a_look_that_fails_counts_for_nothing(live: Turk) -> None:
    sent(live, "drop_before")
    live.tick(301)
    for path in (OPEN, ALL, FILLS, "/api/v1/users/balances"):
        live.sim.fault("http_status", method="GET", path=path, count=None, arg=400)
        assert look(live, 31) == ("SENT_UNKNOWN", 0), path
        live.sim.clear_faults()
    assert look(live, 31) == ("SENT_UNKNOWN", 1)


def test_a_received_cancel_is_under_way_then_gone_and_stuck_only_when_it_stays(live: Turk) -> None:
    """TTL: no alert while the exchange has the cancel, a stuck order when it keeps it for more than five minutes."""
    sent(live, away="0.9")
    live.tick(120)
    live.sim.fault("listing_lag", method="DELETE", path="/api/v1/order", count=None, arg=100_000)
    for seconds, alerts in ((0, 0), (60, 0), (241, 1)):
        live.tick(seconds)
        desk = desk_of(live)
        cancel.cancel_expired(desk)
        assert state(live).status == "PENDING_CANCEL"
        assert len(desk.fold().portfolio.alerts) == alerts, seconds
        lookup.look_at_all(desk)
        assert state(live).status == "NEW"
    live.tick(100_000)
    lookup.look_at_all(desk_of(live))
    assert (state(live).status, state(live).filled) == ("CANCELED", 0)


def test_a_fill_between_the_cancel_and_its_effect_is_booked(live: Turk) -> None:
    name = sent(live, away="0.95").order_id
    live.sim.fault("late_fill", method="DELETE", path="/api/v1/order", arg=5)
    client_id = next(iter(desk_of(live).fold().intents.intents))
    assert not cancel.cancel(desk_of(live), client_id, "test")
    assert look(live, 10) == ("CONFIRMED", 0)
    found = state(live)
    assert (found.order_id, found.status, found.filled) == (name, "FILLED", found.quantity)
    held = desk_of(live).fold().portfolio.balances["btcturk"]
    assert {asset: one.free + one.locked for asset, one in live.client.balances().items()} == held
