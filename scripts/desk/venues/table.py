"""The venue table and the purpose table: one row per exchange, one per kind of call. Owns facts; decides nothing.

To add a venue: its door (`<name>_client.py`), its error table, one row here, one `[venues.<name>]` in the config.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from desk.base.errors import ConfigError
from desk.base.money import ZERO
from desk.venues import errors_binance, errors_btcturk, errors_mexc
from desk.venues.outcome import ErrorTable
from desk.venues.protocol import OrderType


class Purpose(StrEnum):
    """Why a call is made; it decides what may stop it."""

    ENTRY = "entry"  # an order that adds risk
    EXIT = "exit"  # an order that takes risk away, protection included
    CANCEL = "cancel"
    PROBE = "probe"  # order/test: proves the order path without an order
    READ = "read"
    LOOKUP = "lookup"  # a read an exit, an unknown order or reconcile needs
    MEASURE = "measure"  # a time check: touches no breaker


class PurposeRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a purpose is treated (rules: Circuit breakers, Transport, rate budget)."""

    component: str  # breaker it is counted on: "api", "orders" or "" for none
    is_order: bool = False  # creates an order: one attempt, an unknown outcome stays unknown
    retried: bool = False  # reads: three attempts
    budget: str = "all"  # share of the rate budget: "entries", "reads" or "all"


PURPOSES: Final = {
    Purpose.ENTRY: PurposeRow(component="orders", is_order=True, budget="entries"),
    Purpose.EXIT: PurposeRow(component="orders", is_order=True),
    Purpose.CANCEL: PurposeRow(component="orders"),
    Purpose.PROBE: PurposeRow(component="orders", budget="reads"),
    Purpose.READ: PurposeRow(component="api", retried=True, budget="reads"),
    Purpose.LOOKUP: PurposeRow(component="api", retried=True),
    Purpose.MEASURE: PurposeRow(component=""),
}


class VenueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange's fixed facts. Look-up numbers: rules.md, Intents; windows: the exchange's documentation."""

    name: str
    door: str  # module of the client door
    errors: ErrorTable
    time_path: str
    order_path: str
    order_prefixes: tuple[str, ...]  # POST below these creates or replaces orders (but for /test)
    key_header: str
    weight_header: str = ""  # used weight of the current window; empty: we count calls ourselves
    order_count_header: str = ""  # prefix, followed by the interval
    weight_limit: int = 0  # 0: the configured default; until exchangeInfo has told
    weight_window_s: int = 60
    pause_without_hint_s: float = 0.0  # after a 429 that names no Retry-After
    ban_without_hint_s: float = 120.0  # after a 418 that names none: the shortest documented ban
    quiet_s: int = 60  # after the signed timestamp before "not found" is evidence
    quiet_adds_recv_window: bool = False
    looks: int = 2
    look_gap_s: int = 30
    lookup_by_client_id: bool = True  # False: a look lists, and wants the balances explained as well
    trades_window_s: int = 0  # how far back my_trades reaches; 0: without limit
    has_stop_orders: bool = False
    cancel_is_only_received: bool = False  # True: answered before it is worked on; it may take effect ticks later
    order_types: frozenset[OrderType] = frozenset(OrderType)  # what the client can send
    fee_in_quote: bool = False  # True: purchases too pay their fee in the quote currency, on top
    fee_tax_frac: Decimal = ZERO  # tax the exchange takes with each fee, as a fraction of the fee


VENUES: Final = {
    "binance": VenueRow(
        name="binance", door="binance_client", errors=errors_binance.TABLE,
        time_path="/api/v3/time", order_path="/api/v3/order",
        order_prefixes=("/api/v3/order", "/api/v3/sor/order"), key_header="X-MBX-APIKEY",
        weight_header="x-mbx-used-weight-1m", order_count_header="x-mbx-order-count-",
        quiet_s=60, quiet_adds_recv_window=True, looks=2, look_gap_s=30, has_stop_orders=True,
    ),
    "mexc": VenueRow(
        name="mexc", door="mexc_client", errors=errors_mexc.TABLE,
        time_path="/api/v3/time", order_path="/api/v3/order",
        order_prefixes=("/api/v3/order", "/api/v3/batchOrders"), key_header="X-MEXC-APIKEY",
        weight_limit=500, weight_window_s=10, pause_without_hint_s=600.0,
        quiet_s=120, looks=3, look_gap_s=30, trades_window_s=30 * 86_400,
    ),
    "btcturk": VenueRow(
        name="btcturk", door="btcturk_client", errors=errors_btcturk.TABLE,
        time_path="/api/v2/server/time", order_path="/api/v1/order", order_prefixes=("/api/v1/order",),
        key_header="X-PCK",
        weight_limit=120, weight_window_s=60, pause_without_hint_s=60.0,  # the tightest endpoint's, for all together
        quiet_s=300, looks=3, look_gap_s=30, lookup_by_client_id=False, has_stop_orders=True,
        cancel_is_only_received=True,
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT}),
        fee_in_quote=True, fee_tax_frac=Decimal("0.18"),
    ),
}  # fmt: skip


def row(venue: str) -> VenueRow:
    """The row of a venue.

    Raises:
        ConfigError: no client for it.
    """
    found = VENUES.get(venue)
    if found is None:
        raise ConfigError(f"no client for venue {venue!r}", "VENUES", f"known venues: {', '.join(VENUES)}")
    return found


def cancel_is_only_received(venue: str) -> bool:
    """True where a cancel that was answered may take effect ticks later."""
    found = VENUES.get(venue)
    return found is not None and found.cancel_is_only_received


def order_type(venue: str, wanted: OrderType) -> OrderType:
    """The type that stands for the wanted one on a venue: where it has no IOC, FOK or post-only order, a plain limit,
    whose rest the order TTL cancels."""
    found = VENUES.get(venue)
    return wanted if found is None or wanted in found.order_types else OrderType.LIMIT


def component(venue: str, purpose: Purpose) -> str:
    """The breaker component a purpose is counted on; empty for none."""
    suffix = PURPOSES[purpose].component
    return f"{venue}_{suffix}" if suffix else ""


def purpose_of(venue: VenueRow, method: str, path: str) -> Purpose:
    """What a bare request is for, by its method and path (an explicit client call names no purpose)."""
    if method == "DELETE":
        return Purpose.CANCEL
    if method == "GET":
        return Purpose.READ
    if path.endswith("/test"):
        return Purpose.PROBE
    return Purpose.ENTRY if path.startswith(venue.order_prefixes) else Purpose.READ
