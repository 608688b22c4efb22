"""Every latch's alert names the one command that clears it, and that command works once the cause is gone."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from desk.base import clock
from desk.base.reasons import Reason, find
from desk.risk import kill_reasons, pause, pause_causes
from unit.risk.latch_kit import Room, make

COMMAND = re.compile(r"([a-z_]+)\.py ([^;,()]*)")
BY_OTHER_DOORS = {  # what stands before the release: tried in test_reseal_day and test_bad_input_state
    str(Reason.AUDIT_DAMAGED): "audit.py reseal", str(Reason.AUDIT_SHRUNK): "audit.py reseal",
    str(Reason.PAPER_LOST): "mode.py switch",
}  # fmt: skip


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return make(tmp_path, monkeypatch, "PAPER")


def healthy(room: Room) -> None:
    """Every job has just run, nothing is active, reconcile was clean; the doors read the host's own clock."""
    now_ms = clock.start_tick()
    (room.home.state / "runs").mkdir(exist_ok=True)
    for door in ("heartbeat", "router", "reconcile"):
        room.hand(f"runs/{door}", json.dumps({"lastRunAtMs": now_ms}))
    room.hand("system_status", '{"active_codes": []}')
    found = {"last_success_ms": now_ms, "clean": True, "score": 0}
    room.hand("reconcile", json.dumps(found))
    room.hand("paper_broker", "{}")


def action_of(room: Room, code: str) -> str:
    """What the newest alert of a code tells the operator to do."""
    (*_, last) = [line["data"] for line in room.events("ALERT_RAISED") if line["data"]["code"] == code]
    assert last["severity"] in {"CRIT", "WARN"}
    return str(last["action"])


def run(action: str, wanted: str) -> int:
    """Run the alert's command as the operator would."""
    commands = [(door, words) for door, words in COMMAND.findall(action) if door == wanted]
    assert len(commands) == 1, action
    words = commands[0][1].replace("TEXT", "a-test").split()
    code: int = import_module(wanted).main(words)
    return code


@pytest.mark.parametrize("row", kill_reasons.ROWS, ids=lambda row: row.name)
def test_a_kill_reasons_own_command_releases_it(paper: Room, row: Any) -> None:
    paper.stamp()
    paper.engage(row.name, key_marks={"binance": "another key"})
    action = action_of(paper, str(row.code))
    healthy(paper)
    assert run(action, "kill_switch") == 0
    assert not paper.latches().kill.active


@pytest.mark.parametrize("code", [str(code) for code in pause_causes.TABLE])
def test_a_pauses_own_command_releases_it(paper: Room, code: str) -> None:
    paper.stamp()
    state = "DEGRADE" if code == Reason.MANUAL_DEGRADE else "PAUSE"
    pause.latch_pause(paper.home, paper.journal(), (code,), "tester", state=state)
    action = action_of(paper, code)
    healthy(paper)
    if code in BY_OTHER_DOORS:
        assert BY_OTHER_DOORS[code] in action
        action = Reason.MODE_PAUSE.action
    assert run(action, "resume") == 0
    assert paper.latches().pause.state == "NORMAL"


def test_no_latch_without_a_cause_in_the_table() -> None:
    """What heartbeat may latch has a row that says when it lets go."""
    from desk.risk import system_mode

    latching = {code for code, mode in system_mode.SIGNALS.items() if mode == "PAUSE"}
    assert latching <= set(pause_causes.TABLE)
    assert all(find(str(code)) is not None for code in pause_causes.TABLE)
