"""Any answer of an exchange, to any call of any client: judged, bounded, without a secret, an order sent once (P2, P9).

Hypothesis chooses the damage (derandomised, so everywhere the same): the answer the simulator or the real exchange gave
is damaged in one of the ways of `lab.sim.mutation`, comes with an odd status and odd headers, or holds our own key. A
call returns a sound value or raises VenueError, nothing else; a new order leaves once, and whatever is not a listed
"no" of the exchange or an answer about this very order is unknown.
"""

import functools
import json
import os
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import binance_client
import btcturk_client
import mexc_client
from desk.base import clock
from desk.venues import outcome
from desk.venues.outcome import VenueError
from desk.venues.protocol import OrderRequest, OrderType, Side
from desk.venues.table import VENUES
from desk.venues.transport import Outgoing, Reply
from lab.sim import mutation
from lab.sim.server import running_sim
from venue import hostilekit
from venue.hostilekit import KEY, SECRETS
from venue.kit import CONTRACTS, make_settings, needs_contracts

CLIENTS: dict[str, Any] = {"binance": binance_client, "mexc": mexc_client, "btcturk": btcturk_client}
SYMBOLS = ("BTCUSDT", "ETHUSDT")
START = "2026-01-05T00:00:00+00:00"
EXAMPLES = 400 if os.environ.get("SANAD_CRASH_FULL") else 25  # per method and venue
STATUSES = (
    200, 201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 408, 409, 410, 418, 422, 429, 451, 500, 502, 503, 504, 520,
    599,
)  # fmt: skip
HEADERS = (
    {}, {"retry-after": "-1"}, {"retry-after": "1e400"}, {"retry-after": "9" * 400}, {"retry-after": "."},
    {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, {"retry-after": "0"}, {"content-type": "text/html"},
    {"x-mbx-used-weight-1m": "9" * 400}, {"x-mbx-used-weight-1m": "²"}, {"x-mbx-order-count-10s": "-3"},
    {"x-mbx-order-count-": "3"}, {"location": "http://127.0.0.1:1/"}, {"content-encoding": "br"},
)  # fmt: skip
QUIET = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
METHODS = (
    "server_time", "filters", "book", "klines", "balances", "account", "place", "place_resting", "probe", "get_order",
    "get_resting", "cancel_order", "open_orders", "orders_since", "my_trades",
)  # fmt: skip


class Hostile:
    """One client, the truth it was told, and the means to be told something else."""

    def __init__(self, venue: str, client: Any, now_ms: int, lines: list[str]) -> None:
        self.venue, self.client, self.now_ms, self.lines = venue, client, now_ms, lines
        self.script = hostilekit.script(client)
        self.offset = client.caller.clock.offset()
        price = client.book("BTCUSDT", 5).asks[0].price
        tick = D(1) if venue == "btcturk" else D("0.01")
        self.filled = self._order("filled1", (price * D("1.01")).quantize(tick))
        self.resting = self._order("resting1", (price * D("0.8")).quantize(tick))
        self.probed = self._order("probe1", self.resting.price or D(0))
        self.script.told.clear()
        client.server_time()
        self._time = dict(self.script.told)  # what a clock refusal asks for
        self.truth = {name: self._record(name) for name in METHODS}

    def _order(self, name: str, price: D) -> OrderRequest:
        return OrderRequest(
            client_order_id=name, symbol="BTCUSDT", side=Side.BUY, type=OrderType.LIMIT, quantity=D("0.0005"),
            price=price,
        )  # fmt: skip

    def call(self, method: str) -> Any:
        """Call one method as the rooms do."""
        client, calls = self.client, self._calls
        return calls[method](client) if method in calls else getattr(client, method)()

    @property
    def _calls(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "filters": lambda c: c.filters(SYMBOLS),
            "book": lambda c: c.book("BTCUSDT", 5),
            "klines": lambda c: c.klines("BTCUSDT", 60, 10),
            "place": lambda c: c.place_order(self.filled, self.now_ms),
            "place_resting": lambda c: c.place_order(self.resting, self.now_ms),
            "probe": lambda c: c.probe_orders(self.probed),
            "get_order": lambda c: c.get_order("BTCUSDT", "filled1"),
            "get_resting": lambda c: c.get_order("BTCUSDT", "resting1"),
            "cancel_order": lambda c: c.cancel_order("BTCUSDT", "resting1"),
            "orders_since": lambda c: c.orders_since("BTCUSDT", self.now_ms - 1000),
            "my_trades": lambda c: c.my_trades("BTCUSDT", self.now_ms - 1000),
        }

    def _record(self, method: str) -> dict[tuple[str, str], list[Reply]]:
        self.script.told = {}
        hostilekit.assert_sound(self.call(method))
        return {**self._time, **self.script.told}

    def told(self, method: str, damage: hostilekit.Answer) -> tuple[Any, VenueError | None, list[Outgoing]]:
        """Call a method with damaged answers; asserts what holds for every method."""
        self.client.caller.clock._current = self.offset  # an odd clock of one example is not the next one's
        clock._Anchor.wall_ms, clock._Anchor.frozen = self.now_ms, True
        self.script.told, self.script.damage = self.truth[method], damage
        self.script.sent.clear()
        self.lines.clear()
        found, error = None, None
        try:
            found = self.call(method)
        except VenueError as caught:
            error = caught
        finally:
            self.script.damage = None
        sent = list(self.script.sent)
        if error is None and method != "probe" and method != "account":
            hostilekit.assert_sound(found)
        assert self.client.caller.guard.breaker.open_tickets == 0
        shown = "\n".join([*self.lines, *(error.line().splitlines() if error else ())])
        assert all(len(line) < 700 and line.isprintable() for line in shown.splitlines())
        for secret in hostilekit.secrets_of(self.venue, sent):
            assert secret not in shown
            if found is not None:
                assert secret not in json.dumps(msgspec.to_builtins(found), default=str)
        return found, error, sent


@pytest.fixture(scope="module", params=CLIENTS)
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    venue = request.param
    with (
        pytest.MonkeyPatch.context() as patch,
        running_sim(venue=venue, symbols=SYMBOLS, api_key=KEY, api_secret=SECRETS[venue], start=START,
                    balances={"USDT": "10000", "BTC": "1"}) as sim,
    ):  # fmt: skip
        names = {f"{venue.upper()}_{end}": value for end, value in
                 (("REST_URL", sim.rest_url), ("API_KEY", KEY), ("API_SECRET", SECRETS[venue]))}  # fmt: skip
        names |= {"SANAD_CLOCK": f"{sim.admin_url}/sim/clock", "VENUES": venue, "UNIVERSE_SYMBOLS": ",".join(SYMBOLS)}
        made = make_settings(tmp_path_factory.mktemp(venue), patch, names)
        lines: list[str] = []
        client = CLIENTS[venue].make_client(made, script="router", log=lambda level, line: lines.append(line))
        sim.advance(3_600_000)
        clock.start_tick()
        client.caller.clock.resync()
        yield Hostile(venue, client, client.caller.clock.venue_now_ms(), lines)


def damaged(seed: int, damage: str, status: int | None, headers: dict[str, str], only: int | None) -> hostilekit.Answer:
    """Damage every answer of a call, or only its n-th."""
    count = 0

    def answer(out: Outgoing, reply: Reply) -> Reply:
        nonlocal count
        count += 1
        if only is not None and count != only:
            return reply
        body = mutation.mutate(reply.body.decode(), seed, damage) if damage else reply.body
        return msgspec.structs.replace(
            reply, body=body, status=status or reply.status, headers=dict(reply.headers) | headers
        )

    return answer


@pytest.mark.parametrize("method", METHODS)
@QUIET
@given(
    seed=st.integers(0, 2**32), damage=st.sampled_from(tuple(mutation.DAMAGES)), only=st.sampled_from((None, 1, 2, 3)),
    status=st.one_of(st.none(), st.none(), st.sampled_from(STATUSES)), headers=st.sampled_from(HEADERS),
)  # fmt: skip
def test_a_damaged_answer_is_judged(
    hostile: Hostile, method: str, seed: int, damage: str, only: int | None, status: int | None, headers: dict[str, str]
) -> None:
    only = None if method.startswith("place") else only
    found, error, sent = hostile.told(method, damaged(seed, damage, status, headers, only))
    if method.startswith("place"):
        _assert_order(hostile, found, error, sent, method, status)


def _assert_order(
    hostile: Hostile, found: Any, error: VenueError | None, sent: list[Outgoing], method: str, status: int | None
) -> None:
    """One POST; not sent is never claimed; a doubtful status is never a no; an answer accepted is about this order."""
    request = hostile.filled if method == "place" else hostile.resting
    assert sum(out.method == "POST" for out in sent) == 1  # a clock refusal asks for the time as well
    if error is not None:
        assert error.sent in {"rejected", "unknown"}
        if status is not None and (status >= 500 or 300 <= status < 400):
            assert (error.sent, error.order_may_exist) == ("unknown", True) or error.class_ is outcome.Klass.IP_BANNED
        return
    assert status is None or 200 <= status < 300
    assert (found.client_order_id, found.symbol, found.side) == (request.client_order_id, "BTCUSDT", Side.BUY)
    assert 0 <= found.executed <= found.quantity == request.quantity


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_holds_our_key_does_not_bring_it_in(hostile: Hostile, method: str) -> None:
    """Named in an error, in a field, or at the very place where a long message is cut off (P9)."""
    for position in range(12):

        def answer(out: Outgoing, reply: Reply, position: int = position) -> Reply:
            secret = sorted(hostilekit.secrets_of(hostile.venue, [out]))[position % 3 - 1]
            if position < 6:
                message = "x" * (outcome.MESSAGE_CHARS_MAX - 5 - len(secret) // 2 * (position // 3)) + " " + secret
                return msgspec.structs.replace(
                    reply, status=400, body=json.dumps({"code": -9999, "msg": message}).encode()
                )
            body = mutation.mutate(reply.body.decode(), position, "value").replace(b'"', b'"' + secret.encode(), 1)
            values = reply.body.decode().replace('"BTCUSDT"', json.dumps(secret)).replace('"NEW"', json.dumps(secret))
            return msgspec.structs.replace(reply, body=body if position % 2 else values.encode())

        _, error, sent = hostile.told(method, answer)
        if position < 6:
            assert error is not None
            shown = error.line() + "".join(hostile.lines)
            for secret in hostilekit.secrets_of(hostile.venue, sent):
                assert secret[: len(secret) // 2] not in shown


ANSWERS = {  # recorded cases: the method they answer; others go to any
    "account": "account", "account_nautilus": "account", "get_account_info": "account", "balances": "balances",
    "klines": "klines", "klines_2021": "klines", "klines_history": "klines", "depth": "book", "orderbook": "book",
    "my_trades": "my_trades", "user_trades": "my_trades", "open_orders": "open_orders", "order_new": "place",
    "order_full": "place", "order_ack": "place", "order_result": "place", "submit_order": "place",
    "query_order": "get_order", "get_order": "get_order", "single_order": "get_order", "cancel_order": "cancel_order",
    "exchange_info": "filters", "exchange_info_2021": "filters", "exchange_info_2025": "filters",
    "exchange_info_docs": "filters", "exchange_info_symbol_docs": "filters", "time": "server_time",
    "server_time": "server_time", "all_orders_2021": "orders_since",
}  # fmt: skip


@functools.cache
def _recorded(venue: str) -> tuple[tuple[str, int, str], ...]:
    """Real answers over HTTP: the method they answer ("" = any), status and body."""
    found = []
    for path in sorted((CONTRACTS / venue).glob("*/*.json")):
        case = json.loads(path.read_text())
        if path.parent.name in {"rest", "captured", "errors", "sapi"} and not path.stem.startswith("ws_"):
            body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"], ensure_ascii=False)
            found.append((ANSWERS.get(path.stem, ""), case.get("http_status") or 200, body))
    return tuple(found)


@needs_contracts
@settings(QUIET, max_examples=4 * EXAMPLES)
@given(
    pick=st.integers(0, 10_000), method=st.sampled_from(METHODS), seed=st.integers(0, 2**32),
    damage=st.sampled_from(("", *mutation.DAMAGES)),
)  # fmt: skip
def test_a_real_answer_damaged_or_to_the_wrong_question_is_judged(
    hostile: Hostile, pick: int, method: str, seed: int, damage: str
) -> None:
    cases = _recorded(hostile.venue)
    wanted, status, text = cases[pick % len(cases)]

    def answer(out: Outgoing, reply: Reply) -> Reply:
        body = mutation.mutate(text, seed, damage) if damage else text.encode()
        return msgspec.structs.replace(reply, body=body, status=status)

    asked = wanted or method
    found, error, sent = hostile.told(asked, answer)
    if asked.startswith("place"):
        _assert_order(hostile, found, error, sent, asked, status)


@pytest.mark.parametrize("body", mutation.WHOLE)
def test_judging_any_bytes_never_raises(body: bytes) -> None:
    for row in VENUES.values():
        for status in STATUSES:
            outcome.classify(row.errors, status, {}, body)
