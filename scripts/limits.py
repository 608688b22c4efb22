"""The tighten-only overlay: `show`, `set KEY=VALUE... --for DURATION`, `clear`. Owns arguments and printing.

An overlay multiplies `size_frac` or lowers a cap, never raises one, and expires. Exit 0: done; 1: `show` found an
overlay that is ignored in part; 2: bad input, or a corrupt overlay (then no entries until it is cleared).
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from collections.abc import Callable
from typing import Final

from desk.base import clock, exit_codes
from desk.base.errors import BadInput
from desk.risk import limits_overlay
from desk.risk.limits_entries import CAPS, parse, standing, text_of
from desk.risk.redact import without_secrets
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door

DOOR: Final = "limits"
HEAD: Final = ("limit", "section and profile", "overlay", "until", "counts now")


def show(run: Run, args: argparse.Namespace) -> Outcome:
    """Every cap: what the configuration says, what the overlay says, what counts."""
    overlay, now_ms = limits_overlay.read(run.home), clock.now_ms()
    base = limits_overlay.with_profile(run.settings.config, run.settings.profile)
    counted, problems = limits_overlay.apply(base, overlay, now_ms)
    entries = {entry.cap: entry for entry in parse(overlay)[0]}
    rows = []
    for cap, (section, _) in CAPS.items():
        entry = entries.get(cap)
        said = text_of(entry.value) if entry is not None else "-"
        until = "-" if entry is None else clock.iso(entry.until_ms) if entry.until_ms else "until cleared"
        expired = " (expired)" if entry is not None and 0 < entry.until_ms <= now_ms else ""
        rows.append(
            [f"{section}.{cap}", text_of(standing(base, cap)), said, until + expired, text_of(standing(counted, cap))]
        )
    if not run.as_json:
        from tabulate import tabulate

        print(tabulate(rows, headers=HEAD, disable_numparse=True))
    for problem in problems:
        run.warn("CRIT" if problem.blocks else "WARN", f"{problem.code}: {problem.detail}")
    document = {
        "limits": [dict(zip(HEAD, row, strict=True)) for row in rows],
        "problems": [{"code": problem.code, "detail": problem.detail} for problem in problems],
    }
    if any(problem.blocks for problem in problems):
        return Outcome(exit_codes.FAIL, "LIMITS — CORRUPT: no entries; limits.py clear --reason TEXT", document)
    count = sum(1 for entry in entries.values() if not entry.until_ms or entry.until_ms > now_ms)
    word = f"{count} in the overlay" if count else "no overlay"
    return Outcome(exit_codes.WARN if problems else exit_codes.OK, f"LIMITS — {word}", document)


def set_limits(run: Run, args: argparse.Namespace) -> Outcome:
    """Tighten, file first."""
    overlay, by = limits_overlay.read(run.home), operator_args.who()
    reason = without_secrets(args.reason, run.settings.environment)
    until_ms = clock.now_ms() + args.duration_ms
    entries = limits_overlay.tightening(run.settings, overlay, _pairs(args.pairs), until_ms, reason, by)
    problems = limits_overlay.set_entries(run.home, run.journal, entries, reason, by)
    for problem in problems:
        run.warn("WARN", f"set, but not journalled: {problem}")
    named = ", ".join(f"{entry.cap}={text_of(entry.value)}" for entry in entries)
    document = {"set": {entry.cap: text_of(entry.value) for entry in entries}, "until": clock.iso(until_ms)}
    return Outcome(exit_codes.OK, f"LIMITS — SET {named} until {clock.iso(until_ms)}", document)


def clear(run: Run, args: argparse.Namespace) -> Outcome:
    """Remove the overlay, journal first."""
    reason = without_secrets(args.reason, run.settings.environment)
    cleared = limits_overlay.clear(run.home, run.journal, reason, operator_args.who())
    word = "CLEARED" if cleared else "nothing to clear"
    return Outcome(exit_codes.OK, f"LIMITS — {word}", {"cleared": cleared})


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    commands: dict[str, Callable[[Run, argparse.Namespace], Outcome]] = {
        "show": show, "set": set_limits, "clear": clear,
    }  # fmt: skip

    def body(run: Run) -> Outcome:
        try:
            return commands[args.command](run, args)
        except BadInput as error:  # an operator's number, no fault of the system: no alert
            return Outcome(exit_codes.FAIL, error.line(), {"error": error.line()})

    return run_door(DOOR, body, as_json=args.json)


def _pairs(texts: list[str]) -> dict[str, str]:
    """KEY=VALUE words as a table.

    Raises:
        BadInput: a word without `=`, or a key twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark or not key or not value:
            raise BadInput("is not KEY=VALUE", text, "e.g. size_frac=0.5")
        if key in pairs:
            raise BadInput("stands twice", key, "give it once")
        pairs[key] = value
    return pairs


def _parser() -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog="limits.py", description="Tighten limits for a while.")
    subs = parser.add_subparsers(dest="command", required=True, parser_class=operator_args.OneLineParser)
    one = subs.add_parser("show", help="every cap and what counts now")
    two = subs.add_parser("set", help="tighten")
    two.add_argument("pairs", nargs="+", metavar="KEY=VALUE", help="size_frac multiplies; any other cap is lowered")
    two.add_argument("--for", dest="duration_ms", required=True, type=operator_args.duration_ms, help="e.g. 4h")
    three = subs.add_parser("clear", help="remove the overlay")
    for sub in (two, three):
        sub.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
    for sub in (one, two, three):
        sub.add_argument("--json", action="store_true", help="one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
