"""One venue's paper account, answering like a venue client. Owns accepting, cancelling and listing.

The rules and the book are asked for before the books are locked (they may use the network); what is accepted is
durable before the answer is given, so a lost answer never loses an order.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec

from desk.base import clock
from desk.base.errors import InvariantError, LockBusy, WorldError
from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.venues import paper_checks as checks
from desk.venues import paper_ledger as ledger
from desk.venues import paper_match as match
from desk.venues import paper_refusals as refusals
from desk.venues import paper_reports as reports
from desk.venues.lacks import NoOrderLists
from desk.venues.outcome import VenueError
from desk.venues.paper_books import STOP_TYPES, Order, VenueBooks
from desk.venues.paper_faults import PaperFaults
from desk.venues.paper_ledger import Terms
from desk.venues.paper_match import Depth
from desk.venues.paper_refusals import Refusal, Refused
from desk.venues.paper_store import PaperStore
from desk.venues.protocol import Balance, Book, OrderReport, OrderRequest, OrderStatus, SymbolRules, Trade
from desk.venues.table import Purpose

RulesOf = Callable[[str, str], SymbolRules | None]
MarketOf = Callable[[str, str], Book | None]


class Exchange(msgspec.Struct, frozen=True):
    """What every paper client shares: the durable books, the costs, the real market, the faults on demand."""

    store: PaperStore
    terms: Terms
    rules: RulesOf
    market: MarketOf
    faults: PaperFaults = msgspec.field(default_factory=PaperFaults)


class PaperClient(NoOrderLists):
    """One venue's paper account; answers like a venue client and raises `VenueError` like one.

    Every method may also raise StateError or StateCorrupt: the paper books cannot be used, which is a PAUSE.
    """

    def __init__(self, exchange: Exchange, venue: str) -> None:
        self.venue = venue
        self._exchange = exchange

    def balances(self) -> dict[str, Balance]:
        """Every asset the account ever held."""
        return reports.balances(self._read())

    def ready(self, purpose: Purpose = Purpose.ENTRY) -> AbstractContextManager[None]:
        """As a real client's, and always: the paper exchange stands beside us."""
        return nullcontext()

    def place_order(
        self,
        request: OrderRequest,
        timestamp_ms: int,
        *,
        purpose: Purpose = Purpose.ENTRY,
        before_send: Callable[[], None] | None = None,
    ) -> OrderReport:
        """Accept, match and answer; durable before it answers.

        Args:
            timestamp_ms: the signed timestamp, kept with the order.
            purpose: as for a real client; the paper exchange treats all orders alike.
            before_send: the caller's last check; a WorldError raised there means not sent.

        Raises:
            VenueError: refused; not sent (no usable market, rules or lock: nothing happened); or unknown.
        """
        where = f"paper order {request.symbol}"
        if before_send is not None:
            try:
                before_send()
            except WorldError as error:
                raise refusals.not_sent(self.venue, where, error.what) from None
        faults = self._exchange.faults
        if faults.strikes("reject"):
            raise refusals.refused(self.venue, where, Refusal.ON_DEMAND, is_order=True)
        if faults.strikes("drop_before"):
            raise refusals.answer_lost(self.venue, where, "connection lost", is_order=True)
        report = self._accept(request, timestamp_ms, where)
        if faults.strikes("drop_after_accept"):
            raise refusals.answer_lost(self.venue, where, "connection lost", is_order=True)
        if faults.strikes("unknown_1007"):
            raise refusals.answer_lost(self.venue, where, "timeout waiting for response", is_order=True, code=-1007)
        return report

    def get_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """The newest listed order with this client id; None when there is none."""
        for order in reversed(self._listed(symbol)):
            if order.client_order_id == client_order_id:
                return reports.report(self.venue, order)
        return None

    def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        """Listed open orders, oldest first."""
        return tuple(reports.report(self.venue, order) for order in self._listed(symbol) if order.is_open)

    def orders_since(self, symbol: str | None, since_ms: int) -> tuple[OrderReport, ...]:
        """Listed orders accepted at or after a time, oldest first."""
        return tuple(reports.report(self.venue, order) for order in self._listed(symbol) if order.time_ms >= since_ms)

    def my_trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]:
        """Trades of listed orders at or after a time, oldest first."""
        return tuple(trade for trade in reports.trades(self._listed(symbol)) if trade.time_ms >= since_ms)

    def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Cancel an open order and free what it locks.

        Raises:
            VenueError: no such open order (query it: it may be filled), not sent, or unknown.
        """
        where, now_ms = f"paper cancel {symbol}", clock.now_ms()
        found: list[Order] = []

        def change(books: VenueBooks) -> bool:
            found.extend(o for o in books.open_orders(symbol) if o.client_order_id == client_order_id)
            if not found:
                raise Refused(Refusal.UNKNOWN_ORDER)
            ledger.finish(books, found[0], OrderStatus.CANCELED, now_ms, self._exchange.terms)
            return True

        self._change(change, now_ms, where, is_order=False)
        if self._exchange.faults.strikes("cancel_unknown"):
            raise refusals.answer_lost(self.venue, where, "connection lost", is_order=False)
        return reports.report(self.venue, found[0])

    def _accept(self, request: OrderRequest, timestamp_ms: int, where: str) -> OrderReport:
        rules, book = self._look(request, where)
        now_ms = clock.now_ms()
        accepted: list[Order] = []

        def change(books: VenueBooks) -> bool:
            checks.check_request(rules, request)
            depth = None if book is None else Depth(books, book)
            checks.check_market(rules, request, books, depth)
            order = self._new(rules, request, timestamp_ms, now_ms)
            ledger.accept(books, order, checks.lock_of(order, books, depth, self._exchange.terms))
            if order.working and not order.due_ms and depth is not None:
                fraction = self._exchange.faults.partial_fill_frac
                match.activate(books, order, depth, self._exchange.terms, now_ms, fraction)
            accepted.append(order)
            return True

        self._change(change, now_ms, where, is_order=True)
        return reports.report(self.venue, accepted[0])

    def _new(self, rules: SymbolRules, request: OrderRequest, timestamp_ms: int, now_ms: int) -> Order:
        faults = self._exchange.faults
        time_ms = now_ms + self._exchange.terms.latency_ms
        return Order(
            order_id=0, client_order_id=request.client_order_id, symbol=request.symbol, base=rules.base,
            quote=rules.quote, side=request.side, type=request.type, quantity=request.quantity,
            price=request.price or ZERO, stop_price=request.stop_price or ZERO, tick=rules.tick, step=rules.step,
            working=request.type not in STOP_TYPES, timestamp_ms=timestamp_ms, time_ms=time_ms, update_ms=time_ms,
            hidden_until_ms=now_ms + faults.listing_lag_ms if faults.listing_lag_ms else 0,
            due_ms=now_ms + faults.late_fill_ms if faults.late_fill_ms else 0,
            quote_fee_frac=ledger.quote_fee_frac(rules.venue, self._exchange.terms),
        )  # fmt: skip

    def _look(self, request: OrderRequest, where: str) -> tuple[SymbolRules, Book | None]:
        """Rules and a usable book, before any lock. Only a stop may do without a book: it waits for the next one."""
        try:
            rules = self._exchange.rules(self.venue, request.symbol)
            book = self._exchange.market(self.venue, request.symbol)
        except VenueError as error:
            raise refusals.not_sent(self.venue, where, f"market not seen: {error.what}") from None
        if rules is None:
            raise refusals.not_sent(self.venue, where, str(Reason.SYMBOL_UNKNOWN))
        if book is not None and (book.venue, book.symbol) != (self.venue, request.symbol):
            raise InvariantError(f"a book of {book.venue} {book.symbol} for an order of {self.venue} {request.symbol}")
        if book is not None and match.is_crossed(book):
            book = None
        if book is None and request.type not in STOP_TYPES:
            raise refusals.not_sent(self.venue, where, str(Reason.DATA_MISSING))
        return rules, book

    def _change(self, change: Callable[[VenueBooks], bool], now_ms: int, where: str, *, is_order: bool) -> None:
        try:
            self._exchange.store.change(self.venue, change, now_ms)
        except Refused as no:
            raise refusals.refused(self.venue, where, no.refusal, is_order=is_order) from None
        except LockBusy:
            raise refusals.not_sent(self.venue, where, "paper books busy") from None

    def _read(self) -> VenueBooks:
        return self._exchange.store.read(self.venue)

    def _listed(self, symbol: str | None) -> list[Order]:
        now_ms = clock.now_ms()
        return [
            order for order in self._read().orders if symbol in (None, order.symbol) and order.hidden_until_ms <= now_ms
        ]
