"""The strategies: one row each, the view they are shown, and the walk over them. Pure; no store, no socket, no clock.

A strategy sees only closed bars: the view itself drops every bar that is not over at `now_ms`, so no caller can hand
it the future. Its decision's occasion is the open time of the last closed bar: the same bar never proposes twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from importlib import import_module
from itertools import pairwise
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import msgspec

from desk.base import ids
from desk.base.errors import InvariantError
from desk.base.money import BPS, ZERO, divide
from desk.config.schema import Config, Exits
from desk.risk.decision import Decision, Kind
from desk.strategies import protection_levels
from desk.strategies.indicators import Bars, are_sound
from desk.strategies.protection_levels import Levels
from desk.venues.protocol import Bar, Side

# name -> module, in order of precedence; modules load on use. To add a strategy: desk/strategies/__init__.py
STRATEGIES: Final[Mapping[str, str]] = {
    "sma_cross": "desk.strategies.sma_cross",
    "rsi": "desk.strategies.rsi",
}
EDGE_MAX_BPS: Final = BPS  # a claim above 100 % is a data error, not an edge
_EDGE_STEP: Final = Decimal("0.01")
Own = TypeVar("Own")


@dataclass(frozen=True)
class Params(Generic[Own]):
    """What a strategy may be tuned by: its own section and the exits' multiples."""

    own: Own
    exits: Exits


class StrategyView(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as a strategy sees it. `now_ms` is exchange time; `held_quantity` is 0 for none and for dust."""

    venue: str
    symbol: str
    now_ms: int
    interval_s: int
    bars: tuple[Bar, ...]  # oldest first; what is not closed is dropped on construction
    held_quantity: Decimal = ZERO

    def __post_init__(self) -> None:
        """Keep closed bars only: open_ms + interval <= now."""
        if self.interval_s <= 0:
            raise InvariantError(f"bar interval {self.interval_s} s")
        latest_ms = self.now_ms - self.step_ms
        msgspec.structs.force_setattr(self, "bars", tuple(bar for bar in self.bars if bar.open_ms <= latest_ms))

    @property
    def step_ms(self) -> int:
        """Length of a bar, ms."""
        return self.interval_s * 1000

    def window(self, count: int) -> Bars:
        """The last `count` closed bars; empty when there are fewer, or when one is malformed or out of order."""
        bars = self.bars[-count:]
        return bars if len(bars) == count and are_sound(bars) else ()

    def is_tradable(self, bars: Bars) -> bool:
        """True when entries may rest on these bars: none missing, each traded, the last one the newest there can be.

        Exits ask nothing of the kind: a gap must not keep a position open.
        """
        if not bars or self.now_ms - bars[-1].open_ms >= 2 * self.step_ms:
            return False
        whole = all(new.open_ms - old.open_ms == self.step_ms for old, new in pairwise(bars))
        return whole and all(bar.volume > 0 for bar in bars)

    def levels(self, exits: Exits) -> Levels:
        """Default stop and target around the last close."""
        return protection_levels.levels(self.bars, self.bars[-1].close, exits)


class Strategy(Protocol):
    """What a strategy module offers."""

    NAME: str
    VERSION: str

    def lookback(self, own: Any) -> int:
        """How many closed bars `propose` looks at."""

    def propose(self, view: StrategyView, params: Params[Any]) -> Decision | None:
        """The proposal for the last closed bar, or None."""


def propose_all(view: StrategyView, config: Config) -> tuple[Decision, ...]:
    """At most one decision for this symbol and bar: the first exit, else the first entry in the table's order."""
    found: list[Decision] = []
    for name in STRATEGIES:
        own = getattr(config.strategies, name)
        if own.enabled:
            decision = load(name).propose(view, Params(own, config.exits))
            found += [decision] if decision else []
    exits = [decision for decision in found if decision.kind is Kind.EXIT]
    return tuple((exits or found)[:1])


def bars_needed(config: Config) -> int:
    """How many bars to fetch so that every enabled strategy can speak: the longest lookback and the one still open."""
    wanted = [protection_levels.bars_needed(config.exits)]
    for name in STRATEGIES:
        own = getattr(config.strategies, name)
        if own.enabled:
            wanted.append(load(name).lookback(own))
    return max(wanted) + 1


def load(name: str) -> Strategy:
    """The module behind a row."""
    return cast(Strategy, import_module(STRATEGIES[name]))


def bps_above(price: Decimal, base: Decimal) -> Decimal:
    """How far `price` lies above `base`, in basis points of `base` (negative when below)."""
    return divide((price - base) * BPS, base)


def entry(
    view: StrategyView, name: str, version: str, edge_bps: Decimal, levels: Levels, why: tuple[str, ...]
) -> Decision | None:
    """A BUY on the last closed bar; None when the edge is nothing. Sizing decides the notional."""
    edge = min(edge_bps, EDGE_MAX_BPS).quantize(_EDGE_STEP, ROUND_DOWN)
    if edge <= 0:
        return None
    stated = f"edge {edge} bps; stop {levels.stop:f} by {levels.basis}"
    plain = _decision(view, name, version, Side.BUY, Kind.ENTRY, (*why, stated))
    return msgspec.structs.replace(plain, edge_bps=edge, stop_price=levels.stop, target_price=levels.target)


def leave(view: StrategyView, name: str, version: str, why: tuple[str, ...]) -> Decision:
    """A SELL of the whole position on the last closed bar; an exit needs no edge."""
    return _decision(view, name, version, Side.SELL, Kind.EXIT, why)


def _decision(view: StrategyView, name: str, version: str, side: Side, kind: Kind, why: tuple[str, ...]) -> Decision:
    opened_ms = view.bars[-1].open_ms
    occasion = str(opened_ms)
    return Decision(
        decision_id=ids.decision_id(name, version, view.venue, view.symbol, side, occasion),
        strategy=name, version=version, venue=view.venue, symbol=view.symbol, side=side, kind=kind,
        occasion=occasion, edge_bps=ZERO, reasons=why,
        created_ms=opened_ms + view.step_ms,  # when the bar closed, not when we looked: a repeat is equal
    )  # fmt: skip
