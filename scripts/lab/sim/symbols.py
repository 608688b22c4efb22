"""Trading rules of a symbol: steps, bounds, minimum notional. Derived from its market file or its price."""

from dataclasses import dataclass
from decimal import Decimal

from lab.sim.rejections import SimConfigError

QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "TRY", "EUR", "BRL", "USD", "BTC", "ETH", "BNB")
_MIN_NOTIONAL = {"BTC": "0.0001", "ETH": "0.001", "BNB": "0.01", "TRY": "10", "BRL": "10"}
_MIN_NOTIONAL_DEFAULT = "5"


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """Prices in quote, quantities in base; multipliers are relative to the 5 minute average price."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_price: Decimal
    max_price: Decimal
    min_notional: Decimal
    max_notional: Decimal = Decimal(9_000_000)
    multiplier_up: Decimal = Decimal(5)
    multiplier_down: Decimal = Decimal("0.2")
    average_mins: int = 5
    max_orders: int = 200
    max_algo_orders: int = 5
    max_order_lists: int = 20
    oco_allowed: bool = True
    oto_allowed: bool = True
    opo_allowed: bool = True
    trailing_allowed: bool = True
    trailing_bps_min: int = 10
    trailing_bps_max: int = 2000
    halted: bool = False


def split_symbol(symbol: str) -> tuple[str, str]:
    """('BTC', 'USDT') for 'BTCUSDT'.

    Raises:
        SimConfigError: no known quote asset at the end.
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    known = ", ".join(QUOTES)
    raise SimConfigError(f"--symbol {symbol}: cannot tell its quote asset; end it with one of {known}")


def rules_for(symbol: str, price: Decimal, decimal_places: tuple[int, int] | None = None) -> SymbolRules:
    """Rules near `price`; `decimal_places` of (price, quantity) come from a market file when there is one."""
    base, quote = split_symbol(symbol)
    size = price.adjusted()
    if decimal_places is None:
        tick_places, step_places = min(8, max(2, 5 - size)), min(8, max(0, size + 1))
    else:
        tick_places, step_places = max(2, decimal_places[0]), max(0, size, decimal_places[1])
        tick_places, step_places = min(8, tick_places), min(8, step_places)
    step_places = min(step_places, 8 - tick_places)
    tick, step = Decimal(1).scaleb(-tick_places), Decimal(1).scaleb(-step_places)
    max_qty = Decimal(1).scaleb(8 - size)
    return SymbolRules(
        symbol=symbol, base=base, quote=quote, tick=tick, step=step, min_qty=step,
        max_qty=Decimal(max(max_qty, step * 1000)), market_max_qty=Decimal(max(max_qty / 100, step * 100)),
        min_price=tick, max_price=Decimal(1).scaleb(max(size + 2, 3)),
        min_notional=Decimal(_MIN_NOTIONAL.get(quote, _MIN_NOTIONAL_DEFAULT)),
    )  # fmt: skip
