"""After a reseal: orders and fills that the damaged journal lost are written down anew, as the exchange tells them.

Owns which orders those are and what they changed; sends nothing. An order is lost when it carries our prefix, was
accepted after the last event that is known (or still stands), and no intent bears its id. Where nothing at all is known
(the journal was lost whole), only what is still held is re-booked: the orders after the point where we held least; all
before it is history and part of the opening balances.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from desk.base import ids
from desk.base.money import ZERO, text
from desk.base.reasons import Reason
from desk.execution import fills
from desk.execution.desk import Desk
from desk.execution.intent import (
    ENTRY,
    EXIT,
    LEG_ENTRY,
    LEG_EXIT,
    LEG_STOP,
    LEG_TARGET,
    OrderPlan,
    event,
    next_attempt,
    written_down,
)
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, key
from desk.venues.protocol import OPEN_STATUSES, OrderReport, OrderType, Side, SymbolRules

BACK_MS: Final = 7 * 86_400_000  # as far as every venue lists orders
SLACK_MS: Final = 60_000  # an exchange's clock may be behind ours; the journal names every order it knows anyway
ATTEMPTS_MAX: Final = 200  # of one leg of one position that are looked for
ORDERS_MAX: Final = 200  # written down in one group


def rebook(desk: Desk, venue: str) -> int:
    """Write every lost order down, with its fills; returns how many.

    Raises:
        VenueError: the exchange cannot be read; what was written stays, the rest follows with the next reconcile.
    """
    reports = lost(desk, venue)[:ORDERS_MAX]
    rules, instance = rules_of(desk, venue, reports), desk.run.settings.instance
    desk.commit(lambda fold: intents_of(fold, instance, reports, rules))
    for report in reports:
        if report.client_order_id not in desk.fold().intents.intents:  # no rules: it stays named as a difference
            continue
        settle(desk, venue, report)
    return len(reports)


def settle(desk: Desk, venue: str, report: OrderReport) -> None:
    """What became of an order that was just written down."""
    fills.book(desk, report.client_order_id, report)
    _plan_stop(desk, venue, report)
    desk.run.say(f"REBOOKED {venue} {report.client_order_id}: {report.symbol} {report.side} {report.status}")


def lost(desk: Desk, venue: str) -> list[OrderReport]:
    """Our orders the journal does not know, oldest first; those that ended without a trade count too: their ids are
    used up.

    Raises:
        VenueError: a list cannot be read.
    """
    portfolio, instance = desk.fold().portfolio, desk.run.settings.instance
    since_ms = max(portfolio.resealed_from_ms - SLACK_MS, portfolio.resealed_at_ms - BACK_MS, 0)
    account = desk.account_of(venue)
    standing = account.open_orders()
    found: list[OrderReport] = []
    for symbol in sorted({*symbols(desk, venue), *(report.symbol for report in standing)}):
        listed = {r.order_id: r for r in (*standing, *account.orders_since(symbol, since_ms)) if r.symbol == symbol}
        ours = sorted((r for r in listed.values() if ids.is_ours(r.client_order_id, instance)), key=_age)
        found += ours if portfolio.resealed_from_ms else still_held(ours)
    known = desk.fold().intents.intents
    return [report for report in found if report.client_order_id not in known]


def still_held(orders: list[OrderReport]) -> list[OrderReport]:
    """The orders of one symbol, oldest first, after the point where the sum of them was lowest. Pure."""
    total = lowest = ZERO
    start = 0
    for number, order in enumerate(orders, 1):
        total += order.executed if order.side is Side.BUY else -order.executed
        if total <= lowest:
            lowest, start = total, number
    history, held = orders[:start], orders[start:]
    return [order for order in history if order.status in OPEN_STATUSES and not order.executed] + held


def rules_of(desk: Desk, venue: str, reports: list[OrderReport]) -> dict[str, SymbolRules]:
    """Trading rules of the symbols concerned, asked for before any lock is held; one that has none is absent.

    Raises:
        VenueError: the exchange does not answer.
    """
    found = {symbol: desk.rules(venue, symbol) for symbol in {report.symbol for report in reports}}
    return {symbol: rules for symbol, rules in found.items() if rules is not None}


def intents_of(
    fold: Fold, instance: str, reports: list[OrderReport], rules_by: dict[str, SymbolRules]
) -> list[NewEvent]:  # fmt: skip
    """INTENT_CREATED and INTENT_SENT_UNKNOWN of each report the fold does not know; what became of it is looked up.
    Pure: it runs under the journal lock."""
    events: list[NewEvent] = []
    planned: dict[str, str] = {}  # symbol -> the position that the buys of this group open
    counts: dict[tuple[str, str], int] = {}
    for report in reports:
        rules = rules_by.get(report.symbol)
        if rules is None or report.client_order_id in fold.intents.intents:
            continue
        plan, attempt = _plan(fold, instance, report, rules, planned)
        if _is_protection_of_nothing_known(fold, plan, report, planned):
            continue
        if attempt is None:
            place = (plan.position_id, plan.leg)
            attempt = 0 if plan.kind == ENTRY else max(next_attempt(fold, plan), counts.get(place, 0))
            counts[place] = attempt + 1
        codes = (str(Reason.AUDIT_RESEALED),)
        written = written_down(plan, report.client_order_id, attempt, report.time_ms, 0)
        events += [msgspec.structs.replace(new, reason_codes=codes) for new in written]
    return events


def changes(
    desk: Desk, venue: str, reports: list[OrderReport], rules_by: dict[str, SymbolRules]
) -> dict[str, Decimal]:  # fmt: skip
    """What the trades of these orders did to each asset.

    Raises:
        VenueError: a list cannot be read.
    """
    moved: dict[str, Decimal] = {}
    for report in reports:
        rules = rules_by.get(report.symbol)
        if rules is None or not report.executed:
            continue
        sign = 1 if report.side is Side.BUY else -1
        since_ms = report.time_ms - fills.TRADE_LOOKBACK_MS
        for trade in desk.account_of(venue).my_trades(report.symbol, since_ms):
            if fills.is_of(trade, report.client_order_id, report.order_id):
                paid = trade.quantity * trade.price
                for asset, amount in (
                    (rules.base, sign * trade.quantity), (rules.quote, -sign * paid), (trade.fee_asset, -trade.fee)
                ):  # fmt: skip
                    moved[asset] = moved.get(asset, ZERO) + amount
    return moved


def symbols(desk: Desk, venue: str) -> list[str]:
    """The universe and everything the journal knows of."""
    fold = desk.fold()
    known = {i.symbol for i in fold.intents.intents.values() if i.venue == venue}
    known |= {p.symbol for p in fold.positions.positions.values() if p.venue == venue}
    return sorted(known | set(desk.run.settings.symbols))


def _plan(
    fold: Fold, instance: str, report: OrderReport, rules: SymbolRules, planned: dict[str, str]
) -> tuple[OrderPlan, int | None]:
    """What the order was for. Of a position that is known its id tells leg and attempt, so that neither is ever used
    again; else side and type tell the leg (attempt None), and the position gets a name of its own."""
    is_entry = report.side is Side.BUY
    position = fold.positions.positions.get(key(rules.venue, report.symbol))
    origin = next(_origins(fold, instance, rules.venue, report), None)
    if origin is None:
        fresh = ids.position_id(rules.venue, report.symbol, f"rebooked {report.client_order_id}")
        if is_entry:
            planned.setdefault(report.symbol, position.position_id if position is not None else fresh)
        position_id = planned.get(report.symbol) or (position.position_id if position is not None else fresh)
        leg = LEG_ENTRY if is_entry else LEG_STOP if report.stop_price > ZERO else LEG_EXIT
        origin = (position_id, leg, None)
    position_id, leg, attempt = origin
    return OrderPlan(
        venue=rules.venue, symbol=report.symbol, base=rules.base, quote=rules.quote, kind=ENTRY if is_entry else EXIT,
        leg=leg, side=report.side, type=OrderType.__members__.get(report.type, OrderType.LIMIT),
        quantity=report.quantity, price=report.price, stop_price=report.stop_price, position_id=position_id,
    ), attempt  # fmt: skip


def _is_protection_of_nothing_known(
    fold: Fold, plan: OrderPlan, report: OrderReport, planned: dict[str, str]
) -> bool:  # fmt: skip
    """A standing sale of something bought before the list begins: written down it would be cancelled as an orphan. It
    goes on protecting, and reconcile goes on naming it (lost_order) until it is filled or cancelled by hand."""
    is_known = report.symbol in planned or any(
        position.position_id == plan.position_id for position in fold.positions.positions.values()
    )
    return plan.kind == EXIT and report.status in OPEN_STATUSES and not is_known


def _origins(
    fold: Fold, instance: str, venue: str, report: OrderReport
) -> Iterator[tuple[str, str, int | None]]:  # fmt: skip
    """(position, leg, attempt) whose client order id this is, among all positions of the symbol that are known."""
    symbol = report.symbol
    held = [p.position_id for p in fold.positions.positions.values() if (p.venue, p.symbol) == (venue, symbol)]
    seen = [i.position_id for i in fold.intents.intents.values() if (i.venue, i.symbol) == (venue, symbol)]
    for position_id in dict.fromkeys([*held, *seen]):
        for leg in (LEG_ENTRY, LEG_STOP, LEG_EXIT, LEG_TARGET):
            for attempt in range(1 if leg == LEG_ENTRY else ATTEMPTS_MAX):
                if ids.client_order_id(instance, position_id, leg, attempt) == report.client_order_id:
                    yield position_id, leg, attempt


def _plan_stop(desk: Desk, venue: str, report: OrderReport) -> None:
    """The resting stop's price is the position's: protection goes on from where it stands, never below."""
    position = desk.fold().positions.positions.get(key(venue, report.symbol))
    is_stop = report.side is Side.SELL and report.stop_price > ZERO and report.status in OPEN_STATUSES
    if position is None or not is_stop or report.stop_price <= position.stop_price:
        return
    data = {
        "position_id": position.position_id, "stop_price": text(report.stop_price),
        "target_price": text(position.target_price),
    }  # fmt: skip
    desk.commit_events(event(Event.EXIT_PLANNED, venue, report.symbol, data, position.decision_id))


def _age(report: OrderReport) -> tuple[int, int, str]:
    """Oldest first; within a millisecond by the exchange's number."""
    return report.time_ms, len(report.order_id), report.order_id
