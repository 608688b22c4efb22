"""Circuit breakers for the operator: `status`, `reset COMPONENT|all --reason TEXT`. Owns arguments and printing.

Exit 0: every breaker closed or probing; 1: one is open or tripped too often; 2: open on two venues, or the file cannot
be read. `reset` closes at once, journals who and why, and writes a corrupt file anew.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from typing import Any, Final

from desk.base import clock, exit_codes
from desk.base.errors import BadInput
from desk.base.reasons import Reason
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.journal import stamp
from desk.risk import breaker
from desk.risk.breaker import Breakers, View
from desk.risk.breaker_rules import Entry, State
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door
from desk.venues import commands

DOOR: Final = "breakers"
HEAD: Final = ("component", "state", "failures", "cooldown until", "last success", "trips today", "trips 7 d")


def status(run: Run, args: argparse.Namespace) -> Outcome:
    """Every breaker of the file; missing entries of listed venues are closed."""
    seen = breaker.view(run.home, run.settings.config.breakers)
    if seen.problem:
        return Outcome(exit_codes.FAIL, f"BREAKERS — CRITICAL {Reason.BREAKER_CORRUPT}: {seen.problem}")
    names = sorted({*seen.entries, *components(run)})
    rows = [row_of(name, seen.entries.get(name, Entry())) for name in names]
    show(run, [list(HEAD), *rows])
    code, word = judge(run, seen)
    opened = [name for name in names if seen.state(name) is State.OPEN]
    detail = f"open: {', '.join(opened)}" if opened else "none open"
    document = {"breakers": [dict(zip(HEAD, row, strict=True)) for row in rows], "missing": seen.missing}
    return Outcome(code, f"BREAKERS — {word} ({detail})", document)


def reset(run: Run, args: argparse.Namespace) -> Outcome:
    """Close one breaker or all, with a reason that is journalled."""
    if not args.reason.strip():
        raise BadInput("is empty", "--reason", "say why")
    seen = breaker.view(run.home, run.settings.config.breakers)
    known = {*seen.entries, *components(run)}
    if args.component != "all" and args.component not in known:
        raise BadInput(f"no breaker {args.component!r}", "COMPONENT", f"one of: all, {', '.join(sorted(known))}")
    hook = lambda note: breaker.journal_change(run.journal, note, run.warn)  # noqa: E731 - one hook, in place
    hand = Breakers(run.home, run.settings.config.breakers, DOOR, lambda level, line: run.say(f"{level} {line}"), hook)
    changes = hand.reset(args.component, run.settings.venues)
    if stamp(run.home):
        text = f"breakers reset {args.component}: {args.reason.strip()}"
        run.journal.transact(lambda fold: [NewEvent(event=Event.NOTE, data={"text": text})])
    document = {"changed": [change.component for change in changes], "reason": args.reason.strip()}
    return Outcome(exit_codes.OK, f"BREAKERS — OK (reset {args.component}, {len(changes)} changed)", document)


def components(run: Run) -> list[str]:
    """The components of the listed venues."""
    return [f"{venue}_{part}" for venue in run.settings.venues for part in ("api", "orders")]


def judge(run: Run, seen: View) -> tuple[int, str]:
    """Exit code and word: one open is a warning, two venues open are critical (rules: Circuit breakers)."""
    limits, now_ms = run.settings.config.breakers, clock.now_ms()
    opened = {name.rpartition("_")[0] for name in seen.entries if seen.state(name) is State.OPEN}
    if len(opened) > 1:
        return exit_codes.FAIL, "CRITICAL"
    trips = any(
        entry.trips_today(now_ms) > limits.trips_day_warn or entry.trips_week(now_ms) > limits.trips_week_warn
        for entry in seen.entries.values()
    )
    return (exit_codes.WARN, "WARNING") if opened or trips else (exit_codes.OK, "OK")


def row_of(name: str, entry: Entry) -> list[str]:
    """One breaker as a table row."""
    now_ms = clock.now_ms()
    until = clock.iso(entry.cooldown_until_ms) if entry.state is State.OPEN else "-"
    success = clock.iso(entry.last_success_ms) if entry.last_success_ms else "-"
    trips = (str(entry.trips_today(now_ms)), str(entry.trips_week(now_ms)))
    return [name, str(entry.state), str(entry.failure_count), until, success, *trips]


def show(run: Run, table: list[list[str]]) -> None:
    """The table, for eyes only."""
    if not run.as_json:
        print(commands.render(table))


COMMANDS: Final[dict[str, Any]] = {"status": status, "reset": reset}


def main(argv: list[str]) -> int:
    """Run one command; returns the exit code."""
    parser = operator_args.OneLineParser(prog="breakers.py", description="Circuit breakers: show and reset.")
    subs = parser.add_subparsers(dest="command", required=True)
    one = subs.add_parser("status", help="every breaker")
    two = subs.add_parser("reset", help="close a breaker at once")
    two.add_argument("component", metavar="COMPONENT|all")
    two.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
    for sub in (one, two):
        sub.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args(argv)
    return run_door(DOOR, lambda run: COMMANDS[args.command](run, args), as_json=args.json, any_mode=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
