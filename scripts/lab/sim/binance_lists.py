"""Binance's order-list endpoints: place OCO, OTO, OTOCO, OPO and OPOCO, cancel, query. One table of kinds.

A leg's parameters are an order's with the leg's name in front; they are read as an order, and refused in their own
names. Shapes and refusals follow the exchange's REST documentation, "Order lists".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.sim import binance_params as want
from lab.sim.binance_orders import BinanceOrders, mark_cancelled
from lab.sim.binance_views import cancelled_list_view, list_view, placed_view
from lab.sim.calls import ApiError, Call
from lab.sim.exchange import Exchange
from lab.sim.limits import BinanceLimits
from lab.sim.order_lists import ListPlan, OrderList
from lab.sim.orders import OrderRequest
from lab.sim.rejections import Reason, Rejection
from lab.sim.views import modifiers_of, rules_seen

ROWS_MAX = 1000
_LEG = {  # an order's parameter -> what follows the leg's name
    "type": "Type", "side": "Side", "quantity": "Quantity", "price": "Price", "stopPrice": "StopPrice",
    "trailingDelta": "TrailingDelta", "timeInForce": "TimeInForce", "icebergQty": "IcebergQty",
    "newClientOrderId": "ClientOrderId", "strategyId": "StrategyId", "strategyType": "StrategyType",
}  # fmt: skip
_SHARED = ("side", "quantity")
_WORKING_TYPES = ("LIMIT", "LIMIT_MAKER")
_TAKES_PROFIT = ("LIMIT_MAKER", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_STOPS_LOSS = ("STOP_LOSS", "STOP_LOSS_LIMIT")


@dataclass(frozen=True, slots=True)
class Kind:
    """`exits`: names of the legs after the working one; `shared`: where a pair's side and quantity stand."""

    has_working: bool
    exits: tuple[str, ...]
    shared: str = ""
    pays_itself: bool = False


LIST_KINDS = {
    "oco": Kind(False, ("above", "below")),
    "oto": Kind(True, ("pending",)),
    "otoco": Kind(True, ("pendingAbove", "pendingBelow"), "pending"),
    "opo": Kind(True, ("pending",), pays_itself=True),
    "opoco": Kind(True, ("pendingAbove", "pendingBelow"), "pending", pays_itself=True),
}


class BinanceLists:
    """Handlers of the order-list endpoints."""

    def __init__(self, exchange: Exchange, limits: BinanceLimits, orders: BinanceOrders) -> None:
        self._exchange = exchange
        self._limits = limits
        self._orders = orders

    def names(self, kind: str) -> frozenset[str]:
        """The parameters a kind takes."""
        legs = [_names_of(LIST_KINDS[kind], leg) for leg in _legs(LIST_KINDS[kind])]
        several = ("symbol", "listClientOrderId", "newOrderRespType", "selfTradePreventionMode")
        return frozenset(several).union(*(leg.values() for leg in legs))

    def placing(self, kind: str) -> Callable[[Call], Any]:
        """The handler of POST /api/v3/orderList/<kind>."""
        return lambda call: self._place(LIST_KINDS[kind], call)

    def cancel(self, call: Call) -> Any:
        """DELETE /api/v3/orderList."""
        symbol = want.market(self._exchange.markets, call.params).rules.symbol
        one = self._named(call, "listClientOrderId")
        if one is None or one.symbol != symbol:
            raise Rejection(Reason.UNKNOWN_ORDER)
        cancel_id = want.own_id(call.params, "newClientOrderId", self._orders.new_id())
        mark_cancelled(one.legs[0], cancel_id)
        self._exchange.engine.lists.cancel(one, self._exchange.now_ms)
        return cancelled_list_view(one, cancel_id)

    def query(self, call: Call) -> Any:
        """GET /api/v3/orderList."""
        one = self._named(call, "origClientOrderId")
        if one is None or not self._is_listed(one):
            raise Rejection(Reason.UNKNOWN_LIST)
        return list_view(one)

    def open(self, call: Call) -> Any:
        """GET /api/v3/openOrderList."""
        return [list_view(one) for one in self._exchange.engine.lists.open() if self._is_listed(one)]

    def all(self, call: Call) -> Any:
        """GET /api/v3/allOrderList."""
        first = want.integer(call.params, "fromId")
        if first is not None and ("startTime" in call.params or "endTime" in call.params):
            raise want.bad(-1128, "Combination of optional parameters invalid.")
        start, end = want.period(call.params)
        found = [one for one in self._exchange.engine.lists.all if self._is_listed(one)]
        found = [one for one in found if start <= one.time_ms <= end and one.id >= (first or 0)]
        count = want.limit(call.params, 500, ROWS_MAX)
        newest = first is None and "startTime" not in call.params
        return [list_view(one) for one in (found[-count:] if newest else found[:count])]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _place(self, kind: Kind, call: Call) -> Any:
        market = want.market(self._exchange.markets, call.params)
        plan = self._plan(kind, call.params)
        response_type = want.choice(call.params, "newOrderRespType", want.RESPONSE_TYPES, "RESULT")
        self._orders.check_order_count(len(plan.legs))
        now_ms, rules = self._exchange.now_ms, rules_seen(market, call.hit)
        one = self._exchange.engine.lists.place(plan, now_ms, rules, modifiers_of(call.hit))
        self._limits.count_order(now_ms, len(plan.legs))
        return list_view(one, [placed_view(leg, response_type) for leg in one.legs])

    def _plan(self, kind: Kind, params: dict[str, str]) -> ListPlan:
        made = [self._leg(kind, name, params) for name in _legs(kind)]
        working, exits = (made[0], made[1:]) if kind.has_working else (None, made)
        if working is not None and working.type not in _WORKING_TYPES:
            raise want.bad(-1116, "Invalid orderType.")
        if working is not None and kind.pays_itself and working.side != "BUY":
            raise want.bad(-1222, "Working order in an OPO list must be a bid.")
        if kind.pays_itself and any(leg.side != "SELL" for leg in exits):
            raise want.bad(-1223, "Pending orders in an OPO list must be asks.")
        if len(exits) > 1:
            _check_pair_types(*exits)
        own = want.own_id(params, "listClientOrderId", self._orders.new_id())
        return ListPlan(own, working, tuple(exits), kind.pays_itself)

    def _leg(self, kind: Kind, leg: str, params: dict[str, str]) -> OrderRequest:
        wire = _names_of(kind, leg)
        own = {name: params[sent] for name, sent in wire.items() if sent in params}
        has_quantity = "quantity" in wire
        try:
            return want.order_request(
                {"symbol": params["symbol"], **own}, self._orders.new_id(), has_quantity=has_quantity
            )
        except ApiError as error:
            told = re.sub(r"'(\w+)'", lambda found: f"'{wire.get(found[1], found[1])}'", error.body["msg"])
            raise want.bad(error.body["code"], told) from None

    def _named(self, call: Call, name: str) -> OrderList | None:
        number, client_id = want.integer(call.params, "orderListId"), call.params.get(name)
        if number is None and not client_id:
            raise want.bad(-1102, f"Param '{name}' or 'orderListId' must be sent, but both were empty/null!")
        return self._exchange.engine.lists.find(number, client_id)

    def _is_listed(self, one: OrderList) -> bool:
        return one.hidden_until_ms <= self._exchange.now_ms


def _legs(kind: Kind) -> tuple[str, ...]:
    return ("working", *kind.exits) if kind.has_working else kind.exits


def _names_of(kind: Kind, leg: str) -> dict[str, str]:
    """An order's parameter -> the name it is sent under for this leg."""
    found = {name: leg + after for name, after in _LEG.items()}
    is_exit = leg in kind.exits
    if is_exit and len(kind.exits) > 1:
        found |= {name: kind.shared + name.capitalize() if kind.shared else name for name in _SHARED}
    if is_exit and kind.pays_itself:
        del found["quantity"]
    return found


def _check_pair_types(above: OrderRequest, below: OrderRequest) -> None:
    """One leg takes the profit, the other stops the loss; which is above depends on the side."""
    profit, loss = (above, below) if above.side == "SELL" else (below, above)
    if {above.type, below.type} - {*_TAKES_PROFIT, *_STOPS_LOSS}:
        raise want.bad(-1158, "Order type not supported in OCO.")
    if above.type == below.type == "LIMIT_MAKER":
        raise want.bad(-1168, "At least one OCO order must be contingent.")
    if loss.type == "LIMIT_MAKER":
        told = (-1166, "sell OCO must be above") if above.side == "SELL" else (-1165, "buy OCO must be below")
        raise want.bad(told[0], f"A limit order in a {told[1]}.")
    if profit.type in _STOPS_LOSS:
        told = (-1197, "sell OCO must be below") if above.side == "SELL" else (-1196, "buy OCO must be above")
        raise want.bad(told[0], f"A stop loss order in a {told[1]}.")
    if loss.type not in _STOPS_LOSS:
        raise want.bad(-1158, "Order type not supported in OCO.")
