"""MEXC's reading of request parameters and its words for every refusal. Pure."""

from decimal import Decimal

from lab.sim.calls import ApiError
from lab.sim.decimals import ZERO, places, plain
from lab.sim.rejections import Reason, Rejection
from lab.sim.symbols import SymbolRules

QUOTE_PLACES_MAX = 8


def bad(code: int, message: str) -> ApiError:
    """A refusal with HTTP 400."""
    return ApiError(400, code, message)


def need(params: dict[str, str], name: str) -> str:
    """A mandatory parameter."""
    if not params.get(name):
        raise bad(700004, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return params[name]


def integer(params: dict[str, str], name: str) -> int | None:
    """An optional whole number."""
    text = params.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise bad(700008, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def limit(params: dict[str, str], default: int, most: int) -> int:
    """The `limit` parameter, cut to what the endpoint serves."""
    value = integer(params, "limit")
    return min(most, value) if value else default


def amounts(params: dict[str, str], side: str, kind: str, rules: SymbolRules) -> dict[str, Decimal]:
    """Quantities and price of an order.

    MARKET BUY takes quoteOrderQty, MARKET SELL takes quantity, all others take quantity and price.
    """
    if kind == "MARKET":
        name = "quoteOrderQty" if side == "BUY" else "quantity"
        if not params.get(name):
            raise bad(10095, "amount cannot be null")
        value = _decimal(params, name, QUOTE_PLACES_MAX if side == "BUY" else places(rules.step), 10096)
        return {"quote_quantity" if side == "BUY" else "quantity": value}
    need(params, "quantity")
    need(params, "price")
    return {
        "quantity": _decimal(params, "quantity", places(rules.step), 10096),
        "price": _decimal(params, "price", places(rules.tick), 33333),
    }


def _decimal(params: dict[str, str], name: str, places_max: int, code: int) -> Decimal:
    text = params[name]
    whole, _, fraction = text.partition(".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()) or len(text) > 40:
        raise bad(700008, f"Illegal characters found in parameter '{name}'.")
    if len(fraction.rstrip("0")) > places_max:
        raise bad(code, "amount decimal places is too long" if code == 10096 else f"param is error: {name}")
    value = Decimal(text)
    if value == ZERO:
        raise bad(10102, "amount cannot be zero or negative")
    return value


def refusal(rejection: Rejection, rules: SymbolRules | None) -> ApiError:
    """The engine's refusal in MEXC's words."""
    if rejection.reason is Reason.FILTER:
        if rejection.detail in ("NOTIONAL", "LOT_SIZE") and rules:
            least = f"{plain(rules.min_notional)}{rules.quote}"
            return bad(30002, f"The minimum transaction volume cannot be less than:{least}")
        return bad(*_FILTERS.get(rejection.detail, (33333, f"param is error: {rejection.detail}")))
    if rejection.reason is Reason.INSUFFICIENT_BALANCE and rejection.detail == "SELL":
        return bad(30005, "Oversold")
    return bad(*_REFUSALS[rejection.reason])


_FILTERS = {
    "PRICE_FILTER": (30010, "no valid trade price"),
    "PERCENT_PRICE_BY_SIDE": (30010, "no valid trade price"),
    "MARKET_LOT_SIZE": (30003, "The maximum transaction volume cannot be greater than the limit"),
    "MAX_NUM_ORDERS": (30029, "Cannot exceed the maximum order limit"),
}
_REFUSALS = {
    Reason.INSUFFICIENT_BALANCE: (30004, "Insufficient position"),
    Reason.DUPLICATE: (33333, "param is error: newClientOrderId"),
    Reason.WOULD_TAKE: (30041, "current order type can not place order"),
    Reason.WOULD_TRIGGER: (30041, "current order type can not place order"),
    Reason.MARKET_CLOSED: (30000, "suspended transaction for the symbol"),
    Reason.UNKNOWN_ORDER: (-2011, "Unknown order sent"),
    Reason.CANCEL_RESTRICTED: (-2011, "Unknown order sent"),
}
