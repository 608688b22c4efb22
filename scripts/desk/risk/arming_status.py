"""The table `arming.py status` prints: every factor of design 6 against every kind of action. Pure.

Factors that are gates of their own are asked of those gates, the rest of `arming`'s table, so that the page can never
say other than the router. What a symbol or venue adds (prices, limits, breakers) is the policy engine's to show.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.risk import arming
from desk.risk.arming import Action, Factor
from desk.risk.decision import Decision, Kind, Plan, Proposal
from desk.risk.facts import Facts
from desk.risk.gates import locks
from desk.risk.verdicts import Gate
from desk.venues.protocol import OrderType, Side

MET, NOT_NEEDED = "met", "-"
WITH_LIVE: Final = "with --live"
Cell = Callable[[Facts], str]  # a reason code, or one of the words above


class Row(NamedTuple):
    """One factor and how each action asks for it; an action that is absent does not."""

    name: str
    cells: Mapping[Action, Cell]


def rows() -> tuple[Row, ...]:
    """Every factor in design 6's order."""
    return (
        Row("SYSTEM_MODE=LIVE", {Action.ENTRY: lambda facts: MET if facts.is_live else str(Reason.MODE_PAPER)}),
        Row("folder's stamp", _gate(locks.mode, Action.ENTRY, Action.EXIT, Action.CANCEL)),
        *(Row(factor.name, {action: _factor(factor) for action in factor.stops}) for factor in arming.FACTORS),
        Row("kill switch inactive", _gate(locks.kill_switch, Action.ENTRY)),
        Row("system mode NORMAL", _gate(locks.system_mode, Action.ENTRY)),
        Row("FREEZE_ALL off", _gate(locks.freeze, Action.ENTRY, Action.EXIT, Action.CANCEL)),
        Row("journal writable", _gate(locks.audit_writable, Action.ENTRY, Action.EXIT)),
    )


def table(facts: Facts) -> list[dict[str, str]]:
    """One row per factor: its name, and for each action `met`, `with --live`, `-` (not needed) or the reason code."""
    return [
        {"factor": row.name} | {str(a): row.cells[a](facts) if a in row.cells else NOT_NEEDED for a in Action}
        for row in rows()
    ]


def unmet(found: list[dict[str, str]], action: Action) -> list[str]:
    """The codes that stop an action, in the table's order."""
    codes = (row[str(action)] for row in found)
    return list(dict.fromkeys(code for code in codes if code not in {MET, NOT_NEEDED, WITH_LIVE}))


def _factor(factor: Factor) -> Cell:
    if factor.per_run:
        return lambda facts: WITH_LIVE
    return lambda facts: MET if factor.is_met(facts.arming) else str(factor.reason)


def _gate(gate: Gate, *actions: Action) -> dict[Action, Cell]:
    """A gate's word for each action; a cancel is asked for as an exit is."""

    def ask(action: Action) -> Cell:
        proposal = _proposal(Kind.ENTRY if action is Action.ENTRY else Kind.EXIT)

        def cell(facts: Facts) -> str:
            verdict = gate(proposal, facts)
            return MET if verdict.allowed else verdict.code

        return cell

    return {action: ask(action) for action in actions}


def _proposal(kind: Kind) -> Proposal:
    """A proposal that names nothing: these gates look at the account, never at the order."""
    decision = Decision(
        decision_id="", strategy="", version="", venue="", symbol="", occasion="", edge_bps=ZERO, kind=kind,
        side=Side.BUY if kind is Kind.ENTRY else Side.SELL,
    )  # fmt: skip
    plan = Plan(type=str(OrderType.MARKET), quantity=ZERO, price=ZERO, reference_price=ZERO, notional=ZERO)
    return Proposal(decision=decision, plan=plan)
