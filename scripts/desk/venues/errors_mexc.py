"""MEXC spot errors: message and code to class. A table; decides nothing else.

Source: the exchange's error-code page of 2025-08. 730001 and 730002 appear there twice with different meanings and
are parameter errors in both. Some endpoints answer with Binance's negative codes.
"""

from typing import Final

from desk.venues.outcome import ErrorTable, Klass

TABLE: Final = ErrorTable(
    messages=(
        (None, "duplicate order sent", Klass.ALREADY_EXISTS),
        (None, "duplicate client", Klass.ALREADY_EXISTS),
        (-2010, "market is closed", Klass.SYMBOL_HALTED),
    ),
    codes={
        -1007: Klass.EXECUTION_UNKNOWN,
        -1121: Klass.LOCAL_BUG,
        -2010: Klass.REJECTED,
        -2011: Klass.ORDER_NOT_FOUND_QUERY_FIRST,
        -2013: Klass.ORDER_NOT_FOUND,
        22222: Klass.ORDER_NOT_FOUND_QUERY_FIRST,
        26: Klass.REJECTED,
        400: Klass.FATAL_AUTH,  # api key required
        401: Klass.FATAL_AUTH,
        403: Klass.WAF_BLOCK,
        429: Klass.RATE_LIMITED,
        500: Klass.EXECUTION_UNKNOWN,
        503: Klass.EXECUTION_UNKNOWN_OR_RETRY_READS,
        504: Klass.EXECUTION_UNKNOWN,
        602: Klass.FATAL_AUTH,
        10001: Klass.FATAL_ACCOUNT,
        10072: Klass.FATAL_AUTH,
        10073: Klass.RESYNC_CLOCK,
        10098: Klass.FATAL_ACCOUNT,
        10099: Klass.FATAL_ACCOUNT,
        10101: Klass.REJECTED,
        20002: Klass.EXECUTION_UNKNOWN,
        30000: Klass.SYMBOL_HALTED,
        30001: Klass.SYMBOL_HALTED,
        30004: Klass.REJECTED,
        30005: Klass.REJECTED,
        30010: Klass.REJECTED,
        30016: Klass.SYMBOL_HALTED,
        30020: Klass.FATAL_ACCOUNT,
        30025: Klass.REJECTED,
        30027: Klass.REJECTED,
        30028: Klass.REJECTED,
        30029: Klass.REJECTED,
        30032: Klass.REJECTED,
        60005: Klass.FATAL_ACCOUNT,
        70011: Klass.FATAL_ACCOUNT,
        140001: Klass.FATAL_ACCOUNT,
        140002: Klass.FATAL_ACCOUNT,
        700001: Klass.FATAL_AUTH,
        700002: Klass.FATAL_AUTH,
        700003: Klass.RESYNC_CLOCK,
        700006: Klass.FATAL_AUTH,
        700007: Klass.FATAL_AUTH,
        730000: Klass.EXECUTION_UNKNOWN,
        730100: Klass.FATAL_ACCOUNT,
    },
    ranges=(
        (-1299, -1100, Klass.LOCAL_BUG),
        (10007, 10299, Klass.LOCAL_BUG),  # parameters, transfers and withdrawals we never ask for
        (20001, 20001, Klass.LOCAL_BUG),
        (30002, 30041, Klass.LOCAL_BUG),  # order parameters
        (33333, 33333, Klass.LOCAL_BUG),
        (44444, 44444, Klass.LOCAL_BUG),
        (700004, 700008, Klass.LOCAL_BUG),
        (730001, 730799, Klass.LOCAL_BUG),
    ),
    counted_codes=frozenset({-1007, 429, 500, 503, 504}),
)
