"""audit.py and mode.py as an operator runs them: verdict last, exit codes, one clear line for what is wrong."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import audit
import journalkit as kit
import mode
from desk.base.paths import Home
from desk.journal.events import Event
from desk.journal.journal import stamp

Run = Callable[..., tuple[int, list[str]]]
SCRIPTS = Path(audit.__file__).parent
MAINS = {"audit": audit.main, "mode": mode.main}


@pytest.fixture
def account(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    with kit.time_at():
        yield Home(home).ensure()


@pytest.fixture
def run(account: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("audit", "tail")` -> exit code and the lines of stdout."""

    def call(door: str, *arguments: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        try:
            code = MAINS[door](list(arguments))
        except SystemExit as usage:  # a bad argument: one line on standard error
            return int(usage.code or 0), capsys.readouterr().out.splitlines()
        out, err = capsys.readouterr()
        assert err == ""
        return code, out.splitlines()

    return call


@pytest.fixture
def traded(account: Home) -> Home:
    """One order from decision to fill, by this account's own door."""
    book = kit.journal(account)
    book.transact(
        lambda fold: [
            kit.NewEvent(
                event=Event.DECISION_PROPOSED,
                data={"kind": "ENTRY", "side": "BUY", "strategy": "rsi"},
                decision_id="dec-1",
            )
        ]
    )
    named = [
        kit.NewEvent(event=e.event, data=e.data, venue=e.venue, symbol=e.symbol, intent_id="abcd1", decision_id="dec-1")
        for e in (kit.created(position_id="pos-1"), kit.sent(), kit.fill(), kit.confirmed())
    ]
    book.transact(lambda fold: named[:2])
    book.transact(lambda fold: named[2:])
    book.transact(lambda fold: [kit.note("unrelated")])
    book.publish()
    return account


def damage(home: Home) -> None:
    raw = home.journal.read_bytes()
    home.journal.write_bytes(raw.replace(b'"trade_id":"t1"', b'"trade_id":"t2"'))


def test_verify_prints_the_head_as_an_anchor(run: Run, traded: Home):
    code, lines = run("audit", "verify")
    head = kit.every_line(traded)[-1]
    assert code == 0
    assert lines[-1].endswith(f"head {head['seq']}:{head['hash']}")
    assert run("audit", "verify", "--anchor", f"{head['seq']}:{head['hash']}")[0] == 0
    assert run("audit", "verify", "--anchor", f"{head['seq']}:{'0' * 64}")[0] == 2


def test_verify_says_1_for_a_torn_tail_and_2_for_damage(run: Run, traded: Home):
    with traded.journal.open("ab") as handle:
        handle.write(b'{"seq":7')
    code, lines = run("audit", "verify")
    assert code == 1
    assert "WARN incomplete last group" in lines[-1]
    damage(traded)
    code, lines = run("audit", "verify")
    assert code == 2
    assert lines[0].startswith("FAIL audit.jsonl: ")
    assert "FAIL damaged" in lines[-1]


def test_verify_under_json_is_one_document(run: Run, traded: Home):
    code, lines = run("audit", "verify", "--json")
    (document,) = [json.loads(line) for line in lines]
    assert (code, document["exit_code"], document["seq"]) == (0, 0, len(kit.every_line(traded)))
    assert document["verdict"].startswith("AUDIT VERIFY — OK")


def test_explain_tells_the_life_of_every_kind_of_id(run: Run, traded: Home):
    life = ["INTENT_CREATED", "INTENT_SENT_UNKNOWN", "FILL", "INTENT_CONFIRMED"]
    for subject, expected in (
        ("abcd1", life), ("dec-1", ["DECISION_PROPOSED", *life]), ("pos-1", life),
    ):  # fmt: skip
        code, lines = run("audit", "explain", subject)
        assert code == 0
        assert [line.split()[2] for line in lines[:-1]] == expected, subject
        seqs = [int(line.split()[0]) for line in lines[:-1]]
        assert seqs == sorted(seqs)


def test_explain_a_run_gives_its_lines(run: Run, traded: Home):
    run("audit", "note", "mine")
    own = kit.every_line(traded)[-1]["run_id"]
    code, lines = run("audit", "explain", own)
    assert (code, len(lines)) == (0, 2)
    assert "text=mine" in lines[0]


@pytest.mark.parametrize("subject", ["nobody-knows-it", "abc", ""])
def test_explain_what_is_not_there_is_one_line(run: Run, traded: Home, subject: str):
    code, lines = run("audit", "explain", subject)
    assert (code, len(lines)) == (2, 1)


def test_tail_and_its_filters(run: Run, traded: Home):
    assert len(run("audit", "tail", "-n", "2")[1]) == 3
    assert run("audit", "tail", "--event", "FILL")[1][0].split()[2] == "FILL"
    by_alias = run("audit", "tail", "--event", "INTENT_STATE_CHANGED")[1][:-1]
    assert [line.split()[2] for line in by_alias] == ["INTENT_CREATED", "INTENT_SENT_UNKNOWN", "INTENT_CONFIRMED"]
    assert run("audit", "tail", "--since", "2027-01-01T00:00:00Z")[1] == ["AUDIT TAIL — OK: 0 lines"]
    assert len(run("audit", "tail", "--since", "2026-01-01T01:00:00+01:00")[1]) == 8


def test_tail_finds_a_reason_by_code_and_by_the_runbooks_name(run: Run, traded: Home):
    with traded.journal.open("ab") as handle:
        handle.write(b'{"torn')
    run("audit", "note", "after")
    for name in ("audit:tail_cut", "JOURNAL_TAIL_CUT"):
        events = [line.split()[2] for line in run("audit", "tail", "--reason", name)[1][:-1]]
        assert events == ["JOURNAL_TAIL_CUT", "ALERT_RAISED"]


@pytest.mark.parametrize(
    "arguments", [("--event", "NO_SUCH"), ("--reason", "no:such"), ("--since", "yesterday"), ("--since", "2026-01-01")]
)
def test_a_bad_filter_is_one_line(run: Run, traded: Home, arguments: tuple[str, str]):
    code, lines = run("audit", "tail", *arguments)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(arguments[0])


def test_export_gives_the_journals_own_bytes(run: Run, traded: Home, tmp_path: Path):
    code, lines = run("audit", "export", "--out", str(tmp_path / "all.jsonl"))
    assert code == 0
    raw = (tmp_path / "all.jsonl").read_bytes()
    assert raw == traded.journal.read_bytes()
    assert lines == [f"AUDIT EXPORT — OK: 7 lines to {tmp_path / 'all.jsonl'}"]


def test_export_as_a_table(run: Run, traded: Home):
    code, lines = run("audit", "export", "--format", "csv", "--event", "FILL")
    (row,) = csv.DictReader(io.StringIO("\n".join(lines[:-1])))
    assert code == 0
    assert (row["event"], json.loads(row["data"])["trade_id"]) == ("FILL", "t1")


def test_export_of_the_newest(run: Run, traded: Home):
    assert len(run("audit", "export", "--last", "3")[1]) == 4


def test_an_export_that_cannot_be_written_is_one_line(run: Run, traded: Home, tmp_path: Path):
    code, lines = run("audit", "export", "--out", str(tmp_path / "no" / "folder"))
    assert (code, len(lines)) == (2, 1)


@pytest.mark.parametrize("text", ["", "   ", "x" * 4001])
def test_a_note_has_words(run: Run, traded: Home, text: str):
    assert run("audit", "note", text)[0] == 2


def test_the_first_note_stamps_the_folder_with_system_mode(run: Run, account: Home):
    assert run("audit", "note", "first")[0] == 0
    assert stamp(account) == "PAPER"


def test_rebuild_after_the_projections_are_gone(run: Run, traded: Home):
    names = ("intents.json", "positions.json", "portfolio.json")
    before = {name: (traded.state / name).read_bytes() for name in names}
    for name in names:
        (traded.state / name).unlink()
    code, _ = run("audit", "rebuild")
    assert code == 0
    assert {name: (traded.state / name).read_bytes() for name in names} == before


def test_rebuild_of_a_damaged_journal_is_refused(run: Run, traded: Home):
    before = (traded.state / "intents.json").read_bytes()
    damage(traded)
    code, lines = run("audit", "rebuild")
    assert code == 2
    assert "reseal" in lines[-1]
    assert (traded.state / "intents.json").read_bytes() == before


def test_reseal_wants_a_reason_an_acknowledgement_and_damage(run: Run, traded: Home):
    for arguments in (
        ("--reason", "x"),
        ("--reason", " ", "--ack", "I_UNDERSTAND"),
        ("--reason", "x", "--ack", "I_UNDERSTAND"),
    ):
        assert run("audit", "reseal", *arguments)[0] == 2
        assert "JOURNAL_RESEALED" not in {line["event"] for line in kit.every_line(traded)}
        assert not (traded.state / "pause.json").exists()


def test_reseal_leaves_pause_in_file_and_journal(run: Run, traded: Home):
    damage(traded)
    code, lines = run("audit", "reseal", "--reason", "a bad sector", "--ack", "I_UNDERSTAND")
    assert code == 0
    assert any("resume.py" in line for line in lines)
    pause = json.loads((traded.state / "pause.json").read_bytes())
    assert (pause["state"], pause["reasons"]) == ("PAUSE", ["audit:resealed"])
    fold = kit.journal(traded).read_fold()
    assert (fold.portfolio.pause.state, fold.portfolio.resealed) == ("PAUSE", True)
    assert run("audit", "verify")[0] == 0
    assert run("audit", "reseal", "--reason", "again", "--ack", "I_UNDERSTAND")[0] == 2


HOLDER = """
import sys
from pathlib import Path
from desk.base.paths import Home
from desk.runtime.lease import order_lease
with order_lease(Home(Path(sys.argv[1])), "router"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_busy_lease_stops_reseal_and_switch(run: Run, traded: Home):
    damage(traded)
    text = (traded.config / "sanad.toml").read_text()
    assert "operator_lease_wait_s = 60" in text
    (traded.config / "sanad.toml").write_text(text.replace("operator_lease_wait_s = 60", "operator_lease_wait_s = 0"))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(traded.root)], env={"PYTHONPATH": str(SCRIPTS)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for door, *arguments in (
            ("audit", "reseal", "--reason", "x", "--ack", "I_UNDERSTAND"),
            ("mode", "switch", "LIVE", "--reason", "x"),
        ):
            code, lines = run(door, *arguments)
            assert (code, lines[-1].startswith("order lease: ")) == (3, True), lines
    finally:
        holder.communicate("", timeout=20)


def test_mode_show_in_its_own_and_in_another_folder(run: Run, account: Home, monkeypatch: pytest.MonkeyPatch):
    assert run("mode", "show")[1] == ["MODE — OK: folder not stamped yet, SYSTEM_MODE PAPER"]
    kit.write_notes(kit.journal(account), "x")
    assert run("mode", "show")[0] == 0
    monkeypatch.setenv("SYSTEM_MODE", "LIVE")
    code, lines = run("mode", "show")
    assert code == 1
    assert "mode:stamp_mismatch" in lines[-1]


def test_mode_switch_and_back(run: Run, account: Home):
    kit.write_notes(kit.journal(account), "x")
    (account.state / "LIVE.ok").write_text("")
    code, lines = run("mode", "switch", "LIVE", "--reason", "soak done")
    assert code == 0
    assert "kill switch is active" in lines[-1]
    assert stamp(account) == "LIVE"
    assert not (account.state / "LIVE.ok").exists()
    assert run("mode", "switch", "PAPER", "--reason", "back")[0] == 0
    assert stamp(account) == "PAPER"


def test_mode_switch_names_what_it_waits_for(run: Run, account: Home):
    kit.journal(account).transact(lambda fold: [kit.created(), kit.sent()])
    code, lines = run("mode", "switch", "LIVE", "--reason", "x")
    assert code == 2
    assert "order abcd1 is SENT_UNKNOWN" in lines[-1]
    assert run("mode", "show", "--json")[0] == 0
    assert run("mode", "switch", "LIVE", "--reason", "x", "--discard")[0] == 0


@pytest.mark.parametrize("door", ["audit.py", "mode.py"])
def test_without_a_mode_a_door_stops_with_one_line(account: Home, door: str):
    command = [sys.executable, str(SCRIPTS / door), {"audit.py": "verify", "mode.py": "show"}[door]]
    environment = {"SANAD_HOME": str(account.root), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert (done.stdout + done.stderr).count("\n") == 1
    assert "SYSTEM_MODE" in done.stdout + done.stderr
