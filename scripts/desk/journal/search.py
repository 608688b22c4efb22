"""Finding lines: filters, the newest N, the life of one order, decision, position or run. Reads only, without the lock.

Lines are given as they stand, torn or wrong ones are passed over (verifying is another room's work). Checkpoints carry
whole states and are never searched.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from desk.base import clock
from desk.base.errors import BadInput
from desk.base.paths import Home
from desk.base.reasons import ALIASES as REASON_ALIASES
from desk.base.reasons import Reason
from desk.journal import chain, files
from desk.journal.chain import Line
from desk.journal.events import ALIASES, Event

ID_CHARS_MIN: Final = 4
FIELDS: Final = (
    "seq", "ts", "event", "group", "run_id", "cycle_id", "script", "mode", "venue", "symbol", "intent_id",
    "decision_id", "reason_codes", "data", "prev", "hash",
)  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """What is asked for; empty means anything."""

    events: frozenset[str] = frozenset()
    reason: str = ""
    since: str = ""

    def takes(self, line: Line) -> bool:
        """The line is one of those asked for."""
        if self.events and line.event not in self.events:
            return False
        if self.reason and not (self.reason in line.reason_codes or line.data.get("code") == self.reason):
            return False
        return line.ts >= self.since


def make_filter(event: str = "", reason: str = "", since: str = "") -> Filter:
    """Names of the runbooks resolve to ours.

    Raises:
        BadInput: an unknown event or a time without an offset.
    """
    events: frozenset[str] = frozenset()
    if event:
        found = ALIASES.get(event, ()) + tuple(one for one in Event if one == event)
        if not found:
            raise BadInput(f"{event!r} is no event", "--event", "see docs/events.md")
        events = frozenset(str(one) for one in found)
    code = str(REASON_ALIASES[reason]) if reason in REASON_ALIASES else reason
    if code and code not in Reason._value2member_map_:
        raise BadInput(f"{reason!r} is no reason", "--reason", "see docs/reasons.md")
    try:
        start = clock.iso(clock.parse_iso(since)) if since else ""
    except ValueError:
        raise BadInput(
            f"{since!r} is no time", "--since", "use ISO-8601 with an offset: 2026-01-31T00:00:00Z"
        ) from None
    return Filter(events, code, start)


def segments(home: Home) -> list[Path]:
    """Every kept segment, oldest first, the active one last."""
    return [*(path for _, path in files.sealed(home)), home.journal]


def lines(home: Home, wanted: Filter) -> Iterator[tuple[bytes, Line]]:
    """(raw, line) of every line asked for, oldest first."""
    for path in segments(home):
        yield from _of(path, wanted.takes)


def newest(home: Home, wanted: Filter, count: int) -> list[tuple[bytes, Line]]:
    """The newest `count` lines asked for, oldest of them first; reads no segment more than needed."""
    found: list[tuple[bytes, Line]] = []
    for path in reversed(segments(home)):
        found = [*_of(path, wanted.takes), *found]
        if len(found) >= count:
            break
    return found[-count:] if count else []


def life(home: Home, subject: str) -> list[Line]:
    """Every line of a client order id, decision, position or run, in order; what belongs to a decision or a position
    includes its orders' fills.

    Raises:
        BadInput: too short to mean one thing.
    """
    if len(subject) < ID_CHARS_MIN:
        raise BadInput(f"{subject!r} is too short", "ID", "give the whole id")
    direct = [line for line in _mentioning(home, {subject}) if names(line, {subject})]
    orders = {subject} | {
        str(line.data["client_order_id"])
        for line in direct
        if line.event == Event.INTENT_CREATED and subject in {line.decision_id, line.data.get("position_id")}
    }
    return [line for line in _mentioning(home, orders) if names(line, orders)]


def names(line: Line, wanted: set[str]) -> bool:
    """The line is about one of the ids."""
    data = line.data
    own = {line.run_id, line.cycle_id, line.intent_id, line.decision_id}
    return bool(wanted & own) or any(
        data.get(name) in wanted
        for name in ("client_order_id", "position_id", "parent", "list_id", "signal_id", "trade_id")
    )


def row(line: Line) -> dict[str, Any]:
    """A line as a flat row in the order of its fields."""
    return {name: getattr(line, name) for name in FIELDS}


def _mentioning(home: Home, wanted: set[str]) -> Iterator[Line]:
    marks = [one.encode() for one in wanted]
    for path in segments(home):
        for raw in _raw(path):
            if any(mark in raw for mark in marks):
                line = _decode(raw)
                if line is not None and line.event not in chain.CARRIES_FOLD:
                    yield line


def _of(path: Path, takes: Callable[[Line], bool]) -> Iterator[tuple[bytes, Line]]:
    for raw in _raw(path):
        line = _decode(raw)
        if line is not None and takes(line):
            yield raw, line


def _raw(path: Path) -> Iterator[bytes]:
    if path.is_file():
        with path.open("rb") as handle:
            yield from handle


def _decode(raw: bytes) -> Line | None:
    try:
        return chain.decode(raw)
    except chain.ChainError:
        return None
