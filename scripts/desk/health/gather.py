"""What heartbeat reads: journal, state files, host. Fills in `HealthFacts`; judges nothing, changes nothing.

Whatever cannot be read stays None or has its problem beside it, and the check of that subject says so. The clocks are
measured by the door (it has the clients) and handed in.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values

from desk.base import clock
from desk.base.errors import JournalError, StateError, WorldError
from desk.base.paths import CHECKOUT, Home
from desk.config import env
from desk.config.load import Settings
from desk.config.mode import VenueEnv
from desk.config.schema import Config
from desk.health import look_market, look_streams, schedule
from desk.health.facts import (
    ClockLook,
    EnvFile,
    FileLook,
    HealthFacts,
    JobLook,
    JournalLook,
    LeaseLook,
    ReconcileLook,
)
from desk.health.schedule import whole
from desk.journal import segment
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import breaker, environment_hold, facts_files, latches, limits_overlay
from desk.risk.facts import SymbolFacts, ledger_of
from desk.state import registry, store
from desk.venues import clock_sync, rate_budget
from desk.venues.protocol import TimeProbe
from desk.venues.table import VENUES

UPTIME: Final = Path("/proc/uptime")
LOOKED_AT: Final = (  # state files that no other look of this module would find corrupt
    "intents", "positions", "portfolio", "mode", "audit_head", "order_lease", "clock", "rate_budget", "system_status",
    "policy", "cron_health", "live_ok", "safe_mode",
)  # fmt: skip
LOOKED_AT_BY_VENUE: Final = ("streams", "user_data", "stream_control")
NOT_OURS: Final = frozenset({"STATE_DB_PATH", "LOG_LEVEL"})  # of the BTCTurk runbook: accepted, nothing depends on them
SECRET_ENDINGS: Final = ("_KEY", "_SECRET", "_TOKEN", "_PASSWORD")
PROBES: Final = 3  # looks at a clock; the one with the shortest trip counts
Doc = Mapping[str, Any]


def clock_look(settings: Settings, venue: str, probe: Callable[[], TimeProbe]) -> ClockLook:
    """One exchange's clock, raw: no breaker is asked or told, nothing is stored.

    Args:
        probe: asks the exchange once; raises WorldError when it does not answer.
    """
    best: TimeProbe | None = None
    for _ in range(1 if clock.is_simulated() else PROBES):
        try:
            found = probe()
        except (WorldError, ImportError) as error:
            if best is None:
                why = error.what if isinstance(error, WorldError) else f"no client ({error})"
                return ClockLook(skew_ms=None, problem=str(why) or type(error).__name__)
            break
        best = found if best is None or found.error_ms < best.error_ms else best
    assert best is not None
    stored = clock_sync.stored(settings.home, venue)
    is_fresh = stored is not None and stored.is_fresh(clock.now_ms(), settings.config.clock)
    offset_ms = stored.offset_ms if stored is not None and is_fresh else None
    return ClockLook(skew_ms=best.offset_ms, error_ms=best.error_ms, stored_offset_ms=offset_ms)


def journal_look(journal: Journal) -> tuple[Fold | None, JournalLook]:
    """The fold, or why there is none, and whether the next group can be written; writes nothing."""
    fold, damaged = None, ""
    try:
        fold = journal.read_fold()
    except JournalError as error:
        damaged = error.line()
    found = facts_files.journal_health(journal.home, fold, damaged)
    return fold, JournalLook(
        damaged=damaged, shrunk="JOURNAL_SHRUNK" in damaged, unwritable="" if found.writable else found.problem,
        reserve=found.reserve,
    )  # fmt: skip


def file_looks(home: Home, venues: Sequence[str]) -> dict[str, FileLook]:
    """State files no other look would find corrupt; taken first, for measuring a clock rewrites some of them."""
    found = {registry.row(key).file: _file(home, key) for key in LOOKED_AT}
    for key in LOOKED_AT_BY_VENUE:
        found |= {registry.row(key).file.format(venue=venue): _file(home, key, venue=venue) for venue in venues}
    return found


def gather(
    settings: Settings,
    fold: Fold | None,
    journal: JournalLook,
    clocks: Mapping[str, ClockLook],
    looks: Mapping[str, FileLook],
) -> HealthFacts:
    """Everything the checks of this heartbeat look at."""
    home = settings.home
    limits, limits_problem = _limits(settings)
    breakers = breaker.view(home, limits.breakers)
    market, market_problems = _market(settings, fold, limits)
    now_ms = clock.now_ms()
    known = _doc(home, "cron_health")
    held = latches.effective(home, fold, settings)
    jobs = tuple(_job(home, job, known) for job in schedule.rows(limits.schedule, settings.venues))
    install_ms, boot_ms = install_time_ms(home, known, now_ms), boot_time_ms(now_ms)
    return HealthFacts(
        now_ms=now_ms, mode=str(settings.mode), stamp=fold.portfolio.mode if fold is not None else None,
        venues=settings.venues, symbols=settings.symbols, limits=limits, limits_problem=limits_problem,
        config_hash=settings.config_hash, install_ms=install_ms, boot_ms=boot_ms,
        gap_end_ms=_gap_end_ms(limits, jobs, now_ms, max(install_ms, boot_ms), whole(known.get("gap_end_ms"))),
        fold=fold, journal=journal, kill=held.kill, kill_problem=_of(held.details, "kill_switch.json"),
        pause=held.pause, pause_problem=_of(held.details, "pause.json"), env_hold=environment_hold.find(home),
        arming=facts_files.arming(settings, fold, live=True, dry_run=False), clocks=clocks,
        breakers=breakers.entries, breakers_problem=_breakers_problem(breakers),
        rates={venue: _budget(home, venue) for venue in settings.venues}, market=market,
        market_problems=market_problems, streams=look_streams.looks(home, settings.venues, settings.symbols, limits),
        accounts=ledger_of(fold, market, now_ms).accounts if fold is not None else {}, reconciled=_reconciled(home),
        jobs=jobs, lease=_lease(home), disk_free_bytes=disk_free_bytes(home),
        paper_problem=_paper_problem(settings, fold),
        rest_errors_since_ms=whole(_doc(home, "system_status").get("rest_errors_since_ms")), files=looks,
        env_file=env_file(home, settings.venue_env),
    )  # fmt: skip


def with_latches(facts: HealthFacts, settings: Settings) -> dict[str, Any]:
    """The latch fields read anew, after this heartbeat has engaged or latched."""
    held = latches.effective(settings.home, facts.fold, settings)
    return {
        "kill": held.kill, "kill_problem": _of(held.details, "kill_switch.json"),
        "pause": held.pause, "pause_problem": _of(held.details, "pause.json"),
    }  # fmt: skip


def disk_free_bytes(home: Home) -> int | None:
    """Free space for state and journal, the smaller of the two; None when it cannot be measured."""
    try:
        found = [os.statvfs(folder) for folder in (home.state, home.logs)]
    except OSError:
        return None
    return min(one.f_bavail * one.f_frsize for one in found)


def boot_time_ms(now_ms: int) -> int:
    """When the host came up; 0 when unknown, or when a simulated clock rules (the host's life is not its)."""
    if clock.is_simulated():
        return 0
    try:
        seconds = UPTIME.read_text(encoding="ascii").partition(".")[0]
    except (OSError, UnicodeDecodeError):
        return 0
    return now_ms - 1000 * int(seconds) if seconds.isdecimal() else 0


def install_time_ms(home: Home, known: Doc, now_ms: int) -> int:
    """When the folder was stamped, by the journal's first line or what an earlier heartbeat noted; now when neither."""
    found = [at_ms for at_ms in (whole(known.get("install_ms")),) if 0 < at_ms <= now_ms]
    with suppress(JournalError, ValueError):
        line = segment.first_line(home.journal)
        if line is not None:
            found.append(min(clock.parse_iso(line.ts), now_ms))
    return min(found, default=now_ms)


def env_file(home: Home, venue_env: VenueEnv) -> EnvFile:
    """`.env` of the home, or of the checkout: names nobody reads, its mode. A simulator's keys are no secrets."""
    path = next((p for p in (home.root / ".env", CHECKOUT / ".env") if p.is_file()), None)
    if path is None:
        return EnvFile()
    try:
        values = dotenv_values(path, interpolate=False)
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        return EnvFile(problem=f".env cannot be read ({type(error).__name__})")
    secret = any(value and name.endswith(SECRET_ENDINGS) for name, value in values.items())
    return EnvFile(
        unknown=tuple(name for name in values if not is_known_name(name)), mode=mode,
        has_secrets=secret and venue_env is not VenueEnv.SIM,
    )  # fmt: skip


def is_known_name(name: str) -> bool:
    """Some part of the system reads this environment name, or a runbook of ours brings it along."""
    known = {*env.SETTINGS, *env.TRY_ALIASES, *env.SWITCHES, *NOT_OURS}
    venues = {"BTCTURK", *(venue.upper() for venue in VENUES)}
    return name in known or any(name == venue + suffix for venue in venues for suffix in env.VENUE_SUFFIXES)


def _limits(settings: Settings) -> tuple[Config, str]:
    """The limits that count; with an overlay that cannot be read they are the closed ones, and it is a problem."""
    overlay = limits_overlay.read(settings.home)
    limits, problems = limits_overlay.effective_limits(settings, overlay, clock.now_ms())
    return limits, next((problem.detail for problem in problems if problem.blocks), "")


def _file(home: Home, key: str, **names: str) -> FileLook:
    try:
        return FileLook(missing=store.read(home, key, **names) is None)
    except StateError as error:
        return FileLook(problem=error.line())


def _doc(home: Home, key: str, **names: str) -> Doc:
    with suppress(StateError):
        return store.read(home, key, **names) or {}
    return {}


def _of(details: tuple[str, ...], file: str) -> str:
    return next((detail for detail in details if file in detail), "")


def _breakers_problem(found: breaker.View) -> str:
    return found.problem or ("circuit_breakers.json is missing" if found.missing else "")


def _budget(home: Home, venue: str) -> rate_budget.Budget:
    """A venue's budget; without a limit told by the exchange, the table's."""
    budget = rate_budget.view(home, venue)
    row = VENUES.get(venue)
    if not budget.weight.limit and row is not None:
        budget.weight.limit = row.weight_limit
    return budget


def _market(settings: Settings, fold: Fold | None, limits: Config) -> tuple[dict[str, SymbolFacts], dict[str, str]]:
    """Stored prices of the universe and of what we hold; per venue, what is wrong with its files."""
    found: dict[str, SymbolFacts] = {}
    problems: dict[str, str] = {}
    for venue in settings.venues:
        held = [p.symbol for p in fold.positions.positions.values() if p.venue == venue] if fold is not None else []
        dust = [name.partition(":")[2] for name in fold.positions.dust if name.startswith(venue + ":")] if fold else []
        symbols = tuple(dict.fromkeys([*settings.symbols, *held, *dust]))
        looked, problem = look_market.look(settings.home, venue, symbols, limits)
        found |= looked
        if problem:
            problems[venue] = problem
    return found, problems


def _job(home: Home, job: JobLook, known: Doc) -> JobLook:
    """The row with what the job's own run record says."""
    seen = known.get("jobs")
    before = seen.get(job.door) if isinstance(seen, dict) else None
    known_ms = whole(before.get("last_run_ms")) if isinstance(before, dict) else 0
    try:
        record = store.read(home, "runs", script=job.door) or {}
        problem = ""
    except StateError as error:
        record, problem = {}, error.line()
    return JobLook(
        door=job.door, interval_s=job.interval_s, enabled=job.enabled, listed=job.listed,
        last_run_ms=schedule.last_run_ms(record, job.door, known_ms) if record else known_ms,
        last_success_ms=whole(record.get("lastSuccessAtMs")), last_busy_ms=whole(record.get("lastBusyAtMs")),
        last_duration_ms=whole(record.get("lastDurationMs")), problem=problem,
    )  # fmt: skip


def _gap_end_ms(limits: Config, jobs: tuple[JobLook, ...], now_ms: int, reference_ms: int, known_ms: int) -> int:
    own = next(job for job in jobs if job.door == "heartbeat")
    last_ms = own.last_run_ms if own.last_run_ms <= now_ms else 0
    intervals = limits.health.late_degrade_intervals
    return schedule.gap_end_ms(now_ms, last_ms, reference_ms, own.interval_ms, intervals, known_ms)


def _reconciled(home: Home) -> ReconcileLook | None:
    look = _file(home, "reconcile")
    if look.problem:
        return ReconcileLook(problem=look.problem)
    if look.missing:
        return None
    found = facts_files.reconciled(home)
    if found is None:
        return ReconcileLook(problem="reconcile.json does not say how the last reconcile ended")
    return ReconcileLook(last_success_ms=found.last_success_ms, clean=found.clean, score=found.score)


def _lease(home: Home) -> LeaseLook:
    doc = _doc(home, "order_lease")
    started_ms = 0
    with suppress(ValueError, TypeError, OverflowError):
        started_ms = clock.parse_iso(doc.get("started_at", ""))
    return LeaseLook(
        held=doc.get("held") is True, door=str(doc.get("door", "")), started_ms=started_ms,
        alive_ms=whole(doc.get("heartbeat_ms")),
    )  # fmt: skip


def _paper_problem(settings: Settings, fold: Fold | None) -> str:
    """The paper books: missing beside a PAPER journal that has opening balances, or corrupt."""
    if fold is None or fold.portfolio.mode != "PAPER" or not fold.portfolio.opening:
        return ""
    look = _file(settings.home, "paper_broker")
    return look.problem or ("paper_broker.json is missing beside a PAPER journal" if look.missing else "")
