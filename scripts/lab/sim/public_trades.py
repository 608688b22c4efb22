"""The public tape: TRADES_PER_BAR evenly spaced trades per traded bar, derived from the path. Holds no state."""

from decimal import Decimal
from typing import NamedTuple

from lab.sim.candles import TRADES_PER_BAR
from lab.sim.decimals import down8
from lab.sim.path import PricePath
from lab.sim.seeded import seed_number


class PublicTrade(NamedTuple):
    """One trade of the market; `buyer_is_maker` means the taker sold."""

    id: int
    price: Decimal
    qty: Decimal
    ms: int
    buyer_is_maker: bool


def trade_at(path: PricePath, bar_index: int, place: int) -> PublicTrade | None:
    """Trade number `place` (0..TRADES_PER_BAR-1) of a bar; None in a bar without volume."""
    bar = path.bars.bar(bar_index)
    if not bar.volume:
        return None
    share = down8(bar.volume * (place + 1) / TRADES_PER_BAR) - down8(bar.volume * place / TRADES_PER_BAR)
    ms = bar.open_ms + path.bars.step_ms * (place + 1) // TRADES_PER_BAR - 1
    number = bar_index * TRADES_PER_BAR + place + 1
    return PublicTrade(number, path.price_at(ms), share, ms, seed_number(bar.open_ms, place) % 2 == 0)


def last_trades(path: PricePath, now_ms: int, count: int) -> list[PublicTrade]:
    """The newest `count` trades at or before now, ascending."""
    found: list[PublicTrade] = []
    index = path.bars.index_at(now_ms)
    while index >= 0 and len(found) < count:
        for place in reversed(range(TRADES_PER_BAR)):
            trade = trade_at(path, index, place)
            if trade and trade.ms <= now_ms and len(found) < count:
                found.append(trade)
        index -= 1
    return found[::-1]


def trades_from(path: PricePath, now_ms: int, first_id: int, count: int) -> list[PublicTrade]:
    """Up to `count` trades with id >= `first_id`, ascending, none after now."""
    found: list[PublicTrade] = []
    number = max(1, first_id) - 1
    last_index = path.bars.index_at(now_ms)
    while len(found) < count and number // TRADES_PER_BAR <= last_index:
        trade = trade_at(path, number // TRADES_PER_BAR, number % TRADES_PER_BAR)
        if trade and trade.ms <= now_ms:
            found.append(trade)
        number += 1
    return found


def first_id_since(path: PricePath, start_ms: int) -> int:
    """Id of the first trade that can have happened at or after `start_ms`."""
    index = max(0, path.bars.index_at(start_ms))
    into_bar = max(0, start_ms - path.bars.bar(index).open_ms)
    place = min(TRADES_PER_BAR, into_bar * TRADES_PER_BAR // path.bars.step_ms)
    return index * TRADES_PER_BAR + place + 1
