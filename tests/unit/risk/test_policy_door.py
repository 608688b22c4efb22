"""policy_engine.py as an operator and cron start it: exit codes, lines, JSON, bad packets, breaker time step."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import policy_engine
from desk.base.paths import Home
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal
from lab.sim.server import SimHandle, running_sim

SCRIPTS = Path(policy_engine.__file__).resolve().parent
BUY = {
    "venue": "binance", "symbol": "BTCUSDT", "side": "BUY", "kind": "ENTRY", "edge_bps": "100", "notional_quote": "100",
}  # fmt: skip


@pytest.fixture
def exchange(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimHandle]:
    """A PAPER home beside a stepped simulator with 40 minutes behind it."""
    with running_sim(symbols=("BTCUSDT",), seed=3) as found:
        environment = {
            "SYSTEM_MODE": "PAPER", "VENUES": "binance", "VENUE_ENV": "sim", "UNIVERSE_SYMBOLS": "BTCUSDT",
            "BINANCE_REST_URL": found.rest_url, "SANAD_CLOCK": found.admin_url + "/sim/clock",
        }  # fmt: skip
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        found.advance(40 * 60_000)
        yield found


def door(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "policy_engine.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def packet(folder: Path, **changes: object) -> str:
    path = folder / "packet.json"
    path.write_text(json.dumps({"decision": BUY | changes}))
    return str(path)


def test_check_prints_every_gate_and_denies_while_nothing_else_has_run(exchange: SimHandle, tmp_path: Path) -> None:
    done = door("check", packet(tmp_path))
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    gates = [line.partition(":")[0] for line in lines[:-1]]
    assert gates == [row.name for row in policy_engine.GATES]
    assert "spread: ALLOW" in [line.split(" ", 2)[0] + " " + line.split(" ", 2)[1] for line in lines[:-1]]
    assert lines[-1].startswith("DENY mode mode:stamp_mismatch"), "nobody has written the journal yet"


def test_check_as_json_is_one_document(exchange: SimHandle, tmp_path: Path) -> None:
    done = door("check", "--json", packet(tmp_path))
    document = json.loads(done.stdout)
    assert (done.stderr, document["allowed"], document["exit_code"]) == ("", False, 1)
    assert [v["gate"] for v in document["verdicts"]] == [row.name for row in policy_engine.GATES]
    assert document["verdict"].startswith("DENY")


def test_check_of_an_exit_asks_only_what_shapes_it(exchange: SimHandle, tmp_path: Path) -> None:
    path = packet(tmp_path, side="SELL", kind="EXIT", notional_quote=None, edge_bps=None)
    done = door("check", "--json", path)
    document = json.loads(done.stdout)
    denied = {v["gate"] for v in document["verdicts"] if not v["allowed"]}
    assert denied == {"mode", "filters"}, "not stamped, and nothing to sell"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "decision"),
        ("{", "truncated"),
        ("[]", "object"),
        ("{}", "decision"),
        (json.dumps({"decision": BUY, "facts": {"mode": "PAPER"}}), "facts"),
        (json.dumps({"decision": BUY | {"colour": "red"}}), "colour"),
        (json.dumps({"decision": BUY | {"side": "HOLD"}}), "HOLD"),
        (json.dumps({"decision": BUY | {"side": "SELL"}}), "no shorts"),
        (json.dumps({"decision": BUY | {"notional_quote": 0.1}}), "notional_quote"),
        (json.dumps({"decision": BUY | {"notional_quote": "NaN"}}), "usable number"),
        (json.dumps({"decision": BUY | {"notional_quote": "-5"}}), "above zero"),
        (json.dumps({"decision": BUY | {"quantity": "1"}}), "exactly one"),
        (json.dumps({"decision": BUY | {"notional_quote": None}}), "exactly one"),
        (json.dumps({"decision": BUY | {"stop_price": "3", "target_price": "2"}}), "below target_price"),
        (json.dumps({"decision": BUY | {"created_at": "yesterday"}}), "yesterday"),
        ("x" * 70_000, "larger than"),
    ],
)
def test_a_bad_packet_is_one_clear_line_and_exit_2(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    text: str, part: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    path = tmp_path / "packet.json"
    path.write_text(text)
    assert policy_engine.main(["check", str(path)]) == 2
    out = capsys.readouterr()
    lines = (out.out + out.err).strip().splitlines()
    assert part in lines[-1]
    assert str(path) in lines[-1]
    assert len([line for line in lines if "packet.json" in line]) == 1


def test_a_missing_packet_and_a_missing_mode(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_mode = door("check", packet(tmp_path))
    assert without_mode.returncode == 2
    assert "SYSTEM_MODE" in without_mode.stderr + without_mode.stdout
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    missing = door("check", str(tmp_path / "none.json"))
    assert missing.returncode == 2
    assert "none.json: cannot be read" in missing.stdout


def test_tick_writes_the_preview_and_steps_an_expired_breaker(exchange: SimHandle, home: Path) -> None:
    (home / "state").mkdir(exist_ok=True)
    breakers = home / "state" / "circuit_breakers.json"
    old = {"state": "open", "failure_count": 5, "cooldown_until": "2020-01-01T00:00:00+00:00"}
    breakers.write_text(json.dumps({"binance_orders": old}))
    done = door("tick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("POLICY END")
    doc = json.loads((home / "state" / "policy.json").read_text())
    found = doc["symbols"]["binance:BTCUSDT"]
    assert found["allowed"] is False
    assert len(found["verdicts"]) == len(policy_engine.GATES)
    assert json.loads(breakers.read_text())["binance_orders"]["state"] == "half_open"


def test_tick_with_corrupt_breakers_goes_on_and_warns(exchange: SimHandle, home: Path) -> None:
    (home / "state").mkdir(exist_ok=True)
    (home / "state" / "circuit_breakers.json").write_text("{")
    done = door("tick", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert "circuit_breakers.json" in document["verdict"]
    verdicts = {v["gate"]: v for v in document["symbols"]["binance:BTCUSDT"]["verdicts"]}
    assert verdicts["breaker"]["code"] == "breaker:corrupt"


def test_check_with_a_damaged_journal_still_shows_every_gate(exchange: SimHandle, home: Path, tmp_path: Path) -> None:
    """Two durable groups, the first of them edited: nothing enters, nothing leaves, and the door says why."""
    journal = Journal(Home(home).ensure(), Context(run_id="", cycle_id="", script="t", mode="PAPER", instance="i"))
    for text in ("one", "two"):
        journal.transact(lambda fold, text=text: [NewEvent(event=Event.NOTE, data={"text": text})])
    path = home / "execution-logs" / "audit.jsonl"
    path.write_text(path.read_text().replace('"one"', '"eno"'))
    for name in ("intents", "positions", "portfolio"):
        (home / "state" / f"{name}.json").unlink(missing_ok=True)
    done = door("check", "--json", packet(tmp_path))
    verdicts = {v["gate"]: v for v in json.loads(done.stdout)["verdicts"]}
    assert done.returncode == 1
    assert verdicts["audit_writable"]["code"] == "audit:damaged"
    assert verdicts["kill_switch"]["allowed"] is False
    assert len(verdicts) == len(policy_engine.GATES)


def test_explain_tells_each_gate_its_numbers_and_codes(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    assert policy_engine.main(["explain", "spread"]) == 0
    out = capsys.readouterr().out
    assert "entries.spread_max_frac = 0.02" in out
    assert "market:spread" in out
    assert policy_engine.main(["explain", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["gates"]) == [row.name for row in policy_engine.GATES]


def test_explain_of_an_unknown_gate_is_exit_2() -> None:
    done = door("explain", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_the_door_compiles_and_imports_as_the_runbook_does() -> None:
    code = "import sys; sys.path.insert(0, 'scripts'); import policy_engine; print(len(policy_engine.GATES))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS.parent, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(len(policy_engine.GATES)), done.stderr
