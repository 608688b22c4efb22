"""Sweeping a scenario: process death at every step, power cut after every step; restart; check. Owns the counting.

Death: the process ends before its k-th step or in the middle of it; the next one runs on what is there. Power cut: the
same end, but what was not synced is dropped, kept or torn as `disk` says, and the next one runs on that image.
`SANAD_CRASH_FULL=1` takes every point and every style, otherwise an even sample.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from crash import disk, plants, steps
from crash.scenario import Result, Scenario

TESTS = Path(__file__).resolve().parents[1]
FAST = Path("/dev/shm")
SAMPLE_MAX = 24  # points of each model without SANAD_CRASH_FULL
MIXED_SEEDS_FULL = 3
VIOLATIONS_MAX = 20  # a sweep that found so many stops


def is_full() -> bool:
    """Every point is wanted."""
    return os.environ.get("SANAD_CRASH_FULL", "") == "1"


@dataclass
class Tally:
    """What a sweep exercised and what it found."""

    scenario: str
    steps: int = 0
    deaths: int = 0
    images: int = 0
    orders: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.scenario}: {self.steps} steps, {self.deaths} process deaths, {self.images} power cuts, "
            f"{self.orders} orders, {len(self.violations)} violations"
        )

    def proves(self, counts_orders: bool) -> None:
        """The sweep met something and found nothing wrong; a sweep that exercised nothing fails."""
        assert self.steps > 0, f"{self.scenario}: no step was exercised"
        assert self.deaths > 0, f"{self.scenario}: no process died"
        assert self.images > 0, f"{self.scenario}: no power was cut"
        assert self.orders > 0 or not counts_orders, f"{self.scenario}: no order was exercised"
        assert not self.violations, "\n".join(self.violations)


class Zygote:
    """One forking helper process for one scenario."""

    def __init__(self, module: str, scenario: str, env: dict[str, str]) -> None:
        paths = [str(TESTS.parent / "scripts"), str(TESTS)]
        command = [sys.executable, "-m", "crash.zygote", module, scenario]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=TESTS,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | env,
        )  # fmt: skip

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    def do(self, function: str, home: Path, report: Path, **more: Any) -> int:
        """Run one function in a fork; how it ended."""
        job = {"function": function, "home": str(home), "report": str(report), "env": {}, "die_at": None}
        job |= {"record": False, "halfway": False} | more
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the helper process of {function} ended"
        return int(json.loads(answer)["status"])


def sweep(
    scenario: Scenario, module: str, plant: str = "", sample: int = SAMPLE_MAX, seed: int = 1, *,
    every_variant: bool = True, stop_after: int = VIOLATIONS_MAX,
) -> Tally:  # fmt: skip
    """Both models over a scenario.

    Args:
        module: where the scenario stands (`crash.scenarios_journal`), for the helper process to import.
        plant: a bug to put in, by its name in `plants`.
        sample: points of each model, unless the full sweep is asked for.
        stop_after: violations after which nothing more is tried.
        every_variant: a full sweep takes each point in each variant; else the variants take turns over all points.
    """
    tally = Tally(scenario.name + (f" with {plant}" if plant else ""))
    env = dict(scenario.env) | ({plants.VARIABLE: plant} if plant else {})
    with _folder() as work, Zygote(module, scenario.name, env) as zygote:
        start = work / "start"
        start.mkdir()
        assert zygote.do("setup", start, work / "setup.report") == 0, (work / "setup.report.err").read_text()
        one = _Sweep(scenario, zygote, work, start, tally)
        tally.steps = one.count_steps()
        for die_at, halfway in _points(tally.steps, sample, seed, (False, True), every_variant):
            if len(tally.violations) < stop_after:
                one.die(die_at, halfway)
        styles = [(s, n) for s in disk.STYLES for n in range(MIXED_SEEDS_FULL if s == "mixed" else 1)]
        for number, (die_at, style) in enumerate(_points(tally.steps, sample, seed, tuple(styles), every_variant)):
            if len(tally.violations) < stop_after:
                one.cut(die_at, style[0], seed * 1000 + number)
    return tally


def _points(
    count: int, sample: int, seed: int, variants: tuple[Any, ...], every_variant: bool
) -> list[tuple[int, Any]]:
    """(step, variant) pairs: all of them, or an even sample whose variants take turns."""
    if is_full() and every_variant:
        return [(step, variant) for step in range(count + 1) for variant in variants]
    rng = random.Random(seed)
    chosen = sorted(rng.sample(range(count + 1), count + 1 if is_full() else min(sample, count + 1)))
    return [(step, variants[(number + seed) % len(variants)]) for number, step in enumerate(chosen)]


@dataclass
class _Sweep:
    scenario: Scenario
    zygote: Zygote
    work: Path
    start: Path
    tally: Tally
    runs: int = 0

    def count_steps(self) -> int:
        """One run to its end."""
        with self._run(None, False) as (report, _, _, status):
            assert status == 0, report.with_name(report.name + ".err").read_text()
            entries = steps.read_report(report)
        return int(entries[-1][1])

    def die(self, die_at: int, halfway: bool) -> None:
        """Process death at a step, restart, check."""
        with self._run(die_at, halfway) as (report, home, world, _):
            self.tally.deaths += 1
            self._restart(home, world, steps.read_report(report), "death")

    def cut(self, die_at: int, style: str, seed: int) -> None:
        """Power cut at a step, restart on what is left, check."""
        with self._run(die_at, False) as (report, home, world, _):
            entries = steps.read_report(report)
            model = disk.Disk(self.start)
            for entry in entries:
                model.apply(entry)
            image = home.with_name(home.name + ".image")
            model.image(image, style, seed)
            self.tally.images += 1
            try:
                self._restart(image, world, entries, f"power cut ({style}, seed {seed})")
            finally:
                shutil.rmtree(image, ignore_errors=True)

    @contextmanager
    def _run(self, die_at: int | None, halfway: bool) -> Iterator[tuple[Path, Path, Any, int]]:
        self.runs += 1
        home, report = self.work / f"home{self.runs}", self.work / f"run{self.runs}.report"
        shutil.copytree(self.start, home)
        with self.scenario.world() as (world, env):
            world_env = (world, dict(env))
            status = self.zygote.do("run", home, report, record=True, die_at=die_at, halfway=halfway, env=dict(env))
            try:
                yield report, home, world_env, status
            finally:
                shutil.rmtree(home, ignore_errors=True)
                report.unlink(missing_ok=True)

    def _restart(
        self, home: Path, world: tuple[Any, dict[str, str]], entries: list[tuple[Any, ...]], model: str
    ) -> None:
        report = home.with_name(home.name + ".after")
        status = self.zygote.do("recover", home, report, env=world[1])
        error = report.with_name(report.name + ".err")
        point = next((str(entry[1]) for entry in entries if entry[0] == "died"), "the end")
        from desk.base.paths import Home

        result = Result(
            Home(home), point, model, _acks(entries), _acks(steps.read_report(report)), world[0],
            error.read_text() if status and error.exists() else "",
        )  # fmt: skip
        found = [f"recovery ended with {status}: {result.error[-1500:]}"] if status else []
        try:
            found = found or self.scenario.check(result)
        except Exception as broken:  # noqa: BLE001 - a check that cannot even read is a violation
            found = [f"the check could not read what is there: {type(broken).__name__}: {broken}"]
        self.tally.orders += sum(1 for kind, _ in (*result.before, *result.after) if kind == "order")
        where = f"{self.tally.scenario}, {model}, before {point}"
        self.tally.violations.extend(f"{where}: {text}" for text in found)
        report.unlink(missing_ok=True)


def _acks(entries: list[tuple[Any, ...]]) -> list[tuple[str, dict[str, Any]]]:
    return [(entry[1], entry[2]) for entry in entries if entry[0] == "ack"]


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sanad-crash-", dir=FAST if os.access(FAST, os.W_OK) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
