"""Rules of single orders no other file holds: the look-up rows, EXPIRED with fills, a cancel-replace half done."""

from pathlib import Path

import pytest

from desk.execution import fills, submit
from desk.venues import dialect_binance, errors_binance, outcome, table
from desk.venues.outcome import Klass
from desk.venues.table import PURPOSES, Purpose
from kit import Bench, D, bench, entry, ok

ROWS = {  # rules.md, Intents: quiet time, recvWindow added, looks, seconds between them, look-up by client id
    "binance": (60, True, 2, 30, True),
    "mexc": (120, False, 3, 30, True),
    "btcturk": (300, False, 3, 30, False),
}


@pytest.fixture
def b(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    return bench(home)


def test_not_found_is_evidence_by_the_venues_row() -> None:
    found = {
        name: (row.quiet_s, row.quiet_adds_recv_window, row.looks, row.look_gap_s, row.lookup_by_client_id)
        for name, row in table.VENUES.items()
    }
    assert found == ROWS


@pytest.mark.parametrize("word", ["EXPIRED", "EXPIRED_IN_MATCH"])
def test_an_expired_order_keeps_its_fills(b: Bench, word: str) -> None:
    b.faults.drop_before = 1
    desk = b.desk()
    sent = submit.submit(desk, entry(), ok)
    fill = {"tradeId": 77, "qty": "0.001", "price": "50000", "commission": "0", "commissionAsset": "BTC"}
    told = {
        "symbol": "BTCUSDT", "orderId": 5, "clientOrderId": sent.order_id, "price": "50010", "origQty": "0.002",
        "executedQty": "0.001", "cummulativeQuoteQty": "50", "status": word, "type": "LIMIT", "side": "BUY",
        "stopPrice": "0", "time": b.now_ms, "updateTime": b.now_ms, "transactTime": b.now_ms, "fills": [fill],
    }  # fmt: skip
    fills.book(desk, sent.order_id, dialect_binance.placed(told, submit.intents.request_of(entry(), sent.order_id)))
    position = b.position()
    assert position is not None and position.quantity == D("0.001")
    intent = b.intents()[sent.order_id]
    assert (intent.status, intent.final_ms > 0) == ("EXPIRED", True)


def test_half_a_cancel_replace_is_unknown_and_is_never_sent_again() -> None:
    body = b'{"code":-2021,"msg":"Order cancel-replace partially failed."}'
    finding = outcome.classify(errors_binance.TABLE, 409, {}, body)
    assert finding.klass is Klass.EXECUTION_UNKNOWN
    assert not outcome.TRAITS[finding.klass].retryable and outcome.TRAITS[finding.klass].order_may_exist
    purpose = table.purpose_of(table.row("binance"), "POST", "/api/v3/order/cancelReplace")
    assert purpose is Purpose.ENTRY and not PURPOSES[purpose].retried


@pytest.mark.parametrize(
    ("message", "klass"),
    [("Unknown order sent.", Klass.ORDER_NOT_FOUND_QUERY_FIRST),
     ("Order was not canceled due to cancel restrictions.", Klass.REJECTED)],
)  # fmt: skip
def test_a_refused_cancel_says_two_different_things(message: str, klass: Klass) -> None:
    body = f'{{"code":-2011,"msg":"{message}"}}'.encode()
    assert outcome.classify(errors_binance.TABLE, 400, {}, body).klass is klass
