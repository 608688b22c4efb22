"""Binance's order lists turned into our words and back: OCO, OTO, OTOCO, OPO, OPOCO. Pure; the door sends them.

Source: the exchange's REST documentation, "Order lists" (`/api/v3/orderList/*`). The parameters of a leg are those of
an order with the leg's name in front: `belowStopPrice`, `workingClientOrderId`, `pendingAboveTimeInForce`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from desk.base.errors import InvariantError
from desk.base.money import ZERO
from desk.venues import dialect, dialect_binance
from desk.venues.fields import identity, moment, same, words
from desk.venues.protocol import (
    LIST_LEGS,
    PAYS_ITSELF,
    ListedOrder,
    ListKind,
    ListStatus,
    OrderListReport,
    OrderListRequest,
    OrderReport,
    OrderRequest,
    OrderType,
    Side,
)

VENUE: Final = dialect_binance.VENUE
PATH: Final = "/api/v3/orderList"
OPEN_PATH: Final = "/api/v3/openOrderList"
WORKING_TYPES: Final = frozenset({OrderType.LIMIT, OrderType.LIMIT_IOC, OrderType.LIMIT_FOK, OrderType.LIMIT_MAKER})
PAIRED: Final = frozenset({ListKind.OCO, ListKind.OTOCO, ListKind.OPOCO})
# our name in an order's parameters -> the name after the leg's
LEG_NAMES: Final[Mapping[str, str]] = {
    "type": "Type", "timeInForce": "TimeInForce", "price": "Price", "stopPrice": "StopPrice",
    "trailingDelta": "TrailingDelta", "newClientOrderId": "ClientOrderId", "side": "Side", "quantity": "Quantity",
}  # fmt: skip
STATUS: Final[Mapping[str, ListStatus]] = {
    status.value: status for status in ListStatus if status is not ListStatus.UNRECOGNISED
}


def path_of(kind: ListKind) -> str:
    """Where a list of this kind is placed."""
    return f"{PATH}/{kind.value.lower()}"


def list_params(request: OrderListRequest) -> dict[str, Any]:
    """A new list in Binance's words; the full answer is asked for, so that fills of the working order come with it.

    Raises:
        InvariantError: legs that do not make such a list; nothing was sent.
    """
    _check(request)
    params: dict[str, Any] = {
        "symbol": request.legs[0].symbol, "listClientOrderId": request.list_client_order_id, "newOrderRespType": "FULL",
    }  # fmt: skip
    for name, leg in zip(LIST_LEGS[request.kind], request.legs, strict=True):
        params |= _leg_params(request.kind, name, leg)
    return params


def placed(value: Any, request: OrderListRequest) -> OrderListReport:
    """The answer to a new list. It must be about this list and name every leg, with its state."""
    same(value["listClientOrderId"], request.list_client_order_id, "listClientOrderId")
    same(value["symbol"], request.legs[0].symbol, "symbol")
    report = told(value)
    rows = {row["clientOrderId"]: row for row in value["orderReports"]}
    if set(rows) != {leg.client_order_id for leg in request.legs} or set(rows) != _ids(report):
        raise ValueError("the legs are not those asked for")
    return _with(report, tuple(_leg_placed(rows[leg.client_order_id], leg, report) for leg in request.legs))


def cancelled(value: Any, symbol: str, list_client_order_id: str) -> OrderListReport:
    """The answer to the cancel of a list: the legs as they are now, under their own client ids."""
    same(value["symbol"], symbol, "symbol")
    same(value["listClientOrderId"], list_client_order_id, "listClientOrderId")
    report = told(value)
    reports = tuple(
        dialect.report(VENUE, row, words(row, "origClientOrderId")) for row in value.get("orderReports", ())
    )
    if not {one.client_order_id for one in reports} <= _ids(report):
        raise ValueError("a leg of another list")
    return _with(report, reports)


def found(value: Any, list_client_order_id: str) -> OrderListReport:
    """The answer to a query of one list; it must be about that list."""
    same(value["listClientOrderId"], list_client_order_id, "listClientOrderId")
    return told(value)


def told(value: Any) -> OrderListReport:
    """A list as queries tell it: which orders it is made of and whether it is done."""
    word = words(value, "listOrderStatus")
    symbol = words(value, "symbol")
    orders = tuple(_listed(row, symbol) for row in value["orders"])
    if len(orders) < 2 or len({one.client_order_id for one in orders}) != len(orders):
        raise ValueError("a list has at least two orders, each once")
    return OrderListReport(
        venue=VENUE, symbol=symbol, list_id=identity(value["orderListId"]),
        list_client_order_id=words(value, "listClientOrderId"), contingency=words(value, "contingencyType"),
        status=STATUS.get(word, ListStatus.UNRECOGNISED), status_word=word,
        time_ms=moment(value, "transactionTime", default=0), orders=orders,
    )  # fmt: skip


def _leg_params(kind: ListKind, name: str, leg: OrderRequest) -> dict[str, Any]:
    """What is shared by a pair (side, quantity) stands once: for an OCO bare, for a pending pair as `pending*`."""
    order = dialect_binance.order_params(leg)
    params = {name + after: order.get(ours) for ours, after in LEG_NAMES.items() if order.get(ours) is not None}
    if kind in PAIRED and name != "working":
        shared = "pending" if kind is not ListKind.OCO else ""
        for after in ("Side", "Quantity"):
            params[shared + after if shared else after.lower()] = params.pop(name + after)
    if kind in PAYS_ITSELF:
        params.pop("pendingQuantity", None)
    return params


def _check(request: OrderListRequest) -> None:
    names, legs = LIST_LEGS[request.kind], request.legs
    ids = {request.list_client_order_id, *(leg.client_order_id for leg in legs)}
    pair = legs[-2:] if request.kind in PAIRED else ()
    pending = legs[1:] if names[0] == "working" else ()
    problems = {
        "wants other legs": len(legs) != len(names) or len({leg.symbol for leg in legs}) != 1,
        "wants an id for the list and each leg": len(ids) != len(legs) + 1 or "" in ids,
        "wants a pair of one side and quantity": len({(leg.side, leg.quantity) for leg in pair}) > 1,
        "wants a limit order first": bool(pending) and legs[0].type not in WORKING_TYPES,
        "finds the quantity itself": request.kind in PAYS_ITSELF and any(leg.quantity != ZERO for leg in pending),
        "buys first, then sells": request.kind in PAYS_ITSELF
        and (legs[0].side is not Side.BUY or any(leg.side is not Side.SELL for leg in pending)),
    }
    wrong = [problem for problem, holds in problems.items() if holds]
    if wrong:
        raise InvariantError(f"order list {request.list_client_order_id}: {request.kind} {wrong[0]}")


def _leg_placed(row: Mapping[str, Any], leg: OrderRequest, report: OrderListReport) -> OrderReport:
    words(row, "status")  # an answer without states would read every leg as NEW
    same(dialect.list_id(row), report.list_id, "orderListId")
    return dialect_binance.placed(row, leg)


def _listed(row: Mapping[str, Any], symbol: str) -> ListedOrder:
    same(row["symbol"], symbol, "symbol")
    return ListedOrder(client_order_id=words(row, "clientOrderId"), order_id=identity(row["orderId"]))


def _ids(report: OrderListReport) -> set[str]:
    return {one.client_order_id for one in report.orders}


def _with(report: OrderListReport, reports: tuple[OrderReport, ...]) -> OrderListReport:
    return msgspec.structs.replace(report, reports=reports)
