"""Real processes on one breaker file: no failure is lost, exactly one probe goes out, a dead prober is noticed."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from desk.base.paths import CHECKOUT, Home
from desk.config.schema import Breakers as Limits
from desk.risk import breaker
from desk.risk.breaker import Breakers
from desk.risk.breaker_rules import State
from desk.venues.table import Purpose

PROCESSES = 8
API = "binance_api"
HEAD = """
import sys, time
from desk.base.paths import Home
from desk.config.schema import Breakers as Limits
from desk.risk.breaker import Breakers
from desk.venues.table import Purpose
from pathlib import Path
home, start = Home(Path(sys.argv[1])), float(sys.argv[2])
limits = Limits(failures_max=10_000, window_s=600)
hand = Breakers(home, limits, "racer", lambda level, line: print(line, file=sys.stderr))
time.sleep(max(0, start - time.time()))
"""
RECORD = (
    HEAD
    + """
for _ in range(25):
    ticket = hand.admit("binance_api", Purpose.READ)
    assert ticket.allowed
    hand.record_failure(ticket, "http 500", None, False)
"""
)
PROBE = (
    HEAD
    + """
print(int(hand.admit("binance_api", Purpose.READ).allowed))
"""
)
TRIP = (
    HEAD.replace("failures_max=10_000", "failures_max=5")
    + """
for _ in range(5):
    ticket = hand.admit("binance_api", Purpose.READ)
    if ticket.allowed:
        hand.record_failure(ticket, "http 500", None, False)
"""
)


def race(root: Path, code: str) -> list[str]:
    """Run the code in several processes that start together; their outputs."""
    start = datetime.now(UTC).timestamp() + 2.5
    environment = {"PYTHONPATH": str(CHECKOUT / "scripts"), "PATH": "/usr/bin:/bin"}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(root), str(start)], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]  # fmt: skip
    ended = [racer.communicate(timeout=120) for racer in racers]
    problems = [error for racer, (_, error) in zip(racers, ended, strict=True) if racer.returncode]
    assert not problems
    return [out.strip() for out, _ in ended]


def hand(root: Path) -> Breakers:
    return Breakers(Home(root).ensure(), Limits(), "test", lambda level, line: None)


def write(root: Path, state: str, seconds_ago: int) -> None:
    entry = {"state": state, "failure_count": 5}
    entry["cooldown_until"] = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    (Home(root).ensure().state / "circuit_breakers.json").write_text(json.dumps({API: entry}))


def test_no_failure_is_lost(tmp_path: Path) -> None:
    Home(tmp_path).ensure()
    race(tmp_path, RECORD)
    raw = json.loads((tmp_path / "state" / "circuit_breakers.json").read_text())
    assert raw[API]["failure_count"] == PROCESSES * 25


def test_exactly_one_probe_goes_out(tmp_path: Path) -> None:
    write(tmp_path, "open", seconds_ago=5)
    assert sorted(race(tmp_path, PROBE)) == ["0"] * (PROCESSES - 1) + ["1"]


def test_the_full_cycle_across_processes(tmp_path: Path) -> None:
    """Five failures -> open -> expired -> one probe -> its process ends -> TTL -> open again -> probe -> closed."""
    Home(tmp_path).ensure()
    race(tmp_path, TRIP)
    path = tmp_path / "state" / "circuit_breakers.json"
    raw = json.loads(path.read_text())
    assert (raw[API]["state"], len(raw[API]["trips"])) == ("open", 1)
    write(tmp_path, "open", seconds_ago=1)
    assert race(tmp_path, PROBE).count("1") == 1  # and that process is gone now, with the lease
    raw = json.loads(path.read_text())
    raw[API]["probe"]["expires_at"] = datetime.now(UTC).isoformat()
    path.write_text(json.dumps(raw))
    assert [(c.old, c.new) for c in hand(tmp_path).time_step()] == [("half_open", "open")]
    write(tmp_path, "open", seconds_ago=1)
    one = hand(tmp_path)
    one.record_success(one.admit(API, Purpose.READ))
    found = breaker.view(Home(tmp_path), Limits())
    assert found.state(API) is State.CLOSED
    assert found.entries[API].last_success_ms > 0
