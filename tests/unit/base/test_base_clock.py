"""Stored times: aware, UTC, milliseconds, one text form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import journalkit
from desk.base import clock

MS = st.integers(0, 4_102_444_800_000)  # to 2100


@given(MS)
def test_every_conversion_has_an_inverse(ms: int):
    assert clock.to_ms(clock.from_ms(ms)) == ms
    assert clock.parse_iso(clock.iso(ms)) == ms
    assert clock.iso(ms).endswith("+00:00")
    assert clock.utc_date(ms) == clock.iso(ms)[:10]


def test_iso_sorts_as_time():
    times = [0, 1, 999, 1000, 1_700_000_000_000, 1_700_000_000_001]
    assert sorted(map(clock.iso, times)) == list(map(clock.iso, times))


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00.000+01:00", "2025-12-31T19:00:00-05:00"],
)
def test_offsets_are_understood(text: str):
    assert clock.parse_iso(text) == journalkit.START_MS


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01", "soon", ""])
def test_a_time_without_an_offset_is_none(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - two parsers, one meaning
        clock.parse_iso(text)


def test_a_naive_datetime_is_a_bug():
    with pytest.raises(ValueError, match="naive"):
        clock.to_ms(datetime(2026, 1, 1))
    assert clock.to_ms(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == journalkit.START_MS
    assert clock.from_ms(0).tzinfo is UTC


def test_a_step_of_the_system_clock_does_not_move_a_tick(monkeypatch: pytest.MonkeyPatch):
    with journalkit.time_at(0):
        clock._Anchor.frozen = False
        monkeypatch.setattr(clock.time, "time_ns", lambda: 5_000_000_000_000)
        monkeypatch.setattr(clock.time, "monotonic_ns", lambda: 7_000_000)
        assert clock.start_tick() == 5_000_000
        monkeypatch.setattr(clock.time, "time_ns", lambda: 1)
        monkeypatch.setattr(clock.time, "monotonic_ns", lambda: 9_000_000)
        assert clock.now_ms() == 5_000_002
        assert not clock.is_simulated()
