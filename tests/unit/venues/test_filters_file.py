"""The filters file: round trip, hash, and orders held against the rules."""

from decimal import Decimal
from typing import Any

import pytest

from desk.venues import filters
from desk.venues.protocol import OrderRequest, OrderType, Side, SymbolRules

D = Decimal
RULES = SymbolRules(
    venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", status="TRADING", tick=D("0.01"), price_min=D("0.01"),
    price_max=D("1000000"), step=D("0.00001"), quantity_min=D("0.00001"), quantity_max=D("9000"),
    market_quantity_max=D("100"), notional_min=D("10"), notional_max=D("9000000"), bid_multiplier_up=D("1.2"),
    bid_multiplier_down=D("0.2"), ask_multiplier_up=D("5"), ask_multiplier_down=D("0.8"),
)  # fmt: skip


def order(**fields: Any) -> OrderRequest:
    values = {"client_order_id": "c", "symbol": "BTCUSDT", "side": Side.BUY, "type": OrderType.LIMIT}
    return OrderRequest(**(values | {"quantity": D("0.001"), "price": D("50000")} | fields))


def test_the_file_gives_the_rules_back() -> None:
    doc = filters.to_doc("binance", {"BTCUSDT": RULES}, 1_767_571_200_000)
    assert doc["symbols"]["BTCUSDT"]["step"] == "0.00001"
    assert filters.from_doc(doc) == {"BTCUSDT": RULES}


def test_the_hash_names_the_rules_and_nothing_else() -> None:
    import msgspec

    again = msgspec.structs.replace(RULES, step=D("1E-5"))
    other = msgspec.structs.replace(RULES, step=D("0.0001"))
    assert filters.hash_of({"BTCUSDT": RULES}) == filters.hash_of({"BTCUSDT": again})
    assert filters.hash_of({"BTCUSDT": RULES}) != filters.hash_of({"BTCUSDT": other})


@pytest.mark.parametrize("doc", [{}, {"symbols": []}, {"symbols": {"X": {}}}, {"symbols": {"X": {"tick": "1"}}}])
def test_a_file_that_is_none_of_ours_is_refused(doc: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a filters file"):
        filters.from_doc(doc)


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({}, ()),
        ({"quantity": D("0.000001")}, ("LOT_SIZE", "NOTIONAL")),
        ({"quantity": D("0.0010000001")}, ("LOT_SIZE",)),
        ({"quantity": D("0")}, ("LOT_SIZE", "NOTIONAL")),
        ({"quantity": D("9001")}, ("LOT_SIZE", "NOTIONAL")),
        ({"price": D("50000.005")}, ("PRICE_FILTER",)),
        ({"price": D("0.001"), "quantity": D("9000")}, ("NOTIONAL", "PRICE_FILTER", "PERCENT_PRICE")),
        ({"quantity": D("0.0001")}, ("NOTIONAL",)),
        ({"price": D("60000.01")}, ("PERCENT_PRICE",)),
        ({"price": D("60000")}, ()),
        ({"side": Side.SELL, "price": D("39999.99")}, ("PERCENT_PRICE",)),
        ({"type": OrderType.MARKET, "price": None, "quantity": D("101")}, ("MARKET_LOT_SIZE",)),
        ({"type": OrderType.STOP_LOSS_LIMIT, "stop_price": D("49000.001")}, ("PRICE_FILTER",)),
    ],
)
def test_which_filters_an_order_breaks(fields: dict[str, Any], broken: tuple[str, ...]) -> None:
    assert filters.violations(RULES, order(**fields), D("50000")) == broken


def test_without_a_reference_price_the_percent_filter_is_the_exchanges() -> None:
    assert filters.violations(RULES, order(price=D("90000")), D(0)) == ()
