"""MEXC's words turned into ours and back. Pure; the door sends them.

Differences that matter (protocol facts, MEXC): a new order's answer has no status, so the caller queries; IOC and FOK
are order types; a market buy takes the quote amount; precision comes from fields of the symbol, not from filters;
candles have 8 columns and the hour is `60m`; there are no stop orders.
"""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from desk.base import money
from desk.base.errors import BadInput
from desk.venues.dialect import report
from desk.venues.fields import decimal, identity, label, labels, same, whole, words
from desk.venues.protocol import OrderReport, OrderRequest, OrderType, Side, SymbolRules

VENUE: Final = "mexc"
INTERVALS: Final = {60: "1m", 300: "5m", 900: "15m", 1800: "30m", 3600: "60m", 14_400: "4h", 86_400: "1d"}
TYPES: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.LIMIT_IOC: "IMMEDIATE_OR_CANCEL",
    OrderType.LIMIT_FOK: "FILL_OR_KILL",
    OrderType.LIMIT_MAKER: "LIMIT_MAKER",
}
STATUS_WORDS: Final = {"1": "TRADING", "ENABLED": "TRADING", "2": "PAUSED", "3": "OFFLINE"}
ENTRY_SIDES: Final = frozenset({"1", "2"})  # tradeSideType: 1 both, 2 buy only, 3 sell only, 4 closed
EXIT_SIDES: Final = frozenset({"1", "3"})
PRECISION_MAX: Final = 18
AMOUNT_GRID: Final = Decimal("1e-8")


def order_params(request: OrderRequest) -> dict[str, Any]:
    """A new order in MEXC's words.

    Raises:
        BadInput: a stop order, or a market buy without a price that turns its quantity into a quote amount.
    """
    word = TYPES.get(request.type)
    if word is None:
        raise BadInput(f"MEXC has no {request.type}", request.symbol, "watch the exit each tick instead")
    params: dict[str, Any] = {
        "symbol": request.symbol,
        "side": str(request.side),
        "type": word,
        "newClientOrderId": request.client_order_id,
    }
    if request.type is not OrderType.MARKET:
        return params | {"quantity": request.quantity, "price": request.price}
    if request.side is Side.SELL:
        return params | {"quantity": request.quantity}
    price = request.price if request.price is not None else request.sized_at
    if price is None:
        raise BadInput("a market buy is in quote currency here", request.symbol, "give a price to convert the quantity")
    amount = (request.quantity * price).quantize(AMOUNT_GRID, ROUND_DOWN)  # never spends more than was meant
    return params | {"quoteOrderQty": amount}


def placed(value: Any, request: OrderRequest) -> OrderReport:
    """The answer to a new order: accepted, nothing more. Status NEW, nothing executed; the caller queries."""
    same(value["symbol"], request.symbol, "symbol")
    row = {**value, "side": str(request.side), "origQty": request.quantity}
    for name in ("status", "executedQty", "cummulativeQuoteQty"):
        row.pop(name, None)
    return report(VENUE, row, request.client_order_id)


def listed(row: Mapping[str, Any]) -> OrderReport:
    """A row of openOrders; orders made elsewhere may have no client id."""
    return report(VENUE, row, label(row.get("clientOrderId"), "clientOrderId"))


def rules(row: Mapping[str, Any]) -> SymbolRules:
    """One symbol of exchangeInfo. `quoteAmountPrecision` is the minimum notional, despite its name; a
    `baseSizePrecision` is minimum quantity and step, "0" leaves the step to `baseAssetPrecision`."""
    word = identity(row["status"])  # a word, or a number in quotes or without
    status = STATUS_WORDS.get(word, word)
    size = decimal(row, "baseSizePrecision", default="0")
    side_type = identity(row.get("tradeSideType", "1"))
    open_to_us = status == "TRADING" and row.get("isSpotTradingAllowed") is True
    return SymbolRules(
        venue=VENUE, symbol=words(row, "symbol"), base=words(row, "baseAsset"), quote=words(row, "quoteAsset"),
        status=status, tick=_grid(row, "quotePrecision"), step=max(_grid(row, "baseAssetPrecision"), size),
        quantity_min=size,
        notional_min=decimal(row, "quoteAmountPrecision", default="0"),
        notional_max=decimal(row, "maxQuoteAmount", default="0"),
        order_types=labels(row.get("orderTypes"), "orderTypes"),
        entries_allowed=open_to_us and side_type in ENTRY_SIDES, exits_allowed=open_to_us and side_type in EXIT_SIDES,
        maker_fee_frac=decimal(row, "makerCommission", default="0.001"),
        taker_fee_frac=decimal(row, "takerCommission", default="0.001"),
    )  # fmt: skip


def _grid(row: Mapping[str, Any], name: str) -> Decimal:
    digits = whole(row, name)
    if not 0 <= digits <= PRECISION_MAX:
        raise ValueError(f"{name} is out of range")
    return money.ONE.scaleb(-digits)
