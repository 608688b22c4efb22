"""Offset and error bound per exchange: median, freshness, storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.base import clock
from desk.base.paths import Home
from desk.config.schema import Clock
from desk.state import store
from desk.venues import clock_sync
from desk.venues.clock_sync import Offset, VenueClock, median, probe_of, stored
from desk.venues.outcome import Finding, Klass, VenueError
from desk.venues.protocol import TimeProbe

SILENT = VenueError("binance", "GET /time", Finding(klass=Klass.NOT_SENT), is_order=False, is_read=True)


class Exchange:
    """Answers with the given offsets in turn; None does not answer."""

    def __init__(self, *offsets: int | None) -> None:
        self.offsets: Iterator[int | None] = iter(offsets)
        self.asked = 0

    def probe(self) -> TimeProbe:
        self.asked += 1
        offset = next(self.offsets)
        if offset is None:
            raise SILENT
        now = clock.now_ms()
        return TimeProbe(server_ms=now + offset, local_ms=now, offset_ms=offset, error_ms=abs(offset) + 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).ensure()


def venue_clock(home: Home, exchange: Exchange) -> VenueClock:
    return VenueClock(home, "binance", Clock(), exchange.probe, lambda level, line: None)


def test_the_median_of_five_with_its_own_error(home: Home) -> None:
    found = venue_clock(home, Exchange(900, 10, 12, -400, 11)).resync()
    assert (found.offset_ms, found.error_ms) == (11, 12)
    assert stored(home, "binance") == found


@given(st.integers(0, 10**13), st.integers(0, 5000), st.integers(-(10**6), 10**6))
def test_the_true_offset_lies_within_the_error_bound(sent: int, trip: int, offset: int) -> None:
    """Wherever on the trip the exchange read its clock."""
    for read_at in (sent, sent + trip // 3, sent + trip):
        found = probe_of(sent, sent + trip, read_at + offset)
        assert abs(found.offset_ms - offset) <= found.error_ms


def test_it_is_measured_once_and_again_after_300_s(home: Home) -> None:
    exchange = Exchange(*([5] * 20))
    hand = venue_clock(home, exchange)
    assert [hand.offset().offset_ms, hand.venue_now_ms() - clock.now_ms()] == [5, 5]
    assert exchange.asked == 5
    old = Offset(offset_ms=1, error_ms=1, measured_ms=clock.now_ms() - 301_000)
    hand._store(old)
    other = venue_clock(home, exchange)
    assert other.offset().offset_ms == 5
    assert exchange.asked == 10


def test_another_process_uses_the_stored_one(home: Home) -> None:
    venue_clock(home, Exchange(*([7] * 5))).resync()
    quiet = Exchange()
    assert venue_clock(home, quiet).offset().offset_ms == 7
    assert quiet.asked == 0


def test_one_from_the_future_is_stale(home: Home) -> None:
    ahead = Offset(offset_ms=1, error_ms=10, measured_ms=clock.now_ms() + 60_000)
    assert not ahead.is_fresh(clock.now_ms(), Clock())
    assert Offset(offset_ms=1, error_ms=10, measured_ms=1000).is_fresh(995, Clock())


def test_some_answers_are_enough_none_raises(home: Home) -> None:
    assert venue_clock(home, Exchange(3, 4, None)).resync().offset_ms == 3
    with pytest.raises(VenueError):
        venue_clock(home, Exchange(None)).resync()


@pytest.mark.parametrize("text", ["{", '{"binance": 1}', '{"binance": {"offset_ms": "x"}}', '{"binance": {}}'])
def test_a_broken_file_is_measured_anew(home: Home, text: str) -> None:
    store.path_of(home, "clock").write_text(text)
    assert stored(home, "binance") is None
    assert venue_clock(home, Exchange(*([9] * 5))).offset().offset_ms == 9
    assert stored(home, "binance") is not None


def test_venues_stand_side_by_side(home: Home) -> None:
    venue_clock(home, Exchange(*([1] * 5))).resync()
    VenueClock(home, "mexc", Clock(), Exchange(*([2] * 5)).probe, lambda level, line: None).resync()
    found = [stored(home, venue) for venue in ("binance", "mexc")]
    assert [one.offset_ms for one in found if one] == [1, 2]


def test_even_counts_take_a_real_probe() -> None:
    probes = [TimeProbe(server_ms=0, local_ms=0, offset_ms=n, error_ms=n) for n in (4, 1, 3, 2)]
    assert median(probes, 0).offset_ms in {2, 3}
    assert clock_sync.KEY == "clock"
