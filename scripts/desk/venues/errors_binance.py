"""Binance spot errors: message and code to class. A table; decides nothing else.

Source: the exchange's errors page (codes, matching-engine messages, filter failures). Messages come first: -2010
and -2011 say different things in different words (protocol facts, Binance 6).
"""

from typing import Final

from desk.venues.outcome import ErrorTable, Klass

_ENGINE: Final = (  # messages of -1010, -2010, -2011 and -2038, in lower case
    ("duplicate order sent", Klass.ALREADY_EXISTS),
    ("unknown order sent", Klass.ORDER_NOT_FOUND_QUERY_FIRST),
    ("not canceled due to cancel restrictions", Klass.REJECTED),
    ("market is closed", Klass.SYMBOL_HALTED),
    ("account has insufficient balance", Klass.REJECTED),
    ("this action is disabled on this account", Klass.FATAL_ACCOUNT),
    ("this account may not place or cancel orders", Klass.FATAL_ACCOUNT),
    ("symbol is not permitted for this account", Klass.FATAL_ACCOUNT),
    ("symbol is restricted for this account", Klass.FATAL_ACCOUNT),
    ("api trading is not enabled", Klass.FATAL_ACCOUNT),
    ("not supported for this symbol", Klass.LOCAL_BUG),
    ("not support for this symbol", Klass.LOCAL_BUG),
    ("price * qty is zero or less", Klass.LOCAL_BUG),
    ("icebergqty exceeds qty", Klass.LOCAL_BUG),
    ("unsupported order combination", Klass.LOCAL_BUG),
    ("relationship of the prices", Klass.LOCAL_BUG),
    ("check origclordid and orderid", Klass.LOCAL_BUG),
    ("price peg cannot be used", Klass.LOCAL_BUG),
    ("may not use pegged price", Klass.LOCAL_BUG),
)
_ENGINE_CODES: Final = (-1010, -2010, -2011, -2038)

TABLE: Final = ErrorTable(
    messages=(
        (-1003, "banned until", Klass.IP_BANNED),
        *((code, part, klass) for code in _ENGINE_CODES for part, klass in _ENGINE),
        (-1013, "market is closed", Klass.SYMBOL_HALTED),
    ),
    codes={
        -1000: Klass.EXECUTION_UNKNOWN,
        -1001: Klass.EXECUTION_UNKNOWN_OR_RETRY_READS,
        -1002: Klass.FATAL_AUTH,
        -1003: Klass.RATE_LIMITED,
        -1006: Klass.EXECUTION_UNKNOWN,
        -1007: Klass.EXECUTION_UNKNOWN,
        -1008: Klass.EXECUTION_UNKNOWN_OR_RETRY_READS,
        -1010: Klass.REJECTED,
        -1013: Klass.LOCAL_BUG,
        -1014: Klass.LOCAL_BUG,
        -1015: Klass.ORDER_RATE_LIMITED,
        -1016: Klass.EXECUTION_UNKNOWN_OR_RETRY_READS,
        -1020: Klass.LOCAL_BUG,
        -1021: Klass.RESYNC_CLOCK,
        -1022: Klass.FATAL_AUTH,
        -1033: Klass.LOCAL_BUG,
        -1034: Klass.RATE_LIMITED,
        -1035: Klass.LOCAL_BUG,
        -2010: Klass.REJECTED,
        -2011: Klass.ORDER_NOT_FOUND_QUERY_FIRST,
        -2013: Klass.ORDER_NOT_FOUND,
        -2014: Klass.FATAL_AUTH,
        -2015: Klass.FATAL_AUTH,
        -2016: Klass.REJECTED,
        -2018: Klass.ORDER_NOT_FOUND,  # "Order list does not exist.": answered to GET orderList, not documented
        -2021: Klass.EXECUTION_UNKNOWN,  # cancel-replace: one half happened
        -2022: Klass.REJECTED,  # cancel-replace: neither half happened
        -2026: Klass.ORDER_ALREADY_FINAL,
        -2035: Klass.LOCAL_BUG,
        -2036: Klass.LOCAL_BUG,
        -2038: Klass.REJECTED,
        -2039: Klass.LOCAL_BUG,
        -2042: Klass.LOCAL_BUG,
        -2043: Klass.REJECTED,
    },
    ranges=((-1299, -1100, Klass.LOCAL_BUG),),  # 11xx and 12xx: request issues, never reached the engine
    counted_codes=frozenset({-1001, -1003, -1006, -1007, -1008}),
)
