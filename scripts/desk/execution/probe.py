"""The half-open probe of a venue's order breaker, when no exit or cancel is due (rules.md, Circuit breakers).

LIVE proves the order path with order/test; PAPER, whose orders never leave this host, with a harmless read. Owns when
to probe and with what; the breaker itself grants the one lease.
"""

from desk.base.money import divide
from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.execution import quantise
from desk.execution.accounts import Accounts
from desk.execution.desk import Desk
from desk.risk.facts import Facts
from desk.venues.outcome import VenueError
from desk.venues.protocol import OrderRequest, OrderType, Side

NOTIONAL_MULTIPLE = 2  # of the minimum notional: far from its edge


def probe_half_open(desk: Desk, facts: Facts, accounts: Accounts) -> None:
    """Probe every listed venue whose order breaker is half open; a failure reopens it and is only logged."""
    for venue, found in sorted(facts.venues.items()):
        if found.breakers is None or found.breakers.orders != "half_open":
            continue
        try:
            accounts.market_of(venue).probe_orders(_harmless(desk, facts, venue))
            desk.run.say(f"PROBE {venue} orders: answered")
        except VenueError as error:
            desk.run.log.error(error.line(), venue, "probe", error.reason or str(Reason.BREAKER_PROBING))


def _harmless(desk: Desk, facts: Facts, venue: str) -> OrderRequest | None:
    """In LIVE, a small resting buy that order/test checks and never places; None where nothing is known."""
    if desk.run.settings.mode is Mode.PAPER:
        return None
    for found in facts.symbols.values():
        if found.venue == venue and found.rules is not None and found.best_bid is not None:
            price = quantise.price_down(found.rules, found.best_bid)
            wanted = divide(found.rules.notional_min * NOTIONAL_MULTIPLE, price)
            quantity = max(quantise.quantity_down(found.rules, wanted), found.rules.quantity_min)
            return OrderRequest(
                client_order_id="probe", symbol=found.symbol, side=Side.BUY, type=OrderType.LIMIT,
                quantity=quantity, price=price,
            )  # fmt: skip
    return None
