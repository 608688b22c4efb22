"""Binance's account endpoints: listings of orders and trades, balances, commission, counts, key restrictions."""

from typing import Any

from lab.sim import binance_params as want
from lab.sim.binance_views import NO_DISCOUNT, order_view, trade_view
from lab.sim.calls import Call
from lab.sim.decimals import text8
from lab.sim.exchange import Exchange
from lab.sim.intervals import DAY_MS
from lab.sim.limits import BinanceLimits
from lab.sim.orders import Order

ROWS_MAX = 1000


class BinanceAccount:
    """Handlers of account endpoints. What a listing_lag fault hides is in no listing."""

    def __init__(self, exchange: Exchange, limits: BinanceLimits) -> None:
        self._exchange = exchange
        self._limits = limits

    def open_orders(self, call: Call) -> Any:
        """GET /api/v3/openOrders."""
        symbol = want.market(self._exchange.markets, call.params).rules.symbol if "symbol" in call.params else None
        return [order_view(order) for order in self._exchange.engine.open_orders(symbol) if self._listed(order)]

    def all_orders(self, call: Call) -> Any:
        """GET /api/v3/allOrders."""
        symbol = want.market(self._exchange.markets, call.params).rules.symbol
        start, end = want.period(call.params)
        first, count = want.integer(call.params, "orderId"), want.limit(call.params, 500, ROWS_MAX)
        orders = [order for order in self._exchange.engine.orders if order.request.symbol == symbol]
        orders = [order for order in orders if self._listed(order) and start <= order.time_ms <= end]
        if first is not None:
            orders = [order for order in orders if order.id >= first]
        newest = first is None and "startTime" not in call.params
        return [order_view(order) for order in (orders[-count:] if newest else orders[:count])]

    def my_trades(self, call: Call) -> Any:
        """GET /api/v3/myTrades."""
        symbol = want.market(self._exchange.markets, call.params).rules.symbol
        start, end = want.period(call.params)
        order_id, first = want.integer(call.params, "orderId"), want.integer(call.params, "fromId")
        count = want.limit(call.params, 500, ROWS_MAX)
        trades = [trade for trade in self._exchange.engine.trades if trade.symbol == symbol]
        trades = [trade for trade in trades if start <= trade.time_ms <= end and order_id in (None, trade.order_id)]
        trades = [trade for trade in trades if self._listed(self._exchange.engine.orders[trade.order_id - 1])]
        if first is not None:
            trades = [trade for trade in trades if trade.id >= first]
        newest = first is None and "startTime" not in call.params
        return [trade_view(trade) for trade in (trades[-count:] if newest else trades[:count])]

    def account(self, call: Call) -> Any:
        """GET /api/v3/account."""
        basis_points = int(self._exchange.fee * 10_000)
        dense = call.params.get("omitZeroBalances", "false") == "true"
        balances = self._exchange.account.balances.items()
        return {
            "makerCommission": basis_points, "takerCommission": basis_points, "buyerCommission": 0,
            "sellerCommission": 0, "commissionRates": self._rates(), "canTrade": True, "canWithdraw": True,
            "canDeposit": True, "brokered": False, "requireSelfTradePrevention": False, "preventSor": False,
            "updateTime": self._exchange.account.update_ms, "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": text8(balance.free), "locked": text8(balance.locked)}
                for asset, balance in balances
                if not dense or balance.free or balance.locked
            ],
            "permissions": ["SPOT"], "uid": 354937868,
        }  # fmt: skip

    def commission(self, call: Call) -> Any:
        """GET /api/v3/account/commission."""
        none = {"maker": "0.00000000", "taker": "0.00000000", "buyer": "0.00000000", "seller": "0.00000000"}
        symbol = want.market(self._exchange.markets, call.params).rules.symbol
        return {"symbol": symbol, "standardCommission": self._rates(), "specialCommission": none,
                "taxCommission": none, "discount": NO_DISCOUNT}  # fmt: skip

    def order_counts(self, call: Call) -> Any:
        """GET /api/v3/rateLimit/order."""
        now = self._exchange.now_ms
        rows = ((self._limits.orders_10s, "SECOND", 10), (self._limits.orders_1d, "DAY", 1))
        return [
            {"rateLimitType": "ORDERS", "interval": interval, "intervalNum": number, "limit": window.limit,
             "count": window.roll(now)}
            for window, interval, number in rows
        ]  # fmt: skip

    def api_restrictions(self, call: Call) -> Any:
        """GET /sapi/v1/account/apiRestrictions: a key as it should be (no withdrawals, bound to an address)."""
        return {
            "ipRestrict": True, "createTime": self._exchange.start_ms - 7 * DAY_MS, "enableReading": True,
            "enableSpotAndMarginTrading": True, "enableWithdrawals": False, "enableInternalTransfer": False,
            "enableMargin": False, "enableFutures": False, "permitsUniversalTransfer": False,
            "enableVanillaOptions": False, "enablePortfolioMarginTrading": False,
        }  # fmt: skip

    def coins(self, call: Call) -> Any:
        """GET /sapi/v1/capital/config/getall: every asset traded here, without deposit networks."""
        return [
            {"coin": asset, "name": asset, "free": text8(balance.free), "locked": text8(balance.locked),
             "trading": True, "isLegalMoney": False, "depositAllEnable": False, "withdrawAllEnable": False,
             "networkList": []}
            for asset, balance in self._exchange.account.balances.items()
        ]  # fmt: skip

    def _listed(self, order: Order) -> bool:
        return order.hidden_until_ms <= self._exchange.now_ms

    def _rates(self) -> dict[str, str]:
        rate = text8(self._exchange.fee)
        return {"maker": rate, "taker": rate, "buyer": "0.00000000", "seller": "0.00000000"}
