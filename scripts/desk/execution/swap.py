"""PROTECTION_SWAP: a stop moves by one journalled procedure, resumed after a crash.

Spot locks the coins, so a new stop cannot stand beside the old one: cancel old -> confirm, book fills -> place new ->
else the old level -> else market exit -> else PAUSE and CRIT. The naked time in between is measured and bounded.
"""

from decimal import Decimal

from desk.base import clock
from desk.base.money import text
from desk.execution import cancel, naked, stops
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.exits import MayExit
from desk.execution.intent import LEG_STOP, event
from desk.journal.events import Event
from desk.journal.state import Position, key
from desk.venues.protocol import SymbolRules


def move_stop(
    desk: Desk, position: Position, rules: SymbolRules, wanted: Decimal, peak: Decimal, may_exit: MayExit
) -> None:
    """PROTECTION_SWAP: cancel old -> confirm, book fills -> place new -> else old levels -> else market exit."""
    standing = intents.standing(desk.fold(), position, LEG_STOP)
    old = position.stop_price
    if stops.rests_stops(rules) and standing:
        data = {"position_id": position.position_id, "old": standing[0][0], "new": text(wanted), "fallback": text(old)}
        desk.commit_events(event(Event.PROTECTION_SWAP, position.venue, position.symbol, data))
        started = clock.monotonic_s()
        if not all(cancel.cancel(desk, order_id, "trail") for order_id, _ in standing):
            return _swapped(desk, position, "kept_old")
        current = desk.fold().positions.positions.get(key(position.venue, position.symbol))
        if current is None or current.position_id != position.position_id:
            return None
        if not stops.place_stop(desk, current, rules, wanted, may_exit):
            stops.fall_back(desk, current, rules, old, may_exit)
            return _swapped(desk, position, "fell_back")
        naked.measured(desk, started)
    stops.plan_exit(desk, position, wanted, position.target_price, peak)
    return _swapped(desk, position, "moved") if standing else None


def end_swap(desk: Desk, name: str) -> None:
    """A swap a crash left open: whatever stands now has been repaired above."""
    position = desk.fold().positions.positions.get(name)
    if position is not None and position.swap:
        _swapped(desk, position, "resumed")


def _swapped(desk: Desk, position: Position, outcome: str) -> None:
    data = {"position_id": position.position_id, "outcome": outcome}
    desk.commit_events(event(Event.PROTECTION_SWAPPED, position.venue, position.symbol, data))
