"""BTCTurk's words turned into ours and back. Pure; the door sends them.

Differences that matter (protocol facts, BTCTurk): every answer but time and candles stands in an envelope; the status
set is Untouched, Partial, Canceled, Closed; what an order executed comes from its trades (a market purchase's quantity
is in the quote currency); fee and tax are both taken in the quote currency; there are no IOC, FOK and post-only
orders; candles are columns in seconds, and a bar without trades is absent.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from typing import Any, Final

from msgspec.structs import replace

from desk.base import money
from desk.base.errors import BadInput
from desk.venues import dialect
from desk.venues.fields import decimal, identity, label, moment, number, same, whole, words
from desk.venues.protocol import Bar, Book, OrderReport, OrderRequest, OrderStatus, OrderType, Side, SymbolRules, Trade

VENUE: Final = "btcturk"
MS: Final = 1000
INTERVALS: Final = {60: "1", 900: "15", 1800: "30", 3600: "60", 14_400: "240", 86_400: "1 d"}
METHODS: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP_LOSS_LIMIT: "stoplimit",
}
OFFERED: Final = {  # orderMethods of exchangeinfo that we use
    "MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT, "STOP_LIMIT": OrderType.STOP_LOSS_LIMIT,
}  # fmt: skip
UNTOUCHED, CLOSED = "Untouched", "Closed"
STATUS: Final = {
    UNTOUCHED: OrderStatus.NEW,
    "Partial": OrderStatus.PARTIALLY_FILLED,
    "Canceled": OrderStatus.CANCELED,
    CLOSED: OrderStatus.FILLED,
}
FEE_FRAC: Final = Decimal("0.0018")  # tax included, by the exchange's FAQ: 50,090 TRY free for an order of 50,000
LOWEST_FRAC: Final = Decimal("0.1")
AMOUNT_GRID: Final = Decimal("0.01")
SCALE_MAX: Final = 18
CLIENT_IDS: Final = frozenset({"orderClientId", "newOrderClientId"})
BARS_FILLED_MAX: Final = 2000


def data_of(value: Any) -> Any:
    """What an envelope holds.

    Raises:
        ValueError: it does not say success.
    """
    if value["success"] is not True:
        raise ValueError("no success")
    return value["data"]


def order_params(request: OrderRequest) -> dict[str, Any]:
    """A new order in BTCTurk's words.

    Raises:
        BadInput: a type the exchange has not, or a market purchase without a price that makes a quote amount.
    """
    method = METHODS.get(request.type)
    if method is None:
        raise BadInput(f"BTCTurk has no {request.type}", request.symbol, "use LIMIT, MARKET or STOP_LOSS_LIMIT")
    params: dict[str, Any] = {
        "pairSymbol": request.symbol,
        "orderType": str(request.side).lower(),
        "orderMethod": method,
        "newOrderClientId": request.client_order_id,
        "quantity": request.quantity,
    }
    if request.type is not OrderType.MARKET:
        return params | {"price": request.price, "stopPrice": request.stop_price}
    if request.side is Side.SELL:
        return params
    price = request.price if request.price is not None else request.sized_at
    if price is None:
        raise BadInput("a market buy is in quote currency here", request.symbol, "give a price to convert the quantity")
    amount = (request.quantity * price).quantize(AMOUNT_GRID, ROUND_DOWN)  # never spends more than was meant
    return params | {"quantity": amount}


def placed(value: Any, request: OrderRequest) -> OrderReport:
    """The answer to a new order: accepted, nothing more. Status NEW, nothing executed; the caller queries."""
    row = data_of(value)
    same(row["pairSymbol"], request.symbol, "symbol")
    same(row["newOrderClientId"], request.client_order_id, "client order id")
    same(words(row, "type").upper(), str(request.side), "side")
    at_ms = moment(row, "datetime", default=0)
    return OrderReport(
        venue=VENUE, symbol=request.symbol, client_order_id=request.client_order_id, order_id=identity(row["id"]),
        side=request.side, type=words(row, "method"), status=OrderStatus.NEW, status_word="",
        quantity=request.quantity, executed=money.ZERO, executed_quote=money.ZERO, price=request.price or money.ZERO,
        stop_price=request.stop_price or money.ZERO, time_ms=at_ms, update_ms=at_ms,
    )  # fmt: skip


def open_rows(value: Any) -> list[Mapping[str, Any]]:
    """openOrders, which are split by side, as one list."""
    sides = data_of(value)
    return [*sides["bids"], *sides["asks"]]


def client_id_of(row: Mapping[str, Any]) -> str:
    """Our id of an order; the key differs by endpoint, and an order made elsewhere may have none."""
    return label(row.get("orderClientId"), "orderClientId") or label(row.get("newOrderClientId"), "newOrderClientId")


def order(row: Mapping[str, Any]) -> OrderReport:
    """One order as a listing tells it; what it executed is only as good as `leftAmount` (see `with_trades`)."""
    word, quantity = words(row, "status"), decimal(row, "quantity", "amount")
    left = decimal(row, "leftAmount", default=money.text(_left(row, word, quantity)))
    if left > quantity:
        raise ValueError("more left than ordered")
    updated_ms = moment(row, "updateTime", default=0)
    if not CLIENT_IDS & row.keys():
        raise KeyError("orderClientId")  # without it an order of ours would pass for somebody else's
    return OrderReport(
        venue=VENUE, symbol=words(row, "pairSymbol" if "pairSymbol" in row else "pairsymbol"),
        client_order_id=client_id_of(row), order_id=identity(row["id"]), side=Side(words(row, "type").upper()),
        type=words(row, "method"), status=STATUS.get(word, OrderStatus.UNRECOGNISED), status_word=word,
        quantity=quantity, executed=money.ZERO if _in_quote(row) else quantity - left, executed_quote=money.ZERO,
        price=decimal(row, "price", default="0"), stop_price=decimal(row, "stopPrice", default="0"),
        time_ms=moment(row, "time", default=0) or updated_ms, update_ms=updated_ms,
    )  # fmt: skip


def may_have_traded(row: Mapping[str, Any]) -> bool:
    """The order may have fills, which only its trades tell."""
    word, left = words(row, "status"), row.get("leftAmount")
    return word != UNTOUCHED and (left is None or decimal(row, "leftAmount") != decimal(row, "quantity", "amount"))


def with_trades(row: Mapping[str, Any], trades: tuple[Trade, ...]) -> OrderReport:
    """An order and its trades. An order that ended with a rest is EXPIRED: market orders stop 5 % off the best price.

    Raises:
        ValueError: more traded than ordered, or an order that must have traded and whose trades are not listed yet.
    """
    told, traded = order(row), sum((trade.quantity for trade in trades), money.ZERO)
    if _in_quote(row):
        if told.status is OrderStatus.FILLED and may_have_traded(row) and not trades:
            raise ValueError("closed, but its trades are not listed yet")
        told = replace(told, quantity=traded)
    executed = max(told.executed, traded)
    if executed > told.quantity:
        raise ValueError("more executed than ordered")
    ended_short = told.status is OrderStatus.FILLED and (executed < told.quantity or not executed)
    value = sum((trade.quantity * trade.price for trade in trades), money.ZERO)
    status = OrderStatus.EXPIRED if ended_short else told.status
    return replace(told, status=status, executed=executed, executed_quote=value, trades=trades)


def trade(row: Mapping[str, Any]) -> Trade:
    """One of our fills: sales have negative amounts, fee and tax are negative when paid, both in the quote currency."""
    quantity = abs(_signed(row, "preciseAmount", "amount"))
    cost = -(_signed(row, "fee") + _signed(row, "tax"))
    if not quantity or cost < 0:
        raise ValueError("an empty trade, or one that earned its fee")
    quote = words(row, "denominatorSymbol")
    return Trade(
        trade_id=identity(row["id"]), symbol=words(row, "numeratorSymbol") + quote, order_id=identity(row["orderId"]),
        client_order_id=client_id_of(row), side=Side(words(row, "orderType").upper()), quantity=quantity,
        price=decimal(row, "price"), fee=cost, fee_asset=quote, time_ms=moment(row, "timestamp"),
    )  # fmt: skip


def trades(value: Any) -> tuple[Trade, ...]:
    """A list of our fills."""
    return tuple(trade(row) for row in data_of(value))


def rules(row: Mapping[str, Any]) -> SymbolRules:
    """One symbol of exchangeinfo. Prices go by `tickSize`, which may be coarser than `denominatorScale`; the minimum
    notional is `minExchangeValue`. minimumLimitOrderPrice and maximumLimitOrderPrice move with the price, so they are
    no rule to keep: a tenth of the price is the documented floor."""
    prices = (item for item in row["filters"] if item.get("filterType") == "PRICE_FILTER")
    found: Mapping[str, Any] = next(prices, {})
    status, offered = words(row, "status"), row.get("orderMethods", ())
    return SymbolRules(
        venue=VENUE, symbol=words(row, "name"), base=words(row, "numerator"), quote=words(row, "denominator"),
        status=status, tick=max(decimal(found, "tickSize", default="0"), _grid(row, "denominatorScale")),
        price_min=decimal(found, "minPrice", default="0"), price_max=decimal(found, "maxPrice", default="0"),
        bid_multiplier_down=LOWEST_FRAC, ask_multiplier_down=LOWEST_FRAC,
        step=_grid(row, "numeratorScale"), quantity_min=decimal(found, "minAmount", default="0"),
        quantity_max=decimal(found, "maxAmount", default="0"),
        notional_min=decimal(found, "minExchangeValue", default="0"),
        order_types=tuple(str(OFFERED[method]) for method in offered if method in OFFERED),
        entries_allowed=status == "TRADING", exits_allowed=status == "TRADING",
        maker_fee_frac=FEE_FRAC, taker_fee_frac=FEE_FRAC,
    )  # fmt: skip


def book(symbol: str, value: Any, offset_ms: int, received_ms: int) -> Book:
    """A book with the exchange's own time, by our clock, never later than its arrival."""
    row = data_of(value)
    told_ms = int(number(row["timestamp"], "timestamp")) - offset_ms
    return dialect.book(VENUE, symbol, row, max(0, min(told_ms, received_ms)))


def bars(value: Any, interval_s: int) -> tuple[Bar, ...]:
    """Candles from their columns, oldest first. A bar nobody traded in stands at the close before it, as other
    exchanges write it; after the last trade nothing is made up."""
    if value["s"] == "no_data":
        return ()
    same(value["s"], "ok", "status")
    columns = (value[name] for name in "tohlcv")
    rows = [[whole({"t": at}, "t") * MS, *rest] for at, *rest in zip(*columns, strict=True)]
    return tuple(_filled(dialect.bars(rows), interval_s * MS))


def _filled(found: tuple[Bar, ...], interval_ms: int) -> Iterable[Bar]:
    if found and (found[-1].open_ms - found[0].open_ms) // interval_ms > BARS_FILLED_MAX:
        raise ValueError("candles of more time than was asked for")
    for early, late in pairwise(found):
        yield early
        for open_ms in range(early.open_ms + interval_ms, late.open_ms, interval_ms):
            yield Bar(open_ms, early.close, early.close, early.close, early.close, money.ZERO)
    yield from found[-1:]


def _left(row: Mapping[str, Any], word: str, quantity: Decimal) -> Decimal:
    """What is left of an order whose row does not say: a closed one executed all, others what their trades say."""
    return money.ZERO if word == CLOSED and words(row, "method").lower() != METHODS[OrderType.MARKET] else quantity


def _in_quote(row: Mapping[str, Any]) -> bool:
    """The order's quantity counts the quote currency: a market purchase."""
    return words(row, "method").lower() == METHODS[OrderType.MARKET] and words(row, "type").lower() == "buy"


def _signed(row: Mapping[str, Any], *names: str) -> Decimal:
    name = next((name for name in names if row.get(name) is not None), names[-1])
    return number(row[name], name)


def _grid(row: Mapping[str, Any], name: str) -> Decimal:
    digits = whole(row, name)
    if not 0 <= digits <= SCALE_MAX:
        raise ValueError(f"{name} is out of range")
    return money.ONE.scaleb(-digits)
