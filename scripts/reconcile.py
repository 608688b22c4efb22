"""Reconcile: exchange truth, unknown orders, money, drift. Owns its table of repairs and the verdict.

The only orders it sends protect what its own bookings left without a stop (in LIVE with `--live`).
Exit 0: clean; 1: differences, each named, or something could not be read; 2: failed or bad usage; 3: busy.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from typing import Any, Final

from clients import clients_of
from desk.base import clock, exit_codes
from desk.base.errors import StateCorrupt
from desk.base.reasons import Reason
from desk.execution import aftercare, reconcile, repair
from desk.execution.accounts import Accounts
from desk.execution.desk import Desk
from desk.execution.operator_desk import Hands
from desk.execution.trouble import latched
from desk.risk import pause
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door
from desk.state import store

DOOR: Final = "reconcile"
REPAIRS: Final = {"adopt": repair.adopt, "disown": repair.disown}


def compare(run: Run, live: bool = False) -> Outcome:
    """Look everything up, book it, protect what that left bare, compare, say each difference by name."""
    with latched(run):
        hands, usable = _hands(run)
        run.stage("RECONCILE")
        before = aftercare.uncovered(hands.desk.fold())
        found = reconcile.run(hands.desk, run.settings.venues, usable)
        aftercare.protect_new(hands, before, live)
    for difference in found.differences:
        run.say(f"DIFF {difference.venue} {difference.name} {difference.subject}: {difference.detail}")
    if found.score >= run.settings.config.reconcile.drift_pause:
        pause.latch_pause(run.home, run.journal, (str(Reason.DRIFT_PAUSE),), DOOR, limits_hash=run.settings.config_hash)
    _write_state(run, found)
    run.journal.publish()
    return _verdict(found)


def mend(run: Run, how: str, intent_id: str, reason: str, ack: str) -> Outcome:
    """Settle one quarantined intent by the operator's word; without the acknowledgement only say what it would do."""
    desk = _hands(run)[0].desk
    if ack != "I_UNDERSTAND":
        return Outcome(exit_codes.WARN, f"RECONCILE END — dry run: would {how} {intent_id}; add --ack I_UNDERSTAND")
    text = REPAIRS[how](desk, intent_id, reason)
    run.journal.publish()
    return Outcome(exit_codes.OK, f"RECONCILE END — {how}: {text}")


def main(argv: list[str] | None = None) -> int:
    """Parse and run; returns the exit code."""
    options = _parser().parse_args(argv)
    if options.repair is None:
        return run_door(DOOR, lambda run: compare(run, options.live), as_json=options.json)
    how, intent_id = options.repair
    if how not in REPAIRS:
        operator_args.refuse("reconcile.py", f"--repair {how}: unknown; use {' or '.join(REPAIRS)}")
    if not options.reason:
        operator_args.refuse("reconcile.py", "--repair needs --reason TEXT")
    return run_door(DOOR, lambda run: mend(run, how, intent_id, options.reason, options.ack), as_json=options.json)


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
            "differences": [f"{d.venue} {d.name} {d.subject}: {d.detail}" for d in found.differences],
        }  # fmt: skip

    try:
        store.update(run.home, "reconcile", change, DOOR)
    except StateCorrupt:
        store.write(run.home, "reconcile", change(None), DOOR)


def _verdict(found: reconcile.Result) -> Outcome:
    document = {
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
        "--repair", nargs=2, metavar=("adopt|disown", "INTENT_ID"), help="settle one quarantined intent"
    )
    parser.add_argument("--reason", type=operator_args.reason, help="why, for the journal")
    parser.add_argument("--ack", default="", help="I_UNDERSTAND; without it --repair is a dry run")
    parser.add_argument("--live", action="store_true", help="in LIVE: protect what its bookings left without a stop")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
