"""What every venue client offers, in our words. Owns the types that cross the venue border; does no I/O.

Money is Decimal, times are epoch milliseconds UTC in the exchange's own clock unless a name says otherwise.
A client turns its exchange's dialect into these types or raises `outcome.VenueError`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

import msgspec


class Side(StrEnum):
    """Order side."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """Order types in our words; a client maps them to its exchange's type and time in force."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"  # good till cancelled
    LIMIT_IOC = "LIMIT_IOC"
    LIMIT_FOK = "LIMIT_FOK"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class OrderStatus(StrEnum):
    """Canonical order status; an unknown word of an exchange becomes UNRECOGNISED and quarantines the intent."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    PENDING_NEW = "PENDING_NEW"
    PENDING_CANCEL = "PENDING_CANCEL"
    UNRECOGNISED = "UNRECOGNISED"


OPEN_STATUSES = frozenset(
    {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL}
)
FINAL_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


class SymbolRules(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's trading rules (exchange filters). Steps of 0 mean "no grid", limits of 0 mean "no limit"."""

    venue: str
    symbol: str
    base: str
    quote: str
    status: str  # TRADING, or the exchange's word for anything else
    tick: Decimal = Decimal(0)
    price_min: Decimal = Decimal(0)
    price_max: Decimal = Decimal(0)
    step: Decimal = Decimal(0)
    quantity_min: Decimal = Decimal(0)
    quantity_max: Decimal = Decimal(0)
    market_step: Decimal = Decimal(0)
    market_quantity_min: Decimal = Decimal(0)
    market_quantity_max: Decimal = Decimal(0)
    notional_min: Decimal = Decimal(0)
    notional_max: Decimal = Decimal(0)
    bid_multiplier_up: Decimal = Decimal(0)  # PERCENT_PRICE_BY_SIDE against the average price
    bid_multiplier_down: Decimal = Decimal(0)
    ask_multiplier_up: Decimal = Decimal(0)
    ask_multiplier_down: Decimal = Decimal(0)
    orders_max: int = 0
    algo_orders_max: int = 0
    order_types: tuple[str, ...] = ()
    oco_allowed: bool = False
    opo_allowed: bool = False
    trailing_allowed: bool = False
    entries_allowed: bool = True  # tradeSideType 3 / CANCEL_ONLY and the like turn one side off
    exits_allowed: bool = True
    maker_fee_frac: Decimal = Decimal("0.001")
    taker_fee_frac: Decimal = Decimal("0.001")


class Level(msgspec.Struct, frozen=True, array_like=True):
    """One price level of a book."""

    price: Decimal
    quantity: Decimal


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """An order book, best levels first. `as_of_ms` is the exchange's time if it gives one, else the response time."""

    venue: str
    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    as_of_ms: int
    source: str = "rest"


class Bar(msgspec.Struct, frozen=True, array_like=True):
    """One candle. `closed` is decided by exchange time: open_ms + interval <= now."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Free and locked amount of one asset."""

    asset: str
    free: Decimal
    locked: Decimal


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One fill of one of our orders, as the exchange books it. `fee` is positive when paid."""

    trade_id: str
    symbol: str
    order_id: str
    client_order_id: str  # empty when the exchange does not name it in trades
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    time_ms: int
    maker: bool = False


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What we ask an exchange to do. Quantised already; a client changes nothing but the dialect."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    sized_at: Decimal | None = None  # market orders: the price the quantity was sized at, where money is asked for


class OrderReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange says of one order. `executed` is cumulative; `trades` may be empty (then read my_trades)."""

    venue: str
    symbol: str
    client_order_id: str
    order_id: str
    side: Side
    type: str  # the exchange's word
    status: OrderStatus
    status_word: str  # the exchange's word, verbatim
    quantity: Decimal
    executed: Decimal
    executed_quote: Decimal
    price: Decimal
    stop_price: Decimal
    time_ms: int
    update_ms: int
    trades: tuple[Trade, ...] = ()


class TimeProbe(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the exchange's clock. `offset_ms` = server - local at the middle; error bound = half the trip."""

    server_ms: int
    local_ms: int
    offset_ms: int
    error_ms: int


class VenueClient(Protocol):
    """The protocol. Every method raises `outcome.VenueError`; nothing returns None for a failure."""

    venue: str

    def server_time(self) -> TimeProbe: ...
    def filters(self, symbols: tuple[str, ...]) -> dict[str, SymbolRules]: ...
    def book(self, symbol: str, depth: int = 20) -> Book: ...
    def klines(self, symbol: str, interval_s: int, limit: int) -> tuple[Bar, ...]: ...
    def balances(self) -> dict[str, Balance]: ...
    def ready(self, purpose: Any = ...) -> AbstractContextManager[None]: ...
    def place_order(
        self,
        request: OrderRequest,
        timestamp_ms: int,
        *,
        purpose: Any = ...,  # table.Purpose: ENTRY by default, EXIT for what takes risk away
        before_send: Callable[[], None] | None = None,
    ) -> OrderReport: ...
    def probe_orders(self, request: OrderRequest | None) -> None: ...
    def get_order(self, symbol: str, client_order_id: str) -> OrderReport | None: ...
    def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]: ...
    def my_trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]: ...
    def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport: ...
