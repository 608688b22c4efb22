"""A trading desk on paper without a network: real journal, real store, real paper exchange, books made by hand."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import msgspec

from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings, load
from desk.execution.desk import Desk
from desk.execution.intent import OrderPlan
from desk.journal.state import Intent, Position
from desk.risk.facts import Arming, Facts, SymbolFacts, ledger_of
from desk.runtime import tick
from desk.runtime.tick import Run
from desk.venues.paper import PaperBroker
from desk.venues.paper_faults import PaperFaults
from desk.venues.protocol import Book, Level, OrderType, Side, SymbolRules

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
D = Decimal

RULES = SymbolRules(
    venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", status="TRADING", tick=D("0.01"),
    price_min=D("0.01"), price_max=D("1000000"), step=D("0.00001"), quantity_min=D("0.00001"), quantity_max=D("9000"),
    notional_min=D("5"), order_types=("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS_LIMIT"),
)  # fmt: skip


def freeze(ms: int) -> None:
    """Make the house clock stand at a time, as the simulator's does inside a tick."""
    clock._Anchor.wall_ms, clock._Anchor.frozen = ms, True


@dataclasses.dataclass
class Bench:
    """One PAPER home with everything orders need."""

    home: Home
    settings: Settings
    faults: PaperFaults
    rules: SymbolRules
    now_ms: int = START_MS
    bid: Decimal = D("50000")
    depth: Decimal = D("10")
    has_bids: bool = True

    def book(self) -> Book:
        """A one-level book around the bid; asks one tick above."""
        bids = (Level(self.bid, self.depth),) if self.has_bids else ()
        asks = (Level(self.bid + D("0.01"), self.depth),)
        return Book(venue="binance", symbol="BTCUSDT", bids=bids, asks=asks, as_of_ms=self.now_ms)

    def run(self) -> Run:
        """A fresh run, as a new process would open it."""
        freeze(self.now_ms)
        return tick._open("router", self.home, self.settings, self.now_ms, True, False, None)

    def desk(self) -> Desk:
        """A fresh desk with facts for this time and price; resting paper orders have met the book."""
        run = self.run()
        broker = self.broker()
        broker.open(may_create=not run.journal.read_fold().portfolio.opening)
        desk = Desk(run, broker.client)
        broker.on_book(self.book(), self.now_ms)
        desk.facts = self.facts(desk)
        return desk

    def broker(self) -> PaperBroker:
        return PaperBroker(
            self.home, self.settings, lambda venue, symbol: self.rules, lambda venue, symbol: self.book(), self.faults
        )

    def facts(self, desk: Desk) -> Facts:
        book = self.book()
        found = SymbolFacts(
            venue="binance", symbol="BTCUSDT", rules=self.rules, book=book, book_ms=self.now_ms, mark_bid=self.bid,
            bars_now_ms=self.now_ms,
        )  # fmt: skip
        symbols = {"binance:BTCUSDT": found}
        return Facts(
            now_ms=self.now_ms, tick_ms=self.now_ms, mode="PAPER", stamp="PAPER", arming=Arming(), latches=None,
            limits=self.settings.config, status=None, reconciled=None, journal=None, venues={}, symbols=symbols,
            ledger=ledger_of(desk.fold(), symbols, self.now_ms),
        )  # fmt: skip

    def later(self, ms: int) -> None:
        self.now_ms += ms
        freeze(self.now_ms)

    def intents(self) -> dict[str, Intent]:
        return self.run().journal.read_fold().intents.intents

    def position(self) -> Position | None:
        return self.run().journal.read_fold().positions.positions.get("binance:BTCUSDT")


def bench(folder: Path, **changes: object) -> Bench:
    """A bench in an empty folder; `changes` are fields of Bench."""
    freeze(START_MS)
    home = Home(folder).ensure()
    return Bench(home, load(home), PaperFaults(), RULES, **changes)  # type: ignore[arg-type]


def entry(quantity: str = "0.002", price: str = "50010", decision: str = "d1", **changes: object) -> OrderPlan:
    """An entry plan with a stop at 49000 and a target at 52000."""
    plan = OrderPlan(
        venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", kind="ENTRY", leg="entry", side=Side.BUY,
        type=OrderType.LIMIT_IOC, quantity=D(quantity), price=D(price), position_id="p" + decision,
        decision_id=decision, strategy="test", plan_stop=D("49000"), plan_target=D("52000"),
    )  # fmt: skip
    return msgspec.structs.replace(plan, **changes)


def ok() -> str:
    """A last check that stops nothing."""
    return ""
