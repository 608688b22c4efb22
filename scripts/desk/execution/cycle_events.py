"""A cycle's events: decisions proposed and verdicts given, as the journal keeps them. Pure."""

from typing import Any, Protocol

from desk.base.money import ZERO, text
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.risk.decision import Decision, Proposal, Verdict


class Evaluation(Protocol):
    """What the policy engine answers: allowed, else the first gate that denied, its code and detail."""

    @property
    def allowed(self) -> bool: ...
    @property
    def gate(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def verdicts(self) -> tuple[Verdict, ...]: ...


def proposed(decision: Decision) -> NewEvent:
    """DECISION_PROPOSED."""
    data = {
        "kind": str(decision.kind), "side": str(decision.side), "strategy": decision.strategy,
        "occasion": decision.occasion, "edge_bps": text(decision.edge_bps), "reasons": list(decision.reasons),
        "stop_price": text(decision.stop_price or ZERO), "target_price": text(decision.target_price or ZERO),
    }  # fmt: skip
    return NewEvent(
        event=Event.DECISION_PROPOSED, venue=decision.venue, symbol=decision.symbol,
        decision_id=decision.decision_id, data=data,
    )  # fmt: skip


def verdict(proposal: Proposal, found: Evaluation) -> NewEvent:
    """TRADE_APPROVED, or TRADE_REJECTED with the gate, its code and the numbers behind it."""
    decision, plan = proposal.decision, proposal.plan
    numbers = {"quantity": text(plan.quantity), "price": text(plan.price), "notional": text(plan.notional)}
    data: dict[str, Any] = {"kind": str(decision.kind), **numbers}
    if found.allowed:
        data["gates"] = len(found.verdicts)
    else:
        denial = next(v for v in found.verdicts if v.gate == found.gate)
        data |= {"gate": found.gate, "code": found.code, "detail": found.detail, "numbers": denial.data}
    return NewEvent(
        event=Event.TRADE_APPROVED if found.allowed else Event.TRADE_REJECTED, venue=decision.venue,
        symbol=decision.symbol, decision_id=decision.decision_id, data=data,
        reason_codes=() if found.allowed else (found.code,),
    )  # fmt: skip
