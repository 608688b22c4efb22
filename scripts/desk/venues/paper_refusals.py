"""What the paper exchange says no with, and how its answers get lost: one table, in the exchanges' own words.

Owns the refusals and their VenueErrors; decides nothing. Codes and messages are Binance's, with MEXC's and BTCTurk's
own where they have one; a test holds each row's class against the venue's error table, so paper refusals read like
real ones.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from desk.venues.outcome import Finding, Klass, VenueError

HTTP_REFUSED: Final = 400


class Refusal(Enum):
    """Class, code, message; `own_codes` where MEXC has another number, OWN_WORDS where BTCTurk says it otherwise."""

    def __init__(self, klass: Klass, code: int, message: str, own_codes: Mapping[str, int] | None = None) -> None:
        self.klass, self.code, self.message = klass, code, message
        self.own_codes = own_codes or {}

    PRICE = (Klass.LOCAL_BUG, -1013, "Filter failure: PRICE_FILTER", {"mexc": 30002})
    PERCENT_PRICE = (Klass.LOCAL_BUG, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", {"mexc": 30002})
    LOT_SIZE = (Klass.LOCAL_BUG, -1013, "Filter failure: LOT_SIZE", {"mexc": 30002})
    MARKET_LOT_SIZE = (Klass.LOCAL_BUG, -1013, "Filter failure: MARKET_LOT_SIZE", {"mexc": 30002})
    NOTIONAL = (Klass.LOCAL_BUG, -1013, "Filter failure: NOTIONAL", {"mexc": 30002})
    ORDERS_MAX = (Klass.LOCAL_BUG, -1013, "Filter failure: MAX_NUM_ORDERS", {"mexc": 30002})
    ALGO_ORDERS_MAX = (Klass.LOCAL_BUG, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS", {"mexc": 30002})
    PRECISION = (Klass.LOCAL_BUG, -1111, "Parameter has too much precision.")
    PARAMETER = (Klass.LOCAL_BUG, -1102, "A mandatory parameter was not sent, was empty, or malformed.")
    TYPE = (Klass.LOCAL_BUG, -1116, "Invalid orderType.")
    HALTED = (Klass.SYMBOL_HALTED, -1013, "Market is closed.", {"mexc": 30016})
    BALANCE = (Klass.REJECTED, -2010, "Account has insufficient balance for requested action.", {"mexc": 30004})
    WOULD_TAKE = (Klass.REJECTED, -2010, "Order would immediately match and take.")
    WOULD_TRIGGER = (Klass.REJECTED, -2010, "Stop price would trigger immediately.")
    ON_DEMAND = (Klass.REJECTED, -2010, "Order refused (fault on demand).")
    DUPLICATE = (Klass.ALREADY_EXISTS, -2010, "Duplicate order sent.")
    UNKNOWN_ORDER = (Klass.ORDER_NOT_FOUND_QUERY_FIRST, -2011, "Unknown order sent.")

    def answer_of(self, venue: str) -> tuple[int | None, str]:
        """The number and the words this venue answers with."""
        return OWN_WORDS.get(venue, {}).get(self, (self.own_codes.get(venue, self.code), self.message))


OWN_WORDS: Final[Mapping[str, Mapping[Refusal, tuple[int | None, str]]]] = {
    "btcturk": {
        Refusal.PRICE: (1126, "FAILED_INVALID_PRICE_SCALE"),
        Refusal.PERCENT_PRICE: (None, "ORDER_MAX_PRICE_EXCEEDED"),
        Refusal.LOT_SIZE: (1127, "FAILED_INVALID_QUANTITY_SCALE"),
        Refusal.MARKET_LOT_SIZE: (1127, "FAILED_INVALID_QUANTITY_SCALE"),
        Refusal.NOTIONAL: (1123, "FAILED_MIN_TOTAL_AMOUNT"),
        Refusal.ORDERS_MAX: (None, "FAILED_ORDER_PARAMETER"),
        Refusal.ALGO_ORDERS_MAX: (None, "FAILED_ORDER_PARAMETER"),
        Refusal.PRECISION: (1127, "FAILED_INVALID_QUANTITY_SCALE"),
        Refusal.PARAMETER: (None, "FAILED_ORDER_PARAMETER"),
        Refusal.TYPE: (1134, "ORDER_METHOD_NOT_SUPPORTED"),
        Refusal.HALTED: (1120, "FAILED_LIMIT_ORDER"),
        Refusal.BALANCE: (None, "BALANCE_NOT_ENOUGH"),
        Refusal.WOULD_TAKE: (1122, "FAILED_ORDER_WITH_OPEN_ORDERS"),  # never said: there is no post-only order
        Refusal.WOULD_TRIGGER: (None, "STOP_PRICE_LESS_THAN_MARKET"),
        Refusal.ON_DEMAND: (1122, "FAILED_ORDER_WITH_OPEN_ORDERS"),
        Refusal.DUPLICATE: (None, "Duplicate order sent."),
        Refusal.UNKNOWN_ORDER: (None, "NO_ORDER_MATCHES_YOUR_REQUEST"),
    },
}  # fmt: skip


class Refused(Exception):
    """Raised inside the books' change: the exchange said no and nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refused(venue: str, where: str, refusal: Refusal, *, is_order: bool) -> VenueError:
    """The exchange's definite no."""
    code, message = refusal.answer_of(venue)
    finding = Finding(klass=refusal.klass, code=code, message=message, http_status=HTTP_REFUSED)
    return VenueError(venue, where, finding, is_order=is_order, is_read=False)


def not_sent(venue: str, where: str, why: str) -> VenueError:
    """Proof that nothing reached the paper exchange: it saw no market, or its books were busy."""
    finding = Finding(klass=Klass.NOT_SENT, message=why)
    return VenueError(venue, where, finding, is_order=True, is_read=False, reason=why)


def answer_lost(venue: str, where: str, why: str, *, is_order: bool, code: int | None = None) -> VenueError:
    """Nobody knows: the answer did not come back (connection lost, or code -1007)."""
    finding = Finding(
        klass=Klass.EXECUTION_UNKNOWN, code=code, message=why, http_status=503 if code else 0, counts=True
    )
    return VenueError(venue, where, finding, is_order=is_order, is_read=False)
