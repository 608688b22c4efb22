"""Sizing: caps at the worst price, filters of the order and of its protective leg, costs in bps."""

from pathlib import Path

import msgspec
import pytest

from desk.base.money import BPS
from desk.execution import books, sizing
from desk.risk.decision import Decision, Kind, Plan
from desk.risk.facts import Facts
from desk.venues.protocol import Side
from kit import Bench, D, bench


@pytest.fixture
def paper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    books.open_books(found.desk(), "binance")
    return found


def _decision(**changes: object) -> Decision:
    found = Decision(
        decision_id="d", strategy="signal:x", version="1", venue="binance", symbol="BTCUSDT", side=Side.BUY,
        kind=Kind.ENTRY, occasion="o", edge_bps=D(100), notional_quote=D(100), stop_price=D(49000),
    )  # fmt: skip
    return msgspec.structs.replace(found, **changes)


def _facts(paper: Bench, **limits: object) -> Facts:
    facts = paper.facts(paper.desk())
    assert facts.limits is not None
    config = facts.limits
    for name, value in limits.items():
        section, _, key = name.partition("__")
        part = msgspec.structs.replace(getattr(config, section), **{key: value})
        config = msgspec.structs.replace(config, **{section: part})
    return msgspec.structs.replace(facts, limits=config)


def _plan(paper: Bench, facts: Facts | None = None, **changes: object) -> Plan:
    return sizing.plan(_decision(**changes), facts or _facts(paper))


def test_the_notional_holds_at_the_limit_price(paper: Bench) -> None:
    plan = _plan(paper)
    assert plan.problem == ""
    assert D(99) < plan.notional <= D(100)
    assert plan.quantity * plan.price == plan.notional
    assert plan.price > D("50000.01")
    assert plan.quantity % paper.rules.step == 0
    assert plan.price % paper.rules.tick == 0


def test_the_cost_is_both_half_spreads_slippage_and_both_fees(paper: Bench) -> None:
    plan = _plan(paper)
    assert D(20) < plan.cost_bps < D("20.1")  # two fees of 10 bps and a spread of one tick
    assert plan.fee_frac * BPS == D(20)


def test_the_overlay_multiplies_a_signals_size(paper: Bench) -> None:
    half = _plan(paper, _facts(paper, exposure__size_frac=D("0.5")))
    assert D("49.4") < half.notional <= D(50)


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({}, D(150)),
        ({"entries__max_notional_per_order_quote": D(70)}, D(70)),
        ({"entries__notional_cap_per_cycle_quote": D(60)}, D(60)),
        ({"exposure__position_paper_frac": D("0.004")}, D(40)),
        ({"exposure__total_frac": D("0.003")}, D(30)),
    ],
)
def test_a_strategy_gets_the_smallest_of_the_caps(paper: Bench, limits: dict[str, object], most: object) -> None:
    plan = _plan(paper, _facts(paper, **limits), notional_quote=None)
    assert plan.notional <= most
    assert plan.notional > most * D("0.97")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("rules", "changes", "code"),
    [
        ({}, {"notional_quote": D(6)}, "order:notional_min"),  # our own minimum is 10
        ({"notional_min": D(99)}, {}, "order:notional_min"),  # its stop would be worth less than 1.1 x 99
        ({"quantity_min": D(1)}, {}, "order:filters"),
        ({"notional_max": D(50)}, {}, "order:notional_max"),
        ({}, {"stop_price": D(50000)}, "order:filters"),  # a stop at the market would sell at once
        ({"ask_multiplier_down": D("0.9"), "ask_multiplier_up": D(5)}, {"stop_price": D(30000)}, "order:filters"),
    ],
)
def test_what_cannot_be_traded_or_protected_carries_its_code(
    paper: Bench, rules: dict[str, object], changes: dict[str, object], code: str
) -> None:
    paper.rules = msgspec.structs.replace(paper.rules, **rules)
    assert _plan(paper, **changes).problem == code


def test_a_null_stop_gets_the_default_stop(paper: Bench) -> None:
    plan = _plan(paper, stop_price=None)
    assert plan.stop_price == D("50000.01") * D("0.98")
    assert plan.target_price == 0


@pytest.mark.parametrize("change", ["no_book", "no_rules", "no_limits"])
def test_what_is_not_known_cannot_be_sized(paper: Bench, change: str) -> None:
    facts = _facts(paper)
    found = facts.symbols["binance:BTCUSDT"]
    if change == "no_limits":
        facts = msgspec.structs.replace(facts, limits=None)
    else:
        blank = {"book": None} if change == "no_book" else {"rules": None}
        facts = msgspec.structs.replace(facts, symbols={"binance:BTCUSDT": msgspec.structs.replace(found, **blank)})
    plan = _plan(paper, facts)
    assert plan.quantity == 0
    assert plan.problem in {"market_data:missing", "symbol:unknown", "limits:overlay_corrupt"}


def test_an_exit_without_a_position_is_dust(paper: Bench) -> None:
    plan = _plan(paper, kind=Kind.EXIT, side=Side.SELL, notional_quote=None)
    assert (plan.quantity, plan.problem) == (0, "position:dust")
