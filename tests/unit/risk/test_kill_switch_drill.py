"""`kill_switch.py drill`: it passes here, leaves the operator's folder alone, and sees a last look that is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kill_switch as door
from badkit import tree
from lab import drill
from unit.risk.latch_kit import make

SCRIPTS = Path(door.__file__).parent
BLIND = """
import sys
sys.path.insert(0, {scripts!r})
from desk.venues import guard
from lab import drill_entries
guard._last_look = lambda before_send: None
sys.exit(drill_entries.main())
"""
DIES = """
import sys
sys.path.insert(0, {scripts!r})
from desk.execution import submit
from lab import drill_entries
send, count = submit._send, [0]
def once_too_often(*given):
    count[0] += 1
    if count[0] > {posts}:
        raise SystemExit("tripped over a cable")
    return send(*given)
submit._send = once_too_often
sys.exit(drill_entries.main())
"""


def submitter(folder: Path, text: str, **words: object) -> tuple[str, ...]:
    path = folder / "submitter.py"
    path.write_text(text.format(scripts=str(SCRIPTS), **words))
    return (sys.executable, str(path))


def test_the_drill_passes_and_touches_nothing_of_the_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the switch engaged, no mode, a broken configuration and a clock that answers nobody: none of it is its."""
    room = make(tmp_path / "home", monkeypatch, "PAPER")
    room.engage("daily_loss")
    (room.home.config / "sanad.toml").write_text("[system\n")
    monkeypatch.delenv("SYSTEM_MODE")
    monkeypatch.setenv("KILL_SWITCH", "true")
    monkeypatch.setenv("SANAD_CLOCK", "http://127.0.0.1:1/sim/clock")
    before = tree(tmp_path)
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "kill_switch.py"), "drill", "--rounds", "3", "--json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert found["verdict"].startswith("KILL SWITCH DRILL — OK: 3 rounds, median ")
    assert len(found["last_post_ms"]) == 3 and max(found["last_post_ms"]) <= found["bound_ms"] == 100
    assert found["posts"] >= 3 * drill.FLOWING_POSTS and found["stopped"] > 0
    assert sum(row["rounds"] for row in found["histogram"]) == 3
    assert tree(tmp_path) == before


def test_a_last_look_that_is_gone_fails_the_drill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    assert drill.main(2, as_json=False, submitter=submitter(tmp_path, BLIND)) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("KILL SWITCH DRILL — FAIL: 2 rounds")
    assert any(line.split() == ["later", "than", "100", "ms", "2"] for line in said)
    assert dict(os.environ) == before


@pytest.mark.parametrize("posts", [0, drill.FLOWING_POSTS])
def test_a_drill_that_exercised_nothing_is_no_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], posts: int
) -> None:
    assert drill.main(2, as_json=False, submitter=submitter(tmp_path, DIES, posts=posts)) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("drill: the submitting process "), said


@pytest.mark.parametrize("rounds", ["0", "201", "-1", "1.5", "many", "\u0663"])
def test_rounds_are_bounded(rounds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        door.main(["drill", "--rounds", rounds])
    assert ended.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_nothing_over_the_bound_hides_in_a_bucket() -> None:
    rows = dict(drill.histogram([-4, 0, 1, 2, 60, 61, 5000], 60))
    assert list(rows) == ["before it", "0 to 1 ms", "1 to 5 ms", "5 to 10 ms", "10 to 25 ms", "25 to 50 ms",
                          "50 to 60 ms", "later than 60 ms"]  # fmt: skip
    assert [*rows.values()] == ["2", "1", "1", "0", "0", "0", "1", "2"]
