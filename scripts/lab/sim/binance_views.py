"""How Binance prints orders, trades, candles and symbols. Pure rendering; shapes follow the recorded examples."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lab.sim.candles import Candle
from lab.sim.decimals import text8
from lab.sim.orders import STOP_TYPES, Order, Trade
from lab.sim.symbols import SymbolRules

if TYPE_CHECKING:
    from lab.sim.order_lists import OrderList

STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_ZERO = "0.00000000"
NO_DISCOUNT = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": _ZERO}


def order_view(order: Order) -> dict[str, Any]:
    """An order as GET /api/v3/order shows it."""
    request = order.request
    return {
        "symbol": request.symbol, "orderId": order.id, "orderListId": list_id(order),
        "clientOrderId": request.client_id,
        "price": text8(request.price), "origQty": text8(order.orig_qty), "executedQty": text8(order.executed),
        "cummulativeQuoteQty": text8(order.quote_filled), "status": order.status.value,
        "timeInForce": request.time_in_force, "type": request.type, "side": request.side,
        "stopPrice": text8(request.stop_price), "icebergQty": _ZERO, "time": order.time_ms,
        "updateTime": order.update_ms, "isWorking": order.working, "workingTime": order.working_ms,
        "origQuoteOrderQty": text8(request.quote_quantity), "selfTradePreventionMode": "NONE",
    } | _conditional(order)  # fmt: skip


def placed_view(order: Order, response_type: str) -> dict[str, Any]:
    """The answer to POST /api/v3/order: ACK, RESULT or FULL."""
    request = order.request
    answer: dict[str, Any] = {
        "symbol": request.symbol, "orderId": order.id, "orderListId": list_id(order),
        "clientOrderId": request.client_id, "transactTime": order.time_ms,
    }  # fmt: skip
    if response_type == "ACK":
        return answer
    answer |= _state(order)
    answer["workingTime"] = order.working_ms
    answer["selfTradePreventionMode"] = "NONE"
    if order.is_pending and not order.orig_qty:
        del answer["origQty"]  # a pending order that pays itself has none yet
    if response_type == "FULL":
        answer["fills"] = [
            {
                "price": text8(trade.price), "qty": text8(trade.qty), "commission": text8(trade.commission),
                "commissionAsset": trade.commission_asset, "tradeId": trade.id,
            }
            for trade in order.trades
        ]  # fmt: skip
    return answer


def cancelled_view(order: Order, cancel_id: str) -> dict[str, Any]:
    """The answer to a cancel."""
    request = order.request
    answer: dict[str, Any] = {
        "symbol": request.symbol, "origClientOrderId": request.client_id, "orderId": order.id,
        "orderListId": list_id(order), "clientOrderId": cancel_id, "transactTime": order.update_ms,
    }  # fmt: skip
    return answer | _state(order) | {"selfTradePreventionMode": "NONE"}


def _state(order: Order) -> dict[str, Any]:
    request = order.request
    state: dict[str, Any] = {
        "price": text8(request.price), "origQty": text8(order.orig_qty), "executedQty": text8(order.executed),
        "origQuoteOrderQty": text8(request.quote_quantity), "cummulativeQuoteQty": text8(order.quote_filled),
        "status": order.status.value, "timeInForce": request.time_in_force, "type": request.type, "side": request.side,
    }  # fmt: skip
    if request.type in STOP_TYPES:
        state["stopPrice"] = text8(request.stop_price)
    return state | _conditional(order)


def _conditional(order: Order) -> dict[str, Any]:
    """Fields that only some orders show."""
    shown: dict[str, Any] = {}
    if order.request.trailing_bps:
        shown = {"trailingDelta": int(order.request.trailing_bps), "trailingTime": order.track_ms}
    if order.expiry_reason:
        shown["expiryReason"] = order.expiry_reason
    return shown


def list_id(order: Order) -> int:
    """The list an order belongs to; -1 for none."""
    return order.order_list.id if order.order_list else -1


def list_view(one: "OrderList", reports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An order list; `reports` after placing and cancelling only."""
    shown: dict[str, Any] = {
        "orderListId": one.id, "contingencyType": one.contingency,
        "listStatusType": "EXEC_STARTED" if one.status == "EXECUTING" else one.status, "listOrderStatus": one.status,
        "listClientOrderId": one.client_id,
        "transactionTime": one.time_ms if reports is None else max(leg.update_ms for leg in one.legs),
        "symbol": one.symbol,
        "orders": [
            {"symbol": one.symbol, "orderId": leg.id, "clientOrderId": leg.request.client_id} for leg in one.legs
        ],
    }  # fmt: skip
    return shown if reports is None else shown | {"orderReports": reports}


def cancelled_list_view(one: "OrderList", cancel_id: str) -> dict[str, Any]:
    """The answer to the cancel of a list, or of one order of it."""
    return list_view(one, [cancelled_view(leg, cancel_id) for leg in one.legs])


def trade_view(trade: Trade) -> dict[str, Any]:
    """A row of GET /api/v3/myTrades."""
    return {
        "symbol": trade.symbol, "id": trade.id, "orderId": trade.order_id, "orderListId": trade.list_id,
        "price": text8(trade.price), "qty": text8(trade.qty), "quoteQty": text8(trade.quote_qty),
        "commission": text8(trade.commission), "commissionAsset": trade.commission_asset, "time": trade.time_ms,
        "isBuyer": trade.side == "BUY", "isMaker": trade.is_maker, "isBestMatch": True,
    }  # fmt: skip


def candle_row(candle: Candle) -> list[Any]:
    """The 12 columns of a kline."""
    return [
        candle.open_ms, text8(candle.open), text8(candle.high), text8(candle.low), text8(candle.close),
        text8(candle.volume), candle.close_ms, text8(candle.quote_volume), candle.trades, text8(candle.taker_volume),
        text8(candle.taker_quote_volume), "0",
    ]  # fmt: skip


def symbol_view(rules: SymbolRules) -> dict[str, Any]:
    """A symbol of exchangeInfo."""
    return {
        "symbol": rules.symbol, "status": "HALT" if rules.halted else "TRADING", "baseAsset": rules.base,
        "baseAssetPrecision": 8, "quoteAsset": rules.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8, "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False, "ocoAllowed": rules.oco_allowed, "otoAllowed": rules.oto_allowed,
        "opoAllowed": rules.opo_allowed, "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": rules.trailing_allowed, "cancelReplaceAllowed": True,
        "amendAllowed": False, "pegInstructionsAllowed": False, "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False, "filters": filter_views(rules), "permissions": [],
        "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }  # fmt: skip


def filter_views(rules: SymbolRules) -> list[dict[str, Any]]:
    """The filters of a symbol, as they are enforced."""
    up, down = _short(rules.multiplier_up), _short(rules.multiplier_down)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": text8(rules.min_price), "maxPrice": text8(rules.max_price),
         "tickSize": text8(rules.tick)},
        {"filterType": "LOT_SIZE", "minQty": text8(rules.min_qty), "maxQty": text8(rules.max_qty),
         "stepSize": text8(rules.step)},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", "minQty": _ZERO, "maxQty": text8(rules.market_max_qty), "stepSize": _ZERO},
        {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": rules.trailing_bps_min,
         "maxTrailingAboveDelta": rules.trailing_bps_max, "minTrailingBelowDelta": rules.trailing_bps_min,
         "maxTrailingBelowDelta": rules.trailing_bps_max},
        {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": up, "bidMultiplierDown": down,
         "askMultiplierUp": up, "askMultiplierDown": down, "avgPriceMins": rules.average_mins},
        {"filterType": "NOTIONAL", "minNotional": text8(rules.min_notional), "applyMinToMarket": True,
         "maxNotional": text8(rules.max_notional), "applyMaxToMarket": False, "avgPriceMins": rules.average_mins},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.max_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": rules.max_algo_orders},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": rules.max_order_lists},
    ]  # fmt: skip


def _short(value: Decimal) -> str:
    return f"{value:f}"
