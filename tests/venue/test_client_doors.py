"""The client doors and breakers.py as an operator runs them: separate processes against a simulator."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desk.base.paths import CHECKOUT
from desk.venues.table import VENUES
from lab.sim.server import SimHandle, running_sim
from venue.kit import SHARED

START = "2026-01-05T00:00:00+00:00"
KEY, SECRET = "simkey-fake-0123", "simsecret-fake-4567"
ENCODED = base64.b64encode(SECRET.encode()).decode()  # BTCTurk's secrets are base64 text
RULES = {"btcturk": "/api/v2/server/exchangeinfo"}
ACCOUNTS = {"btcturk": "/api/v1/users/balances"}
LOADED = re.compile(r"\b(binance|aiohttp|numpy|pandas|cryptography|tabulate)\b")


def secret_of(venue: str) -> str:
    """The venue's secret, in the form its keys have."""
    return ENCODED if venue == "btcturk" else SECRET


class Host:
    """A working folder with `scripts/` in it, as the runbook's `cd` finds it."""

    def __init__(self, root: Path, sim: SimHandle, venue: str) -> None:
        self.root, self.sim, self.venue = root, sim, venue
        (root / "scripts").symlink_to(CHECKOUT / "scripts")
        (root / ".env").write_text("")
        upper = venue.upper()
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "SANAD_HOME": str(root), "SYSTEM_MODE": "PAPER",
            "VENUE_ENV": "sim", "VENUES": venue, "UNIVERSE_SYMBOLS": "BTCUSDT", f"{upper}_REST_URL": sim.rest_url,
            f"{upper}_API_KEY": KEY, f"{upper}_API_SECRET": secret_of(venue),
            "SANAD_CLOCK": f"{sim.admin_url}/sim/clock",
        }  # fmt: skip

    def run(self, *argv: str, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *argv], cwd=self.root, env=self.env | env, input=stdin, text=True, capture_output=True,
            timeout=60,
        )  # fmt: skip

    def door(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(f"scripts/{self.venue}_client.py", *argv, **env)

    def snippet(self, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("-", stdin=code, **env)

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "state" / name).read_text())
        return found


@pytest.fixture(params=["binance", "mexc", "btcturk"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    with running_sim(venue=request.param, start=START, api_key=KEY, api_secret=secret_of(request.param)) as sim:
        yield Host(tmp_path, sim, request.param)


@pytest.fixture
def binance(tmp_path: Path) -> Iterator[Host]:
    with running_sim(start=START, api_key=KEY, api_secret=SECRET) as sim:
        yield Host(tmp_path, sim, "binance")


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.strip().splitlines()[-1]


def test_refresh_writes_the_three_observations(host: Host) -> None:
    for _ in range(2):
        done = host.door("refresh")
        assert done.returncode == 0, done.stdout + done.stderr
        assert last(done) == f"{host.venue.upper()}_CLIENT refresh — OK (clock +0 ms, filters 1, prices 1)"
        host.sim.advance(60_000)
    assert host.state("clock.json")[host.venue]["offset_ms"] == 0
    filters = host.state(f"filters_{host.venue}.json")
    assert list(filters["symbols"]) == ["BTCUSDT"]
    assert len(filters["hash"]) == 16
    prices = host.state(f"market_data_{host.venue}_rest.json")
    assert (prices["venue"], prices["source"]) == (host.venue, "rest")
    entry = prices["symbols"]["BTCUSDT"]
    assert entry["as_of_ms"] == host.sim.now_ms - 60_000
    assert [poll["at_ms"] for poll in entry["polls"]] == [host.sim.now_ms - 120_000, host.sim.now_ms - 60_000]
    assert not (host.root / "execution-logs" / "audit.jsonl").exists(), "observations stamp no folder"


def test_a_venue_not_listed_is_not_called(host: Host) -> None:
    done = host.door("refresh", VENUES="mexc" if host.venue == "binance" else "binance")
    assert (done.returncode, "NOT_ENABLED" in last(done)) == (0, True)
    assert host.sim.requests() == []
    assert host.door("time", VENUES="mexc" if host.venue == "binance" else "binance").returncode == 0


def test_refresh_says_what_failed_and_does_the_rest(host: Host) -> None:
    host.sim.fault("http_status", path=RULES.get(host.venue, "/api/v3/exchangeInfo"), count=None, arg=400)
    done = host.door("refresh")
    assert done.returncode == 1
    assert last(done).endswith("WARNING (clock +0 ms, prices 1, filters FAILED)")
    assert host.state(f"market_data_{host.venue}_rest.json")["symbols"]["BTCUSDT"]["bid"] != "0"


def test_an_unreachable_exchange_is_exit_2_and_one_verdict(host: Host) -> None:
    done = host.door("refresh", **{f"{host.venue.upper()}_REST_URL": "http://127.0.0.1:1"})
    assert done.returncode == 2
    assert "FAIL (clock FAILED, filters FAILED, prices FAILED)" in last(done)
    assert "Traceback" not in done.stdout + done.stderr


def test_every_command_ends_with_its_verdict_and_speaks_json(host: Host) -> None:
    for command in ("time", "account", "filters", "book"):
        done = host.door(command)
        assert done.returncode == 0, done.stdout
        assert last(done).startswith(f"{host.venue.upper()}_CLIENT {command} — OK")
        spoken = host.door(command, "--json")
        document = json.loads(spoken.stdout)
        assert (document["exit_code"], spoken.stderr) == (0, "")
        assert document["verdict"] == last(done)
    assert "BTCUSDT" in host.door("book", "--symbol", "BTCUSDT").stdout


def test_json_stays_one_document_when_it_fails(host: Host) -> None:
    wrong = base64.b64encode(b"wrong-secret-1").decode()
    done = host.door("account", "--json", **{f"{host.venue.upper()}_API_SECRET": wrong})
    assert (json.loads(done.stdout)["exit_code"], done.returncode, done.stderr) == (2, 2, "")
    errors = (host.root / "execution-logs" / "errors.log").read_text()
    assert f"venue={host.venue}" in errors
    assert f"GET {ACCOUNTS.get(host.venue, '/api/v3/account')}" in errors
    assert wrong not in errors


@pytest.mark.parametrize(
    ("env", "where"),
    [({"SYSTEM_MODE": ""}, "SYSTEM_MODE"), ({"SYSTEM_MODE": "live"}, "SYSTEM_MODE"), ({"VENUES": "nyse"}, "VENUES"),
     ({"VENUE_ENV": "moon"}, "VENUE_ENV"), ({"VENUE_ENV": "mainnet"}, "SANAD_CLOCK"),
     ({"BINANCE_REST_URL": "http://evil.example"}, "BINANCE_REST_URL")],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(binance: Host, env: dict[str, str], where: str) -> None:
    done = binance.door("refresh", **env)
    assert done.returncode == 2
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1
    assert where in done.stdout + done.stderr
    assert binance.sim.requests() == []


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["--status", "400", "--body", '{"code": -2010, "msg": "Duplicate order sent."}'],
         ("already_exists_query_by_client_id", True, False, False)),
        (["--status", "502", "--body", "<html>"], ("execution_unknown", True, False, True)),
        (["--status", "429", "--body", "{}", "--headers", '{"Retry-After": "5"}'],
         ("rate_limited_back_off", False, True, True)),
        (["--status", "418", "--body", ""], ("ip_banned_stop", False, False, True)),
        (["--status", "403", "--body", "<html>"], ("waf_block_back_off", False, True, False)),
    ],
)  # fmt: skip
def test_explain_error_prints_json(host: Host, argv: list[str], wanted: tuple[Any, ...]) -> None:
    done = host.door("explain-error", *argv, SYSTEM_MODE="")
    document = json.loads(done.stdout)
    keys = ("class", "order_may_exist", "retryable", "counts_for_breaker")
    assert tuple(document[key] for key in keys) == wanted
    assert (done.returncode, set(document)) == (0, {*keys, "what_to_do"})
    assert json.loads(host.door("explain-error", *argv, "--json").stdout)["verdict"] == document["class"]


@pytest.mark.parametrize(
    "argv", [["--status", "9", "--body", ""], ["--status", "400", "--body", "", "--headers", "[1]"]]
)
def test_explain_error_refuses_nonsense_in_one_line(binance: Host, argv: list[str]) -> None:
    done = binance.door("explain-error", *argv)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (2, 1, "")


FORCE = """
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
PROBE = """
import sys
sys.path.insert(0, 'scripts')
from binance_client import _request
print(_request("GET","/api/v3/time", signed=False, timeout=5))
"""


@pytest.mark.parametrize("folder", ["never used", "used"])
def test_the_runbooks_forced_breaker_heals(binance: Host, folder: str) -> None:
    if folder == "used":
        assert binance.door("refresh").returncode == 0
    (binance.root / "state").mkdir(exist_ok=True)
    real = {"SANAD_CLOCK": "", "VENUE_ENV": "sim"}
    assert binance.snippet(FORCE, **real).returncode == 0
    done = binance.snippet(PROBE, **real)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str({"serverTime": binance.sim.now_ms})
    entry = binance.state("circuit_breakers.json")["binance_api"]
    assert entry["state"] == "closed"
    assert entry["last_success_at"]
    assert binance.run("scripts/breakers.py", "status", **real).returncode == 0


@pytest.mark.skipif(not (SHARED / "seeds").is_dir(), reason="../shared/seeds is absent")
def test_the_snippets_above_are_the_runbooks_own() -> None:
    text = (SHARED / "seeds" / "sanad-trader-runbook.md").read_text()
    assert PROBE.strip() in text
    assert all(line in text for line in FORCE.strip().splitlines())


ACCOUNT = """
import sys
sys.path.insert(0, 'scripts')
from binance_client import get_account_info
result = get_account_info()
if result:
    print("Signed request successful")
    print(f"Balances: {len(result.get('balances', []))} assets")
else:
    print("Signed request failed")
"""


@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
def test_the_runbooks_signed_request(binance: Host, mode: str) -> None:
    done = binance.snippet(ACCOUNT, SYSTEM_MODE=mode)
    assert done.stdout.splitlines() == ["Signed request successful", "Balances: 2 assets"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    "env",
    [{"BINANCE_API_SECRET": "wrong-secret-1"}, {"BINANCE_API_SECRET": ""}, {"BINANCE_REST_URL": "http://127.0.0.1:1"},
     {"SYSTEM_MODE": ""}],
)  # fmt: skip
def test_a_failed_signed_request_is_none_and_one_log_line(binance: Host, env: dict[str, str]) -> None:
    done = binance.snippet(ACCOUNT, **env)
    assert (done.returncode, done.stdout.strip()) == (0, "Signed request failed")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


def test_time_raw_is_a_number_and_touches_no_breaker(host: Host) -> None:
    name = f"_{host.venue}_time_raw"
    code = f"import sys; sys.path.insert(0, 'scripts')\nfrom {host.venue}_client import {name}\nprint({name}())"
    assert int(host.snippet(code).stdout) == host.sim.now_ms
    assert not (host.root / "state" / "circuit_breakers.json").exists()


def test_a_copy_restored_from_a_backup_works(binance: Host) -> None:
    """The runbook's rollback: cp scripts/binance_client.py.bak.N scripts/binance_client.py, byte for byte."""
    source = (CHECKOUT / "scripts" / "binance_client.py").read_text()
    folder = binance.root / "restored"
    folder.mkdir()
    (folder / "desk").symlink_to(CHECKOUT / "scripts" / "desk")
    (folder / "binance_client.py.bak.1700000000").write_text(source)
    (folder / "binance_client.py").write_bytes((folder / "binance_client.py.bak.1700000000").read_bytes())
    assert binance.run("-m", "py_compile", "restored/binance_client.py").returncode == 0
    done = binance.snippet(PROBE.replace("'scripts'", "'restored'"))
    assert "serverTime" in done.stdout


def test_breakers_status_and_reset(binance: Host) -> None:
    def breakers(*argv: str) -> subprocess.CompletedProcess[str]:
        return binance.run("scripts/breakers.py", *argv)

    assert (breakers("status").returncode, last(breakers("status"))) == (0, "BREAKERS — OK (none open)")
    forced = {"state": "open", "failure_count": 5, "cooldown_until": "2999-01-01T00:00:00+00:00"}
    path = binance.root / "state" / "circuit_breakers.json"
    path.write_text(json.dumps({"binance_api": forced}))
    done = breakers("status")
    assert (done.returncode, last(done)) == (1, "BREAKERS — WARNING (open: binance_api)")
    assert json.loads(breakers("status", "--json").stdout)["breakers"][0]["state"] == "open"
    path.write_text(json.dumps({"binance_api": forced, "mexc_orders": forced}))
    assert last(breakers("status")) == "BREAKERS — CRITICAL (open: binance_api, mexc_orders)"
    done = breakers("reset", "binance_api", "--reason", "exchange is back")
    assert (done.returncode, "[BINANCE] breaker OPEN -> CLOSED RESET" in done.stdout) == (0, True)
    path.write_text("{")
    assert breakers("status").returncode == 2
    assert breakers("reset", "all", "--reason", "rebuilt").returncode == 0
    assert binance.state("circuit_breakers.json")["binance_orders"]["state"] == "closed"
    for argv in (["reset", "nope", "--reason", "x"], ["reset", "all", "--reason", "  "], ["reset", "all"]):
        assert breakers(*argv).returncode == 2


STAMP = """
import sys
sys.path.insert(0, 'scripts')
from desk.base.paths import find_home
from desk.journal.chain import Context
from desk.journal.journal import Journal
context = Context(run_id="r", cycle_id="c", script="test", mode="PAPER", instance="i")
Journal(find_home().ensure(), context).transact(lambda fold: [])
"""


def journal(host: Host) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (host.root / "execution-logs" / "audit.jsonl").read_text().splitlines()]


def test_a_bare_request_journals_what_it_did_to_the_breaker(binance: Host) -> None:
    real = {"SANAD_CLOCK": ""}
    for code in (STAMP, FORCE, PROBE):
        assert binance.snippet(code, **real).returncode == 0
    lines = journal(binance)
    assert [line["event"] for line in lines] == ["GENESIS", "CONTROL_EDITED", "BREAKER_CHANGED", "BREAKER_CHANGED"]
    assert [line["data"]["to"] for line in lines[2:]] == ["half_open", "closed"]
    assert {line["data"]["script"] for line in lines[2:]} == {"binance_client"}


def test_a_reset_is_journalled_with_its_reason_where_the_folder_is_stamped(binance: Host) -> None:
    assert binance.snippet(STAMP).returncode == 0
    path = binance.root / "state" / "circuit_breakers.json"
    path.write_text('{"binance_api": {"state": "open", "cooldown_until": "2999-01-01T00:00:00+00:00"}}')
    assert binance.run("scripts/breakers.py", "reset", "all", "--reason", "exchange is back").returncode == 0
    lines = journal(binance)
    assert [line["event"] for line in lines] == ["GENESIS", "CONTROL_EDITED", "BREAKER_CHANGED", "NOTE"]
    changed = lines[2]["data"]
    assert (changed["from"], changed["to"], changed["script"]) == ("open", "closed", "breakers")
    assert "exchange is back" in lines[3]["data"]["text"]


def test_a_read_only_folder_is_one_line_and_nothing_half_written(binance: Host) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    binance.door("refresh")
    (binance.root / "state").chmod(0o500)
    try:
        done = binance.door("refresh")
    finally:
        (binance.root / "state").chmod(0o700)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr


def test_no_heavy_import_on_the_way(binance: Host) -> None:
    clients = ", ".join(row.door for row in VENUES.values())
    code = f"import sys; sys.path.insert(0, 'scripts')\nimport {clients}\nprint(*sys.modules)"
    loaded = {name.partition(".")[0] for name in binance.snippet(code).stdout.split()}
    assert not {name for name in loaded if LOADED.fullmatch(name)}
    assert set(VENUES) == {"binance", "mexc", "btcturk"}
