"""Orders as an operator reads them: rows from the journal's fold, and the marks of what an exchange lists. Pure.

One row per order that may still trade (terminal ones on demand). An order the exchange lists and the journal does not
know is foreign; one with our prefix that the journal does not know is lost; both are only named, never touched.
"""

from collections.abc import Sequence
from typing import Any, Final

from desk.base import ids
from desk.base.money import ZERO, text
from desk.execution.intent import EXIT, LEG_EXIT
from desk.journal import intent_table
from desk.journal.state import Fold, Intent, is_open, is_unsettled, key
from desk.venues.protocol import OrderReport

HEAD: Final = ("client_order_id", "age", "state", "venue", "symbol", "leg", "side", "quantity", "executed", "price",
               "note")  # fmt: skip
SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE = 86_400, 3600, 60
FOREIGN: Final = "FOREIGN"
LOST: Final = "LOST"


def is_protective(intent: Intent) -> bool:
    """The order protects a position: it waits to sell it, and is not the sale itself."""
    return intent.kind == EXIT and intent.leg != LEG_EXIT


def matters(intent: Intent) -> bool:
    """It may still trade, its fills are not all booked, or it is quarantined."""
    return is_open(intent) or is_unsettled(intent) or bool(intent.anomaly)


def rows(fold: Fold, now_ms: int, *, with_terminal: bool) -> list[dict[str, Any]]:
    """Orders by creation, oldest first; money as text, ages in whole seconds."""
    known = sorted(fold.intents.intents.items(), key=lambda item: (item[1].created_ms, item[0]))
    return [row(name, intent, now_ms) for name, intent in known if with_terminal or matters(intent)]


def row(name: str, intent: Intent, now_ms: int) -> dict[str, Any]:
    """One order of ours."""
    return {
        "client_order_id": name, "age_s": (now_ms - intent.created_ms) // 1000,
        "state": f"{intent.state} {intent.status}".rstrip(), "venue": intent.venue, "symbol": intent.symbol,
        "leg": intent.leg, "side": intent.side, "type": intent.type, "quantity": text(intent.quantity),
        "executed": text(max(intent.executed, intent.filled)), "price": text(intent.stop_price or intent.price),
        "position_id": intent.position_id, "note": note(intent),
    }  # fmt: skip


def note(intent: Intent) -> str:
    """What is odd about an order, or why it ended; "" for nothing."""
    said = []
    if intent.anomaly:
        said.append(f"quarantined ({intent.anomaly})")
    if intent.state in {intent_table.CREATED, intent_table.SENT_UNKNOWN}:
        said.append("outcome unknown, being looked up")
    if is_unsettled(intent):
        said.append("fills not all booked")
    if intent.cancel_ms and is_open(intent):
        said.append("cancel asked")
    if is_protective(intent) and is_open(intent):
        said.append("protects")
    if intent.code and not is_open(intent):
        said.append(intent.code)
    return ", ".join(said)


def is_odd(intent: Intent, now_ms: int, unknown_warn_s: int) -> bool:
    """Worth a WARNING: quarantined, or unknown for longer than a look-up should take."""
    is_unknown = intent.state in {intent_table.CREATED, intent_table.SENT_UNKNOWN}
    return bool(intent.anomaly) or (is_unknown and now_ms - intent.created_ms > unknown_warn_s * 1000)


def listed(fold: Fold, reports: Sequence[OrderReport], instance: str, now_ms: int) -> list[dict[str, Any]]:
    """What an exchange lists as open and the journal does not have: lost (our prefix) or foreign."""
    found = []
    for report in reports:
        if report.client_order_id in fold.intents.intents:
            continue
        mark = LOST if ids.is_ours(report.client_order_id, instance) else FOREIGN
        found.append({
            "client_order_id": report.client_order_id, "age_s": (now_ms - report.time_ms) // 1000,
            "state": f"{mark} {report.status}", "venue": report.venue, "symbol": report.symbol, "leg": "",
            "side": str(report.side), "type": report.type, "quantity": text(report.quantity),
            "executed": text(report.executed), "price": text(report.stop_price or report.price), "position_id": "",
            "note": "not in the journal: see reconcile.py",
        })  # fmt: skip
    return found


def missing(fold: Fold, venue: str, reports: Sequence[OrderReport]) -> set[str]:
    """Client ids the journal says stand on a venue that the venue does not list (a lag, or a fill not booked yet)."""
    there = {report.client_order_id for report in reports}
    known = fold.intents.intents.items()
    return {
        name
        for name, intent in known
        if intent.venue == venue and intent.state == intent_table.CONFIRMED and is_open(intent) and name not in there
    }


def cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Rows as a table's cells, in the order of HEAD."""
    return [[age(row["age_s"]) if name == "age" else str(row[name]) for name in HEAD] for row in rows]


def age(seconds: int) -> str:
    """`12s`, `3m05s`, `2h10m`, `4d03h`; a time from the future says so."""
    if seconds < 0:
        return "in the future"
    days, rest = divmod(seconds, SECONDS_PER_DAY)
    hours, rest = divmod(rest, SECONDS_PER_HOUR)
    minutes, left = divmod(rest, SECONDS_PER_MINUTE)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{left:02}s" if minutes else f"{left}s"


def uncovered_without(fold: Fold, cancelled: Sequence[str]) -> list[str]:
    """What cancelling these orders would leave without protection, one clause a position."""
    found: dict[str, list[str]] = {}
    for name in cancelled:
        intent = fold.intents.intents[name]
        if is_protective(intent) and is_open(intent):
            found.setdefault(key(intent.venue, intent.symbol), []).append(name)
    clauses = []
    for where, names in sorted(found.items()):
        position = fold.positions.positions.get(where)
        naked = sum((max(i.quantity - i.filled, ZERO) for n in names for i in [fold.intents.intents[n]]), ZERO)
        if position is not None and naked:
            clauses.append(f"{where} {text(min(naked, position.quantity))} {position.base} without protection")
    return clauses
