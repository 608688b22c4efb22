"""After a reseal: orders and fills that the damaged journal lost are written down anew, as the exchange tells them.

Owns which orders those are and what they changed; sends nothing. An order is lost when it carries our prefix, was
accepted after the last event that is known, and no intent bears its id. Where nothing at all is known (the journal was
lost whole), only what is still held is re-booked: the orders after the point where we held least; all before it is
history and part of the opening balances.
"""

from decimal import Decimal
from typing import Final

import msgspec

from desk.base import ids
from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.execution import fills
from desk.execution.desk import Desk
from desk.execution.intent import ENTRY, EXIT, LEG_ENTRY, LEG_EXIT, LEG_STOP, OrderPlan, next_attempt, written_down
from desk.journal.chain import NewEvent
from desk.journal.state import Fold, key
from desk.venues.protocol import OPEN_STATUSES, OrderReport, OrderType, Side, SymbolRules

BACK_MS: Final = 7 * 86_400_000  # as far as every venue lists orders
SLACK_MS: Final = 60_000  # an exchange's clock may be behind ours; the journal names every order it knows anyway


def rebook(desk: Desk, venue: str) -> int:
    """Write every lost order down, with its fills; returns how many.

    Raises:
        VenueError: the exchange cannot be read; what was written stays, the rest follows with the next reconcile.
    """
    count = 0
    for report in lost(desk, venue):
        rules = desk.rules(venue, report.symbol)
        if rules is None:  # it stays named as a difference
            continue
        _write_down(desk, report, rules)
        desk.run.say(f"REBOOKED {venue} {report.client_order_id}: {report.symbol} {report.side} {report.status}")
        count += 1
    return count


def lost(desk: Desk, venue: str) -> list[OrderReport]:
    """Our orders the journal does not know, oldest first; those that ended without a trade left nothing behind.

    Raises:
        VenueError: a list cannot be read.
    """
    portfolio, instance = desk.fold().portfolio, desk.run.settings.instance
    since_ms = max(portfolio.resealed_from_ms - SLACK_MS, portfolio.resealed_at_ms - BACK_MS, 0)
    found: list[OrderReport] = []
    for symbol in symbols(desk, venue):
        listed = desk.account_of(venue).orders_since(symbol, since_ms)
        ours = sorted((r for r in listed if ids.is_ours(r.client_order_id, instance)), key=_age)
        found += ours if portfolio.resealed_from_ms else still_held(ours)
    known = desk.fold().intents.intents
    return [r for r in found if r.client_order_id not in known and (r.executed or r.status in OPEN_STATUSES)]


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


def changes(desk: Desk, venue: str) -> dict[str, Decimal]:
    """What the trades of all lost orders did to each asset.

    Raises:
        VenueError: a list cannot be read.
    """
    moved: dict[str, Decimal] = {}
    for report in lost(desk, venue):
        rules = desk.rules(venue, report.symbol)
        if rules is None:
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


def _write_down(desk: Desk, report: OrderReport, rules: SymbolRules) -> None:
    """The intent as if it had just been sent, then what became of it."""
    name = report.client_order_id

    def decide(fold: Fold) -> list[NewEvent]:
        if name in fold.intents.intents:
            return []
        plan = _plan(fold, report, rules)
        attempt = 0 if plan.kind == ENTRY else next_attempt(fold, plan)
        codes = (str(Reason.AUDIT_RESEALED),)
        written = written_down(plan, name, attempt, report.time_ms, 0)
        return [msgspec.structs.replace(new, reason_codes=codes) for new in written]

    desk.commit(decide)
    fills.book(desk, name, report)


def _plan(fold: Fold, report: OrderReport, rules: SymbolRules) -> OrderPlan:
    """What the order must have been for; its id is a hash, so leg and position are told by side and type."""
    position = fold.positions.positions.get(key(rules.venue, report.symbol))
    fresh = ids.position_id(rules.venue, report.symbol, f"rebooked {report.client_order_id}")
    is_entry = report.side is Side.BUY
    is_stop = report.stop_price > ZERO
    return OrderPlan(
        venue=rules.venue, symbol=report.symbol, base=rules.base, quote=rules.quote,
        kind=ENTRY if is_entry else EXIT, leg=LEG_ENTRY if is_entry else LEG_STOP if is_stop else LEG_EXIT,
        side=report.side, type=OrderType.__members__.get(report.type, OrderType.LIMIT), quantity=report.quantity,
        price=report.price, stop_price=report.stop_price,
        position_id=position.position_id if position is not None else fresh,
    )  # fmt: skip


def _age(report: OrderReport) -> tuple[int, int, str]:
    """Oldest first; within a millisecond by the exchange's number."""
    return report.time_ms, len(report.order_id), report.order_id
