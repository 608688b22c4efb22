"""What an order would meet and cost: matching levels, amounts to lock, trigger and limit conditions. Pure reading."""

from collections.abc import Iterator
from decimal import Decimal

from lab.sim.decimals import ONE, ZERO, down8, up8
from lab.sim.filters import fillable_floor
from lab.sim.ladder import Level
from lab.sim.market import Market
from lab.sim.orders import OrderRequest
from lab.sim.symbols import SymbolRules


def paid_asset(rules: SymbolRules, side: str) -> str:
    """The asset an order gives: quote for BUY, base for SELL."""
    return rules.quote if side == "BUY" else rules.base


def matching(market: Market, request: OrderRequest, now_ms: int) -> Iterator[Level]:
    """Levels of the book this order may take, best first."""
    best = ZERO
    for level in market.ladder.against(request.side, now_ms):
        best = best or level.price
        if not within_limit(request, level.price):
            return
        if request.reach_frac and abs(level.price - best) > best * request.reach_frac:
            return
        yield level


def crosses(market: Market, request: OrderRequest, now_ms: int) -> bool:
    """True when the order would take at once."""
    return next(matching(market, request, now_ms), None) is not None


def lock_needed(market: Market, request: OrderRequest, now_ms: int, burden: Decimal = ONE) -> Decimal:
    """Amount to lock, in base for SELL and in quote for BUY (exact for a market order in the present book).

    `burden` is what a buyer needs per unit of cost (`Terms.burden`); `quote_quantity` includes it.
    """
    if request.side == "SELL":
        return request.quantity or quote_to_base(market, request, now_ms)
    if request.quote_quantity:
        return request.quote_quantity
    if request.price or request.stop_price:
        return up8((request.price or request.stop_price) * request.quantity * burden)
    return up8(_walk_cost(market, request, now_ms) * burden)


def quote_to_base(market: Market, request: OrderRequest, now_ms: int, burden: Decimal = ONE) -> Decimal:
    """Base quantity, in whole steps, that `quote_quantity` buys (`burden` taken out) or sells in the present book."""
    base, left = ZERO, request.quote_quantity / burden
    for level in matching(market, request, now_ms):
        qty = min(level.qty, fillable_floor(left / level.price, market.rules.step))
        base += qty
        left -= down8(qty * level.price)
        if qty < level.qty:
            break
    return base


def _walk_cost(market: Market, request: OrderRequest, now_ms: int) -> Decimal:
    cost, left = ZERO, request.quantity
    for level in matching(market, request, now_ms):
        cost += down8(min(left, level.qty) * level.price)
        left -= min(left, level.qty)
        if not left:
            break
    return cost


def within_limit(request: OrderRequest, price: Decimal) -> bool:
    """True when `price` is as good as the order's limit or better; orders without a limit take any."""
    if not request.price:
        return True
    return price <= request.price if request.side == "BUY" else price >= request.price


def stop_hit(request: OrderRequest, price: Decimal) -> bool:
    """True when `price` triggers the stop: losses against the position, profits with it."""
    falls = (request.side == "SELL") == request.type.startswith("STOP_LOSS")
    return price <= request.stop_price if falls else price >= request.stop_price
