"""Trades compared: what the exchange lists and nobody booked, and what was booked and the exchange does not list. Pure.

A trade is ours by its order's client id. One older than INITIAL_CAPITAL is history, in the opening balances already
(rules.md, exposure). Orders of ours whose trades all lie in the window are compared to the last digit.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from desk.base import ids
from desk.base.money import ZERO, text
from desk.execution.difference import Difference, Truth, order_handle
from desk.journal.state import Fold, Intent, foreign_key
from desk.venues.protocol import Side, Trade

LAG_MS: Final = 120_000  # an exchange may list a trade later than its order's answer tells it
SLACK_MS: Final = 60_000  # its clock may be behind ours


class Stranger(msgspec.Struct, kw_only=True):
    """Trades of one order that nobody here booked."""

    symbol: str
    order_id: str
    client_order_id: str
    side: str
    is_ours: bool
    trades: list[Trade]

    @property
    def quantity(self) -> Decimal:
        """Traded in all, in base."""
        return sum((trade.quantity for trade in self.trades), ZERO)

    def effects(self, truth: Truth) -> dict[str, Decimal] | None:
        """What the trades did to each asset; None where the symbol's assets are not known."""
        rules = truth.rules.get(self.symbol)
        if rules is None:
            return None
        moved: dict[str, Decimal] = {}
        for trade in self.trades:
            sign = 1 if trade.side is Side.BUY else -1
            paid = trade.quantity * trade.price
            for asset, amount in (
                (rules.base, sign * trade.quantity), (rules.quote, -sign * paid), (trade.fee_asset, -trade.fee)
            ):  # fmt: skip
                moved[asset] = moved.get(asset, ZERO) + amount
        return moved


def strangers(fold: Fold, truth: Truth, instance: str) -> list[Stranger]:
    """Orders with trades since INITIAL_CAPITAL that nobody here booked, in the order of their first trade."""
    opened_ms = fold.portfolio.opened_ms.get(truth.venue, 0)
    booked = {(i.symbol, t) for i in fold.intents.intents.values() if i.venue == truth.venue for t in i.trade_ids}
    settled = _settled(fold, truth.venue)
    found: dict[tuple[str, str], Stranger] = {}
    for trade in truth.trades:
        place = (trade.symbol, trade.order_id)
        if (trade.symbol, trade.trade_id) in booked or trade.time_ms <= opened_ms:
            continue
        if trade.trade_id in settled.get(place, ()):
            continue
        if place not in found:
            client_id = trade.client_order_id or truth.client_ids.get(place, "")
            found[place] = Stranger(
                symbol=trade.symbol, order_id=trade.order_id, client_order_id=client_id, side=str(trade.side),
                is_ours=ids.is_ours(client_id, instance), trades=[],
            )  # fmt: skip
        found[place].trades.append(trade)
    return list(found.values())


def differences(venue: str, strange: list[Stranger]) -> list[Difference]:
    """One difference for each order: `lost_trade` under our prefix, else `foreign_trade`."""
    found = []
    for one in strange:
        count = "" if len(one.trades) == 1 else f" in {len(one.trades)} trades"
        name = f" {one.client_order_id}" if one.client_order_id else ""
        found.append(
            Difference(
                kind="orders", name="lost_trade" if one.is_ours else "foreign_trade", venue=venue,
                subject=one.order_id, handle=order_handle(venue, one.symbol, one.order_id),
                detail=f"{one.symbol} {one.side} {text(one.quantity)}{count}{name}",
            )
        )  # fmt: skip
    return found


def ours(fold: Fold, truth: Truth) -> list[Difference]:
    """Orders of ours whose booked trades the exchange does not list, or lists with other numbers."""
    listed: dict[str, dict[str, Trade]] = {}
    for trade in truth.trades:
        listed.setdefault(trade.symbol, {})[trade.trade_id] = trade
    found = []
    for name, intent in fold.intents.intents.items():
        if not _is_in_window(intent, truth):
            continue
        there = listed.get(intent.symbol, {})
        missing = [trade_id for trade_id in intent.trade_ids if trade_id not in there]
        if missing:
            detail = f"{intent.symbol} trade {missing[0]} is booked here and not listed there"
            found.append(_diff("missing_trade", truth.venue, name, detail))
            continue
        wrong = _unequal(intent, [there[trade_id] for trade_id in intent.trade_ids])
        if wrong:
            found.append(_diff("fill_differs", truth.venue, name, wrong))
    return found


def _is_in_window(intent: Intent, truth: Truth) -> bool:
    begun_ms = intent.timestamp_ms or intent.created_ms
    is_listed = intent.venue == truth.venue and intent.symbol in truth.symbols and bool(intent.trade_ids)
    return is_listed and truth.since_ms + SLACK_MS <= begun_ms <= truth.now_ms - LAG_MS


def _unequal(intent: Intent, trades: list[Trade]) -> str:
    """Which sum is not the same to the last digit; "" when all are."""
    fees: dict[str, Decimal] = {}
    for trade in trades:
        fees[trade.fee_asset] = fees.get(trade.fee_asset, ZERO) + trade.fee
    quantity = sum((trade.quantity for trade in trades), ZERO)
    quote = sum((trade.quantity * trade.price for trade in trades), ZERO)
    for what, here, there in (
        (intent.base, intent.filled, quantity), (intent.quote, intent.filled_quote, quote),
        *((f"fee in {a}", intent.fees.get(a, ZERO), fees.get(a, ZERO)) for a in sorted(fees.keys() | intent.fees)),
    ):  # fmt: skip
        if here != there:
            return f"{what}: exchange {text(there)}, journal {text(here)}, difference {text(there - here)}"
    return ""


def _settled(fold: Fold, venue: str) -> Mapping[tuple[str, str], frozenset[str]]:
    """(symbol, order id) -> trades already booked of foreign orders the owner has spoken on."""
    found = {}
    for name, foreign in fold.portfolio.foreign.items():
        where, _, rest = name.partition(":")
        symbol, _, order_id = rest.partition(":")
        if where == venue and foreign.trade_ids:
            assert name == foreign_key(venue, symbol, order_id)
            found[symbol, order_id] = frozenset(foreign.trade_ids)
    return found


def _diff(name: str, venue: str, subject: str, detail: str) -> Difference:
    return Difference(kind="orders", name=name, venue=venue, subject=subject, detail=detail)
