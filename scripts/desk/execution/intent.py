"""Orders before they leave: the plan of one order and the events that write it down. Pure; ids from `base.ids`.

attempt = how many intents the leg already has in the journal; an entry has attempt 0 only, so one decision can never
be sent twice, whatever happened to the first.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from desk.base import ids
from desk.base.money import ZERO, text
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent, Position, is_open, key
from desk.venues.protocol import OrderRequest, OrderType, Side

ENTRY, EXIT = "ENTRY", "EXIT"
LEG_ENTRY, LEG_STOP, LEG_EXIT, LEG_TARGET = "entry", "stop", "exit", "target"


class OrderPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One order to be, quantised, with what it is for."""

    venue: str
    symbol: str
    base: str
    quote: str
    kind: str  # ENTRY or EXIT
    leg: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal
    stop_price: Decimal = ZERO
    position_id: str
    decision_id: str = ""
    strategy: str = ""
    parent: str = ""
    list_id: str = ""  # the client id of the order list it is sent in
    plan_stop: Decimal = ZERO  # entries: where the position's stop will stand
    plan_target: Decimal = ZERO


def client_id(instance: str, plan: OrderPlan, fold: Fold) -> tuple[str, int]:
    """The client order id the plan would get now, and its attempt."""
    attempt = 0 if plan.kind == ENTRY else next_attempt(fold, plan)
    return ids.client_order_id(instance, plan.position_id, plan.leg, attempt), attempt


def next_attempt(fold: Fold, plan: OrderPlan) -> int:
    """One more than the highest attempt the journal knows for the leg of this position."""
    position = fold.positions.positions.get(key(plan.venue, plan.symbol))
    known = position.attempts.get(plan.leg, 0) if position and position.position_id == plan.position_id else 0
    own = [
        i.attempt + 1 for i in fold.intents.intents.values() if (i.position_id, i.leg) == (plan.position_id, plan.leg)
    ]
    return max([known, *own])


def written_down(
    plan: OrderPlan, order_id: str, attempt: int, timestamp_ms: int, recv_window_ms: int
) -> tuple[NewEvent, NewEvent]:
    """INTENT_CREATED and INTENT_SENT_UNKNOWN, to be one durable group before the first byte leaves."""
    data: dict[str, Any] = {
        "client_order_id": order_id, "position_id": plan.position_id, "leg": plan.leg, "attempt": attempt,
        "side": str(plan.side), "type": str(plan.type), "quantity": text(plan.quantity), "price": text(plan.price),
        "stop_price": text(plan.stop_price), "kind": plan.kind, "base": plan.base, "quote": plan.quote,
        "strategy": plan.strategy, "parent": plan.parent,
        "plan_stop": text(plan.plan_stop), "plan_target": text(plan.plan_target),
    }  # fmt: skip
    if plan.list_id:
        data["list_id"] = plan.list_id
    sent = {"client_order_id": order_id, "timestamp_ms": timestamp_ms, "recv_window_ms": recv_window_ms}
    return (
        event(Event.INTENT_CREATED, plan.venue, plan.symbol, data, plan.decision_id),
        event(Event.INTENT_SENT_UNKNOWN, plan.venue, plan.symbol, sent, plan.decision_id),
    )


def event(
    name: Event, venue: str, symbol: str, data: dict[str, Any], decision_id: str = "", codes: tuple[str, ...] = ()
) -> NewEvent:
    """An event about one intent."""
    return NewEvent(
        event=name, data=data, venue=venue, symbol=symbol, intent_id=str(data.get("client_order_id", "")),
        decision_id=decision_id, reason_codes=codes,
    )  # fmt: skip


def request_of(plan: OrderPlan, order_id: str) -> OrderRequest:
    """The plan as a venue client takes it."""
    has_price = plan.type is not OrderType.MARKET
    return OrderRequest(
        client_order_id=order_id, symbol=plan.symbol, side=plan.side, type=plan.type, quantity=plan.quantity,
        price=plan.price if has_price else None, stop_price=plan.stop_price or None,
        sized_at=None if has_price else plan.price,
    )  # fmt: skip


def reserved(fold: Fold, position: Position) -> Decimal:
    """Quantity of the position that open, unknown or created exits still hold; the legs of a list hold it together."""
    return _held(fold, position, lambda intent: True)


def covered(fold: Fold, position: Position) -> Decimal:
    """As `reserved`, but for a target that only waits above the market: it protects nothing."""
    return _held(fold, position, lambda intent: not (intent.leg == LEG_TARGET and intent.type == OrderType.LIMIT_MAKER))


def _held(fold: Fold, position: Position, counts: Callable[[Intent], bool]) -> Decimal:
    rests: dict[str, Decimal] = {}
    for name, intent in fold.intents.intents.items():
        if intent.position_id == position.position_id and intent.kind == EXIT and is_open(intent) and counts(intent):
            together = intent.list_id or name
            rests[together] = max(intent.quantity - intent.filled, rests.get(together, ZERO))
    return sum(rests.values(), ZERO)


def standing(fold: Fold, position: Position, leg: str = "") -> list[tuple[str, Intent]]:
    """Open intents of the position, of one leg when named."""
    return [
        (name, intent)
        for name, intent in fold.intents.intents.items()
        if intent.position_id == position.position_id and is_open(intent) and (not leg or intent.leg == leg)
    ]
