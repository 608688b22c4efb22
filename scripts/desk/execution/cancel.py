"""Cancels: asked for, confirmed by evidence, never assumed. A cancel may be sent again; a cancel-replace may not.

FREEZE_ALL and the operator's own "send nothing" hold cancels back too (design 6).
"""

from desk.base.reasons import Reason
from desk.execution import fills, lists, lookup
from desk.execution.desk import Desk
from desk.execution.intent import ENTRY, EXIT, event
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent, is_open, key
from desk.risk import facts_gather, latches
from desk.venues.outcome import VenueError
from desk.venues.protocol import OrderReport, OrderStatus


def cancel(desk: Desk, order_id: str, why: str) -> bool:
    """Cancel one order and confirm by query; True when it no longer stands.

    A cancel that crosses a fill is no failure: the fill is booked and the order is final.
    """
    intent = desk.fold().intents.intents.get(order_id)
    if intent is None or not is_open(intent):
        return True
    if _is_held_back(desk):
        return False

    def ask(fold: Fold) -> list[NewEvent]:
        current = fold.intents.intents.get(order_id)
        if current is None or not is_open(current) or current.cancel_ms:
            return []
        data = {"client_order_id": order_id, "why": why}
        return [event(Event.CANCEL_REQUESTED, current.venue, current.symbol, data, current.decision_id)]

    desk.commit(ask)
    try:
        for report in _ask(desk, order_id, intent):
            fills.book(desk, report.client_order_id, report)
    except VenueError as error:
        desk.run.log.error(error.line(), intent.venue, "cancel", str(error.code or error.class_))
        lookup.look(desk, order_id, intent)
    for name, leg in lists.legs_of(desk.fold(), intent.list_id):  # the cancel of one ends all
        if is_open(leg):
            lookup.look(desk, name, leg)
    return not _stands(desk, order_id)


def _ask(desk: Desk, order_id: str, intent: Intent) -> tuple[OrderReport, ...]:
    """Send the cancel; what the exchange says of the order, or of every leg of its list."""
    account = desk.account_of(intent.venue)
    if not intent.list_id:
        return (account.cancel_order(intent.symbol, order_id),)
    known = desk.fold().intents.intents
    told = account.cancel_order_list(intent.symbol, intent.list_id)
    return tuple(report for report in told.reports if report.client_order_id in known)


def cancel_open_entries(desk: Desk, why: str) -> tuple[list[str], list[str]]:
    """Cancel every entry that may still trade; one in a list is only looked up.

    The cancel of a list takes the protection of what it has bought along, and its working order takes at once or not
    at all: there is nothing left of it to cancel. What its look leaves open is the lease holder's (design 3).

    Returns:
        Client ids confirmed gone, and those not confirmed (an unknown one is only looked up: it may not exist).
    """
    gone: list[str] = []
    left: list[str] = []
    for name, intent in list(desk.fold().intents.intents.items()):
        if intent.kind == ENTRY and is_open(intent):
            is_gone = _look_at_list(desk, name, intent) if intent.list_id else cancel(desk, name, why)
            (gone if is_gone else left).append(name)
    return gone, left


def _look_at_list(desk: Desk, order_id: str, intent: Intent) -> bool:
    lookup.look(desk, order_id, intent)
    return not _stands(desk, order_id)


def cancel_expired(desk: Desk) -> None:
    """Entries older than their TTL are cancelled (rules.md, order TTL); one that will not go is a stuck order."""
    limits, _ = facts_gather.limits_of(desk.run)  # the profile's TTL, and what the overlay makes of it
    oldest_ms = desk.run.tick_ms - limits.entries.order_ttl_s * 1000
    for name, intent in _confirmed(desk, ENTRY):
        if intent.created_ms <= oldest_ms and not cancel(desk, name, "ttl") and not _may_still_go(desk, name):
            desk.alert(Reason.STUCK_ORDER, f"order {name}: cancel not confirmed", name, intent.venue, intent.symbol)


def cancel_orphans(desk: Desk) -> None:
    """Exits whose position is gone (they appeared late): left standing they would sell what a later one holds."""
    for name, intent in _confirmed(desk, EXIT):
        position = desk.fold().positions.positions.get(key(intent.venue, intent.symbol))
        if position is None or position.position_id != intent.position_id:
            cancel(desk, name, "no position")


def _confirmed(desk: Desk, kind: str) -> list[tuple[str, Intent]]:
    """Orders of a kind known to stand on the exchange."""
    found = desk.fold().intents.intents.items()
    return [(name, i) for name, i in found if i.kind == kind and is_open(i) and i.state == "CONFIRMED"]


def _may_still_go(desk: Desk, order_id: str) -> bool:
    """No failed cancel yet: nothing may be sent, or the exchange has it and has not said what became of the order."""
    intent = desk.fold().intents.intents.get(order_id)
    patience_ms = desk.run.settings.config.entries.unresolved_warn_s * 1000
    is_received = intent is not None and intent.status == str(OrderStatus.PENDING_CANCEL)
    is_young = intent is not None and desk.run.tick_ms - intent.cancel_ms <= patience_ms
    return _is_held_back(desk) or (is_received and is_young)


def _is_held_back(desk: Desk) -> bool:
    """Nothing may be sent, cancels included; read anew, at the moment of sending."""
    return not desk.sends or latches.effective(desk.run.home, desk.fold(), desk.run.settings).frozen


def _stands(desk: Desk, order_id: str) -> bool:
    intent: Intent | None = desk.fold().intents.intents.get(order_id)
    return intent is not None and is_open(intent)
