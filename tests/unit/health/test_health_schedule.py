"""cron_health: how late each job may be, since when it counts, and what a busy router or a dead host changes."""

from typing import Any

import pytest

from desk.base.reasons import Reason
from desk.config.schema import Config, Job
from desk.health import schedule
from desk.health.checks.cron import cron_health
from desk.health.facts import HealthFacts, LeaseLook
from desk.health.result import CheckResult, Status
from desk.health.schedule import Lateness
from unit.health import world
from unit.health.world import HOUR, MINUTE, NOW

INTERVALS = {"router": 60, "reconcile": 300, "policy_engine": 60, "binance_client": 60}


def with_job(door: str, mode: str = "PAPER", facts: dict[str, Any] | None = None, **job: Any) -> HealthFacts:
    changed = world.jobs(**{door: world.job(door, INTERVALS[door], **job)})
    return world.facts(mode, jobs=changed, **(facts or {}))


def judged(door: str, **more: Any) -> CheckResult:
    return cron_health(with_job(door, **more))


@pytest.mark.parametrize(
    ("door", "age_s", "lateness"),
    [
        ("router", 120, Lateness.FINE),
        ("router", 121, Lateness.LATE),
        ("router", 180, Lateness.LATE),
        ("router", 181, Lateness.STUCK),
        ("reconcile", 600, Lateness.FINE),
        ("reconcile", 601, Lateness.LATE),
        ("reconcile", 900, Lateness.LATE),
        ("reconcile", 901, Lateness.STUCK),
        ("policy_engine", 121, Lateness.LATE),
        ("policy_engine", 9000, Lateness.LATE),  # only router and reconcile PAUSE
    ],
)
@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
def test_lateness_in_intervals(door: str, age_s: int, lateness: Lateness, mode: str) -> None:
    found = judged(door, mode=mode, age_s=age_s)
    expected = {
        Lateness.FINE: (Status.OK, ()),
        Lateness.LATE: (Status.WARNING, (str(Reason.LOOP_DEGRADE),)),
        Lateness.STUCK: (Status.CRITICAL, (str(Reason.LOOP_PAUSE),)),
    }[lateness]
    assert (found.status, found.signals) == expected
    assert found.data[door]["status"] == lateness.upper()


@pytest.mark.parametrize("since", ["install_ms", "boot_ms", "gap_end_ms"])
def test_nothing_is_late_from_before_install_boot_or_our_own_gap(since: str) -> None:
    assert judged("router", age_s=9000).signals == (str(Reason.LOOP_PAUSE),)
    later = {"gap_end_ms": NOW - 2 * HOUR} | {since: NOW - MINUTE}
    found = with_job("router", age_s=9000, facts=later)
    assert schedule.standing(found, found.jobs[0]).lateness is Lateness.FINE


def test_a_job_that_never_ran_is_pending_for_two_intervals_then_late_then_stuck() -> None:
    def after(seconds: int) -> CheckResult:
        return judged("reconcile", last_run_ms=0, last_success_ms=0, facts={"install_ms": NOW - 1000 * seconds})

    assert (after(600).status, after(600).signals) == (Status.PENDING, ())
    assert (after(601).status, after(601).signals) == (Status.WARNING, (str(Reason.LOOP_DEGRADE),))
    assert (after(901).status, after(901).signals) == (Status.CRITICAL, (str(Reason.LOOP_PAUSE),))


def test_a_job_that_is_not_essential_counts_from_its_first_run_here() -> None:
    never = judged("binance_client", last_run_ms=0, last_success_ms=0)
    assert never.status is Status.OK
    assert "binance_client NOT_ENABLED (never ran here)" in never.detail
    assert judged("binance_client", age_s=121).signals == (str(Reason.LOOP_DEGRADE),)


@pytest.mark.parametrize("door", schedule.ESSENTIAL)
def test_an_essential_job_cannot_be_disabled_in_live(door: str) -> None:
    off = world.jobs(**{door: world.job(door, enabled=False)})
    assert cron_health(world.facts("PAPER", jobs=off)).status is Status.OK
    found = cron_health(world.facts("LIVE", jobs=off))
    assert (found.status, found.signals) == (Status.CRITICAL, (str(Reason.JOB_DISABLED),))


def test_a_disabled_job_is_shown_and_not_judged() -> None:
    found = judged("policy_engine", enabled=False, age_s=9000)
    assert found.status is Status.OK
    assert "policy_engine NOT_ENABLED" in found.detail


@pytest.mark.parametrize(
    ("duration_ms", "status"),
    [(30_000, Status.OK), (30_001, Status.WARNING), (60_000, Status.WARNING), (60_001, Status.CRITICAL)],
)
def test_a_job_that_takes_too_long(duration_ms: int, status: Status) -> None:
    assert judged("router", last_duration_ms=duration_ms).status is status


@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
def test_a_run_in_the_future_is_no_run(mode: str) -> None:
    found = judged("router", mode=mode, age_s=-5)
    assert str(Reason.TIME_FUTURE) in world.codes(found)
    assert str(Reason.LOOP_PAUSE) in found.signals  # counted from install, a day ago
    assert found.status is Status.CRITICAL


@pytest.mark.parametrize(("mode", "status"), [("PAPER", Status.WARNING), ("LIVE", Status.CRITICAL)])
def test_a_corrupt_run_record_is_never_ok(mode: str, status: Status) -> None:
    assert judged("router", mode=mode, problem="runs/router.json is corrupt").status is status


def busy(age_s: int, alive_s: int, held: bool = True) -> str:
    """The router ran long ago, found the lease busy `age_s` ago, and its holder was alive `alive_s` ago."""
    lease = LeaseLook(held=held, door="router", alive_ms=NOW - 1000 * alive_s)
    found = with_job("router", age_s=9000, last_busy_ms=NOW - 1000 * age_s, facts={"lease": lease})
    return str(schedule.standing(found, found.jobs[0]).lateness)


def test_a_busy_router_counts_while_the_holder_is_alive() -> None:
    assert busy(30, 45) == "fine"
    assert busy(30, 46) == "stuck"  # the holder hangs
    assert busy(30, 10, held=False) == "stuck"  # nobody holds it any more
    assert busy(150, 10) == "late"  # nobody has asked for the lease lately
    assert busy(-30, 10) == "stuck"  # a busy time in the future is none


# --- heartbeat's own silence -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last_s", "reference_s", "known_s", "expected_s"),
    [
        (60, 9000, None, None),
        (120, 9000, None, None),
        (121, 9000, None, 0),
        (60, 9000, 500, 500),  # an older gap is remembered
        (9000, 30, None, 0),
        (None, 9000, None, 0),  # never ran in an old folder
        (None, 30, None, None),  # never ran in a young one
        (60, 9000, -500, 0),  # a remembered gap in the future is cut to now
    ],
)
def test_when_the_last_silence_ended(
    last_s: int | None, reference_s: int, known_s: int | None, expected_s: int | None
) -> None:
    """All in seconds ago; None = never."""
    last_ms = 0 if last_s is None else NOW - 1000 * last_s
    known_ms = 0 if known_s is None else NOW - 1000 * known_s
    found = schedule.gap_end_ms(NOW, last_ms, NOW - 1000 * reference_s, MINUTE, 2, known_ms)
    assert found == (0 if expected_s is None else NOW - 1000 * expected_s)


@pytest.mark.parametrize(
    ("router_s", "reconcile_s", "waiting"),
    [
        (600, 600, ("reconcile", "router")),
        (10, 600, ("reconcile",)),
        (600, 10, ("router",)),
        (10, 10, ()),
        (300 + 59, 10, ()),  # within a heartbeat of noticing: the host was up again
        (300 + 61, 10, ("router",)),
    ],
)
def test_an_outage_lasts_until_router_and_reconcile_have_succeeded(
    router_s: int, reconcile_s: int, waiting: tuple[str, ...]
) -> None:
    found = world.facts(
        gap_end_ms=NOW - 300_000,
        jobs=world.jobs(router=world.job("router", age_s=router_s), reconcile=world.job("reconcile", 300, reconcile_s)),
    )
    assert schedule.outage(found) == waiting
    assert (str(Reason.HOST_OUTAGE) in cron_health(found).signals) is bool(waiting)


def test_a_failed_run_does_not_end_an_outage() -> None:
    failing = world.jobs(router=world.job("router", age_s=5, last_success_ms=NOW - HOUR))
    assert schedule.outage(world.facts(gap_end_ms=NOW - 300_000, jobs=failing)) == ("router",)


def test_without_a_gap_there_is_no_outage() -> None:
    assert schedule.outage(world.facts()) == ()


# --- the table ---------------------------------------------------------------------------------------------


def test_the_table_lists_essential_jobs_even_when_the_config_does_not() -> None:
    found = schedule.rows({"router": Job()}, ("binance",))
    assert {job.door: job.enabled for job in found} == {"router": True, "heartbeat": False, "reconcile": False}


def test_a_client_counts_only_where_its_venue_is_listed() -> None:
    table = {"binance_client": Job(), "mexc_client": Job(), "policy_engine": Job()}
    found = {job.door: job.listed for job in schedule.rows(table, ("binance",))}
    assert found["binance_client"] and found["policy_engine"]
    assert not found["mexc_client"]


@pytest.mark.parametrize(
    ("record", "door", "expected"),
    [
        ({"lastRunAtMs": 7}, "router", 7),
        ({"lastRunAtMs": 7, "command": "refresh"}, "binance_client", 7),
        ({"lastRunAtMs": 7, "command": "time"}, "binance_client", 3),  # an operator's look is no run of the job
        ({"lastRunAtMs": 7}, "binance_client", 7),
        ({"lastRunAtMs": "7"}, "router", 0),
        ({"lastRunAtMs": -7}, "router", 0),
        ({"lastRunAtMs": True}, "router", 0),
        ({}, "router", 0),
    ],
)
def test_the_last_run_of_the_job_itself(record: dict[str, Any], door: str, expected: int) -> None:
    assert schedule.last_run_ms(record, door, 3) == expected


def test_the_defaults_of_the_limits_are_the_rules() -> None:
    health = Config().health
    assert (health.late_degrade_intervals, health.late_pause_intervals, str(health.duration_warn_frac)) == (2, 3, "0.5")
