"""Overall, the verdict line, the trading line; a check that raises."""

from typing import Any

import pytest

import heartbeat
from desk.base.reasons import Reason
from desk.config.mode import Switches
from desk.health import merge
from desk.health.facts import HealthFacts, JournalLook, ModeLook, ReconcileLook
from desk.health.result import RANK, Cause, CheckResult, Status, judged, worsened
from desk.risk.facts import Arming
from desk.risk.latch_file import KillView
from unit.health import world
from unit.health.world import NOW


def result(status: Status, name: str = "x") -> CheckResult:
    return CheckResult(name=name, status=status, detail="")


@pytest.mark.parametrize(
    ("status", "paper", "live"),
    [
        (Status.OK, 0, 0),
        (Status.NOT_ENABLED, 0, 0),
        (Status.PENDING, 1, 1),
        (Status.WARNING, 1, 1),
        (Status.UNKNOWN, 1, 2),
        (Status.CRITICAL, 2, 2),
    ],
)
def test_what_each_status_makes_of_the_exit_code(status: Status, paper: int, live: int) -> None:
    found = [result(Status.OK), result(status)]
    assert merge.EXIT[merge.overall(found, is_live=False)] == paper
    assert merge.EXIT[merge.overall(found, is_live=True)] == live


def test_the_worst_wins_and_nothing_at_all_is_not_ok() -> None:
    assert merge.overall([result(status) for status in Status], is_live=False) is Status.CRITICAL
    assert merge.overall([], is_live=False) is Status.CRITICAL
    assert max(RANK, key=RANK.__getitem__) is Status.CRITICAL


def test_the_verdict_line() -> None:
    found = [result(Status.OK), result(Status.PENDING), result(Status.WARNING), result(Status.NOT_ENABLED)]
    assert merge.verdict(found, is_live=False) == "HEARTBEAT END — Overall: WARNING (2 OK, 2 WARNING, 0 CRITICAL)"
    assert merge.verdict([result(Status.OK)] * 15, True) == "HEARTBEAT END — Overall: OK (15 OK, 0 WARNING, 0 CRITICAL)"


class Weird(Exception):
    """An error nobody has heard of."""


@pytest.mark.parametrize(
    "error", [Weird("odd"), KeyError("k"), AssertionError(), ZeroDivisionError(), RecursionError()]
)
@pytest.mark.parametrize(("mode", "overall"), [("PAPER", Status.WARNING), ("LIVE", Status.CRITICAL)])
def test_a_check_that_raises_is_unknown_and_stops_no_other(error: Exception, mode: str, overall: Status) -> None:
    def raising(facts: HealthFacts) -> CheckResult:
        raise error

    told: list[tuple[str, str]] = []
    checks = {"first": raising, "disk": heartbeat.CHECKS["disk"]}
    found = merge.run(checks, world.facts(mode), lambda name, line: told.append((name, line)))
    assert [r.status for r in found.values()] == [Status.UNKNOWN, Status.OK]
    assert found["first"].codes == found["first"].signals == (str(Reason.CHECK_ERROR),)  # no entries meanwhile
    assert merge.overall(found.values(), mode == "LIVE") is overall
    assert "\n" not in told[0][1] and type(error).__name__ in told[0][1] and "Traceback" in told[0][1]
    assert "Traceback" not in found["first"].line()


def test_every_check_survives_facts_that_say_nothing() -> None:
    """An account of which nothing at all could be read: every line is there, none of them raised, Overall is bad."""
    empty = HealthFacts(
        now_ms=NOW, mode="LIVE", stamp=None, venues=("binance", "mexc"), symbols=("BTCUSDT",),
        limits=world.facts().limits,
    )  # fmt: skip
    told: list[str] = []
    found = merge.run(heartbeat.CHECKS, empty, lambda name, line: told.append(line))
    assert not told
    assert list(found) == list(heartbeat.CHECKS)
    assert merge.overall(found.values(), is_live=True) is Status.CRITICAL
    silent = {"circuit_breakers", "rate_budget", "config", "journal", "websocket"}
    assert {name for name, r in found.items() if r.status is Status.OK} <= silent | {"cron_health"}


# --- trading -----------------------------------------------------------------------------------------------

DEGRADED = ModeLook(mode="DEGRADE", reasons=(), since_ms=NOW)
TRADING: tuple[tuple[str, dict[str, Any], str, Reason], ...] = (
    ("PAPER", {"kill": KillView(True, "reduce_only", ("manual",))}, "HALTED", Reason.KILL_SWITCH),
    ("PAPER", {"kill": KillView(True, "freeze_all", ("manual",))}, "HALTED", Reason.FREEZE_ALL),
    ("PAPER", {"kill": None}, "HALTED", Reason.KILL_SWITCH),
    ("PAPER", {"env_hold": ".env line 3 says KILL_SWITCH=true"}, "BLOCKED", Reason.KILL_ENV),
    ("PAPER", {"system": DEGRADED}, "BLOCKED", Reason.MODE_DEGRADE),
    ("PAPER", {"system": ModeLook(mode="PAUSE", reasons=(), since_ms=NOW)}, "BLOCKED", Reason.MODE_PAUSE),
    ("PAPER", {"reconciled": None}, "BLOCKED", Reason.RECONCILE_NEVER),
    ("PAPER", {"reconciled": ReconcileLook(last_success_ms=NOW - 901_000)}, "BLOCKED", Reason.RECONCILE_STALE),
    ("PAPER", {"breakers_problem": "is corrupt"}, "BLOCKED", Reason.BREAKER_CORRUPT),
    ("PAPER", {"journal": JournalLook(reserve=False)}, "BLOCKED", Reason.AUDIT_RESERVE),
    ("PAPER", {"limits_problem": "is corrupt"}, "BLOCKED", Reason.OVERLAY_CORRUPT),
    ("PAPER", {"arming": Arming(dry_run=True, safe_mode=False)}, "BLOCKED", Reason.ARM_DRY_RUN),
    ("PAPER", {"arming": Arming(dry_run=False, safe_mode=True)}, "BLOCKED", Reason.ARM_SAFE_MODE),
    ("LIVE", {"arming": Arming(dry_run=False, safe_mode=False, live_trading=True)}, "BLOCKED", Reason.ARM_ACK),
    ("LIVE", {"arming": Arming(dry_run=False, safe_mode=False, ack=True)}, "BLOCKED", Reason.ARM_LIVE_TRADING),
    ("LIVE", {"arming": Arming(dry_run=False, safe_mode=False)}, "BLOCKED", Reason.ARM_LIVE_OK),
    ("LIVE", {"arming": Arming(dry_run=False, safe_mode=False)}, "BLOCKED", Reason.ARM_CERTIFICATE),
    ("LIVE", {}, "BLOCKED", Reason.MODE_STAMP),  # the fold of the tests is stamped PAPER
)


def trading(mode: str, changes: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    facts = world.facts(mode, **changes)
    return merge.trading(facts, merge.run(heartbeat.CHECKS, facts, lambda name, line: None).values())


@pytest.mark.parametrize(("mode", "changes", "word", "code"), TRADING)
def test_each_thing_that_stops_entries_is_named(mode: str, changes: dict[str, Any], word: str, code: Reason) -> None:
    found, codes = trading(mode, changes)
    assert found == word
    assert str(code) in codes


def test_paper_needs_no_arming_and_nothing_stops_it() -> None:
    assert trading("PAPER", {"arming": Arming(dry_run=False, safe_mode=False)}) == ("ENABLED", ())
    assert {"dry_run", "safe_mode"} <= set(Switches.__struct_fields__)  # what arming is read from


def test_kill_switch_freeze_and_arming_change_trading_never_overall() -> None:
    for mode, changes in (
        ("PAPER", {"kill": KillView(True, "reduce_only", ("manual",))}),
        ("PAPER", {"kill": KillView(True, "freeze_all", ("manual",))}),
        ("PAPER", {"env_hold": "the environment says KILL_SWITCH=true"}),
        ("LIVE", {"arming": Arming()}),
    ):
        facts = world.facts(mode, **changes)
        found = merge.run(heartbeat.CHECKS, facts, lambda name, line: None)
        assert merge.overall(found.values(), facts.is_live) is Status.OK
        assert merge.trading(facts, found.values())[0] != "ENABLED"


def test_a_folder_nobody_stamped_is_no_mismatch() -> None:
    unstamped = world.fold()
    unstamped.portfolio.mode = ""
    assert not merge.is_mismatched(unstamped, "PAPER")
    assert not merge.is_mismatched(None, "PAPER")
    assert merge.is_mismatched(world.fold(), "LIVE")


def test_causes_that_turn_up_later_worsen_a_result_and_none_leaves_it() -> None:
    fine = judged("journal", [], "seq 4")
    late = Cause(reason=Reason.AUDIT_UNWRITABLE, text="no space left", status=Status.CRITICAL, signal=True)
    found = worsened(fine, [late])
    assert (found.status, found.signals) == (Status.CRITICAL, (str(Reason.AUDIT_UNWRITABLE),))
    assert found.detail == "no space left [audit:not_writable]; seq 4"
    assert worsened(fine, []) == fine
