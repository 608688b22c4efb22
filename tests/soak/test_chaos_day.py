"""Simulated LIVE hours with a random fault every minute on three exchanges: books equal, codes truthful, nothing stuck.

`make soak` plays the whole day; SANAD_CHAOS_SEED takes another one. A few minutes of it are in every test run. What
was journalled is replayed through the model: no order made a move that was not explored.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from model import explorer, replay
from model.system import World
from soak import chaos, judge

SEED = int(os.environ.get("SANAD_CHAOS_SEED", "1"))
DAY_MIN = 24 * 60


def _play(folder: Path, minutes: int, told: Callable[[str, object], None], healthy_min: int = chaos.HOUR_MIN) -> None:
    with chaos.day(folder, SEED) as one:
        chaos.play(one, minutes, healthy_min)
        found = judge.summary(one)
        told("chaos", found)
        print(f"\nseed {SEED}: {found}")
        assert not one.found, "\n".join(one.found)
        if healthy_min == chaos.HOUR_MIN:  # the exploration takes longer than a few minutes' play
            assert replay.moves(one.home) - explorer.explore(World(starts=(2, 1, 0, 0), crashes=0)).moves == set()
        assert sum(found["orders"].values()) > 0, "no order was exercised"


def test_some_minutes_of_it(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    _play(tmp_path, 12, record_property, healthy_min=8)


@pytest.mark.soak
def test_a_day_with_something_wrong_every_minute(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    _play(tmp_path, DAY_MIN, record_property)


@pytest.mark.soak
def test_two_hours_of_it(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    _play(tmp_path, 120, record_property)
