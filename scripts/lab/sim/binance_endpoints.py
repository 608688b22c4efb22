"""Binance's table of endpoints: handler, weight, security and parameters of each. A new endpoint is one row here."""

from typing import Any

from lab.sim.binance_account import BinanceAccount
from lab.sim.binance_lists import LIST_KINDS, BinanceLists
from lab.sim.binance_market import BinanceMarket
from lab.sim.binance_orders import BinanceOrders
from lab.sim.binance_tickers import BinanceTickers
from lab.sim.calls import Endpoint, fixed, names
from lab.sim.exchange import Exchange
from lab.sim.limits import BinanceLimits

Table = dict[tuple[str, str], Endpoint]
SIGNING = names("timestamp recvWindow signature")
_ORDER = names(
    "symbol side type timeInForce quantity quoteOrderQty price newClientOrderId strategyId strategyType stopPrice "
    "trailingDelta icebergQty newOrderRespType selfTradePreventionMode"
)


def endpoints(exchange: Exchange, limits: BinanceLimits) -> Table:
    """(method, path) -> endpoint."""
    account = BinanceAccount(exchange, limits)
    public = _public_table(BinanceMarket(exchange, limits)) | _ticker_table(BinanceTickers(exchange))
    orders = BinanceOrders(exchange, limits)
    lists = _list_table(BinanceLists(exchange, limits, orders))
    return public | _order_table(orders) | lists | _account_table(account) | _neighbours(account)


def _depth_weight(params: dict[str, str]) -> int:
    text = params.get("limit", "100")
    rows = int(text) if text.isdigit() else 100
    return 5 if rows <= 100 else 25 if rows <= 500 else 50 if rows <= 1000 else 250


def _by_symbol(one: int, many: int) -> Any:
    return lambda params: one if "symbol" in params else many


def _day_weight(params: dict[str, str]) -> int:
    if "symbol" in params:
        return 2
    count = params["symbols"].count(",") + 1 if "symbols" in params else 1000
    return 2 if count <= 20 else 40 if count <= 100 else 80


def _public_table(at: BinanceMarket) -> Table:
    span = names("symbol interval startTime endTime limit timeZone")
    tape = names("symbol fromId startTime endTime limit")
    info = names("symbol symbols permissions showPermissionSets symbolStatus")
    rows = {
        "ping": Endpoint(at.ping, fixed(1)),
        "time": Endpoint(at.time, fixed(1)),
        "exchangeInfo": Endpoint(at.exchange_info, fixed(20), allowed=info),
        "depth": Endpoint(at.depth, _depth_weight, allowed=names("symbol limit symbolStatus")),
        "trades": Endpoint(at.trades, fixed(25), allowed=names("symbol limit")),
        "historicalTrades": Endpoint(at.historical_trades, fixed(25), allowed=names("symbol limit fromId")),
        "aggTrades": Endpoint(at.aggregate_trades, fixed(4), allowed=tape),
        "klines": Endpoint(at.klines, fixed(2), allowed=span),
        "uiKlines": Endpoint(at.klines, fixed(2), allowed=span),
    }
    return {("GET", f"/api/v3/{path}"): endpoint for path, endpoint in rows.items()}


def _ticker_table(at: BinanceTickers) -> Table:
    several = names("symbol symbols symbolStatus type")
    rows = {
        "avgPrice": Endpoint(at.average_price, fixed(2), allowed=names("symbol")),
        "ticker/24hr": Endpoint(at.ticker_24hr, _day_weight, allowed=several),
        "ticker/price": Endpoint(at.ticker_price, _by_symbol(2, 4), allowed=several),
        "ticker/bookTicker": Endpoint(at.ticker_book, _by_symbol(2, 4), allowed=several),
    }
    return {("GET", f"/api/v3/{path}"): endpoint for path, endpoint in rows.items()}


def _order_table(at: BinanceOrders) -> Table:
    named = names("symbol orderId origClientOrderId")
    cancel = named | names("newClientOrderId cancelRestrictions")
    replace = _ORDER | names(
        "cancelReplaceMode cancelOrderId cancelOrigClientOrderId cancelNewClientOrderId cancelRestrictions "
        "orderRateLimitExceededMode"
    )
    test = _ORDER | names("computeCommissionRates")
    rows = {
        ("POST", "order"): Endpoint(at.place, fixed(1), True, _ORDER, is_order=True, free_when_accepted=True),
        ("POST", "order/test"): Endpoint(at.test, _test_weight, True, test),
        ("GET", "order"): Endpoint(at.query, fixed(4), True, named),
        ("DELETE", "order"): Endpoint(at.cancel, fixed(1), True, cancel, free_when_accepted=True),
        ("POST", "order/cancelReplace"): Endpoint(at.cancel_replace, fixed(1), True, replace, True, True),
        ("DELETE", "openOrders"): Endpoint(at.cancel_all, fixed(1), True, names("symbol"), free_when_accepted=True),
    }
    return {(method, f"/api/v3/{path}"): endpoint for (method, path), endpoint in rows.items()}


def _list_table(at: BinanceLists) -> Table:
    rows = {
        ("POST", f"orderList/{kind}"): Endpoint(
            at.placing(kind), fixed(1), True, at.names(kind), is_order=True, free_when_accepted=True
        )
        for kind in LIST_KINDS
    }
    one = names("symbol orderListId listClientOrderId newClientOrderId")
    rows |= {
        ("DELETE", "orderList"): Endpoint(at.cancel, fixed(1), True, one, free_when_accepted=True),
        ("GET", "orderList"): Endpoint(at.query, fixed(4), True, names("orderListId origClientOrderId")),
        ("GET", "allOrderList"): Endpoint(at.all, fixed(20), True, names("fromId startTime endTime limit")),
        ("GET", "openOrderList"): Endpoint(at.open, fixed(6), True),
    }
    return {(method, f"/api/v3/{path}"): endpoint for (method, path), endpoint in rows.items()}


def _account_table(at: BinanceAccount) -> Table:
    listing = names("symbol orderId startTime endTime limit")
    rows = {
        "openOrders": Endpoint(at.open_orders, _by_symbol(6, 80), True, names("symbol")),
        "allOrders": Endpoint(at.all_orders, fixed(20), True, listing),
        "myTrades": Endpoint(at.my_trades, _my_trades_weight, True, listing | names("fromId")),
        "account": Endpoint(at.account, fixed(20), True, names("omitZeroBalances")),
        "account/commission": Endpoint(at.commission, fixed(20), True, names("symbol")),
        "rateLimit/order": Endpoint(at.order_counts, fixed(40), True),
    }
    return {("GET", f"/api/v3/{path}"): endpoint for path, endpoint in rows.items()}


def _test_weight(params: dict[str, str]) -> int:
    return 20 if params.get("computeCommissionRates") == "true" else 1


def _my_trades_weight(params: dict[str, str]) -> int:
    return 5 if "orderId" in params else 20


def _neighbours(at: BinanceAccount) -> Table:
    """Endpoints beside the spot API that common clients ask for when they start; markets not traded here are empty."""
    nothing = Endpoint(lambda call: {"symbols": []}, fixed(1))
    return {
        ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(at.api_restrictions, fixed(1), True),
        ("GET", "/sapi/v1/capital/config/getall"): Endpoint(at.coins, fixed(10), True),
        ("GET", "/sapi/v1/system/status"): Endpoint(lambda call: {"status": 0, "msg": "normal"}, fixed(1)),
        ("GET", "/sapi/v1/margin/allPairs"): Endpoint(lambda call: [], fixed(1), allowed=SIGNING),
        ("GET", "/sapi/v1/margin/isolated/allPairs"): Endpoint(lambda call: [], fixed(1), allowed=SIGNING),
        ("GET", "/fapi/v1/exchangeInfo"): nothing,
        ("GET", "/dapi/v1/exchangeInfo"): nothing,
    }
