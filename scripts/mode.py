"""The folder's mode: `show`, `switch PAPER|LIVE --reason TEXT [--discard]`. Owns arguments and printing.

A switch ends the journal's chain and moves it, with the state it describes, under `archive/`; a fresh set starts with
the other stamp. LIVE starts with the kill switch active and without LIVE.ok. Nothing is lost and nothing is shared.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from typing import Final

from desk.base import exit_codes, ids
from desk.journal import switch
from desk.journal.journal import stamp
from desk.runtime import operator_args
from desk.runtime.lease import order_lease
from desk.runtime.tick import Outcome, Run, run_door

DOOR: Final = "mode"


def show(run: Run, args: argparse.Namespace) -> Outcome:
    """SYSTEM_MODE beside the folder's stamp, and what a switch would have to wait for."""
    stamped, asked = stamp(run.home), str(run.settings.mode)
    blocked = switch.refusals(run.journal.read_fold(), run.tick_ms) if stamped else []
    for text in blocked:
        run.say(f"a switch waits for: {text}")
    word = "OK" if stamped in {"", asked} else "WARNING mode:stamp_mismatch"
    verdict = f"MODE — {word}: folder {stamped or 'not stamped yet'}, SYSTEM_MODE {asked}"
    code = exit_codes.OK if stamped in {"", asked} else exit_codes.WARN
    return Outcome(code, verdict, {"stamp": stamped, "system_mode": asked, "waits_for": blocked})


def switch_mode(run: Run, args: argparse.Namespace) -> Outcome:
    """Under order lease and journal lock: end the old chain, then archive and start anew."""
    settings = run.settings
    marks = tuple(settings.keys(venue).mark for venue in settings.venues)
    instance = ids.instance_id(settings.config.system.instance_id, args.mode, settings.venues, marks)
    with order_lease(run.home, DOOR, settings.config.runtime.operator_lease_wait_s):
        _, lines = run.journal.transact(
            lambda fold: [switch.ask(fold, args.mode, args.reason, instance, run.tick_ms, args.discard)]
        )
        run.journal.publish()  # finishes the switch, as any later append would
    old = lines[-1].data
    run.say(f"archived {old['from']}: {old['archive']}/")
    kill = "; the kill switch is active and LIVE.ok is gone" if args.mode == "LIVE" else ""
    document = {"from": old["from"], "to": old["to"], "archive": old["archive"]}
    return Outcome(exit_codes.OK, f"MODE SWITCH — OK: {old['from']} -> {old['to']}{kill}", document)


def _parser() -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog="mode.py", description="Show or change the folder's mode.")
    subs = parser.add_subparsers(dest="command", required=True)
    subs.add_parser("show", help="stamp and SYSTEM_MODE")
    sub = subs.add_parser("switch", help="archive this set, start the other")
    sub.add_argument("mode", choices=switch.MODES)
    sub.add_argument("--reason", required=True, type=operator_args.reason)
    sub.add_argument("--discard", action="store_true", help="give up what is open; PAPER books only")
    for sub in subs.choices.values():
        sub.add_argument("--json", action="store_true", help="one JSON document")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    body = {"show": show, "switch": switch_mode}[args.command]
    return run_door(DOOR, lambda run: body(run, args), as_json=args.json, any_mode=True)


if __name__ == "__main__":
    sys.exit(main())
