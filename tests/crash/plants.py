"""Bugs put into a child on purpose, to prove that the sweeps would catch them. Never part of the product.

A plant is applied in the process that is to die (and in the one that recovers), chosen by SANAD_TEST_PLANT. To add one:
a function and a row; scenarios of other rooms register theirs with `register`.
"""

import os
from collections.abc import Callable
from typing import Any

VARIABLE = "SANAD_TEST_PLANT"


def no_fsync() -> None:
    """Every fsync is forgotten."""
    os.fsync = lambda handle: None  # type: ignore[assignment]


def split_group() -> None:
    """Events of one step are written one by one."""
    from desk.journal.journal import Journal

    whole = Journal._append

    def one_by_one(self: Any, fold: Any, wanted: Any) -> Any:
        return [line for new in wanted for line in whole(self, fold, [new])]

    Journal._append = one_by_one  # type: ignore[method-assign]


def half_written_state() -> None:
    """State files are written in place."""
    from desk.state import store

    def in_place(home: Any, found: Any, value: Any, names: Any) -> None:
        path = home.state / found.file.format(**names)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(handle, store.msgspec.json.encode(value))
        os.fsync(handle)
        os.close(handle)

    store._replace = in_place  # type: ignore[assignment]


PLANTS: dict[str, Callable[[], None]] = {
    "fsync removed": no_fsync,
    "group split": split_group,
    "state written in place": half_written_state,
}


def register(name: str, plant: Callable[[], None]) -> None:
    """A plant of another room."""
    PLANTS[name] = plant


def apply() -> None:
    """Apply the one the environment names."""
    name = os.environ.get(VARIABLE, "")
    if name:
        PLANTS[name]()
