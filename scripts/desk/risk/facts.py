"""What a cycle knows when it decides: one frozen record. Owns the types and two pure derivations; does no I/O.

`facts_gather.gather` fills it in; gates, sizing and protection read it. A datum that is missing, unreadable or corrupt
is None (or "" with a problem beside it), never a default that looks like an answer: the gate that needs it denies (P3).

Times are epoch milliseconds of our clock, except where a field says exchange time. The age of a price is counted from
the exchange's time or the response's, never from when it was read out of a file. Money is Decimal in quote currency.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

import msgspec

from desk.base.money import ZERO
from desk.config.schema import Config
from desk.journal.state import Close, Dust, Fold, Intent, Position, is_open, is_unsettled, key
from desk.risk import equity
from desk.risk.equity import Account
from desk.venues.protocol import Bar, Book, SymbolRules

NOT_FOUND_RESERVED_MS = 3_600_000  # rules.md, Intents: an order not found keeps its notional reserved for an hour


class KillLatch(Protocol):
    """The effective kill switch (strictest of file and journal), as `desk.risk.latches` reads it."""

    @property
    def active(self) -> bool: ...
    @property
    def level(self) -> str: ...  # reduce_only | freeze_all
    @property
    def reasons(self) -> tuple[str, ...]: ...


class PauseLatch(Protocol):
    """The effective PAUSE or manual DEGRADE."""

    @property
    def state(self) -> str: ...  # NORMAL | DEGRADE | PAUSE
    @property
    def reasons(self) -> tuple[str, ...]: ...


class LatchView(Protocol):
    """Both latches, whether KILL_SWITCH=true holds one in the environment, and what could not be read."""

    @property
    def kill(self) -> KillLatch: ...
    @property
    def pause(self) -> PauseLatch: ...
    @property
    def env_kill(self) -> bool: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    @property
    def details(self) -> tuple[str, ...]: ...  # the same, one clause each


class Arming(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator has said about sending orders (design 6). The defaults send nothing."""

    live_flag: bool = False  # --live on the door
    dry_run: bool = True
    safe_mode: bool = True
    live_trading: bool = False
    ack: bool = False  # LIVE_TRADING_ACK=I_UNDERSTAND
    baseline: bool = False  # arming.py baseline holds safe mode
    live_ok: bool = False  # state/LIVE.ok, written by arming.py in this folder
    ai_gate_missing: bool = False  # AI_DEC=2 and no gate to ask
    certificate_required: bool = True
    certificate_valid: bool = False


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """system_status.json: the system mode as heartbeat last judged it."""

    mode: str  # NORMAL DEGRADE PAUSE EXIT
    reasons: tuple[str, ...]
    written_ms: int


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """reconcile.json: the last reconcile. `last_success_ms` is 0 when it has never succeeded."""

    last_success_ms: int
    clean: bool
    score: int  # drift score, 0-100


class JournalHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the journal can take the next group. `reserve` is whether its disk reserve still stands, `roomy` whether
    the group fits beside it."""

    writable: bool
    damaged: bool
    reserve: bool
    roomy: bool = True
    problem: str = ""


class ClockFact(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange's clock: offset (exchange minus ours), its error bound, when it was measured."""

    offset_ms: int
    error_ms: int
    measured_ms: int


class BreakerFact(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's two breakers: closed, open or half_open. `problem` is why the file could not tell, "" when it could."""

    api: str
    orders: str
    problem: str = ""


class RateFact(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's request budget: fractions used of weight and of the fullest order count; deadlines, 0 for none."""

    used_frac: Decimal
    orders_frac: Decimal
    back_off_until_ms: int
    ban_until_ms: int


class VenueFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one exchange."""

    venue: str
    clock: ClockFact | None
    breakers: BreakerFact | None
    rate: RateFact | None


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and ask once seen. `held` marks a jump nothing has confirmed yet (rules: price sanity)."""

    at_ms: int
    bid: Decimal
    ask: Decimal
    held: bool = False

    @property
    def mid(self) -> Decimal:
        """Half way between bid and ask."""
        return (self.bid + self.ask) / 2


class OtherMid(msgspec.Struct, frozen=True, kw_only=True):
    """The same symbol's mid on another listed venue, seen in this cycle."""

    venue: str
    mid: Decimal
    at_ms: int


class SymbolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one symbol on one exchange.

    Attributes:
        rules_ms: when the rules were read from the exchange.
        book_ms: the book's time by our clock; 0 without a book.
        bars: oldest first, the last one usually still open; `open_ms` is exchange time.
        bars_now_ms: exchange time at which `bars` were asked for.
        polls: oldest first; the last one is this cycle's book.
        mark_bid: best bid for valuing a position: this cycle's, else a stored one up to 300 s old. Never for an order.
        problems: what could not be read, one clause each.
    """

    venue: str
    symbol: str
    rules: SymbolRules | None = None
    rules_ms: int = 0
    book: Book | None = None
    book_ms: int = 0
    bars: tuple[Bar, ...] = ()
    bars_now_ms: int = 0
    interval_s: int = 60
    polls: tuple[Poll, ...] = ()
    other_mids: tuple[OtherMid, ...] = ()
    mark_bid: Decimal | None = None
    problems: tuple[str, ...] = ()

    @property
    def closed_bars(self) -> tuple[Bar, ...]:
        """Bars that were over by exchange time when they were asked for."""
        latest_ms = self.bars_now_ms - self.interval_s * 1000
        return tuple(bar for bar in self.bars if bar.open_ms <= latest_ms)

    @property
    def best_bid(self) -> Decimal | None:
        """The best bid of this cycle's book; None without a usable one (missing, zero, negative, crossed)."""
        return self.book.bids[0].price if self.book is not None and _is_usable(self.book) else None

    @property
    def best_ask(self) -> Decimal | None:
        """The best ask, as `best_bid`."""
        return self.book.asks[0].price if self.book is not None and _is_usable(self.book) else None

    @property
    def mid(self) -> Decimal | None:
        """Half way between best bid and best ask, as `best_bid`."""
        bid, ask = self.best_bid, self.best_ask
        return (bid + ask) / 2 if bid is not None and ask is not None else None


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal says that gates and sizing need. Keys are `venue:symbol`, client order ids, `venue:quote`.

    Attributes:
        intents: those that may still trade, are unsettled, are quarantined, or were not found in the last hour.
        resealed: the journal was resealed; its books are unknown until a full reconcile.
    """

    positions: Mapping[str, Position]
    dust: Mapping[str, Dust]
    closes: Mapping[str, Close]
    intents: Mapping[str, Intent]
    quarantine: Mapping[str, int]
    churn: Mapping[str, tuple[tuple[int, str], ...]]
    accounts: Mapping[str, Account]
    resealed: bool


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """What this cycle has done so far: entries placed and their notional per `venue:quote`."""

    entries_placed: int = 0
    notional_used: Mapping[str, Decimal] = {}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one decision is judged by.

    Attributes:
        now_ms: when this was judged last; `tick_ms`: when the cycle began.
        stamp: the folder's mode; "" before the first write, None when the journal cannot tell.
        limits: the effective configuration: profile and tighten-only overlay applied; None when it cannot be known.
        limits_problem: why the overlay could not be read; then no entries.
        invalid_bids: best bids this cycle that were zero, negative, crossed or missing.
    """

    now_ms: int
    tick_ms: int
    mode: str
    stamp: str | None
    arming: Arming
    latches: LatchView | None
    limits: Config | None
    limits_problem: str = ""
    status: Status | None
    reconciled: Reconciled | None
    journal: JournalHealth | None
    venues: Mapping[str, VenueFacts]
    symbols: Mapping[str, SymbolFacts]
    ledger: Ledger | None
    cycle: Cycle = Cycle()
    invalid_bids: int = 0

    def venue(self, venue: str) -> VenueFacts | None:
        """What is known of an exchange, None for nothing."""
        return self.venues.get(venue)

    def symbol(self, venue: str, symbol: str) -> SymbolFacts | None:
        """What is known of a symbol, None for nothing."""
        return self.symbols.get(key(venue, symbol))

    def account(self, venue: str, quote: str) -> Account | None:
        """Equity, exposure and free balance of a venue and quote, None for nothing."""
        return self.accounts.get(key(venue, quote))

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Every account by `venue:quote`; none when the journal cannot tell."""
        return self.ledger.accounts if self.ledger is not None else {}

    def error_ms(self, venue: str) -> int:
        """How far ahead of us a time may lie before it is from the future: the clock's error bound, 0 unmeasured."""
        found = self.venues.get(venue)
        return found.clock.error_ms if found is not None and found.clock is not None else 0

    @property
    def is_live(self) -> bool:
        """SYSTEM_MODE is LIVE."""
        return self.mode == "LIVE"


def ledger_of(fold: Fold, symbols: Mapping[str, SymbolFacts], now_ms: int) -> Ledger:
    """The fold's part of the facts, copied so that a later journal write cannot change it, valued at `mark_bid`."""
    positions = {name: msgspec.structs.replace(found) for name, found in fold.positions.positions.items()}
    intents = {name: msgspec.structs.replace(i) for name, i in fold.intents.intents.items() if _matters(i, now_ms)}
    marks = {name: found.mark_bid for name, found in symbols.items() if found.mark_bid is not None}
    return Ledger(
        positions=positions, dust=dict(fold.positions.dust), closes=dict(fold.positions.closes), intents=intents,
        quarantine=dict(fold.positions.quarantine),
        churn={name: tuple((int(at), str(what)) for at, what in found) for name, found in fold.portfolio.churn.items()},
        accounts=equity.accounts(fold, intents, marks, _quotes(fold, symbols)), resealed=fold.portfolio.resealed,
    )  # fmt: skip


def refreshed(facts: Facts, fold: Fold, now_ms: int, cycle: Cycle) -> Facts:
    """The same prices with the journal as it stands now: for the next decision of the same cycle.

    Args:
        now_ms: read anew, so that prices go on ageing while a cycle works.
    """
    ledger = ledger_of(fold, facts.symbols, now_ms)
    return msgspec.structs.replace(facts, ledger=ledger, stamp=fold.portfolio.mode, now_ms=now_ms, cycle=cycle)


def _matters(intent: Intent, now_ms: int) -> bool:
    if is_open(intent) or is_unsettled(intent) or intent.anomaly:
        return True
    return intent.state == "NOT_FOUND" and now_ms - intent.final_ms < NOT_FOUND_RESERVED_MS


def _quotes(fold: Fold, symbols: Mapping[str, SymbolFacts]) -> dict[str, str]:
    """`venue:symbol` -> quote currency, from rules, positions and dust."""
    quotes = {name: found.rules.quote for name, found in symbols.items() if found.rules is not None}
    quotes |= {name: found.quote for name, found in fold.positions.dust.items()}
    return quotes | {name: found.quote for name, found in fold.positions.positions.items()}


def _is_usable(book: Book) -> bool:
    if not book.bids or not book.asks:
        return False
    return ZERO < book.bids[0].price < book.asks[0].price
