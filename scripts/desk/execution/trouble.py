"""When a tick meets what no tick can heal by itself, PAUSE is latched before the error goes up. Owns that step.

The journal or the paper books fail; or an exchange refuses our timestamp although the clock was just measured anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from desk.base.errors import JournalDamaged, JournalUnwritable, StateError
from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.risk import pause
from desk.runtime.tick import Run


@contextmanager
def latched(run: Run) -> Iterator[None]:
    """Latch PAUSE for what no tick can heal by itself; the error itself is raised again.

    A damaged or unwritable journal, and paper books that are missing, corrupt or do not prove themselves.
    """
    try:
        yield
    except JournalDamaged:
        _pause(run, Reason.AUDIT_DAMAGED)
        raise
    except JournalUnwritable:
        _pause(run, Reason.AUDIT_UNWRITABLE)
        raise
    except StateError as error:
        if "paper_broker" in error.where:
            _pause(run, Reason.PAPER_LOST)
        raise


def stamp_refused(run: Run, line: str) -> None:
    """A timestamp was refused, the clock measured, and refused again: PAUSE in LIVE (rules.md, Clock)."""
    run.warn("CRIT", f"timestamp refused twice: {line}")
    if run.settings.mode is Mode.LIVE:
        _pause(run, Reason.TIMESTAMP_PAUSE)


def _pause(run: Run, reason: Reason) -> None:
    report = pause.latch_pause(run.home, run.journal, (str(reason),), run.door)
    run.warn(reason.severity, f"PAUSE {reason.alias or reason}: {reason.meaning} -> {reason.action}")
    for problem in report.problems:
        run.log.error(problem, code=str(reason))
