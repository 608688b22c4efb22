"""Walking the whole journal: every kept segment, oldest first, line by line. Reads only; holds no lock.

Checks what a tick has no time for: each line's hash and place, each group, each checkpoint's state against the state
folded from the lines before it, each segment against the one it follows. The walk starts at the oldest kept segment;
where that one opens with JOURNAL_OPENED its own checkpoint gives the first state.
"""

from pathlib import Path
from typing import Final

import msgspec

from desk.base.errors import JournalDamaged
from desk.base.paths import Home
from desk.journal import chain, files, rotate, segment
from desk.journal.chain import Line
from desk.journal.events import Event
from desk.journal.fold import apply
from desk.journal.state import Fold, empty, plain

OTHER_VERSION: Final = "sealed by another version: its state is taken as it is"


class Break(msgspec.Struct, frozen=True):
    """Where a segment stops being right: after the whole group that ends at `offset` with `seq`."""

    path: Path
    seq: int
    offset: int
    why: str

    def line(self) -> str:
        """One line for the operator."""
        return f"{self.path.name}: {self.why} (after seq {self.seq}, byte {self.offset})"


class Walker(msgspec.Struct):
    """The place reached, and what was met on the way."""

    home: Home
    seq: int = 0
    hash: str = chain.ZERO_HASH
    offset: int = 0  # in the segment being read, after its last whole group
    fold: Fold | None = None  # None until the first state is known
    first_seq: int = 0
    lines: int = 0
    last_event: str = ""
    gaps: list[str] = msgspec.field(default_factory=list)  # segments named by their successor, but not there
    resealed: dict[str, Line] = msgspec.field(default_factory=dict)  # file name -> the JOURNAL_RESEALED that names it
    previous: Line | None = None  # a GENESIS that follows another chain
    notes: list[str] = msgspec.field(default_factory=list)
    anchors: dict[int, str] = msgspec.field(default_factory=dict)  # seq -> the hash somebody outside knows
    matched: set[int] = msgspec.field(default_factory=set)

    def read_sealed(self, path: Path) -> Break | None:
        """One sealed segment from start to end; what is wrong with it, None when it is whole."""
        self.offset = 0
        why = self._read(path)
        if not why and self.last_event != Event.JOURNAL_CHECKPOINT:
            why = "does not end with its checkpoint"
        if not why and segment.size_of(path) != self.offset:
            why = "ends with an incomplete group"
        return Break(path, self.seq, self.offset, why) if why else None

    def read_active(self) -> str:
        """The active segment as far as it is whole; why it stopped, "" at the end or at an incomplete last group."""
        self.offset = 0
        return self._read(self.home.journal)

    def read_on(self, durable_to: int) -> segment.Tail:
        """The rest of the active segment, with the judgement of what stands behind it.

        Raises:
            JournalDamaged: it is no torn last group.
        """
        path = self.home.journal
        first = segment.first_line(path) if not self.offset else None
        if first is not None:
            self._open(first)
        groups, tail = segment.read_groups(path, segment.Cursor(self.seq, self.hash, self.offset), durable_to)
        for group in groups:
            self._take([(read.line, read.start, read.end) for read in group])
        return tail

    def _read(self, path: Path) -> str:
        pending: list[tuple[Line, int, int]] = []
        seq, mark, end = self.seq, self.hash, self.offset
        try:
            with path.open("rb") as handle:
                handle.seek(end)
                while raw := handle.readline(chain.LINE_BYTES_MAX):
                    line = chain.decode(raw)
                    if not end:
                        self._open(line)
                        seq, mark = self.seq, self.hash
                    chain.check_place(line, seq, mark, pending[-1][0].group if pending else None)
                    pending.append((line, end, end + len(raw)))
                    seq, mark, end = line.seq, line.hash, end + len(raw)
                    if line.group[0] == line.group[1]:
                        self._take(pending)
                        pending = []
        except (chain.ChainError, JournalDamaged) as error:
            return str(error)
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return ""

    def _open(self, first: Line) -> None:
        """The place and state before a segment's first line."""
        self.first_seq = self.first_seq or first.seq
        if first.event == Event.GENESIS:
            self._jump(0, chain.ZERO_HASH, empty())
            self.previous = first if "previous" in first.data else None
        elif first.event == Event.JOURNAL_RESEALED:
            self._jump(first.seq - 1, first.prev, rotate.restore(first))
        elif (first.seq - 1, first.prev) != (self.seq, self.hash):
            if self.lines:
                self.gaps.append(str(first.data.get("previous", "?")))
            self._jump(first.seq - 1, first.prev, None)

    def _jump(self, seq: int, mark: str, fold: Fold | None) -> None:
        self.seq, self.hash, self.fold = seq, mark, fold

    def _take(self, group: list[tuple[Line, int, int]]) -> None:
        for line, start, end in group:
            if line.event == Event.JOURNAL_CHECKPOINT:
                self._check_state(line)
            elif line.event == Event.JOURNAL_RESEALED:
                self.resealed.update({str(name): line for name in line.data.get("old_files", ())})
            if self.fold is not None:
                apply(self.fold, line, start, end)
            if self.anchors.get(line.seq) == line.hash:
                self.matched.add(line.seq)
            self.seq, self.hash, self.last_event = line.seq, line.hash, line.event
            self.lines += 1
        self.offset = group[-1][2]

    def _check_state(self, line: Line) -> None:
        """A checkpoint carries the state its lines fold to; one of another version is believed by its hash."""
        carried = rotate.restore(line)
        if self.fold is not None and rotate.state_hash(plain(self.fold)) != line.data["fold_hash"]:
            if rotate.state_hash(plain(carried)) == line.data["fold_hash"]:
                raise chain.ChainError(f"the state sealed at seq {line.seq} is not what its lines fold to")
            self.notes.append(f"seq {line.seq}: {OTHER_VERSION}")
            self.fold = None
        if self.fold is None:
            self.fold = carried


def refold(home: Home) -> Fold:
    """The state folded from the oldest kept segment on. The caller holds the journal lock.

    Raises:
        JournalDamaged: the chain does not hold from there to the head.
    """
    walker = Walker(home)
    for _, path in files.sealed(home):
        found = walker.read_sealed(path)
        if found is not None:
            raise JournalDamaged(found.why, str(path), segment.REPAIR_HINT)
    why = walker.read_active()
    if why or walker.fold is None or walker.offset != segment.size_of(home.journal):
        raise JournalDamaged(why or "does not fold", str(home.journal), segment.REPAIR_HINT)
    return walker.fold
