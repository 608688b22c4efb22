"""The words repairs share: what is asked, what would be done. Owns the types; does nothing."""

from collections.abc import Callable

import msgspec

from desk.base.errors import BadInput
from desk.execution.desk import Desk
from desk.execution.difference import Difference, Truth
from desk.execution.intent import event
from desk.execution.reconcile import Look
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold


class Plan(msgspec.Struct, frozen=True):
    """What a repair would do.

    Attributes:
        lines: exactly what it would write or send, one step a line.
        act: does it and says what became of it; False when something is left to do and it may be run again.
        needs_ack: an owner's statement: `--yes` alone is not enough.
    """

    lines: tuple[str, ...]
    act: Callable[[], tuple[bool, str]]
    needs_ack: bool = False


class Ask(msgspec.Struct, frozen=True):
    """One repair asked for, and the look at the venue it is judged by (None for an intent)."""

    handle: str
    reason: str
    by: str
    venue: str
    symbol: str  # the asset, for a balance
    order_id: str
    seen: Look | None

    @property
    def truth(self) -> Truth:
        """What the exchange says now.

        Raises:
            BadInput: it cannot be read.
        """
        if self.seen is None or self.seen.truth is None or not self.seen.is_whole:
            raise BadInput("the exchange cannot be read whole now", self.handle, "try again when it answers")
        return self.seen.truth

    def find(self, *kinds: str) -> Difference | None:
        """The difference of these kinds that carries the handle."""
        found = self.seen.differences if self.seen is not None else ()
        return next((one for one in found if one.handle == self.handle and one.kind in kinds), None)


def note(ask: Ask, what: str) -> NewEvent:
    """The operator's word beside events that have no room for it."""
    text = f"repair {ask.handle}: {what} ({ask.reason})"
    return event(Event.NOTE, ask.venue, ask.symbol, {"text": text, "by": ask.by})


def commit_if(desk: Desk, ask: Ask, is_same: Callable[[Fold], bool], events: list[NewEvent]) -> None:
    """Append the events unless what they were judged by moved meanwhile.

    Raises:
        BadInput: it did.
    """
    wrote: list[bool] = []

    def decide(fold: Fold) -> list[NewEvent]:
        wrote[:] = [is_same(fold)]
        return events if wrote[0] else []

    desk.commit(decide)
    if not wrote[0]:
        raise BadInput("changed while it was looked at: nothing was written", ask.handle, "run it again")
