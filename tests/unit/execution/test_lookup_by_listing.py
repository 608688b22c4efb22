"""Not found on a venue without a lookup by client id: rules.md, Intents, row btcturk. Paper account, LIVE's reading."""

from pathlib import Path

import msgspec
import pytest

from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.execution import books, lookup, submit
from desk.execution.desk import Desk
from desk.journal.state import Intent
from desk.risk import latch_file, latches
from desk.venues.paper_client import PaperClient
from desk.venues.protocol import Book, Level, OrderReport, OrderRequest, OrderType, Side
from kit import RULES, Bench, D, bench, entry, ok

QUIET_MS, GAP_MS = 300_000, 30_000
ENTRY = entry(venue="btcturk", type=OrderType.LIMIT)


class Turk(Bench):
    """A bench whose one venue is BTCTurk."""

    def book(self) -> Book:
        asks = (Level(self.bid + D("0.01"), self.depth),)
        return Book(
            venue="btcturk", symbol="BTCUSDT", bids=(Level(self.bid, self.depth),), asks=asks, as_of_ms=self.now_ms
        )

    def desk(self, mode: Mode = Mode.PAPER) -> Desk:
        run = self.run()
        broker = self.broker()
        opening = run.journal.read_fold().portfolio.opening
        broker.open(may_create=not opening)
        if mode is Mode.LIVE:
            run.settings = msgspec.structs.replace(run.settings, mode=Mode.LIVE)
        desk = Desk(run, broker.client)
        if not opening:
            assert books.open_books(desk, "btcturk")
        return desk

    def look(self, wait_ms: int, mode: Mode = Mode.PAPER) -> tuple[str, int]:
        """Time passes and every unsettled order is looked up; the state and looks of the first one."""
        self.later(wait_ms)
        lookup.look_at_all(self.desk(mode))
        intent = self.first()
        return intent.state, intent.looks

    def first(self) -> Intent:
        return next(iter(self.intents().values()))

    def foreign(self) -> OrderReport:
        """A trade of this account that the journal knows nothing of."""
        order = OrderRequest(
            client_order_id="byhand", symbol="BTCUSDT", side=Side.BUY, type=OrderType.LIMIT, quantity=D("0.001"),
            price=D("50010"),
        )  # fmt: skip
        return self.broker().client("btcturk").place_order(order, self.now_ms)


@pytest.fixture
def turk(home: Path, monkeypatch: pytest.MonkeyPatch) -> Turk:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    monkeypatch.setenv("VENUES", "btcturk")
    base = bench(home)
    rules = msgspec.structs.replace(RULES, venue="btcturk")
    return Turk(base.home, base.settings, base.faults, rules)


def lost(turk: Turk) -> None:
    """An order whose answer never came and that the exchange never had."""
    turk.faults.drop_before = 1
    submit.submit(turk.desk(), ENTRY, ok)
    assert turk.first().state == "SENT_UNKNOWN"


def test_not_found_needs_300_s_and_three_looks_apart(turk: Turk) -> None:
    lost(turk)
    waits = (QUIET_MS, 1000, 10_000, 20_000, GAP_MS)
    states = [turk.look(wait_ms) for wait_ms in waits]
    # at 300 s it counts for nothing, at 301 s it is the first, at 311 s too soon, at 331 s the second, then the third
    assert states == [("SENT_UNKNOWN", n) for n in (0, 1, 1, 2)] + [("NOT_FOUND", 3)]


def test_a_look_lists_once_and_asks_for_trades_and_balances(turk: Turk, monkeypatch: pytest.MonkeyPatch) -> None:
    lost(turk)
    asked: list[str] = []
    for name in ("get_order", "open_orders", "my_trades", "balances"):
        real = getattr(PaperClient, name)
        monkeypatch.setattr(
            PaperClient, name, lambda self, *args, name=name, real=real: (asked.append(name), real(self, *args))[1]
        )
    turk.look(QUIET_MS + 1000)
    assert asked == ["get_order", "my_trades", "balances"], "the client's get_order lists open orders already"


def test_a_lost_answer_is_found_with_its_fills_and_the_fee_in_quote(turk: Turk) -> None:
    turk.faults.drop_after_accept = 1
    submit.submit(turk.desk(), ENTRY, ok)
    turk.look(GAP_MS)
    found = turk.first()
    assert (found.state, found.status, found.filled) == ("CONFIRMED", "FILLED", D("0.002"))
    position = turk.run().journal.read_fold().positions.positions["btcturk:BTCUSDT"]
    assert position.quantity == D("0.002"), "nothing of the coins went for the fee"
    assert position.cost_quote == found.filled_quote + found.fees["USDT"]


def test_an_unexplained_balance_is_no_evidence_and_in_live_a_pause(turk: Turk) -> None:
    lost(turk)
    turk.foreign()
    assert [turk.look(QUIET_MS + 1000), turk.look(GAP_MS)] == [("SENT_UNKNOWN", 0)] * 2
    assert turk.run().journal.read_fold().portfolio.pause.state == latch_file.NORMAL, "PAPER: reconcile says it"
    assert turk.look(GAP_MS, Mode.LIVE) == ("SENT_UNKNOWN", 0)
    fold = turk.run().journal.read_fold()
    found = latches.effective(turk.home, fold, turk.settings)
    assert (found.pause.state, list(found.pause.reasons)) == (latch_file.PAUSE, [str(Reason.MANUAL_NEEDED)])
    assert any("balance of BTC, USDT changed" in alert.text for alert in fold.portfolio.alerts.values())


def test_the_fill_of_another_order_explains_a_balance(turk: Turk) -> None:
    """The other order's answer was lost too; it is booked before anyone calls the change unexplained."""
    lost(turk)
    turk.later(1000)
    turk.faults.drop_after_accept = 1
    other = msgspec.structs.replace(ENTRY, decision_id="d2", position_id="pd2")
    submit.submit(turk.desk(), other, ok)
    assert turk.look(QUIET_MS + 1000, Mode.LIVE) == ("SENT_UNKNOWN", 1)
    second = list(turk.intents().values())[1]
    assert (second.state, second.filled > ZERO) == ("CONFIRMED", True)
    fold = turk.run().journal.read_fold()
    assert latches.effective(turk.home, fold, turk.settings).pause.state == latch_file.NORMAL
