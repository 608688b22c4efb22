"""Lift PAUSE or DEGRADE: `resume.py --reason TEXT --ack I_UNDERSTAND`. Owns arguments and printing.

Exit 0: lifted, or nothing was latched; 1: refused, with every cause that still holds.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from typing import Final

from desk.base import exit_codes
from desk.risk import latches, observed, pause
from desk.risk.latch_file import NORMAL
from desk.risk.redact import without_secrets
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door

DOOR: Final = "resume"


def resume(run: Run, args: argparse.Namespace) -> Outcome:
    """Release the pause unless a cause holds; says what else still stops entries."""
    latches.sync_environment(run.home, run.journal, run.settings)
    outside = observed.for_resume(run.home, run.settings)
    report = pause.resume(
        run.home,
        run.journal,
        without_secrets(args.reason, run.settings.environment),
        operator_args.who(),
        lambda fold, doc: observed.resume_facts(outside, fold, doc),
        is_live=latches.is_live(run.journal.read_fold(), run.settings),
    )
    if report.held:
        for clause in report.held:
            run.say(f"held: {clause}")
        document = {"released": False, "held": list(report.held)}
        return Outcome(exit_codes.WARN, f"RESUME — REFUSED: {report.held[0]}", document)
    found = latches.effective(run.home, run.journal.read_fold(), run.settings)
    document = {"released": report.released, "state": found.pause.state, "kill_switch": found.kill.active}
    if found.pause.state != NORMAL:
        return Outcome(exit_codes.WARN, f"RESUME — {found.pause.state} again ({found.pause.source})", document)
    if found.kill.active:
        run.say(f"the kill switch is still active ({', '.join(found.kill.reasons)})")
    word = "RESUMED" if report.released else "nothing was latched"
    return Outcome(exit_codes.OK, f"RESUME — {word}", document)


def main(argv: list[str] | None = None) -> int:
    """Parse and release; returns the exit code."""
    parser = operator_args.OneLineParser(prog="resume.py", description="Lift PAUSE or DEGRADE.")
    parser.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
    parser.add_argument("--ack", required=True, type=operator_args.acknowledged, help=f"write {operator_args.ACK}")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args(argv)
    return run_door(DOOR, lambda run: resume(run, args), as_json=args.json)


if __name__ == "__main__":
    sys.exit(main())
