"""Orders and trades as the exchange keeps them. Plain records; the engine alone changes them."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.sim.decimals import ZERO

if TYPE_CHECKING:
    from lab.sim.order_lists import OrderList


class Status(StrEnum):
    """Life of an order."""

    PENDING_NEW = "PENDING_NEW"  # a leg of an order list that waits for its working order
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


OPEN_STATUSES = frozenset({Status.PENDING_NEW, Status.NEW, Status.PARTIALLY_FILLED})
STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
PRICED_TYPES = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed request; `quantity` in base or `quote_quantity` in quote is given, the other is zero."""

    symbol: str
    side: str  # BUY or SELL
    type: str  # LIMIT MARKET LIMIT_MAKER STOP_LOSS STOP_LOSS_LIMIT TAKE_PROFIT TAKE_PROFIT_LIMIT
    client_id: str
    quantity: Decimal = ZERO
    quote_quantity: Decimal = ZERO
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    time_in_force: str = "GTC"
    wire_type: str = ""  # the venue's own name of the type when it differs
    reach_frac: Decimal = ZERO  # levels farther than this from the best one are not taken; 0 = all may be
    trailing_bps: Decimal = ZERO  # whole; triggers so far from the best price since it is tracked


@dataclass(frozen=True, slots=True)
class Modifiers:
    """What faults do to one order: postponed fill, hidden listing, only a fraction filled. Times in virtual ms."""

    fill_delay_ms: int = 0
    listing_delay_ms: int = 0
    pending_delay_ms: int = 0  # between the fill of a working order and the placing of what waits for it
    fill_fraction: Decimal | None = None
    empty_book: bool = False


@dataclass(slots=True)
class Order:
    """One order; `lock` is what is still locked for it, in quote for BUY and in base for SELL."""

    id: int
    request: OrderRequest
    orig_qty: Decimal
    time_ms: int
    update_ms: int
    status: Status = Status.NEW
    executed: Decimal = ZERO
    quote_filled: Decimal = ZERO
    lock: Decimal = ZERO
    working: bool = True  # False while a stop has not triggered
    working_ms: int = -1
    eligible_ms: int = 0  # no fill before this time
    hidden_until_ms: int = 0  # not listed before this time
    fill_cap: Decimal | None = None  # executed never exceeds it
    blocked_bar: int | None = None  # bar whose volume is used up for this order
    cancel_id: str = ""  # the id the cancel itself was given
    cancel_ms: int | None = None  # an accepted cancel takes effect at this time
    cancel_asks: int = 0  # requests heard since, while time stood still just before it
    late_ms: int | None = None  # somebody takes the remainder at this time
    order_list: "OrderList | None" = None
    place_ms: int | None = None  # a pending leg goes to the book at this time
    expiry_reason: str = ""  # Binance's word for why it expired
    track_ms: int = -1  # since when a trailing stop tracks the price; `best` is the best price up to `best_ms`
    best: Decimal = ZERO
    best_ms: int = -1
    trades: list["Trade"] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """True while it can still fill or be cancelled."""
        return self.status in OPEN_STATUSES

    @property
    def remaining(self) -> Decimal:
        """Base quantity not executed yet."""
        return self.orig_qty - self.executed

    @property
    def is_pending(self) -> bool:
        """True while it waits for the working order of its list."""
        return self.status is Status.PENDING_NEW

    @property
    def fillable(self) -> Decimal:
        """Base quantity that may execute now: the remainder, bounded by a partial_fill fault."""
        return self.remaining if self.fill_cap is None else min(self.remaining, self.fill_cap - self.executed)

    @property
    def is_limit(self) -> bool:
        """True when it has a limit price."""
        return self.request.type in PRICED_TYPES


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution; commission in `commission_asset`."""

    id: int
    order_id: int
    client_id: str
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    quote_qty: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_maker: bool
    tax: Decimal = ZERO  # part of the commission
    list_id: int = -1
