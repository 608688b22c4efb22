"""The /sim endpoints: the operator's hands on the simulator. No keys, no weights, no faults apply here."""

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from lab.sim.calls import Reply
from lab.sim.decimals import text8
from lab.sim.exchange import Exchange
from lab.sim.faults import FaultError

PREFIX = "/sim/"
ADVANCE_MS_MAX = 400 * 86_400_000


def answer(exchange: Exchange, method: str, path: str, body: str) -> Reply:
    """Serve one admin request; every refusal is 400 with {"error": one line}."""
    act = _ACTS.get((method, path))
    if act is None:
        known = ", ".join(f"{known_method} {known_path}" for known_method, known_path in _ACTS)
        return Reply(404, {"error": f"{method} {path} is unknown; there is {known}"})
    try:
        return Reply(200, act(exchange, body))
    except (ValueError, FaultError) as error:
        return Reply(400, {"error": str(error)})


def _books(exchange: Exchange, body: str) -> Any:
    return exchange.books()


def _lists(exchange: Exchange, body: str) -> Any:
    return {"orderLists": exchange.lists()}


def _ledger(exchange: Exchange, body: str) -> Any:
    return exchange.ledger()


def _requests(exchange: Exchange, body: str) -> Any:
    return list(exchange.requests)


def _clock(exchange: Exchange, body: str) -> Any:
    return {"now_ms": exchange.now_ms}


def _advance(exchange: Exchange, body: str) -> Any:
    raw = _object(body)
    ms = raw.get("ms")
    if set(raw) != {"ms"} or not isinstance(ms, int) or isinstance(ms, bool) or not 0 <= ms <= ADVANCE_MS_MAX:
        raise ValueError(f'advance wants {{"ms": N}} with a whole number from 0 to {ADVANCE_MS_MAX}')
    return {"now_ms": exchange.advance(ms)}


def _transfer(exchange: Exchange, body: str) -> Any:
    raw = _object(body)
    try:
        amount = Decimal(str(raw.get("amount")))
    except InvalidOperation:
        amount = Decimal("NaN")
    asset = raw.get("asset")
    if set(raw) != {"asset", "amount"} or not isinstance(asset, str) or not asset or not amount.is_finite():
        raise ValueError('transfer wants {"asset": "USDT", "amount": "100"}; a negative amount is a withdrawal')
    return {"asset": asset, "free": text8(exchange.transfer(asset, amount))}


def _arm(exchange: Exchange, body: str) -> Any:
    return exchange.arm(_object(body)).shown()


def _armed(exchange: Exchange, body: str) -> Any:
    return {"faults": [fault.shown() for fault in exchange.faults.armed]}


def _clear(exchange: Exchange, body: str) -> Any:
    exchange.clear_faults()
    return {"faults": []}


def _object(body: str) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except ValueError:
        raw = None
    if isinstance(raw, dict):
        return raw
    raise FaultError("the body must be a JSON object")


_ACTS: dict[tuple[str, str], Callable[[Exchange, str], Any]] = {
    ("GET", "/sim/books"): _books,
    ("GET", "/sim/lists"): _lists,
    ("GET", "/sim/ledger"): _ledger,
    ("GET", "/sim/requests"): _requests,
    ("GET", "/sim/clock"): _clock,
    ("POST", "/sim/advance"): _advance,
    ("POST", "/sim/transfer"): _transfer,
    ("GET", "/sim/faults"): _armed,
    ("POST", "/sim/faults"): _arm,
    ("DELETE", "/sim/faults"): _clear,
}
