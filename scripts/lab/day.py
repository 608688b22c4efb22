"""Playing a market day: a stepped simulator is advanced, then the due jobs run one after another.

Owns the schedule of a played day (reconcile, router, heartbeat, in that order) and nothing of what they do. Jobs run
as separate processes (as cron would) or in this process (fast): the journal must come out the same, by hash.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever the host's proxy
ORDER = ("reconcile", "router", "heartbeat")  # design 5, Time
START_TIMEOUT_S = 60
JOB_TIMEOUT_S = 120


@dataclass
class JobResult:
    """One job's end."""

    door: str
    exit_code: int
    last_line: str


@dataclass
class Sim:
    """A simulator process and where it answers."""

    process: subprocess.Popen[str]
    rest_url: str
    admin_url: str
    now_ms: int
    ws_url: str = ""

    def advance(self, ms: int) -> None:
        """Move the market's time."""
        self._post("/sim/advance", {"ms": ms})

    def fault(self, **body: object) -> None:
        """Arm a fault."""
        self._post("/sim/faults", body)

    def books(self) -> dict[str, object]:
        """The exchange's own books."""
        with LOOPBACK.open(self.admin_url + "/sim/books", timeout=30) as answer:
            found = json.load(answer)
        assert isinstance(found, dict)
        return found

    def stop(self) -> None:
        """End the process this object started."""
        self.process.terminate()
        self.process.communicate(timeout=30)  # reads what is left and closes both pipes

    def _post(self, path: str, body: object) -> None:
        raw = json.dumps(body).encode()
        request = urllib.request.Request(self.admin_url + path, raw, {"Content-Type": "application/json"})  # noqa: S310
        LOOPBACK.open(request, timeout=60).read()


def start_sim(*arguments: str) -> Sim:
    """Start `exchange_sim.py --port 0 ...` and wait for its first line.

    Raises:
        RuntimeError: it did not start; carries its last words.
    """
    command = [sys.executable, str(SCRIPTS / "exchange_sim.py"), "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        _, words = process.communicate(timeout=START_TIMEOUT_S)
        raise RuntimeError(words.strip() or "the simulator did not start")
    found = json.loads(line)
    return Sim(process, found["rest_url"], found["admin_url"], found["now_ms"], found.get("ws_url", ""))


def environment(home: Path, sim: Sim, symbols: tuple[str, ...], venue: str = "binance") -> dict[str, str]:
    """What a door needs to trade on paper against the simulator."""
    upper = venue.upper()
    return {
        "SANAD_HOME": str(home), "SYSTEM_MODE": "PAPER", "VENUES": venue, "VENUE_ENV": "sim",
        f"{upper}_REST_URL": sim.rest_url, f"{upper}_API_KEY": "simkey", f"{upper}_API_SECRET": "simsecret",
        f"{upper}_WS_URL": sim.ws_url, "SANAD_CLOCK": sim.admin_url + "/sim/clock",
        "UNIVERSE_SYMBOLS": ",".join(symbols), "PYTHONDONTWRITEBYTECODE": "",
    }  # fmt: skip


@dataclass
class Day:
    """A played day: one simulator, one home."""

    home: Path
    sim: Sim
    env: dict[str, str]
    in_process: bool
    tick_s: int = 60
    reconcile_every_s: int = 300
    counts: dict[str, int] = field(default_factory=dict)

    def play(self, ticks: int, on_tick: Callable[[int, list[JobResult]], None] | None = None) -> None:
        """Advance and run what is due, `ticks` times."""
        with self._environment():
            for number in range(ticks):
                self.sim.advance(self.tick_s * 1000)
                due = [
                    door for door in ORDER if door != "reconcile" or number * self.tick_s % self.reconcile_every_s == 0
                ]
                results = [self.run(door) for door in due]
                for result in results:
                    name = f"{result.door} exit {result.exit_code}"
                    self.counts[name] = self.counts.get(name, 0) + 1
                if on_tick is not None:
                    on_tick(number + 1, results)

    def run(self, door: str, *arguments: str) -> JobResult:
        """One job, as a process or in this process."""
        return self._call(door, arguments) if self.in_process else self._spawn(door, arguments)

    def _spawn(self, door: str, arguments: tuple[str, ...]) -> JobResult:
        command = [sys.executable, str(SCRIPTS / f"{door}.py"), *arguments]
        done = subprocess.run(  # noqa: S603
            command, env=os.environ | self.env, capture_output=True, text=True, timeout=JOB_TIMEOUT_S, check=False
        )
        lines = (done.stdout + done.stderr).strip().splitlines()
        return JobResult(door, done.returncode, lines[-1] if lines else "")

    def _call(self, door: str, arguments: tuple[str, ...]) -> JobResult:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = import_module(door).main(list(arguments))
        lines = out.getvalue().strip().splitlines()
        return JobResult(door, code, lines[-1] if lines else "")

    @contextlib.contextmanager
    def _environment(self) -> Iterator[None]:
        before = dict(os.environ)
        os.environ.update(self.env)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
