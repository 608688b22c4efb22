"""Everything that can happen to one order, explored: no promise breaks, and each planted mistake is found."""

from collections.abc import Callable

import pytest

from desk.journal import intent_table
from desk.journal.events import Event
from model import explorer, system
from model.explorer import Explored
from model.system import BUGS, World

SMALL = World()
LARGE = World(starts=(2, 2, 1, 0))
FLATTENED = World(starts=(1, 1, 0, 1))  # a router, a reconcile and the operator's flatten
ALL_FOUR = World(starts=(1, 1, 1, 1))
FINDS = {  # the mistake -> the first promise it breaks
    "resend_on_timeout": "one post per id",
    "not_found_at_once": "nothing taken is given up",
    "stale_exit": "one post per id",
    "no_lease": "one lease holder sends",
    "send_before_write": "written before sent",
    "no_sync_before_send": "written before sent",
    "no_last_look": "no entry after engage returned",
    "engage_forgets_file": "an engaged switch stays engaged",
    "no_lease_wait": "one lease holder sends",
}


@pytest.fixture(scope="module")
def small() -> Explored:
    return explorer.explore(SMALL)


def test_no_promise_breaks_in_any_interleaving(small: Explored, record_property: Callable[[str, object], None]) -> None:
    found = small
    record_property("states", found.states)
    print(f"{found.states} states, {found.transitions} transitions")
    assert (found.broken, found.trail) == ("", [])
    assert found.states > 10_000


def test_nor_beside_an_operator_who_flattens(record_property: Callable[[str, object], None]) -> None:
    found = explorer.explore(FLATTENED)
    record_property("states", found.states)
    print(f"{found.states} states, {found.transitions} transitions")
    assert (found.broken, found.trail) == ("", [])


@pytest.mark.slow
@pytest.mark.parametrize("start", [LARGE, ALL_FOUR], ids=["two reconciles", "router reconcile engage flatten"])
def test_nor_when_more_of_them_overlap(start: World, record_property: Callable[[str, object], None]) -> None:
    found = explorer.explore(start)
    record_property("states", found.states)
    print(f"{found.states} states, {found.transitions} transitions")
    assert (found.broken, found.trail) == ("", [])


def test_the_finding_of_adr_014_stays_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two reconciles give up an order whose refusal a frozen router books afterwards."""
    without = {
        pair: to for pair, to in intent_table.TABLE.items() if pair != ("NOT_FOUND", Event.INTENT_FAILED_TERMINAL)
    }
    monkeypatch.setattr(intent_table, "TABLE", without)
    found = explorer.explore(World(starts=(1, 2, 0, 0), crashes=0))
    assert found.broken == "no anomaly of our own"


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_each_mistake_is_found(bug: str) -> None:
    found = explorer.explore(FLATTENED if bug == "no_lease_wait" else SMALL, frozenset({bug}))
    assert found.broken == FINDS[bug], found.trail


def test_the_model_uses_every_way_an_intent_ends(small: Explored) -> None:
    """Else the exploration proves nothing about them."""
    ends = {after for _, after, _, _ in small.moves}
    assert {intent_table.CONFIRMED, intent_table.NOT_FOUND, intent_table.FAILED, intent_table.SENT_UNKNOWN} <= ends


def test_the_tables_own_words_are_what_is_explored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that lets a lost answer end an order breaks the model's promises too."""
    broken = dict(intent_table.TABLE) | {(intent_table.SENT_UNKNOWN, Event.INTENT_CONFIRMED): intent_table.FAILED}
    monkeypatch.setattr(intent_table, "TABLE", broken)
    assert explorer.explore(system.World()).broken == "nothing taken is given up"
