"""What a reconcile compares and finds: one exchange's truth, named differences, their weights, and their handles.

A handle is what `reconcile.py --repair` takes: `VENUE:SYMBOL:order:ID`, `VENUE:ASSET:balance`, `VENUE:SYMBOL:position`;
a bare client order id is an intent of ours. Pure.

Drift score 0-100 (rules.md): orders x4 max 40, positions x6 max 30, balances x4 max 20, protection x2 max 10.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from desk.base.money import ZERO
from desk.venues.protocol import Balance, OrderReport, SymbolRules, Trade

WEIGHTS: Final[Mapping[str, tuple[int, int]]] = {  # kind -> (points each, points at most)
    "orders": (4, 40),
    "positions": (6, 30),
    "balances": (4, 20),
    "protection": (2, 10),
}
ORDER, BALANCE, POSITION, INTENT = "order", "balance", "position", "intent"
PARTS_MAX: Final = 4  # of a handle


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One named difference. `subject` is a symbol, an asset or an order id.

    Attributes:
        handle: what `--repair` takes; "" where there is nothing to repair by hand.
        amount: exchange less journal of a balance, what is missing of a position; 0 elsewhere.
    """

    kind: str  # orders, positions, balances, protection
    name: str
    venue: str
    subject: str
    detail: str
    handle: str = ""
    amount: Decimal = ZERO

    def line(self) -> str:
        """One line for the operator; the handle in brackets."""
        tail = f" [{self.handle}]" if self.handle else ""
        return f"{self.venue} {self.name} {self.subject}: {self.detail}{tail}"


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What one exchange says now: open orders, trades since a time, balances.

    Attributes:
        since_ms: the trades are all of those symbols from here on, up to `until_ms` at least (exchange time).
        whole: nothing between the last complete read and this one was left out.
        client_ids: (symbol, exchange order id) -> client order id of orders whose trades do not name it.
        rules: of every symbol with a position, dust, or a trade nobody booked.
        now_ms: our clock at the read.
    """

    venue: str
    orders: tuple[OrderReport, ...]
    trades: tuple[Trade, ...]
    balances: dict[str, Balance]
    since_ms: int = 0
    until_ms: int = 0
    whole: bool = True
    symbols: frozenset[str] = frozenset()
    client_ids: Mapping[tuple[str, str], str] = {}
    rules: Mapping[str, SymbolRules] = {}
    now_ms: int = 0


def score(differences: Sequence[Difference]) -> int:
    """The drift score of all differences together."""
    total = 0
    for kind, (each, most) in WEIGHTS.items():
        total += min(most, each * sum(1 for d in differences if d.kind == kind))
    return total


def order_handle(venue: str, symbol: str, order_id: str) -> str:
    """The handle of an order by the exchange's id."""
    return f"{venue}:{symbol}:{ORDER}:{order_id}"


def balance_handle(venue: str, asset: str) -> str:
    """The handle of a balance."""
    return f"{venue}:{asset}:{BALANCE}"


def position_handle(venue: str, symbol: str) -> str:
    """The handle of a position."""
    return f"{venue}:{symbol}:{POSITION}"


def parse(handle: str) -> tuple[str, str, str, str]:
    """(kind, venue, symbol or asset, order id) of a handle; an intent's kind with empty rest for a bare id.

    Raises:
        ValueError: neither a handle nor a bare id.
    """
    parts = handle.split(":", PARTS_MAX - 1)
    if len(parts) == 1 and handle:
        return INTENT, "", "", handle
    wanted = {ORDER: PARTS_MAX, BALANCE: PARTS_MAX - 1, POSITION: PARTS_MAX - 1}
    if len(parts) < PARTS_MAX - 1 or len(parts) != wanted.get(parts[2]) or not all(parts):
        raise ValueError(f"{handle!r} is no handle")
    return parts[2], parts[0], parts[1], parts[3] if len(parts) == PARTS_MAX else ""
