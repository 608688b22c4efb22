"""The door: start-up line, time modes, signals, one-line errors. Real processes on free ports."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from decimal import Decimal as D
from pathlib import Path

import pytest
import requests

DOOR = Path(__file__).parents[2] / "scripts" / "exchange_sim.py"


@contextmanager
def started(*arguments):
    command = [sys.executable, str(DOOR), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate(timeout=10)


def ask(hello, path):
    return requests.get(f"{hello['rest_url']}{path}", timeout=5).json()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_line_and_prompt_exit(number):
    with started("--symbol", "BTCUSDT", "--symbol", "ETHUSDT", "--step") as (process, hello):
        assert set(hello) == {"rest_url", "ws_url", "admin_url", "venue", "symbols", "now_ms"}
        assert hello["rest_url"].startswith("http://127.0.0.1:") and hello["symbols"] == ["BTCUSDT", "ETHUSDT"]
        session = requests.Session()
        assert session.get(f"{hello['admin_url']}/sim/clock", timeout=5).json() == {"now_ms": hello["now_ms"]}
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stdout.read() == "" and process.stderr.read() == ""


def test_nothing_is_written_to_stderr_by_faults():
    with started("--symbol", "BTCUSDT", "--step") as (process, hello):
        for kind in ("drop_before", "drop_after_accept", "reset_mid_body"):
            fault = {"kind": kind, "match": {"path": "/api"}}
            assert requests.post(f"{hello['admin_url']}/sim/faults", json=fault, timeout=5).status_code == 200
            with pytest.raises(requests.RequestException):
                requests.get(f"{hello['rest_url']}/api/v3/time", timeout=5)
        process.terminate()
        assert process.wait(timeout=5) == 0 and process.stderr.read() == ""


def test_default_start_of_the_seeded_step_mode_is_fixed():
    with started("--symbol", "BTCUSDT", "--step") as (_, hello):
        assert hello["now_ms"] == 1_767_571_200_000
        assert ask(hello, "/api/v3/time") == {"serverTime": 1_767_571_200_000}
        assert len(ask(hello, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000")) == 1000


def test_real_time_shifts_the_market_so_that_start_is_now(write_market):
    path = write_market([(100 + i, 100 + i, 100 + i, 100 + i, 5) for i in range(3000)])
    with started("--symbol", "XYZUSDT", "--market", str(path), "--start", "2023-11-15T08:00:00Z") as (_, hello):
        now = ask(hello, "/api/v3/time")["serverTime"]
        assert abs(now - time.time() * 1000) < 2000
        last = ask(hello, "/api/v3/klines?symbol=XYZUSDT&interval=1m&limit=1")[0]
        assert last[0] <= now <= last[6] and last[0] % 60_000 == 0
        played = 1_700_035_200_000 - 1_700_000_040_000
        assert abs(float(last[1]) - (100 + played // 60_000)) <= 1


def test_speed_runs_faster_than_the_wall():
    with started("--symbol", "BTCUSDT", "--speed", "1000") as (_, hello):
        began = time.perf_counter()
        first = ask(hello, "/sim/clock")["now_ms"]
        while ask(hello, "/sim/clock")["now_ms"] < first + 20_000:
            assert time.perf_counter() - began < 5
        refused = requests.post(f"{hello['admin_url']}/sim/advance", json={"ms": 1}, timeout=5)
        assert refused.status_code == 400 and "--step" in refused.json()["error"]


def test_balances_fee_and_keys():
    arguments = ["--symbol", "BTCUSDT", "--step", "--balance", "USDT=7", "--balance", "BNB=2", "--fee-bps", "7.5"]
    with started(*arguments) as (_, hello):
        assert ask(hello, "/sim/books")["balances"] == {
            "BTC": {"free": "0.00000000", "locked": "0.00000000"},
            "USDT": {"free": "7.00000000", "locked": "0.00000000"},
            "BNB": {"free": "2.00000000", "locked": "0.00000000"},
        }  # fmt: skip


def test_a_small_weight_limit_is_told_and_enforced():
    with started("--symbol", "BTCUSDT", "--step", "--weight-limit", "30") as (_, hello):
        told = ask(hello, "/api/v3/exchangeInfo")["rateLimits"]
        assert [row["limit"] for row in told if row["rateLimitType"] == "REQUEST_WEIGHT"] == [30]
        statuses = [requests.get(f"{hello['rest_url']}/api/v3/exchangeInfo", timeout=5).status_code for _ in "ab"]
        assert statuses == [429, 429]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--symbol"),
        (["--symbol", "NOQUOTE"], "NOQUOTE"),
        (["--symbol", "BTCUSDT", "--venue", "moon"], "moon"),
        (["--symbol", "BTCUSDT", "--market", "/nonexistent.csv.gz"], "/nonexistent.csv.gz"),
        (["--symbol", "BTCUSDT", "--start", "yesterday"], "yesterday"),
        (["--symbol", "BTCUSDT", "--speed", "0"], "--speed"),
        (["--symbol", "BTCUSDT", "--speed", "2", "--step"], "--step"),
        (["--symbol", "BTCUSDT", "--balance", "USDT"], "--balance"),
        (["--symbol", "BTCUSDT", "--balance", "USDT=-1"], "--balance"),
        (["--symbol", "BTCUSDT", "--fee-bps", "x"], "--fee-bps"),
        (["--symbol", "BTCUSDT", "--weight-limit", "-1"], "--weight-limit"),
        (["--symbol", "BTCUSDT", "--port", "99999999"], "--port"),
        (["--symbol", "BTCUSDT", "--scenario", "/nonexistent.json"], "/nonexistent.json"),
        (["--symbol", "BTCUSDT", "--symbol", "BTCUSDT"], "twice"),
        (["--symbol", "BTCUSDT", "--ed25519-public", "/nonexistent.pem"], "/nonexistent.pem"),
        (["--symbol", "BTCUSDT", "--wat"], "--wat"),
    ],
)
def test_bad_arguments_are_one_clear_line_and_exit_2(arguments, says):
    done = subprocess.run(
        [sys.executable, str(DOOR), *arguments], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and says in done.stderr


def test_bad_scenario_is_one_clear_line_and_exit_2(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('{"events": [{"after_ms": 5, "fault": {"kind": "gremlin"}}]}')
    command = [sys.executable, str(DOOR), "--symbol", "BTCUSDT", "--scenario", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "event 0" in done.stderr and "gremlin" in done.stderr


def test_a_pending_answer_does_not_delay_the_exit():
    with started("--symbol", "BTCUSDT", "--step") as (process, hello):
        fault = {"kind": "latency_ms", "match": {"path": "/api"}, "arg": 60_000}
        requests.post(f"{hello['admin_url']}/sim/faults", json=fault, timeout=5)
        with pytest.raises(requests.RequestException):
            requests.get(f"{hello['rest_url']}/api/v3/time", timeout=0.2)
        process.terminate()
        assert process.wait(timeout=5) == 0


def test_an_interpreter_without_packages_says_what_to_do(tmp_path):
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / DOOR.name).write_text(DOOR.read_text())
    command = [sys.executable, "-S", str(scripts / DOOR.name), "--symbol", "BTCUSDT"]
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr == "exchange_sim: package aiohttp is missing; run `make setup` in the checkout\n"


def test_start_outside_the_file_is_named(write_market):
    path = write_market([(1, 1, 1, 1, 1)] * 10)
    command = [
        sys.executable,
        str(DOOR),
        "--symbol",
        "XYZUSDT",
        "--market",
        str(path),
        "--start",
        "2020-01-01",
        "--step",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and "outside" in done.stderr and "2023-11-14" in done.stderr


def test_btcturk_at_the_door(shared_market):
    market = shared_market("binance_BTCUSDT_1m_20250601-20250701.csv.gz")
    with started("--venue", "btcturk", "--symbol", "BTCUSDT", "--market", str(market), "--step") as (_, hello):
        assert (hello["venue"], hello["symbols"]) == ("btcturk", ["BTCUSDT"])
        assert ask(hello, "/api/v2/server/time")["serverTime"] == hello["now_ms"]
        row = ask(hello, "/api/v2/server/exchangeinfo")["data"]["symbols"][0]
        assert (row["name"], row["filters"][0]["tickSize"], row["denominatorScale"]) == ("BTCUSDT", "10", 2)
        book = ask(hello, "/api/v2/orderbook?pairSymbol=BTCUSDT")["data"]
        prices = [D(price) for side in ("bids", "asks") for price, _ in book[side]]
        assert prices and all(price % 10 == 0 for price in prices)
