"""Balances and positions compared to the last digit, each difference with its cause or the word unknown. Pure.

A balance by the journal is: opening + flows from outside + fills - fees (in base, in quote, in a third asset such as
BNB or MX). What differs is traced to trades nobody booked, to orders of unknown outcome, to swept dust; what no trade
explains is a flow (deposit or withdrawal). Where trades explain a part only, or could not all be read, it is unknown.
"""

from decimal import Decimal

from desk.base.money import ZERO, text
from desk.execution.compare_trades import Stranger
from desk.execution.difference import Difference, Truth, balance_handle, order_handle, position_handle
from desk.journal import intent_table
from desk.journal.state import Fold, is_unsettled, key

FLOW, FOREIGN, UNSETTLED = "balance:flow", "balance:foreign", "balance:unsettled"
DUST, UNKNOWN = "balance:dust", "balance:unknown"


def balances(fold: Fold, truth: Truth, strange: list[Stranger]) -> list[Difference]:
    """Every asset whose total on the exchange is not the journal's."""
    found = []
    books = fold.portfolio.balances.get(truth.venue, {})
    causes = _causes(fold, truth, strange)
    for asset in sorted(books.keys() | truth.balances.keys()):
        there, here = total(truth, asset), books.get(asset, ZERO)
        if here != there:
            name, why, handle = causes.of(asset, there - here)
            detail = f"exchange {text(there)}, journal {text(here)}, difference {text(there - here)}: {why}"
            found.append(
                Difference(
                    kind="balances", name=name, venue=truth.venue, subject=asset, detail=detail, handle=handle,
                    amount=there - here,
                )
            )  # fmt: skip
    return found


def positions(fold: Fold, truth: Truth) -> list[Difference]:
    """Positions and dust must be what fills did to each base asset, and the exchange must hold them.

    The owner's own coins (opening balances, flows) are not ours to sell: they do not stand in for a position.
    """
    found, venue, portfolio = [], truth.venue, fold.portfolio
    held, symbols = _held(fold, venue)
    for base, quantity in sorted(held.items()):
        aside = portfolio.aside.get(key(venue, base), ZERO)
        owners = sum((t.get(venue, {}).get(base, ZERO) for t in (portfolio.opening, portfolio.flows)), aside)
        moved = portfolio.balances.get(venue, {}).get(base, ZERO) - owners
        if moved != quantity:
            detail = f"positions {text(quantity)}, fills {text(moved)}"
            found.append(_position("position", venue, base, detail, position_handle(venue, symbols[base])))
        there = total(truth, base)
        short = quantity - max(min(there, there - owners), ZERO)
        if short > ZERO:
            detail = f"positions {text(quantity)}, exchange {text(there)}, of it the owner's {text(max(owners, ZERO))}"
            handle = position_handle(venue, symbols[base])
            found.append(_position("position_not_held", venue, base, detail, handle, short))
    return found


def statement(fold: Fold, venue: str, found: tuple[Difference, ...]) -> dict[str, dict[str, str]]:
    """How each asset's balance comes about: opening + flows + trades - fees = journal, and what the exchange says."""
    portfolio = fold.portfolio
    off = {d.subject: d.amount for d in found if d.kind == "balances" and d.venue == venue}
    rows = {}
    books = portfolio.balances.get(venue, {})
    for asset in sorted(books.keys() | off.keys()):
        here = books.get(asset, ZERO)
        opening, flows = (t.get(venue, {}).get(asset, ZERO) for t in (portfolio.opening, portfolio.flows))
        fees = portfolio.fees.get(key(venue, asset), ZERO)
        amounts = {
            "opening": opening, "flows": flows, "trades": here - opening - flows + fees, "fees": fees, "journal": here,
            "exchange": here + off.get(asset, ZERO),
        }  # fmt: skip
        rows[asset] = {name: text(amount) for name, amount in amounts.items()}
    return rows


def total(truth: Truth, asset: str) -> Decimal:
    """Free and locked on the exchange."""
    balance = truth.balances.get(asset)
    return balance.free + balance.locked if balance is not None else ZERO


class _Causes:
    """What may explain a balance, by asset."""

    def __init__(self, fold: Fold, truth: Truth) -> None:
        self.venue, self.whole = truth.venue, truth.whole
        self.traded: dict[str, Decimal] = {}  # by trades nobody booked
        self.handles: dict[str, str] = {}
        self.blind = False  # a trade whose assets are not known
        self.unsettled: dict[str, str] = {}
        self.dust = {d.base: (n, d.quantity) for n, d in fold.positions.dust.items() if n.startswith(truth.venue + ":")}

    def of(self, asset: str, amount: Decimal) -> tuple[str, str, str]:
        """(name, why, handle) of one difference."""
        by_hand, traded = balance_handle(self.venue, asset), self.traded.get(asset, ZERO)
        if traded and amount == traded:
            return FOREIGN, f"trades of {self.handles[asset]}", self.handles[asset]
        if asset in self.unsettled:
            return UNSETTLED, f"order {self.unsettled[asset]} is not settled", ""
        if traded or self.blind:
            return UNKNOWN, f"trades nobody booked explain {text(traded)} of it", by_hand
        name, quantity = self.dust.get(asset, ("", ZERO))
        if quantity and amount == -quantity:
            return DUST, "the dust is gone: swept, or converted", position_handle(*name.split(":", 1))
        if not self.whole:
            return UNKNOWN, "not every trade since the last reconcile can be listed any more", by_hand
        return FLOW, f"no trade explains it: {'a deposit' if amount > ZERO else 'a withdrawal'}", by_hand


def _causes(fold: Fold, truth: Truth, strange: list[Stranger]) -> _Causes:
    found = _Causes(fold, truth)
    for one in strange:
        effects = one.effects(truth)
        found.blind = found.blind or effects is None
        for asset, amount in (effects or {}).items():
            found.traded[asset] = found.traded.get(asset, ZERO) + amount
            found.handles.setdefault(asset, order_handle(truth.venue, one.symbol, one.order_id))
    for name, intent in fold.intents.intents.items():
        is_waiting = intent.state == intent_table.SENT_UNKNOWN or is_unsettled(intent) or bool(intent.anomaly)
        if is_waiting and intent.venue == truth.venue:
            found.unsettled |= dict.fromkeys((intent.base, intent.quote), name)
    return found


def _held(fold: Fold, venue: str) -> tuple[dict[str, Decimal], dict[str, str]]:
    """Positions and dust by base asset, and a symbol of each."""
    held: dict[str, Decimal] = {}
    symbols: dict[str, str] = {}
    for table in (fold.positions.positions, fold.positions.dust):
        for name, one in table.items():
            where, _, symbol = name.partition(":")
            if where == venue:
                held[one.base] = held.get(one.base, ZERO) + one.quantity
                symbols.setdefault(one.base, symbol)
    return held, symbols


def _position(name: str, venue: str, base: str, detail: str, handle: str, amount: Decimal = ZERO) -> Difference:
    return Difference(
        kind="positions", name=name, venue=venue, subject=base, detail=detail, handle=handle, amount=amount
    )
