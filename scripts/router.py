"""The router: one trading cycle. Owns the order of the stages; the rooms know how.

One tick is one cycle under the order lease (design 4). Exit 0: completed and nothing it wanted was blocked; 1:
something was blocked; 2: failed; 3: another holds the lease; 124: deadline.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import json
import sys
from collections.abc import Callable
from typing import Final

from clients import clients_of
from desk.base import clock, exit_codes
from desk.base.errors import JournalError, StateError
from desk.base.paths import find_home
from desk.base.reasons import Reason
from desk.execution import cycle
from desk.execution.cycle import Cycle
from desk.execution.trouble import latched
from desk.runtime import operator_args
from desk.runtime.lease import order_lease
from desk.runtime.run_log import tell
from desk.runtime.tick import Outcome, Run, run_door
from desk.state import store
from policy_engine import evaluate

DOOR: Final = "router"
STAGES: Final = (
    ("RECOVER", cycle.recover),  # unknown and open orders are looked up before anything else
    ("SNAPSHOT", cycle.snapshot),  # one frozen Facts, each datum with its own age
    ("MANAGE", cycle.manage),  # exits first, always
    ("PROPOSE", cycle.propose),  # the signals inbox, then the strategies
    ("POLICY", cycle.judge),  # every gate in order; the first denial wins
    ("EXECUTE", cycle.execute),  # durable intent, last check, bytes, classify
    ("SETTLE", cycle.settle),  # fills, and protection in the same tick
    ("PUBLISH", cycle.publish),  # projections, marks, the run record
)
UNBOUNDED: Final = frozenset({"SETTLE", "PUBLISH"})  # a late tick still protects what it bought, and says so
STALE_CODES: Final = frozenset({str(Reason.DATA_STALE), str(Reason.DATA_INVALID_BID), str(Reason.DATA_MISSING)})


def run_cycle(run: Run, live: bool, dry_run: bool) -> Outcome:
    """One cycle under the order lease, stage by stage."""
    with order_lease(run.home, DOOR), latched(run):
        state = Cycle.begin(run, evaluate, clients_of(run), live=live, dry_run=dry_run)
        try:
            for name, stage in STAGES:
                run.stage(name, is_bounded=name not in UNBOUNDED)
                stage(state)
        except (JournalError, StateError):  # nothing may be placed without them: PAUSE is latched, what rests stays
            state.owes_care = False
            raise
        finally:
            cycle.guard(state)
        return state.outcome()


def main(argv: list[str] | None = None) -> int:
    """Parse, run one cycle or a bounded loop; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        return _loop(options) if options.loop else _once(options)
    except KeyboardInterrupt:  # safe at any instant, as the end of the process is; the next tick finds what was begun
        verdict = "ROUTER END — stopped by hand; what was under way is looked up by the next tick"
        tell(json.dumps({"verdict": verdict, "exit_code": exit_codes.WARN}) if options.json else verdict)
        return exit_codes.WARN


def _once(options: argparse.Namespace) -> int:
    return run_door(DOOR, lambda run: run_cycle(run, options.live, options.dry_run), as_json=options.json)


def _loop(options: argparse.Namespace) -> int:
    """Cycles with a pause between them; stops at a failure, or when old prices blocked several in a row."""
    worst, stale = exit_codes.OK, 0
    for number in range(options.max_cycles):
        if number:
            clock.pause_s(options.cycle_seconds)
        code = _once(options)
        worst = max(worst, code)
        stale = stale + 1 if code == exit_codes.WARN and _was_stale() else 0
        if code == exit_codes.FAIL or stale >= options.stale_cycles_max:
            break
    return worst


def _was_stale() -> bool:
    """The last cycle was blocked by old or invalid prices (from its own run record)."""
    record = store.read(find_home(), "runs", script=DOOR) or {}
    return bool(STALE_CODES & set(record.get("blockedBy", [])))


def _parser() -> operator_args.OneLineParser:
    parser = operator_args.OneLineParser(prog="router.py", description="One trading cycle.")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--once", action="store_true", help="one cycle (the default)")
    kind.add_argument("--loop", action="store_true", help="cycles until --max-cycles")
    parser.add_argument("--cycle-seconds", type=_whole(1, 3600), default=60, help="pause between cycles of a loop")
    parser.add_argument("--max-cycles", type=_whole(1, 1_000_000), default=60, help="cycles of a loop")
    parser.add_argument(
        "--stale-cycles-max", type=_whole(1, 1000), default=3, help="stop a loop after so many stale cycles"
    )
    parser.add_argument("--dry-run", action="store_true", help="decide and say, send nothing")
    parser.add_argument("--live", action="store_true", help="needed in LIVE to send anything")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
