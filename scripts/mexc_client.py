"""MEXC spot: signing, paths and calls; as a command it refreshes the observations and answers an operator.

Importable: `_request`, `_mexc_time_raw`, `get_account_info`, `make_client`. Every call goes through the guard (breaker,
rate budget, clock, redaction); only `_mexc_time_raw` touches no breaker. MEXC has no test network and no stop orders;
a new order's answer says only "accepted", so whoever sends one queries it.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import hashlib
import hmac
import sys
from contextlib import AbstractContextManager
from typing import Any, Final

from desk.base import clock
from desk.base.errors import BadInput, WorldError
from desk.base.paths import find_home
from desk.config.load import Settings, load
from desk.risk import breaker
from desk.venues import client_door, dialect, dialect_mexc, paging, table
from desk.venues.caller import Caller, Params, make_caller
from desk.venues.guard import BeforeSend, Log
from desk.venues.lacks import NoKeyPermissions, NoOrderLists
from desk.venues.outcome import Finding, Klass, VenueError
from desk.venues.protocol import Balance, Bar, Book, OrderReport, OrderRequest, SymbolRules, TimeProbe, Trade
from desk.venues.table import Purpose

VENUE: Final = "mexc"
ROW: Final = table.VENUES[VENUE]
DEPTH_MAX: Final = 5000
TRADES_PAGE: Final = 100
ORDERS_PAGE: Final = 1000
BARS_MAX: Final = 500
UNKNOWN_SYMBOLS: Final = frozenset({-1121, 10007, 30014, 30021})
NOT_FOUND: Final = frozenset({Klass.ORDER_NOT_FOUND, Klass.ORDER_NOT_FOUND_QUERY_FIRST})


def sign(payload: str, secret: str) -> str:
    """HMAC-SHA256 of a payload that is already percent-encoded, in lower-case hex (upper case is refused)."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


class MexcClient(NoOrderLists, NoKeyPermissions):
    """MEXC spot, as `desk.venues.protocol.VenueClient`."""

    venue = VENUE

    def __init__(self, caller: Caller, symbols: tuple[str, ...]) -> None:
        self.caller, self._symbols = caller, symbols

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
        """Rules of the symbols; one the exchange does not know is absent."""
        try:
            return self._exchange_info({"symbols": ",".join(symbols)}, symbols)
        except VenueError as error:
            if error.code not in UNKNOWN_SYMBOLS:
                raise
            if len(symbols) == 1:
                return {}
        found: dict[str, SymbolRules] = {}
        for symbol in symbols:  # one unknown symbol fails the whole list: ask one by one
            found |= self.filters((symbol,))
        return found

    def book(self, symbol: str, depth: int = 20) -> Book:
        return self.caller.call(
            "GET", "/api/v3/depth", {"symbol": symbol, "limit": min(depth, DEPTH_MAX)}, purpose=Purpose.READ,
            parse=lambda answer: dialect.book(VENUE, symbol, answer.value, answer.received_ms),
        )  # fmt: skip

    def klines(self, symbol: str, interval_s: int, limit: int) -> tuple[Bar, ...]:
        word = dialect_mexc.INTERVALS.get(interval_s)
        if word is None:
            raise BadInput(f"no candles of {interval_s} s", "market_data.bar_interval_s", "use 60, 300, 900 or 3600")
        params = {"symbol": symbol, "interval": word, "limit": min(limit, BARS_MAX)}
        return self.caller.call(
            "GET", "/api/v3/klines", params, purpose=Purpose.READ, parse=lambda answer: dialect.bars(answer.value)
        )

    def account(self) -> dict[str, Any]:
        """The account as the exchange tells it, balances checked."""

        def parse(answer: Any) -> dict[str, Any]:
            dialect.balances(answer.value["balances"])
            return dict(answer.value)

        return self.caller.call("GET", "/api/v3/account", purpose=Purpose.LOOKUP, parse=parse, signed=True)

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
        exchange's time, fixed and journalled by the caller."""
        return self.caller.call(
            "POST", ROW.order_path, self._order_params(request), purpose=purpose, signed=True,
            parse=lambda answer: dialect_mexc.placed(answer.value, request), stamp_ms=timestamp_ms,
            before_send=before_send,
        )  # fmt: skip

    def test_order(self, request: OrderRequest) -> None:
        """Prove the order path without an order; the half-open probe of `mexc_orders`."""
        self.caller.call(
            "POST", ROW.order_path + "/test", self._order_params(request), purpose=Purpose.PROBE, signed=True,
            parse=lambda answer: answer.value,
        )  # fmt: skip

    def probe_orders(self, request: OrderRequest | None) -> None:
        """The half-open probe of the order path: order/test, or in PAPER (no order to test) a harmless read."""
        if request is not None:
            self.test_order(request)
        else:
            self.caller.call("GET", ROW.time_path, {}, purpose=Purpose.PROBE, parse=lambda answer: answer.value)

    def get_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """One order by its client id; None only when the exchange says it knows none."""
        try:
            return self._order("GET", symbol, client_order_id, Purpose.LOOKUP)
        except VenueError as error:
            if error.class_ in NOT_FOUND:
                return None
            raise

    def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return self._order("DELETE", symbol, client_order_id, Purpose.CANCEL)

    def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        """Open orders of one symbol, or of every symbol of the universe (MEXC wants a symbol)."""
        found: list[OrderReport] = []
        for one in (symbol,) if symbol is not None else self._symbols:
            found += self.caller.call(
                "GET", "/api/v3/openOrders", {"symbol": one}, purpose=Purpose.LOOKUP, signed=True,
                parse=lambda answer: tuple(dialect_mexc.listed(row) for row in answer.value),
            )  # fmt: skip
        return tuple(found)

    def orders_since(self, symbol: str, since_ms: int) -> tuple[OrderReport, ...]:
        """Every order accepted since then (the exchange keeps 7 days), oldest first; raises rather than miss one."""

        def page(**params: Any) -> tuple[OrderReport, ...]:
            return self.caller.call(
                "GET", "/api/v3/allOrders", {"symbol": symbol, "limit": ORDERS_PAGE, **params}, purpose=Purpose.LOOKUP,
                signed=True, parse=lambda answer: tuple(dialect_mexc.listed(row) for row in answer.value),
            )  # fmt: skip

        return paging.orders(page, since_ms, clock.now_ms() + paging.DAY_MS, ORDERS_PAGE, VENUE)

    def my_trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]:
        """Every fill of ours since then (the exchange keeps 30 days), oldest first; raises rather than miss one."""

        def page(**params: Any) -> tuple[Trade, ...]:
            return self.caller.call(
                "GET", "/api/v3/myTrades", {"symbol": symbol, "limit": TRADES_PAGE, **params}, purpose=Purpose.LOOKUP,
                signed=True, parse=lambda answer: tuple(dialect.trade(row) for row in answer.value),
            )  # fmt: skip

        return paging.by_time(page, since_ms, TRADES_PAGE, VENUE)

    def _order(self, method: str, symbol: str, client_order_id: str, purpose: Purpose) -> OrderReport:
        return self.caller.call(
            method, ROW.order_path, {"symbol": symbol, "origClientOrderId": client_order_id}, purpose=purpose,
            signed=True, parse=lambda answer: dialect.told_of(VENUE, answer.value, symbol, client_order_id),
        )  # fmt: skip

    def _order_params(self, request: OrderRequest) -> Params:
        try:
            return dialect_mexc.order_params(request)
        except BadInput as error:
            finding = Finding(klass=Klass.NOT_SENT, reason="venue:unsupported", message=error.line())
            raise VenueError(VENUE, f"POST {ROW.order_path}", finding, is_order=True, is_read=False) from None

    def _exchange_info(self, params: Params, wanted: tuple[str, ...]) -> dict[str, SymbolRules]:
        def parse(answer: Any) -> dict[str, SymbolRules]:
            rows = [row for row in answer.value["symbols"] if row["symbol"] in wanted]
            return {row["symbol"]: dialect_mexc.rules(row) for row in rows}

        return self.caller.call("GET", "/api/v3/exchangeInfo", params, purpose=Purpose.READ, parse=parse)


def make_client(
    settings: Settings, *, script: str = "mexc_client", log: Log | None = None,
    on_change: breaker.OnChange | None = None,
) -> MexcClient:  # fmt: skip
    """A client wired to this home's breakers, budget and clock.

    Args:
        script: who calls, for BREAKER_CHANGED.
        log: called with (level, line); default: standard error.
        on_change: told of every breaker transition; default: journals it where the folder is stamped.

    Raises:
        ConfigError: no URL for this VENUE_ENV.
    """
    log = log or client_door.to_stderr
    keys = settings.keys(VENUE)
    hook = on_change or breaker.journal_hook(settings, script, log)
    breakers = breaker.Breakers(settings.home, settings.config.breakers, script, log, hook)
    headers = {ROW.key_header: keys.api_key, "Content-Type": "application/json"}
    caller = make_caller(settings, ROW, lambda text: sign(text, keys.api_secret), headers, breakers, log)
    return MexcClient(caller, settings.symbols)


def _request(
    method: str, path: str, params: Params | None = None, signed: bool = False, timeout: float | None = None
) -> Any:
    """One call from a snippet: the decoded JSON. Raises VenueError or ConfigError."""
    return make_client(load(find_home().ensure())).request(method, path, params, signed, timeout)


def _mexc_time_raw() -> int:
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
