"""Three-way money (P5): journal, exchange and balances compared; every difference gets a name. Pure, linear.

This room compares orders and protection; trades are `compare_trades`', balances and positions `compare_money`'s.
"""

from decimal import Decimal
from typing import Final

from desk.base import ids
from desk.base.money import ZERO, divide, text
from desk.execution import compare_money, compare_trades, quantise
from desk.execution.difference import Difference, Truth, order_handle
from desk.journal.state import Fold, Position, foreign_key, is_open, is_unsettled
from desk.venues.protocol import OrderReport, OrderType, Side

GRACE_MS: Final = 120_000  # two router ticks: whoever booked a fill is about to protect it


def compare(fold: Fold, truth: Truth, instance: str) -> tuple[Difference, ...]:
    """Every difference between the folded journal and one exchange's truth."""
    strange = compare_trades.strangers(fold, truth, instance)
    return (
        *_orders(fold, truth, instance),
        *compare_trades.differences(truth.venue, strange),
        *compare_trades.ours(fold, truth),
        *compare_money.balances(fold, truth, strange),
        *compare_money.positions(fold, truth),
        *_protection(fold, truth),
    )


def _orders(fold: Fold, truth: Truth, instance: str) -> list[Difference]:
    found = []
    standing = {order.client_order_id for order in truth.orders}
    for order in truth.orders:
        intent = fold.intents.intents.get(order.client_order_id)
        if intent is None:
            found += _stranger(fold, truth.venue, order, instance)
        elif not is_open(intent):
            found.append(_diff("stands_but_closed_here", truth.venue, order.client_order_id, intent.state))
    for name, intent in fold.intents.intents.items():
        if intent.venue != truth.venue or name in standing:
            continue
        if intent.state == "CONFIRMED" and is_open(intent):
            found.append(_diff("open_here_only", truth.venue, name, intent.status))
        elif is_unsettled(intent):
            missing = text(intent.executed - intent.filled)
            found.append(_diff("fills_missing", truth.venue, name, f"{missing} {intent.base} not booked"))
    return found


def _stranger(fold: Fold, venue: str, order: OrderReport, instance: str) -> list[Difference]:
    """An order on the exchange without an intent; one the owner has adopted is no difference while it stands."""
    handle = order_handle(venue, order.symbol, order.order_id)
    detail = f"{order.symbol} {order.side}"
    if ids.is_ours(order.client_order_id, instance):
        return [_diff("lost_order", venue, order.client_order_id, detail, handle)]
    known = fold.portfolio.foreign.get(foreign_key(venue, order.symbol, order.order_id))
    if known is not None and known.how == "adopt":
        return []
    return [_diff("foreign_order", venue, order.client_order_id or order.order_id, detail, handle)]


def _protection(fold: Fold, truth: Truth) -> list[Difference]:
    """Positions above the minimum with a part no sale of ours stands for, by the exchange's own list."""
    standing: dict[str, Decimal] = {}
    for order in truth.orders:
        intent = fold.intents.intents.get(order.client_order_id)
        if intent is not None and order.side is Side.SELL:
            rest = order.quantity - order.executed
            standing[intent.position_id] = standing.get(intent.position_id, ZERO) + rest
    found = []
    for name, position in fold.positions.positions.items():
        if position.venue != truth.venue or not _is_judged(position, truth):
            continue
        naked = position.quantity - standing.get(position.position_id, ZERO)
        price = position.stop_price or divide(position.cost_quote, position.quantity)
        if naked > ZERO and not quantise.is_dust(truth.rules[position.symbol], naked, price):
            detail = f"{text(naked)} {position.base} without a stop on the exchange"
            found.append(
                Difference(kind="protection", name="unprotected", venue=truth.venue, subject=name, detail=detail)
            )
    return found


def _is_judged(position: Position, truth: Truth) -> bool:
    """Where the venue rests stops, once whoever bought it has had the time to protect it."""
    rules = truth.rules.get(position.symbol)
    if position.quantity <= ZERO or rules is None or str(OrderType.STOP_LOSS_LIMIT) not in rules.order_types:
        return False
    return bool(position.unprotected_ms) or truth.now_ms - position.opened_ms > GRACE_MS


def _diff(name: str, venue: str, subject: str, detail: str, handle: str = "") -> Difference:
    return Difference(kind="orders", name=name, venue=venue, subject=subject, detail=detail, handle=handle)
