"""`limits.py` as an operator runs it."""

import json
from pathlib import Path
from typing import Any

import pytest

import limits
from unit.risk.latch_kit import Room, make


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr("desk.state.store.READ_TRY_GAP_S", 0.0)
    return make(tmp_path, monkeypatch, "PAPER")


def shown(capsys: Any) -> dict[str, Any]:
    capsys.readouterr()
    limits.main(["show", "--json"])
    found = json.loads(capsys.readouterr().out)
    return found | {"now": {row["limit"]: row["counts now"] for row in found["limits"]}}


def test_a_whole_round(paper: Room, capsys: Any) -> None:
    assert limits.main(["set", "size_frac=0.5", "max_open_entries=3", "--for", "4h", "--reason", "smaller"]) == 0
    assert capsys.readouterr().out.startswith("LIMITS — SET size_frac=0.5, max_open_entries=3 until ")
    found = shown(capsys)
    assert found["now"]["exposure.size_frac"] == "0.5" and found["now"]["entries.max_open_entries"] == "3"
    assert found["verdict"] == "LIMITS — 2 in the overlay" and found["exit_code"] == 0
    assert limits.main(["show"]) == 0
    assert "counts now" in capsys.readouterr().out
    assert limits.main(["clear", "--reason", "done"]) == 0
    assert shown(capsys)["verdict"] == "LIMITS — no overlay"


@pytest.mark.parametrize("pair", ["size_frac=2", "total_frac=0.9", "speed=1", "size_frac", "=1", "size_frac=abc"])
def test_what_does_not_tighten_is_one_line_and_exit_2(paper: Room, capsys: Any, pair: str) -> None:
    assert limits.main(["set", pair, "--for", "4h", "--reason", "x"]) == 2
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert not paper.path("limits_overlay").exists()


@pytest.mark.parametrize("length", ["0h", "4", "h", "31d", "-1h", "4 hours"])
def test_a_duration_is_bounded(paper: Room, capsys: Any, length: str) -> None:
    with pytest.raises(SystemExit) as ended:
        limits.main(["set", "size_frac=0.5", f"--for={length}", "--reason", "x"])
    assert ended.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_the_same_key_twice_is_refused(paper: Room, capsys: Any) -> None:
    assert limits.main(["set", "size_frac=0.5", "size_frac=0.4", "--for", "4h", "--reason", "x"]) == 2
    assert "twice" in capsys.readouterr().out


def test_show_names_a_raising_and_a_corrupt_overlay(paper: Room, capsys: Any) -> None:
    paper.hand("limits_overlay", '{"max_open_entries": 50}')
    found = shown(capsys)
    assert found["exit_code"] == 1 and "ignored" in found["problems"][0]["detail"]
    paper.hand("limits_overlay", "{")
    found = shown(capsys)
    assert found["exit_code"] == 2 and found["problems"][0]["code"] == "limits:overlay_corrupt"
    assert found["now"]["exposure.size_frac"] == "0"
    assert limits.main(["set", "size_frac=0.5", "--for", "4h", "--reason", "x"]) == 2
    assert limits.main(["clear", "--reason", "mended"]) == 0
    assert shown(capsys)["exit_code"] == 0
