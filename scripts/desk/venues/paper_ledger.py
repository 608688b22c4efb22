"""Changes of the paper books: accept, fill, finish, prune. The only code that moves a balance; decides no price.

Every step is exact: a purchase gives quantity x price of quote and receives the base less its fee, a sale the other
way round; nothing is rounded but the fee, up to 8 decimals. Where a venue takes fees in the quote currency a purchase
pays it on top, out of what it locks, so there it is rounded down: the lock covers it to the last digit.
"""

from decimal import Decimal
from typing import Final

import msgspec

from desk.base.money import ONE, ZERO, ceil_step, floor_step
from desk.venues.paper_books import FEE_STEP, Fill, Order, VenueBooks
from desk.venues.paper_proof import effects
from desk.venues.protocol import OrderStatus, OrderType
from desk.venues.table import VENUES

KEPT_ORDERS: Final = 2000  # closed orders that stay, whatever their age
KEPT_MS: Final = 8 * 86_400_000  # and all younger than this


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the paper exchange costs: section [paper] of the configuration."""

    fee_frac: Decimal
    slippage_frac: Decimal
    latency_ms: int


def quote_fee_frac(venue: str, terms: Terms) -> Decimal:
    """The fee with its tax where the venue takes it in the quote currency; 0 where it comes out of what is received."""
    row = VENUES.get(venue)
    return terms.fee_frac * (ONE + row.fee_tax_frac) if row is not None and row.fee_in_quote else ZERO


def accept(books: VenueBooks, order: Order, reserve: Decimal) -> None:
    """Enter an order under the next id and lock what it may spend; the caller has checked the balance."""
    order.order_id = books.next_order_id
    books.next_order_id += 1
    books.orders.append(order)
    _reserve(books, order, reserve)


def fill(
    books: VenueBooks, order: Order, quantity: Decimal, price: Decimal, terms: Terms, now_ms: int, *, maker: bool
) -> None:
    """Book one trade: balances, fee, reserve, status."""
    received = quantity if order.is_buy else quantity * price
    paid = quantity * price if order.is_buy else quantity
    fee = min(ceil_step(received * terms.fee_frac, FEE_STEP), received)
    if order.quote_fee_frac:
        fee = floor_step(quantity * price * order.quote_fee_frac, FEE_STEP)
    time_ms = now_ms + terms.latency_ms
    order.fills.append(
        Fill(trade_id=books.next_trade_id, quantity=quantity, price=price, fee=fee, time_ms=time_ms, maker=maker)
    )
    books.next_trade_id += 1
    books.holding(order.paid_asset).free -= paid
    books.holding(order.received_asset).free += received
    books.holding(order.fee_asset).free -= fee
    _reserve(books, order, _needed(order, paid + fee))
    order.status = OrderStatus.PARTIALLY_FILLED
    order.update_ms = time_ms
    if not order.remaining:
        finish(books, order, OrderStatus.FILLED, now_ms, terms)


def finish(books: VenueBooks, order: Order, status: OrderStatus, now_ms: int, terms: Terms) -> None:
    """End an order and free what it still locks."""
    _reserve(books, order, ZERO)
    order.status = status
    order.due_ms = 0
    order.update_ms = now_ms + terms.latency_ms


def prune(books: VenueBooks, now_ms: int) -> None:
    """Forget closed orders beyond the last 2000 that are older than 8 days; their balance changes stay in `pruned`."""
    closed = [order for order in books.orders if not order.is_open]
    gone = [order for order in closed[:-KEPT_ORDERS] if order.update_ms < now_ms - KEPT_MS]
    if not gone:
        return
    for asset, change in effects(gone).items():
        books.pruned[asset] = books.pruned.get(asset, ZERO) + change
    names = {order.order_id for order in gone}
    books.orders = [order for order in books.orders if order.order_id not in names]


def _needed(order: Order, paid: Decimal) -> Decimal:
    """What the order locks after having paid."""
    if order.is_buy and order.type is OrderType.MARKET:
        return max(order.reserve - paid, ZERO)
    return order.needed(order.remaining)


def _reserve(books: VenueBooks, order: Order, amount: Decimal) -> None:
    holding = books.holding(order.paid_asset)
    holding.locked += amount - order.reserve
    holding.free -= amount - order.reserve
    order.reserve = amount
