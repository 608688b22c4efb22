"""Settling: what one place holds alone is taken into the other; nothing is ever let go by it."""

from pathlib import Path

import pytest

from desk.base.errors import JournalUnwritable
from desk.base.reasons import Reason
from desk.journal import files
from desk.risk import pause
from desk.state import store
from unit.risk.latch_kit import START_MS, Room, make


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr("desk.state.store.READ_TRY_GAP_S", 0.0)
    room = make(tmp_path, monkeypatch, "PAPER")
    room.stamp()
    return room


def test_missing_control_files_are_put_in_place(paper: Room) -> None:
    paper.sync()
    assert paper.doc("kill_switch")["state"] == "inactive" and paper.doc("pause")["state"] == "NORMAL"
    assert paper.latches().edited == ()


def test_a_quiet_sync_writes_nothing(paper: Room) -> None:
    paper.sync()
    before = {path: path.stat().st_mtime_ns for path in paper.home.state.glob("*.json")}
    seq = paper.fold().seq
    for _ in range(3):
        assert paper.sync().problems == ()
    assert {path: path.stat().st_mtime_ns for path in paper.home.state.glob("*.json")} == before
    assert paper.fold().seq == seq


def test_a_hand_written_engagement_is_journalled_and_then_survives_the_files_loss(paper: Room) -> None:
    paper.hand("kill_switch", '{"state": "active", "reason": "saw something odd", "extra": 1}')
    paper.sync()
    assert [line["data"]["reason"] for line in paper.events("KILL_SWITCH_ACTIVATED")] == ["manual"]
    assert paper.events("KILL_SWITCH_ACTIVATED")[0]["data"]["note"] == "saw something odd"
    assert paper.doc("kill_switch")["extra"] == 1 and not store.was_edited(paper.doc("kill_switch"))
    paper.hand("kill_switch", '{"state": "inactive"}')
    assert paper.latches().kill.active
    paper.path("kill_switch").unlink()
    assert paper.latches().kill.active
    paper.sync()
    assert paper.doc("kill_switch")["state"] == "active"
    assert len(paper.events("KILL_SWITCH_ACTIVATED")) == 1


def test_control_edited_is_journalled_once_per_content(paper: Room) -> None:
    paper.sync()
    for _ in range(2):
        paper.hand("kill_switch", '{"state": "inactive", "by": "me"}')
        paper.sync()
        paper.sync()
    edits = paper.events("CONTROL_EDITED")
    assert [line["data"]["file"] for line in edits] == ["kill_switch.json"]
    assert paper.events("ALERT_RAISED")[-1]["data"]["severity"] == "WARN"
    paper.hand("kill_switch", '{"state": "inactive", "by": "you"}')
    paper.sync()
    assert len(paper.events("CONTROL_EDITED")) == 2


def test_every_control_file_is_watched(paper: Room) -> None:
    paper.hand("pause", '{"state": "DEGRADE", "reasons": ["slow"], "by": "me"}')
    paper.hand("limits_overlay", '{"size_frac": "0.5"}')
    paper.sync()
    assert {line["data"]["file"] for line in paper.events("CONTROL_EDITED")} == {"pause.json", "limits_overlay.json"}
    assert paper.events("PAUSE_RAISED")[0]["data"]["reasons"] == ["slow"]
    assert paper.doc("limits_overlay")["size_frac"] == "0.5" and not store.was_edited(paper.doc("limits_overlay"))


def test_a_corrupt_file_is_latched_and_left_until_a_command(paper: Room) -> None:
    paper.hand("kill_switch", "{")
    paper.hand("pause", "{")
    paper.sync()
    paper.sync()
    assert len(paper.events("KILL_SWITCH_ACTIVATED")) == 1 and len(paper.events("PAUSE_RAISED")) == 1
    assert paper.path("kill_switch").read_text() == "{"
    paper.hand("kill_switch", '{"state": "inactive"}')
    paper.hand("pause", '{"state": "NORMAL"}')
    assert paper.latches().kill.active and paper.latches().pause.state == "PAUSE"


def test_a_lost_file_in_live_is_latched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = make(tmp_path, monkeypatch, "LIVE")
    live.stamp()
    live.sync()
    assert live.doc("kill_switch")["state"] == "active" and live.doc("pause")["state"] == "NORMAL"
    assert live.release().released
    live.path("kill_switch").unlink()
    live.sync()
    assert live.fold().portfolio.kill_switch.state == "active"
    assert live.doc("kill_switch")["state"] == "active"


def test_a_lost_pause_file_in_live_reads_as_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = make(tmp_path, monkeypatch, "LIVE")
    live.stamp()
    live.sync()
    live.path("pause").unlink()
    assert live.latches().pause.state == "NORMAL"  # nobody has ever paused here: the file was only not yet made
    pause.latch_pause(live.home, live.journal(), [Reason.MANUAL_PAUSE], "tester")
    facts = pause.ResumeFacts(now_ms=START_MS)
    assert pause.resume(live.home, live.journal(), "ok", "tester", lambda fold, doc: facts, is_live=True).released
    live.path("pause").unlink()
    assert live.latches().pause.state == "PAUSE"
    live.sync()
    assert live.fold().portfolio.pause.state == "PAUSE"


def test_the_environment_engages_once_and_false_never_releases(paper: Room) -> None:
    paper.patch.setenv("KILL_SWITCH", "true")
    assert paper.sync().engaged and paper.sync().engaged
    assert len(paper.events("KILL_SWITCH_ACTIVATED")) == 1
    paper.patch.setenv("KILL_SWITCH", "false")
    assert not paper.sync().engaged
    assert paper.latches().kill.active and not paper.latches().env_kill


def test_a_journal_that_cannot_be_written_leaves_the_file_as_it_was(paper: Room) -> None:
    text = '{"state": "active", "by": "me"}'
    paper.hand("kill_switch", text)

    def full(home: object, raw: bytes, offset: int) -> None:
        raise OSError(5, "input/output error")

    paper.patch.setattr(files, "append", full)
    report = paper.sync()
    assert any("cannot be written" in problem for problem in report.problems)
    assert paper.path("kill_switch").read_text() == text and paper.latches().kill.active
    paper.patch.undo()


def test_the_environment_engages_although_the_journal_cannot_be_written(paper: Room) -> None:
    journal = paper.journal()
    journal._dead = "cannot be written (planted)"
    with pytest.raises(JournalUnwritable):
        journal.transact(lambda fold: [])
    paper.patch.setenv("KILL_SWITCH", "true")
    from desk.risk import latches

    report = latches.sync_environment(paper.home, journal, paper.settings())
    assert report.engaged and report.problems
    assert paper.doc("kill_switch")["state"] == "active"
