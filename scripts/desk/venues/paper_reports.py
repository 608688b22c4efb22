"""The paper books in the words of the protocol: reports, trades, balances, snapshots. Pure; changes nothing."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from desk.venues.paper_books import Fill, Order, VenueBooks
from desk.venues.protocol import Balance, OrderReport, Trade


class PaperSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's books: opening + pruned + trades = balances, per asset, to the last digit."""

    opening: dict[str, Decimal]
    pruned: dict[str, Decimal]
    orders: tuple[OrderReport, ...]
    trades: tuple[Trade, ...]
    balances: dict[str, Balance]


def report(venue: str, order: Order) -> OrderReport:
    """What the exchange says of one order, all its trades with it."""
    return OrderReport(
        venue=venue, symbol=order.symbol, client_order_id=order.client_order_id, order_id=str(order.order_id),
        side=order.side, type=str(order.type), status=order.status, status_word=str(order.status),
        quantity=order.quantity, executed=order.executed, executed_quote=order.executed_quote, price=order.price,
        stop_price=order.stop_price, time_ms=order.time_ms, update_ms=order.update_ms, trades=trades([order]),
    )  # fmt: skip


def trades(orders: Iterable[Order]) -> tuple[Trade, ...]:
    """The orders' fills as trades, oldest first."""
    found = [_trade(order, fill) for order in orders for fill in order.fills]
    return tuple(sorted(found, key=lambda trade: int(trade.trade_id)))


def balances(books: VenueBooks) -> dict[str, Balance]:
    """Free and locked per asset."""
    return {name: Balance(asset=name, free=held.free, locked=held.locked) for name, held in books.balances.items()}


def snapshot(venue: str, books: VenueBooks) -> PaperSnapshot:
    """Everything at once."""
    return PaperSnapshot(
        opening=books.opening, pruned=books.pruned, trades=trades(books.orders), balances=balances(books),
        orders=tuple(report(venue, order) for order in books.orders),
    )  # fmt: skip


def _trade(order: Order, fill: Fill) -> Trade:
    return Trade(
        trade_id=str(fill.trade_id), symbol=order.symbol, order_id=str(order.order_id),
        client_order_id=order.client_order_id, side=order.side, quantity=fill.quantity, price=fill.price,
        fee=fill.fee, fee_asset=order.fee_asset, time_ms=fill.time_ms, maker=fill.maker,
    )  # fmt: skip
