"""An operator settles a quarantined intent: adopt (the exchange's word counts) or disown (it is not ours any more)."""

from desk.base.errors import BadInput
from desk.execution import lookup
from desk.execution.desk import Desk
from desk.execution.intent import event
from desk.journal.events import Event
from desk.journal.state import Intent


def adopt(desk: Desk, intent_id: str, reason: str) -> str:
    """Look it up once more, book what the exchange says, end the quarantine.

    Raises:
        BadInput: no such quarantined intent, or the exchange cannot be asked.
    """
    intent = _quarantined(desk, intent_id)
    if not lookup.look(desk, intent_id, intent):
        raise BadInput("the exchange cannot be asked now", intent_id, "try again when it answers")
    return _clear(desk, intent_id, intent, "adopt", reason)


def disown(desk: Desk, intent_id: str, reason: str) -> str:
    """End the quarantine and the intent; whatever stands on the exchange under its id is the operator's.

    Raises:
        BadInput: no such quarantined intent.
    """
    return _clear(desk, intent_id, _quarantined(desk, intent_id), "disown", reason)


def _quarantined(desk: Desk, intent_id: str) -> Intent:
    intent = desk.fold().intents.intents.get(intent_id)
    if intent is None:
        raise BadInput("is no intent in the journal", intent_id, "see state/intents.json")
    if not intent.anomaly:
        raise BadInput(f"is not quarantined (state {intent.state})", intent_id, "nothing to repair")
    return intent


def _clear(desk: Desk, intent_id: str, intent: Intent, how: str, reason: str) -> str:
    data = {"client_order_id": intent_id, "how": how, "reason": reason}
    desk.commit_events(event(Event.INTENT_ANOMALY_CLEARED, intent.venue, intent.symbol, data, intent.decision_id))
    found = desk.fold().intents.intents[intent_id]
    return f"{intent_id} is {found.state} {found.status}".rstrip()
