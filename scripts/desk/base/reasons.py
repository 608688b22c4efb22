"""Every reason code, once. Owns the enum from which `docs/reasons.md` is generated.

A code is `room:reason`. It carries its severity, what it means, what the operator does, and the name a runbook
knows it by (so that the runbooks' greps find their lines). To add a reason: one member here.
"""

from enum import StrEnum
from typing import Self

INFO, WARN, CRIT = "INFO", "WARN", "CRIT"


class Reason(StrEnum):  # fmt: skip
    """A reason code with its severity, meaning, what to do, and runbook alias."""

    severity: str
    meaning: str
    action: str
    alias: str

    def __new__(cls, code: str, severity: str, meaning: str, action: str, alias: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.severity, member.meaning, member.action, member.alias = severity, meaning, action, alias
        return member

    # -- mode, locks, arming
    MODE_NOT_SET = ("mode:not_set", CRIT, "SYSTEM_MODE is not set", "set SYSTEM_MODE=PAPER or LIVE")
    MODE_PAPER = ("mode:paper", INFO, "SYSTEM_MODE is PAPER: orders are paper", "set SYSTEM_MODE=LIVE when you mean it")
    MODE_STAMP = (
        "mode:stamp_mismatch",
        WARN,
        "the folder belongs to the other mode",
        "mode.py switch MODE --reason TEXT",
    )
    FREEZE_ALL = (
        "risk:freeze_all",
        CRIT,
        "FREEZE_ALL: nothing is sent, cancels included",
        "kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
    )
    KILL_SWITCH = (
        "risk:kill_switch",
        CRIT,
        "the kill switch is active: no entries",
        "kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
        "KILL_SWITCH",
    )
    KILL_ENV = (
        "risk:kill_switch_env",
        CRIT,
        "KILL_SWITCH=true in the environment holds the kill switch",
        "set KILL_SWITCH=false in .env, then release",
    )
    ARM_NO_LIVE_FLAG = ("arming:no_live_flag", WARN, "the door runs without --live", "add --live when you mean it")
    ARM_DRY_RUN = ("arming:dry_run", WARN, "DRY_RUN is not false", "set DRY_RUN=false")
    ARM_SAFE_MODE = ("arming:safe_mode", WARN, "SAFE_MODE is not false", "set SAFE_MODE=false")
    ARM_LIVE_TRADING = ("arming:live_trading_off", WARN, "LIVE_TRADING is not true", "set LIVE_TRADING=true")
    ARM_ACK = ("arming:ack_missing", WARN, "LIVE_TRADING_ACK is not I_UNDERSTAND", "set LIVE_TRADING_ACK=I_UNDERSTAND")
    ARM_LIVE_OK = (
        "arming:live_ok_missing",
        WARN,
        "no state/LIVE.ok in this folder, or on mainnet none that arming.py wrote",
        "arming.py arm --reason TEXT --ack I_UNDERSTAND",
    )
    ARM_BASELINE = (
        "arming:baseline",
        WARN,
        "arming.py baseline holds safe mode on",
        "arming.py baseline --clear --reason TEXT --ack I_UNDERSTAND",
    )
    ARM_NO_TERMINAL = ("arming:no_terminal", WARN, "not asked from a terminal", "run it by hand, in a terminal")
    ARM_NOT_OWNER = (
        "arming:not_owner",
        WARN,
        "asked by another OS user than arming.owner",
        "set arming.owner in config/sanad.toml; run it as that user",
    )
    ARM_CERTIFICATE = (
        "arming:certificate_missing",
        WARN,
        "no valid promotion certificate",
        "complete the soak and the promotion first",
    )
    # -- journal and state
    AUDIT_UNWRITABLE = (
        "audit:not_writable",
        CRIT,
        "the journal cannot be written",
        "check disk and permissions of execution-logs, then resume.py --reason TEXT --ack I_UNDERSTAND",
    )
    AUDIT_DAMAGED = (
        "audit:damaged",
        CRIT,
        "a line of the journal is wrong",
        "audit.py verify, then audit.py reseal --reason TEXT --ack I_UNDERSTAND",
    )
    AUDIT_SHRUNK = (
        "audit:shrunk",
        CRIT,
        "the journal is shorter than its last known head",
        "audit.py verify, then audit.py reseal --reason TEXT --ack I_UNDERSTAND",
        "JOURNAL_SHRUNK",
    )
    AUDIT_TAIL_CUT = (
        "audit:tail_cut",
        WARN,
        "a torn last group was cut off",
        "nothing: the bytes are in state/quarantine",
        "JOURNAL_TAIL_CUT",
    )
    AUDIT_RESERVE = (
        "audit:reserve_used",
        CRIT,
        "the journal's disk reserve is in use",
        "free disk space; heartbeat restores the reserve",
    )
    AUDIT_RESEALED = (
        "audit:resealed",
        CRIT,
        "the journal was resealed; books are not yet re-read",
        "reconcile.py, then resume.py --reason TEXT --ack I_UNDERSTAND",
    )
    STATE_CORRUPT = (
        "state:corrupt",
        CRIT,
        "a state file is corrupt",
        "see docs/state.md for that file; a copy is in state/quarantine",
    )
    STATE_UNWRITABLE = (
        "state:not_writable",
        CRIT,
        "the state folder cannot be written",
        "check disk and permissions of state",
    )
    CONTROL_EDITED = (
        "state:control_edited",
        WARN,
        "a control file was edited by hand",
        "nothing if it was you",
        "CONTROL_EDITED",
    )
    PAPER_LOST = (
        "state:paper_lost",
        CRIT,
        "the paper books are missing beside a PAPER journal",
        "mode.py switch PAPER --discard --reason TEXT",
    )
    # -- system mode
    MODE_DEGRADE = (
        "system_mode:degrade",
        WARN,
        "system mode DEGRADE: no entries",
        "see heartbeat for its causes; it ends after 2 good heartbeats",
    )
    MODE_PAUSE = ("system_mode:pause", CRIT, "system mode PAUSE: latched", "resume.py --reason TEXT --ack I_UNDERSTAND")
    MODE_EXIT = ("system_mode:exit", CRIT, "the system is leaving", "see the last alert")
    STATUS_STALE = ("system_mode:status_stale", WARN, "system_status.json is too old", "check that heartbeat runs")
    STATUS_MISSING = (
        "system_mode:status_missing",
        WARN,
        "system_status.json is missing or corrupt",
        "run heartbeat.py",
    )
    MANUAL_PAUSE = (
        "health:manual_pause",
        CRIT,
        "paused by the operator",
        "resume.py --reason TEXT --ack I_UNDERSTAND",
        "MANUAL_PAUSE",
    )
    MANUAL_DEGRADE = (
        "health:manual_degrade",
        WARN,
        "degraded by the operator",
        "resume.py --reason TEXT --ack I_UNDERSTAND",
        "MANUAL_DEGRADE",
    )
    LOOP_DEGRADE = (
        "health:job_late",
        WARN,
        "a job is late by more than 2 intervals",
        "check cron and that job's log",
        "LOOP_STUCK_DEGRADE",
    )
    LOOP_PAUSE = (
        "health:job_stuck",
        CRIT,
        "router or reconcile is late by more than 3 intervals",
        "check cron; resume.py --reason TEXT --ack I_UNDERSTAND",
        "LOOP_STUCK_PAUSE",
    )
    HOST_OUTAGE = (
        "health:host_outage",
        WARN,
        "heartbeat itself was silent",
        "none: ends when router and reconcile have succeeded",
        "HOST_OUTAGE",
    )
    JOB_SLOW = (
        "health:job_slow",
        WARN,
        "a job takes more than half of its interval",
        "see its log and the exchange's latency",
    )
    JOB_PENDING = ("health:job_pending", INFO, "a job has not had its first run yet", "wait two intervals")
    JOB_DISABLED = (
        "health:job_disabled",
        CRIT,
        "router, heartbeat or reconcile is disabled in LIVE",
        "enable it in [schedule]",
    )
    REST_DEGRADE = (
        "health:rest_stale_degrade",
        WARN,
        "no REST success for 2 intervals",
        "check network and exchange status",
        "REST_STALE_DEGRADE",
    )
    WS_OFF = (
        "health:ws_off",
        WARN,
        "MARKET_DATA_MODE=ws, but no stream runs",
        "start market_stream.py, or set MARKET_DATA_MODE=rest",
    )
    WS_STALE = (
        "health:ws_stale",
        WARN,
        "WebSocket data is old; REST is read instead",
        "market_stream.py reconnect --reason TEXT",
    )
    WS_DEGRADE = (
        "health:ws_stale_degrade",
        WARN,
        "WebSocket data older than 10 s and no fresh REST to fall back on",
        "market_stream.py reconnect --reason TEXT, or WS_MARKET_DATA_REST_FALLBACK=true",
        "WS_STALE_DEGRADE",
    )
    WS_PAUSE = (
        "health:ws_stale_pause",
        CRIT,
        "WebSocket data older than 60 s and REST stale too",
        "market_stream.py reconnect --reason TEXT; reconcile.py; resume.py --reason TEXT --ack I_UNDERSTAND",
        "WS_STALE_PAUSE",
    )
    WS_RECONNECTS = (
        "health:ws_reconnects",
        WARN,
        "the WebSocket reconnects too often",
        "check the network; MARKET_DATA_MODE=rest until it is stable",
    )
    REST_PAUSE = (
        "health:rest_stale_pause",
        CRIT,
        "no REST success for 5 minutes",
        "check network; resume.py --reason TEXT --ack I_UNDERSTAND",
        "REST_STALE_PAUSE",
    )
    REST_ERRORS = (
        "health:rest_errors",
        WARN,
        "several REST errors within 60 s",
        "check the exchange's status page",
        "REST_ERRORS",
    )
    RATE_LIMITED = ("health:rate_limited", WARN, "the exchange answered 429", "none: backing off", "REST_THROTTLED")
    LATENCY = ("health:latency", WARN, "95 % latency above its limit", "check network")
    DISK_DEGRADE = (
        "health:disk_low_degrade",
        WARN,
        "disk free at or below 1 GiB",
        "free disk space",
        "DISK_LOW_DEGRADE",
    )
    DISK_PAUSE = (
        "health:disk_low_pause",
        CRIT,
        "disk free at or below 512 MiB, or full",
        "free disk space; resume.py --reason TEXT --ack I_UNDERSTAND",
        "DISK_LOW_PAUSE",
    )
    CLOCK_DRIFT = ("health:clock_drift", WARN, "clock drift beyond the offset", "check NTP", "CLOCK_DRIFT_WARN")
    TIMESTAMP_PAUSE = (
        "health:timestamp_rejected",
        CRIT,
        "the exchange refused our timestamp twice",
        "check NTP; resume.py --reason TEXT --ack I_UNDERSTAND",
        "TIMESTAMP_REJECTED",
    )
    MANUAL_NEEDED = (
        "health:manual_needed",
        CRIT,
        "recovery needs a human",
        "reconcile.py, then resume.py --reason TEXT --ack I_UNDERSTAND",
        "PAUSE_NEEDS_MANUAL",
    )
    BREAKER_PAUSE = (
        "health:breaker_blind",
        CRIT,
        "a breaker is open while positions are open and an order is unknown",
        "reconcile.py; resume.py --reason TEXT --ack I_UNDERSTAND",
    )
    BUG = ("health:bug", CRIT, "an invariant of our own did not hold", "keep the logs; see errors.log")
    CHECK_ERROR = ("health:check_error", CRIT, "a health check raised", "see errors.log")
    # -- orders
    UNKNOWN_ORDER = (
        "intent:unknown_order",
        WARN,
        "an order's outcome is not known",
        "none: it is looked up every tick",
    )
    NEVER_SENT = ("intent:never_sent", INFO, "an intent was written but no byte left", "nothing")
    NOT_SENT = ("intent:not_sent", INFO, "refused before the first byte", "nothing")
    LATE_APPEARANCE = (
        "intent:late_appearance",
        CRIT,
        "an order thought absent exists after all",
        "check positions: reconcile.py",
    )
    ANOMALY = (
        "intent:anomaly",
        CRIT,
        "the exchange said something the table does not know",
        "reconcile.py --repair adopt INTENT_ID or disown INTENT_ID",
    )
    DUPLICATE = ("intent:duplicate", INFO, "this decision was already proposed", "nothing")
    STUCK_ORDER = (
        "intent:stuck_order",
        CRIT,
        "an order is unresolved for too long",
        "orders on the exchange's page; reconcile.py",
        "stuck_order",
    )
    REJECTED = ("intent:rejected", WARN, "the exchange refused the order", "see the message")
    NO_FILL = ("intent:no_fill", INFO, "the order ended without a fill", "nothing")
    DUST = ("position:dust", INFO, "what is left is below the exchange's minimum", "nothing; or sell by hand")
    UNPROTECTED = ("position:unprotected", CRIT, "a position has no stop", "none: the router repairs it each tick")
    UNPROTECTED_PARTIAL = (
        "position:unprotected_partial",
        WARN,
        "an order list filled in part protects nothing; it is replaced in the same tick",
        "none: the router does it",
        "UNPROTECTED_PARTIAL",
    )
    EXIT_BLIND = (
        "position:exit_blind",
        CRIT,
        "an exit had no usable bid",
        "check the market; the venue's bounded market exit was used",
    )
    POSITION_SHUT = (
        "position:symbol_shut",
        CRIT,
        "a position's symbol takes no orders now",
        "none: tried again each tick; see the exchange's announcements",
    )
    # -- clock and time
    CLOCK_SKEW = ("clock:skew", CRIT, "the clock differs from the exchange's by more than the limit", "check NTP")
    CLOCK_UNKNOWN = ("clock:unmeasured", CRIT, "the exchange's clock could not be read", "check network")
    TIME_FUTURE = ("time:from_future", CRIT, "a stored time lies in the future", "check the host's clock")
    # -- breakers
    BREAKER_OPEN = ("breaker:open", WARN, "a circuit breaker is open", "wait for its cooldown, or breakers.py reset")
    BREAKER_PROBING = ("breaker:half_open", WARN, "a circuit breaker is probing", "wait one tick")
    BREAKER_CORRUPT = (
        "breaker:corrupt",
        CRIT,
        "circuit_breakers.json is corrupt",
        "breakers.py reset all --reason TEXT",
    )
    BREAKER_TRIPS = ("breaker:trips", WARN, "a breaker tripped too often", "check the exchange and the network")
    # -- market data
    DATA_STALE = ("market_data:stale", WARN, "prices are too old", "check network and exchange")
    DATA_MISSING = ("market_data:missing", WARN, "no prices", "check network and exchange")
    DATA_INVALID_BID = (
        "market_data:invalid_bid",
        WARN,
        "best bid zero, negative, crossed or missing",
        "check the exchange",
    )
    DATA_DEVIATION = ("market_data:deviation", WARN, "venues disagree on the price", "check both exchanges")
    DATA_OUTLIER = ("market_data:outlier", WARN, "the price jumped and is held one poll", "nothing")
    DATA_FROZEN = ("market_data:frozen", WARN, "the price has not moved for 5 polls", "check the exchange")
    STALE_CYCLES = (
        "market_data:stale_cycles",
        WARN,
        "several cycles in a row were blocked by old prices",
        "check network and exchange",
    )
    # -- symbol and market
    SYMBOL_HALTED = ("symbol:not_trading", WARN, "the symbol does not trade", "see the exchange's announcements")
    SYMBOL_QUARANTINED = (
        "symbol:quarantined",
        WARN,
        "the symbol is off for an hour after refusals",
        "nothing",
        "SYMBOL_QUARANTINED",
    )
    SYMBOL_UNKNOWN = ("symbol:unknown", WARN, "no rules for the symbol", "check UNIVERSE_SYMBOLS")
    SPREAD = ("market:spread", INFO, "the spread is too wide", "nothing")
    SLIPPAGE = ("market:slippage", INFO, "the book would move too far", "nothing")
    DEPTH = ("market:depth", INFO, "the book does not cover the order", "nothing")
    VOLATILITY = ("market:volatility", WARN, "the price moved more than 25 % in 30 minutes", "nothing")
    VOLATILITY_UNKNOWN = (
        "market:volatility_unknown",
        WARN,
        "too few bars to know the volatility",
        "nothing: wait for bars",
    )
    FLASH_CRASH = (
        "market:flash_crash",
        CRIT,
        "the price fell more than 10 % in 15 minutes",
        "after 15 calm minutes: kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
        "flash_crash",
    )
    # -- reconcile
    RECONCILE_STALE = ("reconcile:stale", WARN, "the last reconcile is too old", "run reconcile.py")
    RECONCILE_NEVER = ("reconcile:never", WARN, "reconcile has never succeeded", "run reconcile.py")
    RECONCILE_DIFF = (
        "reconcile:difference",
        WARN,
        "books and exchange differ",
        "reconcile.py names each difference",
        "RECONCILE_DRIFT",
    )
    DRIFT_WARN = ("reconcile:drift_warn", WARN, "drift score at its first limit", "read reconcile.py's differences")
    DRIFT_DEGRADE = (
        "reconcile:drift_degrade",
        WARN,
        "drift score at its second limit: no entries",
        "read reconcile.py's differences",
    )
    DRIFT_PAUSE = (
        "reconcile:drift_pause",
        CRIT,
        "drift score at its limit",
        "repair, then resume.py --reason TEXT --ack I_UNDERSTAND",
        "DRIFT_LIMIT_EXCEEDED",
    )
    FOREIGN_ORDER = (
        "reconcile:foreign_order",
        WARN,
        "an order on the exchange is not ours",
        "reconcile.py --repair adopt HANDLE --reason TEXT --ack I_UNDERSTAND if it is yours; else change the key",
    )
    # -- capital and limits
    DAILY_LOSS = (
        "capital:daily_loss",
        CRIT,
        "the day's loss is at its limit",
        "from the next UTC day: kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
        "daily_loss_limit_exceeded",
    )
    DRAWDOWN = (
        "capital:drawdown",
        WARN,
        "drawdown at its first limit: no entries",
        "nothing: wait, or review the strategy",
    )
    MAX_DD = (
        "capital:max_drawdown",
        CRIT,
        "drawdown at its hard limit",
        "kill_switch.py release --rebase-peak --reason TEXT --ack I_UNDERSTAND",
        "max_dd_exceeded",
    )
    CAPITAL_UNKNOWN = ("capital:unknown", WARN, "equity is not known", "run reconcile.py; check prices")
    POSITION_CAP = ("exposure:position", INFO, "the position would be too large", "nothing")
    TOTAL_CAP = ("exposure:total", INFO, "total exposure would be too large", "nothing")
    POSITIONS_MAX = (
        "exposure:positions_max",
        INFO,
        "enough positions are open",
        "nothing",
        "max_position_limit_reached",
    )
    SYMBOL_HELD = (
        "exposure:symbol_held",
        INFO,
        "a position or entry order exists for the symbol",
        "nothing",
        "duplicate_position",
    )
    COOL_SYMBOL = ("cooldown:symbol", INFO, "the symbol rests after a close", "nothing", "cool_down_active")
    COOL_LOSS = ("cooldown:after_loss", INFO, "all symbols rest after a losing close", "nothing")
    COOL_STOP = ("cooldown:after_stop", INFO, "the symbol rests after a stop-out", "nothing")
    CYCLE_ORDERS = ("cycle:orders_max", INFO, "enough orders this cycle", "nothing")
    CYCLE_NOTIONAL = ("cycle:notional_cap", INFO, "enough notional this cycle", "nothing")
    OPEN_SYMBOL = ("orders:symbol_max", INFO, "enough open orders for the symbol", "nothing")
    OPEN_TOTAL = ("orders:total_max", INFO, "enough open entries", "nothing")
    NOTIONAL_MIN = ("order:notional_min", INFO, "the order is below the minimum notional", "nothing")
    NOTIONAL_MAX = ("order:notional_max", INFO, "the order is above the maximum notional", "nothing")
    FILTERS = ("order:filters", INFO, "the order does not fit the exchange's filters", "nothing")
    BALANCE = ("order:balance", INFO, "not enough free balance", "nothing")
    RATE_BUDGET = ("rate_budget:entries_stop", INFO, "request budget used to its entry limit", "nothing")
    RATE_READS = ("rate_budget:reads_stop", WARN, "request budget used to its read limit", "nothing")
    RATE_BACK_OFF = ("rate_budget:back_off", WARN, "backing off after 429", "nothing")
    RATE_BANNED = ("rate_budget:banned", CRIT, "banned by the exchange (418)", "wait for Retry-After; run fewer jobs")
    RATE_ORDERS = ("rate_budget:order_count", WARN, "order count near the exchange's limit", "nothing")
    CHURN = (
        "churn:limit",
        WARN,
        "too many orders or cancels in a short time",
        "nothing: cools 60 s",
        "RISK_CHURN_LIMIT_HIT",
    )
    CHURN_REPLACE = (
        "churn:cancel_replace",
        WARN,
        "too many cancel-replaces",
        "nothing: cools 60 s",
        "RISK_CANCEL_REPLACE_LIMIT_HIT",
    )
    EDGE_LOW = ("edge:too_low", INFO, "the edge does not cover costs plus the minimum", "nothing", "EDGE_TOO_LOW")
    COST_HIGH = ("edge:cost_too_high", INFO, "costs alone exceed the edge", "nothing", "COST_TOO_HIGH")
    OVERLAY_CORRUPT = (
        "limits:overlay_corrupt",
        CRIT,
        "limits_overlay.json is corrupt",
        "limits.py clear --reason TEXT",
    )
    AI_NOT_CONFIGURED = ("ai_gate:not_configured", WARN, "AI_DEC=2 but no AI gate is configured", "set AI_DEC=0")
    GATE_ERROR = ("gate:error", CRIT, "a gate raised", "see errors.log")
    # -- signals
    SIGNAL_BAD = ("signal:bad", INFO, "a signal file cannot be used", "see signals/rejected")
    # -- kill reasons and verdict words of the runbooks
    KILL_MANUAL = (
        "kill:manual",
        CRIT,
        "engaged by the operator",
        "kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
        "manual",
    )
    KILL_REST = (
        "kill:excessive_rest_errors",
        CRIT,
        "REST errors critical two minutes running",
        "after 60 s healthy: kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
        "excessive_rest_errors",
    )
    KILL_WS = (
        "kill:ws_stale_60s",
        CRIT,
        "WebSocket data older than 60 s with positions open",
        "after 60 s healthy: kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
        "ws_stale_60s",
    )
    KILL_KEY = (
        "kill:key_compromise_suspected",
        CRIT,
        "foreign orders: the key may be stolen",
        "change the key (or adopt each foreign order), then: kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
        "key_compromise_suspected",
    )
    KILL_ASSESS = (
        "kill:positions_open",
        CRIT,
        "the kill switch is active; the open positions are yours to judge",
        "orders.py positions; to sell: orders.py flatten --reason TEXT --yes",
    )
    KILL_CLOSING = (
        "kill:positions_closing",
        CRIT,
        "the kill switch is active; the router sells the open positions",
        "none: each tick goes on; orders.py positions shows the rest",
    )


ALIASES = {member.alias: member for member in Reason if member.alias}


def find(code: str) -> Reason | None:
    """The member of a code, None for a text that is no code."""
    member = Reason._value2member_map_.get(code)
    return member if isinstance(member, Reason) else None


def shown(code: str) -> str:
    """A code with its runbook name, for log lines: `DISK_LOW_PAUSE (health:disk_low_pause)`."""
    member = find(code)
    return f"{member.alias} ({code})" if member is not None and member.alias else code
