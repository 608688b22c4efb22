"""For any bars at all: no exception, no negative edge, stop below close below target."""

from decimal import Decimal
from itertools import accumulate
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from desk.config.schema import Config, Exits, Rsi, SmaCross, Strategies
from desk.risk.decision import Kind
from desk.strategies import table
from desk.strategies.table import Params, StrategyView
from desk.venues.protocol import Bar, Side

STEP_MS = 60_000
CONFIG = Config(
    strategies=Strategies(
        sma_cross=SmaCross(fast=1, slow=3), rsi=Rsi(period=3, oversold=Decimal(40), overbought=Decimal(60))
    ),
    exits=Exits(atr_period=3),
)  # short windows, so that few bars cross often

anything = st.one_of(st.decimals(), st.decimals("-1e30", "1e30"), st.decimals("1e-30", "1e30"))
wild = st.lists(st.builds(Bar, st.integers(-10, 10**15), anything, anything, anything, anything, anything), max_size=30)


@st.composite
def walks(draw: st.DrawFn) -> tuple[Bar, ...]:
    """Sound bars of several scales whose closes jump about; some without volume, some after a gap."""
    moves = draw(st.lists(st.integers(-99, 99), min_size=19, max_size=30))
    scale = draw(st.sampled_from(["1e-8", "0.01", "1", "12345.678"]))
    closes = [max(1, 1000 + total) * Decimal(scale) for total in accumulate(moves)]
    volumes = st.sampled_from([Decimal(1)] * 60 + [Decimal(0)])
    bars, opened_ms = [], 0
    for before, close in zip([closes[0], *closes], closes, strict=False):
        opened_ms += draw(st.sampled_from([STEP_MS] * 60 + [3 * STEP_MS]))
        bars.append(Bar(opened_ms, before, max(before, close), min(before, close), close, draw(volumes)))
    return tuple(bars)


@settings(derandomize=True, deadline=None)
@given(wild, st.integers(0, 10**15), st.sampled_from([0, 1]), st.booleans())
def test_any_bars_at_all_raise_nothing(bars: list[Bar], now_ms: int, held: int, ordered: bool) -> None:
    if ordered:
        bars.sort(key=lambda bar: bar.open_ms)
    view = StrategyView(
        venue="v", symbol="S", now_ms=now_ms, interval_s=60, bars=tuple(bars), held_quantity=Decimal(held)
    )  # fmt: skip
    assert len(table.propose_all(view, CONFIG)) <= 1


@settings(max_examples=300, derandomize=True, deadline=None)
@given(walks(), st.sampled_from([0, 1]))
def test_what_is_proposed_on_sound_bars_is_sound(bars: tuple[Bar, ...], held: int) -> None:
    view = StrategyView(
        venue="v", symbol="S", now_ms=bars[-1].open_ms + STEP_MS, interval_s=60, bars=bars, held_quantity=Decimal(held)
    )  # fmt: skip
    for name in table.STRATEGIES:
        params: Params[Any] = Params(getattr(CONFIG.strategies, name), CONFIG.exits)
        found = table.load(name).propose(view, params)
        if found is None:
            continue
        event(f"{found.strategy} {found.kind}")
        assert found.occasion == str(bars[-1].open_ms)
        assert (found.side, found.kind) == ((Side.SELL, Kind.EXIT) if held else (Side.BUY, Kind.ENTRY))
        if found.kind is Kind.EXIT:
            assert found.edge_bps == 0
            assert found.stop_price is found.target_price is None
            continue
        close = bars[-1].close
        assert bars[-1].volume > 0
        assert 0 < found.edge_bps <= 10_000
        assert found.stop_price is not None
        assert 0 < found.stop_price < close
        assert found.target_price is None or found.target_price > close
