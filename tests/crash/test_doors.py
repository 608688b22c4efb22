"""Every writing door, killed at every step and cut from power (design 8). `make crash`; FULL=1 for every point."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import daykit
from crash import harness
from crash import scenarios_doors as doors
from crash.harness import Tally
from lab.day import Day

pytestmark = pytest.mark.crash
MODULE = "crash.scenarios_doors"
NO_LIMIT = "0"  # hundreds of runs meet one simulator whose minute never ends
SAMPLE = 8  # points of each model and scene in the sampled run


class Clock:
    """The test's clock: `/sim/clock` tells it, `/turn/MS` sets it."""

    def __init__(self) -> None:
        outer = self
        self.now_ms = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/turn/"):
                    outer.now_ms = int(self.path.rpartition("/")[2])
                body = json.dumps({"now_ms": outer.now_ms}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a child that died while asking
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass(frozen=True)
class Plot:
    """What leads to the moment of interest, and the doors that run in it."""

    prepare: Callable[[Day], None]
    jobs: tuple[tuple[str, ...], ...]
    changes: dict[str, str] = field(default_factory=dict)
    rises: bool = False  # the price goes up 5 % in the minute before


def _minute(played: Day) -> None:
    played.sim.advance(60_000)


def _quiet(played: Day) -> None:
    played.play(3)
    _minute(played)


def _enter(played: Day) -> None:
    _quiet(played)
    daykit.drop_signal(played, "in", notional_quote="100", stop_price="30000", target_price="90000")


def _held(played: Day) -> None:
    _enter(played)
    played.play(1)
    _minute(played)


def _exit(played: Day) -> None:
    _held(played)
    daykit.drop_signal(played, "out", side="SELL", kind="EXIT", edge_bps=None)


def _next_day(played: Day) -> None:
    _held(played)
    played.sim.advance(86_400_000)


QUIET = daykit.NO_STRATEGIES
TRAIL = QUIET | {
    'trail_after_frac = "0.01"': 'trail_after_frac = "0"',
    'trail_frac = "0.01"': 'trail_frac = "0.0005"',
}
CYCLE = (("reconcile",), ("router",), ("heartbeat",))
PLOTS = {
    "first_tick": Plot(_minute, CYCLE, QUIET),
    "entry": Plot(_enter, (("router",),), QUIET),
    "exit": Plot(_exit, (("router",),), QUIET),
    "trail": Plot(_held, (("router",),), TRAIL, rises=True),
    "reconcile": Plot(_held, (("reconcile",), ("heartbeat",)), QUIET),
    "new_day": Plot(_next_day, CYCLE, QUIET),
    "kill_switch": Plot(_held, (("kill_switch", "engage", "--reason", "rehearsal"),), QUIET),
    "pause_resume": Plot(
        _quiet, (("pause", "--reason", "x"), ("resume", "--reason", "y", "--ack", "I_UNDERSTAND")), QUIET
    ),
    "flatten": Plot(_held, (("orders", "flatten", "--reason", "x", "--yes"), ("router",)), QUIET),
    "cancel_protection": Plot(
        _held, (("orders", "cancel-all", "--reason", "x", "--protection", "--yes"), ("router",)), QUIET
    ),
    "limits": Plot(_quiet, (("limits", "set", "size_frac=0.5", "--for", "4h", "--reason", "x"),), QUIET),
}


@contextmanager
def scene(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a scene: its master home, a simulator that stands still, and a clock to turn."""
    plot, turned = PLOTS[name], Clock()
    try:
        sim = ("--seed", "5", "--weight-limit", NO_LIMIT, *(("--scenario", _rise(folder)) if plot.rises else ()))
        with daykit.day(folder / "master", "BTCUSDT", *sim, changes=plot.changes) as played:
            with played._environment():
                plot.prepare(played)
            now_ms = daykit.get(played.sim.admin_url + "/sim/clock")["now_ms"]
            turned.now_ms = now_ms
            yield played.env | {
                "SANAD_CLOCK": turned.url + "/sim/clock", doors.MASTER: str(folder / "master"), doors.CLOCK: turned.url,
                doors.JOBS: json.dumps(plot.jobs), doors.START: str(now_ms),
            }  # fmt: skip
    finally:
        turned.stop()


def _rise(folder: Path) -> str:
    path = folder / "rise.json"
    event = {"after_ms": 300_000, "price": {"symbol": "BTCUSDT", "factor": "1.05", "over_ms": 60_000}}
    path.write_text(json.dumps({"events": [event]}))
    return str(path)


def _sweep(name: str, env: dict[str, str], plant: str = "", sample: int = SAMPLE) -> Tally:
    scenario = next(one for one in doors.SCENARIOS if one.name == name)
    return harness.sweep(replace(scenario, env=env), MODULE, plant=plant, sample=sample, every_variant=False)


@pytest.mark.parametrize("name", PLOTS)
def test_a_door_may_end_anywhere(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with scene(name, tmp_path) as env:
        tally = _sweep(name, env)
    record_property("crash", str(tally))
    tally.proves(next(one for one in doors.SCENARIOS if one.name == name).counts_orders)


@pytest.mark.parametrize("plant", ["fsync removed", "order sent before its intent", "group split"])
def test_a_planted_bug_is_caught(plant: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with scene("entry", tmp_path) as env:
        tally = _sweep("entry", env, plant, sample=40)
    record_property("crash", str(tally))
    assert tally.violations, f"{plant}: went unnoticed over {tally.deaths} deaths and {tally.images} power cuts"
