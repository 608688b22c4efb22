"""Three-way money (P5): journal, exchange and balances compared; every difference gets a name. Pure.

Drift score 0-100 (rules.md): orders x4 max 40, positions x6 max 30, balances x4 max 20, protection x2 max 10.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from desk.base import ids
from desk.base.money import ZERO, text
from desk.journal.state import Fold, is_open, is_unsettled
from desk.venues.protocol import Balance, OrderReport, Trade

WEIGHTS: Final[Mapping[str, tuple[int, int]]] = {  # kind -> (points each, points at most)
    "orders": (4, 40),
    "positions": (6, 30),
    "balances": (4, 20),
    "protection": (2, 10),
}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One named difference. `subject` is a symbol, an asset or an order id."""

    kind: str  # orders, positions, balances, protection
    name: str
    venue: str
    subject: str
    detail: str


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What one exchange says now: open orders, trades since a time, balances."""

    venue: str
    orders: tuple[OrderReport, ...]
    trades: tuple[Trade, ...]
    balances: dict[str, Balance]


def compare(fold: Fold, truth: Truth, instance: str) -> tuple[Difference, ...]:
    """Every difference between the folded journal and one exchange's truth."""
    return (
        *_orders(fold, truth, instance),
        *_trades(fold, truth),
        *_balances(fold, truth),
        *_positions(fold, truth.venue),
    )


def score(differences: Sequence[Difference]) -> int:
    """The drift score of all differences together."""
    total = 0
    for kind, (each, most) in WEIGHTS.items():
        total += min(most, each * sum(1 for d in differences if d.kind == kind))
    return total


def _orders(fold: Fold, truth: Truth, instance: str) -> list[Difference]:
    found = []
    standing = {order.client_order_id for order in truth.orders}
    for order in truth.orders:
        intent = fold.intents.intents.get(order.client_order_id)
        if intent is None:
            name = "lost_order" if ids.is_ours(order.client_order_id, instance) else "foreign_order"
            found.append(_diff("orders", name, truth.venue, order.client_order_id, f"{order.symbol} {order.side}"))
        elif not is_open(intent):
            found.append(_diff("orders", "stands_but_closed_here", truth.venue, order.client_order_id, intent.state))
    for name, intent in fold.intents.intents.items():
        if intent.venue != truth.venue or name in standing:
            continue
        if intent.state == "CONFIRMED" and is_open(intent):
            found.append(_diff("orders", "open_here_only", truth.venue, name, intent.status))
        elif is_unsettled(intent):
            missing = text(intent.executed - intent.filled)
            found.append(_diff("orders", "fills_missing", truth.venue, name, f"{missing} {intent.base} not booked"))
    return found


def _trades(fold: Fold, truth: Truth) -> list[Difference]:
    """Trades nobody here booked: ours by client id are booked before the comparison, so these are foreign.

    One older than INITIAL_CAPITAL is history, in the opening balances already (rules.md, exposure).
    """
    opened_ms = fold.portfolio.opened_ms.get(truth.venue, 0)
    booked = {(i.symbol, t) for i in fold.intents.intents.values() if i.venue == truth.venue for t in i.trade_ids}
    return [
        _diff(
            "orders",
            "foreign_trade",
            truth.venue,
            trade.trade_id,
            f"{trade.symbol} {trade.side} {text(trade.quantity)}",
        )
        for trade in truth.trades
        if (trade.symbol, trade.trade_id) not in booked and trade.time_ms > opened_ms
    ]


def _balances(fold: Fold, truth: Truth) -> list[Difference]:
    found = []
    books = fold.portfolio.balances.get(truth.venue, {})
    for asset in sorted(books.keys() | truth.balances.keys()):
        held = truth.balances.get(asset)
        there = held.free + held.locked if held is not None else ZERO
        here = books.get(asset, ZERO)
        if here != there:
            detail = f"exchange {text(there)}, journal {text(here)}, difference {text(there - here)}"
            found.append(_diff("balances", "balance", truth.venue, asset, detail))
    return found


def _positions(fold: Fold, venue: str) -> list[Difference]:
    """Positions and dust must add up to what fills did to each base asset."""
    held: dict[str, Decimal] = {}
    for name, position in fold.positions.positions.items():
        if name.startswith(venue + ":"):
            held[position.base] = held.get(position.base, ZERO) + position.quantity
    for name, dust in fold.positions.dust.items():
        if name.startswith(venue + ":"):
            held[dust.base] = held.get(dust.base, ZERO) + dust.quantity
    found = []
    books, opening = fold.portfolio.balances.get(venue, {}), fold.portfolio.opening.get(venue, {})
    for base, quantity in held.items():
        moved = books.get(base, ZERO) - opening.get(base, ZERO)
        if moved != quantity:
            detail = f"positions {text(quantity)}, fills {text(moved)}"
            found.append(_diff("positions", "position", venue, base, detail))
    return found


def _diff(kind: str, name: str, venue: str, subject: str, detail: str) -> Difference:
    return Difference(kind=kind, name=name, venue=venue, subject=subject, detail=detail)
