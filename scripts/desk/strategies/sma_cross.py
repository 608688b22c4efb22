"""SMA cross: buy when the fast average of closes rises above the slow one, sell when it falls below. Pure.

Edge: what the trade plays for is one standard deviation over the next `slow` bars, the life of such a trend:
realised volatility per bar (root mean square of the last `slow` returns) x sqrt(slow) x edge_multiple, in bps of the
close, and never more than the way to the target. It is stated before costs; the edge_cost gate takes spread, fees
and slippage off. Lower edge_multiple to be more modest.
"""

from decimal import Decimal
from typing import Final

from desk.base.money import BPS, CONTEXT, ZERO
from desk.config.schema import SmaCross
from desk.risk.decision import Decision
from desk.strategies.indicators import Bars, realised_volatility, sma
from desk.strategies.protection_levels import Levels
from desk.strategies.table import Params, StrategyView, bps_above, entry, leave

NAME: Final = "sma_cross"
VERSION: Final = "1"


def lookback(own: SmaCross) -> int:
    """The slow window now and one bar ago."""
    return own.slow + 1


def propose(view: StrategyView, params: Params[SmaCross]) -> Decision | None:
    """Entry on a cross above when nothing is held, exit of all on a cross below; None otherwise."""
    own = params.own
    bars = view.window(lookback(own))
    before, now = _lead(bars[:-1], own), _lead(bars, own)
    if before is None or now is None:
        return None
    if view.held_quantity > 0:
        why = f"SMA {own.fast} crossed below SMA {own.slow}"
        return leave(view, NAME, VERSION, (why,)) if before >= 0 > now else None
    if not before <= 0 < now or not view.is_tradable(bars):
        return None
    levels = view.levels(params.exits)
    why = f"SMA {own.fast} crossed above SMA {own.slow}"
    return entry(view, NAME, VERSION, _edge_bps(bars, own, levels), levels, (why,))


def _lead(bars: Bars, own: SmaCross) -> Decimal | None:
    fast, slow = sma(bars, own.fast), sma(bars, own.slow)
    return None if fast is None or slow is None else fast - slow


def _edge_bps(bars: Bars, own: SmaCross, levels: Levels) -> Decimal:
    volatility = realised_volatility(bars, own.slow) or ZERO
    expected = volatility * CONTEXT.sqrt(Decimal(own.slow)) * own.edge_multiple * BPS
    return expected if levels.target is None else min(expected, bps_above(levels.target, bars[-1].close))
