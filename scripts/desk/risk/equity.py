"""What an account is worth, by the journal and the prices of now. Pure; owns the Account type.

Per venue and quote currency. Value = quote balance by the journal + positions and dust at their best bid. Equity is
that value with deposits, withdrawals and adopted balances taken out, so that a transfer is neither gain nor loss. One
missing price makes both unknown: an unpriced position is never worth nothing.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from desk.base.money import ZERO
from desk.journal.state import Capital, Fold, Intent, is_open, key


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One venue and quote currency, in quote currency.

    Attributes:
        opened: the opening balances are in the journal (INITIAL_CAPITAL).
        value: what it is worth now; None while a price is missing.
        equity: value with outside flows taken out: what losses are measured on.
        exposure: positions, dust left out, at their bid, and what open entries may still buy; None as `value`.
        free_quote: quote balance not promised to open entries.
        marked: the journal has marked this account before; without it there is no peak and no day.
        missing: `venue:symbol` of what has no price.
    """

    venue: str
    quote: str
    opened: bool
    value: Decimal | None
    equity: Decimal | None
    exposure: Decimal | None
    free_quote: Decimal
    marked: bool
    last_equity: Decimal
    day_open: Decimal
    day: str
    peak: Decimal
    missing: tuple[str, ...] = ()

    @property
    def base(self) -> Decimal | None:
        """What caps and sizes are a fraction of: the smaller of value and equity, None when unknown or not above 0."""
        if self.value is None or self.equity is None:
            return None
        least = min(self.value, self.equity)
        return least if self.opened and least > ZERO else None


def accounts(
    fold: Fold, intents: Mapping[str, Intent], marks: Mapping[str, Decimal], quotes: Mapping[str, str]
) -> dict[str, Account]:
    """Every venue and quote currency of the universe and the journal, by `venue:quote`.

    Args:
        intents: orders that may still trade.
        marks: `venue:symbol` -> best bid.
        quotes: `venue:symbol` -> quote currency.
    """
    names = {key(name.partition(":")[0], quote) for name, quote in quotes.items()} | fold.portfolio.capital.keys()
    return {name: _account(name, fold, intents.values(), marks, quotes) for name in sorted(names)}


def promised(intents: Iterable[Intent], venue: str, quote: str) -> Decimal:
    """Quote currency that entries may still spend: open ones, unbooked fills, and not-found ones of the last hour."""
    total = ZERO
    for intent in intents:
        if intent.kind == "ENTRY" and (intent.venue, intent.quote) == (venue, quote):
            may_trade = is_open(intent) or intent.state == "NOT_FOUND" or bool(intent.anomaly)
            most = intent.quantity if may_trade else intent.executed
            total += max(most - intent.filled, ZERO) * intent.price
    return total


def _account(
    name: str, fold: Fold, intents: Iterable[Intent], marks: Mapping[str, Decimal], quotes: Mapping[str, str]
) -> Account:
    venue, _, quote = name.partition(":")
    known = fold.portfolio.capital.get(name)
    capital = known or Capital()
    balance = fold.portfolio.balances.get(venue, {}).get(quote, ZERO)
    held = {n: p.quantity for n, p in fold.positions.positions.items() if _belongs(n, venue, quote, quotes)}
    dust = {n: d.quantity for n, d in fold.positions.dust.items() if _belongs(n, venue, quote, quotes)}
    needed = {n for table in (held, dust) for n, quantity in table.items() if quantity}
    missing = tuple(sorted(needed - marks.keys()))
    reserved = promised(intents, venue, quote)
    value = exposure = None
    if not missing and venue in fold.portfolio.opening:
        in_positions = _worth(held, marks)
        value = balance + in_positions + _worth(dust, marks)
        exposure = in_positions + reserved
    return Account(
        venue=venue, quote=quote, opened=venue in fold.portfolio.opening, value=value,
        equity=None if value is None else value - capital.flows, exposure=exposure, free_quote=balance - reserved,
        marked=known is not None and bool(capital.day), last_equity=capital.equity, day_open=capital.day_open,
        day=capital.day, peak=capital.peak, missing=missing,
    )  # fmt: skip


def _belongs(name: str, venue: str, quote: str, quotes: Mapping[str, str]) -> bool:
    """True for holdings of this account."""
    return name.partition(":")[0] == venue and quotes.get(name) == quote


def _worth(quantities: Mapping[str, Decimal], marks: Mapping[str, Decimal]) -> Decimal:
    return sum((quantity * marks[name] for name, quantity in quantities.items() if quantity), ZERO)
