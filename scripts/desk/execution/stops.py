"""One resting stop: its levels, its order, and what happens when the exchange will not have it.

A stop that cannot be placed falls back to another level, then to a market exit, then to PAUSE with a CRIT line
(rules.md, PROTECTION_SWAP). Never cancels; the callers made room.
"""

from decimal import Decimal

from desk.base.money import ZERO, divide, text
from desk.base.reasons import Reason
from desk.execution import exits, lists, lookup, quantise, submit, submit_list, symbol_care
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.exits import MayExit
from desk.execution.intent import EXIT, LEG_EXIT, LEG_STOP, OrderPlan, event
from desk.journal.events import Event
from desk.journal.state import Position, key
from desk.risk import pause
from desk.risk.facts import SymbolFacts
from desk.strategies import protection_levels
from desk.venues.protocol import ListKind, OrderType, Side, SymbolRules


def rests_stops(rules: SymbolRules) -> bool:
    """The venue takes stop orders for the symbol."""
    return str(OrderType.STOP_LOSS_LIMIT) in rules.order_types


def place_stop(desk: Desk, position: Position, rules: SymbolRules, stop: Decimal, may_exit: MayExit) -> bool:
    """What rests for everything free: stop and target as one OCO where it can, else the stop alone.

    Returns:
        True when the exchange has it (or its outcome is being looked up).
    """
    if symbol_care.is_shut(desk, key(position.venue, position.symbol)):
        return False
    rules = symbol_care.newest(desk, position, rules)
    bare = _bare(position, exits.sellable(desk, position, rules))
    plan = lists.stop_leg(desk, bare, rules, bare.quantity, stop)
    bid = reference(desk, position)
    if quantise.problem(rules, intents.request_of(plan, ""), plan.price, bid)[0]:
        return False
    pair = lists.pair_of(desk, position, rules, plan, bid)
    if pair is not None:
        sent = submit_list.submit_list(desk, ListKind.OCO, pair, may_exit)
        if sent.intent is not None and sent.intent.state == "SENT_UNKNOWN":
            submit_list.look(desk, sent.intent.list_id)
        if _has_it(desk, sent.order_id) or may_exit():
            return _has_it(desk, sent.order_id)
        if exits.has_new_rules(desk, position, rules):
            return place_stop(desk, position, rules, stop, may_exit)
    sent = submit.submit(desk, plan, may_exit)
    if sent.intent is not None and sent.intent.state == "SENT_UNKNOWN":
        lookup.look(desk, sent.order_id, sent.intent)
    if exits.has_new_rules(desk, position, rules):
        return place_stop(desk, position, rules, stop, may_exit)
    return _has_it(desk, sent.order_id)


def _bare(position: Position, quantity: Decimal) -> OrderPlan:
    """An exit of the position without a form yet."""
    return OrderPlan(
        venue=position.venue, symbol=position.symbol, base=position.base, quote=position.quote, kind=EXIT,
        leg=LEG_STOP, side=Side.SELL, type=OrderType.STOP_LOSS_LIMIT, quantity=quantity, price=ZERO,
        position_id=position.position_id, decision_id=position.decision_id, strategy=position.strategy,
        parent=position.entry_client_id,
    )  # fmt: skip


def _has_it(desk: Desk, order_id: str) -> bool:
    found = desk.fold().intents.intents.get(order_id)
    return found is not None and found.state in {"SENT_UNKNOWN", "CONFIRMED"}


def fall_back(desk: Desk, position: Position, rules: SymbolRules, other: Decimal, may_exit: MayExit) -> None:
    """The planned level was refused: another level, else the last resort."""
    if place_stop(desk, position, rules, other, may_exit):
        if other != position.stop_price:
            plan_exit(desk, position, other, position.target_price, position.trail_peak)
        return
    if not may_exit():
        last_resort(desk, position, rules, may_exit)


def last_resort(desk: Desk, position: Position, rules: SymbolRules, may_exit: MayExit) -> bool:
    """No stop can be placed: a market exit, else PAUSE and CRIT (rules.md, PROTECTION_SWAP). True when all is sold."""
    if symbol_care.is_shut(desk, key(position.venue, position.symbol)):
        return False  # nothing can be sent, so nothing is a hand's to do: it is said, and tried again each tick
    bid = reference(desk, position)
    leg = LEG_STOP if bid and bid <= position.stop_price else LEG_EXIT
    if exits.close_position(desk, position, leg, bid, "no stop could be placed", may_exit):
        return True
    rest, rules = exits.current(desk, position), symbol_care.newest(desk, position, rules)
    if rest is None or quantise.is_dust(rules, rest.quantity, bid or rest.stop_price):
        return True  # the old stop had filled meanwhile: nothing is left to protect
    where = f"{position.symbol}: neither a stop nor an exit could be placed"
    desk.alert(Reason.MANUAL_NEEDED, where, position.symbol, position.venue, position.symbol)
    pause.latch_pause(desk.run.home, desk.run.journal, (str(Reason.MANUAL_NEEDED),), desk.run.door)
    return False


def with_plan(desk: Desk, position: Position, facts: SymbolFacts) -> Position:
    """A position without a stop gets the default one (rules.md, Exits: a null stop)."""
    if position.stop_price > ZERO:
        return position
    stop = default_stop(desk, position, facts)
    plan_exit(desk, position, stop, position.target_price, position.trail_peak)
    return desk.fold().positions.positions[key(position.venue, position.symbol)]


def plan_exit(desk: Desk, position: Position, stop: Decimal, target: Decimal, peak: Decimal) -> None:
    data = {
        "position_id": position.position_id, "stop_price": text(stop), "target_price": text(target),
        "trail_peak": text(peak),
    }  # fmt: skip
    desk.commit_events(event(Event.EXIT_PLANNED, position.venue, position.symbol, data))


def default_stop(desk: Desk, position: Position, facts: SymbolFacts) -> Decimal:
    entry = divide(position.cost_quote, position.quantity)
    return protection_levels.levels(facts.closed_bars, entry, desk.run.settings.config.exits).stop


def reference(desk: Desk, position: Position) -> Decimal:
    """This tick's best bid of the symbol; 0 when there is none."""
    facts = desk.facts.symbol(position.venue, position.symbol) if desk.facts is not None else None
    return facts.best_bid if facts is not None and facts.best_bid else ZERO
