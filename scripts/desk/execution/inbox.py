"""The signals inbox inside a cycle: which files propose, and what becomes of them. Owns the settling order.

The journal first (SIGNAL_DONE, SIGNAL_REJECTED), the file second: a crash in between leaves a file that the next tick
recognises by its decision and settles. A denial that can pass leaves the file until it expires.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from desk.base.errors import StateError
from desk.base.reasons import Reason
from desk.execution.desk import Desk
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold
from desk.risk.decision import Decision
from desk.runtime.tick import Run
from desk.strategies import signal_files, signals
from desk.strategies.signal_rules import InboxLimits
from desk.strategies.signals import InboxItem


class Inbox(msgspec.Struct):
    """This cycle's signals."""

    run: Run
    items: dict[str, InboxItem] = msgspec.field(default_factory=dict)  # decision id -> file
    settled: set[str] = msgspec.field(default_factory=set)

    def decisions(self, desk: Desk) -> list[Decision]:
        """Read the inbox: unusable and repeated files are rejected, settled ones moved, the rest proposed."""
        settings = self.run.settings
        limits = replace(InboxLimits.of(settings.config), held=tuple(desk.fold().positions.positions))
        try:
            items = signals.scan(self.run.home.signals, self.run.tick_ms, limits)
            items = signals.finish_interrupted(self.run.home.signals, items)
        except StateError as error:
            self.run.log.error(error.line(), code="signals")
            return []
        found = []
        for item in items:
            decision = item.decision
            if decision is None:
                self._reject(desk, item, item.code, item.detail)
            elif self._is_used(desk.fold(), decision):
                self._settle_used(desk, item, decision)
            else:
                self.items[decision.decision_id] = item
                found.append(decision)
        return found

    def done(self, desk: Desk, decision: Decision, outcome: dict[str, Any]) -> None:
        """A signal that was acted on: journal, then file. A strategy's decision has no file."""
        item = self.items.get(decision.decision_id)
        if item is None or decision.decision_id in self.settled:
            return
        self.settled.add(decision.decision_id)
        desk.commit_events(self._event(Event.SIGNAL_DONE, decision, {"signal_id": _signal_id(decision)}))
        self._move(lambda: signals.move_done(self.run.home.signals, item, outcome))

    def denied(self, desk: Desk, decision: Decision, code: str, detail: str) -> None:
        """A denied signal stays while its denial can pass, else it is rejected with the reason beside it."""
        item = self.items.get(decision.decision_id)
        if item is not None and not signals.denial_can_pass(code) and decision.decision_id not in self.settled:
            self.settled.add(decision.decision_id)
            self._reject(desk, item, code, detail)

    def _settle_used(self, desk: Desk, item: InboxItem, decision: Decision) -> None:
        """The id was used: the very same signal is done, another one with its id is a duplicate."""
        if decision.decision_id in desk.fold().portfolio.decisions_seen:
            self._move(lambda: signals.move_done(self.run.home.signals, item, {"outcome": "already acted on"}))
        else:
            self._reject(desk, item, "signal:duplicate", "its id was used before")

    def _reject(self, desk: Desk, item: InboxItem, code: str, detail: str) -> None:
        signal_id = _signal_id(item.decision) if item.decision is not None else ""
        name = signal_files.shown(item.name)  # a file's name need be no text
        data = {"name": name, "code": code, "detail": detail, "signal_id": signal_id}
        desk.commit_events(
            NewEvent(event=Event.SIGNAL_REJECTED, data=data, reason_codes=(str(Reason.SIGNAL_BAD), code))
        )
        self.run.say(f"SIGNAL REJECTED {name}: {code} {detail}")
        self._move(lambda: signals.move_rejected(self.run.home.signals, item, code, detail))

    def _move(self, act: Any) -> None:
        try:
            act()
        except StateError as error:
            self.run.log.error(error.line(), code="signals")

    def _event(self, name: Event, decision: Decision, data: dict[str, Any]) -> NewEvent:
        return NewEvent(
            event=name, venue=decision.venue, symbol=decision.symbol, decision_id=decision.decision_id, data=data
        )

    def _is_used(self, fold: Fold, decision: Decision) -> bool:
        return _signal_id(decision) in fold.portfolio.signals_seen


def _signal_id(decision: Decision) -> str:
    """The producer's id (the occasion is `id@created_at`)."""
    return decision.occasion.rpartition("@")[0] or decision.occasion
