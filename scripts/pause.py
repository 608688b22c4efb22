"""PAUSE by hand: `pause.py [--degrade] --reason TEXT`. Owns arguments and printing. `resume.py` lifts it.

Exit 0: the latch is durable; 2: it could not be written anywhere.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from typing import Final

from desk.base import exit_codes
from desk.base.errors import WorldError
from desk.base.reasons import Reason
from desk.journal.state import Fold
from desk.risk import latches, pause
from desk.risk.latch_file import DEGRADE, PAUSE
from desk.risk.redact import without_secrets
from desk.runtime import operator_args
from desk.runtime.bare import is_stamped
from desk.runtime.tick import Outcome, Run, alert_line, run_door

DOOR: Final = "pause"


def raise_pause(run: Run, args: argparse.Namespace) -> Outcome:
    """Latch MANUAL_PAUSE or MANUAL_DEGRADE, file first."""
    state, reason = (DEGRADE, Reason.MANUAL_DEGRADE) if args.degrade else (PAUSE, Reason.MANUAL_PAUSE)
    note = without_secrets(args.reason, run.settings.environment)
    report = pause.latch_pause(
        run.home,
        run.journal,
        [reason],
        operator_args.who(),
        state=state,
        note=note,
        limits_hash=run.settings.config_hash,
    )
    if not report.durable:
        return Outcome(exit_codes.FAIL, f"PAUSE — NOT RAISED: {'; '.join(report.problems)}")
    run.warn(reason.severity, alert_line(str(reason), note))
    for problem in report.problems:
        run.warn("WARN", f"raised, but not everywhere: {problem}")
    found = latches.effective(run.home, _fold(run), run.settings).pause
    document = {
        "state": found.state, "reasons": list(found.reasons), "note": note,
        "durable": {"file": report.file_written, "journal": report.journalled}, "problems": list(report.problems),
    }  # fmt: skip
    return Outcome(exit_codes.OK, f"PAUSE — {found.state} latched ({', '.join(found.reasons)})", document)


def main(argv: list[str] | None = None) -> int:
    """Parse and latch; returns the exit code."""
    parser = operator_args.OneLineParser(prog="pause.py", description="Stop new entries until resume.py.")
    parser.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
    parser.add_argument("--degrade", action="store_true", help="DEGRADE instead of PAUSE")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args(argv)
    return run_door(DOOR, lambda run: raise_pause(run, args), as_json=args.json, any_mode=is_stamped())


def _fold(run: Run) -> Fold | None:
    try:
        return run.journal.read_fold()
    except WorldError:
        return None


if __name__ == "__main__":
    sys.exit(main())
