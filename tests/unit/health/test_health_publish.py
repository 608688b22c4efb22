"""The two files a heartbeat leaves: gates and release commands read them, the next heartbeat remembers by them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import heartbeat
import journalkit
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.health import merge, publish
from desk.health.facts import ClockLook, HealthFacts
from desk.risk import facts_files, observed
from desk.risk.system_mode import ModeState
from desk.state import store
from unit.health import world
from unit.health.world import MINUTE, NOW

DRIFT = ModeState(
    mode="DEGRADE", since_ms=NOW - MINUTE, reasons=(str(Reason.CLOCK_DRIFT),), degraded=True, good=1,
    good_since_ms=NOW - 1000, causes=(str(Reason.CLOCK_DRIFT),),
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with journalkit.time_at(NOW):
        yield Home(tmp_path / "h").ensure()


def write(home: Home, mode: ModeState = DRIFT, seen: tuple[str, ...] = ("a|b|c|d",), **changes: Any) -> HealthFacts:
    facts = world.facts(**changes)
    found = merge.run(heartbeat.CHECKS, facts, lambda name, line: None)
    problems = publish.write(
        home, facts, found, mode, "WARNING", ("BLOCKED", (str(Reason.MODE_DEGRADE),)), merge.codes(found.values()), seen
    )
    assert problems == ()
    return facts


def test_the_gates_read_what_heartbeat_wrote(home: Home) -> None:
    write(home)
    found = facts_files.status(home)
    assert found is not None
    assert (found.mode, found.reasons, found.written_ms) == ("DEGRADE", (str(Reason.CLOCK_DRIFT),), NOW)


def test_the_release_commands_read_the_codes_that_hold(home: Home) -> None:
    write(home, clocks={"binance": ClockLook(skew_ms=9999)})
    assert str(Reason.CLOCK_SKEW) in observed._active_codes(home)
    write(home)
    assert str(Reason.CLOCK_SKEW) not in observed._active_codes(home)


@pytest.mark.parametrize("mode", [DRIFT, ModeState(), ModeState(mode="PAUSE", since_ms=5, degraded=True, good=0)])
def test_the_next_heartbeat_remembers(home: Home, mode: ModeState) -> None:
    write(home, mode)
    assert publish.previous(home, None) == (mode, ("a|b|c|d",))


def test_the_form_operators_and_tests_rely_on(home: Home) -> None:
    write(home)
    doc = store.read(home, "system_status") or {}
    assert doc["system_mode"] == {
        "mode": "DEGRADE", "reasons": [{"code": str(Reason.CLOCK_DRIFT), "since_ms": NOW - MINUTE}],
        "since_ms": NOW - MINUTE, "good_heartbeats": 1, "good_since_ms": NOW - 1000, "degraded": True,
        "causes": [str(Reason.CLOCK_DRIFT)],
    }  # fmt: skip
    assert (doc["overall"], doc["trading"], doc["trading_codes"]) == ("WARNING", "BLOCKED", [str(Reason.MODE_DEGRADE)])
    assert set(doc["checks"]) == set(heartbeat.CHECKS)
    cron = store.read(home, "cron_health") or {}
    assert set(cron["jobs"]) == {"router", "heartbeat", "reconcile"}
    assert cron["jobs"]["router"]["last_run_ms"] == NOW - 30_000


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"system_mode": 3}', '{"system_mode": {"mode": "NORMAL"}}', None])
def test_a_lost_status_loses_no_degrade(home: Home, text: str | None) -> None:
    path = store.path_of(home, "system_status")
    if text is not None:
        path.write_text(text)
    fold = world.fold()
    assert publish.previous(home, fold)[0] == ModeState()
    fold.portfolio.system_mode, fold.portfolio.system_mode_since_ms = "DEGRADE", 77
    assert publish.previous(home, fold)[0] == ModeState(mode="DEGRADE", since_ms=77, degraded=True)


def test_a_file_that_cannot_be_written_is_one_clause(home: Home) -> None:
    store.path_of(home, "system_status").mkdir()
    facts = world.facts()
    found = merge.run(heartbeat.CHECKS, facts, lambda name, line: None)
    problems = publish.write(home, facts, found, ModeState(), "OK", ("ENABLED", ()), (), ())
    assert len(problems) == 1 and "system_status.json" in problems[0]
    assert store.read(home, "cron_health")  # the other one is written all the same


def test_the_since_of_rest_errors_is_carried_on(home: Home) -> None:
    failing = {"binance_api": world.entry(failures=(NOW,) * 3), "binance_orders": world.entry()}
    write(home, breakers=failing)
    assert (store.read(home, "system_status") or {})["rest_errors_since_ms"] == NOW
    write(home, breakers=failing, rest_errors_since_ms=NOW - MINUTE)
    assert (store.read(home, "system_status") or {})["rest_errors_since_ms"] == NOW - MINUTE
    write(home, rest_errors_since_ms=NOW - MINUTE)
    assert (store.read(home, "system_status") or {})["rest_errors_since_ms"] == 0
