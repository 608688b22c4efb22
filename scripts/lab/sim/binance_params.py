"""Binance's reading of request parameters: what must be there, what is legal, and the exact refusals. Pure."""

import json
import re
from decimal import Decimal

from lab.sim.calls import ApiError
from lab.sim.decimals import ZERO
from lab.sim.intervals import DAY_MS
from lab.sim.market import Market
from lab.sim.orders import OrderRequest
from lab.sim.path import FAR_FUTURE_MS

_DECIMAL = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
_INTEGER = re.compile(r"^[0-9]{1,20}$")
CLIENT_ID = re.compile(r"^[a-zA-Z0-9-_]{1,36}$")
TYPES: dict[str, tuple[str, str]] = {  # type -> (required, allowed beside them)
    "LIMIT": ("timeInForce quantity price", ""),
    "MARKET": ("", "quantity quoteOrderQty"),
    "LIMIT_MAKER": ("quantity price", ""),
    "STOP_LOSS": ("quantity", "stopPrice trailingDelta"),
    "STOP_LOSS_LIMIT": ("timeInForce quantity price", "stopPrice trailingDelta"),
    "TAKE_PROFIT": ("quantity", "stopPrice trailingDelta"),
    "TAKE_PROFIT_LIMIT": ("timeInForce quantity price", "stopPrice trailingDelta"),
}
_SHAPING = ("timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice", "trailingDelta")
RESPONSE_TYPES = ("ACK", "RESULT", "FULL")
PLACES_MAX = 8


def bad(code: int, message: str) -> ApiError:
    """A refusal with HTTP 400."""
    return ApiError(400, code, message)


def need(params: dict[str, str], name: str) -> str:
    """A mandatory parameter."""
    if not params.get(name):
        raise bad(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return params[name]


def integer(params: dict[str, str], name: str) -> int | None:
    """An optional whole number."""
    text = params.get(name)
    if text is None:
        return None
    if not _INTEGER.match(text):
        raise bad(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{_INTEGER.pattern}'.")
    return int(text)


def limit(params: dict[str, str], default: int, most: int) -> int:
    """The `limit` parameter, cut to what the endpoint serves."""
    value = integer(params, "limit")
    if value == 0:
        raise bad(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(most, default if value is None else value)


def decimal(params: dict[str, str], name: str) -> Decimal:
    """An optional amount; zero when absent, refused when sent as zero."""
    text = params.get(name)
    if text is None:
        return ZERO
    if not _DECIMAL.match(text):
        raise bad(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{_DECIMAL.pattern}'.")
    value = Decimal(text)
    if len(text.rstrip("0").partition(".")[2]) > PLACES_MAX and "." in text:
        raise bad(-1111, f"Parameter '{name}' has too much precision.")
    if value == 0:
        raise bad(-1013, f"Invalid {name}.")
    return value


def market(markets: dict[str, Market], params: dict[str, str]) -> Market:
    """The market of the mandatory `symbol` parameter."""
    found = markets.get(need(params, "symbol"))
    if found is None:
        raise bad(-1121, "Invalid symbol.")
    return found


def chosen_markets(markets: dict[str, Market], params: dict[str, str]) -> list[Market]:
    """The markets of `symbol` or `symbols`; all when neither is sent."""
    symbols = _symbol_list(params)
    if symbols is None:
        return list(markets.values())
    if not symbols or any(symbol not in markets for symbol in symbols):
        raise bad(-1121, "Invalid symbol.")
    return [markets[symbol] for symbol in symbols]


def choice(params: dict[str, str], name: str, options: tuple[str, ...], default: str) -> str:
    """An optional enumerated parameter."""
    value = params.get(name, default)
    if value not in options:
        raise bad(-1130, f"Data sent for parameter '{name}' is not valid.")
    return value


def period(params: dict[str, str]) -> tuple[int, int]:
    """(startTime, endTime) of a listing, at most 24 hours apart when both are sent."""
    start, end = integer(params, "startTime"), integer(params, "endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise bad(-1127, "More than 24 hours between startTime and endTime.")
    return start or 0, FAR_FUTURE_MS if end is None else end


def _symbol_list(params: dict[str, str]) -> list[str] | None:
    """The `symbol` or `symbols` parameter as a list; None when neither is sent."""
    if "symbol" in params and "symbols" in params:
        raise bad(-1128, "Combination of optional parameters invalid.")
    if "symbol" in params:
        return [params["symbol"]]
    if "symbols" not in params:
        return None
    try:
        found = json.loads(params["symbols"])
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise bad(
            -1100, "Illegal characters found in parameter 'symbols'; legal range is '^\\[(\"[^\"]{1,20}\",?)*\\]$'."
        )
    if len(set(found)) != len(found):
        raise bad(-1151, "Symbol is present multiple times in the list.")
    return found


def order_request(params: dict[str, str], client_id: str, *, has_quantity: bool = True) -> OrderRequest:
    """A well-formed order from the parameters of POST /api/v3/order; `client_id` is used when none was sent.

    `has_quantity` is False for the pending legs of an OPO, whose quantity is found later.

    Raises:
        ApiError: missing, superfluous or malformed parameters.
    """
    side, kind = need(params, "side"), need(params, "type")
    if side not in ("BUY", "SELL"):
        raise bad(-1117, "Invalid side.")
    if kind not in TYPES:
        raise bad(-1116, "Invalid orderType.")
    _check_shape(params, kind, has_quantity=has_quantity)
    time_in_force = params.get("timeInForce", "GTC")
    if time_in_force not in ("GTC", "IOC", "FOK"):
        raise bad(-1115, "Invalid timeInForce.")
    chosen = own_id(params, "newClientOrderId", client_id)
    return OrderRequest(
        symbol=params["symbol"], side=side, type=kind, client_id=chosen, quantity=decimal(params, "quantity"),
        quote_quantity=decimal(params, "quoteOrderQty"), price=decimal(params, "price"),
        stop_price=decimal(params, "stopPrice"), time_in_force=time_in_force,
        trailing_bps=Decimal(integer(params, "trailingDelta") or 0),
    )  # fmt: skip


def own_id(params: dict[str, str], name: str, otherwise: str) -> str:
    """A client id of the caller's, or `otherwise` when none was sent."""
    chosen = params.get(name, otherwise)
    if not CLIENT_ID.match(chosen):
        raise bad(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{CLIENT_ID.pattern}'.")
    return chosen


def _check_shape(params: dict[str, str], kind: str, *, has_quantity: bool) -> None:
    required, allowed = (text.split() for text in TYPES[kind])
    for name in required:
        if has_quantity or name != "quantity":
            need(params, name)
    if "stopPrice" in allowed and not (params.get("stopPrice") or params.get("trailingDelta")):
        need(params, "stopPrice")
    for name in _SHAPING:
        if name in params and name not in required and name not in allowed:
            raise bad(-1106, f"Parameter '{name}' sent when not required.")
    if kind == "MARKET" and has_quantity:
        given = [name for name in ("quantity", "quoteOrderQty") if params.get(name)]
        if not given:
            raise bad(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
        if len(given) == 2:
            raise bad(-1128, "Combination of optional parameters invalid.")
    if "icebergQty" in params:
        raise bad(-2010, "Iceberg orders are not supported for this symbol.")
