"""BTCTurk spot: signing, paths and calls; as a command it refreshes the observations and answers an operator.

Importable: `_request`, `_btcturk_time_raw`, `get_account_info`, `make_client`. Every call goes through the guard
(breaker, rate budget, clock, redaction); only `_btcturk_time_raw` touches no breaker. BTCTurk signs key and stamp in
headers, nothing else of the request; it finds no order by client id, so a look lists; a cancel is only received, and
what became of the order is asked for; candles stand on another host.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import base64
import binascii
import hashlib
import hmac
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from msgspec.structs import replace

from desk.base import clock
from desk.base.errors import BadInput, ConfigError, WorldError
from desk.base.paths import find_home
from desk.config.load import Settings, load
from desk.config.mode import VenueEnv
from desk.config.secrets import Keys
from desk.risk import breaker
from desk.venues import client_door, dialect, dialect_btcturk, fields, paging, table
from desk.venues.caller import Caller, Params, make_caller
from desk.venues.guard import BeforeSend, Log
from desk.venues.lacks import NoKeyPermissions, NoOrderLists
from desk.venues.outcome import Finding, Klass, VenueError
from desk.venues.protocol import (
    OPEN_STATUSES,
    Balance,
    Bar,
    Book,
    OrderReport,
    OrderRequest,
    OrderStatus,
    SymbolRules,
    TimeProbe,
    Trade,
)
from desk.venues.table import Purpose

VENUE: Final = "btcturk"
ROW: Final = table.VENUES[VENUE]
BALANCES: Final = "/api/v1/users/balances"
OPEN_ORDERS: Final = "/api/v1/openOrders"
ALL_ORDERS: Final = "/api/v1/allOrders"
TRADES: Final = "/api/v1/users/transactions/trade"
DEPTH_MAX: Final = 1000
ORDERS_PAGE: Final = 1000
BARS_MAX: Final = 1000
CANCEL_LOOKS_S: Final = (0, 0.2, 0.5, 1, 1.3)  # waits before each look after a received cancel: 3 s, the naked time
AHEAD_MS: Final = 5000  # the exchange's own tolerance: trades of this instant are not cut off


def sign(payload: str, secret: str) -> str:
    """HMAC-SHA256 of public key + stamp under the base64-decoded secret, in base64.

    Raises:
        ConfigError: the secret is no base64 text.
    """
    try:
        key = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("is no base64 text", "BTCTURK_API_SECRET", "paste the private key again, whole") from None
    return base64.b64encode(hmac.new(key, payload.encode(), hashlib.sha256).digest()).decode()


def simulated(keys: Keys) -> Keys:
    """On the simulator a secret that is no base64 text stands for its own bytes, there as here (ADR 015)."""
    try:
        base64.b64decode(keys.api_secret, validate=True)
    except (binascii.Error, ValueError):
        return replace(keys, api_secret=base64.b64encode(keys.api_secret.encode()).decode())
    return keys


def signed_headers(keys: Keys, stamp_ms: int) -> Mapping[str, str]:
    """Key, stamp and signature; path, query and body are not signed. The stamp is one string in header and message."""
    stamp = str(stamp_ms)
    signature = sign(keys.api_key + stamp, keys.api_secret)
    return {
        ROW.key_header: keys.api_key, "X-Stamp": stamp, "X-Signature": signature, "Content-Type": "application/json",
    }  # fmt: skip


class BtcturkClient(NoOrderLists, NoKeyPermissions):
    """BTCTurk spot, as `desk.venues.protocol.VenueClient`."""

    venue = VENUE

    def __init__(self, caller: Caller, symbols: tuple[str, ...], candles_url: str) -> None:
        self.caller, self._symbols, self._candles_url = caller, symbols, candles_url

    def request(
        self, method: str, path: str, params: Params | None = None, signed: bool = False, timeout: float | None = None
    ) -> Any:
        """Any endpoint; the decoded JSON. Raises VenueError."""
        method = method.upper()
        purpose = table.purpose_of(ROW, method, path)
        if purpose is Purpose.ENTRY and not self.caller.guard.transport.is_loopback:
            raise BadInput("orders are journalled before they leave", f"{method} {path}", "use router.py")
        return self.caller.call(
            method, path, params, purpose=purpose, parse=lambda answer: answer.value, signed=signed, timeout_s=timeout
        )

    def server_time(self) -> TimeProbe:
        return self.caller.server_time()

    def filters(self, symbols: tuple[str, ...]) -> dict[str, SymbolRules]:
        """Rules of the symbols; one the exchange does not know is absent. It always tells all, so one call does."""

        def parse(answer: Any) -> dict[str, SymbolRules]:
            rows = dialect_btcturk.data_of(answer.value)["symbols"]
            return {row["name"]: dialect_btcturk.rules(row) for row in rows if row["name"] in symbols}

        return self.caller.call("GET", "/api/v2/server/exchangeinfo", purpose=Purpose.READ, parse=parse)

    def book(self, symbol: str, depth: int = 20) -> Book:
        offset_ms = self.caller.clock.offset().offset_ms
        params = {"pairSymbol": symbol, "limit": min(depth, DEPTH_MAX)}
        return self.caller.call(
            "GET", "/api/v2/orderbook", params, purpose=Purpose.READ,
            parse=lambda answer: dialect_btcturk.book(symbol, answer.value, offset_ms, answer.received_ms),
        )  # fmt: skip

    def klines(self, symbol: str, interval_s: int, limit: int) -> tuple[Bar, ...]:
        word = dialect_btcturk.INTERVALS.get(interval_s)
        if word is None:
            raise BadInput(f"no candles of {interval_s} s", "market_data.bar_interval_s", "use 60, 900, 1800 or 3600")
        wanted, now_s = min(limit, BARS_MAX), self.caller.clock.venue_now_ms() // dialect_btcturk.MS
        since_s = now_s - now_s % interval_s - (wanted - 1) * interval_s
        params = {"symbol": symbol, "resolution": word, "from": since_s, "to": now_s}
        return self.caller.call(
            "GET", "/v1/klines/history", params, purpose=Purpose.READ, base_url=self._candles_url,
            parse=lambda answer: dialect_btcturk.bars(answer.value, interval_s)[-wanted:],
        )  # fmt: skip

    def account(self) -> dict[str, Any]:
        """The account as the exchange tells it, balances checked."""

        def parse(answer: Any) -> dict[str, Any]:
            rows = dialect_btcturk.data_of(answer.value)
            dialect.balances(rows)
            return {"balances": rows}

        return self.caller.call("GET", BALANCES, purpose=Purpose.LOOKUP, parse=parse, signed=True)

    def balances(self) -> dict[str, Balance]:
        return dialect.balances(self.account()["balances"])

    def ready(self, purpose: Purpose = Purpose.ENTRY) -> AbstractContextManager[None]:
        """Around `place_order`: the breaker admits and the connection stands before the timestamp is fixed."""
        return self.caller.ready(purpose)

    def place_order(
        self, request: OrderRequest, timestamp_ms: int, *, purpose: Purpose = Purpose.ENTRY,
        before_send: BeforeSend | None = None,
    ) -> OrderReport:  # fmt: skip
        """Send one order, once; the report says NEW, the truth comes from `get_order`. `timestamp_ms` is the
        exchange's time, fixed and journalled by the caller, and becomes the stamp."""
        return self.caller.call(
            "POST", ROW.order_path, self._order_params(request), purpose=purpose, signed=True,
            parse=lambda answer: dialect_btcturk.placed(answer.value, request), stamp_ms=timestamp_ms,
            before_send=before_send,
        )  # fmt: skip

    def probe_orders(self, request: OrderRequest | None) -> None:
        """The half-open probe of the order path: BTCTurk has no order/test, so a signed account read stands for it;
        in PAPER (no order to prove, perhaps no key) a harmless one."""
        path = ROW.time_path if request is None else BALANCES
        self.caller.call(
            "GET", path, purpose=Purpose.PROBE, parse=lambda answer: answer.value, signed=request is not None
        )

    def get_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """One order by its client id: open orders, then all orders, every page. None only when both are whole and
        neither has it. What it executed is told by its trades."""
        rows = self._of_ours(self._open_rows(symbol, Purpose.LOOKUP), client_order_id)
        rows = rows or self._of_ours(self._all_rows(symbol), client_order_id)
        return self._with_trades(rows[0]) if rows else None

    def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Ask for the cancel, then for what became of the order. The exchange's 200 means received: an order that
        still stands is told as PENDING_CANCEL, and a fill may still come."""
        where = f"DELETE {ROW.order_path}"
        rows = self._of_ours(self._open_rows(symbol, Purpose.CANCEL), client_order_id)
        if not rows:
            finding = Finding(klass=Klass.ORDER_NOT_FOUND_QUERY_FIRST, message="no open order has this client id")
            raise VenueError(VENUE, where, finding, is_order=False, is_read=False)
        order_id = fields.identity(rows[0]["id"])
        self.caller.call(
            "DELETE", ROW.order_path, {"id": order_id}, purpose=Purpose.CANCEL, signed=True,
            parse=lambda answer: _received(answer.value),
        )  # fmt: skip
        return self._after_cancel(rows[0], order_id)

    def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        """Open orders of one symbol, or of every symbol of the universe (BTCTurk wants a symbol)."""
        symbols = (symbol,) if symbol is not None else self._symbols
        rows = [row for one in symbols for row in self._open_rows(one, Purpose.LOOKUP)]
        return tuple(dialect_btcturk.order(row) for row in rows)

    def orders_since(self, symbol: str, since_ms: int) -> tuple[OrderReport, ...]:
        """Every order accepted since then, oldest first, each with what it executed; raises rather than miss one."""
        rows = {fields.identity(row["id"]): row for row in self._all_rows(symbol)}
        rows |= {fields.identity(row["id"]): row for row in self._open_rows(symbol, Purpose.LOOKUP)}
        wanted = [row for row in rows.values() if dialect_btcturk.order(row).time_ms >= since_ms]
        return tuple(sorted((self._with_trades(row) for row in wanted), key=lambda order: order.time_ms))

    def my_trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]:
        """Every fill of ours since then, oldest first. Without both dates the exchange tells 30 days only."""
        params = {
            "pairSymbol": symbol, "startDate": max(since_ms, 1),
            "endDate": self.caller.clock.venue_now_ms() + AHEAD_MS,
        }  # fmt: skip
        found = self.caller.call(
            "GET", TRADES, params, purpose=Purpose.LOOKUP, signed=True,
            parse=lambda answer: dialect_btcturk.trades(answer.value),
        )  # fmt: skip
        return paging.ordered(tuple(trade for trade in found if trade.symbol == symbol), since_ms)

    def _after_cancel(self, row: Mapping[str, Any], order_id: str) -> OrderReport:
        """What the order is after its cancel was received: final, or still standing after a few looks (one, where
        time stands still)."""
        told = dialect_btcturk.order(row)
        for wait_s in CANCEL_LOOKS_S[:1] if clock.is_simulated() else CANCEL_LOOKS_S:
            clock.pause_s(wait_s)
            try:
                told = self._single(order_id, told.client_order_id)
            except VenueError:  # the guard has written the line; the cancel itself was received
                break
            if told.status not in OPEN_STATUSES:
                return told
        return replace(told, status=OrderStatus.PENDING_CANCEL)

    def _single(self, order_id: str, client_order_id: str) -> OrderReport:
        def parse(answer: Any) -> Mapping[str, Any]:
            found: Mapping[str, Any] = dialect_btcturk.data_of(answer.value)
            fields.same(fields.identity(found["id"]), order_id, "order id")
            fields.same(dialect_btcturk.client_id_of(found), client_order_id, "client order id")
            dialect_btcturk.order(found)
            return found

        path = f"{ROW.order_path}/{order_id}"
        row = self.caller.call("GET", path, purpose=Purpose.LOOKUP, signed=True, parse=parse)
        return self._with_trades(row)

    def _with_trades(self, row: Mapping[str, Any]) -> OrderReport:
        """The order and, when it may have any, its trades: the row has one price even for many fills."""
        if not dialect_btcturk.may_have_traded(row):
            return dialect_btcturk.with_trades(row, ())
        params = {"orderId": fields.identity(row["id"])}  # alone: the exchange does not combine it

        def parse(answer: Any) -> OrderReport:
            trades = dialect_btcturk.trades(answer.value)
            for trade in trades:
                fields.same(trade.order_id, params["orderId"], "order id")
            return dialect_btcturk.with_trades(row, paging.ordered(trades, 0))

        return self.caller.call("GET", TRADES, params, purpose=Purpose.LOOKUP, signed=True, parse=parse)

    def _open_rows(self, symbol: str, purpose: Purpose) -> list[Mapping[str, Any]]:
        return self.caller.call(
            "GET", OPEN_ORDERS, {"pairSymbol": symbol}, purpose=purpose, signed=True,
            parse=lambda answer: _usable(dialect_btcturk.open_rows(answer.value), symbol),
        )  # fmt: skip

    def _all_rows(self, symbol: str) -> list[Mapping[str, Any]]:
        def page(**params: Any) -> list[Mapping[str, Any]]:
            return self.caller.call(
                "GET", ALL_ORDERS, {"pairSymbol": symbol, "limit": ORDERS_PAGE, **params}, purpose=Purpose.LOOKUP,
                signed=True, parse=lambda answer: _usable(dialect_btcturk.data_of(answer.value), symbol),
            )  # fmt: skip

        return paging.by_number(page, ORDERS_PAGE, VENUE)

    def _of_ours(self, rows: list[Mapping[str, Any]], client_order_id: str) -> list[Mapping[str, Any]]:
        """The order with this client id. Two of them is something we never made: nobody may guess which is meant."""
        found = [row for row in rows if dialect_btcturk.client_id_of(row) == client_order_id]
        if len(found) > 1:
            finding = Finding(klass=Klass.EXECUTION_UNKNOWN, message=f"{len(found)} orders have one client id")
            raise VenueError(VENUE, f"GET {ALL_ORDERS}", finding, is_order=False, is_read=True)
        return found

    def _order_params(self, request: OrderRequest) -> Params:
        try:
            return dialect_btcturk.order_params(request)
        except BadInput as error:
            finding = Finding(klass=Klass.NOT_SENT, reason="venue:unsupported", message=error.line())
            raise VenueError(VENUE, f"POST {ROW.order_path}", finding, is_order=True, is_read=False) from None


def _usable(rows: Any, symbol: str) -> list[Mapping[str, Any]]:
    """Rows of orders that can all be read, of the symbol asked for: one that cannot makes the look incomplete."""
    for row in rows:
        fields.same(dialect_btcturk.order(row).symbol, symbol, "symbol")
    return list(rows)


def _received(value: Any) -> None:
    """The answer to a cancel says only that it arrived; it need not hold data."""
    if value["success"] is not True:
        raise ValueError("no success")


def make_client(
    settings: Settings, *, script: str = "btcturk_client", log: Log | None = None,
    on_change: breaker.OnChange | None = None,
) -> BtcturkClient:  # fmt: skip
    """A client wired to this home's breakers, budget and clock.

    Args:
        script: who calls, for BREAKER_CHANGED.
        log: called with (level, line); default: standard error.
        on_change: told of every breaker transition; default: journals it where the folder is stamped.

    Raises:
        ConfigError: no URL for this VENUE_ENV.
    """
    log = log or client_door.to_stderr
    keys = simulated(settings.keys(VENUE)) if settings.venue_env is VenueEnv.SIM else settings.keys(VENUE)
    hook = on_change or breaker.journal_hook(settings, script, log)
    breakers = breaker.Breakers(settings.home, settings.config.breakers, script, log, hook)
    caller = make_caller(
        settings, ROW, lambda text: sign(text, keys.api_secret), {}, breakers, log,
        lambda stamp_ms: signed_headers(keys, stamp_ms),
    )  # fmt: skip
    return BtcturkClient(caller, settings.symbols, settings.candles_url(VENUE))


def _request(
    method: str, path: str, params: Params | None = None, signed: bool = False, timeout: float | None = None
) -> Any:
    """One call from a snippet: the decoded JSON. Raises VenueError or ConfigError."""
    return make_client(load(find_home().ensure())).request(method, path, params, signed, timeout)


def _btcturk_time_raw() -> int:
    """The exchange's time in ms, measured and nothing else: no breaker, no retry. Raises VenueError."""
    return make_client(load(find_home().ensure())).server_time().server_ms


def get_account_info() -> dict[str, Any] | None:
    """The account with its balances, or None with one log line (the runbook's form)."""
    try:
        return make_client(load(find_home().ensure())).account()
    except VenueError:
        return None  # the guard has written the line
    except WorldError as error:
        client_door.to_stderr("ERROR", error.line())
        return None


if __name__ == "__main__":
    sys.exit(client_door.main(VENUE, make_client, sys.argv[1:]))
