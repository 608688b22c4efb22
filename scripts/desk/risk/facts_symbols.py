"""The part of the facts about each symbol: rules, candles, books, polls. Asks the exchange; one failing symbol, or one
failing read, leaves the others as they are.

Rules are read from `filters_<venue>.json` while younger than a day; candles are fetched each cycle; books last of all,
so that they are young when the gates look. Writes `filters_<venue>.json` and the polls, where the door may.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from desk.base import clock
from desk.base.errors import StateError, WorldError
from desk.base.paths import Home
from desk.config.schema import Config
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import key
from desk.risk import facts_polls, market
from desk.risk.facts import OtherMid, Poll, SymbolFacts
from desk.risk.facts_streams import Streams
from desk.runtime.tick import Run
from desk.state import registry, store
from desk.venues import filters
from desk.venues.protocol import Bar, Book, SymbolRules, VenueClient

SECONDS_PER_MINUTE: Final = 60
TRADING: Final = "TRADING"
T = TypeVar("T")


class Gathering(msgspec.Struct):
    """What one cycle has read so far of every symbol, by `venue:symbol`; `absent` are those no exchange knows."""

    run: Run
    limits: Config
    found: dict[str, SymbolFacts] = msgspec.field(default_factory=dict)
    absent: set[str] = msgspec.field(default_factory=set)
    streams: Streams | None = None  # none: REST alone
    invalid_bids: int = 0

    def add(self, name: str, **values: object) -> None:
        """Note what was read."""
        self.found[name] = msgspec.structs.replace(self.found[name], **values)

    def may_ask_rest(self, name: str) -> bool:
        """REST may be asked for this symbol; where it may not, the streams' silence is said."""
        if self.streams is None or self.streams.may_ask_rest(self.found[name].venue):
            return True
        self.fail(name, "stream", "nothing usable is streamed, and WS_MARKET_DATA_REST_FALLBACK is off")
        return False

    def fail(self, name: str, what: str, line: str) -> None:
        """Note what could not be read."""
        venue, _, symbol = name.partition(":")
        self.run.log.error(line, venue, f"{symbol} {what}", "snapshot")
        self.add(name, problems=(*self.found[name].problems, f"{what}: {line}"))


def rules_of(work: Gathering, venue: str, symbols: Sequence[str], client: VenueClient | None) -> None:
    """Trading rules of a venue's symbols, from the file while it is young and every symbol trades, else from the
    exchange."""
    known, written_ms = _stored_rules(work.run.home, venue)
    stale_s = registry.row("filters").stale_after_s
    is_young = 0 <= clock.now_ms() - written_ms <= stale_s * 1000
    is_whole = all(symbol in known and known[symbol].status == TRADING for symbol in symbols)  # a halt is asked about
    if client is not None and not (is_young and is_whole):
        fetched = _attempt(work, [key(venue, s) for s in symbols], "filters", lambda: client.filters(tuple(symbols)))
        if fetched is not None:
            _keep_rules(work.run, venue, known, fetched, "STALE")
            known, written_ms = fetched, clock.now_ms()
            work.absent |= {key(venue, symbol) for symbol in symbols if symbol not in fetched}
    for symbol in symbols:
        work.add(key(venue, symbol), rules=known.get(symbol), rules_ms=written_ms)


def refresh_rules(run: Run, client: VenueClient, venue: str, symbol: str, cause: str) -> SymbolRules | None:
    """One symbol's rules, asked for anew because an order met others; the file and the journal learn of a change.

    Returns:
        None when the exchange does not list the symbol any more.

    Raises:
        VenueError: it does not answer.
    """
    known, _ = _stored_rules(run.home, venue)
    fetched = client.filters((symbol,))
    _keep_rules(run, venue, known, {n: rules for n, rules in known.items() if n != symbol} | fetched, cause)
    return fetched.get(symbol)


def bars_of(work: Gathering, name: str, client: VenueClient, offset_ms: int) -> None:
    """Candles enough for the strategies and the volatility window, the open one last."""
    limits = work.limits
    interval_s = limits.market_data.bar_interval_s
    minutes = max(limits.entries.volatility_window_min, limits.entries.flash_crash_window_min)
    wanted = max(limits.market_data.bars_wanted, minutes * SECONDS_PER_MINUTE // interval_s + 2)
    symbol = work.found[name].symbol
    bars: tuple[Bar, ...] | None = None
    if work.streams is not None:
        bars = work.streams.bars(work.found[name].venue, symbol, offset_ms, interval_s, wanted)
    if bars is None and work.may_ask_rest(name):
        bars = _attempt(work, [name], "klines", lambda: client.klines(symbol, interval_s, wanted))
    now_ms = clock.now_ms() + offset_ms
    work.add(name, bars=bars or (), bars_now_ms=now_ms, interval_s=interval_s)


def book_of(work: Gathering, name: str, client: VenueClient) -> None:
    """This cycle's book; a best bid that cannot be used is counted."""
    symbol, depth = work.found[name].symbol, work.limits.market_data.book_depth
    book: Book | None = work.streams.book(work.found[name].venue, symbol) if work.streams is not None else None
    if book is None and work.may_ask_rest(name):
        book = _attempt(work, [name], "book", lambda: client.book(symbol, depth))
    if book is None:
        return
    if market.bid_problem(book):
        work.invalid_bids += 1
    work.add(name, book=book, book_ms=book.as_of_ms)


def finish(work: Gathering) -> None:
    """Other venues' mids, polls with their outliers held, marks; the polls are written."""
    mids = {name: mid for name, found in work.found.items() if (mid := found.mid) is not None}
    for venue in sorted({found.venue for found in work.found.values()}):
        own = {found.symbol: found for found in work.found.values() if found.venue == venue}
        before = facts_polls.earlier(work.run.home, venue, clock.now_ms())
        newest = facts_polls.newest(work.run.home, venue)
        fresh = {}
        for symbol, found in sorted(own.items()):
            others = _other_mids(work, found, mids)
            polls = _polls(found, before.get(symbol, ()), others, work.limits)
            if found.best_bid is not None:
                fresh[symbol] = polls
            mark = _mark(found, polls, newest.get(symbol), work.limits)
            work.add(key(venue, symbol), polls=polls, other_mids=others, mark_bid=mark)
        _note(work.run, venue, fresh)


def _attempt(work: Gathering, names: Sequence[str], what: str, ask: Callable[[], T]) -> T | None:
    """One read for one or several symbols; whatever goes wrong stays with them."""
    try:
        return ask()
    except WorldError as error:
        line = error.line()
    except Exception as error:  # noqa: BLE001 - one broad except per isolated item loop (style A.8.5)
        line = f"bug: {type(error).__name__}: {error}"
    for name in names:
        work.fail(name, what, line)
    return None


def _polls(
    found: SymbolFacts, before: tuple[Poll, ...], others: tuple[OtherMid, ...], limits: Config
) -> tuple[Poll, ...]:
    """Earlier polls and this cycle's; without a usable book only the earlier ones."""
    bid, ask = found.best_bid, found.best_ask
    if bid is None or ask is None:
        return before
    earlier = tuple(poll for poll in before if poll.at_ms < found.book_ms)
    now = Poll(at_ms=found.book_ms, bid=bid, ask=ask)
    confirmations = [other.mid for other in others] + market.last_traded(found)
    held = market.is_outlier(now, earlier, confirmations, limits.market_data)
    return (*earlier, msgspec.structs.replace(now, held=held))[-facts_polls.POLLS_KEPT :]


def _other_mids(work: Gathering, found: SymbolFacts, mids: Mapping[str, Decimal]) -> tuple[OtherMid, ...]:
    return tuple(
        OtherMid(venue=other.venue, mid=mids[name], at_ms=other.book_ms)
        for name, other in sorted(work.found.items())
        if other.symbol == found.symbol and other.venue != found.venue and name in mids
    )


def _mark(found: SymbolFacts, polls: tuple[Poll, ...], newest: Poll | None, limits: Config) -> Decimal | None:
    """The bid to value a position at: a jump not confirmed and anything older than `marking_age_max_s` do not count."""
    oldest_ms, now_ms = clock.now_ms() - limits.market_data.marking_age_max_s * 1000, clock.now_ms()
    stored = [newest] if newest is not None and not (polls and polls[-1].held) else []
    usable = [p for p in (*polls, *stored) if not p.held and oldest_ms <= p.at_ms <= now_ms]
    return max(usable, key=lambda poll: poll.at_ms).bid if usable else None


def _stored_rules(home: Home, venue: str) -> tuple[dict[str, SymbolRules], int]:
    try:
        doc = store.read(home, "filters", venue=venue) or {}
        return filters.from_doc(doc), clock.parse_iso(doc["written_at"])
    except (StateError, ValueError, KeyError, TypeError, OverflowError):
        return {}, 0


def _keep_rules(
    run: Run, venue: str, old: Mapping[str, SymbolRules], new: Mapping[str, SymbolRules], cause: str
) -> None:
    """Journal rules that changed and write the file, where this door may."""
    if run.door not in registry.row("filters").writers:
        return
    both = old.keys() & new.keys()
    before, after = ({name: side[name] for name in both} for side in (old, new))
    if before != after:
        data = {"old": filters.hash_of(before), "new": filters.hash_of(after), "cause": cause}
        run.note(NewEvent(event=Event.FILTERS_REFRESHED, data=data, venue=venue))
    doc = filters.to_doc(venue, new, clock.now_ms())
    try:
        store.write(run.home, "filters", doc, run.door, venue=venue)
    except WorldError as error:
        run.log.line("WARN", f"filters not written: {error.line()}")


def _note(run: Run, venue: str, polls: Mapping[str, tuple[Poll, ...]]) -> None:
    try:
        facts_polls.note(run.home, venue, run.door, polls)
    except WorldError as error:
        run.log.line("WARN", f"polls not written: {error.line()}")
