"""A healthy account for the checks' tests, and how to change one thing about it."""

from decimal import Decimal
from typing import Any

import msgspec

from desk.config.schema import Config
from desk.health.facts import ClockLook, HealthFacts, JobLook, JournalLook, LeaseLook, ModeLook, ReconcileLook
from desk.health.result import CheckResult
from desk.journal import state
from desk.journal.state import Capital, Fold, Intent, Position
from desk.risk import breaker_rules
from desk.risk.facts import Arming, Poll, SymbolFacts, ledger_of
from desk.risk.latch_file import KillView, PauseView
from desk.venues.protocol import SymbolRules
from desk.venues.rate_budget import Budget, Use

NOW = 1_767_225_600_000 + 12 * 3_600_000  # 2026-01-01T12:00:00Z
MINUTE = 60_000
HOUR = 60 * MINUTE
SYMBOL = "BTCUSDT"
NAME = f"binance:{SYMBOL}"
RULES = SymbolRules(
    venue="binance", symbol=SYMBOL, base="BTC", quote="USDT", status="TRADING",
    order_types=("LIMIT", "MARKET", "STOP_LOSS_LIMIT"),
)  # fmt: skip
ARMED = Arming(
    live_flag=True, dry_run=False, safe_mode=False, live_trading=True, ack=True, live_ok=True,
    certificate_required=False,
)  # fmt: skip


def entry(state_word: str = "closed", **more: Any) -> breaker_rules.Entry:
    values: dict[str, Any] = {"last_success_ms": NOW - 1000} | more
    return breaker_rules.Entry(state=breaker_rules.State(state_word), **values)


def job(door: str, interval_s: int = 60, age_s: int = 30, **more: Any) -> JobLook:
    values: dict[str, Any] = {
        "enabled": True, "last_run_ms": NOW - 1000 * age_s, "last_success_ms": NOW - 1000 * age_s,
        "last_duration_ms": 900,
    } | more  # fmt: skip
    return JobLook(door=door, interval_s=interval_s, **values)


def jobs(**changed: JobLook) -> tuple[JobLook, ...]:
    """The three essential jobs, some of them changed."""
    usual = {"router": job("router"), "heartbeat": job("heartbeat", age_s=60), "reconcile": job("reconcile", 300, 120)}
    return tuple((usual | changed).values())


def symbol(bids: tuple[str, ...] = ("100", "100.1", "100.2"), age_ms: int = 1000, **more: Any) -> SymbolFacts:
    """Stored polls, one a minute, the last one `age_ms` old; an ask 0.01 above each bid."""
    last = NOW - age_ms
    polls = tuple(
        Poll(at_ms=last - (len(bids) - 1 - place) * MINUTE, bid=Decimal(bid), ask=Decimal(bid) + Decimal("0.01"))
        for place, bid in enumerate(bids)
    )
    values: dict[str, Any] = {
        "venue": "binance", "symbol": SYMBOL, "rules": RULES, "polls": polls, "book_ms": last,
        "mark_bid": polls[-1].bid if polls else None,
    } | more  # fmt: skip
    return SymbolFacts(**values)


def fold(positions: tuple[Position, ...] = (), intents: dict[str, Intent] | None = None) -> Fold:
    """A journal with opening balances, some positions and some orders."""
    found = state.empty()
    found.portfolio.mode, found.portfolio.applied_seq, found.portfolio.applied_hash = "PAPER", 42, "ab" * 32
    spent = sum((p.cost_quote for p in positions), Decimal(0))
    found.portfolio.opening = {"binance": {"USDT": Decimal(10_000)}}
    found.portfolio.balances = {"binance": {"USDT": Decimal(10_000) - spent}}
    found.portfolio.capital = {
        "binance:USDT": Capital(
            equity=Decimal(10_000), peak=Decimal(10_000), day_open=Decimal(10_000), day="2026-01-01"
        )
    }
    found.positions.positions = {f"{p.venue}:{p.symbol}": p for p in positions}
    found.intents.intents = intents or {}
    return found


def position(quantity: str = "1", **more: Any) -> Position:
    values: dict[str, Any] = {
        "position_id": "p1", "venue": "binance", "symbol": SYMBOL, "base": "BTC", "quote": "USDT",
        "quantity": Decimal(quantity), "cost_quote": Decimal(quantity) * 100, "stop_price": Decimal(95),
        "opened_ms": NOW - HOUR,
    } | more  # fmt: skip
    return Position(**values)


def intent(**more: Any) -> Intent:
    """A stop that rests."""
    values: dict[str, Any] = {
        "state": "CONFIRMED", "status": "NEW", "venue": "binance", "symbol": SYMBOL, "base": "BTC", "quote": "USDT",
        "kind": "EXIT", "leg": "stop", "attempt": 0, "side": "SELL", "type": "STOP_LOSS_LIMIT",
        "quantity": Decimal(1), "price": Decimal(94), "position_id": "p1", "created_ms": NOW - HOUR,
    } | more  # fmt: skip
    return Intent(**values)


def facts(mode: str = "PAPER", **more: Any) -> HealthFacts:
    """A healthy account under `mode`, with the named fields changed; accounts are valued from fold and market."""
    held = more.get("fold", fold())
    market = more.get("market", {NAME: symbol()})
    accounts = ledger_of(held, market, NOW).accounts if held is not None else {}
    values: dict[str, Any] = {
        "now_ms": NOW, "mode": mode, "stamp": mode, "venues": ("binance",), "symbols": (SYMBOL,), "limits": Config(),
        "config_hash": "c0ffee", "install_ms": NOW - 24 * HOUR, "fold": held, "journal": JournalLook(),
        "kill": KillView(False), "pause": PauseView("NORMAL"), "arming": ARMED,
        "system": ModeLook(mode="NORMAL", reasons=(), since_ms=NOW - HOUR),
        "clocks": {"binance": ClockLook(skew_ms=38, error_ms=4, stored_offset_ms=40)},
        "breakers": {"binance_api": entry(), "binance_orders": entry()},
        "rates": {"binance": Budget(weight=Use(count=60, limit=6000, seen_ms=NOW - 1000))}, "market": market,
        "accounts": accounts, "reconciled": ReconcileLook(last_success_ms=NOW - 2 * MINUTE, clean=True),
        "jobs": jobs(), "lease": LeaseLook(), "disk_free_bytes": 50 * 2**30,
    } | more  # fmt: skip
    return HealthFacts(**values)


def limits(section: str, **values: Any) -> Config:
    """The default configuration with some keys of one section changed."""
    config = Config()
    return msgspec.structs.replace(config, **{section: msgspec.structs.replace(getattr(config, section), **values)})


def codes(result: CheckResult) -> set[str]:
    return {str(cause.reason) for cause in result.causes if cause.reason is not None}
