"""The Binance dialect: keys and signatures, limits, error envelope, headers around every endpoint."""

from decimal import Decimal
from typing import Any

from lab.sim.auth import split_signature, timestamp_problem
from lab.sim.binance_endpoints import SIGNING, endpoints
from lab.sim.binance_orders import refusal
from lab.sim.calls import ApiError, Call, Endpoint, Reply
from lab.sim.exchange import Exchange
from lab.sim.faults import Fault
from lab.sim.limits import BinanceLimits, Verdict
from lab.sim.rejections import Rejection

_TOO_MUCH = (
    "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
_BANNED = (
    "Way too much request weight used; IP banned until {until}. "
    "Please use WebSocket Streams for live updates to avoid bans."
)
UNKNOWN_1007 = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."


class BinanceDialect:
    """Answers calls in Binance's language."""

    def __init__(self, exchange: Exchange, limits: BinanceLimits) -> None:
        self._exchange = exchange
        self._limits = limits
        self.endpoints = endpoints(exchange, limits)

    def handle(self, call: Call) -> Reply:
        """Serve one call completely, headers included."""
        endpoint = self.endpoints.get((call.method, call.path))
        weight = endpoint.weight(call.params) if endpoint else 1
        verdict = self.charge(weight)
        try:
            if verdict:
                raise self.refused(verdict)
            if endpoint is None:
                return self._not_found(call)
            reply = Reply(200, self._serve(endpoint, call))
            if endpoint.free_when_accepted:
                self._limits.refund(weight)
        except Rejection as rejection:
            reply = _error_reply(refusal(rejection))
        except ApiError as error:
            reply = _error_reply(error)
        return self._with_headers(reply, endpoint)

    def charge(self, weight: int) -> Verdict | None:
        """Count a request of any kind; a Verdict when it must not be served."""
        return self._limits.charge(weight, self._exchange.now_ms)

    def weight_row(self) -> dict[str, Any]:
        """The weight of this minute as the WebSocket API shows it."""
        return {
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": self._limits.weight_limit, "count": self._limits.weight.roll(self._exchange.now_ms),
        }  # fmt: skip

    def refused(self, verdict: Verdict) -> ApiError:
        """The answer to a request past the limits (or to one a fault says is past them)."""
        template = _TOO_MUCH if verdict.status == 429 else _BANNED
        error = ApiError(
            verdict.status, -1003, template.format(limit=self._limits.weight_limit, until=verdict.until_ms)
        )
        error.headers["Retry-After"] = str(verdict.retry_after_s)
        return error

    def fault_reply(self, fault: Fault) -> Reply:
        """The answer that a BEFORE fault, or one after the order was accepted, gives instead of the real one."""
        if fault.kind in ("rate_limit_429", "ban_418"):
            seconds = int(Decimal(str(fault.arg)))
            verdict = Verdict(int(fault.kind[-3:]), seconds, self._exchange.now_ms + seconds * 1000)
            return self._with_headers(_error_reply(self.refused(verdict)), None)
        if fault.kind == "timestamp_1021":
            return _error_reply(ApiError(400, -1021, "Timestamp for this request is outside of the recvWindow."))
        if fault.kind == "unknown_1007_after_accept":
            return _error_reply(ApiError(504, -1007, UNKNOWN_1007))
        return _error_reply(ApiError(int(fault.arg), -1000, "An unknown error occurred while processing the request."))

    def _serve(self, endpoint: Endpoint, call: Call) -> Any:
        if call.duplicate_param:
            raise ApiError(400, -1101, "Duplicate values for a parameter detected.")
        if endpoint.signed:
            self._authenticate(call)
        for name, value in call.params.items():
            if value == "":
                raise ApiError(400, -1105, f"Parameter '{name}' was empty.")
        read = [name for name in call.params if name in endpoint.allowed or (endpoint.signed and name in SIGNING)]
        if len(read) != len(call.params):
            sent = len(call.params)
            message = f"Not all sent parameters were read; read '{len(read)}' parameter(s) but was sent '{sent}'."
            raise ApiError(400, -1104, message)
        return endpoint.handler(call)

    def _authenticate(self, call: Call) -> None:
        key = call.headers.get("X-MBX-APIKEY", "")
        if not key:
            raise ApiError(401, -2014, "API-key format invalid.")
        if key != self._exchange.keys.api_key:
            raise ApiError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        payload, signature = split_signature(call.query, call.body)
        for name, value in (("timestamp", call.params.get("timestamp")), ("signature", signature)):
            if not value:
                raise ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        if not self._exchange.keys.accepts(payload, signature or ""):
            raise ApiError(400, -1022, "Signature for this request is not valid.")
        skew = call.hit.view("clock_skew_ms")
        now = self._exchange.now_ms + (skew.arg if skew else 0)
        problem = timestamp_problem(call.params["timestamp"], call.params.get("recvWindow"), now)
        if problem:
            raise ApiError(400, *_TIMESTAMP_ERRORS[problem])

    def _with_headers(self, reply: Reply, endpoint: Endpoint | None) -> Reply:
        used = str(self._limits.weight.roll(self._exchange.now_ms))
        reply.headers |= {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if endpoint and endpoint.is_order and (reply.status == 200 or reply.status == 409):
            now = self._exchange.now_ms
            reply.headers["X-MBX-ORDER-COUNT-10S"] = str(self._limits.orders_10s.roll(now))
            reply.headers["X-MBX-ORDER-COUNT-1D"] = str(self._limits.orders_1d.roll(now))
        return reply

    def _not_found(self, call: Call) -> Reply:
        known = any(path == call.path for _, path in self.endpoints)
        status, why = (405, "Method Not Allowed") if known else (404, "Not Found")
        body = {"timestamp": self._exchange.now_ms, "status": status, "error": why, "path": call.path}
        return self._with_headers(Reply(status, body), None)


_TIMESTAMP_ERRORS = {
    "malformed": (-1100, "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'."),
    "recv_window": (-1131, "recvWindow must be less than 60000"),
    "ahead": (-1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    "old": (-1021, "Timestamp for this request is outside of the recvWindow."),
}


def _error_reply(error: ApiError) -> Reply:
    return Reply(error.status, error.body, dict(error.headers))
