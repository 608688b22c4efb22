"""Binance's words turned into ours and back. Pure; the door sends them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from desk.venues.dialect import report
from desk.venues.fields import decimal, flag, identity, labels, same, whole, words
from desk.venues.protocol import KeyPermissions, OrderReport, OrderRequest, OrderType, Side, SymbolRules, Trade

VENUE: Final = "binance"
INTERVALS: Final = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14_400: "4h", 86_400: "1d",
}  # fmt: skip
TYPES: Final[Mapping[OrderType, dict[str, str]]] = {
    OrderType.MARKET: {"type": "MARKET"},
    OrderType.LIMIT: {"type": "LIMIT", "timeInForce": "GTC"},
    OrderType.LIMIT_IOC: {"type": "LIMIT", "timeInForce": "IOC"},
    OrderType.LIMIT_FOK: {"type": "LIMIT", "timeInForce": "FOK"},
    OrderType.LIMIT_MAKER: {"type": "LIMIT_MAKER"},
    OrderType.STOP_LOSS_LIMIT: {"type": "STOP_LOSS_LIMIT", "timeInForce": "GTC"},
    OrderType.TAKE_PROFIT_LIMIT: {"type": "TAKE_PROFIT_LIMIT", "timeInForce": "GTC"},
}
# filterType -> our field: key of the filter
FILTER_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "PRICE_FILTER": {"tick": "tickSize", "price_min": "minPrice", "price_max": "maxPrice"},
    "LOT_SIZE": {"step": "stepSize", "quantity_min": "minQty", "quantity_max": "maxQty"},
    "MARKET_LOT_SIZE": {
        "market_step": "stepSize", "market_quantity_min": "minQty", "market_quantity_max": "maxQty",
    },
    "NOTIONAL": {"notional_min": "minNotional", "notional_max": "maxNotional"},
    "MIN_NOTIONAL": {"notional_min": "minNotional"},
    "PERCENT_PRICE": {
        "bid_multiplier_up": "multiplierUp", "bid_multiplier_down": "multiplierDown",
        "ask_multiplier_up": "multiplierUp", "ask_multiplier_down": "multiplierDown",
    },
    "PERCENT_PRICE_BY_SIDE": {
        "bid_multiplier_up": "bidMultiplierUp", "bid_multiplier_down": "bidMultiplierDown",
        "ask_multiplier_up": "askMultiplierUp", "ask_multiplier_down": "askMultiplierDown",
    },
}  # fmt: skip
COUNT_FIELDS: Final = {
    "MAX_NUM_ORDERS": ("orders_max", "maxNumOrders"),
    "MAX_NUM_ALGO_ORDERS": ("algo_orders_max", "maxNumAlgoOrders"),
    "MAX_NUM_ORDER_LISTS": ("order_lists_max", "maxNumOrderLists"),
}
TRAILING_FIELDS: Final = {
    "trailing_above_bps_min": "minTrailingAboveDelta", "trailing_above_bps_max": "maxTrailingAboveDelta",
    "trailing_below_bps_min": "minTrailingBelowDelta", "trailing_below_bps_max": "maxTrailingBelowDelta",
}  # fmt: skip
PRECISION: Final = 8  # decimals of an asset, where exchangeInfo does not say; none has more
STRICTEST_IS_HIGHEST: Final = frozenset({"notional_min"})  # of NOTIONAL and MIN_NOTIONAL the higher one binds


def order_params(request: OrderRequest) -> dict[str, Any]:
    """A new order in Binance's words; the full answer is asked for, so that fills come with it."""
    return {
        "symbol": request.symbol,
        "side": str(request.side),
        **TYPES[request.type],
        "quantity": request.quantity,
        "price": request.price,
        "stopPrice": request.stop_price,
        "trailingDelta": request.trailing_bps,
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "FULL",
    }


def placed(value: Any, request: OrderRequest) -> OrderReport:
    """The answer to a new order: ACK, RESULT or FULL, by what it holds. It must be about this order."""
    same(value["clientOrderId"], request.client_order_id, "clientOrderId")
    same(value["symbol"], request.symbol, "symbol")
    row = {"side": str(request.side), "origQty": request.quantity, **value}
    found = report(VENUE, row, request.client_order_id)
    fills = tuple(_fill(fill, found, request.side) for fill in value.get("fills", ()))
    if found.side is not request.side or (request.quantity and found.quantity != request.quantity):
        raise ValueError("another order than was asked for")
    return _with_trades(found, fills)


def key_permissions(value: Mapping[str, Any]) -> KeyPermissions:
    """The answer of apiRestrictions; a right that is not told, or not as a boolean, makes the answer unusable."""
    named = ("enableReading", "enableSpotAndMarginTrading", "enableWithdrawals", "ipRestrict")
    read, trade, withdraw, restricted = (flag(value[name]) for name in named)
    others = sorted(name for name, on in value.items() if name not in named and isinstance(on, bool) and on)
    return KeyPermissions(
        can_read=read, can_trade=trade, can_withdraw=withdraw, ip_restricted=restricted,
        created_ms=whole(value, "createTime"), others=tuple(others),
    )  # fmt: skip


def rules(row: Mapping[str, Any]) -> SymbolRules:
    """One symbol of exchangeInfo. `permissionSets` is an AND of ORs; an account like ours has SPOT.

    A symbol without a lot or price step takes no entry; its exits go by the assets' precision.
    """
    fields: dict[str, Any] = {}
    for item in row.get("filters", ()):
        _take_filter(item, fields)
    has_grid = bool(fields.get("step")) and bool(fields.get("tick"))
    fields["step"] = fields.get("step") or _grid(row, "baseAssetPrecision")
    fields["tick"] = fields.get("tick") or _grid(row, "quoteAssetPrecision")
    trading = words(row, "status") == "TRADING"
    allowed = trading and _spot_allowed(row)
    return SymbolRules(
        venue=VENUE, symbol=words(row, "symbol"), base=words(row, "baseAsset"), quote=words(row, "quoteAsset"),
        status=words(row, "status"), order_types=labels(row.get("orderTypes"), "orderTypes"),
        oco_allowed=row.get("ocoAllowed") is True, oto_allowed=row.get("otoAllowed") is True,
        opo_allowed=row.get("opoAllowed") is True,
        trailing_allowed=row.get("allowTrailingStop") is True,
        entries_allowed=allowed and has_grid, exits_allowed=allowed, **fields,
    )  # fmt: skip


def _take_filter(item: Mapping[str, Any], fields: dict[str, Any]) -> None:
    kind = item.get("filterType", "")
    for ours, theirs in FILTER_FIELDS.get(kind, {}).items():
        value = decimal(item, theirs, default="0")
        fields[ours] = max(value, fields.get(ours, Decimal(0))) if ours in STRICTEST_IS_HIGHEST else value
    if kind in COUNT_FIELDS:
        ours, theirs = COUNT_FIELDS[kind]
        fields[ours] = whole(item, theirs, default=0)
    if kind == "TRAILING_DELTA":
        fields |= {ours: whole(item, theirs, default=0) for ours, theirs in TRAILING_FIELDS.items()}


def _grid(row: Mapping[str, Any], name: str) -> Decimal:
    """The finest step of an asset's decimals."""
    return Decimal(1).scaleb(-max(0, min(whole(row, name, default=PRECISION), PRECISION)))


def _spot_allowed(row: Mapping[str, Any]) -> bool:
    if row.get("isSpotTradingAllowed", True) is not True:
        return False
    sets = row.get("permissionSets") or ([row["permissions"]] if row.get("permissions") else [])
    return all("SPOT" in one for one in sets)


def _fill(fill: Mapping[str, Any], order: OrderReport, side: Side) -> Trade:
    return Trade(
        trade_id=identity(fill["tradeId"]), symbol=order.symbol, order_id=order.order_id,
        client_order_id=order.client_order_id, side=side, quantity=decimal(fill, "qty"), price=decimal(fill, "price"),
        fee=decimal(fill, "commission"), fee_asset=words(fill, "commissionAsset"), time_ms=order.update_ms,
    )  # fmt: skip


def _with_trades(found: OrderReport, trades: tuple[Trade, ...]) -> OrderReport:
    if trades and sum((item.quantity for item in trades), Decimal(0)) != found.executed:
        raise ValueError("fills do not add up to the executed quantity")
    return msgspec.structs.replace(found, trades=trades)
