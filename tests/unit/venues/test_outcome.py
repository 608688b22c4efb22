"""What an answer means: status, body and code, in that order of suspicion; and what the error says of an order."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.venues import errors_binance, errors_mexc
from desk.venues.outcome import TRAITS, UNKNOWN, Finding, Klass, VenueError, bad_body, broken, classify

TABLE = errors_binance.TABLE
REJECT = b'{"code": -2010, "msg": "Account has insufficient balance for requested action."}'


def of(status: int, body: bytes = b"", **headers: str) -> Finding:
    return classify(TABLE, status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("status", "body", "klass", "counts"),
    [
        (200, b"{}", Klass.ACCEPTED, False),
        (200, b"[1, 2", Klass.EXECUTION_UNKNOWN, True),
        (200, b"", Klass.EXECUTION_UNKNOWN, True),
        (200, b'{"code": 200, "data": [], "msg": null}', Klass.ACCEPTED, False),
        (200, REJECT, Klass.REJECTED, False),
        (301, b"", Klass.EXECUTION_UNKNOWN, True),
        (307, b"{}", Klass.EXECUTION_UNKNOWN, True),
        (400, REJECT, Klass.REJECTED, False),
        (400, b"<html>", Klass.EXECUTION_UNKNOWN, False),
        (401, b"", Klass.FATAL_AUTH, False),
        (403, b"<html>blocked</html>", Klass.WAF_BLOCK, False),
        (403, b'{"code": -1000, "msg": "?"}', Klass.WAF_BLOCK, False),
        (404, b"<html>", Klass.EXECUTION_UNKNOWN, False),
        (408, b"", Klass.EXECUTION_UNKNOWN, True),
        (409, b'{"code": -2021, "msg": "partial"}', Klass.EXECUTION_UNKNOWN, False),
        (429, b'{"code": -2021, "msg": "partial"}', Klass.EXECUTION_UNKNOWN, True),
        (409, b'{"code": -2022, "msg": "both"}', Klass.REJECTED, False),
        (418, b"", Klass.IP_BANNED, True),
        (418, b"<html>", Klass.IP_BANNED, True),
        (429, b"<html>", Klass.RATE_LIMITED, True),
        (429, b'{"code": -1015, "msg": "Too many new orders."}', Klass.ORDER_RATE_LIMITED, True),
        (400, b'{"code": -1015, "msg": "Too many new orders."}', Klass.ORDER_RATE_LIMITED, False),
        (429, b'{"code": -1003, "msg": "IP banned until 1767571200000."}', Klass.IP_BANNED, True),
        (400, b'{"code": -1006, "msg": "Execution status unknown."}', Klass.EXECUTION_UNKNOWN, True),
        (400, b'{"code": -1007, "msg": "Timeout"}', Klass.EXECUTION_UNKNOWN, True),
        (500, b'{"code": -1000, "msg": "?"}', Klass.EXECUTION_UNKNOWN, True),
        (503, b'{"code": -1008, "msg": "busy"}', Klass.EXECUTION_UNKNOWN_OR_RETRY_READS, True),
    ],
)
def test_the_table_of_answers(status: int, body: bytes, klass: Klass, counts: bool) -> None:
    found = of(status, body)
    assert (found.klass, found.counts) == (klass, counts)


@given(st.sampled_from([301, 307, 408, 500, 502, 503, 504, 599]), st.binary(max_size=60) | st.just(REJECT))
def test_a_doubtful_status_is_never_a_no(status: int, body: bytes) -> None:
    """P2: a 5xx that carries a definite reject code is still unknown."""
    for table in (errors_binance.TABLE, errors_mexc.TABLE):
        found = classify(table, status, {}, body)
        if status != 408:
            assert found.klass in UNKNOWN
        assert found.counts


@given(st.integers(100, 599), st.binary(max_size=80), st.dictionaries(st.text(max_size=12), st.text(max_size=12)))
def test_nothing_an_exchange_says_makes_it_raise(status: int, body: bytes, headers: dict[str, str]) -> None:
    found = classify(TABLE, status, {**headers, "retry-after": next(iter(headers.values()), "")}, body)
    assert found.klass in TRAITS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("37", 37.0), ("1.5", 1.5), ("0", 0.0), ("-3", None), ("soon", None), ("", None), ("9" * 15, 259_200.0),
     ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("1" * 40, None), ("NaN", None), ("٣", None)],
)  # fmt: skip
def test_retry_after_is_a_bounded_number_or_nothing(text: str, seconds: float | None) -> None:
    assert of(429, b"{}", retry_after=text).retry_after_s == seconds


def error(finding: Finding, is_order: bool = True, is_read: bool = False) -> VenueError:
    return VenueError("binance", "POST /api/v3/order", finding, is_order=is_order, is_read=is_read)


@pytest.mark.parametrize(
    ("finding", "sent", "may_exist", "retryable"),
    [
        (of(502, b"<html>"), "unknown", True, False),
        (of(200, b"{"), "unknown", True, False),
        (broken("timeout", started=True), "unknown", True, False),
        (broken("connect timeout", started=False), "not_sent", False, True),
        (bad_body(of(200, b"{}"), "KeyError"), "unknown", True, False),
        (of(400, REJECT), "rejected", False, False),
        (of(429, b"{}"), "rejected", False, True),
        (of(418, b"{}"), "rejected", False, False),
        (of(400, b'{"code": -2010, "msg": "Duplicate order sent."}'), "unknown", True, False),
        (of(400, b'{"code": -1021, "msg": "Timestamp"}'), "rejected", False, True),
    ],
)
def test_what_an_error_says_of_an_order(finding: Finding, sent: str, may_exist: bool, retryable: bool) -> None:
    found = error(finding)
    assert (found.sent, found.order_may_exist, found.retryable) == (sent, may_exist, retryable)


def test_a_failed_read_may_be_tried_again_and_makes_no_order() -> None:
    found = error(of(502), is_order=False, is_read=True)
    assert (found.retryable, found.order_may_exist) == (True, False)


def test_the_line_names_venue_path_status_and_code() -> None:
    line = error(of(400, REJECT)).line()
    assert line.startswith("[BINANCE] POST /api/v3/order: rejected_final http 400 code -2010 (Account has insufficient")
    assert "breaker:open" in error(Finding(klass=Klass.NOT_SENT, reason="breaker:open")).line()


def test_an_error_survives_a_process_border() -> None:
    assert "rejected_final" in str(pickle.loads(pickle.dumps(error(of(400, REJECT)))))
