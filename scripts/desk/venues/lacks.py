"""What a venue lacks: order lists, key permissions by API. Every call says so before anything is sent. Owns no dialect.

Exits there are watched each tick, or one stop rests (rules: Exits and protection; ADR 004 for the paper exchange).
"""

from collections.abc import Callable
from typing import Any, Final

from desk.venues.outcome import Finding, Klass, VenueError
from desk.venues.protocol import KeyPermissions, OrderListReport, OrderListRequest

UNSUPPORTED: Final = "venue:unsupported"


def unsupported(venue: str, where: str, what: str, *, is_order: bool = False) -> VenueError:
    """Proof that nothing was sent: the exchange has no such thing."""
    finding = Finding(klass=Klass.NOT_SENT, reason=UNSUPPORTED, message=what)
    return VenueError(venue, where, finding, is_order=is_order, is_read=False)


class NoKeyPermissions:
    """What a client says whose exchange does not tell a key's rights: the operator has to look (protocol facts)."""

    venue: str

    def key_permissions(self) -> KeyPermissions:
        """Raises VenueError: the exchange does not tell; never reads as "no withdrawals"."""
        raise unsupported(self.venue, "key permissions", "cannot be read by API, check them at the exchange")


class NoOrderLists:
    """What a client without order lists answers."""

    venue: str

    def place_order_list(
        self, request: OrderListRequest, timestamp_ms: int, *, purpose: Any = None,
        before_send: Callable[[], None] | None = None,
    ) -> OrderListReport:  # fmt: skip
        """Raises VenueError: not sent, the exchange has no order lists."""
        raise unsupported(self.venue, f"place order list {request.kind}", "no order lists", is_order=True)

    def get_order_list(self, list_client_order_id: str) -> OrderListReport | None:
        """Raises VenueError: there is nowhere to look, so "none" would be no evidence."""
        raise unsupported(self.venue, "query order list", "no order lists")

    def open_order_lists(self) -> tuple[OrderListReport, ...]:
        """None, ever."""
        return ()

    def cancel_order_list(self, symbol: str, list_client_order_id: str) -> OrderListReport:
        """Raises VenueError: not sent, the exchange has no order lists."""
        raise unsupported(self.venue, f"cancel order list {symbol}", "no order lists")
