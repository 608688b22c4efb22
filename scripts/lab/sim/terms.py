"""How a venue charges and what it lets pass, where venues differ inside the engine. A table; holds no state.

Binance and MEXC keep the fee from what is received. BTCTurk takes fee and tax from the quote currency on both sides:
a buyer pays them on top of the cost, a seller gets that much less. Binance and MEXC may take the whole fee in an asset
of their own (BNB, MX) instead, while the account holds enough of it.
"""

from dataclasses import dataclass
from decimal import Decimal

from lab.sim.decimals import ONE, ZERO, down8, up8


@dataclass(frozen=True, slots=True)
class Terms:
    """One venue's terms; `tax_share` is the tax as a share of the fee.

    Attributes:
        fee_asset: fees are taken in this asset, as long as enough of it is free; "" = never.
        fee_asset_price: what one of it is worth in the quote currency; it stands still.
    """

    fee_in_quote: bool = False
    tax_share: Decimal = ZERO
    client_ids_unique: bool = True  # among open orders
    fee_asset: str = ""
    fee_asset_price: Decimal = ONE

    def burden(self, rate: Decimal) -> Decimal:
        """What a buyer needs per unit of cost: 1, or 1 + fee + tax where they come on top."""
        return ONE + rate * (ONE + self.tax_share) if self.fee_in_quote else ONE

    def charges(self, amount: Decimal, rate: Decimal) -> tuple[Decimal, Decimal]:
        """(fee, tax) of an amount, each cut to 8 places, so that they never exceed what `burden` has reserved."""
        return down8(amount * rate), down8(amount * rate * self.tax_share)

    def third_asset_fee(self, cost: Decimal, rate: Decimal) -> Decimal:
        """The fee of a trade worth `cost` in `fee_asset`; 0 when none is set."""
        return up8(cost * rate / self.fee_asset_price) if self.fee_asset else ZERO


STANDARD = Terms()
TERMS = {
    # BTCTurk's recorded trades: tax is 18 % of the fee, and a market buy's amount includes both. That a client id may
    # repeat is our reading: its uniqueness is not documented and the documented open orders share one.
    "btcturk": Terms(fee_in_quote=True, tax_share=Decimal("0.18"), client_ids_unique=False),
}
