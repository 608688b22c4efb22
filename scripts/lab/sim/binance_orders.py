"""Binance's order endpoints: place, test, query, cancel, replace; and Binance's words for every refusal."""

from typing import Any

from lab.sim import binance_params as want
from lab.sim.binance_views import NO_DISCOUNT, cancelled_list_view, cancelled_view, order_view, placed_view
from lab.sim.calls import ApiError, Call
from lab.sim.decimals import text8
from lab.sim.exchange import Exchange
from lab.sim.filters import check_values
from lab.sim.limits import BinanceLimits
from lab.sim.market import Market
from lab.sim.orders import Order
from lab.sim.rejections import Reason, Rejection
from lab.sim.seeded import seed_number
from lab.sim.views import modifiers_of, rules_seen

TOO_MANY_ORDERS = -1015
RESTRICTIONS = ("ONLY_NEW", "ONLY_PARTIALLY_FILLED")


class BinanceOrders:
    """Handlers of order endpoints."""

    def __init__(self, exchange: Exchange, limits: BinanceLimits) -> None:
        self._exchange = exchange
        self._limits = limits
        self._made_ids = 0

    def place(self, call: Call) -> Any:
        """POST /api/v3/order."""
        self.check_order_count()
        return self._place(call)

    def test(self, call: Call) -> Any:
        """POST /api/v3/order/test: everything is judged, nothing is changed."""
        market = self._market(call)
        request = want.order_request(call.params, self.new_id())
        rules = rules_seen(market, call.hit)
        self._exchange.engine.check(request, self._exchange.now_ms, rules, modifiers_of(call.hit))
        if call.params.get("computeCommissionRates") != "true":
            return {}
        rate, none = text8(self._exchange.fee), {"maker": "0.00000000", "taker": "0.00000000"}
        standard = {"maker": rate, "taker": rate}
        return {"standardCommissionForOrder": standard, "taxCommissionForOrder": none, "discount": NO_DISCOUNT}

    def query(self, call: Call) -> Any:
        """GET /api/v3/order."""
        order = self._named(call, "orderId", "origClientOrderId")
        if order is None or order.hidden_until_ms > self._exchange.now_ms:
            raise want.bad(-2013, "Order does not exist.")
        return order_view(order)

    def cancel(self, call: Call) -> Any:
        """DELETE /api/v3/order."""
        return self._cancel(call, "orderId", "origClientOrderId", "newClientOrderId")

    def cancel_all(self, call: Call) -> Any:
        """DELETE /api/v3/openOrders."""
        symbol = self._market(call).rules.symbol
        orders = self._exchange.engine.open_orders(symbol)
        if not orders:
            raise Rejection(Reason.UNKNOWN_ORDER)
        cancel_id = self.new_id()
        return [self._cancelled(order, None, cancel_id) for order in orders if order.is_open]

    def cancel_replace(self, call: Call) -> Any:
        """POST /api/v3/order/cancelReplace: 409 -2021 when one half fails, 400 -2022 when both do.

        Order counts and the new order's filters are judged before anything is cancelled; `orderRateLimitExceededMode`
        CANCEL_ONLY cancels all the same.
        """
        want.need(call.params, "cancelReplaceMode")
        mode = want.choice(call.params, "cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"), "")
        over = want.choice(call.params, "orderRateLimitExceededMode", ("DO_NOTHING", "CANCEL_ONLY"), "DO_NOTHING")
        request, market = want.order_request(call.params, "x"), self._market(call)
        check_values(rules_seen(market, call.hit), request, market.average(self._exchange.now_ms))
        if over == "DO_NOTHING":
            self.check_order_count()
        cancelled = self._attempt(
            lambda: self._cancel(call, "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId")
        )
        if "code" in cancelled and mode == "STOP_ON_FAILURE":
            self._limits.count_order(self._exchange.now_ms)  # not attempted, and counted all the same
            raise _replace_failed(cancelled, None, 400, -2022)
        placed = self._attempt(lambda: self.place(call))
        if "code" not in cancelled and "code" not in placed:
            return {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", "cancelResponse": cancelled,
                    "newOrderResponse": placed}  # fmt: skip
        both = "code" in cancelled and "code" in placed
        status = 429 if placed.get("code") == TOO_MANY_ORDERS else 400 if both else 409
        raise _replace_failed(cancelled, placed, status, -2022 if both else -2021)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _place(self, call: Call) -> dict[str, Any]:
        market = self._market(call)
        request = want.order_request(call.params, self.new_id())
        default = "FULL" if request.type in ("MARKET", "LIMIT") else "ACK"
        response_type = want.choice(call.params, "newOrderRespType", want.RESPONSE_TYPES, default)
        rules = rules_seen(market, call.hit)
        order = self._exchange.engine.place(request, self._exchange.now_ms, rules, modifiers_of(call.hit))
        self._limits.count_order(self._exchange.now_ms)
        return placed_view(order, response_type)

    def _cancel(self, call: Call, id_name: str, client_name: str, new_name: str) -> dict[str, Any]:
        restriction = call.params.get("cancelRestrictions")
        if restriction is not None and restriction not in RESTRICTIONS:
            raise want.bad(-1145, "Invalid cancelRestrictions")
        order = self._named(call, id_name, client_name)
        if order is None:
            raise Rejection(Reason.UNKNOWN_ORDER)
        return self._cancelled(order, restriction, call.params.get(new_name) or self.new_id())

    def _cancelled(self, order: Order, restriction: str | None, cancel_id: str) -> dict[str, Any]:
        """Cancel it; of an order in a list the whole list goes, and is what the answer tells of."""
        mark_cancelled(order, cancel_id)
        self._exchange.engine.cancel(order, self._exchange.now_ms, restriction)
        if order.order_list is not None:
            return cancelled_list_view(order.order_list, cancel_id)
        return cancelled_view(order, order.cancel_id)

    def _attempt(self, act: Any) -> dict[str, Any]:
        try:
            done: dict[str, Any] = act()
            return done
        except ApiError as error:
            return error.body
        except Rejection as rejection:
            return refusal(rejection).body

    def _market(self, call: Call) -> Market:
        return want.market(self._exchange.markets, call.params)

    def _named(self, call: Call, id_name: str, client_name: str) -> Order | None:
        symbol = self._market(call).rules.symbol
        order_id, client_id = want.integer(call.params, id_name), call.params.get(client_name)
        if order_id is None and not client_id:
            raise want.bad(-1102, f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!")
        return self._exchange.engine.find(symbol, order_id, client_id)

    def check_order_count(self, orders: int = 1) -> None:
        """Refuse what would exceed the account's order counts.

        Raises:
            ApiError: 429, -1015.
        """
        exceeded = self._limits.order_refused(self._exchange.now_ms, orders)
        if exceeded:
            span = "10 SECOND" if exceeded is self._limits.orders_10s else "1 DAY"
            error = ApiError(429, -1015, f"Too many new orders; current limit is {exceeded.limit} orders per {span}.")
            error.headers["Retry-After"] = str(max(1, -(-exceeded.left_ms(self._exchange.now_ms) // 1000)))
            raise error

    def new_id(self) -> str:
        """A client id for an order, cancel or list that came without one."""
        self._made_ids += 1
        return f"sim{seed_number('client id', self._exchange.seed, self._made_ids):016x}"


_REFUSALS = {
    Reason.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    Reason.DUPLICATE: (-2010, "Duplicate order sent."),
    Reason.PRICE_RELATION: (-2010, "The relationship of the prices for the orders is not correct."),
    Reason.UNKNOWN_LIST: (-2018, "Order list does not exist."),
    Reason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Reason.WOULD_TRIGGER: (-2010, "Order would trigger immediately."),
    Reason.MARKET_CLOSED: (-1013, "Market is closed."),
    Reason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Reason.CANCEL_RESTRICTED: (-2011, "Order was not canceled due to cancel restrictions."),
}


def mark_cancelled(order: Order, cancel_id: str) -> None:
    """The id of the cancel, on every order it ends."""
    for leg in order.order_list.legs if order.order_list else [order]:
        if leg.is_open:
            leg.cancel_id = cancel_id


def refusal(rejection: Rejection) -> ApiError:
    """The engine's refusal in Binance's words."""
    if rejection.reason is Reason.FILTER:
        return want.bad(-1013, f"Filter failure: {rejection.detail}")
    if rejection.reason is Reason.NOT_SUPPORTED:
        return want.bad(-2010, f"{rejection.detail} orders are not supported for this symbol.")
    return want.bad(*_REFUSALS[rejection.reason])


def _replace_failed(cancelled: dict[str, Any], placed: dict[str, Any] | None, status: int, code: int) -> ApiError:
    data = {
        "cancelResult": "FAILURE" if "code" in cancelled else "SUCCESS",
        "newOrderResult": "NOT_ATTEMPTED" if placed is None else "FAILURE" if "code" in placed else "SUCCESS",
        "cancelResponse": cancelled, "newOrderResponse": placed,
    }  # fmt: skip
    how = "failed" if code == -2022 else "partially failed"
    return ApiError(status, code, f"Order cancel-replace {how}.", data=data)
