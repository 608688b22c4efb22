"""Projections: the folded state as three files, and the fold's fast start. Owns their reading and publishing.

They are only trusted when all three stand at the same seq and hash, are byte for byte what was published (digests in
portfolio.json), and the journal really holds that line at that place; else the fold starts from the newest checkpoint.
So several files can never disagree after a crash, and a hand in one of them moves nothing.
"""

import hashlib
from typing import Any, Final

import msgspec

from desk.base.errors import JournalDamaged, StateCorrupt, StateError
from desk.base.paths import Home
from desk.journal import chain, rotate, segment
from desk.journal.events import Event
from desk.journal.state import Fold, IntentsPart, PortfolioPart, PositionsPart, empty, plain
from desk.state import store

DIGESTS: Final = "_digests"  # in portfolio.json: of each file's content
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
    if found is not None and stands(home, found):
        return found, found.seq
    return from_segment_start(home), found.seq if found is not None else 0


def load(home: Home) -> Fold | None:
    """The three files as a Fold; None when one is missing, unusable, edited, or they stand at different places."""
    docs: dict[str, dict[str, Any]] = {}
    for name, _ in PARTS:
        try:
            raw = store.read(home, name)
        except StateError:
            return None
        if raw is None:
            return None
        docs[name] = raw
    if docs["portfolio"].pop(DIGESTS, None) != _digests(docs):
        return None
    try:
        parts: dict[str, Any] = {name: msgspec.convert(docs[name], kind, strict=False) for name, kind in PARTS}
    except msgspec.ValidationError:
        return None
    if len({(part.applied_seq, part.applied_hash) for part in parts.values()}) != 1:
        return None
    return Fold(**parts)


def from_segment_start(home: Home) -> Fold:
    """The state before the active segment's first line: empty, the checkpoint of the segment before it, or what the
    reseal that opened it carries.

    Raises:
        JournalDamaged: the previous segment or its checkpoint is missing or wrong.
    """
    first = segment.first_line(home.journal)
    if first is None or first.event not in {Event.JOURNAL_OPENED, Event.JOURNAL_RESEALED}:
        return empty()
    fold = rotate.checkpoint_of(home, first) if first.event == Event.JOURNAL_OPENED else _carried(home, first)
    if (fold.seq, fold.hash) != (first.seq - 1, first.prev):
        raise JournalDamaged(
            "its checkpoint does not end where this segment starts", str(home.journal), segment.REPAIR_HINT
        )
    fold.portfolio.applied_line = fold.portfolio.applied_offset = 0
    return fold


def publish(home: Home, fold: Fold, whatever_stands: bool = False) -> None:
    """Write the three files and the mode's mirror. The caller holds the journal lock.

    Args:
        whatever_stands: write even where the same content stands already (rebuild: the bytes are ours again).
    """
    docs = documents(fold)
    for name, _ in PARTS:
        if whatever_stands or not _same(home, name, docs[name]):
            store.write(home, name, docs[name], "journal")
    mirror = {"mode": fold.portfolio.mode, "instance": fold.portfolio.instance}
    if not _same(home, "mode", mirror):
        store.write(home, "mode", mirror, "journal")


def was_stamped(home: Home) -> bool:
    """The mode's mirror stands (or what is left of it): the folder had a journal with a genesis once."""
    try:
        return store.read(home, "mode") is not None
    except StateError:
        return True


def documents(fold: Fold) -> dict[str, dict[str, Any]]:
    """What publishing writes, by projection."""
    docs = {name: plain(getattr(fold, name)) for name, _ in PARTS}
    docs["portfolio"][DIGESTS] = _digests(docs)
    return docs


def stands(home: Home, fold: Fold) -> bool:
    """The journal's active segment holds the applied line exactly where the fold says."""
    portfolio = fold.portfolio
    if not fold.seq or portfolio.applied_segment <= 0:
        return False
    first = segment.first_line(home.journal)
    if first is None or first.seq != portfolio.applied_segment:
        return False
    line = segment.line_at(home.journal, portfolio.applied_line, portfolio.applied_offset)
    return line is not None and (line.seq, line.hash) == (fold.seq, fold.hash)


def _carried(home: Home, first: chain.Line) -> Fold:
    try:
        return rotate.restore(first)
    except chain.ChainError as error:
        raise JournalDamaged(f"first line: {error}", str(home.journal), segment.REPAIR_HINT) from None


def _digests(docs: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {
        name: hashlib.sha256(msgspec.json.encode(doc, order="sorted")).hexdigest()[:32] for name, doc in docs.items()
    }


def _same(home: Home, name: str, wanted: dict[str, Any]) -> bool:
    """The file has that content already; what is missing or unusable has not."""
    try:
        return store.read(home, name) == wanted
    except StateCorrupt:
        return False
