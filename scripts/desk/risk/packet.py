"""A decision from a file, and an evaluation as JSON: what `policy_engine.py check` reads and prints.

A packet is `{"decision": {...}}` with the fields of a signal file: venue, symbol, side, kind, notional_quote or
quantity, edge_bps, stop_price, target_price; id, source, created_at and expires_at may stand there too. It never
carries facts: those are gathered, or a packet could argue itself through a gate.
"""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from desk.base import clock, ids
from desk.base.errors import BadInput
from desk.base.money import ZERO, parse
from desk.risk.decision import Decision, Kind
from desk.risk.verdicts import Evaluation
from desk.venues.protocol import Side

BYTES_MAX: Final = 65_536
HINT: Final = 'write {"decision": {"venue": "binance", "symbol": "BTCUSDT", "side": "BUY", "kind": "ENTRY", ...}}'
PREVIEW_EDGE_BPS: Final = Decimal(500)  # a preview asks about everything but the edge
Number = str | int | None


class _Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision as written; numbers are strings or whole numbers, never floats."""

    venue: str
    symbol: str
    side: Side
    kind: Kind
    edge_bps: Number = None
    notional_quote: Number = None
    quantity: Number = None
    stop_price: Number = None
    target_price: Number = None
    id: str = "packet"
    source: str = "packet"
    created_at: str | None = None
    expires_at: str | None = None


class _Packet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    decision: _Fields


WRONG: Final[tuple[tuple[str, Callable[[Decision], bool]], ...]] = (
    ("an ENTRY buys and an EXIT sells (spot, no shorts)",
     lambda d: d.side is not (Side.BUY if d.kind is Kind.ENTRY else Side.SELL)),
    ("an ENTRY has exactly one of notional_quote and quantity",
     lambda d: d.kind is Kind.ENTRY and (d.notional_quote is None) == (d.quantity is None)),
    ("an EXIT has a quantity or nothing, no notional_quote",
     lambda d: d.kind is Kind.EXIT and d.notional_quote is not None),
    ("notional_quote, quantity, stop_price and target_price are above zero",
     lambda d: any(n is not None and n <= ZERO for n in (d.notional_quote, d.quantity, d.stop_price, d.target_price))),
    ("stop_price is below target_price",
     lambda d: d.stop_price is not None and d.target_price is not None and d.stop_price >= d.target_price),
)  # fmt: skip


def read(path: Path, now_ms: int) -> Decision:
    """The decision of a packet file.

    Raises:
        BadInput: missing, unreadable, too large, no JSON, an unknown field, a float, or a decision without sense.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(BYTES_MAX + 1)
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", str(path), HINT) from None
    if len(raw) > BYTES_MAX:
        raise BadInput(f"is larger than {BYTES_MAX} bytes", str(path), HINT)
    try:
        fields = msgspec.json.decode(raw, type=_Packet).decision
        decision = _decision(fields, now_ms)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        raise BadInput(str(error), str(path), HINT) from None
    problem = next((text for text, wrong in WRONG if wrong(decision)), "")
    if problem:
        raise BadInput(problem, str(path), "correct the packet")
    return decision


def hypothetical(venue: str, symbol: str, now_ms: int) -> Decision:
    """An entry nobody proposed, sized by the caps: what a preview asks the gates about."""
    return Decision(
        decision_id=ids.decision_id("preview", "1", venue, symbol, Side.BUY, str(now_ms)), strategy="preview",
        version="1", venue=venue, symbol=symbol, side=Side.BUY, kind=Kind.ENTRY, occasion=str(now_ms),
        edge_bps=PREVIEW_EDGE_BPS, created_ms=now_ms,
    )  # fmt: skip


def as_document(found: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON."""
    verdicts = [
        {"gate": v.gate, "allowed": v.allowed, "code": v.code, "detail": v.detail, "data": v.data}
        for v in found.verdicts
    ]
    head = {"allowed": found.allowed, "gate": found.gate, "code": found.code, "detail": found.detail}
    return {**head, "verdicts": verdicts}


def _decision(fields: _Fields, now_ms: int) -> Decision:
    created_ms = clock.parse_iso(fields.created_at) if fields.created_at is not None else now_ms
    occasion = f"{fields.id}@{clock.iso(created_ms)}"
    return Decision(
        decision_id=ids.decision_id("packet", "1", fields.venue, fields.symbol, fields.side, occasion),
        strategy=f"packet:{fields.source}", version="1", venue=fields.venue, symbol=fields.symbol, side=fields.side,
        kind=fields.kind, occasion=occasion, edge_bps=_number("edge_bps", fields.edge_bps) or ZERO,
        notional_quote=_number("notional_quote", fields.notional_quote), quantity=_number("quantity", fields.quantity),
        stop_price=_number("stop_price", fields.stop_price), target_price=_number("target_price", fields.target_price),
        created_ms=created_ms, expires_ms=clock.parse_iso(fields.expires_at) if fields.expires_at is not None else 0,
        reasons=("asked by policy_engine check",),
    )  # fmt: skip


def _number(name: str, value: Number) -> Decimal | None:
    return None if value is None else parse(value, name)
