"""The table: its order is the rules', the walk stops at the first denial, a gate that raises denies."""

import re
from pathlib import Path

import pytest

import policy_engine
from desk.base.reasons import Reason
from desk.config.schema import Config
from desk.risk.decision import Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.gates import locks
from desk.risk.verdicts import allow
from unit.risk.facts_kit import ENTRY, EXIT, GOOD, HOLDING, LIVE, changed, killed

ORDER = [
    "mode", "freeze", "kill_switch", "arming", "audit_writable", "system_mode", "unknown_orders", "clock",
    "breaker", "data_fresh", "price_sane", "symbol_trading", "spread", "slippage", "volatility",
    "reconcile_fresh", "drift", "capital", "exposure", "position_count", "one_per_symbol", "cooldown",
    "cycle_caps", "open_orders", "notional", "filters", "rate_budget", "churn", "edge_cost", "ai_gate",
]  # fmt: skip
RULES_FILE = Path(__file__).resolve().parents[3].parent / "shared" / "rules.md"


def names() -> list[str]:
    return [row.name for row in policy_engine.GATES]


def test_the_order_is_the_rules() -> None:
    assert names() == ORDER


@pytest.mark.skipif(not RULES_FILE.is_file(), reason="../shared/rules.md is absent")
def test_the_order_is_what_the_rules_page_says() -> None:
    section = RULES_FILE.read_text().split("## Gates, in order")[1].split("A gate that raises")[0]
    listed = section[section.index("`mode`") :]
    assert re.findall(r"`([a-z_]+)`", listed) == names()


@pytest.mark.parametrize("facts", [GOOD, LIVE], ids=["PAPER", "LIVE"])
def test_good_facts_allow_an_entry(facts: Facts) -> None:
    found = policy_engine.ask_all(ENTRY, facts)
    assert found.allowed, (found.gate, found.code, found.detail)
    assert [verdict.gate for verdict in found.verdicts] == names()
    assert policy_engine.evaluate(ENTRY, facts) == found


def test_the_walk_stops_at_the_first_denial_and_names_it() -> None:
    broken = changed(GOOD, latches=killed(), reconciled=None)
    found = policy_engine.evaluate(ENTRY, broken)
    assert (found.allowed, found.gate, found.code) == (False, "kill_switch", Reason.KILL_SWITCH)
    assert found.verdicts[-1].gate == "kill_switch"
    assert len(found.verdicts) == names().index("kill_switch") + 1


def test_asking_all_shows_every_denial_and_decides_by_the_first() -> None:
    broken = changed(GOOD, latches=killed(), reconciled=None)
    found = policy_engine.ask_all(ENTRY, broken)
    assert found.gate == "kill_switch"
    assert [v.gate for v in found.verdicts if not v.allowed] == ["kill_switch", "reconcile_fresh", "drift"]
    assert len(found.verdicts) == len(ORDER)


@pytest.mark.parametrize("row", policy_engine.GATES, ids=lambda row: row.name)
def test_a_gate_that_raises_denies(row: policy_engine.Row, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(proposal: Proposal, facts: Facts) -> Verdict:
        raise ZeroDivisionError("boom")

    swapped = tuple(r._replace(gate=raises) if r.name == row.name else r for r in policy_engine.GATES)
    monkeypatch.setattr(policy_engine, "GATES", swapped)
    found = policy_engine.evaluate(ENTRY, GOOD)
    assert (found.allowed, found.gate, found.code) == (False, row.name, Reason.GATE_ERROR)
    assert "boom" in found.detail


def test_a_gate_that_answers_for_another_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    def liar(proposal: Proposal, facts: Facts) -> Verdict:
        return allow("freeze")

    monkeypatch.setattr(policy_engine, "GATES", (policy_engine.Row("mode", liar, ()),))
    assert policy_engine.evaluate(ENTRY, GOOD).code == Reason.GATE_ERROR


@pytest.mark.parametrize("row", policy_engine.GATES, ids=lambda row: row.name)
def test_every_row_names_codes_and_keys_that_exist(row: policy_engine.Row) -> None:
    assert row.codes
    assert row.gate.__doc__
    assert all(isinstance(code, Reason) for code in row.codes)
    for key in row.keys:
        section, _, name = key.partition(".")
        assert hasattr(getattr(Config(), section), name), key


def test_an_exit_is_asked_only_what_shapes_it() -> None:
    asked = [row.name for row in policy_engine.GATES if row.asks_exits]
    assert asked == [
        "mode", "freeze", "arming", "audit_writable", "price_sane", "symbol_trading", "filters", "rate_budget",
    ]  # fmt: skip
    found = policy_engine.ask_all(EXIT, HOLDING)
    assert found.allowed
    assert [v.detail for v in found.verdicts if v.gate == "kill_switch"] == ["exits are not asked"]


def test_the_mode_gate_is_the_first_word() -> None:
    assert policy_engine.GATES[0].gate is locks.mode
