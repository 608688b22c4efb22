"""Projections: the folded state as three files, and the fold's fast start. Owns their reading and publishing.

They are only trusted when all three stand at the same seq and hash and the journal really holds that line at that
place; else the fold starts from the newest checkpoint. So several files can never disagree after a crash.
"""

from typing import Any, Final

import msgspec

from desk.base.errors import JournalDamaged, StateCorrupt, StateError
from desk.base.paths import Home
from desk.journal import rotate, segment
from desk.journal.state import Fold, IntentsPart, PortfolioPart, PositionsPart, empty
from desk.state import store

READ_TRIES: Final = 3
PARTS: Final[tuple[tuple[str, type[msgspec.Struct]], ...]] = (
    ("intents", IntentsPart),
    ("positions", PositionsPart),
    ("portfolio", PortfolioPart),
)


def start(home: Home) -> tuple[Fold, int]:
    """Where folding begins: the projections when they prove themselves, else the segment's start.

    Returns:
        The fold, and the seq the projections claim to have seen: a journal that ends before it has lost bytes.
    """
    found = load(home)
    if found is not None and _stands(home, found):
        return found, found.seq
    return from_segment_start(home), found.seq if found is not None else 0


def load(home: Home) -> Fold | None:
    """The three files as a Fold; None when one is missing, unusable, or they stand at different places."""
    parts: dict[str, Any] = {}
    for name, kind in PARTS:
        try:
            raw = store.read(home, name)
            parts[name] = None if raw is None else msgspec.convert(raw, kind, strict=False)
        except (StateError, msgspec.ValidationError):
            return None
        if parts[name] is None:
            return None
    if len({(part.applied_seq, part.applied_hash) for part in parts.values()}) != 1:
        return None
    return Fold(**parts)


def from_segment_start(home: Home) -> Fold:
    """The state before the active segment's first line: empty, or the checkpoint of the segment before it.

    Raises:
        JournalDamaged: the previous segment or its checkpoint is missing or wrong.
    """
    first = segment.first_line(home.journal)
    if first is None or first.event != "JOURNAL_OPENED":
        return empty()
    fold = rotate.checkpoint_of(home, first)
    if (fold.seq, fold.hash) != (first.seq - 1, first.prev):
        raise JournalDamaged(
            "its checkpoint does not end where this segment starts", str(home.journal), segment.REPAIR_HINT
        )
    fold.portfolio.applied_line = fold.portfolio.applied_offset = 0
    return fold


def publish(home: Home, fold: Fold) -> None:
    """Write the three files unless a newer process already has. The caller holds the journal lock."""
    for name, _ in PARTS:
        part = getattr(fold, name)
        value = msgspec.to_builtins(part, order="sorted", str_keys=True)

        def newer(current: dict[str, Any] | None, value: dict[str, Any] = value) -> dict[str, Any] | None:
            if current is not None and current.get("applied_seq") == value["applied_seq"] and current == value:
                return None
            return value

        _update(home, name, newer)
    if not store.path_of(home, "mode").exists():
        store.write(home, "mode", {"mode": fold.portfolio.mode, "instance": fold.portfolio.instance}, "journal")


def _update(home: Home, name: str, change: Any) -> None:
    try:
        store.update(home, name, change, "journal")
    except StateCorrupt:  # projections are rebuilt, whatever stands there
        store.write(home, name, change(None), "journal")


def _stands(home: Home, fold: Fold) -> bool:
    """The journal's active segment holds the applied line exactly where the projections say."""
    portfolio = fold.portfolio
    if not fold.seq or portfolio.applied_segment <= 0:
        return False
    first = segment.first_line(home.journal)
    if first is None or first.seq != portfolio.applied_segment:
        return False
    line = segment.line_at(home.journal, portfolio.applied_line, portfolio.applied_offset)
    return line is not None and (line.seq, line.hash) == (fold.seq, fold.hash)
