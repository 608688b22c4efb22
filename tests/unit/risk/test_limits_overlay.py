"""The overlay only tightens, expires, and fails closed; profile, section and overlay: the strictest wins."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.base import clock
from desk.base.errors import BadInput, StateCorrupt
from desk.base.reasons import Reason
from desk.config.schema import Config, Profile
from desk.risk import limits_overlay
from desk.risk.limits_entries import CAPS, Entry, standing
from desk.risk.limits_overlay import PROFILE_KEYS, apply, tightening, with_profile
from unit.risk.latch_kit import START_MS, Room, make

D = Decimal
HOUR = 3_600_000
LATER = clock.iso(START_MS + HOUR)


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr("desk.state.store.READ_TRY_GAP_S", 0.0)
    return make(tmp_path, monkeypatch, "PAPER")


def test_every_cap_stands_in_its_section() -> None:
    for cap in CAPS:
        assert standing(Config(), cap) >= 0
    for key, (section, _) in PROFILE_KEYS.items():
        assert hasattr(Profile(), key) and hasattr(getattr(Config(), section), key)
    assert set(PROFILE_KEYS) == {field.name for field in msgspec.structs.fields(Profile)}


def test_size_multiplies_and_caps_are_lowered() -> None:
    base = msgspec.structs.replace(Config(), exposure=msgspec.structs.replace(Config().exposure, size_frac=D("0.8")))
    found, problems = apply(base, {"size_frac": "0.5", "max_open_entries": 3, "total_frac": 0.1}, START_MS)
    assert problems == ()
    assert found.exposure.size_frac == D("0.40") and found.entries.max_open_entries == 3
    assert found.exposure.total_frac == D("0.1")


def test_no_overlay_changes_nothing() -> None:
    assert apply(Config(), None, START_MS) == (Config(), ())
    assert apply(Config(), {"_digest": "x"}, START_MS) == (Config(), ())


@pytest.mark.parametrize(("age_ms", "counts"), [(0, True), (HOUR - 1, True), (HOUR, False), (HOUR + 1, False)])
@pytest.mark.parametrize(
    "shape", [{"size_frac": {"value": "0.5", "until": LATER}}, {"size_frac": "0.5", "until": LATER}]
)
def test_an_entry_ends_at_its_time(age_ms: int, counts: bool, shape: dict[str, object]) -> None:
    found, problems = apply(Config(), shape, START_MS + age_ms)
    assert problems == () and (found.exposure.size_frac == D("0.5")) is counts


def test_an_entry_without_an_end_holds_until_cleared() -> None:
    assert apply(Config(), {"size_frac": "0.5"}, START_MS + 10**12)[0].exposure.size_frac == D("0.5")


@pytest.mark.parametrize(
    "overlay",
    [
        {"max_open_entries": 11},
        {"total_frac": "0.31"},
        {"max_notional_per_order_quote": "1000"},
        {"drawdown_kill_frac": "0.5"},
    ],
)
def test_a_raising_entry_is_ignored_with_a_warning(overlay: dict[str, object]) -> None:
    found, problems = apply(Config(), overlay, START_MS)
    assert found == Config()
    assert [problem.blocks for problem in problems] == [False] and "above" in problems[0].detail


@pytest.mark.parametrize(
    "overlay",
    [
        {"size_fraq": "0.5"},
        {"order_ttl_s": 5},
        {"size_frac": "half"},
        {"size_frac": None},
        {"size_frac": True},
        {"size_frac": "-0.1"},
        {"size_frac": "1.5"},
        {"size_frac": "NaN"},
        {"max_open_entries": "2.5"},
        {"daily_loss_quote": "0"},
        {"size_frac": {"until": LATER}},
        {"size_frac": {"value": "0.5", "until": "tomorrow"}},
        {"size_frac": {"value": "0.5", "until": "2026-01-05T00:00:00"}},
        {"size_frac": {"value": "0.5", "until": 5}},
        {limits_overlay.CORRUPT: "is corrupt"},
    ],
)
def test_what_cannot_be_understood_means_no_entries(overlay: dict[str, object]) -> None:
    found, problems = apply(Config(), overlay, START_MS)
    assert [(problem.code, problem.blocks) for problem in problems] == [(str(Reason.OVERLAY_CORRUPT), True)]
    assert found.exposure.size_frac == 0 and found.entries.max_orders_per_cycle == 0


def test_a_zero_that_means_off_is_tightened_by_any_number() -> None:
    assert Config().capital.daily_loss_quote == 0
    found, problems = apply(Config(), {"daily_loss_quote": "20"}, START_MS)
    assert found.capital.daily_loss_quote == D(20) and not problems
    assert apply(found, {"daily_loss_quote": "30"}, START_MS)[0].capital.daily_loss_quote == D(20)


def test_the_first_drawdown_limit_never_stands_above_the_second() -> None:
    found, _ = apply(Config(), {"drawdown_kill_frac": "0.10"}, START_MS)
    assert found.capital.drawdown_no_entries_frac == found.capital.drawdown_kill_frac == D("0.10")


def test_the_profile_tightens_and_never_loosens() -> None:
    canary = Profile(recv_window_ms=3000, order_ttl_s=30, daily_loss_quote=D(20), max_orders_per_cycle=5)
    found = with_profile(Config(), canary)
    assert (found.clock.recv_window_ms, found.entries.order_ttl_s) == (3000, 30)
    assert found.capital.daily_loss_quote == D(20) and found.entries.max_orders_per_cycle == 1
    assert with_profile(Config(), Profile(daily_loss_quote=D(0), order_ttl_s=500)) == Config()


def test_effective_limits_are_the_strictest_of_all_three(paper: Room) -> None:
    paper.patch.setenv("SANAD_PROFILE", "canary")
    found, _ = limits_overlay.effective_limits(paper.settings(), {"notional_cap_per_cycle_quote": "100"}, START_MS)
    assert found.entries.order_ttl_s == 30 and found.entries.notional_cap_per_cycle_quote == D(100)


VALUES = st.decimals("0", "1", places=3) | st.integers(0, 500)


@given(st.dictionaries(st.sampled_from(sorted(CAPS)), VALUES.map(str), max_size=6))
def test_nothing_an_overlay_says_ever_raises_a_cap(overlay: dict[str, str]) -> None:
    found, _ = apply(Config(), dict(overlay), START_MS)
    for cap, (_, zero_is_off) in CAPS.items():
        now, before = standing(found, cap), standing(Config(), cap)
        assert now <= before or (zero_is_off and before == 0 and now > 0)


def entries(room: Room, until_ms: int = START_MS + HOUR, **wanted: str) -> tuple[Entry, ...]:
    overlay = limits_overlay.read(room.home)
    return tightening(room.settings(), overlay, wanted, until_ms, "smaller", "tester")


def put(room: Room, until_ms: int = START_MS + HOUR, **wanted: str) -> None:
    found = entries(room, until_ms, **wanted)
    assert limits_overlay.set_entries(room.home, room.journal(), found, "smaller", "tester") == ()


def test_set_writes_the_file_and_the_journal(paper: Room) -> None:
    put(paper, size_frac="0.5")
    assert paper.doc("limits_overlay")["size_frac"] == {
        "by": "tester", "reason": "smaller", "until": LATER, "value": "0.5",
    }  # fmt: skip
    assert paper.events("LIMITS_SET")[0]["data"]["limits"]["size_frac"]["value"] == "0.5"
    put(paper, max_open_entries="2")
    assert set(paper.doc("limits_overlay")) == {"size_frac", "max_open_entries", "_digest"}


@pytest.mark.parametrize(
    ("wanted", "clause"),
    [
        ({"size_frac": "1.01"}, "out of range"),
        ({"total_frac": "0.5"}, "would raise"),
        ({"max_open_entries": "11"}, "would raise"),
        ({"max_open_entries": "many"}, "not a number"),
        ({"order_type": "MARKET"}, "is no cap"),
        ({"capital.size_frac": "0.5"}, "is no cap"),
        ({"daily_loss_quote": "0"}, "switch it off"),
    ],
)
def test_set_refuses_what_does_not_tighten(paper: Room, wanted: dict[str, str], clause: str) -> None:
    with pytest.raises(BadInput, match=clause):
        entries(paper, **wanted)


def test_set_refuses_to_loosen_or_shorten_what_stands(paper: Room) -> None:
    put(paper, size_frac="0.5")
    with pytest.raises(BadInput, match="would raise"):
        entries(paper, size_frac="0.6")
    with pytest.raises(BadInput, match="would end before"):
        entries(paper, START_MS + HOUR - 1, size_frac="0.4")
    put(paper, START_MS + 2 * HOUR, size_frac="0.4")
    paper.at(START_MS + 3 * HOUR)
    put(paper, START_MS + 4 * HOUR, size_frac="0.9")  # what has expired does not bind


def test_the_section_may_be_named(paper: Room) -> None:
    put(paper, **{"exposure.size_frac": "0.5"})
    assert "size_frac" in paper.doc("limits_overlay")


def test_clear_is_journalled_and_removes_every_entry(paper: Room) -> None:
    assert not limits_overlay.clear(paper.home, paper.journal(), "nothing there", "tester")
    put(paper, size_frac="0.5")
    assert limits_overlay.clear(paper.home, paper.journal(), "done", "tester")
    assert paper.events("LIMITS_SET")[-1]["data"] == {"by": "tester", "limits": {}, "reason": "done"}
    assert apply(Config(), limits_overlay.read(paper.home), START_MS) == (Config(), ())


@pytest.mark.parametrize("text", ["{", '{"size_frac": "half"}'])
def test_a_corrupt_overlay_is_refused_by_set_and_mended_by_clear(paper: Room, text: str) -> None:
    paper.hand("limits_overlay", text)
    assert apply(Config(), limits_overlay.read(paper.home), START_MS)[1][0].blocks
    with pytest.raises(BadInput, match="clear"):
        entries(paper, size_frac="0.5")
    assert limits_overlay.clear(paper.home, paper.journal(), "mended", "tester")
    assert apply(Config(), limits_overlay.read(paper.home), START_MS) == (Config(), ())


def test_clear_loosens_nothing_when_the_journal_cannot_be_written(paper: Room) -> None:
    put(paper, size_frac="0.5")
    journal = paper.journal()
    journal._dead = "cannot be written (planted)"
    with pytest.raises(Exception, match="cannot be written"):
        limits_overlay.clear(paper.home, journal, "done", "tester")
    assert paper.doc("limits_overlay")["size_frac"]["value"] == "0.5"


def test_set_tightens_although_the_journal_cannot_be_written(paper: Room) -> None:
    journal = paper.journal()
    journal._dead = "cannot be written (planted)"
    found = entries(paper, size_frac="0.5")
    assert limits_overlay.set_entries(paper.home, journal, found, "smaller", "tester")
    assert paper.doc("limits_overlay")["size_frac"]["value"] == "0.5"


def test_an_unreadable_overlay_is_not_a_missing_one(paper: Room) -> None:
    paper.path("limits_overlay").mkdir()
    assert apply(Config(), limits_overlay.read(paper.home), START_MS)[1][0].blocks
    paper.path("limits_overlay").rmdir()
    paper.hand("limits_overlay", "[]")
    with pytest.raises(StateCorrupt):
        limits_overlay.set_entries(paper.home, paper.journal(), (Entry("size_frac", D("0.5")),), "x", "tester")


def test_an_edited_overlay_is_named_by_the_next_set(paper: Room) -> None:
    paper.hand("limits_overlay", json.dumps({"max_open_entries": 2}))
    put(paper, size_frac="0.5")
    assert paper.events("CONTROL_EDITED")[0]["data"]["file"] == "limits_overlay.json"
