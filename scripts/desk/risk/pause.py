"""PAUSE and manual DEGRADE: raise and release. Writes `state/pause.json` and the journal's latch events.

The steps and their order are `latch_write`'s, the rules `pause_causes`', the words `pause_forms`'.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from desk.base import clock
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import latch_write, pause_causes, pause_forms
from desk.risk.latch_file import NORMAL, PAUSE, PAUSE_KEY, PauseView
from desk.risk.pause_causes import ResumeFacts
from desk.state.store import Doc

PLACE: Final = latch_write.Place(
    PAUSE_KEY,
    "risk.pause",
    {"state": PAUSE, "reasons": [str(Reason.STATE_CORRUPT)], "note": "the file was missing or corrupt"},
)
FactsOf = Callable[[Fold, Doc | None], ResumeFacts]


class PauseReport(msgspec.Struct, frozen=True):
    """Where a pause stands. `problems`: one clause for each place that could not be written."""

    state: str
    reasons: tuple[str, ...]
    file_written: bool
    journalled: bool
    problems: tuple[str, ...] = ()

    @property
    def durable(self) -> bool:
        """The latch stands in at least one place that outlives this process."""
        return self.file_written or self.journalled


class ResumeReport(msgspec.Struct, frozen=True):
    """What a resume did. `held`: the clauses that refused it."""

    released: bool
    was_active: bool
    held: tuple[str, ...] = ()


def latch_pause(
    home: Home,
    journal: Journal,
    reasons: Sequence[str],
    by: str,
    *,
    state: str = PAUSE,
    note: str = "",
    limits_hash: str = "",
) -> PauseReport:
    """Latch PAUSE (or a manual DEGRADE). Never raises for what the disk does; see `durable`.

    A check whose cause goes on calls this at every look: it changes nothing but the time it was last seen.

    Args:
        reasons: reason codes, at least one.
        limits_hash: the config hash of now, for causes that must not be resumed under other limits.
    """
    codes = tuple(str(reason) for reason in reasons)
    assert codes, "a pause needs a reason"
    written = latch_write.hold(
        home,
        journal,
        PLACE,
        lambda doc: pause_forms.raised_doc(doc, PauseView(state, codes, note, clock.now_ms(), by), limits_hash),
        lambda fold: pause_forms.raised(fold, state, codes, note, by, limits_hash),
    )
    return PauseReport(state, codes, not written.file_problem, not written.journal_problem, written.problems)


def resume(home: Home, journal: Journal, reason: str, by: str, facts_of: FactsOf, *, is_live: bool) -> ResumeReport:
    """Release PAUSE or DEGRADE, unless a cause still holds.

    Args:
        facts_of: the facts by the fold and the file as they stand under both locks.
        is_live: a file that was lost reads as PAUSE.

    Raises:
        StateError, JournalError: file or journal cannot be written; the latch stays.
    """
    return latch_write.let_go(
        home,
        journal,
        PLACE,
        latch_write.Release(reason, by),
        lambda fold: fold.portfolio.pause.state == NORMAL,
        lambda fold, doc, is_unfinished: _judge(fold, doc, facts_of(fold, doc), is_live, is_unfinished),
        lambda fold, report: pause_forms.released(fold, reason, by),
        pause_forms.resumed_doc,
    )


def _judge(fold: Fold, doc: Doc | None, facts: ResumeFacts, is_live: bool, is_unfinished: bool) -> ResumeReport:
    view = pause_forms.view_of(fold, doc, is_live=is_live)
    if view.state == NORMAL:
        return ResumeReport(released=False, was_active=False)
    held = () if is_unfinished else pause_causes.still_held(view.reasons, facts)
    return ResumeReport(released=not held, was_active=True, held=held)
