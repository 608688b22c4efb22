"""Binance's public endpoints: time, exchangeInfo, book, tape, candles. Tickers are in binance_tickers."""

from typing import Any, Final

from lab.sim import binance_params as want
from lab.sim import public_trades as tape
from lab.sim.binance_views import candle_row, symbol_view
from lab.sim.calls import Call
from lab.sim.candles import Candle
from lab.sim.decimals import text8
from lab.sim.exchange import Exchange
from lab.sim.intervals import INTERVALS_MS
from lab.sim.limits import BinanceLimits
from lab.sim.market import Market
from lab.sim.public_trades import PublicTrade
from lab.sim.views import book_seen, frozen_ms, rules_seen

DEPTH_MAX = 5000
ROWS_MAX = 1000
ROWS_KEPT_MAX = 200_000


class BinanceMarket:
    """Handlers of public endpoints."""

    def __init__(self, exchange: Exchange, limits: BinanceLimits) -> None:
        self._exchange = exchange
        self._limits = limits
        self._rows: dict[tuple[str, str, int], list[Any]] = {}  # finished candles as printed

    def ping(self, call: Call) -> Any:
        """GET /api/v3/ping."""
        return {}

    def time(self, call: Call) -> Any:
        """GET /api/v3/time; shows the skew of clock_skew_ms."""
        skew = call.hit.view("clock_skew_ms")
        return {"serverTime": self._exchange.now_ms + (skew.arg if skew else 0)}

    def exchange_info(self, call: Call) -> Any:
        """GET /api/v3/exchangeInfo."""
        markets = want.chosen_markets(self._exchange.markets, call.params)
        return {
            "timezone": "UTC", "serverTime": self._exchange.now_ms, "rateLimits": rate_limits(self._limits),
            "exchangeFilters": [], "symbols": [symbol_view(rules_seen(market, call.hit)) for market in markets],
        }  # fmt: skip

    def depth(self, call: Call) -> Any:
        """GET /api/v3/depth."""
        market = self._market(call)
        count = want.limit(call.params, 100, DEPTH_MAX)
        bids, asks = book_seen(self._exchange.engine, market, call, self._exchange.now_ms, count)
        return {
            "lastUpdateId": self._exchange.now_ms + market.ladder.version + len(self._exchange.engine.orders),
            "bids": [[text8(price), text8(qty)] for price, qty in bids],
            "asks": [[text8(price), text8(qty)] for price, qty in asks],
        }

    def trades(self, call: Call) -> Any:
        """GET /api/v3/trades."""
        market = self._market(call)
        rows = tape.last_trades(market.path, self._exchange.now_ms, want.limit(call.params, 500, ROWS_MAX))
        return [_trade_row(row) for row in rows]

    def historical_trades(self, call: Call) -> Any:
        """GET /api/v3/historicalTrades."""
        return [_trade_row(row) for row in self._tape_rows(call)]

    def aggregate_trades(self, call: Call) -> Any:
        """GET /api/v3/aggTrades; every trade is its own aggregate."""
        return [
            {"a": row.id, "p": text8(row.price), "q": text8(row.qty), "f": row.id, "l": row.id, "T": row.ms,
             "m": row.buyer_is_maker, "M": True}
            for row in self._tape_rows(call)
        ]  # fmt: skip

    def klines(self, call: Call) -> Any:
        """GET /api/v3/klines and uiKlines."""
        market = self._market(call)
        interval = want.need(call.params, "interval")
        if interval not in INTERVALS_MS:
            raise want.bad(-1120, "Invalid interval.")
        rows = candle_range(market, call, self._exchange.now_ms, interval, want.limit(call.params, 500, ROWS_MAX))
        if frozen_ms(call.hit) is not None:
            return [candle_row(row) for row in rows]
        return [self._row(market.rules.symbol, interval, row) for row in rows]

    def _market(self, call: Call) -> Market:
        return want.market(self._exchange.markets, call.params)

    def _row(self, symbol: str, interval: str, candle: Candle) -> list[Any]:
        if candle.close_ms > self._exchange.now_ms:
            return candle_row(candle)
        key = (symbol, interval, candle.open_ms)
        if key not in self._rows:
            if len(self._rows) >= ROWS_KEPT_MAX:
                self._rows.clear()
            self._rows[key] = candle_row(candle)
        return self._rows[key]

    def _tape_rows(self, call: Call) -> list[PublicTrade]:
        market, now = self._market(call), self._exchange.now_ms
        count = want.limit(call.params, 500, ROWS_MAX)
        start, end = want.integer(call.params, "startTime"), want.integer(call.params, "endTime")
        first = want.integer(call.params, "fromId")
        if first is None and start is None:
            return tape.last_trades(market.path, now if end is None else min(now, end), count)
        first = tape.first_id_since(market.path, start or 0) if first is None else first
        rows = tape.trades_from(market.path, now if end is None else min(now, end), first, count)
        return [row for row in rows if row.ms >= (start or 0)]


def candle_range(market: Market, call: Call, now_ms: int, interval: str, count: int) -> list[Candle]:
    """Candles of the startTime, endTime and limit parameters, as this request sees them."""
    start, end = want.integer(call.params, "startTime"), want.integer(call.params, "endTime")
    frozen = frozen_ms(call.hit)
    if start is not None:
        rows = market.candles.since(interval, start, now_ms, count, frozen)
    elif end is not None and end < now_ms:
        rows = market.candles.latest(interval, end, count, frozen)
        rows = [market.candles.at(interval, row.open_ms, now_ms, frozen) or row for row in rows]
    else:
        rows = market.candles.latest(interval, now_ms, count, frozen)
    return [row for row in rows if end is None or row.open_ms <= end]


WEIGHT_TOLD: Final = 6000  # where none is enforced


def rate_limits(limits: BinanceLimits) -> list[dict[str, Any]]:
    """The rateLimits block of exchangeInfo, as it is enforced."""
    weight = limits.weight_limit or WEIGHT_TOLD
    rows = (
        ("REQUEST_WEIGHT", "MINUTE", 1, weight), ("ORDERS", "SECOND", 10, limits.orders_10s_limit),
        ("ORDERS", "DAY", 1, limits.orders_1d_limit), ("RAW_REQUESTS", "MINUTE", 5, 300_000),
    )  # fmt: skip
    return [
        {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": value}
        for kind, interval, number, value in rows
    ]


def _trade_row(row: PublicTrade) -> dict[str, Any]:
    return {
        "id": row.id, "price": text8(row.price), "qty": text8(row.qty), "quoteQty": text8(row.price * row.qty),
        "time": row.ms, "isBuyerMaker": row.buyer_is_maker, "isBestMatch": True,
    }  # fmt: skip
