"""Default stop and target: ATR multiples where there is an ATR, the default fraction where there is none."""

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.base import money
from desk.base.errors import ConfigError
from desk.config.schema import Exits
from desk.strategies.protection_levels import bars_needed, levels
from desk.venues.protocol import Bar

D = Decimal
EXITS = Exits(atr_period=2)  # stop 2 x ATR, target 3 x ATR, default stop 0.02


def test_it_stands_at_atr_multiples_around_the_price(from_closes: Callable[..., tuple[Bar, ...]]) -> None:
    found = levels(from_closes(["100", "101", "100"]), D(50), EXITS)  # ATR 1
    assert (found.stop, found.target, found.basis) == (D(48), D(53), "atr")


@pytest.mark.parametrize(
    "closes", [["100"], ["100", "101"], ["100", "100", "100"], ["100", "1", "100"]],
    ids=["one bar", "fewer than the period", "no range", "range larger than the price"],
)  # fmt: skip
def test_without_a_usable_atr_it_is_the_default_stop_and_no_target(
    closes: list[str], from_closes: Callable[..., tuple[Bar, ...]]
) -> None:
    found = levels(from_closes(closes), D(100), EXITS)
    assert (found.stop, found.target, found.basis) == (D(98), None, "default")


def test_no_bars_and_an_atr_switched_off_mean_the_default(seeded: Callable[..., tuple[Bar, ...]]) -> None:
    assert levels((), D(100), Exits()).basis == "default"
    assert levels(seeded(100), D(100), Exits(atr_period=0)).basis == "default"


@pytest.mark.parametrize("broken", [{"high": D("NaN")}, {"low": D("sNaN")}, {"low": D(-5)}, {"close": D(0)}], ids=str)
def test_malformed_bars_still_give_a_stop(
    broken: dict[str, Decimal], from_closes: Callable[..., tuple[Bar, ...]]
) -> None:
    bars = from_closes(["100", "101", "100", "101"])
    assert levels(bars, D(100), EXITS).basis == "atr"
    bad = (*bars[:2], msgspec.structs.replace(bars[2], **broken), bars[3])
    for malformed in (bad, bars[::-1]):
        assert levels(malformed, D(100), EXITS).stop == D(98)


def test_older_history_than_the_atr_looks_at_changes_nothing(seeded: Callable[..., tuple[Bar, ...]]) -> None:
    bars = seeded(400)
    wanted = bars_needed(Exits())
    assert levels(bars, D(40_000), Exits()) == levels(bars[-wanted:], D(40_000), Exits())
    assert levels(bars, D(40_000), Exits()) != levels(bars[-wanted + 1 :], D(40_000), Exits())


@pytest.mark.parametrize("frac", ["0", "1"])
def test_a_default_that_leaves_no_stop_is_one_clear_line(frac: str) -> None:
    with pytest.raises(ConfigError, match=r"exits\.default_stop_frac: leaves no stop below the price; set it"):
        levels((), D(100), Exits(default_stop_frac=D(frac)))


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.decimals("0.00000001", "1000000", places=8), max_size=12),
    st.decimals("0.00000001", "1000000", places=8),
)
def test_stop_below_price_below_target_and_short_text_for_any_bars(prices: list[Decimal], price: Decimal) -> None:
    found = levels(tuple(Bar(i, p, p, p, p, D(1)) for i, p in enumerate(prices)), price, EXITS)
    assert 0 < found.stop < price
    assert found.target is None or found.target > price
    assert money.parse(money.text(found.stop)) == found.stop
