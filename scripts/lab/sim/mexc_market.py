"""MEXC's public endpoints: time, exchangeInfo, defaultSymbols, book, tape, candles, tickers."""

from typing import Any

from lab.sim import public_trades as tape
from lab.sim.calls import Call
from lab.sim.decimals import ZERO, plain
from lab.sim.exchange import Exchange
from lab.sim.intervals import DAY_MS
from lab.sim.market import Market
from lab.sim.mexc_params import bad, integer, limit, need
from lab.sim.mexc_views import candle_row, symbol_view
from lab.sim.views import book_seen, frozen_ms, price_seen, rules_seen

INTERVALS = {
    "1m": "1m", "5m": "5m", "15m": "15m", "30m": "30m", "60m": "1h", "4h": "4h", "8h": "8h", "1d": "1d", "1W": "1w",
    "1M": "1M",
}  # fmt: skip
DEPTH_MAX = 5000
ROWS_MAX = 1000


class MexcMarket:
    """Handlers of public endpoints."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def ping(self, call: Call) -> Any:
        """GET /api/v3/ping."""
        return {}

    def time(self, call: Call) -> Any:
        """GET /api/v3/time; shows the skew of clock_skew_ms."""
        skew = call.hit.view("clock_skew_ms")
        return {"serverTime": self._exchange.now_ms + (skew.arg if skew else 0)}

    def exchange_info(self, call: Call) -> Any:
        """GET /api/v3/exchangeInfo."""
        views = [symbol_view(rules_seen(market, call.hit), self._exchange.fee) for market in self._chosen(call)]
        return {"timezone": "CST", "serverTime": self._exchange.now_ms, "rateLimits": [], "exchangeFilters": [],
                "symbols": views}  # fmt: skip

    def default_symbols(self, call: Call) -> Any:
        """GET /api/v3/defaultSymbols: what the API may trade, in its envelope."""
        return {"code": 200, "data": list(self._exchange.markets), "msg": None}

    def depth(self, call: Call) -> Any:
        """GET /api/v3/depth."""
        market, now = self.market(call), self._exchange.now_ms
        bids, asks = book_seen(self._exchange.engine, market, call, now, limit(call.params, 100, DEPTH_MAX))
        return {
            "lastUpdateId": now + market.ladder.version + len(self._exchange.engine.orders),
            "bids": [[plain(price), plain(qty)] for price, qty in bids],
            "asks": [[plain(price), plain(qty)] for price, qty in asks],
            "timestamp": now,
        }

    def trades(self, call: Call) -> Any:
        """GET /api/v3/trades; ids are null on the public tape."""
        market = self.market(call)
        return [
            {"id": None, "price": plain(row.price), "qty": plain(row.qty), "quoteQty": plain(row.price * row.qty),
             "time": row.ms, "isBuyerMaker": row.buyer_is_maker, "isBestMatch": True,
             "tradeType": "ASK" if row.buyer_is_maker else "BID"}
            for row in tape.last_trades(market.path, self._exchange.now_ms, limit(call.params, 500, ROWS_MAX))
        ]  # fmt: skip

    def aggregate_trades(self, call: Call) -> Any:
        """GET /api/v3/aggTrades."""
        market, now = self.market(call), self._exchange.now_ms
        start, end = integer(call.params, "startTime"), integer(call.params, "endTime")
        until, count = now if end is None else min(now, end), limit(call.params, 500, ROWS_MAX)
        if start is None:
            rows = tape.last_trades(market.path, until, count)
        else:
            rows = tape.trades_from(market.path, until, tape.first_id_since(market.path, start), count)
        return [
            {"a": None, "f": None, "l": None, "p": plain(row.price), "q": plain(row.qty), "T": row.ms,
             "m": row.buyer_is_maker, "M": True}
            for row in rows
        ]  # fmt: skip

    def klines(self, call: Call) -> Any:
        """GET /api/v3/klines."""
        market, now = self.market(call), self._exchange.now_ms
        interval = INTERVALS.get(need(call.params, "interval"))
        if interval is None:
            raise bad(-1121, "Invalid interval.")
        start, end = integer(call.params, "startTime"), integer(call.params, "endTime")
        count, frozen = limit(call.params, 500, ROWS_MAX), frozen_ms(call.hit)
        if start is not None:
            rows = market.candles.since(interval, start, now, count, frozen)
        else:
            rows = market.candles.latest(interval, now if end is None else min(now, end), count, frozen)
        return [candle_row(row) for row in rows if end is None or row.open_ms <= end]

    def average_price(self, call: Call) -> Any:
        """GET /api/v3/avgPrice."""
        market = self.market(call)
        return {"mins": market.rules.average_mins, "price": plain(market.average(self._exchange.now_ms))}

    def ticker_24hr(self, call: Call) -> Any:
        """GET /api/v3/ticker/24hr."""
        return self._one_or_many(call, self._day)

    def ticker_price(self, call: Call) -> Any:
        """GET /api/v3/ticker/price."""
        return self._one_or_many(call, self._price)

    def ticker_book(self, call: Call) -> Any:
        """GET /api/v3/ticker/bookTicker."""
        return self._one_or_many(call, self._best)

    def market(self, call: Call) -> Market:
        """The market of the `symbol` parameter."""
        found = self._exchange.markets.get(need(call.params, "symbol"))
        if found is None:
            raise bad(10007, "bad symbol")
        return found

    def _chosen(self, call: Call) -> list[Market]:
        if "symbol" in call.params:
            return [self.market(call)]
        wanted = call.params.get("symbols")
        markets = self._exchange.markets
        if not wanted:
            return list(markets.values())
        if any(symbol not in markets for symbol in wanted.split(",")):
            raise bad(10007, "bad symbol")
        return [markets[symbol] for symbol in wanted.split(",")]

    def _one_or_many(self, call: Call, view: Any) -> Any:
        views = [view(market, call) for market in self._chosen(call)]
        return views[0] if "symbol" in call.params else views

    def _price(self, market: Market, call: Call) -> dict[str, Any]:
        return {"symbol": market.rules.symbol, "price": plain(price_seen(market, call, self._exchange.now_ms))}

    def _best(self, market: Market, call: Call) -> dict[str, Any]:
        bids, asks = book_seen(self._exchange.engine, market, call, self._exchange.now_ms, 1)
        bid, ask = bids[0] if bids else (ZERO, ZERO), asks[0] if asks else (ZERO, ZERO)
        return {"symbol": market.rules.symbol, "bidPrice": plain(bid[0]), "bidQty": plain(bid[1]),
                "askPrice": plain(ask[0]), "askQty": plain(ask[1])}  # fmt: skip

    def _day(self, market: Market, call: Call) -> dict[str, Any]:
        now, frozen = self._exchange.now_ms, frozen_ms(call.hit)
        day = market.candles.total(now - DAY_MS + 1, now if frozen is None else min(now, frozen))
        last = price_seen(market, call, now)
        first, high, low = (day.open, day.high, day.low) if day else (last, last, last)
        return self._best(market, call) | {
            "priceChange": plain(last - first), "priceChangePercent": f"{(last - first) / first:.8f}",
            "prevClosePrice": plain(first), "lastPrice": plain(last), "openPrice": plain(first),
            "highPrice": plain(high), "lowPrice": plain(low), "volume": plain(day.volume if day else ZERO),
            "quoteVolume": plain(day.quote_volume if day else ZERO), "openTime": now - DAY_MS + 1, "closeTime": now,
            "count": None,
        }  # fmt: skip
