"""The life of one intent as a table `(state, event) -> state`. Pure; the only place transitions are written.

Our own illegal command raises InvariantError. Exchange evidence never raises: a pair absent from the table
quarantines that one intent (INTENT_ANOMALY) and the tick goes on.
"""

from typing import Final

from desk.journal.events import Event

CREATED: Final = "CREATED"
SENT_UNKNOWN: Final = "SENT_UNKNOWN"
CONFIRMED: Final = "CONFIRMED"
NOT_FOUND: Final = "NOT_FOUND"
FAILED: Final = "FAILED_TERMINAL"
DENIED: Final = "DENIED"

COMMANDS: Final = frozenset(
    {Event.INTENT_CREATED, Event.INTENT_SENT_UNKNOWN, Event.INTENT_DENIED, Event.CANCEL_REQUESTED}
)
EVIDENCE: Final = frozenset(
    {
        Event.INTENT_CONFIRMED,
        Event.INTENT_NOT_FOUND,
        Event.INTENT_FAILED_TERMINAL,
        Event.INTENT_NOT_SENT,
        Event.INTENT_LOOKED,
        Event.FILL,
    }
)
TABLE: Final[dict[tuple[str, Event], str]] = {
    ("", Event.INTENT_CREATED): CREATED,
    (CREATED, Event.INTENT_SENT_UNKNOWN): SENT_UNKNOWN,
    (CREATED, Event.INTENT_DENIED): DENIED,
    (SENT_UNKNOWN, Event.INTENT_CONFIRMED): CONFIRMED,
    (SENT_UNKNOWN, Event.FILL): CONFIRMED,  # a trade is proof that it stands
    (SENT_UNKNOWN, Event.INTENT_LOOKED): SENT_UNKNOWN,
    (SENT_UNKNOWN, Event.INTENT_NOT_FOUND): NOT_FOUND,
    (SENT_UNKNOWN, Event.INTENT_FAILED_TERMINAL): FAILED,
    (SENT_UNKNOWN, Event.INTENT_NOT_SENT): FAILED,  # by the sender, in the same call
    (SENT_UNKNOWN, Event.CANCEL_REQUESTED): SENT_UNKNOWN,
    (CONFIRMED, Event.INTENT_CONFIRMED): CONFIRMED,  # newer or stale status; executed only grows
    (CONFIRMED, Event.FILL): CONFIRMED,  # late fills after CANCELED included
    (CONFIRMED, Event.CANCEL_REQUESTED): CONFIRMED,
    (CONFIRMED, Event.INTENT_LOOKED): CONFIRMED,  # the exchange's listing lags; not evidence once it stood
    (NOT_FOUND, Event.INTENT_CONFIRMED): CONFIRMED,  # late appearance, CRIT
    (NOT_FOUND, Event.FILL): CONFIRMED,  # late appearance, CRIT
    (NOT_FOUND, Event.INTENT_NOT_SENT): FAILED,
    (NOT_FOUND, Event.INTENT_FAILED_TERMINAL): FAILED,  # a sender frozen between the answer and its booking (ADR 014)
    (NOT_FOUND, Event.INTENT_LOOKED): NOT_FOUND,  # watched 24 h
    (NOT_FOUND, Event.INTENT_NOT_FOUND): NOT_FOUND,
    (FAILED, Event.INTENT_CONFIRMED): CONFIRMED,  # late appearance, CRIT
    (FAILED, Event.FILL): CONFIRMED,  # late appearance, CRIT
    (FAILED, Event.INTENT_LOOKED): FAILED,
    (FAILED, Event.INTENT_FAILED_TERMINAL): FAILED,
}
TERMINAL: Final = frozenset({NOT_FOUND, FAILED, DENIED})


def next_state(state: str, event: Event) -> str | None:
    """The state after the event; None when the table has no such pair."""
    return TABLE.get((state, event))


def is_late_appearance(state: str, event: Event) -> bool:
    """An order thought absent exists after all."""
    return state in {NOT_FOUND, FAILED} and event in {Event.INTENT_CONFIRMED, Event.FILL}
