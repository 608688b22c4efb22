"""A PAPER session end to end: the same day in one process, in separate processes, and twice, byte for byte."""

import subprocess
import sys
from pathlib import Path

import pytest

import daykit

CRASH_DAY = "binance_BTCUSDT_1m_20210420-20210520.csv.gz"
SEEDED = ("--seed", "11")


def _play(folder: Path, ticks: int, *sim: str, in_process: bool) -> str:
    with daykit.day(folder, "BTCUSDT", *sim, in_process=in_process) as played:
        played.play(ticks)
        crashed = {name: count for name, count in played.counts.items() if name.endswith(("exit 2", "exit 124"))}
        assert crashed == {}
    return daykit.journal_hash(folder)


def test_the_same_seed_twice_gives_the_same_journal(tmp_path: Path) -> None:
    first = _play(tmp_path / "a", 30, *SEEDED, in_process=True)
    second = _play(tmp_path / "b", 30, *SEEDED, in_process=True)
    assert first == second


def test_separate_processes_give_the_journal_of_one_process(tmp_path: Path, shared: Path) -> None:
    sim = ("--market", str(shared / "data" / "market" / CRASH_DAY), "--start", "2021-05-19T10:00:00Z")
    alone = _play(tmp_path / "alone", 120, *sim, in_process=True)
    apart = _play(tmp_path / "apart", 120, *sim, in_process=False)
    assert alone == apart
    daykit.assert_money_closes(tmp_path / "apart")


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """Four hours around the crash of 2021-05-19, in one process."""
    folder = tmp_path_factory.mktemp("crash") / "home"
    sim = ("--market", str(shared / "data" / "market" / CRASH_DAY), "--start", "2021-05-19T10:00:00Z")
    with daykit.day(folder, "BTCUSDT", *sim) as played:
        played.play(240)
        assert not [name for name in played.counts if name.endswith(("exit 2", "exit 124"))]
    return folder


def test_a_flash_crash_engages_the_kill_switch_and_exits_still_go(crash: Path) -> None:
    events = daykit.lines_of(crash)
    engaged = next(e for e in events if e["event"] == "KILL_SWITCH_ACTIVATED")
    assert engaged["data"]["reason"] == "flash_crash"
    after = [e for e in events if e["seq"] > engaged["seq"]]
    assert not [e for e in after if e["event"] == "INTENT_CREATED" and e["data"]["kind"] == "ENTRY"]
    held_then = [e for e in events if e["event"] == "FILL" and e["seq"] < engaged["seq"]]
    assert held_then, "the day traded before the crash"


def test_money_closes_after_the_crash(crash: Path) -> None:
    daykit.assert_money_closes(crash)


def test_the_journal_of_the_crash_verifies(crash: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(daykit.ROOT / "scripts" / "audit.py"), "verify"],
        env={"SANAD_HOME": str(crash), "SYSTEM_MODE": "PAPER", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_first_reconcile_that_meets_no_exchange_says_so_and_the_next_one_works(tmp_path: Path) -> None:
    """Nothing is wrong here but the network: exit 1, no CRIT, nothing half made."""
    with daykit.day(tmp_path / "home", "BTCUSDT", "--seed", "5") as played, played._environment():
        played.sim.advance(60_000)
        played.sim.fault(kind="drop_before", match={"method": "GET"}, count=3)
        first = played.run("reconcile")
        assert (first.exit_code, first.last_line) == (
            1, "RECONCILE END — 0 differences, drift score 0, not read: binance",
        )  # fmt: skip
        assert [e for e in daykit.lines_of(played.home) if e["data"].get("severity") == "CRIT"] == []
        assert not (played.home / "state" / "paper_broker.json").exists()
        played.sim.advance(60_000)
        assert played.run("reconcile").last_line == "RECONCILE END — clean, drift score 0"
