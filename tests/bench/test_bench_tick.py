"""What one cold tick costs: CPU and peak memory of real processes on an idle market, against bare imports."""

import functools
import os
import sys
from pathlib import Path

import pytest

from bench import market, measure, report
from lab.day import SCRIPTS, Day

pytestmark = pytest.mark.bench
ROUNDS = 9
RSS_MIB_MAX = 60
TARGETS = {"reconcile": 1.5, "router": 2.0, "heartbeat": 1.5}  # x the floor; in the order of a played tick
FINISHED = {0, 1}


def test_a_cold_tick_costs_little_more_than_its_imports(tmp_path: Path) -> None:
    with market.idle(tmp_path) as played:
        running, broken = _warm_up(played)
        found = _measure(played, running, tmp_path / "printed")
    floor_s = measure.cpu_of(found["floor"])
    rows = [["floor (bare imports)", floor_s * 1000, 1.0, "", "", measure.rss_of(found["floor"]), ""]]
    for door in running:
        ratio = measure.cpu_of(found[door]) / floor_s
        rss = measure.rss_of(found[door])
        rows.append([
            door, ratio * floor_s * 1000, ratio, f"<= {TARGETS[door]}", report.word(ratio, TARGETS[door]), rss,
            report.word(rss, RSS_MIB_MAX),
        ])  # fmt: skip
    rows += [[door, "-", "-", "", "SKIPPED: " + why, "-", ""] for door, why in broken.items()]
    headers = ["cold tick", "CPU ms", "x floor", "target", "", "peak MiB", f"<= {RSS_MIB_MAX}"]
    report.show(f"One tick as its own process, idle market, median of {ROUNDS}, interleaved", headers, rows)
    assert "router" in running
    ended = {door: {cost.exit_code for cost in found[door]} for door in running}
    assert all(codes <= FINISHED for codes in ended.values()), ended


def _warm_up(played: Day) -> tuple[list[str], dict[str, str]]:
    """One tick of each door, so that byte code, books and filters are there; (doors that run, others with why)."""
    running, broken = [], {}
    for door in TARGETS:
        if not (SCRIPTS / f"{door}.py").is_file():
            broken[door] = "not there yet"
            continue
        for _ in range(2):
            played.sim.advance(market.MINUTE_MS)
            result = played.run(door)
        if result.exit_code in FINISHED and "Error" not in result.last_line:
            running.append(door)
        else:
            broken[door] = f"exit {result.exit_code}: {result.last_line[:60]}"
    return running, broken


def _measure(played: Day, doors: list[str], printed: Path) -> dict[str, list[measure.Cost]]:
    env = os.environ | played.env
    commands = {"floor": functools.partial(measure.cost_of, measure.floor_command(), env, printed)}
    for door in doors:
        command = (sys.executable, str(SCRIPTS / f"{door}.py"))
        commands[door] = functools.partial(measure.cost_of, command, env, printed)
    return measure.interleaved(commands, ROUNDS, lambda: played.sim.advance(market.MINUTE_MS))
