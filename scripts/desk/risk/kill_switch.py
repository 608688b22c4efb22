"""The kill switch: engage and release. Writes `state/kill_switch.json` and the journal's latch events.

The steps and their order are `latch_write`'s, the rules `kill_reasons`', the words `kill_forms`'.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from desk.base.paths import Home
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import kill_forms, kill_reasons, latch_file, latch_write
from desk.risk.kill_reasons import ReleaseFacts
from desk.risk.latch_file import ACTIVE, INACTIVE, KILL_KEY, MANUAL, REDUCE_ONLY
from desk.state.store import Doc

PLACE: Final = latch_write.Place(
    KILL_KEY,
    "risk.kill_switch",
    {"state": ACTIVE, "level": REDUCE_ONLY, "reason": MANUAL, "note": "the file was missing or corrupt"},
)
FactsOf = Callable[[Fold, Doc | None], ReleaseFacts]


class EngageReport(msgspec.Struct, frozen=True):
    """Where an engagement stands. `problems`: one clause for each place that could not be written."""

    reason: str
    note: str
    level: str
    file_written: bool
    journalled: bool
    problems: tuple[str, ...] = ()

    @property
    def durable(self) -> bool:
        """The latch stands in at least one place that outlives this process."""
        return self.file_written or self.journalled


class ReleaseReport(msgspec.Struct, frozen=True):
    """What a release did. `held`: the clauses that refused it; `rebased`: `venue:quote` keys with a new peak."""

    released: bool
    was_active: bool
    held: tuple[str, ...] = ()
    rebased: tuple[str, ...] = ()


def engage(
    home: Home,
    journal: Journal,
    reason: str,
    by: str,
    *,
    level: str = REDUCE_ONLY,
    key_marks: Mapping[str, str] | None = None,
) -> EngageReport:
    """Engage, or add a reason to an engaged switch. Never raises for what the disk does; see `durable`.

    A check whose condition goes on calls this at every look: it changes nothing but the time it was last seen.

    Args:
        reason: a code of `kill_reasons.ROWS`; any other text is `manual` with the text as note.
        key_marks: venue -> key fingerprint, recorded with `key_compromise_suspected`.
    """
    row, note = kill_reasons.classify(reason)
    written = latch_write.hold(
        home,
        journal,
        PLACE,
        lambda doc: kill_forms.engaged_doc(doc, row, note, level, by, key_marks),
        lambda fold: kill_forms.activated(fold, row, note, level, by),
    )
    return EngageReport(row.name, note, level, not written.file_problem, not written.journal_problem, written.problems)


def release(home: Home, journal: Journal, reason: str, by: str, facts_of: FactsOf, *, is_live: bool) -> ReleaseReport:
    """Release, unless a trigger or the environment still holds.

    Args:
        facts_of: the facts by the fold and the file as they stand under both locks.
        is_live: a missing file reads as active.

    Raises:
        StateError, JournalError: file or journal cannot be written; the switch stays active.
    """
    return latch_write.let_go(
        home,
        journal,
        PLACE,
        latch_write.Release(reason, by),
        lambda fold: fold.portfolio.kill_switch.state == INACTIVE,
        lambda fold, doc, is_unfinished: judge(fold, doc, facts_of(fold, doc), is_live, is_unfinished),
        lambda fold, report: kill_forms.deactivated(fold, report.rebased, reason, by),
        kill_forms.released_doc,
    )


def preview(home: Home, fold: Fold, facts_of: FactsOf, *, is_live: bool) -> ReleaseReport:
    """What a release would answer now; changes nothing. A file that cannot be read is judged as a missing LIVE one."""
    reading = latch_file.read_control(home, KILL_KEY)
    is_unfinished = latch_file.is_releasing(reading.doc) and fold.portfolio.kill_switch.state == INACTIVE
    is_on_when_absent = is_live or reading.problem in {"corrupt", "unreadable"}
    return judge(fold, reading.doc, facts_of(fold, reading.doc), is_on_when_absent, is_unfinished)


def judge(fold: Fold, doc: Doc | None, facts: ReleaseFacts, is_live: bool, is_unfinished: bool) -> ReleaseReport:
    """Whether the switch may be released now. Of an unfinished release only the environment is left to judge: its
    reasons were judged when it was journalled."""
    view = kill_forms.view_of(fold, doc, is_live=is_live)
    if not view.active:
        return ReleaseReport(released=False, was_active=False)
    held = kill_reasons.still_held(() if is_unfinished else view.reasons, facts)
    if held:
        return ReleaseReport(released=False, was_active=True, held=held)
    is_rebase = "max_dd_exceeded" in view.reasons and not is_unfinished
    rebased = kill_forms.peaks_to_rebase(fold, facts.now_ms) if is_rebase else ()
    return ReleaseReport(released=True, was_active=True, rebased=rebased)
