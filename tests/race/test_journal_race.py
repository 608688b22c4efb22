"""Many processes on one journal: no event lost, none twice, one chain, whatever they do at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import journalkit as kit
from desk.base.paths import Home
from desk.journal import files, verify, walk
from desk.journal.state import plain

SCRIPTS = Path(files.__file__).resolve().parents[2]
PROCESSES = 8
ROUNDS = 25
WORKER = """
import sys, time
from pathlib import Path
from desk.base import clock
from desk.base.errors import LockBusy
from desk.base.paths import Home
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal

root, name, rounds, day_ms = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
book = Journal(Home(root), Context(run_id=name, cycle_id=name, script=name, mode="PAPER", instance="acct"))
clock.start_tick()
start = clock._Anchor.wall_ms
while not (root / "go").exists():
    time.sleep(0.001)
for number in range(rounds):
    clock._Anchor.wall_ms = start + number * day_ms

    def decide(fold):
        seen = fold.portfolio.decisions_seen
        mine = f"{name}-{number}"
        return [NewEvent(event=Event.DECISION_PROPOSED, data={"kind": "ENTRY", "side": "BUY", "strategy": "s"},
                         decision_id=f"n{len(seen)}"), NewEvent(event=Event.NOTE, data={"text": mine})]

    for attempt in range(50):
        try:
            _, lines = book.transact(decide)
            break
        except LockBusy:
            continue
    print(lines[-1].seq, lines[-1].hash, f"{name}-{number}", flush=True)
    if number % 7 == 3:
        book.publish()
    if number % 5 == 2:
        book.read_fold()
"""


def run_workers(home: Home, count: int, rounds: int, day_ms: int = 0) -> list[tuple[int, str, str]]:
    """(seq, hash, text) of every acknowledged group."""
    command = [sys.executable, "-c", WORKER, str(home.root)]
    workers = [
        subprocess.Popen(
            [*command, f"w{number}", str(rounds), str(day_ms)], env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(count)
    ]  # fmt: skip
    (home.root / "go").touch()
    acknowledged = []
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err[-2000:]
        for line in out.splitlines():
            seq, mark, text = line.split()
            acknowledged.append((int(seq), mark, text))
    return acknowledged


@pytest.mark.parametrize("day_ms", [0, kit.DAY_MS // 5], ids=["one_day", "rotating"])
def test_no_event_is_lost_doubled_or_misplaced(day_ms: int):
    with kit.temporary_home() as home:
        kit.write_notes(kit.journal(home), "opened")
        acknowledged = run_workers(home, PROCESSES, ROUNDS, day_ms)
        lines = kit.every_line(home)
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        by_seq = {line["seq"]: line for line in lines}
        assert len(acknowledged) == PROCESSES * ROUNDS
        for seq, mark, text in acknowledged:
            assert (by_seq[seq]["hash"], by_seq[seq]["data"]["text"]) == (mark, text)
        texts = [line["data"]["text"] for line in lines if line["event"] == "NOTE"]
        assert len(texts) == len(set(texts)) == PROCESSES * ROUNDS + 1
        paths = [path for _, path in files.sealed(home)]
        assert bool(paths) is bool(day_ms)
        assert kit.independent_check([*paths, home.journal]) == len(lines)
        assert verify.verify(home, {}).code == verify.WHOLE


def test_two_deciders_never_act_on_one_stale_fold():
    """Each numbers its decision by how many it has seen: a stale fold would give a number twice."""
    with kit.temporary_home() as home:
        kit.write_notes(kit.journal(home), "opened")
        run_workers(home, PROCESSES, ROUNDS)
        numbers = [line["decision_id"] for line in kit.every_line(home) if line["event"] == "DECISION_PROPOSED"]
        assert numbers == [f"n{number}" for number in range(PROCESSES * ROUNDS)]
        assert plain(kit.journal(home).publish()) == plain(walk.refold(home))
        assert json.loads((home.state / "portfolio.json").read_bytes())["applied_seq"] == len(kit.every_line(home))
