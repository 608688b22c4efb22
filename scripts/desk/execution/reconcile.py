"""Reconcile: exchange truth into the journal, then the comparison. Books evidence, never sends an order.

Order of work: unknown and open orders are looked up; refused and not-found ones of the last 24 h are watched; trades
of the last day are booked; then journal, exchange and balances are compared and every difference is named.
"""

import msgspec

from desk.base.reasons import Reason
from desk.execution import books, compare, fills, lookup, rebook
from desk.execution.compare import Difference, Truth
from desk.execution.desk import Desk
from desk.execution.intent import event
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold
from desk.venues.outcome import VenueError
from desk.venues.protocol import Trade

TRADES_BACK_MS = 86_400_000
DIFFERENCES_SHOWN_MAX = 50
PASSES_MAX = 3


class Result(msgspec.Struct, frozen=True):
    """What one reconcile found. `failed` names venues that could not be read: then nothing is clean."""

    differences: tuple[Difference, ...]
    failed: tuple[str, ...]
    score: int

    @property
    def clean(self) -> bool:
        """Every venue was read whole and nothing differs."""
        return not self.differences and not self.failed


def run(desk: Desk, venues: tuple[str, ...], usable: tuple[str, ...] | None = None) -> Result:
    """Reconcile every listed venue; one that fails does not stop the others.

    Args:
        usable: those whose account can be asked; None = all.
    """
    lookup.deny_never_sent(desk)
    differences: list[Difference] = []
    failed = []
    for venue in venues:
        if (usable is not None and venue not in usable) or not _opened(desk, venue):
            failed.append(venue)
            continue
        found, is_whole = _compare(desk, venue)
        differences.extend(found)
        if not is_whole:
            failed.append(venue)
    lookup.alert_old_unknowns(desk)
    result = Result(tuple(differences), tuple(failed), compare.score(differences))
    _write_down(desk, result)
    return result


def _opened(desk: Desk, venue: str) -> bool:
    """The books stand; after a reseal the exchange's word comes first. False when it cannot be read whole."""
    if not desk.fold().portfolio.resealed:
        return books.open_books(desk, venue)
    try:
        if not books.reopen_books(desk, venue):
            return False
        rebook.rebook(desk, venue)
    except VenueError as error:
        desk.run.log.error(error.line(), venue, "rebook", str(error.code or error.class_))
        return False
    return True


def _compare(desk: Desk, venue: str) -> tuple[tuple[Difference, ...], bool]:
    """One venue's differences, and whether everything could be read.

    No lease keeps the router from trading between two of our reads, so a difference counts when a second pass shows
    the very same, or when it is still there after the last one.
    """
    before: tuple[Difference, ...] = ()
    for _ in range(PASSES_MAX):
        unread = lookup.look_at_all(desk, venue) + lookup.look_at_watched(desk, venue)
        truth = _read(desk, venue)
        if truth is None:
            return before, False
        found = compare.compare(desk.fold(), truth, desk.run.settings.instance)
        if unread or not found or found == before:
            return found, not unread
        before = found
    return before, True


def _read(desk: Desk, venue: str) -> Truth | None:
    """Open orders, the last day's trades (ours are booked at once) and balances; None when one cannot be read."""
    account = desk.account_of(venue)
    since = desk.exchange_ms(venue) - TRADES_BACK_MS
    try:
        trades = tuple(trade for symbol in rebook.symbols(desk, venue) for trade in account.my_trades(symbol, since))
        _book_ours(desk, venue, trades)
        return Truth(venue=venue, orders=account.open_orders(), trades=trades, balances=account.balances())
    except VenueError as error:
        desk.run.log.error(error.line(), venue, "reconcile", str(error.code or error.class_))
        return None


def _book_ours(desk: Desk, venue: str, trades: tuple[Trade, ...]) -> None:
    """FILLs for trades of orders the journal knows; repeats are dropped by the journal."""

    def decide(fold: Fold) -> list[NewEvent]:
        known = ((name, i) for name, i in fold.intents.intents.items() if i.order_id and i.venue == venue)
        by_exchange_id = {(i.symbol, i.order_id): name for name, i in known}  # exchanges number orders per symbol
        found = []
        for trade in trades:
            name = trade.client_order_id or by_exchange_id.get((trade.symbol, trade.order_id), "")
            intent = fold.intents.intents.get(name)
            if intent is not None and trade.trade_id not in intent.trade_ids:
                found.append(fills.fill_event(name, intent, trade))
        return found

    desk.commit(decide)


def _write_down(desk: Desk, result: Result) -> None:
    """RECONCILE_DIFF for each difference, alerts by the score's limits, RECONCILE_DONE."""
    limits = desk.run.settings.config.reconcile
    events = [
        event(
            Event.RECONCILE_DIFF,
            d.venue,
            "",
            {"name": d.name, "kind": d.kind, "subject": d.subject, "detail": d.detail},
        )
        for d in result.differences[:DIFFERENCES_SHOWN_MAX]
    ]
    for reason, limit in ((Reason.DRIFT_PAUSE, limits.drift_pause), (Reason.DRIFT_DEGRADE, limits.drift_degrade),
                          (Reason.DRIFT_WARN, limits.drift_warn)):  # fmt: skip
        if result.score >= limit:
            desk.run.warn(reason.severity, f"{reason.alias or reason}: drift score {result.score} -> {reason.action}")
            events.append(check.alert(reason, f"drift score {result.score}"))
            break
    done = {
        "clean": result.clean,
        "score": result.score,
        "differences": len(result.differences),
        "failed": list(result.failed),
    }
    events.append(NewEvent(event=Event.RECONCILE_DONE, data=done))
    desk.commit_events(*events)
