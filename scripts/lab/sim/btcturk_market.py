"""BTCTurk's public endpoints: time, exchangeinfo, book, tape, ticker, and the candles of its graph host.

The candle host is another one in life; here both are one. Prices of ticker and candles are JSON numbers, candle times
are seconds, everything else is milliseconds. Bars without a trade are absent.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from lab.sim import public_trades as tape
from lab.sim.btcturk_params import bad, integer, limit, market_of
from lab.sim.btcturk_views import enveloped, normalized, price_text, symbol_view
from lab.sim.calls import ApiError, Call
from lab.sim.candles import Candle
from lab.sim.decimals import ZERO, places, text8
from lab.sim.exchange import Exchange
from lab.sim.intervals import DAY_MS
from lab.sim.market import Market
from lab.sim.views import book_seen, frozen_ms, price_seen, rules_seen

RESOLUTIONS = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h", "360": "6h",
    "720": "12h", "1440": "1d", "D": "1d", "1D": "1d", "W": "1w", "1W": "1w",
}  # fmt: skip
BOOK_ROWS, BOOK_ROWS_MAX = 100, 1000
TAPE_ROWS, TAPE_ROWS_MAX = 50, 1000
CANDLES_MAX = 11_000
_TAPE_BASE = 637_544_252_000_000_000


class BtcturkMarket:
    """Handlers of public endpoints."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def time(self, call: Call) -> Any:
        """GET /api/v2/server/time: no envelope; shows the skew of clock_skew_ms."""
        skew = call.hit.view("clock_skew_ms")
        now = self._exchange.now_ms + (skew.arg if skew else 0)
        moment = datetime.fromtimestamp(now // 1000, UTC)
        return {"serverTime": now, "serverTime2": f"{moment:%Y-%m-%dT%H:%M:%S}.{now % 1000:03}0000+00:00"}

    def exchange_info(self, call: Call) -> Any:
        """GET /api/v2/server/exchangeinfo."""
        now = self._exchange.now_ms
        rows = [
            symbol_view(rules_seen(market, call.hit), number, market.average(now))
            for number, market in enumerate(self._exchange.markets.values(), 1)
        ]
        return enveloped({"timeZone": "UTC", "serverTime": now, "symbols": rows})

    def order_book(self, call: Call) -> Any:
        """GET /api/v2/orderbook."""
        market, now = self.market(call), self._exchange.now_ms
        count = limit(call.params, "limit", BOOK_ROWS, BOOK_ROWS_MAX)
        sides = book_seen(self._exchange.engine, market, call, now, count)
        bids, asks = ([[price_text(price, market.rules), text8(qty)] for price, qty in side] for side in sides)
        return enveloped({"timestamp": now, "bids": bids, "asks": asks})

    def trades(self, call: Call) -> Any:
        """GET /api/v2/trades, newest first."""
        market = self.market(call)
        count = limit(call.params, "last", TAPE_ROWS, TAPE_ROWS_MAX)
        rules = market.rules
        rows = tape.last_trades(market.path, self._exchange.now_ms, count)
        return enveloped([
            {"pair": rules.symbol, "pairNormalized": normalized(rules), "numerator": rules.base,
             "denominator": rules.quote, "date": row.ms, "tid": str(_TAPE_BASE + row.id),
             "price": price_text(row.price, rules), "amount": text8(row.qty),
             "side": "sell" if row.buyer_is_maker else "buy"}
            for row in reversed(rows)
        ])  # fmt: skip

    def ticker(self, call: Call) -> Any:
        """GET /api/v2/ticker, of one pair or of all; a list in both cases."""
        markets = [self.market(call)] if "pairSymbol" in call.params else list(self._exchange.markets.values())
        return enveloped([self._day(market, call) for market in markets])

    def klines(self, call: Call) -> Any:
        """GET /v1/klines/history: columns; `from` and `to` in seconds, both inclusive."""
        market = self._charted(call, "symbol")
        interval = RESOLUTIONS.get(call.params.get("resolution", "").replace(" ", "").upper())
        if interval is None or "from" not in call.params or "to" not in call.params:
            raise _chart_error("resolution, from or to is not valid")
        rows = self._candles(market, interval, call)
        names = {"t": "open_ms", "h": "high", "o": "open", "l": "low", "c": "close", "v": "volume"}
        columns: dict[str, Any] = {
            short: [row.open_ms // 1000 if short == "t" else _number(getattr(row, name)) for row in rows]
            for short, name in names.items()
        }
        return {"s": "ok" if rows else "no_data"} | columns

    def daily(self, call: Call) -> Any:
        """GET /v1/ohlcs: one object a day, times in seconds, no envelope."""
        markets = [self._charted(call, "pair")] if "pair" in call.params else list(self._exchange.markets.values())
        return [_day_row(market.rules.symbol, row) for market in markets for row in self._candles(market, "1d", call)]

    def market(self, call: Call) -> Market:
        """The market of the `pairSymbol` parameter."""
        return market_of(self._exchange.markets, call.params)

    def _charted(self, call: Call, name: str) -> Market:
        try:
            return market_of(self._exchange.markets, call.params, name)
        except ApiError:
            raise _chart_error("unknown_symbol") from None

    def _candles(self, market: Market, interval: str, call: Call) -> list[Candle]:
        now = self._exchange.now_ms
        start_s, end_s = integer(call.params, "from"), integer(call.params, "to")
        end_ms = now if end_s is None else min(now, end_s * 1000)
        rows = market.candles.since(interval, (start_s or 0) * 1000, now, CANDLES_MAX, frozen_ms(call.hit))
        return [row for row in rows if row.open_ms <= end_ms and row.volume]

    def _day(self, market: Market, call: Call) -> dict[str, Any]:
        now, frozen, rules = self._exchange.now_ms, frozen_ms(call.hit), market.rules
        day = market.candles.total(now - DAY_MS + 1, now if frozen is None else min(now, frozen))
        last = price_seen(market, call, now)
        first, high, low = (day.open, day.high, day.low) if day else (last, last, last)
        volume = day.volume if day else ZERO
        bids, asks = book_seen(self._exchange.engine, market, call, now, 1)
        shown = {
            "last": last, "high": high, "low": low, "bid": bids[0][0] if bids else ZERO,
            "ask": asks[0][0] if asks else ZERO, "open": first, "volume": volume,
            "average": _rounded(day.quote_volume / volume, rules.tick) if day and volume else last,
            "daily": last - first, "dailyPercent": _rounded((last - first) / first * 100, Decimal("0.01")),
        }  # fmt: skip
        return (
            {"pair": rules.symbol, "pairNormalized": normalized(rules), "timestamp": now}
            | {name: _number(value) for name, value in shown.items()}
            | {"denominatorSymbol": rules.quote, "numeratorSymbol": rules.base, "order": 1000}
        )


def _day_row(pair: str, row: Candle) -> dict[str, Any]:
    change = row.close - row.open
    values = {
        "open": row.open, "high": row.high, "low": row.low, "close": row.close, "volume": row.volume,
        "total": row.quote_volume, "average": _rounded(row.quote_volume / row.volume, Decimal("0.01")),
        "dailyChangeAmount": change, "dailyChangePercentage": _rounded(change / row.open * 100, Decimal("0.01")),
    }  # fmt: skip
    return {"pair": pair, "time": row.open_ms // 1000} | {name: _number(value) for name, value in values.items()}


def _chart_error(message: str) -> ApiError:
    error = bad(message)
    error.body = {"s": "error", "errmsg": message}
    return error


def _rounded(value: Decimal, grid: Decimal) -> Decimal:
    return value.quantize(grid) if grid < 1 else value.quantize(Decimal(1))


def _number(value: Decimal) -> int | float:
    """A JSON number: whole when it is, else the shortest text that reads back as the same 8 places."""
    return float(value) if places(value) else int(value)
