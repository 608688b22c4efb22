"""Evidence into events: what an exchange says of an order becomes INTENT_CONFIRMED and FILL. Books, never decides.

A report that says nothing new writes nothing. A FILL is unique by (venue, symbol, trade id); the journal drops repeats.
"""

from decimal import Decimal
from typing import Any

from desk.base.errors import InvariantError
from desk.base.money import ZERO, text
from desk.base.reasons import Reason
from desk.execution.desk import Desk
from desk.execution.intent import event
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent
from desk.venues.protocol import OrderReport, OrderStatus, Trade

TRADE_LOOKBACK_MS = 60_000  # an exchange's trade time may precede our signed timestamp by its clock error


def book(desk: Desk, order_id: str, report: OrderReport) -> Fold:
    """Book a report: fetch the trades it does not carry, then one group with status and fills."""
    intent = desk.fold().intents.intents.get(order_id)
    if intent is None:
        raise InvariantError(f"a report for {order_id}, which is not in the journal")
    trades = report.trades
    if _sum(trades) + _known(intent, trades) < report.executed:
        trades = trades_of(desk, order_id, intent, report.order_id)

    def decide(fold: Fold) -> list[NewEvent]:
        current = fold.intents.intents.get(order_id)
        return [] if current is None else events_of(order_id, current, report, trades)

    return desk.commit(decide)


def events_of(order_id: str, intent: Intent, report: OrderReport, trades: tuple[Trade, ...]) -> list[NewEvent]:
    """The events a report brings; none when everything is known already."""
    fills = [fill_event(order_id, intent, trade) for trade in trades if trade.trade_id not in intent.trade_ids]
    if report.status is OrderStatus.UNRECOGNISED:
        return [*fills, *_anomaly(order_id, intent, f"status {report.status_word[:40]}")]
    is_known = (
        intent.state == "CONFIRMED"
        and intent.status == str(report.status)
        and intent.executed >= report.executed
        and intent.order_id == report.order_id
        and not _is_resized(intent, report)
    )
    data: dict[str, Any] = {
        "client_order_id": order_id, "status": str(report.status), "order_id": report.order_id,
        "executed": text(report.executed), "executed_quote": text(report.executed_quote),
    }  # fmt: skip
    if _is_resized(intent, report):
        data["quantity"] = text(report.quantity)
    confirmed = (
        [] if is_known else [event(Event.INTENT_CONFIRMED, intent.venue, intent.symbol, data, intent.decision_id)]
    )
    return [*fills, *confirmed]


def _is_resized(intent: Intent, report: OrderReport) -> bool:
    """A leg whose quantity the exchange found itself: what its working order brought in (OPO, OPOCO)."""
    return bool(intent.list_id) and ZERO < report.quantity != intent.quantity


def fill_event(order_id: str, intent: Intent, trade: Trade) -> NewEvent:
    """One trade as a FILL."""
    data = {
        "client_order_id": order_id, "trade_id": trade.trade_id, "order_id": trade.order_id, "side": str(trade.side),
        "quantity": text(trade.quantity), "price": text(trade.price), "fee": text(trade.fee),
        "fee_asset": trade.fee_asset, "time_ms": trade.time_ms,
    }  # fmt: skip
    return event(Event.FILL, intent.venue, intent.symbol, data, intent.decision_id)


def trades_of(desk: Desk, order_id: str, intent: Intent, exchange_order_id: str) -> tuple[Trade, ...]:
    """The order's trades from the exchange's own list."""
    since = (intent.timestamp_ms or intent.created_ms) - TRADE_LOOKBACK_MS
    found = desk.account_of(intent.venue).my_trades(intent.symbol, since)
    return tuple(t for t in found if is_of(t, order_id, exchange_order_id))


def is_of(trade: Trade, order_id: str, exchange_order_id: str) -> bool:
    """The trade belongs to the order, by client id or by the exchange's id."""
    if trade.client_order_id:
        return trade.client_order_id == order_id
    return bool(exchange_order_id) and trade.order_id == exchange_order_id


def _anomaly(order_id: str, intent: Intent, evidence: str) -> list[NewEvent]:
    if intent.anomaly:
        return []
    data = {"client_order_id": order_id, "state": intent.state, "evidence": evidence}
    return [
        event(Event.INTENT_ANOMALY, intent.venue, intent.symbol, data, codes=(str(Reason.ANOMALY),)),
        check.alert(Reason.ANOMALY, f"intent {order_id}: {evidence}", order_id, intent.venue, intent.symbol),
    ]


def _sum(trades: tuple[Trade, ...]) -> Decimal:
    return sum((trade.quantity for trade in trades), Decimal(0))


def _known(intent: Intent, trades: tuple[Trade, ...]) -> Decimal:
    """What is booked already beyond the trades at hand."""
    carried = sum((trade.quantity for trade in trades if trade.trade_id in intent.trade_ids), Decimal(0))
    return intent.filled - carried
