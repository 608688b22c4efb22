"""Selling what we hold: one exit order, bounded in price, never more than is ours and free (P4).

Exit quantity = min(position by fills - reserved by other exits, free balance after our own protection's cancel is
confirmed). An exit whose price has no usable bid goes as the venue's market order, with a CRIT line.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec
from msgspec.structs import replace

from desk.base.money import ONE, ZERO
from desk.base.reasons import Reason
from desk.execution import cancel, lookup, quantise, submit, symbol_care
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.gap import Gap
from desk.execution.intent import EXIT, LEG_ENTRY, OrderPlan
from desk.journal.state import Fold, Position, key
from desk.venues import table
from desk.venues.outcome import VenueError
from desk.venues.protocol import OrderType, Side, SymbolRules

MayExit = Callable[[], str]


class Part(msgspec.Struct, frozen=True):
    """What a decision sells: its exits carry its id, so that what is sold already counts after a crash too."""

    decision_id: str = ""
    at_most: Decimal | None = None  # still to be sold; None = everything

    @staticmethod
    def of(decision_id: str, quantity: Decimal | None, fold: Fold) -> "Part":
        """The rest of what a decision asked for, by the fills of its exits."""
        if quantity is None:
            return Part(decision_id)
        known = fold.intents.intents.values()
        sold = sum((i.filled for i in known if i.kind == EXIT and i.decision_id == decision_id), ZERO)
        return Part(decision_id, max(quantity - sold, ZERO))


WHOLE: Final = Part()


def close_position(
    desk: Desk, position: Position, leg: str, bid: Decimal, why: str, may_exit: MayExit, part: Part = WHOLE
) -> bool:
    """Cancel the protection, confirm, sell at once; True when nothing more is to be sold.

    Args:
        bid: usable best bid, 0 for none.
        part: which decision sells, and no more than how much.
        may_exit: the last check (FREEZE_ALL and the operator's own "send nothing"), asked at the moment of writing.
    """
    rules = desk.rules(position.venue, position.symbol)
    if rules is not None and _is_sold(rules, part, bid or position.stop_price):
        return True
    if rules is None or _must_wait(desk, position, rules, bid):
        return False
    was_covered = intents.covered(desk.fold(), position) > ZERO
    if not free_protection(desk, position, why):
        return False
    gap = Gap.since(())
    if part.at_most is None:  # what still buys is cancelled too, but a sale does not wait for it
        for order_id, _ in intents.standing(desk.fold(), position, LEG_ENTRY):
            cancel.cancel(desk, order_id, why)
    held = current(desk, position)
    quantity = sellable(desk, held, rules) if held is not None else ZERO
    if part.at_most is not None:
        quantity = quantise.quantity_down(rules, min(quantity, part.at_most))
    if held is None or quantity <= ZERO:
        return held is None
    desk.run.say(f"EXIT {position.venue} {position.symbol} {quantity} {leg}: {why}")
    plan = exit_plan(desk, held, rules, leg, quantity, bid)
    sent = submit.submit(desk, replace(plan, decision_id=part.decision_id or plan.decision_id), may_exit)
    if was_covered:
        gap.end(desk, position.symbol)
    if sent.intent is not None and sent.intent.state == "SENT_UNKNOWN":
        lookup.look(desk, sent.order_id, sent.intent)
    if sent.intent is not None and sent.intent.state == "FAILED_TERMINAL" and has_new_rules(desk, position, rules):
        return close_position(desk, position, leg, bid, why, may_exit, part)
    after = current(desk, position)
    if part.at_most is not None and sent.intent is not None:
        return sent.intent.filled >= quantity
    return after is None or sellable(desk, after, rules) <= ZERO


def has_new_rules(desk: Desk, position: Position, rules: SymbolRules) -> bool:
    """The refusal just booked led to other rules: the exit is shaped by them and goes once more (they are asked for
    once a tick)."""
    return symbol_care.newest(desk, position, rules) != rules


def exit_plan(
    desk: Desk, position: Position, rules: SymbolRules, leg: str, quantity: Decimal, bid: Decimal
) -> OrderPlan:
    """A sale that takes what the book gives, down to a bounded price."""
    slack = desk.run.settings.config.entries.slippage_max_frac
    order_type = table.order_type(position.venue, OrderType.LIMIT_IOC)
    price = quantise.price_down(rules, bid * (ONE - slack)) if bid else ZERO
    if price <= ZERO:
        desk.alert(
            Reason.EXIT_BLIND, f"{position.symbol}: no usable bid", position.symbol, position.venue, position.symbol
        )
        order_type, price = OrderType.MARKET, position.stop_price or ONE
    return OrderPlan(
        venue=position.venue, symbol=position.symbol, base=position.base, quote=position.quote, kind=EXIT, leg=leg,
        side=Side.SELL, type=order_type, quantity=quantise.quantity_down(rules, quantity, order_type), price=price,
        position_id=position.position_id, decision_id=position.decision_id, strategy=position.strategy,
        parent=position.entry_client_id,
    )  # fmt: skip


def free_protection(desk: Desk, position: Position, why: str) -> bool:
    """Cancel every standing exit of the position; False while one is not confirmed gone (then it still protects)."""
    for order_id, intent in intents.standing(desk.fold(), position):
        if intent.kind == EXIT and not cancel.cancel(desk, order_id, why):
            return False
    return True


def sellable(desk: Desk, position: Position, rules: SymbolRules) -> Decimal:
    """What may be sold now, on the lot grid: by fills, by reservations, and by the account's free balance."""
    by_fills = position.quantity - intents.reserved(desk.fold(), position)
    if quantise.quantity_down(rules, by_fills) <= ZERO:
        return ZERO
    try:
        balance = desk.account_of(position.venue).balances().get(position.base)
    except VenueError as error:
        desk.run.log.error(error.line(), position.venue, "balances", str(error.code or error.class_))
        return ZERO
    return quantise.quantity_down(rules, min(by_fills, balance.free if balance is not None else ZERO))


def _must_wait(desk: Desk, position: Position, rules: SymbolRules, bid: Decimal) -> bool:
    """The exchange takes no sale of it now: what rests stays."""
    is_shut = symbol_care.is_shut(desk, key(position.venue, position.symbol))
    return is_shut or _rests_below_the_minimum(desk, position, rules, bid)


def _rests_below_the_minimum(desk: Desk, position: Position, rules: SymbolRules, bid: Decimal) -> bool:
    """The minimum rose above the position, and an exit of before still rests: no other would be taken, so it stays."""
    if not quantise.is_dust(rules, position.quantity, bid or position.stop_price):
        return False
    rests = any(intent.kind == EXIT for _, intent in intents.standing(desk.fold(), position))
    if rests:
        desk.run.warn("WARN", f"{position.symbol}: below the exchange's minimum now; the order that rests stays")
    return rests


def _is_sold(rules: SymbolRules, part: Part, price: Decimal) -> bool:
    """Nothing of the part is left that the exchange would take."""
    return part.at_most is not None and quantise.is_dust(rules, part.at_most, price)


def current(desk: Desk, position: Position) -> Position | None:
    """The position as the journal has it now; None when it is closed."""
    found = desk.fold().positions.positions.get(key(position.venue, position.symbol))
    return found if found is not None and found.position_id == position.position_id else None
