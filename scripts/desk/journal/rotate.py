"""Rotation: one segment a UTC day, sealed by a checkpoint. Owns the steps; every step can be repeated.

The first append whose date is later than the segment's ends it with JOURNAL_CHECKPOINT (folded state and its hash);
the file is linked, without overwrite, to `audit-<date>.<first seq>.jsonl`; a new segment opens with the previous
name, seq and hash and is renamed over. A crash in between is finished by the next append.
"""

import contextlib
import hashlib
import os
from typing import Final

import msgspec

from desk.base.errors import JournalDamaged
from desk.base.paths import Home
from desk.journal import chain, files, segment
from desk.journal.chain import Context, Line, NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold

LAST_LINE_CHUNK: Final = 65_536


def is_due(home: Home, fold: Fold, today: str) -> bool:
    """True when the active segment began on an earlier UTC date."""
    if fold.portfolio.applied_offset == 0:
        return False
    first = segment.first_line(home.journal)
    return first is not None and first.ts[:10] < today


def checkpoint(fold: Fold) -> NewEvent:
    """The sealing event: the fold as it stands before it."""
    state = msgspec.to_builtins(fold, order="sorted", str_keys=True)
    mark = hashlib.sha256(msgspec.json.encode(state, order="sorted")).hexdigest()
    return NewEvent(event=Event.JOURNAL_CHECKPOINT, data={"fold": state, "fold_hash": mark})


def finish(home: Home, last: Line) -> None:
    """Carry the rotation through that `last`, a checkpoint at the tail, began. Caller holds the journal lock."""
    path = home.journal
    first = segment.first_line(path)
    assert first is not None
    files.sync(path)
    target = home.logs / f"audit-{first.ts[:10]}.{first.seq}.jsonl"
    with contextlib.suppress(FileExistsError):
        os.link(path, target)
    if files.identity(target) != files.identity(path):
        raise JournalDamaged("another segment already has this name", str(target), segment.REPAIR_HINT)
    files.sync_folder(home.logs)
    _open_next(home, target.name, last)


def _open_next(home: Home, previous: str, last: Line) -> None:
    ctx = Context(run_id="", cycle_id="", script="journal", mode=last.mode, instance="")
    opened = NewEvent(event=Event.JOURNAL_OPENED, data={"previous": previous, "seq": last.seq, "hash": last.hash})
    raw, _ = chain.encode(opened, last.seq + 1, last.ts, (1, 1), ctx, last.hash)
    put_first_line(home, raw, last.seq + 1)


def put_first_line(home: Home, raw: bytes, mark: int) -> None:
    """Put a new active segment in place: written, synced, renamed over. The same `mark` may be repeated."""
    fresh = home.logs / f".audit.next.{mark}"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, raw)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(fresh, home.journal)
    files.sync_folder(home.logs)


def last_line(home: Home) -> Line | None:
    """The last line of the active segment when it is whole; None when absent, empty or torn."""
    size = segment.size_of(home.journal)
    want = min(LAST_LINE_CHUNK, size)
    while want:
        raw = segment.load_bytes(home.journal, size - want)
        cut = raw.rfind(b"\n", 0, len(raw) - 1)
        if cut >= 0 or want == size:
            try:
                return chain.decode(raw[cut + 1 :])
            except chain.ChainError:
                return None
        want = min(want * 8, size)
    return None


def checkpoint_of(home: Home, opened: Line) -> Fold:
    """The fold sealed by the segment before the one that `opened` starts.

    Raises:
        JournalDamaged: that segment is missing, or its last line is not the checkpoint it should be.
    """
    path = home.logs / str(opened.data["previous"])
    lines = segment.load_bytes(path, 0).rstrip(b"\n")
    try:
        line = chain.decode(lines[lines.rfind(b"\n") + 1 :] + b"\n")
        if (line.seq, line.hash) != (opened.data["seq"], opened.data["hash"]):
            raise chain.ChainError("its last line is not the one the next segment names")
        return restore(line, path.stat().st_size)
    except chain.ChainError as error:
        raise JournalDamaged(str(error), str(path), segment.REPAIR_HINT) from None


def restore(line: Line, end: int) -> Fold:
    """A checkpoint line back to the fold it sealed, advanced over itself.

    Raises:
        chain.ChainError: the state does not match its hash.
    """
    state = line.data.get("fold")
    mark = hashlib.sha256(msgspec.json.encode(state, order="sorted")).hexdigest()
    if mark != line.data.get("fold_hash"):
        raise chain.ChainError("checkpoint does not match its hash")
    try:
        fold = msgspec.convert(state, Fold, strict=False)
    except msgspec.ValidationError as error:
        raise chain.ChainError(f"checkpoint has another shape ({error})") from None
    for part in (fold.intents, fold.positions, fold.portfolio):
        part.applied_seq, part.applied_hash = line.seq, line.hash
    fold.portfolio.applied_offset = end
    return fold
