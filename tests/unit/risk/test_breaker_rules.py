"""The breaker's rules: the whole transition table, hand-written entries, and the numbers of the rules."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.base import clock
from desk.base.errors import InvariantError
from desk.config.schema import Breakers as Limits
from desk.risk import breaker_rules as rules
from desk.risk.breaker_rules import NEXT, PASSES, Entry, Event, Pass, State
from desk.venues.table import Purpose

LIMITS = Limits()
NOW = 1_767_571_200_000
NAME = "binance_api"


def fail(entry: Entry, at: int, floor_ms: int = 0, banned: bool = False) -> Entry:
    return rules.step(entry, rules.failure_event(entry, at, LIMITS, banned), at, LIMITS, NAME, floor_ms)


def tripped(at: int = NOW) -> Entry:
    entry = Entry()
    for number in range(5):
        entry = fail(entry, at - 4 + number)
    return entry


def test_every_pair_is_decided_or_a_bug() -> None:
    for state in State:
        for event in Event:
            entry = Entry(state=state)
            if (state, event) in NEXT:
                assert rules.step(entry, event, NOW, LIMITS, NAME).state is NEXT[state, event]
            else:
                with pytest.raises(InvariantError):
                    rules.step(entry, event, NOW, LIMITS, NAME)


def test_every_purpose_meets_every_state_that_is_not_closed() -> None:
    wanted = {(state, purpose) for state in (State.OPEN, State.HALF_OPEN) for purpose in Purpose}
    assert set(PASSES) == {pair for pair in wanted if pair[1] is not Purpose.MEASURE}
    assert all(PASSES[state, Purpose.ENTRY] is Pass.REFUSED for state in (State.OPEN, State.HALF_OPEN))


def test_five_failures_in_sixty_seconds_open_for_300() -> None:
    entry = tripped()
    assert (entry.state, entry.failure_count, entry.cooldown_until_ms) == (State.OPEN, 5, NOW + 300_000)
    assert entry.trips == (NOW,)


def test_four_do_not_and_the_window_slides() -> None:
    entry = Entry()
    for at in range(0, 60_000 * 3, 15_000):  # one every 15 s: never five inside 60 s
        entry = fail(entry, NOW + at)
    assert (entry.state, entry.failure_count) == (State.CLOSED, 4)


def test_the_window_ends_exactly_at_60_s() -> None:
    entry = Entry(failures=(NOW, NOW, NOW, NOW))
    assert fail(entry, NOW + 59_999).state is State.OPEN
    assert fail(entry, NOW + 60_000).state is State.CLOSED


def test_retry_after_is_a_floor_and_a_ban_opens_at_once() -> None:
    four = Entry(failures=(NOW,) * 4)
    assert fail(four, NOW, floor_ms=600_000).cooldown_until_ms == NOW + 600_000
    assert fail(four, NOW, floor_ms=1_000).cooldown_until_ms == NOW + 300_000
    assert fail(Entry(), NOW, floor_ms=900_000).state is State.CLOSED
    banned = fail(Entry(), NOW, floor_ms=900_000, banned=True)
    assert (banned.state, banned.cooldown_until_ms) == (State.OPEN, NOW + 900_000)
    assert fail(banned, NOW + 5, floor_ms=2_000_000).cooldown_until_ms == NOW + 5 + 2_000_000


def test_a_failure_while_open_does_not_prolong_it() -> None:
    assert fail(tripped(), NOW + 10_000).cooldown_until_ms == NOW + 300_000


def test_a_component_may_have_its_own_cooldown() -> None:
    limits = Limits(cooldown_by_component_s={NAME: 600})
    entry = rules.step(Entry(), Event.TRIPPED, NOW, limits, NAME)
    assert entry.cooldown_until_ms == NOW + 600_000


def test_the_clock_half_opens_and_expires_the_probe() -> None:
    entry = tripped()
    assert rules.due_event(entry, NOW + 299_999) is None
    assert rules.due_event(entry, NOW + 300_000) is Event.COOLDOWN_PASSED
    half = rules.lease(rules.step(entry, Event.COOLDOWN_PASSED, NOW + 300_000, LIMITS, NAME), "me", NOW, LIMITS)
    assert rules.due_event(half, NOW + 29_999) is None
    assert rules.due_event(half, NOW + 30_000) is Event.PROBE_EXPIRED
    again = rules.step(half, Event.PROBE_EXPIRED, NOW + 30_000, LIMITS, NAME)
    assert (again.state, again.probe, again.cooldown_until_ms) == (State.OPEN, None, NOW + 330_000)
    assert again.trips == entry.trips, "the same trouble is no new trip"


def test_a_success_resets_the_counters() -> None:
    half = msgspec.structs.replace(tripped(), state=State.HALF_OPEN)
    closed = rules.step(half, Event.SUCCESS, NOW + 1, LIMITS, NAME)
    assert (closed.state, closed.failures, closed.failure_count) == (State.CLOSED, (), 0)
    assert closed.last_success_ms == NOW + 1
    assert closed.cooldown_until_ms == 0
    assert closed.trips_today(NOW) == 1


def test_trips_are_counted_by_utc_day_and_week() -> None:
    day = rules.DAY_MS
    entry = Entry(trips=(NOW - 8 * day, NOW - 6 * day, NOW - 1, NOW, NOW + 1))
    assert (entry.trips_today(NOW), entry.trips_week(NOW)) == (2, 4)


HAND = {"state": "open", "failure_count": 5, "cooldown_until": "2026-01-04T23:59:55+00:00"}


def read(raw: object) -> Entry:
    return rules.parse(raw, NOW, LIMITS, NAME)


def test_the_runbooks_three_fields_are_enough() -> None:
    entry = read(HAND)
    assert (entry.state, entry.failure_count, entry.readable) == (State.OPEN, 5, True)
    assert rules.due_event(entry, NOW) is Event.COOLDOWN_PASSED
    assert read({"state": "closed", "failure_count": 0, "cooldown_until": None}).state is State.CLOSED
    assert read({"state": "HALF-OPEN"}).state is State.HALF_OPEN


@pytest.mark.parametrize(
    "raw",
    ["open", None, 7, [], {}, {"state": "clsoed"}, {"state": 1}, {"state": "open"}, HAND | {"cooldown_until": "later"},
     HAND | {"cooldown_until": "2026-01-04T23:59:55"}, HAND | {"cooldown_until": 5}, HAND | {"failures": [3]},
     HAND | {"probe": {"expires_at": "x"}}],
)  # fmt: skip
def test_an_entry_that_makes_no_sense_reads_as_open(raw: object) -> None:
    entry = read(raw)
    assert (entry.state, entry.readable, entry.cooldown_until_ms) == (State.OPEN, False, NOW + 300_000)
    assert rules.due_event(entry, NOW + 10**9) is None, "it must be written down first"


def test_a_clock_set_back_does_not_keep_it_open_for_days() -> None:
    ours = rules.unparse(tripped(NOW + 86_400_000), None, NOW + 86_400_000)
    assert read(ours).cooldown_until_ms == NOW + 300_000
    long_ban = rules.unparse(fail(Entry(), NOW, floor_ms=86_400_000, banned=True), None, NOW)
    assert read(long_ban).cooldown_until_ms == NOW + 86_400_000
    assert read(HAND | {"cooldown_until": "2999-01-01T00:00:00+00:00"}).cooldown_until_ms == NOW + 3 * 86_400_000


ENTRIES = st.builds(
    Entry,
    state=st.sampled_from(State),
    failures=st.lists(st.integers(NOW - 10**6, NOW), max_size=8).map(lambda found: tuple(sorted(found))),
    failure_count=st.integers(0, 50),
    last_success_ms=st.integers(1, NOW),
    cooldown_until_ms=st.integers(NOW - 10**6, NOW + 299_000),
    trips=st.lists(st.integers(NOW - 10**9, NOW), max_size=5).map(tuple),
)


@given(ENTRIES)
def test_the_file_gives_an_entry_back(entry: Entry) -> None:
    again = read(rules.unparse(entry, None, NOW))
    wanted = entry if entry.state is State.OPEN else msgspec.structs.replace(entry, cooldown_until_ms=0)
    assert again == wanted


@given(ENTRIES, st.dictionaries(st.sampled_from(["note", "v2_field"]), st.text(max_size=5)))
def test_keys_of_another_version_survive(entry: Entry, extra: dict[str, Any]) -> None:
    assert rules.unparse(entry, dict(extra), NOW).items() >= extra.items()


def test_times_are_iso_with_an_offset() -> None:
    raw = rules.unparse(tripped(), None, NOW)
    assert raw["cooldown_until"] == clock.iso(NOW + 300_000)
    assert raw["cooldown_until"].endswith("+00:00")
    assert (raw["state"], raw["trips_today"], raw["cooldown_s"]) == ("open", 1, 300)
