"""How a venue charges and what it lets pass, where venues differ inside the engine. A table; holds no state.

Binance and MEXC keep the fee from what is received. BTCTurk takes fee and tax from the quote currency on both sides:
a buyer pays them on top of the cost, a seller gets that much less.
"""

from dataclasses import dataclass
from decimal import Decimal

from lab.sim.decimals import ONE, ZERO, down8


@dataclass(frozen=True, slots=True)
class Terms:
    """One venue's terms; `tax_share` is the tax as a share of the fee."""

    fee_in_quote: bool = False
    tax_share: Decimal = ZERO
    client_ids_unique: bool = True  # among open orders

    def burden(self, rate: Decimal) -> Decimal:
        """What a buyer needs per unit of cost: 1, or 1 + fee + tax where they come on top."""
        return ONE + rate * (ONE + self.tax_share) if self.fee_in_quote else ONE

    def charges(self, amount: Decimal, rate: Decimal) -> tuple[Decimal, Decimal]:
        """(fee, tax) of an amount, each cut to 8 places, so that they never exceed what `burden` has reserved."""
        return down8(amount * rate), down8(amount * rate * self.tax_share)


STANDARD = Terms()
TERMS = {
    # BTCTurk's recorded trades: tax is 18 % of the fee, and a market buy's amount includes both. That a client id may
    # repeat is our reading: its uniqueness is not documented and the documented open orders share one.
    "btcturk": Terms(fee_in_quote=True, tax_share=Decimal("0.18"), client_ids_unique=False),
}
