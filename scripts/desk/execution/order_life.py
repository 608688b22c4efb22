"""The life of one order as the journal tells it: resolving what an operator typed, and its lines. Reads only."""

from collections.abc import Iterable
from typing import Any, Final

from desk.base.errors import BadInput
from desk.base.paths import Home
from desk.execution.operator_cancel import shown_id
from desk.journal import search
from desk.journal.chain import Line
from desk.journal.events import Event
from desk.journal.state import Fold

NAMED_MAX: Final = 5  # candidates named in an error
VALUE_CHARS_MAX: Final = 120
HIDDEN: Final = frozenset({"client_order_id", "base", "quote", "parent", "list_id", "kind", "plan_stop", "plan_target"})


def resolve(home: Home, fold: Fold, typed: str) -> str:
    """The one client order id that is, or begins with, what was typed; terminal orders of earlier days included.

    Raises:
        BadInput: no order, or several.
    """
    if len(typed) < search.ID_CHARS_MIN or not typed.isascii() or not typed.isprintable():
        raise BadInput("is no order id", shown_id(typed), f"give at least {search.ID_CHARS_MIN} of its characters")
    if typed in fold.intents.intents:
        return typed
    found = sorted(_beginning(typed, fold.intents.intents) | _beginning(typed, _journalled(home, typed)))
    if typed in found or len(found) == 1:
        return typed if typed in found else found[0]
    if found:
        names = ", ".join(found[:NAMED_MAX]) + (", ..." if len(found) > NAMED_MAX else "")
        raise BadInput(f"begins {len(found)} order ids: {names}", shown_id(typed), "type more of it")
    raise BadInput("is no order in the kept journal", shown_id(typed), "orders.py list --all shows the ids")


def lines(home: Home, order_id: str) -> list[Line]:
    """Every line about the order itself, oldest first (those of its protective legs are their own)."""
    return [line for line in search.life(home, order_id) if line.data.get("client_order_id") == order_id]


def text_of(line: Line) -> str:
    """One step of the life: when, what, with which numbers, by which door."""
    data: dict[str, Any] = {name: value for name, value in line.data.items() if name not in HIDDEN and value != ""}
    shown = " ".join(f"{name}={str(value)[:VALUE_CHARS_MAX]}" for name, value in data.items())
    return " ".join(part for part in (line.ts, line.event, shown, f"[{line.script}]") if part)


def _beginning(typed: str, names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith(typed)}


def _journalled(home: Home, typed: str) -> set[str]:
    wanted = search.make_filter(event=Event.INTENT_CREATED)
    return {str(line.data["client_order_id"]) for raw, line in search.lines(home, wanted) if typed.encode() in raw}
