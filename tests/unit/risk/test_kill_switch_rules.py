"""When each reason lets go: pure rules over facts."""

from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from desk.base.reasons import Reason
from desk.config.schema import KillPositions
from desk.journal.state import Capital
from desk.risk import kill_reasons
from desk.risk.kill_reasons import CALM_MS, HEALTHY_MS, REBASE_GAP_MS, ReleaseFacts, still_held

NOW = 1_767_571_200_000 + 3_600_000  # 2026-01-05T01:00:00Z
HOUR = 3_600_000
D = Decimal


def facts(**words: object) -> ReleaseFacts:
    return replace(ReleaseFacts(now_ms=NOW), **words)  # type: ignore[arg-type]


def held(reason: str, found: ReleaseFacts) -> bool:
    return bool(still_held((reason,), found))


def test_manual_goes_any_time_unless_the_environment_holds() -> None:
    assert not held("manual", facts())
    assert still_held(("manual",), facts(env_hold=".env line 3 says so")) == (".env line 3 says so",)


def test_a_text_nobody_knows_is_manual() -> None:
    row, note = kill_reasons.classify("  spilled coffee ")
    assert (row.name, note) == ("manual", "spilled coffee")
    assert kill_reasons.classify("Daily_Loss") == (kill_reasons.BY_NAME["daily_loss"], "")
    assert not held("spilled coffee", facts())


@pytest.mark.parametrize(
    ("engaged_ms", "is_held"),
    [(NOW - 2 * HOUR, False), (NOW - HOUR, True), (NOW - HOUR - 1, False), (NOW, True), (NOW + HOUR, True), (0, True)],
)
def test_daily_loss_waits_for_the_next_utc_day(engaged_ms: int, is_held: bool) -> None:
    assert held("daily_loss", facts(engaged_ms={"daily_loss": engaged_ms})) is is_held


@pytest.mark.parametrize(
    ("capital", "is_held"),
    [
        (Capital(day="2026-01-05", day_open=D(1000), equity=D(990)), False),
        (Capital(day="2026-01-04", day_open=D(1000), equity=D(1000)), True),  # the new day is not open yet
        (Capital(day="2026-01-05", day_open=D(1000), equity=D(950)), True),  # and it loses as much again
        (Capital(day="2026-01-05", day_open=D(1000), equity=D("950.01")), False),
        (Capital(), False),
    ],
)
def test_daily_loss_wants_a_new_day_with_a_smaller_loss(capital: Capital, is_held: bool) -> None:
    found = facts(engaged_ms={"daily_loss": NOW - 2 * HOUR}, capital={"binance:USDT": capital})
    assert held("daily_loss", found) is is_held


def test_daily_loss_in_quote_counts_too() -> None:
    capital = {"binance:USDT": Capital(day="2026-01-05", day_open=D(1000), equity=D(980))}
    found = facts(engaged_ms={"daily_loss": NOW - 2 * HOUR}, capital=capital)
    assert not held("daily_loss", found)
    assert held("daily_loss", replace(found, daily_loss_quote=D(20)))


@pytest.mark.parametrize(
    ("reason", "window_ms", "code"),
    [
        ("excessive_rest_errors", HEALTHY_MS, Reason.KILL_REST),
        ("ws_stale_60s", HEALTHY_MS, Reason.KILL_WS),
        ("flash_crash", CALM_MS, Reason.FLASH_CRASH),
    ],
)
def test_conditions_must_be_measured_as_gone(reason: str, window_ms: int, code: Reason) -> None:
    calm = facts(engaged_ms={reason: NOW - window_ms}, measured_ms=NOW)
    assert not held(reason, calm)
    assert held(reason, replace(calm, engaged_ms={reason: NOW - window_ms + 1}))
    assert held(reason, replace(calm, seen_ms={reason: NOW - window_ms + 1}))  # it was seen again since
    assert held(reason, replace(calm, measured_ms=0))  # nobody has looked
    assert held(reason, replace(calm, measured_ms=NOW - 180_001, engaged_ms={reason: 1}))  # nobody has looked lately
    assert held(reason, replace(calm, measured_ms=NOW + 1))  # from the future
    assert held(reason, replace(calm, engaged_ms={}))  # unknown since when
    assert held(reason, replace(calm, active_codes=frozenset({str(code)})))


def test_drawdown_only_goes_with_a_rebase_and_not_twice_in_seven_days() -> None:
    deep = Capital(peak=D(100), equity=D(80))
    assert held("max_dd_exceeded", facts(capital={"binance:USDT": deep}))
    assert not held("max_dd_exceeded", facts(capital={"binance:USDT": deep}, rebase_peak=True))
    for age_ms, is_held in ((REBASE_GAP_MS, False), (REBASE_GAP_MS - 1, True), (-HOUR, True)):
        again = Capital(peak=D(100), equity=D(80), rebased_ms=NOW - age_ms)
        found = facts(capital={"binance:USDT": again}, rebase_peak=True)
        assert held("max_dd_exceeded", found) is is_held
    small = Capital(peak=D(100), equity=D("80.01"), rebased_ms=NOW - HOUR)
    assert not held("max_dd_exceeded", facts(capital={"binance:USDT": small}, rebase_peak=True))


@pytest.mark.parametrize(
    ("then", "now", "foreign", "foreign_ms", "is_held"),
    [
        ({"binance": "aa"}, {"binance": "aa"}, None, 0, True),
        ({"binance": "aa"}, {"binance": "bb"}, None, 0, False),
        ({"binance": "aa"}, {}, None, 0, False),
        ({"binance": "aa", "mexc": "cc"}, {"binance": "bb", "mexc": "cc"}, None, 0, True),
        ({}, {}, None, 0, False),  # no key, nothing to steal
        (None, {"binance": "bb"}, None, 0, True),
        ({"binance": "aa"}, {"binance": "aa"}, 0, NOW, False),
        ({"binance": "aa"}, {"binance": "aa"}, 0, NOW - 2 * HOUR, True),  # counted before the engagement
        ({"binance": "aa"}, {"binance": "aa"}, 1, NOW, True),
    ],
)
def test_a_suspected_key_wants_a_new_key_or_adopted_orders(
    then: dict[str, str] | None, now: dict[str, str], foreign: int | None, foreign_ms: int, is_held: bool
) -> None:
    found = facts(
        keys_then=then, keys_now=now, foreign_unadopted=foreign, foreign_ms=foreign_ms,
        engaged_ms={"key_compromise_suspected": NOW - HOUR},
    )  # fmt: skip
    assert held("key_compromise_suspected", found) is is_held


def test_every_reason_must_let_go() -> None:
    clauses = still_held(("manual", "daily_loss", "max_dd_exceeded"), facts())
    assert len(clauses) == 2


def test_positions_follow_the_strictest_reason() -> None:
    chosen = KillPositions()
    assert kill_reasons.positions_policy(("manual",), chosen) == "hold"
    assert kill_reasons.positions_policy(("manual", "excessive_rest_errors"), chosen) == "assess"
    assert kill_reasons.positions_policy(("excessive_rest_errors", "ws_stale_60s"), chosen) == "close"
    assert kill_reasons.positions_policy(("a text by hand",), KillPositions(manual="close")) == "close"


def test_every_reason_has_its_row_its_choice_and_the_rules_default() -> None:
    defaults = {
        "max_dd_exceeded": "hold", "daily_loss": "hold", "excessive_rest_errors": "assess", "ws_stale_60s": "close",
        "flash_crash": "hold", "key_compromise_suspected": "assess", "manual": "hold",
    }  # fmt: skip
    assert {row.name for row in kill_reasons.ROWS} == set(defaults)
    assert msgspec.structs.asdict(KillPositions()) == defaults  # rules.md, Kill switch


def test_every_reason_names_the_command_that_releases_it() -> None:
    for row in kill_reasons.ROWS:
        assert row.code.severity == "CRIT"
        assert "kill_switch.py release " in row.code.action, row.name
        assert ("--rebase-peak" in row.code.action) is (row.name == "max_dd_exceeded")
