"""Reconcile: evidence booked, every difference named, the score by its weights (P5)."""

from decimal import Decimal
from pathlib import Path

import pytest

from desk.execution import books, difference, rebook, reconcile, submit, truth
from desk.execution.desk import Desk
from desk.execution.difference import Difference
from desk.venues.protocol import Balance, OrderReport, OrderStatus, Side, Trade
from kit import Bench, D, bench, entry, ok


@pytest.fixture
def paper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    books.open_books(found.desk(), "binance")
    return found


def _names(found: reconcile.Result) -> set[str]:
    return {difference.name for difference in found.differences}


class Lying:
    """The paper account with one answer changed."""

    def __init__(self, desk: Desk, **answers: object) -> None:
        self._real, self._answers = desk.account_of("binance"), answers

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        if name in self._answers:
            return lambda *_, **__: self._answers[name]
        return getattr(self._real, name)


def test_it_is_clean_after_an_entry(paper: Bench) -> None:
    submit.submit(paper.desk(), entry(), ok)
    found = reconcile.run(paper.desk(), ("binance",))
    assert found.clean
    assert (found.score, found.differences) == (0, ())


def test_it_books_fills_nobody_saw(paper: Bench) -> None:
    paper.faults.drop_after_accept = 1
    submit.submit(paper.desk(), entry(), ok)
    paper.later(1000)
    found = reconcile.run(paper.desk(), ("binance",))
    assert found.clean
    position = paper.position()
    assert position is not None
    assert position.quantity > 0


@pytest.mark.parametrize("asset", ["USDT", "BTC", "BNB"])
def test_a_balance_that_differs_is_named_with_its_amount(paper: Bench, asset: str) -> None:
    submit.submit(paper.desk(), entry(), ok)
    desk = paper.desk()
    told = dict(desk.account_of("binance").balances())
    there = told.get(asset, Balance(asset=asset, free=D(0), locked=D(0)))
    told[asset] = Balance(asset=asset, free=there.free + D("0.00000001"), locked=there.locked)
    lying = Lying(desk, balances=told)
    desk.account_of = lambda venue: lying  # type: ignore[assignment, return-value]
    found = reconcile.run(desk, ("binance",))
    (difference,) = found.differences
    assert (difference.kind, difference.subject) == ("balances", asset)
    assert "difference 0.00000001" in difference.detail
    assert found.score == 4


def _order(client_id: str) -> OrderReport:
    return OrderReport(
        venue="binance", symbol="BTCUSDT", client_order_id=client_id, order_id="77", side=Side.BUY, type="LIMIT",
        status=OrderStatus.NEW, status_word="NEW", quantity=D(1), executed=D(0), executed_quote=D(0), price=D(1),
        stop_price=D(0), time_ms=0, update_ms=0,
    )  # fmt: skip


def test_an_order_nobody_wrote_down_is_foreign(paper: Bench) -> None:
    desk = paper.desk()
    lying = Lying(desk, open_orders=(_order("web_abc"),))
    desk.account_of = lambda venue: lying  # type: ignore[assignment, return-value]
    assert _names(reconcile.run(desk, ("binance",))) == {"foreign_order"}


def test_an_order_with_our_prefix_that_is_not_in_the_journal_is_lost(paper: Bench) -> None:
    from desk.base import ids

    desk = paper.desk()
    mine = ids.client_order_id(desk.run.settings.instance, "p", "entry", 0)
    lying = Lying(desk, open_orders=(_order(mine),))
    desk.account_of = lambda venue: lying  # type: ignore[assignment, return-value]
    assert _names(reconcile.run(desk, ("binance",))) == {"lost_order"}


def test_a_venue_that_cannot_be_read_is_never_clean(paper: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from desk.venues import paper_refusals as refusals

    desk = paper.desk()

    class Silent(Lying):
        def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
            if name == "balances":

                def fail() -> None:
                    raise refusals.answer_lost("binance", "balances", "connection lost", is_order=False)

                return fail
            return super().__getattr__(name)

    silent = Silent(desk)
    desk.account_of = lambda venue: silent  # type: ignore[assignment, return-value]
    found = reconcile.run(desk, ("binance",))
    assert not found.clean
    assert found.failed == ("binance",)


def _differences(kind: str, count: int) -> list[Difference]:
    return [Difference(kind=kind, name="x", venue="v", subject=str(n), detail="") for n in range(count)]


@pytest.mark.parametrize(
    ("kind", "count", "expected"),
    [("orders", 1, 4), ("orders", 11, 40), ("positions", 1, 6), ("positions", 6, 30), ("balances", 6, 20),
     ("protection", 1, 2), ("protection", 9, 10)],
)  # fmt: skip
def test_the_drift_score_weighs_and_caps_each_kind(kind: str, count: int, expected: int) -> None:
    assert difference.score(_differences(kind, count)) == expected


def test_the_drift_score_is_100_at_the_most() -> None:
    everything = [d for kind in difference.WEIGHTS for d in _differences(kind, 50)]
    assert difference.score(everything) == 100


def test_opening_balances_are_written_once(paper: Bench) -> None:
    books.open_books(paper.desk(), "binance")
    assert paper.home.journal.read_text().count("INITIAL_CAPITAL") == 1
    opening = paper.run().journal.read_fold().portfolio.opening
    assert opening == {"binance": {"USDT": Decimal(10000)}}


def test_the_day_closes_once_and_only_forward(paper: Bench) -> None:
    desk = paper.desk()
    books.mark(desk, {("binance", "USDT"): D("10000")})
    assert not books.close_day(desk)
    paper.later(86_400_000)
    assert books.close_day(paper.desk())
    assert not books.close_day(paper.desk())
    assert paper.home.journal.read_text().count('"DAY_CLOSED"') + _in_archive(paper) == 1


def _in_archive(paper: Bench) -> int:
    return sum(path.read_text().count('"DAY_CLOSED"') for path in paper.home.logs.glob("audit-*.jsonl"))


@pytest.mark.parametrize(("later_ms", "names"), [(-1, set()), (1, {"foreign_trade"})])
def test_a_foreign_trade_older_than_the_opening_balances_is_history(
    paper: Bench, later_ms: int, names: set[str]
) -> None:
    opened_ms = paper.desk().fold().portfolio.opened_ms["binance"]
    paper.later(60_000)
    strange = Trade(
        trade_id="t1", symbol="BTCUSDT", order_id="9", client_order_id="web_1", side=Side.BUY, quantity=D("1"),
        price=D("1"), fee=D("0"), fee_asset="BTC", time_ms=opened_ms + later_ms,
    )  # fmt: skip
    desk = paper.desk()
    lying = Lying(desk, my_trades=(strange,))
    desk.account_of = lambda venue: lying
    assert _names(reconcile.run(desk, ("binance",))) == names


def _told(name: str, side: Side, executed: str, status: OrderStatus = OrderStatus.FILLED) -> OrderReport:
    one = D("1")
    return OrderReport(
        venue="binance", symbol="BTCUSDT", client_order_id=name, order_id=name, side=side, type="LIMIT", status=status,
        status_word=str(status), quantity=one, executed=D(executed), executed_quote=one, price=one, stop_price=one,
        time_ms=1, update_ms=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("orders", "held"),
    [
        ("", ""),
        ("b1", "b1"),
        ("b1 s1", ""),  # a whole round left nothing
        ("b1 s1 b2", "b2"),
        ("s1 b2", "b2"),  # sold what was bought before the list begins
        ("b1 s1 b2 s1 b1", "b2 s1 b1"),
        ("b2 s1", "b2 s1"),  # a part is still held
    ],
)
def test_after_a_total_loss_what_is_still_held_is_booked_and_the_rest_is_history(orders: str, held: str) -> None:
    told = [_told(w, Side.BUY if w[0] == "b" else Side.SELL, w[1]) for w in orders.split()]
    assert " ".join(o.client_order_id for o in rebook.still_held(told)) == held


def test_an_order_that_still_stands_is_never_history() -> None:
    resting = _told("r", Side.SELL, "0", OrderStatus.NEW)
    bought, sold = _told("b", Side.BUY, "1"), _told("s", Side.SELL, "1")
    assert rebook.still_held([bought, resting, sold]) == [resting]


def test_more_missing_fills_than_a_group_takes_are_all_booked(paper: Bench) -> None:
    sent = submit.submit(paper.desk(), entry(), ok)
    assert sent.intent is not None
    order_id, before = sent.intent.order_id, len(sent.intent.trade_ids)
    many = tuple(
        Trade(
            trade_id=f"m{number}", symbol="BTCUSDT", order_id=order_id, client_order_id="", side=Side.BUY,
            quantity=D("0.00001"), price=D("1"), fee=D("0"), fee_asset="BTC", time_ms=paper.now_ms,
        )
        for number in range(1234)
    )  # fmt: skip
    truth.book_ours(paper.desk(), "binance", many)
    assert len(paper.intents()[sent.order_id].trade_ids) == before + 1234
