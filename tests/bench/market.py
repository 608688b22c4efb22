"""An idle market: a price that only creeps up, so that no strategy ever sees an occasion; and a home to tick in."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daykit import CONFIG
from lab.day import Day, environment, start_sim

SYMBOL = "BTCUSDT"
FIRST_BAR_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
BARS = 4_000
START = "2026-01-02T12:00:00Z"
MINUTE_MS = 60_000
PRICE = 50_000


def write_bars(path: Path) -> Path:
    """One-minute bars that rise by ten cents each."""
    rows = ["open_time_ms,open,high,low,close,volume"]
    for number in range(BARS):
        opened = f"{PRICE + number // 10}.{number % 10}"
        closed = f"{PRICE + (number + 1) // 10}.{(number + 1) % 10}"
        rows.append(f"{FIRST_BAR_MS + number * MINUTE_MS},{opened},{closed},{opened},{closed},25")
    path.write_bytes(gzip.compress("\n".join(rows).encode() + b"\n"))
    return path


def new_home(folder: Path) -> Path:
    """An empty home with the checkout's configuration."""
    (folder / "config").mkdir(parents=True)
    (folder / ".env").write_text("")
    (folder / "config" / "sanad.toml").write_text(CONFIG.read_text())
    return folder


@contextmanager
def idle(folder: Path) -> Iterator[Day]:
    """A home beside a stepped simulator that plays the idle market; jobs run as processes."""
    bars = write_bars(folder / "idle.csv.gz")
    arguments = ("--venue", "binance", "--symbol", SYMBOL, "--market", str(bars), "--start", START, "--step")
    sim = start_sim(*arguments)
    try:
        home = new_home(folder / "home")
        yield Day(home, sim, environment(home, sim, (SYMBOL,)), in_process=False)
    finally:
        sim.stop()
