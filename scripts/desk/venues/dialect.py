"""Pieces of parsing both exchanges share: their order, trade, book, balance and candle shapes are close cousins.

Pure. A missing key, a wrong type or an unusable number raises KeyError, TypeError or ValueError; the guard turns that
into "unusable answer, outcome unknown".
"""

from collections.abc import Mapping
from typing import Any, Final

from desk.venues.fields import decimal, flag, identity, label, moment, number, rounded, same, words
from desk.venues.protocol import Balance, Bar, Book, Level, OrderReport, OrderStatus, Side, Trade

STATUS: Final[Mapping[str, OrderStatus]] = {
    **{status.value: status for status in OrderStatus if status is not OrderStatus.UNRECOGNISED},
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "PARTIALLY_CANCELED": OrderStatus.CANCELED,  # MEXC: cancelled after a partial fill
}


def report(venue: str, row: Mapping[str, Any], client_order_id: str) -> OrderReport:
    """One order as an exchange tells it. An answer without a status (an ACK) reads as NEW, nothing executed.

    Args:
        client_order_id: the id we know the order by; in cancel answers `clientOrderId` is the cancel's own.
    """
    word = label(row.get("status"), "status")
    quantity, executed = decimal(row, "origQty", "Qty", default="0"), decimal(row, "executedQty", default="0")
    if quantity and executed > quantity:
        raise ValueError("more executed than ordered")
    time_ms = moment(row, "time", "transactTime", "updateTime", default=0)
    return OrderReport(
        venue=venue, symbol=words(row, "symbol"), client_order_id=client_order_id, order_id=identity(row["orderId"]),
        side=Side(row.get("side") or ""), type=label(row.get("type"), "type"),
        status=STATUS.get(word, OrderStatus.UNRECOGNISED) if word else OrderStatus.NEW, status_word=word,
        quantity=quantity, executed=executed,
        executed_quote=decimal(row, "cummulativeQuoteQty", "cumulativeQuoteQty", default="0"),
        price=decimal(row, "price", default="0"), stop_price=decimal(row, "stopPrice", default="0"),
        time_ms=time_ms, update_ms=moment(row, "updateTime", "transactTime", default=time_ms),
        list_id=list_id(row), expiry_reason=expiry_reason(row),
    )  # fmt: skip


def list_id(row: Mapping[str, Any]) -> str:
    """The id of the order list a row belongs to, exact; empty for none (the exchange says -1, or nothing)."""
    value = row.get("orderListId")
    return "" if value is None or value == -1 or value == "" else identity(value)


def expiry_reason(row: Mapping[str, Any]) -> str:
    """Why an order expired, in the exchange's word; empty when it does not say."""
    value = label(row.get("expiryReason"), "expiryReason")
    return value if value != "NONE" else ""


def told_of(venue: str, row: Mapping[str, Any], symbol: str, client_order_id: str) -> OrderReport:
    """The answer to a query or cancel of one order; it must be about that order.

    A cancel answers with `origClientOrderId` ours and `clientOrderId` its own; a cancelled order may keep the latter.
    The cancel of one leg of an order list answers with the whole list: the leg is picked out of it.
    """
    if "orderReports" in row:
        legs = [leg for leg in row["orderReports"] if leg.get("origClientOrderId") == client_order_id]
        if len(legs) != 1:
            raise ValueError("the leg is not in the answer")
        row = legs[0]
    same(row["symbol"], symbol, "symbol")
    found = report(venue, row, client_order_id)
    if found.status is not OrderStatus.CANCELED or "origClientOrderId" in row:
        same(row.get("origClientOrderId") or row["clientOrderId"], client_order_id, "client order id")
    return found


def trade(row: Mapping[str, Any]) -> Trade:
    """One of our fills from myTrades."""
    return Trade(
        trade_id=identity(row["id"]), symbol=words(row, "symbol"), order_id=identity(row["orderId"]),
        client_order_id=label(row.get("clientOrderId"), "clientOrderId"),
        side=Side.BUY if flag(row["isBuyer"]) else Side.SELL,
        quantity=decimal(row, "qty"), price=decimal(row, "price"), fee=decimal(row, "commission"),
        fee_asset=words(row, "commissionAsset"), time_ms=moment(row, "time"), maker=flag(row["isMaker"]),
    )  # fmt: skip


def balances(rows: Any) -> dict[str, Balance]:
    """Balances by asset; an asset named twice is an answer we cannot use."""
    found: dict[str, Balance] = {}
    for row in rows:
        asset = words(row, "asset")
        if asset in found:
            raise ValueError(f"asset {asset} twice")
        found[asset] = Balance(asset=asset, free=decimal(row, "free"), locked=decimal(row, "locked"))
    return found


def book(venue: str, symbol: str, value: Mapping[str, Any], as_of_ms: int) -> Book:
    """A book as told: zero, crossed or empty sides are the gates' business, unsorted ones are not usable."""
    bids, asks = _levels(value["bids"]), _levels(value["asks"])
    if list(bids) != sorted(bids, key=lambda level: -level.price) or list(asks) != sorted(asks, key=lambda a: a.price):
        raise ValueError("levels are not in order")
    return Book(venue=venue, symbol=symbol, bids=bids, asks=asks, as_of_ms=as_of_ms)


def bars(rows: Any) -> tuple[Bar, ...]:
    """Candles, oldest first. The first six columns are the same on both exchanges (MEXC has 8, Binance 12)."""
    found = tuple(_bar(row) for row in rows)
    times = [bar.open_ms for bar in found]
    if times != sorted(set(times)):
        raise ValueError("candles are not in order")
    return found


def _bar(row: Any) -> Bar:
    found = Bar(moment({"open time": row[0]}, "open time"), *(rounded(item, "candle") for item in row[1:6]))
    if not 0 < found.low <= min(found.open, found.close) <= max(found.open, found.close) <= found.high:
        raise ValueError("prices of a candle that cannot be")  # one wrong close could look like a crash
    if found.volume < 0:
        raise ValueError("volume is negative")
    return found


def _levels(rows: Any) -> tuple[Level, ...]:
    found = tuple(Level(number(row[0], "price"), number(row[1], "quantity")) for row in rows)
    if any(level.quantity < 0 for level in found):
        raise ValueError("quantity is negative")
    return found
