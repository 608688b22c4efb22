"""The only code that opens files under `state/`. Owns atomic replacement, corrupt-file handling and writers.

A write takes the row's sidecar lock, reads, validates, changes, writes a unique temporary file in the same
folder, syncs it (control files, projections, paper truth), renames it over, and syncs the folder where the name is new
or the change is an acknowledgement (control files, paper truth: an engaged latch may not be undone by a power cut).
Corrupt means: parsing failed three times over 150 ms (operators write with plain editors); a copy
goes to `state/quarantine/`, the original stays, and the caller gets StateCorrupt: never the same as missing.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import InvariantError, StateCorrupt, StateError
from desk.base.paths import Home
from desk.state import lock
from desk.state.registry import Kind, Row, row

READ_TRIES: Final = 3
READ_TRY_GAP_S: Final = 0.075  # three reads over 150 ms
FILE_BYTES_MAX: Final = 64_000_000
DIGEST: Final = "_digest"
OVERWRITTEN_BYTES: Final = 512  # one sector
JOURNAL: Final = "journal"
NAME_MUST_LAST: Final = frozenset(
    {Kind.CONTROL, Kind.PAPER_TRUTH}
)  # acknowledged: a power cut may not bring back the old
Doc = dict[str, Any]
_ordinal = itertools.count()


def path_of(home: Home, key: str, **names: str) -> Path:
    """The file of a registered key."""
    return home.state / row(key).file.format(**names)


def read(home: Home, key: str, **names: str) -> Doc | None:
    """The file as a dict; None when it does not exist.

    Raises:
        StateCorrupt: exists, but is no JSON object after three reads.
        StateError: cannot be read at all.
    """
    found = row(key)
    path = home.state / found.file.format(**names)
    problem = ""
    for attempt in range(READ_TRIES):
        if attempt:
            clock.pause_s(READ_TRY_GAP_S)
        try:
            raw = path.read_bytes()
            return {} if found.may_be_empty and not raw else _parse(raw)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"cannot be read ({error.strerror})", str(path), "check its permissions") from None
        except ValueError as error:
            problem = str(error)
    _quarantine(home, path)
    hint = f"read as: {found.if_corrupt}; a copy is in state/quarantine"
    raise StateCorrupt(f"is corrupt ({problem})", str(path), hint)


def write(home: Home, key: str, value: Doc, writer: str, **names: str) -> None:
    """Replace the whole file.

    Raises:
        StateError: not writable, no space, or the lock could not be had in time (LockBusy).
        InvariantError: the writer is not in the row.
    """
    found = row(key)
    with _locked(home, found, writer, names):
        _replace(home, found, value, names)


def update(home: Home, key: str, change: Callable[[Doc | None], Doc | None], writer: str, **names: str) -> Doc | None:
    """Read, change and write under one lock; `change` gets the current dict (None = missing) and returns the new
    one, or None to leave the file alone. Unknown keys survive when `change` keeps them.

    Returns:
        What stands in the file afterwards.

    Raises:
        StateCorrupt, StateError, LockBusy, InvariantError: as `read` and `write`.
    """
    found = row(key)
    with _locked(home, found, writer, names):
        current = read(home, key, **names)
        wanted = change(None if current is None else dict(current))
        if wanted is None:
            return current
        _replace(home, found, wanted, names)
        return wanted


def overwrite(home: Home, key: str, value: Doc, writer: str) -> None:
    """Write a small observation over itself, in one write and without a rename (ADR 021): for what changes with every
    group of the journal. It is as long as ever and carries its digest, so that a torn one is seen; read it with
    `read_whole`.

    Raises:
        StateError: not writable, or no space.
        InvariantError: the writer is not in the row, or the value is too long.
    """
    found = row(key)
    raw = msgspec.json.encode(value | {DIGEST: digest_of(value)}).ljust(OVERWRITTEN_BYTES - 1) + b"\n"
    if found.kind is not Kind.OBSERVATION or len(raw) != OVERWRITTEN_BYTES:
        raise InvariantError(f"{found.kind} {key} of {len(raw)} bytes cannot be written over itself")
    path = path_of(home, key)
    with _locked(home, found, writer, {}):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                is_other = os.fstat(handle).st_size not in {0, OVERWRITTEN_BYTES}
                os.write(handle, raw)
                if is_other:
                    os.ftruncate(handle, OVERWRITTEN_BYTES)
            finally:
                os.close(handle)
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise StateError(what, str(path), "free disk space or check the folder's permissions") from None


def read_whole(home: Home, key: str) -> Doc | None:
    """What `overwrite` wrote; None when it is missing, torn or edited.

    Raises:
        StateCorrupt, StateError: as `read`.
    """
    for _ in range(READ_TRIES):  # a reader without the lock may come in the middle of a write
        found = read(home, key)
        if found is None or not was_edited(found):
            return found
    return None


def remove(home: Home, key: str, writer: str, **names: str) -> None:
    """Delete a state file (missing is fine); the folder is synced."""
    found = row(key)
    with _locked(home, found, writer, names):
        path_of(home, key, **names).unlink(missing_ok=True)
        _sync_folder(home.state)


def digest_of(value: Doc) -> str:
    """SHA-256 over the canonical JSON of everything but the digest itself, 16 hex digits."""
    rest = {key: item for key, item in value.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def was_edited(value: Doc) -> bool:
    """True when a control file was written by someone other than our writers (digest absent or different)."""
    try:
        return value.get(DIGEST) != digest_of(value)
    except RecursionError:  # no writer of ours nests that deep
        return True


def _locked(home: Home, found: Row, writer: str, names: dict[str, str]) -> AbstractContextManager[None]:
    if writer not in found.writers:
        raise InvariantError(f"{writer} may not write {found.key}: writers are {', '.join(found.writers)}")
    if found.writers == (JOURNAL,) and lock.held(lock.Rank.JOURNAL):
        return contextlib.nullcontext()  # the journal lock already keeps every other writer of these files away
    name = found.key if not names else found.key + "_" + "_".join(names.values())
    rank = lock.Rank.CONTROL if found.kind is Kind.CONTROL else lock.Rank.DATA
    return lock.hold(home, name.replace("/", "_"), rank)


def _parse(raw: bytes) -> Doc:
    if len(raw) > FILE_BYTES_MAX:
        raise ValueError("too large")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _replace(home: Home, found: Row, value: Doc, names: dict[str, str]) -> None:
    path = home.state / found.file.format(**names)
    if found.kind is Kind.CONTROL:
        value = {key: item for key, item in value.items() if key != DIGEST}
        value[DIGEST] = digest_of(value)
    raw = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    durable = found.kind is not Kind.OBSERVATION
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_ordinal)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        _clear_leftovers(path)
        _write_file(temporary, raw, durable)
        os.replace(temporary, path)
        if durable and (is_new or found.kind in NAME_MUST_LAST):
            _sync_folder(path.parent)
        if durable and is_new:
            _sync_folder(home.root)  # the state folder itself may be as new as its first file
    except OSError as error:
        with contextlib.suppress(OSError):  # a read-only file system refuses this too
            temporary.unlink(missing_ok=True)
        what = "no space left" if error.errno == errno.ENOSPC else f"cannot be written ({error.strerror})"
        raise StateError(what, str(path), "free disk space or check the folder's permissions") from None


def _clear_leftovers(path: Path) -> None:
    """Remove what crashed writers of this file left; the caller holds the file's lock, so nobody is writing one."""
    start = f".{path.name}."
    for name in os.listdir(path.parent):  # noqa: PTH208 - a tenth of what glob costs, and every write passes here
        if name.startswith(start) and name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                (path.parent / name).unlink()


def _write_file(path: Path, raw: bytes, durable: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(raw)
        while view:
            view = view[os.write(handle, view) :]
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_bytes(home: Home, name: str, raw: bytes) -> None:
    """Keep evidence in `state/quarantine/`; the same name is kept once. A full or read-only disk keeps nothing:
    the trouble the caller is about to report matters more."""
    with contextlib.suppress(OSError):
        home.quarantine.mkdir(parents=True, exist_ok=True)
        target = home.quarantine / name
        if not target.exists():
            temporary = target.with_name(f".{name}.{os.getpid()}.{next(_ordinal)}")
            _write_file(temporary, raw, False)
            os.replace(temporary, target)


def _quarantine(home: Home, path: Path) -> None:
    with contextlib.suppress(OSError):
        raw = path.read_bytes()[:FILE_BYTES_MAX]
        keep_bytes(home, f"{path.name}.{hashlib.sha256(raw).hexdigest()[:12]}", raw)
