"""Reconcile: exchange truth into the journal, then the comparison. Books evidence, never sends an order.

Order of work: unknown and open orders are looked up; refused and not-found ones of the last 24 h are watched; trades
since the last complete reconcile are booked; then journal, exchange and balances are compared and every difference is
named. An order that is not ours engages the kill switch in LIVE (`foreign`).
"""

import msgspec

from desk.base.reasons import Reason
from desk.execution import alert_care, books, compare, difference, foreign, lookup, rebook, recovery, truth
from desk.execution.desk import Desk
from desk.execution.difference import Difference, Truth
from desk.execution.intent import event
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.venues.outcome import VenueError

DIFFERENCES_SHOWN_MAX = 50
PASSES_MAX = 3


class Result(msgspec.Struct, frozen=True):
    """What one reconcile found. `failed` names venues that could not be read: then nothing is clean.

    Attributes:
        read: venue -> exchange time up to which every trade was read.
    """

    differences: tuple[Difference, ...]
    failed: tuple[str, ...]
    score: int
    read: dict[str, int] = {}

    @property
    def clean(self) -> bool:
        """Every venue was read whole and nothing differs."""
        return not self.differences and not self.failed


def run(desk: Desk, venues: tuple[str, ...], usable: tuple[str, ...] | None = None) -> Result:
    """Reconcile every listed venue; one that fails does not stop the others.

    Args:
        usable: those whose account can be asked; None = all.
    """
    lookup.deny_never_sent(desk)
    differences: list[Difference] = []
    failed, read = [], {}
    for venue in venues:
        seen = look(desk, venue) if usable is None or venue in usable else Look((), None, is_whole=False)
        differences.extend(seen.differences)
        if seen.truth is None or not seen.is_whole:
            failed.append(venue)
        else:
            read[venue] = seen.truth.until_ms
    lookup.alert_old_unknowns(desk)
    result = Result(tuple(differences), tuple(failed), difference.score(differences), read)
    _write_down(desk, result)
    alert_care.end_what_is_over(desk)
    recovery.write_down(desk)
    return result


class Look(msgspec.Struct, frozen=True):
    """One venue: its differences, what they were found in (None: unreadable), and whether everything could be read."""

    differences: tuple[Difference, ...]
    truth: Truth | None
    is_whole: bool


def look(desk: Desk, venue: str) -> Look:
    """One venue read, booked and compared; what is not ours is acted on."""
    if not _opened(desk, venue):
        return Look((), None, is_whole=False)
    found = _compare(desk, venue)
    if found.truth is not None and found.is_whole:  # an order that could not be looked up may be the stranger's
        foreign.suspect(desk, found.truth)
    return found


def _opened(desk: Desk, venue: str) -> bool:
    """The books stand; after a reseal the exchange's word comes first. False when it cannot be read whole."""
    if not desk.fold().portfolio.resealed:
        return books.open_books(desk, venue)
    try:
        if not books.reopen_books(desk, venue):
            return False
        rebook.rebook(desk, venue)
    except VenueError as error:
        desk.run.log.error(error.line(), venue, "rebook", str(error.code or error.class_))
        return False
    return True


def _compare(desk: Desk, venue: str) -> Look:
    """One venue's differences, and whether everything could be read.

    No lease keeps the router from trading between two of our reads, so a difference counts when a second pass shows
    the very same, or when it is still there after the last one.
    """
    before = Look((), None, is_whole=False)
    for number in range(PASSES_MAX):
        unread = lookup.look_at_all(desk, venue) + lookup.look_at_watched(desk, venue)
        try:
            seen = truth.read(desk, venue)
        except VenueError as error:
            desk.run.log.error(error.line(), venue, "reconcile", str(error.code or error.class_))
            return Look(before.differences, None, is_whole=False)
        found = compare.compare(desk.fold(), seen, desk.run.settings.instance)
        is_same = bool(number) and found == before.differences
        before = Look(found, seen, is_whole=not unread)
        if unread or not found or is_same:
            break
    return before


def _write_down(desk: Desk, result: Result) -> None:
    """RECONCILE_DIFF for each difference, alerts by the score's limits, RECONCILE_DONE."""
    limits = desk.run.settings.config.reconcile
    events = [
        event(
            Event.RECONCILE_DIFF, d.venue, "",
            {"name": d.name, "kind": d.kind, "subject": d.subject, "detail": d.detail, "handle": d.handle},
        )
        for d in result.differences[:DIFFERENCES_SHOWN_MAX]
    ]  # fmt: skip
    for reason, limit in ((Reason.DRIFT_PAUSE, limits.drift_pause), (Reason.DRIFT_DEGRADE, limits.drift_degrade),
                          (Reason.DRIFT_WARN, limits.drift_warn)):  # fmt: skip
        if result.score >= limit:
            desk.run.warn(reason.severity, f"{reason.alias or reason}: drift score {result.score} -> {reason.action}")
            events.append(check.alert(reason, f"drift score {result.score}"))
            break
    done = {
        "clean": result.clean,
        "score": result.score,
        "differences": len(result.differences),
        "failed": list(result.failed),
        "read": result.read,
    }
    events.append(NewEvent(event=Event.RECONCILE_DONE, data=done))
    desk.commit_events(*events)
