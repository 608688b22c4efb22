"""Money bookkeeping of a tick: opening balances, the end of the risk day, equity marks. Decides nothing."""

from decimal import Decimal
from typing import Final

from desk.base import clock
from desk.base.money import ZERO, text
from desk.execution import rebook
from desk.execution.desk import Desk
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold
from desk.venues.outcome import VenueError
from desk.venues.protocol import OrderReport, SymbolRules

OPENING_PASSES_MAX: Final = 3


def open_books(desk: Desk, venue: str) -> bool:
    """INITIAL_CAPITAL, once per venue: every asset the account holds. False while balances cannot be read.

    Opening balances belong to P5's equation, not to positions; trades older than this event are history. After a
    reseal only reconcile opens them (`reopen_books`).
    """
    portfolio = desk.fold().portfolio
    if venue in portfolio.opening:
        return True
    if portfolio.resealed:
        return False
    try:
        totals = _totals(desk, venue)
    except VenueError as error:
        desk.run.log.error(error.line(), venue, "balances", str(error.code or error.class_))
        return False
    return _open(desk, venue, totals, [], {})


def reopen_books(desk: Desk, venue: str) -> bool:
    """As `open_books` after the journal was lost whole: what the orders that are still held changed is no opening
    balance. Those orders are written down in the same group, so that nothing can happen in between."""
    if venue in desk.fold().portfolio.opening:
        return True
    try:
        for _ in range(OPENING_PASSES_MAX):
            reports = rebook.lost(desk, venue)[: rebook.ORDERS_MAX]
            rules = rebook.rules_of(desk, venue, reports)
            changed, totals = rebook.changes(desk, venue, reports, rules), _totals(desk, venue)
            if rebook.lost(desk, venue)[: rebook.ORDERS_MAX] == reports:
                before = {asset: totals.get(asset, ZERO) - changed.get(asset, ZERO) for asset in changed | totals}
                return _open(desk, venue, before, reports, rules)
    except VenueError as error:
        desk.run.log.error(error.line(), venue, "balances", str(error.code or error.class_))
        return False
    desk.run.warn("WARN", f"{venue}: keeps trading while it is read after a reseal; run reconcile.py again")
    return False


def _open(
    desk: Desk, venue: str, totals: dict[str, Decimal], reports: list[OrderReport], rules: dict[str, SymbolRules]
) -> bool:  # fmt: skip
    """One group: the opening balances, and the orders whose doing is not in them."""
    amounts = {asset: text(amount) for asset, amount in totals.items() if amount > ZERO}
    if not amounts:
        desk.run.warn("WARN", f"{venue}: no balance at all; entries stay shut")
        return False

    def decide(fold: Fold) -> list[NewEvent]:
        if venue in fold.portfolio.opening:
            return []
        data = {"balances": dict(sorted(amounts.items()))}
        opened = NewEvent(event=Event.INITIAL_CAPITAL, venue=venue, data=data)
        return [opened, *rebook.intents_of(fold, desk.run.settings.instance, reports, rules)]

    desk.commit(decide)
    for report in reports:
        if report.client_order_id in desk.fold().intents.intents:
            rebook.settle(desk, venue, report)
    return True


def _totals(desk: Desk, venue: str) -> dict[str, Decimal]:
    return {b.asset: b.free + b.locked for b in desk.account_of(venue).balances().values()}


def close_day(desk: Desk) -> bool:
    """DAY_CLOSED for each risk day that ended; once per date, and the day only moves forward."""
    before = desk.fold().portfolio.day_closed
    return desk.commit(_day_end).portfolio.day_closed != before


def mark(desk: Desk, equities: dict[tuple[str, str], Decimal]) -> None:
    """CAPITAL_MARKED for every (venue, quote) whose equity moved, or whose day has not opened yet.

    A mark opens the day it is written in; in a tick that crosses midnight the day before is closed ahead of it.
    """

    def decide(fold: Fold) -> list[NewEvent]:
        today, events = clock.utc_date(clock.now_ms()), []
        for (venue, quote), equity in sorted(equities.items()):
            known = fold.portfolio.capital.get(f"{venue}:{quote}")
            if known is None or known.equity != equity or known.day < today:
                data = {"quote": quote, "equity": text(equity)}
                events.append(NewEvent(event=Event.CAPITAL_MARKED, venue=venue, data=data))
        return [*_day_end(fold), *events] if events else []

    desk.commit(decide)


def _day_end(fold: Fold) -> list[NewEvent]:
    """DAY_CLOSED when the marked day is over by now, and not closed yet."""
    today = clock.utc_date(clock.now_ms())
    days = [capital.day for capital in fold.portfolio.capital.values() if capital.day and capital.day < today]
    ended = max(days, default="")
    if not ended or ended <= fold.portfolio.day_closed:
        return []
    data = {"date": ended, "capital": _summary(fold), "counts": fold.portfolio.day}
    return [NewEvent(event=Event.DAY_CLOSED, data=data)]


def _summary(fold: Fold) -> dict[str, dict[str, str]]:
    return {
        name: {
            "equity": text(capital.equity), "day_open": text(capital.day_open), "peak": text(capital.peak),
            "realised": text(capital.realised),
        }
        for name, capital in sorted(fold.portfolio.capital.items())
    }  # fmt: skip
