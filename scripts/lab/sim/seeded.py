"""A seeded market: an endless, plausible random walk of one-minute bars for symbols without a file.

Integer arithmetic in ticks only, so the same seed and symbol give the same bars everywhere. Owns the bars made so far.
"""

import hashlib
import random
from decimal import Decimal

from lab.sim.bars import Bar

STEP_MS = 60_000
HISTORY_BARS = 3000
_REGIME_BARS = 240
_VOLATILITY_PPM = (250, 400, 700, 1100)  # half width of one of four summed moves, parts per million of the price
_QUOTE_VOLUME_PER_BAR = 400_000
_KNOWN_PRICES = {
    "BTC": "60000", "ETH": "3000", "BNB": "550", "SOL": "150", "XRP": "0.6", "ADA": "0.45", "LTC": "85",
    "COMP": "55", "LUNA": "35", "DOGE": "0.12", "MX": "3.2", "AVAX": "30", "LINK": "14", "DOT": "6.5",
}  # fmt: skip


def seed_number(*parts: object) -> int:
    """A 64-bit number that depends on every part and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def first_price(seed: int, base: str) -> Decimal:
    """Where the walk of `base` starts: a well-known price, else one drawn by hash between 0.1 and 1000."""
    if base in _KNOWN_PRICES:
        return Decimal(_KNOWN_PRICES[base])
    number = seed_number("price", seed, base)
    return Decimal(100 + number % 900) / Decimal(10) ** (number // 997 % 4)


class SeededBars:
    """Bars on demand: bar `i` opens at `first_open_ms + i * 60000`; there are HISTORY_BARS before `start_ms`."""

    def __init__(self, seed: int, symbol: str, start_ms: int, price: Decimal, tick: Decimal, step: Decimal) -> None:
        self.step_ms = STEP_MS
        self.first_open_ms = start_ms - start_ms % STEP_MS - HISTORY_BARS * STEP_MS
        self._tick = tick
        self._step = step
        self._random = random.Random(seed_number("bars", seed, symbol))
        self._bars: list[Bar] = []
        self._anchor = self._last = int(price / tick)
        self._volume_steps = max(40, int(Decimal(_QUOTE_VOLUME_PER_BAR) / price / step))
        self._width_ppm = _VOLATILITY_PPM[1]
        self._drift_ppm = 0

    def index_at(self, ms: int) -> int:
        """See BarSource."""
        return max(-1, (ms - self.first_open_ms) // STEP_MS)

    def bar(self, index: int) -> Bar:
        """See BarSource; generates every bar up to `index` first."""
        while len(self._bars) <= index:
            self._bars.append(self._next_bar(len(self._bars)))
        return self._bars[index]

    def next_open_ms(self, index: int) -> int | None:
        """See BarSource; never None, the walk is endless."""
        return self.first_open_ms + (index + 1) * STEP_MS

    def _next_bar(self, index: int) -> Bar:
        draw = self._random.randint
        if index % _REGIME_BARS == 0:
            self._width_ppm = _VOLATILITY_PPM[draw(0, len(_VOLATILITY_PPM) - 1)]
            pull = 12 if self._last < self._anchor else -12
            self._drift_ppm = draw(-60, 60) + pull
        open_ = self._last
        width = max(1, open_ * self._width_ppm // 1_000_000)
        move = sum(draw(-width, width) for _ in range(4)) // 2 + open_ * self._drift_ppm // 1_000_000
        close = max(10, open_ + move)
        high = max(open_, close) + draw(0, width)
        low = max(1, min(open_, close) - draw(0, width))
        volume = self._volume_steps * draw(20, 200) // 100
        self._last = close
        tick = self._tick
        return Bar(self.first_open_ms + index * STEP_MS, open_ * tick, high * tick, low * tick, close * tick,
                   volume * self._step)  # fmt: skip
