"""Each check, each status, each mode: what the exact limits are and which side of them is OK."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

import heartbeat
from desk.base.reasons import Reason
from desk.health.facts import ClockLook, EnvFile, FileLook, JournalLook, LeaseLook, ModeLook, ReconcileLook
from desk.health.result import CheckResult, Status
from desk.risk import system_mode
from desk.risk.breaker_rules import Entry
from desk.risk.latch_file import KillView, PauseView
from desk.venues.rate_budget import Budget, Use
from unit.health import world
from unit.health.world import HOUR, MINUTE, NAME, NOW

OK, WARNING, CRITICAL, PENDING = Status.OK, Status.WARNING, Status.CRITICAL, Status.PENDING
GIB = 2**30
YESTERDAY = (NOW - 30 * HOUR,) * 6
LONE = {"binance_api": world.entry()}
PARTNER = {"binance_orders": world.entry()}
YOUNG = {"install_ms": NOW - MINUTE}  # nobody has had time to write an observation
HELD = {"fold": world.fold((world.position(),), {"s1": world.intent()})}


def judge(name: str, mode: str = "PAPER", **changes: Any) -> CheckResult:
    return heartbeat.CHECKS[name](world.facts(mode, **changes))


def unknown(mode: str) -> Status:
    return CRITICAL if mode == "LIVE" else WARNING


@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
@pytest.mark.parametrize("name", heartbeat.CHECKS)
def test_a_healthy_account_is_ok(name: str, mode: str) -> None:
    found = judge(name, mode, **HELD)
    assert (found.name, found.status, found.causes, found.kills) == (name, OK, (), ())
    assert found.line().startswith(f"{name}: OK ")


def pair(api: Entry) -> dict[str, Any]:
    return {"breakers": {"binance_api": api, "binance_orders": world.entry()}}


def price(*values: Any, **more: Any) -> dict[str, Any]:
    return {"market": {NAME: world.symbol(*values, **more)}}


def skew(skew_ms: int | None, stored_ms: int | None = None, problem: str = "") -> dict[str, Any]:
    return {"clocks": {"binance": ClockLook(skew_ms=skew_ms, stored_offset_ms=stored_ms, problem=problem)}}


def done(**more: Any) -> dict[str, Any]:
    return {"reconciled": ReconcileLook(**more)}


def book(**more: Any) -> dict[str, Any]:
    return {"journal": JournalLook(**more)}


def env(**more: Any) -> dict[str, Any]:
    return {"env_file": EnvFile(**more)}


def corrupt(name: str) -> dict[str, Any]:
    return {"files": {name: FileLook(problem="is corrupt")}}


# (check, changes, status in PAPER, status in LIVE, code, is a signal to the system mode)
CASES: tuple[tuple[str, dict[str, Any], Status, Status, Reason | None, bool], ...] = (
    # what cannot be read or measured: WARNING in PAPER, CRITICAL in LIVE, never OK
    ("kill_switch", {"kill": None}, WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("kill_switch", {"kill_problem": "is corrupt"}, WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("system_mode", {"system": None}, WARNING, CRITICAL, Reason.STATUS_MISSING, False),
    ("system_mode", {"pause": None}, WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("system_mode", {"pause_problem": "is corrupt"}, WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("circuit_breakers", {"breakers_problem": "is corrupt"}, WARNING, CRITICAL, Reason.BREAKER_CORRUPT, False),
    ("circuit_breakers", {"breakers": LONE}, WARNING, CRITICAL, Reason.BREAKER_CORRUPT, False),
    ("market_data", {"market_problems": {"binance": "is corrupt"}}, WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("market_data", {"market": {}}, WARNING, CRITICAL, Reason.DATA_MISSING, False),
    ("market_data", price(age_ms=-5000), WARNING, CRITICAL, Reason.TIME_FUTURE, False),
    ("flash_crash", {"market": {}}, WARNING, CRITICAL, Reason.VOLATILITY_UNKNOWN, False),
    ("flash_crash", price(age_ms=300_001), WARNING, CRITICAL, Reason.VOLATILITY_UNKNOWN, False),
    ("positions", {"fold": None}, WARNING, CRITICAL, Reason.AUDIT_DAMAGED, True),
    ("exposure", {"fold": None}, WARNING, CRITICAL, Reason.AUDIT_DAMAGED, True),
    ("intents", {"fold": None}, WARNING, CRITICAL, Reason.AUDIT_DAMAGED, True),
    ("positions", {**HELD, "market": {}}, WARNING, CRITICAL, Reason.DATA_MISSING, False),
    ("exposure", {**HELD, "market": {}}, WARNING, CRITICAL, Reason.CAPITAL_UNKNOWN, False),
    ("reconcile", {"reconciled": None}, WARNING, CRITICAL, Reason.RECONCILE_NEVER, False),
    ("reconcile", done(), WARNING, CRITICAL, Reason.RECONCILE_NEVER, False),
    ("reconcile", done(problem="is corrupt"), WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("reconcile", done(last_success_ms=NOW + 2000), WARNING, CRITICAL, Reason.TIME_FUTURE, False),
    ("journal", corrupt("clock.json"), WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("disk", {"disk_free_bytes": None}, WARNING, CRITICAL, Reason.DISK_DEGRADE, True),
    ("rate_budget", corrupt("rate_budget.json"), WARNING, CRITICAL, Reason.STATE_CORRUPT, False),
    ("config", env(problem=".env cannot be read"), WARNING, CRITICAL, None, False),
    # the clock
    ("ntp_sync", {"clocks": {}}, WARNING, CRITICAL, Reason.CLOCK_UNKNOWN, False),
    ("ntp_sync", skew(None, problem="timeout"), WARNING, CRITICAL, Reason.CLOCK_UNKNOWN, False),
    ("ntp_sync", skew(2000), OK, OK, None, False),
    ("ntp_sync", skew(-2000), OK, OK, None, False),
    ("ntp_sync", skew(2001), WARNING, CRITICAL, Reason.CLOCK_SKEW, False),
    ("ntp_sync", skew(-2001), WARNING, CRITICAL, Reason.CLOCK_SKEW, False),
    ("ntp_sync", skew(900, 400), OK, OK, None, False),
    ("ntp_sync", skew(901, 400), WARNING, WARNING, Reason.CLOCK_DRIFT, True),
    # breakers
    ("circuit_breakers", pair(world.entry("half_open")), OK, OK, None, False),
    ("circuit_breakers", pair(world.entry("open")), WARNING, WARNING, Reason.BREAKER_OPEN, False),
    ("circuit_breakers", pair(world.entry(trips=(NOW,) * 3)), OK, OK, None, False),
    ("circuit_breakers", pair(world.entry(trips=(NOW,) * 4)), WARNING, WARNING, Reason.BREAKER_TRIPS, False),
    ("circuit_breakers", pair(world.entry(trips=YESTERDAY)), WARNING, WARNING, Reason.BREAKER_TRIPS, False),
    ("circuit_breakers", {"breakers": LONE | PARTNER | {"mexc_api": world.entry("open")}}, OK, OK, None, False),
    ("circuit_breakers", pair(world.entry("open", readable=False)), WARNING, WARNING, Reason.BREAKER_OPEN, False),
    # prices
    ("market_data", price(age_ms=300_000), OK, OK, None, False),
    ("market_data", price(age_ms=300_001), WARNING, CRITICAL, Reason.DATA_STALE, False),
    ("market_data", price(problems=("bid 0 ask 1",)), WARNING, WARNING, Reason.DATA_INVALID_BID, False),
    ("market_data", price(("100",) * 4), OK, OK, None, False),
    ("market_data", price(("100",) * 5), WARNING, WARNING, Reason.DATA_FROZEN, False),
    ("flash_crash", price(("100", "90.1")), OK, OK, None, False),
    ("flash_crash", price(("100", "90")), WARNING, WARNING, Reason.FLASH_CRASH, False),
    # books
    ("reconcile", done(last_success_ms=NOW - 900_000, clean=True), OK, OK, None, False),
    ("reconcile", done(last_success_ms=NOW - 900_001, clean=True), WARNING, WARNING, Reason.RECONCILE_STALE, False),
    ("reconcile", done(last_success_ms=NOW, score=9), OK, OK, None, False),
    ("reconcile", done(last_success_ms=NOW, score=10), WARNING, WARNING, Reason.DRIFT_WARN, False),
    ("reconcile", done(last_success_ms=NOW, score=20), WARNING, WARNING, Reason.DRIFT_DEGRADE, True),
    ("reconcile", done(last_success_ms=NOW, score=50), CRITICAL, CRITICAL, Reason.DRIFT_PAUSE, True),
    ("journal", book(damaged="line 3 is wrong"), CRITICAL, CRITICAL, Reason.AUDIT_DAMAGED, True),
    ("journal", book(damaged="JOURNAL_SHRUNK", shrunk=True), CRITICAL, CRITICAL, Reason.AUDIT_SHRUNK, True),
    ("journal", book(unwritable="no permission"), CRITICAL, CRITICAL, Reason.AUDIT_UNWRITABLE, True),
    ("journal", book(reserve=False), CRITICAL, CRITICAL, Reason.AUDIT_RESERVE, True),
    ("journal", {"paper_problem": "paper_broker.json is missing"}, CRITICAL, CRITICAL, Reason.PAPER_LOST, True),
    # the host: both disk limits are inclusive
    ("disk", {"disk_free_bytes": GIB + 1}, OK, OK, None, False),
    ("disk", {"disk_free_bytes": GIB}, WARNING, WARNING, Reason.DISK_DEGRADE, True),
    ("disk", {"disk_free_bytes": GIB // 2 + 1}, WARNING, WARNING, Reason.DISK_DEGRADE, True),
    ("disk", {"disk_free_bytes": GIB // 2}, CRITICAL, CRITICAL, Reason.DISK_PAUSE, True),
    ("disk", {"disk_free_bytes": 0}, CRITICAL, CRITICAL, Reason.DISK_PAUSE, True),
    ("config", {"limits_problem": "limits_overlay.json is corrupt"}, CRITICAL, CRITICAL, Reason.OVERLAY_CORRUPT, True),
    ("config", env(unknown=("MAX_DAYLY_LOSS",)), WARNING, WARNING, None, False),
    ("config", env(mode=0o100644, has_secrets=True), WARNING, WARNING, None, False),
    ("config", env(mode=0o100640, has_secrets=True), WARNING, WARNING, None, False),
    ("config", env(mode=0o100600, has_secrets=True), OK, OK, None, False),
    ("config", env(mode=0o100644), OK, OK, None, False),
)  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "paper", "live", "code", "signal"), CASES)
@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
def test_the_table(
    name: str, changes: dict[str, Any], paper: Status, live: Status, code: Reason | None, signal: bool, mode: str
) -> None:
    found = judge(name, mode, **changes)
    assert found.status is (live if mode == "LIVE" else paper), found.line()
    if code is None:
        assert not world.codes(found)
        return
    cause = next(cause for cause in found.causes if cause.reason is code)
    is_strict_clock = mode == "LIVE" and code in {Reason.CLOCK_UNKNOWN, Reason.CLOCK_SKEW}
    assert cause.signal is (signal or is_strict_clock)  # the clock shuts entries in LIVE only (rules.md, Clock)
    assert str(code) in found.line()


@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
def test_what_nobody_has_had_time_to_write_is_pending(mode: str) -> None:
    never = world.jobs(router=world.job("router", last_run_ms=0), reconcile=world.job("reconcile", 300, last_run_ms=0))
    unread = {"binance_api": world.entry(last_success_ms=0), "binance_orders": world.entry()}
    new = {**YOUNG, "jobs": never, "market": {}, "reconciled": None, "breakers": unread}
    for name in ("cron_health", "market_data", "flash_crash", "reconcile"):
        found = judge(name, mode, **new)
        assert found.status is PENDING, found.line()
        assert found.signals == ()
        assert found.codes == ()


def test_every_signal_asks_for_the_mode_its_status_says() -> None:
    """A cause that latches PAUSE is CRITICAL, one that degrades is not OK; so no signal hides behind a good line."""
    for name, changes, *_ in CASES:
        for cause in judge(name, "LIVE", **changes).causes:
            if cause.signal:
                assert cause.status is CRITICAL or system_mode.wanted(str(cause.reason)) != "PAUSE", cause


# --- locks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["reduce_only", "freeze_all"])
def test_an_active_kill_switch_is_no_fault(level: str) -> None:
    found = judge("kill_switch", "LIVE", kill=KillView(True, level, ("manual",), since_ms=NOW, by="root"))
    assert found.status is OK
    assert found.detail == f"ACTIVE {level} (manual) since 2026-01-01T12:00:00.000+00:00 by root"


@pytest.mark.parametrize(
    ("mode", "reasons", "status"),
    [
        ("DEGRADE", (str(Reason.CLOCK_DRIFT),), WARNING),
        ("DEGRADE", (), WARNING),
        ("PAUSE", (str(Reason.DISK_PAUSE),), CRITICAL),
        ("PAUSE", (str(Reason.MANUAL_PAUSE),), WARNING),
        ("PAUSE", (str(Reason.MANUAL_PAUSE), str(Reason.REST_PAUSE)), CRITICAL),
        ("EXIT", (str(Reason.MODE_EXIT),), CRITICAL),
    ],
)
def test_the_system_mode_is_shown_with_its_causes(mode: str, reasons: tuple[str, ...], status: Status) -> None:
    found = judge("system_mode", system=ModeLook(mode=mode, reasons=reasons, since_ms=NOW))
    assert found.status is status
    assert found.signals == ()  # it repeats what others found; it must not feed itself
    assert all(code in found.detail for code in reasons)
    assert ("resume.py" in found.detail) is (mode == "PAUSE")


def test_a_hand_written_pause_reason_is_named() -> None:
    paused = {
        "system": ModeLook(mode="PAUSE", reasons=("lunch",), since_ms=NOW),
        "pause": PauseView("PAUSE", ("lunch",)),
    }
    assert "'lunch' is no code" in judge("system_mode", **paused).detail


# --- clocks, breakers --------------------------------------------------------------------------------------


def test_each_listed_venue_is_measured() -> None:
    clocks = {"binance": ClockLook(skew_ms=3), "mexc": ClockLook(skew_ms=-70)}
    found = judge("ntp_sync", venues=("binance", "mexc"), clocks=clocks)
    assert found.line() == "ntp_sync: OK abs_skew_ms=70 (binance 3, mexc 70)"
    assert judge("ntp_sync").line() == "ntp_sync: OK abs_skew_ms=38"


def test_live_notes_a_skew_above_500() -> None:
    assert "noted" in judge("ntp_sync", "LIVE", clocks={"binance": ClockLook(skew_ms=501)}).detail
    assert "noted" not in judge("ntp_sync", "LIVE", clocks={"binance": ClockLook(skew_ms=500)}).detail


def test_open_breakers_on_two_venues_are_critical() -> None:
    names = ("binance_api", "binance_orders", "mexc_api", "mexc_orders")
    both = {name: world.entry("open" if name.endswith("api") else "closed") for name in names}
    found = judge("circuit_breakers", venues=("binance", "mexc"), breakers=both)
    assert found.status is CRITICAL
    one_venue = {name: world.entry("open" if name.startswith("binance") else "closed") for name in names}
    assert judge("circuit_breakers", venues=("binance", "mexc"), breakers=one_venue).status is WARNING


def test_an_open_breaker_with_positions_and_an_unknown_order_pauses() -> None:
    opened = {"binance_api": world.entry("open"), "binance_orders": world.entry()}
    lost = {"s1": world.intent(), "x1": world.intent(state="SENT_UNKNOWN", status="", created_ms=NOW - 1000)}
    blind = world.fold((world.position(),), lost)
    assert judge("circuit_breakers", breakers=opened, fold=blind).signals == (str(Reason.BREAKER_PAUSE),)
    assert judge("circuit_breakers", fold=blind).signals == ()
    assert judge("circuit_breakers", breakers=opened, **HELD).signals == ()


def test_a_probing_breaker_reads_ok_and_says_so() -> None:
    found = judge(
        "circuit_breakers", breakers={"binance_api": world.entry("half_open"), "binance_orders": world.entry()}
    )
    assert found.line() == "circuit_breakers: OK binance_api half_open (probing), binance_orders closed"


# --- REST and prices ---------------------------------------------------------------------------------------


def rest(age_s: int, **more: Any) -> dict[str, Any]:
    """The exchange answered `age_s` ago for the last time."""
    return {
        "breakers": {"binance_api": world.entry(last_success_ms=NOW - 1000 * age_s), "binance_orders": world.entry()},
        "market": {NAME: world.symbol(age_ms=1000 * age_s)},
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("age_s", "code"),
    [(120, None), (121, Reason.REST_DEGRADE), (300, Reason.REST_DEGRADE), (301, Reason.REST_PAUSE)],
)
def test_a_silent_exchange_degrades_then_pauses(age_s: int, code: Reason | None) -> None:
    assert judge("market_data", **rest(age_s)).signals == ((str(code),) if code else ())


def test_silence_counts_from_boot_install_and_the_end_of_our_own_gap() -> None:
    for name in ("boot_ms", "install_ms", "gap_end_ms"):
        assert judge("market_data", **rest(4000, **{name: NOW - MINUTE})).signals == ()


def errors(count: int, **more: Any) -> dict[str, Any]:
    failures = tuple(NOW - 1000 * place for place in range(count))
    return {"breakers": {"binance_api": world.entry(failures=failures), "binance_orders": world.entry()}} | more


@pytest.mark.parametrize(("count", "status"), [(1, OK), (2, WARNING), (3, CRITICAL), (5, CRITICAL)])
def test_rest_errors_within_a_minute(count: int, status: Status) -> None:
    found = judge("market_data", **errors(count))
    assert found.status is status
    assert (str(Reason.REST_ERRORS) in found.signals) is (count >= 3)


def test_rest_errors_older_than_a_minute_do_not_count() -> None:
    old = {"binance_api": world.entry(failures=(NOW - MINUTE,) * 4), "binance_orders": world.entry()}
    assert judge("market_data", breakers=old).status is OK


@pytest.mark.parametrize(
    ("mode", "since_ms", "is_kill"),
    [
        ("LIVE", NOW - MINUTE, True),
        ("LIVE", NOW - MINUTE + 1, False),
        ("LIVE", 0, False),
        ("PAPER", NOW - HOUR, False),
        ("LIVE", NOW + HOUR, False),
    ],
)
def test_rest_errors_two_minutes_running_kill_in_live(mode: str, since_ms: int, is_kill: bool) -> None:
    found = judge("market_data", mode, **errors(3, rest_errors_since_ms=since_ms))
    assert [kill.reason for kill in found.kills] == (["excessive_rest_errors"] if is_kill else [])
    assert (str(Reason.KILL_REST) in found.codes) is is_kill  # the release asks whether it is still reported


def test_two_minutes_running_means_no_silence_of_ours_between() -> None:
    assert not judge("market_data", "LIVE", **errors(3, rest_errors_since_ms=NOW - HOUR, gap_end_ms=NOW)).kills


def test_venues_that_disagree_are_a_warning() -> None:
    names = ("binance_api", "binance_orders", "mexc_api", "mexc_orders")
    two: dict[str, Any] = {"venues": ("binance", "mexc"), "breakers": {name: world.entry() for name in names}}
    far = {NAME: world.symbol(), "mexc:BTCUSDT": world.symbol(("103",), venue="mexc")}
    near = {NAME: world.symbol(), "mexc:BTCUSDT": world.symbol(("101",), venue="mexc")}
    old = {NAME: world.symbol(), "mexc:BTCUSDT": world.symbol(("103",), age_ms=400_000, venue="mexc")}
    assert str(Reason.DATA_DEVIATION) in world.codes(judge("market_data", market=far, **two))
    assert judge("market_data", market=near, **two).status is OK
    assert str(Reason.DATA_DEVIATION) not in world.codes(judge("market_data", market=old, **two))


@pytest.mark.parametrize(("count", "status"), [(2, OK), (3, WARNING), (9, WARNING), (10, CRITICAL)])
@pytest.mark.parametrize("code", [Reason.DATA_STALE, Reason.DATA_INVALID_BID])
def test_cycles_in_a_row_blocked_by_old_prices(code: Reason, count: int, status: Status) -> None:
    blocked = world.fold()
    blocked.portfolio.blocked_cycles = {str(code): count}
    assert judge("market_data", fold=blocked).status is status


def test_a_flash_crash_asks_for_the_kill_switch_and_a_held_jump_does_not() -> None:
    fallen = judge("flash_crash", market={NAME: world.symbol(("100", "100", "89"))})
    assert [kill.reason for kill in fallen.kills] == ["flash_crash"]
    found = world.symbol(("100", "100", "89"))
    held = (*found.polls[:-1], msgspec.structs.replace(found.polls[-1], held=True))
    assert not judge("flash_crash", market={NAME: msgspec.structs.replace(found, polls=held)}).kills
    slow = world.symbol(tuple(str(100 - place) for place in range(20)))  # 19 % in 19 minutes, 15 % in the last 15
    assert judge("flash_crash", market={NAME: slow}).kills


# --- positions, exposure, intents --------------------------------------------------------------------------


def test_a_position_without_a_stop_is_critical() -> None:
    naked = judge("positions", fold=world.fold((world.position(),)))
    assert (naked.status, world.codes(naked)) == (CRITICAL, {str(Reason.UNPROTECTED)})
    gone = judge("positions", fold=world.fold((world.position(),), {"s1": world.intent(status="CANCELED")}))
    assert gone.status is CRITICAL
    told = judge("positions", fold=world.fold((world.position(unprotected_ms=NOW),), {"s1": world.intent()}))
    assert told.status is CRITICAL
    others = judge("positions", fold=world.fold((world.position(),), {"s1": world.intent(position_id="p2")}))
    assert others.status is CRITICAL


def test_a_tick_that_is_still_working_may_be_about_to_place_the_stop() -> None:
    working = LeaseLook(held=True, door="router", alive_ms=NOW - 1000)
    assert judge("positions", fold=world.fold((world.position(),)), lease=working).status is WARNING
    hung = LeaseLook(held=True, door="router", alive_ms=NOW - 46_000)
    assert judge("positions", fold=world.fold((world.position(),)), lease=hung).status is CRITICAL


def test_a_venue_without_stop_orders_is_watched() -> None:
    rules = msgspec.structs.replace(world.RULES, order_types=("LIMIT", "MARKET"))
    market = {NAME: world.symbol(rules=rules)}
    assert judge("positions", fold=world.fold((world.position(),)), market=market).status is OK
    unplanned = world.fold((world.position(stop_price=Decimal(0)),))
    assert judge("positions", fold=unplanned, market=market).status is CRITICAL


@pytest.mark.parametrize(("age_ms", "status"), [(72 * HOUR, OK), (72 * HOUR + 1, WARNING)])
def test_an_old_position_is_flagged(age_ms: int, status: Status) -> None:
    old = world.fold((world.position(opened_ms=NOW - age_ms),), {"s1": world.intent()})
    assert judge("positions", fold=old).status is status


@pytest.mark.parametrize(
    ("mode", "quantity", "code"),
    [
        ("PAPER", "9.9", None),
        ("PAPER", "10.1", Reason.POSITION_CAP),
        ("LIVE", "4.9", None),
        ("LIVE", "5.1", Reason.POSITION_CAP),
        ("PAPER", "31", Reason.TOTAL_CAP),
    ],
)
def test_exposure_against_the_caps(mode: str, quantity: str, code: Reason | None) -> None:
    held = world.fold((world.position(quantity),), {"s1": world.intent()})
    found = judge("exposure", mode, fold=held, market={NAME: world.symbol(("100", "100.1", "100"))})
    assert (found.status is OK) is (code is None)
    assert code is None or str(code) in world.codes(found)


def test_more_positions_than_allowed() -> None:
    names = ("AUSDT", "BUSDT", "CUSDT", "DUSDT")
    held = world.fold(tuple(world.position("0.1", symbol=name, position_id=name) for name in names))
    market = {f"binance:{name}": world.symbol(symbol=name) for name in names}
    assert str(Reason.POSITIONS_MAX) in world.codes(judge("exposure", "LIVE", fold=held, market=market))
    assert str(Reason.POSITIONS_MAX) not in world.codes(judge("exposure", "PAPER", fold=held, market=market))


@pytest.mark.parametrize(
    ("peak", "day_open", "reason", "code"),
    [
        ("10000", "10526.3", None, None),
        ("10000", "10526.4", "daily_loss", Reason.DAILY_LOSS),
        ("11764", "10000", None, None),
        ("11765", "10000", None, Reason.DRAWDOWN),
        ("12500", "10000", "max_dd_exceeded", Reason.MAX_DD),
    ],
)
def test_losses_ask_for_the_kill_switch(peak: str, day_open: str, reason: str | None, code: Reason | None) -> None:
    """Limits 0.05 of the day's opening, 0.15 and 0.20 of the peak, each inclusive; equity is 10000."""
    lost = world.fold()
    capital = lost.portfolio.capital["binance:USDT"]
    capital.peak, capital.day_open = Decimal(peak), Decimal(day_open)
    found = judge("exposure", fold=lost)
    assert [kill.reason for kill in found.kills] == ([reason] if reason else [])
    assert world.codes(found) == ({str(code)} if code else set())


def test_no_kill_for_a_loss_by_prices_too_old_to_mark() -> None:
    lost = world.fold((world.position(),), {"s1": world.intent()})
    lost.portfolio.capital["binance:USDT"].peak = Decimal(20_000)
    assert judge("exposure", fold=lost).kills
    assert not judge("exposure", fold=lost, market={NAME: world.symbol(mark_bid=None)}).kills


@pytest.mark.parametrize(("age_s", "status"), [(0, OK), (300, OK), (301, WARNING), (1800, WARNING), (1801, CRITICAL)])
@pytest.mark.parametrize("state", ["CREATED", "SENT_UNKNOWN"])
def test_an_unknown_order_warns_then_is_critical(state: str, age_s: int, status: Status) -> None:
    lost = world.intent(state=state, status="", created_ms=NOW - 1000 * age_s)
    assert judge("intents", fold=world.fold((), {"x1": lost})).status is status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OK),  # a stop may rest for hours
        ({"kind": "ENTRY", "leg": "entry", "created_ms": NOW - 420_000}, OK),
        ({"kind": "ENTRY", "leg": "entry", "created_ms": NOW - 421_000}, WARNING),
        ({"kind": "ENTRY", "leg": "entry", "created_ms": NOW - 1_921_000}, CRITICAL),
        ({"kind": "ENTRY", "leg": "entry", "created_ms": NOW - 9 * HOUR, "status": "FILLED"}, OK),
        ({"cancel_ms": NOW - 301_000}, WARNING),
        ({"cancel_ms": NOW - 1_801_000}, CRITICAL),
        ({"anomaly": "FILL in state absent"}, CRITICAL),
        ({"state": "SENT_UNKNOWN", "status": "", "created_ms": NOW + HOUR}, WARNING),
    ],
)
def test_orders_that_stand_too_long(changes: dict[str, Any], status: Status) -> None:
    assert judge("intents", fold=world.fold((), {"x1": world.intent(**changes)})).status is status


def test_an_order_from_the_future_is_unknown() -> None:
    ahead = world.fold((), {"x1": world.intent(state="SENT_UNKNOWN", status="", created_ms=NOW + HOUR)})
    assert judge("intents", "LIVE", fold=ahead).status is CRITICAL
    assert world.codes(judge("intents", fold=ahead)) == {str(Reason.TIME_FUTURE)}


# --- books and budget --------------------------------------------------------------------------------------


def test_a_resealed_journal_pauses_until_the_books_are_read_again() -> None:
    again = world.fold()
    again.portfolio.resealed = True
    assert judge("journal", fold=again).signals == (str(Reason.AUDIT_RESEALED),)


def test_the_journal_shows_its_head_and_a_reserve_made_again() -> None:
    assert (
        judge("journal", journal=JournalLook(reserve_made=True)).line()
        == "journal: OK seq 42 abababababab, reserve made"
    )


def budget(**more: Any) -> dict[str, Any]:
    return {"rates": {"binance": Budget(**more)}}


def weight(count: int) -> Use:
    return Use(count=count, limit=100, seen_ms=NOW - 1000)


@pytest.mark.parametrize(
    ("changes", "status", "code", "signal"),
    [
        (budget(weight=weight(69)), OK, None, False),
        (budget(weight=weight(70)), WARNING, Reason.RATE_BUDGET, False),
        (budget(weight=weight(85)), WARNING, Reason.RATE_READS, False),
        (budget(orders={"10S": weight(79)}), OK, None, False),
        (budget(orders={"10S": weight(80)}), WARNING, Reason.RATE_ORDERS, False),
        (budget(back_off_until_ms=NOW + 1), WARNING, Reason.RATE_LIMITED, True),
        (budget(back_off_until_ms=NOW), OK, None, False),
        (budget(ban_until_ms=NOW + 1), CRITICAL, Reason.RATE_BANNED, True),
        (budget(ban_until_ms=NOW), OK, None, False),
        ({"rates": {}}, OK, None, False),
    ],
)
def test_the_request_budget(changes: dict[str, Any], status: Status, code: Reason | None, signal: bool) -> None:
    found = judge("rate_budget", **changes)
    assert found.status is status
    assert world.codes(found) == ({str(code)} if code else set())
    assert bool(found.signals) is signal
