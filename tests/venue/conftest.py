"""Fixtures of the venue tests."""

from collections.abc import Iterator

import pytest

from desk.base import clock


@pytest.fixture(autouse=True)
def _own_clock() -> Iterator[None]:
    """Each test reads the clock anew; the simulator's clock never leaks into the next one."""
    yield
    clock._Anchor.wall_ms = None
    clock._Anchor.frozen = False
