"""A decision and a verdict: what strategies propose and what gates answer. Owns the types; decides nothing."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from desk.venues.protocol import Side


class Kind(StrEnum):
    """Opens risk, or takes it away."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One proposal for one occasion. `decision_id` is a pure function of strategy, version, venue, symbol, side and
    occasion (closed bar time or signal id), so the same occasion never proposes twice.

    An entry names a notional (quote currency) or a quantity (base); an exit may name a quantity, else the whole
    position. A null stop means the default stop, a null target means none (rules.md, Exits).
    """

    decision_id: str
    strategy: str
    version: str
    venue: str
    symbol: str
    side: Side
    kind: Kind
    occasion: str
    edge_bps: Decimal
    notional_quote: Decimal | None = None
    quantity: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    created_ms: int = 0
    expires_ms: int = 0  # 0: with the cycle
    signal_file: str = ""  # set for decisions that came through signals/
    reasons: tuple[str, ...] = ()  # why, in the strategy's words


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One gate's answer. `data` holds the numbers behind it as text, never a measured duration."""

    gate: str
    allowed: bool
    code: str = ""  # reason code when denied
    detail: str = ""
    data: dict[str, str] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An order as sized and quantised for a decision, before any gate has spoken. Fractions of mid; costs in bps."""

    type: str  # protocol.OrderType
    quantity: Decimal
    price: Decimal  # limit price, or the worst price the order may take
    reference_price: Decimal  # mid at sizing
    notional: Decimal  # quantity * price
    stop_price: Decimal = Decimal(0)  # 0: none (exits)
    target_price: Decimal = Decimal(0)  # 0: none
    spread_frac: Decimal = Decimal(0)
    slippage_frac: Decimal = Decimal(0)  # average price against mid for this quantity
    fee_frac: Decimal = Decimal(0)  # both sides for an entry
    cost_bps: Decimal = Decimal(0)  # spread + slippage + fees
    covered: bool = True  # the book's depth covers the quantity
    problem: str = ""  # reason code when it could not be sized (order:..., symbol:...)
    problem_detail: str = ""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with its plan: what the gates judge."""

    decision: Decision
    plan: Plan
