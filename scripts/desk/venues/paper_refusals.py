"""What the paper exchange says no with, and how its answers get lost: one table, in the exchanges' own words.

Owns the refusals and their VenueErrors; decides nothing. Codes and messages are Binance's, with MEXC's own where it
has one; a test holds each row's class against the venue's error table, so paper refusals read like real ones.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from desk.venues.outcome import Finding, Klass, VenueError

HTTP_REFUSED: Final = 400


class Refusal(Enum):
    """Class, code, message; `code_mexc` where MEXC answers another number."""

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

    def code_of(self, venue: str) -> int:
        """The number this venue answers with."""
        return self.own_codes.get(venue, self.code)


class Refused(Exception):
    """Raised inside the books' change: the exchange said no and nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refused(venue: str, where: str, refusal: Refusal, *, is_order: bool) -> VenueError:
    """The exchange's definite no."""
    finding = Finding(
        klass=refusal.klass, code=refusal.code_of(venue), message=refusal.message, http_status=HTTP_REFUSED
    )
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
