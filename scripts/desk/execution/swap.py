"""PROTECTION_SWAP: a stop moves by one journalled procedure, finished exactly once whatever interrupts it.

Spot locks the coins, so a new stop cannot stand beside the old one: cancel old -> confirm, book fills -> place new ->
else the old level -> else market exit -> else PAUSE and CRIT. Which step a swap stands at is read from the fold: old
orders are the stops with an attempt below the swap's, what it placed itself has one from there on. The naked time from
the confirmed cancel to the accepted order goes to the run record; one over the bound goes to the market exit at once.

Where a cancel is only received no swap is opened: its end could not be confirmed in the tick. There the old stop rests
where it is and the new level is watched (ADR 025).
"""

from decimal import Decimal

from desk.base.money import ZERO, parse, text
from desk.base.reasons import find
from desk.execution import cancel, exits, quantise, stops
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.exits import MayExit
from desk.execution.gap import Gap
from desk.execution.intent import LEG_STOP, event
from desk.journal import intent_table
from desk.journal.events import Event
from desk.journal.state import Fold, Intent, Position, is_open
from desk.venues import table
from desk.venues.protocol import SymbolRules

KEPT, MOVED, FELL_BACK, SOLD = "kept_old", "moved", "fell_back", "sold"


def move_stop(
    desk: Desk, position: Position, rules: SymbolRules, wanted: Decimal, peak: Decimal, may_exit: MayExit
) -> None:
    """Move the stop to a level: by a swap where a stop rests, in the plan alone where it is watched."""
    standing = intents.standing(desk.fold(), position, LEG_STOP)
    if standing and quantise.is_dust(rules, position.quantity, wanted):
        return  # the minimum rose above the position: no new stop would be taken, so the old one stays
    if not standing or table.cancel_is_only_received(position.venue):
        stops.plan_exit(desk, position, wanted, position.target_price, peak)
        return
    data = {
        "position_id": position.position_id, "old": standing[0][0], "new": text(wanted),
        "fallback": text(position.stop_price), "peak": text(peak),
    }  # fmt: skip
    desk.commit_events(event(Event.PROTECTION_SWAP, position.venue, position.symbol, data))
    carry_on(desk, position, rules, may_exit)


def carry_on(desk: Desk, position: Position, rules: SymbolRules, may_exit: MayExit) -> None:
    """Do what is left of the position's swap, from the step it stands at; nothing when there is none.

    With FREEZE_ALL in its way it stays open, and the next tick goes on.
    """
    found = exits.current(desk, position)
    if found is None or not found.swap:
        return
    if not all(cancel.cancel(desk, order_id, "trail") for order_id, _ in _old(desk.fold(), found)):
        if not may_exit():
            _ended(desk, found, KEPT)
        return
    current = exits.current(desk, position)
    if current is None:  # the old stop had filled: nothing is left to protect
        return
    gap = Gap.since(_gone(desk.fold(), current))
    if not any(is_open(intent) for _, intent in _own(desk.fold(), current)):
        if not _place(desk, current, rules, may_exit, gap):
            return
        gap.end(desk, position.symbol)
    _settle(desk, current, rules)


def _place(desk: Desk, position: Position, rules: SymbolRules, may_exit: MayExit, gap: Gap) -> bool:
    """The new level, else the old one; True when one stands. Else the last resort, unless nothing may be sent."""
    bid = stops.reference(desk, position)
    for level in _levels_left(desk.fold(), position, rules):
        if bid and bid <= level:
            continue  # the exchange refuses a stop the price is through already
        if stops.place_stop(desk, position, rules, level, may_exit):
            return True
        if may_exit():
            return False
        if gap.is_over(desk):
            break
    if stops.last_resort(desk, position, rules, may_exit):
        gap.end(desk, position.symbol)
    left = exits.current(desk, position)
    if left is not None and not may_exit():
        _ended(desk, left, SOLD)
    return False


def _settle(desk: Desk, position: Position, rules: SymbolRules) -> None:
    """A stop of the swap stands: its level is the plan now, and the swap has ended."""
    placed = _own(desk.fold(), position)[-1][1]
    is_new = placed.stop_price == quantise.price_down(rules, parse(position.swap["new"]))
    if is_new:
        peak = max(parse(position.swap.get("peak") or "0"), position.trail_peak)
        stops.plan_exit(desk, position, parse(position.swap["new"]), position.target_price, peak)
    _ended(desk, position, MOVED if is_new else FELL_BACK)


def _levels_left(fold: Fold, position: Position, rules: SymbolRules) -> list[Decimal]:
    """The new level, then the old one; without those the exchange itself has refused already."""
    own = (intent for _, intent in _own(fold, position))
    refused = {i.stop_price for i in own if i.state == intent_table.FAILED and find(i.code) is None}
    wanted = [parse(position.swap["new"]), parse(position.swap["fallback"])]
    return [level for level in wanted if level > ZERO and quantise.price_down(rules, level) not in refused]


def _old(fold: Fold, position: Position) -> list[tuple[str, Intent]]:
    """Stops that stood before the swap began and still do."""
    standing = intents.standing(fold, position, LEG_STOP)
    return [(name, intent) for name, intent in standing if intent.attempt < _first_own(position)]


def _own(fold: Fold, position: Position) -> list[tuple[str, Intent]]:
    """Stops the swap has sent, whatever became of them, in order."""
    found = [
        (name, intent)
        for name, intent in fold.intents.intents.items()
        if (intent.position_id, intent.leg) == (position.position_id, LEG_STOP)
        and intent.attempt >= _first_own(position)
    ]
    return sorted(found, key=lambda item: item[1].attempt)


def _gone(fold: Fold, position: Position) -> list[Intent]:
    """The stops the swap took away."""
    known = fold.intents.intents.values()
    own = [i for i in known if (i.position_id, i.leg) == (position.position_id, LEG_STOP)]
    return [i for i in own if i.attempt < _first_own(position) and not is_open(i)]


def _first_own(position: Position) -> int:
    return int(position.swap.get("attempt") or 0)


def _ended(desk: Desk, position: Position, outcome: str) -> None:
    data = {"position_id": position.position_id, "outcome": outcome}
    desk.commit_events(event(Event.PROTECTION_SWAPPED, position.venue, position.symbol, data))
