"""Decimals in, plain text out; never a float."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.base import money
from desk.base.money import ZERO

D = Decimal
AMOUNTS = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False, places=12)
STEPS = st.sampled_from([D("0.01"), D("0.00001"), D("1"), D("10"), D("0.5"), D("3")])


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.10", D("1.1")), ("-0", ZERO), ("0E-8", ZERO), ("1e3", D(1000)), (7, D(7)), (D("2.50"), D("2.5"))],
)
def test_parse(value: object, expected: Decimal):
    assert money.parse(value) == expected
    assert not money.parse(value).is_signed() or expected < 0


@pytest.mark.parametrize(
    "value", [1.5, True, None, "", "abc", "NaN", "Infinity", "-inf", "1" * 65, "1e65", "1e-66", [], {}, b"1", "0x10"]
)
def test_what_is_no_money_is_refused(value: object):
    with pytest.raises(ValueError, match="price"):
        money.parse(value, "price")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1E-7", "0.0000001"), ("1.500", "1.5"), ("100", "100"), ("1E+3", "1000"), ("-0.0", "0"), ("0E-12", "0"),
        ("-1.20", "-1.2"), ("0.10", "0.1"),
    ],
)  # fmt: skip
def test_text_is_plain(number: str, expected: str):
    assert money.text(D(number)) == expected


@given(AMOUNTS)
def test_text_and_parse_are_each_others_inverse(number: Decimal):
    shown = money.text(number)
    assert "E" not in shown.upper()
    assert money.parse(shown) == number
    assert money.text(money.parse(shown)) == shown


@given(AMOUNTS, STEPS)
def test_steps_round_down_and_up_to_the_grid(number: Decimal, step: Decimal):
    down, up = money.floor_step(number, step), money.ceil_step(number, step)
    assert down <= number <= up
    assert up - down in {ZERO, step}
    assert money.is_multiple(down, step)
    assert money.is_multiple(up, step)


def test_no_step_changes_nothing():
    assert money.floor_step(D("1.23"), ZERO) == money.ceil_step(D("1.23"), ZERO) == D("1.23")
    assert money.is_multiple(D("1.23"), ZERO)


@given(AMOUNTS, AMOUNTS)
def test_a_fraction_of_nothing_is_nothing(part: Decimal, whole: Decimal):
    found = money.frac(part, whole)
    assert found == ZERO if not whole else abs(found * whole - part) <= whole * D("1e-10")
