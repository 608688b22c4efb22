"""Reconcile: exchange truth, unknown orders, money, drift; `--repair` settles a difference by the operator's word.

The only orders a reconcile sends protect what its own bookings left without a stop (in LIVE with `--live`). A repair
is a dry run that prints what it would write and send; `--yes` does it, under the order lease. An order that is not ours
is settled by its owner's statement only: `--reason TEXT --ack I_UNDERSTAND`.

Exit 0: clean, or repaired; 1: differences, each named, something could not be read, or a dry run; 2: failed or bad
usage; 3: busy.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from typing import Any, Final

from clients import clients_of
from desk.base import clock, exit_codes
from desk.base.errors import BadInput, StateCorrupt
from desk.base.reasons import Reason
from desk.execution import aftercare, compare_money, reconcile, repair
from desk.execution.accounts import Accounts
from desk.execution.desk import Desk
from desk.execution.operator_desk import Hands, leased
from desk.execution.repair import Wanted
from desk.execution.repair_plan import Plan
from desk.execution.trouble import latched
from desk.journal.state import Fold
from desk.risk import pause
from desk.risk.redact import without_secrets
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door
from desk.state import store

DOOR: Final = "reconcile"
HOUR_MS: Final = 3_600_000


def compare(run: Run, live: bool = False) -> Outcome:
    """Look everything up, book it, protect what that left bare, compare, say each difference by name."""
    with latched(run):
        hands, usable = _hands(run)
        run.stage("RECONCILE")
        before = aftercare.uncovered(hands.desk.fold())
        found = reconcile.run(hands.desk, run.settings.venues, usable)
        aftercare.protect_new(hands, before, live)
    for difference in found.differences:
        run.say(f"DIFF {difference.line()}")
    if found.score >= run.settings.config.reconcile.drift_pause:
        pause.latch_pause(run.home, run.journal, (str(Reason.DRIFT_PAUSE),), DOOR, limits_hash=run.settings.config_hash)
    _write_state(run, found)
    run.journal.publish()
    fold = hands.desk.fold()
    old = _old(run, fold)
    for line in old:
        run.say(f"OLD {line}")
    money = {venue: compare_money.statement(fold, venue, found.differences) for venue in found.read}
    return _verdict(found, {"old_positions": old, "money": money})


def mend(run: Run, args: argparse.Namespace) -> Outcome:
    """Settle one difference by the operator's word; without `--yes` only say what it would write and send."""
    how, handle = args.repair
    wanted = Wanted(how, handle, without_secrets(args.reason, run.settings.environment), operator_args.who())
    acts = args.yes or args.ack == operator_args.ACK
    try:
        with latched(run):
            if not acts:
                return _would(run, wanted, repair.plan(_hands(run)[0], wanted))
            with leased(run):
                plan = repair.plan(_hands(run)[0], wanted)
                if plan.needs_ack and args.ack != operator_args.ACK:
                    return _would(run, wanted, plan)
                for line in plan.lines:
                    run.say(line)
                whole, text = plan.act()
    except BadInput as error:  # an operator's word, no fault of the system: no alert
        run.journal.publish()
        return Outcome(exit_codes.FAIL, f"RECONCILE END — {how}: {error.line()}", {"error": error.line()})
    run.journal.publish()
    document = {"repaired": handle, "how": how, "did": list(plan.lines)}
    return Outcome(exit_codes.OK if whole else exit_codes.WARN, f"RECONCILE END — {how}: {text}", document)


def main(argv: list[str] | None = None) -> int:
    """Parse and run; returns the exit code."""
    options = _parser().parse_args(argv)
    if options.repair is None:
        return run_door(DOOR, lambda run: compare(run, options.live), as_json=options.json)
    if options.repair[0] not in repair.HOWS:
        operator_args.refuse("reconcile.py", f"--repair {options.repair[0]}: unknown; use {' or '.join(repair.HOWS)}")
    if not options.reason:
        operator_args.refuse("reconcile.py", "--repair needs --reason TEXT")
    return run_door(DOOR, lambda run: mend(run, options), as_json=options.json)


def _would(run: Run, wanted: Wanted, plan: Plan) -> Outcome:
    """The dry run's lines, and what makes it act."""
    for line in plan.lines:
        run.say(line)
    run.journal.publish()
    what = f"the owner's statement: --ack {operator_args.ACK}" if plan.needs_ack else "--yes"
    text = f"RECONCILE END — dry run: would {wanted.how} {wanted.handle}; nothing was sent; add {what}"
    return Outcome(exit_codes.WARN, text, {"dry_run": True, "would": list(plan.lines)})


def _hands(run: Run) -> tuple[Hands, tuple[str, ...]]:
    """The working table, and the venues whose account can be asked."""
    accounts = Accounts(run, clients_of(run))
    desk = Desk(run, accounts.account_of, accounts.rules)
    accounts.known_offsets(desk)
    return Hands(run, desk, accounts), accounts.open()


def _write_state(run: Run, found: reconcile.Result) -> None:
    """`state/reconcile.json`: what the gates and heartbeat read."""

    def change(old: dict[str, Any] | None) -> dict[str, Any]:
        success = run.tick_ms if not found.failed else int((old or {}).get("last_success_ms", 0))
        return {
            "last_run_ms": run.tick_ms, "last_run_at": clock.iso(run.tick_ms), "last_success_ms": success,
            "clean": found.clean, "score": found.score, "failed": list(found.failed),
            "differences": [d.line() for d in found.differences],
        }  # fmt: skip

    try:
        store.update(run.home, "reconcile", change, DOOR)
    except StateCorrupt:
        store.write(run.home, "reconcile", change(None), DOOR)


def _old(run: Run, fold: Fold) -> list[str]:
    """Positions held longer than the operator wants to leave unreviewed (rules.md, review bands): flagged, no fault."""
    flag_h = run.settings.config.exits.position_age_flag_h
    ages_h = {n: (run.tick_ms - p.opened_ms) // HOUR_MS for n, p in fold.positions.positions.items() if p.quantity}
    return [f"{name}: held {age_h} h, more than {flag_h}" for name, age_h in sorted(ages_h.items()) if age_h > flag_h]


def _verdict(found: reconcile.Result, document: dict[str, Any]) -> Outcome:
    document |= {
        "clean": found.clean,
        "score": found.score,
        "differences": len(found.differences),
        "failed": found.failed,
    }
    if found.clean:
        return Outcome(exit_codes.OK, "RECONCILE END — clean, drift score 0", document)
    unread = f", not read: {', '.join(found.failed)}" if found.failed else ""
    text = f"RECONCILE END — {len(found.differences)} differences, drift score {found.score}{unread}"
    return Outcome(exit_codes.WARN, text, document)


def _parser() -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog="reconcile.py", description="Compare journal, exchange and balances.")
    parser.add_argument(
        "--repair", nargs=2, metavar=("adopt|disown|close", "HANDLE"),
        help="settle one difference, by the handle in its line, or one quarantined intent, by its id",
    )  # fmt: skip
    parser.add_argument("--reason", type=operator_args.reason, help="why, for the journal: the owner's statement")
    parser.add_argument("--yes", action="store_true", help="do it; without it --repair is a dry run")
    parser.add_argument("--ack", default="", help="I_UNDERSTAND: do it; orders that are not ours need it")
    parser.add_argument("--live", action="store_true", help="in LIVE: protect what its bookings left without a stop")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
