"""What the account's owner is told as it happens: executionReport, outboundAccountPosition, listStatus. No socket.

Watches the engine and keeps the events until the hub takes them. `c` in a cancel is the cancel's own id and `C` the
order's; `z` and `Z` are cumulative. Events carry the time at which they happened on the market's path.
"""

from typing import Any

from lab.sim.decimals import text8
from lab.sim.exchange import Exchange
from lab.sim.order_lists import OrderList
from lab.sim.orders import Order, Trade

KEPT_MAX = 10_000


class UserEvents:
    """The account's event feed."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._events: list[dict[str, Any]] = []
        self._made = 0
        self.is_wanted = False  # nobody listens: nothing is kept
        exchange.engine.watchers.append(self.note)
        exchange.engine.list_watchers.append(self.note_list)

    def take(self) -> list[dict[str, Any]]:
        """The events since the last call, oldest first."""
        taken, self._events = self._events, []
        return taken

    def note(self, what: str, order: Order, trade: Trade | None, ms: int) -> None:
        """The engine did something: NEW, TRADE, CANCELED or EXPIRED."""
        if not self.is_wanted or len(self._events) >= KEPT_MAX:
            return
        self._made += 1
        self._events += [self._report(what, order, trade, ms), self._balances(order, ms)]

    def note_list(self, one: OrderList, ms: int) -> None:
        """An order list was placed, or is done."""
        if self.is_wanted and len(self._events) < KEPT_MAX:
            self._events.append(_list_status(one, ms))

    def _report(self, what: str, order: Order, trade: Trade | None, ms: int) -> dict[str, Any]:
        request = order.request
        is_cancel = what == "CANCELED"
        return {
            "e": "executionReport", "E": ms, "s": request.symbol,
            "c": (order.cancel_id or f"sim-cancel-{order.id}") if is_cancel else request.client_id,
            "S": request.side, "o": request.type, "f": request.time_in_force, "q": text8(order.orig_qty),
            "p": text8(request.price), "P": text8(request.stop_price), "F": "0.00000000",
            "g": order.order_list.id if order.order_list else -1,
            "C": request.client_id if is_cancel else "", "x": what, "X": order.status.value, "r": "NONE",
            "i": order.id, "l": text8(trade.qty) if trade else "0.00000000", "z": text8(order.executed),
            "L": text8(trade.price) if trade else "0.00000000", "n": text8(trade.commission) if trade else "0",
            "N": trade.commission_asset if trade else None, "T": ms, "t": trade.id if trade else -1,
            "I": self._made, "w": order.working and order.is_open, "m": trade.is_maker if trade else False, "M": False,
            "O": order.time_ms, "Z": text8(order.quote_filled), "Y": text8(trade.quote_qty) if trade else "0.00000000",
            "Q": text8(request.quote_quantity), "W": order.working_ms, "V": "NONE",
        } | _conditional(order)  # fmt: skip

    def _balances(self, order: Order, ms: int) -> dict[str, Any]:
        rules = self._exchange.markets[order.request.symbol].rules
        held = self._exchange.account.balances
        rows = [
            {"a": asset, "f": text8(held[asset].free), "l": text8(held[asset].locked)}
            for asset in (rules.base, rules.quote)
        ]
        return {"e": "outboundAccountPosition", "E": ms, "u": ms, "B": rows}


def _conditional(order: Order) -> dict[str, Any]:
    """Fields that only some orders show: trailing delta and time, expiry reason."""
    shown: dict[str, Any] = {}
    if order.request.trailing_bps:
        shown = {"d": int(order.request.trailing_bps), "D": order.track_ms}
    if order.expiry_reason:
        shown["eR"] = order.expiry_reason
    return shown


def _list_status(one: OrderList, ms: int) -> dict[str, Any]:
    kind = "EXEC_STARTED" if one.status == "EXECUTING" else one.status
    return {
        "e": "listStatus", "E": ms, "s": one.symbol, "g": one.id, "c": one.contingency, "l": kind, "L": one.status,
        "r": "NONE", "C": one.client_id, "T": ms,
        "O": [{"s": one.symbol, "i": leg.id, "c": leg.request.client_id} for leg in one.legs],
    }  # fmt: skip
