"""P3: facts with any part knocked out never allow an entry."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import policy_engine
from desk.base.reasons import Reason
from desk.risk.facts import Facts, JournalHealth
from unit.risk.facts_kit import (
    ENTRY,
    GOOD,
    LIVE,
    NAME,
    SEEN,
    VENUE,
    an_intent,
    changed,
    with_account,
    with_symbol,
    with_venue,
)

Knock = Callable[[Facts], Facts]


def put(**values: object) -> Knock:
    return lambda facts: changed(facts, **values)


def symbol(**values: object) -> Knock:
    return lambda facts: with_symbol(facts, **values) if NAME in facts.symbols else facts


def venue(**values: object) -> Knock:
    return lambda facts: with_venue(facts, **values) if VENUE in facts.venues else facts


def account(**values: object) -> Knock:
    return lambda facts: with_account(facts, **values) if facts.ledger is not None else facts


KNOCKS: dict[str, Knock] = {
    "mode": put(mode=""), "stamp": put(stamp=None), "latches": put(latches=None), "limits": put(limits=None),
    "overlay": put(limits_problem="corrupt"), "status": put(status=None), "reconcile": put(reconciled=None),
    "journal": put(journal=None),
    "journal damaged": put(journal=JournalHealth(writable=True, damaged=True, reserve=True)),
    "venues": put(venues={}), "clock": venue(clock=None), "breakers": venue(breakers=None), "rate": venue(rate=None),
    "symbols": put(symbols={}), "rules": symbol(rules=None), "rules age": symbol(rules_ms=0),
    "book": symbol(book=None), "book age": symbol(book_ms=0), "bars": symbol(bars=()), "polls": symbol(polls=()),
    "one side": symbol(book=changed(SEEN.book, asks=())), "ledger": put(ledger=None),
    "equity": account(equity=None), "value": account(value=None), "exposure": account(exposure=None),
    "opening": account(opened=False), "mark": account(marked=False),
    "unknown order": lambda facts: facts if facts.ledger is None else changed(
        facts, ledger__intents={"c1": an_intent(state="SENT_UNKNOWN")}),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOCKS)
@pytest.mark.parametrize("facts", [GOOD, LIVE], ids=["PAPER", "LIVE"])
def test_one_part_knocked_out(name: str, facts: Facts) -> None:
    found = policy_engine.evaluate(ENTRY, KNOCKS[name](facts))
    assert not found.allowed
    assert found.code
    assert found.code != Reason.GATE_ERROR, "a missing part is foreseen, not an accident"


@given(st.sets(st.sampled_from(sorted(KNOCKS)), min_size=1, max_size=8), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_parts_knocked_out(names: set[str], is_live: bool) -> None:
    facts = LIVE if is_live else GOOD
    for name in sorted(names):
        facts = KNOCKS[name](facts)
    found = policy_engine.ask_all(ENTRY, facts)
    assert not found.allowed
    assert not [v for v in found.verdicts if v.code == Reason.GATE_ERROR]


@given(st.integers(-(10**15), 10**15), st.sampled_from(["book_ms", "rules_ms"]))
@settings(max_examples=100, deadline=None)
def test_a_time_that_is_not_now_is_never_fresh(ms: int, field: str) -> None:
    facts = with_symbol(GOOD, **{field: GOOD.now_ms + ms})
    allowed = policy_engine.evaluate(ENTRY, facts).allowed
    assert not allowed or -86_400_000 <= ms <= 20


@given(st.decimals(allow_nan=True, allow_infinity=True), st.sampled_from(["notional", "quantity", "price", "cost_bps"]))
@settings(max_examples=150, deadline=None)
def test_no_number_in_a_plan_makes_the_walk_raise_or_pass_its_caps(number: object, field: str) -> None:
    proposal = changed(ENTRY, **{f"plan__{field}": number})
    found = policy_engine.ask_all(proposal, GOOD)
    if found.allowed:
        assert 10 <= proposal.plan.notional <= 150
        assert proposal.plan.quantity > 0
        assert proposal.plan.price > 0
