"""One short PAPER session for every bad-input test of a worker: played once, copied per case."""

from pathlib import Path

import pytest

import badkit


@pytest.fixture(scope="session")
def played_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared home; never run a door in it, copy it with `badkit.spoilable`."""
    folder = tmp_path_factory.mktemp("played") / "home"
    badkit.prepare(folder)
    return folder
