"""What a heartbeat journals: one alert while a cause stands, WARN on second sight, changes only when they change."""

from typing import Any

import pytest

import heartbeat
from desk.base.reasons import Reason
from desk.health import announce, merge
from desk.health.facts import ClockLook
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Alert, Fold
from desk.risk.system_mode import ModeState
from unit.health import world
from unit.health.world import NAME, NOW

NORMAL = ModeState()
OFF = {"clocks": {"binance": ClockLook(skew_ms=5000)}}
HALF = {"disk_free_bytes": 2**29}


def alerts(mode: str = "PAPER", **changes: Any) -> dict[str, NewEvent]:
    found = merge.run(heartbeat.CHECKS, world.facts(mode, **changes), lambda name, line: None)
    return announce.alerts(found.values(), mode == "LIVE")


def quiet() -> Fold:
    """A fold that has heard of an OK heartbeat."""
    fold = world.fold()
    fold.portfolio.overall = "OK"
    return fold


def names(events: list[NewEvent]) -> list[str]:
    return [str(event.event) for event in events]


def stand(fold: Fold, current: dict[str, NewEvent], severity: str = "") -> None:
    """As if the alerts had been journalled."""
    for fingerprint, event in current.items():
        fold.portfolio.alerts[fingerprint] = Alert(
            severity=severity or event.data["severity"], code=event.data["code"], text=event.data["text"]
        )


def test_a_healthy_heartbeat_journals_nothing() -> None:
    assert announce.events(quiet(), alerts(), (), "OK", NORMAL, {}) == []


def test_a_warning_is_raised_on_second_sight_and_a_critical_one_at_once() -> None:
    current = alerts(**OFF)
    assert [event.data["severity"] for event in current.values()] == ["WARN"]
    assert announce.events(quiet(), current, (), "OK", NORMAL, {}) == []
    assert names(announce.events(quiet(), current, tuple(current), "OK", NORMAL, {})) == ["ALERT_RAISED"]
    strict = alerts("LIVE", **OFF)
    assert names(announce.events(quiet(), strict, (), "OK", NORMAL, {})) == ["ALERT_RAISED"]


def test_an_alert_that_stands_is_not_raised_again_until_it_gets_worse() -> None:
    current, fold = alerts(**OFF), quiet()
    stand(fold, current)
    assert announce.events(fold, current, tuple(current), "OK", NORMAL, {}) == []
    worse = alerts("LIVE", **OFF)
    assert worse.keys() == current.keys()
    assert names(announce.events(fold, worse, (), "OK", NORMAL, {})) == ["ALERT_RAISED"]


def test_an_alert_is_cleared_when_its_cause_is_gone_and_nobody_elses_is() -> None:
    current, fold = alerts(**OFF), quiet()
    stand(fold, current)
    fold.portfolio.alerts["position:unprotected|binance|BTCUSDT|BTCUSDT"] = Alert(severity="CRIT", code="x", text="x")
    cleared = announce.events(fold, {}, (), "OK", NORMAL, {})
    assert [event.data for event in cleared] == [{"fingerprint": fingerprint} for fingerprint in current]
    assert names(cleared) == ["ALERT_CLEARED"]


@pytest.mark.parametrize(
    "changes",
    [HALF, {"market": {NAME: world.symbol(("100", "80"))}}, {"reconciled": None, "install_ms": NOW}],
    ids=["latches PAUSE", "engages the kill switch", "pending"],
)
def test_what_a_latch_announces_or_what_is_only_pending_is_not_announced_again(changes: dict[str, Any]) -> None:
    assert alerts(**changes) == {}


def test_no_measured_value_enters_an_alert() -> None:
    """Two heartbeats with other numbers journal the same bytes (design 3)."""
    first = alerts("LIVE", clocks={"binance": ClockLook(skew_ms=5000)}, disk_free_bytes=2**30)
    second = alerts("LIVE", clocks={"binance": ClockLook(skew_ms=9000)}, disk_free_bytes=2**29 + 1)
    assert first == second
    assert len(first) == 2
    assert all(event.data["action"] for event in first.values())


def test_a_change_of_overall_and_of_the_mode_is_journalled_once() -> None:
    fold = quiet()
    degraded = ModeState(mode="DEGRADE", reasons=(str(Reason.CLOCK_DRIFT),))
    changed = announce.events(fold, {}, (), "WARNING", degraded, {"ntp_sync": "WARNING"})
    assert names(changed) == ["HEALTH_CHANGED", "SYSTEM_MODE_CHANGED"]
    assert changed[0].data == {"overall": "WARNING", "from": "OK", "checks": {"ntp_sync": "WARNING"}}
    assert changed[1].data == {"from": "NORMAL", "to": "DEGRADE", "reasons": [str(Reason.CLOCK_DRIFT)]}
    assert all(event.event.needs <= event.data.keys() for event in changed)
    fold.portfolio.overall, fold.portfolio.system_mode = "WARNING", "DEGRADE"
    assert announce.events(fold, {}, (), "WARNING", degraded, {"ntp_sync": "WARNING"}) == []


def test_alerts_of_one_code_are_told_apart_by_their_subject() -> None:
    late = world.jobs(router=world.job("router", age_s=150), reconcile=world.job("reconcile", 300, 700))
    assert len([event for event in alerts(jobs=late).values() if event.event is Event.ALERT_RAISED]) == 2
