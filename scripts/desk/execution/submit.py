"""Sending one order (design 4.8). Owns the order of steps; every outcome ends as an event.

breaker and connection -> timestamp -> INTENT_CREATED + INTENT_SENT_UNKNOWN durable -> last check of the latches ->
bytes -> CONFIRMED, FAILED_TERMINAL (the venue's definite no), FAILED_TERMINAL(not_sent) (our proof that no byte left),
or it stays SENT_UNKNOWN and is looked up. One attempt; no redirect; nothing is ever sent again.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import WorldError
from desk.base.reasons import Reason, find
from desk.execution import fills, lookup, symbol_care, trouble
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.intent import OrderPlan
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent, is_open, key
from desk.venues.outcome import Klass, VenueError
from desk.venues.protocol import OrderType
from desk.venues.table import Purpose

LastCheck = Callable[[], str]  # the reason code that stops the order now, empty for none
FILTER_CLASSES = frozenset({Klass.LOCAL_BUG})
IMMEDIATE: Final = frozenset({OrderType.MARKET, OrderType.LIMIT_IOC, OrderType.LIMIT_FOK})
LOOKS_AFTER_ACK_MAX: Final = 3
LOOK_GAP_S: Final = 0.2


class Stopped(WorldError):
    """The last check said no at the moment of writing; its `what` is the reason code."""


class Sent(msgspec.Struct, frozen=True):
    """What became of one submit. `order_id` is empty when the journal refused to write it a second time."""

    order_id: str
    intent: Intent | None
    error: str = ""

    @property
    def stopped_by(self) -> str:
        """The reason code of an order that does not stand: our own when we stopped it, else that it was refused."""
        if self.intent is None:
            return self.error
        return self.intent.code if find(self.intent.code) is not None else str(Reason.REJECTED)


def submit(desk: Desk, plan: OrderPlan, last_check: LastCheck) -> Sent:
    """Write the order down, send it once, book what came back.

    A breaker, budget or connection that refuses before anything is written leaves no intent: `error` is the code.

    Raises:
        JournalError: the intent could not be made durable; nothing was sent.
        DeadlinePassed: too late in the tick for an entry; nothing was sent.
    """
    if plan.kind == intents.ENTRY:  # an exit whose protection is cancelled already is carried through
        desk.run.check_deadline()
    sent = _over_a_ready_way(desk, plan, last_check)
    if not _is_stamp_refused(sent.intent):
        return sent
    if plan.kind == intents.EXIT:  # definitely not executed: once more, with an id and a stamp of its own
        sent = _over_a_ready_way(desk, plan, last_check)
    if _is_stamp_refused(sent.intent) and _was_refused_before(desk.fold(), plan.venue, sent.order_id):
        trouble.stamp_refused(desk.run, f"{plan.leg} {plan.side} {plan.symbol} {sent.order_id}")
    return sent


def _over_a_ready_way(desk: Desk, plan: OrderPlan, last_check: LastCheck) -> Sent:
    with ExitStack() as way:
        try:
            way.enter_context(desk.account_of(plan.venue).ready(purpose_of(plan)))
        except VenueError as error:
            return not_ready(desk, plan, error)
        return _write_and_send(desk, plan, last_check)


def not_ready(desk: Desk, plan: OrderPlan, error: VenueError) -> Sent:
    """Breaker, budget or connection refused before anything was written down."""
    code = error.reason or str(Reason.NOT_SENT)
    desk.run.log.error(error.line(), plan.venue, "order", code)
    desk.run.warn("WARN", f"{plan.leg} {plan.side} {plan.symbol} not sent: {code}")
    return Sent("", None, code)


def _write_and_send(desk: Desk, plan: OrderPlan, last_check: LastCheck) -> Sent:
    """With the way open: timestamp, one durable group, bytes."""
    settings = desk.run.settings
    timestamp_ms = desk.exchange_ms(plan.venue)
    chosen: list[str] = []

    def decide(fold: Fold) -> list[NewEvent]:
        order_id, attempt = intents.client_id(settings.instance, plan, fold)
        if order_id in fold.intents.intents or exceeds_position(fold, plan):
            return []
        chosen.append(order_id)
        return list(intents.written_down(plan, order_id, attempt, timestamp_ms, settings.recv_window_ms))

    desk.commit(decide)
    if not chosen:
        return Sent("", None, str(Reason.DUPLICATE))
    order_id = chosen[0]
    desk.orders_sent += 1
    desk.entries_sent += plan.kind == intents.ENTRY
    error = _send(desk, plan, order_id, timestamp_ms, last_check)
    return Sent(order_id, desk.fold().intents.intents.get(order_id), error)


def _send(desk: Desk, plan: OrderPlan, order_id: str, timestamp_ms: int, last_check: LastCheck) -> str:
    """The network step; returns an error text for the log, empty when the exchange took it."""
    try:
        report = desk.account_of(plan.venue).place_order(
            intents.request_of(plan, order_id), timestamp_ms, purpose=purpose_of(plan),
            before_send=lambda: stop_if_held(last_check),
        )  # fmt: skip
    except VenueError as error:
        book_failure(desk, ((order_id, plan),), error)
        desk.run.log.error(error.line(), plan.venue, "order", str(error.code or error.class_))
        return error.line()
    try:
        fills.book(desk, order_id, report)
    except VenueError as error:  # accepted, but its trades cannot be read now: unknown until a look-up books both
        desk.run.log.error(error.line(), plan.venue, "trades", str(error.code or error.class_))
        return error.line()
    if not report.status_word:
        _ask_what_became(desk, plan, order_id)
    return ""


def _ask_what_became(desk: Desk, plan: OrderPlan, order_id: str) -> None:
    """The answer said "accepted" and no more (MEXC): ask at once, so that a fill is protected in this tick.

    An order that cannot rest is asked for until it is final, a few times; the next tick goes on.
    """
    for number in range(LOOKS_AFTER_ACK_MAX):
        if number:
            clock.pause_s(LOOK_GAP_S)
        intent = desk.fold().intents.intents.get(order_id)
        if intent is None or not is_open(intent):
            return
        lookup.look(desk, order_id, intent)
        if plan.type not in IMMEDIATE:
            return


def purpose_of(plan: OrderPlan) -> Purpose:
    """What the order is sent for."""
    return Purpose.ENTRY if plan.kind == intents.ENTRY else Purpose.EXIT


def stop_if_held(last_check: LastCheck) -> None:
    """With the connection up, before the first byte: raising here is proof that nothing left.

    Raises:
        Stopped: a latch or an arming factor says no.
    """
    stopped = last_check()
    if stopped:
        raise Stopped(stopped)


def book_failure(desk: Desk, legs: tuple[tuple[str, OrderPlan], ...], error: VenueError) -> None:
    """A refusal is evidence for every leg sent together; an unknown outcome is counted: they are SENT_UNKNOWN."""
    if error.sent == "not_sent":
        why = error.reason or str(error.class_)
        name: Event = Event.INTENT_NOT_SENT
        data: dict[str, Any] = {"why": why, "code": why}
    elif error.sent == "rejected":
        name = Event.INTENT_FAILED_TERMINAL
        data = {"code": str(error.class_), "venue_code": error.code or 0, "message": error.message[:200]}
    else:
        _unanswered(desk, legs, error)
        return
    counts = "filter_reject" if error.sent == "rejected" and error.class_ in FILTER_CLASSES else ""
    ends = [_end(plan, order_id, name, data, "" if n else counts) for n, (order_id, plan) in enumerate(legs)]
    desk.commit_events(*ends)
    if error.sent == "rejected":
        symbol_care.refresh_rules(desk, legs[0][1].venue, legs[0][1].symbol, error.class_)


def _unanswered(desk: Desk, legs: tuple[tuple[str, OrderPlan], ...], error: VenueError) -> None:
    """One lost answer counts once towards the quarantine, however many legs it leaves unknown."""
    order_id, first = legs[0]
    events = []
    for number, (name, plan) in enumerate(legs):
        told = {"client_order_id": name, "why": str(error.class_), "counts": "" if number else "timeout"}
        events.append(intents.event(Event.INTENT_UNANSWERED, plan.venue, plan.symbol, told, plan.decision_id))
    desk.commit_events(*events)
    desk.run.warn("WARN", f"order {order_id} {first.side} {first.symbol}: outcome unknown ({error.class_}); looked up")


def _end(plan: OrderPlan, order_id: str, name: Event, data: dict[str, Any], counts: str) -> NewEvent:
    """One refusal counts once towards the quarantine, however many legs it ends."""
    told = {"client_order_id": order_id, **data} | ({"counts": counts} if name is Event.INTENT_FAILED_TERMINAL else {})
    return intents.event(name, plan.venue, plan.symbol, told, plan.decision_id, (str(data["code"]),))


def _is_stamp_refused(intent: Intent | None) -> bool:
    return intent is not None and intent.code == str(Klass.RESYNC_CLOCK)


def _was_refused_before(fold: Fold, venue: str, order_id: str) -> bool:
    """The venue's order before this one ended in the same refusal; the clock was measured anew in between."""
    earlier = [i for name, i in fold.intents.intents.items() if i.venue == venue and name != order_id]
    return bool(earlier) and _is_stamp_refused(earlier[-1])


def exceeds_position(fold: Fold, plan: OrderPlan) -> bool:
    """An exit never sells more than the position holds free of other exits."""
    if plan.kind != intents.EXIT:
        return False
    position = fold.positions.positions.get(key(plan.venue, plan.symbol))
    if position is None or position.position_id != plan.position_id:
        return True
    return plan.quantity > position.quantity - intents.reserved(fold, position)
