"""Indicators against vectors computed by hand, against TA-Lib, and against what must hold for any bars."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.strategies import indicators
from desk.venues.protocol import Bar

Series = tuple[Bar, ...]
D = Decimal


def test_sma_is_the_mean_of_the_last_closes(from_closes: Callable[..., Series]) -> None:
    bars = from_closes(["1", "2", "3", "4"])
    assert indicators.sma(bars, 2) == D("3.5")
    assert indicators.sma(bars, 4) == D("2.5")
    assert indicators.sma(bars, 5) is None


def test_rsi_by_hand(from_closes: Callable[..., Series]) -> None:
    # moves +1, -0.5, +1.5; period 2: gain (1+0)/2 = 0.5 then (0.5+1.5)/2 = 1; loss 0.25 then 0.125; 100 x 1/1.125
    bars = from_closes(["10", "11", "10.5", "12"])
    value = indicators.rsi(bars, 2)
    assert value is not None
    assert value.quantize(D("1e-12")) == D("88.888888888889")
    assert indicators.rsi(bars[:2], 2) is None


@pytest.mark.parametrize(
    ("closes", "value"), [(["1", "2", "3"], "100"), (["3", "2", "1"], "0"), (["2", "2", "2"], "50")]
)
def test_rsi_at_its_ends_and_without_movement(
    from_closes: Callable[..., Series], closes: list[str], value: str
) -> None:
    assert indicators.rsi(from_closes(closes), 2) == D(value)


def test_atr_by_hand() -> None:
    # true ranges: max(12,10)-min(9,10) = 3; gap up max(16,11)-min(15,11) = 5; gap down max(9,15)-min(8,15) = 7
    bars = (
        Bar(0, D(10), D(10), D(10), D(10), D(1)),
        Bar(1, D(10), D(12), D(9), D(11), D(1)),
        Bar(2, D(15), D(16), D(15), D(15), D(1)),
        Bar(3, D(9), D(9), D(8), D(8), D(1)),
    )
    assert indicators.atr(bars[:3], 2) == D(4)
    assert indicators.atr(bars, 2) == D("5.5")  # (4 x 1 + 7) / 2
    assert indicators.atr(bars[:2], 2) is None


def test_returns_and_realised_volatility_by_hand(from_closes: Callable[..., Series]) -> None:
    bars = from_closes(["50", "100", "110", "99"])
    assert indicators.returns(bars) == (D(1), D("0.1"), D("-0.1"))
    assert indicators.realised_volatility(bars, 2) == D("0.1")
    assert indicators.realised_volatility(bars, 4) is None


@pytest.mark.parametrize("period", [2, 5, 14, 50])
def test_it_agrees_with_ta_lib(period: int, seeded: Callable[..., Series]) -> None:
    talib = pytest.importorskip("talib", reason="TA-Lib is not installed")
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    bars = seeded(300)
    high, low, close = (numpy.array([float(getattr(bar, key)) for bar in bars]) for key in ("high", "low", "close"))
    theirs = {
        "sma": talib.SMA(close, timeperiod=period),
        "rsi": talib.RSI(close, timeperiod=period),
        "atr": talib.ATR(high, low, close, timeperiod=period),
    }
    for last in (period, period + 1, 120, 299):
        cut = bars[: last + 1]
        for name, expected in theirs.items():
            ours = getattr(indicators, name)(cut, period)
            assert float(ours) == pytest.approx(expected[last], rel=1e-9), (name, last)


_price = st.decimals(min_value="0.00000001", max_value="1000000", places=8)


@settings(derandomize=True, deadline=None)
@given(st.lists(_price, min_size=2, max_size=40), st.integers(1, 20))
def test_what_holds_for_any_prices(prices: list[Decimal], period: int) -> None:
    bars = tuple(Bar(i, p, p, p, p, D(1)) for i, p in enumerate(prices))
    mean, strength = indicators.sma(bars, period), indicators.rsi(bars, period)
    spread, volatility = indicators.atr(bars, period), indicators.realised_volatility(bars, period)
    assert (mean is None) == (len(bars) < period)
    assert (strength is None) == (spread is None) == (volatility is None) == (len(bars) <= period)
    if mean is not None:
        window = prices[-period:]
        assert min(window) <= mean <= max(window)
    if strength is not None and spread is not None and volatility is not None:
        assert 0 <= strength <= 100
        assert spread >= 0
        assert volatility >= 0
