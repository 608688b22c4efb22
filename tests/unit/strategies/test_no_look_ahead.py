"""No strategy sees the future: cut it off, replace it by absurd bars, let the next bar form, and nothing changes.

The same checker must catch planted strategies that peek, else it proves nothing.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from desk.config.schema import Config
from desk.risk.decision import Decision
from desk.strategies import table
from desk.strategies.protection_levels import Levels
from desk.strategies.table import StrategyView
from desk.venues.protocol import Bar

D = Decimal
STEP_MS = 60_000
Series = tuple[Bar, ...]
Proposals = tuple[Decision, ...]
Proposer = Callable[[StrategyView], Proposals]
ViewMaker = Callable[[Series, int, str], StrategyView]


def _view(bars: Series, now_ms: int, held: str) -> StrategyView:
    return StrategyView(
        venue="binance", symbol="BTCUSDT", now_ms=now_ms, interval_s=60, bars=bars, held_quantity=D(held)
    )  # fmt: skip


def _leaky_view(bars: Series, now_ms: int, held: str) -> StrategyView:
    """A view that forgets to drop the bar still forming."""
    view = _view(bars, now_ms, held)
    msgspec.structs.force_setattr(view, "bars", tuple(bar for bar in bars if bar.open_ms <= now_ms))
    return view


def _absurd(bar: Bar) -> Bar:
    return Bar(bar.open_ms, bar.open, bar.high * 9, bar.low / 9, bar.high * 8, bar.volume)


def look_ahead(build: Callable[[Series], Proposer], bars: Series, view_of: ViewMaker = _view) -> tuple[list[int], int]:
    """Where a proposer built on the whole series differs from one built on the series cut there, and how many
    proposals were seen. `build` gets the series as a backtest would hand it over.
    """
    differs, seen = [], 0
    for cut in range(120, len(bars)):
        now_ms = bars[cut - 1].open_ms + STEP_MS
        for held in ("0", "1"):
            told = [
                build(series)(view_of(series, now_ms, held))
                for series in (bars[:cut], bars, (*bars[:cut], *map(_absurd, bars[cut:])))
            ]
            seen += max(map(len, told))
            if not told[0] == told[1] == told[2]:
                differs.append(cut)
    return differs, seen


def _real(series: Series) -> Proposer:
    return lambda view: table.propose_all(view, Config())


def _peeking(series: Series) -> Proposer:
    """Planted: buys when the bar after the last closed one closes higher."""
    levels = Levels(stop=D(1), target=None, basis="default")

    def propose(view: StrategyView) -> Proposals:
        later = [bar for bar in series if bar.open_ms >= view.now_ms][:1]
        rises = bool(later) and later[0].close > view.bars[-1].close
        found = table.entry(view, "peek", "1", D(20), levels, ()) if rises else None
        return (found,) if found else ()

    return propose


def _normalising(series: Series) -> Proposer:
    """Planted: a threshold taken from the whole series, the quiet look-ahead of many backtests."""
    middle = sorted(bar.close for bar in series)[len(series) // 2]
    levels = Levels(stop=D(1), target=None, basis="default")

    def propose(view: StrategyView) -> Proposals:
        found = table.entry(view, "norm", "1", D(20), levels, ()) if view.bars[-1].close < middle else None
        return (found,) if found else ()

    return propose


def test_a_seeded_market_without_its_future_gives_the_same_proposals(seeded: Callable[..., Series]) -> None:
    differs, seen = look_ahead(_real, seeded(420))
    assert differs == []
    assert seen > 10


@pytest.mark.parametrize("first", [1000, 41_000])  # a usual day, and the crash of 19 May 2021
def test_a_recorded_market_without_its_future_gives_the_same_proposals(
    first: int, recorded: Callable[..., Series]
) -> None:
    differs, seen = look_ahead(_real, recorded("binance_BTCUSDT_1m_20210420-20210520", first, 420))
    assert differs == []
    assert seen > 10


@pytest.mark.parametrize("planted", [_peeking, _normalising])
def test_a_planted_look_ahead_is_caught(planted: Callable[[Series], Proposer], seeded: Callable[..., Series]) -> None:
    differs, seen = look_ahead(planted, seeded(200))
    assert seen > 10
    assert differs


def test_a_view_that_shows_the_forming_bar_is_caught(seeded: Callable[..., Series]) -> None:
    differs, _ = look_ahead(_real, seeded(300), _leaky_view)
    assert differs
