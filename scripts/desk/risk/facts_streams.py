"""The part of the facts that streams may give instead of a REST call: book and candles, where they are young and whole.

Reads `market_data_<venue>_ws.json` once per gathering and venue; asks nobody. What is too old, cut short or has a gap
is left to REST; without WS_MARKET_DATA_REST_FALLBACK an old book is shown with its true age and the gates deny it.
"""

from collections.abc import Mapping
from decimal import Decimal

from desk.base import clock
from desk.base.money import ZERO
from desk.base.paths import Home
from desk.config.schema import Config
from desk.journal.state import Fold, key
from desk.venues import stream_files
from desk.venues.protocol import Bar, Book
from desk.venues.stream_files import Streamed


class Streams:
    """What the streams show to one gathering."""

    def __init__(self, home: Home, limits: Config, fold: Fold | None) -> None:
        self._home, self._limits = home, limits
        self._read: dict[str, Mapping[str, Streamed]] = {}
        positions = fold.positions.positions if fold is not None else {}
        self._held = {name: position.quantity for name, position in positions.items()}

    def may_ask_rest(self, venue: str) -> bool:
        """REST serves: streams are not asked for here, or it may stand in for them."""
        return not stream_files.is_asked(self._limits, venue) or self._limits.market_data.ws_rest_fallback

    def book(self, venue: str, symbol: str) -> Book | None:
        """The streamed book, None to ask over REST (or, where that may not be, when there is none at all)."""
        found = self._of(venue, symbol)
        book = found.book if found is not None else None
        if book is None or not self.may_ask_rest(venue):
            return book
        is_young = stream_files.is_young(book.as_of_ms, clock.now_ms(), self._limits.market_data.price_age_max_ms)
        largest = self._limits.entries.max_notional_per_order_quote
        enough = stream_files.covers(book, largest, self._held.get(key(venue, symbol), Decimal(ZERO)))
        return book if is_young and enough else None

    def bars(self, venue: str, symbol: str, offset_ms: int, interval_s: int, wanted: int) -> tuple[Bar, ...] | None:
        """The newest `wanted` candles, the open one last; None to ask over REST.

        Args:
            offset_ms: exchange time minus ours.
        """
        found, now_ms = self._of(venue, symbol), clock.now_ms()
        if found is None or not stream_files.is_young(found.bars_ms, now_ms, self._limits.market_data.price_age_max_ms):
            return None
        return stream_files.last_bars(found, now_ms + offset_ms, interval_s, wanted)

    def _of(self, venue: str, symbol: str) -> Streamed | None:
        if not stream_files.is_asked(self._limits, venue):
            return None
        if venue not in self._read:
            self._read[venue] = stream_files.market(self._home, venue)
        return self._read[venue].get(symbol)
