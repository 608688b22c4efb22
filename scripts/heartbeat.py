#!/usr/bin/env python3
"""Heartbeat: every health check, one line each; trading apart; the last line says Overall. Owns the table and order.

Beside judging it does what the clock does to breakers, puts missing control files in place, latches PAUSE and the kill
switch for causes that ask for it, and writes the system mode. Exit 0 OK, 1 WARNING, 2 CRITICAL: health only. In a
folder of the other mode it judges by the rules of SYSTEM_MODE and writes nothing of them down.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import sys
from importlib import import_module
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import WorldError
from desk.base.reasons import Reason
from desk.health import act, announce, gather, merge, publish
from desk.health.checks import books, breakers, clocks, cron, host, locks, positions, prices, streams
from desk.health.facts import ClockLook, HealthFacts, ModeLook
from desk.health.result import Cause, CheckResult, Status, worsened
from desk.risk import system_mode
from desk.risk.system_mode import ModeState
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door
from desk.venues import table
from desk.venues.protocol import TimeProbe

DOOR: Final = "heartbeat"
CHECKS: Final[dict[str, merge.Check]] = {
    "kill_switch": locks.kill_switch,
    "system_mode": locks.system_mode,
    "ntp_sync": clocks.ntp_sync,
    "circuit_breakers": breakers.circuit_breakers,
    "cron_health": cron.cron_health,
    "market_data": prices.market_data,
    "websocket": streams.websocket,
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
    looks = gather.file_looks(run.home, run.settings.venues)
    fold, _ = gather.journal_look(run.journal)
    observes_only = merge.is_mismatched(fold, str(run.settings.mode))
    problems = _prepare(run, observes_only)
    measured = {venue: _clock(run, venue) for venue in run.settings.venues}
    fold, look = gather.journal_look(run.journal)
    if not observes_only:
        look = act.restore_reserve(run.settings, look)
    facts = gather.gather(run.settings, fold, look, measured, looks)
    results = merge.run({n: c for n, c in CHECKS.items() if n not in LATCHES}, facts, _reporter(run))
    mode, seen = publish.previous(run.home, fold)
    if not observes_only:
        problems += act.engage(run.settings, run.journal, facts, results.values())
        problems += act.latch(run.settings, run.journal, merge.signals(results.values()))
    facts, mode = _with_mode(run, facts, results, mode)
    results |= merge.run({name: CHECKS[name] for name in LATCHES}, facts, _reporter(run))
    results = {name: results[name] for name in CHECKS}
    results["journal"] = worsened(results["journal"], [Cause(reason=None, text=line) for line in problems])
    if not observes_only:
        _write_down(run, facts, results, mode, seen)
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


def _clock(run: Run, venue: str) -> ClockLook:
    """The exchange's clock, raw: `server_time` of its client is for measuring and touches no breaker."""
    row = table.VENUES.get(venue)
    if row is None:
        return ClockLook(skew_ms=None, problem="no client for this venue")

    def probe() -> TimeProbe:
        found: TimeProbe = client.server_time()
        return found

    try:
        client: Any = import_module(row.door).make_client(run.settings, script=DOOR, log=run.log.line)
    except (WorldError, ImportError) as error:
        return ClockLook(skew_ms=None, problem=" ".join(str(error).split()))
    client.caller.guard.deadline_s = min(run.deadline_s, clock.monotonic_s() + CLOCK_TIMEOUT_S)
    return gather.clock_look(run.settings, venue, probe)


def _with_mode(
    run: Run, facts: HealthFacts, results: dict[str, CheckResult], before: ModeState
) -> tuple[HealthFacts, ModeState]:
    """The latches as they stand now, and the mode that follows from them and every signal."""
    facts = msgspec.structs.replace(facts, **gather.with_latches(facts, run.settings))
    assert facts.pause is not None
    active = merge.signals(results.values())
    mode = system_mode.next_mode(before, active, facts.pause, facts.now_ms, facts.limits.health)
    look = ModeLook(mode=mode.mode, reasons=mode.reasons, since_ms=mode.since_ms)
    return msgspec.structs.replace(facts, system=look), mode


def _write_down(
    run: Run, facts: HealthFacts, results: dict[str, CheckResult], mode: ModeState, seen: tuple[str, ...]
) -> None:
    """The journal first, then the files; what could not be written worsens the journal's own line."""
    found = results.values()
    current = announce.alerts(found, facts.is_live)
    not_ok = {name: str(result.status) for name, result in results.items() if result.status is not Status.OK}
    overall = merge.overall(found, facts.is_live)
    failed = act.write_down(run.journal, current, seen, overall, mode, not_ok)
    if merge.signals([worsened(results["journal"], failed)]) - merge.signals(found):
        act.latch(run.settings, run.journal, frozenset({str(Reason.AUDIT_UNWRITABLE)}))
    results["journal"] = worsened(results["journal"], failed)
    problems = publish.write(
        run.home, facts, results, mode, merge.overall(results.values(), facts.is_live),
        merge.trading(facts, results.values()), merge.codes(results.values()), current,
    )  # fmt: skip
    lost = [Cause(reason=Reason.STATE_UNWRITABLE, text=line, status=facts.unknown) for line in problems]
    results["journal"] = worsened(results["journal"], lost)


def _say(run: Run, facts: HealthFacts, results: dict[str, CheckResult]) -> Outcome:
    """One line per check, the trading line, and the verdict for the frame to print last."""
    for result in results.values():
        _line(run, LOUD.get(result.status, "INFO"), result.line())
    word, unmet = merge.trading(facts, results.values())
    _line(run, "INFO", f"trading: {word} {', '.join(unmet)}".rstrip())
    overall = merge.overall(results.values(), facts.is_live)
    run.counts |= {"overall": str(overall), "trading": word}
    document: dict[str, Any] = {
        "overall": str(overall), "trading": word, "trading_codes": list(unmet), "judged_as": facts.mode,
        "system_mode": facts.system.mode if facts.system is not None else None,
        "checks": {name: _document(result) for name, result in results.items()},
    }  # fmt: skip
    return Outcome(merge.EXIT[overall], merge.verdict(list(results.values()), facts.is_live), document)


def _document(result: CheckResult) -> dict[str, Any]:
    return {
        "status": str(result.status), "detail": result.detail, "signals": list(result.signals),
        "codes": list(result.codes), "data": result.data,
    }  # fmt: skip


def _reporter(run: Run) -> merge.Report:
    """A check that raised, with its traceback, to errors.log."""
    return lambda name, line: run.log.error(line, path=name, code=str(Reason.CHECK_ERROR))


def _line(run: Run, level: str, text: str) -> None:
    """A line for the operator as it stands; loud ones also reach trading.log."""
    run.log.line(level, text)
    if not run.as_json:
        print(text)


def main(argv: list[str] | None = None) -> int:
    """Parse and run one heartbeat; returns the exit code."""
    parser = operator_args.OneLineParser(prog="heartbeat.py", description="Every health check, one line each.")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(argv)
    return run_door(DOOR, beat, as_json=options.json, any_mode=True)


if __name__ == "__main__":
    sys.exit(main())
