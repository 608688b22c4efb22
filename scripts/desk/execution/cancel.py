"""Cancels: asked for, confirmed by evidence, never assumed. A cancel may be sent again; a cancel-replace may not."""

from desk.base.reasons import Reason
from desk.execution import fills, lookup
from desk.execution.desk import Desk
from desk.execution.intent import ENTRY, event
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent, is_open
from desk.venues.outcome import VenueError


def cancel(desk: Desk, order_id: str, why: str) -> bool:
    """Cancel one order and confirm by query; True when it no longer stands.

    A cancel that crosses a fill is no failure: the fill is booked and the order is final.
    """
    intent = desk.fold().intents.intents.get(order_id)
    if intent is None or not is_open(intent):
        return True

    def ask(fold: Fold) -> list[NewEvent]:
        current = fold.intents.intents.get(order_id)
        if current is None or not is_open(current) or current.cancel_ms:
            return []
        data = {"client_order_id": order_id, "why": why}
        return [event(Event.CANCEL_REQUESTED, current.venue, current.symbol, data, current.decision_id)]

    desk.commit(ask)
    try:
        report = desk.account_of(intent.venue).cancel_order(intent.symbol, order_id)
        fills.book(desk, order_id, report)
    except VenueError as error:
        desk.run.log.error(error.line(), intent.venue, "cancel", str(error.code or error.class_))
        lookup.look(desk, order_id, intent)
    return not _stands(desk, order_id)


def cancel_open_entries(desk: Desk, why: str) -> tuple[list[str], list[str]]:
    """Cancel every entry that may still trade.

    Returns:
        Client ids confirmed gone, and those not confirmed (an unknown one is only looked up: it may not exist).
    """
    gone: list[str] = []
    left: list[str] = []
    for name, intent in list(desk.fold().intents.intents.items()):
        if intent.kind == ENTRY and is_open(intent):
            (gone if cancel(desk, name, why) else left).append(name)
    return gone, left


def cancel_expired(desk: Desk) -> None:
    """Entries older than their TTL are cancelled (rules.md, order TTL); one that will not go is a stuck order."""
    limits = desk.run.settings.config.entries
    for name, intent in list(desk.fold().intents.intents.items()):
        if intent.kind != ENTRY or not is_open(intent) or intent.state != "CONFIRMED":
            continue
        if desk.run.tick_ms - intent.created_ms < limits.order_ttl_s * 1000:
            continue
        if not cancel(desk, name, "ttl"):
            desk.alert(Reason.STUCK_ORDER, f"order {name}: cancel not confirmed", name, intent.venue, intent.symbol)


def _stands(desk: Desk, order_id: str) -> bool:
    intent: Intent | None = desk.fold().intents.intents.get(order_id)
    return intent is not None and is_open(intent)
