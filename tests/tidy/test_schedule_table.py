"""One schedule: crontab, [schedule], doors and thresholds say the same; every check is a row of heartbeat's table."""

import importlib
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import heartbeat
from desk.config.load import Config, convert
from desk.health import checks, merge, schedule
from desk.health.facts import HealthFacts
from desk.health.result import CheckResult
from desk.state import registry

ROOT = Path(__file__).resolve().parents[2]
CARD = ("router", "heartbeat", "policy_engine", "reconcile", "binance_client", "mexc_client", "btcturk_client")
PREFIX = 'cd "$SANAD_CHECKOUT" && .venv/bin/python scripts/'
SUFFIX = " >> execution-logs/cron.log 2>&1"


@pytest.fixture(scope="module")
def config() -> Config:
    """The shipped configuration."""
    path = ROOT / "config" / "sanad.toml"
    return convert(tomllib.loads(path.read_text(), parse_float=str), str(path), {})


def rows(text: str) -> Iterator[tuple[int, str, str]]:
    """(interval in seconds, door, command) of every active row; a row of another form is an error."""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#") or re.match(r"[A-Z_]+=", line):
            continue
        minute, *rest, command = line.split(maxsplit=5)
        assert rest == ["*"] * 4, line
        assert command.startswith(PREFIX) and command.endswith(SUFFIX), line
        door, *words = shlex.split(command[len(PREFIX) : -len(SUFFIX)])
        yield interval_s(minute), door.removesuffix(".py"), " ".join(words)


def interval_s(minute: str) -> int:
    found = re.fullmatch(r"\*(?:/(\d+))?", minute)
    assert found, minute
    number = int(found[1] or 1)
    assert 60 % number == 0, f"*/{number} is not even over the hour"
    return 60 * number


def test_the_crontab_is_the_schedule(config: Config) -> None:
    crontab = [*rows((ROOT / "crontab.example").read_text())]
    table = [
        (job.interval_s, door, schedule.COMMANDS.get(door, "")) for door, job in config.schedule.items() if job.enabled
    ]
    assert sorted(crontab) == sorted(table)


def test_rows_are_read_as_meant() -> None:
    good = f"# x\nA_B=c\n\n*/5 * * * *  {PREFIX}policy_engine.py tick{SUFFIX}\n* * * * * {PREFIX}router.py{SUFFIX}\n"
    assert [*rows(good)] == [(300, "policy_engine", "tick"), (60, "router", "")]
    for bad in ("5 * * * * x", f"* 3 * * * {PREFIX}router.py{SUFFIX}", "*/7 * * * * y", "* * * * * python router.py"):
        with pytest.raises(AssertionError):
            list(rows(bad))


def test_every_card_script_has_a_row_and_every_row_a_door(config: Config) -> None:
    assert set(CARD) <= set(config.schedule)
    assert [door for door in config.schedule if not (ROOT / "scripts" / f"{door}.py").is_file()] == []


def test_the_crontab_names_the_mode_and_no_machine() -> None:
    text = (ROOT / "crontab.example").read_text()
    assert "\nSYSTEM_MODE=PAPER\n" in text
    assert "%" not in text  # cron reads it as a line break
    assert all(f"/{top}/" not in text for top in ("home", "root"))


def help_of(door: str, *words: str) -> int:
    command = [sys.executable, str(ROOT / "scripts" / f"{door}.py"), *words, "--help"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize("door", schedule.COMMANDS)
def test_every_command_cron_gives_is_one_the_door_has(door: str) -> None:
    assert help_of(door, schedule.COMMANDS[door]) == 0
    assert help_of(door, "refreshed") == 2


def test_the_shipped_schedule_satisfies_the_shipped_thresholds(config: Config) -> None:
    """A job that runs in time and takes as long as it may must never trip a threshold."""
    every = {door: job.interval_s for door, job in config.schedule.items()}
    deadline = config.runtime.tick_deadline_s
    health = config.health
    assert all(deadline < interval for interval in every.values())
    assert every["reconcile"] + deadline < config.reconcile.age_max_s
    assert every["heartbeat"] + deadline < health.system_status_max_intervals * every["heartbeat"]
    assert every["binance_client"] + deadline < config.clock.resync_s
    assert every["binance_client"] + deadline < config.market_data.marking_age_max_s
    assert every["router"] + deadline < health.late_degrade_intervals * every["router"]
    assert health.late_degrade_intervals < health.late_pause_intervals
    assert health.late_degrade_intervals * every["router"] < health.rest_stale_pause_s  # DEGRADE before PAUSE
    assert health.disk_pause_bytes < health.disk_degrade_bytes
    assert config.journal.reserve_bytes < health.disk_pause_bytes
    limits = config.reconcile
    assert limits.drift_warn < limits.drift_degrade < limits.drift_pause


def test_the_registry_knows_how_old_these_files_may_be(config: Config) -> None:
    heartbeat_s = config.schedule["heartbeat"].interval_s
    for key in ("system_status", "cron_health"):
        assert registry.row(key).stale_after_s == config.health.system_status_max_intervals * heartbeat_s
        assert registry.row(key).writers == ("heartbeat",)
    assert registry.row("reconcile").stale_after_s == config.reconcile.age_max_s


def written_checks() -> dict[str, merge.Check]:
    """Every public function of the checks' modules that is a check by its types."""
    found: dict[str, merge.Check] = {}
    for info in pkgutil.iter_modules(checks.__path__):
        module = importlib.import_module(f"{checks.__name__}.{info.name}")
        found |= {name: value for name, value in vars(module).items() if is_check(name, value, module.__name__)}
    return found


def is_check(name: str, value: object, module: str) -> bool:
    if name.startswith("_") or not inspect.isfunction(value) or value.__module__ != module:
        return False
    return typing.get_type_hints(value) == {"facts": HealthFacts, "return": CheckResult}


def test_every_check_is_a_row_of_heartbeats_table_under_its_own_name() -> None:
    assert dict(heartbeat.CHECKS) == written_checks()
    assert set(heartbeat.LATCHES) < set(heartbeat.CHECKS)


def test_a_check_without_a_row_would_be_seen() -> None:
    check: Callable[[HealthFacts], CheckResult] = heartbeat.CHECKS["disk"]
    assert is_check("disk", check, "desk.health.checks.host")
    assert not is_check("_disk", check, "desk.health.checks.host")
    assert not is_check("disk", schedule.outage, "desk.health.schedule")
