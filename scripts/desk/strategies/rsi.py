"""RSI: buy when Wilder's index comes back up through oversold, sell when it falls back through overbought. Pure.

Edge: mean reversion plays for the way back to the mean: the distance from the close up to the average close of the
last `period` bars, in bps of the close, and never more than the way to the target; nothing when the close already
stands at or above that average. It is stated before costs; the edge_cost gate takes spread, fees and slippage off.
"""

from decimal import Decimal
from typing import Final

from desk.base.money import ZERO
from desk.config.schema import Rsi
from desk.risk.decision import Decision
from desk.strategies.indicators import Bars, rsi, sma
from desk.strategies.protection_levels import WILDER_SPAN, Levels
from desk.strategies.table import Params, StrategyView, bps_above, entry, leave

NAME: Final = "rsi"
VERSION: Final = "1"


def lookback(own: Rsi) -> int:
    """A fixed span for Wilder's average, now and one bar ago: more history given changes no decision."""
    return WILDER_SPAN * own.period + 2


def propose(view: StrategyView, params: Params[Rsi]) -> Decision | None:
    """Entry on the way up through oversold when nothing is held, exit of all on the way down through overbought."""
    own = params.own
    bars = view.window(lookback(own))
    before, now = rsi(bars[:-1], own.period), rsi(bars[1:], own.period)
    if before is None or now is None:
        return None
    if view.held_quantity > 0:
        why = f"RSI {own.period} fell back through {own.overbought}"
        return leave(view, NAME, VERSION, (why,)) if before >= own.overbought > now else None
    if not before <= own.oversold < now or not view.is_tradable(bars):
        return None
    levels = view.levels(params.exits)
    why = f"RSI {own.period} came back up through {own.oversold}"
    return entry(view, NAME, VERSION, _edge_bps(bars, own, levels), levels, (why,))


def _edge_bps(bars: Bars, own: Rsi, levels: Levels) -> Decimal:
    close = bars[-1].close
    way_back = max(bps_above(sma(bars, own.period) or close, close), ZERO)
    return way_back if levels.target is None else min(way_back, bps_above(levels.target, close))
