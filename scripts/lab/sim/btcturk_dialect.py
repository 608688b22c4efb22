"""The BTCTurk dialect: table of endpoints, quotas, keys and signatures, error envelope."""

from decimal import Decimal
from typing import Any

from lab.sim.btcturk_limits import QUOTAS, BtcturkLimits, Exceeded
from lab.sim.btcturk_market import BtcturkMarket
from lab.sim.btcturk_params import bad, too_many
from lab.sim.btcturk_trading import ORDER_PATH, BtcturkTrading
from lab.sim.btcturk_views import order_id, trade_id
from lab.sim.calls import ApiError, Call, Endpoint, Reply, fixed
from lab.sim.exchange import Exchange, IdStyle
from lab.sim.faults import Fault

STAMP_TOLERANCE_MS = 5000
INVALID_NONCE = "Unauthorized - Invalid Nonce"
_ONE_ORDER = f"{ORDER_PATH}{{orderid}}"
_WORDS = {503: "SERVICE_UNAVAILABLE", 504: "GATEWAY_TIMEOUT", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


class BtcturkDialect:
    """Answers calls in BTCTurk's language. Unknown parameters are ignored; paths are read without regard to case."""

    def __init__(self, exchange: Exchange, limits: BtcturkLimits) -> None:
        self._exchange = exchange
        self._limits = limits
        exchange.ids = IdStyle(order_id, trade_id)
        self.endpoints = _public_table(BtcturkMarket(exchange)) | _signed_table(BtcturkTrading(exchange))

    def handle(self, call: Call) -> Reply:
        """Serve one call completely."""
        path = _endpoint_path(call.path)
        endpoint = self.endpoints.get((call.method, path))
        try:
            if endpoint is None:
                raise self._unknown(path)
            exceeded = self._limits.charge(call.method, path, self._exchange.now_ms)
            if exceeded:
                raise too_many(exceeded)
            if endpoint.signed:
                self._authenticate(call)
            return Reply(200, endpoint.handler(call))
        except ApiError as error:
            return _error_reply(error)

    def fault_reply(self, fault: Fault) -> Reply:
        """The answer a BEFORE fault, or unknown_1007_after_accept, gives instead of the real one."""
        if fault.kind == "rate_limit_429":
            return _error_reply(too_many(Exceeded(QUOTAS[0], int(Decimal(str(fault.arg))))))
        if fault.kind == "ban_418":
            banned = bad("IP_BLOCKED", 418)  # no such answer is documented; the fault exists for every venue
            banned.headers["Retry-After"] = str(int(Decimal(str(fault.arg))))
            return _error_reply(banned)
        if fault.kind == "timestamp_1021":
            return _error_reply(bad(INVALID_NONCE, 401))
        status = 504 if fault.kind == "unknown_1007_after_accept" else fault.arg
        return _error_reply(bad(_WORDS.get(status, "INTERNAL_SERVER_ERROR"), status))

    def _unknown(self, path: str) -> ApiError:
        known = any(path == known_path for _, known_path in self.endpoints)
        return bad(_WORDS[405], 405) if known else bad(_WORDS[404], 404)

    def _authenticate(self, call: Call) -> None:
        """X-PCK, X-Stamp and X-Signature over key and stamp alone: path, query and body are not signed."""
        key, stamp, signature = (call.headers.get(name, "") for name in ("X-PCK", "X-Stamp", "X-Signature"))
        if key != self._exchange.keys.api_key:
            raise bad("Unauthorized - Invalid Public Key", 401)
        if not (stamp.isascii() and stamp.isdigit()):
            raise bad(INVALID_NONCE, 401)
        if not self._exchange.keys.accepts_base64(key + stamp, signature):
            raise bad("Unauthorized - Invalid Signature", 401)
        skew = call.hit.view("clock_skew_ms")
        now = self._exchange.now_ms + (skew.arg if skew else 0)
        if abs(now - Decimal(stamp)) > STAMP_TOLERANCE_MS:
            raise bad(INVALID_NONCE, 401)


def _endpoint_path(path: str) -> str:
    lower = path.lower()
    return _ONE_ORDER if lower.startswith(ORDER_PATH) and len(lower) > len(ORDER_PATH) else lower


def _error_reply(error: ApiError) -> Reply:
    return Reply(error.status, error.body, dict(error.headers))


def _public_table(at: BtcturkMarket) -> dict[tuple[str, str], Endpoint]:
    rows: dict[str, Any] = {
        "/api/v2/server/time": at.time,
        "/api/v2/server/exchangeinfo": at.exchange_info,
        "/api/v2/orderbook": at.order_book,
        "/api/v2/trades": at.trades,
        "/api/v2/ticker": at.ticker,
        "/v1/klines/history": at.klines,
        "/v1/ohlcs": at.daily,
    }
    return {("GET", path): Endpoint(handler, fixed(1)) for path, handler in rows.items()}


def _signed_table(at: BtcturkTrading) -> dict[tuple[str, str], Endpoint]:
    rows: dict[tuple[str, str], Any] = {
        ("POST", "/api/v1/order"): at.place,
        ("DELETE", "/api/v1/order"): at.cancel,
        ("GET", _ONE_ORDER): at.query,
        ("GET", "/api/v1/openorders"): at.open_orders,
        ("GET", "/api/v1/allorders"): at.all_orders,
        ("GET", "/api/v1/users/transactions/trade"): at.my_trades,
        ("GET", "/api/v1/users/balances"): at.balances,
    }
    return {key: Endpoint(handler, fixed(1), signed=True) for key, handler in rows.items()}
