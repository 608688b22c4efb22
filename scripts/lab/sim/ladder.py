"""The synthetic order book of one symbol: deterministic levels around the path price, and what takers ate of them.

Owns the eaten quantities. What is eaten stays gone until BOOK_REFILL_MS after the last taker; sizes change with the
same period. Sizes follow the volume of the last finished bars, so a thin market has a thin book.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from lab.sim.decimals import ZERO
from lab.sim.path import PricePath
from lab.sim.seeded import seed_number
from lab.sim.symbols import SymbolRules

BOOK_REFILL_MS = 1000
LEVELS = 500
_SPREAD_DIVISOR = 10_000  # spread: 1 basis point of the price, at least one tick
_GAP_DIVISOR = 20_000  # between levels: half a basis point, at least one tick
_VOLUME_BARS = 5
_VOLUME_DIVISOR = 20  # the best level holds about a twentieth of a minute's volume
_FLOOR_NOTIONALS = 20  # and at least this many minimum notionals
_MASK = (1 << 64) - 1


class Level(NamedTuple):
    """What is left at one price; `place` counts from the best."""

    price: Decimal
    qty: Decimal
    place: int


class Ladder:
    """Bids and asks at any time."""

    def __init__(self, path: PricePath, rules: SymbolRules, seed: int) -> None:
        self._path = path
        self._rules = rules
        self._salt = seed_number("book", seed, rules.symbol)
        self._eaten: dict[tuple[str, int], Decimal] = {}
        self._eaten_at_ms = 0
        self.version = 0
        self._scale_memo: tuple[int, int] = (-1, 0)

    def asks(self, ms: int, frozen_ms: int | None = None) -> Iterator[Level]:
        """Offers from the best (lowest) price up."""
        return self._side("SELL", ms, frozen_ms)

    def bids(self, ms: int, frozen_ms: int | None = None) -> Iterator[Level]:
        """Bids from the best (highest) price down."""
        return self._side("BUY", ms, frozen_ms)

    def against(self, taker_side: str, ms: int) -> Iterator[Level]:
        """The side a taker meets: asks for BUY, bids for SELL."""
        return self.asks(ms) if taker_side == "BUY" else self.bids(ms)

    def eat(self, taker_side: str, level: Level, qty: Decimal, ms: int) -> None:
        """Record that a taker took `qty` from `level` (qty <= level.qty)."""
        assert ZERO < qty <= level.qty
        self._forget_old(ms)
        key = ("SELL" if taker_side == "BUY" else "BUY", level.place)
        self._eaten[key] = self._eaten.get(key, ZERO) + qty
        self._eaten_at_ms = ms
        self.version += 1

    def _forget_old(self, ms: int) -> None:
        if self._eaten and ms - self._eaten_at_ms >= BOOK_REFILL_MS:
            self._eaten.clear()

    def _side(self, side: str, ms: int, frozen_ms: int | None) -> Iterator[Level]:
        self._forget_old(ms)
        tick, step = self._rules.tick, self._rules.step
        middle = int(self._path.price_at(ms if frozen_ms is None else min(ms, frozen_ms)) / tick)
        spread, gap = max(1, middle // _SPREAD_DIVISOR), max(1, middle // _GAP_DIVISOR)
        bid = max(1, middle - spread // 2)
        price, direction = (bid, -1) if side == "BUY" else (bid + spread, 1)
        base_steps = self._base_steps(ms, middle * tick)
        noise = (self._salt ^ (ms // BOOK_REFILL_MS * 0x9E3779B97F4A7C15)) & _MASK
        for index in range(LEVELS):
            if price < 1:
                return
            left = max(1, _jitter(noise, side, index, base_steps)) * step - self._eaten.get((side, index), ZERO)
            if left > 0:
                yield Level(price * tick, left, index)
            price += direction * gap

    def _base_steps(self, ms: int, price: Decimal) -> int:
        bars = self._path.bars
        newest = bars.index_at(ms) - 1
        if self._scale_memo[0] != newest:
            indexes = range(max(0, newest - _VOLUME_BARS + 1), newest + 1)
            volume = sum((bars.bar(index).volume for index in indexes), ZERO)
            minutes = max(1, len(indexes) * bars.step_ms // 60_000)
            self._scale_memo = (newest, int(volume / minutes / _VOLUME_DIVISOR / self._rules.step))
        floor = int(self._rules.min_notional * _FLOOR_NOTIONALS / price / self._rules.step) + 1
        return max(floor, self._scale_memo[1])


def _jitter(noise: int, side: str, index: int, base_steps: int) -> int:
    mixed = (noise + (index * 2 + (side == "BUY")) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return base_steps * (40 + (mixed >> 33) % 120) // 100 * (8 + index) // 8
