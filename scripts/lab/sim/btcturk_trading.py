"""BTCTurk's signed endpoints: placing, cancelling and asking for orders, trades and balances.

A cancel is only received: it takes effect CANCEL_DELAY_MS later in virtual time (with --step: at the latest with the
fourth request after it), and the order may fill until then.
Faults on the DELETE shape this: `listing_lag` postpones the effect, `late_fill` fills the order that many seconds
after the DELETE (wholly, or the fraction of `partial_fill`) and lets the cancel follow.

What the documentation leaves open and we chose: lists are newest first; page 1 is the first page and 0 the same;
openOrders wants its pair, allOrders does not; there is no lookup by client id.
"""

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from lab.sim.btcturk_params import (
    MARKET_METHODS,
    PARAMETER,
    bad,
    integer,
    limit,
    market_of,
    order_request,
    refusal,
)
from lab.sim.btcturk_views import (
    ID_LENGTH_MAX,
    balance_view,
    enveloped,
    open_order_view,
    order_number,
    order_view,
    placed_view,
    trade_view,
)
from lab.sim.calls import Call
from lab.sim.exchange import Exchange
from lab.sim.funds import lock_needed, paid_asset
from lab.sim.intervals import DAY_MS
from lab.sim.market import Market
from lab.sim.orders import Order, OrderRequest, Trade
from lab.sim.rejections import Reason, Rejection
from lab.sim.seeded import seed_number
from lab.sim.symbols import SymbolRules
from lab.sim.views import modifiers_of, rules_seen

CANCEL_DELAY_MS = 1
ROWS, ROWS_MAX = 100, 1000
TRADE_DAYS = 30
ORDER_PATH = "/api/v1/order/"


class BtcturkTrading:
    """Handlers of signed endpoints."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._made_ids = 0

    def place(self, call: Call) -> Any:
        """POST /api/v1/order, parameters as a JSON object."""
        market = market_of(self._exchange.markets, call.params)
        rules, now = rules_seen(market, call.hit), self._exchange.now_ms
        request = order_request(call.params, rules, self._new_id())
        try:
            order = self._exchange.engine.place(request, now, rules, modifiers_of(call.hit))
        except Rejection as rejection:
            owned = rejection.reason is Reason.INSUFFICIENT_BALANCE and self._owned(request, market)
            raise refusal(rejection, request, rules, market.average(now), owned) from None
        return enveloped(placed_view(order, rules), "OK")

    def cancel(self, call: Call) -> Any:
        """DELETE /api/v1/order?id=: 200 means received."""
        order = self._numbered(call.params.get("id", ""))
        if order is None:
            raise bad("NO_ORDER_MATCHES_YOUR_REQUEST")
        if rules_seen(self._exchange.markets[order.request.symbol], call.hit).halted:
            raise bad("ORDER_CANCEL_BLOCKED")
        market_now = order.request.wire_type in MARKET_METHODS and order.working
        if market_now or not order.is_open:
            raise bad("ORDER_COULD_NOT_BE_CANCELED")
        self._exchange.engine.cancel_later(order, self._exchange.now_ms, CANCEL_DELAY_MS, modifiers_of(call.hit))
        return {"success": True, "message": "SUCCESS", "code": 0}

    def query(self, call: Call) -> Any:
        """GET /api/v1/order/{orderId}."""
        order = self._numbered(call.path[len(ORDER_PATH) :])
        if order is None or not self._listed(order):
            raise bad("Order not found")
        return enveloped(order_view(order, self._rules(order)))

    def open_orders(self, call: Call) -> Any:
        """GET /api/v1/openOrders, split into asks and bids."""
        symbol = market_of(self._exchange.markets, call.params).rules.symbol
        orders = [order for order in self._exchange.engine.open_orders(symbol) if self._listed(order)]
        return enveloped({
            name: [open_order_view(order, self._rules(order)) for order in orders if order.request.side == side]
            for name, side in (("asks", "SELL"), ("bids", "BUY"))
        })  # fmt: skip

    def all_orders(self, call: Call) -> Any:
        """GET /api/v1/allOrders: any status, from an id or a time on, in pages."""
        params = call.params
        first = order_number(integer(params, "orderId") or 0)
        start, end = integer(params, "startTime") or 0, integer(params, "endTime")
        orders = [order for order in reversed(self._exchange.engine.orders) if order.id >= first]
        if "pairSymbol" in params:
            symbol = market_of(self._exchange.markets, params).rules.symbol
            orders = [order for order in orders if order.request.symbol == symbol]
        orders = [order for order in orders if start <= order.time_ms and (end is None or order.time_ms <= end)]
        count = limit(params, "limit", ROWS, ROWS_MAX)
        skipped = (max(1, integer(params, "page") or 1) - 1) * count
        shown = [order for order in orders if self._listed(order)][skipped : skipped + count]
        return enveloped([order_view(order, self._rules(order)) for order in shown])

    def my_trades(self, call: Call) -> Any:
        """GET /api/v1/users/transactions/trade: of one order (then alone), or of the last 30 days unless dated."""
        engine, wanted = self._exchange.engine, integer(call.params, "orderId")
        if wanted is not None and len(call.params) > 1:
            raise bad(PARAMETER)
        asked = self._asked_for(call) if wanted is None else lambda trade: trade.order_id == order_number(wanted)
        trades = [trade for trade in reversed(engine.trades) if self._listed(engine.orders[trade.order_id - 1])]
        rows = [trade_view(trade, self._exchange.markets[trade.symbol].rules) for trade in trades if asked(trade)]
        return enveloped(rows, "SUCCESS")

    def balances(self, call: Call) -> Any:
        """GET /api/v1/users/balances."""
        return enveloped([balance_view(*row) for row in self._exchange.account.balances.items()])

    # -- inside ----------------------------------------------------------------------------------------------------

    def _asked_for(self, call: Call) -> Callable[[Trade], bool]:
        params, now, markets = call.params, self._exchange.now_ms, self._exchange.markets
        start, end = integer(params, "startDate"), integer(params, "endDate")
        first, last = now - TRADE_DAYS * DAY_MS if start is None else start, now if end is None else end
        pairs = {market_of(markets, params).rules.symbol} if "pairSymbol" in params else set(markets)
        several = parse_qsl(call.query)
        sides = {value.upper() for name, value in several if name == "type"} or {"BUY", "SELL"}
        assets = {value.upper() for name, value in several if name == "symbol"} or set(self._exchange.account.balances)

        def asked(trade: Trade) -> bool:
            rules = markets[trade.symbol].rules
            fits = trade.symbol in pairs and trade.side in sides and not assets.isdisjoint({rules.base, rules.quote})
            return fits and first <= trade.time_ms <= last

        return asked

    def _owned(self, request: OrderRequest, market: Market) -> bool:
        """True when the account has what the order needs, were nothing locked."""
        balance = self._exchange.account.balances[paid_asset(market.rules, request.side)]
        needed = lock_needed(market, request, self._exchange.now_ms, self._exchange.engine.burden)
        return needed <= balance.free + balance.locked

    def _numbered(self, text: str) -> Order | None:
        if not (text.isascii() and text.isdigit()) or len(text) > ID_LENGTH_MAX:
            return None
        number, orders = order_number(int(text)), self._exchange.engine.orders
        return orders[number - 1] if 0 < number <= len(orders) else None

    def _rules(self, order: Order) -> SymbolRules:
        return self._exchange.markets[order.request.symbol].rules

    def _listed(self, order: Order) -> bool:
        return order.hidden_until_ms <= self._exchange.now_ms

    def _new_id(self) -> str:
        self._made_ids += 1
        high, low = (seed_number("client id", self._exchange.seed, self._made_ids, half) for half in "ab")
        return str(uuid.UUID(int=high << 64 | low, version=4))
