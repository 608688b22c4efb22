"""What must hold after a LIVE case, by the exchange's own books. Each check returns violations, one sentence each.

P1 at the instant of death, P6 at the end of every tick; P2, P5, P11 and the journal when all has settled.
"""

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec

import daykit
import livekit
from crash import checks
from crash.scenario import Result
from desk.base.paths import Home
from desk.execution.intent import EXIT
from desk.journal.chain import Line
from desk.journal.fold import apply
from desk.journal.state import Fold, Position, empty, is_open, is_unsettled
from livekit import SYMBOL, Live

MINIMUM_QUOTE = Decimal(12)  # above every venue's minimum notional, rounding to its lot included
STANDING = frozenset({"NEW", "PARTIALLY_FILLED"})


def at_death(rig: Live) -> list[str]:
    """P1: whatever the exchange heard of is durable in the journal, with its id."""
    books = _books(rig)
    known = set(rig.fold().intents.intents)
    return [
        f"P1: order {order['clientOrderId']} stands on the exchange and is not in the journal"
        for order in books["orders"]
        if order["clientOrderId"] not in known
    ]


def naked_quote(rig: Live) -> Decimal:
    """What is held on the exchange and no resting sale covers, at its last price; where no stop can rest, what the
    journal does not watch a level of."""
    books = _books(rig)
    covered = sum(
        (_left(order) for order in books["orders"] if _protects(order)),
        Decimal(0),
    )
    held = rig.fold().positions.positions.get(f"{rig.venue}:{SYMBOL}")
    if rig.venue == "mexc" and held is not None and held.stop_price > 0:
        covered = max(covered, held.quantity)
    price = max((Decimal(trade["price"]) for trade in books["trades"]), default=Decimal(0))
    return max(rig.owned() - covered, Decimal(0)) * price


def naked(rig: Live) -> list[str]:
    """P6: nothing sellable stands without a stop. While an order is unknown nobody can say what is held: not judged."""
    value = naked_quote(rig)
    pending = [name for name, intent in rig.fold().intents.intents.items() if intent.state == "SENT_UNKNOWN"]
    return [f"P6: {value:.2f} {SYMBOL} without a stop"] if value > MINIMUM_QUOTE and not pending else []


def is_settled(fold: Fold) -> bool:
    """No order is unknown, no fill is missing, no swap is under way."""
    orders = fold.intents.intents.values()
    loose = [i for i in orders if i.state in {"CREATED", "SENT_UNKNOWN"} or is_unsettled(i)]
    return not loose and not any(position.swap for position in fold.positions.positions.values())


def at_end(rig: Live, engaged: bool) -> list[str]:
    """P2, P5, P11 and the chain, when all is settled."""
    root = Home(rig.home)
    whole = Result(root, "", "", [], [])
    found = [*checks.journal_whole(whole), *checks.no_half_written_state(whole)]
    found += [*_once(rig), *_known(rig), *_given_up(rig), *_oversold(rig)]
    if engaged and rig.fold().portfolio.kill_switch.state != "active":
        found.append("P11: an acknowledged engage was lost")
    if not is_settled(rig.fold()):
        found.append("P2: an order is still unknown after the healthy ticks")
    try:
        livekit.assert_books_close(rig)
    except AssertionError as error:
        found.append(f"P5: {str(error)[:400]}")
    return found


def _once(rig: Live) -> list[str]:
    """P2: no id twice on the exchange or on its way there, no decision with two entries."""
    heard = Counter(post["clientOrderId"] for post in rig.posts() if "clientOrderId" in post)
    taken = Counter(order["clientOrderId"] for order in _books(rig)["orders"])
    known = rig.fold().intents.intents
    entered = Counter(known[name].decision_id for name in taken if name in known and known[name].kind == "ENTRY")
    return [
        *(f"P2: order {name} was sent {count} times" for name, count in heard.items() if count > 1),
        *(f"P2: order {name} stands {count} times" for name, count in taken.items() if count > 1),
        *(f"P2: decision {name} entered {count} times" for name, count in entered.items() if count > 1),
    ]


def _known(rig: Live) -> list[str]:
    """No order is lost: each is in the journal with what it filled, and ended there if it has ended."""
    known = rig.fold().intents.intents
    found = []
    for order in _books(rig)["orders"]:
        intent = known.get(order["clientOrderId"])
        if intent is None:
            found.append(f"P2: order {order['clientOrderId']} is lost: the journal does not know it")
        elif intent.filled != Decimal(order["executedQty"]):
            found.append(f"P5: order {order['clientOrderId']} filled {order['executedQty']}, booked {intent.filled}")
        elif is_open(intent) != (order["status"] in STANDING):
            found.append(f"P2: order {order['clientOrderId']} is {order['status']}, booked {intent.status}")
    return found


def _given_up(rig: Live) -> list[str]:
    """P2: nothing is called not found, refused or never sent that the exchange has."""
    taken = {order["clientOrderId"] for order in _books(rig)["orders"]}
    told = rig.events("INTENT_NOT_FOUND", "INTENT_FAILED_TERMINAL", "INTENT_NOT_SENT", "INTENT_DENIED")
    return [
        f"P2: order {e['data']['client_order_id']} stands on the exchange and was given up by {e['event']}"
        for e in told
        if e["data"]["client_order_id"] in taken
    ]


def _oversold(rig: Live) -> list[str]:
    """No exit is written down for more than the position holds free of other exits, by the journal as it was then."""
    fold, found = empty(), []
    for line in daykit.lines_of(rig.home):
        data = line["data"]
        if line["event"] == "INTENT_CREATED" and data["kind"] == EXIT:
            position = fold.positions.positions.get(f"{line['venue']}:{line['symbol']}")
            free = _free(fold, position, data.get("list_id", ""))
            if Decimal(data["quantity"]) > free:
                found.append(f"P2: exit {data['client_order_id']} sells {data['quantity']} of {free}")
        apply(fold, msgspec.convert(line, Line), 0, 1)
    return found


def _free(fold: Fold, position: Position | None, list_id: str) -> Decimal:
    """What an exit may sell: of a list with an entry what that buys, else what the position holds free; the legs of a
    list sell the same coins."""
    known = fold.intents.intents.values()
    entry = next((i for i in known if list_id and i.list_id == list_id and i.kind != EXIT), None)
    if entry is not None:
        return entry.quantity
    return position.quantity - _reserved(fold, position.position_id, list_id) if position is not None else Decimal(0)


def _reserved(fold: Fold, position_id: str, but_list: str) -> Decimal:
    """What open exits of a position may still sell; not asked of the product, which may be wrong."""
    rests: dict[str, Decimal] = {}
    for name, i in fold.intents.intents.items():
        if i.kind == EXIT and i.position_id == position_id and is_open(i) and not (but_list and i.list_id == but_list):
            together = i.list_id or name
            rests[together] = max(i.quantity - i.filled, rests.get(together, Decimal(0)))
    return sum(rests.values(), Decimal(0))


def _protects(order: dict[str, Any]) -> bool:
    """It sells when the price falls; a target that rests above the market does not."""
    return order["side"] == "SELL" and order["status"] in STANDING and order["type"] != "LIMIT_MAKER"


def _left(order: dict[str, Any]) -> Decimal:
    return Decimal(order["origQty"]) - Decimal(order["executedQty"])


def _books(rig: Live) -> dict[str, Any]:
    assert rig.sim is not None
    return rig.sim.books()
