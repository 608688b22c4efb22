"""Answers gone wrong in ways nobody would write down: one text of JSON, one seed, one damaged answer, always the same.

Pure: the damage is a function of text and seed. A scalar becomes an odd literal, a key is lost or told twice, the whole
text is cut, doubled, emptied or something else altogether. Used by the `mutate_body` fault and by the tests.
"""

import random
import re
from collections.abc import Callable
from typing import Final

Damage = Callable[[str, random.Random], bytes]
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*|true|false|null')
_LONG: Final = 5000  # characters; no exchange writes a text or a number as long
ODD: Final = (  # literals in the place of a scalar; not all are JSON
    "null", "true", "false", "[]", "{}", "[[]]", '{"a":1}', "0", "-0", "-1", "1", "1.5", "-0.0", "1e-7", "1E400",
    "1e-400", "1e19", "NaN", "Infinity", "-Infinity", "0x10", "9007199254740993", "18446744073709551616",
    "9" * 30, "9" * _LONG,
    '""', '" "', '"0"', '"-0"', '"-1"', '"1e5"', '"1E-8"', '"1e400"', '"NaN"', '"sNaN"', '"Infinity"', '"1_000"',
    '"\u0663"', '"--5"', '"0.' + "1" * 50 + '"', '"' + "9" * 63 + '"', '"' + "9" * _LONG + '"', '"9007199254740993"',
    '"true"', '"\u5e01\u5b89USDT"', '"ODD_WORD"', '"NEW"', '"SELL"', '"../../../x?y=1"', '"a\\nb\\r\\u0000\\u001b[31m"',
    '"\\ud800"', '"' + "x" * _LONG + '"', "1767571200", "253402300800000", "-62135596800001", '"<script>"',
)  # fmt: skip
WHOLE: Final = (  # in the place of everything
    b"", b" ", b"null", b"[]", b"{}", b'""', b"0", b"true", b"[null]", b'"maintenance"', b"OK", b"\xef\xbb\xbf{}",
    b"<html><head><title>502 Bad Gateway</title></head><body></body></html>", bytes(range(128, 256)), b"[" * 100_000,
    b"[" * 900 + b"]" * 900, b'{"a":' * 500 + b"1" + b"}" * 500, b"[" + b"0," * 200_000 + b"0]",
    b'{"code":"--5","msg":"x"}', b'{"code":-1003,"msg":"way too many requests"}', b'{"code":1e3,"msg":7}',
    b'{"code":99999999999999999999999999,"msg":null}', b'{"success":false,"code":0}', b'{"success":1,"data":null}',
)  # fmt: skip


def _whole(text: str, source: random.Random) -> bytes:
    return source.choice(WHOLE)


def _cut(text: str, source: random.Random) -> bytes:
    raw = text.encode()
    return raw[: source.randrange(max(1, len(raw)))]


def _twice(text: str, source: random.Random) -> bytes:
    return (text + source.choice(("", ",", "\n", " ")) + text).encode()


def _value(text: str, source: random.Random) -> bytes:
    return _replaced(text, source, 1)


def _values(text: str, source: random.Random) -> bytes:
    return _replaced(text, source, source.randint(2, 6))


def _key_lost(text: str, source: random.Random) -> bytes:
    """A field under another name: one is missing, one is new."""
    keys = [found for found in _TOKEN.finditer(text) if found[1]]
    if not keys:
        return _whole(text, source)
    found = source.choice(keys)
    return (text[: found.start()] + '"_' + found[0][1:] + text[found.end() :]).encode()


def _key_twice(text: str, source: random.Random) -> bytes:
    """A field told twice, the other time with something odd."""
    keys = [found for found in _TOKEN.finditer(text) if found[1]]
    if not keys:
        return _whole(text, source)
    found = source.choice(keys)
    return (text[: found.start()] + found[0] + source.choice(ODD) + "," + text[found.start() :]).encode()


def _values_swapped(text: str, source: random.Random) -> bytes:
    """Two scalars change places."""
    values = _values_of(text)
    if len(values) < 2:
        return _whole(text, source)
    left, right = sorted(source.sample(values, 2), key=lambda found: found.start())
    middle = text[left.end() : right.start()]
    return (text[: left.start()] + right[0] + middle + left[0] + text[right.end() :]).encode()


DAMAGES: Final[dict[str, Damage]] = {
    "value": _value,
    "values": _values,
    "values_swapped": _values_swapped,
    "key_lost": _key_lost,
    "key_twice": _key_twice,
    "cut": _cut,
    "twice": _twice,
    "whole": _whole,
}


def mutate(text: str, seed: int, damage: str = "") -> bytes:
    """The damaged answer.

    Args:
        damage: a name of DAMAGES; empty = the seed chooses.
    """
    source = random.Random(seed)
    chosen = damage or source.choice(tuple(DAMAGES))
    return DAMAGES[chosen](text, source)


def _replaced(text: str, source: random.Random, count: int) -> bytes:
    values = _values_of(text)
    if not values:
        return _whole(text, source)
    for found in sorted(source.sample(values, min(count, len(values))), key=lambda one: -one.start()):
        text = text[: found.start()] + source.choice(ODD) + text[found.end() :]
    return text.encode("utf-8", "replace")


def _values_of(text: str) -> list[re.Match[str]]:
    return [found for found in _TOKEN.finditer(text) if not found[1]]
