"""What an operator settles by hand after a reconcile: adopt, disown, close. Owns the table of repairs and their plans.

A plan says line by line what it would write or send and does nothing; acting is another step, under the order lease.
Each kind of difference has its own room: `repair_intent`, `repair_foreign`, `repair_balance`, `repair_position`.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from desk.base.errors import BadInput
from desk.execution import difference, reconcile, repair_balance, repair_foreign, repair_intent, repair_position
from desk.execution.difference import BALANCE, INTENT, ORDER, POSITION
from desk.execution.operator_desk import Hands
from desk.execution.repair_plan import Ask, Plan

HOWS: Final = ("adopt", "disown", "close")
Make = Callable[[Hands, Ask], Plan]
TABLE: Final[Mapping[tuple[str, str], Make]] = {
    ("adopt", INTENT): repair_intent.adopt,
    ("disown", INTENT): repair_intent.disown,
    ("adopt", ORDER): repair_foreign.adopt,
    ("disown", ORDER): repair_foreign.disown,
    ("close", ORDER): repair_foreign.close,
    ("adopt", BALANCE): repair_balance.adopt,
    ("adopt", POSITION): repair_position.adopt,
    ("disown", POSITION): repair_position.disown,
    ("close", POSITION): repair_position.close,
}


class Wanted(msgspec.Struct, frozen=True):
    """What the operator typed. `by`: who asks."""

    how: str
    handle: str
    reason: str
    by: str


def plan(hands: Hands, wanted: Wanted) -> Plan:
    """What the repair would write and send, by the journal and the exchange as they are now.

    Raises:
        BadInput: no such handle, nothing to repair there, or something else comes first.
    """
    try:
        kind, venue, symbol, order_id = difference.parse(wanted.handle)
    except ValueError:
        hint = "as reconcile.py prints them: VENUE:SYMBOL:order:ID, VENUE:ASSET:balance, VENUE:SYMBOL:position"
        raise BadInput("is no handle", wanted.handle, hint) from None
    make = TABLE.get((wanted.how, kind))
    if make is None:
        others = " or ".join(how for how in HOWS if (how, kind) in TABLE)
        raise BadInput(f"cannot be settled by {wanted.how}", wanted.handle, f"use {others}")
    seen = None
    if kind != INTENT:
        if venue not in hands.run.settings.venues:
            raise BadInput("is on no venue of VENUES", wanted.handle, "check the handle")
        seen = reconcile.look(hands.desk, venue)
    return make(hands, Ask(wanted.handle, wanted.reason, wanted.by, venue, symbol, order_id, seen))
