"""The other process of the kill switch drill: submits entries one after another, as fast as it can. Owns the loop.

The path is the router's own (`desk.execution.submit` with the entry's last look), without gates: nothing but the last
look stands between the switch and the wire. The orders are IOC far below the market, so none of them fills. It ends
with its parent, with the drill's terminate, or after LIFE_S_MAX.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import os
import sys
from decimal import Decimal
from typing import Final

from clients import clients_of
from desk.base import clock, exit_codes
from desk.base.errors import LockBusy
from desk.base.money import divide
from desk.execution import accounts, quantise, submit
from desk.execution.accounts import Accounts
from desk.execution.desk import Desk
from desk.execution.intent import ENTRY, LEG_ENTRY, OrderPlan
from desk.runtime.tick import Outcome, Run, run_door
from desk.venues.protocol import OrderType, Side, SymbolRules

DOOR: Final = "drill_entries"
VENUE, SYMBOL = "binance", "BTCUSDT"
LIFE_S_MAX: Final = 1800
ENTRIES_MAX: Final = 1_000_000
FAR_BELOW: Final = Decimal("0.9")  # of the best bid: never filled
NOTIONAL_MULTIPLE: Final = 2


def run_entries(run: Run) -> Outcome:
    """Submit until the parent is gone or the time is up."""
    market_of, parent = clients_of(run), os.getppid()
    desk = Desk(run, Accounts(run, market_of).account_of)
    rules = market_of(VENUE).filters((SYMBOL,))[SYMBOL]
    bid = market_of(VENUE).book(SYMBOL).bids[0].price
    for number in range(ENTRIES_MAX):
        if os.getppid() != parent or clock.monotonic_s() > run.deadline_s:
            break
        try:
            submit.submit(desk, _plan(rules, bid, number), lambda: accounts.entry_block(desk))
        except LockBusy:  # the engagement writes its own group just now
            continue
    return Outcome(exit_codes.OK, "DRILL ENTRIES — ended")


def _plan(rules: SymbolRules, bid: Decimal, number: int) -> OrderPlan:
    price = quantise.price_down(rules, bid * FAR_BELOW)
    quantity = quantise.quantity_down(rules, divide(rules.notional_min * NOTIONAL_MULTIPLE, price))
    return OrderPlan(
        venue=VENUE, symbol=SYMBOL, base=rules.base, quote=rules.quote, kind=ENTRY, leg=LEG_ENTRY, side=Side.BUY,
        type=OrderType.LIMIT_IOC, quantity=quantity, price=price, position_id=f"drill{number}",
        decision_id=f"drill{number}", strategy=DOOR,
    )  # fmt: skip


def main() -> int:
    """Run the loop in a door's frame."""
    return run_door(DOOR, run_entries, deadline_s=LIFE_S_MAX)


if __name__ == "__main__":
    sys.exit(main())
