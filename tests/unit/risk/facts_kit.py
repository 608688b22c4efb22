"""Facts under which an entry is allowed, and ways to change one part of them."""

from decimal import Decimal
from typing import Any

import msgspec

from desk.config.schema import Config, System
from desk.journal.state import Close, Intent, Position
from desk.risk.decision import Decision, Kind, Plan, Proposal
from desk.risk.equity import Account
from desk.risk.facts import (
    Arming,
    BreakerFact,
    ClockFact,
    Facts,
    JournalHealth,
    Ledger,
    Poll,
    RateFact,
    Reconciled,
    Status,
    SymbolFacts,
    VenueFacts,
)
from desk.risk.latch_file import KillView, PauseView
from desk.risk.latches import Latches
from desk.venues.protocol import Bar, Book, Level, OrderType, Side, SymbolRules

NOW_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
MINUTE_MS = 60_000
VENUE, SYMBOL, NAME, ACCOUNT = "binance", "BTCUSDT", "binance:BTCUSDT", "binance:USDT"
TODAY = "2026-01-05"


def d(text: str) -> Decimal:
    """A Decimal."""
    return Decimal(text)


RULES = SymbolRules(
    venue=VENUE, symbol=SYMBOL, base="BTC", quote="USDT", status="TRADING", tick=d("0.01"), price_min=d("0.01"),
    price_max=d("1000000"), step=d("0.00001"), quantity_min=d("0.00001"), quantity_max=d("9000"), notional_min=d("5"),
    bid_multiplier_up=d("5"), bid_multiplier_down=d("0.2"), ask_multiplier_up=d("5"), ask_multiplier_down=d("0.2"),
    algo_orders_max=5, order_types=("LIMIT", "MARKET", "STOP_LOSS_LIMIT"),
)  # fmt: skip


def flat_bars(count: int = 40, price: str = "50000") -> tuple[Bar, ...]:
    """One-minute bars around a price, the last one opened at NOW_MS."""
    close = d(price)
    first = NOW_MS - (count - 1) * MINUTE_MS
    high, low = close * d("1.001"), close * d("0.999")
    return tuple(Bar(first + i * MINUTE_MS, close, high, low, close, d("1")) for i in range(count))


def a_book(bid: str = "49999", ask: str = "50001", depth: str = "1") -> Book:
    """One level each side."""
    return Book(
        venue=VENUE, symbol=SYMBOL, bids=(Level(d(bid), d(depth)),), asks=(Level(d(ask), d(depth)),), as_of_ms=NOW_MS
    )


def polls(*pairs: tuple[str, str]) -> tuple[Poll, ...]:
    """Polls one minute apart, the last one now."""
    start = NOW_MS - (len(pairs) - 1) * MINUTE_MS
    return tuple(Poll(at_ms=start + i * MINUTE_MS, bid=d(b), ask=d(a)) for i, (b, a) in enumerate(pairs))


SEEN = SymbolFacts(
    venue=VENUE, symbol=SYMBOL, rules=RULES, rules_ms=NOW_MS, book=a_book(), book_ms=NOW_MS, bars=flat_bars(),
    bars_now_ms=NOW_MS, polls=polls(("50010", "50012"), ("49999", "50001")), mark_bid=d("49999"),
)  # fmt: skip
OWNED = Account(
    venue=VENUE, quote="USDT", opened=True, value=d("10000"), equity=d("10000"), exposure=d("0"), free_quote=d("10000"),
    marked=True, last_equity=d("10000"), day_open=d("10000"), day=TODAY, peak=d("10000"),
)  # fmt: skip
LEDGER = Ledger(
    positions={}, dust={}, closes={}, intents={}, quarantine={}, churn={}, accounts={ACCOUNT: OWNED}, resealed=False
)
CALM = Latches(KillView(False), PauseView("NORMAL"), env_kill=False)
GOOD = Facts(
    now_ms=NOW_MS, tick_ms=NOW_MS, mode="PAPER", stamp="PAPER", arming=Arming(dry_run=False, safe_mode=False),
    latches=CALM, limits=Config(), status=Status(mode="NORMAL", reasons=(), written_ms=NOW_MS),
    reconciled=Reconciled(last_success_ms=NOW_MS, clean=True, score=0),
    journal=JournalHealth(writable=True, damaged=False, reserve=True),
    venues={
        VENUE: VenueFacts(
            venue=VENUE, clock=ClockFact(offset_ms=3, error_ms=20, measured_ms=NOW_MS),
            breakers=BreakerFact(api="closed", orders="closed"),
            rate=RateFact(used_frac=d("0.1"), orders_frac=d("0"), back_off_until_ms=0, ban_until_ms=0),
        )
    },
    symbols={NAME: SEEN}, ledger=LEDGER,
)  # fmt: skip
ARMED = Arming(
    live_flag=True, dry_run=False, safe_mode=False, live_trading=True, ack=True, live_ok=True,
    certificate_required=True, certificate_valid=True,
)  # fmt: skip
LIVE = msgspec.structs.replace(GOOD, mode="LIVE", stamp="LIVE", arming=ARMED)
PLAN = Plan(
    type=str(OrderType.LIMIT_IOC), quantity=d("0.002"), price=d("50001"), reference_price=d("50000"),
    notional=d("100.002"), stop_price=d("49000"), target_price=d("52000"), spread_frac=d("0.00004"),
    slippage_frac=d("0.00002"), fee_frac=d("0.002"), cost_bps=d("20.4"),
)  # fmt: skip
BUY = Decision(
    decision_id="d1", strategy="test", version="1", venue=VENUE, symbol=SYMBOL, side=Side.BUY, kind=Kind.ENTRY,
    occasion="1", edge_bps=d("100"),
)  # fmt: skip
SELL = msgspec.structs.replace(BUY, side=Side.SELL, kind=Kind.EXIT, edge_bps=d("0"))
ENTRY = Proposal(decision=BUY, plan=PLAN)
HELD = Position(
    position_id="p1", venue=VENUE, symbol=SYMBOL, base="BTC", quote="USDT", quantity=d("0.002"), cost_quote=d("100"),
    opened_ms=NOW_MS,
)  # fmt: skip
EXIT = Proposal(
    decision=SELL,
    plan=msgspec.structs.replace(PLAN, price=d("49999"), stop_price=d("0"), target_price=d("0"), cost_bps=d("0")),
)
HOLDING = msgspec.structs.replace(GOOD, ledger=msgspec.structs.replace(LEDGER, positions={NAME: HELD}))


def changed(thing: Any, **values: Any) -> Any:
    """A copy with fields replaced; `a__b=x` replaces field b of field a, one level of mapping keys included."""
    result = thing
    for name, value in values.items():
        head, _, rest = name.partition("__")
        new = changed(getattr(result, head), **{rest: value}) if rest else value
        result = msgspec.structs.replace(result, **{head: new})
    return result


def with_symbol(facts: Facts = GOOD, **values: Any) -> Facts:
    """The facts with the symbol's changed."""
    return changed(facts, symbols={NAME: changed(facts.symbols[NAME], **values)})


def with_rules(facts: Facts = GOOD, **values: Any) -> Facts:
    """The facts with the symbol's rules changed."""
    return with_symbol(facts, rules=changed(facts.symbols[NAME].rules, **values))


def with_venue(facts: Facts = GOOD, **values: Any) -> Facts:
    """The facts with the venue's changed."""
    return changed(facts, venues={VENUE: changed(facts.venues[VENUE], **values)})


def with_account(facts: Facts = GOOD, **values: Any) -> Facts:
    """The facts with the account's changed."""
    return changed(facts, ledger__accounts={ACCOUNT: changed(OWNED, **values)})


def with_ai(facts: Facts, ai_dec: int) -> Facts:
    """The facts with AI_DEC."""
    return changed(facts, limits__system=System(ai_dec=ai_dec))  # type: ignore[arg-type]


def killed(level: str = "reduce_only") -> Latches:
    """The kill switch engaged."""
    return Latches(KillView(True, level, ("manual",)), PauseView("NORMAL"), env_kill=False)


def paused(state: str = "PAUSE") -> Latches:
    """PAUSE, or DEGRADE, latched."""
    return Latches(KillView(False), PauseView(state, ("health:manual_pause",)), env_kill=False)


def an_intent(**values: Any) -> Intent:
    """An entry order of the symbol that rests."""
    found = Intent(
        state="CONFIRMED", venue=VENUE, symbol=SYMBOL, base="BTC", quote="USDT", kind="ENTRY", leg="entry", attempt=0,
        side="BUY", type="LIMIT", quantity=d("0.002"), price=d("50000"), position_id="p9", status="NEW",
        created_ms=NOW_MS,
    )  # fmt: skip
    return msgspec.structs.replace(found, **values)


def with_intent(facts: Facts = GOOD, **values: Any) -> Facts:
    """The facts with one intent."""
    return changed(facts, ledger__intents={"c1": an_intent(**values)})


def with_close(minutes_ago: int, realised: str = "1", stop_out: bool = False, name: str = NAME) -> Facts:
    """The facts with one close."""
    close = Close(at_ms=NOW_MS - minutes_ago * MINUTE_MS, realised_quote=d(realised), stop_out=stop_out)
    return changed(GOOD, ledger__closes={name: close})


def with_churn(*events: tuple[int, str]) -> Facts:
    """The facts with order events so many seconds ago."""
    found = tuple(sorted((NOW_MS - ago * 1000, what) for ago, what in events))
    return changed(GOOD, ledger__churn={NAME: found})
