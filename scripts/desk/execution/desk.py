"""One tick's working table: the run, the accounts orders go to, and the journal step every room here uses.

Owns the order of "durable first, network second": `commit` writes one group with whatever the tick has noted before it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from desk.base import clock
from desk.base.errors import InvariantError
from desk.base.reasons import Reason
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.state import Fold, Intent, is_open, is_unsettled
from desk.risk.facts import Facts
from desk.runtime.tick import Run
from desk.venues.protocol import (
    Balance,
    OrderListReport,
    OrderListRequest,
    OrderReport,
    OrderRequest,
    SymbolRules,
    Trade,
    VenueClient,
)
from desk.venues.table import Purpose


class Account(Protocol):
    """The part of a venue client that orders need; the paper broker and the real clients both offer it."""

    def balances(self) -> dict[str, Balance]: ...
    def ready(self, purpose: Purpose = Purpose.ENTRY) -> AbstractContextManager[None]: ...
    def place_order(
        self,
        request: OrderRequest,
        timestamp_ms: int,
        *,
        purpose: Purpose = Purpose.ENTRY,
        before_send: Callable[[], None] | None = None,
    ) -> OrderReport: ...
    def get_order(self, symbol: str, client_order_id: str) -> OrderReport | None: ...
    def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]: ...
    def orders_since(self, symbol: str, since_ms: int) -> tuple[OrderReport, ...]: ...
    def my_trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]: ...
    def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport: ...
    def place_order_list(
        self,
        request: OrderListRequest,
        timestamp_ms: int,
        *,
        purpose: Purpose = Purpose.ENTRY,
        before_send: Callable[[], None] | None = None,
    ) -> OrderListReport: ...
    def get_order_list(self, list_client_order_id: str) -> OrderListReport | None: ...
    def cancel_order_list(self, symbol: str, list_client_order_id: str) -> OrderListReport: ...


class Desk(msgspec.Struct):
    """Everything one cycle holds.

    Attributes:
        account_of: venue -> the account its orders go to (paper books in PAPER).
        rules_of: venue and symbol -> trading rules, for a door that gathers no facts.
        refreshed: symbols whose rules were asked for again in this tick, after a refusal.
        market_of: venue -> the real exchange's client, for rules that changed under us; None = they are not asked for.
        offset_ms: venue -> exchange time minus ours.
        sends: False when nothing may be sent (LIVE without --live, DRY_RUN, SAFE_MODE); the door says so.
    """

    run: Run
    account_of: Callable[[str], Account]
    rules_of: Callable[[str, str], SymbolRules | None] | None = None
    facts: Facts | None = None
    offset_ms: dict[str, int] = msgspec.field(default_factory=dict)
    sends: bool = True
    orders_sent: int = 0
    entries_sent: int = 0
    market_of: Callable[[str], VenueClient] | None = None
    refreshed: set[str] = msgspec.field(default_factory=set)  # venue:symbol, asked for again
    _known: Fold | None = None

    def fold(self) -> Fold:
        """The folded state as this process last wrote or read it; every commit looks at the tail anew."""
        if self._known is None:
            self._known = self.run.journal.read_fold()
        return self._known

    def look_again(self) -> None:
        """Fold to the journal's tail: another door may have booked since."""
        self._known = self.run.journal.read_fold()

    def commit(self, decide: Callable[[Fold], Sequence[NewEvent]]) -> Fold:
        """Append what `decide` wants as one durable group, noted stages first; nothing wanted, nothing written."""

        def whole(fold: Fold) -> Sequence[NewEvent]:
            wanted = decide(fold)
            return [*self.run.take_buffered(), *wanted] if wanted else []

        self._known, _ = self.run.journal.transact(whole)
        return self._known

    def commit_events(self, *events: NewEvent) -> Fold:
        """Append events that need no look at the fold."""
        return self.commit(lambda fold: events)

    def alert(self, reason: Reason, text: str, subject: str = "", venue: str = "", symbol: str = "") -> None:
        """Log and journal an alert unless the very same one already stands."""
        new = check.alert(reason, text, subject, venue, symbol)
        self.run.warn(reason.severity, f"{reason.alias or reason}: {text} -> {reason.action}")

        def unless_standing(fold: Fold) -> list[NewEvent]:
            standing = fold.portfolio.alerts.get(new.data["fingerprint"])
            return [] if standing is not None and standing.text == text else [new]

        self.commit(unless_standing)

    def exchange_ms(self, venue: str) -> int:
        """The exchange's time now: ours plus the measured offset."""
        return clock.now_ms() + self.offset_ms.get(venue, 0)

    def rules(self, venue: str, symbol: str) -> SymbolRules | None:
        """The symbol's trading rules as gathered this tick; a door without facts asks for them.

        Raises:
            VenueError: they had to be asked for, and the exchange does not answer.
        """
        if self.facts is None:
            if self.rules_of is None:
                raise InvariantError("rules asked for before SNAPSHOT")
            return self.rules_of(venue, symbol)
        found = self.facts.symbol(venue, symbol)
        return found.rules if found is not None else None


def open_intents(fold: Fold, venue: str = "", symbol: str = "") -> list[tuple[str, Intent]]:
    """Client id and intent of every order that may still trade or whose fills are not all booked."""
    return [
        (name, intent)
        for name, intent in fold.intents.intents.items()
        if (is_open(intent) or is_unsettled(intent))
        and (not venue or intent.venue == venue)
        and (not symbol or intent.symbol == symbol)
    ]
