"""How BTCTurk prints orders, trades, balances and symbols. Pure rendering; shapes follow the recorded examples.

What the documentation leaves open and we chose: listings show a market buy's quantity in base, as it was bought; the
remainder that a market order does not get is Canceled.
"""

from decimal import Decimal
from typing import Any

from lab.sim.account import Balance
from lab.sim.btcturk_params import METHODS, NO_BOUND, price_places
from lab.sim.decimals import ZERO, floor_to, places, plain, text8
from lab.sim.orders import Order, Status, Trade
from lab.sim.symbols import SymbolRules

STATUSES = {
    Status.NEW: "Untouched", Status.PARTIALLY_FILLED: "Partial", Status.FILLED: "Closed",
    Status.CANCELED: "Canceled", Status.EXPIRED: "Canceled",
}  # fmt: skip
METHOD_WORDS = {"limit": "Limit", "market": "Market", "stoplimit": "StopLimit", "stopmarket": "StopMarket"}
ASSET_NAMES = {"TRY": "T\u00fcrk Liras\u0131", "BTC": "Bitcoin", "USDT": "Tether"}
ID_LENGTH_MAX = 19
_ORDER_BASE = 10_938_696_000
_TRADE_BASE = 1_181_163_798_924_000_000  # beyond 2^53, as recorded
_PAIR_ORDER = 1000
assert METHOD_WORDS.keys() == METHODS.keys()


def order_id(number: int) -> int:
    """The order's id on the wire."""
    return _ORDER_BASE + number


def order_number(wire_id: int) -> int:
    """Inverse of order_id; not positive for anything that is not one of ours."""
    return wire_id - _ORDER_BASE


def trade_id(number: int) -> int:
    """The trade's id on the wire."""
    return _TRADE_BASE + number


def enveloped(data: Any, message: str | None = None) -> dict[str, Any]:
    """A successful answer."""
    return {"data": data, "success": True, "message": message, "code": 0}


def normalized(rules: SymbolRules) -> str:
    """BTC_TRY."""
    return f"{rules.base}_{rules.quote}"


def price_text(value: Decimal, rules: SymbolRules) -> str:
    """A price with denominatorScale places."""
    return f"{value:.{price_places(rules)}f}"


def text16(value: Decimal) -> str:
    """Fixed 16 places, as balances are printed."""
    return f"{value:.16f}"


def placed_view(order: Order, rules: SymbolRules) -> dict[str, Any]:
    """The answer to POST /api/v1/order: no status, no fills; the quantity as sent; the client id under its own key."""
    request = order.request
    return {
        "id": order_id(order.id), "datetime": order.time_ms, "type": request.side.capitalize(),
        "method": METHOD_WORDS[request.wire_type], "price": price_text(request.price, rules),
        "stopPrice": price_text(request.stop_price, rules),
        "quantity": plain(request.quote_quantity or request.quantity),
        "pairSymbol": rules.symbol, "pairSymbolNormalized": normalized(rules), "newOrderClientId": request.client_id,
    }  # fmt: skip


def order_view(order: Order, rules: SymbolRules) -> dict[str, Any]:
    """An order as allOrders and order/{id} show it; of several trades a market order shows the first one's price."""
    request = order.request
    price = request.price or (order.trades[0].price if order.trades else ZERO)
    return {
        "id": order_id(order.id), "price": price_text(price, rules), "amount": text8(order.orig_qty),
        "quantity": text8(order.orig_qty), "stopPrice": price_text(request.stop_price, rules),
        "pairSymbol": rules.symbol, "pairSymbolNormalized": normalized(rules), "type": request.side.lower(),
        "method": request.wire_type, "orderClientId": request.client_id, "time": order.time_ms,
        "updateTime": order.update_ms, "status": STATUSES[order.status], "leftAmount": text16(order.remaining),
    }  # fmt: skip


def open_order_view(order: Order, rules: SymbolRules) -> dict[str, Any]:
    """An order as openOrders shows it: `time` is 0, as in the documentation's example."""
    return order_view(order, rules) | {"time": 0, "leftAmount": text8(order.remaining)}


def trade_view(trade: Trade, rules: SymbolRules) -> dict[str, Any]:
    """A row of users/transactions/trade: amount negative for sells, fee and tax negative, in the denominator."""
    sign = 1 if trade.side == "BUY" else -1
    return {
        "price": price_text(trade.price, rules), "numeratorSymbol": rules.base, "denominatorSymbol": rules.quote,
        "orderType": trade.side.lower(), "orderId": order_id(trade.order_id), "id": trade_id(trade.id),
        "timestamp": trade.time_ms, "amount": text8(sign * trade.qty), "fee": text8(trade.tax - trade.commission),
        "tax": text8(-trade.tax),
    }  # fmt: skip


def balance_view(asset: str, balance: Balance) -> dict[str, Any]:
    """A row of users/balances."""
    return {
        "asset": asset, "assetname": ASSET_NAMES.get(asset, asset), "balance": text16(balance.free + balance.locked),
        "locked": text16(balance.locked), "free": text16(balance.free),
    }  # fmt: skip


def symbol_view(rules: SymbolRules, number: int, average: Decimal) -> dict[str, Any]:
    """A symbol of exchangeinfo; what limit prices may be moves with the `average` price."""
    low, high = average * rules.multiplier_down, average * rules.multiplier_up
    return {
        "id": number, "name": rules.symbol, "nameNormalized": normalized(rules),
        "status": "HALT" if rules.halted else "TRADING", "numerator": rules.base, "denominator": rules.quote,
        "numeratorScale": places(rules.step), "denominatorScale": price_places(rules),
        "hasFraction": places(rules.tick) > 0,
        "filters": [{
            "filterType": "PRICE_FILTER", "minPrice": plain(rules.min_price), "maxPrice": plain(rules.max_price),
            "tickSize": plain(rules.tick), "minExchangeValue": plain(rules.min_notional),
            "minAmount": plain(rules.min_qty) if rules.min_qty > rules.step else None,
            "maxAmount": plain(rules.max_qty) if rules.max_qty < NO_BOUND else None,
        }],
        "orderMethods": ["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"], "displayFormat": "#,###",
        "commissionFromNumerator": False, "order": _PAIR_ORDER * number, "priceRounding": False, "isNew": False,
        "minimumLimitOrderPrice": plain(floor_to(low, rules.tick) + rules.tick),
        "maximumLimitOrderPrice": plain(floor_to(high, rules.tick)), "maximumOrderAmount": None,
    }  # fmt: skip
