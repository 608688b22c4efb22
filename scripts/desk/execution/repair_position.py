"""Positions that journal and exchange do not agree on: adopt, disown, close.

adopt: coins the exchange holds and no position of ours does become one, bought at the bid of now; the router's next
tick gives it its stop. disown: what the exchange does not hold leaves the position. close: sold by the normal exit
path, under the order lease. What comes or goes is taken out of equity at the bid of now.
"""

from decimal import Decimal

import msgspec

from desk.base import ids
from desk.base.errors import BadInput
from desk.base.money import ZERO, text
from desk.base.reasons import Reason
from desk.execution import flatten, foreign, quantise
from desk.execution.compare_money import FLOW, UNKNOWN, total
from desk.execution.difference import Difference
from desk.execution.intent import event
from desk.execution.operator_desk import Hands, Scope, refusal
from desk.execution.repair_plan import Ask, Plan, commit_if
from desk.journal.events import Event
from desk.journal.state import Fold, key
from desk.venues.outcome import VenueError
from desk.venues.protocol import Side, SymbolRules


class Market(msgspec.Struct, frozen=True):
    """The symbol's rules and its best bid now."""

    rules: SymbolRules
    bid: Decimal


def adopt(hands: Hands, ask: Ask) -> Plan:
    """The surplus of the base asset becomes (part of) the symbol's position; so do coins that a lost sale of ours still
    protects, though a lost journal counts them as the owner's.

    Raises:
        BadInput: there is no surplus, it is dust, or something comes first.
    """
    market = _market(hands, ask)
    fresh, booked = _surplus(ask, market.rules.base), _left_standing(hands, ask, market.rules.base)
    surplus = fresh + booked
    if surplus <= ZERO:
        raise BadInput("the exchange holds no more of it than the journal knows", ask.handle, "run reconcile.py")
    _no_foreign(hands, ask)
    if quantise.is_dust(market.rules, surplus, market.bid):
        hint = f"adopt {ask.venue}:{market.rules.base}:balance"
        raise BadInput(f"{text(surplus)} is too little to be sold", ask.handle, hint)
    desk, base, quote = hands.desk, market.rules.base, market.rules.quote
    here = _booked(desk.fold(), ask.venue, base)
    known = desk.fold().positions.positions.get(key(ask.venue, ask.symbol))
    name = ids.position_id(ask.venue, ask.symbol, f"adopted {desk.fold().seq}")
    data = {
        "position_id": known.position_id if known is not None else name, "base": base, "quote": quote,
        "quantity": text(surplus), "booked": text(booked), "price": text(market.bid), "reason": ask.reason,
        "by": ask.by,
    }  # fmt: skip

    def act() -> tuple[bool, str]:
        commit_if(
            desk,
            ask,
            lambda fold: _booked(fold, ask.venue, base) == here,
            [event(Event.POSITION_ADOPTED, ask.venue, ask.symbol, data)],
        )
        return True, f"{text(surplus)} {base} is a position; the router's next tick gives it its stop"

    line = f"would journal POSITION_ADOPTED {ask.venue}:{ask.symbol} {text(surplus)} {base} at {text(market.bid)}"
    return Plan((line,), act)


def disown(hands: Hands, ask: Ask) -> Plan:
    """What of position and dust the exchange does not hold is given up.

    Raises:
        BadInput: the exchange holds it, or something comes first.
    """
    market = _market(hands, ask)
    desk, base = hands.desk, market.rules.base
    found = ask.find("positions")
    swept = next((d for d in _differences(ask) if d.handle == ask.handle and d.kind == "balances"), None)
    short = found.amount if found is not None else -swept.amount if swept is not None else ZERO
    if short <= ZERO:
        raise BadInput("the exchange holds it", ask.handle, "orders.py flatten sells a position")
    _no_foreign(hands, ask)
    here = _booked(desk.fold(), ask.venue, base)
    booked = min(short, max(here - total(ask.truth, base), ZERO))
    value = (short - _eaten_by_fees(desk.fold(), ask.venue, base, short)) * market.bid
    data = {
        "base": base, "quote": market.rules.quote, "quantity": text(short), "booked": text(booked),
        "value": text(value), "reason": ask.reason, "by": ask.by,
    }  # fmt: skip

    def act() -> tuple[bool, str]:
        commit_if(
            desk,
            ask,
            lambda fold: _booked(fold, ask.venue, base) == here,
            [event(Event.POSITION_DISOWNED, ask.venue, ask.symbol, data)],
        )
        return True, f"{text(short)} {base} left the position, worth {text(value)} {market.rules.quote}"

    lines = [f"would journal POSITION_DISOWNED {ask.venue}:{ask.symbol} {text(short)} {base}"]
    lines.append(f"would take {text(value)} {market.rules.quote} out of equity: no loss of ours")
    return Plan(tuple(lines), act)


def close(hands: Hands, ask: Ask) -> Plan:
    """Adopt what the exchange holds beyond the journal, then sell the whole position at a bounded price.

    Raises:
        BadInput: nothing is held, or something comes first; acting, also: FREEZE_ALL.
    """
    market = _market(hands, ask)
    name = key(ask.venue, ask.symbol)
    known = hands.desk.fold().positions.positions.get(name)
    loose = _surplus(ask, market.rules.base) + _left_standing(hands, ask, market.rules.base)
    first = adopt(hands, ask) if loose > ZERO else None
    if first is None and (known is None or known.quantity <= ZERO):
        raise BadInput("is not held", ask.handle, "run reconcile.py")

    def act() -> tuple[bool, str]:
        refused = refusal(hands.run, hands.desk.fold())
        if refused:
            raise BadInput(f"REFUSED: {refused}", ask.handle, Reason.FREEZE_ALL.action)
        if first is not None:
            first.act()
        report = flatten.flatten(hands, Scope(ask.venue, ask.symbol), ask.reason)
        said = "; ".join(result.line() for result in report.results) or f"nothing held of {name}"
        return report.done, said if report.done else f"{said}; run it again"

    lines = first.lines if first is not None else ()
    return Plan((*lines, f"would cancel the protection of {name} and sell it at about {text(market.bid)}"), act)


def _market(hands: Hands, ask: Ask) -> Market:
    """Rules and bid, asked for now."""
    assert ask.truth is not None
    try:
        rules = hands.desk.rules(ask.venue, ask.symbol)
        book = hands.accounts.market_of(ask.venue).book(ask.symbol) if rules is not None else None
    except VenueError as error:
        raise BadInput(f"the exchange cannot be asked now: {error.line()}", ask.handle, "try again") from error
    if rules is None or book is None:
        raise BadInput("the exchange knows no such symbol", ask.handle, "check the handle")
    if not book.bids or book.bids[0].price <= ZERO:
        raise BadInput("has no bid now: it cannot be valued", ask.handle, "try again")
    return Market(rules, book.bids[0].price)


def _surplus(ask: Ask, base: str) -> Decimal:
    """What of the asset no trade explains and the exchange holds."""
    named = (
        d.amount for d in _differences(ask) if d.kind == "balances" and d.subject == base and d.name in {FLOW, UNKNOWN}
    )
    return max(next(named, ZERO), ZERO)


def _left_standing(hands: Hands, ask: Ask, base: str) -> Decimal:
    """What of the owner's coins standing sales under our prefix protect, that no journal knows any more (ADR 013)."""
    fold, instance = hands.desk.fold(), hands.run.settings.instance
    portfolio = fold.portfolio
    owners = sum((t.get(ask.venue, {}).get(base, ZERO) for t in (portfolio.opening, portfolio.flows)), ZERO)
    lost = (
        order.quantity - order.executed
        for order in ask.truth.orders
        if order.symbol == ask.symbol and order.side is Side.SELL and ids.is_ours(order.client_order_id, instance)
        and order.client_order_id not in fold.intents.intents
    )  # fmt: skip
    return max(min(sum(lost, ZERO), owners), ZERO)


def _differences(ask: Ask) -> tuple[Difference, ...]:
    return ask.seen.differences if ask.seen is not None else ()


def _no_foreign(hands: Hands, ask: Ask) -> None:
    """Foreign orders of the symbol say whose the coins are: they are settled first."""
    names = [n for n in foreign.unsettled(hands.desk.fold(), ask.venue) if n.split(":")[1] == ask.symbol]
    if names:
        where, symbol, order_id = names[0].split(":", 2)
        raise BadInput("foreign orders come first", ask.handle, f"--repair adopt {where}:{symbol}:order:{order_id}")


def _booked(fold: Fold, venue: str, asset: str) -> Decimal:
    return fold.portfolio.balances.get(venue, {}).get(asset, ZERO)


def _eaten_by_fees(fold: Fold, venue: str, base: str, short: Decimal) -> Decimal:
    """The part that fees of other trades took (BNB, MX): a cost, so it stays in equity as one."""
    portfolio = fold.portfolio
    owners = sum((t.get(venue, {}).get(base, ZERO) for t in (portfolio.opening, portfolio.flows)), ZERO)
    eaten = -portfolio.aside.get(key(venue, base), ZERO) - max(owners, ZERO)
    return min(short, max(eaten, ZERO))
