"""The paper exchange's books of one venue: what they look like in memory and in the file. Owns the shape; no I/O.

Money is Decimal (canonical text in the file), times are epoch milliseconds of the paper exchange, latency included.
Fills live inside their order, so an order and its trades can never be parted. Keys we do not know are kept.
"""

from decimal import Decimal
from typing import Any, Final

import msgspec

from desk.base.errors import StateCorrupt
from desk.base.money import ZERO, floor_step, text
from desk.venues.protocol import OPEN_STATUSES, OrderStatus, OrderType, Side

Doc = dict[str, Any]
FEE_STEP: Final = Decimal("1e-8")
WAY_OUT: Final = "restore the file, or mode.py switch PAPER --discard --reason TEXT"
STOP_TYPES: Final = frozenset({OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
ONE_SHOT_TYPES: Final = frozenset({OrderType.MARKET, OrderType.LIMIT_IOC, OrderType.LIMIT_FOK})


class Fill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One trade of an order; the fee is in the order's fee asset."""

    trade_id: int
    quantity: Decimal
    price: Decimal
    fee: Decimal
    time_ms: int
    maker: bool = False


class Order(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One order with its fills. `reserve` is what it locks now: quote for a purchase, base for a sale."""

    order_id: int
    client_order_id: str
    symbol: str
    base: str
    quote: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    tick: Decimal = ZERO  # grids as they were when it was accepted
    step: Decimal = ZERO
    status: OrderStatus = OrderStatus.NEW
    working: bool = True  # False while a stop has not triggered
    reserve: Decimal = ZERO
    timestamp_ms: int = 0  # as signed by the sender
    time_ms: int
    update_ms: int
    hidden_until_ms: int = 0  # not listed before (fault on demand)
    due_ms: int = 0  # takes nothing before; 0 = at once (fault on demand)
    quote_fee_frac: Decimal = ZERO  # the fee, where the venue takes it in the quote currency; 0: of what is received
    fills: list[Fill] = []

    @property
    def is_open(self) -> bool:
        """It can still fill or be cancelled."""
        return self.status in OPEN_STATUSES

    @property
    def is_buy(self) -> bool:
        """A purchase: pays quote, receives base."""
        return self.side is Side.BUY

    @property
    def paid_asset(self) -> str:
        """What it gives, and locks."""
        return self.quote if self.is_buy else self.base

    @property
    def received_asset(self) -> str:
        """What it gets."""
        return self.base if self.is_buy else self.quote

    @property
    def fee_asset(self) -> str:
        """What it pays the fee in: what it gets, or the quote currency where the venue takes it there."""
        return self.quote if self.quote_fee_frac else self.received_asset

    def needed(self, remaining: Decimal) -> Decimal:
        """What an order with a limit locks for a rest: the base, or its price with the fee on top where that is due."""
        if not self.is_buy:
            return remaining
        value = self.price * remaining
        return value + floor_step(value * self.quote_fee_frac, FEE_STEP)

    @property
    def executed(self) -> Decimal:
        """Cumulative base quantity."""
        return sum((fill.quantity for fill in self.fills), ZERO)

    @property
    def executed_quote(self) -> Decimal:
        """Cumulative quote value, exact."""
        return sum((fill.quantity * fill.price for fill in self.fills), ZERO)

    @property
    def remaining(self) -> Decimal:
        """Base quantity not executed yet."""
        return self.quantity - self.executed


class Holding(msgspec.Struct, kw_only=True):
    """One asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


class Eaten(msgspec.Struct, kw_only=True):
    """What our fills have taken out of one shown book, by price: the same depth never serves twice."""

    as_of_ms: int
    bids: dict[str, Decimal] = {}
    asks: dict[str, Decimal] = {}


class VenueBooks(msgspec.Struct, kw_only=True):
    """Everything the paper exchange knows of one venue."""

    opening: dict[str, Decimal]
    pruned: dict[str, Decimal] = {}  # balance changes of orders no longer kept
    balances: dict[str, Holding]
    next_order_id: int = 1
    next_trade_id: int = 1
    eaten: dict[str, Eaten] = {}  # by symbol, for the newest book taken from
    orders: list[Order] = []

    def holding(self, asset: str) -> Holding:
        """The asset's balance, made when it is new."""
        return self.balances.setdefault(asset, Holding())

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Open orders in order of arrival."""
        return [order for order in self.orders if order.is_open and symbol in (None, order.symbol)]


def opened(opening: dict[str, Decimal]) -> VenueBooks:
    """Fresh books holding nothing but their opening balances."""
    return VenueBooks(opening=opening, balances={name: Holding(free=amount) for name, amount in opening.items()})


def decode(doc: Doc, venue: str, where: str) -> VenueBooks | None:
    """The venue's section of the file; None when it has none.

    Raises:
        StateCorrupt: the section has another shape.
    """
    sections = doc.get("venues")
    if not isinstance(sections, dict):
        raise StateCorrupt("is corrupt (no `venues` object)", where, WAY_OUT)
    if venue not in sections:
        return None
    try:
        return msgspec.convert(sections[venue], VenueBooks)
    except msgspec.ValidationError as error:
        raise StateCorrupt(f"is corrupt ({venue}: {error})", where, WAY_OUT) from None


def encode(doc: Doc, venue: str, books: VenueBooks) -> Doc:
    """The file with the venue's section replaced; keys we do not know are kept."""
    sections = dict(doc.get("venues", {}))
    old = sections.get(venue, {})
    section = _unknown(old, VenueBooks) | _plain(books)
    strange = {order["order_id"]: _unknown(order, Order) for order in old.get("orders", [])}
    for order in section["orders"]:
        order.update(strange.get(order["order_id"], {}))
    sections[venue] = section
    return doc | {"venues": sections}


def _unknown(raw: Doc, kind: type[msgspec.Struct]) -> Doc:
    return {key: value for key, value in raw.items() if key not in kind.__struct_fields__}


def _plain(books: VenueBooks) -> Doc:
    value = _texts(msgspec.to_builtins(books, builtin_types=(Decimal,)))
    assert isinstance(value, dict)
    return value


def _texts(value: Any) -> Any:
    """Decimals as canonical text, everything else as it is."""
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value
