"""A balance no trade explains is adopted: a deposit or a withdrawal of the owner's. Sends nothing.

BALANCE_ADJUSTED moves the journal's balance and takes the amount out of equity, so it is neither gain nor loss (P5).
"""

from desk.base.errors import BadInput
from desk.base.money import ZERO, text
from desk.execution import foreign
from desk.execution.compare_money import UNKNOWN
from desk.execution.intent import event
from desk.execution.operator_desk import Hands
from desk.execution.repair_plan import Ask, Plan, commit_if
from desk.journal.events import Event


def adopt(hands: Hands, ask: Ask) -> Plan:
    """Book the whole difference as a flow from outside.

    Raises:
        BadInput: there is no such difference now, or foreign orders come first.
    """
    desk, asset = hands.desk, ask.symbol
    assert ask.truth is not None
    found = ask.find("balances")
    if found is None:
        raise BadInput("is no difference to adopt now", ask.handle, "run reconcile.py; unsettled orders settle first")
    waiting = foreign.unsettled(desk.fold(), ask.venue)
    if found.name == UNKNOWN and waiting:
        raise BadInput("foreign orders explain a part of it", ask.handle, f"settle {', '.join(sorted(waiting)[:3])}")
    here = desk.fold().portfolio.balances.get(ask.venue, {}).get(asset, ZERO)
    data = {"asset": asset, "amount": text(found.amount), "cause": ask.reason, "by": ask.by}
    line = f"would journal BALANCE_ADJUSTED {ask.venue} {asset} {text(found.amount)}: equity and losses do not move"

    def act() -> tuple[bool, str]:
        commit_if(
            desk,
            ask,
            lambda fold: fold.portfolio.balances.get(ask.venue, {}).get(asset, ZERO) == here,
            [event(Event.BALANCE_ADJUSTED, ask.venue, "", data)],
        )
        what = "deposit" if found.amount > ZERO else "withdrawal"
        return True, f"{ask.venue} {asset} {text(found.amount)} is the owner's {what}"

    return Plan((line,), act)
