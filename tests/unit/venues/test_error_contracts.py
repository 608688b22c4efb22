"""Every recorded error answer, held against our classes; every documented code has a class of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from desk.venues import errors_binance, errors_mexc
from desk.venues.outcome import TRAITS, ErrorTable, Klass, classify
from venue.kit import CONTRACTS, needs_contracts

TABLES = {"binance": errors_binance.TABLE, "mexc": errors_mexc.TABLE}
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


def test_the_classes_are_those_of_the_readme() -> None:
    assert {str(klass) for klass in Klass} - {"accepted", "not_sent"} == README_CLASSES
    assert set(TRAITS) == set(Klass)


@needs_contracts
@pytest.mark.parametrize("venue", TABLES)
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
