#!/usr/bin/env python3
"""Heartbeat: every health check, one line each; trading apart; the last line says Overall. Owns the table and its order.

Beside judging it does what the clock does to breakers, puts missing control files in place, latches PAUSE and the kill
switch for causes that ask for it, and writes the system mode. Exit 0 OK, 1 WARNING, 2 CRITICAL: health only. In a
folder of the other mode it judges by the rules of SYSTEM_MODE and writes nothing of them down.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

from typing import Final

import msgspec

from desk.health import act, gather, merge, publish
from desk.health.checks import books, breakers, clocks, cron, host, locks, positions, prices
from desk.health.result import Cause, Status, worsened
from desk.runtime.tick import Outcome, Run

DOOR: Final = "heartbeat"
CHECKS: Final[dict[str, merge.Check]] = {
    "kill_switch": locks.kill_switch,
    "system_mode": locks.system_mode,
    "ntp_sync": clocks.ntp_sync,
    "circuit_breakers": breakers.circuit_breakers,
    "cron_health": cron.cron_health,
    "market_data": prices.market_data,
    "positions": positions.positions,
    "exposure": positions.exposure,
    "flash_crash": prices.flash_crash,
    "reconcile": books.reconcile,
    "journal": books.journal,
    "disk": host.disk,
    "intents": positions.intents,
    "rate_budget": host.rate_budget,
    "config": host.config,
}
LATCHES: Final = ("kill_switch", "system_mode")  # judged last: what the others find may engage or latch
CLOCK_TIMEOUT_S: Final = 8  # for one exchange's clock; a silent one must not cost the others their check
LOUD: Final = {Status.WARNING: "WARN", Status.CRITICAL: "CRIT", Status.UNKNOWN: "CRIT"}


def beat(run: Run) -> Outcome:
    """One heartbeat, in order: prepare, look, judge, act, write down, say."""
    fold, look = gather.journal_look(run.journal)
    observes_only = merge.is_mismatched(fold, run.settings.mode)
    problems = _prepare(run, observes_only)
    measured = {venue: _clock(run, venue) for venue in run.settings.venues}
    fold, look = gather.journal_look(run.journal)
    if not observes_only:
        look = act.restore_reserve(run.settings, look)
    facts = gather.gather(run.settings, fold, look, measured)
    results = merge.run({n: c for n, c in CHECKS.items() if n not in LATCHES}, facts, run.log.error)
    mode, seen = publish.previous(run.home, fold)
    if not observes_only:
        problems += act.latch(run.settings, run.journal, results.values(), merge.signals(results.values()))
    facts, mode = _with_mode(run, facts, results, mode)
    results |= merge.run({name: CHECKS[name] for name in LATCHES}, facts, run.log.error)
    results = {name: results[name] for name in CHECKS}
    results["journal"] = worsened(results["journal"], [Cause(reason=None, text=line) for line in problems])
    if not observes_only:
        facts, mode = _write_down(run, facts, results, mode, seen)
    return _say(run, facts, results)


def _prepare(run: Run, observes_only: bool) -> tuple[str, ...]:
    """Missing files, hand edits, the breakers' clock. A folder nobody has stamped gets the stamp of SYSTEM_MODE."""
    if observes_only:
        return ()
    fold, _ = gather.journal_look(run.journal)
    if fold is not None and not fold.seq:
        run.journal.ctx = msgspec.structs.replace(run.journal.ctx, mode=str(run.settings.mode))
    return (
        *act.settle_latches(run.settings, run.journal),
        *act.step_breakers(run.settings, run.journal, run.log.line),
    )
