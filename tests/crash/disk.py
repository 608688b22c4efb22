"""What a power cut leaves: a model of names and bytes that a sync makes durable, and images of what may be left.

Bytes last once their file was synced, names once their folder was. A rename is one change (of two folders at most): it
lasts whole or not at all. What was not made durable may be lost, kept, or, in its last 4 KiB, torn.
"""

import copy
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TORN_BYTES_MAX = 4096
SECTOR = 512
STYLES = ("strict", "names", "torn", "mixed")


@dataclass(eq=False)
class File:
    durable: bytes = b""
    now: bytearray = field(default_factory=bytearray)


@dataclass(eq=False)
class Folder:
    durable: dict[str, "Node"] = field(default_factory=dict)
    now: dict[str, "Node"] = field(default_factory=dict)


Node = File | Folder
Change = list[tuple[Folder, str, Node | None]]  # what one call does to names; lasts whole or not at all


class Disk:
    """A folder and everything below it, as it is and as it would survive."""

    def __init__(self, root: Path) -> None:
        self.root = _load(root)
        self.pending: list[Change] = []
        self.handles: dict[int, tuple[Node, list[int], int]] = {}  # descriptor -> node, position, flags

    def apply(self, entry: tuple[Any, ...]) -> None:
        """One entry of the report."""
        action = getattr(self, f"_do_{entry[0]}", None)
        if action is not None:
            action(*entry[1:])

    def image(self, target: Path, style: str, seed: int) -> None:
        """Write what survives into an empty folder.

        Args:
            style: strict = nothing unsynced; names = every name, no unsynced byte; torn = every name, unsynced bytes
                but for a torn end; mixed = some of each.
        """
        rng = random.Random(seed)
        keep = {"strict": 0, "names": len(self.pending), "torn": len(self.pending)}.get(style)
        keep = rng.randint(0, len(self.pending)) if keep is None else keep
        entries: dict[int, dict[str, Node]] = {}
        for change in self.pending[:keep]:
            for folder, name, node in change:
                names = entries.setdefault(id(folder), dict(folder.durable))
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node
        written: dict[int, Path] = {}  # one file may have two names

        def write(folder: Folder, place: Path) -> None:
            place.mkdir(parents=True, exist_ok=True)
            for name, node in sorted(entries.get(id(folder), folder.durable).items()):
                if isinstance(node, Folder):
                    write(node, place / name)
                elif id(node) in written:
                    os.link(written[id(node)], place / name)
                else:
                    written[id(node)] = place / name
                    (place / name).write_bytes(_survives(node, style, rng))

        write(self.root, target)

    def _do_open(self, handle: int, path: str, flags: int, existed: bool) -> None:
        node = self._find(path)
        if node is None:
            node = File()
            self._change([(self._parent(path), Path(path).name, node)])
        if isinstance(node, File) and flags & os.O_TRUNC:
            node.now = bytearray()
        self.handles[handle] = (node, [0], flags)

    def _do_close(self, handle: int) -> None:
        self.handles.pop(handle, None)

    def _do_write(self, handle: int, raw: bytes) -> None:
        node, position, flags = self.handles[handle]
        assert isinstance(node, File)
        start = len(node.now) if flags & os.O_APPEND else position[0]
        node.now[start : start + len(raw)] = raw
        position[0] = start + len(raw)

    def _do_ftruncate(self, handle: int, size: int) -> None:
        node = self.handles[handle][0]
        assert isinstance(node, File)
        node.now = node.now[:size] + bytes(max(0, size - len(node.now)))

    def _do_posix_fallocate(self, handle: int, offset: int, size: int) -> None:
        node = self.handles[handle][0]
        assert isinstance(node, File)
        node.now += bytes(max(0, offset + size - len(node.now)))

    def _do_fsync(self, handle: int) -> None:
        node = self.handles[handle][0]
        if isinstance(node, File):
            node.durable = bytes(node.now)
            return
        touched, kept = {id(node)}, []
        settled: list[Change] = []
        for change in reversed(self.pending):  # within a folder changes last in their order: with one come those before
            folders = {id(folder) for folder, _, _ in change}
            if touched & folders:
                touched |= folders
                settled.append(change)
            else:
                kept.append(change)
        for change in reversed(settled):
            _settle(change)
        self.pending = kept[::-1]

    _do_fdatasync = _do_fsync

    def _do_rename(self, old: str, new: str, foreign: bytes | None) -> None:
        node = self._find(old)
        if node is None:  # written by something that was not watched: its bytes are known, and not durable
            node = File(now=bytearray(foreign or b""))
        self._change([(self._parent(old), Path(old).name, None), (self._parent(new), Path(new).name, node)])

    def _do_link(self, old: str, new: str, foreign: bytes | None) -> None:
        node = self._find(old)
        self._change([(self._parent(new), Path(new).name, node or File(now=bytearray(foreign or b"")))])

    def _do_unlink(self, path: str) -> None:
        self._change([(self._parent(path), Path(path).name, None)])

    _do_rmdir = _do_unlink

    def _do_mkdir(self, path: str) -> None:
        self._change([(self._parent(path), Path(path).name, Folder())])

    def _change(self, change: Change) -> None:
        for folder, name, node in change:
            if node is None:
                folder.now.pop(name, None)
            else:
                folder.now[name] = node
        self.pending.append(change)

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for part in Path(path).parts:
            node = node.now.get(part) if isinstance(node, Folder) else None
        return node

    def _parent(self, path: str) -> Folder:
        found = self._find(str(Path(path).parent))
        if found is None:  # a folder made unseen (a lock folder): its name lasts with what is in it
            found = Folder()
            self._change([(self._parent(str(Path(path).parent)), Path(path).parent.name, found)])
        assert isinstance(found, Folder)
        return found


def _settle(change: Change) -> None:
    for folder, name, node in change:
        if node is None:
            folder.durable.pop(name, None)
        else:
            folder.durable[name] = node


def _load(path: Path) -> Folder:
    names: dict[str, Node] = {}
    for entry in sorted(path.iterdir()):
        if entry.is_dir():
            names[entry.name] = _load(entry)
        else:
            raw = entry.read_bytes()
            names[entry.name] = File(raw, bytearray(raw))
    return Folder(names, copy.copy(names))


def _survives(node: File, style: str, rng: random.Random) -> bytes:
    now = bytes(node.now)
    if now == node.durable or style in {"strict", "names"}:
        return node.durable
    choice = "torn" if style == "torn" else rng.choice(["durable", "now", "torn"])
    if choice != "torn":
        return node.durable if choice == "durable" else now
    if not now.startswith(node.durable):
        return rng.choice([node.durable, now])
    return node.durable + _torn(now[len(node.durable) :], rng)


def _torn(fresh: bytes, rng: random.Random) -> bytes:
    """Unsynced bytes whose last 4 KiB did not all arrive: cut short, holes of zeros, or noise for a sector."""
    safe, last = fresh[:-TORN_BYTES_MAX], bytearray(fresh[-TORN_BYTES_MAX:])
    how = rng.choice(["cut", "zeros", "noise"])
    if how == "cut":
        return safe + bytes(last[: rng.randint(0, len(last) - 1)])
    start = rng.randrange(len(last))
    end = min(len(last), start + rng.choice([1, SECTOR, TORN_BYTES_MAX]))
    last[start:end] = bytes(end - start) if how == "zeros" else rng.randbytes(end - start)
    return safe + bytes(last)
