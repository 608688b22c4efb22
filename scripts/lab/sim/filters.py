"""The exchange filters of one order, in the exchange's order of checking. Pure: raises or returns nothing."""

from collections.abc import Iterable
from decimal import Decimal

from lab.sim.decimals import ZERO, is_multiple
from lab.sim.orders import STOP_TYPES, Order, OrderRequest
from lab.sim.rejections import Reason, Rejection
from lab.sim.symbols import SymbolRules


def check_filters(rules: SymbolRules, request: OrderRequest, average: Decimal, open_orders: Iterable[Order]) -> None:
    """Refuse an order that breaks a filter; `average` is the 5 minute average price.

    Raises:
        Rejection: FILTER with the filter's name, or MARKET_CLOSED.
    """
    check_values(rules, request, average)
    check_counts(rules, [request], list(open_orders))


def check_values(rules: SymbolRules, request: OrderRequest, average: Decimal) -> None:
    """The filters of one order's own numbers. A quantity that is not known yet (zero) is judged when it is.

    Raises:
        Rejection: FILTER with the filter's name, or MARKET_CLOSED.
    """
    if rules.halted:
        raise Rejection(Reason.MARKET_CLOSED)
    for price in (request.price, request.stop_price):
        if price:
            _check_price(rules, price)
    if request.price:
        low, high = average * rules.multiplier_down, average * rules.multiplier_up
        _need(low <= request.price <= high, "PERCENT_PRICE_BY_SIDE")
    if request.trailing_bps:
        _need(rules.trailing_bps_min <= request.trailing_bps <= rules.trailing_bps_max, "TRAILING_DELTA")
    if request.quantity:
        _check_quantity(rules, request)
    if request.quantity or request.quote_quantity:
        _check_notional(rules, request, average)


def _need(holds: bool, filter_name: str) -> None:
    if not holds:
        raise Rejection(Reason.FILTER, filter_name)


def _check_price(rules: SymbolRules, price: Decimal) -> None:
    in_range = rules.min_price <= price <= rules.max_price
    _need(in_range and is_multiple(price, rules.tick), "PRICE_FILTER")


def _check_quantity(rules: SymbolRules, request: OrderRequest) -> None:
    quantity = request.quantity
    in_range = rules.min_qty <= quantity <= rules.max_qty
    _need(in_range and is_multiple(quantity, rules.step), "LOT_SIZE")
    if not request.price:
        _need(quantity <= rules.market_max_qty, "MARKET_LOT_SIZE")


def _check_notional(rules: SymbolRules, request: OrderRequest, average: Decimal) -> None:
    price = request.price or request.stop_price or average
    notional = request.quote_quantity or price * request.quantity
    _need(notional >= rules.min_notional, "NOTIONAL")
    _need(notional <= rules.max_notional or not request.price, "NOTIONAL")


def check_counts(rules: SymbolRules, requests: list[OrderRequest], open_orders: list[Order]) -> None:
    """The filters that count: all new orders of one request together, pending legs included.

    Raises:
        Rejection: FILTER with the filter's name.
    """
    _need(len(open_orders) + len(requests) <= rules.max_orders, "MAX_NUM_ORDERS")
    stops = sum(request.type in STOP_TYPES for request in requests)
    if stops:
        waiting = sum(1 for order in open_orders if order.request.type in STOP_TYPES and not order.working)
        _need(waiting + stops <= rules.max_algo_orders, "MAX_NUM_ALGO_ORDERS")


def fillable_floor(quantity: Decimal, step: Decimal) -> Decimal:
    """`quantity` cut down to whole steps, never below zero."""
    return max(ZERO, quantity - quantity % step)
