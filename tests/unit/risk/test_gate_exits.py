"""P4: with everything broken an exit passes, but for what rules.md lets shape or stop one."""

import pytest

import policy_engine
from desk.base.reasons import Reason as R
from desk.risk.decision import Proposal
from desk.risk.facts import Arming, Cycle, Facts, JournalHealth
from desk.risk.latches import Latches
from desk.venues.protocol import Side
from unit.risk.facts_kit import (
    ARMED,
    ENTRY,
    EXIT,
    HOLDING,
    LIVE,
    NAME,
    NOW_MS,
    a_book,
    an_intent,
    changed,
    d,
    killed,
    paused,
    polls,
    with_account,
    with_churn,
    with_close,
    with_rules,
    with_symbol,
    with_venue,
)

HELD_LIVE = changed(LIVE, ledger=HOLDING.ledger)


def blind(facts: Facts) -> Facts:
    """Everything an exit does not need, gone or wrong at once."""
    return changed(
        facts, latches=Latches(killed().kill, paused().pause, True, ("state:corrupt",)), limits=None,
        limits_problem="corrupt", status=None, reconciled=None, venues={}, symbols={}, cycle=Cycle(entries_placed=99),
        journal=JournalHealth(writable=True, damaged=False, reserve=False), ledger__resealed=True,
        ledger__accounts={}, ledger__quarantine={NAME: NOW_MS * 2}, ledger__intents={"c1": an_intent(anomaly="x")},
        ledger__closes=with_close(0, "-1", stop_out=True).ledger.closes,
        ledger__churn=with_churn(*[(1, "cancel")] * 20).ledger.churn,
    )  # fmt: skip


BROKEN: tuple[tuple[str, Facts], ...] = (
    ("kill switch", changed(HOLDING, latches=killed())),
    ("latches unknown", changed(HOLDING, latches=None)),
    ("pause", changed(HOLDING, latches=paused())),
    ("limits unknown", changed(HOLDING, limits=None, limits_problem="corrupt")),
    ("status missing", changed(HOLDING, status=None)),
    ("reconcile missing", changed(HOLDING, reconciled=None)),
    ("drift", changed(HOLDING, reconciled__score=100)),
    ("reserve used", changed(HOLDING, journal__reserve=False)),
    ("clock unknown", with_venue(HOLDING, clock=None)),
    ("breakers open", with_venue(HOLDING, breakers__api="open", breakers__orders="open")),
    ("breakers corrupt", with_venue(HOLDING, breakers=None)),
    ("budget used up", with_venue(HOLDING, rate__used_frac=d("1"), rate__orders_frac=d("1"))),
    ("backing off", with_venue(HOLDING, rate__back_off_until_ms=NOW_MS + 1)),
    ("venue unknown", changed(HOLDING, venues={})),
    ("no book", with_symbol(HOLDING, book=None, book_ms=0, polls=(), mark_bid=None)),
    ("old book", with_symbol(HOLDING, book_ms=NOW_MS - 10_000_000)),
    ("crossed book", with_symbol(HOLDING, book=a_book("50002", "50001"))),
    ("outlier", with_symbol(HOLDING, polls=(changed(HOLDING.symbols[NAME].polls[1], held=True),))),
    ("frozen", with_symbol(HOLDING, polls=polls(*[("49999", "50001")] * 5))),
    ("wide spread", with_symbol(HOLDING, book=a_book("40000", "50001"))),
    ("no bars", with_symbol(HOLDING, bars=())),
    ("no rules", with_symbol(HOLDING, rules=None)),
    ("entries off", with_rules(HOLDING, entries_allowed=False, status="CANCEL_ONLY")),
    ("quarantine", changed(HOLDING, ledger__quarantine={NAME: NOW_MS * 2})),
    ("unknown order", changed(HOLDING, ledger__intents={"c1": an_intent(state="SENT_UNKNOWN")})),
    ("capital lost", changed(HOLDING, ledger__accounts=with_account(equity=d("1")).ledger.accounts)),
    ("capital unknown", changed(HOLDING, ledger__accounts={})),
    ("churn", changed(HOLDING, ledger__churn=with_churn(*[(1, "new")] * 20).ledger.churn)),
    ("cycle used up", changed(HOLDING, cycle=Cycle(entries_placed=99))),
    ("not armed for entries", changed(HELD_LIVE, arming=Arming(live_flag=True, dry_run=False, safe_mode=False))),
    ("everything", blind(HOLDING)),
    ("everything, LIVE", blind(HELD_LIVE)),
)
# what does stop an exit, and with which code
STOPPED: tuple[tuple[str, Facts, Proposal], ...] = (
    (R.MODE_NOT_SET, changed(HOLDING, mode=""), EXIT),
    (R.MODE_STAMP, changed(HOLDING, stamp="LIVE"), EXIT),
    (R.FREEZE_ALL, changed(HOLDING, latches=killed("freeze_all")), EXIT),
    (R.ARM_NO_LIVE_FLAG, changed(HELD_LIVE, arming=changed(ARMED, live_flag=False)), EXIT),
    (R.ARM_BASELINE, changed(HELD_LIVE, arming=changed(ARMED, baseline=True)), EXIT),
    (R.ARM_DRY_RUN, changed(HELD_LIVE, arming=changed(ARMED, dry_run=True)), EXIT),
    (R.ARM_SAFE_MODE, changed(HOLDING, arming__safe_mode=True), EXIT),
    (R.AUDIT_DAMAGED, changed(HOLDING, journal__damaged=True), EXIT),
    (R.AUDIT_UNWRITABLE, changed(HOLDING, journal__writable=False), EXIT),
    (R.AUDIT_UNWRITABLE, changed(HOLDING, journal=None), EXIT),
    (R.SYMBOL_HALTED, with_rules(HOLDING, exits_allowed=False, status="BREAK"), EXIT),
    (R.RATE_BANNED, with_venue(HOLDING, rate__ban_until_ms=NOW_MS + 1), EXIT),
    (R.DUST, HOLDING, changed(EXIT, plan__problem=str(R.DUST), plan__quantity=d("0"))),
    (R.FILTERS, HOLDING, changed(EXIT, plan__quantity=d("0.0019999"))),
    (R.BALANCE, HOLDING, changed(EXIT, plan__quantity=d("0.00201"))),
    (R.BALANCE, changed(HOLDING, ledger__positions={}), EXIT),
    (R.FILTERS, HOLDING, changed(EXIT, decision__side=Side.BUY)),
)


@pytest.mark.parametrize(("what", "facts"), BROKEN, ids=[what for what, _ in BROKEN])
def test_an_exit_passes(what: str, facts: Facts) -> None:
    found = policy_engine.ask_all(EXIT, facts)
    assert found.allowed, (found.gate, found.code, found.detail)


@pytest.mark.parametrize(("what", "facts"), BROKEN, ids=[what for what, _ in BROKEN])
def test_the_same_breakage_stops_an_entry(what: str, facts: Facts) -> None:
    """None of the cases is harmless, so that an exit passes them proves something."""
    assert not policy_engine.evaluate(ENTRY, changed(facts, ledger__positions={})).allowed


@pytest.mark.parametrize(("code", "facts", "proposal"), STOPPED, ids=[str(code) for code, _, _ in STOPPED])
def test_what_stops_an_exit(code: str, facts: Facts, proposal: Proposal) -> None:
    found = policy_engine.evaluate(proposal, facts)
    assert (found.allowed, found.code) == (False, str(code)), found


def test_a_blind_exit_passes_and_says_so() -> None:
    for book in (None, a_book("0"), a_book("50002", "50001")):
        found = policy_engine.ask_all(EXIT, with_symbol(HOLDING, book=book))
        verdict = next(v for v in found.verdicts if v.gate == "price_sane")
        assert (found.allowed, verdict.code) == (True, R.EXIT_BLIND)


@pytest.mark.parametrize("code", [R.DATA_MISSING, R.SYMBOL_UNKNOWN, R.OVERLAY_CORRUPT])
def test_an_exit_that_could_not_be_sized_for_want_of_data_passes(code: R) -> None:
    """The executor sizes it by the venue's own bounded exit; the plan's problem stands beside the yes."""
    unsized = changed(EXIT, plan__problem=str(code), plan__quantity=d("0"), plan__price=d("0"))
    found = policy_engine.ask_all(unsized, blind(HOLDING))
    assert found.allowed
    assert next(v for v in found.verdicts if v.gate == "filters").code == code


def test_an_entry_is_no_exit_by_calling_itself_one() -> None:
    """A decision that names itself EXIT but buys, or sells what nobody holds, is denied."""
    for side in (Side.BUY, Side.SELL):
        pretender = changed(EXIT, decision__side=side)
        assert not policy_engine.evaluate(pretender, changed(HOLDING, ledger__positions={})).allowed
