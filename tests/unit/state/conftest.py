"""A home in memory for every state test."""

from collections.abc import Iterator

import pytest

import journalkit
from desk.base.paths import Home


@pytest.fixture
def house() -> Iterator[Home]:
    with journalkit.temporary_home() as home:
        yield home
