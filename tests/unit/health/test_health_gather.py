"""What heartbeat reads: install and boot times, stored prices, `.env`, clocks; whatever is wrong with a file."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import journalkit
from desk.base.errors import JournalDamaged
from desk.base.paths import Home
from desk.config.load import Settings, load
from desk.config.mode import VenueEnv
from desk.config.schema import Config
from desk.health import gather, look_market
from desk.state import store
from desk.venues.outcome import Finding, Klass, VenueError
from desk.venues.protocol import TimeProbe
from unit.health.world import MINUTE, NAME, NOW, SYMBOL

ROOT = Path(__file__).resolve().parents[3]
CORRUPT = ("{", "", "[1]", "\x00\xff", '{"a": ')


@pytest.fixture
def standing() -> Iterator[None]:
    with journalkit.time_at(NOW):
        yield


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch, standing: None) -> Home:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    return Home(home).ensure()


@pytest.fixture
def settings(place: Home) -> Settings:
    return load(place)


def probe(*skews: int | None) -> Callable[[], TimeProbe]:
    """Answers one after another: offset and, as its error, its place; None does not answer."""
    left = list(skews)

    def ask() -> TimeProbe:
        skew = left.pop(0)
        if skew is None:
            raise VenueError(
                "binance", "GET /time", Finding(klass=Klass.NOT_SENT, message="timeout"), is_order=False, is_read=True
            )
        return TimeProbe(server_ms=NOW + skew, local_ms=NOW, offset_ms=skew, error_ms=10 - len(left))

    return ask


def test_a_clock_that_does_not_answer_is_unmeasured(settings: Settings) -> None:
    found = gather.clock_look(settings, "binance", probe(None))
    assert found.skew_ms is None and found.problem


def test_a_missing_client_is_unmeasured(settings: Settings) -> None:
    def absent() -> TimeProbe:
        raise ImportError("no module named nowhere_client")

    assert gather.clock_look(settings, "binance", absent).problem == "no client (no module named nowhere_client)"


def test_the_look_with_the_shortest_trip_counts_and_one_is_enough(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desk.base.clock.is_simulated", lambda: False)
    assert gather.clock_look(settings, "binance", probe(30, 20, 10)).skew_ms == 30
    assert gather.clock_look(settings, "binance", probe(30, None)).skew_ms == 30


def test_measuring_stores_nothing_and_knows_the_offset_in_use(settings: Settings, place: Home) -> None:
    assert gather.clock_look(settings, "binance", probe(30)).stored_offset_ms is None
    assert not store.path_of(place, "clock").exists()
    part = {"offset_ms": 700, "error_ms": 3, "measured_at": "2026-01-01T11:56:00.000+00:00"}
    store.write(place, "clock", {"binance": part}, "venues.transport")
    assert gather.clock_look(settings, "binance", probe(30)).stored_offset_ms == 700
    old = part | {"measured_at": "2026-01-01T11:54:00.000+00:00"}
    store.write(place, "clock", {"binance": old}, "venues.transport")
    assert gather.clock_look(settings, "binance", probe(30)).stored_offset_ms is None


# --- install and boot --------------------------------------------------------------------------------------


def test_the_folder_is_installed_when_it_is_stamped(place: Home) -> None:
    assert gather.install_time_ms(place, {}, NOW) == NOW
    journalkit.set_time(NOW - 9 * MINUTE)
    journalkit.write_notes(journalkit.journal(place), "first")
    journalkit.set_time(NOW)
    assert gather.install_time_ms(place, {}, NOW) == NOW - 9 * MINUTE
    assert (
        gather.install_time_ms(place, {"install_ms": NOW - 30 * MINUTE}, NOW) == NOW - 30 * MINUTE
    )  # after a rotation
    assert gather.install_time_ms(place, {"install_ms": NOW + MINUTE}, NOW) == NOW - 9 * MINUTE
    assert gather.install_time_ms(place, {"install_ms": "x"}, NOW) == NOW - 9 * MINUTE


def test_a_journal_whose_first_line_is_wrong_does_not_stop_the_look(place: Home) -> None:
    for text in ("one", "two", "three"):
        journalkit.write_notes(journalkit.journal(place), text)
    raw = place.journal.read_bytes()
    place.journal.write_bytes(raw.replace(b'"seq":1,', b'"seq":9,', 1))
    assert gather.install_time_ms(place, {}, NOW) == NOW
    fold, look = gather.journal_look(journalkit.journal(place))
    assert fold is None and look.damaged
    with pytest.raises(JournalDamaged):
        journalkit.journal(place).read_fold()


def test_boot_counts_on_a_real_clock_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, standing: None) -> None:
    uptime = tmp_path / "uptime"
    uptime.write_text("321.55 99.1\n")
    monkeypatch.setattr(gather, "UPTIME", uptime)
    assert gather.boot_time_ms(NOW) == 0  # the clock of these tests stands still, as the simulator's does
    monkeypatch.setattr("desk.base.clock.is_simulated", lambda: False)
    assert gather.boot_time_ms(NOW) == NOW - 321_000
    uptime.write_text("soon")
    assert gather.boot_time_ms(NOW) == 0
    uptime.unlink()
    assert gather.boot_time_ms(NOW) == 0


# --- .env --------------------------------------------------------------------------------------------------


def test_every_name_of_the_example_and_of_the_pilot_runbook_is_known() -> None:
    example = (ROOT / ".env.example").read_text()
    names = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if not gather.is_known_name(name)] == []


@pytest.mark.parametrize("name", ["MAX_DAYLY_LOSS", "SYSTEM_MOD", "BINANCE_API_KEYS", "KRAKEN_API_KEY", "kill_switch"])
def test_a_misspelt_name_is_not_known(name: str) -> None:
    assert not gather.is_known_name(name)


def test_the_env_file_of_the_home_is_looked_at(place: Home) -> None:
    path = place.root / ".env"
    path.write_text("SYSTEM_MODE=PAPER\nMAX_DAYLY_LOSS=3\nBINANCE_API_SECRET=fakefakefake\n")
    path.chmod(0o644)
    found = gather.env_file(place, VenueEnv.MAINNET)
    assert (found.unknown, found.mode and found.mode & 0o777, found.has_secrets) == (("MAX_DAYLY_LOSS",), 0o644, True)
    assert not gather.env_file(place, VenueEnv.SIM).has_secrets
    path.write_text("BINANCE_API_SECRET=\nBINANCE_API_KEY\n")
    assert not gather.env_file(place, VenueEnv.MAINNET).has_secrets
    path.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in gather.env_file(place, VenueEnv.MAINNET).problem


# --- stored prices -----------------------------------------------------------------------------------------


def prices(place: Home, source: str, *polls: tuple[int, str, str], **more: object) -> None:
    """Polls as (seconds ago, bid, ask), the last one also as the newest."""
    items = [{"at_ms": NOW - 1000 * age_s, "bid": bid, "ask": ask} for age_s, bid, ask in polls]
    last = items[-1]
    row = {"bid": last["bid"], "ask": last["ask"], "as_of_ms": last["at_ms"], "polls": items} | more
    writer = "router" if source == "router" else "binance_client"
    store.write(place, "market_data", {"symbols": {SYMBOL: row}}, writer, venue="binance", source=source)


def look(place: Home) -> look_market.SymbolFacts:
    found, problem = look_market.look(place, "binance", (SYMBOL,), Config())
    assert not problem
    return found[NAME]


def test_polls_of_all_sources_in_order_and_the_newest_marks(place: Home) -> None:
    prices(place, "router", (120, "100", "101"), (60, "102", "103"))
    prices(place, "rest", (90, "101", "102"), (5, "103", "104"))
    found = look(place)
    assert [str(poll.bid) for poll in found.polls] == ["100", "101", "102", "103"]
    assert found.mark_bid == Decimal(103)


def test_no_mark_from_an_old_price_or_one_from_the_future(place: Home) -> None:
    prices(place, "router", (301, "100", "101"))
    assert look(place).mark_bid is None
    prices(place, "router", (300, "100", "101"), (-5, "50", "51"))
    assert look(place).mark_bid == Decimal(100)


def test_one_bad_tick_is_held_and_a_second_one_believed(place: Home) -> None:
    prices(place, "rest", (120, "100", "101"), (60, "50", "51"))
    assert [poll.held for poll in look(place).polls] == [False, True]
    assert look(place).mark_bid == Decimal(100)
    prices(place, "rest", (120, "100", "101"), (60, "50", "51"), (1, "50", "51"))
    assert look(place).mark_bid == Decimal(50)


@pytest.mark.parametrize(("bid", "ask"), [("0", "1"), ("-1", "1"), ("2", "1"), ("1", "1"), ("x", "1"), ("1", "")])
def test_an_unusable_newest_bid_is_named_and_never_marks(place: Home, bid: str, ask: str) -> None:
    prices(place, "rest", (60, "100", "101"), (1, bid, ask))
    found = look(place)
    assert found.problems == (f"bid {bid} ask {ask}",)
    assert found.mark_bid == Decimal(100)


@pytest.mark.parametrize("text", CORRUPT)
@pytest.mark.parametrize("file", ["market_data_binance_rest.json", "filters_binance.json"])
def test_a_corrupt_file_is_a_problem_not_a_missing_one(place: Home, file: str, text: str) -> None:
    (place.state / file).write_text(text)
    found, problem = look_market.look(place, "binance", (SYMBOL,), Config())
    assert file in problem
    assert found[NAME].mark_bid is None


@pytest.mark.parametrize("symbols", [[], {"BTCUSDT": 3}, {"BTCUSDT": {"polls": 3}}, {"BTCUSDT": {"polls": [3, {}]}}])
def test_a_file_of_another_shape_gives_no_prices(place: Home, symbols: object) -> None:
    path = place.state / "market_data_binance_rest.json"
    path.write_text(json.dumps({"symbols": symbols}))
    assert look(place).polls == ()
