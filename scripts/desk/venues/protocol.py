"""What every venue client offers, in our words. Owns the types that cross the venue border; does no I/O.

Money is Decimal, times are epoch milliseconds UTC in the exchange's own clock unless a name says otherwise.
A client turns its exchange's dialect into these types or raises `outcome.VenueError`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol

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


class ListKind(StrEnum):
    """Order lists in Binance's words. What the legs are, in order: see `LIST_LEGS`."""

    OCO = "OCO"  # two exits over the same coins: the one that starts working, or fills a part, ends the other
    OTO = "OTO"  # a working order; the pending one is placed when it is filled in full, never before
    OTOCO = "OTOCO"  # as OTO, with an OCO pending
    OPO = "OPO"  # as OTO; the pending quantity is what the working order brought in, net of its fee
    OPOCO = "OPOCO"  # as OPO, with an OCO pending


LIST_LEGS: Final[Mapping[ListKind, tuple[str, ...]]] = {
    ListKind.OCO: ("above", "below"),
    ListKind.OTO: ("working", "pending"),
    ListKind.OTOCO: ("working", "pendingAbove", "pendingBelow"),
    ListKind.OPO: ("working", "pending"),
    ListKind.OPOCO: ("working", "pendingAbove", "pendingBelow"),
}
PAYS_ITSELF: Final = frozenset({ListKind.OPO, ListKind.OPOCO})  # pending legs are sent without a quantity


class ListStatus(StrEnum):
    """State of a whole list; an unknown word becomes UNRECOGNISED."""

    EXECUTING = "EXECUTING"
    ALL_DONE = "ALL_DONE"
    REJECT = "REJECT"
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
    order_lists_max: int = 0
    order_types: tuple[str, ...] = ()
    oco_allowed: bool = False
    oto_allowed: bool = False
    opo_allowed: bool = False
    trailing_allowed: bool = False
    trailing_above_bps_min: int = 0  # stops above the market: BUY stop losses, SELL take profits
    trailing_above_bps_max: int = 0
    trailing_below_bps_min: int = 0  # stops below the market: SELL stop losses, BUY take profits
    trailing_below_bps_max: int = 0
    entries_allowed: bool = True  # tradeSideType 3 / CANCEL_ONLY and the like turn one side off
    exits_allowed: bool = True
    maker_fee_frac: Decimal = Decimal("0.001")
    taker_fee_frac: Decimal = Decimal("0.001")

    @property
    def list_kinds(self) -> frozenset[ListKind]:
        """The order lists the symbol takes; empty where there are none."""
        needs = {
            ListKind.OCO: self.oco_allowed,
            ListKind.OTO: self.oto_allowed,
            ListKind.OTOCO: self.oto_allowed and self.oco_allowed,
            ListKind.OPO: self.oto_allowed and self.opo_allowed,
            ListKind.OPOCO: self.oto_allowed and self.opo_allowed and self.oco_allowed,
        }
        return frozenset(kind for kind, allowed in needs.items() if allowed)


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
    trailing_bps: int | None = None  # a stop that follows the best price since it stood, or since `stop_price` was met
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
    list_id: str = ""  # the exchange's id of the order list it belongs to; empty for none
    expiry_reason: str = ""  # the exchange's word for why it expired, where it gives one


class OrderListRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order list to place, each leg with its own client order id; sent once, whole or not at all.

    Attributes:
        legs: in the order of `LIST_LEGS[kind]`. All of one symbol; the legs of an OCO have one side and quantity;
            pending legs of OPO and OPOCO have quantity 0, the exchange finds it.
    """

    list_client_order_id: str
    kind: ListKind
    legs: tuple[OrderRequest, ...]


class ListedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A leg as a list names it. What became of it is asked for by `get_order`."""

    client_order_id: str
    order_id: str


class OrderListReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange says of one list.

    Attributes:
        contingency: the exchange's word, OCO or OTO (OTOCO, OPO and OPOCO are OTO too).
        orders: every leg, in the exchange's order.
        reports: each leg's state; after placing and cancelling only, empty in queries. Of a working order that filled
            at once the pending legs still read PENDING_NEW: ask again.
    """

    venue: str
    symbol: str
    list_id: str
    list_client_order_id: str
    contingency: str
    status: ListStatus
    status_word: str  # the exchange's word, verbatim
    time_ms: int
    orders: tuple[ListedOrder, ...]
    reports: tuple[OrderReport, ...] = ()


class TimeProbe(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the exchange's clock. `offset_ms` = server - local at the middle; error bound = half the trip."""

    server_ms: int
    local_ms: int
    offset_ms: int
    error_ms: int


class KeyPermissions(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange lets our API key do."""

    can_read: bool
    can_trade: bool  # spot
    can_withdraw: bool
    ip_restricted: bool
    created_ms: int
    others: tuple[str, ...] = ()  # further rights that are on, in the exchange's words: none is needed here


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
    def orders_since(self, symbol: str, since_ms: int) -> tuple[OrderReport, ...]: ...
    def my_trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]: ...
    def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport: ...
    def key_permissions(self) -> KeyPermissions: ...
    def place_order_list(
        self,
        request: OrderListRequest,
        timestamp_ms: int,
        *,
        purpose: Any = ...,
        before_send: Callable[[], None] | None = None,
    ) -> OrderListReport: ...
    def get_order_list(self, list_client_order_id: str) -> OrderListReport | None: ...
    def open_order_lists(self) -> tuple[OrderListReport, ...]: ...
    def cancel_order_list(self, symbol: str, list_client_order_id: str) -> OrderListReport: ...
