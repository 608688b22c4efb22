"""Every case of contracts/index.json: read by our clients, judged as an error, a stream's, or explained.

READ holds what a client of ours reads: our own parser runs over the recorded body and the facts in it are asserted
here. Errors are judged in `test_error_contracts.py`, streams in `test_streams.py`; both walk their folders. What none
of our programs asks for stands in NOT_ASKED with why, and with where the simulator is held against it. A case that is
in none of them, or in two, is red.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from desk.venues import dialect, dialect_binance, dialect_btcturk, dialect_mexc, outcome
from desk.venues import dialect_binance_lists as lists
from desk.venues.protocol import OrderReport, OrderRequest, OrderStatus, OrderType, Side
from desk.venues.table import VENUES
from lab.sim.build import SimConfig, build
from lab.sim.clock import TimeMode
from venue.kit import CONTRACTS, needs_contracts

D = Decimal
Row = tuple[Callable[[Any], object], object]


def order_facts(found: OrderReport) -> tuple[str, str, OrderStatus, Decimal, Decimal]:
    return (found.client_order_id, found.order_id, found.status, found.quantity, found.executed)


def _placed(value: Any) -> object:
    request = OrderRequest(
        client_order_id="6gCrw2kRUAF9CvJDGP16IP", symbol="BTCUSDT", side=Side.SELL, type=OrderType.MARKET,
        quantity=D(10),
    )  # fmt: skip
    found = dialect_binance.placed(value, request)
    return (*order_facts(found), len(found.trades), sum(trade.fee for trade in found.trades))


def _mexc_placed(value: Any) -> object:
    request = OrderRequest(
        client_order_id="mine", symbol="MXUSDT", side=Side.BUY, type=OrderType.LIMIT, quantity=D(50), price=D("0.1")
    )
    return order_facts(dialect_mexc.placed(value, request))


def _turk_placed(value: Any) -> object:
    request = OrderRequest(
        client_order_id="test", symbol="BTCTRY", side=Side.BUY, type=OrderType.LIMIT, quantity=D("0.001"),
        price=D(20000),
    )  # fmt: skip
    return order_facts(dialect_btcturk.placed(value, request))


def _replaced(value: Any) -> object:
    """Both halves are ordinary answers; nothing of ours sends cancel-replace (it may not be sent twice)."""
    gone = dialect.told_of("binance", value["cancelResponse"], "BTCUSDT", "DnLo3vTAQcjha43lAZhZ0y")
    new = dialect.report("binance", value["newOrderResponse"], "wOceeeOzNORyLiQfw7jd8S")
    return (order_facts(gone), order_facts(new))


def _binance_listed(value: Any) -> object:
    return [order_facts(dialect.report("binance", row, row["clientOrderId"])) for row in value]


def _cancelled_all(value: Any) -> object:
    """Orders of a list come as the list."""
    single, whole = value[0], value[-1]
    told = lists.cancelled(whole, whole["symbol"], whole["listClientOrderId"])
    gone = dialect.told_of("binance", single, "BTCUSDT", single["origClientOrderId"])
    return (gone.status, told.status.value, [one.status for one in told.reports], told.list_id)


def _trades(value: Any) -> object:
    return [(one.trade_id, one.order_id, one.quantity, one.fee, one.fee_asset) for one in map(dialect.trade, value)]


def _book(venue: str) -> Callable[[Any], object]:
    def read(value: Any) -> object:
        found = dialect.book(venue, "X", value, 1)
        return (found.bids[0].price, found.asks[0].quantity)

    return read


def _held(value: Any) -> object:
    return {asset: (one.free, one.locked) for asset, one in dialect.balances(value["balances"]).items()}


def _turk_held(value: Any) -> object:
    found = dialect.balances(dialect_btcturk.data_of(value))
    return {asset: (one.free, one.locked) for asset, one in found.items()}


def _bars(value: Any) -> object:
    found = dialect.bars(value)
    return (len(found), found[0].open, found[0].volume)


def _rules(read: Callable[[Any], Any]) -> Callable[[Any], object]:
    def act(row: Any) -> object:
        found = read(row)
        return (found.symbol, found.tick, found.step, found.entries_allowed)

    return act


def _binance_rules(value: Any) -> object:
    return _rules(dialect_binance.rules)(value["symbols"][0])


def _turk_rows(value: Any) -> object:
    return [(row["id"], dialect_btcturk.order(row).status) for row in dialect_btcturk.open_rows(value)]


def _turk_orders(value: Any) -> object:
    return [order_facts(dialect_btcturk.order(row)) for row in dialect_btcturk.data_of(value)]


def _turk_trades(value: Any) -> object:
    return [(one.trade_id, one.side, one.quantity, one.fee > 0) for one in dialect_btcturk.trades(value)][:1]


def _turk_book(value: Any) -> object:
    found = dialect_btcturk.book("BTCTRY", value, 0, 1_600_000_000_000)
    return (found.bids[0].price, found.asks[0].quantity)


def _turk_bars(value: Any) -> object:
    return [(bar.open_ms, bar.close) for bar in dialect_btcturk.bars(value, 60)]


def _keys(value: Any) -> object:
    return dialect_binance.key_permissions(value).can_withdraw


NEW, FILLED, CANCELED = OrderStatus.NEW, OrderStatus.FILLED, OrderStatus.CANCELED
OPEN_LTC = ("myOrder1", "1", NEW, D(1), D(0))
SOLD = ("6gCrw2kRUAF9CvJDGP16IP", "28", FILLED, D(10), D(10))
READ: dict[str, Row] = {
    "binance.captured.account_nautilus": (
        _held, {"BTC": (D("4723846.89208129"), D(0)), "LTC": (D("4763368.68006011"), D(0))}
    ),
    "binance.rest.account": (_held, {"BTC": (D("4723846.89208129"), D(0)), "LTC": (D("4763368.68006011"), D(0))}),
    "binance.captured.exchange_info_2021": (_binance_rules, ("BTCUSDT", D("0.01"), D("0.00001"), True)),
    "binance.captured.exchange_info_binanceus": (_binance_rules, ("BTCUSDT", D("0.01"), D("0.00001"), True)),
    "binance.rest.exchange_info_docs": (_binance_rules, ("ETHBTC", D("0.00000001"), D("0.00000001"), False)),
    "binance.captured.klines_2021": (_bars, (10, D("60685.22"), D("21.63272"))),
    "binance.rest.klines": (_bars, (1, D("0.01634790"), D("148976.11427815"))),
    "binance.rest.cancel_all_open": (_cancelled_all, (CANCELED, "ALL_DONE", [CANCELED, CANCELED], "1929")),
    "binance.rest.cancel_order": (
        lambda value: order_facts(dialect.told_of("binance", value, "LTCBTC", "myOrder1")),
        ("myOrder1", "4", CANCELED, D(1), D(0)),
    ),
    "binance.rest.cancel_replace_success": (
        _replaced, (("DnLo3vTAQcjha43lAZhZ0y", "9", CANCELED, D("0.0001"), D(0)),
                    ("wOceeeOzNORyLiQfw7jd8S", "10", NEW, D("0.04"), D(0))),
    ),
    "binance.rest.depth": (_book("binance"), (D(4), D(12))),
    "binance.rest.my_trades": (_trades, [("28457", "100234", D(12), D("10.1"), "BNB")]),
    "binance.rest.open_orders": (_binance_listed, [OPEN_LTC]),
    "binance.rest.order_ack": (_placed, ("6gCrw2kRUAF9CvJDGP16IP", "28", NEW, D(10), D(0), 0, 0)),
    "binance.rest.order_result": (_placed, (*SOLD, 0, 0)),
    "binance.rest.order_full": (_placed, (*SOLD, 5, D("39.983"))),
    "binance.rest.order_list_oco": (lambda value: len(lists.told(value).orders), 2),
    "binance.rest.query_order": (
        lambda value: order_facts(dialect.told_of("binance", value, "LTCBTC", "myOrder1")), OPEN_LTC
    ),
    "binance.rest.time": (lambda value: value["serverTime"], 1499827319559),
    "binance.sapi.api_restrictions": (_keys, False),
    "btcturk.rest.all_orders_2021": (
        _turk_orders,
        [("2ed187bd-59a8-4875-a212-1b793963b85c", "2606012912", NEW, D("0.0003"), D(0))],
    ),
    "btcturk.rest.balances": (
        _turk_held,
        {"TRY": (D("102135.3712490135968651"), D("1023.5699999896")), "BTC": (D("29.6017353"), D("0.001"))},
    ),
    "btcturk.rest.cancel_order": (lambda value: value["message"], "SUCCESS"),
    "btcturk.rest.exchange_info": (
        lambda value: _rules(dialect_btcturk.rules)(dialect_btcturk.data_of(value)["symbols"][0]),
        ("BTCTRY", D(10), D("0.00000001"), True),
    ),
    "btcturk.rest.klines_history": (  # the minute without trades is filled in
        _turk_bars, [(1661990400000, D(368388)), (1661990460000, D(368388)), (1661990520000, D(369090))]
    ),
    "btcturk.rest.open_orders": (
        _turk_rows, [(16071095, NEW), (16060235, NEW), (16060237, OrderStatus.PARTIALLY_FILLED)]
    ),
    "btcturk.rest.orderbook": (_turk_book, (D(33245), D("0.03681877"))),
    "btcturk.rest.server_time": (lambda value: value["serverTime"], 1613313462021),
    "btcturk.rest.submit_order": (_turk_placed, ("test", "9932534", NEW, D("0.001"), D(0))),
    "btcturk.rest.user_trades": (_turk_trades, [("5758565", Side.SELL, D("0.0004"), True)]),
    "mexc.captured.exchange_info_2025": (
        lambda value: _rules(dialect_mexc.rules)(value["symbols"][0])[0], "BROCKUSDT"
    ),
    "mexc.captured.get_account_info": (_held, {"NBNTEST": (D(1111078), D(33)), "MAIN": (D(1020000), D(0))}),
    "mexc.captured.get_order": (
        lambda value: order_facts(dialect.told_of("mexc", value, "LTCBTC", "myOrder1")), OPEN_LTC
    ),
    "mexc.rest.account": (_held, {"NBNTEST": (D(1111078), D(33)), "MAIN": (D(1020000), D(0))}),
    "mexc.rest.cancel_order": (
        lambda value: order_facts(dialect.told_of("mexc", value, "LTCBTC", "myOrder1")),
        ("myOrder1", "4", CANCELED, D(1), D(0)),
    ),
    "mexc.rest.depth": (_book("mexc"), (D(15), D(1))),
    "mexc.rest.exchange_info_symbol_docs": (lambda value: dialect_mexc.rules(value).entries_allowed, False),
    "mexc.rest.klines": (_bars, (1, D("47482.36"), D("3.550717"))),
    "mexc.rest.my_trades": (
        _trades,
        [("fad2af9e942049b6adbda1a271f990c6", "bb41e5663e124046bd9497a3f5692f39", D(12), D("10.1"), "BNB")],
    ),
    "mexc.rest.open_orders": (lambda value: [order_facts(dialect_mexc.listed(row)) for row in value], [OPEN_LTC]),
    "mexc.rest.order_new": (_mexc_placed, ("mine", "06a480e69e604477bfb48dddd5f0b750", NEW, D(50), D(0))),
    "mexc.rest.query_order": (
        lambda value: order_facts(dialect.told_of("mexc", value, "LTCBTC", "myOrder1")), OPEN_LTC
    ),
    "mexc.rest.time": (lambda value: value["serverTime"], 1645539742000),
}  # fmt: skip
SIM = "the simulator answers in this shape, for other programs (tests/sim); ours do not ask for it"
NEVER = "nothing of ours asks for it"
EMPTY = "an accepted answer without content; only its class counts"
NOT_ASKED = {
    "binance.captured.book_ticker_2021": SIM,
    "binance.captured.sapi_trade_fee_list": NEVER,
    "binance.captured.trades_2021": SIM,
    "binance.rest.amend_keep_priority": "nothing of ours amends: what is held changes by a swap, under a new id",
    "binance.rest.avg_price": SIM,
    "binance.rest.book_ticker": SIM,
    "binance.rest.commission": SIM,
    "binance.rest.order_test_empty": EMPTY,
    "binance.rest.ping": EMPTY,
    "binance.rest.rate_limit_order": SIM,
    "binance.rest.reference_price_set": NEVER,
    "binance.rest.ticker_24hr": SIM,
    "binance.rest.ticker_price": SIM,
    "binance.rest.trades": SIM,
    "binance.sapi.account_status": NEVER,
    "binance.sapi.system_status": NEVER,
    "btcturk.rest.ohlcs": SIM,
    "btcturk.rest.single_order": "wants the exchange's id; ours are found by listing (the simulator answers it)",
    "btcturk.rest.ticker_2026": SIM,
    "btcturk.rest.ticker_all_2019": "the older form of ticker_2026",
    "btcturk.rest.trades": SIM,
    "mexc.captured.get_book_prices": SIM,
    "mexc.captured.get_tickers": SIM,
    "mexc.rest.avg_price": SIM,
    "mexc.rest.batch_orders_ok": "orders are sent one by one, each with its own intent",
    "mexc.rest.default_symbols": NEVER,
    "mexc.rest.kyc_status": NEVER,
    "mexc.rest.listen_key": "MEXC's user data comes by REST: its pushes are protobuf",
    "mexc.rest.order_test": EMPTY,
    "mexc.rest.ping": EMPTY,
}
STREAM_KINDS = {
    "ws_event", "ws_api_response", "ws_api_request", "ws_api_error", "ws_api_fragment", "ws_request", "ws_response",
    "ws_binary_frame",
}  # fmt: skip
CASES: list[dict[str, Any]] = json.loads((CONTRACTS / "index.json").read_text()) if CONTRACTS.is_dir() else []


def _is_error(row: dict[str, Any]) -> bool:
    return row["kind"] == "rest_error"


def told(name: str) -> Any:
    """A recorded body as our decoder reads it, judged as accepted first."""
    row = next(row for row in CASES if row["id"] == name)
    case = json.loads((CONTRACTS / row["file"]).read_text())
    table = VENUES[case["venue"]].errors
    found = outcome.classify(table, case["http_status"], {}, json.dumps(case["body"]).encode())
    assert found.klass is outcome.Klass.ACCEPTED
    return found.value


@needs_contracts
def test_every_case_of_the_index_is_asserted_or_explained_once() -> None:
    rest = {row["id"] for row in CASES if row["kind"] == "rest_response"}
    assert len(CASES) == 154
    assert set(READ) | set(NOT_ASKED) == rest
    assert not set(READ) & set(NOT_ASKED)
    others = {row["kind"] for row in CASES} - {"rest_response", "rest_error"}
    assert others == STREAM_KINDS


@needs_contracts
@pytest.mark.parametrize("name", READ)
def test_our_client_reads_the_recorded_answer(name: str) -> None:
    read, expected = READ[name]
    assert read(told(name)) == expected


@needs_contracts
@pytest.mark.parametrize("name", NOT_ASKED)
def test_what_we_do_not_ask_for_is_at_least_an_accepted_answer(name: str) -> None:
    value, why = told(name), NOT_ASKED[name]
    assert why != EMPTY or value == {}
    if why == SIM:
        row = next(row for row in CASES if row["id"] == name)
        asked = json.loads((CONTRACTS / row["file"]).read_text())["request"]
        served = build(SimConfig(venue=name.split(".", maxsplit=1)[0], mode=TimeMode.STEP))[1].endpoints  # type: ignore[attr-defined]
        assert (asked["method"], asked["path"]) in served


@needs_contracts
@pytest.mark.parametrize("name", [row["id"] for row in CASES if _is_error(row)])
def test_every_recorded_refusal_is_a_definite_class_or_knowingly_unknown(name: str) -> None:
    """Classes are held against `expected_class` elsewhere; a refusal without one must still be a listed no."""
    row = next(row for row in CASES if row["id"] == name)
    case = json.loads((CONTRACTS / row["file"]).read_text())
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    headers = {key.lower(): value for key, value in (case.get("headers") or {}).items()}
    found = outcome.classify(VENUES[case["venue"]].errors, case["http_status"], headers, body.encode())
    assert found.klass is not outcome.Klass.ACCEPTED
    if "expected_class" not in case:
        assert found.klass is outcome.Klass.LOCAL_BUG
