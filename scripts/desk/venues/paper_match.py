"""Matching against real books: what a paper order takes, when it rests, when a stop triggers. Pure but for the ledger.

Takers walk the shown levels, each price worsened by the slippage but never beyond the limit. Resting orders fill only
when the other side goes through their price, at their price, from the depth at or through it: touching is not
enough, the queue before us is unknown. Depth taken from one shown book is gone until a newer book is shown.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from desk.base.money import ONE, ZERO, ceil_step, divide, floor_step, is_multiple, text
from desk.venues import paper_ledger as ledger
from desk.venues.paper_books import ONE_SHOT_TYPES, Eaten, Order, VenueBooks
from desk.venues.paper_ledger import Terms
from desk.venues.protocol import Book, Level, OrderStatus, OrderType, Side

PRICE_PLACES_MAX: Final = 12  # with LOT_PLACES_MAX: sums of products stay exact within 40 digits
LOT_PLACES_MAX: Final = 10
GRIDLESS_TICK: Final = Decimal("1e-8")  # for symbols without a tick, unless their prices are finer
FINEST_TICK: Final = Decimal(1).scaleb(-PRICE_PLACES_MAX)
FINEST_LOT: Final = Decimal(1).scaleb(-LOT_PLACES_MAX)
PRICE_MAX: Final = Decimal("1e15")  # a shown price above it is no price
Taking = tuple[Decimal, Decimal, Decimal]  # shown price, our price, quantity


class Depth:
    """What one shown book still offers us: the levels less what our fills took from it."""

    def __init__(self, books: VenueBooks, book: Book) -> None:
        self._books, self._symbol = books, book.symbol
        known = books.eaten.get(book.symbol)
        is_current = known is not None and known.as_of_ms >= book.as_of_ms
        self._eaten = known if known is not None and is_current else Eaten(as_of_ms=book.as_of_ms)
        self._sides = {
            Side.BUY: sorted(_real(book.asks), key=lambda level: level.price),
            Side.SELL: sorted(_real(book.bids), key=lambda level: -level.price),
        }

    @property
    def middle(self) -> Decimal:
        """Mid price; 0 when a side is empty."""
        asks, bids = self._sides[Side.BUY], self._sides[Side.SELL]
        return (asks[0].price + bids[0].price) / 2 if asks and bids else ZERO

    def best(self, side: Side) -> Decimal:
        """Best price an order of this side meets; 0 when there is none."""
        levels = self._sides[side]
        return levels[0].price if levels else ZERO

    def against(self, side: Side) -> Iterable[Level]:
        """Levels an order of this side may still take, best first."""
        gone = self._gone(side)
        for level in self._sides[side]:
            left = level.quantity - gone.get(text(level.price), ZERO)
            if left > ZERO:
                yield Level(level.price, left)

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Remember what was taken."""
        gone, name = self._gone(side), text(price)
        gone[name] = gone.get(name, ZERO) + quantity
        self._books.eaten[self._symbol] = self._eaten

    def _gone(self, side: Side) -> dict[str, Decimal]:
        return self._eaten.asks if side is Side.BUY else self._eaten.bids


def is_crossed(book: Book) -> bool:
    """Best bid at or above best ask: no market stands behind such a book."""
    asks, bids = _real(book.asks), _real(book.bids)
    return bool(asks and bids) and max(level.price for level in bids) >= min(level.price for level in asks)


def would_take(side: Side, price: Decimal, depth: Depth) -> bool:
    """A limit order at this price meets the other side at once."""
    best = depth.best(side)
    return bool(best) and _within(side, price, best)


def would_trigger(side: Side, order_type: OrderType, stop_price: Decimal, depth: Depth) -> bool:
    """The stop's condition holds: best bid for a sale, best ask for a purchase, at or beyond the stop price."""
    seen = depth.best(side)
    falls = (side is Side.SELL) == (order_type is OrderType.STOP_LOSS_LIMIT)
    return bool(seen) and (seen <= stop_price if falls else seen >= stop_price)


def plan(order: Order, depth: Depth, terms: Terms, wanted: Decimal) -> list[Taking]:
    """What the order would take at once, level by level, within its limit."""
    takings: list[Taking] = []
    for level in depth.against(order.side):
        if wanted <= ZERO or (order.price and not _within(order.side, order.price, level.price)):
            break
        quantity = min(wanted, floor_step(level.quantity, _lot(order)))
        if quantity > ZERO:
            takings.append((level.price, _worse(order, level.price, terms), quantity))
            wanted -= quantity
    return takings


def activate(books: VenueBooks, order: Order, depth: Depth, terms: Terms, now_ms: int, fraction: Decimal = ONE) -> None:
    """A new, late or triggered order meets the book: it takes what it may, then is filled, rests, or expires.

    Args:
        fraction: at most this part of the quantity is taken now (fault on demand).
    """
    order.due_ms = 0
    wanted = order.remaining if fraction == ONE else floor_step(order.quantity * fraction, _lot(order))
    takings = [] if order.type is OrderType.LIMIT_MAKER else plan(order, depth, terms, min(wanted, order.remaining))
    taken = sum((quantity for _, _, quantity in takings), ZERO)
    if order.type is not OrderType.LIMIT_FOK or taken == order.remaining:
        for shown, price, quantity in takings:
            _take(books, order, depth, (shown, price, quantity), terms, now_ms)
    if order.is_open and order.type in ONE_SHOT_TYPES:
        ledger.finish(books, order, OrderStatus.EXPIRED, now_ms, terms)


def advance(books: VenueBooks, book: Book, terms: Terms, now_ms: int) -> bool:
    """Show a fresh book to the symbol's open orders, oldest first; True when anything changed."""
    known = books.eaten.get(book.symbol)
    if is_crossed(book) or (known is not None and book.as_of_ms < known.as_of_ms):
        return False
    depth, changed = Depth(books, book), False
    for order in books.open_orders(book.symbol):
        changed = _advance(books, order, depth, terms, now_ms) or changed
    return changed


def _advance(books: VenueBooks, order: Order, depth: Depth, terms: Terms, now_ms: int) -> bool:
    if not order.working:
        if not would_trigger(order.side, order.type, order.stop_price, depth):
            return False
        order.working = True
        order.update_ms = now_ms + terms.latency_ms
    elif not order.due_ms:
        return _fill_resting(books, order, depth, terms, now_ms)
    elif now_ms < order.due_ms:
        return False
    activate(books, order, depth, terms, now_ms)
    return True


def _fill_resting(books: VenueBooks, order: Order, depth: Depth, terms: Terms, now_ms: int) -> bool:
    """Through the price, not at it: one trade at the order's own price, bounded by the depth at or through it."""
    levels = [level for level in depth.against(order.side) if _within(order.side, order.price, level.price)]
    if not levels or levels[0].price == order.price:
        return False
    shown = sum((level.quantity for level in levels), ZERO)
    left = quantity = min(order.remaining, floor_step(shown, _lot(order)))
    if quantity <= ZERO:
        return False
    for level in levels:
        part = min(left, level.quantity)
        depth.take(order.side, level.price, part)
        left -= part
        if not left:
            break
    ledger.fill(books, order, quantity, order.price, terms, now_ms, maker=True)
    return True


def _take(books: VenueBooks, order: Order, depth: Depth, taking: Taking, terms: Terms, now_ms: int) -> None:
    shown, price, quantity = taking
    if order.is_buy and order.type is OrderType.MARKET:  # a late one may meet prices its reserve does not cover
        whole = price * (ONE + order.quote_fee_frac)
        quantity = min(quantity, _affordable(books.holding(order.quote).free + order.reserve, whole, _lot(order)))
    if quantity > ZERO:
        depth.take(order.side, shown, quantity)
        ledger.fill(books, order, quantity, price, terms, now_ms, maker=False)


def _affordable(money: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """The largest whole lot the money buys at this price."""
    quantity = floor_step(divide(money, price), lot)
    return quantity if quantity * price <= money else quantity - lot


def _lot(order: Order) -> Decimal:
    return order.step or FINEST_LOT


def _worse(order: Order, price: Decimal, terms: Terms) -> Decimal:
    """The level's price moved against us by the slippage, on the tick grid, never beyond the limit or to zero."""
    tick = order.tick or (GRIDLESS_TICK if is_multiple(price, GRIDLESS_TICK) else FINEST_TICK)
    if order.is_buy:
        raised = ceil_step(price * (ONE + terms.slippage_frac), tick)
        return min(raised, order.price) if order.price else raised
    return max(floor_step(price * (ONE - terms.slippage_frac), tick), tick, order.price)


def _within(side: Side, limit: Decimal, price: Decimal) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def _real(levels: Iterable[Level]) -> list[Level]:
    return [level for level in levels if ZERO < level.price <= PRICE_MAX and level.quantity > ZERO]
