"""Reading one exchange's truth for a reconcile: standing orders, trades, balances. Books what is known; sends nothing.

Trades are read from a day back, or from where the last complete reconcile ended when that is longer ago, as far as
every venue lists them. A longer gap is said (`Truth.whole`): what happened in it cannot be told from a deposit.
"""

from typing import Final

from msgspec.structs import replace

from desk.base import clock
from desk.base.money import text
from desk.execution import fills, foreign, rebook
from desk.execution.compare_trades import strangers
from desk.execution.desk import Account, Desk
from desk.execution.difference import Truth
from desk.journal.chain import NewEvent
from desk.journal.state import Fold
from desk.venues.protocol import OrderReport, SymbolRules, Trade

TRADES_BACK_MS: Final = 86_400_000
TRADES_BACK_MAX_MS: Final = 29 * 86_400_000  # MEXC and BTCTurk list a month
GROUP_TRADES_MAX: Final = 200  # booked in one group
SLACK_MS: Final = 300_000  # a trade may be listed later than its time says
ORDER_BACK_MS: Final = 86_400_000  # an order that nobody knows is looked for this long before its first trade


def read(desk: Desk, venue: str) -> Truth:
    """Orders, trades and balances of one venue; trades of orders that are known are booked on the way.

    Raises:
        VenueError: something cannot be read whole.
    """
    account, fold = desk.account_of(venue), desk.fold()
    until_ms, instance = desk.exchange_ms(venue), desk.run.settings.instance
    since_ms, whole = window(fold, venue, until_ms)
    orders = _standing(account, desk, venue)
    symbols = sorted({*rebook.symbols(desk, venue), *foreign.symbols(fold, venue), *(o.symbol for o in orders)})
    trades = tuple(trade for symbol in symbols for trade in account.my_trades(symbol, since_ms))
    desk.look_again()  # what other doors wrote down before they sent it is known before its trades are judged
    book_ours(desk, venue, trades)
    seen = Truth(
        venue=venue, orders=orders, trades=trades, balances={}, since_ms=since_ms, whole=whole,
        symbols=frozenset(symbols), until_ms=until_ms, now_ms=clock.now_ms(),
    )  # fmt: skip
    unbooked = {(one.symbol, one.order_id): one.trades[0] for one in strangers(desk.fold(), seen, instance)}
    client_ids = _client_ids(account, orders, unbooked)
    rules = _rules(desk, venue, {symbol for symbol, _ in unbooked})
    seen = replace(seen, client_ids=client_ids, rules=rules, balances=account.balances(), now_ms=clock.now_ms())
    desk.look_again()
    foreign.book_settled(desk, seen)
    return seen


def window(fold: Fold, venue: str, now_ms: int) -> tuple[int, bool]:
    """Where trades are read from (exchange time), and whether that leaves no gap since the last complete read."""
    read_ms = fold.portfolio.truth_ms.get(venue, 0)
    wanted = min(now_ms - TRADES_BACK_MS, read_ms - SLACK_MS) if read_ms else now_ms - TRADES_BACK_MS
    since = max(wanted, now_ms - TRADES_BACK_MAX_MS)
    return since, since == wanted


def book_ours(desk: Desk, venue: str, trades: tuple[Trade, ...]) -> None:
    """FILLs for trades of orders the journal knows, in groups a journal takes; repeats are dropped by the journal."""
    fresh = [trade for _, trade in _unbooked(desk.fold(), venue, trades)]
    for start in range(0, len(fresh), GROUP_TRADES_MAX):
        part = tuple(fresh[start : start + GROUP_TRADES_MAX])
        desk.commit(lambda fold, part=part: [fill for fill, _ in _unbooked(fold, venue, part)])  # type: ignore[misc]
    for trade in fresh:
        desk.run.say(f"BOOKED {venue} {trade.symbol} trade {trade.trade_id}: {trade.side} {text(trade.quantity)}")


def _unbooked(fold: Fold, venue: str, trades: tuple[Trade, ...]) -> list[tuple[NewEvent, Trade]]:
    """The trades of our orders that the fold does not have, each with its FILL."""
    known = ((name, i) for name, i in fold.intents.intents.items() if i.order_id and i.venue == venue)
    by_exchange_id = {(i.symbol, i.order_id): name for name, i in known}  # exchanges number orders per symbol
    booked = {name: set(i.trade_ids) for name, i in fold.intents.intents.items() if i.venue == venue}
    found = []
    for trade in trades:
        name = trade.client_order_id or by_exchange_id.get((trade.symbol, trade.order_id), "")
        intent = fold.intents.intents.get(name)
        if intent is not None and trade.trade_id not in booked.get(name, ()):
            found.append((fills.fill_event(name, intent, trade), trade))
    return found


def _standing(account: Account, desk: Desk, venue: str) -> tuple[OrderReport, ...]:
    """Open orders; some venues list those of the universe only: the other symbols the journal knows are asked too."""
    found = {(order.symbol, order.order_id): order for order in account.open_orders()}
    known = {*rebook.symbols(desk, venue), *foreign.symbols(desk.fold(), venue)}
    for symbol in sorted(known - set(desk.run.settings.symbols)):
        found |= {(order.symbol, order.order_id): order for order in account.open_orders(symbol)}
    return tuple(found.values())


def _client_ids(
    account: Account, orders: tuple[OrderReport, ...], unbooked: dict[tuple[str, str], Trade]
) -> dict[tuple[str, str], str]:  # fmt: skip
    """Client order ids of the orders whose trades nobody booked and that do not say it themselves."""
    found = {(order.symbol, order.order_id): order.client_order_id for order in orders}
    asked = {place for place, trade in unbooked.items() if not trade.client_order_id and place not in found}
    for symbol in sorted({symbol for symbol, _ in asked}):
        first_ms = min(unbooked[place].time_ms for place in asked if place[0] == symbol)
        for order in account.orders_since(symbol, first_ms - ORDER_BACK_MS):
            found[symbol, order.order_id] = order.client_order_id
    return found


def _rules(desk: Desk, venue: str, unbooked: set[str]) -> dict[str, SymbolRules]:
    """Rules of what is held, and of what was traded past us."""
    fold = desk.fold()
    held = {p.symbol for p in fold.positions.positions.values() if p.venue == venue and p.quantity}
    found = {symbol: desk.rules(venue, symbol) for symbol in sorted(held | unbooked)}
    return {symbol: rules for symbol, rules in found.items() if rules is not None}
