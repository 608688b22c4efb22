"""Where a long position's stop and target stand by default (rules.md, Exits and protection). Pure; places nothing.

Strategies ask with their last close; execution asks with the entry price when a signal came without a stop.
Prices come out unrounded to ticks: the execution room quantises them to the exchange's grid.
"""

from decimal import Context, Decimal
from typing import Final

import msgspec

from desk.base.errors import ConfigError
from desk.base.money import CONTEXT, ONE
from desk.config.schema import Exits
from desk.strategies.indicators import Bars, are_sound, atr

WILDER_SPAN: Final = 4  # bars of history per period: what is older weighs less than 5 % in Wilder's average
_PRICE: Final = Context(prec=16, rounding=CONTEXT.rounding)  # finer than any tick, short enough to read in a journal


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """Stop and target in quote currency; 0 < stop < price < target. `basis` is `atr` or `default`."""

    stop: Decimal
    target: Decimal | None
    basis: str


def bars_needed(exits: Exits) -> int:
    """How many closed bars the ATR looks at; with fewer (down to period + 1) it uses what there is."""
    return WILDER_SPAN * exits.atr_period + 1


def levels(bars: Bars, price: Decimal, exits: Exits) -> Levels:
    """ATR multiples around `price`; without a usable ATR (few, malformed or motionless bars) the default stop and no
    target: whatever an exchange answers for bars, a position gets a stop.

    Args:
        bars: closed bars, oldest first (possibly none).
        price: what the position is or would be entered at, above zero.

    Raises:
        ConfigError: exits.default_stop_frac leaves no stop between zero and the price.
    """
    recent = bars[-bars_needed(exits) :]
    span = atr(recent, exits.atr_period) if exits.atr_period and are_sound(recent) else None
    if span is not None:
        stop = _PRICE.plus(price - exits.atr_stop_multiple * span)
        target = _PRICE.plus(price + exits.atr_target_multiple * span)
        if 0 < stop < price < target:
            return Levels(stop=stop, target=target, basis="atr")
    stop = _PRICE.plus(price * (ONE - exits.default_stop_frac))
    if not 0 < stop < price:
        raise ConfigError("leaves no stop below the price", "exits.default_stop_frac", "set it between 0 and 1")
    return Levels(stop=stop, target=None, basis="default")
