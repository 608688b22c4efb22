"""MEXC's signed endpoints: placing, testing, cancelling and asking for orders, trades and balances.

What the documentation leaves open and we chose: a client id that is already open is refused with 33333.
"""

from typing import Any

from lab.sim.calls import Call
from lab.sim.decimals import plain
from lab.sim.exchange import Exchange
from lab.sim.intervals import DAY_MS
from lab.sim.mexc_market import MexcMarket
from lab.sim.mexc_params import amounts, bad, integer, limit, need
from lab.sim.mexc_views import ORDER_TYPES, cancelled_view, coin_view, order_number, order_view, placed_view, trade_view
from lab.sim.orders import Order, OrderRequest
from lab.sim.rejections import Reason, Rejection
from lab.sim.seeded import seed_number
from lab.sim.symbols import SymbolRules
from lab.sim.views import modifiers_of, rules_seen

ROWS_MAX = 1000
TRADE_ROWS_MAX = 100
CLIENT_ID_LENGTH_MAX = 32
_FORCE = {"IMMEDIATE_OR_CANCEL": "IOC", "FILL_OR_KILL": "FOK"}


class MexcTrading:
    """Handlers of signed endpoints."""

    def __init__(self, exchange: Exchange, public: MexcMarket) -> None:
        self._exchange = exchange
        self._public = public
        self._made_ids = 0

    def place(self, call: Call) -> Any:
        """POST /api/v3/order."""
        request, rules = self._request(call)
        return placed_view(self._exchange.engine.place(request, self._exchange.now_ms, rules, modifiers_of(call.hit)))

    def test(self, call: Call) -> Any:
        """POST /api/v3/order/test: judged, nothing changed."""
        request, rules = self._request(call)
        self._exchange.engine.check(request, self._exchange.now_ms, rules, modifiers_of(call.hit))
        return {}

    def query(self, call: Call) -> Any:
        """GET /api/v3/order."""
        order = self._named(call)
        if order is None or not self._listed(order):
            raise bad(-2013, "Order does not exist.")
        return order_view(order)

    def cancel(self, call: Call) -> Any:
        """DELETE /api/v3/order."""
        order = self._named(call)
        if order is None:
            raise Rejection(Reason.UNKNOWN_ORDER)
        return cancelled_view(self._exchange.engine.cancel(order, self._exchange.now_ms))

    def cancel_all(self, call: Call) -> Any:
        """DELETE /api/v3/openOrders; `symbol` may name several, comma-separated."""
        symbols = need(call.params, "symbol").split(",")
        if any(symbol not in self._exchange.markets for symbol in symbols):
            raise bad(10007, "bad symbol")
        engine = self._exchange.engine
        orders = [order for order in engine.open_orders() if order.request.symbol in symbols]
        return [cancelled_view(engine.cancel(order, self._exchange.now_ms)) for order in orders]

    def open_orders(self, call: Call) -> Any:
        """GET /api/v3/openOrders; the symbol is mandatory."""
        symbol = self._public.market(call).rules.symbol
        return [order_view(order) for order in self._exchange.engine.open_orders(symbol) if self._listed(order)]

    def all_orders(self, call: Call) -> Any:
        """GET /api/v3/allOrders: the last 24 hours by default, never older than 7 days."""
        symbol, now = self._public.market(call).rules.symbol, self._exchange.now_ms
        start, end = integer(call.params, "startTime"), integer(call.params, "endTime")
        first = max(now - 7 * DAY_MS, now - DAY_MS if start is None else start)
        last = now if end is None else end
        orders = [order for order in self._exchange.engine.orders if order.request.symbol == symbol]
        orders = [order for order in orders if self._listed(order) and first <= order.time_ms <= last]
        return [order_view(order) for order in reversed(orders[-limit(call.params, 500, ROWS_MAX) :])]

    def my_trades(self, call: Call) -> Any:
        """GET /api/v3/myTrades: the past month, at most 100 rows."""
        symbol, now = self._public.market(call).rules.symbol, self._exchange.now_ms
        start, end = integer(call.params, "startTime"), integer(call.params, "endTime")
        first, last = max(now - 30 * DAY_MS, start or 0), now if end is None else end
        wanted = order_number(call.params["orderId"]) if "orderId" in call.params else None
        trades = [trade for trade in self._exchange.engine.trades if trade.symbol == symbol]
        trades = [trade for trade in trades if first <= trade.time_ms <= last]
        trades = [trade for trade in trades if "orderId" not in call.params or trade.order_id == wanted]
        trades = [trade for trade in trades if self._listed(self._exchange.engine.orders[trade.order_id - 1])]
        return [trade_view(trade) for trade in reversed(trades[-limit(call.params, 100, TRADE_ROWS_MAX) :])]

    def account(self, call: Call) -> Any:
        """GET /api/v3/account."""
        balances = self._exchange.account.balances.items()
        return {
            "canTrade": True, "canWithdraw": True, "canDeposit": True, "updateTime": None, "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": plain(balance.free), "locked": plain(balance.locked)}
                for asset, balance in balances
                if balance.free or balance.locked
            ],
            "permissions": ["SPOT"],
        }  # fmt: skip

    def self_symbols(self, call: Call) -> Any:
        """GET /api/v3/selfSymbols."""
        return {"code": 200, "data": list(self._exchange.markets), "msg": None}

    def trade_fee(self, call: Call) -> Any:
        """GET /api/v3/tradeFee; its envelope says 0 for success."""
        self._public.market(call)
        rate = float(self._exchange.fee)
        return {"data": {"makerCommission": rate, "takerCommission": rate}, "code": 0, "msg": "success",
                "timestamp": self._exchange.now_ms}  # fmt: skip

    def coins(self, call: Call) -> Any:
        """GET /api/v3/capital/config/getall."""
        return [coin_view(asset) for asset in self._exchange.account.balances]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _request(self, call: Call) -> tuple[OrderRequest, SymbolRules]:
        rules = rules_seen(self._public.market(call), call.hit)
        side, kind = need(call.params, "side"), need(call.params, "type")
        if side not in ("BUY", "SELL"):
            raise bad(33333, "param is error: side")
        if kind not in ORDER_TYPES:
            raise bad(30041, "current order type can not place order")
        sizes = amounts(call.params, side, kind, rules)
        client_id = call.params.get("newClientOrderId") or self._new_id()
        if len(client_id) > CLIENT_ID_LENGTH_MAX:
            raise bad(700008, "Illegal characters found in parameter 'newClientOrderId'; legal range is '^.{1,32}$'.")
        engine_type = "LIMIT" if kind in _FORCE else kind
        return OrderRequest(symbol=rules.symbol, side=side, type=engine_type, client_id=client_id, **sizes,
                            time_in_force=_FORCE.get(kind, "GTC"), wire_type=kind), rules  # fmt: skip

    def _named(self, call: Call) -> Order | None:
        symbol = self._public.market(call).rules.symbol
        text, client_id = call.params.get("orderId"), call.params.get("origClientOrderId")
        if not text and not client_id:
            raise bad(700004, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        if not text:
            return self._exchange.engine.find(symbol, None, client_id)
        number = order_number(text)
        return None if number is None else self._exchange.engine.find(symbol, number, client_id)

    def _listed(self, order: Order) -> bool:
        return order.hidden_until_ms <= self._exchange.now_ms

    def _new_id(self) -> str:
        self._made_ids += 1
        return f"sim{seed_number('client id', self._exchange.seed, self._made_ids):016x}"
