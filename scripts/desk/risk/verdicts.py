"""How a gate says yes or no, and what a walk over the gates found. Owns the types and constructors; decides nothing.

A verdict is journalled, so its detail and data hold limits and numbers that come from data (prices, quantities,
counts), never a measured duration, age, offset or rate use (design 3: a stepped day gives the same journal twice).
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from desk.base.money import text
from desk.base.reasons import Reason
from desk.risk.decision import Kind, Proposal, Verdict
from desk.risk.facts import Facts

Gate = Callable[[Proposal, Facts], Verdict]
Number = Decimal | int | str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One proposal against the gates. When denied, gate, code and detail are the first denier's, and it is the last
    of `verdicts` (unless every gate was asked)."""

    allowed: bool
    gate: str = ""
    code: str = ""
    detail: str = ""
    verdicts: tuple[Verdict, ...] = ()


def allow(gate: str, detail: str = "", code: str = "", **numbers: Number) -> Verdict:
    """Yes. A code beside a yes is a warning the caller raises (an exit without a usable bid)."""
    return Verdict(gate=gate, allowed=True, code=code, detail=detail, data=_data(numbers))


def deny(gate: str, reason: Reason, detail: str = "", **numbers: Number) -> Verdict:
    """No, with its reason code; the detail defaults to the code's meaning."""
    return Verdict(gate=gate, allowed=False, code=str(reason), detail=detail or reason.meaning, data=_data(numbers))


def is_exit(proposal: Proposal) -> bool:
    """The decision takes risk away."""
    return proposal.decision.kind is Kind.EXIT


def _data(numbers: dict[str, Number]) -> dict[str, str]:
    return {name: text(value) if isinstance(value, Decimal) else str(value) for name, value in numbers.items()}
