"""Process death and power cut over the journal, the state store and orders: 0 violations."""

from collections.abc import Callable

import pytest

from crash import harness, scenarios_journal

MODULE = "crash.scenarios_journal"
pytestmark = pytest.mark.crash


@pytest.mark.parametrize("name", scenarios_journal.BY_NAME)
def test_nothing_breaks_at_any_step(name: str, record_property: Callable[[str, object], None]):
    scenario = scenarios_journal.BY_NAME[name]
    tally = harness.sweep(scenario, MODULE)
    record_property("crash", str(tally))
    tally.proves(scenario.counts_orders)


@pytest.mark.parametrize(
    ("plant", "name", "word"),
    [
        ("fsync removed", "groups and projections", "acknowledged lines are gone"),
        ("fsync removed", "control files", "was acknowledged"),
        ("fsync removed", "orders next door", "P2"),
        ("group split", "groups and projections", "is there in parts"),
        ("send before intent", "orders next door", "P2"),
        ("state written in place", "control files", "is corrupt"),
    ],
)
def test_a_planted_bug_is_caught(plant: str, name: str, word: str, record_property: Callable[[str, object], None]):
    tally = harness.sweep(scenarios_journal.BY_NAME[name], MODULE, plant=plant, stop_after=5)
    record_property("crash", f"{tally} (wanted: more than 0)")
    assert any(word in text for text in tally.violations), tally.violations[:5]
