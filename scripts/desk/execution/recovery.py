"""What recovery comes to, as a table: which evidence leads to which outcome, and the one command that ends it.

RESUME_MANAGE_ONLY: what is held and what stands is known or looked up and goes on being managed; entries of the symbol
wait. CLOSE_SAFELY: protection cannot be had, so the position is sold by the bounded exit. PAUSE_NEEDS_MANUAL: nothing
here can find out or mend it; PAUSE is latched. Read from the fold alone; acts nowhere: the rooms named in each row do.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from desk.base.reasons import Reason
from desk.execution.desk import Desk
from desk.journal import intent_table
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold

MANAGE_ONLY, CLOSE_SAFELY, NEEDS_MANUAL = "RESUME_MANAGE_ONLY", "CLOSE_SAFELY", "PAUSE_NEEDS_MANUAL"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of evidence. `subjects`: what it is true of now; `ends`: the command, {} is the subject."""

    evidence: str
    outcome: str
    subjects: Callable[[Fold], Iterator[str]]
    means: str
    ends: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome that holds now."""

    outcome: str
    evidence: str
    subject: str
    means: str
    ends: str

    def line(self) -> str:
        """For the operator."""
        return f"RECOVERY {self.outcome} {self.evidence} {self.subject}: {self.means} -> {self.ends}"


def _unknown(fold: Fold) -> Iterator[str]:
    found = fold.intents.intents.items()
    return (name for name, i in found if i.state == intent_table.SENT_UNKNOWN and not i.anomaly)


def _anomalous(fold: Fold) -> Iterator[str]:
    return (name for name, intent in fold.intents.intents.items() if intent.anomaly)


def _swapping(fold: Fold) -> Iterator[str]:
    return (name for name, position in fold.positions.positions.items() if position.swap)


def _naked(fold: Fold) -> Iterator[str]:
    return (name for name, position in fold.positions.positions.items() if position.unprotected_ms)


def _alerted(reason: Reason) -> Callable[[Fold], Iterator[str]]:
    """What an alert that still stands speaks of: `venue:symbol`, or the whole folder."""

    def subjects(fold: Fold) -> Iterator[str]:
        for fingerprint in fold.portfolio.alerts:
            code, venue, symbol, *_ = [*fingerprint.split("|"), "", ""]
            if code == reason:
                yield f"{venue}:{symbol}" if symbol else "all"

    return subjects


def _paused(fold: Fold) -> Iterator[str]:
    pause = fold.portfolio.pause
    if pause.state != "NORMAL" and str(Reason.MANUAL_NEEDED) in pause.reasons:
        yield "all"


TABLE: Final = (
    Row(
        evidence="unknown_order", outcome=MANAGE_ONLY, subjects=_unknown, ends="reconcile.py",
        means="its outcome is looked up by the venue's row; its symbol takes no entries",
    ),
    Row(
        evidence="anomaly", outcome=MANAGE_ONLY, subjects=_anomalous,
        means="the exchange said what the table does not know; its symbol takes no entries",
        ends="reconcile.py --repair adopt {} --reason TEXT --ack I_UNDERSTAND",
    ),
    Row(
        evidence="protection_swap", outcome=MANAGE_ONLY, subjects=_swapping, ends="router.py",
        means="its stop was being moved; the next tick finishes that first",
    ),
    Row(
        evidence="symbol_shut", outcome=MANAGE_ONLY, subjects=_alerted(Reason.POSITION_SHUT), ends="router.py",
        means="its symbol takes no orders now; what rests stays, tried again each tick",
    ),
    Row(
        evidence="unprotected", outcome=CLOSE_SAFELY, subjects=_naked,
        means="no stop could be placed: placed anew, else sold, each tick",
        ends="orders.py flatten --reason TEXT --yes",
    ),
    Row(
        evidence="kill_switch", outcome=CLOSE_SAFELY, subjects=_alerted(Reason.KILL_CLOSING),
        means="the kill switch's reason closes positions",
        ends="kill_switch.py release --reason TEXT --ack I_UNDERSTAND",
    ),
    Row(
        evidence="manual_needed", outcome=NEEDS_MANUAL, subjects=_paused,
        means="an alert says what nobody here can find out or mend",
        ends="resume.py --reason TEXT --ack I_UNDERSTAND",
    ),
)  # fmt: skip


def found(fold: Fold) -> tuple[Found, ...]:
    """Every outcome that holds, in the table's order."""
    return tuple(
        Found(
            outcome=row.outcome, evidence=row.evidence, subject=subject, means=row.means, ends=row.ends.format(subject)
        )
        for row in TABLE
        for subject in sorted(set(row.subjects(fold)))
    )  # fmt: skip


def write_down(desk: Desk) -> tuple[Found, ...]:
    """RECOVERY_OUTCOME for each one that began or ended since the journal last said so; returns those that hold."""

    def decide(fold: Fold) -> list[NewEvent]:
        now = {f"{one.evidence}|{one.subject}": one for one in found(fold)}
        before = fold.portfolio.recovery
        began = [_event(name, one.outcome, "began", one.ends) for name, one in now.items() if name not in before]
        ended = [_event(name, outcome, "ended", "") for name, outcome in before.items() if name not in now]
        return [*ended, *began]

    if decide(desk.fold()):
        desk.commit(decide)
    return found(desk.fold())


def _event(name: str, outcome: str, what: str, ends: str) -> NewEvent:
    evidence, _, subject = name.partition("|")
    data: dict[str, Any] = {
        "outcome": outcome, "evidence": evidence, "subject": subject, "state": what, "ends": ends,
    }  # fmt: skip
    return NewEvent(event=Event.RECOVERY_OUTCOME, data=data)
