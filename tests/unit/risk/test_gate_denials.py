"""Every gate: what it denies and with which code, what it still allows, each bound on both sides."""

from decimal import Decimal

import pytest

import policy_engine
from desk.base.reasons import Reason as R
from desk.config.schema import Config
from desk.journal.state import Dust
from desk.risk.decision import Proposal
from desk.risk.facts import Cycle, Facts, OtherMid, Status
from desk.risk.latches import Latches
from desk.venues.protocol import Bar, Level, Side
from unit.risk.facts_kit import (
    ARMED,
    ENTRY,
    GOOD,
    HELD,
    LIVE,
    MINUTE_MS,
    NAME,
    NOW_MS,
    SEEN,
    VENUE,
    a_book,
    changed,
    d,
    flat_bars,
    killed,
    paused,
    polls,
    with_account,
    with_ai,
    with_churn,
    with_close,
    with_intent,
    with_rules,
    with_symbol,
    with_venue,
)

DAY_MS = 86_400_000


def plan(**values: object) -> Proposal:
    return changed(ENTRY, **{f"plan__{name}": value for name, value in values.items()})


def decision(**values: object) -> Proposal:
    return changed(ENTRY, **{f"decision__{name}": value for name, value in values.items()})


def other(mid: str, at_ms: int = NOW_MS) -> tuple[OtherMid, ...]:
    return (OtherMid(venue="mexc", mid=d(mid), at_ms=at_ms),)


def bars_with(index: int, **values: str) -> tuple[Bar, ...]:
    """Flat bars with one changed, counted from the end."""
    bars = list(flat_bars())
    bars[index] = changed(bars[index], **{name: d(text) for name, text in values.items()})
    return tuple(bars)


def armed(**values: bool) -> Facts:
    return changed(LIVE, arming=changed(ARMED, **values))


def noted(*pairs: tuple[str, str], held: bool = False) -> Facts:
    found = polls(*pairs)
    return with_symbol(polls=(*found[:-1], changed(found[-1], held=held)))


STATUS = Status(mode="NORMAL", reasons=(), written_ms=NOW_MS)
CLOCK = GOOD.venues[VENUE].clock
assert CLOCK is not None
SAME = ("49999", "50001")
# (gate, code, proposal, facts)
DENIALS: tuple[tuple[str, str, Proposal, Facts], ...] = (
    ("mode", R.MODE_NOT_SET, ENTRY, changed(GOOD, mode="")),
    ("mode", R.MODE_NOT_SET, ENTRY, changed(GOOD, mode="paper")),
    ("mode", R.MODE_STAMP, ENTRY, changed(GOOD, stamp="LIVE")),
    ("mode", R.MODE_STAMP, ENTRY, changed(GOOD, stamp="")),
    ("mode", R.MODE_STAMP, ENTRY, changed(GOOD, stamp=None)),
    ("freeze", R.FREEZE_ALL, ENTRY, changed(GOOD, latches=killed("freeze_all"))),
    ("freeze", R.FREEZE_ALL, ENTRY, changed(GOOD, latches=None)),
    ("kill_switch", R.KILL_SWITCH, ENTRY, changed(GOOD, latches=killed())),
    ("kill_switch", R.KILL_ENV, ENTRY, changed(GOOD, latches=Latches(GOOD.latches.kill, GOOD.latches.pause, True))),
    ("kill_switch", R.STATE_CORRUPT, ENTRY,
     changed(GOOD, latches=Latches(GOOD.latches.kill, GOOD.latches.pause, False, ("state:corrupt",)))),
    ("kill_switch", R.KILL_SWITCH, ENTRY, changed(GOOD, latches=None)),
    ("arming", R.ARM_NO_LIVE_FLAG, ENTRY, armed(live_flag=False)),
    ("arming", R.ARM_DRY_RUN, ENTRY, armed(dry_run=True)),
    ("arming", R.ARM_SAFE_MODE, ENTRY, armed(safe_mode=True)),
    ("arming", R.ARM_BASELINE, ENTRY, armed(baseline=True)),
    ("arming", R.AI_NOT_CONFIGURED, ENTRY, armed(ai_gate_missing=True)),
    ("arming", R.ARM_BASELINE, ENTRY, changed(GOOD, arming__baseline=True)),
    ("arming", R.ARM_LIVE_TRADING, ENTRY, armed(live_trading=False)),
    ("arming", R.ARM_ACK, ENTRY, armed(ack=False)),
    ("arming", R.ARM_LIVE_OK, ENTRY, armed(live_ok=False)),
    ("arming", R.ARM_CERTIFICATE, ENTRY, armed(certificate_valid=False)),
    ("arming", R.ARM_DRY_RUN, ENTRY, changed(GOOD, arming__dry_run=True)),
    ("arming", R.ARM_SAFE_MODE, ENTRY, changed(GOOD, arming__safe_mode=True)),
    ("audit_writable", R.AUDIT_UNWRITABLE, ENTRY, changed(GOOD, journal=None)),
    ("audit_writable", R.AUDIT_UNWRITABLE, ENTRY, changed(GOOD, journal__writable=False)),
    ("audit_writable", R.AUDIT_DAMAGED, ENTRY, changed(GOOD, journal__damaged=True)),
    ("audit_writable", R.AUDIT_RESERVE, ENTRY, changed(GOOD, journal__reserve=False)),
    ("system_mode", R.MODE_PAUSE, ENTRY, changed(GOOD, latches=paused())),
    ("system_mode", R.MODE_DEGRADE, ENTRY, changed(GOOD, latches=paused("DEGRADE"))),
    ("system_mode", R.MODE_PAUSE, ENTRY, changed(GOOD, latches=paused("gibberish"))),
    ("system_mode", R.MODE_PAUSE, ENTRY, changed(GOOD, latches=None)),
    ("system_mode", R.OVERLAY_CORRUPT, ENTRY, changed(GOOD, limits_problem="corrupt")),
    ("system_mode", R.OVERLAY_CORRUPT, ENTRY, changed(GOOD, limits=None)),
    ("system_mode", R.STATUS_MISSING, ENTRY, changed(GOOD, status=None)),
    ("system_mode", R.STATUS_MISSING, ENTRY, changed(GOOD, status=changed(STATUS, mode="FINE"))),
    ("system_mode", R.STATUS_STALE, ENTRY, changed(GOOD, status=changed(STATUS, written_ms=NOW_MS - 180_001))),
    ("system_mode", R.TIME_FUTURE, ENTRY, changed(GOOD, status=changed(STATUS, written_ms=NOW_MS + 21))),
    ("system_mode", R.MODE_DEGRADE, ENTRY, changed(GOOD, status=changed(STATUS, mode="DEGRADE"))),
    ("system_mode", R.MODE_PAUSE, ENTRY, changed(GOOD, status=changed(STATUS, mode="PAUSE"))),
    ("system_mode", R.MODE_EXIT, ENTRY, changed(GOOD, status=changed(STATUS, mode="EXIT"))),
    ("unknown_orders", R.UNKNOWN_ORDER, ENTRY, changed(GOOD, ledger=None)),
    ("unknown_orders", R.AUDIT_RESEALED, ENTRY, changed(GOOD, ledger__resealed=True)),
    ("unknown_orders", R.UNKNOWN_ORDER, ENTRY, with_intent(state="SENT_UNKNOWN", status="")),
    ("unknown_orders", R.UNKNOWN_ORDER, ENTRY, with_intent(state="CREATED", status="")),
    ("unknown_orders", R.UNKNOWN_ORDER, ENTRY, with_intent(kind="EXIT", status="FILLED", executed=d("1"))),
    ("unknown_orders", R.ANOMALY, ENTRY, with_intent(kind="EXIT", status="FILLED", anomaly="CONFIRMED+X")),
    ("clock", R.CLOCK_UNKNOWN, ENTRY, with_venue(clock=None)),
    ("clock", R.CLOCK_UNKNOWN, ENTRY, changed(GOOD, venues={})),
    ("clock", R.CLOCK_UNKNOWN, ENTRY, with_venue(clock=changed(CLOCK, measured_ms=NOW_MS - 300_001))),
    ("clock", R.TIME_FUTURE, ENTRY, with_venue(clock=changed(CLOCK, measured_ms=NOW_MS + 21))),
    ("clock", R.CLOCK_SKEW, ENTRY, with_venue(LIVE, clock=changed(CLOCK, offset_ms=2001))),
    ("clock", R.CLOCK_SKEW, ENTRY, with_venue(LIVE, clock=changed(CLOCK, offset_ms=-2001))),
    ("breaker", R.BREAKER_CORRUPT, ENTRY, with_venue(breakers=None)),
    ("breaker", R.BREAKER_CORRUPT, ENTRY, with_venue(breakers__problem="corrupt")),
    ("breaker", R.BREAKER_OPEN, ENTRY, with_venue(breakers__api="open")),
    ("breaker", R.BREAKER_OPEN, ENTRY, with_venue(breakers__orders="open")),
    ("breaker", R.BREAKER_PROBING, ENTRY, with_venue(breakers__orders="half_open")),
    ("breaker", R.BREAKER_OPEN, ENTRY, with_venue(breakers__api="gibberish")),
    ("data_fresh", R.DATA_MISSING, ENTRY, with_symbol(book=None)),
    ("data_fresh", R.DATA_MISSING, ENTRY, changed(GOOD, symbols={})),
    ("data_fresh", R.DATA_STALE, ENTRY, with_symbol(book_ms=NOW_MS - 3001)),
    ("data_fresh", R.TIME_FUTURE, ENTRY, with_symbol(book_ms=NOW_MS + 21)),
    ("price_sane", R.DATA_INVALID_BID, ENTRY, with_symbol(book=None)),
    ("price_sane", R.DATA_INVALID_BID, ENTRY, with_symbol(book=changed(a_book(), bids=()))),
    ("price_sane", R.DATA_INVALID_BID, ENTRY, with_symbol(book=changed(a_book(), asks=()))),
    ("price_sane", R.DATA_INVALID_BID, ENTRY, with_symbol(book=a_book(bid="0"))),
    ("price_sane", R.DATA_INVALID_BID, ENTRY, with_symbol(book=a_book(bid="-1"))),
    ("price_sane", R.DATA_INVALID_BID, ENTRY, with_symbol(book=a_book(bid="50002"))),
    ("price_sane", R.DATA_INVALID_BID, ENTRY, with_symbol(book=a_book(bid="50001"))),
    ("price_sane", R.DATA_MISSING, ENTRY, with_symbol(polls=())),
    ("price_sane", R.DATA_MISSING, ENTRY, with_symbol(polls=SEEN.polls[:-1])),
    ("price_sane", R.DATA_OUTLIER, ENTRY, noted(SAME, held=True)),
    ("price_sane", R.DATA_FROZEN, ENTRY, noted(*[SAME] * 5)),
    ("price_sane", R.DATA_DEVIATION, ENTRY, with_symbol(other_mids=other("52700"))),
    ("price_sane", R.DATA_DEVIATION, ENTRY, with_symbol(other_mids=other("47600"))),
    ("symbol_trading", R.SYMBOL_UNKNOWN, ENTRY, with_symbol(rules=None)),
    ("symbol_trading", R.SYMBOL_UNKNOWN, ENTRY, with_symbol(rules_ms=NOW_MS - DAY_MS - 1)),
    ("symbol_trading", R.SYMBOL_UNKNOWN, ENTRY, with_symbol(rules_ms=NOW_MS + 21)),
    ("symbol_trading", R.SYMBOL_HALTED, ENTRY, with_rules(status="BREAK")),
    ("symbol_trading", R.SYMBOL_HALTED, ENTRY, with_rules(entries_allowed=False)),
    ("symbol_trading", R.SYMBOL_QUARANTINED, ENTRY, changed(GOOD, ledger__quarantine={NAME: NOW_MS + 1})),
    ("spread", R.DATA_MISSING, ENTRY, with_symbol(book=None)),
    ("spread", R.SPREAD, ENTRY, with_symbol(book=a_book("49499", "50501"))),
    ("slippage", R.DATA_MISSING, ENTRY, with_symbol(book=None)),
    ("slippage", R.DEPTH, ENTRY, with_symbol(book=a_book(depth="0.001"))),
    ("slippage", R.DEPTH, plan(covered=False), GOOD),
    ("slippage", R.DEPTH, plan(price=d("50000")), GOOD),  # nothing at or below its own limit price
    ("slippage", R.SLIPPAGE, plan(slippage_frac=d("0.0301")), GOOD),
    ("slippage", R.SLIPPAGE, plan(type="MARKET"),
     with_symbol(book=changed(a_book(), asks=(Level(d("50001"), d("0.0001")), Level(d("60000"), d("1")))))),
    ("volatility", R.VOLATILITY_UNKNOWN, ENTRY, with_symbol(bars=())),
    ("volatility", R.VOLATILITY_UNKNOWN, ENTRY, with_symbol(bars=flat_bars(30)[:-1])),
    ("volatility", R.VOLATILITY_UNKNOWN, ENTRY, with_symbol(bars=flat_bars()[:20] + flat_bars()[21:])),
    ("volatility", R.VOLATILITY_UNKNOWN, ENTRY, with_symbol(bars=flat_bars()[:-2])),
    ("volatility", R.VOLATILITY, ENTRY, with_symbol(bars=bars_with(-20, high="62500"))),
    ("volatility", R.FLASH_CRASH, ENTRY, with_symbol(bars=bars_with(-5, low="45000"))),
    ("reconcile_fresh", R.RECONCILE_NEVER, ENTRY, changed(GOOD, reconciled=None)),
    ("reconcile_fresh", R.RECONCILE_NEVER, ENTRY, changed(GOOD, reconciled__last_success_ms=0)),
    ("reconcile_fresh", R.RECONCILE_STALE, ENTRY, changed(GOOD, reconciled__last_success_ms=NOW_MS - 900_001)),
    ("reconcile_fresh", R.TIME_FUTURE, ENTRY, changed(GOOD, reconciled__last_success_ms=NOW_MS + 21)),
    ("drift", R.RECONCILE_NEVER, ENTRY, changed(GOOD, reconciled=None)),
    ("drift", R.RECONCILE_NEVER, ENTRY, changed(GOOD, reconciled__score=-1)),
    ("drift", R.DRIFT_DEGRADE, ENTRY, changed(GOOD, reconciled__score=20)),
    ("drift", R.DRIFT_PAUSE, ENTRY, changed(GOOD, reconciled__score=50)),
    ("capital", R.CAPITAL_UNKNOWN, ENTRY, changed(GOOD, ledger__accounts={})),
    ("capital", R.CAPITAL_UNKNOWN, ENTRY, with_account(opened=False)),
    ("capital", R.CAPITAL_UNKNOWN, ENTRY, with_account(marked=False)),
    ("capital", R.CAPITAL_UNKNOWN, ENTRY, with_account(value=None, equity=None, missing=("binance:ETHUSDT",))),
    ("capital", R.CAPITAL_UNKNOWN, ENTRY, with_account(value=d("0"))),
    ("capital", R.CAPITAL_UNKNOWN, ENTRY, with_account(day_open=d("0"))),
    ("capital", R.DAILY_LOSS, ENTRY, with_account(equity=d("9490"))),
    ("capital", R.DAILY_LOSS, ENTRY,
     changed(with_account(equity=d("9980")), limits__capital__daily_loss_quote=d("20"))),
    ("capital", R.DRAWDOWN, ENTRY, with_account(equity=d("8500"), day_open=d("8500"))),
    ("capital", R.MAX_DD, ENTRY, with_account(equity=d("8000"), day_open=d("8000"))),
    ("exposure", R.CAPITAL_UNKNOWN, ENTRY, with_account(exposure=None)),
    ("exposure", R.CAPITAL_UNKNOWN, ENTRY, with_account(equity=None)),
    ("exposure", R.POSITION_CAP, ENTRY, with_account(equity=d("1000"))),
    ("exposure", R.POSITION_CAP, plan(notional=d("500.01")), LIVE),
    ("exposure", R.POSITION_CAP, plan(notional=d("-1")), GOOD),
    ("exposure", R.POSITION_CAP, ENTRY, changed(GOOD, ledger__positions={NAME: changed(HELD, cost_quote=d("900"))})),
    ("exposure", R.TOTAL_CAP, ENTRY, with_account(exposure=d("2900"))),
    ("position_count", R.POSITIONS_MAX, ENTRY, changed(GOOD, ledger=None)),
    ("position_count", R.POSITIONS_MAX, ENTRY,
     changed(GOOD, ledger__positions={f"binance:X{i}": HELD for i in range(15)})),
    ("position_count", R.POSITIONS_MAX, ENTRY,
     changed(LIVE, ledger__positions={f"binance:X{i}": HELD for i in range(3)})),
    ("one_per_symbol", R.SYMBOL_HELD, ENTRY, changed(GOOD, ledger=None)),
    ("one_per_symbol", R.SYMBOL_HELD, ENTRY, changed(GOOD, ledger__positions={NAME: HELD})),
    ("one_per_symbol", R.SYMBOL_HELD, ENTRY, with_intent()),
    ("cooldown", R.COOL_SYMBOL, ENTRY, changed(GOOD, ledger=None)),
    ("cooldown", R.COOL_SYMBOL, ENTRY, with_close(29)),
    ("cooldown", R.COOL_SYMBOL, ENTRY, with_close(-500)),  # a close from the future still cools
    ("cooldown", R.COOL_LOSS, ENTRY, with_close(59, "-1", name="binance:ETHUSDT")),
    ("cooldown", R.COOL_STOP, ENTRY, with_close(23 * 60 + 59, stop_out=True)),
    ("cycle_caps", R.CYCLE_NOTIONAL, ENTRY, changed(GOOD, ledger=None)),
    ("cycle_caps", R.CYCLE_ORDERS, ENTRY, changed(GOOD, cycle=Cycle(entries_placed=1))),
    ("cycle_caps", R.CYCLE_NOTIONAL, ENTRY, changed(GOOD, cycle=Cycle(notional_used={"binance:USDT": d("50")}))),
    ("open_orders", R.OPEN_TOTAL, ENTRY, changed(GOOD, ledger=None)),
    ("open_orders", R.OPEN_SYMBOL, ENTRY, with_intent()),
    ("open_orders", R.OPEN_TOTAL, ENTRY, changed(GOOD, ledger__intents={
        f"c{i}": changed(with_intent().ledger.intents["c1"], symbol=f"X{i}") for i in range(10)
    })),
    ("open_orders", R.OPEN_SYMBOL, ENTRY,
     with_intent(with_rules(algo_orders_max=2), kind="EXIT", leg="stop", stop_price=d("1"))),
    ("notional", R.SYMBOL_UNKNOWN, ENTRY, with_symbol(rules=None)),
    ("notional", R.NOTIONAL_MIN, plan(notional=d("9.99")), GOOD),
    ("notional", R.NOTIONAL_MIN, ENTRY, with_rules(notional_min=d("101"))),
    ("notional", R.NOTIONAL_MIN, plan(problem=str(R.NOTIONAL_MIN)), GOOD),
    ("notional", R.NOTIONAL_MAX, plan(notional=d("150.01")), GOOD),
    ("notional", R.NOTIONAL_MAX, ENTRY, with_rules(notional_max=d("99"))),
    ("notional", R.BALANCE, ENTRY, with_account(free_quote=d("100.05"))),
    ("notional", R.CAPITAL_UNKNOWN, ENTRY, changed(GOOD, ledger__accounts={})),
    ("filters", R.SYMBOL_UNKNOWN, ENTRY, with_symbol(rules=None)),
    ("filters", R.FILTERS, plan(quantity=d("0.002001")), GOOD),
    ("filters", R.FILTERS, plan(price=d("50001.001")), GOOD),
    ("filters", R.FILTERS, plan(price=d("250001")), GOOD),
    ("filters", R.FILTERS, plan(quantity=d("0")), GOOD),
    ("filters", R.FILTERS, plan(stop_price=d("0")), GOOD),
    ("filters", R.FILTERS, plan(stop_price=d("50000")), GOOD),
    ("filters", R.FILTERS, plan(target_price=d("50000")), GOOD),
    ("filters", R.FILTERS, ENTRY, with_rules(notional_min=d("90"))),  # its stop leg would be below 1.1 x 90
    ("filters", R.FILTERS, plan(problem="order:filters", problem_detail="LOT_SIZE"), GOOD),
    ("filters", R.FILTERS, plan(problem="nobody:knows"), GOOD),
    ("filters", R.FILTERS, decision(side=Side.SELL), GOOD),
    ("rate_budget", R.RATE_BUDGET, ENTRY, with_venue(rate=None)),
    ("rate_budget", R.RATE_BUDGET, ENTRY, with_venue(rate__used_frac=d("0.70"))),
    ("rate_budget", R.RATE_ORDERS, ENTRY, with_venue(rate__orders_frac=d("0.95"))),
    ("rate_budget", R.RATE_BACK_OFF, ENTRY, with_venue(rate__back_off_until_ms=NOW_MS + 1)),
    ("rate_budget", R.RATE_BANNED, ENTRY, with_venue(rate__ban_until_ms=NOW_MS + 1)),
    ("churn", R.CHURN, ENTRY, changed(GOOD, ledger=None)),
    ("churn", R.CHURN, ENTRY, with_churn(*[(9, "new")] * 5)),
    ("churn", R.CHURN, ENTRY, with_churn(*[(9, "cancel")] * 5)),
    ("churn", R.CHURN_REPLACE, ENTRY, with_churn(*[(9, "replace")] * 3)),
    ("churn", R.CHURN, ENTRY, with_churn(*[(4 * i, "new") for i in range(12)])),
    ("churn", R.CHURN, ENTRY, with_churn(*[(50, "new")] * 5)),  # reached 50 s ago: cools 60 s
    ("edge_cost", R.EDGE_LOW, decision(edge_bps=d("35.39")), GOOD),
    ("edge_cost", R.COST_HIGH, decision(edge_bps=d("20.39")), GOOD),
    ("edge_cost", R.COST_HIGH, plan(cost_bps=d("-1")), GOOD),
    ("edge_cost", R.EDGE_LOW, ENTRY, changed(GOOD, limits=None)),
    ("ai_gate", R.AI_NOT_CONFIGURED, ENTRY, with_ai(GOOD, 2)),
    ("ai_gate", R.AI_NOT_CONFIGURED, ENTRY, changed(GOOD, limits=None)),
)  # fmt: skip
# the same bounds from the other side: the gate still allows
ALLOWED: tuple[tuple[str, Proposal, Facts], ...] = (
    ("arming", ENTRY, armed(certificate_required=False, certificate_valid=False)),
    ("system_mode", ENTRY, changed(GOOD, status=changed(STATUS, written_ms=NOW_MS - 180_000))),
    ("system_mode", ENTRY, changed(GOOD, status=changed(STATUS, written_ms=NOW_MS + 20))),
    ("unknown_orders", ENTRY, with_intent(state="SENT_UNKNOWN", status="", symbol="ETHUSDT")),
    ("unknown_orders", ENTRY, with_intent(state="NOT_FOUND", status="")),
    ("clock", ENTRY, with_venue(clock=changed(CLOCK, measured_ms=NOW_MS - 300_000))),
    ("clock", ENTRY, with_venue(LIVE, clock=changed(CLOCK, offset_ms=2000))),
    ("clock", ENTRY, with_venue(clock=changed(CLOCK, offset_ms=2001))),  # PAPER: a warning
    ("data_fresh", ENTRY, with_symbol(book_ms=NOW_MS - 3000)),
    ("data_fresh", ENTRY, with_symbol(book_ms=NOW_MS + 20)),
    ("price_sane", ENTRY, noted(*[SAME] * 4)),
    ("price_sane", ENTRY, with_symbol(other_mids=other("52600"))),
    ("price_sane", ENTRY, with_symbol(other_mids=other("60000", NOW_MS - 3001))),  # old: no evidence
    ("symbol_trading", ENTRY, with_symbol(rules_ms=NOW_MS - DAY_MS)),
    ("symbol_trading", ENTRY, changed(GOOD, ledger__quarantine={NAME: NOW_MS})),
    ("spread", ENTRY, with_symbol(book=a_book("49500", "50500"))),
    ("slippage", plan(slippage_frac=d("0.03")), GOOD),
    ("volatility", ENTRY, with_symbol(bars=flat_bars(31)[:-1])),
    ("volatility", ENTRY, with_symbol(bars=bars_with(-20, high="61000"))),
    ("volatility", ENTRY, with_symbol(bars=bars_with(-5, low="45100"))),
    ("volatility", ENTRY, with_symbol(bars=bars_with(0, high="90000"))),  # older than the window
    ("reconcile_fresh", ENTRY, changed(GOOD, reconciled__last_success_ms=NOW_MS - 900_000)),
    ("drift", ENTRY, changed(GOOD, reconciled__score=19)),
    ("capital", ENTRY, with_account(equity=d("9501"))),
    ("capital", ENTRY, with_account(equity=d("8501"), day_open=d("8501"))),
    ("capital", ENTRY, with_account(equity=d("9994"))),  # -0.06 %, far from 5 %
    ("exposure", plan(notional=d("500")), LIVE),
    ("exposure", plan(notional=d("1000")), GOOD),
    ("position_count", ENTRY, changed(GOOD, ledger__positions={f"binance:X{i}": HELD for i in range(14)})),
    ("cooldown", ENTRY, with_close(30)),
    ("cooldown", ENTRY, with_close(60, "-1")),
    ("cooldown", ENTRY, with_close(24 * 60, stop_out=True)),
    ("cooldown", ENTRY, with_close(1, name="binance:ETHUSDT")),
    ("cycle_caps", ENTRY, changed(GOOD, cycle=Cycle(notional_used={"binance:USDT": d("49.9")}))),
    ("open_orders", ENTRY, with_intent(status="CANCELED")),
    ("notional", plan(notional=d("10")), GOOD),
    ("notional", plan(notional=d("150")), GOOD),
    ("filters", plan(target_price=d("0")), GOOD),
    ("rate_budget", ENTRY, with_venue(rate__used_frac=d("0.69"))),
    ("rate_budget", ENTRY, with_venue(rate__ban_until_ms=NOW_MS)),
    ("churn", ENTRY, with_churn(*[(9, "new")] * 4, *[(9, "cancel")] * 4, *[(9, "replace")] * 2)),
    ("churn", ENTRY, with_churn(*[(60, "new")] * 5)),
    ("edge_cost", decision(edge_bps=d("35.4")), GOOD),
    ("ai_gate", ENTRY, with_ai(GOOD, 1)),
)  # fmt: skip
BY_NAME = {row.name: row for row in policy_engine.GATES}


def label(value: object) -> str | None:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("gate", "code", "proposal", "facts"), DENIALS, ids=label)
def test_it_denies_with_its_code(gate: str, code: str, proposal: Proposal, facts: Facts) -> None:
    found = BY_NAME[gate].gate(proposal, facts)
    assert (found.gate, found.allowed, found.code) == (gate, False, str(code)), found
    assert not policy_engine.evaluate(proposal, facts).allowed


@pytest.mark.parametrize(("gate", "proposal", "facts"), ALLOWED, ids=label)
def test_it_allows_up_to_its_bound(gate: str, proposal: Proposal, facts: Facts) -> None:
    found = BY_NAME[gate].gate(proposal, facts)
    assert found.allowed, found


def test_every_gate_is_denied_by_some_case_and_names_all_its_codes() -> None:
    seen: dict[str, set[str]] = {}
    for gate, code, _, _ in DENIALS:
        seen.setdefault(gate, set()).add(str(code))
    assert seen.keys() == BY_NAME.keys()
    warned = {"price_sane": {R.EXIT_BLIND}, "drift": {R.DRIFT_WARN}}  # beside a yes
    of_exits = {"filters": {R.BALANCE, R.DUST, R.NOTIONAL_MIN, R.NOTIONAL_MAX, R.DATA_MISSING, R.OVERLAY_CORRUPT}}
    for name, row in BY_NAME.items():
        rest = {str(c) for c in (*warned.get(name, ()), *of_exits.get(name, ()))}
        assert {str(code) for code in row.codes} == seen[name] | rest, name


def test_arming_lists_every_unmet_factor_in_order() -> None:
    found = BY_NAME["arming"].gate(ENTRY, changed(LIVE, arming=changed(ARMED, ack=False, live_ok=False)))
    assert found.code == R.ARM_ACK
    assert found.data["unmet"] == f"{R.ARM_ACK},{R.ARM_LIVE_OK}"


def test_nothing_arms_by_default() -> None:
    bare = changed(LIVE, arming=type(ARMED)())
    unmet = BY_NAME["arming"].gate(ENTRY, bare).data["unmet"].split(",")
    assert unmet == [
        R.ARM_NO_LIVE_FLAG, R.ARM_DRY_RUN, R.ARM_SAFE_MODE, R.ARM_LIVE_TRADING, R.ARM_ACK, R.ARM_LIVE_OK,
        R.ARM_CERTIFICATE,
    ]  # fmt: skip


def test_a_warning_stands_beside_a_yes() -> None:
    apart = BY_NAME["price_sane"].gate(ENTRY, with_symbol(other_mids=other("51300")))
    assert (apart.allowed, apart.code) == (True, R.DATA_DEVIATION)
    drifting = BY_NAME["drift"].gate(ENTRY, changed(GOOD, reconciled__score=10))
    assert (drifting.allowed, drifting.code) == (True, R.DRIFT_WARN)
    skewed = BY_NAME["clock"].gate(ENTRY, with_venue(clock=changed(CLOCK, offset_ms=5000)))
    assert (skewed.allowed, skewed.code) == (True, R.CLOCK_SKEW)


def test_dust_does_not_hold_the_symbols_slot() -> None:
    rest = Dust(base="BTC", quote="USDT", quantity=d("0.000001"), cost_quote=d("0.05"), since_ms=NOW_MS)
    dusty = changed(GOOD, ledger__dust={NAME: rest})
    assert policy_engine.evaluate(ENTRY, dusty).allowed


def test_a_numbers_text_is_journal_safe() -> None:
    """Verdict data is text, and says nothing measured: two runs with other offsets and ages give the same verdicts."""
    slower = with_symbol(
        with_venue(
            clock=changed(CLOCK, offset_ms=40, error_ms=90), rate__used_frac=Decimal("0.5"),
        ), book_ms=NOW_MS - 40, polls=(changed(SEEN.polls[0]), changed(SEEN.polls[1], at_ms=NOW_MS - 40)),
    )  # fmt: skip
    first, second = policy_engine.ask_all(ENTRY, GOOD), policy_engine.ask_all(ENTRY, slower)
    assert first == second
    assert all(isinstance(text, str) for v in first.verdicts for text in v.data.values())


def test_the_default_limits_are_the_rules() -> None:
    assert Config().entries.edge_min_bps == 15
    assert MINUTE_MS == 60_000
