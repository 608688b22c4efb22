"""Order lists: which orders go to the exchange together, so that a stop and a target can stand over the same coins.

What a symbol takes is in its rules; the paper exchange has no lists (ADR 004). An entry takes its legs along: OPOCO
where allowed, else OTOCO; with a stop alone OPO, else OTO. A position with stop and target rests as one OCO. Each leg
is an order of its own with an id of its own; sending is `submit_list`'s work (ADR 027).
"""

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from desk.base.money import ONE, ZERO
from desk.config.mode import Mode
from desk.execution import intent as intents
from desk.execution import quantise
from desk.execution.desk import Desk
from desk.execution.intent import ENTRY, EXIT, LEG_STOP, LEG_TARGET, OrderPlan
from desk.journal.state import Fold, Intent, Position, is_open
from desk.venues.protocol import PAYS_ITSELF, ListKind, OrderListRequest, OrderType, Side, SymbolRules

WORKING: Final = frozenset({OrderType.LIMIT_IOC, OrderType.LIMIT_FOK})  # its legs stand at once, or never
WITH_PAIR: Final = (ListKind.OPOCO, ListKind.OTOCO)  # best first
WITH_STOP: Final = (ListKind.OPO, ListKind.OTO)


def kinds(desk: Desk, rules: SymbolRules) -> frozenset[ListKind]:
    """The lists that may be sent for a symbol now."""
    settings = desk.run.settings
    is_off = settings.mode is not Mode.LIVE or not settings.config.exits.order_lists
    if is_off or str(OrderType.STOP_LOSS_LIMIT) not in rules.order_types:
        return frozenset()
    if rules.order_lists_max and len(_standing_ids(desk.fold(), rules)) >= rules.order_lists_max:
        return frozenset()
    return rules.list_kinds


def with_entry(desk: Desk, entry: OrderPlan, rules: SymbolRules) -> tuple[ListKind, tuple[OrderPlan, ...]] | None:
    """The entry with its legs, in the list's order; None when it goes alone and is protected after its fill."""
    if entry.type not in WORKING or entry.plan_stop <= ZERO:
        return None
    quantity = quantise.quantity_down(rules, entry.quantity * (ONE - rules.taker_fee_frac))
    allowed = kinds(desk, rules)
    stop = stop_leg(desk, entry, rules, quantity, entry.plan_stop)
    pair = next((kind for kind in WITH_PAIR if kind in allowed), None)
    target = target_leg(entry, rules, quantity, entry.plan_target)
    if pair is not None and target.price > entry.price and _fits(rules, target, entry.price):
        return pair, (entry, target, stop)
    alone = next((kind for kind in WITH_STOP if kind in allowed), None)
    return (alone, (entry, stop)) if alone is not None else None


def pair_of(
    desk: Desk, position: Position, rules: SymbolRules, stop: OrderPlan, bid: Decimal
) -> tuple[OrderPlan, OrderPlan] | None:
    """The OCO of a position: its target above and this stop below; None when only the stop can rest."""
    if ListKind.OCO not in kinds(desk, rules) or position.target_price <= ZERO:
        return None
    target = target_leg(stop, rules, stop.quantity, position.target_price)
    return (target, stop) if target.price > bid > stop.stop_price and _fits(rules, target, bid) else None


def stop_leg(desk: Desk, of: OrderPlan, rules: SymbolRules, quantity: Decimal, stop: Decimal) -> OrderPlan:
    """The stop of an entry or position, with the bounded limit price it sells down to."""
    slack = desk.run.settings.config.entries.slippage_max_frac
    return _leg(of, LEG_STOP, OrderType.STOP_LOSS_LIMIT, quantity, quantise.price_down(rules, stop * (ONE - slack)),
                quantise.price_down(rules, stop))  # fmt: skip


def target_leg(of: OrderPlan, rules: SymbolRules, quantity: Decimal, target: Decimal) -> OrderPlan:
    """The target of an entry or position: it rests above the market."""
    return _leg(of, LEG_TARGET, OrderType.LIMIT_MAKER, quantity, quantise.price_down(rules, target))


def request_of(kind: ListKind, list_id: str, legs: tuple[tuple[str, OrderPlan], ...]) -> OrderListRequest:
    """The list as a venue client takes it; where it finds the pending quantity itself, none is named."""
    orders = tuple(intents.request_of(plan, order_id) for order_id, plan in legs)
    if kind in PAYS_ITSELF:
        orders = (orders[0], *(replace(order, quantity=ZERO) for order in orders[1:]))
    return OrderListRequest(list_client_order_id=list_id, kind=kind, legs=orders)


def legs_of(fold: Fold, list_id: str) -> list[tuple[str, Intent]]:
    """Every order of a list, by the journal."""
    return [(name, i) for name, i in fold.intents.intents.items() if list_id and i.list_id == list_id]


def broken(fold: Fold, position: Position) -> list[tuple[str, Intent]]:
    """Legs that never will stand, or stand alone and protect nothing: UNPROTECTED_PARTIAL (rules.md, Exits).

    Legs stand only when their working order was filled in full; a target filled in part has ended its stop.
    """
    found = []
    for name, intent in intents.standing(fold, position):
        if intent.kind != EXIT or not intent.list_id:
            continue
        legs = [leg for _, leg in legs_of(fold, intent.list_id)]
        working = next((leg for leg in legs if leg.kind == ENTRY), None)
        is_partial = working is not None and not is_open(working) and working.status != "FILLED"
        is_alone = intent.leg == LEG_TARGET and not any(leg.leg == LEG_STOP and is_open(leg) for leg in legs)
        if is_partial or is_alone:
            found.append((name, intent))
    return found


def _fits(rules: SymbolRules, leg: OrderPlan, reference: Decimal) -> bool:
    return not quantise.problem(rules, intents.request_of(leg, ""), leg.price, reference)[0]


def _leg(
    of: OrderPlan, leg: str, order_type: OrderType, quantity: Decimal, price: Decimal, stop: Decimal = ZERO
) -> OrderPlan:
    return replace(
        of, kind=EXIT, leg=leg, side=Side.SELL, type=order_type, quantity=quantity, price=price, stop_price=stop,
        plan_stop=ZERO, plan_target=ZERO,
    )  # fmt: skip


def _standing_ids(fold: Fold, rules: SymbolRules) -> set[str]:
    """Lists of ours that may stand on the symbol."""
    known = fold.intents.intents.values()
    return {i.list_id for i in known if i.list_id and (i.venue, i.symbol) == (rules.venue, rules.symbol) and is_open(i)}
