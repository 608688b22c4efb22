"""May the paper exchange take this order? Filters in the exchange's order of checking, then market, then money.

Owns the discipline of an exchange, written apart from the sender's quantising so that a mistake there is caught
here. Pure: raises Refused or returns what the order will lock.
"""

from decimal import Decimal
from typing import Final

from desk.base.money import ZERO, ceil_step, is_multiple
from desk.venues import paper_match as match
from desk.venues.paper_books import FEE_STEP, STOP_TYPES, Order, VenueBooks
from desk.venues.paper_ledger import Terms
from desk.venues.paper_match import Depth
from desk.venues.paper_refusals import Refusal, Refused
from desk.venues.protocol import OrderRequest, OrderType, Side, SymbolRules
from desk.venues.table import VENUES

CLIENT_ID_LEN_MAX: Final = 36
MAGNITUDE_MAX: Final = 15  # digits before the point


def check_request(rules: SymbolRules, request: OrderRequest) -> None:
    """Shape, symbol status, order type and the filters that need no market.

    Raises:
        Refused: with the filter's name.
    """
    _need(0 < len(request.client_order_id) <= CLIENT_ID_LEN_MAX, Refusal.PARAMETER)
    _need(rules.status == "TRADING", Refusal.HALTED)
    _need(rules.entries_allowed if request.side is Side.BUY else rules.exits_allowed, Refusal.HALTED)
    _check_type(rules, request)
    _check_precision(request.quantity, rules.step, match.LOT_PLACES_MAX)
    _check_precision(request.price or ZERO, rules.tick, match.PRICE_PLACES_MAX)
    _check_precision(request.stop_price or ZERO, rules.tick, match.PRICE_PLACES_MAX)
    for price in (request.price, request.stop_price):
        if price is not None:
            in_range = price >= max(rules.price_min, ZERO) and (not rules.price_max or price <= rules.price_max)
            _need(price > ZERO and in_range and is_multiple(price, rules.tick), Refusal.PRICE)
    _check_quantity(rules, request)


def check_market(rules: SymbolRules, request: OrderRequest, books: VenueBooks, depth: Depth | None) -> None:
    """What depends on the book and on the orders that stand: percent price, notional, counts, duplicates, crossing.

    Raises:
        Refused: as above.
    """
    _check_percent(rules, request, depth.middle if depth is not None else ZERO)
    _check_notional(rules, request, depth)
    standing = books.open_orders(request.symbol)
    waiting = sum(1 for order in standing if order.type in STOP_TYPES)
    _need(not rules.orders_max or len(standing) < rules.orders_max, Refusal.ORDERS_MAX)
    if request.type in STOP_TYPES:
        _need(not rules.algo_orders_max or waiting < rules.algo_orders_max, Refusal.ALGO_ORDERS_MAX)
    taken = any(order.client_order_id == request.client_order_id for order in books.open_orders())
    _need(not taken, Refusal.DUPLICATE)
    if depth is None:
        return
    if request.type is OrderType.LIMIT_MAKER and request.price is not None:
        _need(not match.would_take(request.side, request.price, depth), Refusal.WOULD_TAKE)
    if request.type in STOP_TYPES and request.stop_price is not None:
        _need(not match.would_trigger(request.side, request.type, request.stop_price, depth), Refusal.WOULD_TRIGGER)


def lock_of(order: Order, books: VenueBooks, depth: Depth | None, terms: Terms) -> Decimal:
    """What the order locks, in the asset it pays with.

    Raises:
        Refused: BALANCE, the free balance does not cover it.
    """
    amount = order.needed(order.quantity)
    if order.is_buy and order.type is OrderType.MARKET:
        takings = match.plan(order, depth, terms, order.quantity) if depth is not None else []
        amount = sum((price * quantity for _, price, quantity in takings), ZERO)
        amount += ceil_step(amount * order.quote_fee_frac, FEE_STEP)
    holding = books.balances.get(order.paid_asset)
    _need(amount <= (holding.free if holding is not None else ZERO), Refusal.BALANCE)
    return amount


def _check_type(rules: SymbolRules, request: OrderRequest) -> None:
    is_stop = request.type in STOP_TYPES
    _need((request.price is not None) == (request.type is not OrderType.MARKET), Refusal.PARAMETER)
    _need((request.stop_price is not None) == is_stop, Refusal.PARAMETER)
    if rules.venue in VENUES:
        venue = VENUES[rules.venue]
        _need(request.type in venue.order_types and (venue.has_stop_orders or not is_stop), Refusal.TYPE)
    if rules.order_types and (is_stop or request.type is OrderType.LIMIT_MAKER):
        _need(str(request.type) in rules.order_types, Refusal.TYPE)


def _check_quantity(rules: SymbolRules, request: OrderRequest) -> None:
    quantity = request.quantity
    in_range = quantity >= rules.quantity_min and (not rules.quantity_max or quantity <= rules.quantity_max)
    _need(quantity > ZERO and in_range and is_multiple(quantity, rules.step), Refusal.LOT_SIZE)
    if request.type is OrderType.MARKET:
        most = rules.market_quantity_max
        in_range = quantity >= rules.market_quantity_min and (not most or quantity <= most)
        _need(in_range and is_multiple(quantity, rules.market_step), Refusal.MARKET_LOT_SIZE)


def _check_percent(rules: SymbolRules, request: OrderRequest, middle: Decimal) -> None:
    """PERCENT_PRICE_BY_SIDE against the book's middle, our stand-in for the exchange's average price."""
    if request.price is None or not middle:
        return
    up, down = rules.bid_multiplier_up, rules.bid_multiplier_down
    if request.side is Side.SELL:
        up, down = rules.ask_multiplier_up, rules.ask_multiplier_down
    _need(request.price >= middle * down and (not up or request.price <= middle * up), Refusal.PERCENT_PRICE)


def _check_notional(rules: SymbolRules, request: OrderRequest, depth: Depth | None) -> None:
    price = request.price
    if price is None:
        price = depth.best(request.side) if depth is not None else ZERO
    notional = price * request.quantity
    in_range = notional >= rules.notional_min and (not rules.notional_max or notional <= rules.notional_max)
    _need(in_range or not price, Refusal.NOTIONAL)


def _check_precision(number: Decimal, grid: Decimal, places_max: int) -> None:
    """No more digits than exact sums can carry; more than any exchange takes."""
    for value in (number, grid):
        exponent = value.normalize().as_tuple().exponent
        _need(value.is_finite() and isinstance(exponent, int), Refusal.PARAMETER)
        is_short = isinstance(exponent, int) and exponent >= -places_max and value.adjusted() <= MAGNITUDE_MAX
        _need(is_short, Refusal.PRECISION)


def _need(holds: bool, refusal: Refusal) -> None:
    if not holds:
        raise Refused(refusal)
