"""Sending one order list (design 4.8): every leg an intent in one durable group, one POST, one outcome for all.

As `submit`: breaker and connection, timestamp, the group, last check, bytes; what is refused or proved not sent ends
every leg, what is unknown leaves every leg SENT_UNKNOWN to be looked up. Nothing is ever sent again.
"""

from contextlib import ExitStack

from msgspec.structs import replace

from desk.base import clock, ids
from desk.base.reasons import Reason
from desk.execution import fills, lists, lookup, submit
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.intent import ENTRY, LEG_STOP, OrderPlan
from desk.execution.submit import LastCheck, Sent
from desk.journal.chain import NewEvent
from desk.journal.state import Fold, is_open
from desk.venues.outcome import VenueError
from desk.venues.protocol import ListKind, OrderStatus

LEG_LIST = "list"
Legs = tuple[tuple[str, OrderPlan], ...]


def submit_list(desk: Desk, kind: ListKind, plans: tuple[OrderPlan, ...], last_check: LastCheck) -> Sent:
    """Write every leg down, send the list once, book what came back; tells of the first leg.

    Raises:
        JournalError, DeadlinePassed: as `submit.submit`; nothing was sent.
    """
    first = plans[0]
    if first.kind == ENTRY:
        desk.run.check_deadline()
    with ExitStack() as way:
        try:
            way.enter_context(desk.account_of(first.venue).ready(submit.purpose_of(first)))
        except VenueError as error:
            return submit.not_ready(desk, first, error)
        return _write_and_send(desk, kind, plans, last_check)


def _write_and_send(desk: Desk, kind: ListKind, plans: tuple[OrderPlan, ...], last_check: LastCheck) -> Sent:
    settings = desk.run.settings
    timestamp_ms = desk.exchange_ms(plans[0].venue)
    chosen: list[tuple[str, OrderPlan]] = []

    def decide(fold: Fold) -> list[NewEvent]:
        chosen.clear()
        named = [(*intents.client_id(settings.instance, plan, fold), plan) for plan in plans]
        entry = next((n for n, _, plan in named if plan.kind == ENTRY), "")
        exceeds = not entry and any(submit.exceeds_position(fold, plan) for plan in plans)
        if exceeds or any(n in fold.intents.intents for n, _, _ in named):
            return []
        attempt = next(number for _, number, plan in named if plan.leg == LEG_STOP)
        list_id = ids.client_order_id(settings.instance, plans[0].position_id, LEG_LIST, attempt)
        events: list[NewEvent] = []
        for order_id, number, plan in named:
            parent = plan.parent or (entry if plan.kind != ENTRY else "")
            leg = replace(plan, list_id=list_id, parent=parent)
            chosen.append((order_id, leg))
            events += intents.written_down(leg, order_id, number, timestamp_ms, settings.recv_window_ms)
        return events

    desk.commit(decide)
    if not chosen:
        return Sent("", None, str(Reason.DUPLICATE))
    legs = tuple(chosen)
    desk.orders_sent += 1
    desk.entries_sent += plans[0].kind == ENTRY
    error = _send(desk, kind, legs, timestamp_ms, last_check)
    return Sent(legs[0][0], desk.fold().intents.intents.get(legs[0][0]), error)


def _send(desk: Desk, kind: ListKind, legs: Legs, timestamp_ms: int, last_check: LastCheck) -> str:
    """The network step; returns an error text for the log, empty when the exchange took it."""
    first = legs[0][1]
    try:
        report = desk.account_of(first.venue).place_order_list(
            lists.request_of(kind, first.list_id, legs), timestamp_ms, purpose=submit.purpose_of(first),
            before_send=lambda: submit.stop_if_held(last_check),
        )  # fmt: skip
    except VenueError as error:
        submit.book_failure(desk, legs, error)
        desk.run.log.error(error.line(), first.venue, "order list", str(error.code or error.class_))
        return error.line()
    try:
        for leg in report.reports:
            fills.book(desk, leg.client_order_id, leg)
    except VenueError as error:  # accepted, but trades of it cannot be read now: looked up until both are booked
        desk.run.log.error(error.line(), first.venue, "trades", str(error.code or error.class_))
        return error.line()
    _read_until_standing(desk, first.list_id)
    return ""


def look(desk: Desk, list_id: str) -> None:
    """Look every leg of a list up that is not known to be final."""
    for order_id, intent in lists.legs_of(desk.fold(), list_id):
        if is_open(intent):
            lookup.look(desk, order_id, intent)


def _read_until_standing(desk: Desk, list_id: str) -> None:
    """A list whose working order is filled is read again until its legs are NEW, a few times; the next tick goes on."""
    for number in range(submit.LOOKS_AFTER_ACK_MAX):
        waiting = [i for _, i in lists.legs_of(desk.fold(), list_id) if i.status == str(OrderStatus.PENDING_NEW)]
        if not waiting:
            return
        if number:
            clock.pause_s(submit.LOOK_GAP_S)
        look(desk, list_id)
