"""The exchange of PAPER mode: real books in, orders, trades and balances out. Owns opening and the passage of books.

Every client of a venue trades on one paper account whose truth stands in `state/paper_broker.json`
(`paper_store`), written before an answer is given. Filters, locks, fees, slippage, partial and conservative fills
and lost answers are those of an exchange. Never opens a socket, never sleeps: latency is only added to the times
it reports. The parts: `paper_books` shape, `paper_proof` conservation, `paper_ledger` balances, `paper_match`
fills, `paper_checks` filters, `paper_refusals` answers, `paper_faults` faults, `paper_client` the account.
"""

from collections.abc import Callable
from decimal import Decimal

from desk.base.errors import ConfigError, InvariantError
from desk.base.money import BPS, divide
from desk.base.paths import Home
from desk.config.load import Settings
from desk.config.mode import Mode
from desk.venues import paper_match as match
from desk.venues import paper_reports as reports
from desk.venues.paper_books import VenueBooks
from desk.venues.paper_client import Exchange, MarketOf, PaperClient, RulesOf
from desk.venues.paper_faults import PaperFaults
from desk.venues.paper_ledger import Terms
from desk.venues.paper_reports import PaperSnapshot
from desk.venues.paper_store import PaperStore
from desk.venues.protocol import Book, Trade


class PaperBroker:
    """The paper exchange of one home, for every venue.

    Args:
        rules: (venue, symbol) -> trading rules, None when unknown.
        market: (venue, symbol) -> the freshest real book, None when there is none; may use the network.
        faults: on demand, for tests and rehearsals.
    """

    def __init__(
        self, home: Home, settings: Settings, rules: RulesOf, market: MarketOf, faults: PaperFaults | None = None
    ) -> None:
        if settings.mode is not Mode.PAPER:
            raise InvariantError("the paper exchange is asked for outside PAPER mode")
        paper = settings.config.paper
        terms = Terms(
            fee_frac=divide(paper.fee_bps, BPS),
            slippage_frac=divide(paper.slippage_bps, BPS),
            latency_ms=paper.latency_ms,
        )
        self._store, self._settings = PaperStore(home), settings
        self._exchange = Exchange(self._store, terms, rules, market, faults or PaperFaults())

    def open(self, *, may_create: bool, venues: tuple[str, ...] | None = None) -> None:
        """Make sure every venue of the account has books, before the first order or balance.

        Args:
            may_create: the PAPER journal holds nothing beyond its genesis (for a venue added later: no opening
                balances of it). Missing books get `paper.starting_balance_quote` of each quote currency.

            venues: only these of the account's venues; None = all.

        Raises:
            StateError: books are missing and may not be created; the line names the way out.
            StateCorrupt: the file is corrupt or does not prove itself.
            ConfigError: no trading rules for any symbol of the universe.
        """
        openings = {venue: self._opening_of(venue) for venue in venues or self._settings.venues}
        self._store.open(openings, may_create=may_create)

    def client(self, venue: str) -> "PaperClient":
        """The account side of `protocol.VenueClient` for one venue."""
        return PaperClient(self._exchange, venue)

    def on_book(self, book: Book, now_ms: int) -> tuple[Trade, ...]:
        """Show a fresh real book to the venue's resting, late and stop orders.

        The same book shown again fills nothing twice; one older than the last that filled, or crossed, is ignored.

        Returns:
            The trades it made, oldest first.
        """
        if not self._store.read(book.venue).open_orders(book.symbol):
            return ()
        made: list[Trade] = []

        def change(books: VenueBooks) -> bool:
            first = books.next_trade_id
            changed = match.advance(books, book, self._exchange.terms, now_ms)
            made.extend(trade for trade in reports.trades(books.orders) if int(trade.trade_id) >= first)
            return changed

        self._store.change(book.venue, change, now_ms)
        return tuple(made)

    def books(self, venue: str) -> PaperSnapshot:
        """The exchange's own books, hidden orders included: what tests and reconcile's proof compare with."""
        return reports.snapshot(venue, self._store.read(venue))

    def _opening_of(self, venue: str) -> Callable[[], dict[str, Decimal]]:
        def ask() -> dict[str, Decimal]:
            found = [self._exchange.rules(venue, symbol) for symbol in self._settings.symbols]
            amount = self._settings.config.paper.starting_balance_quote
            opening = {rules.quote: amount for rules in found if rules is not None}
            if not opening:
                raise ConfigError(f"no trading rules of {venue} for any symbol", "UNIVERSE_SYMBOLS", "check its names")
            return opening

        return ask
