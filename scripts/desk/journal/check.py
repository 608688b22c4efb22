"""What may be appended: the last look before a group is written. Pure, except that it raises on our own bugs.

Commands of ours that break the intent table raise. Evidence that breaks it gets INTENT_ANOMALY and an alert beside it.
A FILL already booked is dropped (unique by venue, symbol and trade id); late appearances are alerted.
"""

from collections.abc import Iterator
from typing import Any

from desk.base.errors import InvariantError
from desk.base.reasons import Reason
from desk.journal import intent_table
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold


def genesis(ctx: Context) -> NewEvent:
    """The stamp: PAPER starts with the kill switch inactive, LIVE with it active."""
    first = "active" if ctx.mode == "LIVE" else "inactive"
    return NewEvent(event=Event.GENESIS, data={"mode": ctx.mode, "instance": ctx.instance, "kill_switch": first})


def alert(reason: Reason, text: str, subject: str = "", venue: str = "", symbol: str = "") -> NewEvent:
    """An ALERT_RAISED event; its fingerprint is reason and subject, and it names the command that helps."""
    data = {
        "severity": reason.severity, "code": str(reason), "alias": reason.alias, "text": text,
        "action": reason.action, "fingerprint": f"{reason}|{venue}|{symbol}|{subject}",
    }  # fmt: skip
    return NewEvent(event=Event.ALERT_RAISED, data=data, venue=venue, symbol=symbol, reason_codes=(str(reason),))


def complete(fold: Fold, wanted: list[NewEvent]) -> list[NewEvent]:
    """The group as it will be written: repeats dropped, anomalies and late appearances named.

    Raises:
        InvariantError: a data key is missing, a value is no JSON of ours, or a command breaks the table.
    """
    states = {name: intent.state for name, intent in fold.intents.intents.items()}
    trades = {(i.venue, i.symbol, t) for i in fold.intents.intents.values() for t in i.trade_ids}
    result: list[NewEvent] = []
    for new in wanted:
        missing = new.event.needs - new.data.keys()
        if missing:
            raise InvariantError(f"{new.event} lacks {', '.join(sorted(missing))}")
        _check_values(new.event, new.data)
        if new.event is Event.FILL:
            mark = (new.venue, new.symbol, new.data["trade_id"])
            if mark in trades:
                continue
            trades.add(mark)
        result.append(new)
        if new.event in intent_table.COMMANDS or new.event in intent_table.EVIDENCE:
            result.extend(_step(new, states))
    return result


def _step(new: NewEvent, states: dict[str, str]) -> Iterator[NewEvent]:
    client_id = new.data["client_order_id"]
    state = states.get(client_id, "")
    following = intent_table.next_state(state, new.event)
    if following is None:
        if new.event in intent_table.COMMANDS:
            raise InvariantError(f"{new.event} on intent {client_id} in state {state or 'absent'}")
        data = {"client_order_id": client_id, "state": state or "absent", "evidence": str(new.event)}
        yield NewEvent(
            event=Event.INTENT_ANOMALY, data=data, venue=new.venue, symbol=new.symbol, intent_id=client_id,
            reason_codes=(str(Reason.ANOMALY),),
        )  # fmt: skip
        text = f"intent {client_id}: {new.event} in state {state or 'absent'}"
        yield alert(Reason.ANOMALY, text, client_id, new.venue, new.symbol)
        return
    states[client_id] = following
    if intent_table.is_late_appearance(state, new.event):
        yield alert(
            Reason.LATE_APPEARANCE, f"intent {client_id} was {state} and exists", client_id, new.venue, new.symbol
        )


def _check_values(event: Event, value: Any, depth: int = 0) -> None:
    """JSON of ours: no floats (money is text), no nesting without end."""
    if isinstance(value, float) or depth > 12:
        raise InvariantError(f"{event}: a float or too deep a value in its data")
    if isinstance(value, dict):
        for item in value.values():
            _check_values(event, item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_values(event, item, depth + 1)
