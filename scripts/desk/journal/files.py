"""The journal's files: append, sync, cut, hint, reserve. The only writes under execution-logs' audit files.

A partial write is cut back before the error goes up, so a failed group leaves no bytes behind when the disk lets us.
"""

import contextlib
import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from desk.base.errors import JournalDamaged, StateCorrupt, StateError
from desk.base.paths import Home
from desk.journal import segment
from desk.journal.state import Fold
from desk.state import store

RESERVE_BYTES: Final = 8_388_608
RESERVE_NAME: Final = "reserve.bin"
_reserve_block = b"\0" * 65_536


class NoSpace(OSError):
    """ENOSPC while appending."""


@dataclass(frozen=True)
class Hint:
    """The last durable group as a lock holder noted it. Correctness never needs it."""

    seq: int
    hash: str
    segment: int  # first seq of the segment
    offset: int


def identity(path: Path) -> tuple[int, int]:
    """(device, inode) of a file, (0, 0) when absent."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def first_seq(path: Path) -> int:
    """First sequence number in a segment; 0 for an absent one."""
    line = segment.first_line(path)
    return line.seq if line is not None else 0


def append(home: Home, raw: bytes, offset: int) -> None:
    """Write one group at the known end and sync it.

    Raises:
        NoSpace: no space; the partial bytes were cut back.
        OSError: any other failure of write or fsync.
        JournalDamaged: the file does not end where it should (a writer without the lock).
    """
    path = home.journal
    handle = _open(home)
    try:
        if os.fstat(handle).st_size != offset:
            raise JournalDamaged("does not end at its known head", str(path), segment.REPAIR_HINT)
        try:
            _write_all(handle, raw)
            os.fsync(handle)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, offset)
                os.fsync(handle)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise NoSpace(error.errno, "no space left") from None
            raise
    finally:
        os.close(handle)


def _open(home: Home) -> int:
    path = home.journal
    try:
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if is_new:
            sync_folder(path.parent)
        return handle
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(error.errno, "no space left") from None
        raise


def _write_all(handle: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(handle, view) :]


def sync(path: Path) -> None:
    """Force the file's bytes to the disk."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Force names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cut(home: Home, tail: segment.Tail, after_seq: int) -> bytes:
    """Keep a torn tail's bytes in quarantine, then cut it off; returns the bytes."""
    path = home.journal
    raw = segment.load_bytes(path, tail.offset)
    store.keep_bytes(home, f"journal-tail.{after_seq}.{hashlib.sha256(raw).hexdigest()[:12]}", raw)
    handle = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(handle, tail.offset)
        os.fsync(handle)
    finally:
        os.close(handle)
    return raw


def read_hint(home: Home) -> Hint | None:
    """The hint, None when missing or unusable (it is only a hint)."""
    try:
        found = store.read(home, "audit_head")
        if found is None:
            return None
        hint = Hint(found["seq"], found["hash"], found["segment"], found["offset"])
    except (StateCorrupt, StateError, KeyError):
        return None
    numbers = (hint.seq, hint.segment, hint.offset)
    return hint if all(isinstance(n, int) and n >= 0 for n in numbers) and isinstance(hint.hash, str) else None


def write_hint(home: Home, fold: Fold) -> None:
    """Note the durable head. A hint that cannot be written is no failure: the journal itself was synced."""
    portfolio = fold.portfolio
    value = {
        "seq": fold.seq,
        "hash": fold.hash,
        "file": home.journal.name,
        "segment": portfolio.applied_segment,
        "offset": portfolio.applied_offset,
    }
    with contextlib.suppress(StateError):
        store.write(home, "audit_head", value, "journal")


def check_not_shrunk(path: Path, hint: Hint | None, known_offset: int) -> None:
    """The segment is at least as long as its hint and as what this process has read.

    Raises:
        JournalDamaged: it is shorter: bytes that were durable are gone.
    """
    size = segment.size_of(path)
    hinted = hint.offset if hint is not None and hint.segment == first_seq(path) else 0
    lost = hint is not None and hint.seq > 0 and size == 0
    if size < max(hinted, known_offset) or lost:
        raise JournalDamaged(
            f"is shorter ({size} bytes) than its known head ({max(hinted, known_offset)}): JOURNAL_SHRUNK",
            str(path),
            segment.REPAIR_HINT,
        )


def ensure_reserve(home: Home, size: int = RESERVE_BYTES) -> bool:
    """Preallocate the reserve; True when it stands whole. Never raises: a full disk is what it is for."""
    path = home.logs / RESERVE_NAME
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size == size:
            return True
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
            os.fsync(handle)
        finally:
            os.close(handle)
        return True
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    return False


def has_reserve(home: Home) -> bool:
    """True while the reserve stands."""
    return (home.logs / RESERVE_NAME).exists()


def release_reserve(home: Home) -> bool:
    """Give the reserve's space back to the file system; False when there was none."""
    try:
        (home.logs / RESERVE_NAME).unlink()
    except OSError:
        return False
    return True
