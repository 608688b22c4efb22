"""Rotation: one segment a UTC day, sealed by a checkpoint. Owns the steps; every step can be repeated.

The first append whose date is later than the segment's ends it with JOURNAL_CHECKPOINT (folded state and its hash);
the file is linked, without overwrite, to `audit-<date>.<first seq>.jsonl`; a new segment opens with the previous
name, seq and hash and is renamed over. A crash in between is finished by the next append. Segments older than the
retention leave, but for the newest of them: its checkpoint is where verify and rebuild start.
"""

import hashlib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from desk.base.errors import JournalDamaged
from desk.base.paths import Home
from desk.journal import chain, files, segment
from desk.journal.chain import Context, Line, NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, plain


def checkpoint(fold: Fold) -> NewEvent:
    """The sealing event: the fold as it stands before it."""
    return NewEvent(event=Event.JOURNAL_CHECKPOINT, data=sealed_state(fold))


def sealed_state(fold: Fold) -> dict[str, Any]:
    """The folded state and its hash, as data of an event that carries them."""
    state = plain(fold)
    return {"fold": state, "fold_hash": state_hash(state)}


def state_hash(state: Any) -> str:
    """SHA-256 over the state's sorted JSON."""
    return hashlib.sha256(msgspec.json.encode(state, order="sorted")).hexdigest()


def finish(home: Home, last: Line) -> None:
    """Carry the rotation through that `last`, a checkpoint at the tail, began. Caller holds the journal lock."""
    path = home.journal
    first = segment.first_line(path)
    if first is None:
        raise JournalDamaged("first line is wrong", str(path), segment.REPAIR_HINT)
    files.sync(path)
    target = home.logs / f"audit-{first.ts[:10]}.{first.seq}.jsonl"
    files.keep_link(path, target)
    ctx = Context(run_id="", cycle_id="", script="journal", mode=last.mode, instance="")
    opened = NewEvent(event=Event.JOURNAL_OPENED, data={"previous": target.name, "seq": last.seq, "hash": last.hash})
    raw, _ = chain.encode(opened, last.seq + 1, last.ts, (1, 1), ctx, last.hash)
    files.put_whole(path, raw)


def drop_old(home: Home, today: str, retention_days: int) -> list[Path]:
    """Delete sealed segments that ended before the retention, all but the newest of them. Oldest first, so that a
    crash leaves no hole."""
    cutoff = (date.fromisoformat(today) - timedelta(days=retention_days)).isoformat()
    kept = [path for _, path in files.sealed(home)]
    starts = [path.name.removeprefix("audit-")[:10] for path in kept]
    ended = [path for path, following in zip(kept, starts[1:], strict=False) if following < cutoff]
    gone = ended[:-1]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def checkpoint_of(home: Home, opened: Line) -> Fold:
    """The fold sealed by the segment before the one that `opened` starts.

    Raises:
        JournalDamaged: that segment is missing, or its last line is not the checkpoint it should be.
    """
    path = home.logs / str(opened.data.get("previous", ""))
    found = segment.last_line(path)
    if found is None or found[0].event != Event.JOURNAL_CHECKPOINT:
        raise JournalDamaged("is missing, or does not end with its checkpoint", str(path), segment.REPAIR_HINT)
    line, _, end = found
    if (line.seq, line.hash) != (opened.data.get("seq"), opened.data.get("hash")):
        raise JournalDamaged("does not end where the next segment says", str(path), segment.REPAIR_HINT)
    try:
        return advanced(restore(line), line, end)
    except chain.ChainError as error:
        raise JournalDamaged(str(error), str(path), segment.REPAIR_HINT) from None


def restore(line: Line) -> Fold:
    """The fold a line carries, as it stood before that line.

    Raises:
        chain.ChainError: the state does not match its hash, or has another shape.
    """
    state = line.data.get("fold")
    if state_hash(state) != line.data.get("fold_hash"):
        raise chain.ChainError("the state it carries does not match its hash")
    try:
        return msgspec.convert(state, Fold, strict=False)
    except msgspec.ValidationError as error:
        raise chain.ChainError(f"the state it carries has another shape ({error})") from None


def advanced(fold: Fold, line: Line, end: int) -> Fold:
    """A restored fold, moved past the checkpoint line that ends at byte `end`."""
    for part in (fold.intents, fold.positions, fold.portfolio):
        part.applied_seq, part.applied_hash = line.seq, line.hash
    fold.portfolio.applied_offset = end
    return fold
