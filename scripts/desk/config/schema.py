"""The shape of config/sanad.toml: one struct per section, every default. Owns types and ranges; reads nothing.

Every number is decided in the rules; its unit is the last part of its name. Unknown keys are an error.
"""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

Whole = Annotated[int, msgspec.Meta(ge=0)]
Amount = Decimal
Fraction = Decimal
DRAWDOWN_KILL_FRAC_MAX = Decimal("0.20")  # rules.md, capital: the configuration cannot exceed it


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: frozen, unknown keys refused."""


class System(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[system]"""

    instance_id: str = ""
    venues: tuple[str, ...] = ("binance",)
    universe_symbols: tuple[str, ...] = ("BTCUSDT",)
    profile: Literal["standard", "canary"] = "standard"
    ai_dec: Literal[0, 1, 2] = 0


class Breakers(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[breakers]"""

    failures_max: Whole = 5
    window_s: Whole = 60
    cooldown_s: Whole = 300
    probe_ttl_s: Whole = 30
    success_rewrite_s: Whole = 10
    trips_day_warn: Whole = 3
    trips_week_warn: Whole = 5
    exit_reads_per_tick_max: Whole = 5
    cooldown_by_component_s: dict[str, Whole] = {}


class Clock(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[clock]"""

    skew_max_ms: Whole = 2000
    skew_note_ms: Whole = 500
    drift_warn_ms: Whole = 500
    resync_s: Whole = 300
    samples: Whole = 5
    recv_window_ms: Whole = 5000


class Transport(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[transport]"""

    connect_timeout_s: Whole = 3
    read_timeout_s: Whole = 5
    read_timeout_max_s: Whole = 10
    total_timeout_s: Whole = 15
    read_attempts_max: Whole = 3
    backoff_s: tuple[Whole, ...] = (1, 2, 4, 8)
    body_bytes_max: Whole = 20_000_000
    stamp_to_first_byte_max_ms: Whole = 1000


class Runtime(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[runtime]"""

    tick_deadline_s: Whole = 45
    operator_lease_wait_s: Whole = 60
    lock_wait_s: Whole = 2
    log_bytes_max: Whole = 20_000_000
    log_files_kept: Whole = 5


class MarketData(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[market_data]"""

    mode: Literal["rest", "ws"] = "rest"
    btcturk_ws_enabled: bool = False
    ws_rest_fallback: bool = True
    price_age_max_ms: Whole = 3000
    marking_age_max_s: Whole = 300
    cross_venue_warn_frac: Fraction = Decimal("0.02")
    cross_venue_block_frac: Fraction = Decimal("0.05")
    outlier_frac: Fraction = Decimal("0.15")
    equal_polls_stale: Whole = 5
    book_depth: Whole = 50
    bar_interval_s: Whole = 60
    bars_wanted: Whole = 120


class Streams(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[streams]: the WebSocket service (market_stream.py) and how its data is judged"""

    stale_warn_s: Whole = 10
    stale_pause_s: Whole = 60
    backoff_s: tuple[Whole, ...] = (1, 2, 4, 8, 16)
    retry_after_s: Whole = 600
    reconnects_per_hour_warn: Whole = 6
    reconnects_burst: Whole = 6
    burst_window_s: Whole = 120
    rotate_after_s: Whole = 82_800
    write_every_ms: Whole = 250
    depth_levels: Literal[5, 10, 20] = 20
    operator_wait_s: Whole = 60


class Entries(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[entries]"""

    spread_max_frac: Fraction = Decimal("0.02")
    slippage_max_frac: Fraction = Decimal("0.03")
    volatility_halt_frac: Fraction = Decimal("0.25")
    volatility_window_min: Whole = 30
    flash_crash_frac: Fraction = Decimal("0.10")
    flash_crash_window_min: Whole = 15
    edge_min_bps: Amount = Decimal(15)
    max_orders_per_cycle: Whole = 1
    max_open_orders_per_symbol: Whole = 1
    max_open_entries: Whole = 10
    notional_cap_per_cycle_quote: Amount = Decimal(150)
    max_notional_per_order_quote: Amount = Decimal(150)
    min_order_notional_quote: Amount = Decimal(10)
    order_ttl_s: Whole = 120
    order_type: Literal["LIMIT_IOC", "LIMIT_FOK", "LIMIT", "LIMIT_MAKER", "MARKET"] = "LIMIT_IOC"
    limit_slack_bps: Amount = Decimal(10)
    unresolved_warn_s: Whole = 300
    unresolved_crit_s: Whole = 1800


class Capital(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[capital]"""

    daily_loss_frac: Fraction = Decimal("0.05")
    daily_loss_quote: Amount = Decimal(0)
    drawdown_no_entries_frac: Fraction = Decimal("0.15")
    drawdown_kill_frac: Fraction = Decimal("0.20")


class Exposure(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[exposure]"""

    position_live_frac: Fraction = Decimal("0.05")
    position_paper_frac: Fraction = Decimal("0.10")
    total_frac: Fraction = Decimal("0.30")
    positions_live_max: Whole = 3
    positions_paper_max: Whole = 15
    size_frac: Fraction = Decimal(1)


class Cooldown(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[cooldown]"""

    after_close_min: Whole = 30
    after_losing_close_min: Whole = 60
    after_stop_out_h: Whole = 24


class Churn(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[churn]"""

    window_s: Whole = 10
    cancel_replace_max: Whole = 3
    cancels_max: Whole = 5
    new_orders_max: Whole = 5
    long_window_s: Whole = 60
    long_window_max: Whole = 12
    cool_s: Whole = 60
    order_count_warn_frac: Fraction = Decimal("0.80")
    order_count_block_frac: Fraction = Decimal("0.95")


class RateBudget(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[rate_budget]"""

    entries_stop_frac: Fraction = Decimal("0.70")
    reads_stop_frac: Fraction = Decimal("0.85")
    weight_per_min_default: Whole = 1200


class Quarantine(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[quarantine]"""

    rejects_max: Whole = 3
    timeouts_max: Whole = 3
    window_s: Whole = 3600
    duration_s: Whole = 3600


class Reconcile(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[reconcile]"""

    age_max_s: Whole = 900
    drift_warn: Whole = 10
    drift_degrade: Whole = 20
    drift_pause: Whole = 50
    trade_pages_max: Whole = 20


class Exits(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[exits]"""

    default_stop_frac: Fraction = Decimal("0.02")
    atr_period: Whole = 14
    atr_stop_multiple: Amount = Decimal(2)
    atr_target_multiple: Amount = Decimal(3)
    trail_step_bps: Amount = Decimal(10)
    trail_frac: Fraction = Decimal("0.01")
    trail_after_frac: Fraction = Decimal("0.01")
    unprotected_max_ms: Whole = 3000
    order_lists: bool = True
    protective_notional_margin: Amount = Decimal("1.1")
    position_age_flag_h: Whole = 72


class Health(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[health]"""

    good_heartbeats_to_leave_degrade: Whole = 2
    good_span_min_s: Whole = 60
    system_status_max_intervals: Whole = 3
    late_degrade_intervals: Whole = 2
    late_pause_intervals: Whole = 3
    duration_warn_frac: Fraction = Decimal("0.5")
    rest_stale_pause_s: Whole = 300
    rest_errors_warn: Whole = 2
    rest_errors_crit: Whole = 3
    latency_p95_warn_ms: Whole = 2000
    disk_degrade_bytes: Whole = 1_073_741_824
    disk_pause_bytes: Whole = 536_870_912
    unknown_warn_s: Whole = 300
    unknown_crit_s: Whole = 1800
    stale_blocked_cycles_warn: Whole = 3
    stale_blocked_cycles_crit: Whole = 10
    stage_list_max: Whole = 20


class Journal(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[journal]"""

    reserve_bytes: Whole = 8_388_608
    retention_days: Whole = 400
    event_bytes_max: Whole = 65_536
    group_events_max: Whole = 500


class Paper(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[paper]"""

    starting_balance_quote: Amount = Decimal(10000)
    fee_bps: Amount = Decimal(10)
    slippage_bps: Amount = Decimal(5)
    latency_ms: Whole = 50


Positions = Literal["hold", "close", "assess"]


class KillPositions(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[kill_switch.positions]: what each reason does to open positions."""

    max_dd_exceeded: Positions = "hold"
    daily_loss: Positions = "hold"
    excessive_rest_errors: Positions = "assess"
    ws_stale_60s: Positions = "close"
    flash_crash: Positions = "hold"
    key_compromise_suspected: Positions = "assess"
    manual: Positions = "hold"


class KillSwitch(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[kill_switch]"""

    engage_to_no_post_max_ms: Whole = 100
    positions: KillPositions = KillPositions()


class Arming(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[arming]"""

    certificate_required: bool = False
    owner: str = ""


class Signals(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[signals]"""

    life_max_h: Whole = 168
    files_per_tick_max: Whole = 50
    bytes_max: Whole = 65_536


class Venue(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[venues.<name>]: base URLs per environment; empty where the exchange has none, or no own host for
    candles. `stream_api` is the WebSocket API, which user data comes over."""

    rest_url_mainnet: str = ""
    rest_url_testnet: str = ""
    candles_url_mainnet: str = ""
    candles_url_testnet: str = ""
    stream_url_mainnet: str = ""
    stream_url_testnet: str = ""
    stream_api_url_mainnet: str = ""
    stream_api_url_testnet: str = ""


class Job(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[schedule.<door>]: one cron row."""

    enabled: bool = True
    interval_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 60


class Profile(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[profiles.<name>]: values that stand beside the sections'; the strictest of the two wins."""

    recv_window_ms: Whole | None = None
    order_ttl_s: Whole | None = None
    daily_loss_quote: Amount | None = None
    max_orders_per_cycle: Whole | None = None
    notional_cap_per_cycle_quote: Amount | None = None
    max_notional_per_order_quote: Amount | None = None


class SmaCross(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[strategies.sma_cross]"""

    enabled: bool = True
    fast: Annotated[int, msgspec.Meta(ge=1, le=500)] = 5
    slow: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 20
    edge_multiple: Amount = Decimal(1)


class Rsi(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[strategies.rsi]"""

    enabled: bool = True
    period: Annotated[int, msgspec.Meta(ge=2, le=500)] = 14
    oversold: Amount = Decimal(30)
    overbought: Amount = Decimal(70)


class Strategies(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[strategies]"""

    sma_cross: SmaCross = SmaCross()
    rsi: Rsi = Rsi()


class Config(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    system: System = System()
    venues: dict[str, Venue] = {}
    breakers: Breakers = Breakers()
    clock: Clock = Clock()
    transport: Transport = Transport()
    runtime: Runtime = Runtime()
    market_data: MarketData = MarketData()
    streams: Streams = Streams()
    entries: Entries = Entries()
    capital: Capital = Capital()
    exposure: Exposure = Exposure()
    cooldown: Cooldown = Cooldown()
    churn: Churn = Churn()
    rate_budget: RateBudget = RateBudget()
    quarantine: Quarantine = Quarantine()
    reconcile: Reconcile = Reconcile()
    exits: Exits = Exits()
    health: Health = Health()
    journal: Journal = Journal()
    paper: Paper = Paper()
    kill_switch: KillSwitch = KillSwitch()
    arming: Arming = Arming()
    strategies: Strategies = Strategies()
    signals: Signals = Signals()
    schedule: dict[str, Job] = {}
    profiles: dict[str, Profile] = {}
