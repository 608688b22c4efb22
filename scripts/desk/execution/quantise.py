"""Fitting prices and quantities to an exchange's grid. Pure; always rounds to the safe side and says when it cannot.

Safe side: a sale's stop and limit round down, a purchase's limit rounds up, quantities round down.
"""

from decimal import Decimal

from desk.base.money import ZERO, ceil_step, floor_step, text
from desk.base.reasons import Reason
from desk.venues import filters
from desk.venues.protocol import OrderRequest, OrderType, SymbolRules


def price_down(rules: SymbolRules, price: Decimal) -> Decimal:
    """The highest tick not above the price, at least the minimum price."""
    return max(floor_step(price, rules.tick), rules.price_min)


def price_up(rules: SymbolRules, price: Decimal) -> Decimal:
    """The lowest tick not below the price, at most the maximum price."""
    raised = ceil_step(price, rules.tick)
    return min(raised, rules.price_max) if rules.price_max else raised


def quantity_down(rules: SymbolRules, quantity: Decimal, order_type: OrderType = OrderType.LIMIT) -> Decimal:
    """The largest lot not above the quantity that the order type may carry; 0 when below the minimum."""
    is_market = order_type is OrderType.MARKET
    step = max(rules.step, rules.market_step) if is_market else rules.step
    most = min(
        x
        for x in (rules.quantity_max, rules.market_quantity_max if is_market else ZERO, quantity)
        if x or x is quantity
    )
    lot = floor_step(max(min(most, quantity), ZERO), step)
    least = max(rules.quantity_min, rules.market_quantity_min if is_market else ZERO)
    return lot if lot >= least else ZERO


def problem(
    rules: SymbolRules, order: OrderRequest, price: Decimal, reference: Decimal, floor: Decimal = ZERO
) -> tuple[str, str]:
    """Why the exchange (or our own minimum) would refuse this order.

    Args:
        price: what its notional is counted at.
        reference: a recent price for percent filters; 0 = not known.
        floor: our own minimum notional; the exchange's counts when it is higher.

    Returns:
        Reason code and detail, both empty when every filter is met.
    """
    notional = order.quantity * price
    broken = filters.violations(rules, order, reference)
    if order.quantity <= ZERO:
        return str(Reason.FILTERS), "no lot fits"
    if notional < max(rules.notional_min, floor):
        return str(Reason.NOTIONAL_MIN), f"notional {text(notional)}"
    if "NOTIONAL" in broken:
        return str(Reason.NOTIONAL_MAX), f"notional {text(notional)}"
    if broken:
        return str(Reason.FILTERS), f"{' '.join(broken)}: quantity {text(order.quantity)} at {text(price)}"
    return "", ""


def is_dust(rules: SymbolRules, quantity: Decimal, price: Decimal) -> bool:
    """The quantity cannot be sold: below the lot or the minimum notional at this price."""
    lot = quantity_down(rules, quantity)
    return lot <= ZERO or lot * price < rules.notional_min
