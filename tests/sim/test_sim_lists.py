"""Order lists on the Binance dialect: what waits for what, what one leg's end does to the others, and the money."""

from dataclasses import replace
from decimal import Decimal as D
from itertools import pairwise

import pytest

from lab.sim.user_events import UserEvents

OPEN = {"NEW", "PARTIALLY_FILLED", "PENDING_NEW"}
START = 1_700_000_040_000
FLAT = (100, 100, 100, 100, 1000)
UP = (100, 120, 100, 120, 1000)
DOWN = (100, 100, 80, 80, 1000)


@pytest.fixture
def market(make, write_market):
    """A simulator of XYZUSDT at 100, then the bars given, one a minute; the first begins in 1 ms."""

    def start(*bars, balances=None, **options):
        path = write_market([FLAT] * 4 + [*bars])
        balances = {"XYZ": "10", "USDT": "10000"} | (balances or {})
        return make(symbols=["XYZUSDT"], markets=[path], start=START + 4 * 60_000 - 1, balances=balances, **options)

    return start


def oco(client, **changed):
    params = {
        "symbol": "XYZUSDT", "side": "SELL", "quantity": "2", "listClientOrderId": "list1", "aboveType": "LIMIT_MAKER",
        "abovePrice": "110", "aboveClientOrderId": "target", "belowType": "STOP_LOSS_LIMIT", "belowStopPrice": "95",
        "belowPrice": "90", "belowTimeInForce": "GTC", "belowClientOrderId": "stop",
    } | changed  # fmt: skip
    return client.signed("POST", "/api/v3/orderList/oco", **{k: v for k, v in params.items() if v is not None})


def triggered(client, kind, **changed):
    """An OTO, OTOCO, OPO or OPOCO that buys 2 and sells them."""
    params = {
        "symbol": "XYZUSDT", "listClientOrderId": "list1", "workingType": "LIMIT", "workingSide": "BUY",
        "workingPrice": "101", "workingQuantity": "2", "workingTimeInForce": "FOK", "workingClientOrderId": "entry",
        "pendingSide": "SELL",
    }  # fmt: skip
    if kind in ("otoco", "opoco"):
        params |= {
            "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": "110", "pendingAboveClientOrderId": "target",
            "pendingBelowType": "STOP_LOSS_LIMIT", "pendingBelowStopPrice": "95", "pendingBelowPrice": "90",
            "pendingBelowTimeInForce": "GTC", "pendingBelowClientOrderId": "stop",
        }  # fmt: skip
    else:
        params |= {
            "pendingType": "STOP_LOSS_LIMIT", "pendingStopPrice": "95", "pendingPrice": "90",
            "pendingTimeInForce": "GTC", "pendingClientOrderId": "stop",
        }  # fmt: skip
    if kind in ("oto", "otoco"):
        params["pendingQuantity"] = "1.99"
    params |= changed
    wanted = {name: value for name, value in params.items() if value is not None}
    return client.signed("POST", f"/api/v3/orderList/{kind}", **wanted)


def states(client):
    return {row["clientOrderId"]: row["status"] for row in client.sim.books()["orders"]}


def one(client, name):
    return client.signed("GET", "/api/v3/order", symbol="XYZUSDT", origClientOrderId=name).json()


def status_of(client, name="list1"):
    return client.signed("GET", "/api/v3/orderList", origClientOrderId=name).json()["listOrderStatus"]


def balance(client, asset):
    row = client.sim.books()["balances"][asset]
    return D(row["free"]), D(row["locked"])


def refused(response):
    assert response.status_code == 400
    return response.json()["code"], response.json()["msg"]


# -- OCO ---------------------------------------------------------------------------------------------------------------


def test_an_oco_locks_the_coins_once_and_tells_both_legs(market, shared_json):
    client = market(FLAT)
    answer = oco(client, newOrderRespType="RESULT").json()
    assert balance(client, "XYZ") == (8, 2)
    recorded = shared_json("binance/rest/order_list_oco.json")["body"]
    assert list(answer) == list(recorded)
    assert (answer["contingencyType"], answer["listStatusType"], answer["listOrderStatus"]) == (
        "OCO", "EXEC_STARTED", "EXECUTING",
    )  # fmt: skip
    above, below = answer["orderReports"]
    stop, limit = recorded["orderReports"]
    assert set(above) == set(limit) and set(below) == set(stop) - {"icebergQty"}
    assert (above["status"], below["status"], below["workingTime"]) == ("NEW", "NEW", -1)
    assert [row["orderListId"] for row in client.signed("GET", "/api/v3/openOrders").json()] == [1, 1]


def test_the_stop_that_triggers_expires_the_target(market):
    client = market(DOWN, FLAT)
    oco(client)
    client.sim.advance(60_000)
    assert states(client) == {"target": "EXPIRED", "stop": "FILLED"}
    assert one(client, "target")["expiryReason"] == "OCO_TRIGGER"
    assert status_of(client) == "ALL_DONE"
    assert balance(client, "XYZ") == (8, 0)
    assert client.signed("GET", "/api/v3/openOrderList").json() == []


def test_the_target_that_fills_expires_the_stop(market):
    client = market(UP, DOWN, DOWN)
    oco(client)
    client.sim.advance(180_000)
    assert states(client) == {"target": "FILLED", "stop": "EXPIRED"}
    assert len(client.sim.books()["trades"]) == 1
    assert client.sim.books()["trades"][0]["clientOrderId"] == "target"
    assert balance(client, "XYZ") == (8, 0)


def test_a_target_that_fills_in_part_leaves_the_rest_without_a_stop(market):
    """The exchange's own rule, and why a tick looks at its protection again."""
    client = market((100, 120, 100, 120, 4), (120, 120, 80, 80, 0))
    oco(client)
    client.sim.advance(59_000)
    assert states(client) == {"target": "PARTIALLY_FILLED", "stop": "EXPIRED"}
    assert one(client, "target")["executedQty"] == "1.00000000"
    assert status_of(client) == "EXECUTING"
    assert balance(client, "XYZ") == (8, 1)
    client.signed("DELETE", "/api/v3/orderList", symbol="XYZUSDT", listClientOrderId="list1")
    assert (states(client)["target"], status_of(client)) == ("CANCELED", "ALL_DONE")
    assert balance(client, "XYZ") == (9, 0)


def test_a_stop_that_triggers_and_cannot_fill_keeps_the_coins_of_the_pair(market):
    client = market((100, 100, 80, 80, 1000), (80, 80, 80, 80, 1000))
    oco(client, belowPrice="94.99", belowStopPrice="95")
    client.sim.advance(59_000)
    assert states(client)["target"] == "EXPIRED"
    free, locked = balance(client, "XYZ")
    executed = D(one(client, "stop")["executedQty"])
    assert (free, locked) == (8, 2 - executed)


def test_a_buying_oco_locks_the_dearer_leg_once(market):
    client = market(UP)
    answer = oco(
        client, side="BUY", aboveType="STOP_LOSS_LIMIT", abovePrice="115", aboveStopPrice="105", aboveTimeInForce="GTC",
        belowType="LIMIT_MAKER", belowPrice="90", belowStopPrice=None, belowTimeInForce=None,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert balance(client, "USDT") == (10000 - 230, 230)
    client.sim.advance(59_000)
    assert sorted(states(client).values()) == ["EXPIRED", "FILLED"]
    assert balance(client, "USDT")[1] == 0


@pytest.mark.parametrize("how", ["leg", "list", "number", "all"])
def test_cancelling_one_leg_cancels_the_list(market, how):
    client = market(FLAT)
    oco(client)
    answer = {
        "leg": lambda: client.signed("DELETE", "/api/v3/order", symbol="XYZUSDT", origClientOrderId="stop"),
        "list": lambda: client.signed("DELETE", "/api/v3/orderList", symbol="XYZUSDT", listClientOrderId="list1"),
        "number": lambda: client.signed("DELETE", "/api/v3/orderList", symbol="XYZUSDT", orderListId=1),
        "all": lambda: client.signed("DELETE", "/api/v3/openOrders", symbol="XYZUSDT"),
    }[how]().json()
    answer = answer[0] if how == "all" else answer
    assert (answer["listStatusType"], answer["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert {row["origClientOrderId"] for row in answer["orderReports"]} == {"stop", "target"}
    assert set(states(client).values()) == {"CANCELED"}
    assert balance(client, "XYZ") == (10, 0)
    again = client.signed("DELETE", "/api/v3/orderList", symbol="XYZUSDT", listClientOrderId="list1")
    assert refused(again) == (-2011, "Unknown order sent.")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"abovePrice": "100"}, (-2010, "The relationship of the prices for the orders is not correct.")),
        ({"belowStopPrice": "100"}, (-2010, "The relationship of the prices for the orders is not correct.")),
        ({"quantity": "10.01"}, (-2010, "Account has insufficient balance for requested action.")),
        ({"aboveClientOrderId": "stop"}, (-2010, "Duplicate order sent.")),
        ({"abovePrice": "110.001"}, (-1013, "Filter failure: PRICE_FILTER")),
        ({"quantity": "0.01"}, (-1013, "Filter failure: NOTIONAL")),
        ({"belowTrailingDelta": "5"}, (-1013, "Filter failure: TRAILING_DELTA")),
        ({"aboveType": "STOP_LOSS_LIMIT", "aboveStopPrice": "110", "aboveTimeInForce": "GTC"},
         (-1197, "A stop loss order in a sell OCO must be below.")),
        ({"aboveType": "LIMIT", "aboveTimeInForce": "GTC"}, (-1158, "Order type not supported in OCO.")),
        ({"aboveType": "LIMIT"},
         (-1102, "Mandatory parameter 'aboveTimeInForce' was not sent, was empty/null, or malformed.")),
        ({"belowType": "LIMIT_MAKER", "belowStopPrice": None, "belowTimeInForce": None},
         (-1168, "At least one OCO order must be contingent.")),
        ({"belowTimeInForce": None},
         (-1102, "Mandatory parameter 'belowTimeInForce' was not sent, was empty/null, or malformed.")),
        ({"aboveClientOrderId": "a b"},
         (-1100, ("Illegal characters found in parameter 'aboveClientOrderId'; "
                 "legal range is '^[a-zA-Z0-9-_]{1,36}$'."))),
        ({"quantity": None}, (-1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.")),
        ({"surprise": "1"}, (-1104, None)),
        ({"listClientOrderId": "a b"}, (-1100, None)),
    ],
)  # fmt: skip
def test_a_list_is_refused_whole(market, changed, told):
    client = market(FLAT)
    code, message = refused(oco(client, **changed))
    assert code == told[0]
    assert told[1] in (None, message)
    assert client.sim.books()["orders"] == client.sim.lists() == []
    assert balance(client, "XYZ") == (10, 0)


def test_list_ids_and_leg_ids_are_unique_among_what_is_open(market):
    client = market(FLAT, FLAT)
    oco(client)
    other = {"aboveClientOrderId": "t2", "belowClientOrderId": "s2"}
    assert refused(oco(client, **other)) == (-2010, "Duplicate order sent.")
    assert refused(oco(client, listClientOrderId="list2", belowClientOrderId="s2"))[0] == -2010
    client.signed("DELETE", "/api/v3/orderList", symbol="XYZUSDT", listClientOrderId="list1")
    assert oco(client, **other).status_code == 200
    assert [one["orderListId"] for one in client.signed("GET", "/api/v3/allOrderList").json()] == [1, 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"MAX_NUM_ALGO_ORDERS": {"maxNumAlgoOrders": 1}}, "Filter failure: MAX_NUM_ALGO_ORDERS"),
        ({"MAX_NUM_ORDERS": {"maxNumOrders": 3}}, "Filter failure: MAX_NUM_ORDERS"),
        ({"MAX_NUM_ORDER_LISTS": {"maxNumOrderLists": 1}}, "Filter failure: MAX_NUM_ORDER_LISTS"),
        ({"ocoAllowed": False}, "OCO orders are not supported for this symbol."),
    ],
)
def test_limits_of_the_symbol_count_every_leg(market, change, told):
    client = market(FLAT)
    oco(client)
    client.sim.fault("filter_change", count=None, arg=change)
    assert refused(oco(client, listClientOrderId="l2", aboveClientOrderId="t2", belowClientOrderId="s2"))[1] == told
    info = client.public("/api/v3/exchangeInfo", symbol="XYZUSDT").json()["symbols"][0]
    filters = {row["filterType"]: row for row in info["filters"]}
    shown = filters | {"ocoAllowed": info["ocoAllowed"]}
    for name, value in change.items():
        assert shown[name] == value if isinstance(value, bool) else value.items() <= shown[name].items()


def test_a_list_counts_its_orders_and_costs_no_weight(market):
    client = market(FLAT, orders_10s_limit=4)
    answer = oco(client)
    assert (answer.headers["X-MBX-ORDER-COUNT-10S"], answer.headers["X-MBX-USED-WEIGHT-1M"]) == ("2", "0")
    over = triggered(client, "otoco", listClientOrderId="l2")
    assert (over.status_code, over.json()["code"]) == (429, -1015)
    assert oco(client, listClientOrderId="l3", aboveClientOrderId="t3", belowClientOrderId="s3").status_code == 200
    weights = [
        int(client.signed("GET", path, **params).headers["X-MBX-USED-WEIGHT-1M"])
        for path, params in (("/api/v3/openOrderList", {}), ("/api/v3/orderList", {"orderListId": 1}),
                             ("/api/v3/allOrderList", {}))
    ]  # fmt: skip
    assert [late - early for early, late in pairwise([int(over.headers["X-MBX-USED-WEIGHT-1M"]), *weights])] == [
        6, 4, 20,
    ]  # fmt: skip


# -- OTO, OTOCO --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["oto", "otoco", "opo", "opoco"])
def test_exits_stand_once_the_working_order_is_filled_and_not_in_its_answer(market, kind):
    client = market(FLAT)
    answer = triggered(client, kind).json()
    working, *exits = (row["status"] for row in answer["orderReports"])
    assert (working, set(exits)) == ("FILLED", {"PENDING_NEW"})
    names = ("target", "stop") if kind.endswith("oco") else ("stop",)
    assert states(client) == {"entry": "FILLED"} | dict.fromkeys(names, "NEW")
    assert answer["contingencyType"] == "OTO"


@pytest.mark.parametrize("kind", ["oto", "otoco", "opo", "opoco"])
def test_a_working_order_that_rests_keeps_its_exits_pending_and_unlocked(market, kind):
    client = market((100, 100, 98, 98, 1000), FLAT)
    triggered(client, kind, workingPrice="99", workingTimeInForce="GTC")
    client.sim.advance(1000)
    assert set(states(client).values()) == {"NEW", "PENDING_NEW"}
    assert balance(client, "XYZ") == (10, 0)
    client.sim.advance(58_000)
    assert states(client)["entry"] == "FILLED"
    assert states(client)["stop"] == "NEW"
    assert balance(client, "XYZ")[1] == (D("1.99") if kind in ("oto", "otoco") else 2)


def test_a_partial_fill_leaves_the_exits_pending(market):
    client = market((100, 100, 98, 98, 4), FLAT)
    triggered(client, "otoco", workingPrice="99", workingTimeInForce="GTC")
    client.sim.advance(59_000)
    assert states(client) == {"entry": "PARTIALLY_FILLED", "target": "PENDING_NEW", "stop": "PENDING_NEW"}
    cancelled = client.signed("DELETE", "/api/v3/order", symbol="XYZUSDT", origClientOrderId="entry").json()
    assert {row["status"] for row in cancelled["orderReports"]} == {"CANCELED"}
    assert status_of(client) == "ALL_DONE"
    assert balance(client, "USDT")[1] == 0


@pytest.mark.parametrize(("force", "reason"), [("IOC", "UNFILLED_IOC_QUANTITY_EXPIRED"),
                                               ("FOK", "UNFILLED_FOK_ORDER_EXPIRED")])  # fmt: skip
def test_a_working_order_that_expires_takes_its_exits_along(market, force, reason):
    client = market(FLAT)
    client.sim.fault("partial_fill", arg="0.5", path="/api/v3/orderList")
    answer = triggered(client, "opoco", workingTimeInForce=force, newOrderRespType="FULL").json()
    assert answer["listOrderStatus"] == "ALL_DONE"
    working, above, below = answer["orderReports"]
    assert (working["status"], working["expiryReason"]) == ("EXPIRED", reason)
    assert D(working["executedQty"]) == (1 if force == "IOC" else 0)
    assert {(row["status"], row["expiryReason"]) for row in (above, below)} == {("EXPIRED", "OTO_PHASE_ONE_EXPIRED")}
    assert balance(client, "XYZ")[1] == 0, "what was locked for the exits is free again"


def test_exits_that_want_more_than_the_fee_left_are_refused_by_the_book(market):
    """The fee is taken in base: 2 bought are 1.998, and a pending sale of 2 has not enough."""
    client = market(FLAT, balances={"XYZ": "0"})
    triggered(client, "otoco", pendingQuantity="2")
    assert states(client) == {"entry": "FILLED", "target": "EXPIRED", "stop": "EXPIRED"}
    assert {one(client, "target")["expiryReason"], one(client, "stop")["expiryReason"]} == {"REJECTED", "OCO_TRIGGER"}
    assert balance(client, "XYZ") == (D("1.998"), 0)
    assert status_of(client) == "ALL_DONE"


@pytest.mark.parametrize(
    "changed",
    [{"pendingStopPrice": "99.99", "pendingPrice": "99"}, {"pendingType": "LIMIT_MAKER", "pendingPrice": "98",
      "pendingStopPrice": None, "pendingTimeInForce": None}],
)  # fmt: skip
def test_an_exit_that_would_act_at_once_is_refused_by_the_book(market, changed):
    client = market((100, 100, 98.5, 98.5, 1000), FLAT)
    triggered(client, "oto", workingPrice="99", workingTimeInForce="GTC", **changed)
    client.sim.advance(59_000)
    assert states(client) == {"entry": "FILLED", "stop": "EXPIRED"}
    assert one(client, "stop")["expiryReason"] == "REJECTED"


def test_a_market_exit_sells_when_the_entry_fills(market):
    client = market(FLAT)
    triggered(client, "opo", pendingType="MARKET", pendingStopPrice=None, pendingPrice=None, pendingTimeInForce=None)
    assert states(client) == {"entry": "FILLED", "stop": "FILLED"}
    assert balance(client, "XYZ") == (D("9.998"), 0)


def test_exits_can_be_late(market):
    client = market(FLAT)
    client.sim.fault("pending_lag", arg=3, path="/api/v3/orderList")
    triggered(client, "otoco")
    client.sim.advance(2999)
    assert states(client)["stop"] == "PENDING_NEW"
    client.sim.advance(1)
    assert states(client)["stop"] == "NEW"


# -- OPO ---------------------------------------------------------------------------------------------------------------


def test_what_an_opo_brings_in_is_locked_for_its_exits(market):
    client = market((100, 100, 98, 98, 4), FLAT, balances={"XYZ": "0"})
    triggered(client, "opoco", workingPrice="99", workingTimeInForce="GTC")
    client.sim.advance(59_000)
    assert balance(client, "XYZ") == (0, D("0.999"))
    client.signed("DELETE", "/api/v3/orderList", symbol="XYZUSDT", listClientOrderId="list1")
    assert balance(client, "XYZ") == (D("0.999"), 0)


@pytest.mark.parametrize(("free", "quantity"), [("0", "1.99000000"), ("10", "2.00000000"), ("0.001", "1.99000000")])
def test_the_quantity_of_an_opo_is_net_of_a_fee_that_nothing_else_pays(market, free, quantity):
    client = market(FLAT, balances={"XYZ": free})
    triggered(client, "opo")
    assert one(client, "stop")["origQty"] == quantity
    assert sum(balance(client, "XYZ")) == D(free) + D("1.998")


def test_an_opo_whose_rest_is_below_the_minimum_leaves_nothing_locked(market):
    client = market(FLAT)
    traded = client.sim.exchange.markets["XYZUSDT"]
    traded.rules = replace(traded.rules, min_notional=D(185))
    triggered(client, "opo", pendingPrice="90")
    assert (states(client)["stop"], one(client, "stop")["expiryReason"]) == ("EXPIRED", "REJECTED")
    assert balance(client, "XYZ")[1] == 0


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"workingSide": "SELL"}, -1222), ({"pendingSide": "BUY"}, -1223), ({"pendingQuantity": "2"}, -1104),
     ({"workingType": "MARKET", "workingPrice": None, "workingTimeInForce": None}, -1116)],
)  # fmt: skip
def test_an_opo_buys_first_and_finds_its_quantity_itself(market, changed, code):
    client = market(FLAT)
    assert refused(triggered(client, "opo", **changed))[0] == code
    assert client.sim.books()["orders"] == []


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "stands"),
    [("drop_after_accept", True), ("unknown_1007_after_accept", True), ("bad_json", True), ("reset_mid_body", True),
     ("http_status_after_accept", True), ("drop_before", False), ("html_502", False), ("redirect_307", False)],
)  # fmt: skip
def test_every_fault_of_an_order_is_one_of_a_list(market, kind, stands):
    client = market(FLAT)
    client.sim.fault(kind, method="POST", path="/api/v3/orderList/oco")
    try:
        answer = oco(client)
        assert answer.status_code != 200 or kind == "bad_json"
    except OSError:
        pass
    assert len(client.sim.lists()) == stands
    found = client.signed("GET", "/api/v3/orderList", origClientOrderId="list1")
    assert found.status_code == (200 if stands else 400)
    if not stands:
        assert refused(found) == (-2018, "Order list does not exist.")


def test_a_list_may_be_listed_late(market):
    client = market(FLAT, FLAT)
    client.sim.fault("listing_lag", arg=30, path="/api/v3/orderList")
    oco(client)
    asked = ("/api/v3/openOrderList", "/api/v3/openOrders", "/api/v3/allOrderList")
    assert [client.signed("GET", path).json() for path in asked] == [[], [], []]
    assert refused(client.signed("GET", "/api/v3/orderList", origClientOrderId="list1"))[0] == -2018
    client.sim.advance(30_000)
    assert [len(client.signed("GET", path).json()) for path in asked] == [1, 2, 1]


def test_the_books_name_the_list_of_each_order(market):
    client = market(FLAT)
    oco(client)
    assert [row["orderListId"] for row in client.sim.books()["orders"]] == [1, 1]
    told = client.session.get(f"{client.sim.admin_url}/sim/lists", timeout=5).json()
    assert told["orderLists"] == client.sim.lists()
    assert client.sim.lists() == [
        {"orderListId": 1, "listClientOrderId": "list1", "symbol": "XYZUSDT", "contingencyType": "OCO",
         "listOrderStatus": "EXECUTING", "orders": [1, 2]}
    ]  # fmt: skip


# -- what the account's owner hears ------------------------------------------------------------------------------------


def heard(client, act):
    """The user events of an act, as (event, order or list id, what, status)."""
    events = UserEvents(client.sim.exchange)
    events.is_wanted = True
    act()
    client.sim.now_ms  # noqa: B018 - brings the exchange up to now
    told = []
    for event in events.take():
        if event["e"] == "executionReport":
            told.append((event["C"] or event["c"], event["x"], event["X"], event["g"], event.get("eR")))
        elif event["e"] == "listStatus":
            told.append((event["C"], event["c"], event["L"], event["g"], [leg["c"] for leg in event["O"]]))
    return told


def test_the_stream_tells_a_list_from_its_beginning_to_its_end(market):
    client = market(DOWN, FLAT)

    def play():
        triggered(client, "otoco")
        client.sim.advance(60_000)

    names = ["entry", "target", "stop"]
    assert heard(client, play) == [
        ("list1", "OTO", "EXECUTING", 1, names),
        ("target", "NEW", "PENDING_NEW", 1, None),
        ("stop", "NEW", "PENDING_NEW", 1, None),
        ("entry", "NEW", "NEW", 1, None),
        ("entry", "TRADE", "FILLED", 1, None),
        ("target", "NEW", "NEW", 1, None),
        ("stop", "NEW", "NEW", 1, None),
        ("target", "EXPIRED", "EXPIRED", 1, "OCO_TRIGGER"),
        ("stop", "TRADE", "FILLED", 1, None),
        ("list1", "OTO", "ALL_DONE", 1, names),
    ]


def test_the_stream_tells_a_cancelled_list_under_the_cancels_id(market):
    client = market(FLAT)
    oco(client)

    def cancel():
        client.signed("DELETE", "/api/v3/order", symbol="XYZUSDT", origClientOrderId="stop", newClientOrderId="bye")

    assert heard(client, cancel) == [
        ("target", "CANCELED", "CANCELED", 1, None),
        ("stop", "CANCELED", "CANCELED", 1, None),
        ("list1", "OCO", "ALL_DONE", 1, ["target", "stop"]),
    ]
    assert {order.cancel_id for order in client.sim.exchange.engine.orders} == {"bye"}
