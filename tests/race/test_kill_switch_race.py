"""Real processes on one kill switch: no engagement is lost, and it ends inactive only when a release came last."""

import json
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from desk.base.paths import CHECKOUT
from desk.risk import latches
from unit.risk.latch_kit import Room, make

PROCESSES = 8
ACTS = 12
RACER = """
import json, random, sys, time
from desk.base import clock
from desk.base.errors import WorldError
from desk.base.paths import Home
from desk.config.load import load
from desk.journal.chain import Context
from desk.journal.journal import Journal
from desk.risk import kill_forms, kill_switch, latches
from desk.risk.kill_reasons import ReleaseFacts
from pathlib import Path
root, name, start, acts = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4].split(",")
home = Home(root)
settings = load(home)
time.sleep(max(0, start - time.time()))
for number, act in enumerate(acts):
    journal = Journal(home, Context(run_id=name, cycle_id=name, script="racer", mode="PAPER", instance="i1"))
    begun, note, done = time.monotonic_ns(), f"{name}-{number}", False
    try:
        if act == "engage":
            report = kill_switch.engage(home, journal, note, name)
            done = report.journalled and report.file_written
        elif act == "release":
            facts = ReleaseFacts(now_ms=clock.now_ms())
            done = kill_switch.release(home, journal, "race", name, lambda fold, doc: facts, is_live=False).released
        else:
            done = not latches.sync_environment(home, journal, settings).problems
    except WorldError as error:
        print(json.dumps({"act": "busy", "note": error.line(), "begun": begun, "ended": begun, "done": False}))
        continue
    ended = time.monotonic_ns()
    print(json.dumps({"act": act, "note": note, "begun": begun, "ended": ended, "done": done}), flush=True)
"""


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    room = make(tmp_path, monkeypatch, "PAPER")
    room.stamp()
    room.sync()
    return room


def start(room: Room, plans: list[list[str]]) -> list[subprocess.Popen[str]]:
    """One process per plan, all beginning together."""
    at = datetime.now(UTC).timestamp() + 2.0
    environment = {"PYTHONPATH": str(CHECKOUT / "scripts"), "PATH": "/usr/bin:/bin", "SYSTEM_MODE": "PAPER"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(room.home.root), f"p{number}", str(at), ",".join(plan)],
            env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number, plan in enumerate(plans)
    ]  # fmt: skip


def ended(racers: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """What every process says it did."""
    found = [racer.communicate(timeout=120) for racer in racers]
    problems = [error for racer, (_, error) in zip(racers, found, strict=True) if racer.returncode]
    assert not problems, problems
    return [json.loads(line) for out, _ in found for line in out.splitlines()]


def check_nothing_lost(room: Room, acts: list[dict[str, Any]]) -> None:
    """Every engagement that reported itself stands in the journal, and none came after the last release in vain."""
    notes = {line["data"]["note"] for line in room.events("KILL_SWITCH_ACTIVATED")}
    engaged = [act for act in acts if act["act"] == "engage" and act["done"]]
    assert {act["note"] for act in engaged} <= notes
    if not room.latches().kill.active:
        releases = [act for act in acts if act["act"] == "release" and act["done"]]
        assert releases, "inactive without a release"
        last = max(act["ended"] for act in releases)
        assert all(act["begun"] < last for act in engaged), "an engagement after the last release was lost"
        assert room.events("KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED")[-1]["event"] == "KILL_SWITCH_DEACTIVATED"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_engage_release_and_ticks_race(paper: Room, seed: int) -> None:
    chance = random.Random(seed)
    plans = [chance.choices(["engage", "release", "tick"], [4, 3, 2], k=ACTS) for _ in range(PROCESSES)]
    acts = ended(start(paper, plans))
    assert len(acts) == PROCESSES * ACTS
    assert sum(act["done"] for act in acts if act["act"] == "engage") > ACTS  # the race really engaged
    assert paper.events("KILL_SWITCH_DEACTIVATED")  # and really released
    check_nothing_lost(paper, acts)


def test_releases_that_race_journal_each_release_once(paper: Room) -> None:
    paper.engage("manual")
    acts = ended(start(paper, [["release"]] * PROCESSES))
    assert sum(act["done"] for act in acts) == 1
    assert len(paper.events("KILL_SWITCH_DEACTIVATED")) == 1
    assert not paper.latches().kill.active


def test_an_engagement_after_everything_always_holds(paper: Room) -> None:
    """Ticks must never undo or outrun a release, nor a release an engagement that began after it."""
    plans = [["engage", "release"] * 4] * 4 + [["tick"] * ACTS] * 4
    acts = ended(start(paper, plans))
    check_nothing_lost(paper, acts)
    acts += ended(start(paper, [["engage"]] * PROCESSES))
    assert paper.latches().kill.active
    paper.sync()
    assert paper.doc("kill_switch")["state"] == "active" and paper.fold().portfolio.kill_switch.state == "active"


def test_processes_killed_at_any_moment_never_leave_it_released_by_half(paper: Room) -> None:
    """SIGKILL amid engage and release: file and journal are whole, and off only when the journal says so."""
    chance = random.Random(7)
    for _ in range(4):
        racers = start(paper, [chance.choices(["engage", "release"], k=400) for _ in range(4)])
        for racer in racers:
            racer.stdout.readline()  # type: ignore[union-attr]
        for racer in racers:
            racer.send_signal(signal.SIGKILL)
            racer.communicate(timeout=60)
        found = latches.effective(paper.home, paper.fold(), paper.settings())
        assert found.problems == () and found.edited == ()
        if not found.kill.active:
            assert paper.fold().portfolio.kill_switch.state == "inactive"
        paper.journal().transact(lambda fold: [])
        before = found.kill.active
        paper.sync()
        assert paper.latches().kill.active == before
        again = paper.release()
        assert not again.held and not paper.latches().kill.active
