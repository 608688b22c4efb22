"""How long a position stood without protection while one of our orders made way for the next. Measures; sends nothing.

From the confirmed cancel to the order the exchange accepted. The longest of a run goes to its run record, never to the
journal (design 3); after a crash the time since the journalled cancel counts too.
"""

from collections.abc import Iterable

import msgspec

from desk.base import clock
from desk.execution.desk import Desk
from desk.journal.state import Intent

COUNT = "unprotected_ms_max"


class Gap(msgspec.Struct, frozen=True):
    """One such time, begun."""

    before_ms: int  # passed already when this process took it up
    started_s: float

    @staticmethod
    def since(gone: Iterable[Intent]) -> "Gap":
        """Begun when the last of these orders was known to be gone; now, when none is."""
        ended_ms = max((intent.final_ms for intent in gone), default=0)
        return Gap(max(clock.now_ms() - ended_ms, 0) if ended_ms else 0, clock.monotonic_s())

    @property
    def ms(self) -> int:
        """How long until now."""
        return self.before_ms + int((clock.monotonic_s() - self.started_s) * 1000)

    def is_over(self, desk: Desk) -> bool:
        """It has lasted longer than it may."""
        return self.ms > desk.run.settings.config.exits.unprotected_max_ms

    def end(self, desk: Desk, where: str) -> None:
        """Something protects, or sells, again."""
        spent_ms = self.ms
        desk.run.counts[COUNT] = max(spent_ms, int(desk.run.counts.get(COUNT, 0)))
        if self.is_over(desk):
            desk.run.warn("WARN", f"{where} stood without protection for {spent_ms} ms")
