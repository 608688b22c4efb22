"""Binance's market streams as functions of the market: what each stream pushes while time moves. Opens no socket.

A stream pushes at whole multiples of its period (trades when they happen, a candle's end when it ends). A long step of
virtual time does not replay every push: of each stream the newest POINTS_MAX are made, and every candle end up to
CLOSES_MAX, so that a consumer sees where the market stands and which candles are over.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from lab.sim import public_trades as tape
from lab.sim.binance_tickers import BinanceTickers
from lab.sim.calls import Call
from lab.sim.candles import Candle
from lab.sim.decimals import text8
from lab.sim.exchange import Exchange
from lab.sim.intervals import INTERVALS_MS, window_next, window_open
from lab.sim.market import Market
from lab.sim.views import book_seen, frozen_ms

POINTS_MAX = 5
CLOSES_MAX = 20
TRADES_MAX = 50
FAST_MS, SLOW_MS = 100, 1000
NAME = re.compile(
    r"(?P<symbol>[^@/]+)@(?:(?P<plain>bookTicker|trade|aggTrade|ticker)|kline_(?P<interval>\w+)"
    r"|depth(?P<levels>5|10|20)(?:@(?P<period>100|1000)ms)?)"
)


class Push(NamedTuple):
    """One message of a stream at a virtual time."""

    ms: int
    payload: dict[str, Any]


Source = Callable[[int, int], Iterator[Push]]  # (from exclusive, to inclusive) -> pushes in time order


def source_of(exchange: Exchange, name: str, seen: Callable[[], Call]) -> Source | None:
    """What a stream name stands for; None for one that never pushes (Binance accepts those too).

    Args:
        seen: the call whose fault conditions (frozen price, empty or crossed book) the pushes show.
    """
    found = NAME.fullmatch(name)
    market = exchange.markets.get(found["symbol"].upper()) if found else None
    if found is None or market is None:
        return None
    if found["interval"]:
        interval = found["interval"]
        return _klines(market, interval, seen) if interval in INTERVALS_MS else None
    if found["levels"]:
        return _depth(exchange, market, int(found["levels"]), int(found["period"] or SLOW_MS), seen)
    makers: dict[str, Callable[[], Source]] = {
        "bookTicker": lambda: _best(exchange, market, seen),
        "trade": lambda: _trades(market, "trade"),
        "aggTrade": lambda: _trades(market, "aggTrade"),
        "ticker": lambda: _day(exchange, market, seen),
    }
    return makers[found["plain"]]()


def _points(from_ms: int, to_ms: int, period_ms: int) -> list[int]:
    """The newest multiples of a period in (from, to]."""
    last = to_ms // period_ms
    first = max(from_ms // period_ms + 1, last - POINTS_MAX + 1)
    return [place * period_ms for place in range(first, last + 1)]


def _best(exchange: Exchange, market: Market, seen: Callable[[], Call]) -> Source:
    def push(from_ms: int, to_ms: int) -> Iterator[Push]:
        for ms in _points(from_ms, to_ms, FAST_MS):
            bids, asks = book_seen(exchange.engine, market, seen(), ms, 1)
            if bids and asks:
                (bid, bid_qty), (ask, ask_qty) = bids[0], asks[0]
                payload = {"u": _update_id(exchange, market, ms), "s": market.rules.symbol}
                yield Push(ms, payload | _sides(bid, bid_qty, ask, ask_qty))

    return push


def _depth(exchange: Exchange, market: Market, levels: int, period_ms: int, seen: Callable[[], Call]) -> Source:
    def push(from_ms: int, to_ms: int) -> Iterator[Push]:
        for ms in _points(from_ms, to_ms, period_ms):
            bids, asks = book_seen(exchange.engine, market, seen(), ms, levels)
            rows = {
                name: [[text8(price), text8(qty)] for price, qty in side]
                for name, side in (("bids", bids), ("asks", asks))
            }
            yield Push(ms, {"lastUpdateId": _update_id(exchange, market, ms), **rows})

    return push


def _trades(market: Market, kind: str) -> Source:
    def push(from_ms: int, to_ms: int) -> Iterator[Push]:
        for row in tape.last_trades(market.path, to_ms, TRADES_MAX):
            if row.ms <= from_ms:
                continue
            head: dict[str, Any] = {"e": kind, "E": row.ms, "s": market.rules.symbol}
            ids = {"t": row.id} if kind == "trade" else {"a": row.id, "f": row.id, "l": row.id}
            rest = {"p": text8(row.price), "q": text8(row.qty), "T": row.ms, "m": row.buyer_is_maker, "M": True}
            yield Push(row.ms, head | ids | rest)

    return push


def _klines(market: Market, interval: str, seen: Callable[[], Call]) -> Source:
    def push(from_ms: int, to_ms: int) -> Iterator[Push]:
        frozen = frozen_ms(seen().hit)
        found = []
        for opens_ms in _ends(interval, from_ms, to_ms):
            candle = market.candles.at(interval, window_open(interval, opens_ms - 1), opens_ms, frozen)
            if candle:
                found.append(Push(opens_ms, _kline(market, interval, candle, opens_ms, is_closed=True)))
        for ms in _points(from_ms, to_ms, SLOW_MS)[-1:]:
            candle = market.candles.at(interval, window_open(interval, ms), ms, frozen)
            if candle:
                found.append(Push(ms, _kline(market, interval, candle, ms, is_closed=False)))
        yield from sorted(found, key=lambda one: one.ms)

    return push


def _ends(interval: str, from_ms: int, to_ms: int) -> list[int]:
    """The newest moments in (from, to] at which a window is over and the next one opens."""
    found: list[int] = []
    opens_ms = window_open(interval, to_ms)
    while opens_ms > from_ms and len(found) < CLOSES_MAX:
        found.append(opens_ms)
        opens_ms = window_open(interval, opens_ms - 1)
    return found[::-1]


def _kline(market: Market, interval: str, candle: Candle, ms: int, *, is_closed: bool) -> dict[str, Any]:
    first = tape.first_id_since(market.path, candle.open_ms)
    return {
        "e": "kline", "E": ms, "s": market.rules.symbol,
        "k": {
            "t": candle.open_ms, "T": window_next(interval, candle.open_ms) - 1, "s": market.rules.symbol,
            "i": interval, "f": first, "L": first + max(0, candle.trades - 1), "o": text8(candle.open),
            "c": text8(candle.close), "h": text8(candle.high), "l": text8(candle.low), "v": text8(candle.volume),
            "n": candle.trades, "x": is_closed, "q": text8(candle.quote_volume), "V": text8(candle.taker_volume),
            "Q": text8(candle.taker_quote_volume), "B": "0",
        },
    }  # fmt: skip


def _day(exchange: Exchange, market: Market, seen: Callable[[], Call]) -> Source:
    tickers, symbol = BinanceTickers(exchange), market.rules.symbol

    def push(from_ms: int, to_ms: int) -> Iterator[Push]:
        points = _points(from_ms, to_ms, SLOW_MS)
        if not points:
            return
        call = seen()
        call.params = {"symbol": symbol}
        row = tickers.ticker_24hr(call)
        letters = {
            "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice",
            "c": "lastPrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty",
            "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime",
            "C": "closeTime", "F": "firstId", "L": "lastId", "n": "count",
        }  # fmt: skip
        shown = {letter: row[name] for letter, name in letters.items()}
        yield Push(points[-1], {"e": "24hrTicker", "E": points[-1], "s": symbol} | shown)

    return push


def _sides(bid: Decimal, bid_qty: Decimal, ask: Decimal, ask_qty: Decimal) -> dict[str, str]:
    return {"b": text8(bid), "B": text8(bid_qty), "a": text8(ask), "A": text8(ask_qty)}


def _update_id(exchange: Exchange, market: Market, ms: int) -> int:
    return ms + market.ladder.version + len(exchange.engine.orders)
