"""Every file under `state/`: one row each, the only list. Owns the table; opens nothing.

`docs/state.md` is generated from it and a drift test holds rows, files and docs together.
To add a state file: one row here, one reader that honours its fail-closed reading.
"""

from enum import StrEnum
from typing import Final

import msgspec

from desk.base.errors import InvariantError


class Kind(StrEnum):
    """The four kinds of design 3."""

    PROJECTION = "projection"  # folded from the journal; fsynced; rebuilt by audit.py rebuild
    CONTROL = "control"  # an operator may edit it by hand; fsynced; keeps a _digest
    PAPER_TRUTH = "paper truth"  # the paper exchange's own books; fsynced
    OBSERVATION = "observation"  # losing it costs a re-read; replaced atomically, not fsynced


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One state file (or one family, with `{name}` in its file)."""

    key: str
    file: str
    kind: Kind
    writers: tuple[str, ...]
    if_missing: str
    if_corrupt: str
    stale_after_s: int = 0  # 0: age does not matter
    may_be_empty: bool = False  # a mark: a file without a byte, as `touch` makes it, reads as an empty object
    what: str


_EVERY_DOOR = (
    "router", "heartbeat", "reconcile", "policy_engine", "binance_client", "mexc_client", "btcturk_client",
)  # fmt: skip

ROWS: Final[tuple[Row, ...]] = (
    Row(
        key="intents", file="intents.json", kind=Kind.PROJECTION, writers=("journal",),
        if_missing="rebuilt from the journal", if_corrupt="rebuilt from the journal",
        what="every order that can stand on an exchange, by client order id",
    ),
    Row(
        key="positions", file="positions.json", kind=Kind.PROJECTION, writers=("journal",),
        if_missing="rebuilt from the journal", if_corrupt="rebuilt from the journal",
        what="open positions, dust and cool-downs, by venue and symbol",
    ),
    Row(
        key="portfolio", file="portfolio.json", kind=Kind.PROJECTION, writers=("journal",),
        if_missing="rebuilt from the journal", if_corrupt="rebuilt from the journal",
        what="balances by journal, realised P&L, fees, equity peak, risk day, latches, and where the fold stands",
    ),
    Row(
        key="circuit_breakers", file="circuit_breakers.json", kind=Kind.CONTROL, writers=("risk.breaker",),
        if_missing="created by heartbeat, one closed entry per listed venue", if_corrupt="open for entries",
        what="circuit breakers, by component",
    ),
    Row(
        key="kill_switch", file="kill_switch.json", kind=Kind.CONTROL, writers=("risk.kill_switch",),
        if_missing="PAPER: the journal's last latch; LIVE: active", if_corrupt="active",
        what="the kill switch: state, level, reason, since, by",
    ),
    Row(
        key="pause", file="pause.json", kind=Kind.CONTROL, writers=("risk.pause",),
        if_missing="the journal's last pause", if_corrupt="paused",
        what="PAUSE and DEGRADE by hand or by a latched cause: state, reasons, since, by",
    ),
    Row(
        key="live_ok", file="LIVE.ok", kind=Kind.CONTROL, writers=("risk.arming",),
        if_missing="not armed", if_corrupt="not armed; remove it, or arm anew", may_be_empty=True,
        what="LIVE entries are armed here, by arming.py; on mainnet a file the journal does not know of arms nothing",
    ),
    Row(
        key="safe_mode", file="safe_mode.json", kind=Kind.CONTROL, writers=("risk.arming",),
        if_missing="the journal's last word", if_corrupt="on: nothing is sent",
        what="safe mode held by arming.py baseline: state (on, off), reason, since, by",
    ),
    Row(
        key="limits_overlay", file="limits_overlay.json", kind=Kind.CONTROL, writers=("risk.limits",),
        if_missing="no overlay", if_corrupt="no entries",
        what="tighten-only limits that expire",
    ),
    Row(
        key="paper_broker", file="paper_broker.json", kind=Kind.PAPER_TRUTH, writers=("venues.paper",),
        if_missing="PAUSE when the PAPER journal is not empty", if_corrupt="PAUSE",
        what="the paper exchange's own orders, trades and balances",
    ),
    Row(
        key="mode", file="mode.json", kind=Kind.OBSERVATION, writers=("journal",),
        if_missing="read from the journal's genesis", if_corrupt="read from the journal's genesis",
        what="mirror of the folder's mode stamp",
    ),
    Row(
        key="audit_head", file="audit_head.json", kind=Kind.OBSERVATION, writers=("journal",),
        if_missing="the journal is verified from the segment's start", if_corrupt="as missing",
        what="hint: seq, hash, file and offset of the last durable group",
    ),
    Row(
        key="order_lease", file="order_lease.json", kind=Kind.OBSERVATION, writers=("runtime.tick",),
        if_missing="nobody has held the order lease", if_corrupt="as missing",
        what="who holds the order lease and when it was last alive",
    ),
    Row(
        key="market_data", file="market_data_{venue}_{source}.json", kind=Kind.OBSERVATION,
        writers=("binance_client", "mexc_client", "btcturk_client", "router", "market_stream"),
        if_missing="fetched", if_corrupt="fetched", stale_after_s=300,
        what="best bid and ask per symbol with their ages, recent polls; the stream's also book and candles",
    ),
    Row(
        key="user_data", file="user_data_{venue}.json", kind=Kind.OBSERVATION, writers=("market_stream",),
        if_missing="orders are looked up as without streams", if_corrupt="as missing; remove it",
        what="what the user data stream said last of each order: a reason to look it up, never booked itself",
    ),
    Row(
        key="streams", file="streams_{venue}.json", kind=Kind.OBSERVATION, writers=("market_stream",),
        if_missing="no stream runs", if_corrupt="as missing; remove it", stale_after_s=60,
        what="the WebSocket service: phase, data age mark, reconnects, gaps, the last wish it has answered",
    ),
    Row(
        key="stream_control", file="stream_control_{venue}.json", kind=Kind.OBSERVATION, writers=("market_stream",),
        if_missing="nothing is wished for", if_corrupt="as missing; remove it",
        what="an operator's wish to the WebSocket service: reconnect",
    ),
    Row(
        key="clock", file="clock.json", kind=Kind.OBSERVATION, writers=("venues.transport",),
        if_missing="measured", if_corrupt="measured", stale_after_s=300,
        what="offset and error bound per venue",
    ),
    Row(
        key="rate_budget", file="rate_budget.json", kind=Kind.OBSERVATION, writers=("venues.rate_budget",),
        if_missing="limits assumed, nothing used", if_corrupt="as missing", stale_after_s=60,
        what="request weight and order counts used per venue, back-off and ban times",
    ),
    Row(
        key="filters", file="filters_{venue}.json", kind=Kind.OBSERVATION,
        writers=("binance_client", "mexc_client", "btcturk_client", "router", "reconcile"),
        if_missing="fetched", if_corrupt="fetched", stale_after_s=86_400,
        what="trading rules per symbol and their hash",
    ),
    Row(
        key="system_status", file="system_status.json", kind=Kind.OBSERVATION, writers=("heartbeat",),
        if_missing="no entries", if_corrupt="no entries", stale_after_s=180,
        what="every check's verdict, Overall, trading, system mode and its reasons",
    ),
    Row(
        key="policy", file="policy.json", kind=Kind.OBSERVATION, writers=("policy_engine",),
        if_missing="shown as unknown", if_corrupt="shown as unknown", stale_after_s=180,
        what="preview of all gates",
    ),
    Row(
        key="reconcile", file="reconcile.json", kind=Kind.OBSERVATION, writers=("reconcile",),
        if_missing="no entries", if_corrupt="no entries", stale_after_s=900,
        what="last reconcile: differences by name, drift score",
    ),
    Row(
        key="cron_health", file="cron_health.json", kind=Kind.OBSERVATION, writers=("heartbeat",),
        if_missing="written by the next heartbeat", if_corrupt="as missing", stale_after_s=180,
        what="each scheduled job: last run, lateness, status",
    ),
    Row(
        key="runs", file="runs/{script}.json", kind=Kind.OBSERVATION, writers=("runtime.tick",),
        if_missing="never ran", if_corrupt="as missing",
        what="last run of a door: lastRunAtMs, lastDurationMs, counts, verdict",
    ),
)  # fmt: skip
BY_KEY: Final = {row.key: row for row in ROWS}


def row(key: str) -> Row:
    """The row of a key; an unlisted key is a bug."""
    found = BY_KEY.get(key)
    if found is None:
        raise InvariantError(f"state file {key!r} has no row in desk/state/registry.py")
    return found
