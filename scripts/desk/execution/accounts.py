"""Whose books an order meets: the paper exchange in PAPER, the real one in LIVE. Owns that choice and nothing else.

Market data always comes from the real venue's client; in PAPER the paper exchange is fed with the books this tick read.
"""

from collections.abc import Callable

import msgspec

from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.execution.desk import Account, Desk
from desk.journal.state import Fold, key
from desk.risk import arming, facts_files, latch_file, latches
from desk.risk.arming import Action
from desk.risk.facts import Facts
from desk.runtime.tick import Run
from desk.venues import clock_sync
from desk.venues.outcome import VenueError
from desk.venues.paper import PaperBroker
from desk.venues.protocol import Book, SymbolRules, VenueClient

Clients = Callable[[str], VenueClient]


class Accounts(msgspec.Struct):
    """The accounts of one cycle."""

    run: Run
    market_of: Clients
    facts: Facts | None = None
    _broker: PaperBroker | None = None
    _asked: dict[str, SymbolRules | None] = msgspec.field(default_factory=dict)

    def account_of(self, venue: str) -> Account:
        """Where orders of a venue go.

        Raises:
            StateError: the paper books are missing beside a journal that is not empty.
        """
        if self.run.settings.mode is Mode.LIVE:
            return self.market_of(venue)
        return self.broker().client(venue)

    def broker(self) -> PaperBroker:
        """The paper exchange of this home."""
        if self._broker is None:
            self._broker = PaperBroker(self.run.home, self.run.settings, self.rules, self._book)
        return self._broker

    def open(self) -> tuple[str, ...]:
        """Paper books exist before the first order or balance; new ones only beside a journal without opening balances.

        Returns:
            The venues whose account can be used. A new one whose rules cannot be read now waits for the next tick.

        Raises:
            StateError: the paper books are missing, corrupt, or not ours to create; the line names the way out.
        """
        if self.run.settings.mode is not Mode.PAPER:
            return self.run.settings.venues
        opening = self.run.journal.read_fold().portfolio.opening
        usable = tuple(v for v in self.run.settings.venues if v in opening or self.facts is None or self._has_rules(v))
        return tuple(venue for venue in usable if self._opened(venue, may_create=venue not in opening))

    def _opened(self, venue: str, *, may_create: bool) -> bool:
        """False when the venue would not tell the rules that new books need."""
        try:
            self.broker().open(may_create=may_create, venues=(venue,))
        except VenueError as error:
            self.run.warn("WARN", f"{venue}: no account yet: {error.line()}")
            return False
        return True

    def take(self, desk: Desk, facts: Facts) -> tuple[str, ...]:
        """What was just gathered, for the desk and its accounts: rules, prices and the exchanges' clock offsets.

        Returns:
            The venues whose account can be used, as `open`.
        """
        desk.facts = self.facts = facts
        usable = self.open()
        for venue in usable:
            seen = facts.venue(venue)
            if seen is not None and seen.clock is not None:
                desk.offset_ms[venue] = seen.clock.offset_ms
        return usable

    def feed(self, desk: Desk, venues: tuple[str, ...]) -> None:
        """Paper orders that rest meet this tick's books."""
        if self.run.settings.mode is Mode.LIVE or desk.facts is None:
            return
        for _, found in sorted(desk.facts.symbols.items()):
            if found.venue in venues and found.book is not None and found.best_bid is not None:
                self.broker().on_book(found.book, self.run.tick_ms)

    def known_offsets(self, desk: Desk) -> None:
        """The exchanges' clock offsets as last measured, for what must be timed before SNAPSHOT measures anew."""
        for venue in self.run.settings.venues:
            found = clock_sync.stored(self.run.home, venue)
            desk.offset_ms[venue] = found.offset_ms if found is not None else 0

    def _has_rules(self, venue: str) -> bool:
        symbols = self.facts.symbols.values() if self.facts is not None else ()
        return any(found.venue == venue and found.rules is not None for found in symbols)

    def rules(self, venue: str, symbol: str) -> SymbolRules | None:
        """From this cycle's facts; a door without facts asks the exchange once."""
        name = key(venue, symbol)
        found = self.facts.symbols.get(name) if self.facts is not None else None
        if found is not None:
            return found.rules
        if name not in self._asked:
            self._asked[name] = self.market_of(venue).filters((symbol,)).get(symbol)
        return self._asked[name]

    def _book(self, venue: str, symbol: str) -> Book | None:
        found = self.facts.symbols.get(key(venue, symbol)) if self.facts is not None else None
        return found.book if found is not None else None


def why_not(run: Run, fold: Fold, live: bool, dry_run: bool) -> str:
    """The operator's own "send nothing" (design 6): the reason code, empty when orders may be sent.

    Read once, as the tick begins: a baseline held meanwhile stops entries at once, and never an exit half way.
    """
    found = facts_files.arming(run.settings, fold, live=live, dry_run=dry_run)
    return str(next(iter(arming.unmet(found, Action.EXIT, is_live=run.settings.mode is Mode.LIVE)), ""))


def exit_block(desk: Desk) -> str:
    """The last check of an exit, at the moment of writing: FREEZE_ALL, read anew. Nothing else stops an exit (P4)."""
    found = latches.effective(desk.run.home, desk.fold(), desk.run.settings)
    return str(Reason.FREEZE_ALL) if found.frozen else ""


def entry_block(desk: Desk) -> str:
    """The last check of an entry, at the moment of writing: latches and arming, read anew from their files."""
    found = latches.effective(desk.run.home, desk.fold(), desk.run.settings)
    if found.frozen:
        return str(Reason.FREEZE_ALL)
    if found.kill.active:
        return str(Reason.KILL_SWITCH)
    if found.pause.state != latch_file.NORMAL:
        return str(Reason.MODE_PAUSE)
    settings = desk.run.settings
    armed = facts_files.arming(settings, desk.fold(), live=True, dry_run=False)  # a desk that sends has passed those
    return str(next(iter(arming.unmet(armed, Action.ENTRY, is_live=settings.mode is Mode.LIVE)), ""))
