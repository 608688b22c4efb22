"""The command line the venue doors share: arguments, printing, exit code. Owns no exchange's dialect.

`refresh time account filters book` run inside the door frame; `explain-error` needs neither settings nor network.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from desk.base import exit_codes
from desk.base.errors import BadInput
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal, stamp
from desk.risk import breaker
from desk.runtime import operator_args
from desk.runtime.run_log import RunLog
from desk.runtime.tick import Outcome, Run, run_door
from desk.venues import commands, table

MakeClient = Callable[..., Any]
COMMANDS: Final[dict[str, tuple[str, Callable[..., commands.Answer]]]] = {
    "refresh": ("write clock, filters and prices to state/", commands.refresh),
    "time": ("the exchange's clock against ours", commands.show_time),
    "account": ("balances that are not zero", commands.show_account),
    "filters": ("trading rules", commands.show_filters),
    "book": ("the top of the book", commands.show_book),
}
WITH_SYMBOLS: Final = frozenset({"filters", "book"})


def main(venue: str, make_client: MakeClient, argv: Sequence[str]) -> int:
    """Run one command of a venue's door; returns the exit code."""
    door = table.row(venue).door
    args = _parser(door).parse_args(argv)
    if args.command == "explain-error":
        return _explain(venue, args)
    return run_door(door, lambda run: _body(run, venue, make_client, args), as_json=args.json, any_mode=True)


def to_stderr(level: str, line: str) -> None:
    """The log of a client nobody gave one."""
    print(f"{level} {line}", file=sys.stderr)


def log_of(run_log: RunLog, venue: str, show: Callable[[str], None]) -> Callable[[str, str], None]:
    """A client's log inside a door: errors to errors.log too, all of it to the operator."""

    def log(level: str, line: str) -> None:
        if level == "ERROR":
            run_log.error(line, venue=venue)
        else:
            run_log.line(level, line)
        show(f"{level} {line}")

    return log


def _body(run: Run, venue: str, make_client: MakeClient, args: argparse.Namespace) -> Outcome:
    log = log_of(run.log, venue, lambda line: None if run.as_json else print(line))
    run.counts["command"] = args.command
    if args.command == "refresh" and venue not in run.settings.venues:  # its address need not even be known
        text = f"{run.door.upper()} refresh — NOT_ENABLED ({venue} is not in VENUES)"
        return Outcome(exit_codes.OK, text, {"enabled": False})
    hook = lambda note: breaker.journal_change(run.journal, note, log)  # noqa: E731 - one hook, in place
    client = make_client(run.settings, script=run.door, log=log, on_change=hook)
    client.caller.guard.deadline_s = run.deadline_s
    extra: tuple[Any, ...] = ()
    if args.command in WITH_SYMBOLS:
        extra = (tuple(args.symbol or ()),)
    elif args.command == "refresh":
        extra = (lambda old, new: _filters_changed(run.journal, run, venue, old, new),)
    code, verdict, document = COMMANDS[args.command][1](client, run.settings, *extra)
    for line in document.get("lines", ()):
        run.warn("WARN", line)
    if "table" in document and not run.as_json:
        print(commands.render(document["table"]))
    return Outcome(code, f"{run.door.upper()} {args.command} — {verdict}", document)


def _filters_changed(journal: Journal, run: Run, venue: str, old: str, new: str) -> None:
    """Journal changed trading rules where the folder is stamped."""
    run.say(f"FILTERS_REFRESHED {venue} {old} -> {new} PERIODIC")
    if stamp(run.home):
        event = NewEvent(event=Event.FILTERS_REFRESHED, data={"old": old, "new": new, "cause": "PERIODIC"}, venue=venue)
        journal.transact(lambda fold: [event])


def _explain(venue: str, args: argparse.Namespace) -> int:
    try:
        found = commands.explain(table.row(venue).errors, args.status, args.body, args.headers)
    except BadInput as error:
        print(json.dumps({"verdict": error.line()}) if args.json else error.line())
        return exit_codes.FAIL
    print(json.dumps(found | {"verdict": found["class"]} if args.json else found))
    return exit_codes.OK


def _parser(door: str) -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog=f"{door}.py", description=f"{door}: observations and single looks.")
    subs = parser.add_subparsers(dest="command", required=True)
    for name, (text, _) in COMMANDS.items():
        sub = subs.add_parser(name, help=text, description=text)
        sub.add_argument("--json", action="store_true", help="one JSON document")
        if name in WITH_SYMBOLS:
            sub.add_argument("--symbol", action="append", help="as often as wanted; default UNIVERSE_SYMBOLS")
    sub = subs.add_parser("explain-error", help="what an answer to an order means")
    sub.add_argument("--status", type=int, required=True, help="HTTP status")
    sub.add_argument("--body", required=True, help="the body as received")
    sub.add_argument("--headers", default="{}", help='JSON object, e.g. {"Retry-After": "5"}')
    sub.add_argument("--json", action="store_true", help="add the verdict")
    return parser
