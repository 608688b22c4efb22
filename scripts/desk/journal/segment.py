"""Reading one segment file forward: whole groups, torn tail, damage. Reads only; repairs nothing.

A segment is read from an offset whose line is known. Everything up to the last whole group is given; what follows it
is either nothing, a torn last group (a crash), or damage. Which of the two is decided here, in one place:
bytes before the hint were durable, so anything wrong there is damage; a torn group is the last one, alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from desk.base.errors import JournalDamaged, JournalError
from desk.journal import chain

READ_BYTES_MAX = 2_000_000_000
TAIL_BYTES_MAX = 40_000_000  # more than the largest group or checkpoint; a longer unreadable rest is damage
LAST_LINE_CHUNK = 65_536
REPAIR_HINT = "run audit.py verify; then audit.py reseal --reason TEXT --ack I_UNDERSTAND"


class Cursor(msgspec.Struct):
    """A place in the chain: after `seq` with `hash`, at byte `offset` of the segment."""

    seq: int
    hash: str
    offset: int


class Read(msgspec.Struct, frozen=True):
    """A line with its byte range."""

    line: chain.Line
    start: int
    end: int


class Tail(msgspec.Struct, frozen=True):
    """What stands after the last whole group: where it starts and how many bytes; 0 bytes = nothing."""

    offset: int
    size: int


def load_bytes(path: Path, offset: int) -> bytes:
    """The file from an offset to its end; nothing when it does not exist yet.

    Raises:
        JournalError: it cannot be read.
    """
    try:
        with path.open("rb") as handle:
            handle.seek(offset)
            return handle.read(READ_BYTES_MAX)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise JournalError(f"cannot be read ({error.strerror})", str(path), "check its permissions") from None


def first_line(path: Path) -> chain.Line | None:
    """The first line of a segment; None for an absent or empty file, and for one that is torn or wrong (reading the
    groups then tells which of the two it is).

    Raises:
        JournalError: it cannot be read.
    """
    try:
        with path.open("rb") as handle:
            raw = handle.readline(chain.LINE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"cannot be read ({error.strerror})", str(path), "check its permissions") from None
    try:
        return chain.decode(raw) if raw else None
    except chain.ChainError:
        return None


def line_at(path: Path, start: int, end: int) -> chain.Line | None:
    """The line that occupies exactly [start, end), None when it does not stand there."""
    try:
        with path.open("rb") as handle:
            handle.seek(start)
            raw = handle.read(end - start)
        return chain.decode(raw) if len(raw) == end - start else None
    except (OSError, chain.ChainError):
        return None


def read_groups(path: Path, cursor: Cursor, durable_to: int) -> tuple[list[list[Read]], Tail]:
    """Every whole group after the cursor, and the tail behind them.

    Args:
        durable_to: bytes before this offset were synced (the hint); damage there is never a torn tail.

    Raises:
        JournalDamaged: a wrong line that is no torn last group.
    """
    raw = load_bytes(path, cursor.offset)
    groups: list[list[Read]] = []
    pending: list[Read] = []
    seq, prev = cursor.seq, cursor.hash
    whole_end = 0
    for start, text in chain.split_lines(raw):
        try:
            line = chain.decode(text)
            chain.check_place(line, seq, prev, pending[-1].line.group if pending else None)
        except chain.ChainError as error:
            _torn_or_damaged(path, cursor, raw, whole_end, groups, str(error), durable_to)
            break
        pending.append(Read(line, cursor.offset + start, cursor.offset + start + len(text)))
        seq, prev = line.seq, line.hash
        if line.group[0] == line.group[1]:
            groups.append(pending)
            pending, whole_end = [], start + len(text)
    tail = Tail(cursor.offset + whole_end, len(raw) - whole_end)
    if tail.size and tail.offset < durable_to:
        raise JournalDamaged(f"incomplete group at byte {tail.offset}, before the known head", str(path), REPAIR_HINT)
    return groups, tail


def _torn_or_damaged(
    path: Path, cursor: Cursor, raw: bytes, whole_end: int, groups: list[list[Read]], why: str, durable_to: int
) -> None:
    """Return when everything after the last whole group can be one torn group; else raise."""
    where = cursor.offset + whole_end
    if where < durable_to or len(raw) - whole_end > TAIL_BYTES_MAX:
        raise JournalDamaged(f"{why} at byte {where}", str(path), REPAIR_HINT)
    first_seq = (groups[-1][-1].line.seq if groups else cursor.seq) + 1
    for line in readable(raw[whole_end:]):
        if line.seq - line.group[0] + 1 != first_seq or line.group[0] > line.group[1]:
            raise JournalDamaged(f"{why} at byte {where}, with later lines after it", str(path), REPAIR_HINT)
    sizes = [line.group[1] for line in readable(raw[whole_end:])]
    if sizes and len(sizes) == sizes[0]:
        raise JournalDamaged(
            f"{why} at byte {where}: a whole group that does not continue the chain", str(path), REPAIR_HINT
        )


def readable(raw: bytes) -> Iterator[chain.Line]:
    """The lines of a piece of a segment that decode, in order."""
    for _, text in chain.split_lines(raw):
        try:
            yield chain.decode(text)
        except chain.ChainError:
            continue


def last_line(path: Path) -> tuple[chain.Line, int, int] | None:
    """The last line of a file with its byte range, read from the end; None when absent, empty or torn."""
    size = size_of(path)
    want = min(LAST_LINE_CHUNK, size)
    while want:
        raw = load_bytes(path, size - want)
        start = raw.rfind(b"\n", 0, len(raw) - 1) + 1
        if start or want == size:
            try:
                return chain.decode(raw[start:]), size - want + start, size
            except chain.ChainError:
                return None
        want = min(want * 8, size)
    return None


def size_of(path: Path) -> int:
    """Bytes of the file; 0 when absent.

    Raises:
        JournalError: it cannot be looked at.
    """
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise JournalError(f"cannot be read ({error.strerror})", str(path), "check its permissions") from None
