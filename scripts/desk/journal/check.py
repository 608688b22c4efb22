"""What may be appended: the last look before a group is written. Pure, except that it raises on our own bugs.

Commands of ours that break the intent table, or carry a value nobody can use, raise. Exchange evidence never does: what
the table does not know gets INTENT_ANOMALY and an alert beside it, once. A FILL already booked is dropped (unique by
venue, symbol and trade id); late appearances are alerted.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from desk.base.errors import InvariantError
from desk.base.reasons import Reason
from desk.journal import intent_table, shapes
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.state import FINAL_ORDER_STATUSES, Fold

CLIENT_ID_SHOWN_MAX: Final = 64
OPEN_ORDER_STATUSES: Final = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"})


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
    group = _Group(fold)
    return [written for new in wanted for written in group.take(new)]


class _Group(msgspec.Struct):
    """The group being checked: what its earlier events have changed already."""

    fold: Fold
    states: dict[str, str] = msgspec.field(default_factory=dict)  # client order id -> state after this group's events
    trades: dict[tuple[str, str], set[str]] = msgspec.field(default_factory=dict)  # (venue, symbol) -> trade ids booked
    alerted: set[str] = msgspec.field(default_factory=set)

    def take(self, new: NewEvent) -> Iterator[NewEvent]:
        """The event and what belongs beside it; nothing for a repeat."""
        is_evidence = new.event in intent_table.EVIDENCE
        wrong = shapes.problem(new.event, new.data) or shapes.not_json(new.data)
        if wrong and not is_evidence:
            raise InvariantError(f"{new.event} {wrong}")
        if wrong:
            yield from self._anomaly(_readable_id(new), new, wrong)
        elif new.event is Event.FILL and self._is_booked(new):
            return
        elif is_evidence:
            yield from self._evidence(new)
        elif new.event in intent_table.COMMANDS:
            yield from self._command(new)
        else:
            yield new

    def _command(self, new: NewEvent) -> Iterator[NewEvent]:
        client_id = new.data["client_order_id"]
        state = self._state(client_id)
        following = intent_table.next_state(state, new.event)
        if following is None:
            raise InvariantError(f"{new.event} on intent {client_id} in state {state or 'absent'}")
        self.states[client_id] = following
        yield new

    def _evidence(self, new: NewEvent) -> Iterator[NewEvent]:
        client_id = new.data["client_order_id"]
        state = self._state(client_id)
        following = intent_table.next_state(state, new.event)
        if not state:  # an order nobody wrote down: named, never booked
            yield from self._anomaly(client_id, new, str(new.event))
        elif following is None:
            mark = f"{state}+{new.event}"
            if self._mark(client_id) == mark and new.event is not Event.FILL:
                return
            yield new  # kept as it came; a trade moves balances whatever the state
            yield from self._anomaly(client_id, new, str(new.event))
        else:
            self.states[client_id] = following
            yield new
            yield from self._beside(new, client_id, state)

    def _beside(self, new: NewEvent, client_id: str, state: str) -> Iterator[NewEvent]:
        """A late appearance is alerted; an order status nobody knows quarantines."""
        if intent_table.is_late_appearance(state, new.event):
            text = f"intent {client_id} was {state} and exists"
            yield alert(Reason.LATE_APPEARANCE, text, client_id, new.venue, new.symbol)
        status = new.data.get("status") if new.event is Event.INTENT_CONFIRMED else None
        if status is not None and status not in OPEN_ORDER_STATUSES | FINAL_ORDER_STATUSES:
            yield from self._anomaly(client_id, new, f"status {status[:40]}")

    def _anomaly(self, client_id: str, new: NewEvent, evidence: str) -> Iterator[NewEvent]:
        """INTENT_ANOMALY and its alert, unless the very same stands already."""
        state = self._state(client_id) or "absent"
        text = f"intent {client_id}: {evidence} in state {state}"
        raised = alert(Reason.ANOMALY, text, client_id, new.venue, new.symbol)
        known = self.fold.portfolio.alerts.get(raised.data["fingerprint"])
        is_known = client_id in self.fold.intents.intents
        mark = self._mark(client_id) == f"{state}+{evidence}"
        is_standing = mark if is_known else known is not None and known.text == text
        if is_standing or text in self.alerted:
            return
        self.alerted.add(text)
        data = {"client_order_id": client_id, "state": state, "evidence": evidence}
        yield NewEvent(
            event=Event.INTENT_ANOMALY, data=data, venue=new.venue, symbol=new.symbol, intent_id=client_id,
            reason_codes=(str(Reason.ANOMALY),),
        )  # fmt: skip
        yield raised

    def _is_booked(self, new: NewEvent) -> bool:
        """True for a trade the journal has, or this group already brings."""
        place = (new.venue, new.symbol)
        if place not in self.trades:
            intents = self.fold.intents.intents.values()
            self.trades[place] = {t for i in intents if (i.venue, i.symbol) == place for t in i.trade_ids}
        booked = self.trades[place]
        if new.data["trade_id"] in booked:
            return True
        if self._state(new.data["client_order_id"]):
            booked.add(new.data["trade_id"])
        return False

    def _state(self, client_id: str) -> str:
        if client_id in self.states:
            return self.states[client_id]
        found = self.fold.intents.intents.get(client_id)
        return found.state if found is not None else ""

    def _mark(self, client_id: str) -> str:
        """The anomaly an intent carries; "" for one without, or written in this very group."""
        found = self.fold.intents.intents.get(client_id)
        return found.anomaly if found is not None else ""


def _readable_id(new: NewEvent) -> str:
    raw = new.data.get("client_order_id", "")
    return raw.encode("utf-8", "replace").decode()[:CLIENT_ID_SHOWN_MAX] if isinstance(raw, str) else "?"
