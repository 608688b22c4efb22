"""Faults of the paper exchange, on demand: the kinds of the simulator that make sense without a network.

Given to the broker by a test or a rehearsal, never by the environment. Counters say how many of the next calls are
hit; the others hold while they are set. A fault never loses what was accepted: it loses the answer.
"""

from decimal import Decimal

import msgspec

from desk.base.money import ONE


class PaperFaults(msgspec.Struct):
    """Counters for the next orders (`cancel_unknown`: cancels) and modifiers of every order.

    Attributes:
        reject: refused with a definite no; nothing is accepted.
        drop_before: the answer is lost and the order was never accepted.
        drop_after_accept: the order stands, durably; the answer is lost.
        unknown_1007: the same, answered by code -1007.
        cancel_unknown: the cancel is done; the answer is lost.
        listing_lag_ms: an accepted order and its trades are not listed before this has passed.
        late_fill_ms: an accepted order takes nothing before this has passed and a book is shown.
        partial_fill_frac: at most this part of the quantity is taken at once.
    """

    reject: int = 0
    drop_before: int = 0
    drop_after_accept: int = 0
    unknown_1007: int = 0
    cancel_unknown: int = 0
    listing_lag_ms: int = 0
    late_fill_ms: int = 0
    partial_fill_frac: Decimal = ONE

    def strikes(self, kind: str) -> bool:
        """True when the next call is hit; uses up one of the counter."""
        left: int = getattr(self, kind)
        setattr(self, kind, max(left - 1, 0))
        return left > 0
