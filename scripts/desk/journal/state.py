"""The folded state: what the journal says is true. Owns the record types; computes nothing.

Three parts, one per projection file. Each is a pure function of the journal's events. Money is Decimal (text in
JSON), times are epoch milliseconds. Everything is bounded: terminal intents and seen ids leave at DAY_CLOSED.
"""

from decimal import Decimal
from typing import Any

import msgspec

from desk.base.money import text
from desk.journal.chain import ZERO_HASH

ZERO = Decimal(0)


class Intent(msgspec.Struct, kw_only=True, omit_defaults=False):
    """One order that can stand on an exchange, protective legs included."""

    state: str  # CREATED SENT_UNKNOWN CONFIRMED NOT_FOUND FAILED_TERMINAL DENIED
    venue: str
    symbol: str
    base: str
    quote: str
    kind: str  # ENTRY or EXIT
    leg: str  # entry, stop, target, exit
    attempt: int
    side: str
    type: str
    quantity: Decimal
    price: Decimal  # limit price; for a market order the price it was sized at
    stop_price: Decimal = ZERO
    position_id: str
    decision_id: str = ""
    parent: str = ""  # the entry's client order id for a protective leg
    list_id: str = ""
    strategy: str = ""
    status: str = ""  # the canonical exchange status once CONFIRMED
    order_id: str = ""
    executed: Decimal = ZERO  # cumulative, as reported
    filled: Decimal = ZERO  # sum of booked FILLs
    filled_quote: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    trade_ids: list[str] = []
    created_ms: int = 0
    timestamp_ms: int = 0  # signed timestamp, exchange time
    recv_window_ms: int = 0
    looks: int = 0
    last_look_ms: int = 0
    cancel_ms: int = 0  # when we asked for its cancel; 0 = never
    final_ms: int = 0  # when it became terminal
    code: str = ""  # why denied, failed or not sent
    unanswered: bool = False  # its own request had no answer: what is known came from a look-up
    anomaly: str = ""  # set while quarantined


class Position(msgspec.Struct, kw_only=True):
    """What we hold of one symbol, by fills."""

    position_id: str
    venue: str
    symbol: str
    base: str
    quote: str
    quantity: Decimal = ZERO  # net of fees taken in base
    cost_quote: Decimal = ZERO  # what the held quantity cost, quote fees included
    realised_quote: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    opened_ms: int = 0
    stop_price: Decimal = ZERO
    target_price: Decimal = ZERO
    trail_peak: Decimal = ZERO
    decision_id: str = ""
    strategy: str = ""
    entry_client_id: str = ""
    attempts: dict[str, int] = {}  # leg -> next attempt number
    swap: dict[str, str] = {}  # an unfinished PROTECTION_SWAP: old, new, fallback, peak, first own attempt
    last_exit_leg: str = ""  # leg of the last sale: a rest that becomes dust after a stop is a stop-out
    unprotected_ms: int = 0  # since when; 0 = protected or not yet judged


class Dust(msgspec.Struct, kw_only=True):
    """A rest below the exchange's minimum: ours, valued, but no position."""

    base: str
    quote: str
    quantity: Decimal
    cost_quote: Decimal
    since_ms: int


class Close(msgspec.Struct, kw_only=True):
    """The last close of a symbol: what cool-downs are counted from."""

    at_ms: int
    realised_quote: Decimal
    stop_out: bool


class Capital(msgspec.Struct, kw_only=True):
    """One venue and quote currency."""

    equity: Decimal = ZERO  # last mark, flow-adjusted
    peak: Decimal = ZERO  # highest mark since the last PEAK_REBASED
    day_open: Decimal = ZERO  # first mark of the risk day
    day: str = ""
    flows: Decimal = ZERO  # deposits minus withdrawals, taken out of equity
    realised: Decimal = ZERO
    rebased_ms: int = 0


class Foreign(msgspec.Struct, kw_only=True):
    """An order on our account that is not ours."""

    side: str
    client_order_id: str = ""
    quantity: Decimal = ZERO  # of the order while it only stands, else of the trades seen so far
    seen_ms: int = 0  # when more of it was last seen
    how: str = ""  # the owner's word: adopt, disown; "" = not yet spoken
    trade_ids: list[str] = []  # booked


class Latch(msgspec.Struct, kw_only=True):
    """A latch as the journal last set it."""

    state: str = "inactive"  # kill switch: inactive|active; pause: NORMAL|DEGRADE|PAUSE
    level: str = ""
    reasons: list[str] = []
    note: str = ""
    since_ms: int = 0
    by: str = ""


class Alert(msgspec.Struct, kw_only=True):
    """One alert by fingerprint."""

    severity: str
    code: str
    text: str
    count: int = 1
    first_ms: int = 0
    last_ms: int = 0


class IntentsPart(msgspec.Struct, kw_only=True):
    """intents.json"""

    applied_seq: int = 0
    applied_hash: str = ZERO_HASH
    intents: dict[str, Intent] = {}


class PositionsPart(msgspec.Struct, kw_only=True):
    """positions.json; keys are `venue:symbol`."""

    applied_seq: int = 0
    applied_hash: str = ZERO_HASH
    positions: dict[str, Position] = {}
    dust: dict[str, Dust] = {}
    closes: dict[str, Close] = {}
    quarantine: dict[str, int] = {}  # symbol off for entries until ms
    rejects: dict[str, list[int]] = {}  # recent filter rejects in a row, per symbol
    timeouts: dict[str, list[int]] = {}  # recent requests without an answer in a row, per symbol


class PortfolioPart(msgspec.Struct, kw_only=True):
    """portfolio.json"""

    applied_seq: int = 0
    applied_hash: str = ZERO_HASH
    applied_segment: int = 0  # first seq of the segment the fold stands in
    applied_line: int = 0  # offset of the last applied line
    applied_offset: int = 0  # offset after it
    mode: str = ""
    instance: str = ""
    opening: dict[str, dict[str, Decimal]] = {}  # venue -> asset -> INITIAL_CAPITAL
    opened_ms: dict[str, int] = {}  # venue -> when; older trades are history
    balances: dict[str, dict[str, Decimal]] = {}  # venue -> asset -> by the journal
    flows: dict[str, dict[str, Decimal]] = {}  # venue -> asset -> what came from outside our trading, less what went
    aside: dict[str, Decimal] = {}  # "venue:asset" -> moved by trades of other bases: paid as quote, taken as fee
    foreign: dict[str, Foreign] = {}  # "venue:symbol:exchange order id"
    truth_ms: dict[str, int] = {}  # venue -> exchange time up to which reconcile has read every trade
    capital: dict[str, Capital] = {}  # "venue:quote"
    fees: dict[str, Decimal] = {}  # "venue:asset" -> paid
    fills: int = 0
    kill_switch: Latch = msgspec.field(default_factory=Latch)
    pause: Latch = msgspec.field(default_factory=lambda: Latch(state="NORMAL"))
    armed: Latch = msgspec.field(default_factory=Latch)  # active: state/LIVE.ok counts
    baseline: Latch = msgspec.field(default_factory=Latch)  # active: safe mode is on until an operator clears it
    system_mode: str = "NORMAL"
    system_mode_since_ms: int = 0
    alerts: dict[str, Alert] = {}
    runs: dict[str, list[int]] = {}  # door -> [tick ms, ordinal] of its last journalled run
    signals_seen: dict[str, int] = {}  # signal id -> ms
    decisions_seen: dict[str, int] = {}  # entry decision id -> ms
    churn: dict[str, list[list[Any]]] = {}  # symbol key -> [[ms, "new"|"cancel"|"replace"], ...] last 60 s
    day_closed: str = ""
    day: dict[str, int] = {}  # counts of the running UTC day: denials, orders, fills
    breakers: dict[str, str] = {}  # component -> last journalled state
    trips: dict[str, list[int]] = {}  # component -> ms of trips in the last 7 days
    recovery: dict[str, str] = {}  # "evidence|subject" -> outcome that holds
    overall: str = ""
    resealed: bool = False  # books unknown until a full reconcile
    resealed_from_ms: int = 0  # time of the last event that is known; 0 = none is
    resealed_at_ms: int = 0
    last_ms: int = 0  # time of the last event
    blocked_cycles: dict[str, int] = {}  # cause -> router cycles in a row


class Fold(msgspec.Struct, kw_only=True):
    """The whole folded state."""

    intents: IntentsPart
    positions: PositionsPart
    portfolio: PortfolioPart

    @property
    def seq(self) -> int:
        """Sequence number of the last applied event; 0 before the first."""
        return self.portfolio.applied_seq

    @property
    def hash(self) -> str:
        """Hash of the last applied event."""
        return self.portfolio.applied_hash


def empty() -> Fold:
    """The fold of no journal."""
    return Fold(intents=IntentsPart(), positions=PositionsPart(), portfolio=PortfolioPart())


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """A record as sorted JSON values; decimals in the one plain text form (no exponent, no trailing zeros), so that
    equal states have equal bytes however they were reached."""
    raw = msgspec.to_builtins(value, order="sorted", str_keys=True, builtin_types=(Decimal,))
    found: dict[str, Any] = _plain(raw)
    return found


def _plain(value: Any) -> Any:
    if type(value) is dict:
        return {name: _plain(item) for name, item in value.items()}
    if type(value) is list:
        return [_plain(item) for item in value]
    return text(value) if type(value) is Decimal else value


def foreign_key(venue: str, symbol: str, order_id: str) -> str:
    """How foreign orders are keyed: exchanges number orders per symbol."""
    return f"{venue}:{symbol}:{order_id}"


def key(venue: str, symbol: str) -> str:
    """How positions and symbols are keyed."""
    return f"{venue}:{symbol}"


OPEN_STATES = frozenset({"CREATED", "SENT_UNKNOWN"})
FINAL_ORDER_STATUSES = frozenset({"FILLED", "CANCELED", "EXPIRED", "REJECTED"})


def is_open(intent: Intent) -> bool:
    """The order may still trade: written, unknown, or confirmed and not final."""
    if intent.state in OPEN_STATES:
        return True
    return intent.state == "CONFIRMED" and intent.status not in FINAL_ORDER_STATUSES


def is_unsettled(intent: Intent) -> bool:
    """Final by status, but fills of it are still to be booked."""
    return intent.state == "CONFIRMED" and intent.filled < intent.executed
