"""Breadth first through everything that can happen, with what must hold in every state. Owns invariants and search."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from desk.journal import intent_table
from model.system import ENTRY, EXITS, IDS, World, steps

STATES_MAX: Final = 3_000_000


@dataclass
class Explored:
    """What a search saw. `trail` leads to the first violation, "" in `broken` when there is none."""

    states: int = 0
    transitions: int = 0
    broken: str = ""
    trail: list[str] = field(default_factory=list)
    moves: set[tuple[str, str, bool, bool]] = field(default_factory=set)  # what a journal step does, see `journal_move`
    unresolved: int = 0


def explore(start: World, bugs: frozenset[str] = frozenset()) -> Explored:
    """Visit every reachable state once; stop at the first that breaks an invariant."""
    found = Explored()
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    todo = deque([start])
    while todo:
        world = todo.popleft()
        found.states += 1
        found.broken = next((name for name, holds in INVARIANTS.items() if not holds(world)), "")
        if found.broken:
            found.trail = list(_trail(world, came_from))[::-1]
            return found
        count = 0
        for label, following in steps(world, bugs):
            count += 1
            found.moves |= set(journal_moves(world, following))
            if following not in came_from:
                came_from[following] = (world, label)
                todo.append(following)
        found.transitions += count
        assert len(came_from) < STATES_MAX, "the model grew beyond its bound"
    return found


def _trail(world: World, came_from: dict[World, tuple[World, str] | None]) -> Iterator[str]:
    step = came_from[world]
    while step is not None:
        world, label = step
        yield label
        step = came_from[world]


def journal_moves(before: World, after: World) -> Iterator[tuple[str, str, bool, bool]]:
    """(state before, state after, is an entry, another order of the symbol was unknown) of each intent that moved."""
    for name in IDS:
        old, new = before.order(name).state, after.order(name).state
        if old != new:
            others = any(before.order(n).state == intent_table.SENT_UNKNOWN for n in IDS if n != name)
            yield old, new, name == ENTRY, others


def _one_post_per_id(world: World) -> bool:
    """P2: an id's bytes leave once."""
    return all(order.posts <= 1 for order in world.orders)


def _written_before_sent(world: World) -> bool:
    """P1: what has left is in the journal."""
    return all(order.state for order in world.orders if order.posts)


def _never_sells_what_is_not_held(world: World) -> bool:
    return world.exit_sum <= 0


def _no_entry_after_engage(world: World) -> bool:
    """No entry leaves whose last look came after engage returned."""
    return not world.late_post


def _nothing_is_given_up(world: World) -> bool:
    """An order the exchange has taken is never ended in the journal, but by a late appearance that can be seen."""
    ended = {intent_table.FAILED, intent_table.DENIED, intent_table.NOT_FOUND}
    return not any(order.wire in {"taken", "flying"} and order.state in ended for order in world.orders)


def _one_lease_holder_sends(world: World) -> bool:
    sending = [slot for slot, job in enumerate(world.jobs) if job is not None and job.at in {"look", "bytes", "answer"}]
    return all(slot == world.lease for slot in sending)


def _no_anomaly(world: World) -> bool:
    """Our own jobs never bring a pair the table does not have."""
    return all(order.state != "ANOMALY" for order in world.orders)


def _engaged_stays(world: World) -> bool:
    return not world.engaged or world.kill_file or world.kill_journal


def _exits_one_by_one(world: World) -> bool:
    """A second exit exists only when the first has ended."""
    first, second = (world.order(name) for name in EXITS)
    return not second.state or first.state in intent_table.TERMINAL


INVARIANTS: Final[dict[str, Callable[[World], bool]]] = {
    "one post per id": _one_post_per_id,
    "written before sent": _written_before_sent,
    "never sells what is not held": _never_sells_what_is_not_held,
    "no entry after engage returned": _no_entry_after_engage,
    "nothing taken is given up": _nothing_is_given_up,
    "one lease holder sends": _one_lease_holder_sends,
    "no anomaly of our own": _no_anomaly,
    "an engaged switch stays engaged": _engaged_stays,
    "exits one by one": _exits_one_by_one,
}
