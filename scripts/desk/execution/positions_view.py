"""Positions as an operator reads them: quantity, cost, mark, protection, age, dust. Pure, from the fold and the marks.

A mark is the newest stored bid young enough to value by; without one the value is unknown, never a guess. A position
is flagged when it is older than `exits.position_age_flag_h`, when a sellable part of it has no stop, and while a
PROTECTION_SWAP is unfinished.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from desk.base.money import ZERO, divide, text
from desk.execution import intent as intents
from desk.execution import orders_view, quantise, stops
from desk.journal.state import Fold, Position
from desk.risk.facts import SymbolFacts
from desk.venues.table import VENUES

HEAD: Final = ("position", "quantity", "cost", "mark", "value", "profit", "protected by", "age", "flags")
UNKNOWN: Final = "unknown"
WATCHED: Final = "watched each tick"
MS_PER_HOUR: Final = 3_600_000
PLACES: Final = Decimal("1e-8")


def rows(fold: Fold, marks: Mapping[str, SymbolFacts], now_ms: int, age_flag_h: int) -> list[dict[str, Any]]:
    """Everything held, by name; a waiting entry without a fill is no position."""
    held = {name: p for name, p in fold.positions.positions.items() if p.quantity > ZERO}
    return [_row(fold, name, held[name], marks.get(name), now_ms, age_flag_h) for name in sorted(held)]


def dust_rows(fold: Fold, marks: Mapping[str, SymbolFacts], now_ms: int) -> list[dict[str, Any]]:
    """Rests below the exchange's minimum, with what they are worth."""
    found = []
    for name, dust in sorted(fold.positions.dust.items()):
        value = _value(dust.quantity, _mark(marks.get(name)))
        found.append({
            "position": name, "quantity": text(dust.quantity), "cost": text(dust.cost_quote), "value": value,
            "age_s": (now_ms - dust.since_ms) // 1000,
        })  # fmt: skip
    return found


def cells(found: list[dict[str, Any]]) -> list[list[str]]:
    """Rows as a table's cells, in the order of HEAD."""
    return [
        [
            row["position"], row["quantity"], row["cost"], row["mark"], row["value"], row["profit"],
            ", ".join(row["protection"]) or "nothing", orders_view.age(row["age_s"]), ", ".join(row["flags"]),
        ]
        for row in found
    ]  # fmt: skip


def _row(
    fold: Fold, name: str, position: Position, facts: SymbolFacts | None, now_ms: int, age_flag_h: int
) -> dict[str, Any]:
    mark = _mark(facts)
    profit = None if mark is None else position.quantity * mark - position.cost_quote
    return {
        "position": name, "position_id": position.position_id, "quantity": text(position.quantity),
        "cost": text(_short(position.cost_quote)),
        "cost_each": text(_short(divide(position.cost_quote, position.quantity))),
        "mark": UNKNOWN if mark is None else text(mark), "value": _value(position.quantity, mark),
        "profit": UNKNOWN if profit is None else text(_short(profit)), "quote": position.quote,
        "stop_price": text(position.stop_price), "target_price": text(position.target_price),
        "protection": _protection(fold, position, facts), "age_s": (now_ms - position.opened_ms) // 1000,
        "flags": _flags(fold, position, facts, now_ms, age_flag_h),
    }  # fmt: skip


def _protection(fold: Fold, position: Position, facts: SymbolFacts | None) -> list[str]:
    """Which orders protect it; or that the stop is watched, where the venue takes no stop orders."""
    standing = [
        f"{intent.leg} {name} {text(intent.quantity - intent.filled)} at {text(intent.stop_price or intent.price)}"
        for name, intent in intents.standing(fold, position)
        if orders_view.is_protective(intent)
    ]
    if not standing and not _rests_stops(position, facts) and position.stop_price:
        return [f"{WATCHED} at {text(position.stop_price)}"]
    return standing


def _flags(fold: Fold, position: Position, facts: SymbolFacts | None, now_ms: int, age_flag_h: int) -> list[str]:
    found = []
    if now_ms - position.opened_ms > age_flag_h * MS_PER_HOUR:
        found.append(f"older than {age_flag_h} h")
    if _is_naked(fold, position, facts):
        found.append("UNPROTECTED")
    if position.swap:
        found.append("protection is being moved")
    return found


def _is_naked(fold: Fold, position: Position, facts: SymbolFacts | None) -> bool:
    """A part the exchange would take has no order of ours on it (nor a stop that is watched)."""
    if not _rests_stops(position, facts):
        return not position.stop_price
    uncovered = max(position.quantity - intents.covered(fold, position), ZERO)
    price = _mark(facts) or position.stop_price
    if facts is None or facts.rules is None or not price:
        return uncovered > ZERO and bool(position.unprotected_ms or uncovered == position.quantity)
    return not quantise.is_dust(facts.rules, uncovered, price)


def _rests_stops(position: Position, facts: SymbolFacts | None) -> bool:
    """By the symbol's own rules where they are known, else by the venue's row."""
    if facts is not None and facts.rules is not None:
        return stops.rests_stops(facts.rules)
    row = VENUES.get(position.venue)
    return row is None or row.has_stop_orders


def _mark(facts: SymbolFacts | None) -> Decimal | None:
    return facts.mark_bid if facts is not None else None


def _value(quantity: Decimal, mark: Decimal | None) -> str:
    return UNKNOWN if mark is None else text(_short(quantity * mark))


def _short(amount: Decimal) -> Decimal:
    """A shown amount: eight decimals, as the exchanges count."""
    return amount.quantize(PLACES) if amount.adjusted() < 20 else amount
