"""The whole exchange without sockets: clock, markets, engine, faults, request log. `sync` brings it up to now.

The only room that moves engine time. Scripted faults are armed exactly at their time; price events are part of the
paths from the start. The request log never holds keys, signatures or queries.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lab.sim import timeline
from lab.sim.account import Account
from lab.sim.auth import Keys
from lab.sim.clock import SimClock, TimeMode
from lab.sim.decimals import text8
from lab.sim.engine import Engine
from lab.sim.faults import Fault, FaultStore
from lab.sim.market import Market
from lab.sim.orders import Order
from lab.sim.scenario import TimedFault
from lab.sim.terms import STANDARD, Terms
from lab.sim.views import check_fault_arg

REQUESTS_KEPT_MAX = 200_000


@dataclass(frozen=True, slots=True)
class IdStyle:
    """How a venue shows order and trade numbers."""

    order: Any
    trade: Any


class Exchange:
    """State of the simulator."""

    def __init__(
        self, venue: str, seed: int, clock: SimClock, markets: dict[str, Market], account: Account, keys: Keys,
        fee: Decimal, timed_faults: list[TimedFault], terms: Terms = STANDARD,
    ) -> None:  # fmt: skip
        self.venue = venue
        self.seed = seed
        self.clock = clock
        self.markets = markets
        self.account = account
        self.keys = keys
        self.fee = fee
        self.engine = Engine(markets, account, fee, fee, terms)
        self.faults = FaultStore()
        self.start_ms = self.now_ms = clock.now_ms()
        self.requests: deque[dict[str, Any]] = deque(maxlen=REQUESTS_KEPT_MAX)
        self.ids = IdStyle(int, int)
        self._timed = deque(timed_faults)
        self._run_timed()

    def sync(self) -> int:
        """Process everything up to the clock's now and return it (virtual ms)."""
        target = self.clock.now_ms()
        self.engine.lists.place_due(self.now_ms)
        while self._timed and self.start_ms + self._timed[0].after_ms <= target:
            self._run_to(self.start_ms + self._timed[0].after_ms)
            self._run_timed()
        self._run_to(target)
        return self.now_ms

    def hear(self) -> None:
        """One of the exchange's own requests arrives."""
        self.sync()
        if self.clock.mode is TimeMode.STEP:
            self.engine.hear(self.now_ms)

    def advance(self, ms: int) -> int:
        """Move stepped time by `ms` >= 0; returns the new now.

        Raises:
            ValueError: negative, or the simulator does not run with --step.
        """
        if self.clock.mode is not TimeMode.STEP:
            raise ValueError("time moves by itself here; start the simulator with --step to advance it")
        if ms < 0:
            raise ValueError(f"ms {ms} must not be negative")
        self.clock.advance(ms)
        return self.sync()

    def arm(self, raw: Any) -> Fault:
        """Arm a fault from JSON.

        Raises:
            FaultError: malformed.
        """
        return self.faults.arm(raw, self.now_ms, check_fault_arg)

    def transfer(self, asset: str, amount: Decimal) -> Decimal:
        """A deposit, or with a negative amount a withdrawal: no trade says so. Returns what is free afterwards.

        Raises:
            ValueError: less than that is free.
        """
        self.account.transfer(asset, amount, self.sync())
        return self.account.free(asset)

    def clear_faults(self) -> None:
        """Disarm all faults and lift partial_fill caps of open orders."""
        self.faults.clear()
        self.engine.lift_caps()

    def log(self, method: str, path: str, outcome: str, status: int | None, client_id: str | None) -> None:
        """Remember one request: outcome accepted, rejected or the fault kind; status None when no answer went out."""
        entry: dict[str, Any] = {
            "time": self.now_ms, "method": method, "path": path, "outcome": outcome, "status": status
        }  # fmt: skip
        if client_id:
            entry["clientOrderId"] = client_id
        self.requests.append(entry)

    def books(self) -> dict[str, Any]:
        """The exchange's own truth, for GET /sim/books."""
        return {
            "now_ms": self.now_ms,
            "orders": [self._order_row(order) for order in self.engine.orders],
            "trades": [
                {
                    "id": self.ids.trade(trade.id), "orderId": self.ids.order(trade.order_id),
                    "clientOrderId": trade.client_id, "symbol": trade.symbol, "side": trade.side,
                    "price": text8(trade.price), "qty": text8(trade.qty), "commission": text8(trade.commission),
                    "commissionAsset": trade.commission_asset, "time": trade.time_ms,
                }
                for trade in self.engine.trades
            ],
            "balances": {
                asset: {"free": text8(balance.free), "locked": text8(balance.locked)}
                for asset, balance in self.account.balances.items()
            },
        }  # fmt: skip

    def lists(self) -> list[dict[str, Any]]:
        """Every order list, for GET /sim/lists."""
        return [
            {
                "orderListId": one.id, "listClientOrderId": one.client_id, "symbol": one.symbol,
                "contingencyType": one.contingency, "listOrderStatus": one.status,
                "orders": [self.ids.order(leg.id) for leg in one.legs],
            }
            for one in self.engine.lists.all
        ]  # fmt: skip

    def ledger(self) -> dict[str, Any]:
        """Per asset: initial, fees kept by the exchange, net amount the market holds; own + fees + market = initial."""
        return {
            asset: {
                "initial": text8(self.account.initial[asset]), "fees": text8(self.account.fees[asset]),
                "market": text8(self.account.market[asset]),
            }
            for asset in self.account.balances
        }  # fmt: skip

    def _order_row(self, order: Order) -> dict[str, Any]:
        request = order.request
        return {
            "orderId": self.ids.order(order.id), "clientOrderId": request.client_id, "symbol": request.symbol,
            "side": request.side, "type": request.wire_type or request.type, "status": order.status.value,
            "origQty": text8(order.orig_qty), "executedQty": text8(order.executed), "price": text8(request.price),
            "time": order.time_ms, "orderListId": order.order_list.id if order.order_list else -1,
        }  # fmt: skip

    def _run_to(self, target_ms: int) -> None:
        if target_ms > self.now_ms:
            timeline.run_until(self.engine, self.now_ms, target_ms)
            self.now_ms = target_ms

    def _run_timed(self) -> None:
        while self._timed and self.start_ms + self._timed[0].after_ms <= self.now_ms:
            fault = self._timed.popleft().fault
            if fault is None:
                self.clear_faults()
            else:
                self.arm(fault)
