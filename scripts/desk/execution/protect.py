"""Protection: every position above the minimum has a stop at the end of each finished tick (P6).

Decides what one position needs this tick: dust, a swap to finish, stop hit, target hit, trailing, missing or short
protection. Where the venue has stop orders one stop rests there; where it has none, the stop is watched each tick.
How a stop is placed stands in `stops`, how it moves in `swap`, what is naked in `naked`.
"""

from decimal import Decimal

from desk.base.money import BPS, ONE, ZERO, divide, text
from desk.base.reasons import Reason, shown
from desk.execution import cancel, exits, lists, naked, quantise, stops, swap
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.exits import MayExit
from desk.execution.gap import Gap
from desk.execution.intent import LEG_STOP, LEG_TARGET
from desk.journal.state import Position
from desk.risk.facts import SymbolFacts
from desk.venues import table
from desk.venues.protocol import SymbolRules


def manage(desk: Desk, name: str, facts: SymbolFacts | None, may_exit: MayExit) -> None:
    """One position, once a tick: dust, resumed swap, stop hit, target hit, trailing, missing or short protection.

    Args:
        name: the position's key, `venue:symbol`.
        facts: what this tick knows of the symbol; None when nothing could be read (a resting stop then stays).
    """
    position = desk.fold().positions.positions.get(name)
    if position is None or position.quantity <= ZERO or facts is None or facts.rules is None:
        return None
    rules, bid = facts.rules, facts.best_bid or ZERO
    if naked.settle_dust(desk, position, rules, bid):
        return None
    if may_exit():  # nothing may be sent: what rests stays as it is
        return naked.report(desk, name, rules, bid)
    _end_broken_lists(desk, position)
    swap.carry_on(desk, position, rules, may_exit)
    position = exits.current(desk, position)
    if position is None:
        return None
    if bid and _exit_if_due(desk, position, rules, bid, may_exit):
        return _protect_rest(desk, name, facts, may_exit)
    if bid:
        _trail(desk, position, rules, bid, may_exit)
    return _protect_rest(desk, name, facts, may_exit)


def _end_broken_lists(desk: Desk, position: Position) -> None:
    """UNPROTECTED_PARTIAL: legs that will not stand, or a target that lost its stop, make way for the rest's OCO."""
    for order_id, intent in lists.broken(desk.fold(), position):
        desk.run.warn("WARN", f"{shown(str(Reason.UNPROTECTED_PARTIAL))}: {intent.symbol} {intent.leg} {order_id}")
        cancel.cancel(desk, order_id, "unprotected partial")


def _protect_rest(desk: Desk, name: str, facts: SymbolFacts, may_exit: MayExit) -> None:
    """After whatever happened: what is held has its stop, or the tick says CRIT."""
    position = desk.fold().positions.positions.get(name)
    if position is None or position.quantity <= ZERO or facts.rules is None:
        return
    bid = facts.best_bid or ZERO
    if naked.settle_dust(desk, position, facts.rules, bid):
        return
    ensure_stop(desk, position, facts, may_exit)
    rest = desk.fold().positions.positions.get(name)
    if rest is not None and naked.settle_dust(desk, rest, facts.rules, bid):
        return
    naked.report(desk, name, facts.rules, bid)


def ensure_stop(desk: Desk, position: Position, facts: SymbolFacts, may_exit: MayExit) -> None:
    """Place the stop for whatever quantity has none; a price already through the stop is sold at once."""
    rules = facts.rules
    assert rules is not None
    position = stops.with_plan(desk, position, facts)
    if not stops.rests_stops(rules):
        return
    uncovered = quantise.quantity_down(rules, position.quantity - intents.covered(desk.fold(), position))
    if uncovered <= ZERO:
        return
    bid = facts.best_bid or ZERO
    was_covered = intents.covered(desk.fold(), position) > ZERO
    if intents.standing(desk.fold(), position):
        if quantise.is_dust(rules, uncovered, bid or position.stop_price):
            return  # what protects the rest is not taken away for what nobody would sell
        if not table.cancel_is_only_received(position.venue):  # there the old stop could go after the new one is placed
            exits.free_protection(desk, position, "partial")  # one that stays keeps protecting its part
    if bid and bid <= position.stop_price:
        exits.close_position(desk, position, LEG_STOP, bid, "price through the stop", may_exit)
        return
    gap = Gap.since(())
    if not stops.place_stop(desk, position, rules, position.stop_price, may_exit):
        stops.fall_back(desk, position, rules, stops.default_stop(desk, position, facts), may_exit)
    if was_covered:
        gap.end(desk, position.symbol)


def _exit_if_due(desk: Desk, position: Position, rules: SymbolRules, bid: Decimal, may_exit: MayExit) -> bool:
    """Target reached, or the stop passed without its order having closed the position."""
    rests_target = any(target.list_id for _, target in intents.standing(desk.fold(), position, LEG_TARGET))
    if position.target_price and bid >= position.target_price and not rests_target:
        exits.close_position(desk, position, LEG_TARGET, bid, f"target {text(position.target_price)} reached", may_exit)
        return True
    resting = intents.standing(desk.fold(), position, LEG_STOP)
    planned = quantise.price_down(rules, position.stop_price)
    is_passed = bool(position.stop_price) and bid <= position.stop_price
    is_watched = not any(stop.stop_price >= planned for _, stop in resting)  # what rests is lower, or nothing does
    is_stranded = any(bid < stop.price for _, stop in resting)  # triggered, and the market fell through its limit
    if is_stranded or (is_passed and is_watched):
        exits.close_position(desk, position, LEG_STOP, bid, f"stop {text(position.stop_price)} passed", may_exit)
        return True
    return False


def _trail(desk: Desk, position: Position, rules: SymbolRules, bid: Decimal, may_exit: MayExit) -> None:
    """Once the gain is large enough the stop follows the best bid, in steps, and never down."""
    limits = desk.run.settings.config.exits
    entry = divide(position.cost_quote, position.quantity)
    peak = max(position.trail_peak, bid)
    if not limits.trail_frac or peak < entry * (ONE + limits.trail_after_frac):
        return
    wanted = quantise.price_down(rules, peak * (ONE - limits.trail_frac))
    if wanted < position.stop_price * (ONE + limits.trail_step_bps / BPS) or wanted >= bid:
        return
    swap.move_stop(desk, position, rules, wanted, peak, may_exit)
