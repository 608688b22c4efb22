"""How MEXC prints orders, trades, candles and symbols. Pure rendering; shapes follow the recorded examples."""

from typing import Any

from lab.sim.candles import Candle
from lab.sim.decimals import places, plain
from lab.sim.orders import Order, Status, Trade
from lab.sim.symbols import SymbolRules

ORDER_TYPES = ("LIMIT", "MARKET", "LIMIT_MAKER", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL")
_ORDER_BASE = 505_979_017_439_002_600_000
_TRADE_BASE = 505_979_017_439_700_000_000


def order_id(number: int) -> str:
    """The order's id on the wire: a string, longer than 64 bits."""
    return f"C02__{_ORDER_BASE + number}"


def trade_id(number: int) -> str:
    """The trade's id on the wire."""
    return f"{_TRADE_BASE + number}X1"


def order_number(text: str) -> int | None:
    """Inverse of order_id; None for anything that is not one of ours."""
    digits = text.removeprefix("C02__")
    return int(digits) - _ORDER_BASE if text.startswith("C02__") and digits.isdigit() else None


def status_view(order: Order) -> str:
    """Status in MEXC's words: a remainder that ended without filling is (PARTIALLY_)CANCELED."""
    if order.status in (Status.CANCELED, Status.EXPIRED):
        return "PARTIALLY_CANCELED" if order.executed else "CANCELED"
    return order.status.value


def placed_view(order: Order) -> dict[str, Any]:
    """The answer to POST /api/v3/order: no status, no fills, no client id."""
    request = order.request
    return {
        "symbol": request.symbol, "orderId": order_id(order.id), "orderListId": -1, "price": plain(request.price),
        "origQty": plain(order.orig_qty), "type": request.wire_type, "side": request.side,
        "transactTime": order.time_ms,
    }  # fmt: skip


def order_view(order: Order) -> dict[str, Any]:
    """An order as GET /api/v3/order shows it."""
    request = order.request
    return {
        "symbol": request.symbol, "orderId": order_id(order.id), "orderListId": -1,
        "clientOrderId": request.client_id, "price": plain(request.price), "origQty": plain(order.orig_qty),
        "executedQty": plain(order.executed), "cummulativeQuoteQty": plain(order.quote_filled),
        "status": status_view(order), "timeInForce": request.time_in_force, "type": request.wire_type,
        "side": request.side, "stopPrice": "0", "time": order.time_ms, "updateTime": order.update_ms,
        "isWorking": True, "origQuoteOrderQty": plain(request.quote_quantity),
    }  # fmt: skip


def cancelled_view(order: Order) -> dict[str, Any]:
    """The answer to a cancel."""
    shown = order_view(order)
    keys = ("symbol", "orderId", "price", "origQty", "executedQty", "cummulativeQuoteQty", "status", "timeInForce",
            "type", "side")  # fmt: skip
    return {"origClientOrderId": order.request.client_id} | {key: shown[key] for key in keys}


def trade_view(trade: Trade) -> dict[str, Any]:
    """A row of GET /api/v3/myTrades."""
    return {
        "symbol": trade.symbol, "id": trade_id(trade.id), "orderId": order_id(trade.order_id), "orderListId": -1,
        "price": plain(trade.price), "qty": plain(trade.qty), "quoteQty": plain(trade.quote_qty),
        "commission": plain(trade.commission), "commissionAsset": trade.commission_asset, "time": trade.time_ms,
        "isBuyer": trade.side == "BUY", "isMaker": trade.is_maker, "isBestMatch": True, "isSelfTrade": False,
        "clientOrderId": trade.client_id,
    }  # fmt: skip


def candle_row(candle: Candle) -> list[Any]:
    """The 8 columns of a kline; closeTime is the next open time."""
    return [
        candle.open_ms, plain(candle.open), plain(candle.high), plain(candle.low), plain(candle.close),
        plain(candle.volume), candle.close_ms + 1, plain(candle.quote_volume),
    ]  # fmt: skip


def symbol_view(rules: SymbolRules, fee: Any) -> dict[str, Any]:
    """A symbol of exchangeInfo: no filters, precision and minimum notional in fields of their own."""
    quote_places, base_places = places(rules.tick), places(rules.step)
    return {
        "symbol": rules.symbol, "status": "2" if rules.halted else "1", "baseAsset": rules.base,
        "baseAssetPrecision": base_places, "quoteAsset": rules.quote, "quotePrecision": quote_places,
        "quoteAssetPrecision": quote_places, "baseCommissionPrecision": base_places,
        "quoteCommissionPrecision": quote_places, "orderTypes": list(ORDER_TYPES[:3]),
        "isSpotTradingAllowed": not rules.halted, "isMarginTradingAllowed": False,
        "quoteAmountPrecision": plain(rules.min_notional), "baseSizePrecision": plain(rules.min_qty),
        "permissions": ["SPOT"], "filters": [], "maxQuoteAmount": plain(rules.max_notional),
        "makerCommission": plain(fee), "takerCommission": plain(fee),
        "quoteAmountPrecisionMarket": plain(rules.min_notional), "maxQuoteAmountMarket": plain(rules.max_notional),
        "fullName": rules.base, "tradeSideType": 4 if rules.halted else 1,
    }  # fmt: skip


def coin_view(asset: str) -> dict[str, Any]:
    """A row of /api/v3/capital/config/getall, without deposit networks."""
    return {"coin": asset, "name": asset, "networkList": []}
