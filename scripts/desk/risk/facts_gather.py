"""SNAPSHOT: reads state files and asks the exchanges, and freezes the result (design 4.3). Decides nothing.

What is missing or stale is fetched over REST: clock, rules, candles each cycle, the book always. Every failure stays
with its symbol or file and leaves a None there; a corrupt file is never taken for a missing one's harmless default.
"""

from collections.abc import Callable

import msgspec

from desk.base import clock
from desk.base.errors import WorldError
from desk.config.schema import Config
from desk.journal.state import Fold, is_open, is_unsettled
from desk.risk import facts_files, facts_symbols, facts_venues, latches, limits_overlay
from desk.risk.facts import ClockFact, Facts, LatchView, SymbolFacts, ledger_of
from desk.risk.facts_streams import Streams
from desk.risk.facts_symbols import Gathering
from desk.runtime.tick import Run
from desk.venues.protocol import VenueClient

Clients = Callable[[str], VenueClient]


def gather(
    run: Run, client_for: Clients, fold: Fold | None, *, live: bool = False, dry_run: bool = False,
    journal_problem: str = "",
) -> Facts:  # fmt: skip
    """Everything this cycle's decisions are judged by.

    Args:
        client_for: venue -> client.
        fold: the folded journal; None when it cannot be read (`journal_problem` says why), and nothing enters.
        live: --live on the door. dry_run: --dry-run on the door.
    """
    limits, limits_problem = limits_of(run)
    work = Gathering(run, limits, streams=Streams(run.home, limits, fold))
    clocks: dict[str, ClockFact | None] = {}
    clients: dict[str, VenueClient | None] = {}
    for venue, symbols in _wanted(run, fold).items():
        clients[venue], problems = _client(run, client_for, venue)
        for symbol in symbols:
            work.found[f"{venue}:{symbol}"] = SymbolFacts(venue=venue, symbol=symbol, problems=problems)
        clocks[venue] = facts_venues.clock_fact(run, limits, venue, clients[venue])
        _read_symbols(work, venue, symbols, clients[venue], clocks[venue])
    for name, found in work.found.items():
        client = clients[found.venue]
        if client is not None and name not in work.absent:
            facts_symbols.book_of(work, name, client)
    facts_symbols.finish(work)
    run.counts["invalid_best_bid_count"] = run.counts.get("invalid_best_bid_count", 0) + work.invalid_bids
    seen = of_files(run, fold, live=live, dry_run=dry_run, journal_problem=journal_problem)
    return msgspec.structs.replace(
        seen, limits=limits, limits_problem=limits_problem,
        venues={name: facts_venues.venue_facts(run, limits, name, measured) for name, measured in clocks.items()},
        symbols=work.found, ledger=ledger_of(fold, work.found, seen.now_ms) if fold is not None else None,
        invalid_bids=work.invalid_bids,
    )  # fmt: skip


def of_files(
    run: Run, fold: Fold | None, *, live: bool = False, dry_run: bool = False, journal_problem: str = ""
) -> Facts:
    """What the files of this host say now, no exchange asked: mode, arming, latches, limits, status, journal."""
    limits, limits_problem = limits_of(run)
    return Facts(
        now_ms=clock.now_ms(), tick_ms=run.tick_ms, mode=str(run.settings.mode),
        stamp=fold.portfolio.mode if fold is not None else None,
        arming=facts_files.arming(run.settings, fold, live=live, dry_run=dry_run),
        latches=latches.effective(run.home, fold, run.settings), limits=limits, limits_problem=limits_problem,
        status=facts_files.status(run.home), reconciled=facts_files.reconciled(run.home),
        journal=facts_files.journal_health(run.home, fold, journal_problem), venues={}, symbols={}, ledger=None,
    )  # fmt: skip


def with_latches(facts: Facts, found: LatchView) -> Facts:
    """The same facts under latches read anew (after this cycle has engaged the kill switch)."""
    return msgspec.structs.replace(facts, latches=found)


def limits_of(run: Run) -> tuple[Config, str]:
    """The limits that count: the strictest of file, profile and overlay; and why entries must wait, "" for nothing."""
    overlay = limits_overlay.read(run.home)
    limits, problems = limits_overlay.effective_limits(run.settings, overlay, clock.now_ms())
    return limits, next((problem.detail for problem in problems if problem.blocks), "")


def _client(run: Run, client_for: Clients, venue: str) -> tuple[VenueClient | None, tuple[str, ...]]:
    """The venue's client, or None and why there is none."""
    try:
        return client_for(venue), ()
    except WorldError as error:
        run.log.error(error.line(), venue, "client", type(error).__name__)
        return None, (error.line(),)


def _wanted(run: Run, fold: Fold | None) -> dict[str, list[str]]:
    """Each listed venue's symbols: what we hold or have ordered first (exits need prices), then the universe."""
    wanted: dict[str, list[str]] = {}
    for venue in run.settings.venues:
        held: set[str] = set()
        if fold is not None:
            names = (*fold.positions.positions, *fold.positions.dust)
            held |= {name.partition(":")[2] for name in names if name.partition(":")[0] == venue}
            live = (i for i in fold.intents.intents.values() if is_open(i) or is_unsettled(i))
            held |= {intent.symbol for intent in live if intent.venue == venue}
        wanted[venue] = list(dict.fromkeys([*sorted(held), *run.settings.symbols]))
    return wanted


def _read_symbols(
    work: Gathering, venue: str, symbols: list[str], client: VenueClient | None, measured: ClockFact | None
) -> None:
    """Rules and candles of one venue's symbols."""
    facts_symbols.rules_of(work, venue, symbols, client)
    offset_ms = measured.offset_ms if measured is not None else 0
    for symbol in symbols:
        name = f"{venue}:{symbol}"
        if client is not None and name not in work.absent:
            facts_symbols.bars_of(work, name, client, offset_ms)
