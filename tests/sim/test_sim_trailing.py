"""Trailing stops on the Binance dialect: the best price on the way decides, not the size of the steps."""

from decimal import Decimal as D

import pytest

START = 1_700_000_040_000
FLAT = (100, 100, 100, 100, 1000)
BARS = [FLAT] * 4 + [
    (100, 110, 100, 110, 1000), (110, 110, 104, 104, 1000), (104, 120, 104, 120, 1000), (120, 120, 90, 90, 1000), FLAT,
]  # fmt: skip


@pytest.fixture
def client(make, write_market):
    """100, up to 110, down to 104, up to 120, down to 90: a minute each."""
    return make(
        symbols=["XYZUSDT"], markets=[write_market(BARS)], start=START + 4 * 60_000 - 1,
        balances={"XYZ": "10", "USDT": "10000"},
    )  # fmt: skip


def sell(client, kind="STOP_LOSS", **params):
    params = {"quantity": "1", "trailingDelta": 1000, "newClientOrderId": "trail"} | params
    return client.order("SELL", kind, **params)


def row(client):
    return client.signed("GET", "/api/v3/order", symbol="XYZUSDT", origClientOrderId="trail").json()


def price_when_triggered(client):
    order = client.sim.exchange.engine.orders[0]
    return client.sim.exchange.markets["XYZUSDT"].path.price_at(order.working_ms)


def test_a_sell_stop_follows_the_highest_price(client):
    assert sell(client).status_code == 200
    client.sim.advance(3 * 60_000)
    assert (row(client)["status"], row(client)["trailingDelta"]) == ("NEW", 1000)
    assert row(client)["trailingTime"] == START + 4 * 60_000 - 1
    client.sim.advance(60_000)
    assert row(client)["status"] == "FILLED"
    assert price_when_triggered(client) == D(120) * D("0.9")


def test_a_closer_stop_triggers_at_the_first_fall(client):
    sell(client, trailingDelta=500)
    client.sim.advance(5 * 60_000)
    assert price_when_triggered(client) == D(110) * D("0.95")


@pytest.mark.parametrize("jump", [1_000, 7_919, 60_000, 300_000])
def test_the_size_of_the_steps_does_not_matter(client, jump):
    sell(client, "STOP_LOSS_LIMIT", price="80", timeInForce="GTC")
    moved = 0
    while moved < 300_000:
        client.sim.advance(min(jump, 300_000 - moved))
        moved += jump
    trade = client.sim.books()["trades"][0]
    order = client.sim.exchange.engine.orders[0]
    assert trade["time"] == order.working_ms
    assert price_when_triggered(client) == 108


def test_a_stop_price_says_when_to_begin_to_follow(client):
    sell(client, "TAKE_PROFIT", stopPrice="115")
    client.sim.advance(2 * 60_000)
    assert row(client)["trailingTime"] == -1
    client.sim.advance(3 * 60_000)
    order = client.sim.exchange.engine.orders[0]
    assert client.sim.exchange.markets["XYZUSDT"].path.price_at(order.track_ms) >= 115
    assert order.track_ms < order.working_ms
    assert price_when_triggered(client) == 108


def test_a_buy_stop_follows_the_lowest_price(client):
    client.order("BUY", "STOP_LOSS_LIMIT", quantity="1", trailingDelta=1200, newClientOrderId="trail", price="130",
                 timeInForce="GTC")  # fmt: skip
    client.sim.advance(5 * 60_000)
    assert price_when_triggered(client) == D(100) * D("1.12")


def test_other_orders_on_the_way_change_nothing(client):
    sell(client)
    client.limit("BUY", "105", "1")
    client.limit("SELL", "109", "1")
    client.limit("SELL", "115", "1")
    client.sim.advance(5 * 60_000)
    assert price_when_triggered(client) == 108


def test_the_first_price_after_a_gap_counts(make, write_market):
    """From 120 the market opens at 130 and falls at once: 10 % back is 117, not 108."""
    bars = [FLAT] * 4 + [(100, 120, 100, 120, 1000), (130, 140, 100, 135, 1000), FLAT]
    client = make(
        symbols=["XYZUSDT"], markets=[write_market(bars)], start=START + 4 * 60_000 - 1, balances={"XYZ": "10"}
    )
    sell(client)
    client.sim.advance(120_000)
    assert price_when_triggered(client) == 117


def test_a_trailing_leg_of_an_oco_ends_the_target(client):
    answer = client.signed(
        "POST", "/api/v3/orderList/oco", symbol="XYZUSDT", side="SELL", quantity="1", aboveType="LIMIT_MAKER",
        abovePrice="130", belowType="STOP_LOSS", belowTrailingDelta=1000, belowClientOrderId="trail",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    client.sim.advance(5 * 60_000)
    assert [order["status"] for order in client.sim.books()["orders"]] == ["EXPIRED", "FILLED"]
    assert client.sim.books()["balances"]["XYZ"]["locked"] == "0.00000000"


@pytest.mark.parametrize(
    ("params", "code"),
    [({"trailingDelta": 9}, -1013), ({"trailingDelta": 2001}, -1013), ({"trailingDelta": "1.5"}, -1100),
     ({"kind": "LIMIT", "price": "120", "timeInForce": "GTC"}, -1106),
     ({"trailingDelta": None}, -1102)],
)  # fmt: skip
def test_what_is_no_trailing_stop_is_refused(client, params, code):
    wanted = {name: value for name, value in ({"trailingDelta": 1000} | params).items() if value is not None}
    if params.get("trailingDelta", 1) is None:
        answer = client.order("SELL", "STOP_LOSS", quantity="1")
    else:
        answer = sell(client, wanted.pop("kind", "STOP_LOSS"), **wanted)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_symbol_may_not_take_them(client):
    client.sim.fault("filter_change", count=None, arg={"allowTrailingStop": False})
    answer = sell(client).json()
    assert answer == {"code": -2010, "msg": "Trailing stop orders are not supported for this symbol."}
    assert not client.public("/api/v3/exchangeInfo").json()["symbols"][0]["allowTrailingStop"]
