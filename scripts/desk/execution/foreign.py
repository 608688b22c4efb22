"""Orders on our account that are not ours: written down when seen, the kill switch engaged, booked once settled.

Journals FOREIGN_SEEN and FOREIGN_TRADE; sends nothing. In LIVE an order or trade newer than INITIAL_CAPITAL that is
not under our prefix means that somebody else holds the key: `key_compromise_suspected` (rules.md, Kill switch).
"""

from decimal import Decimal
from typing import Final

import msgspec

from desk.base import ids
from desk.base.money import text
from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.execution import auto_kill, compare_trades
from desk.execution.compare_trades import Stranger
from desk.execution.desk import Desk
from desk.execution.difference import Truth
from desk.execution.intent import event
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.intent_table import SENT_UNKNOWN
from desk.journal.state import Fold, Foreign, foreign_key
from desk.risk import kill_switch, latches, observed
from desk.risk.kill_reasons import KEY_COMPROMISE
from desk.venues.protocol import SymbolRules

ADOPTED: Final = "adopt"
GROUP_TRADES_MAX: Final = 200  # booked in one group
NOTED_MAX: Final = 50  # in one run; the others are named all the same, and written down by the next ones


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign order as seen now."""

    symbol: str
    order_id: str
    client_order_id: str
    side: str
    quantity: Decimal
    has_traded: bool


def symbols(fold: Fold, venue: str) -> set[str]:
    """Symbols in which foreign orders of a venue were seen."""
    return {name.split(":")[1] for name in fold.portfolio.foreign if name.startswith(venue + ":")}


def unsettled(fold: Fold, venue: str = "") -> dict[str, Foreign]:
    """Foreign orders the owner has not spoken on, by key."""
    known = fold.portfolio.foreign.items()
    return {name: found for name, found in known if not found.how and name.startswith(f"{venue}:" if venue else "")}


def suspect(desk: Desk, truth: Truth) -> None:
    """Engage for what is new (LIVE), then write it down: a crash in between engages again."""
    fresh = [one for one in _sightings(desk, truth) if _is_new(desk.fold(), truth.venue, one)][:NOTED_MAX]
    if not fresh:
        return
    if desk.run.settings.mode is Mode.LIVE:
        _engage(desk, truth.venue, fresh)
    desk.commit_events(
        *(
            event(
                Event.FOREIGN_SEEN, truth.venue, one.symbol,
                {"order_id": one.order_id, "client_order_id": one.client_order_id, "side": one.side,
                 "quantity": text(one.quantity)},
                codes=(str(Reason.FOREIGN_ORDER),),
            )
            for one in fresh
        )
    )  # fmt: skip


def book_settled(desk: Desk, truth: Truth) -> None:
    """FOREIGN_TRADE for trades of orders the owner has adopted, those that come later too."""
    found: list[NewEvent] = []
    for one in compare_trades.strangers(desk.fold(), truth, desk.run.settings.instance):
        known = desk.fold().portfolio.foreign.get(foreign_key(truth.venue, one.symbol, one.order_id))
        rules = truth.rules.get(one.symbol)
        if known is not None and known.how == ADOPTED and rules is not None:
            found += trade_events(truth.venue, one, rules)
    book(desk, found)


def book(desk: Desk, trades: list[NewEvent]) -> None:
    """Append FOREIGN_TRADE events, in groups a journal takes, but for those booked meanwhile."""
    for start in range(0, len(trades), GROUP_TRADES_MAX):
        part = trades[start : start + GROUP_TRADES_MAX]
        desk.commit(lambda fold, part=part: [new for new in part if not _is_booked(fold, new)])  # type: ignore[misc]


def _is_booked(fold: Fold, new: NewEvent) -> bool:
    known = fold.portfolio.foreign.get(foreign_key(new.venue, new.symbol, new.data["order_id"]))
    return known is not None and new.data["trade_id"] in known.trade_ids


def trade_events(venue: str, one: Stranger, rules: SymbolRules) -> list[NewEvent]:
    """The order's unbooked trades as events."""
    return [
        event(
            Event.FOREIGN_TRADE, venue, one.symbol,
            {
                "order_id": one.order_id, "trade_id": trade.trade_id, "side": str(trade.side), "base": rules.base,
                "quote": rules.quote, "quantity": text(trade.quantity), "price": text(trade.price),
                "fee": text(trade.fee), "fee_asset": trade.fee_asset, "time_ms": trade.time_ms,
            },
        )
        for trade in one.trades
    ]  # fmt: skip


def _sightings(desk: Desk, truth: Truth) -> list[Sighting]:
    """Orders newer than the opening balances that stand, and orders with trades newer than it, not under our prefix."""
    fold, instance = desk.fold(), desk.run.settings.instance
    opened_ms = fold.portfolio.opened_ms.get(truth.venue, 0)
    found: dict[tuple[str, str], Sighting] = {}
    for order in truth.orders:
        is_old = 0 < order.time_ms <= opened_ms  # some venues give no time: then it may be new
        is_known = order.client_order_id in fold.intents.intents or ids.is_ours(order.client_order_id, instance)
        if not is_known and not is_old:
            found[order.symbol, order.order_id] = Sighting(
                symbol=order.symbol, order_id=order.order_id, client_order_id=order.client_order_id,
                side=str(order.side), quantity=order.quantity, has_traded=False,
            )  # fmt: skip
    waiting = {i.symbol for i in fold.intents.intents.values() if i.state == SENT_UNKNOWN and i.venue == truth.venue}
    for one in compare_trades.strangers(fold, truth, instance):
        may_be_ours = (
            not one.client_order_id and one.symbol in waiting
        )  # an order of ours whose number nobody knows yet
        if not one.is_ours and not may_be_ours:
            found[one.symbol, one.order_id] = Sighting(
                symbol=one.symbol, order_id=one.order_id, client_order_id=one.client_order_id, side=one.side,
                quantity=one.quantity, has_traded=True,
            )  # fmt: skip
    return list(found.values())


def _is_new(fold: Fold, venue: str, one: Sighting) -> bool:
    """Never seen, or more of it was traded since, and the owner has not adopted it."""
    known = fold.portfolio.foreign.get(foreign_key(venue, one.symbol, one.order_id))
    if known is None or known.how == ADOPTED:
        return known is None
    return one.has_traded if known.how else one.quantity > known.quantity


def _engage(desk: Desk, venue: str, fresh: list[Sighting]) -> None:
    before = latches.effective(desk.run.home, desk.fold(), desk.run.settings).kill
    marks = observed.key_marks(desk.run.settings)
    kill_switch.engage(desk.run.home, desk.run.journal, KEY_COMPROMISE, desk.run.door, key_marks=marks)
    if not before.active or KEY_COMPROMISE not in before.reasons:
        first, more = fresh[0], f" and {len(fresh) - 1} more" if len(fresh) > 1 else ""
        where = f"{venue} {first.symbol} {first.side} order {first.order_id}{more}"
        desk.run.warn("CRIT", f"Kill-switch activated: {KEY_COMPROMISE} ({where} is not ours)")
    auto_kill.cancel_under_kill(desk)
