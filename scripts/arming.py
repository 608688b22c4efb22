"""Arming for the operator: `status`, `arm`, `baseline`. Owns arguments, order of work and printing; sends no order.

status: every factor against every kind of action (design 6); exit 0 when LIVE entries may go, 1 otherwise. arm: writes
state/LIVE.ok, from a terminal and by the configured owner (both checks are off on the simulator), and refuses while
anything else is missing. baseline: use it whenever uncertain: LIVE.ok removed, safe mode held, kill switch engaged; it
works with a broken configuration, and only `baseline --clear` lifts the safe mode.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from typing import Any, Final

import kill_switch
from desk.base import exit_codes
from desk.base.errors import BadInput, WorldError
from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.journal.state import Fold
from desk.risk import arming, arming_latch, arming_status, certificate, facts_gather
from desk.risk.arming import Action
from desk.risk.latch_file import REDUCE_ONLY
from desk.risk.redact import without_secrets
from desk.runtime import operator_args, presence
from desk.runtime.bare import run_anyway
from desk.runtime.tick import Outcome, Run, run_door
from desk.venues import commands, table

DOOR: Final = "arming"


def status(run: Run, args: argparse.Namespace) -> Outcome:
    """Every factor and action; entries may go when no cell of theirs names a code."""
    fold, problem = _fold(run)
    facts = facts_gather.of_files(run, fold, live=True, journal_problem=problem)
    rows = arming_status.table(facts)
    if not run.as_json:
        run.say(commands.render([tuple(rows[0]), *(tuple(row.values()) for row in rows)]))
    found = certificate.certificate(run.home, run.settings)
    run.say(f"certificate: {'required' if found.required else 'not required here'}; {found.detail}")
    for line in _watched(run):
        run.say(line)
    missing = {str(action): arming_status.unmet(rows, action) for action in Action}
    stopped = missing[str(Action.ENTRY)]
    document: dict[str, Any] = {"entries": not stopped, "unmet": missing, "factors": rows}
    if stopped:
        return Outcome(exit_codes.WARN, f"ARMING — NO LIVE ENTRIES: {', '.join(stopped)}", document)
    return Outcome(exit_codes.OK, "ARMING — ARMED: LIVE entries may go (router.py --live)", document)


def arm(run: Run, args: argparse.Namespace) -> Outcome:
    """Write LIVE.ok; refused while anything else that arms is missing, or when not asked by the owner, by hand.

    Raises:
        BadInput: SYSTEM_MODE is PAPER.
        ModeMismatch, StateError, JournalError: not written.
    """
    if run.settings.mode is not Mode.LIVE:
        raise BadInput("SYSTEM_MODE is PAPER: there is nothing to arm", "arming.py arm", "set SYSTEM_MODE=LIVE first")
    refused = presence.refusal(run.settings)
    if refused is not None:
        return _refused(run, [refused[0]], f"{refused[0]} ({refused[1]})")
    fold = run.journal.read_fold()
    facts = facts_gather.of_files(run, fold, live=True)
    held = arming.refusals(facts.arming)
    if held:
        return _refused(run, list(held), ", ".join(held))
    if not arming_latch.arm(run.home, run.journal, _reason(run, args), operator_args.who()):
        return _refused(run, [Reason.ARM_BASELINE], str(Reason.ARM_BASELINE))
    for line in _watched(run):
        run.say(line)
    still = arming_status.unmet(arming_status.table(facts_gather.of_files(run, run.journal.read_fold(), live=True)),
                                Action.ENTRY)  # fmt: skip
    more = f"; entries still wait for {', '.join(still)}" if still else ""
    return Outcome(exit_codes.OK, f"ARMING — ARMED: state/LIVE.ok{more}", {"armed": True, "waits_for": still})


def baseline(run: Run, args: argparse.Namespace) -> Outcome:
    """Disarm, hold safe mode, engage the kill switch, in this order: each step stops entries by itself."""
    reason, by = _reason(run, args), operator_args.who()
    problems = [problem for problem in (arming_latch.disarm(run.home),) if problem]
    problems += arming_latch.hold_baseline(run.home, run.journal, reason, by).problems
    for problem in problems:
        run.warn("WARN", f"baseline, but not everywhere: {problem}")
    stop = kill_switch.engage(run, argparse.Namespace(reason=f"baseline: {args.reason}", level=REDUCE_ONLY))
    run.say(stop.verdict)
    fold, _ = _fold(run)
    is_safe = arming_latch.holds_baseline(run.home, fold) and not arming_latch.is_armed(run.home, fold)
    document = {"problems": problems, "safe_mode": is_safe, "kill_switch": stop.document}
    if not is_safe or stop.exit_code == exit_codes.FAIL:
        return Outcome(exit_codes.FAIL, f"ARMING — BASELINE NOT REACHED: {'; '.join(problems)}", document)
    word = "disarmed, safe mode on, kill switch active"
    return Outcome(stop.exit_code, f"ARMING — BASELINE: {word}; nothing is sent until it is cleared", document)


def clear(run: Run, args: argparse.Namespace) -> Outcome:
    """Lift the baseline's safe mode: exits and stops are managed again. Kill switch and arming have their commands.

    Raises:
        StateError, JournalError: not written; safe mode stays on.
    """
    refused = presence.refusal(run.settings) if run.settings.mode is Mode.LIVE else None
    if refused is not None:
        return _refused(run, [refused[0]], f"{refused[0]} ({refused[1]})")
    found = arming_latch.clear_baseline(run.home, run.journal, _reason(run, args), operator_args.who())
    word = "CLEARED" if found.was_on else "CLEAR already"
    return Outcome(exit_codes.OK, f"ARMING — BASELINE {word}", {"released": found.released})


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    if args.command == "baseline" and not args.clear:
        return run_anyway(DOOR, lambda run: baseline(run, args), as_json=args.json)
    if args.command == "baseline" and args.ack is None:
        operator_args.refuse("arming.py", f"baseline --clear needs --ack {operator_args.ACK}")
    body = clear if args.command == "baseline" else arm if args.command == "arm" else status
    return run_door(DOOR, lambda run: _answer(body, run, args), as_json=args.json, any_mode=args.command != "arm")


def _answer(body: Any, run: Run, args: argparse.Namespace) -> Outcome:
    try:
        outcome: Outcome = body(run, args)
        return outcome
    except BadInput as error:  # an operator's word, no fault of the system: no alert
        return Outcome(exit_codes.FAIL, error.line(), {"error": error.line()})


def _refused(run: Run, codes: list[Reason], why: str) -> Outcome:
    for code in codes:
        run.say(f"unmet: {code}: {code.meaning} -> {code.action}")
    document = {"armed": False, "unmet": [str(code) for code in codes]}
    return Outcome(exit_codes.WARN, f"ARMING — REFUSED: {why}", document)


def _watched(run: Run) -> list[str]:
    """Venues whose exits no order on the exchange protects."""
    return [
        f"{venue}: no stop orders; the router watches its exits each tick, so it must keep running with --live"
        for venue in run.settings.venues
        if venue in table.VENUES and not table.VENUES[venue].has_stop_orders
    ]


def _reason(run: Run, args: argparse.Namespace) -> str:
    return str(without_secrets(args.reason, run.settings.environment))


def _fold(run: Run) -> tuple[Fold | None, str]:
    try:
        return run.journal.read_fold(), ""
    except WorldError as error:
        return None, error.line()


def _parser() -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog="arming.py", description="What LIVE orders wait for; arm; disarm.")
    subs = parser.add_subparsers(dest="command", required=True, parser_class=operator_args.OneLineParser)
    one = subs.add_parser("status", help="every factor and action; exit 0 when LIVE entries may go")
    two = subs.add_parser("arm", help="write state/LIVE.ok; refused while a factor is missing")
    two.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
    two.add_argument("--ack", required=True, type=operator_args.acknowledged, help=f"write {operator_args.ACK}")
    three = subs.add_parser("baseline", help="whenever uncertain: disarm, safe mode on, kill switch on")
    three.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
    three.add_argument("--clear", action="store_true", help="lift the safe mode again (with --ack)")
    three.add_argument("--ack", type=operator_args.acknowledged, help=f"with --clear: write {operator_args.ACK}")
    for sub in (one, two, three):
        sub.add_argument("--json", action="store_true", help="one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
