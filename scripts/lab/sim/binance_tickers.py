"""Binance's tickers: average price, 24 hour statistics, last price, best bid and offer."""

from typing import Any

from lab.sim import binance_params as want
from lab.sim import public_trades as tape
from lab.sim.calls import Call
from lab.sim.decimals import ZERO, text8
from lab.sim.exchange import Exchange
from lab.sim.intervals import DAY_MS
from lab.sim.market import Market
from lab.sim.views import book_seen, frozen_ms, price_seen


class BinanceTickers:
    """Handlers of ticker endpoints: an object for `symbol`, a list for `symbols` or none."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def average_price(self, call: Call) -> Any:
        """GET /api/v3/avgPrice."""
        market, now = want.market(self._exchange.markets, call.params), self._exchange.now_ms
        return {"mins": market.rules.average_mins, "price": text8(market.average(now)), "closeTime": now}

    def ticker_24hr(self, call: Call) -> Any:
        """GET /api/v3/ticker/24hr."""
        kind = want.choice(call.params, "type", ("FULL", "MINI"), "FULL")
        return self._one_or_many(call, lambda market: self._day(market, call, kind))

    def ticker_price(self, call: Call) -> Any:
        """GET /api/v3/ticker/price."""
        now = self._exchange.now_ms
        return self._one_or_many(
            call, lambda market: {"symbol": market.rules.symbol, "price": text8(price_seen(market, call, now))}
        )

    def ticker_book(self, call: Call) -> Any:
        """GET /api/v3/ticker/bookTicker."""
        return self._one_or_many(call, lambda market: self._best(market, call))

    def _one_or_many(self, call: Call, view: Any) -> Any:
        views = [view(market) for market in want.chosen_markets(self._exchange.markets, call.params)]
        return views[0] if "symbol" in call.params else views

    def _best(self, market: Market, call: Call) -> dict[str, Any]:
        bids, asks = book_seen(self._exchange.engine, market, call, self._exchange.now_ms, 1)
        bid, ask = bids[0] if bids else (ZERO, ZERO), asks[0] if asks else (ZERO, ZERO)
        return {
            "symbol": market.rules.symbol, "bidPrice": text8(bid[0]), "bidQty": text8(bid[1]),
            "askPrice": text8(ask[0]), "askQty": text8(ask[1]),
        }  # fmt: skip

    def _day(self, market: Market, call: Call, kind: str) -> dict[str, Any]:
        now = self._exchange.now_ms
        frozen = frozen_ms(call.hit)
        day = market.candles.total(now - DAY_MS + 1, now if frozen is None else min(now, frozen))
        last = price_seen(market, call, now)
        first, high, low = (day.open, day.high, day.low) if day else (last, last, last)
        volume, quote, count = (day.volume, day.quote_volume, day.trades) if day else (ZERO, ZERO, 0)
        newest = tape.first_id_since(market.path, now)
        mini: dict[str, Any] = {
            "symbol": market.rules.symbol, "openPrice": text8(first), "highPrice": text8(high), "lowPrice": text8(low),
            "lastPrice": text8(last), "volume": text8(volume), "quoteVolume": text8(quote),
            "openTime": now - DAY_MS + 1, "closeTime": now, "firstId": max(0, newest - count), "lastId": newest,
            "count": count,
        }  # fmt: skip
        if kind == "MINI":
            return mini
        best = self._best(market, call)
        return mini | {
            "priceChange": text8(last - first), "priceChangePercent": f"{(last - first) * 100 / first:.3f}",
            "weightedAvgPrice": text8(quote / volume if volume else last), "prevClosePrice": text8(first),
            "lastQty": text8(market.rules.min_qty), "bidPrice": best["bidPrice"], "bidQty": best["bidQty"],
            "askPrice": best["askPrice"], "askQty": best["askQty"],
        }  # fmt: skip
