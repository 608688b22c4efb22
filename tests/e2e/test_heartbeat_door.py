"""Heartbeat against a stepped exchange: what it prints, latches, journals and leaves, by real runs of the doors."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import heartbeat
import journalkit
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal import files
from desk.journal.state import Fold
from lab.sim.server import SimHandle, running_sim

ROOT = Path(__file__).resolve().parents[2]
MINUTE = 60_000
LAST_LINE = re.compile(r"HEARTBEAT END — Overall: (OK|WARNING|CRITICAL) \(\d+ OK, \d+ WARNING, \d+ CRITICAL\)")


@dataclass
class Beat:
    """One run of a door: its exit code and what it printed."""

    code: int
    lines: list[str]
    error: str

    @property
    def last(self) -> str:
        return self.lines[-1]

    def line(self, name: str) -> str:
        """The one line of a check."""
        found = [line for line in self.lines if line.startswith(f"{name}: ")]
        assert len(found) == 1, (name, self.lines)
        return found[0].removeprefix(f"{name}: ")


@dataclass
class Box:
    """A home beside a running exchange; doors run in this process, as fast as they can."""

    home: Home
    sim: SimHandle
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def run(self, door: str, *arguments: str) -> Beat:
        self.capture.readouterr()
        code = importlib.import_module(door).main(list(arguments))
        said = self.capture.readouterr()
        return Beat(code, said.out.splitlines(), said.err)

    def beat(self, *arguments: str) -> Beat:
        return self.run("heartbeat", *arguments)

    def tick(self, *doors: str) -> Beat:
        """A minute passes, then the jobs, heartbeat last."""
        self.sim.advance(MINUTE)
        for door in doors or ("reconcile", "router"):
            self.run(door)
        return self.beat()

    def fold(self) -> Fold:
        return journalkit.journal(self.home, mode="").read_fold()

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in journalkit.every_line(self.home) if line["event"] in names]

    def file(self, name: str) -> Path:
        return self.home.state / name

    def doc(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file(name).read_text())
        return found


def edit(box: Box, old: str, new: str) -> None:
    """Change the home's configuration."""
    path = box.home.config / "sanad.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def box(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Box]:
    """A PAPER home on a seeded, stepped Binance; nothing has run yet."""
    (home / ".env").chmod(0o600)
    with ExitStack() as stack:
        stack.enter_context(journalkit.time_at())  # what a stepped tick does to the clock ends with the test
        sim = stack.enter_context(running_sim(seed=11))
        settings = {
            "SYSTEM_MODE": "PAPER", "VENUE_ENV": "sim", "VENUES": "binance", "UNIVERSE_SYMBOLS": "BTCUSDT",
            "BINANCE_REST_URL": sim.rest_url, "BINANCE_API_KEY": "simkey", "BINANCE_API_SECRET": "simsecret",
            "SANAD_CLOCK": sim.admin_url + "/sim/clock",
        }  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield Box(Home(home).ensure(), sim, monkeypatch, capsys)


@pytest.fixture
def ready(box: Box) -> Box:
    """The jobs have run once and all is well."""
    found = box.tick()
    assert found.code == 0, found.lines
    return box


# --- what it prints ----------------------------------------------------------------------------------------


def test_the_first_heartbeat_of_a_fresh_folder_is_pending_and_makes_what_is_missing(box: Box) -> None:
    found = box.beat()
    assert found.code == 1
    assert found.line("cron_health").startswith("PENDING")
    assert found.line("system_mode") == "OK NORMAL"  # pending makes no DEGRADE
    assert found.line("trading") == "BLOCKED reconcile:never"
    assert not any("CRITICAL " in line or "UNKNOWN " in line for line in found.lines[:-1])
    breakers = {name for name in box.doc("circuit_breakers.json") if not name.startswith("_")}
    assert breakers == {"binance_api", "binance_orders"}
    assert box.doc("kill_switch.json")["state"] == "inactive"
    assert box.doc("pause.json")["state"] == "NORMAL"
    assert files.has_reserve(box.home)
    assert box.fold().portfolio.mode == "PAPER"


def test_a_folder_nobody_stamped_gets_the_stamp_of_system_mode(box: Box) -> None:
    box.patch.setenv("SYSTEM_MODE", "LIVE")
    found = box.beat()
    assert box.fold().portfolio.mode == "LIVE"
    assert found.line("kill_switch").startswith("OK ACTIVE reduce_only (manual)")
    assert found.line("trading").startswith("HALTED risk:kill_switch, arming:dry_run")


def test_one_line_a_check_in_the_tables_order_then_trading_then_the_verdict(ready: Box) -> None:
    found = ready.beat()
    names = [line.partition(":")[0] for line in found.lines]
    assert names == [*heartbeat.CHECKS, "trading", "HEARTBEAT END — Overall"]
    assert LAST_LINE.fullmatch(found.last)
    assert found.last == "HEARTBEAT END — Overall: OK (16 OK, 0 WARNING, 0 CRITICAL)"
    assert found.line("ntp_sync") == "OK abs_skew_ms=0"
    assert found.line("circuit_breakers") == "OK binance_api closed, binance_orders closed"
    assert found.line("trading") == "ENABLED"
    assert (found.code, found.error) == (0, "")


def test_the_log_reads_like_the_screen(ready: Box) -> None:
    found = ready.beat()
    log = (ready.home.logs / "heartbeat.log").read_text().splitlines()[-len(found.lines) :]
    assert [line.split(" ", 2)[2] for line in log] == found.lines


def test_json_is_one_document_and_nothing_else(ready: Box) -> None:
    found = ready.beat("--json")
    assert found.error == ""
    document = json.loads("\n".join(found.lines))
    assert LAST_LINE.fullmatch(document["verdict"])
    assert (document["exit_code"], document["overall"], document["trading"]) == (0, "OK", "ENABLED")
    assert list(document["checks"]) == list(heartbeat.CHECKS)
    assert document["checks"]["ntp_sync"]["data"]["abs_skew_ms"] == 0


def test_a_quiet_heartbeat_journals_nothing(ready: Box) -> None:
    before = ready.fold().seq
    ready.beat()
    assert ready.fold().seq == before


# --- kill switch and modes ---------------------------------------------------------------------------------


def test_the_kill_switch_halts_trading_and_leaves_overall_ok(ready: Box) -> None:
    ready.run("kill_switch", "engage", "--reason", "manual")
    found = ready.beat()
    assert found.code == 0
    assert found.line("kill_switch").startswith("OK ACTIVE reduce_only (manual)")
    assert found.line("trading") == "HALTED risk:kill_switch"


def test_a_hand_written_kill_switch_is_believed_and_journalled(ready: Box) -> None:
    ready.file("kill_switch.json").write_text('{"state": "active"}')
    assert ready.beat().line("trading") == "HALTED risk:kill_switch"
    assert ready.events("CONTROL_EDITED")[-1]["data"]["file"] == "kill_switch.json"
    assert ready.fold().portfolio.kill_switch.state == "active"


def test_kill_switch_true_in_the_environment_engages(ready: Box) -> None:
    ready.patch.setenv("KILL_SWITCH", "true")
    found = ready.beat()
    assert found.line("trading") == "HALTED risk:kill_switch, risk:kill_switch_env"
    ready.patch.setenv("KILL_SWITCH", "false")
    assert ready.beat().line("trading") == "HALTED risk:kill_switch"  # false never releases


def test_live_rules_in_a_paper_folder_are_judged_and_nothing_is_written_down(ready: Box) -> None:
    before = {path: path.read_bytes() for path in ready.home.state.glob("*.json")}
    seq = ready.fold().seq
    ready.patch.setenv("SYSTEM_MODE", "LIVE")
    found = ready.beat()
    assert found.code == 0, found.lines
    assert found.last.startswith("HEARTBEAT END — Overall: OK")
    assert found.line("trading").startswith("BLOCKED mode:stamp_mismatch")
    assert "of 3 positions" in found.line("exposure")
    after = {path: path.read_bytes() for path in ready.home.state.glob("*.json")}
    assert {path.name for path in after if after[path] != before.get(path)} <= {"rate_budget.json"}
    assert ready.fold().seq == seq


@pytest.mark.parametrize(("mode", "code", "status"), [("PAPER", 1, "WARNING"), ("LIVE", 2, "CRITICAL")])
def test_a_skew_above_2000_ms(ready: Box, mode: str, code: int, status: str) -> None:
    ready.patch.setenv("SYSTEM_MODE", mode)
    ready.sim.fault("clock_skew_ms", arg=2500)
    found = ready.beat()
    assert found.code == code
    assert found.line("ntp_sync").startswith(f"{status} binance abs_skew_ms=2500 above 2000")


@pytest.mark.parametrize(("mode", "code", "status"), [("PAPER", 1, "WARNING"), ("LIVE", 2, "CRITICAL")])
def test_an_unmeasurable_clock(ready: Box, mode: str, code: int, status: str) -> None:
    ready.patch.setenv("SYSTEM_MODE", mode)
    before = ready.file("circuit_breakers.json").read_bytes()
    ready.sim.fault("http_status", path="/api/v3/time", count=9, arg=503)
    found = ready.beat()
    assert found.code == code
    assert found.line("ntp_sync").startswith(f"{status} binance unmeasurable")
    assert ready.file("circuit_breakers.json").read_bytes() == before  # a check touches no breaker


def test_the_check_calls_the_time_and_nothing_else(ready: Box) -> None:
    count = len(ready.sim.exchange.requests)
    ready.beat()
    made = list(ready.sim.exchange.requests)[count:]
    assert {entry["path"] for entry in made} == {"/api/v3/time"}


# --- breakers: Phase 2 of the runbook ----------------------------------------------------------------------

FORCE_OPEN = """
import json
from datetime import datetime, timezone, timedelta
from pathlib import Path
p=Path("state/circuit_breakers.json")
d=json.loads(p.read_text()) if p.exists() else {}
d["binance_api"]={
    "state":"open",
    "failure_count":5,
    "cooldown_until":(datetime.now(timezone.utc)-timedelta(seconds=5)).isoformat()
}
p.write_text(json.dumps(d,indent=2))
"""
CALL = """
import sys
sys.path.insert(0, 'scripts')
from binance_client import _request
print(_request("GET","/api/v3/time", signed=False, timeout=5))
"""


def test_the_forced_breaker_scenario_of_the_runbook(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Phase 2: open and expired -> half_open by heartbeat -> probe -> closed with a recent last_success_at."""
    (home / "scripts").symlink_to(ROOT / "scripts")
    with running_sim(step=False) as sim:  # the snippet reads the host's clock, so the exchange runs in real time
        env = os.environ | {
            "SANAD_HOME": str(home), "SYSTEM_MODE": "PAPER", "VENUE_ENV": "sim", "BINANCE_REST_URL": sim.rest_url,
        }  # fmt: skip

        def python(*arguments: str) -> str:
            done = subprocess.run([sys.executable, *arguments], cwd=home, env=env, capture_output=True, text=True)
            assert done.returncode in {0, 1}, done.stdout + done.stderr
            return done.stdout

        python("scripts/heartbeat.py")
        python("-c", FORCE_OPEN)
        shown = python("scripts/heartbeat.py")
        assert "circuit_breakers: OK binance_api half_open (probing), binance_orders closed" in shown.splitlines()
        assert "serverTime" in python("-c", CALL)
        closed = json.loads((home / "state" / "circuit_breakers.json").read_text())["binance_api"]
        assert closed["state"] == "closed" and closed["last_success_at"]
        assert "circuit_breakers: OK binance_api closed, binance_orders closed" in python("scripts/heartbeat.py")
    log = (home / "execution-logs" / "heartbeat.log").read_text()
    assert "[BINANCE] breaker OPEN -> HALF_OPEN COOLDOWN_PASSED" in log
    assert "RESET" not in log  # no check of ours closes a breaker


def test_an_open_breaker_warns_until_its_cooldown_has_passed(ready: Box) -> None:
    until = "2099-01-01T00:00:00+00:00"
    doc = ready.doc("circuit_breakers.json")
    doc["binance_orders"] = {"state": "open", "failure_count": 5, "cooldown_until": until}
    ready.file("circuit_breakers.json").write_text(json.dumps(doc))
    found = ready.beat()
    assert found.code == 1
    assert found.line("circuit_breakers").startswith("WARNING binance_orders open until ")
    assert "breaker:open" in found.line("trading")


# --- system mode through real heartbeats -------------------------------------------------------------------


def modes(box: Box) -> list[str]:
    return [event["data"]["to"] for event in box.events("SYSTEM_MODE_CHANGED")]


def test_degrade_ends_after_two_good_heartbeats_that_span_a_minute(ready: Box) -> None:
    """A drift beyond the offset in use: DEGRADE at once, NORMAL only after the second good look."""
    ready.sim.fault("clock_skew_ms", arg=900)
    found = ready.beat()
    assert found.line("system_mode").startswith("WARNING DEGRADE")
    assert found.line("trading") == "BLOCKED system_mode:degrade"
    ready.sim.clear_faults()
    assert ready.beat().line("system_mode").startswith("WARNING DEGRADE")  # the first good one
    assert ready.beat().line("system_mode").startswith("WARNING DEGRADE")  # the second, within the same instant
    found = ready.tick()
    assert found.line("system_mode") == "OK NORMAL"
    assert found.line("trading") == "ENABLED"
    assert modes(ready) == ["DEGRADE", "NORMAL"]
    assert [event["data"]["overall"] for event in ready.events("HEALTH_CHANGED")] == ["OK", "WARNING", "OK"]


def test_a_lost_status_does_not_end_degrade(ready: Box) -> None:
    ready.sim.fault("clock_skew_ms", arg=900)
    ready.beat()
    ready.sim.clear_faults()
    ready.file("system_status.json").unlink()
    assert ready.tick().line("system_mode").startswith("WARNING DEGRADE")


def test_a_late_router_degrades_then_pauses_and_only_resume_ends_it(ready: Box) -> None:
    for _ in range(2):
        assert ready.tick("reconcile").line("cron_health").startswith("OK")
    found = ready.tick("reconcile")
    assert "LOOP_STUCK_DEGRADE (health:job_late)" in found.line("cron_health")
    assert found.line("system_mode").startswith("WARNING DEGRADE")
    found = ready.tick("reconcile")
    assert found.code == 2
    assert found.line("cron_health").startswith("CRITICAL router last ran 240 s ago, every 60 s [LOOP_STUCK_PAUSE")
    assert found.line("system_mode").startswith("CRITICAL PAUSE") and "resume.py --reason TEXT" in found.line(
        "system_mode"
    )
    assert ready.doc("pause.json")["state"] == "PAUSE"
    raised = ready.events("PAUSE_RAISED")
    assert len(raised) == 1 and raised[0]["data"]["reasons"] == [str(Reason.LOOP_PAUSE)]
    alert = next(e for e in ready.events("ALERT_RAISED") if e["data"]["code"] == str(Reason.LOOP_PAUSE))
    assert "resume.py" in alert["data"]["action"]
    assert ready.tick("reconcile", "router").line("system_mode").startswith("CRITICAL PAUSE")  # latched
    ready.tick("reconcile", "router")
    assert ready.run("resume", "--reason", "cron is back", "--ack", "I_UNDERSTAND").code == 0
    assert ready.tick().code == 0
    assert len(ready.events("PAUSE_RAISED")) == 1


def test_a_silent_heartbeat_is_a_host_outage_until_router_and_reconcile_have_succeeded(ready: Box) -> None:
    ready.sim.advance(30 * MINUTE)
    found = ready.beat()
    assert "HOST_OUTAGE" in found.line("cron_health")
    assert not ready.events("PAUSE_RAISED")  # nothing was late while nobody was there
    assert "HOST_OUTAGE" in ready.tick("router").line("cron_health")
    assert "HOST_OUTAGE" not in ready.tick("reconcile").line("cron_health")
    assert ready.tick().line("system_mode") == "OK NORMAL"


def test_a_silent_exchange_degrades_then_pauses(ready: Box) -> None:
    edit(ready, "read_attempts_max = 3", "read_attempts_max = 1")  # the waits between them are real
    ready.sim.fault("drop_before", count=100_000)
    seen = [ready.tick().line("market_data") for _ in range(6)]
    assert any("REST_STALE_DEGRADE" in line for line in seen)
    assert "REST_STALE_PAUSE" in seen[-1]
    assert str(Reason.REST_PAUSE) in ready.doc("pause.json")["reasons"]


def test_a_flash_crash_engages_the_kill_switch_once_and_leaves_a_snapshot(ready: Box) -> None:
    """By stored prices alone: the router need not run."""
    path = ready.file("market_data_binance_router.json")
    doc = json.loads(path.read_text())
    row = doc["symbols"]["BTCUSDT"]
    last = row["polls"][-1]
    bid, ask = (str(float(last[side]) * 0.88) for side in ("bid", "ask"))
    later = {"at_ms": last["at_ms"] + 1, "bid": bid, "ask": ask, "held": False}
    row |= {"bid": bid, "ask": ask, "as_of_ms": later["at_ms"], "polls": [*row["polls"], later]}
    path.write_text(json.dumps(doc))
    ready.sim.advance(1000)
    found = ready.beat()
    assert found.line("flash_crash").startswith("WARNING binance:BTCUSDT fell 0.1200 in 15 min")
    assert found.line("kill_switch").startswith("OK ACTIVE reduce_only (flash_crash)")
    assert found.line("trading") == "HALTED risk:kill_switch"
    ready.beat()
    assert [event["data"]["reason"] for event in ready.events("KILL_SWITCH_ACTIVATED")] == ["flash_crash"]
    assert len(list(ready.home.logs.glob("kill_switch_snapshot-*.json"))) == 1
    assert "flash_crash" in ready.doc("kill_switch.json")["seen"]


# --- alerts ------------------------------------------------------------------------------------------------


def test_an_alert_stands_once_and_is_cleared(ready: Box) -> None:
    ready.sim.fault("clock_skew_ms", arg=2500, count=1000)
    ready.beat()
    assert not ready.events("ALERT_RAISED")  # a WARN is raised when it is seen in 2 ticks
    for _ in range(3):
        ready.tick()
    raised = [e for e in ready.events("ALERT_RAISED") if e["data"]["code"] == str(Reason.CLOCK_SKEW)]
    assert len(raised) == 1
    ready.sim.clear_faults()
    ready.tick()
    cleared = [event["data"]["fingerprint"] for event in ready.events("ALERT_CLEARED")]
    assert raised[0]["data"]["fingerprint"] in cleared
    assert not [name for name in ready.fold().portfolio.alerts if "health:" in name]


# --- every state file, corrupt or missing ------------------------------------------------------------------

FILES = (
    "audit_head.json", "circuit_breakers.json", "clock.json", "cron_health.json", "filters_binance.json",
    "intents.json", "kill_switch.json", "market_data_binance_router.json", "mode.json", "order_lease.json",
    "paper_broker.json", "pause.json", "portfolio.json", "positions.json", "rate_budget.json", "reconcile.json",
    "runs/router.json", "runs/heartbeat.json", "system_status.json",
)  # fmt: skip
PAUSING = {"paper_broker.json", "pause.json"}
KEPT = PAUSING | {"circuit_breakers.json", "kill_switch.json"}  # control files and paper truth: an operator's to mend
TORN = '{"state": "clo'


@pytest.mark.parametrize("name", FILES)
def test_a_corrupt_file_gives_one_clear_line_and_never_ok(ready: Box, name: str) -> None:
    path = ready.file(name)
    for mode in ("PAPER", "LIVE"):
        assert path.exists(), f"{name} is written by no door of this test"
        path.write_text(TORN)
        ready.patch.setenv("SYSTEM_MODE", mode)
        found = ready.beat()
        assert found.error == "" and not any("Traceback" in line for line in found.lines)
        assert LAST_LINE.fullmatch(found.last)
        assert [line for line in found.lines[:-2] if path.name in line], found.lines
        assert found.code == (2 if mode == "LIVE" or name in PAUSING else 1), found.lines
    ready.patch.setenv("SYSTEM_MODE", "PAPER")
    ready.tick()
    healed = path.name not in "".join(ready.tick().lines)
    assert healed is (name not in KEPT), "projections and observations heal by themselves, the rest never does"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_no_crash_and_what_must_not_be_missing_is_said(ready: Box, name: str) -> None:
    ready.run("router")
    ready.file(name).unlink()
    found = ready.beat()
    assert found.error == "" and LAST_LINE.fullmatch(found.last)
    says = {
        "paper_broker.json": (2, "journal", "paper_broker.json is missing"),
        "reconcile.json": (1, "reconcile", "has not succeeded yet"),
        "market_data_binance_router.json": (1, "market_data", "has no stored price yet"),
        "runs/router.json": (0, "cron_health", "router 0s"),  # what the last heartbeat saw of it still counts
    }
    code, check, text = says.get(name, (0, "journal", "seq"))
    assert (found.code, text in found.line(check)) == (code, True), found.lines


def test_lost_paper_books_pause(ready: Box) -> None:
    ready.file("paper_broker.json").unlink()
    assert ready.beat().line("system_mode").startswith("CRITICAL PAUSE")
    assert ready.doc("pause.json")["reasons"] == [str(Reason.PAPER_LOST)]


def test_a_damaged_journal_is_critical_and_paused(ready: Box) -> None:
    raw = ready.home.journal.read_bytes()
    ready.home.journal.write_bytes(raw[: len(raw) // 2])
    found = ready.beat()
    assert found.code == 2
    assert found.line("journal").startswith("CRITICAL") and "JOURNAL_SHRUNK" in found.line("journal")
    assert found.line("trading").startswith("HALTED")
    assert ready.doc("pause.json")["reasons"] == [str(Reason.AUDIT_SHRUNK)] or "audit:" in str(ready.doc("pause.json"))
    assert len([line for line in found.lines if "Traceback" in line]) == 0


def test_the_reserve_is_made_again(ready: Box) -> None:
    assert files.release_reserve(ready.home)
    assert ready.beat().line("journal").endswith("reserve made")
    assert files.has_reserve(ready.home)


def test_a_status_that_cannot_be_written_is_said(ready: Box) -> None:
    ready.file("system_status.json").unlink()
    ready.file("system_status.json").mkdir()
    found = ready.beat()
    assert found.code == 1
    assert "system_status.json" in found.line("journal")


# --- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "", "paper", "DEMO"])
def test_without_a_mode_there_is_one_clear_line_and_exit_2(box: Box, mode: str | None) -> None:
    box.patch.delenv("SYSTEM_MODE")
    if mode is not None:
        box.patch.setenv("SYSTEM_MODE", mode)
    found = box.beat()
    assert found.code == 2
    assert len([*found.lines, *found.error.splitlines()]) == 1
    assert "SYSTEM_MODE" in found.error


def test_a_listed_venue_that_does_not_answer_is_unmeasurable(box: Box) -> None:
    box.patch.setenv("BINANCE_REST_URL", "http://127.0.0.1:9")
    found = box.beat()
    assert found.line("ntp_sync").startswith("WARNING binance unmeasurable")


def test_a_disabled_job_is_shown_and_in_live_refused(ready: Box) -> None:
    edit(ready, "[schedule.reconcile]\nenabled = true", "[schedule.reconcile]\nenabled = false")
    assert "reconcile NOT_ENABLED" in ready.beat().line("cron_health")
    ready.patch.setenv("SYSTEM_MODE", "LIVE")
    found = ready.beat()
    assert found.line("cron_health").startswith("CRITICAL reconcile is disabled")
