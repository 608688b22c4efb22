"""Independent clients, unmodified but for their URLs: python-binance and ccxt read, place, query and cancel."""

import asyncio
from decimal import Decimal

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def real_time(make):
    return lambda **options: make(step=False, symbols=["BTCUSDT", "ETHUSDT"], **options)


def test_python_binance(real_time):
    module = pytest.importorskip("binance.client")
    sim = real_time().sim
    client = module.Client("simkey", "simsecret", ping=False)
    client.API_URL = f"{sim.rest_url}/api"
    assert client.ping() == {}
    assert {row["symbol"] for row in client.get_exchange_info()["symbols"]} == {"BTCUSDT", "ETHUSDT"}
    assert client.get_symbol_info("BTCUSDT")["baseAsset"] == "BTC"
    assert len(client.get_klines(symbol="BTCUSDT", interval="15m", limit=20)) == 20
    book = client.get_order_book(symbol="BTCUSDT", limit=5)
    price = f"{float(book['bids'][0][0]) * 0.9:.2f}"
    made = client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price=price, newClientOrderId="pb-1")
    assert client.get_order(symbol="BTCUSDT", origClientOrderId="pb-1")["status"] == "NEW"
    assert [row["orderId"] for row in client.get_open_orders(symbol="BTCUSDT")] == [made["orderId"]]
    assert client.cancel_order(symbol="BTCUSDT", orderId=made["orderId"])["status"] == "CANCELED"
    bought = client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
    assert bought["status"] == "FILLED"
    assert client.get_my_trades(symbol="BTCUSDT")[0]["orderId"] == bought["orderId"]
    assert float(client.get_asset_balance(asset="BTC")["free"]) == pytest.approx(0.00999)
    assert client.create_test_order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.005") == {}
    exceptions = pytest.importorskip("binance.exceptions")
    with pytest.raises(exceptions.BinanceAPIException) as caught:
        client.order_market_sell(symbol="BTCUSDT", quantity="5")
    assert caught.value.code == -2010


async def read_streams(sim):
    """What python-binance's own sockets deliver: a combined market stream, then our order on the user socket."""
    from binance import AsyncClient, BinanceSocketManager

    client = AsyncClient("simkey", "simsecret")
    client.ws_api._url = f"{sim.ws_url}/ws-api/v3"
    manager = BinanceSocketManager(client)
    manager.STREAM_URL = f"{sim.ws_url}/"
    async with manager.multiplex_socket(["btcusdt@bookTicker", "btcusdt@kline_1m"]) as market:
        seen = [await market.recv() for _ in range(15)]  # both streams push at least once a second
    async with manager.user_socket() as user:
        client.API_URL = f"{sim.rest_url}/api"
        await client.order_market_buy(symbol="BTCUSDT", quantity="0.01", newClientOrderId="pb-ws")
        told = [await user.recv() for _ in range(3)]
    await client.close_connection()
    return seen, told


def test_python_binance_sockets(real_time):
    pytest.importorskip("binance")
    seen, told = asyncio.run(read_streams(real_time().sim))
    assert {message["stream"] for message in seen} == {"btcusdt@bookTicker", "btcusdt@kline_1m"}
    assert all(Decimal(message["data"].get("b") or message["data"]["k"]["c"]) > 0 for message in seen)
    assert [event["e"] for event in told] == ["executionReport", "outboundAccountPosition", "executionReport"]
    assert {told[0]["c"], told[2]["c"]} == {"pb-ws"} and told[2]["x"] == "TRADE"


def pointed_at(exchange, url):
    """Replace scheme and host of every API URL of a ccxt exchange."""

    def moved(value):
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        return url + "/" + value.split("/", 3)[3] if value.count("/") > 2 else url

    exchange.urls["api"] = moved(exchange.urls["api"])
    return exchange


@pytest.mark.parametrize("venue", ["binance", "mexc"])
def test_ccxt(real_time, venue):
    ccxt = pytest.importorskip("ccxt")
    sim = real_time(venue=venue).sim
    client = pointed_at(getattr(ccxt, venue)({"apiKey": "simkey", "secret": "simsecret"}), sim.rest_url)
    markets = client.load_markets()
    assert {"BTC/USDT", "ETH/USDT"} <= set(markets)
    market = markets["BTC/USDT"]
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert market["limits"]["cost"]["min"] == (5 if venue == "binance" else 1)
    assert len(client.fetch_ohlcv("BTC/USDT", "1h", limit=10)) == 10
    assert client.fetch_ticker("BTC/USDT")["last"] > 0
    book = client.fetch_order_book("BTC/USDT", 10)
    made = client.create_order("BTC/USDT", "limit", "buy", 0.01, book["bids"][0][0] * 0.9, {"clientOrderId": "cx1"})
    assert client.fetch_order(made["id"], "BTC/USDT")["status"] == "open"
    assert [order["id"] for order in client.fetch_open_orders("BTC/USDT")] == [made["id"]]
    client.cancel_order(made["id"], "BTC/USDT")
    assert client.fetch_order(made["id"], "BTC/USDT")["status"] == "canceled"
    crossing = client.create_order("BTC/USDT", "limit", "buy", 0.01, book["asks"][0][0] * 1.01)
    assert client.fetch_order(crossing["id"], "BTC/USDT")["filled"] == 0.01
    trades = client.fetch_my_trades("BTC/USDT")
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
    assert trades[0]["order"] == crossing["id"] and trades[0]["fee"]["currency"] == "BTC"
    balance = client.fetch_balance()
    assert balance["BTC"]["free"] == pytest.approx(0.00999)
    sold = client.create_order("BTC/USDT", "market", "sell", 0.005)
    assert client.fetch_order(sold["id"], "BTC/USDT")["status"] == "closed"
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order("BTC/USDT", "market", "sell", 5)


def pair(price, prefix="", **changed):
    """A target 10 % above and a stop 10 % below a price, as parameters of an OCO or of what an entry brings."""
    above, below = (f"{prefix}{'A' if prefix else 'a'}bove", f"{prefix}{'B' if prefix else 'b'}elow")
    return {
        f"{prefix}{'Side' if prefix else 'side'}": "SELL", f"{prefix}{'Quantity' if prefix else 'quantity'}": "0.009",
        f"{above}Type": "LIMIT_MAKER", f"{above}Price": f"{price * 1.1:.2f}", f"{above}ClientOrderId": "target",
        f"{below}Type": "STOP_LOSS_LIMIT", f"{below}StopPrice": f"{price * 0.9:.2f}",
        f"{below}Price": f"{price * 0.89:.2f}", f"{below}TimeInForce": "GTC", f"{below}ClientOrderId": "stop",
    } | changed  # fmt: skip


def entry(price, **changed):
    """A limit order that buys 0.01 at once."""
    return {
        "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": f"{price * 1.01:.2f}", "workingQuantity": "0.01",
        "workingTimeInForce": "FOK", "workingClientOrderId": "entry",
    } | changed  # fmt: skip


def test_python_binance_trades_lists(real_time):
    """An OCO and an OTOCO: placed, asked for, cancelled."""
    module = pytest.importorskip("binance.client")
    sim = real_time(balances={"BTC": "1", "USDT": "10000"}).sim
    client = module.Client("simkey", "simsecret", ping=False)
    client.API_URL = f"{sim.rest_url}/api"
    assert client.get_symbol_info("BTCUSDT")["ocoAllowed"]
    ask = float(client.get_order_book(symbol="BTCUSDT", limit=5)["asks"][0][0])
    oco = client.create_oco_order(symbol="BTCUSDT", listClientOrderId="oco", **pair(ask))
    assert [row["status"] for row in oco["orderReports"]] == ["NEW", "NEW"]
    assert [row["listClientOrderId"] for row in client.get_open_oco_orders()] == ["oco"]
    assert client.v3_get_order_list(origClientOrderId="oco")["listOrderStatus"] == "EXECUTING"
    client.cancel_order(symbol="BTCUSDT", origClientOrderId="stop")
    assert client.get_order(symbol="BTCUSDT", origClientOrderId="target")["status"] == "CANCELED"
    otoco = client.v3_post_order_list_otoco(symbol="BTCUSDT", listClientOrderId="otoco", **entry(ask),
                                            **pair(ask, "pending"))  # fmt: skip
    assert otoco["contingencyType"] == "OTO"
    assert [row["status"] for row in otoco["orderReports"]] == ["FILLED", "PENDING_NEW", "PENDING_NEW"]
    assert {row["clientOrderId"]: row["status"] for row in client.get_open_orders(symbol="BTCUSDT")} == {
        "target": "NEW", "stop": "NEW",
    }  # fmt: skip
    assert float(client.get_asset_balance(asset="BTC")["locked"]) == pytest.approx(0.009)
    done = client.v3_delete_order_list(symbol="BTCUSDT", listClientOrderId="otoco")
    assert done["listOrderStatus"] == "ALL_DONE"
    assert client.get_open_oco_orders() == []


@pytest.mark.parametrize("kind", ["Otoco", "Opoco"])
def test_ccxt_trades_lists(real_time, kind):
    """It has no unified call for lists; its own bindings of the endpoints place, query and cancel them."""
    ccxt = pytest.importorskip("ccxt")
    sim = real_time(balances={"BTC": "1", "USDT": "10000"}).sim
    client = pointed_at(ccxt.binance({"apiKey": "simkey", "secret": "simsecret"}), sim.rest_url)
    client.load_markets()
    ask = client.fetch_order_book("BTC/USDT", 5)["asks"][0][0]
    client.privatePostOrderListOco({"symbol": "BTCUSDT", "listClientOrderId": "oco"} | pair(ask))
    shown = client.fetch_open_orders("BTC/USDT")
    assert {(order["clientOrderId"], order["status"]) for order in shown} == {("target", "open"), ("stop", "open")}
    assert client.privateGetOpenOrderList()[0]["listClientOrderId"] == "oco"
    client.privateDeleteOrderList({"symbol": "BTCUSDT", "listClientOrderId": "oco"})
    exits = pair(ask, "pending")
    if kind == "Opoco":
        del exits["pendingQuantity"]
    place = getattr(client, f"privatePostOrderList{kind}")
    made = place({"symbol": "BTCUSDT", "listClientOrderId": "l2"} | entry(ask) | exits)
    assert [row["status"] for row in made["orderReports"]] == ["FILLED", "PENDING_NEW", "PENDING_NEW"]
    stop = client.fetch_order(made["orders"][2]["orderId"], "BTC/USDT")
    assert (stop["status"], stop["clientOrderId"]) == ("open", "stop")
    assert stop["amount"] == (0.01 if kind == "Opoco" else 0.009)
    assert client.privateGetOrderList({"origClientOrderId": "l2"})["listOrderStatus"] == "EXECUTING"
    client.cancel_order(stop["id"], "BTC/USDT")
    assert client.privateGetOrderList({"origClientOrderId": "l2"})["listOrderStatus"] == "ALL_DONE"
    with pytest.raises(ccxt.BaseError, match="relationship of the prices"):
        client.privatePostOrderListOco({"symbol": "BTCUSDT"} | pair(ask, abovePrice=f"{ask * 0.95:.2f}"))


def test_ccxt_on_btcturk(real_time):
    """It signs with the decoded secret, sends its orders as JSON and reads candles from the graph host."""
    ccxt = pytest.importorskip("ccxt")
    sim = real_time(venue="btcturk", api_secret="c2ltc2VjcmV0", balances={"BTC": "1", "USDT": "10000"}).sim
    client = pointed_at(ccxt.btcturk({"apiKey": "simkey", "secret": "c2ltc2VjcmV0"}), sim.rest_url)
    market = client.load_markets()["BTC/USDT"]
    assert (market["id"], market["limits"]["cost"]["min"]) == ("BTCUSDT", 5)
    nine_hours_ago = (sim.now_ms // 3_600_000 - 9) * 3_600_000
    assert len(client.fetch_ohlcv("BTC/USDT", "1h", since=nine_hours_ago, limit=10)) == 10
    assert client.fetch_ticker("BTC/USDT")["last"] > 0
    assert client.fetch_trades("BTC/USDT", limit=5)[0]["side"] in ("buy", "sell")
    book = client.fetch_order_book("BTC/USDT", 10)
    price = round(book["bids"][0][0] * 0.9)
    made = client.create_order("BTC/USDT", "limit", "buy", 0.01, price, {"clientOrderId": "cx1"})
    assert [order["id"] for order in client.fetch_open_orders("BTC/USDT")] == [made["id"]]
    client.cancel_order(made["id"])
    sold = client.create_order("BTC/USDT", "market", "sell", 0.01)
    states = {order["id"]: order["status"] for order in client.fetch_orders("BTC/USDT")}
    assert states == {made["id"]: "canceled", sold["id"]: "closed"}
    trades = client.fetch_my_trades("BTC/USDT")
    assert {trade["order"] for trade in trades} == {sold["id"]} and trades[0]["fee"]["currency"] == "USDT"
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
    assert client.fetch_balance()["BTC"]["free"] == pytest.approx(0.99)
    with pytest.raises(ccxt.BaseError, match="BALANCE_NOT_ENOUGH"):
        client.create_order("BTC/USDT", "limit", "buy", 5, price)
