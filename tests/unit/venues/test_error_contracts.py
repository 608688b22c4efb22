"""Every recorded error answer, held against our classes; every documented code has a class of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

import btcturk_client
from desk.venues import client_door, errors_binance, errors_btcturk, errors_mexc
from desk.venues.outcome import TRAITS, ErrorTable, Klass, classify
from venue.kit import CONTRACTS, needs_contracts

TABLES = {"binance": errors_binance.TABLE, "mexc": errors_mexc.TABLE, "btcturk": errors_btcturk.TABLE}
NUMBERED = ("binance", "mexc")  # BTCTurk documents messages, and numbers for some of them
CASES = sorted(path for venue in TABLES for path in (CONTRACTS / venue).rglob("*.json"))
ERRORS = [path for path in CASES if '"expected_class"' in path.read_text()]
README_CLASSES = {
    "execution_unknown", "already_exists_query_by_client_id", "not_executed_resync_clock", "rate_limited_back_off",
    "order_rate_limited", "ip_banned_stop", "waf_block_back_off", "fatal_auth", "fatal_account", "rejected_final",
    "rejected_final_symbol_halted", "rejected_final_local_bug", "order_not_found", "order_not_found_query_first",
    "order_already_final_query", "maintenance_retry_cancel", "execution_unknown_or_retry_reads",
}  # fmt: skip


def raw(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


@needs_contracts
def test_there_are_cases() -> None:
    assert len(ERRORS) >= 20


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_recorded_error_has_the_expected_class(path: Path) -> None:
    case = json.loads(path.read_text())
    headers = {name.lower(): value for name, value in (case.get("headers") or {}).items()}
    found = classify(TABLES[case["venue"]], case["http_status"], headers, raw(case["body"]))
    assert found.klass == case["expected_class"]


@needs_contracts
def test_explain_error_gives_the_class_of_every_btcturk_case_of_the_index(capsys: pytest.CaptureFixture[str]) -> None:
    """The operator's command, over every case of contracts/index.json that concerns BTCTurk and has a class."""
    index = json.loads((CONTRACTS / "index.json").read_text())
    cases = [json.loads((CONTRACTS / row["file"]).read_text()) for row in index if row["id"].startswith("btcturk.")]
    errors = [case for case in cases if "expected_class" in case]
    assert len(errors) >= 6
    for case in cases:
        argv = ["explain-error", "--status", str(case["http_status"]), "--body", json.dumps(case["body"])]
        argv += ["--headers", json.dumps(case.get("headers") or {}), "--json"]
        assert client_door.main("btcturk", btcturk_client.make_client, argv) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["class"] == case.get("expected_class", "accepted"), case["id"]


@needs_contracts
def test_every_documented_btcturk_message_and_number_is_a_definite_answer() -> None:
    documented = json.loads((CONTRACTS / "btcturk" / "errors.json").read_text())
    unknown = {Klass.EXECUTION_UNKNOWN, Klass.EXECUTION_UNKNOWN_OR_RETRY_READS, None}
    table = TABLES["btcturk"]
    for message, code in documented["numeric_since_2024_05_06"].items():
        assert table.lookup(code, "") not in unknown, code
        assert table.lookup(code, "") is table.lookup(None, message), "the number says what the message says"
        assert table.lookup(9999, message) is table.lookup(None, message), "numbers were wrong once"
    for message in (*documented["submit_messages"], *documented["cancel_messages"]):
        assert table.lookup(None, message) not in unknown, message


@pytest.mark.parametrize(
    ("status", "body", "klass"),
    [
        (200, {"success": False, "message": "BALANCE_NOT_ENOUGH", "code": None}, Klass.REJECTED),
        (200, {"success": False, "message": "SOMETHING_NEW", "code": 0}, Klass.EXECUTION_UNKNOWN),
        (200, {"success": None, "message": None, "code": 0}, Klass.EXECUTION_UNKNOWN),
        (200, {"success": True, "message": "SUCCESS", "code": 0}, Klass.ACCEPTED),
        (200, {"success": True, "message": "SUCCESS", "code": 5}, Klass.EXECUTION_UNKNOWN),
        (400, {"success": False, "message": "SOMETHING_NEW", "code": 1999}, Klass.EXECUTION_UNKNOWN),
        (400, {"success": False, "message": "Order not found", "code": None}, Klass.ORDER_NOT_FOUND),
        (401, {"success": False, "message": "Unauthorized - Invalid Signature", "code": 401}, Klass.FATAL_AUTH),
        (401, {"success": False, "message": "unauthorized - INVALID NONCE"}, Klass.RESYNC_CLOCK),
        (500, {"success": False, "message": "BALANCE_NOT_ENOUGH", "code": 1}, Klass.EXECUTION_UNKNOWN),
        (503, {"success": False, "message": "ORDER_CANCEL_BLOCKED"}, Klass.EXECUTION_UNKNOWN),
    ],
)  # fmt: skip
def test_an_envelope_that_says_no_is_never_accepted(status: int, body: dict[str, Any], klass: Klass) -> None:
    assert classify(errors_btcturk.TABLE, status, {}, raw(body)).klass is klass


def test_the_classes_are_those_of_the_readme() -> None:
    assert {str(klass) for klass in Klass} - {"accepted", "not_sent"} == README_CLASSES
    assert set(TRAITS) == set(Klass)


@needs_contracts
@pytest.mark.parametrize("venue", NUMBERED)
def test_every_documented_code_has_a_row(venue: str) -> None:
    codes = {row["code"] for row in json.loads((CONTRACTS / venue / "errors.json").read_text())["codes"]}
    assert len(codes) > 60
    assert [code for code in codes if TABLES[venue].lookup(code, "") is None] == []


@needs_contracts
def test_every_matching_engine_message_is_a_definite_answer() -> None:
    listed = json.loads((CONTRACTS / "binance" / "errors.json").read_text())["matching_engine_messages"]["messages"]
    unknown = {Klass.EXECUTION_UNKNOWN, Klass.EXECUTION_UNKNOWN_OR_RETRY_READS, None}
    classes = {row["message"]: errors_binance.TABLE.lookup(-2010, row["message"]) for row in listed}
    assert [message for message, klass in classes.items() if klass in unknown] == []
    assert classes["Duplicate order sent."] is Klass.ALREADY_EXISTS
    assert classes["Market is closed."] is Klass.SYMBOL_HALTED
    assert classes["This action is disabled on this account."] is Klass.FATAL_ACCOUNT
    assert classes["Trailing stop orders are not supported for this symbol."] is Klass.LOCAL_BUG
    assert classes["Order would immediately match and take."] is Klass.REJECTED


@pytest.mark.parametrize(
    ("message", "klass"),
    [
        ("Unknown order sent.", Klass.ORDER_NOT_FOUND_QUERY_FIRST),
        ("Order was not canceled due to cancel restrictions.", Klass.REJECTED),
        ("Cancel order is invalid. Check origClOrdId and orderId.", Klass.LOCAL_BUG),
        ("words nobody has documented", Klass.ORDER_NOT_FOUND_QUERY_FIRST),
    ],
)
def test_a_cancel_reject_is_told_apart_by_its_message(message: str, klass: Klass) -> None:
    body = json.dumps({"code": -2011, "msg": message}).encode()
    assert classify(errors_binance.TABLE, 400, {}, body).klass is klass


def test_a_table_never_calls_an_unlisted_code_a_no() -> None:
    for table in TABLES.values():
        assert classify(table, 400, {}, b'{"code": -987654, "msg": "new"}').klass is Klass.EXECUTION_UNKNOWN
    assert ErrorTable((), {}, (), frozenset()).lookup(1, "x") is None
