"""The files of the streams: what consumers read of them, and what service and operator tell each other.

`market_data_<venue>_ws.json` and `user_data_<venue>.json` are written by the service alone; `streams_<venue>.json` is
its own state, `stream_control_<venue>.json` the operator's wish. Reading decides freshness by the age in the file.
"""

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import msgspec

from desk.base import money
from desk.base.errors import StateError
from desk.base.paths import Home
from desk.config.schema import Config
from desk.state import store
from desk.venues.protocol import Bar, Book, Level

WS: Final = "ws"
SOURCE: Final = "ws"  # of market_data_<venue>_ws.json
NO_STREAM: Final[Mapping[str, str]] = {  # why a venue goes by REST
    "mexc": "MEXC pushes protobuf, and no well-kept library that decodes it is used here",
    "btcturk": "BTCTurk's socket wants keys of its own and a dialect no library here speaks",
}
Doc = Mapping[str, Any]


class OrderSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What the user stream said last of one order."""

    symbol: str
    status: str
    executed: Decimal
    event_ms: int


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as the stream shows it. `book` is None without one; `bars_ms` is the candles' age mark."""

    book: Book | None
    bars: tuple[Bar, ...]
    bars_ms: int
    interval_s: int


def is_asked(limits: Config, venue: str) -> bool:
    """Streams are asked for on this venue: MARKET_DATA_MODE=ws, and for BTCTurk BTCTURK_WS_ENABLED too."""
    asked = limits.market_data.mode == WS
    return asked and (venue != "btcturk" or limits.market_data.btcturk_ws_enabled)


def market(home: Home, venue: str) -> dict[str, Streamed]:
    """Symbol -> what the stream has shown; what cannot be read is not there."""
    rows = read(home, "market_data", venue=venue, source=SOURCE).get("symbols")
    found: dict[str, Streamed] = {}
    for symbol, row in rows.items() if isinstance(rows, dict) else ():
        with suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
            found[symbol] = _streamed(venue, symbol, row)
    return found


def is_young(at_ms: int, now_ms: int, age_max_ms: int) -> bool:
    """An age that may serve an order."""
    return 0 < at_ms <= now_ms and now_ms - at_ms <= age_max_ms


def covers(book: Book, notional: Decimal, quantity: Decimal) -> bool:
    """The levels streamed are enough for the largest order: a book that is only cut short must not decide."""
    asks = sum((level.price * level.quantity for level in book.asks), money.ZERO)
    bids = sum((level.price * level.quantity for level in book.bids), money.ZERO)
    held = sum((level.quantity for level in book.bids), money.ZERO)
    return min(asks, bids) >= notional and held >= quantity


def last_bars(found: Streamed, now_ms: int, interval_s: int, wanted: int) -> tuple[Bar, ...] | None:
    """The newest `wanted` candles, None unless they are whole, without a gap, and reach to now (exchange time)."""
    bars = found.bars[-wanted:]
    step_ms = 1000 * interval_s
    if found.interval_s != interval_s or len(bars) < wanted or not 0 <= now_ms - bars[-1].open_ms < step_ms:
        return None
    return bars if all(new.open_ms - old.open_ms == step_ms for old, new in pairwise(bars)) else None


def orders_seen(home: Home, venue: str) -> dict[str, OrderSeen]:
    """Client order id -> what the user stream said last."""
    rows = read(home, "user_data", venue=venue).get("orders")
    found: dict[str, OrderSeen] = {}
    for name, row in rows.items() if isinstance(rows, dict) else ():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            found[name] = OrderSeen(
                symbol=str(row["symbol"]), status=str(row["status"]), executed=money.parse(row["executed"]),
                event_ms=int(row["event_ms"]),
            )  # fmt: skip
    return found


def read(home: Home, key: str, **names: str) -> Doc:
    """A file of the streams; missing or corrupt reads as empty (they are observations)."""
    with suppress(StateError):
        return store.read(home, key, **names) or {}
    return {}


def _streamed(venue: str, symbol: str, row: Doc) -> Streamed:
    bids, asks = (tuple(Level(*_numbers(line.split())) for line in row[side]) for side in ("bids", "asks"))
    parts = [line.split() for line in row["bars"]]
    bars = tuple(Bar(int(part[0]), *_numbers(part[1:])) for part in parts)
    book = Book(venue=venue, symbol=symbol, bids=bids, asks=asks, as_of_ms=int(row["as_of_ms"]), source=WS)
    return Streamed(book=book, bars=bars, bars_ms=int(row["bars_ms"]), interval_s=int(row["interval_s"]))


def _numbers(parts: list[str]) -> tuple[Decimal, ...]:
    return tuple(money.parse(part) for part in parts)
