"""A check's verdict: status, causes, and the one line an operator reads. Owns the types; decides nothing.

A cause carries its reason code, how bad it is, and whether it is a signal to the system mode (rules.md, Health
signals). Unknown is its own value: WARNING in PAPER, CRITICAL in LIVE, never OK.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec

from desk.base.reasons import Reason, shown


class Status(StrEnum):
    """What a check may say. PENDING: nobody has had time to write it yet. UNKNOWN: the check itself failed."""

    OK = "OK"
    NOT_ENABLED = "NOT_ENABLED"
    PENDING = "PENDING"
    WARNING = "WARNING"
    UNKNOWN = "UNKNOWN"
    CRITICAL = "CRITICAL"


RANK: Final = {status: rank for rank, status in enumerate(Status)}  # in the order above, worst last


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be.

    Attributes:
        reason: None for a remark without a code: shown, never alerted.
        text: for the printed line; may hold measured values, so it never enters the journal.
        signal: it changes the system mode, as `risk.system_mode.SIGNALS` says for its code.
        subject: a job, a component or a file; with venue and symbol it tells alerts of one code apart.
    """

    reason: Reason | None
    text: str
    status: Status = Status.WARNING
    signal: bool = False
    subject: str = ""
    venue: str = ""
    symbol: str = ""

    def line(self) -> str:
        """The text with its code and the runbook's name for it."""
        return f"{self.text} [{shown(self.reason)}]" if self.reason is not None else self.text


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that engages the kill switch: a reason word of `risk.kill_reasons`, and what was seen."""

    reason: str
    text: str


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found. `data` is for `--json` and system_status.json: plain JSON values, money as text."""

    name: str
    status: Status
    detail: str
    causes: tuple[Cause, ...] = ()
    kills: tuple[Kill, ...] = ()
    data: dict[str, Any] = {}

    @property
    def signals(self) -> tuple[str, ...]:
        """Codes of the causes that change the system mode."""
        return tuple(dict.fromkeys(str(c.reason) for c in self.causes if c.signal and c.reason is not None))

    @property
    def codes(self) -> tuple[str, ...]:
        """Every reason code found, signals or not; what is only PENDING holds nothing yet."""
        found = (c.reason for c in self.causes if c.status is not Status.PENDING)
        return tuple(dict.fromkeys(str(reason) for reason in found if reason is not None))

    def line(self) -> str:
        """`<check>: <STATUS> detail`."""
        return f"{self.name}: {self.status} {self.detail}".rstrip()


def judged(
    name: str,
    causes: Iterable[Cause],
    fine: str,
    data: dict[str, Any] | None = None,
    kills: tuple[Kill, ...] = (),
) -> CheckResult:
    """The result of the causes found: as bad as the worst of them, OK without any.

    Args:
        fine: what there is to say beside the causes; the whole detail when there are none.
    """
    found = tuple(causes)
    status = max((cause.status for cause in found), key=RANK.__getitem__, default=Status.OK)
    ordered = sorted(found, key=lambda cause: -RANK[cause.status])
    detail = "; ".join([*(cause.line() for cause in ordered), *([fine] if fine else [])])
    return CheckResult(name=name, status=status, detail=detail, causes=found, kills=kills, data=data or {})


def worsened(result: CheckResult, causes: Iterable[Cause]) -> CheckResult:
    """The result with causes that turned up after its check had run (a journal that then could not be written)."""
    found = tuple(causes)
    if not found:
        return result
    again = judged(result.name, (*result.causes, *found), "", result.data, result.kills)
    return msgspec.structs.replace(again, detail="; ".join([*(c.line() for c in found), result.detail]))
