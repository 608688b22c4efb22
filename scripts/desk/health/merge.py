"""What the checks mean together: Overall, the exit code, the trading line. Owns the run over the table; writes nothing.

One check that raises is UNKNOWN, never OK, and never stops the others.
"""

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from desk.base import exit_codes
from desk.base.reasons import Reason
from desk.health.facts import HealthFacts
from desk.health.result import RANK, Cause, CheckResult, Status
from desk.journal.state import Fold
from desk.risk import arming

Check = Callable[[HealthFacts], CheckResult]
Report = Callable[[str, str], None]  # check name, what happened
EXIT: Final = {
    Status.OK: exit_codes.OK, Status.WARNING: exit_codes.WARN, Status.CRITICAL: exit_codes.FAIL,
}  # fmt: skip
ENABLED, HALTED, BLOCKED = "ENABLED", "HALTED", "BLOCKED"
FREEZE_ALL: Final = "freeze_all"
MODE_CODES: Final = {"DEGRADE": Reason.MODE_DEGRADE, "PAUSE": Reason.MODE_PAUSE, "EXIT": Reason.MODE_EXIT}
BLOCKING: Final = frozenset({  # causes a gate denies every entry for, beside the system mode's signals
    Reason.RECONCILE_NEVER, Reason.RECONCILE_STALE, Reason.BREAKER_CORRUPT, Reason.BREAKER_OPEN, Reason.AUDIT_DAMAGED,
    Reason.AUDIT_SHRUNK, Reason.AUDIT_UNWRITABLE, Reason.AUDIT_RESERVE, Reason.OVERLAY_CORRUPT, Reason.DRAWDOWN,
    Reason.CAPITAL_UNKNOWN,
})  # fmt: skip
LINES_MAX: Final = 20


def run(checks: Mapping[str, Check], facts: HealthFacts, report: Report) -> dict[str, CheckResult]:
    """Every check's result, by name, in the table's order."""
    return {name: _one(name, check, facts, report) for name, check in checks.items()}


def _one(name: str, check: Check, facts: HealthFacts, report: Report) -> CheckResult:
    try:
        return check(facts)
    except Exception as error:  # noqa: BLE001 - one broad except per isolated item loop (style A.8.5)
        trace = " | ".join("".join(traceback.format_exception(error)[-LINES_MAX:]).splitlines())
        report(name, f"{type(error).__name__}: {error} | {trace}")
        text = f"the check raised {type(error).__name__}; see errors.log"
        cause = Cause(reason=Reason.CHECK_ERROR, text=text, status=Status.UNKNOWN, signal=True)
        return CheckResult(name=name, status=Status.UNKNOWN, detail=cause.line(), causes=(cause,))


def counts_as(status: Status, is_live: bool) -> Status:
    """OK, WARNING or CRITICAL: PENDING warns, UNKNOWN warns in PAPER and is critical in LIVE."""
    if status is Status.UNKNOWN:
        return Status.CRITICAL if is_live else Status.WARNING
    if status is Status.PENDING:
        return Status.WARNING
    return Status.OK if status is Status.NOT_ENABLED else status


def overall(results: Iterable[CheckResult], is_live: bool) -> Status:
    """The worst of all; no check at all is not OK."""
    found = [counts_as(result.status, is_live) for result in results]
    return max(found, key=RANK.__getitem__, default=Status.CRITICAL)


def verdict(results: Sequence[CheckResult], is_live: bool) -> str:
    """The last line, in the words the runbook greps for."""
    found = [counts_as(result.status, is_live) for result in results]
    counts = ", ".join(f"{found.count(status)} {status}" for status in EXIT)
    return f"HEARTBEAT END — Overall: {overall(results, is_live)} ({counts})"


def signals(results: Iterable[CheckResult]) -> frozenset[str]:
    """Every active signal to the system mode."""
    return frozenset(code for result in results for code in result.signals)


def codes(results: Iterable[CheckResult]) -> tuple[str, ...]:
    """Every reason code that holds now, signals or not."""
    return tuple(dict.fromkeys(code for result in results for code in result.codes))


def trading(facts: HealthFacts, results: Iterable[CheckResult]) -> tuple[str, tuple[str, ...]]:
    """Whether entries may be made as far as heartbeat can tell, and each code that says no. Apart from health."""
    found = [*_locks(facts), *arming.unmet(facts.arming, arming.Action.ENTRY, is_live=facts.is_live)]
    if facts.system is not None and facts.system.mode in MODE_CODES:
        found.append(MODE_CODES[facts.system.mode])
    found += [c.reason for r in results for c in r.causes if c.reason in BLOCKING and c.reason is not None]
    unmet = tuple(dict.fromkeys(str(reason) for reason in found))
    is_halted = facts.kill is None or facts.kill.active
    return (HALTED if is_halted else BLOCKED if unmet else ENABLED), unmet


def is_mismatched(fold: Fold | None, mode: str) -> bool:
    """The folder is stamped with the other mode; one that is not stamped yet, or cannot tell, is not."""
    return fold is not None and fold.portfolio.mode not in {"", mode}


def _locks(facts: HealthFacts) -> list[Reason]:
    found = []
    if is_mismatched(facts.fold, facts.mode):
        found.append(Reason.MODE_STAMP)
    if facts.kill is None or facts.kill.active:
        frozen = facts.kill is not None and facts.kill.level == FREEZE_ALL
        found.append(Reason.FREEZE_ALL if frozen else Reason.KILL_SWITCH)
    if facts.env_hold:
        found.append(Reason.KILL_ENV)
    return found
