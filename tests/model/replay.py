"""What a real journal did to its orders, in the model's words: one move per intent and group. Judges nothing."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import daykit
from desk.journal import chain
from desk.journal.fold import apply
from desk.journal.state import Fold, empty

Move = tuple[str, str, bool, bool]


def moves(folder: Path) -> set[Move]:
    """The moves of every group of a home's journal."""
    found: set[Move] = set()
    fold = empty()
    for _, group in groupby(daykit.lines_of(folder), key=lambda line: line["seq"] - line["group"][0]):
        before = _states(fold)
        for line in group:
            apply(fold, chain._decoder.decode(chain.msgspec.json.encode(line)), 0, 1)
        found |= set(_moved(before, fold))
    return found


def _states(fold: Fold) -> dict[str, str]:
    return {name: intent.state for name, intent in fold.intents.intents.items()}


def _moved(before: dict[str, str], fold: Fold) -> Iterator[Move]:
    intents: dict[str, Any] = dict(fold.intents.intents)
    for name, intent in intents.items():
        old = before.get(name, "")
        if old != intent.state:
            there = (intent.venue, intent.symbol)
            others = [n for n, i in intents.items() if (i.venue, i.symbol) == there and n != name]
            yield old, intent.state, intent.kind == "ENTRY", any(before.get(n) == "SENT_UNKNOWN" for n in others)
