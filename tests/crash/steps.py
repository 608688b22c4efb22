"""The steps a process takes on its disk and its sockets: counted, recorded, and ended at any one of them.

Installed in a forked child before it runs product code. Every change of a file under the home (lock files and text
logs aside) and every socket send, receive and connect is one step. The process dies before its k-th step, or, where
that step is a write, in the middle of it. What happened is told to a report file the dying process cannot take back.
"""

import os
import pickle
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEAD = 137
IGNORED_PARTS = {".locks"}
IGNORED_ENDINGS = (".log", ".lock")
HEADER = struct.Struct("<I")
_real = {
    name: getattr(os, name)
    for name in (
        "open", "close", "write", "fsync", "fdatasync", "replace", "rename", "link", "unlink", "remove", "ftruncate",
        "truncate", "mkdir", "rmdir", "posix_fallocate", "_exit",
    )
}  # fmt: skip


class Recorder:
    """Counts steps, writes them down, ends the process at the wanted one."""

    def __init__(self, home: Path, report: Path, die_at: int | None, halfway: bool) -> None:
        self.home, self.die_at, self.halfway = str(home), die_at, halfway
        self.steps = 0
        self.paths: dict[int, str] = {}  # open descriptors of files under the home
        self.report = _real["open"](report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, *entry: Any) -> None:
        """One entry into the report, beyond the reach of the death that follows."""
        raw = pickle.dumps(entry)
        _real["write"](self.report, HEADER.pack(len(raw)) + raw)

    def watched(self, path: Any) -> str | None:
        """The path relative to the home, None when it does not count."""
        text = str(Path(path).absolute()) if isinstance(path, str | os.PathLike) else ""
        if not text.startswith(self.home + os.sep):
            return "" if text == self.home else None
        relative = text[len(self.home) + 1 :]
        parts = Path(relative).parts
        return None if IGNORED_PARTS & set(parts) or relative.endswith(IGNORED_ENDINGS) else relative

    def step(self, name: str, handle: int = -1, half: bytes = b"") -> None:
        """The next step is about to happen; `half` is what of it a death in its middle leaves written."""
        if self.steps == self.die_at:
            if self.halfway and half:
                self.tell("write", handle, half)
                _real["write"](handle, half)
            self.tell("died", name)
            _real["_exit"](DEAD)
        self.steps += 1


def installed(home: Path, report: Path, die_at: int | None = None, halfway: bool = False) -> Recorder:
    """Put the hooks in place; they stay until the process ends."""
    return in_place(Recorder(home, report, die_at, halfway))


def in_place(recorder: Recorder) -> Recorder:
    """Every step of this process goes through the recorder from now on."""
    for name, hook in (*_file_hooks(recorder).items(), *_name_hooks(recorder).items()):
        setattr(os, name, hook)
    for name in ("send", "sendall", "connect", "recv", "recv_into"):
        setattr(socket.socket, name, _socket_hook(recorder, name))
    return recorder


def _file_hooks(recorder: Recorder) -> dict[str, Callable[..., Any]]:
    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        relative = recorder.watched(path)
        existed = relative is not None and os.path.lexists(path)
        if relative is not None and ((flags & os.O_CREAT and not existed) or flags & os.O_TRUNC):
            recorder.step(f"open {relative}")
        handle: int = _real["open"](path, flags, mode, dir_fd=dir_fd)
        if relative is not None:
            recorder.paths[handle] = relative
            recorder.tell("open", handle, relative, flags, existed)
        return handle

    def close(handle: int) -> None:
        if recorder.paths.pop(handle, None) is not None:
            recorder.tell("close", handle)
        _real["close"](handle)

    def write(handle: int, raw: Any) -> int:
        if handle not in recorder.paths:
            return int(_real["write"](handle, raw))
        recorder.step(f"write {recorder.paths[handle]}", handle, bytes(raw)[: len(raw) // 2])
        written = int(_real["write"](handle, raw))
        recorder.tell("write", handle, bytes(raw)[:written])
        return written

    def of_handle(name: str) -> Callable[..., Any]:
        def call(handle: Any, *rest: Any) -> Any:
            if handle not in recorder.paths:
                return _real[name](handle, *rest)
            recorder.step(f"{name} {recorder.paths[handle]}")
            result = _real[name](handle, *rest)
            recorder.tell(name, handle, *rest)
            return result

        return call

    names = ("fsync", "fdatasync", "ftruncate", "posix_fallocate")
    return {"open": open_, "close": close, "write": write} | {name: of_handle(name) for name in names}


def _name_hooks(recorder: Recorder) -> dict[str, Callable[..., Any]]:
    def two(name: str) -> Callable[..., Any]:
        def call(source: Any, target: Any, **rest: Any) -> Any:
            old, new = recorder.watched(source), recorder.watched(target)
            if new is None or old is None:
                return _real[name](source, target, **rest)
            recorder.step(f"{name} {new}")
            foreign = Path(source).read_bytes() if Path(source).is_file() else None
            result = _real[name](source, target, **rest)
            recorder.tell("link" if name == "link" else "rename", old, new, foreign)
            return result

        return call

    def one(name: str) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **more: Any) -> Any:
            relative = recorder.watched(path)
            if relative is None:
                return _real[name](path, *rest, **more)
            recorder.step(f"{name} {relative}")
            result = _real[name](path, *rest, **more)
            recorder.tell({"remove": "unlink"}.get(name, name), relative)
            return result

        return call

    return {name: two(name) for name in ("replace", "rename", "link")} | {
        name: one(name) for name in ("unlink", "remove", "mkdir", "rmdir")
    }


def _socket_hook(recorder: Recorder, name: str) -> Callable[..., Any]:
    real = getattr(socket.socket, name)

    def call(self: socket.socket, *rest: Any) -> Any:
        recorder.step(f"socket {name}")
        return real(self, *rest)

    return call


def read_report(path: Path) -> list[tuple[Any, ...]]:
    """Every entry told, in order; a last one cut short is left out."""
    raw, entries, place = path.read_bytes() if path.exists() else b"", [], 0
    while place + HEADER.size <= len(raw):
        (size,) = HEADER.unpack_from(raw, place)
        if place + HEADER.size + size > len(raw):
            break
        entries.append(pickle.loads(raw[place + HEADER.size : place + HEADER.size + size]))
        place += HEADER.size + size
    return entries
