"""Whether a position, or a part of it, stands without a stop, and what is too small to have one. Sends nothing."""

from decimal import Decimal
from typing import Final

from desk.base.money import ZERO, text
from desk.base.reasons import Reason
from desk.execution import intent as intents
from desk.execution import quantise, stops
from desk.execution.desk import Desk
from desk.execution.intent import LEG_STOP, event
from desk.journal.events import Event
from desk.journal.state import Position
from desk.venues import table
from desk.venues.protocol import OrderStatus, SymbolRules

CANCEL_PATIENCE_MS: Final = 600_000  # a cancel that takes longer was not an exit's of a tick or two ago


def lost_its_stop_to_a_cancel(desk: Desk, name: str) -> bool:
    """The position's last stop is gone by our own cancel and none stands: an exit of an earlier tick may be waiting.

    Only where a cancel is only received: there it may take effect between two ticks, and a new stop placed first would
    be in the way of that exit for ever. SETTLE, or the guard of a cycle that ends before it, protects what is left.
    """
    position = desk.fold().positions.positions.get(name)
    if position is None or not table.cancel_is_only_received(position.venue):
        return False
    if intents.standing(desk.fold(), position, LEG_STOP):
        return False
    own = (
        i for i in desk.fold().intents.intents.values() if (i.position_id, i.leg) == (position.position_id, LEG_STOP)
    )
    last = max(own, key=lambda intent: intent.attempt, default=None)
    is_fresh = last is not None and desk.run.tick_ms - last.cancel_ms <= CANCEL_PATIENCE_MS
    return last is not None and last.status == str(OrderStatus.CANCELED) and is_fresh


def is_uncovered(desk: Desk, name: str) -> bool:
    """A sellable part of the position has no order of ours that sells it (another door may have booked fills of it)."""
    fold, found = desk.fold(), desk.facts.symbols.get(name) if desk.facts is not None else None
    position = fold.positions.positions.get(name)
    if position is None or found is None or found.rules is None:
        return False
    return quantise.quantity_down(found.rules, position.quantity - intents.covered(fold, position)) > ZERO


def settle_dust(desk: Desk, position: Position, rules: SymbolRules, bid: Decimal) -> bool:
    """What cannot be sold frees its slot, once no order of it stands. Unknown price: not judged."""
    price = bid or position.stop_price
    if not price or not quantise.is_dust(rules, position.quantity, price):
        return False
    if intents.standing(desk.fold(), position):
        return False
    data = {
        "position_id": position.position_id, "quantity": text(position.quantity),
        "value": text(position.quantity * price),
    }  # fmt: skip
    desk.run.say(f"DUST {position.venue} {position.symbol} {text(position.quantity)}")
    desk.commit_events(event(Event.POSITION_DUST, position.venue, position.symbol, data, codes=(str(Reason.DUST),)))
    return True


def report(desk: Desk, name: str, rules: SymbolRules, bid: Decimal) -> None:
    """UNPROTECTED when a sellable rest has no stop at the end of the work; cleared when it has one."""
    position = desk.fold().positions.positions.get(name)
    if position is None:
        return
    uncovered = position.quantity - intents.covered(desk.fold(), position)
    is_naked = stops.rests_stops(rules) and not quantise.is_dust(
        rules, max(uncovered, ZERO), bid or position.stop_price
    )
    if not is_naked and not position.unprotected_ms:
        return
    quantity = uncovered if is_naked else ZERO
    data = {"position_id": position.position_id, "quantity": text(quantity)}
    desk.commit_events(event(Event.UNPROTECTED, position.venue, position.symbol, data))
    if is_naked:
        where = f"{position.symbol}: {text(quantity)} {position.base} without a stop"
        desk.alert(Reason.UNPROTECTED, where, position.symbol, position.venue, position.symbol)
