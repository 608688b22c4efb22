"""An operator settles a quarantined intent: adopt (the exchange's word counts) or disown (it is not ours any more)."""

from desk.base.errors import BadInput
from desk.execution import lookup
from desk.execution.desk import Desk
from desk.execution.intent import event
from desk.execution.operator_desk import Hands
from desk.execution.repair_plan import Ask, Plan
from desk.journal.events import Event
from desk.journal.state import Intent


def adopt(hands: Hands, ask: Ask) -> Plan:
    """Look it up once more, book what the exchange says, end the quarantine.

    Raises:
        BadInput: no such quarantined intent; acting, also: the exchange cannot be asked.
    """
    intent = _quarantined(hands.desk, ask.order_id)

    def act() -> tuple[bool, str]:
        if not lookup.look(hands.desk, ask.order_id, intent):
            raise BadInput("the exchange cannot be asked now", ask.order_id, "try again when it answers")
        return _clear(hands.desk, ask.order_id, intent, "adopt", ask.reason)

    return Plan(
        (f"would look up {ask.order_id}, book what the exchange says, and journal INTENT_ANOMALY_CLEARED",), act
    )


def disown(hands: Hands, ask: Ask) -> Plan:
    """End the quarantine and the intent; whatever stands on the exchange under its id is the operator's.

    Raises:
        BadInput: no such quarantined intent.
    """
    intent = _quarantined(hands.desk, ask.order_id)
    line = f"would journal INTENT_ANOMALY_CLEARED of {ask.order_id}: whatever stands under its id is yours"
    return Plan((line,), lambda: _clear(hands.desk, ask.order_id, intent, "disown", ask.reason))


def _quarantined(desk: Desk, intent_id: str) -> Intent:
    intent = desk.fold().intents.intents.get(intent_id)
    if intent is None:
        raise BadInput("is no intent in the journal", intent_id, "see state/intents.json")
    if not intent.anomaly:
        raise BadInput(f"is not quarantined (state {intent.state})", intent_id, "nothing to repair")
    return intent


def _clear(desk: Desk, intent_id: str, intent: Intent, how: str, reason: str) -> tuple[bool, str]:
    data = {"client_order_id": intent_id, "how": how, "reason": reason}
    desk.commit_events(event(Event.INTENT_ANOMALY_CLEARED, intent.venue, intent.symbol, data, intent.decision_id))
    found = desk.fold().intents.intents[intent_id]
    return True, f"{intent_id} is {found.state} {found.status}".rstrip()
