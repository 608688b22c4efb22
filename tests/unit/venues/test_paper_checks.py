"""What the paper exchange refuses, and that it refuses in the exchanges' own words and classes."""

import json
from pathlib import Path

import pytest

from desk.base.errors import InvariantError
from desk.venues.outcome import Klass, VenueError, classify
from desk.venues.paper import PaperBroker
from desk.venues.paper_refusals import Refusal, answer_lost, refused
from desk.venues.protocol import OrderRequest, OrderStatus, OrderType, Side, SymbolRules
from desk.venues.table import VENUES
from unit.venues.paper_kit import START_MS, SYMBOL, Desk, book, d, rules_with, settings_of

LIMIT, MARKET, STOP = OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_LOSS_LIMIT
ACCEPTED = rules_with(price_max=d("1000"), quantity_max=d("50"), notional_max=d("400"))
PLAIN = {"kind": LIMIT, "quantity": "1", "price": "99"}


def refuse(tmp_path: Path, rules: SymbolRules, order: dict[str, object], side: str = "BUY") -> VenueError:
    desk = Desk(tmp_path, rules=rules)
    with pytest.raises(VenueError) as error:
        desk.order(side, **(PLAIN | order))  # type: ignore[arg-type]
    assert error.value.sent == "rejected"
    assert desk.client.orders_since(None, 0) == ()
    assert desk.free("USDT") == 10000
    return error.value


def test_the_plain_order_is_taken(tmp_path: Path) -> None:
    assert Desk(tmp_path, rules=ACCEPTED).order("BUY", LIMIT, "1", "99").status is OrderStatus.NEW


@pytest.mark.parametrize(
    ("changes", "order", "wanted"),
    [
        ({}, {"price": "99.005"}, "PRICE_FILTER"),
        ({}, {"price": "1000.01"}, "PRICE_FILTER"),
        ({"price_min": d("99.01")}, {}, "PRICE_FILTER"),
        ({"price_min": d("-5")}, {"price": "-1"}, "PRICE_FILTER"),
        ({}, {"quantity": "1.000001"}, "LOT_SIZE"),
        ({}, {"quantity": "50.00001"}, "LOT_SIZE"),
        ({}, {"quantity": "0"}, "LOT_SIZE"),
        ({"quantity_min": d("1.1")}, {}, "LOT_SIZE"),
        ({"market_step": d("0.5")}, {"kind": MARKET, "price": "", "quantity": "1.2"}, "MARKET_LOT_SIZE"),
        ({"market_quantity_min": d("2")}, {"kind": MARKET, "price": ""}, "MARKET_LOT_SIZE"),
        ({"market_quantity_max": d("0.9")}, {"kind": MARKET, "price": ""}, "MARKET_LOT_SIZE"),
        ({}, {"quantity": "0.1"}, "NOTIONAL"),
        ({}, {"quantity": "0.09999", "kind": MARKET, "price": ""}, "NOTIONAL"),
        ({}, {"quantity": "5"}, "NOTIONAL"),
        ({"bid_multiplier_up": d("1.2"), "bid_multiplier_down": d("0.8")}, {"price": "79"}, "PERCENT_PRICE_BY_SIDE"),
        ({"bid_multiplier_up": d("1.2")}, {"price": "120"}, "PERCENT_PRICE_BY_SIDE"),
        ({}, {"quantity": "1.00000000001"}, "too much precision"),
        ({"tick": d("1e-13")}, {}, "too much precision"),
        ({}, {"price": "1e16"}, "too much precision"),
        ({}, {"price": "NaN"}, "malformed"),
        ({}, {"price": ""}, "malformed"),
        ({}, {"kind": MARKET}, "malformed"),
        ({}, {"stop": "98"}, "malformed"),
        ({}, {"kind": STOP}, "malformed"),
        ({}, {"name": "x" * 37}, "malformed"),
        ({"order_types": ("LIMIT", "MARKET")}, {"kind": STOP, "price": "102", "stop": "101"}, "Invalid orderType"),
        ({"order_types": ("LIMIT",)}, {"kind": OrderType.LIMIT_MAKER}, "Invalid orderType"),
    ],
)
def test_filters(tmp_path: Path, changes: dict[str, object], order: dict[str, object], wanted: str) -> None:
    fields = {name: getattr(ACCEPTED, name) for name in ACCEPTED.__struct_fields__}
    error = refuse(tmp_path, SymbolRules(**fields | changes), order)
    assert wanted in error.message
    assert error.class_ is Klass.LOCAL_BUG


@pytest.mark.parametrize(
    ("changes", "side"),
    [({"status": "BREAK"}, "BUY"), ({"status": "BREAK"}, "SELL"), ({"entries_allowed": False}, "BUY"),
     ({"exits_allowed": False}, "SELL")],
)  # fmt: skip
def test_a_closed_market_or_side(tmp_path: Path, changes: dict[str, object], side: str) -> None:
    assert refuse(tmp_path, rules_with(**changes), {}, side).class_ is Klass.SYMBOL_HALTED


def test_a_closed_side_leaves_the_other_open(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.buy("1")
    desk.rules = rules_with(entries_allowed=False)
    assert desk.order("SELL", MARKET, "1").status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("side", "order"),
    [("BUY", {"quantity": "101.1"}), ("SELL", {}), ("SELL", {"kind": MARKET, "price": ""}),
     ("BUY", {"kind": MARKET, "price": "", "quantity": "8"})],
)  # fmt: skip
def test_money_that_is_not_there(tmp_path: Path, side: str, order: dict[str, object]) -> None:
    desk = Desk(tmp_path, costs={"starting_balance_quote": d("800")})
    with pytest.raises(VenueError) as error:
        desk.order(side, **(PLAIN | order))  # type: ignore[arg-type]
    assert (error.value.class_, error.value.code) == (Klass.REJECTED, -2010)
    assert desk.free("USDT") == 800


def test_order_counts(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules=rules_with(orders_max=3, algo_orders_max=1))
    desk.order("BUY", STOP, "1", "105", "104")
    with pytest.raises(VenueError, match="MAX_NUM_ALGO_ORDERS"):
        desk.order("BUY", STOP, "1", "105", "104")
    desk.order("BUY", LIMIT, "1", "90")
    desk.order("BUY", LIMIT, "1", "90")
    with pytest.raises(VenueError, match="MAX_NUM_ORDERS"):
        desk.order("BUY", LIMIT, "1", "90")


def test_a_venue_without_stop_orders_takes_none(tmp_path: Path) -> None:
    desk = Desk(tmp_path, costs={"venues": ("mexc",)})
    desk.shown = None
    request = OrderRequest(
        client_order_id="s",
        symbol=SYMBOL,
        side=Side.BUY,
        type=STOP,
        quantity=d("1"),
        price=d("105"),
        stop_price=d("104"),
    )
    with pytest.raises(VenueError, match="Invalid orderType"):
        desk.broker.client("mexc").place_order(request, START_MS)


def test_an_unknown_symbol_is_not_sent(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    request = OrderRequest(client_order_id="a", symbol="NOPE", side=Side.BUY, type=MARKET, quantity=d("1"))
    with pytest.raises(VenueError) as error:
        desk.client.place_order(request, START_MS)
    assert (error.value.sent, error.value.reason) == ("not_sent", "symbol:unknown")


def test_a_market_that_cannot_be_read_is_not_sent(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def unreadable(venue: str, symbol: str) -> None:
        raise answer_lost(venue, "book", "timeout", is_order=False)

    broker = PaperBroker(desk.home, settings_of(desk.home), lambda venue, symbol: desk.rules, unreadable)
    request = OrderRequest(client_order_id="a", symbol=SYMBOL, side=Side.BUY, type=MARKET, quantity=d("1"))
    with pytest.raises(VenueError) as error:
        broker.client("binance").place_order(request, START_MS)
    assert (error.value.sent, error.value.order_may_exist) == ("not_sent", False)


def test_a_book_of_another_market_is_a_bug(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.shown = book([("99", "1")], [("100", "1")], symbol="ETHUSDT")
    with pytest.raises(InvariantError, match="ETHUSDT"):
        desk.buy("1")
    assert desk.free("USDT") == 10000


@pytest.mark.parametrize("venue", sorted(VENUES))
@pytest.mark.parametrize("refusal", list(Refusal))
def test_each_refusal_means_what_the_venues_own_table_says(venue: str, refusal: Refusal) -> None:
    error = refused(venue, "paper", refusal, is_order=True)
    body = json.dumps({"code": error.code, "msg": error.message}).encode()
    assert classify(VENUES[venue].errors, 400, {}, body).klass is error.class_
