"""Binance spot: signing, paths and calls; as a command it refreshes the observations and answers an operator.

Importable: `_request`, `_binance_time_raw`, `get_account_info`, `make_client`. Every call goes through the guard
(breaker, rate budget, clock, redaction); only `_binance_time_raw` touches no breaker. Orders are sent by the router,
which journals them first: `_request` sends one only to a simulator on this host.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import base64
import hashlib
import hmac
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from desk.base import clock
from desk.base.errors import BadInput, ConfigError, WorldError
from desk.base.paths import find_home
from desk.config.load import Settings, load
from desk.config.mode import VenueEnv
from desk.risk import breaker
from desk.venues import client_door, dialect, dialect_binance, lacks, paging, table
from desk.venues import dialect_binance_lists as lists
from desk.venues.caller import Caller, Params, make_caller
from desk.venues.guard import BeforeSend, Log
from desk.venues.outcome import Klass, VenueError
from desk.venues.protocol import (
    Balance,
    Bar,
    Book,
    KeyPermissions,
    OrderListReport,
    OrderListRequest,
    OrderReport,
    OrderRequest,
    SymbolRules,
    TimeProbe,
    Trade,
)
from desk.venues.table import Purpose

VENUE: Final = "binance"
ROW: Final = table.VENUES[VENUE]
DEPTHS: Final = (5, 10, 20, 50, 100, 500, 1000, 5000)
TRADES_PAGE: Final = 1000
ORDERS_PAGE: Final = 1000
BARS_MAX: Final = 1000
UNKNOWN_SYMBOL: Final = -1121


def sign(payload: str, secret: str) -> str:
    """The signature of a payload that is already percent-encoded: HMAC-SHA256 hex, or Ed25519 base64 for a PEM key.

    Raises:
        ConfigError: the PEM cannot be read.
    """
    if "PRIVATE KEY" in secret or secret.endswith(".pem"):
        return _sign_ed25519(payload, secret)
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def _sign_ed25519(payload: str, secret: str) -> str:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if secret.endswith(".pem"):
            secret = Path(secret).read_text(encoding="ascii")
        key = load_pem_private_key(secret.replace("\\n", "\n").encode(), password=None)
    except (ImportError, OSError, ValueError, TypeError) as error:
        problem = f"is no usable Ed25519 key ({type(error).__name__})"
        raise ConfigError(problem, "BINANCE_API_SECRET", "give PKCS8 PEM, and install cryptography") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("is a PEM key of another kind", "BINANCE_API_SECRET", "use HMAC or Ed25519")
    return base64.b64encode(key.sign(payload.encode())).decode()


def _listed(row: dict[str, Any]) -> OrderReport:
    """A row of open or all orders."""
    return dialect.report(VENUE, row, row["clientOrderId"])


class BinanceClient:
    """Binance spot, as `desk.venues.protocol.VenueClient`."""

    venue = VENUE

    def __init__(self, caller: Caller, *, has_sapi: bool = True) -> None:
        self.caller = caller
        self._has_sapi = has_sapi

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
        """Rules of the symbols; one the exchange does not know is absent. Also learns the rate limits."""
        try:
            return self._exchange_info({"symbols": list(symbols)})
        except VenueError as error:
            if error.code != UNKNOWN_SYMBOL:
                raise
            if len(symbols) == 1:
                return {}
        found: dict[str, SymbolRules] = {}
        for symbol in symbols:  # one unknown symbol fails the whole list: ask one by one
            found |= self.filters((symbol,))
        return found

    def book(self, symbol: str, depth: int = 20) -> Book:
        limit = next((size for size in DEPTHS if size >= depth), DEPTHS[-1])
        return self.caller.call(
            "GET", "/api/v3/depth", {"symbol": symbol, "limit": limit}, purpose=Purpose.READ,
            parse=lambda answer: dialect.book(VENUE, symbol, answer.value, answer.received_ms),
        )  # fmt: skip

    def klines(self, symbol: str, interval_s: int, limit: int) -> tuple[Bar, ...]:
        word = dialect_binance.INTERVALS.get(interval_s)
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
        """Send one order, once. `timestamp_ms` is the exchange's time, fixed and journalled by the caller."""
        return self.caller.call(
            "POST", ROW.order_path, dialect_binance.order_params(request), purpose=purpose, signed=True,
            parse=lambda answer: dialect_binance.placed(answer.value, request), stamp_ms=timestamp_ms,
            before_send=before_send,
        )  # fmt: skip

    def test_order(self, request: OrderRequest) -> None:
        """Prove the order path without an order; the half-open probe of `binance_orders`."""
        self.caller.call(
            "POST", ROW.order_path + "/test", dialect_binance.order_params(request), purpose=Purpose.PROBE,
            signed=True, parse=lambda answer: answer.value,
        )  # fmt: skip

    def probe_orders(self, request: OrderRequest | None) -> None:
        """The half-open probe of the order path: order/test, or in PAPER (no order to test) a harmless read."""
        if request is not None:
            self.test_order(request)
        else:
            self.caller.call("GET", ROW.time_path, {}, purpose=Purpose.PROBE, parse=lambda answer: answer.value)

    def get_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """One order by its client id; None only for the exchange's definite "does not exist" (-2013)."""
        try:
            return self._order("GET", symbol, client_order_id, Purpose.LOOKUP)
        except VenueError as error:
            if error.class_ is Klass.ORDER_NOT_FOUND:
                return None
            raise

    def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return self._order("DELETE", symbol, client_order_id, Purpose.CANCEL)

    def key_permissions(self) -> KeyPermissions:
        """What our key may do. The test network has no /sapi: there it cannot be read, and VenueError says so."""
        if not self._has_sapi:
            raise lacks.unsupported(VENUE, "key permissions", "the test network has no /sapi")
        return self.caller.call(
            "GET", "/sapi/v1/account/apiRestrictions", purpose=Purpose.READ, signed=True,
            parse=lambda answer: dialect_binance.key_permissions(answer.value),
        )  # fmt: skip

    def place_order_list(
        self, request: OrderListRequest, timestamp_ms: int, *, purpose: Purpose = Purpose.ENTRY,
        before_send: BeforeSend | None = None,
    ) -> OrderListReport:  # fmt: skip
        """Send one order list, once; as `place_order`. Legs that are still PENDING_NEW are asked for again."""
        return self.caller.call(
            "POST", lists.path_of(request.kind), lists.list_params(request), purpose=purpose, signed=True,
            parse=lambda answer: lists.placed(answer.value, request), stamp_ms=timestamp_ms, before_send=before_send,
        )  # fmt: skip

    def get_order_list(self, list_client_order_id: str) -> OrderListReport | None:
        """One list by its client id; None only for the exchange's definite "does not exist" (-2018)."""
        try:
            return self.caller.call(
                "GET", lists.PATH, {"origClientOrderId": list_client_order_id}, purpose=Purpose.LOOKUP, signed=True,
                parse=lambda answer: lists.found(answer.value, list_client_order_id),
            )  # fmt: skip
        except VenueError as error:
            if error.class_ is Klass.ORDER_NOT_FOUND:
                return None
            raise

    def open_order_lists(self) -> tuple[OrderListReport, ...]:
        """Every list that is not done, of all symbols."""
        return self.caller.call(
            "GET", lists.OPEN_PATH, purpose=Purpose.LOOKUP, signed=True,
            parse=lambda answer: tuple(lists.told(row) for row in answer.value),
        )  # fmt: skip

    def cancel_order_list(self, symbol: str, list_client_order_id: str) -> OrderListReport:
        """Cancel every leg that still stands; cancelling one leg by `cancel_order` does the same."""
        return self.caller.call(
            "DELETE", lists.PATH, {"symbol": symbol, "listClientOrderId": list_client_order_id},
            purpose=Purpose.CANCEL, signed=True,
            parse=lambda answer: lists.cancelled(answer.value, symbol, list_client_order_id),
        )  # fmt: skip

    def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        return self.caller.call(
            "GET", "/api/v3/openOrders", {"symbol": symbol}, purpose=Purpose.LOOKUP, signed=True,
            parse=lambda answer: tuple(_listed(row) for row in answer.value),
        )  # fmt: skip

    def orders_since(self, symbol: str, since_ms: int) -> tuple[OrderReport, ...]:
        """Every order accepted since then, oldest first; raises VenueError rather than miss one."""

        def page(**params: Any) -> tuple[OrderReport, ...]:
            return self.caller.call(
                "GET", "/api/v3/allOrders", {"symbol": symbol, "limit": ORDERS_PAGE, **params}, purpose=Purpose.LOOKUP,
                signed=True, parse=lambda answer: tuple(_listed(row) for row in answer.value),
            )  # fmt: skip

        return paging.orders(page, since_ms, clock.now_ms() + paging.DAY_MS, ORDERS_PAGE, VENUE)

    def my_trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]:
        """Every fill of ours since then, oldest first, all pages; raises VenueError rather than miss one."""

        def page(**params: Any) -> tuple[Trade, ...]:
            return self.caller.call(
                "GET", "/api/v3/myTrades", {"symbol": symbol, "limit": TRADES_PAGE, **params}, purpose=Purpose.LOOKUP,
                signed=True, parse=lambda answer: tuple(dialect.trade(row) for row in answer.value),
            )  # fmt: skip

        return paging.by_id(page, since_ms, TRADES_PAGE, VENUE)

    def _order(self, method: str, symbol: str, client_order_id: str, purpose: Purpose) -> OrderReport:
        return self.caller.call(
            method, ROW.order_path, {"symbol": symbol, "origClientOrderId": client_order_id}, purpose=purpose,
            signed=True, parse=lambda answer: dialect.told_of(VENUE, answer.value, symbol, client_order_id),
        )  # fmt: skip

    def _exchange_info(self, params: Params) -> dict[str, SymbolRules]:
        def parse(answer: Any) -> dict[str, SymbolRules]:
            self.caller.guard.meter.learn(answer.value.get("rateLimits", ()))
            return {row["symbol"]: dialect_binance.rules(row) for row in answer.value["symbols"]}

        return self.caller.call("GET", "/api/v3/exchangeInfo", params, purpose=Purpose.READ, parse=parse)


def make_client(
    settings: Settings, *, script: str = "binance_client", log: Log | None = None,
    on_change: breaker.OnChange | None = None,
) -> BinanceClient:  # fmt: skip
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
    headers = {ROW.key_header: keys.api_key}
    caller = make_caller(settings, ROW, lambda text: sign(text, keys.api_secret), headers, breakers, log)
    return BinanceClient(caller, has_sapi=settings.venue_env is not VenueEnv.TESTNET)


def _request(
    method: str, path: str, params: Params | None = None, signed: bool = False, timeout: float | None = None
) -> Any:
    """One call from a snippet: the decoded JSON. Raises VenueError or ConfigError."""
    return make_client(load(find_home().ensure())).request(method, path, params, signed, timeout)


def _binance_time_raw() -> int:
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
