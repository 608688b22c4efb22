"""Arming: the table of factors, the latches on the disk, and `arming.py` as an operator runs it."""

import getpass
import json
import os
import pty
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

import arming as door
import mode
from desk.base.errors import StateError
from desk.base.reasons import Reason
from desk.health import merge
from desk.journal.journal import Journal
from desk.risk import arming, arming_latch, arming_status, certificate, facts_files
from desk.risk.arming import FACTORS, Action
from desk.risk.facts import Arming
from desk.state import store
from unit.health import world
from unit.risk.latch_kit import Room, make

SCRIPT = Path(door.__file__)
ACK = ("--ack", "I_UNDERSTAND")
SENDS = {"LIVE_TRADING": "true", "LIVE_TRADING_ACK": "I_UNDERSTAND", "DRY_RUN": "false", "SAFE_MODE": "false"}
MET = Arming(
    live_flag=True, dry_run=False, safe_mode=False, live_trading=True, ack=True, live_ok=True,
    certificate_required=False,
)  # fmt: skip
MISSING = {  # code -> the field that says it is missing
    Reason.ARM_NO_LIVE_FLAG: ("live_flag", False), Reason.ARM_DRY_RUN: ("dry_run", True),
    Reason.ARM_SAFE_MODE: ("safe_mode", True), Reason.ARM_BASELINE: ("baseline", True),
    Reason.ARM_LIVE_TRADING: ("live_trading", False), Reason.ARM_ACK: ("ack", False),
    Reason.ARM_LIVE_OK: ("live_ok", False), Reason.ARM_CERTIFICATE: ("certificate_required", True),
    Reason.AI_NOT_CONFIGURED: ("ai_gate_missing", True),
}  # fmt: skip
STOP_EVERYTHING = (Reason.ARM_NO_LIVE_FLAG, Reason.ARM_DRY_RUN, Reason.ARM_SAFE_MODE, Reason.ARM_BASELINE)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    """An unarmed LIVE folder on the simulator whose environment says "send"."""
    for name, value in (SENDS | {"VENUE_ENV": "sim"}).items():
        monkeypatch.setenv(name, value)
    room = make(tmp_path, monkeypatch, "LIVE")
    room.stamp()
    return room


def lacking(*codes: Reason) -> Arming:
    return msgspec.structs.replace(MET, **dict(MISSING[code] for code in codes))


def ok_file(room: Room) -> Path:
    return room.home.state / "LIVE.ok"


def is_armed(room: Room) -> bool:
    return arming_latch.is_armed(room.home, room.fold())


def holds(room: Room) -> bool:
    return arming_latch.holds_baseline(room.home, room.fold())


# -- the table


def test_every_factor_has_its_own_code_and_stops_what_design_6_says() -> None:
    assert [factor.reason for factor in FACTORS] == list(MISSING)
    for code, action in product(MISSING, Action):
        stops = action is Action.ENTRY or (code in STOP_EVERYTHING and action is not Action.QUERY)
        assert arming.unmet(lacking(code), action, is_live=True) == ((code,) if stops else ())
    assert all(arming.unmet(MET, action, is_live=True) == () for action in Action)
    assert arming.unmet(lacking(*MISSING), Action.ENTRY, is_live=True) == tuple(MISSING)


def test_paper_asks_only_for_the_operators_own_send_nothing() -> None:
    asked = (Reason.ARM_DRY_RUN, Reason.ARM_SAFE_MODE, Reason.ARM_BASELINE)
    assert arming.unmet(lacking(*MISSING), Action.ENTRY, is_live=False) == asked
    assert arming.unmet(lacking(*MISSING), Action.EXIT, is_live=False) == asked


def test_heartbeats_trading_line_names_the_same_codes() -> None:
    for code in MISSING:
        facts = world.facts("LIVE", arming=lacking(code))
        assert str(code) in merge.trading(facts, ())[1]


def test_arming_itself_is_refused_for_all_but_what_it_gives() -> None:
    own = {Reason.ARM_NO_LIVE_FLAG, Reason.ARM_LIVE_OK}
    assert arming.refusals(lacking(*MISSING)) == tuple(code for code in MISSING if code not in own)


@pytest.mark.parametrize(
    ("venue_env", "wanted", "required"),
    [("mainnet", False, True), ("mainnet", True, True), ("testnet", False, False), ("testnet", True, True),
     ("sim", False, False), ("sim", True, True)],
)  # fmt: skip
def test_where_a_certificate_is_required(
    live: Room, monkeypatch: pytest.MonkeyPatch, venue_env: str, wanted: bool, required: bool
) -> None:
    monkeypatch.setenv("VENUE_ENV", venue_env)
    settings = live.settings()
    strict = msgspec.structs.replace(settings.config.arming, certificate_required=wanted)
    msgspec.structs.force_setattr(settings, "config", msgspec.structs.replace(settings.config, arming=strict))
    found = certificate.certificate(live.home, settings)
    assert (found.required, found.valid, found.code) == (required, False, Reason.ARM_CERTIFICATE)
    assert facts_files.arming(settings, live.fold(), live=True, dry_run=False).certificate_required is required


# -- the marks on the disk


def test_live_ok_counts_only_with_the_journals_word(live: Room) -> None:
    assert not is_armed(live)
    ok_file(live).write_text('{"reason": "mine"}')
    assert not is_armed(live), "made by hand"
    assert arming_latch.arm(live.home, live.journal(), "go", "tester") and is_armed(live)
    kept = ok_file(live).read_bytes()
    ok_file(live).unlink()
    assert not is_armed(live), "removed by hand"
    ok_file(live).write_bytes(kept)
    assert is_armed(live)
    arming_latch.hold_baseline(live.home, live.journal(), "unsure", "tester")
    assert not is_armed(live), "the baseline disarms, even when the file could not be removed or was restored"
    arming_latch.clear_baseline(live.home, live.journal(), "sure", "tester")
    assert ok_file(live).exists() and not is_armed(live), "clearing does not arm"
    assert not arming_latch.is_armed(live.home, None), "a journal that cannot be read arms nothing"


@pytest.mark.parametrize(
    ("text", "arms"), [("", True), ("{}", True), ('{"reason": "mine"}', True), ("{", False), ("[]", False)]
)
def test_away_from_mainnet_a_file_made_by_hand_arms_until_a_baseline_is_held(live: Room, text: str, arms: bool) -> None:
    def counts() -> bool:
        return arming_latch.is_armed(live.home, live.fold(), by_hand=True)

    assert not counts(), "no file"
    ok_file(live).write_text(text)
    assert counts() is arms and not is_armed(live)
    assert not arming_latch.is_armed(live.home, None, by_hand=True), "a journal that cannot be read arms nothing"
    arming_latch.hold_baseline(live.home, live.journal(), "unsure", "tester")
    arming_latch.clear_baseline(live.home, live.journal(), "sure", "tester")
    assert not counts(), "after a baseline a hand does not suffice"
    assert arming_latch.arm(live.home, live.journal(), "go", "tester") and counts()


@pytest.mark.parametrize(("venue_env", "arms"), [("mainnet", False), ("testnet", True), ("sim", True)])
def test_where_a_file_made_by_hand_suffices(
    live: Room, monkeypatch: pytest.MonkeyPatch, venue_env: str, arms: bool
) -> None:
    monkeypatch.setenv("VENUE_ENV", venue_env)
    ok_file(live).touch()
    assert facts_files.arming(live.settings(), live.fold(), live=True, dry_run=False).live_ok is arms


@pytest.mark.parametrize("text", ["", "{", "[]", '{"reason": "edited"}', "\x00"])
def test_a_live_ok_that_is_not_ours_arms_nothing(live: Room, text: str) -> None:
    arming_latch.arm(live.home, live.journal(), "go", "tester")
    ok_file(live).write_text(text)
    assert not is_armed(live)


def test_a_crash_between_journal_and_file_arms_nothing(live: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any) -> None:
        raise StateError("no space left", "LIVE.ok", "free disk space")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", dies)
        with pytest.raises(StateError):
            arming_latch.arm(live.home, live.journal(), "go", "tester")
    assert not is_armed(live)
    assert arming_latch.arm(live.home, live.journal(), "go", "tester") and is_armed(live)


def test_a_baseline_held_while_arming_wins(live: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Journal.transact

    def first(journal: Journal, decide: Any) -> Any:
        monkeypatch.setattr(Journal, "transact", whole)
        arming_latch.hold_baseline(live.home, live.journal(), "unsure", "other")
        return whole(journal, decide)

    monkeypatch.setattr(Journal, "transact", first)
    assert not arming_latch.arm(live.home, live.journal(), "go", "tester")
    assert not ok_file(live).exists() and not is_armed(live)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "On"}', '{"state": false}', None])
def test_nothing_but_the_command_lifts_the_safe_mode(live: Room, text: str | None) -> None:
    arming_latch.hold_baseline(live.home, live.journal(), "unsure", "tester")
    if text is None:
        live.path("safe_mode").unlink()
    else:
        live.hand("safe_mode", text)
    assert holds(live)
    live.sync()
    live.hand("safe_mode", '{"state": "off"}')
    assert holds(live), "the journal remembers"
    assert arming_latch.clear_baseline(live.home, live.journal(), "sure", "tester").was_on
    assert not holds(live) and live.doc("safe_mode")["state"] == "off"
    assert not arming_latch.clear_baseline(live.home, live.journal(), "sure", "tester").was_on


def test_a_safe_mode_only_the_file_holds_is_taken_into_the_journal(live: Room) -> None:
    live.hand("safe_mode", '{"state": "on", "reason": "3 a.m."}')
    assert holds(live)
    for _ in range(2):
        live.sync()
    live.path("safe_mode").unlink()
    assert holds(live)
    assert [e["data"]["reason"] for e in live.events("BASELINE_HELD")] == ["3 a.m."]
    assert len(live.events("CONTROL_EDITED")) == 1


def test_a_clearing_that_died_before_the_file_is_finished_by_the_same_command(
    live: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    arming_latch.hold_baseline(live.home, live.journal(), "unsure", "tester")
    whole = Journal.transact

    def dies_after(journal: Journal, decide: Any) -> Any:
        whole(journal, decide)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "transact", dies_after)
        with pytest.raises(KeyboardInterrupt):
            arming_latch.clear_baseline(live.home, live.journal(), "sure", "tester")
    live.sync()
    assert holds(live) and len(live.events("BASELINE_HELD")) == 1
    assert arming_latch.clear_baseline(live.home, live.journal(), "sure", "tester").released
    assert not holds(live) and len(live.events("BASELINE_CLEARED")) == 1


# -- the door


def test_a_whole_round(live: Room, capsys: Any) -> None:
    assert door.main(["status"]) == 1
    assert "arming:live_ok_missing" in capsys.readouterr().out.splitlines()[-1]
    assert door.main(["arm", "--reason", "go", *ACK]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("ARMING — ARMED: state/LIVE.ok; entries still wait for")
    assert is_armed(live) and live.events("LIVE_ARMED")[0]["data"]["reason"] == "go"
    assert door.main(["baseline", "--reason", "unsure"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("ARMING — BASELINE: disarmed, safe mode on")
    assert not ok_file(live).exists() and holds(live) and live.latches().kill.active
    assert door.main(["arm", "--reason", "go", *ACK]) == 1
    assert "arming:baseline" in capsys.readouterr().out
    assert door.main(["baseline", "--clear", "--reason", "sure", *ACK]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "ARMING — BASELINE CLEARED"
    assert not holds(live) and live.latches().kill.active, "the kill switch has its own release"
    assert door.main(["arm", "--reason", "go", *ACK]) == 0 and is_armed(live)


def test_the_table_shows_every_factor_against_every_action(live: Room, capsys: Any) -> None:
    assert door.main(["status", "--json"]) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert said.err == "" and document["entries"] is False
    rows = {row["factor"]: row for row in document["factors"]}
    assert len(rows) == len(FACTORS) + 6
    assert rows["state/LIVE.ok"] == {
        "factor": "state/LIVE.ok", "entry": "arming:live_ok_missing", "exit": "-", "cancel": "-", "query": "-",
    }  # fmt: skip
    assert rows["DRY_RUN=false"] == {
        "factor": "DRY_RUN=false", "entry": "met", "exit": "met", "cancel": "met", "query": "-",
    }  # fmt: skip
    assert rows["--live"]["entry"] == arming_status.WITH_LIVE
    assert document["unmet"]["exit"] == document["unmet"]["cancel"] == document["unmet"]["query"] == []
    assert {"risk:kill_switch", "system_mode:status_missing"} < set(document["unmet"]["entry"])


def test_a_frozen_folder_shows_what_even_exits_wait_for(live: Room, capsys: Any) -> None:
    live.engage("manual", level="freeze_all")
    assert door.main(["status", "--json"]) == 1
    unmet = json.loads(capsys.readouterr().out)["unmet"]
    assert unmet["exit"] == unmet["cancel"] == ["risk:freeze_all"] and unmet["query"] == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("SAFE_MODE", "true", "arming:safe_mode"), ("DRY_RUN", "true", "arming:dry_run"),
     ("LIVE_TRADING", "false", "arming:live_trading_off"), ("LIVE_TRADING_ACK", "yes", "arming:ack_missing"),
     ("AI_DEC", "2", "ai_gate:not_configured")],
)  # fmt: skip
def test_arm_is_refused_while_a_factor_is_missing(
    live: Room, monkeypatch: pytest.MonkeyPatch, capsys: Any, name: str, value: str, code: str
) -> None:
    monkeypatch.setenv(name, value)
    assert door.main(["arm", "--reason", "go", *ACK]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"ARMING — REFUSED: {code}"
    assert not ok_file(live).exists() and live.events("LIVE_ARMED") == []


def test_words_that_are_refused(live: Room, capsys: Any) -> None:
    bad: tuple[list[str], ...] = (
        [], ["arm"], ["arm", "--reason", "go"], ["arm", "--reason", " ", *ACK], ["baseline"],
        ["arm", "--reason", "go", "--ack", "yes"], ["baseline", "--clear", "--reason", "sure"], ["arm", "--force"],
    )  # fmt: skip
    for words in bad:
        with pytest.raises(SystemExit) as ended:
            door.main(words)
        assert ended.value.code == 2 and capsys.readouterr().err.count("\n") == 1, words


def test_paper_has_nothing_to_arm_and_keeps_a_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    room = make(tmp_path, monkeypatch, "PAPER")
    room.stamp()
    assert door.main(["arm", "--reason", "go", *ACK]) == 2
    assert "SYSTEM_MODE is PAPER" in capsys.readouterr().out.splitlines()[-1]
    assert door.main(["status"]) == 1
    assert "mode:paper" in capsys.readouterr().out.splitlines()[-1]
    assert door.main(["baseline", "--reason", "unsure"]) == 0
    assert holds(room) and facts_files.arming(room.settings(), room.fold(), live=False, dry_run=False).baseline
    assert door.main(["baseline", "--clear", "--reason", "sure", *ACK]) == 0


def test_a_mode_switch_disarms_and_keeps_the_baseline(live: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    arming_latch.arm(live.home, live.journal(), "go", "tester")
    kept = ok_file(live).read_bytes()
    switch = ("switch", "PAPER", "--reason", "a pause")
    assert mode.main(list(switch)) == 0
    assert not ok_file(live).exists()
    assert mode.main(["switch", "LIVE", "--reason", "again"]) == 0
    ok_file(live).write_bytes(kept)
    assert not is_armed(live), "an older arming does not count in a new folder"
    assert door.main(["baseline", "--reason", "unsure"]) == 0
    assert mode.main(list(switch)) == 0
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    live.mode = "PAPER"
    assert holds(live)
    live.sync()
    assert live.fold().portfolio.baseline.state == "active"


def test_a_folder_of_the_other_mode_is_not_armed(live: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paper = make(tmp_path / "paper", monkeypatch, "PAPER")
    paper.stamp()
    monkeypatch.setenv("SYSTEM_MODE", "LIVE")
    assert door.main(["arm", "--reason", "go", *ACK]) == 2
    assert not (paper.home.state / "LIVE.ok").exists()


@pytest.mark.parametrize("spoilt", ["config", "env", "mode", "journal"])
def test_the_baseline_is_reached_whatever_is_broken(
    live: Room, monkeypatch: pytest.MonkeyPatch, capsys: Any, spoilt: str
) -> None:
    arming_latch.arm(live.home, live.journal(), "go", "tester")
    if spoilt == "config":
        (live.home.config / "sanad.toml").write_text("[system\n")
    elif spoilt == "env":
        monkeypatch.setenv("DRY_RUN", "perhaps")
    elif spoilt == "mode":
        monkeypatch.delenv("SYSTEM_MODE")
    else:
        live.home.journal.write_bytes(b"not a journal\n" + live.home.journal.read_bytes())
    assert door.main(["baseline", "--reason", "unsure"]) in {0, 1}
    assert capsys.readouterr().out.splitlines()[-1].startswith("ARMING — BASELINE: ")
    assert not ok_file(live).exists()
    assert live.doc("safe_mode")["state"] == "on" and live.doc("kill_switch")["state"] == "active"


def test_no_secret_of_a_reason_is_written_down(live: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_SECRET", "sekret-fake-123")
    door.main(["baseline", "--reason", "leaked sekret-fake-123"])
    door.main(["baseline", "--clear", "--reason", "sekret-fake-123 gone", *ACK])
    door.main(["arm", "--reason", "sekret-fake-123", *ACK])
    told = b"".join(path.read_bytes() for path in live.home.root.rglob("*") if path.is_file())
    assert b"LIVE_ARMED" in told and b"sekret-fake-123" not in told


# -- who may arm


def run(
    room: Room, *words: str, terminal: bool, script: str = str(SCRIPT), **env: str
) -> subprocess.CompletedProcess[str]:
    """The door as a process, at a terminal or not."""
    ours, theirs = pty.openpty()
    try:
        return subprocess.run(
            [sys.executable, script, *words], capture_output=True, text=True, timeout=60,
            stdin=theirs if terminal else subprocess.DEVNULL, env=os.environ | env,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)


def owner(room: Room, name: str) -> None:
    room.settings()  # puts the default configuration in place
    path = room.home.config / "sanad.toml"
    text = path.read_text()
    assert 'owner = ""' in text
    path.write_text(text.replace('owner = ""', f'owner = "{name}"'))


def me() -> str:
    return getpass.getuser()


@pytest.mark.parametrize("venue_env", ["testnet", "mainnet"])
@pytest.mark.parametrize(
    ("terminal", "named", "code"),
    [(False, "me", "arming:no_terminal"), (True, "", "arming:not_owner"), (True, "somebody-else", "arming:not_owner")],
)
def test_arming_and_clearing_want_a_terminal_and_the_owner(
    live: Room, venue_env: str, terminal: bool, named: str, code: str
) -> None:
    if named:
        owner(live, me() if named == "me" else named)
    arming_latch.hold_baseline(live.home, live.journal(), "unsure", "tester")
    for words in (("baseline", "--clear", "--reason", "sure", *ACK), ("arm", "--reason", "go", *ACK)):
        told = run(live, *words, terminal=terminal, VENUE_ENV=venue_env, USER="somebody-else", LOGNAME="somebody-else")
        assert told.returncode == 1 and code in told.stdout.splitlines()[-1], told
    assert holds(live) and not ok_file(live).exists()


def test_the_owner_arms_testnet_from_a_terminal_and_mainnet_needs_a_certificate(live: Room) -> None:
    owner(live, me())
    refused = run(live, "arm", "--reason", "go", *ACK, terminal=True, VENUE_ENV="mainnet")
    assert refused.returncode == 1
    assert refused.stdout.splitlines()[-1] == "ARMING — REFUSED: arming:certificate_missing"
    assert not ok_file(live).exists()
    told = run(live, "arm", "--reason", "go", *ACK, terminal=True, VENUE_ENV="testnet")
    assert told.returncode == 0 and is_armed(live), told
    status = run(live, "status", "--json", terminal=False, VENUE_ENV="mainnet")
    assert "arming:certificate_missing" in json.loads(status.stdout)["unmet"]["entry"], "and it stays shut"


def test_releasing_a_live_kill_switch_wants_them_too(live: Room) -> None:
    """Engaging never does: stopping is everybody's."""
    live.engage("manual")
    script = str(SCRIPT.with_name("kill_switch.py"))

    def door(*words: str, terminal: bool) -> subprocess.CompletedProcess[str]:
        return run(live, *words, terminal=terminal, script=script, VENUE_ENV="testnet")

    assert door("engage", "--reason", "again", terminal=False).returncode == 0
    refused = door("release", "--reason", "go", *ACK, terminal=False)
    assert refused.returncode == 1 and "arming:no_terminal" in refused.stdout.splitlines()[-1]
    assert "arming:not_owner" in door("release", "--reason", "go", *ACK, terminal=True).stdout
    assert live.latches().kill.active
    owner(live, me())
    assert door("release", "--reason", "go", *ACK, terminal=True).returncode == 0
    assert not live.latches().kill.active


def test_on_the_simulator_neither_is_asked(live: Room) -> None:
    told = run(live, "arm", "--reason", "go", *ACK, terminal=False)
    assert told.returncode == 0 and is_armed(live), told
