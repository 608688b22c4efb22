"""One field of an exchange's answer: its type, and how much of it we take. Pure; the dialects read rows with it.

The bounds stand here by name. Whatever is beyond them is no value but damage: the field raises KeyError, TypeError or
ValueError, and the guard turns that into "unusable answer, outcome unknown". What passes can be stored, compared,
journalled, shown on a terminal and multiplied under the money context without a surprise.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from desk.base import clock, money

WHOLE_MAX: Final = 2**63 - 1  # of counts, scales and times; ids are text and may be larger
WHOLE_DIGITS_MAX: Final = 19
DIGITS_BEFORE_POINT_MAX: Final = 20  # of money: quotients and products of two stay within the money context
DIGITS_AFTER_POINT_MAX: Final = 18
TEXT_CHARS_MAX: Final = 64  # of a symbol, an asset, a status word, an id
_FINEST: Final = Decimal(1).scaleb(-DIGITS_AFTER_POINT_MAX)
_IDENTITY: Final = re.compile(r"[A-Za-z0-9_:.+-]{1,64}")  # it may become part of a path; MEXC's have letters


def number(value: object, name: str) -> Decimal:
    """A finite Decimal of either sign with a bounded number of digits.

    Raises:
        ValueError: it is not.
    """
    found = rounded(value, name)
    if found != money.parse(value, name):
        raise ValueError(f"{name} has too many digits after the point")
    return found


def rounded(value: object, name: str) -> Decimal:
    """As `number`, but digits too far behind the point are rounded: candles told as floats have a tail of noise.

    Raises:
        ValueError: it is no number, or too large.
    """
    found = money.parse(value, name)
    if found.adjusted() >= DIGITS_BEFORE_POINT_MAX:
        raise ValueError(f"{name} has too many digits")
    exponent = found.as_tuple().exponent
    assert isinstance(exponent, int)  # finite: parse has seen to it
    return found if -exponent <= DIGITS_AFTER_POINT_MAX else found.quantize(_FINEST, context=money.CONTEXT)


def decimal(row: Mapping[str, Any], *names: str, default: str | None = None) -> Decimal:
    """The first of the named fields that is there, as a Decimal of zero or more; null reads as missing."""
    for name in names:
        if row.get(name) is not None:
            found = number(row[name], name)
            if found < 0:
                raise ValueError(f"{name} is negative")
            return found
    if default is None:
        raise KeyError(names[0])
    return Decimal(default)


def whole(row: Mapping[str, Any], *names: str, default: int | None = None) -> int:
    """The first of the named fields that is there, as an int (digits in quotes count: Binance.US writes them so)."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= WHOLE_DIGITS_MAX:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= WHOLE_MAX:
            return value
        if value is not None:
            raise ValueError(f"{name} is no whole number")
    if default is None:
        raise KeyError(names[0])
    return default


def moment(row: Mapping[str, Any], *names: str, default: int | None = None) -> int:
    """As `whole`: epoch milliseconds some calendar has."""
    found = whole(row, *names, default=default)
    if not 0 <= found <= clock.WALL_MS_MAX:
        raise ValueError(f"{names[0]} is no time")
    return found


def words(row: Mapping[str, Any], name: str) -> str:
    """A field that must be non-empty text."""
    found = label(row[name], name)
    if not found:
        raise ValueError(f"{name} is no text")
    return found


def label(value: Any, name: str) -> str:
    """Short text that can be shown and stored; null reads as empty. Symbols need not be ASCII."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX or not value.isprintable():
        raise ValueError(f"{name} is no text")
    return value


def labels(value: Any, name: str) -> tuple[str, ...]:
    """A list of short texts; null reads as none."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    return tuple(label(item, name) for item in value)


def identity(value: Any) -> str:
    """An exchange's id as text, exact beyond 2^53."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not _IDENTITY.fullmatch(text := str(value)):
        raise ValueError("an id is missing")
    return text


def flag(value: Any) -> bool:
    """True or false, nothing like it."""
    if not isinstance(value, bool):
        raise ValueError("a flag is no boolean")
    return value


def same(value: object, expected: str, name: str) -> None:
    """The answer must speak of what was asked.

    Raises:
        ValueError: it does not.
    """
    if value != expected:
        raise ValueError(f"{name} of something else")
