"""The effective latch is the strictest of file, journal and environment, whatever stands on the disk."""

from pathlib import Path

import pytest

from desk.base import clock
from desk.base.reasons import Reason
from desk.journal.state import empty
from desk.risk import latches
from unit.risk.latch_kit import START_MS, Room, make

HAND_WRITTEN = (
    ('{"state": "active"}', True, "reduce_only"),
    ('{"state": "ACTIVE", "reason": "daily_loss"}', True, "reduce_only"),
    ('{"state": "active", "level": "freeze_all"}', True, "freeze_all"),
    ('{"state": "active", "level": "Freeze-All"}', True, "freeze_all"),
    ('{"state": "active", "level": "freeze"}', True, "freeze_all"),
    ('{"state": "active", "level": "halt"}', True, "reduce_only"),
    ('{"state": "active", "level": 3, "since": 5, "reasons": "x", "by": []}', True, "reduce_only"),
    ('{"state": "inactive"}', False, ""),
    ('{"state": " Inactive "}', False, ""),
    ('{"state": "off"}', True, "reduce_only"),
    ('{"state": false}', True, "reduce_only"),
    ('{"active": false}', True, "reduce_only"),
    ("{}", True, "reduce_only"),
    ("", True, "reduce_only"),
    ('{"state": "inactive"', True, "reduce_only"),
    ("[]", True, "reduce_only"),
    ("\x00\xff", True, "reduce_only"),
)


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr("desk.state.store.READ_TRY_GAP_S", 0.0)
    room = make(tmp_path / "paper", monkeypatch, "PAPER")
    room.stamp()
    return room


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr("desk.state.store.READ_TRY_GAP_S", 0.0)
    room = make(tmp_path / "live", monkeypatch, "LIVE")
    room.stamp()
    return room


def test_paper_starts_inactive_and_live_active(paper: Room, live: Room) -> None:
    paper.patch.setenv("SYSTEM_MODE", "PAPER")
    assert not paper.latches().kill.active
    live.patch.setenv("SYSTEM_MODE", "LIVE")
    found = live.latches().kill
    assert found.active and found.reasons == ("manual",) and found.level == "reduce_only"
    assert live.latches().pause.state == "NORMAL"


@pytest.mark.parametrize(("text", "active", "level"), HAND_WRITTEN)
def test_a_hand_written_kill_switch(paper: Room, text: str, active: bool, level: str) -> None:
    paper.path("kill_switch").write_bytes(text.encode("latin-1"))
    found = paper.latches()
    assert (found.kill.active, found.kill.level) == (active, level)


def test_what_was_not_understood_is_a_problem(paper: Room) -> None:
    paper.hand("kill_switch", '{"state": "off"}')
    assert paper.latches().problems == (str(Reason.STATE_CORRUPT),)
    assert "state 'off'" in paper.latches().details[0]
    paper.hand("kill_switch", '{"state": "inactive"}')
    assert paper.latches().problems == () and paper.latches().edited == ("kill_switch",)


def test_a_files_inactive_is_not_believed_against_the_journal(paper: Room) -> None:
    paper.engage("daily_loss")
    for text in ('{"state": "inactive"}', '{"state": "inactive", "level": "reduce_only", "reason": ""}'):
        paper.hand("kill_switch", text)
        assert paper.latches().kill.active
        assert paper.latches().kill.reasons == ("daily_loss",)
    paper.path("kill_switch").unlink()
    assert paper.latches().kill.active


def test_a_missing_file_reads_as_the_journals_in_paper_and_active_in_live(paper: Room, live: Room) -> None:
    paper.patch.setenv("SYSTEM_MODE", "PAPER")
    paper.hand("kill_switch", '{"state": "inactive"}')
    paper.path("kill_switch").unlink()
    assert not paper.latches().kill.active
    live.patch.setenv("SYSTEM_MODE", "LIVE")
    assert live.release().released
    assert not live.latches().kill.active
    live.path("kill_switch").unlink()
    assert live.latches().kill.active and "missing" in live.latches().kill.note


def test_live_reads_a_paper_folder_by_the_live_rules(paper: Room) -> None:
    paper.patch.setenv("SYSTEM_MODE", "LIVE")
    assert paper.latches().kill.active


@pytest.mark.parametrize("name", ["kill_switch", "pause"])
def test_an_unreadable_file_reads_as_on(paper: Room, name: str) -> None:
    paper.path(name).mkdir()
    found = paper.latches()
    assert found.kill.active == (name == "kill_switch")
    assert found.pause.state == ("PAUSE" if name == "pause" else "NORMAL")
    assert found.problems == (str(Reason.STATE_CORRUPT),)


def test_an_unreadable_journal_believes_nothing_to_be_off(paper: Room) -> None:
    paper.hand("kill_switch", '{"state": "inactive"}')
    paper.hand("pause", '{"state": "NORMAL"}')
    found = latches.effective(paper.home, None, paper.settings())
    assert found.kill.active and found.pause.state == "PAUSE"
    assert found.kill.level == "reduce_only"  # exits stay open
    assert str(Reason.AUDIT_DAMAGED) in found.problems


def test_without_settings_an_unstamped_folder_reads_as_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = make(tmp_path, monkeypatch, "PAPER")
    assert latches.effective(room.home, empty(), None).kill.active
    assert not latches.effective(room.home, empty(), room.settings()).kill.active


@pytest.mark.parametrize(
    ("environ", "dotenv", "held"),
    [
        ("true", "", True),
        ("1", "", True),
        ("false", "KILL_SWITCH=true\n", True),
        ("", "# a comment\n\nKILL_SWITCH=yes\n", True),
        ("", "KILL_SWITCH=true\nKILL_SWITCH=false\n", False),
        ("false", "", False),
        ("", "", False),
    ],
)
def test_the_environment_holds_like_the_command(paper: Room, environ: str, dotenv: str, held: bool) -> None:
    paper.patch.setenv("KILL_SWITCH", environ)
    (paper.home.root / ".env").write_text(dotenv)
    found = paper.latches()
    assert (found.env_kill, found.kill.active) == (held, held)


def test_a_word_that_is_no_boolean_holds(paper: Room) -> None:
    paper.patch.setenv("KILL_SWITCH", "flase")
    assert latches.effective(paper.home, paper.fold(), None).kill.active


@pytest.mark.parametrize(
    ("text", "state", "reasons"),
    [
        ('{"state": "PAUSE"}', "PAUSE", (str(Reason.MANUAL_PAUSE),)),
        ('{"state": "pause", "reasons": ["checking"], "since": "x", "by": "me"}', "PAUSE", ("checking",)),
        ('{"state": "DEGRADE"}', "DEGRADE", (str(Reason.MANUAL_DEGRADE),)),
        ('{"state": "NORMAL"}', "NORMAL", ()),
        ('{"state": "ok"}', "PAUSE", (str(Reason.MANUAL_PAUSE),)),
        ("{}", "PAUSE", (str(Reason.MANUAL_PAUSE),)),
        ('{"state": "NORMAL"', "PAUSE", (str(Reason.STATE_CORRUPT),)),
    ],
)
def test_a_hand_written_pause(paper: Room, text: str, state: str, reasons: tuple[str, ...]) -> None:
    paper.hand("pause", text)
    assert (paper.latches().pause.state, paper.latches().pause.reasons) == (state, reasons)


def test_reasons_levels_and_the_earliest_time_add_up(paper: Room) -> None:
    paper.engage("daily_loss")
    paper.at(START_MS + 60_000)
    since = clock.iso(START_MS - 60_000)
    paper.hand("kill_switch", f'{{"state": "active", "level": "freeze_all", "reason": "manual", "since": "{since}"}}')
    found = paper.latches()
    assert found.kill.reasons == ("daily_loss", "manual") and found.frozen
    assert found.kill.since_ms == START_MS - 60_000
    assert found.kill.source == "journal+file"
