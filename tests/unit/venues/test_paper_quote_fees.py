"""The paper exchange of a venue that takes fee and tax in the quote currency, on both sides (BTCTurk)."""

from decimal import Decimal
from pathlib import Path

import pytest

from desk.venues.outcome import VenueError
from desk.venues.paper_client import PaperClient
from desk.venues.protocol import OrderReport, OrderRequest, OrderStatus, OrderType, Side
from unit.venues.paper_kit import START_MS, SYMBOL, Desk, book, d, money_closes

VENUE = "btcturk"
WITH_TAX = Decimal("0.00118")  # 10 bps, and 18 % tax on them
LIMIT, MARKET, STOP = OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_LOSS_LIMIT


class Turk(Desk):
    """One paper account on BTCTurk."""

    def __init__(self, root: Path, start: str = "10000") -> None:
        super().__init__(
            root, costs={"venues": (VENUE,), "fee_bps": d("10"), "starting_balance_quote": d(start)}, opens=False
        )
        self.broker.open(may_create=True)
        self.client: PaperClient = self.broker.client(VENUE)
        self.see([("99.90", "1"), ("99.80", "2")], [("100.00", "1"), ("100.10", "2")])

    def see(self, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
        self.at(self.now_ms + 60_000)
        self.shown = book(bids, asks, self.now_ms, venue=VENUE)
        self.broker.on_book(self.shown, self.now_ms)

    def closes(self) -> bool:
        return money_closes(self.broker.books(VENUE))


def test_a_purchase_pays_fee_and_tax_on_top_and_receives_all_it_bought(tmp_path: Path) -> None:
    desk = Turk(tmp_path)
    told = desk.order("BUY", LIMIT, "0.5", "100")
    assert (told.status, desk.free("BTC")) == (OrderStatus.FILLED, d("0.5"))
    (trade,) = told.trades
    assert (trade.fee_asset, trade.fee) == ("USDT", 50 * WITH_TAX)
    assert desk.free("USDT") == 10000 - 50 - trade.fee
    sold = desk.order("SELL", LIMIT, "0.5", "99.90")
    assert (sold.trades[0].fee_asset, sold.trades[0].fee) == ("USDT", d("49.95") * WITH_TAX)
    assert desk.free("USDT") == 10000 - 50 - trade.fee + d("49.95") - sold.trades[0].fee
    assert desk.closes()


def test_a_resting_purchase_locks_its_fee_and_a_cancel_frees_all(tmp_path: Path) -> None:
    desk = Turk(tmp_path)
    desk.order("BUY", LIMIT, "1", "90", name="rest")
    assert desk.locked("USDT") == 90 * (1 + WITH_TAX)
    desk.see([("89.00", "1")], [("89.50", "0.4")])
    assert desk.locked("USDT") == d("54") * (1 + WITH_TAX)
    desk.client.cancel_order(SYMBOL, "rest")
    assert (desk.locked("USDT"), desk.free("BTC")) == (0, d("0.4"))
    assert desk.closes()


@pytest.mark.parametrize(("start", "taken"), [("50.058", False), ("50.059", True)])
@pytest.mark.parametrize("kind", [LIMIT, MARKET])
def test_an_order_whose_fee_is_not_there_is_refused(tmp_path: Path, start: str, taken: bool, kind: OrderType) -> None:
    desk = Turk(tmp_path, start)

    def buy() -> OrderReport:
        return desk.order("BUY", kind, "0.5", "" if kind is MARKET else "100")

    if taken:
        assert buy().status is OrderStatus.FILLED
        assert desk.free("USDT") == 0
    else:
        with pytest.raises(VenueError, match="BALANCE_NOT_ENOUGH"):
            buy()
    assert desk.closes()


def test_odd_fills_never_cost_more_than_was_locked(tmp_path: Path) -> None:
    """Many fills, each with a fee rounded to 8 places, out of an account that holds nothing beside the lock."""
    desk = Turk(tmp_path, "36.52204522")  # what 0.36479 at 100 locks
    desk.see([("98", "1")], [("101", "1")])
    desk.order("BUY", LIMIT, "0.36479", "100", name="odd")
    assert desk.free("USDT") == 0
    for step in range(1, 31):
        desk.see([("98", "1")], [(f"99.{step:02}", "0.01237")])
    told = desk.client.get_order(SYMBOL, "odd")
    assert told is not None
    assert (told.status, len(told.trades) > 20) == (OrderStatus.FILLED, True)
    assert desk.closes()


@pytest.mark.parametrize("kind", [OrderType.LIMIT_IOC, OrderType.LIMIT_FOK, OrderType.LIMIT_MAKER])
def test_it_takes_only_the_types_the_exchange_has(tmp_path: Path, kind: OrderType) -> None:
    desk = Turk(tmp_path)
    with pytest.raises(VenueError, match="ORDER_METHOD_NOT_SUPPORTED"):
        desk.order("BUY", kind, "0.5", "99")
    stop = OrderRequest(
        client_order_id="s", symbol=SYMBOL, side=Side.BUY, type=STOP, quantity=d("0.5"), price=d("105"),
        stop_price=d("104"),
    )  # fmt: skip
    assert desk.client.place_order(stop, START_MS).status is OrderStatus.NEW
