"""Protection: every position above the minimum has a stop at the end of each finished tick (P6).

Owns placing, moving (PROTECTION_SWAP) and repairing stops, targets and trailing. Where the venue has stop orders one
stop rests there; where it has none, the stop is watched each tick. Spot locks the coins, so a new stop cannot stand
beside the old one: the naked time of a swap is measured and bounded, and a swap is resumed after a crash.
"""

from decimal import Decimal
from typing import Final

from desk.base import clock
from desk.base.money import BPS, ONE, ZERO, divide, text
from desk.base.reasons import Reason
from desk.execution import cancel, exits, lookup, quantise, submit
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.exits import MayExit
from desk.execution.intent import EXIT, LEG_EXIT, LEG_STOP, LEG_TARGET, OrderPlan, event
from desk.journal.events import Event
from desk.journal.state import Position, key
from desk.risk import pause
from desk.risk.facts import SymbolFacts
from desk.strategies import protection_levels
from desk.venues import table
from desk.venues.protocol import OrderStatus, OrderType, Side, SymbolRules

CANCEL_PATIENCE_MS: Final = 600_000  # a cancel that takes longer was not an exit's of a tick or two ago


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
    if _settle_dust(desk, position, rules, bid):
        return None
    if may_exit():  # nothing may be sent: what rests stays as it is
        return _report(desk, name, rules, bid)
    if bid and _exit_if_due(desk, position, rules, bid, may_exit):
        return _protect_rest(desk, name, facts, may_exit)
    if bid:
        _trail(desk, position, rules, bid, may_exit)
    return _protect_rest(desk, name, facts, may_exit)


def _protect_rest(desk: Desk, name: str, facts: SymbolFacts, may_exit: MayExit) -> None:
    """After whatever happened: what is held has its stop, or the tick says CRIT."""
    position = desk.fold().positions.positions.get(name)
    if position is None or position.quantity <= ZERO or facts.rules is None:
        return
    bid = facts.best_bid or ZERO
    if _settle_dust(desk, position, facts.rules, bid):
        return
    ensure_stop(desk, position, facts, may_exit)
    rest = desk.fold().positions.positions.get(name)
    if rest is not None and _settle_dust(desk, rest, facts.rules, bid):
        return
    _end_swap(desk, name)
    _report(desk, name, facts.rules, bid)


def lost_its_stop_to_a_cancel(desk: Desk, name: str) -> bool:
    """The position's last stop is gone by our own cancel and none stands: an exit of an earlier tick may be waiting.

    Only where a cancel is only received: there it may take effect between two ticks, and a new stop placed first would
    be in the way of that exit for ever. SETTLE, or the guard of a cycle that ends before it, protects what is left.
    """
    position = desk.fold().positions.positions.get(name)
    row = table.VENUES.get(position.venue) if position is not None else None
    if position is None or row is None or not row.cancel_is_only_received:
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
    return quantise.quantity_down(found.rules, position.quantity - intents.reserved(fold, position)) > ZERO


def rests_stops(rules: SymbolRules) -> bool:
    """The venue takes stop orders for the symbol."""
    return str(OrderType.STOP_LOSS_LIMIT) in rules.order_types


def ensure_stop(desk: Desk, position: Position, facts: SymbolFacts, may_exit: MayExit) -> None:
    """Place the stop for whatever quantity has none; a price already through the stop is sold at once."""
    rules = facts.rules
    assert rules is not None
    position = _with_plan(desk, position, facts)
    if not rests_stops(rules):
        return
    uncovered = quantise.quantity_down(rules, position.quantity - intents.reserved(desk.fold(), position))
    if uncovered <= ZERO:
        return
    if intents.standing(desk.fold(), position, LEG_STOP) and not exits.free_protection(desk, position, "partial"):
        return
    bid = facts.best_bid or ZERO
    if bid and bid <= position.stop_price:
        exits.close_position(desk, position, LEG_STOP, bid, "price through the stop", may_exit)
        return
    if not place_stop(desk, position, rules, position.stop_price, may_exit):
        _fall_back(desk, position, rules, _default_stop(desk, position, facts), may_exit)


def place_stop(desk: Desk, position: Position, rules: SymbolRules, stop: Decimal, may_exit: MayExit) -> bool:
    """One resting stop for everything free; True when the exchange has it (or its outcome is being looked up)."""
    slack = desk.run.settings.config.entries.slippage_max_frac
    quantity = exits.sellable(desk, position, rules)
    stop_price = quantise.price_down(rules, stop)
    limit = quantise.price_down(rules, stop * (ONE - slack))
    plan = OrderPlan(
        venue=position.venue, symbol=position.symbol, base=position.base, quote=position.quote, kind=EXIT,
        leg=LEG_STOP, side=Side.SELL, type=OrderType.STOP_LOSS_LIMIT, quantity=quantity, price=limit,
        stop_price=stop_price, position_id=position.position_id, decision_id=position.decision_id,
        strategy=position.strategy, parent=position.entry_client_id,
    )  # fmt: skip
    if quantise.problem(rules, intents.request_of(plan, ""), limit, _reference(desk, position))[0]:
        return False
    sent = submit.submit(desk, plan, may_exit)
    if sent.intent is not None and sent.intent.state == "SENT_UNKNOWN":
        lookup.look(desk, sent.order_id, sent.intent)
    found = desk.fold().intents.intents.get(sent.order_id)
    return found is not None and found.state in {"SENT_UNKNOWN", "CONFIRMED"}


def _exit_if_due(desk: Desk, position: Position, rules: SymbolRules, bid: Decimal, may_exit: MayExit) -> bool:
    """Target reached, or the stop passed without its order having closed the position."""
    if position.target_price and bid >= position.target_price:
        exits.close_position(desk, position, LEG_TARGET, bid, f"target {text(position.target_price)} reached", may_exit)
        return True
    stops = intents.standing(desk.fold(), position, LEG_STOP)
    is_passed = bool(position.stop_price) and bid <= position.stop_price
    is_stranded = any(bid < stop.price for _, stop in stops)  # triggered, and the market fell through its limit
    if is_stranded or (is_passed and not stops):
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
    move_stop(desk, position, rules, wanted, peak, may_exit)


def move_stop(
    desk: Desk, position: Position, rules: SymbolRules, wanted: Decimal, peak: Decimal, may_exit: MayExit
) -> None:
    """PROTECTION_SWAP: cancel old -> confirm, book fills -> place new -> else old levels -> else market exit."""
    stops = intents.standing(desk.fold(), position, LEG_STOP)
    old = position.stop_price
    if rests_stops(rules) and stops:
        data = {"position_id": position.position_id, "old": stops[0][0], "new": text(wanted), "fallback": text(old)}
        desk.commit_events(event(Event.PROTECTION_SWAP, position.venue, position.symbol, data))
        started = clock.monotonic_s()
        if not all(cancel.cancel(desk, order_id, "trail") for order_id, _ in stops):
            return _swapped(desk, position, "kept_old")
        current = desk.fold().positions.positions.get(key(position.venue, position.symbol))
        if current is None or current.position_id != position.position_id:
            return None
        if not place_stop(desk, current, rules, wanted, may_exit):
            _fall_back(desk, current, rules, old, may_exit)
            return _swapped(desk, position, "fell_back")
        _naked(desk, started)
    _plan_exit(desk, position, wanted, position.target_price, peak)
    return _swapped(desk, position, "moved") if stops else None


def _fall_back(desk: Desk, position: Position, rules: SymbolRules, old: Decimal, may_exit: MayExit) -> None:
    """Else another level, else a market exit, else PAUSE and CRIT (rules.md, PROTECTION_SWAP)."""
    if place_stop(desk, position, rules, old, may_exit):
        if old != position.stop_price:
            _plan_exit(desk, position, old, position.target_price, position.trail_peak)
        return
    if may_exit():
        return
    bid = _reference(desk, position)
    if exits.close_position(desk, position, LEG_EXIT, bid, "no stop could be placed", may_exit):
        return
    rest = desk.fold().positions.positions.get(key(position.venue, position.symbol))
    if rest is None or quantise.is_dust(rules, rest.quantity, bid or rest.stop_price):
        return  # the old stop had filled meanwhile: nothing is left to protect
    where = f"{position.symbol}: neither a stop nor an exit could be placed"
    desk.alert(Reason.MANUAL_NEEDED, where, position.symbol, position.venue, position.symbol)
    pause.latch_pause(desk.run.home, desk.run.journal, (str(Reason.MANUAL_NEEDED),), desk.run.door)


def _swapped(desk: Desk, position: Position, outcome: str) -> None:
    data = {"position_id": position.position_id, "outcome": outcome}
    desk.commit_events(event(Event.PROTECTION_SWAPPED, position.venue, position.symbol, data))


def _end_swap(desk: Desk, name: str) -> None:
    """A swap a crash left open: whatever stands now has been repaired above."""
    position = desk.fold().positions.positions.get(name)
    if position is not None and position.swap:
        _swapped(desk, position, "resumed")


def _with_plan(desk: Desk, position: Position, facts: SymbolFacts) -> Position:
    """A position without a stop gets the default one (rules.md, Exits: a null stop)."""
    if position.stop_price > ZERO:
        return position
    stop = _default_stop(desk, position, facts)
    _plan_exit(desk, position, stop, position.target_price, position.trail_peak)
    return desk.fold().positions.positions[key(position.venue, position.symbol)]


def _default_stop(desk: Desk, position: Position, facts: SymbolFacts) -> Decimal:
    entry = divide(position.cost_quote, position.quantity)
    return protection_levels.levels(facts.closed_bars, entry, desk.run.settings.config.exits).stop


def _reference(desk: Desk, position: Position) -> Decimal:
    """This tick's best bid of the symbol; 0 when there is none."""
    facts = desk.facts.symbol(position.venue, position.symbol) if desk.facts is not None else None
    return facts.best_bid if facts is not None and facts.best_bid else ZERO


def _plan_exit(desk: Desk, position: Position, stop: Decimal, target: Decimal, peak: Decimal) -> None:
    data = {
        "position_id": position.position_id, "stop_price": text(stop), "target_price": text(target),
        "trail_peak": text(peak),
    }  # fmt: skip
    desk.commit_events(event(Event.EXIT_PLANNED, position.venue, position.symbol, data))


def _settle_dust(desk: Desk, position: Position, rules: SymbolRules, bid: Decimal) -> bool:
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


def _report(desk: Desk, name: str, rules: SymbolRules, bid: Decimal) -> None:
    """UNPROTECTED when a sellable rest has no stop at the end of the work; cleared when it has one."""
    position = desk.fold().positions.positions.get(name)
    if position is None:
        return
    uncovered = position.quantity - intents.reserved(desk.fold(), position)
    is_naked = rests_stops(rules) and not quantise.is_dust(rules, max(uncovered, ZERO), bid or position.stop_price)
    if not is_naked and not position.unprotected_ms:
        return
    quantity = uncovered if is_naked else ZERO
    data = {"position_id": position.position_id, "quantity": text(quantity)}
    desk.commit_events(event(Event.UNPROTECTED, position.venue, position.symbol, data))
    if is_naked:
        where = f"{position.symbol}: {text(quantity)} {position.base} without a stop"
        desk.alert(Reason.UNPROTECTED, where, position.symbol, position.venue, position.symbol)


def _naked(desk: Desk, started_s: float) -> None:
    """The longest time a swap left the position without a stop goes to the run record."""
    spent_ms = int((clock.monotonic_s() - started_s) * 1000)
    desk.run.counts["unprotected_ms_max"] = max(spent_ms, int(desk.run.counts.get("unprotected_ms_max", 0)))
    if spent_ms > desk.run.settings.config.exits.unprotected_max_ms:
        desk.run.warn("WARN", f"a stop swap took {spent_ms} ms")
