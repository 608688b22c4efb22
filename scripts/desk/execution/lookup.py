"""Looking orders up: unknown, open, and watched ones (rules.md, Intents). Evidence only; nothing is ever re-sent.

Not found is evidence only by the venue's row: after the quiet time counted from the signed timestamp in exchange
time, over several complete looks (order by client id, open orders, trades), each some time apart.
"""

from desk.base.reasons import Reason
from desk.execution import fills
from desk.execution.desk import Desk, open_intents
from desk.execution.intent import event
from desk.journal import intent_table
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent
from desk.venues import table
from desk.venues.outcome import VenueError

LOOKS_PER_TICK_MAX = 30
WATCH_MS = 86_400_000  # NOT_FOUND is watched 24 h


def deny_never_sent(desk: Desk) -> int:
    """CREATED without SENT_UNKNOWN never left this host: DENIED `intent:never_sent`. Returns how many."""

    code = str(Reason.NEVER_SENT)

    def decide(fold: Fold) -> list[NewEvent]:
        return [
            event(
                Event.INTENT_DENIED, intent.venue, intent.symbol,
                {"client_order_id": name, "code": code}, intent.decision_id, (code,),
            )
            for name, intent in fold.intents.intents.items()
            if intent.state == intent_table.CREATED
        ]  # fmt: skip

    before = sum(1 for i in desk.fold().intents.intents.values() if i.state == intent_table.CREATED)
    if before:
        desk.commit(decide)
    return before


def look_at_all(desk: Desk, venue: str = "", symbol: str = "") -> int:
    """Look up every open or unsettled order (bounded per tick); one that fails does not stop the others.

    Returns:
        How many could not be looked up.
    """
    failed = 0
    for name, intent in open_intents(desk.fold(), venue, symbol)[:LOOKS_PER_TICK_MAX]:
        failed += not look(desk, name, intent)
    return failed


def look_at_watched(desk: Desk, venue: str) -> int:
    """Reconcile's second look at NOT_FOUND and refused orders of the last 24 h: they may still appear."""
    failed = 0
    now = desk.run.tick_ms
    for name, intent in list(desk.fold().intents.intents.items()):
        is_watched = intent.state in {intent_table.NOT_FOUND, intent_table.FAILED} and now - intent.final_ms < WATCH_MS
        if is_watched and intent.timestamp_ms and intent.venue == venue and intent.code != "disowned":
            failed += not look(desk, name, intent)
    return failed


def look(desk: Desk, order_id: str, intent: Intent) -> bool:
    """One look-up of one order; False when the exchange could not be asked."""
    requested_ms = desk.exchange_ms(intent.venue)
    try:
        report = desk.account_of(intent.venue).get_order(intent.symbol, order_id)
        if report is not None:
            fills.book(desk, order_id, report)
        elif intent.state == intent_table.SENT_UNKNOWN:
            _count_look(desk, order_id, intent, requested_ms)
    except VenueError as error:
        desk.run.log.error(error.line(), intent.venue, "look-up", str(error.code or error.class_))
        return False
    return True


def _count_look(desk: Desk, order_id: str, intent: Intent, requested_ms: int) -> None:
    row = table.row(intent.venue)
    quiet_ms = row.quiet_s * 1000 + (intent.recv_window_ms if row.quiet_adds_recv_window else 0)
    if requested_ms <= intent.timestamp_ms + quiet_ms:
        return
    if intent.looks and requested_ms - intent.last_look_ms < row.look_gap_s * 1000:
        return
    if _appears(desk, order_id, intent):
        return
    seen = {"client_order_id": order_id, "requested_ms": requested_ms}
    gone = {"client_order_id": order_id, "looks": intent.looks + 1}
    events = [event(Event.INTENT_LOOKED, intent.venue, intent.symbol, seen, intent.decision_id)]
    if intent.looks + 1 >= row.looks:
        events.append(event(Event.INTENT_NOT_FOUND, intent.venue, intent.symbol, gone, intent.decision_id))
    desk.commit_events(*events)


def _appears(desk: Desk, order_id: str, intent: Intent) -> bool:
    """The other two places: open orders and trades. What is found there is booked."""
    account = desk.account_of(intent.venue)
    for report in account.open_orders(intent.symbol):
        if report.client_order_id == order_id:
            fills.book(desk, order_id, report)
            return True
    trades = fills.trades_of(desk, order_id, intent, intent.order_id)
    if trades:
        desk.commit_events(*(fills.fill_event(order_id, intent, trade) for trade in trades))
    return bool(trades)


def alert_old_unknowns(desk: Desk) -> None:
    """An order unresolved for 5 minutes warns, for 30 minutes is critical."""
    limits = desk.run.settings.config.entries
    for name, intent in open_intents(desk.fold()):
        if intent.state != intent_table.SENT_UNKNOWN:
            continue
        age_s = (desk.run.tick_ms - intent.created_ms) // 1000
        if age_s > limits.unresolved_crit_s:
            desk.alert(Reason.STUCK_ORDER, f"order {name} unresolved", name, intent.venue, intent.symbol)
        elif age_s > limits.unresolved_warn_s:
            desk.alert(Reason.UNKNOWN_ORDER, f"order {name} unresolved", name, intent.venue, intent.symbol)
