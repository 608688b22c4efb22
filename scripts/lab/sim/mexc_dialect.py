"""The MEXC dialect: table of endpoints, weights, keys and signatures, error envelope."""

import re
from decimal import Decimal
from typing import Any

from lab.sim.auth import split_signature, timestamp_problem
from lab.sim.calls import ApiError, Call, Endpoint, Reply, fixed
from lab.sim.exchange import Exchange, IdStyle
from lab.sim.faults import Fault
from lab.sim.limits import EndpointLimits, Verdict
from lab.sim.mexc_market import MexcMarket
from lab.sim.mexc_params import refusal
from lab.sim.mexc_trading import MexcTrading
from lab.sim.mexc_views import order_id, trade_id
from lab.sim.rejections import Rejection

_LOWER_HEX = re.compile(r"^[0-9a-f]{64}$")


class MexcDialect:
    """Answers calls in MEXC's language. Unknown parameters are ignored, as MEXC does."""

    def __init__(self, exchange: Exchange, limits: EndpointLimits) -> None:
        self._exchange = exchange
        self._limits = limits
        exchange.ids = IdStyle(order_id, trade_id)
        public = MexcMarket(exchange)
        self.endpoints = _public_table(public) | _signed_table(MexcTrading(exchange, public))

    def handle(self, call: Call) -> Reply:
        """Serve one call completely."""
        endpoint = self.endpoints.get((call.method, call.path))
        if endpoint is None:
            return Reply(404, {"code": 404, "msg": "Not Found"})
        try:
            key = f"{call.method} {call.path}"
            verdict = self._limits.charge(key, endpoint.weight(call.params), self._exchange.now_ms)
            if verdict:
                raise _refused(verdict)
            if endpoint.signed:
                self._authenticate(call)
            return Reply(200, endpoint.handler(call))
        except Rejection as rejection:
            market = self._exchange.markets.get(call.params.get("symbol", ""))
            return _error_reply(refusal(rejection, market.rules if market else None))
        except ApiError as error:
            return _error_reply(error)

    def fault_reply(self, fault: Fault) -> Reply:
        """The answer that a BEFORE fault, or one after the order was accepted, gives instead of the real one."""
        if fault.kind in ("rate_limit_429", "ban_418"):
            seconds = int(Decimal(str(fault.arg)))
            return _error_reply(_refused(Verdict(int(fault.kind[-3:]), seconds, 0)))
        if fault.kind == "timestamp_1021":
            return _error_reply(ApiError(400, 700003, "Timestamp for this request is outside of the recvWindow."))
        if fault.kind == "unknown_1007_after_accept":
            return _error_reply(ApiError(504, 504, "Gateway Time-out"))
        messages = {500: "Internal error", 503: "service not available, please try again", 504: "Gateway Time-out"}
        return _error_reply(ApiError(fault.arg, fault.arg, messages.get(fault.arg, "Internal error")))

    def _authenticate(self, call: Call) -> None:
        key = call.headers.get("X-MEXC-APIKEY", "")
        if not key:
            raise ApiError(400, 400, "api key required")
        if key != self._exchange.keys.api_key:
            raise ApiError(400, 10072, "invalid access key")
        payload, signature = split_signature(call.query, call.body)
        for name, value in (("timestamp", call.params.get("timestamp")), ("signature", signature)):
            if not value:
                raise ApiError(400, 700004, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        if not _LOWER_HEX.match(signature or ""):
            raise ApiError(400, 602, "Signature verification failed")
        if not self._exchange.keys.accepts(payload, signature or ""):
            raise ApiError(400, 700002, "Signature for this request is not valid.")
        skew = call.hit.view("clock_skew_ms")
        now = self._exchange.now_ms + (skew.arg if skew else 0)
        problem = timestamp_problem(call.params["timestamp"], call.params.get("recvWindow"), now)
        if problem == "recv_window":
            raise ApiError(400, 700005, "recvWindow must less than 60000")
        if problem:
            raise ApiError(400, 700003, "Timestamp for this request is outside of the recvWindow.")


def _refused(verdict: Verdict) -> ApiError:
    words = "Too Many Requests" if verdict.status == 429 else "Access Denied"
    error = ApiError(verdict.status, 429 if verdict.status == 429 else 403, words)
    error.headers["Retry-After"] = str(verdict.retry_after_s)
    return error


def _error_reply(error: ApiError) -> Reply:
    return Reply(error.status, error.body, dict(error.headers))


def _by_symbol(one: int, many: int) -> Any:
    return lambda params: one if "symbol" in params else many


def _public_table(at: MexcMarket) -> dict[tuple[str, str], Endpoint]:
    rows = {
        "ping": Endpoint(at.ping, fixed(1)),
        "time": Endpoint(at.time, fixed(1)),
        "defaultSymbols": Endpoint(at.default_symbols, fixed(1)),
        "exchangeInfo": Endpoint(at.exchange_info, fixed(10)),
        "depth": Endpoint(at.depth, fixed(1)),
        "trades": Endpoint(at.trades, fixed(5)),
        "aggTrades": Endpoint(at.aggregate_trades, fixed(1)),
        "klines": Endpoint(at.klines, fixed(1)),
        "avgPrice": Endpoint(at.average_price, fixed(1)),
        "ticker/24hr": Endpoint(at.ticker_24hr, _by_symbol(1, 40)),
        "ticker/price": Endpoint(at.ticker_price, _by_symbol(1, 2)),
        "ticker/bookTicker": Endpoint(at.ticker_book, fixed(1)),
    }
    table = {("GET", f"/api/v3/{path}"): endpoint for path, endpoint in rows.items()}
    no_contracts = Endpoint(lambda call: {"success": True, "code": 0, "data": []}, fixed(1))
    return table | {("GET", "/api/v1/contract/detail"): no_contracts}


def _signed_table(at: MexcTrading) -> dict[tuple[str, str], Endpoint]:
    rows = {
        ("POST", "order"): Endpoint(at.place, fixed(1), True),
        ("POST", "order/test"): Endpoint(at.test, fixed(1), True),
        ("GET", "order"): Endpoint(at.query, fixed(2), True),
        ("DELETE", "order"): Endpoint(at.cancel, fixed(1), True),
        ("GET", "openOrders"): Endpoint(at.open_orders, fixed(3), True),
        ("DELETE", "openOrders"): Endpoint(at.cancel_all, fixed(1), True),
        ("GET", "allOrders"): Endpoint(at.all_orders, fixed(10), True),
        ("GET", "myTrades"): Endpoint(at.my_trades, fixed(10), True),
        ("GET", "account"): Endpoint(at.account, fixed(10), True),
        ("GET", "selfSymbols"): Endpoint(at.self_symbols, fixed(1), True),
        ("GET", "tradeFee"): Endpoint(at.trade_fee, fixed(20), True),
        ("GET", "capital/config/getall"): Endpoint(at.coins, fixed(10), True),
    }
    return {(method, f"/api/v3/{path}"): endpoint for (method, path), endpoint in rows.items()}
