"""LIVE orders on three simulated exchanges, ended at every step under every network outcome. `make crash`.

Judged by the exchange's own books: no order twice, none lost, none unprotected at the end of a tick, money equal.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crash.live_scenes import SCENES
from crash.live_sweep import Tally

pytestmark = pytest.mark.crash
TESTS = Path(__file__).resolve().parents[1]
SEED = 1
VENUES = ("binance", "binance+lists", "mexc", "btcturk")


def swept(scene: str, venue: str, plant: str = "", *outcomes: str) -> Tally:
    """One sweep in a process of its own, which forks all others."""
    paths = os.pathsep.join([str(TESTS.parent / "scripts"), str(TESTS)])
    done = subprocess.run(
        [sys.executable, "-m", "crash.live_sweep", scene, venue, str(SEED), plant, *outcomes], cwd=TESTS, text=True,
        env=os.environ | {"PYTHONPATH": paths}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return Tally(**found)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("scene", SCENES)
def test_an_order_survives_any_end_under_any_answer(
    scene: str, venue: str, record_property: Callable[[str, object], None]
) -> None:
    tally = swept(scene, venue)
    record_property("crash", str(tally))
    assert not tally.violations, "\n".join(tally.violations)
    assert min(tally.points, tally.deaths, tally.cuts, tally.judged, tally.orders) > 0, (
        f"nothing was exercised: {tally}"
    )
