"""Looking orders up: unknown, open, and watched ones (rules.md, Intents). Evidence only; nothing is ever re-sent.

Not found is evidence only by the venue's row: after the quiet time counted from the signed timestamp in exchange
time, over several complete looks (order by client id, open orders, trades), each some time apart. Where a venue knows
no lookup by client id its client lists open and all orders instead, and a look counts only while the journal explains
the balances too.
"""

from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.execution import fills
from desk.execution.desk import Desk, open_intents
from desk.execution.intent import event
from desk.journal import intent_table
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent, is_open, is_unsettled
from desk.risk import pause
from desk.venues import stream_files, table
from desk.venues.outcome import VenueError
from desk.venues.protocol import OrderStatus

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


def look_at_told(desk: Desk) -> int:
    """Settled orders of which the user data stream says more than was booked, or that they stand although they were not
    found or refused (ADR 029). What it says is only the reason to look; LIVE alone, for paper orders stand nowhere.

    Returns:
        How many could not be looked up.
    """
    if desk.run.settings.mode is not Mode.LIVE:
        return 0
    failed = looked = 0
    known = desk.fold().intents.intents
    for venue in desk.run.settings.venues:
        for name, seen in stream_files.orders_seen(desk.run.home, venue).items():
            intent = known.get(name)
            is_told = intent is not None and intent.venue == venue and _says_more(seen, intent, desk.run.tick_ms)
            if intent is not None and is_told and looked < LOOKS_PER_TICK_MAX:
                looked += 1
                failed += not look(desk, name, intent)
    return failed


def _says_more(seen: stream_files.OrderSeen, intent: Intent, now_ms: int) -> bool:
    """Open and unknown orders are looked up anyway; a refusal told once more says nothing new."""
    if is_open(intent) or is_unsettled(intent) or now_ms - seen.event_ms > WATCH_MS:
        return False
    has_vanished = intent.state in {intent_table.NOT_FOUND, intent_table.FAILED}
    return seen.executed > intent.executed or (has_vanished and seen.status != OrderStatus.REJECTED)


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
    if _appears(desk, order_id, intent) or not (row.lookup_by_client_id or _is_explained(desk, order_id, intent)):
        return
    seen = {"client_order_id": order_id, "requested_ms": requested_ms}
    gone = {"client_order_id": order_id, "looks": intent.looks + 1}
    events = [event(Event.INTENT_LOOKED, intent.venue, intent.symbol, seen, intent.decision_id)]
    if intent.looks + 1 >= row.looks:
        events.append(event(Event.INTENT_NOT_FOUND, intent.venue, intent.symbol, gone, intent.decision_id))
    desk.commit_events(*events)


def _appears(desk: Desk, order_id: str, intent: Intent) -> bool:
    """The other two places: open orders (unless the look listed them already) and trades. What is found is booked.

    A leg was sent in a list: as long as the exchange knows that, the leg is not missing, only not shown yet.
    """
    if intent.list_id and desk.account_of(intent.venue).get_order_list(intent.list_id) is not None:
        return True
    has_listed = bool(intent.list_id) or not table.row(intent.venue).lookup_by_client_id
    for report in () if has_listed else desk.account_of(intent.venue).open_orders(intent.symbol):
        if report.client_order_id == order_id:
            fills.book(desk, order_id, report)
            return True
    trades = fills.trades_of(desk, order_id, intent, intent.order_id)
    if trades:
        desk.commit_events(*(fills.fill_event(order_id, intent, trade) for trade in trades))
    return bool(trades)


def _is_explained(desk: Desk, order_id: str, intent: Intent) -> bool:
    """The balances of the order's two assets are what the journal says, once every other open order is booked.

    An unexplained change in LIVE may be this very order's: PAUSE_NEEDS_MANUAL (rules.md, Intents).
    """
    if not _moved(desk, intent):
        return True
    for name, other in open_intents(desk.fold(), intent.venue)[:LOOKS_PER_TICK_MAX]:
        report = desk.account_of(intent.venue).get_order(other.symbol, name) if name != order_id else None
        if report is not None:
            fills.book(desk, name, report)
    moved = _moved(desk, intent)
    if moved and desk.run.settings.mode is Mode.LIVE:
        where = f"order {order_id} is not found, and the balance of {', '.join(moved)} changed without a known reason"
        desk.alert(Reason.MANUAL_NEEDED, where, order_id, intent.venue, intent.symbol)
        pause.latch_pause(desk.run.home, desk.run.journal, (str(Reason.MANUAL_NEEDED),), desk.run.door)
    return not moved


def _moved(desk: Desk, intent: Intent) -> list[str]:
    """Which of the order's two assets the exchange holds another amount of than the journal."""
    held = desk.account_of(intent.venue).balances()
    books = desk.fold().portfolio.balances.get(intent.venue, {})
    there = {name: balance.free + balance.locked for name, balance in held.items()}
    return [name for name in (intent.base, intent.quote) if there.get(name, ZERO) != books.get(name, ZERO)]


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
