"""`pause.py` and `resume.py` as an operator runs them."""

import json
from pathlib import Path
from typing import Any

import pytest

import pause
import resume
from unit.risk.latch_kit import Room, make


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return make(tmp_path, monkeypatch, "PAPER")


def test_a_whole_round(paper: Room, capsys: Any) -> None:
    assert pause.main(["--reason", "lunch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "CRIT MANUAL_PAUSE (health:manual_pause): lunch -> resume.py --reason TEXT --ack I_UNDERSTAND"
    assert lines[-1] == "PAUSE — PAUSE latched (health:manual_pause)"
    assert resume.main(["--reason", "back", "--ack", "I_UNDERSTAND"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "RESUME — RESUMED"
    assert resume.main(["--reason", "back", "--ack", "I_UNDERSTAND"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "RESUME — nothing was latched"
    assert paper.latches().pause.state == "NORMAL"


def test_degrade_by_hand(paper: Room, capsys: Any) -> None:
    assert pause.main(["--degrade", "--reason", "slow", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["state"] == "DEGRADE" and said.err == ""
    assert paper.latches().pause.reasons == ("health:manual_degrade",)


def test_resume_is_refused_with_every_cause(paper: Room, capsys: Any) -> None:
    pause.main(["--reason", "lunch"])
    paper.hand("pause", '{"state": "PAUSE", "reasons": ["health:job_stuck", "health:rest_stale_pause"]}')
    capsys.readouterr()
    assert resume.main(["--reason", "x", "--ack", "I_UNDERSTAND", "--json"]) == 1
    held = json.loads(capsys.readouterr().out)["held"]
    assert len(held) == 2 and "LOOP_STUCK_PAUSE" in held[0] and "REST_STALE_PAUSE" in held[1]
    assert paper.latches().pause.state == "PAUSE"


def test_resume_names_a_kill_switch_that_still_holds(paper: Room, capsys: Any) -> None:
    pause.main(["--reason", "lunch"])
    paper.engage("daily_loss")
    capsys.readouterr()
    assert resume.main(["--reason", "x", "--ack", "I_UNDERSTAND"]) == 0
    assert "the kill switch is still active (daily_loss)" in capsys.readouterr().out


def test_resume_of_a_damaged_journal_is_refused(paper: Room, capsys: Any) -> None:
    pause.main(["--reason", "lunch"])
    raw = paper.home.journal.read_bytes()
    paper.home.journal.write_bytes(raw.replace(b"lunch", b"brunc", 1))
    capsys.readouterr()
    assert resume.main(["--reason", "x", "--ack", "I_UNDERSTAND"]) == 2
    assert paper.doc("pause")["state"] == "PAUSE"


def test_resume_in_the_other_modes_folder_is_refused_and_pause_is_not(paper: Room, capsys: Any) -> None:
    paper.stamp()
    paper.patch.setenv("SYSTEM_MODE", "LIVE")
    assert pause.main(["--reason", "lunch"]) == 0
    assert paper.events("PAUSE_RAISED")[0]["mode"] == "PAPER"
    assert resume.main(["--reason", "x", "--ack", "I_UNDERSTAND"]) == 2
    assert "mode.py switch" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["file", "journal", "both"])
def test_pause_says_where_it_could_not_be_written(paper: Room, capsys: Any, where: str) -> None:
    if where != "journal":
        paper.path("pause").mkdir()
    if where != "file":
        paper.home.journal.mkdir(parents=True)
    assert pause.main(["--reason", "lunch"]) == (2 if where == "both" else 0)
    said = capsys.readouterr().out
    assert ("NOT RAISED" if where == "both" else "not everywhere") in said


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (pause.main, []),
        (pause.main, ["--reason", ""]),
        (resume.main, ["--reason", "x"]),
        (resume.main, ["--reason", "x", "--ack", "ok"]),
    ],
)
def test_bad_words_are_one_line_and_exit_2(paper: Room, capsys: Any, main: Any, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_without_a_mode_nothing_is_paused(paper: Room, capsys: Any) -> None:
    paper.patch.delenv("SYSTEM_MODE")
    assert pause.main(["--reason", "x"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not paper.path("pause").exists()
