"""Bars for the strategies' tests: hand-made, seeded, recorded."""

import gzip
import random
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from desk.venues.protocol import Bar

STEP_MS = 60_000
START_MS = 1_618_951_320_000
MARKET = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "market"
Series = tuple[Bar, ...]


def _from_closes(closes: list[str], volume: str = "1", start_ms: int = START_MS) -> Series:
    bars, before = [], Decimal(closes[0])
    for index, text in enumerate(closes):
        close = Decimal(text)
        top, bottom = max(before, close), min(before, close)
        bars.append(Bar(start_ms + index * STEP_MS, before, top, bottom, close, Decimal(volume)))
        before = close
    return tuple(bars)


def _seeded(count: int, seed: int = 7) -> Series:
    rng, price, bars = random.Random(seed), 50_000_00, []
    for index in range(count):
        opened, price = price, max(100, price + rng.randrange(-9_000, 9_001))
        high, low = max(opened, price) + rng.randrange(4_000), min(opened, price) - rng.randrange(90)
        o, h, lo, c, volume = (Decimal(cents) / 100 for cents in (opened, high, low, price, rng.randrange(1, 9_999)))
        bars.append(Bar(START_MS + index * STEP_MS, o, h, lo, c, volume))
    return tuple(bars)


def _recorded(name: str, first: int, count: int) -> Series:
    path = MARKET / f"{name}.csv.gz"
    if not path.is_file():
        pytest.skip(f"no recorded market: {path.name} is not beside the checkout")
    with gzip.open(path, "rt") as stream:
        rows = [line.split(",") for line in islice(stream, first + 1, first + 1 + count)]
    numbers = [(int(row[0]), *(Decimal(cell.strip()) for cell in row[1:])) for row in rows]
    return tuple(msgspec.convert(numbers, list[Bar]))


@pytest.fixture
def from_closes() -> Callable[..., Series]:
    """Closes as text -> bars one minute apart that open where the one before closed."""
    return _from_closes


@pytest.fixture
def seeded() -> Callable[..., Series]:
    """Count, seed -> a random walk with wicks, the same every time."""
    return _seeded


@pytest.fixture
def recorded() -> Callable[..., Series]:
    """File name, first bar, count -> bars of a recorded market; skips where there is none."""
    return _recorded
