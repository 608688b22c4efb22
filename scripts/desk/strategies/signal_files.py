"""One file of the inbox: how it is read, told apart, named in its new folder, and moved. Knows nothing of trading.

Owns the bounds of reading and the order of a move: reason first, file second, each by rename. Writes only into the
folder it is given. Nothing here trusts the inbox: symbolic links, pipes and oversized files are never followed,
waited for or read whole.
"""

import contextlib
import hashlib
import itertools
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

import msgspec

from desk.base.errors import StateError

SUFFIX: Final = ".json"
REASON: Final = ".reason"
HEAD_BYTES: Final = 1_048_576  # how much of a file is read at most, whatever signals.bytes_max says
NAMES_MAX: Final = 10_000  # names looked at in one listing, whatever lies in the folder
STEM_MAX: Final = 100
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")
_ordinal = itertools.count()


class Head(msgspec.Struct, frozen=True):
    """The first bytes of a regular file, its size (-1: it is there but cannot be read) and a digest of both."""

    raw: bytes
    size: int

    @property
    def digest(self) -> str:
        """SHA-256 over size and first bytes, 16 hex digits."""
        return hashlib.sha256(b"%d:" % self.size + self.raw).hexdigest()[:16]


UNREADABLE: Final = Head(b"", -1)


def names(folder: Path) -> list[str]:
    """Regular *.json files of the folder, unordered; subfolders, links and names starting with a dot are left out.

    Raises:
        StateError: the folder exists and cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in itertools.islice(entries, NAMES_MAX) if _is_signal(entry)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(f"cannot be listed ({error.strerror})", str(folder), "check its permissions") from None


def head(path: Path) -> Head | None:
    """What stands in the file; None when it is gone or no regular file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return None if path.is_symlink() else UNREADABLE
    try:
        found = os.fstat(handle)
        return Head(_read(handle), found.st_size) if stat.S_ISREG(found.st_mode) else None
    except OSError:
        return UNREADABLE
    finally:
        os.close(handle)


def shown(name: str) -> str:
    """A file's name as text that can be stored: the file system does not promise that it is any."""
    return name.encode(errors="replace").decode()


def stem(folder: Path, name: str, digest: str) -> str:
    """The file's name in `folder`, without .json: its own, with the digest where its own is odd, too long, could be
    taken for a reason file, or belongs to another content already. The same file gets the same answer each time.
    """
    own = name.removesuffix(SUFFIX)
    plain = _ODD.sub("_", own)[:STEM_MAX]
    there = head(folder / f"{plain}{SUFFIX}")
    is_taken = there is not None and there.digest != digest
    return f"{plain}.{digest}" if plain != own or own.endswith(REASON) or is_taken else plain


def holds(path: Path, digest: str) -> bool:
    """True when a file of that content stands there."""
    there = head(path)
    return there is not None and there.digest == digest


def reason_digest(folder: Path, stem_of: str) -> str:
    """The digest a reason file was written for; empty when there is none."""
    there = head(folder / f"{stem_of}{REASON}{SUFFIX}")
    try:
        value = msgspec.json.decode(there.raw) if there else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return str(value.get("digest", "")) if isinstance(value, dict) else ""


def write_reason(folder: Path, stem_of: str, name: str, digest: str, body: dict[str, Any]) -> None:
    """Write `<stem>.reason.json`, making the folder where it is missing; replaces an earlier one.

    Raises:
        StateError: the folder cannot be made or the file not be written.
    """
    value = {"signal": shown(name), "digest": digest, **body}
    raw = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    path = folder / f"{stem_of}{REASON}{SUFFIX}"
    temporary = folder / f".{path.name}.{os.getpid()}.{next(_ordinal)}.tmp"
    try:
        folder.mkdir(exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # a read-only file system refuses this too
            temporary.unlink(missing_ok=True)
        what = f"cannot be written ({error.strerror})"
        raise StateError(what, str(path), "free disk space or check the folder's permissions") from None


def move(source: Path, target: Path, digest: str) -> bool:
    """Move a file; True when it stands at the target afterwards, whoever moved it.

    Raises:
        StateError: it cannot be moved.
    """
    try:
        os.replace(source, target)
    except FileNotFoundError:  # another run was faster
        return holds(target, digest)
    except OSError as error:
        raise StateError(f"cannot be moved ({error.strerror})", str(source), "check the folder's permissions") from None
    return True


def _read(handle: int) -> bytes:
    parts, left = [], HEAD_BYTES
    while left and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _is_signal(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(SUFFIX) and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
