"""Binance's WebSocket API, as far as user data needs it: ping, time, session and subscription methods. No sockets.

Signed payload: the parameters sorted by name, apiKey included, not percent-encoded, joined by & (protocol facts,
Binance 3). session.logon takes Ed25519 keys only; userDataStream.subscribe.signature any key. One user data
subscription per account and connection. The answers show the weight that REST calls have used as well.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.sim.auth import timestamp_problem
from lab.sim.binance_dialect import BinanceDialect
from lab.sim.calls import ApiError
from lab.sim.exchange import Exchange

Params = dict[str, Any]


@dataclass(slots=True)
class Session:
    """One connection: who logged on, and its subscription to user data."""

    connected_ms: int
    logged_on_ms: int = 0
    subscription: int | None = None
    made: int = 0


class Refused(Exception):
    """Past the limits: no answer until `until_ms`."""

    def __init__(self, error: ApiError, until_ms: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.until_ms = until_ms


class WsApi:
    """Answers requests of every connection."""

    def __init__(self, exchange: Exchange, dialect: BinanceDialect) -> None:
        self._exchange = exchange
        self._dialect = dialect
        self._methods: dict[str, tuple[int, Callable[[Session, Params], Any]]] = {
            "ping": (1, lambda session, params: {}),
            "time": (1, lambda session, params: {"serverTime": exchange.now_ms}),
            "session.logon": (2, self._logon),
            "session.status": (2, lambda session, params: self._status(session)),
            "session.logout": (2, self._logout),
            "userDataStream.subscribe": (2, self._subscribe_logged_on),
            "userDataStream.subscribe.signature": (2, self._subscribe_signed),
            "userDataStream.unsubscribe": (2, self._unsubscribe),
        }

    def answer(self, session: Session, text: str) -> dict[str, Any]:
        """The response to one request, whatever it is."""
        request_id = None
        try:
            raw = json.loads(text)
            if not isinstance(raw, dict):
                raise ApiError(400, -1135, "Invalid JSON Request")
            request_id = raw.get("id")
            result = self._result(session, raw)
            body: dict[str, Any] = {"id": request_id, "status": 200, "result": result}
        except (ValueError, RecursionError):
            body = _failed(request_id, ApiError(400, -1135, "Invalid JSON Request"))
        except Refused as refused:
            data = {"serverTime": self._exchange.now_ms, "retryAfter": refused.until_ms}
            body = _failed(request_id, refused.error, data)
        except ApiError as error:
            body = _failed(request_id, error)
        return body | {"rateLimits": [self._dialect.weight_row()]}

    def _result(self, session: Session, raw: dict[str, Any]) -> Any:
        method, params = raw.get("method"), raw.get("params", {})
        weight, act = self._methods.get(method, (1, None)) if isinstance(method, str) else (1, None)
        verdict = self._dialect.charge(weight)
        if verdict:
            raise Refused(self._dialect.refused(verdict), verdict.until_ms)
        if act is None:
            raise ApiError(400, -1000, "Unknown method.")
        if not isinstance(params, dict):
            raise ApiError(400, -1130, "Data sent for parameter 'params' is not valid.")
        return act(session, params)

    def _logon(self, session: Session, params: Params) -> Any:
        if not self._exchange.keys.has_public_key:
            raise ApiError(400, -4056, "HMAC_SHA256 API key is not supported.")
        self._authenticate(params)
        session.logged_on_ms = self._exchange.now_ms
        return self._status(session)

    def _status(self, session: Session) -> Any:
        return {
            "apiKey": self._exchange.keys.api_key if session.logged_on_ms else None,
            "authorizedSince": session.logged_on_ms or None, "connectedSince": session.connected_ms,
            "returnRateLimits": True, "serverTime": self._exchange.now_ms,
            "userDataStream": session.subscription is not None,
        }  # fmt: skip

    def _logout(self, session: Session, params: Params) -> Any:
        session.logged_on_ms = 0
        return self._status(session)

    def _subscribe_logged_on(self, session: Session, params: Params) -> Any:
        if not session.logged_on_ms:
            raise ApiError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        return self._subscribed(session)

    def _subscribe_signed(self, session: Session, params: Params) -> Any:
        self._authenticate(params)
        return self._subscribed(session)

    def _subscribed(self, session: Session) -> Any:
        if session.subscription is not None:
            raise ApiError(400, -2035, "User Data Stream subscription already active.")
        session.subscription = session.made
        session.made += 1
        return {"subscriptionId": session.subscription}

    def _unsubscribe(self, session: Session, params: Params) -> Any:
        if session.subscription is None or params.get("subscriptionId", session.subscription) != session.subscription:
            raise ApiError(400, -2036, "User Data Stream subscription not active.")
        session.subscription = None
        return {}

    def _authenticate(self, params: Params) -> None:
        if params.get("apiKey") != self._exchange.keys.api_key:
            raise ApiError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        signature = params.get("signature")
        for name, value in (("timestamp", params.get("timestamp")), ("signature", signature)):
            if not value:
                raise ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        rest = {name: value for name, value in params.items() if name != "signature"}
        if not self._exchange.keys.accepts(signed_text(rest), str(signature)):
            raise ApiError(401, -1022, "Signature for this request is not valid.")
        window = params.get("recvWindow")
        problem = timestamp_problem(
            str(params["timestamp"]), None if window is None else str(window), self._exchange.now_ms
        )
        if problem:
            raise ApiError(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def signed_text(params: Params) -> str:
    """What the WebSocket API wants signed."""
    return "&".join(f"{name}={value}" for name, value in sorted(params.items()))


def _failed(request_id: Any, error: ApiError, data: Params | None = None) -> dict[str, Any]:
    shown = {"code": error.body["code"], "msg": error.body["msg"]} | ({"data": data} if data else {})
    return {"id": request_id, "status": error.status, "error": shown}
