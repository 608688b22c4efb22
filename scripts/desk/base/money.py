"""Decimal arithmetic for prices, quantities and fees. Owns parsing, rounding and the one text form.

Never sees a float: money enters as text (or int) and leaves as text. The context traps invalid operations
and is wide enough (40 digits) that products of prices and quantities are exact.
"""

import decimal
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from typing import Final

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
BPS: Final = Decimal(10_000)
CONTEXT: Final = Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
decimal.DefaultContext.prec = CONTEXT.prec  # for threads started later
decimal.setcontext(CONTEXT.copy())
TEXT_MAX: Final = 64  # no exchange writes longer numbers; a longer one is an attack or a bug


def parse(value: object, where: str = "number") -> Decimal:
    """Text or int to a finite Decimal; negative zero becomes zero.

    Raises:
        ValueError: a float, a bool, not a number, not finite, or longer than TEXT_MAX.
    """
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, str) and len(value) <= TEXT_MAX:
        if not value.isascii() or "_" in value:  # Decimal reads digits of every script, and 1_000
            raise ValueError(f"{where}: not a number")
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise ValueError(f"{where}: not a number") from None
    else:
        raise ValueError(f"{where}: expected a decimal string, got {type(value).__name__}")
    if not number.is_finite() or abs(number.adjusted()) > TEXT_MAX:
        raise ValueError(f"{where}: not a usable number")
    return number or ZERO


def text(number: Decimal) -> str:
    """Plain canonical text: no exponent, no trailing zeros, no negative zero."""
    if not number:
        return "0"
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def floor_step(number: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` not above a non-negative number (step 0: unchanged)."""
    if not step:
        return number
    return (number / step).to_integral_value(ROUND_DOWN) * step


def ceil_step(number: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` not below a non-negative number (step 0: unchanged)."""
    if not step:
        return number
    return (number / step).to_integral_value(ROUND_CEILING) * step


def is_multiple(number: Decimal, step: Decimal) -> bool:
    """True when the number lies on the step grid (step 0: always)."""
    return not step or number % step == 0


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Quotient under the house context; the caller has made sure the denominator is not zero."""
    return CONTEXT.divide(numerator, denominator)


def frac(part: Decimal, whole: Decimal) -> Decimal:
    """part / whole as a fraction rounded to 10 places; 0 when whole is 0."""
    if not whole:
        return ZERO
    return CONTEXT.divide(part, whole).quantize(Decimal("1e-10"), context=CONTEXT).normalize(CONTEXT) + ZERO
