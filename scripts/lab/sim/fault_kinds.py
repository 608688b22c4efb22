"""The table of fault kinds: when each acts, what its arg means, what it defaults to. Holds no state."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """When a kind acts."""

    DELAY = "delay"  # before anything, real time
    BEFORE = "before"  # instead of handling the request
    AFTER = "after"  # the request is handled, its answer is lost or broken
    ORDER = "order"  # shapes the order made by the request
    STREAM = "stream"  # acts on the messages of WebSocket connections, not on requests
    VIEW = "view"  # a condition of the market or the server, seen by matching requests


def is_integer(arg: Any) -> bool:
    """True for a whole JSON number (not true or false)."""
    return isinstance(arg, int) and not isinstance(arg, bool)


def _amount(arg: Any) -> bool:
    return (
        isinstance(arg, int | float | str) and not isinstance(arg, bool) and _is_number(arg) and Decimal(str(arg)) >= 0
    )


def _is_number(arg: Any) -> bool:
    try:
        return Decimal(str(arg)).is_finite()
    except ArithmeticError:
        return False


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of kinds; `default` is used when no arg is given (None = arg required)."""

    stage: Stage
    accepts: Callable[[Any], bool]
    wants: str
    default: Any


def _nothing(arg: Any) -> bool:
    return arg is None


KINDS: dict[str, Kind] = {
    "latency_ms": Kind(Stage.DELAY, _amount, "milliseconds, real time", None),
    "http_status": Kind(Stage.BEFORE, lambda a: is_integer(a) and 300 <= a <= 599, "a status code 300-599", None),
    "rate_limit_429": Kind(Stage.BEFORE, _amount, "Retry-After seconds", 10),
    "ban_418": Kind(Stage.BEFORE, _amount, "Retry-After seconds", 120),
    "timestamp_1021": Kind(Stage.BEFORE, _nothing, "no arg", ""),
    "drop_before": Kind(Stage.BEFORE, _nothing, "no arg", ""),
    "redirect_307": Kind(Stage.BEFORE, lambda a: a is None or isinstance(a, str), "a URL prefix", "http://127.0.0.1:1"),
    "html_502": Kind(Stage.BEFORE, _nothing, "no arg", ""),
    "unknown_1007_after_accept": Kind(Stage.AFTER, _nothing, "no arg", ""),
    "http_status_after_accept": Kind(Stage.AFTER, lambda a: is_integer(a) and 500 <= a <= 599, "a status 500-599", 503),
    "drop_after_accept": Kind(Stage.AFTER, _nothing, "no arg", ""),
    "reset_mid_body": Kind(Stage.AFTER, _nothing, "no arg", ""),
    "bad_json": Kind(Stage.AFTER, _nothing, "no arg", ""),
    "mutate_body": Kind(Stage.AFTER, lambda a: is_integer(a) and a >= 0, "a seed, a whole number >= 0", 0),
    "late_fill": Kind(Stage.ORDER, _amount, "seconds, virtual time", None),
    "listing_lag": Kind(Stage.ORDER, _amount, "seconds, virtual time", None),
    "pending_lag": Kind(Stage.ORDER, _amount, "seconds, virtual time", None),
    "partial_fill": Kind(
        Stage.ORDER, lambda a: _amount(a) and Decimal(str(a)) < 1, "a fraction from 0 to below 1", "0.5"
    ),
    "crossed_book": Kind(Stage.VIEW, _nothing, "no arg", ""),
    "empty_book": Kind(Stage.VIEW, _nothing, "no arg", ""),
    "frozen_price": Kind(Stage.VIEW, _nothing, "no arg", ""),
    "symbol_halted": Kind(Stage.VIEW, lambda a: a is None or isinstance(a, str), "a symbol, or none for all", ""),
    "filter_change": Kind(Stage.VIEW, lambda a: isinstance(a, dict) and bool(a), "an object of filters", None),
    "ws_drop": Kind(Stage.STREAM, _nothing, "no arg", ""),
    "ws_silent": Kind(Stage.STREAM, _nothing, "no arg", ""),
    "ws_garbage": Kind(Stage.STREAM, _nothing, "no arg", ""),
    "ws_late": Kind(Stage.STREAM, _amount, "seconds, virtual time", None),
    "ws_shutdown": Kind(Stage.STREAM, _nothing, "no arg", ""),
    "ws_terminated": Kind(Stage.STREAM, _nothing, "no arg", ""),
    "clock_skew_ms": Kind(Stage.VIEW, is_integer, "milliseconds, may be negative", None),
}
