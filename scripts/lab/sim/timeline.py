"""What happens to open orders while time moves: finds the next event on each path and lets the engine act on it.

Events of all symbols are processed in time order; ties by symbol, then by order. Owns no state of its own.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from lab.sim.engine import Engine
from lab.sim.funds import stop_hit
from lab.sim.orders import Order
from lab.sim.path import NO_BAR, PricePath, Segment, price_on
from lab.sim.trailing import Best, advance, comes_back


class Event(NamedTuple):
    """What happens to an order at `ms`; `kind` is a row of ACTIONS."""

    ms: int
    order_id: int
    kind: str
    order: Order
    bar: int


ACTIONS: dict[str, Callable[[Engine, Event], object]] = {
    "activate": lambda engine, event: engine.activate(event.order, event.ms),  # a stop triggers
    "track": lambda engine, event: engine.track(event.order, event.ms),  # a trailing stop begins to follow
    "place": lambda engine, event: engine.lists.place_pending(event.order, event.ms),  # its working order is filled
    "wake": lambda engine, event: engine.activate(event.order, event.ms),  # a postponed order starts
    "fill": lambda engine, event: engine.fill_resting(event.order, event.bar, event.ms),  # traded through
    "late": lambda engine, event: engine.fill_late(event.order, event.ms),
    "cancel": lambda engine, event: engine.cancel(event.order, event.ms),  # a cancel accepted earlier
}


def run_until(engine: Engine, from_ms: int, to_ms: int) -> None:
    """Process every event in (from_ms, to_ms]."""
    cursors = dict.fromkeys(engine.markets, from_ms)
    pending = {symbol: _next_event(engine, symbol, from_ms, to_ms) for symbol in engine.markets}
    while True:
        due = [(event.ms, place, symbol) for place, (symbol, event) in enumerate(pending.items()) if event]
        if not due:
            return
        symbol = min(due)[2]
        event = pending[symbol]
        assert event is not None
        assert event.ms >= cursors[symbol]
        ACTIONS[event.kind](engine, event)
        cursors[symbol] = event.ms
        pending[symbol] = _next_event(engine, symbol, event.ms - 1, to_ms)


def _next_event(engine: Engine, symbol: str, after_ms: int, to_ms: int) -> Event | None:
    orders = engine.open_orders(symbol)
    if not orders:
        return None
    due = _next_due(orders, after_ms, to_ms)
    until_ms = due.ms if due else to_ms
    path = engine.markets[symbol].path
    bests = advance(orders, path, after_ms)
    for segment in path.segments(after_ms + 1, until_ms):
        window = (max(segment.start_ms, after_ms + 1), min(segment.last_ms, until_ms))
        events = _events_on(segment, window, path, orders, bests)
        if events:
            return min(events if due is None else [*events, due])
    return due


def _next_due(orders: Iterable[Order], after_ms: int, to_ms: int) -> Event | None:
    """The first event that waits for a time alone, whatever the price does."""
    events = [
        Event(ms, order.id, kind, order, NO_BAR)
        for order in orders
        for kind, ms in (("late", order.late_ms), ("cancel", order.cancel_ms), ("place", order.place_ms))
        if ms is not None and after_ms < ms <= to_ms
    ]
    return min(events, default=None)


def _events_on(
    segment: Segment, window: tuple[int, int], path: PricePath, orders: Iterable[Order], bests: dict[int, Best]
) -> list[Event]:
    found = []
    ends = (price_on(segment, window[0], path.tick), price_on(segment, window[1], path.tick))
    for order in orders:
        if order.id in bests:
            bests[order.id].see(ends[0])
        condition, kind = _waits_for(order, segment.bar, bests)
        if condition is None:
            continue
        first, last = max(window[0], order.eligible_ms), window[1]
        if first > last:
            continue
        if first == order.eligible_ms and first > order.time_ms and kind == "wake":
            found.append(Event(first, order.id, kind, order, segment.bar))
        elif condition(ends[0]) or condition(ends[1]):
            ms = _first_ms(segment, first, last, path.tick, condition)
            if ms is not None:
                found.append(Event(ms, order.id, kind, order, segment.bar))
    for best in bests.values():
        best.see(ends[1])
    return found


def _waits_for(order: Order, bar: int, bests: dict[int, Best]) -> tuple[Callable[[Decimal], bool] | None, str]:
    request = order.request
    if order.is_pending:
        return None, ""
    if order.id in bests:
        return comes_back(request, bests[order.id]), "activate"
    if not order.working and request.trailing_bps and request.stop_price:
        return (lambda price: stop_hit(request, price)), "track"
    if not order.working:
        return (lambda price: stop_hit(request, price)), "activate"
    if order.eligible_ms > order.time_ms and order.working_ms < order.eligible_ms:
        return (lambda price: False), "wake"
    if order.blocked_bar == bar or order.fillable <= 0:
        return None, ""
    if request.side == "BUY":
        return (lambda price: price < request.price), "fill"
    return (lambda price: price > request.price), "fill"


def _first_ms(segment: Segment, first: int, last: int, tick: Decimal, holds: Callable[[Decimal], bool]) -> int | None:
    """First ms in [first, last] where a condition holds; prices on a segment are monotone, so bisection finds it."""
    if holds(price_on(segment, first, tick)):
        return first
    if not holds(price_on(segment, last, tick)):
        return None
    low, high = first, last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(price_on(segment, middle, tick)) else (middle, high)
    return high
