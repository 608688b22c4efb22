"""Trailing stops: the best price since a stop tracks it, and when the price has come back far enough. Pure but for
the two fields of an order it keeps (`best`, `best_ms`).

A sell stop follows the highest price and triggers when the price has fallen `trailing_bps` from it; a buy stop the
lowest. Prices on a segment of the path are monotone, so its ends are its extremes and steps of any size agree.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from lab.sim.decimals import ONE
from lab.sim.orders import Order, OrderRequest
from lab.sim.path import PricePath, price_on

_BPS = Decimal("0.0001")


@dataclass(slots=True)
class Best:
    """The best price so far for one side."""

    side: str
    price: Decimal

    def see(self, price: Decimal) -> None:
        """Take another price in."""
        self.price = max(self.price, price) if self.side == "SELL" else min(self.price, price)


def track(order: Order, path: PricePath, now_ms: int) -> None:
    """Begin with the price of this moment."""
    order.track_ms = order.best_ms = now_ms
    order.best = path.price_at(now_ms)


def advance(orders: Iterable[Order], path: PricePath, to_ms: int) -> dict[int, Best]:
    """The best price up to `to_ms` (included) of every order that tracks, by order; remembered on the order."""
    found = {}
    for order in orders:
        if order.track_ms < 0 or order.working:
            continue
        best = Best(order.request.side, order.best)
        if to_ms > order.best_ms:
            for segment in path.segments(order.best_ms + 1, to_ms):
                best.see(price_on(segment, max(segment.start_ms, order.best_ms + 1), path.tick))
                best.see(price_on(segment, min(segment.last_ms, to_ms), path.tick))
            order.best, order.best_ms = best.price, to_ms
        found[order.id] = best
    return found


def comes_back(request: OrderRequest, best: Best) -> Callable[[Decimal], bool]:
    """The condition that triggers, with the best price as it is now."""
    part = request.trailing_bps * _BPS
    if request.side == "SELL":
        floor = best.price * (ONE - part)
        return lambda price: price <= floor
    ceiling = best.price * (ONE + part)
    return lambda price: price >= ceiling
