"""The journal's files: append, sync, cut, hint, reserve. The only writes under execution-logs' audit files.

A partial write is cut back before the error goes up, so a failed group leaves no bytes behind when the disk lets us.
"""

import contextlib
import errno
import filecmp
import hashlib
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import msgspec

from desk.base.errors import JournalDamaged, LockBusy, StateError
from desk.base.paths import Home
from desk.journal import segment
from desk.journal.state import Fold
from desk.state import lock, store

RESERVE_BYTES: Final = 8_388_608
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
RESERVE_NAME: Final = "reserve.bin"
SEALED_GLOB: Final = "audit-*.jsonl"
NAMES_MAX: Final = 1000
BLOCK_BYTES: Final = 512  # st_blocks counts these


class NoSpace(OSError):
    """ENOSPC while appending."""


class Hint(msgspec.Struct, frozen=True):
    """The last durable group as a lock holder noted it. Correctness never needs it."""

    seq: int
    hash: str
    segment: int  # first seq of the segment
    offset: int


def journal_lock(home: Home, wait_s: float = lock.WAIT_S_MAX) -> AbstractContextManager[None]:
    """The one lock of all appends."""
    return lock.hold(home, "journal", lock.Rank.JOURNAL, wait_s)


def identity(path: Path) -> tuple[int, int]:
    """(device, inode) of a file, (0, 0) when absent."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def sealed(home: Home) -> list[tuple[int, Path]]:
    """(first seq, path) of every sealed segment that is kept, oldest first."""
    found = []
    for path in home.logs.glob(SEALED_GLOB) if home.logs.is_dir() else ():
        number = path.name.removesuffix(".jsonl").rpartition(".")[2]
        if number.isdecimal():
            found.append((int(number), path))
    return sorted(found)


def append(home: Home, raw: bytes, offset: int) -> None:
    """Write one group at the known end and sync it.

    Raises:
        NoSpace: no space; the partial bytes were cut back.
        OSError: any other failure of write or fsync.
        JournalDamaged: the file does not end where it should (a writer without the lock).
    """
    handle = _open(home)
    try:
        if os.fstat(handle).st_size != offset:
            raise JournalDamaged("does not end at its known head", str(home.journal), segment.REPAIR_HINT)
        try:
            _write_group(handle, raw, offset)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, offset)
                os.fsync(handle)
            raise
    finally:
        os.close(handle)


def _write_group(handle: int, raw: bytes, offset: int) -> None:
    """Write, then sync. Only a full disk met while writing is NoSpace (the bytes never counted); whatever the sync
    says is final."""
    try:
        _write_all(handle, raw)
    except OSError as error:
        raise _as_no_space(error) from None
    os.fsync(handle)


def _as_no_space(error: OSError) -> OSError:
    return NoSpace(error.errno, "no space left") if error.errno in NO_SPACE else error


def _open(home: Home) -> int:
    path = home.journal
    try:
        is_new = not path.exists()
        make_folder(path.parent)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise _as_no_space(error) from None
    if is_new:  # a name that a power cut takes back takes the synced bytes with it
        sync_folder(path.parent)
        sync_folder(path.parent.parent)
    return handle


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, each name made durable in its parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def put_whole(path: Path, raw: bytes) -> None:
    """A small file that is there whole or not at all: written beside, synced, renamed over, its name synced."""
    fresh = path.with_name(f".{path.name}.next")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(handle, raw)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(fresh, path)
    sync_folder(path.parent)


def keep_link(path: Path, target: Path) -> None:
    """A second name for a file that is about to lose its first; the same link may be made again.

    Raises:
        JournalDamaged: another file has the name already.
    """
    with contextlib.suppress(FileExistsError):
        os.link(path, target)
    is_same = identity(target) == identity(path) or filecmp.cmp(target, path, shallow=False)  # copies keep no links
    if not is_same:
        raise JournalDamaged("another file already has this name", str(target), "move it away, then run again")
    sync_folder(target.parent)


def move_into(path: Path, folder: Path) -> None:
    """Rename a file or folder into another folder without overwriting what an earlier attempt left there."""
    target, attempt = folder / path.name, 1
    while target.exists() and attempt < NAMES_MAX:
        attempt += 1
        target = folder / f"{path.name}.{attempt}"
    os.replace(path, target)


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
        found = store.read_whole(home, "audit_head")
        if found is None:
            return None
        numbers = [found[name] for name in ("seq", "segment", "offset")]
    except (StateError, KeyError):
        return None
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or not isinstance(found.get("hash"), str):
        return None
    return Hint(found["seq"], found["hash"], found["segment"], found["offset"])


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
    with contextlib.suppress(StateError, LockBusy):
        store.overwrite(home, "audit_head", value, "journal")


def ensure_reserve(home: Home, size: int = RESERVE_BYTES) -> bool:
    """Preallocate the reserve; True when it stands whole. Never raises: a full disk is what it is for."""
    path = home.logs / RESERVE_NAME
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size == size and path.stat().st_blocks * BLOCK_BYTES >= size:
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
