"""A paper exchange under random orders, cancels, books and faults: money closes after every step.

The rules of conservation are recomputed here from the exchange's answers, not from its own proof.
"""

import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from desk.base import clock
from desk.venues.outcome import VenueError
from desk.venues.paper_faults import PaperFaults
from desk.venues.paper_reports import PaperSnapshot
from desk.venues.protocol import OPEN_STATUSES, OrderStatus, OrderType, Side, Trade
from unit.venues.paper_kit import SYMBOL, VENUE, Desk, book, d, money_closes, rules_with

TICKS = st.integers(9_500, 10_500).map(lambda cents: f"{Decimal(cents) / 100:f}")
LOTS = st.integers(1, 400_000).map(lambda lots: f"{Decimal(lots) / 100_000:f}")
FRACTIONS = st.sampled_from(["1", "0.37"]).map(Decimal)


class PaperMachine(RuleBasedStateMachine):
    """One account, one symbol, a clock that only moves by rule."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        costs = {"fee_bps": d("7.5"), "slippage_bps": d("3"), "latency_ms": 50, "starting_balance_quote": d("1500")}
        self.faults = PaperFaults()
        self.desk = Desk(Path(self.folder.name), rules=rules_with(notional_min=d("1")), faults=self.faults, costs=costs)
        self.trades_seen: tuple[Trade, ...] = ()
        self.final: dict[str, tuple[OrderStatus, Decimal]] = {}

    def teardown(self) -> None:
        self.folder.cleanup()
        clock._Anchor.wall_ms, clock._Anchor.frozen = None, False

    @rule(
        side=st.sampled_from(["BUY", "SELL"]), kind=st.sampled_from(list(OrderType)), lots=LOTS, price=TICKS, stop=TICKS
    )
    def order(self, side: str, kind: OrderType, lots: str, price: str, stop: str) -> None:
        is_stop = kind in {OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT}
        before = self.desk.broker.books(VENUE)
        try:
            report = self.desk.order(
                side, kind, lots, "" if kind is OrderType.MARKET else price, stop if is_stop else ""
            )
        except VenueError as error:
            if not error.order_may_exist:
                self.is_unchanged(before)
            return
        for trade in report.trades:
            if report.price:
                assert trade.price <= report.price if report.side is Side.BUY else trade.price >= report.price
        one_shot = kind in {OrderType.MARKET, OrderType.LIMIT_IOC, OrderType.LIMIT_FOK}
        assert not (one_shot and report.status in OPEN_STATUSES and not self.faults.late_fill_ms)
        assert kind is not OrderType.LIMIT_FOK or report.executed in {0, report.quantity}

    def is_unchanged(self, before: PaperSnapshot) -> None:
        assert self.desk.broker.books(VENUE) == before

    @rule(middle=st.integers(9_600, 10_400), gap=st.integers(1, 40), sizes=st.lists(LOTS, min_size=0, max_size=4))
    def show_book(self, middle: int, gap: int, sizes: list[str]) -> None:
        bids = [(f"{Decimal(middle - gap - 7 * i) / 100:f}", size) for i, size in enumerate(sizes)]
        asks = [(f"{Decimal(middle + gap + 5 * i) / 100:f}", size) for i, size in enumerate(sizes)]
        resting = {o.client_order_id: o for o in self.desk.client.open_orders() if o.type in {"LIMIT", "LIMIT_MAKER"}}
        made: dict[str, Decimal] = {}
        for trade in self.desk.show(bids, asks):
            assert isinstance(trade, Trade)
            order = resting.get(trade.client_order_id)
            if order is not None and trade.maker:
                best = d(asks[0][0]) if trade.side is Side.BUY else d(bids[0][0])
                assert trade.price == order.price
                assert best < order.price if trade.side is Side.BUY else best > order.price
            made[trade.side] = made.get(trade.side, Decimal(0)) + trade.quantity
        assert all(taken <= sum(map(d, sizes), Decimal(0)) for taken in made.values())

    @rule()
    def show_the_same_book_again(self) -> None:
        """Whatever this book had to give was given the first time, but to orders placed since then."""
        shown = self.desk.shown
        assert shown is not None
        self.desk.broker.on_book(shown, self.desk.now_ms)
        assert self.desk.broker.on_book(shown, self.desk.now_ms) == ()

    @precondition(lambda self: self.desk.client.open_orders())
    @rule(pick=st.integers(0, 50))
    def cancel(self, pick: int) -> None:
        standing = self.desk.client.open_orders()
        chosen = standing[pick % len(standing)]
        report = self.desk.client.cancel_order(SYMBOL, chosen.client_order_id)
        assert (report.status, report.executed) == (OrderStatus.CANCELED, chosen.executed)

    @rule(drops=st.integers(0, 1), late=st.sampled_from([0, 90_000]), fraction=FRACTIONS)
    def set_faults(self, drops: int, late: int, fraction: Decimal) -> None:
        self.faults.drop_after_accept = drops
        self.faults.late_fill_ms, self.faults.partial_fill_frac = late, fraction

    @rule()
    def crossed_book(self) -> None:
        crossed = book([("101", "5")], [("100", "5")], self.desk.now_ms + 1)
        assert self.desk.broker.on_book(crossed, self.desk.now_ms + 1) == ()

    @rule()
    def restart(self) -> None:
        again = Desk(
            self.desk.root, rules=self.desk.rules, shown=self.desk.shown, faults=self.faults, costs=self.desk.costs,
            now_ms=self.desk.now_ms, placed=self.desk.placed,
        )  # fmt: skip
        assert again.broker.books(VENUE) == self.desk.broker.books(VENUE)
        self.desk = again

    @invariant()
    def money_closes(self) -> None:
        books = self.desk.broker.books(VENUE)
        assert money_closes(books)
        assert all(held.free >= 0 and held.locked >= 0 for held in books.balances.values())
        locked = {"USDT": Decimal(0), "BTC": Decimal(0)}
        for order in self.desk.client.open_orders():
            rest = order.quantity - order.executed
            if order.side is Side.SELL:
                locked["BTC"] += rest
            elif order.type != "MARKET":  # a late one locks what it was estimated to cost
                locked["USDT"] += rest * order.price
        if not any(order.type == "MARKET" for order in self.desk.client.open_orders()):
            assert all(books.balances[name].locked == due for name, due in locked.items() if name in books.balances)

    @invariant()
    def history_only_grows(self) -> None:
        books = self.desk.broker.books(VENUE)
        assert books.trades[: len(self.trades_seen)] == self.trades_seen
        self.trades_seen = books.trades
        executed = {order.order_id: Decimal(0) for order in books.orders}
        for trade in books.trades:
            executed[trade.order_id] += trade.quantity
        for order in books.orders:
            assert order.executed == executed[order.order_id] <= order.quantity
            if order.order_id in self.final:
                assert self.final[order.order_id] == (order.status, order.executed)
            elif order.status not in OPEN_STATUSES:
                self.final[order.order_id] = (order.status, order.executed)


PaperMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
TestPaperMachine = PaperMachine.TestCase
