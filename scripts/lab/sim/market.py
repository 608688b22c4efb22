"""Everything public about one symbol: rules, price path, candles, synthetic book, average price. Holds no orders."""

from decimal import Decimal

from lab.sim.bars import BarSource
from lab.sim.candles import Candles
from lab.sim.decimals import floor_to
from lab.sim.intervals import MINUTE_MS
from lab.sim.ladder import Ladder
from lab.sim.path import PriceEvent, PricePath
from lab.sim.symbols import SymbolRules


class Market:
    """One symbol's market."""

    def __init__(self, bars: BarSource, rules: SymbolRules, seed: int, events: list[PriceEvent]) -> None:
        self.rules = rules
        self.path = PricePath(bars, rules.tick, events)
        self.candles = Candles(self.path)
        self.ladder = Ladder(self.path, rules, seed)
        self._average: tuple[int, Decimal] = (-1, Decimal(0))

    def average(self, now_ms: int) -> Decimal:
        """Volume-weighted price of the last `average_mins`; the last price when nothing traded."""
        if self._average[0] != now_ms:
            total = self.candles.total(now_ms - self.rules.average_mins * MINUTE_MS + 1, now_ms)
            if total and total.volume:
                price = floor_to(total.quote_volume / total.volume, Decimal("0.00000001"))
            else:
                price = self.path.price_at(now_ms)
            self._average = (now_ms, price)
        return self._average[1]
