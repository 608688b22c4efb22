"""`kill_switch.py` as an operator runs it: real processes, broken surroundings, exit codes, one line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kill_switch as door
from desk.base.errors import StateError
from desk.execution import submit
from desk.journal import files
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.runtime.tick import Run
from desk.venues.protocol import OrderType
from kit import bench, entry, ok
from unit.risk.latch_kit import DAY_MS, START_MS, Room, make

SCRIPT = Path(door.__file__)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return make(tmp_path, monkeypatch, "PAPER")


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return make(tmp_path, monkeypatch, "LIVE")


def open_entry(room: Room, name: str = "o1") -> None:
    """A pending entry, as the router journals it."""
    data = {
        "client_order_id": name, "position_id": "p1", "leg": "entry", "attempt": 0, "side": "BUY", "type": "LIMIT",
        "quantity": "1", "price": "100", "kind": "ENTRY", "base": "BTC", "quote": "USDT",
    }  # fmt: skip
    steps = (
        (Event.INTENT_CREATED, data),
        (Event.INTENT_SENT_UNKNOWN, {"client_order_id": name, "timestamp_ms": START_MS}),
        (Event.INTENT_CONFIRMED, {"client_order_id": name, "status": "NEW", "executed": "0"}),
    )
    events = [NewEvent(event=event, data=body, venue="binance", symbol="BTCUSDT") for event, body in steps]
    room.journal().transact(lambda fold: events)


def test_a_whole_round(paper: Room) -> None:
    engaged = run("engage", "--reason", "spilled coffee")
    assert engaged.returncode == 0 and engaged.stderr == ""
    lines = engaged.stdout.splitlines()
    assert lines[0].startswith("CRIT Kill-switch activated: manual (spilled coffee) -> kill_switch.py release")
    assert "residual exposure: none" in lines
    assert lines[-1].startswith("KILL SWITCH — ENGAGED reduce_only manual; open entries = 0")
    assert "Kill-switch activated: manual" in (paper.home.logs / "trading.log").read_text()
    status = run("status", "--json")
    found = json.loads(status.stdout)
    assert (status.returncode, found["kill_switch"]["state"], found["journal"][:6]) == (0, "active", "active")
    assert found["release"] == ["manual: any time; positions: hold"]
    released = run("release", "--reason", "dried it", "--ack", "I_UNDERSTAND")
    assert (released.returncode, released.stdout.splitlines()[-1]) == (0, "KILL SWITCH — RELEASED")
    again = run("release", "--reason", "dried it", "--ack", "I_UNDERSTAND")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "KILL SWITCH — INACTIVE already")
    assert run("status").stdout.splitlines()[-1] == "KILL SWITCH — INACTIVE"


def test_a_release_followed_at_once_by_an_engagement_says_both(paper: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """Else nobody learns from the words that this call let it go."""
    assert run("engage", "--reason", "one").returncode == 0
    let_go = door.kill_switch.release

    def beaten(*given: Any, **named: Any) -> Any:
        report = let_go(*given, **named)
        assert run("engage", "--reason", "two").returncode == 0
        return report

    paper.patch.setattr(door.kill_switch, "release", beaten)
    assert door.main(["release", "--reason", "x", "--ack", "I_UNDERSTAND"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("KILL SWITCH — RELEASED, ACTIVE again (")


@pytest.mark.parametrize("broken", ["no mode", "bad mode", "bad toml", "unknown key", "bad env"])
def test_engage_and_status_work_without_a_configuration(paper: Room, broken: str) -> None:
    paper.stamp()
    if broken == "no mode":
        paper.patch.delenv("SYSTEM_MODE")
    elif broken == "bad mode":
        paper.patch.setenv("SYSTEM_MODE", "paper")
    elif broken == "bad env":
        paper.patch.setenv("VENUE_ENV", "moon")
    else:
        text = "[system\n" if broken == "bad toml" else "[system]\nspeed = 5\n"
        (paper.home.config / "sanad.toml").write_text(text)
    engaged = run("engage", "--reason", "daily_loss", "--json")
    assert engaged.returncode == 0 and engaged.stderr == ""
    document = json.loads(engaged.stdout)
    assert document["durable"] == {"file": True, "journal": True}
    assert paper.events("KILL_SWITCH_ACTIVATED")[0]["mode"] == "PAPER"
    assert json.loads(run("status", "--json").stdout)["kill_switch"]["reasons"] == ["daily_loss"]
    refused = run("release", "--reason", "x", "--ack", "I_UNDERSTAND")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1


def test_a_folder_nobody_stamped_takes_the_mode_or_live(paper: Room) -> None:
    assert run("engage", "--reason", "x").returncode == 0
    assert paper.events("GENESIS")[0]["mode"] == "PAPER"


def test_a_folder_nobody_stamped_and_no_mode_is_live(paper: Room) -> None:
    paper.patch.delenv("SYSTEM_MODE")
    assert run("engage", "--reason", "x").returncode == 0
    assert paper.events("GENESIS")[0]["mode"] == "LIVE"


def test_engage_in_the_other_modes_folder_goes_under_its_stamp(paper: Room) -> None:
    paper.stamp()
    paper.patch.setenv("SYSTEM_MODE", "LIVE")
    assert run("engage", "--reason", "x").returncode == 0
    assert paper.events("KILL_SWITCH_ACTIVATED")[0]["mode"] == "PAPER"
    refused = run("release", "--reason", "x", "--ack", "I_UNDERSTAND")
    assert refused.returncode == 2 and "mode.py switch" in refused.stdout + refused.stderr


def test_engage_says_when_only_the_file_holds(paper: Room) -> None:
    paper.home.journal.mkdir(parents=True)
    engaged = run("engage", "--reason", "x")
    assert engaged.returncode == 0
    assert "(file only)" in engaged.stdout.splitlines()[-1]
    assert "WARN engaged, but not everywhere" in engaged.stdout
    assert paper.doc("kill_switch")["state"] == "active"


def test_engage_fails_when_nothing_can_be_written(paper: Room) -> None:
    paper.home.journal.mkdir(parents=True)
    paper.path("kill_switch").mkdir()
    engaged = run("engage", "--reason", "x")
    assert engaged.returncode == 2 and "NOT ENGAGED" in engaged.stdout.splitlines()[-1]


def fill(path: Path) -> None:
    """Take every free byte of the file system."""
    with pytest.raises(OSError, match="No space"):
        write_forever(path)


def write_forever(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        while filler.write(b"\0" * 4096):
            pass


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A small file system with the journal's reserve on it and not a byte free."""
    root = tmp_path / "small"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(root)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        room = make(root, monkeypatch, "PAPER")
        room.stamp()
        assert files.ensure_reserve(room.home)
        fill(root / "filler")
        yield room
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_engage_on_a_full_disk_spends_the_reserve(full_disk: Room) -> None:
    engaged = run("engage", "--reason", "x")
    assert engaged.returncode == 0
    assert full_disk.fold().portfolio.kill_switch.state == "active"
    assert full_disk.doc("kill_switch")["state"] == "active"


def test_engage_on_a_full_disk_without_reserve_says_so(full_disk: Room) -> None:
    assert files.release_reserve(full_disk.home)
    fill(full_disk.home.root / "more")
    engaged = run("engage", "--reason", "x")
    assert engaged.returncode == 2 and "no space" in engaged.stdout + engaged.stderr


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("engage",),
        ("engage", "--reason", "  "),
        ("engage", "--reason", "x", "--level", "some"),
        ("release", "--reason", "x"),
        ("release", "--ack", "I_UNDERSTAND"),
        ("release", "--reason", "x", "--ack", "yes"),
        ("release", "--reason", "x", "--ack", "I_UNDERSTAND", "--size-frac", "0.5"),
        ("release", "--reason", "x", "--ack", "I_UNDERSTAND", "--size-frac", "0.5", "--for", "soon"),
        ("drop",),
    ],
)
def test_bad_words_are_one_line_and_exit_2(paper: Room, words: tuple[str, ...], capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        door.main(list(words))
    said = capsys.readouterr()
    assert ended.value.code == 2 and said.out == "" and len(said.err.splitlines()) == 1
    assert not paper.home.journal.exists()


def test_release_is_refused_and_names_what_holds(paper: Room, capsys: Any) -> None:
    (paper.home.root / ".env").write_text("# locks\nKILL_SWITCH=true\n")
    door.main(["engage", "--reason", "daily_loss"])
    capsys.readouterr()
    assert door.main(["release", "--reason", "x", "--ack", "I_UNDERSTAND"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "held: .env line 2 says KILL_SWITCH=true: set KILL_SWITCH=false there" in said
    assert any("UTC day" in line for line in said)
    assert said[-1].startswith("KILL SWITCH — RELEASE REFUSED: .env line 2")
    paper.patch.setenv("KILL_SWITCH", "true")
    assert door.main(["release", "--reason", "x", "--ack", "I_UNDERSTAND"]) == 1
    assert "the environment says KILL_SWITCH=true" in capsys.readouterr().out


def test_status_shows_what_would_release_it(paper: Room, capsys: Any) -> None:
    door.main(["engage", "--reason", "daily_loss"])
    door.main(["engage", "--reason", "flash_crash", "--level", "freeze_all"])
    capsys.readouterr()
    assert door.main(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"].startswith("KILL SWITCH — ACTIVE freeze_all (daily_loss, flash_crash)")
    assert "daily_loss: the next UTC day; positions: hold" in found["release"]
    assert sum(line.startswith("holds now:") for line in found["release"]) == 2


SMALLER = ["release", "--reason", "smaller", "--ack", "I_UNDERSTAND", "--for", "4h", "--size-frac"]


def test_release_with_a_smaller_size_sets_the_overlay_first(paper: Room) -> None:
    door.main(["engage", "--reason", "x"])
    assert door.main([*SMALLER, "0.5"]) == 0
    names = [line["event"] for line in paper.events("LIMITS_SET", "KILL_SWITCH_DEACTIVATED")]
    assert names == ["LIMITS_SET", "KILL_SWITCH_DEACTIVATED"]
    assert paper.doc("limits_overlay")["size_frac"]["value"] == "0.5"


@pytest.mark.parametrize(("reason", "size", "code"), [("daily_loss", "0.5", 1), ("x", "1.5", 2), ("x", "half", 2)])
def test_a_refused_release_leaves_no_overlay(paper: Room, reason: str, size: str, code: int) -> None:
    door.main(["engage", "--reason", reason])
    assert door.main([*SMALLER, size]) == code
    assert not paper.path("limits_overlay").exists() and paper.latches().kill.active


def test_pending_entries_are_cancelled(paper: Room, capsys: Any) -> None:
    paper.stamp()
    open_entry(paper)
    asked: list[str] = []

    def canceller(run: Run) -> door.CancelReport:
        asked.append(run.door)
        data = {"client_order_id": "o1", "status": "CANCELED", "executed": "0"}
        event = NewEvent(event=Event.INTENT_CONFIRMED, data=data, venue="binance", symbol="BTCUSDT")
        run.journal.transact(lambda fold: [event])
        return door.CancelReport(confirmed=("o1",))

    assert door.main(["engage", "--reason", "x"], canceller) == 0
    assert asked == ["kill_switch"]
    assert "open entries = 0" in capsys.readouterr().out.splitlines()[-1]
    latched = [line["event"] for line in paper.events("KILL_SWITCH_ACTIVATED", "INTENT_CONFIRMED")]
    assert latched[-2:] == ["KILL_SWITCH_ACTIVATED", "INTENT_CONFIRMED"]  # latch first


@pytest.mark.parametrize(("mode", "code"), [("PAPER", 0), ("LIVE", 1)])
def test_cancels_that_are_not_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, code: int,
                                        capsys: Any) -> None:  # fmt: skip
    room = make(tmp_path, monkeypatch, mode)
    room.stamp()
    open_entry(room)

    def canceller(run: Run) -> door.CancelReport:
        raise StateError("the exchange does not answer", "binance", "try again")

    assert door.main(["engage", "--reason", "x"], canceller) == code
    said = capsys.readouterr().out
    assert "the exchange does not answer" in said and "WARN open entry: o1" in said
    assert "open entries = 1" in said.splitlines()[-1]
    assert room.fold().portfolio.kill_switch.state == "active"


def test_freeze_all_sends_no_cancel(live: Room, capsys: Any) -> None:
    live.stamp()
    open_entry(live)

    def canceller(run: Run) -> door.CancelReport:
        raise AssertionError("nothing may be sent")

    assert door.main(["engage", "--reason", "x", "--level", "freeze_all"], canceller) == 1
    assert "freeze_all: nothing is sent" in capsys.readouterr().out


def test_a_resting_paper_entry_is_really_cancelled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    desk_bench = bench(home)
    submit.submit(desk_bench.desk(), entry(type=OrderType.LIMIT, price=entry().price * 8 / 10), ok)
    assert [intent.status for intent in desk_bench.intents().values()] == ["NEW"]
    engaged = run("engage", "--reason", "x", "--json")
    document = json.loads(engaged.stdout)
    assert engaged.returncode == 0 and document["open_entries"] == [] and len(document["cancelled"]) == 1
    assert [intent.status for intent in desk_bench.intents().values()] == ["CANCELED"]


def test_the_snapshot_and_the_journal_hold_no_secret(paper: Room) -> None:
    paper.patch.setenv("BINANCE_API_KEY", "fakekeyfakekey")
    paper.patch.setenv("BINANCE_API_SECRET", "fakesecretfakesecret")
    engaged = run("engage", "--reason", "leaked fakesecretfakesecret of fakekeyfakekey")
    assert engaged.returncode == 0
    (snapshot,) = paper.home.logs.glob("kill_switch_snapshot-*.json")
    found = json.loads(snapshot.read_text())
    assert found["latches"]["kill_switch"]["note"] == "leaked *** of ***"
    assert {"positions", "open_orders", "balances_by_journal", "capital", "journal"} <= found.keys()
    for path in [*paper.home.logs.iterdir(), *paper.home.state.glob("*.json")]:
        assert b"fakesecret" not in path.read_bytes() and b"fakekey" not in path.read_bytes()
    assert "fakesecret" not in engaged.stdout


def test_daily_loss_is_released_the_next_day(paper: Room) -> None:
    paper.engage("daily_loss")
    paper.at(START_MS + DAY_MS)
    assert run("release", "--reason", "new day", "--ack", "I_UNDERSTAND").returncode == 0
