"""Is it worth it: edge against costs, and the AI gate's word (which can only say no)."""

from desk.base.reasons import Reason
from desk.risk.decision import Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.verdicts import allow, deny

AI_REQUIRED = 2


def edge_cost(proposal: Proposal, facts: Facts) -> Verdict:
    """The stated edge is at least `entries.edge_min_bps` over spread, slippage and fees."""
    edge, cost = proposal.decision.edge_bps, proposal.plan.cost_bps
    if facts.limits is None:
        return deny("edge_cost", Reason.EDGE_LOW, "the limits are not known")
    if not cost >= 0:
        return deny("edge_cost", Reason.COST_HIGH, "the costs make no sense", cost_bps=cost)
    if cost > edge:
        return deny("edge_cost", Reason.COST_HIGH, edge_bps=edge, cost_bps=cost)
    needed = facts.limits.entries.edge_min_bps + cost
    if not edge >= needed:
        return deny("edge_cost", Reason.EDGE_LOW, edge_bps=edge, needed_bps=needed)
    return allow("edge_cost", edge_bps=edge, needed_bps=needed)


def ai_gate(proposal: Proposal, facts: Facts) -> Verdict:
    """AI_DEC=2 asks for a gate's verdict; while none is configured nothing enters."""
    if facts.limits is None:
        return deny("ai_gate", Reason.AI_NOT_CONFIGURED, "the limits are not known")
    if facts.limits.system.ai_dec == AI_REQUIRED:
        return deny("ai_gate", Reason.AI_NOT_CONFIGURED)
    return allow("ai_gate", "not asked for")
