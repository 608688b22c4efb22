"""How many groups of ten events a second become durable, against a bare write and fsync of the same bytes."""

import os
import statistics
import time
from pathlib import Path

import pytest

from bench import report
from desk.base.paths import Home
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal

pytestmark = pytest.mark.bench
BLOCKS = 8
GROUPS = 60  # of a block; blocks of both kinds take turns, so that a busy disk slows both alike
RATIO_MIN = 0.8
STAGES = ("RECOVER", "SNAPSHOT", "MANAGE", "PROPOSE", "POLICY", "EXECUTE", "SETTLE", "PUBLISH")


def quiet_tick(tick_ms: int) -> list[NewEvent]:
    """The ten events of a router tick without a trade."""
    stages = [
        NewEvent(event=Event.STAGE_CHANGED, data={"stage": stage, "tick_ms": tick_ms, "ordinal": 0}) for stage in STAGES
    ]
    mark = NewEvent(event=Event.CAPITAL_MARKED, venue="binance", data={"quote": "USDT", "equity": "10001.25"})
    ended = NewEvent(event=Event.RUN_ENDED, data={"verdict": "completed", "blocked": [], "orders": 0})
    return [*stages, mark, ended]


def test_durable_groups_against_bare_writes(tmp_path: Path) -> None:
    ctx = Context(run_id="r1", cycle_id="c1", script="router", mode="PAPER", instance="bench")
    home = Home(tmp_path).ensure()
    journal = Journal(home, ctx)
    journal.transact(lambda fold: quiet_tick(0))
    ours, bare = [], []
    for _ in range(BLOCKS):
        start = home.journal.stat().st_size
        ours.append(_append(journal))
        raw = home.journal.read_bytes()[start:]
        bare.append(_write(tmp_path / "bare", raw))
    ours_s, bare_s = statistics.median(ours), statistics.median(bare)
    ratio = bare_s / ours_s
    rows = [
        ["bare write + fsync", GROUPS / bare_s, 1.0, "", ""],
        ["Journal.transact", GROUPS / ours_s, ratio, f">= {RATIO_MIN}", report.word(ratio, RATIO_MIN, at_least=True)],
    ]
    headers = ["groups of ten, durable", "a second", "x bare", "target", ""]
    report.show(f"Journal, median of {BLOCKS} blocks of {GROUPS}", headers, rows)
    own_ms, sync_ms = (ours_s - bare_s) * 1000 / GROUPS, bare_s * 1000 / GROUPS
    enough_ms = own_ms * RATIO_MIN / (1 - RATIO_MIN)
    print(f"a bare group takes {sync_ms:.2f} ms on this disk, ours {own_ms:.2f} ms more: ", end="")
    print(f"{RATIO_MIN} is met where a write and fsync take {enough_ms:.1f} ms or more")
    lines = home.journal.read_bytes().count(b"\n")
    assert lines == 1 + 10 * (1 + BLOCKS * GROUPS), "every group is there, and nothing else but the genesis"


def _append(journal: Journal) -> float:
    started = time.perf_counter()
    for number in range(GROUPS):
        journal.transact(lambda fold, number=number: quiet_tick(number))
    return time.perf_counter() - started


def _write(path: Path, raw: bytes) -> float:
    """The same bytes, a group at a time, to an open file."""
    lines = raw.splitlines(keepends=True)
    groups = [b"".join(lines[start : start + 10]) for start in range(0, len(lines), 10)]
    assert len(groups) == GROUPS
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        started = time.perf_counter()
        for group in groups:
            os.write(handle, group)
            os.fsync(handle)
        return time.perf_counter() - started
    finally:
        os.close(handle)
