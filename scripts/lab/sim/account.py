"""The one account: free and locked balances, fees paid, and the market as counterparty.

Law, asserted after every change: own free + own locked + fees + market = initial, per asset; own is never negative.
A deposit counts as held from the beginning, a withdrawal as never held.
"""

from dataclasses import dataclass
from decimal import Decimal

from lab.sim.decimals import ZERO


@dataclass(slots=True)
class Balance:
    """Amounts of one asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


class Account:
    """Balances and the ledger that proves them."""

    def __init__(self, initial: dict[str, Decimal]) -> None:
        self.initial = dict(initial)
        self.balances = {asset: Balance(amount) for asset, amount in initial.items()}
        self.fees = dict.fromkeys(initial, ZERO)
        self.market = dict.fromkeys(initial, ZERO)
        self.update_ms = 0

    def free(self, asset: str) -> Decimal:
        """Amount that may be locked or spent."""
        return self.balances[asset].free

    def lock(self, asset: str, amount: Decimal) -> None:
        """Move free to locked; the caller has checked that it is there."""
        balance = self.balances[asset]
        balance.free -= amount
        balance.locked += amount
        self._check(asset)

    def unlock(self, asset: str, amount: Decimal) -> None:
        """Move locked back to free."""
        self.lock(asset, -amount)

    def pay(self, asset: str, from_locked: Decimal, from_free: Decimal) -> None:
        """Give to the market."""
        balance = self.balances[asset]
        balance.locked -= from_locked
        balance.free -= from_free
        self.market[asset] += from_locked + from_free
        self._check(asset)

    def charge(self, asset: str, from_locked: Decimal, from_free: Decimal) -> None:
        """Give to the exchange: a fee that comes on top of what the market gets."""
        balance = self.balances[asset]
        balance.locked -= from_locked
        balance.free -= from_free
        self.fees[asset] += from_locked + from_free
        self._check(asset)

    def receive(self, asset: str, gross: Decimal, fee: Decimal) -> None:
        """Take from the market; the exchange keeps `fee` of it."""
        self.balances[asset].free += gross - fee
        self.fees[asset] += fee
        self.market[asset] -= gross
        self._check(asset)

    def transfer(self, asset: str, amount: Decimal, now_ms: int) -> None:
        """Deposit, or withdraw a negative amount.

        Raises:
            ValueError: less than that is free.
        """
        balance = self.balances.setdefault(asset, Balance())
        if balance.free + amount < ZERO:
            raise ValueError(f"only {balance.free} {asset} is free")
        for table in (self.initial, self.fees, self.market):
            table.setdefault(asset, ZERO)
        self.initial[asset] += amount
        balance.free += amount
        self.update_ms = now_ms
        self._check(asset)

    def _check(self, asset: str) -> None:
        balance = self.balances[asset]
        assert min(balance.free, balance.locked) >= 0, f"{asset} went negative: {balance}"
        total = balance.free + balance.locked + self.fees[asset] + self.market[asset]
        assert total == self.initial[asset], f"{asset} is not conserved: {total} != {self.initial[asset]}"
