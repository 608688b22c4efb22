"""What must hold through a chaos day and after it, by the three exchanges' own books."""

import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from desk.journal.state import is_open, is_unsettled
from desk.venues.table import VENUES

if TYPE_CHECKING:
    from soak.chaos import Day

SELLABLE_QUOTE = Decimal(12)
STANDING = {"NEW", "PARTIALLY_FILLED"}
HEARTBEAT = {"OK": 0, "WARNING": 1, "CRITICAL": 2}


def after_a_minute(one: "Day") -> None:
    """Exit codes say what the last line says; nothing is a bug; a sellable rest without a stop is said."""
    for door, said in one.last.items():
        if "Traceback" in said.text or "bug:" in said.text:
            _say(one, f"{door} has a bug: {said.last[:300]}")
    beat = one.last["heartbeat"]
    word = next((w for w in HEARTBEAT if f"Overall: {w}" in beat.last), "")
    if beat.code != HEARTBEAT.get(word, -1):
        _say(one, f"heartbeat says {beat.last[:200]} and ends with {beat.code}")
    routed = one.last["router"]
    wanted = {"completed:": 0, "completed, blocked:": 1}
    state = next((code for words, code in wanted.items() if f"ROUTER END — {words}" in routed.last), None)
    if (state is not None and routed.code != state) or routed.code not in {0, 1, 2, 124}:
        _say(one, f"router says {routed.last[:200]} and ends with {routed.code}")
    for venue in one.sims:
        _protected(one, venue)


def _protected(one: "Day", venue: str) -> None:
    """Naked and silent is the violation: where the exchange takes no stop, the tick must say so."""
    fold, books = one.fold(), one.sims[venue].books()
    sales = [o for o in books["orders"] if o["side"] == "SELL" and o["status"] in STANDING]
    held = sum((Decimal(v) for v in books["balances"]["BTC"].values()), Decimal(0))
    free = held - sum((Decimal(o["origQty"]) - Decimal(o["executedQty"]) for o in sales), Decimal(0))
    price = max((Decimal(t["price"]) for t in books["trades"]), default=Decimal(0))
    position = fold.positions.positions.get(f"{venue}:BTCUSDT")
    is_unknown = any(i.venue == venue and i.state == "SENT_UNKNOWN" for i in fold.intents.intents.values())
    is_watched = venue == "mexc" and position is not None and position.stop_price > 0
    if free * price <= SELLABLE_QUOTE or is_unknown or is_watched:
        one.naked_run[venue] = 0
        return
    one.naked_run[venue] += 1
    one.naked_max = max(one.naked_max, one.naked_run[venue])
    said = one.last["router"].code != 0 or (position is not None and position.unprotected_ms > 0)
    if not said:
        _say(one, f"{venue}: {free} BTC without a stop, and the router ended with 0")


def at_the_end(one: "Day") -> None:
    """After the healthy hour: nothing stuck, nothing latched, and the books are equal on every exchange."""
    fold = one.fold()
    left = [n for n, i in fold.intents.intents.items() if i.state in {"CREATED", "SENT_UNKNOWN"} or is_unsettled(i)]
    found = [f"unresolved after a healthy hour: {left}"] if left else []
    found += [f"still latched after a healthy hour and its command: {name}" for name in one.latches()]
    may = {"router": 1, "reconcile": 0, "heartbeat": 1}  # a gate may say no; a day's breaker trips stay a WARNING
    found += [f"still {name} {one.last[name].code}: {one.last[name].last[:300]}" for name in may
              if one.last[name].code > may[name]]  # fmt: skip
    record = json.loads((one.home / "state" / "runs" / "router.json").read_text())
    found += [f"the router's last run had {record['failures']} failures"] if record["failures"] else []
    if "trading: ENABLED" not in one.last["heartbeat"].text:
        found.append("trading is not enabled again: " + _trading(one))
    for venue in one.sims:
        found += [f"{venue}: {text}" for text in _books(one, venue)]
    for text in found:
        _say(one, text)
    verified = one.door("audit", "verify")
    if verified.code:
        _say(one, f"the journal: {verified.last}")


def _trading(one: "Day") -> str:
    return " ".join(line for line in one.last["heartbeat"].text.splitlines() if "trading" in line)[:300]


def _books(one: "Day", venue: str) -> list[str]:
    """P2 and P5 of one exchange."""
    sim, fold = one.sims[venue], one.fold()
    books, intents = sim.books(), fold.intents.intents
    path = VENUES[venue].order_path
    sent = Counter(r["clientOrderId"] for r in sim.requests()
                   if r["method"] == "POST" and r["path"] == path and r.get("clientOrderId"))  # fmt: skip
    found = [f"order {name} was sent {count} times" for name, count in sent.items() if count > 1]
    for order in books["orders"]:
        intent = intents.get(order["clientOrderId"])
        if intent is None:
            found.append(f"order {order['clientOrderId']} is lost")
        elif intent.filled != Decimal(order["executedQty"]) or is_open(intent) != (order["status"] in STANDING):
            found.append(f"order {order['clientOrderId']} is {order['status']} {order['executedQty']}, "
                         f"booked {intent.state} {intent.status} {intent.filled}")  # fmt: skip
    entered = Counter(intents[o["clientOrderId"]].decision_id for o in books["orders"]
                      if o["clientOrderId"] in intents and intents[o["clientOrderId"]].kind == "ENTRY")  # fmt: skip
    found += [f"decision {name} entered {count} times" for name, count in entered.items() if count > 1]
    there = {a: sum(map(Decimal, b.values()), Decimal(0)) for a, b in books["balances"].items()}
    ours = fold.portfolio.balances.get(venue, {})
    found += [f"{asset}: the exchange has {there.get(asset, 0)}, the journal {ours.get(asset, 0)}"
              for asset in {*there, *ours} if there.get(asset, Decimal(0)) != ours.get(asset, Decimal(0))]  # fmt: skip
    banned = [r for r in sim.requests() if r["status"] == 418 and r["outcome"] != "ban_418"]
    return found + [f"banned by our own doing: {banned[0]}" for _ in banned[:1]]


def _say(one: "Day", text: str) -> None:
    one.found.append(f"minute {one.minute}: {text}")


def summary(one: "Day") -> dict[str, Any]:
    """What the day exercised."""
    orders = {venue: len(sim.books()["orders"]) for venue, sim in one.sims.items()}
    return {
        "minutes": one.minute, "codes": dict(one.codes), "faults": sum(one.armed.values()), "orders": orders,
        "latched": dict(one.latched), "commands": dict(one.commands), "naked_minutes_max": one.naked_max,
    }  # fmt: skip
