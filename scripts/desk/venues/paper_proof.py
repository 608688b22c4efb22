"""The paper books prove themselves: opening + pruned + trades = balances, to the last digit. Pure; changes nothing.

Checked on every read (a hand edit) and before every write (a bug of ours), so that P5 has an exchange to hold
against. The answer is a sentence, empty when all holds.
"""

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise

from desk.base.money import ZERO, text
from desk.venues.paper_books import Order, VenueBooks
from desk.venues.protocol import OrderStatus, OrderType


def problem(books: VenueBooks) -> str:
    """What does not hold in one venue's books; empty when everything does."""
    try:
        return _balances(books) or _ids(books) or next(filter(None, map(_order, books.orders)), "")
    except ArithmeticError:  # comparing with a NaN
        return "holds a number that is not one"


def effects(orders: Iterable[Order]) -> dict[str, Decimal]:
    """Balance change per asset of all fills of the orders."""
    total: dict[str, Decimal] = {}
    for order in orders:
        for fill in order.fills:
            base, quote = fill.quantity, -fill.quantity * fill.price
            if not order.is_buy:
                base, quote = -base, -quote
            total[order.base] = total.get(order.base, ZERO) + base
            total[order.quote] = total.get(order.quote, ZERO) + quote
            total[order.fee_asset] -= fill.fee
    return total


def _balances(books: VenueBooks) -> str:
    traded = effects(books.orders)
    reserved: dict[str, Decimal] = {}
    for order in books.orders:
        if order.reserve:
            reserved[order.paid_asset] = reserved.get(order.paid_asset, ZERO) + order.reserve
    for asset in {**books.opening, **books.pruned, **traded, **books.balances, **reserved}:
        holding = books.holding(asset)
        due = sum((part.get(asset, ZERO) for part in (books.opening, books.pruned, traded)), ZERO)
        if not (holding.free >= ZERO and holding.locked >= ZERO):
            return f"{asset} is negative: free {holding.free}, locked {holding.locked}"
        if holding.free + holding.locked != due:
            return f"{asset} stands at {text(holding.free + holding.locked)}, opening and trades say {text(due)}"
        if holding.locked != reserved.get(asset, ZERO):
            return f"{asset} locks {text(holding.locked)}, its orders {text(reserved.get(asset, ZERO))}"
    return ""


def _ids(books: VenueBooks) -> str:
    orders = [order.order_id for order in books.orders]
    trades = [fill.trade_id for order in books.orders for fill in order.fills]
    live = [order.client_order_id for order in books.orders if order.is_open]
    if any(low >= high for low, high in pairwise([0, *orders, books.next_order_id])):
        return "order ids do not ascend below next_order_id"
    if len(set(trades)) != len(trades) or any(not 0 < name < books.next_trade_id for name in trades):
        return "trade ids are not unique below next_trade_id"
    return "" if len(set(live)) == len(live) else "two open orders have one client id"


def _order(order: Order) -> str:
    executed = order.executed
    holds = (
        order.quantity > ZERO
        and executed <= order.quantity
        and all(fill.quantity > ZERO and fill.price > ZERO and fill.fee >= ZERO for fill in order.fills)
        and (order.status is OrderStatus.FILLED) == (executed == order.quantity)
        and (order.status is not OrderStatus.NEW or not executed)
        and (order.status is not OrderStatus.PARTIALLY_FILLED or bool(executed))
        and order.reserve == _reserve(order)
    )
    return "" if holds else f"order {order.order_id} contradicts itself"


def _reserve(order: Order) -> Decimal:
    if not order.is_open:
        return ZERO
    if order.is_buy and order.type is OrderType.MARKET:
        return max(order.reserve, ZERO)
    return order.needed(order.remaining)
