"""A home in memory and a standing clock for every journal test."""

from collections.abc import Iterator

import pytest

import journalkit
from desk.base.paths import Home


@pytest.fixture
def house() -> Iterator[Home]:
    with journalkit.temporary_home() as home, journalkit.time_at():
        yield home
