"""Every event the journal may hold, and the keys its data must have. Owns the table; `docs/events.md` comes from it.

To add an event: one member here, one row in `fold.APPLY` if it changes the folded state.
"""

from enum import StrEnum
from typing import Self


class Event(StrEnum):
    """An event name with what it means, the data keys it needs, and runbook aliases."""

    meaning: str
    needs: frozenset[str]
    aliases: tuple[str, ...]

    def __new__(cls, name: str, meaning: str, needs: str = "", aliases: str = "") -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning, member.needs, member.aliases = meaning, frozenset(needs.split()), tuple(aliases.split())
        return member

    # -- the chain itself
    GENESIS = ("GENESIS", "the folder is stamped with its mode", "mode instance kill_switch")
    JOURNAL_CHECKPOINT = ("JOURNAL_CHECKPOINT", "folded state and its hash; last line of a segment", "fold fold_hash")
    JOURNAL_OPENED = ("JOURNAL_OPENED", "first line of a new segment", "previous seq hash")
    JOURNAL_TAIL_CUT = ("JOURNAL_TAIL_CUT", "a torn last group was removed whole", "bytes sha256 after_seq")
    JOURNAL_RESEALED = ("JOURNAL_RESEALED", "a damaged segment was moved away", "old_file seq hash lost_from reason")
    JOURNAL_SHRUNK = ("JOURNAL_SHRUNK", "the journal was shorter than its hint", "hint_seq seq")
    MODE_SWITCH = ("MODE_SWITCH", "this chain ends; the folder changes mode", "from to archive reason")
    NOTE = ("NOTE", "a remark of the operator", "text")
    # -- ticks
    STAGE_CHANGED = ("STAGE_CHANGED", "a tick entered a stage", "stage")
    RUN_ENDED = ("RUN_ENDED", "a door finished its run", "verdict")
    # -- decisions
    DECISION_PROPOSED = ("DECISION_PROPOSED", "a strategy or signal proposes", "kind side strategy")
    TRADE_APPROVED = ("TRADE_APPROVED", "every gate allowed the decision", "kind gates")
    TRADE_REJECTED = ("TRADE_REJECTED", "a gate denied the decision", "kind gate code")
    SIGNAL_DONE = ("SIGNAL_DONE", "a signal was acted on", "signal_id")
    SIGNAL_REJECTED = ("SIGNAL_REJECTED", "a signal file was refused for good", "name code")
    # -- the life of an order
    INTENT_CREATED = (
        "INTENT_CREATED", "an order is written down before it leaves",
        "client_order_id position_id leg attempt side type quantity price kind base quote",
        "INTENT_STATE_CHANGED",
    )  # fmt: skip
    INTENT_SENT_UNKNOWN = (
        "INTENT_SENT_UNKNOWN",
        "it is about to leave; outcome unknown",
        "client_order_id timestamp_ms",
        "INTENT_STATE_CHANGED ORDER_SUBMIT",
    )
    INTENT_CONFIRMED = (
        "INTENT_CONFIRMED",
        "the exchange knows it, with this status",
        "client_order_id status executed",
        "INTENT_STATE_CHANGED",
    )
    INTENT_NOT_FOUND = (
        "INTENT_NOT_FOUND",
        "the exchange never got it (evidence by the venue's row)",
        "client_order_id looks",
        "INTENT_STATE_CHANGED",
    )
    INTENT_FAILED_TERMINAL = (
        "INTENT_FAILED_TERMINAL",
        "the exchange's definite no",
        "client_order_id code",
        "INTENT_STATE_CHANGED",
    )
    INTENT_NOT_SENT = (
        "INTENT_NOT_SENT",
        "proved in the same call that no byte left",
        "client_order_id why",
        "INTENT_STATE_CHANGED",
    )
    INTENT_DENIED = ("INTENT_DENIED", "ours: written but never sent", "client_order_id code", "INTENT_STATE_CHANGED")
    INTENT_UNANSWERED = (
        "INTENT_UNANSWERED", "its request had no answer that can be used: counted, and looked up", "client_order_id why"
    )  # fmt: skip
    INTENT_LOOKED = ("INTENT_LOOKED", "a complete look-up that did not find it", "client_order_id requested_ms")
    INTENT_ANOMALY = (
        "INTENT_ANOMALY",
        "evidence the table does not know; the intent is quarantined",
        "client_order_id state evidence",
    )
    INTENT_ANOMALY_CLEARED = ("INTENT_ANOMALY_CLEARED", "an operator settled an anomaly", "client_order_id how reason")
    CANCEL_REQUESTED = ("CANCEL_REQUESTED", "we ask for an order's cancel", "client_order_id why", "ORDER_CANCEL")
    FILL = ("FILL", "one trade of one order", "client_order_id trade_id side quantity price fee fee_asset time_ms")
    RECOVERY_OUTCOME = (
        "RECOVERY_OUTCOME",
        "what recovery comes to began or ended: RESUME_MANAGE_ONLY, CLOSE_SAFELY, PAUSE_NEEDS_MANUAL",
        "outcome evidence subject state",
    )
    # -- positions
    EXIT_PLANNED = (
        "EXIT_PLANNED",
        "stop and target of a position, at entry or moved",
        "position_id stop_price target_price",
    )
    PROTECTION_SWAP = ("PROTECTION_SWAP", "protection is being moved or replaced", "position_id old new fallback")
    PROTECTION_SWAPPED = ("PROTECTION_SWAPPED", "the swap ended", "position_id outcome")
    UNPROTECTED = ("UNPROTECTED", "a position above the minimum has no stop", "position_id quantity")
    POSITION_DUST = (
        "POSITION_DUST",
        "what is left is below the minimum; its slot is free",
        "position_id quantity value",
    )
    # -- money
    INITIAL_CAPITAL = ("INITIAL_CAPITAL", "opening balances of a venue", "balances")
    BALANCE_ADJUSTED = ("BALANCE_ADJUSTED", "deposit, withdrawal or adopted balance", "asset amount cause")
    FOREIGN_SEEN = ("FOREIGN_SEEN", "an order or its trades that are not ours", "order_id side quantity")
    FOREIGN_SETTLED = ("FOREIGN_SETTLED", "the owner's word on a foreign order", "order_id how reason")
    FOREIGN_TRADE = (
        "FOREIGN_TRADE",
        "one trade of a settled foreign order: balances move, our capital does not",
        "order_id trade_id side base quote quantity price fee fee_asset time_ms",
    )
    POSITION_ADOPTED = (
        "POSITION_ADOPTED",
        "what the exchange holds and we did not becomes a position",
        "position_id base quote quantity booked price reason",
    )
    POSITION_DISOWNED = (
        "POSITION_DISOWNED",
        "what the exchange does not hold leaves the position",
        "base quote quantity booked value reason",
    )
    CAPITAL_MARKED = ("CAPITAL_MARKED", "equity of a venue and quote at this tick's prices", "quote equity")
    DAY_CLOSED = ("DAY_CLOSED", "the UTC risk day ended", "date")
    PEAK_REBASED = ("PEAK_REBASED", "the drawdown peak was set anew", "quote old new reason")
    # -- latches and modes
    KILL_SWITCH_ACTIVATED = ("KILL_SWITCH_ACTIVATED", "the kill switch was engaged", "reason level by", "KILL_SWITCH")
    KILL_SWITCH_DEACTIVATED = ("KILL_SWITCH_DEACTIVATED", "the kill switch was released", "reason by")
    PAUSE_RAISED = ("PAUSE_RAISED", "PAUSE (or a manual DEGRADE) was latched", "state reasons by")
    PAUSE_RELEASED = ("PAUSE_RELEASED", "PAUSE was released", "reason by")
    SYSTEM_MODE_CHANGED = ("SYSTEM_MODE_CHANGED", "NORMAL, DEGRADE, PAUSE, EXIT", "from to reasons", "DEGRADE PAUSE")
    HEALTH_CHANGED = ("HEALTH_CHANGED", "Overall or a check changed its status", "overall")
    BREAKER_CHANGED = ("BREAKER_CHANGED", "a circuit breaker changed state", "component from to cause script")
    CONTROL_EDITED = ("CONTROL_EDITED", "a control file was edited by hand", "file")
    LIVE_ARMED = ("LIVE_ARMED", "the operator armed LIVE entries: state/LIVE.ok counts from here", "reason by")
    BASELINE_HELD = ("BASELINE_HELD", "back to the baseline: disarmed, safe mode on", "reason by")
    BASELINE_CLEARED = ("BASELINE_CLEARED", "the baseline's safe mode was lifted", "reason by")
    LIMITS_SET = ("LIMITS_SET", "the tighten-only overlay was changed", "limits reason")
    ALERT_RAISED = ("ALERT_RAISED", "an alert", "severity code text fingerprint")
    ALERT_CLEARED = ("ALERT_CLEARED", "an alert's cause is gone", "fingerprint")
    # -- exchange
    RECONCILE_DONE = ("RECONCILE_DONE", "journal, exchange and balances were compared", "clean score", "RECONCILE_REST")
    RECONCILE_DIFF = ("RECONCILE_DIFF", "one named difference", "name detail")
    FILTERS_REFRESHED = ("FILTERS_REFRESHED", "a symbol's trading rules changed", "old new cause")
    SYMBOL_QUARANTINED = ("SYMBOL_QUARANTINED", "a symbol is off for entries", "until_ms cause")


ALIASES: dict[str, tuple[Event, ...]] = {}
for _event in Event:
    for _alias in _event.aliases:
        ALIASES[_alias] = (*ALIASES.get(_alias, ()), _event)
