"""Folding: events into state, one pure total function per event. Owns the APPLY table; opens nothing.

Total means: no event of a valid chain can make it raise, whoever wrote it. A line whose data cannot be used changes
nothing but the place in the chain (evidence of that kind quarantines its intent); an event of another version is passed
over; what the table of intents does not know leaves the intent quarantined.
"""

from collections.abc import Callable
from typing import Final

from desk.base import clock
from desk.journal import fold_money, fold_orders, fold_risk, intent_table, shapes
from desk.journal.chain import Line
from desk.journal.events import Event
from desk.journal.state import Fold

Apply = Callable[[Fold, Line, int], None]  # (state, event, its time in ms)

APPLY: Final[dict[str, Apply]] = {
    Event.GENESIS: fold_risk.genesis,
    Event.INTENT_CREATED: fold_orders.created,
    Event.INTENT_SENT_UNKNOWN: fold_orders.sent,
    Event.INTENT_CONFIRMED: fold_orders.confirmed,
    Event.INTENT_NOT_FOUND: fold_orders.ended,
    Event.INTENT_FAILED_TERMINAL: fold_orders.ended,
    Event.INTENT_NOT_SENT: fold_orders.ended,
    Event.INTENT_DENIED: fold_orders.ended,
    Event.INTENT_UNANSWERED: fold_orders.unanswered,
    Event.INTENT_LOOKED: fold_orders.looked,
    Event.INTENT_ANOMALY: fold_orders.anomaly,
    Event.INTENT_ANOMALY_CLEARED: fold_orders.anomaly_cleared,
    Event.CANCEL_REQUESTED: fold_orders.cancel_requested,
    Event.FILL: fold_orders.fill,
    Event.EXIT_PLANNED: fold_orders.exit_planned,
    Event.PROTECTION_SWAP: fold_orders.swap_started,
    Event.PROTECTION_SWAPPED: fold_orders.swap_ended,
    Event.UNPROTECTED: fold_orders.unprotected,
    Event.POSITION_DUST: fold_orders.dust,
    Event.SYMBOL_QUARANTINED: fold_orders.symbol_quarantined,
    Event.INITIAL_CAPITAL: fold_risk.initial_capital,
    Event.BALANCE_ADJUSTED: fold_money.balance_adjusted,
    Event.FOREIGN_SEEN: fold_money.foreign_seen,
    Event.FOREIGN_SETTLED: fold_money.foreign_settled,
    Event.FOREIGN_TRADE: fold_money.foreign_trade,
    Event.POSITION_ADOPTED: fold_money.position_adopted,
    Event.POSITION_DISOWNED: fold_money.position_disowned,
    Event.CAPITAL_MARKED: fold_risk.capital_marked,
    Event.DAY_CLOSED: fold_risk.day_closed,
    Event.PEAK_REBASED: fold_risk.peak_rebased,
    Event.KILL_SWITCH_ACTIVATED: fold_risk.kill_activated,
    Event.KILL_SWITCH_DEACTIVATED: fold_risk.kill_deactivated,
    Event.PAUSE_RAISED: fold_risk.pause_raised,
    Event.PAUSE_RELEASED: fold_risk.pause_released,
    Event.LIVE_ARMED: fold_risk.live_armed,
    Event.BASELINE_HELD: fold_risk.baseline_held,
    Event.BASELINE_CLEARED: fold_risk.baseline_cleared,
    Event.SYSTEM_MODE_CHANGED: fold_risk.system_mode_changed,
    Event.HEALTH_CHANGED: fold_risk.health_changed,
    Event.BREAKER_CHANGED: fold_risk.breaker_changed,
    Event.ALERT_RAISED: fold_risk.alert_raised,
    Event.ALERT_CLEARED: fold_risk.alert_cleared,
    Event.DECISION_PROPOSED: fold_risk.decision_proposed,
    Event.TRADE_REJECTED: fold_risk.trade_rejected,
    Event.SIGNAL_DONE: fold_risk.signal_done,
    Event.SIGNAL_REJECTED: fold_risk.signal_done,
    Event.RUN_ENDED: fold_risk.run_ended,
    Event.JOURNAL_RESEALED: fold_risk.resealed,
    Event.RECONCILE_DONE: fold_risk.reconcile_done,
    Event.RECOVERY_OUTCOME: fold_risk.recovery_outcome,
}


def apply(state: Fold, line: Line, start: int, end: int) -> None:
    """Fold one event in place; `start` and `end` are the line's byte offsets in its segment."""
    at_ms = clock.parse_iso(line.ts)
    portfolio = state.portfolio
    event = Event._value2member_map_.get(line.event)
    if line.run_id and line.script:
        fold_risk.note_run(portfolio, line, at_ms)
    if isinstance(event, Event) and event in APPLY:
        if not shapes.problem(event, line.data):
            APPLY[event](state, line, at_ms)
        elif event in intent_table.EVIDENCE:
            fold_orders.unusable(state, line)
    for part in (state.intents, state.positions, portfolio):
        part.applied_seq, part.applied_hash = line.seq, line.hash
    portfolio.applied_line, portfolio.applied_offset, portfolio.last_ms = start, end, at_ms
    if start == 0:
        portfolio.applied_segment = line.seq
