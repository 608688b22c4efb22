"""What a tick costs as the journal grows from a thousand events to a million: it must not grow with it."""

import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import kit
from bench import history, market, measure, report
from bench.test_bench_journal import quiet_tick
from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings, load
from desk.journal import verify
from desk.journal.chain import Context
from desk.journal.journal import Journal
from desk.venues.paper import PaperBroker
from lab.day import SCRIPTS, Sim, environment

pytestmark = pytest.mark.bench
SIZES = (1_000, 10_000, 100_000, 1_000_000)
VERIFIED_MAX = 100_000  # reading a million lines back would prove nothing more
ROUNDS = 9
FLAT_MAX = 1.25
FINISHED = {0, 1}


@dataclass
class Grown:
    """One home with a journal of some size, and what work on it costs."""

    home: Home
    env: dict[str, str]
    settings: Settings
    bytes_written: int
    fold_s: float  # CPU of the first fold, from the last checkpoint on

    def tick(self, printed: Path) -> measure.Cost:
        """One router process."""
        return measure.cost_of((sys.executable, str(SCRIPTS / "router.py")), os.environ | self.env, printed)

    def append_s(self) -> float:
        """CPU of a fresh handle that appends one group of ten."""
        started = time.process_time()
        self.journal().transact(lambda fold: quiet_tick(0))
        return time.process_time() - started

    def publish_s(self) -> float:
        """CPU of a fresh handle that writes the projections anew."""
        started = time.process_time()
        self.journal().publish()
        return time.process_time() - started

    def journal(self) -> Journal:
        ctx = Context(run_id="rb", cycle_id="cb", script="bench", mode="PAPER", instance=self.settings.instance)
        return Journal(self.home, ctx, reserve_bytes=self.settings.config.journal.reserve_bytes)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that leaves with the test: a million events are half a gigabyte."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_tick_costs_the_same_beside_a_million_events(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with market.idle(scratch) as played:
        grown = {size: _grow(scratch, size, played.sim, monkeypatch) for size in SIZES}
        ticks = {f"{size}": functools.partial(grown[size].tick, scratch / "printed") for size in SIZES}
        for run in ticks.values():  # byte code, books, the first tick after a long silence
            run()
        costs = measure.interleaved(ticks, ROUNDS, lambda: played.sim.advance(market.MINUTE_MS))
        appends = _cpu_s(grown, Grown.append_s)
        publishes = _cpu_s(grown, Grown.publish_s)
    _show(grown, {size: measure.cpu_of(costs[f"{size}"]) for size in SIZES}, appends, publishes)
    ended = {size: {cost.exit_code for cost in found} for size, found in costs.items()}
    assert all(codes <= FINISHED for codes in ended.values()), costs


def _grow(scratch: Path, size: int, sim: Sim, monkeypatch: pytest.MonkeyPatch) -> Grown:
    """A home whose journal ends a minute before the simulator's now; the journal room proves what stands in it."""
    folder = market.new_home(scratch / f"home-{size}")
    env = environment(folder, sim, (market.SYMBOL,))
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    home, now_ms = Home(folder).ensure(), clock.start_tick()
    settings = load(home)
    paper = PaperBroker(home, settings, lambda venue, symbol: kit.RULES, lambda venue, symbol: None)
    paper.open(may_create=True)
    opening = {"USDT": str(settings.config.paper.starting_balance_quote)}
    ctx = Context(run_id="", cycle_id="", script="", mode="PAPER", instance=settings.instance)
    head = history.write(home, ctx, size, now_ms, opening)
    grown = Grown(home, env, settings, _bytes_of(home), 0.0)
    started = time.process_time()
    fold = grown.journal().publish()
    grown.fold_s = time.process_time() - started
    assert size <= fold.seq == head and not fold.positions.positions and fold.portfolio.fills
    if size <= VERIFIED_MAX:
        found = verify.verify(home, {})
        assert found.code == verify.WHOLE, found.findings
    return grown


def _show(
    grown: dict[int, Grown], ticks: dict[int, float], appends: dict[int, float], publishes: dict[int, float]
) -> None:
    """Ticks against the smallest journal; append and publish, which follow the folded state's size, against a tenth of
    the journal: the state of 1e5 events is as large as it ever gets."""
    first, full, last = SIZES[0], SIZES[-2], SIZES[-1]
    rows = [
        [
            f"{size:,}", f"{grown[size].bytes_written / 2**20:.0f}", ticks[size] * 1000, ticks[size] / ticks[first],
            appends[size] * 1000, publishes[size] * 1000, grown[size].fold_s * 1000,
        ]
        for size in SIZES
    ]  # fmt: skip
    headers = ["events", "MiB", "router tick, CPU ms", f"x of {first:,}", "append ms", "publish ms", "first fold ms"]
    report.show(f"CPU beside a growing journal, median of {ROUNDS}, interleaved; all from a cold start", headers, rows)
    ratios = [
        ("router tick", first, ticks[last] / ticks[first]), ("append", full, appends[last] / appends[full]),
        ("publish", full, publishes[last] / publishes[full]),
    ]  # fmt: skip
    judged = [[name, f"{last:,} / {base:,}", x, f"<= {FLAT_MAX}", report.word(x, FLAT_MAX)] for name, base, x in ratios]
    report.show("Flat", ["", "events", "x", "target", ""], judged)


def _bytes_of(home: Home) -> int:
    return sum(path.stat().st_size for path in home.logs.glob("audit*.jsonl"))


def _cpu_s(grown: dict[int, Grown], work: Callable[[Grown], float]) -> dict[int, float]:
    """Median CPU seconds of some work in each home, taken in turn."""
    found: dict[int, list[float]] = {size: [] for size in grown}
    for _ in range(ROUNDS):
        for size, home in grown.items():
            found[size].append(work(home))
    return {size: statistics.median(taken) for size, taken in found.items()}
