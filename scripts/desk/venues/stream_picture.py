"""What the streams have shown of a venue's symbols, each datum with its true age. Pure: its owner writes the files.

The age is the exchange's where a message bears its time, else that of its arrival, less the delay last seen on the same
connection: messages keep their order, so one without a time is no younger than its neighbours, and one that came before
a message that bears a time was said before that. Never the time at which somebody read it.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from desk.base.money import text
from desk.venues.protocol import Bar, Level
from desk.venues.stream_files import SOURCE
from desk.venues.stream_parse import Depth, Heard, Kline

POLLS_KEPT: Final = 20
POLL_GAP_MS: Final = 5000


class SymbolPicture:
    """One symbol: its book, its candles, and a poll now and then for those who watch prices."""

    def __init__(self, bars_kept: int) -> None:
        self.bids: tuple[Level, ...] = ()
        self.asks: tuple[Level, ...] = ()
        self.book_ms = 0
        self.bars: dict[int, Bar] = {}
        self.over: set[int] = set()
        self.bars_ms = 0
        self.polls: list[dict[str, Any]] = []
        self._bars_kept = bars_kept

    def take_bars(self, bars: Iterable[Bar], at_ms: int, exchange_ms: int, interval_s: int) -> None:
        """Candles read over REST at `exchange_ms`: they fill what the stream could not show (gap repair)."""
        for bar in bars:
            if at_ms >= self.bars_ms or bar.open_ms not in self.bars:
                self._put(bar, is_over=bar.open_ms + 1000 * interval_s <= exchange_ms)

    def take_bar(self, bar: Bar, at_ms: int, *, is_over: bool) -> None:
        """A candle as the stream shows it now."""
        if at_ms >= self.bars_ms:
            self.bars_ms = at_ms
            self._put(bar, is_over=is_over)

    def forget_bars(self) -> None:
        """A candle may have gone on unseen: none counts until REST has filled the gap."""
        self.bars, self.over, self.bars_ms = {}, set(), 0

    def whole_bars(self) -> list[Bar]:
        """Candles whose end was seen, and the newest one."""
        newest = max(self.bars, default=0)
        return [bar for open_ms, bar in sorted(self.bars.items()) if open_ms in self.over or open_ms == newest]

    def _put(self, bar: Bar, *, is_over: bool) -> None:
        self.bars[bar.open_ms] = bar
        if is_over:
            self.over.add(bar.open_ms)
        for open_ms in sorted(self.bars)[: -self._bars_kept]:
            del self.bars[open_ms]
            self.over.discard(open_ms)

    def note_poll(self, bid: Decimal, ask: Decimal, at_ms: int) -> None:
        """Remember a best price every few seconds."""
        if not self.polls or at_ms - self.polls[-1]["at_ms"] >= POLL_GAP_MS:
            self.polls = [*self.polls, {"at_ms": at_ms, "bid": text(bid), "ask": text(ask)}][-POLLS_KEPT:]


class Picture:
    """Every symbol of one venue. Times are ours: the exchange's less `offset_ms`."""

    def __init__(self, venue: str, symbols: Iterable[str], interval_s: int, bars_kept: int) -> None:
        self.venue = venue
        self.interval_s = interval_s
        self.symbols = {symbol: SymbolPicture(bars_kept) for symbol in symbols}
        self.offset_ms = 0
        self.delay_ms = 0

    def begin(self) -> None:
        """A new connection: its delay is not known yet; the book the last one showed keeps its age."""
        self.delay_ms = 0
        for known in self.symbols.values():
            known.forget_bars()

    def take(self, event: Heard, received_ms: int) -> None:
        """One message, and when it arrived by our clock."""
        at_ms = received_ms - self.delay_ms
        if event.event_ms:
            at_ms = min(received_ms, event.event_ms - self.offset_ms)
            self.delay_ms = received_ms - at_ms
            for other in self.symbols.values():  # what came before this was said before it
                other.book_ms = min(other.book_ms, at_ms)
        known = self.symbols.get(getattr(event, "symbol", ""))
        if known is None:
            return
        if isinstance(event, Depth) and at_ms >= known.book_ms:
            known.bids, known.asks, known.book_ms = event.bids, event.asks, at_ms
            if event.bids and event.asks:
                known.note_poll(event.bids[0].price, event.asks[0].price, at_ms)
        elif isinstance(event, Kline) and event.interval_s == self.interval_s:
            known.take_bar(event.bar, at_ms, is_over=event.closed)

    def data_ms(self) -> int:
        """The time of the stalest symbol's newest book; 0 while one has shown none."""
        return min((known.book_ms for known in self.symbols.values()), default=0)

    def doc(self, written_at: str) -> dict[str, Any]:
        """`market_data_<venue>_ws.json`."""
        rows = {symbol: _row(known, self.interval_s) for symbol, known in self.symbols.items() if known.book_ms}
        return {"venue": self.venue, "source": SOURCE, "written_at": written_at, "symbols": rows}


def _row(known: SymbolPicture, interval_s: int) -> dict[str, Any]:
    """One line for a level or a candle: an operator may read it."""
    sides = (("bids", known.bids), ("asks", known.asks))
    shown = {name: [f"{text(level.price)} {text(level.quantity)}" for level in side] for name, side in sides}
    bars = [" ".join([str(bar.open_ms), *(text(number) for number in bar_numbers(bar))]) for bar in known.whole_bars()]
    return {
        "bid": text(known.bids[0].price) if known.bids else None,
        "ask": text(known.asks[0].price) if known.asks else None,
        "as_of_ms": known.book_ms, "interval_s": interval_s, "bars_ms": known.bars_ms, "polls": known.polls,
        **shown, "bars": bars,
    }  # fmt: skip


def bar_numbers(bar: Bar) -> tuple[Decimal, ...]:
    """A candle's numbers in the order files have them."""
    return bar.open, bar.high, bar.low, bar.close, bar.volume
