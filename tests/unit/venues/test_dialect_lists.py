"""Binance's order lists in our words and back: the parameters of every kind, the recorded answers, what is refused."""

import copy
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.base.errors import InvariantError
from desk.venues import dialect, dialect_binance, errors_binance
from desk.venues import dialect_binance_lists as lists
from desk.venues.lacks import NoOrderLists
from desk.venues.outcome import Klass, VenueError, classify
from desk.venues.protocol import (
    LIST_LEGS,
    ListKind,
    ListStatus,
    OrderListRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)
from venue.kit import contract, needs_contracts

D = Decimal


def leg(name: str, kind: OrderType, side: Side = Side.SELL, quantity: str = "5", **fields: Any) -> OrderRequest:
    return OrderRequest(
        client_order_id=name, symbol="LTCBTC", side=side, type=kind, quantity=D(quantity), **fields
    )  # fmt: skip


def entry(**fields: Any) -> OrderRequest:
    return leg("entry", OrderType.LIMIT_FOK, Side.BUY, price=D("2"), **fields)


def target(quantity: str = "5") -> OrderRequest:
    return leg("target", OrderType.LIMIT_MAKER, quantity=quantity, price=D("3"))


def stop(quantity: str = "5", **fields: Any) -> OrderRequest:
    return leg(
        "stop", OrderType.STOP_LOSS_LIMIT, quantity=quantity, **({"price": D("1"), "stop_price": D("1")} | fields)
    )


def listed(kind: ListKind, *legs: OrderRequest) -> OrderListRequest:
    return OrderListRequest(list_client_order_id="list1", kind=kind, legs=legs)


OCO = listed(ListKind.OCO, target(), stop())
KINDS = {
    ListKind.OCO: OCO,
    ListKind.OTO: listed(ListKind.OTO, entry(), stop()),
    ListKind.OTOCO: listed(ListKind.OTOCO, entry(), target(), stop()),
    ListKind.OPO: listed(ListKind.OPO, entry(), stop("0")),
    ListKind.OPOCO: listed(ListKind.OPOCO, entry(), target("0"), stop("0")),
}


def sent(request: OrderListRequest) -> dict[str, str]:
    return {name: str(value) for name, value in lists.list_params(request).items()}


def test_an_oco_names_side_and_quantity_once() -> None:
    assert lists.path_of(ListKind.OCO) == "/api/v3/orderList/oco"
    assert sent(OCO) == {
        "symbol": "LTCBTC", "listClientOrderId": "list1", "newOrderRespType": "FULL", "side": "SELL", "quantity": "5",
        "aboveType": "LIMIT_MAKER", "abovePrice": "3", "aboveClientOrderId": "target",
        "belowType": "STOP_LOSS_LIMIT", "belowPrice": "1", "belowStopPrice": "1", "belowTimeInForce": "GTC",
        "belowClientOrderId": "stop",
    }  # fmt: skip


def test_a_pending_pair_shares_pending_side_and_quantity() -> None:
    told = sent(KINDS[ListKind.OTOCO])
    assert (told["pendingSide"], told["pendingQuantity"]) == ("SELL", "5")
    assert (told["workingType"], told["workingTimeInForce"], told["workingSide"]) == ("LIMIT", "FOK", "BUY")
    assert told["pendingAboveClientOrderId"] == "target"
    assert told["pendingBelowStopPrice"] == "1"
    assert not {"side", "quantity", "pendingAboveSide", "pendingBelowQuantity", "pendingTimeInForce"} & set(told)


@pytest.mark.parametrize("kind", [ListKind.OPO, ListKind.OPOCO])
def test_what_pays_itself_is_sent_without_a_pending_quantity(kind: ListKind) -> None:
    told = sent(KINDS[kind])
    assert told["workingQuantity"] == "5"
    assert [name for name in told if name.startswith("pending") and "Quantity" in name] == []
    assert told["pendingSide"] == "SELL"


def test_a_trailing_leg_may_do_without_a_stop_price() -> None:
    told = sent(listed(ListKind.OCO, target(), stop(stop_price=None, trailing_bps=150)))
    assert told["belowTrailingDelta"] == "150"
    assert "belowStopPrice" not in told


@pytest.mark.parametrize(
    "request_",
    [
        listed(ListKind.OCO, target()),
        listed(ListKind.OCO, target(), stop("4")),
        listed(ListKind.OCO, target(), target()),
        listed(ListKind.OTO, leg("w", OrderType.MARKET, Side.BUY), stop()),
        listed(ListKind.OPO, entry(), stop("5")),
        listed(ListKind.OPO, leg("w", OrderType.LIMIT, Side.SELL, price=D(2)), stop("0")),
        listed(ListKind.OPOCO, entry(), target("0")),
    ],
)
def test_legs_that_make_no_such_list_are_our_bug(request_: OrderListRequest) -> None:
    with pytest.raises(InvariantError, match="order list list1"):
        lists.list_params(request_)


def test_every_kind_names_its_legs() -> None:
    assert set(LIST_LEGS) == set(ListKind) == set(KINDS)
    for kind, request in KINDS.items():
        assert {name.split(after)[0] for after in ("Type",) for name in sent(request) if name.endswith(after)} >= set(
            LIST_LEGS[kind]
        )


def recorded(change: Any = None) -> tuple[dict[str, Any], OrderListRequest]:
    """The documented OCO answer and the request it answers."""
    body: dict[str, Any] = copy.deepcopy(contract("binance/rest/order_list_oco.json")["body"])
    if change is not None:
        change(body)
    request = OrderListRequest(
        list_client_order_id="lH1YDkuQKWiXVXHPSKYEIp", kind=ListKind.OCO,
        legs=(
            leg("NuMp0nVYnciDiFmVqfpBqK", OrderType.LIMIT_MAKER, price=D("3")),
            leg("44nZvqpemY7sVYgPYbvPih", OrderType.STOP_LOSS_LIMIT, price=D(1), stop_price=D(1)),
        ),
    )  # fmt: skip
    return body, request


@needs_contracts
def test_the_recorded_oco_is_read_leg_by_leg() -> None:
    body, request = recorded()
    told = lists.placed(body, request)
    assert (told.list_id, told.contingency, told.status) == ("1", "OCO", ListStatus.EXECUTING)
    assert [one.client_order_id for one in told.orders] == ["44nZvqpemY7sVYgPYbvPih", "NuMp0nVYnciDiFmVqfpBqK"]
    above, below = told.reports
    assert (above.type, above.price, above.order_id, above.list_id) == ("LIMIT_MAKER", D(3), "11", "1")
    assert (below.type, below.stop_price, below.status) == ("STOP_LOSS_LIMIT", D(1), OrderStatus.NEW)
    assert {one.quantity for one in told.reports} == {D(5)}


@needs_contracts
@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(listClientOrderId="another"),
        lambda body: body.update(symbol="BTCUSDT"),
        lambda body: body.pop("orderReports"),
        lambda body: body["orderReports"].pop(),
        lambda body: body["orders"].pop(),
        lambda body: body["orderReports"][0].pop("status"),
        lambda body: body["orderReports"][0].update(orderListId=2),
        lambda body: body["orderReports"][0].update(clientOrderId="strange"),
        lambda body: body["orders"][0].update(clientOrderId="NuMp0nVYnciDiFmVqfpBqK"),
        lambda body: body.pop("listOrderStatus"),
        lambda body: body.pop("orderListId"),
    ],
)
def test_an_answer_about_something_else_is_unusable(change: Any) -> None:
    """The guard turns these errors into "outcome unknown": the list may stand."""
    body, request = recorded(change)
    with pytest.raises((KeyError, ValueError, TypeError)):
        lists.placed(body, request)


@needs_contracts
def test_a_new_word_for_a_lists_status_is_kept_and_not_guessed() -> None:
    body, request = recorded(lambda body: body.update(listOrderStatus="SUSPENDED"))
    told = lists.placed(body, request)
    assert (told.status, told.status_word) == (ListStatus.UNRECOGNISED, "SUSPENDED")


def test_a_working_order_that_filled_at_once_leaves_its_legs_pending() -> None:
    """OPO answers name no quantity of a pending leg."""
    rows = [
        {"symbol": "LTCBTC", "orderId": 9, "orderListId": 2, "clientOrderId": "entry", "transactTime": 7, "price": "2",
         "origQty": "5", "executedQty": "5", "cummulativeQuoteQty": "10", "status": "FILLED", "type": "LIMIT",
         "side": "BUY", "fills": [{"price": "2", "qty": "5", "commission": "0.005", "commissionAsset": "LTC",
                                   "tradeId": 4}]},
        {"symbol": "LTCBTC", "orderId": 10, "orderListId": 2, "clientOrderId": "stop", "transactTime": 7,
         "price": "1", "executedQty": "0", "status": "PENDING_NEW", "type": "STOP_LOSS_LIMIT", "side": "SELL",
         "stopPrice": "1"},
    ]  # fmt: skip
    body = {
        "orderListId": 2, "contingencyType": "OTO", "listStatusType": "EXEC_STARTED", "listOrderStatus": "EXECUTING",
        "listClientOrderId": "list1", "transactionTime": 7, "symbol": "LTCBTC", "orderReports": rows,
        "orders": [{"symbol": "LTCBTC", "orderId": row["orderId"], "clientOrderId": row["clientOrderId"]}
                   for row in rows],
    }  # fmt: skip
    working, pending = lists.placed(body, KINDS[ListKind.OPO]).reports
    assert (working.status, working.executed, len(working.trades)) == (OrderStatus.FILLED, D(5), 1)
    assert (pending.status, pending.quantity) == (OrderStatus.PENDING_NEW, D(0))


def test_the_cancel_of_one_leg_answers_with_the_list() -> None:
    legs = [
        {"symbol": "LTCBTC", "origClientOrderId": name, "orderId": number, "orderListId": 0, "clientOrderId": "own1",
         "status": "CANCELED", "type": kind, "side": "SELL", "origQty": "10", "executedQty": "2"}
        for name, number, kind in (("stop", 2, "STOP_LOSS_LIMIT"), ("target", 3, "LIMIT_MAKER"))
    ]  # fmt: skip
    body = {
        "orderListId": 0, "contingencyType": "OCO", "listStatusType": "ALL_DONE", "listOrderStatus": "ALL_DONE",
        "listClientOrderId": "list1", "transactionTime": 9, "symbol": "LTCBTC", "orderReports": legs,
        "orders": [{"symbol": "LTCBTC", "orderId": row["orderId"], "clientOrderId": row["origClientOrderId"]}
                   for row in legs],
    }  # fmt: skip
    told = dialect.told_of("binance", body, "LTCBTC", "target")
    assert (told.client_order_id, told.order_id, told.executed, told.list_id) == ("target", "3", D(2), "0")
    whole = lists.cancelled(body, "LTCBTC", "list1")
    assert whole.status is ListStatus.ALL_DONE
    assert [one.client_order_id for one in whole.reports] == ["stop", "target"]
    with pytest.raises(ValueError, match="of something else"):
        lists.cancelled(body, "LTCBTC", "list2")


def test_the_cancel_of_a_leg_must_tell_of_that_leg() -> None:
    body = {"orderReports": [{"origClientOrderId": "target", "symbol": "LTCBTC"}]}
    with pytest.raises(ValueError, match="not in the answer"):
        dialect.told_of("binance", body, "LTCBTC", "stop")


UNUSABLE = (KeyError, TypeError, IndexError, AttributeError, ValueError)  # what the guard reads as "nobody knows"
STRANGE = st.sampled_from(
    [None, True, 0, -1, 2**63, "", "NaN", "-0", "1e400", "1E-9", "\u0130", [], {}, [None], {"a": 1}, "0.1", "<html>"]
)


def spoil(value: Any, path: list[int], strange: Any) -> Any:
    """Something in the answer is replaced, the deeper the longer the path."""
    if not path or not isinstance(value, dict | list) or not value:
        return strange
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    value[key] = spoil(value[key], path[1:], strange)
    return value


@needs_contracts
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), STRANGE)
def test_a_spoiled_answer_is_read_right_or_not_at_all(path: list[int], strange: Any) -> None:
    """Whatever is wrong with it, no other error leaves the parsers, and what is read is about the list asked for."""
    body, request = recorded()
    own = {leg.client_order_id for leg in request.legs}
    spoiled = spoil(body, path, strange)
    reads = (
        lambda: lists.placed(spoiled, request),
        lambda: lists.told(spoiled),
        lambda: lists.cancelled(spoiled, "LTCBTC", request.list_client_order_id),
        lambda: lists.found(spoiled, request.list_client_order_id),
        lambda: dialect.told_of("binance", spoiled, "LTCBTC", "NuMp0nVYnciDiFmVqfpBqK"),
    )
    for read in reads[:1]:
        try:
            placed = read()
        except UNUSABLE:
            continue
        assert {one.client_order_id for one in placed.reports} == own
        assert all(one.executed >= 0 and one.quantity >= 0 for one in placed.reports)
    for read in reads[1:]:
        with suppress(*UNUSABLE):
            read()


def test_an_order_outside_a_list_has_no_list_id() -> None:
    row = {"symbol": "LTCBTC", "orderId": 1, "side": "BUY", "status": "EXPIRED", "expiryReason": "OCO_TRIGGER"}
    assert dialect.report("binance", row | {"orderListId": -1}, "x").list_id == ""
    told = dialect.report("binance", row | {"orderListId": 2**60 + 1}, "x")
    assert (told.list_id, told.expiry_reason) == (str(2**60 + 1), "OCO_TRIGGER")


def test_what_a_symbol_takes_is_read_from_its_flags_and_filters() -> None:
    row = {
        "symbol": "LTCBTC", "status": "TRADING", "baseAsset": "LTC", "quoteAsset": "BTC", "ocoAllowed": True,
        "otoAllowed": True, "opoAllowed": False, "allowTrailingStop": True,
        "filters": [
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10, "maxTrailingAboveDelta": 2000,
             "minTrailingBelowDelta": 11, "maxTrailingBelowDelta": 1999},
        ],
    }  # fmt: skip
    rules = dialect_binance.rules(row)
    assert rules.list_kinds == {ListKind.OCO, ListKind.OTO, ListKind.OTOCO}
    assert (rules.order_lists_max, rules.algo_orders_max, rules.trailing_allowed) == (20, 5, True)
    assert (rules.trailing_below_bps_min, rules.trailing_below_bps_max) == (11, 1999)
    assert dialect_binance.rules(row | {"opoAllowed": True}).list_kinds == set(ListKind)
    for flag, left in (("opoAllowed", 3), ("otoAllowed", 1), ("ocoAllowed", 2)):  # what is not told is not allowed
        silent = {name: value for name, value in (row | {"opoAllowed": True}).items() if name != flag}
        assert len(dialect_binance.rules(silent).list_kinds) == left
    assert dialect_binance.rules(row | {"otoAllowed": None, "ocoAllowed": "yes"}).list_kinds == set()


def test_a_list_that_does_not_exist_is_a_definite_answer() -> None:
    body = b'{"code":-2018,"msg":"Order list does not exist."}'
    assert classify(errors_binance.TABLE, 400, {}, body).klass is Klass.ORDER_NOT_FOUND


def test_a_venue_without_lists_sends_nothing() -> None:
    class Bare(NoOrderLists):
        venue = "mexc"

    bare = Bare()
    for act in (
        lambda: bare.place_order_list(OCO, 1),
        lambda: bare.get_order_list("x"),
        lambda: bare.cancel_order_list("BTCUSDT", "x"),
    ):
        with pytest.raises(VenueError, match="no order lists") as caught:
            act()
        assert (caught.value.sent, caught.value.reason) == ("not_sent", "venue:unsupported")
    assert bare.open_order_lists() == ()
