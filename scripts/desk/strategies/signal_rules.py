"""What a signal file may say: bytes in, a `Decision` or a refusal out. Pure; opens no file.

Strict on purpose: unknown keys, floats, naive times, unknown venues and symbols are refused with one
`signal:<reason>` code each, because a signal is the one way into the pipeline that others write.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from desk.base import clock, ids, money
from desk.base.errors import BadInput
from desk.config.schema import Config
from desk.risk.decision import Decision, Kind
from desk.venues.protocol import Side

VERSION: Final = "1"
FUTURE_MAX_MS: Final = 5000  # a sender's clock may be ahead of ours by this much
HOUR_MS: Final = 3_600_000
_NAME: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DETAIL_MAX: Final = 200
Text = str | int | None


class InboxLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds the inbox: [signals], and the venues and symbols this account trades."""

    life_max_h: int
    files_per_tick_max: int
    bytes_max: int
    venues: tuple[str, ...]
    symbols: tuple[str, ...]
    held: tuple[str, ...] = ()  # `venue:symbol` of open positions: an exit may leave what is no longer traded

    @classmethod
    def of(cls, config: Config) -> "InboxLimits":
        """The limits of a configuration."""
        return cls(
            life_max_h=config.signals.life_max_h, files_per_tick_max=config.signals.files_per_tick_max,
            bytes_max=config.signals.bytes_max, venues=config.system.venues, symbols=config.system.universe_symbols,
        )  # fmt: skip


class Refused(BadInput):
    """A signal that cannot be used.

    Args:
        code: `signal:<reason>`.
        detail: one clause for whoever wrote the file.
    """

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail[:_DETAIL_MAX]
        super().__init__(self.detail, code)


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as written. Numbers are strings or whole numbers: a JSON 0.1 is no decimal."""

    id: str
    source: str
    venue: str
    symbol: str
    side: Side
    kind: Kind
    created_at: str
    expires_at: str
    edge_bps: Text = None
    notional_quote: Text = None
    quantity: Text = None
    stop_price: Text = None
    target_price: Text = None


class _Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The file as understood, beside what it is judged by: numbers and times parsed, nothing judged yet."""

    written: _Written
    now_ms: int
    limits: InboxLimits
    edge_bps: Decimal | None
    notional_quote: Decimal | None
    quantity: Decimal | None
    stop_price: Decimal | None
    target_price: Decimal | None
    created_ms: int
    expires_ms: int

    @property
    def is_entry(self) -> bool:
        """True for a signal that opens risk."""
        return self.written.kind is Kind.ENTRY

    @property
    def life_max_ms(self) -> int:
        """How long a signal may live, ms."""
        return self.limits.life_max_h * HOUR_MS

    @property
    def amounts(self) -> tuple[Decimal, ...]:
        """The numbers that must be above zero."""
        found = (self.notional_quote, self.quantity, self.stop_price, self.target_price)
        return tuple(number for number in found if number is not None)

    @property
    def sizes(self) -> int:
        """How many of notional_quote and quantity are given."""
        return (self.notional_quote is not None) + (self.quantity is not None)


Wrong = Callable[[_Terms], bool]
# code, what it means, when it holds; the first that holds refuses
CHECKS: Final[tuple[tuple[str, str, Wrong], ...]] = (
    ("signal:bad_id", "id and source are 1 to 64 of A-Z a-z 0-9 . _ : -",
     lambda s: not (_NAME.fullmatch(s.written.id) and _NAME.fullmatch(s.written.source))),
    ("signal:venue_not_listed", "the venue is not in VENUES",
     lambda s: s.written.venue not in s.limits.venues),
    ("signal:symbol_not_listed", "the symbol is not in UNIVERSE_SYMBOLS, nor held (for an EXIT)",
     lambda s: s.written.symbol not in s.limits.symbols
     and (s.is_entry or f"{s.written.venue}:{s.written.symbol}" not in s.limits.held)),
    ("signal:wrong_side", "an ENTRY buys and an EXIT sells (spot, no shorts)",
     lambda s: s.written.side is not (Side.BUY if s.is_entry else Side.SELL)),
    ("signal:bad_size", "an ENTRY has exactly one of notional_quote and quantity, an EXIT a quantity or neither",
     lambda s: s.sizes != 1 if s.is_entry else s.notional_quote is not None),
    ("signal:not_positive", "notional_quote, quantity, stop_price and target_price are above zero",
     lambda s: any(number <= 0 for number in s.amounts)),
    ("signal:no_edge", "an ENTRY states its edge_bps",
     lambda s: s.is_entry and s.edge_bps is None),
    ("signal:bad_levels", "stop_price is below target_price",
     lambda s: s.is_entry and s.stop_price is not None and s.target_price is not None
     and s.stop_price >= s.target_price),
    ("signal:from_future", "created_at is more than 5 s ahead of our clock",
     lambda s: s.created_ms > s.now_ms + FUTURE_MAX_MS),
    ("signal:bad_life", "expires_at is not after created_at",
     lambda s: s.expires_ms <= s.created_ms),
    ("signal:life_too_long", "expires_at is later than created_at + signals.life_max_h",
     lambda s: s.expires_ms - s.created_ms > s.life_max_ms),
    ("signal:too_old", "created_at is older than signals.life_max_h",
     lambda s: s.now_ms - s.created_ms > s.life_max_ms),
    ("signal:expired", "expires_at has passed",
     lambda s: s.expires_ms <= s.now_ms),
)  # fmt: skip
_FILE_CODES: Final = {
    "signal:unreadable": "the file cannot be read",
    "signal:too_large": "the file is larger than signals.bytes_max",
    "signal:malformed": "the file is not one JSON object of the documented keys and types",
    "signal:bad_number": "a number is not a plain decimal",
    "signal:bad_time": "created_at or expires_at is not ISO-8601 with an offset",
    "signal:duplicate": "an earlier file of the same look says the same",
}
# every code a file can be refused with -> meaning
CODES: Final = _FILE_CODES | {code: meaning for code, meaning, _ in CHECKS}


def read(raw: bytes, name: str, now_ms: int, limits: InboxLimits) -> Decision:
    """The decision a signal file proposes.

    Args:
        name: the file's name, kept in the decision.
        now_ms: our clock, epoch ms.

    Raises:
        Refused: with the code and what is wrong.
    """
    terms = _parse(raw, now_ms, limits)
    for code, meaning, wrong in CHECKS:
        if wrong(terms):
            raise Refused(code, meaning)
    return _decision(terms, name)


def _parse(raw: bytes, now_ms: int, limits: InboxLimits) -> _Terms:
    try:
        written = msgspec.json.decode(raw, type=_Written)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("signal:malformed", str(error)) from None
    return _Terms(
        written=written, now_ms=now_ms, limits=limits,
        **{key: _number(key, getattr(written, key)) for key in
           ("edge_bps", "notional_quote", "quantity", "stop_price", "target_price")},
        created_ms=_time("created_at", written.created_at), expires_ms=_time("expires_at", written.expires_at),
    )  # fmt: skip


def _number(key: str, value: Text) -> Decimal | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            raise ValueError(f"{key}: not a plain decimal")
        return money.parse(value, key)
    except ValueError as error:
        raise Refused("signal:bad_number", str(error)) from None


def _time(key: str, text: str) -> int:
    try:
        return clock.parse_iso(text)
    except (ValueError, OverflowError):
        raise Refused("signal:bad_time", f"{key}: not ISO-8601 with an offset") from None


def _decision(terms: _Terms, name: str) -> Decision:
    written, entry = terms.written, terms.is_entry
    occasion = f"{written.id}@{clock.iso(terms.created_ms)}"  # one form: the same moment written otherwise is no news
    return Decision(
        decision_id=ids.decision_id("signal", VERSION, written.venue, written.symbol, written.side, occasion),
        strategy=f"signal:{written.source}", version=VERSION, venue=written.venue, symbol=written.symbol,
        side=written.side, kind=written.kind, occasion=occasion, edge_bps=terms.edge_bps or money.ZERO,
        notional_quote=terms.notional_quote, quantity=terms.quantity,
        stop_price=terms.stop_price if entry else None,  # what is leaving has no levels of its own
        target_price=terms.target_price if entry else None,
        created_ms=terms.created_ms, expires_ms=terms.expires_ms, signal_file=name,
        reasons=(f"signal {written.id} of {written.source}",),
    )  # fmt: skip
