"""BTCTurk's reading of request parameters, its rules of a symbol and its words for every refusal. Pure.

Messages first, numbers second: a number is given only where the documentation has one (its numbers were wrong from
2022-12 to 2024-05); else it is null.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from lab.sim.btcturk_limits import Exceeded, period_text
from lab.sim.calls import ApiError
from lab.sim.decimals import ZERO, is_multiple, places
from lab.sim.market import Market
from lab.sim.orders import OrderRequest
from lab.sim.rejections import Reason, Rejection
from lab.sim.symbols import SymbolRules

METHODS = {"limit": "LIMIT", "market": "MARKET", "stoplimit": "STOP_LOSS_LIMIT", "stopmarket": "STOP_LOSS"}
MARKET_METHODS = frozenset({"market", "stopmarket"})
CODES = {
    "FAILED_MARKET_ORDER": 1118, "FAILED_LIMIT_ORDER": 1120, "FAILED_ORDER_WITH_OPEN_ORDERS": 1122,
    "FAILED_MIN_TOTAL_AMOUNT": 1123, "FAILED_STOP_PRICE_GREATER_THAN_BEST_ASK": 1124,
    "FAILED_STOP_PRICE_LESS_THAN_BEST_BID": 1125, "FAILED_INVALID_PRICE_SCALE": 1126,
    "FAILED_INVALID_QUANTITY_SCALE": 1127, "FAILED_INVALID_STOP_PRICE_SCALE": 1128,
    "ORDER_METHOD_NOT_SUPPORTED": 1134, "ORDER_TYPE_NOT_SUPPORTED": 1193, "PRICE_MUST_BE_LESS_THAN_MAXPRICE": 1226,
    "PRICE_MUST_BE_LESS_THAN_MINPRICE": 1227, "Order not found": 1152,
}  # fmt: skip
PARAMETER = "FAILED_ORDER_PARAMETER"
CLIENT_ID_LENGTH_MAX = 100
REACH_FRAC = Decimal("0.05")  # a market order takes nothing farther than this from the best price
AMOUNT_PLACES_MAX = 8
_DIGITS_MAX = 40
_WHOLE_DIGITS_MAX = 10
_MIN_TOTALS = {"TRY": Decimal("99.91")}  # as recorded for BTCTRY
_LIMIT_MIN_FRAC, _LIMIT_MAX_FRAC = Decimal("0.1"), Decimal(10)
NO_BOUND = Decimal(10) ** 15
_NO_COUNT = 10**6


def bad(message: str, status: int = 400) -> ApiError:
    """A refusal in BTCTurk's envelope."""
    code = CODES.get(message) if status == 400 else status
    error = ApiError(status, status, message)
    error.body = {"success": False, "message": message, "code": code}
    return error


def too_many(exceeded: Exceeded) -> ApiError:
    """429 as documented, with Retry-After in seconds."""
    quota = exceeded.quota
    error = bad("TOO_MANY_REQUESTS", 429)
    period = period_text(quota.period_s)
    error.body |= {
        "details": f"Quota exceeded. Maximum allowed: {quota.limit} per {period}.", "limit": str(quota.limit),
        "period": period, "policy": quota.policy,
    }  # fmt: skip
    error.headers["Retry-After"] = str(exceeded.retry_after_s)
    return error


def btcturk_rules(rules: SymbolRules, price: Decimal) -> SymbolRules:
    """A symbol's rules as BTCTurk has them: ticks of 5 significant digits (10 for a BTCTRY of 460000), fine steps."""
    tick = Decimal(1).scaleb(max(-AMOUNT_PLACES_MAX, price.adjusted() - 4))
    step_places = max(0, min(AMOUNT_PLACES_MAX - places(tick), price.adjusted() + 4))
    step = Decimal(1).scaleb(-step_places)
    return replace(
        rules, tick=tick, step=step, min_price=tick, min_qty=step, max_qty=NO_BOUND, market_max_qty=NO_BOUND,
        max_notional=NO_BOUND,
        min_notional=_MIN_TOTALS.get(rules.quote, rules.min_notional), multiplier_down=_LIMIT_MIN_FRAC,
        multiplier_up=_LIMIT_MAX_FRAC, max_orders=_NO_COUNT, max_algo_orders=_NO_COUNT,
    )  # fmt: skip


def price_places(rules: SymbolRules) -> int:
    """denominatorScale: at least 2, so coarser ticks differ from it."""
    return max(2, places(rules.tick))


def market_of(markets: dict[str, Market], params: dict[str, str], name: str = "pairSymbol") -> Market:
    """The market of a pair written BTCTRY or BTC_TRY."""
    found = markets.get(params.get(name, "").replace("_", "").upper())
    if found is None:
        raise bad(PARAMETER)
    return found


def integer(params: dict[str, str], name: str) -> int | None:
    """An optional whole number."""
    text = params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS_MAX:
        raise bad(PARAMETER)
    return int(text)


def limit(params: dict[str, str], name: str, default: int, most: int) -> int:
    """A row count, cut to what the endpoint serves."""
    value = integer(params, name)
    return min(most, value) if value else default


def order_request(params: dict[str, str], rules: SymbolRules, made_id: str) -> OrderRequest:
    """A well-formed order; the quantity of a market buy is in the quote currency, fee and tax included.

    Raises:
        ApiError: a missing or malformed parameter, or a scale the pair does not have.
    """
    method, side = params.get("orderMethod", "").lower(), params.get("orderType", "").lower()
    if method not in METHODS:
        raise bad("ORDER_METHOD_NOT_SUPPORTED")
    if side not in ("buy", "sell"):
        raise bad("ORDER_TYPE_NOT_SUPPORTED")
    client_id = params.get("newOrderClientId") or made_id
    if len(client_id) > CLIENT_ID_LENGTH_MAX:
        raise bad(PARAMETER)
    in_quote = method in MARKET_METHODS and side == "buy"
    step = Decimal(1).scaleb(-AMOUNT_PLACES_MAX) if in_quote else rules.step
    quantity = _amount(params, "quantity", step, "FAILED_INVALID_QUANTITY_SCALE")
    sizes: dict[str, Any] = {"quote_quantity" if in_quote else "quantity": quantity}
    if method in MARKET_METHODS:
        sizes["reach_frac"] = REACH_FRAC
    else:
        sizes["price"] = _amount(params, "price", rules.tick, "FAILED_INVALID_PRICE_SCALE")
    if method.startswith("stop"):
        sizes["stop_price"] = _amount(params, "stopPrice", rules.tick, "FAILED_INVALID_STOP_PRICE_SCALE")
    return OrderRequest(symbol=rules.symbol, side=side.upper(), type=METHODS[method], client_id=client_id,
                        wire_type=method, **sizes)  # fmt: skip


def _amount(params: dict[str, str], name: str, grid: Decimal, off_grid: str) -> Decimal:
    text = params.get(name, "")
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    too_long = len(whole) > _WHOLE_DIGITS_MAX or len(text) > _DIGITS_MAX
    if not whole or not (digits.isascii() and digits.isdigit()) or too_long:
        raise bad(PARAMETER)
    value = Decimal(text)
    if value == ZERO:
        raise bad(PARAMETER)
    if places(value) > AMOUNT_PLACES_MAX or not is_multiple(value, grid):
        raise bad(off_grid)
    return value


def refusal(rejection: Rejection, request: OrderRequest, rules: SymbolRules, average: Decimal, owned: bool) -> ApiError:
    """The engine's refusal in BTCTurk's words; `owned`: the money is there, but open orders hold it."""
    buys = request.side == "BUY"
    if rejection.reason is Reason.MARKET_CLOSED:
        return bad("FAILED_MARKET_ORDER" if request.wire_type in MARKET_METHODS else "FAILED_LIMIT_ORDER")
    if rejection.reason is Reason.WOULD_TRIGGER:
        return bad("FAILED_STOP_PRICE_GREATER_THAN_BEST_ASK" if buys else "FAILED_STOP_PRICE_LESS_THAN_BEST_BID")
    if rejection.reason is Reason.INSUFFICIENT_BALANCE:
        return bad("FAILED_ORDER_WITH_OPEN_ORDERS" if owned else "BALANCE_NOT_ENOUGH")
    too_few = rejection.detail == "LOT_SIZE" and (request.quote_quantity or request.quantity < rules.min_qty)
    if rejection.detail == "NOTIONAL" or too_few:
        return bad("FAILED_MIN_TOTAL_AMOUNT")
    if rejection.detail == "PERCENT_PRICE_BY_SIDE":
        return bad("PRICE_MUST_BE_LESS_THAN_MAXPRICE" if request.price > average else "ORDER_MIN_PRICE_EXCEEDED")
    if rejection.detail == "PRICE_FILTER":
        highest = max(request.price, request.stop_price)
        return bad(f"PRICE_MUST_BE_LESS_THAN_{'MAX' if highest > rules.max_price else 'MIN'}PRICE")
    return bad(PARAMETER)
