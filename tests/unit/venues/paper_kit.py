"""What the paper tests share: one home, one clock that stands still, one hand-made market. Run as a program it is a
second process on the same paper books (see `main`)."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec

from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings
from desk.config.mode import Mode, Switches, VenueEnv
from desk.config.schema import Config, Paper, System
from desk.venues.outcome import Klass, VenueError
from desk.venues.paper import PaperBroker
from desk.venues.paper_faults import PaperFaults
from desk.venues.paper_reports import PaperSnapshot
from desk.venues.protocol import Book, Level, OrderReport, OrderRequest, OrderType, Side, SymbolRules

START_MS = 1_621_382_400_000
VENUE, SYMBOL = "binance", "BTCUSDT"
TRIES_MAX = 50
RULES = SymbolRules(
    venue=VENUE, symbol=SYMBOL, base="BTC", quote="USDT", status="TRADING", tick=Decimal("0.01"),
    step=Decimal("0.00001"), quantity_min=Decimal("0.00001"), notional_min=Decimal(10),
)  # fmt: skip
Levels = Iterable[tuple[str, str]]


def d(text: str) -> Decimal:
    """A Decimal."""
    return Decimal(text)


def rules_with(**changes: object) -> SymbolRules:
    """The usual rules, changed."""
    return msgspec.structs.replace(RULES, **changes)


def set_clock(now_ms: int) -> None:
    """Let the house clock stand at a time."""
    clock._Anchor.wall_ms, clock._Anchor.frozen = now_ms, True


def book(bids: Levels, asks: Levels, as_of_ms: int = START_MS, symbol: str = SYMBOL, venue: str = VENUE) -> Book:
    """A book from (price, quantity) texts."""
    return Book(
        venue=venue, symbol=symbol, as_of_ms=as_of_ms, bids=tuple(Level(d(p), d(q)) for p, q in bids),
        asks=tuple(Level(d(p), d(q)) for p, q in asks),
    )  # fmt: skip


STANDARD = book([("99.90", "1"), ("99.80", "2"), ("99.00", "5")], [("100.00", "1"), ("100.10", "2"), ("101.00", "5")])


def settings_of(home: Home, venues: tuple[str, ...] = (VENUE,), **paper: object) -> Settings:
    """PAPER settings with no fee, no slippage and no latency unless said."""
    costs = Paper(**({"fee_bps": d("0"), "slippage_bps": d("0"), "latency_ms": 0} | paper))
    config = Config(system=System(venues=venues, universe_symbols=(SYMBOL,)), paper=costs)
    off = Switches(kill_switch=False, safe_mode=False, dry_run=False, live_trading=False, live_trading_ack=False)
    return Settings(home, Mode.PAPER, VenueEnv.SIM, off, config, {}, {})


@dataclass
class Desk:
    """One broker on one home, its market and its clock in the test's hand."""

    root: Path
    rules: SymbolRules = RULES
    shown: Book | None = STANDARD
    faults: PaperFaults = field(default_factory=PaperFaults)
    costs: dict[str, object] = field(default_factory=dict)
    now_ms: int = START_MS
    placed: int = 0
    opens: bool = True

    def __post_init__(self) -> None:
        self.home = Home(self.root).ensure()
        set_clock(self.now_ms)
        settings = settings_of(self.home, **self.costs)
        self.broker = PaperBroker(self.home, settings, self._rules_of, lambda venue, symbol: self.shown, self.faults)
        if self.opens:
            self.broker.open(may_create=not (self.home.state / "paper_broker.json").exists())
        self.client = self.broker.client(VENUE)

    def _rules_of(self, venue: str, symbol: str) -> SymbolRules | None:
        return msgspec.structs.replace(self.rules, venue=venue) if symbol == self.rules.symbol else None

    def at(self, now_ms: int) -> None:
        """Move the clock."""
        self.now_ms = now_ms
        set_clock(now_ms)

    def show(self, bids: Levels, asks: Levels, later_ms: int = 60_000) -> tuple[object, ...]:
        """Time passes, a fresh book is shown to the resting orders; returns the trades it made."""
        self.at(self.now_ms + later_ms)
        self.shown = book(bids, asks, self.now_ms)
        return self.broker.on_book(self.shown, self.now_ms)

    def order(
        self, side: str, kind: OrderType, quantity: str, price: str = "", stop: str = "", name: str = ""
    ) -> OrderReport:
        """Place one order; client ids count up unless named."""
        self.placed += 1
        request = OrderRequest(
            client_order_id=name or f"c{self.placed}", symbol=SYMBOL, side=Side(side), type=kind, quantity=d(quantity),
            price=d(price) if price else None, stop_price=d(stop) if stop else None,
        )  # fmt: skip
        return self.client.place_order(request, self.now_ms)

    def buy(self, quantity: str) -> OrderReport:
        """Something to sell later: a market purchase."""
        return self.order("BUY", OrderType.MARKET, quantity)

    def free(self, asset: str) -> Decimal:
        """Free balance."""
        held = self.client.balances().get(asset)
        return held.free if held else Decimal(0)

    def locked(self, asset: str) -> Decimal:
        """Locked balance."""
        held = self.client.balances().get(asset)
        return held.locked if held else Decimal(0)


def money_closes(books: PaperSnapshot) -> bool:
    """Opening + what was pruned + every trade = balances, recomputed from the answers alone."""
    due = dict(books.opening)
    for asset, change in books.pruned.items():
        due[asset] = due.get(asset, Decimal(0)) + change
    for trade in books.trades:
        sign = 1 if trade.side is Side.BUY else -1
        for asset, change in (
            ("BTC", sign * trade.quantity), ("USDT", -sign * trade.quantity * trade.price),
            (trade.fee_asset, -trade.fee),
        ):  # fmt: skip
            due[asset] = due.get(asset, Decimal(0)) + change
    held = {name: balance.free + balance.locked for name, balance in books.balances.items()}
    return all(due.get(name, Decimal(0)) == held.get(name, Decimal(0)) for name in {**due, **held})


def main(root: str, prefix: str, count: str) -> None:
    """A second process: place `count` far resting orders, printing each id once it was answered."""
    desk = Desk(Path(root))
    for index in range(int(count)):
        name = f"{prefix}{index}"
        for _ in range(TRIES_MAX):
            try:
                desk.order("BUY", OrderType.LIMIT, "0.2", "50.00", name=name)
                break
            except VenueError as error:  # the books were busy: nothing happened
                if error.class_ is not Klass.NOT_SENT:
                    raise
        print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
