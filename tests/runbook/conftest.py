"""Fixtures of the runbook tests: a checkout of one's own, and exchanges in real time."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.operators import Checkout, make_checkout
from tidy.house import ROOT

START_S_MAX = 30


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A copy of what a clone gets."""
    return make_checkout(tmp_path)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start exchanges in real time: `exchange()` returns the REST URL of one that trades BTCUSDT."""
    started: list[subprocess.Popen[bytes]] = []

    def start(venue: str = "binance") -> str:
        told = tmp_path / f"exchange-{len(started)}.json"
        command = [sys.executable, str(ROOT / "scripts" / "exchange_sim.py"), "--venue", venue, "--symbol", "BTCUSDT"]
        with told.open("wb") as out:
            started.append(subprocess.Popen([*command, "--seed", "11"], stdout=out, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + START_S_MAX
        while b"\n" not in told.read_bytes():
            assert started[-1].poll() is None and time.monotonic() < deadline, "the exchange did not start"
            time.sleep(0.05)
        return str(json.loads(told.read_bytes().splitlines()[0])["rest_url"])

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=10)
