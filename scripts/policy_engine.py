"""The policy engine: every gate in its order, and `evaluate()` for the router. Owns the order; the gates know how.

`tick` steps the breakers' clock and previews all gates (state/policy.json); `check PACKET.json` prints every gate's
verdict on a decision; `explain [GATE]` says what the gates ask. Exit 0 allow, 1 deny or warn, 2 bad input or failed.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import sys
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from clients import clients_of
from desk.base import clock, exit_codes
from desk.base.errors import InvariantError, JournalError, WorldError
from desk.base.reasons import Reason, shown
from desk.config.schema import Config
from desk.execution import sizing
from desk.journal.state import Fold
from desk.risk import breaker, facts_gather, packet
from desk.risk.decision import Decision, Kind, Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.gates import books, edge, locks, money, pace, prices, symbol, venue
from desk.risk.verdicts import Evaluation, Gate
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door
from desk.state import store

DOOR: Final = "policy_engine"


class Row(NamedTuple):
    """One gate (rules.md, Gates, in order).

    Attributes:
        codes: every reason it may deny with, or warn with beside a yes.
        keys: the numbers it goes by, as keys of config/sanad.toml.
        asks_exits: exits are asked too; what shapes an exit stands in the gate's own words.
    """

    name: str
    gate: Gate
    codes: tuple[Reason, ...]
    keys: tuple[str, ...] = ()
    asks_exits: bool = False


R = Reason
# To add a gate: its function in desk/risk/gates/, one row here.
GATES: Final[tuple[Row, ...]] = (
    Row("mode", locks.mode, (R.MODE_NOT_SET, R.MODE_STAMP), asks_exits=True),
    Row("freeze", locks.freeze, (R.FREEZE_ALL,), asks_exits=True),
    Row("kill_switch", locks.kill_switch, (R.KILL_SWITCH, R.KILL_ENV, R.STATE_CORRUPT)),
    Row("arming", locks.arming, (
        R.ARM_NO_LIVE_FLAG, R.ARM_DRY_RUN, R.ARM_SAFE_MODE, R.ARM_BASELINE, R.ARM_LIVE_TRADING, R.ARM_ACK,
        R.ARM_LIVE_OK, R.ARM_CERTIFICATE, R.AI_NOT_CONFIGURED,
    ), ("arming.certificate_required",), asks_exits=True),
    Row("audit_writable", locks.audit_writable, (R.AUDIT_UNWRITABLE, R.AUDIT_DAMAGED, R.AUDIT_RESERVE),
        ("journal.reserve_bytes",), asks_exits=True),
    Row("system_mode", locks.system_mode, (
        R.MODE_DEGRADE, R.MODE_PAUSE, R.MODE_EXIT, R.STATUS_STALE, R.STATUS_MISSING, R.OVERLAY_CORRUPT, R.TIME_FUTURE,
    ), ("health.system_status_max_intervals",)),
    Row("unknown_orders", books.unknown_orders, (R.UNKNOWN_ORDER, R.ANOMALY, R.AUDIT_RESEALED)),
    Row("clock", venue.clock, (R.CLOCK_UNKNOWN, R.CLOCK_SKEW, R.TIME_FUTURE), ("clock.skew_max_ms", "clock.resync_s")),
    Row("breaker", venue.breaker, (R.BREAKER_OPEN, R.BREAKER_PROBING, R.BREAKER_CORRUPT)),
    Row("data_fresh", prices.data_fresh, (R.DATA_MISSING, R.DATA_STALE, R.TIME_FUTURE),
        ("market_data.price_age_max_ms",)),
    Row("price_sane", prices.price_sane, (
        R.DATA_INVALID_BID, R.DATA_MISSING, R.DATA_OUTLIER, R.DATA_FROZEN, R.DATA_DEVIATION, R.EXIT_BLIND,
    ), ("market_data.outlier_frac", "market_data.equal_polls_stale", "market_data.cross_venue_warn_frac",
        "market_data.cross_venue_block_frac"), asks_exits=True),
    Row("symbol_trading", symbol.symbol_trading, (R.SYMBOL_UNKNOWN, R.SYMBOL_HALTED, R.SYMBOL_QUARANTINED),
        ("quarantine.duration_s",), asks_exits=True),
    Row("spread", prices.spread, (R.SPREAD, R.DATA_MISSING), ("entries.spread_max_frac",)),
    Row("slippage", prices.slippage, (R.SLIPPAGE, R.DEPTH, R.DATA_MISSING), ("entries.slippage_max_frac",)),
    Row("volatility", prices.volatility, (R.VOLATILITY, R.VOLATILITY_UNKNOWN, R.FLASH_CRASH), (
        "entries.volatility_halt_frac", "entries.volatility_window_min", "entries.flash_crash_frac",
        "entries.flash_crash_window_min",
    )),
    Row("reconcile_fresh", books.reconcile_fresh, (R.RECONCILE_NEVER, R.RECONCILE_STALE, R.TIME_FUTURE),
        ("reconcile.age_max_s",)),
    Row("drift", books.drift, (R.RECONCILE_NEVER, R.DRIFT_WARN, R.DRIFT_DEGRADE, R.DRIFT_PAUSE),
        ("reconcile.drift_warn", "reconcile.drift_degrade", "reconcile.drift_pause")),
    Row("capital", money.capital, (R.CAPITAL_UNKNOWN, R.DAILY_LOSS, R.DRAWDOWN, R.MAX_DD), (
        "capital.daily_loss_frac", "capital.daily_loss_quote", "capital.drawdown_no_entries_frac",
        "capital.drawdown_kill_frac",
    )),
    Row("exposure", money.exposure, (R.CAPITAL_UNKNOWN, R.POSITION_CAP, R.TOTAL_CAP),
        ("exposure.position_live_frac", "exposure.position_paper_frac", "exposure.total_frac")),
    Row("position_count", money.position_count, (R.POSITIONS_MAX,),
        ("exposure.positions_live_max", "exposure.positions_paper_max")),
    Row("one_per_symbol", pace.one_per_symbol, (R.SYMBOL_HELD,)),
    Row("cooldown", pace.cooldown, (R.COOL_SYMBOL, R.COOL_LOSS, R.COOL_STOP),
        ("cooldown.after_close_min", "cooldown.after_losing_close_min", "cooldown.after_stop_out_h")),
    Row("cycle_caps", money.cycle_caps, (R.CYCLE_ORDERS, R.CYCLE_NOTIONAL),
        ("entries.max_orders_per_cycle", "entries.notional_cap_per_cycle_quote")),
    Row("open_orders", pace.open_orders, (R.OPEN_SYMBOL, R.OPEN_TOTAL),
        ("entries.max_open_orders_per_symbol", "entries.max_open_entries")),
    Row("notional", symbol.notional, (R.NOTIONAL_MIN, R.NOTIONAL_MAX, R.BALANCE, R.SYMBOL_UNKNOWN, R.CAPITAL_UNKNOWN),
        ("entries.min_order_notional_quote", "entries.max_notional_per_order_quote")),
    Row("filters", symbol.filters, (
        R.FILTERS, R.BALANCE, R.DUST, R.NOTIONAL_MIN, R.NOTIONAL_MAX, R.SYMBOL_UNKNOWN, R.DATA_MISSING,
        R.OVERLAY_CORRUPT,
    ), ("exits.protective_notional_margin",), asks_exits=True),
    Row("rate_budget", venue.rate_budget, (R.RATE_BUDGET, R.RATE_BACK_OFF, R.RATE_BANNED, R.RATE_ORDERS),
        ("rate_budget.entries_stop_frac", "churn.order_count_block_frac"), asks_exits=True),
    Row("churn", pace.churn, (R.CHURN, R.CHURN_REPLACE), (
        "churn.window_s", "churn.cancel_replace_max", "churn.cancels_max", "churn.new_orders_max",
        "churn.long_window_s", "churn.long_window_max", "churn.cool_s",
    )),
    Row("edge_cost", edge.edge_cost, (R.EDGE_LOW, R.COST_HIGH), ("entries.edge_min_bps",)),
    Row("ai_gate", edge.ai_gate, (R.AI_NOT_CONFIGURED,), ("system.ai_dec",)),
)  # fmt: skip


def evaluate(proposal: Proposal, facts: Facts) -> Evaluation:
    """Walk the gates in order; the first denial decides and is the last verdict. Never raises."""
    verdicts: list[Verdict] = []
    for row in GATES:
        verdicts.append(_ask(row, proposal, facts))
        if not verdicts[-1].allowed:
            break
    return _conclude(verdicts)


def ask_all(proposal: Proposal, facts: Facts) -> Evaluation:
    """As `evaluate`, but every gate is asked, for an operator who wants to see them all."""
    return _conclude([_ask(row, proposal, facts) for row in GATES])


def _ask(row: Row, proposal: Proposal, facts: Facts) -> Verdict:
    """One gate's verdict; a gate that raises denies with gate:error (P3), and so does one that answers for another."""
    if proposal.decision.kind is not Kind.ENTRY and not row.asks_exits:
        return Verdict(gate=row.name, allowed=True, detail="exits are not asked")
    try:
        found = row.gate(proposal, facts)
        if found.gate != row.name:
            raise InvariantError(f"gate {row.name} answered as {found.gate}")
        return found
    except Exception as error:  # noqa: BLE001 - rules.md: a gate that raises denies; one per isolated item loop
        detail = f"{type(error).__name__}: {error}"
        return Verdict(gate=row.name, allowed=False, code=str(Reason.GATE_ERROR), detail=detail)


def _conclude(verdicts: list[Verdict]) -> Evaluation:
    first = next((verdict for verdict in verdicts if not verdict.allowed), None)
    if first is None:
        return Evaluation(allowed=True, verdicts=tuple(verdicts))
    return Evaluation(allowed=False, gate=first.gate, code=first.code, detail=first.detail, verdicts=tuple(verdicts))


def tick(run: Run, live: bool) -> Outcome:
    """The breakers' time step, then all gates on a hypothetical entry per symbol, into state/policy.json."""
    run.counts["command"] = "tick"
    problems = _step_breakers(run)
    facts = _facts(run, live)
    if facts.journal is not None and facts.journal.problem:
        problems.append(f"journal: {facts.journal.problem}")
    names = [(v, s) for v in run.settings.venues for s in run.settings.symbols]
    rows = {f"{v}:{s}": _judge(packet.hypothetical(v, s, run.tick_ms), facts) for v, s in names}
    doc = {
        "written_at": clock.iso(run.tick_ms), "written_ms": run.tick_ms,
        "symbols": {name: packet.as_document(found) for name, found in rows.items()},
    }  # fmt: skip
    store.write(run.home, "policy", doc, DOOR)
    for name, found in rows.items():
        run.say(f"{name}: {_word(found)}")
    blocked = [name for name, found in rows.items() if not found.allowed]
    run.counts |= {"symbols": len(rows), "blocked": len(blocked), "problems": problems}
    verdict = f"POLICY END — {len(rows) - len(blocked)} of {len(rows)} symbols open for entries"
    code = exit_codes.WARN if problems else exit_codes.OK
    return Outcome(code, "; ".join([verdict, *problems]), doc)


def check(run: Run, path: Path, live: bool) -> Outcome:
    """Every gate's verdict on one packet: exit 0 allow, 1 deny."""
    run.counts["command"] = "check"
    decision = packet.read(path, run.tick_ms)
    found = _judge(decision, _facts(run, live))
    for verdict in found.verdicts:
        run.say(_line(verdict))
    return Outcome(exit_codes.OK if found.allowed else exit_codes.WARN, _word(found), packet.as_document(found))


def explain(run: Run, name: str) -> Outcome:
    """What the gates ask, their numbers as they are in force, and their codes."""
    run.counts["command"] = "explain"
    limits, problem = facts_gather.limits_of(run)
    rows = [row for row in GATES if name in ("", row.name)]
    gates = {row.name: _explained(row, limits) for row in rows}
    for gate, about in gates.items():
        numbers = "; ".join(f"{key} = {value}" for key, value in about["numbers"].items())
        run.say(f"{gate} (asked of {about['asked']}): {about['what']}")
        run.say("  " + "; ".join(part for part in (numbers, "codes " + " ".join(about["codes"])) if part))
    return Outcome(exit_codes.WARN if problem else exit_codes.OK, problem or f"{len(rows)} gates", {"gates": gates})


def _explained(row: Row, limits: Config) -> dict[str, Any]:
    numbers = {key: str(attrgetter(key)(limits)) for key in row.keys}
    asked = "entries and exits" if row.asks_exits else "entries"
    what = " ".join((row.gate.__doc__ or "").split())
    return {"asked": asked, "what": what, "numbers": numbers, "codes": [str(code) for code in row.codes]}


def main(argv: list[str] | None = None) -> int:
    """Parse and run; returns the exit code."""
    options = _parser().parse_args(argv)
    bodies: dict[str, Callable[[Run], Outcome]] = {
        "tick": lambda run: tick(run, options.live),
        "check": lambda run: check(run, options.packet, options.live),
        "explain": lambda run: explain(run, options.gate),
    }
    return run_door(DOOR, bodies[options.command], as_json=options.json, any_mode=True)


def _judge(decision: Decision, facts: Facts) -> Evaluation:
    return ask_all(Proposal(decision=decision, plan=sizing.plan(decision, facts)), facts)


def _facts(run: Run, live: bool) -> Facts:
    """The facts of now, as a router with or without --live has them; a journal that cannot be read denies by itself."""
    fold: Fold | None = None
    problem = ""
    try:
        fold = run.journal.read_fold()
    except JournalError as error:
        problem = error.line()
    return facts_gather.gather(run, clients_of(run), fold, live=live, journal_problem=problem)


def _step_breakers(run: Run) -> list[str]:
    """What the clock does to the breakers; what cannot be read or written is named, and the preview goes on."""
    hook = breaker.journal_hook(run.settings, DOOR, run.log.line)
    hand = breaker.Breakers(run.home, run.settings.config.breakers, DOOR, run.log.line, hook)
    try:
        hand.time_step()
    except WorldError as error:
        return [error.line()]
    return []


def _line(verdict: Verdict) -> str:
    numbers = " ".join(f"{name}={value}" for name, value in verdict.data.items())
    head = f"{verdict.gate}: {'ALLOW' if verdict.allowed else 'DENY'}"
    return " ".join(part for part in (head, verdict.code, verdict.detail, f"[{numbers}]" if numbers else "") if part)


def _word(found: Evaluation) -> str:
    return "ALLOW" if found.allowed else f"DENY {found.gate} {shown(found.code)}: {found.detail}"


def _parser() -> operator_args.OneLineParser:
    parser = operator_args.OneLineParser(prog="policy_engine.py", description="Every gate, in order.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("tick", help="breaker time step; preview of all gates into state/policy.json")
    two = commands.add_parser("check", help="every gate's verdict on a packet: exit 0 allow, 1 deny, 2 bad input")
    two.add_argument("packet", type=Path, metavar="PACKET.json", help='{"decision": {...}}, fields as in signals/')
    three = commands.add_parser("explain", help="what the gates ask")
    three.add_argument("gate", nargs="?", default="", choices=["", *(row.name for row in GATES)], metavar="GATE")
    for command in (one, two):
        command.add_argument("--live", action="store_true", help="judge as a router with --live would; sends nothing")
    for command in (one, two, three):
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
