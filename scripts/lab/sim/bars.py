"""Recorded candles: loads `open_time_ms,open,high,low,close,volume` files quickly and parses each bar on demand.

Owns the raw lines of one market file; never fills gaps and never changes a value. Reads files, writes none.
"""

import gzip
import re
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

from lab.sim.rejections import SimConfigError

HEADER = b"open_time_ms,open,high,low,close,volume"
_ROW = re.compile(rb"^\d{1,16}(?:,\d+(?:\.\d+)?){5}(?=\r?$)", re.MULTILINE)
_SAMPLES_MAX = 2000


class Bar(NamedTuple):
    """One candle; `volume` in base asset; it covers [open_ms, open_ms + step of its source)."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class BarSource(Protocol):
    """Candles of one symbol by ascending index from 0; may be endless."""

    step_ms: int
    first_open_ms: int

    def index_at(self, ms: int) -> int:
        """Index of the last bar that opens at or before `ms`; -1 when `ms` is before the first."""

    def bar(self, index: int) -> Bar:
        """The bar at `index` (0 <= index <= any index index_at returned)."""

    def next_open_ms(self, index: int) -> int | None:
        """Opening time of bar `index + 1`, or None when `index` is the last bar there will ever be."""


class FileBars:
    """A market file in memory; times may be shifted as a whole by `shift_ms`."""

    def __init__(self, lines: Sequence[bytes], opens: "array[int]", step_ms: int, shift_ms: int = 0) -> None:
        self._lines = lines
        self._opens = opens
        self._parsed: dict[int, Bar] = {}
        self.step_ms = step_ms
        self.shift_ms = shift_ms
        self.first_open_ms = opens[0] + shift_ms

    def __len__(self) -> int:
        return len(self._opens)

    def shifted(self, shift_ms: int) -> "FileBars":
        """The same bars, `shift_ms` later."""
        return FileBars(self._lines, self._opens, self.step_ms, self.shift_ms + shift_ms)

    def index_at(self, ms: int) -> int:
        """See BarSource."""
        return bisect_right(self._opens, ms - self.shift_ms) - 1

    def bar(self, index: int) -> Bar:
        """See BarSource."""
        found = self._parsed.get(index)
        if found is None:
            cells = self._lines[index].decode("ascii").split(",")
            found = Bar(int(cells[0]) + self.shift_ms, *(Decimal(cell) for cell in cells[1:]))
            self._parsed[index] = found
        return found

    def next_open_ms(self, index: int) -> int | None:
        """See BarSource."""
        return self._opens[index + 1] + self.shift_ms if index + 1 < len(self._opens) else None

    def decimal_places(self) -> tuple[int, int]:
        """Most decimal places seen in a sample of prices and of volumes (tick and step follow from them)."""
        stride = max(1, len(self._lines) // _SAMPLES_MAX)
        price = volume = 0
        for line in self._lines[::stride]:
            cells = line.split(b",")
            price = max(price, *(len(cell.partition(b".")[2]) for cell in cells[1:5]))
            volume = max(volume, len(cells[5].partition(b".")[2]))
        return price, volume


def load_bars(path: Path) -> FileBars:
    """Read a `.csv.gz` or `.csv` market file.

    Raises:
        SimConfigError: missing, unreadable, wrong header, a bad or unsorted row (named by its line number).
    """
    data = _read(path)
    head, _, body = data.partition(b"\n")
    if head.strip() != HEADER:
        raise SimConfigError(f"market file {path}: line 1 must be '{HEADER.decode()}'; fix the header")
    lines = _ROW.findall(body)
    if len(lines) != body.count(b"\n") + (0 if body.endswith(b"\n") or not body else 1):
        raise SimConfigError(f"market file {path}: line {_first_bad(body)} is not six numbers; fix or remove it")
    if len(lines) < 2:
        raise SimConfigError(f"market file {path}: needs at least 2 bars, has {len(lines)}; use a longer file")
    opens = array("q", [int(line[: line.index(b",")]) for line in lines])
    return FileBars(lines, opens, _step_ms(path, opens))


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except OSError as error:
        raise SimConfigError(f"market file {path}: {error.strerror or error}; check the path") from None
    except (EOFError, zlib.error):
        raise SimConfigError(f"market file {path}: the gzip stream is damaged; fetch the file again") from None


def _first_bad(body: bytes) -> int:
    for number, line in enumerate(body.split(b"\n"), start=2):
        if not _ROW.fullmatch(line.rstrip(b"\r")):
            return number
    return 2


def _step_ms(path: Path, opens: "array[int]") -> int:
    differences = [after - before for before, after in pairwise(opens)]
    smallest = min(differences)
    if smallest <= 0:
        number = next(i for i, difference in enumerate(differences) if difference <= 0) + 3
        raise SimConfigError(f"market file {path}: line {number} does not come after the one before; sort the file")
    return smallest
