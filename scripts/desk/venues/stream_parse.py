"""Binance's stream messages in our words. Pure; a message nobody understands raises ValueError and is counted.

Times stay the exchange's (epoch ms), 0 where a message has none: bookTicker and partial depth (protocol facts, 13). In
a cancel `c` is the cancel's own id and `C` the order's; executed is the cumulative `z`, never `l`.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from desk.base import money
from desk.venues import dialect, dialect_binance, fields
from desk.venues.protocol import Bar, Level, OrderStatus

INTERVALS_S: Final = {word: seconds for seconds, word in dialect_binance.INTERVALS.items()}
GOODBYES: Final = frozenset({"serverShutdown", "eventStreamTerminated"})
ACCOUNT_EVENTS: Final = frozenset({"outboundAccountPosition", "balanceUpdate", "externalLockUpdate"})


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and ask."""

    symbol: str
    bid: Level
    ask: Level
    event_ms: int = 0


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """The top of the book, best levels first, whole."""

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    event_ms: int = 0


class Kline(msgspec.Struct, frozen=True, kw_only=True):
    """One candle as it stands; `closed` is the exchange's word."""

    symbol: str
    interval_s: int
    bar: Bar
    closed: bool
    event_ms: int


class Traded(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the market."""

    symbol: str
    price: Decimal
    event_ms: int


class OrderNote(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to an order of the account. A reason to look it up, never booked itself."""

    client_order_id: str
    order_id: str
    symbol: str
    what: str  # the exchange's word: NEW, TRADE, CANCELED, ...
    status: OrderStatus
    executed: Decimal  # cumulative
    event_ms: int


class AccountNote(msgspec.Struct, frozen=True, kw_only=True):
    """Balances changed, or a list of orders did."""

    what: str
    event_ms: int


class Goodbye(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange is about to hang up, or has ended the subscription."""

    what: str
    event_ms: int


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """Understood, and of no use here (an acknowledgement, a stream nobody needs)."""

    what: str
    event_ms: int = 0


Heard = Best | Depth | Kline | Traded | OrderNote | AccountNote | Goodbye | Nothing
Doc = Mapping[str, Any]


def heard(raw: object) -> Heard:
    """A decoded message of a market or user connection.

    Raises:
        ValueError: no message of ours.
    """
    try:
        return _heard(raw)
    except (KeyError, TypeError, IndexError, ArithmeticError) as error:
        raise ValueError(f"unusable message ({type(error).__name__}: {error})") from None


def _heard(raw: object) -> Heard:
    if not isinstance(raw, dict):
        raise ValueError("no JSON object")
    if "stream" in raw and "data" in raw:
        stream = fields.words(raw, "stream")
        return _event(_object(raw["data"]), stream.partition("@")[0].upper())
    if "event" in raw:  # the WebSocket API wraps user events, and its own goodbye without a subscription
        return _event(_object(raw["event"]), "")
    if "id" in raw and ("result" in raw or "status" in raw):
        return Nothing(what="answer")
    return _event(raw, "")


def _event(data: Doc, symbol: str) -> Heard:
    """An event by its word `e`, or by its shape where it has none. `symbol` is the stream's."""
    word = data.get("e")
    if word is None:
        return _without_word(data, symbol)
    if not isinstance(word, str):
        raise ValueError("e is no text")
    event_ms = fields.whole(data, "E")
    if word in GOODBYES:
        return Goodbye(what=word, event_ms=event_ms)
    if word in ACCOUNT_EVENTS or word == "listStatus":
        return AccountNote(what=word, event_ms=event_ms)
    act = _BY_WORD.get(word)
    return act(data, event_ms) if act is not None else Nothing(what=word, event_ms=event_ms)


def _without_word(data: Doc, symbol: str) -> Heard:
    if "bids" in data and "asks" in data:
        if not symbol:
            raise ValueError("a partial depth without its stream's name")
        return Depth(symbol=symbol, bids=_levels(data["bids"]), asks=_levels(data["asks"]))
    if {"u", "b", "B", "a", "A"} <= data.keys():
        return _best(data, fields.whole(data, "E", default=0))
    raise ValueError(f"no event: {', '.join(sorted(map(str, data)))[:80]}")


def _best(data: Doc, event_ms: int) -> Best:
    bid, ask = (Level(fields.decimal(data, price), fields.decimal(data, size)) for price, size in ("bB", "aA"))
    return Best(symbol=fields.words(data, "s"), bid=bid, ask=ask, event_ms=event_ms)


def _kline(data: Doc, event_ms: int) -> Kline:
    candle = _object(data["k"])
    if not isinstance(candle["x"], bool):
        raise ValueError("x is neither true nor false")
    numbers = (fields.decimal(candle, letter) for letter in "ohlcv")
    return Kline(
        symbol=fields.words(data, "s"), interval_s=INTERVALS_S.get(fields.words(candle, "i"), 0),
        bar=Bar(fields.whole(candle, "t"), *numbers), closed=candle["x"], event_ms=event_ms,
    )  # fmt: skip


def _traded(data: Doc, event_ms: int) -> Traded:
    return Traded(symbol=fields.words(data, "s"), price=fields.decimal(data, "p"), event_ms=event_ms)


def _order(data: Doc, event_ms: int) -> OrderNote:
    own = data.get("C")
    name = own if isinstance(own, str) and own else fields.words(data, "c")
    return OrderNote(
        client_order_id=name, order_id=str(fields.whole(data, "i")), symbol=fields.words(data, "s"),
        what=fields.words(data, "x"),
        status=dialect.STATUS.get(fields.words(data, "X"), OrderStatus.UNRECOGNISED),
        executed=fields.decimal(data, "z"), event_ms=event_ms,
    )  # fmt: skip


def _levels(rows: Any) -> tuple[Level, ...]:
    if not isinstance(rows, list):
        raise ValueError("levels are no list")
    return tuple(Level(money.parse(row[0], "price"), money.parse(row[1], "quantity")) for row in rows)


def _object(value: Any) -> Doc:
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


_BY_WORD: Final[Mapping[str, Callable[[Doc, int], Heard]]] = {
    "24hrTicker": _best, "kline": _kline, "trade": _traded, "aggTrade": _traded, "executionReport": _order,
}  # fmt: skip
