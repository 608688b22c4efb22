"""The kill switch for the operator: `engage`, `release`, `status`, `drill`. Owns arguments, order of work, printing.

engage: latch first, then pending entries are cancelled, a snapshot is left, and what still stands is printed. It works
without SYSTEM_MODE and with a broken configuration. Exit 0: the latch is durable; 1: cancels not confirmed in LIVE;
2: it could not be written anywhere. release: exit 0 released, 1 refused, with every clause that still holds; of a LIVE
folder (but for the simulator's) only from a terminal and by the configured owner. drill: how late after engage an entry
may still leave, measured on a simulator; exit 0 within the bound, 1 not.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from desk.base import clock, exit_codes
from desk.base.errors import BadInput, WorldError
from desk.journal.state import Fold
from desk.risk import (
    kill_forms,
    kill_reasons,
    kill_snapshot,
    kill_switch,
    kill_words,
    latches,
    limits_entries,
    limits_overlay,
    observed,
)
from desk.risk.kill_switch import EngageReport, FactsOf
from desk.risk.latch_file import FREEZE_ALL, REDUCE_ONLY
from desk.risk.latches import Latches
from desk.risk.redact import without_secrets
from desk.runtime import operator_args, presence
from desk.runtime.bare import run_anyway
from desk.runtime.tick import Outcome, Run, run_door

DOOR: Final = "kill_switch"
DRILL_ROUNDS: Final = 20
DRILL_ROUNDS_MAX: Final = 200


@dataclass(frozen=True)
class CancelReport:
    """What became of pending entries, by client order id. `left_to_holder`: the lease holder's next tick cancels it."""

    confirmed: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    left_to_holder: tuple[str, ...] = ()
    problem: str = ""


Canceller = Callable[[Run], CancelReport]


def cancel_entries(run: Run) -> CancelReport:
    """Cancel every pending entry on the exchange the orders went to (the paper exchange in PAPER)."""
    from clients import clients_of  # only here: engage must work when no client can be made
    from desk.execution import aftercare, cancel
    from desk.execution.operator_desk import Hands, protect_uncovered

    hands = Hands.of(run, clients_of(run))
    before = aftercare.uncovered(hands.desk.fold())
    gone, left = cancel.cancel_open_entries(hands.desk, "kill_switch")
    after = aftercare.uncovered(hands.desk.fold())
    protect_uncovered(hands, [name for name, rest in after.items() if rest > before.get(name, 0)])
    return CancelReport(tuple(gone), tuple(left))


def engage(run: Run, args: argparse.Namespace, canceller: Canceller = cancel_entries) -> Outcome:
    """Latch, cancel, snapshot, verify."""
    text = without_secrets(args.reason, run.settings.environment)
    report = kill_switch.engage(
        run.home, run.journal, text, operator_args.who(), level=args.level, key_marks=observed.key_marks(run.settings)
    )
    if not report.durable:
        return Outcome(exit_codes.FAIL, f"KILL SWITCH — NOT ENGAGED: {'; '.join(report.problems)}")
    row = kill_reasons.BY_NAME[report.reason]
    note = f" ({report.note})" if report.note else ""
    run.warn("CRIT", f"Kill-switch activated: {report.reason}{note} -> {row.code.action}")
    for problem in report.problems:
        run.warn("WARN", f"engaged, but not everywhere: {problem}")
    fold = _fold(run)
    cancels = _cancel(run, fold, report, canceller)
    after = _fold(run)
    _snapshot(run, after)
    return _verified(run, after, report, cancels)


def release(run: Run, args: argparse.Namespace) -> Outcome:
    """Refuse while anything holds; else the overlay first (if any), then journal and file."""
    latches.sync_environment(run.home, run.journal, run.settings)
    fold = run.journal.read_fold()
    is_live = latches.is_live(fold, run.settings)
    is_here = fold.portfolio.mode in {"", str(run.settings.mode)}  # another mode's folder refuses by itself
    absent = presence.refusal(run.settings) if is_live and is_here else None
    if absent is not None:
        return _refused(run, (f"{absent[0]}: {absent[1]} -> {absent[0].action}",))
    facts_of = _facts_of(run, rebase_peak=args.rebase_peak)
    by, reason = operator_args.who(), without_secrets(args.reason, run.settings.environment)
    preview = kill_switch.preview(run.home, fold, facts_of, is_live=is_live)
    if preview.held:
        return _refused(run, preview.held)
    if args.size_frac is not None:
        until_ms = clock.now_ms() + args.duration_ms
        overlay = limits_overlay.read(run.home)
        wanted = {limits_entries.SIZE: args.size_frac}
        entries = limits_overlay.tightening(run.settings, overlay, wanted, until_ms, reason, by)
        limits_overlay.set_entries(run.home, run.journal, entries, reason, by)
        run.say(f"size_frac {args.size_frac} until {clock.iso(until_ms)}")
    report = kill_switch.release(run.home, run.journal, reason, by, facts_of, is_live=is_live)
    if report.held:
        return _refused(run, report.held)
    for name in report.rebased:
        run.say(f"peak of {name} rebased; a promotion certificate is void")
    found = latches.effective(run.home, run.journal.read_fold(), run.settings)
    document = {"released": report.released, "rebased": list(report.rebased), **kill_snapshot.latches_document(found)}
    word = "RELEASED" if report.released else "INACTIVE already"
    if found.kill.active:
        return Outcome(exit_codes.WARN, f"KILL SWITCH — {word}, ACTIVE again ({found.kill.source})", document)
    return Outcome(exit_codes.OK, f"KILL SWITCH — {word}", document)


def status(run: Run, args: argparse.Namespace) -> Outcome:
    """The effective latch, where it comes from, and what would release it."""
    fold = _fold(run)
    found = latches.effective(run.home, fold, run.settings)
    document = kill_snapshot.latches_document(found) | {
        "file": kill_words.file_line(found),
        "journal": kill_words.journal_line(fold),
    }
    run.say(f"file:        {document['file']}")
    run.say(f"journal:     {document['journal']}")
    run.say(f"environment: {'KILL_SWITCH=true' if found.env_kill else 'does not hold it'}")
    run.say(f"pause:       {found.pause.state} {', '.join(found.pause.reasons)}".rstrip())
    for detail in found.details:
        run.warn("WARN", detail)
    document["release"] = _release_lines(run, fold, found)
    for line in document["release"]:
        run.say(f"release:     {line}")
    code = exit_codes.WARN if found.problems else exit_codes.OK
    return Outcome(code, f"KILL SWITCH — {kill_words.state(found)}", document)


def drill(args: argparse.Namespace) -> int:
    """Engage again and again under a flood of entries, in a folder and on an exchange of its own."""
    from lab import drill as room  # only here: it brings the simulator

    return room.main(args.rounds, as_json=args.json)


def main(argv: list[str] | None = None, canceller: Canceller = cancel_entries) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    if args.command == "drill":
        return drill(args)
    if args.command == "release":
        if (args.size_frac is None) != (args.duration_ms is None):
            operator_args.refuse("kill_switch.py release", "--size-frac and --for go together")
        return run_door(DOOR, lambda run: _release(run, args), as_json=args.json)
    commands: dict[str, Callable[[Run], Outcome]] = {
        "engage": lambda run: engage(run, args, canceller),
        "status": lambda run: status(run, args),
    }
    return run_anyway(DOOR, commands[args.command], as_json=args.json)


def _release(run: Run, args: argparse.Namespace) -> Outcome:
    try:
        return release(run, args)
    except BadInput as error:  # an operator's number, no fault of the system: no alert
        return Outcome(exit_codes.FAIL, error.line(), {"error": error.line()})


def _cancel(run: Run, fold: Fold | None, report: EngageReport, canceller: Canceller) -> CancelReport:
    """Cancel pending entries; whatever goes wrong leaves the latch as it is and the entries named."""
    if fold is None:
        problem = "the journal cannot be read, so open entries are not known: cancel them on the exchange's page"
        return CancelReport(problem=problem)
    names = kill_snapshot.open_entries(fold)
    if not names:
        return CancelReport()
    if report.level == FREEZE_ALL:
        return CancelReport(unconfirmed=names, problem="freeze_all: nothing is sent, cancels included")
    try:
        return canceller(run)
    except WorldError as error:
        return CancelReport(unconfirmed=names, problem=error.line())


def _verified(run: Run, fold: Fold | None, report: EngageReport, cancels: CancelReport) -> Outcome:
    """What still stands, as the verdict."""
    left = kill_snapshot.open_entries(fold) if fold is not None else cancels.unconfirmed
    if cancels.problem:
        run.warn("WARN", f"cancels: {cancels.problem}")
    for name in cancels.left_to_holder:
        run.say(f"left to the router's next tick (it protects a filled part): {name}")
    for name in left:
        run.warn("WARN", f"open entry: {name}")
    held = kill_snapshot.exposure_lines(fold) if fold is not None else []
    positions = kill_reasons.positions_of(report.reason, run.settings.config.kill_switch.positions)
    for line in held or ["none"]:
        run.say(f"residual exposure: {line}")
    document = {
        "durable": {"file": report.file_written, "journal": report.journalled}, "problems": list(report.problems),
        "reason": report.reason, "note": report.note, "level": report.level, "positions": positions,
        "cancelled": list(cancels.confirmed), "open_entries": list(left), "exposure": held,
    }  # fmt: skip
    unsure = bool(left) or fold is None
    is_live = latches.is_live(fold, run.settings)
    where = (
        ""
        if report.journalled and report.file_written
        else " (file only)"
        if report.file_written
        else " (journal only)"
    )
    count = "unknown" if fold is None else str(len(left))
    text = f"KILL SWITCH — ENGAGED {report.level} {report.reason}{where}; open entries = {count}; positions: "
    code = exit_codes.WARN if unsure and is_live else exit_codes.OK
    return Outcome(code, text + f"{positions}, {len(held)} held", document)


def _snapshot(run: Run, fold: Fold | None) -> None:
    found = latches.effective(run.home, fold, run.settings)
    try:
        path = kill_snapshot.write(
            run.home, kill_snapshot.document(fold, found, clock.now_ms()), run.settings.environment
        )
    except WorldError as error:
        run.warn("WARN", f"no snapshot: {error.line()}")
        return
    run.say(f"snapshot: {path.name}")


def _facts_of(run: Run, *, rebase_peak: bool) -> FactsOf:
    outside = observed.for_release(run.home, run.settings, rebase_peak=rebase_peak)
    return lambda fold, doc: kill_forms.release_facts(outside, fold, doc)


def _refused(run: Run, held: tuple[str, ...]) -> Outcome:
    for clause in held:
        run.say(f"held: {clause}")
    return Outcome(
        exit_codes.WARN, f"KILL SWITCH — RELEASE REFUSED: {held[0]}", {"released": False, "held": list(held)}
    )


def _release_lines(run: Run, fold: Fold | None, found: Latches) -> list[str]:
    """What would release each reason, and what still holds."""
    lines = kill_words.release_rules(found, run.settings.config.kill_switch.positions)
    if not found.kill.active or fold is None:
        return lines
    facts_of = _facts_of(run, rebase_peak=False)
    preview = kill_switch.preview(run.home, fold, facts_of, is_live=latches.is_live(fold, run.settings))
    return [*lines, *(f"holds now: {clause}" for clause in preview.held)]


def _fold(run: Run) -> Fold | None:
    try:
        return run.journal.read_fold()
    except WorldError as error:
        run.warn("WARN", error.line())
        return None


def _parser() -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog="kill_switch.py", description="Stop new risk at once; let it go again.")
    subs = parser.add_subparsers(dest="command", required=True, parser_class=operator_args.OneLineParser)
    one = subs.add_parser("engage", help="stop new entries, cancel pending ones, keep protection")
    codes = ", ".join(row.name for row in kill_reasons.ROWS)
    one.add_argument("--reason", required=True, type=operator_args.reason, help=f"{codes}; any other text is manual")
    one.add_argument("--level", choices=(REDUCE_ONLY, FREEZE_ALL), default=REDUCE_ONLY, help="freeze_all sends nothing")
    two = subs.add_parser("release", help="let it go; refused while a trigger holds")
    two.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
    two.add_argument("--ack", required=True, type=operator_args.acknowledged, help=f"write {operator_args.ACK}")
    two.add_argument("--rebase-peak", action="store_true", help="count drawdown from today's equity (max_dd_exceeded)")
    two.add_argument("--size-frac", help="come back smaller, e.g. 0.5 (with --for)")
    two.add_argument("--for", dest="duration_ms", type=operator_args.duration_ms, help="how long, e.g. 4h")
    three = subs.add_parser("status", help="the effective latch and what would release it")
    four = subs.add_parser("drill", help="measure how late after engage an entry may still leave, on a simulator")
    four.add_argument("--rounds", type=_rounds, default=DRILL_ROUNDS, help=f"engagements, at most {DRILL_ROUNDS_MAX}")
    for sub in (one, two, three, four):
        sub.add_argument("--json", action="store_true", help="one JSON document")
    return parser


def _rounds(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= DRILL_ROUNDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {DRILL_ROUNDS_MAX}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
