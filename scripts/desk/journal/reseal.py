"""Resealing: the one way out of a damaged journal. Owns finding the last good group and the steps that go on from it.

Where the head can no longer be folded, the new segment is written whole beside the old one first (the plan); from then
on every lock holder finishes: what is damaged gets its name under `archive/`, projections and hint (which know more
than the new chain) go with it, and one rename puts the new segment in place. It starts with JOURNAL_RESEALED, which
carries the folded state of the last good group, and with PAUSE: every symbol is unknown until a full reconcile.
Damage in a segment sealed before only moves that one, after the active segment has said so (and, where it started from
there, has been sealed itself, so that a checkpoint stands before the head); the same command again finishes a move that
a crash left out.
"""

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import BadInput, JournalDamaged, StateError
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal import chain, check, files, projections, rotate, segment
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.fold import apply
from desk.journal.state import Fold, Latch, empty
from desk.journal.walk import Walker
from desk.state import store

PLAN_NAME: Final = ".audit.reseal"
CACHES: Final = ("intents.json", "positions.json", "portfolio.json", "audit_head.json")
WHY_CHARS_MAX: Final = 500


class Damage(msgspec.Struct, frozen=True):
    """What is damaged and where the good part ends.

    Attributes:
        in_active: the head cannot be folded: a new segment is needed; else only sealed segments are concerned.
        moved: names of the segments that go to the archive (one that is missing is named all the same).
        base: the folded state up to the last good group.
        lost_to: the last seq anything has known of; `lost_from - 1` when nothing is known lost.
        shrunk_from: the seq known durable of a journal that ends before it, else 0.
    """

    why: str
    in_active: bool
    moved: tuple[str, ...]
    base: Fold
    lost_from: int
    lost_to: int
    shrunk_from: int = 0
    is_said: bool = False  # JOURNAL_RESEALED stands already; only the move is left

    @property
    def archive(self) -> str:
        """The folder below the home that the moved segments go to; the same damage gives the same name."""
        return f"archive/reseal.{self.base.seq}.{self.base.hash[:8]}"


def survey(home: Home) -> Damage:
    """What is damaged, and what can be saved. The caller holds the journal lock.

    Raises:
        BadInput: nothing is damaged.
    """
    walker, broken, salvaged = Walker(home), [], empty()
    for number, path in files.sealed(home):
        if walker.read_sealed(path) is not None:
            broken.append((number, path.name))
            salvaged = walker.fold if walker.fold is not None else salvaged
    walker.read_active()
    missing = [(walker.seq, name) for name in walker.gaps if name not in walker.resealed]
    sealed = tuple(dict.fromkeys(name for _, name in (*broken, *missing)))
    base, why, shrunk_from = _good_part(home, salvaged)
    if why:
        lost_to = max([shrunk_from, base.seq, *_seqs(home.journal)])
        return Damage(why, True, (*sealed, home.journal.name), base, base.seq + 1, lost_to, shrunk_from)
    if not sealed:
        raise BadInput("nothing is damaged", "audit.py reseal", "see audit.py verify")
    said = all(name in walker.resealed for name in sealed)
    return Damage("a sealed segment is damaged or missing", False, sealed, base, *_range_of(home, sealed), is_said=said)


def plan(home: Home, damage: Damage, ctx: Context, reason: str) -> None:
    """Write the new segment beside the damaged one: from here on the reseal is decided."""
    base = damage.base
    base.portfolio.mode = base.portfolio.mode or ctx.mode
    base.portfolio.instance = base.portfolio.instance or ctx.instance
    first, *others = events(damage, reason)
    carrying = NewEvent(event=first.event, data=first.data | rotate.sealed_state(base), reason_codes=first.reason_codes)
    wanted, ts = [carrying, *others], clock.iso(clock.now_ms())
    prev, texts = base.hash, []
    for index, new in enumerate(wanted, 1):
        text, prev = chain.encode(new, base.seq + index, ts, (index, len(wanted)), ctx, prev)
        texts.append(text)
    files.put_whole(home.logs / PLAN_NAME, b"".join(texts))


def is_pending(home: Home) -> bool:
    """A reseal is decided and not finished."""
    return (home.logs / PLAN_NAME).exists()


def finish_pending(home: Home) -> bool:
    """Carry a decided reseal through; True when there was one. The caller holds the journal lock."""
    path = home.logs / PLAN_NAME
    first = segment.first_line(path)
    if first is None:
        return False
    folder = (home.root / str(first.data["old_file"])).parent
    files.make_folder(folder)
    for name in first.data["old_files"]:
        if name != home.journal.name:
            _move(home.logs / name, folder)
    if home.journal.exists():
        files.keep_link(home.journal, folder / home.journal.name)
    for name in CACHES:
        _move(home.state / name, folder)
    files.sync_folder(folder)
    files.sync_folder(home.state)
    os.replace(path, home.journal)
    files.sync_folder(home.logs)
    return True


def holds_the_start(home: Home, damage: Damage) -> bool:
    """One of the segments to move carries the checkpoint that the active one starts from."""
    first = segment.first_line(home.journal)
    return first is not None and first.data.get("previous") in damage.moved


def move_sealed(home: Home, damage: Damage) -> None:
    """Move damaged sealed segments under `archive/` (one that is missing stays so)."""
    folder = home.root / damage.archive
    files.make_folder(folder)
    for name in damage.moved:
        _move(home.logs / name, folder)
    files.sync_folder(folder)
    files.sync_folder(home.logs)


def events(damage: Damage, reason: str) -> list[NewEvent]:
    """JOURNAL_RESEALED, PAUSE and the alert; JOURNAL_SHRUNK and its alert where bytes were cut off."""
    base, codes = damage.base, (str(Reason.AUDIT_RESEALED),)
    data: dict[str, Any] = {
        "old_file": f"{damage.archive}/{damage.moved[-1]}", "old_files": list(damage.moved), "seq": base.seq,
        "hash": base.hash, "lost_from": damage.lost_from, "lost_to": damage.lost_to, "reason": reason,
        "why": damage.why[:WHY_CHARS_MAX],
    }  # fmt: skip
    pause = {"state": "PAUSE", "reasons": [str(Reason.AUDIT_RESEALED)], "by": "audit.py reseal"}
    text = f"{damage.why[:WHY_CHARS_MAX]}; seq {damage.lost_from}..{damage.lost_to} may be lost"
    found = [
        NewEvent(event=Event.JOURNAL_RESEALED, data=data, reason_codes=codes),
        NewEvent(event=Event.PAUSE_RAISED, data=pause, reason_codes=codes),
        check.alert(Reason.AUDIT_RESEALED, text),
    ]
    if damage.shrunk_from:
        shrunk = {"hint_seq": damage.shrunk_from, "seq": base.seq}
        text = f"the journal ended at seq {base.seq}, seq {damage.shrunk_from} was durable"
        found.append(NewEvent(event=Event.JOURNAL_SHRUNK, data=shrunk, reason_codes=(str(Reason.AUDIT_SHRUNK),)))
        found.append(check.alert(Reason.AUDIT_SHRUNK, text))
    return found


def _move(path: Path, folder: Path) -> None:
    if path.exists():
        files.move_into(path, folder)


def _good_part(home: Home, salvaged: Fold) -> tuple[Fold, str, int]:
    """The state up to the last good group, why the journal is not good beyond it ("" = it is), and the seq known
    durable when bytes are missing at the end (0 = none)."""
    hint, published, first = files.read_hint(home), projections.load(home), segment.first_line(home.journal)
    seen = max(hint.seq if hint is not None else 0, published.seq if published is not None else 0)
    durable_to = hint.offset if hint is not None and first is not None and hint.segment == first.seq else 0
    try:
        base = projections.from_segment_start(home)
        if not base.seq and files.sealed(home):
            raise JournalDamaged("its first line is wrong or missing", str(home.journal))
    except JournalDamaged as error:
        best = max((_from_published(home, published), _last_sealed(home), salvaged), key=lambda fold: fold.seq)
        return best, error.line(), 0
    walker = Walker(home, seq=base.seq, hash=base.hash, fold=base)
    stopped = walker.read_active()
    fold = walker.fold if walker.fold is not None else base
    fold = fold if fold.seq else _unknown(home)
    try:
        segment.read_groups(home.journal, segment.Cursor(walker.seq, walker.hash, walker.offset), durable_to)
    except JournalDamaged as error:
        return fold, stopped or error.what, 0
    if fold.seq < seen or (not fold.seq and projections.was_stamped(home)):
        known = f"seq {seen}" if seen else "a longer one"
        return fold, f"JOURNAL_SHRUNK: it ends at seq {fold.seq}, {known} was seen durable", max(seen, 1)
    return fold, "", 0


def _from_published(home: Home, published: Fold | None) -> Fold:
    """The state at the head by the projections, where the active segment's own chain holds from end to end; else
    nothing. So a lost predecessor costs no line of a good active segment."""
    walker = Walker(home)
    if published is None or not projections.stands(home, published) or walker.read_active():
        return empty()
    cursor = segment.Cursor(published.seq, published.hash, published.portfolio.applied_offset)
    groups, _ = segment.read_groups(home.journal, cursor, 0)
    for read in (read for group in groups for read in group):
        apply(published, read.line, read.start, read.end)
    return published


def _last_sealed(home: Home) -> Fold:
    """The newest checkpoint that proves itself; else nothing is known but the stamp."""
    for _, path in reversed(files.sealed(home)):
        found = segment.last_line(path)
        if found is None or found[0].event != Event.JOURNAL_CHECKPOINT:
            continue
        try:
            return rotate.advanced(rotate.restore(found[0]), found[0], found[2])
        except chain.ChainError:
            continue
    return _unknown(home)


def _unknown(home: Home) -> Fold:
    """Nothing of the chain is left: the stamp's mirror gives the mode, else a line that still reads; the kill switch
    is active."""
    fold = empty()
    try:
        mirror = store.read(home, "mode") or {}
    except StateError:
        mirror = {}
    readable = segment.readable(segment.load_bytes(home.journal, 0))
    mode = str(mirror.get("mode", "")) or next((line.mode for line in readable), "")
    fold.portfolio.mode, fold.portfolio.instance = mode, str(mirror.get("instance", ""))
    fold.portfolio.kill_switch = Latch(state="active", level="reduce_only", reasons=["manual"], by="reseal")
    return fold


def _seqs(path: Path) -> list[int]:
    return [line.seq for line in segment.readable(segment.load_bytes(path, 0))]


def _range_of(home: Home, names: tuple[str, ...]) -> tuple[int, int]:
    """The seqs that sealed segments of these names held, by their own names and their successors' first seq."""
    starts = [int(name.removesuffix(".jsonl").rpartition(".")[2]) for name in names]
    first = segment.first_line(home.journal)
    later = [number for number, _ in files.sealed(home)] + ([first.seq] if first is not None else [])
    return min(starts), min((number for number in later if number > max(starts)), default=max(starts) + 1) - 1
