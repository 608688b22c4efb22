"""Why the engine refuses a request, in the engine's own words. The dialects translate; nothing here knows a venue."""

from enum import StrEnum


class Reason(StrEnum):
    """One member per kind of refusal; `detail` of the Rejection narrows it."""

    FILTER = "filter"  # detail: name of the filter, e.g. LOT_SIZE
    INSUFFICIENT_BALANCE = "insufficient_balance"
    DUPLICATE = "duplicate"
    NOT_SUPPORTED = "not_supported"  # detail: what the symbol does not take
    PRICE_RELATION = "price_relation"  # of the two legs of an OCO
    UNKNOWN_LIST = "unknown_list"
    WOULD_TAKE = "would_take"
    WOULD_TRIGGER = "would_trigger"
    MARKET_CLOSED = "market_closed"
    UNKNOWN_ORDER = "unknown_order"
    CANCEL_RESTRICTED = "cancel_restricted"


class Rejection(Exception):
    """The engine refused and changed nothing."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}:{detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class SimConfigError(Exception):
    """A bad argument, market file or scenario: one line that says what, where and what to do."""
