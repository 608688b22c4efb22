"""SNAPSHOT against the simulator: what is read, what a failure leaves, what a corrupt or missing file gives."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import policy_engine
from clients import clients_of
from desk.base import clock
from desk.base.paths import Home
from desk.config.load import load
from desk.journal import files
from desk.risk import breaker, facts_gather, facts_polls
from desk.risk.facts import Facts, SymbolFacts
from desk.runtime import tick
from desk.runtime.tick import Run
from desk.state import store
from desk.venues.protocol import Book, Level, VenueClient
from lab.sim.server import SimHandle, running_sim
from unit.risk.facts_kit import ENTRY, changed

NAME = "binance:BTCUSDT"


@pytest.fixture(autouse=True)
def _own_clock() -> Iterator[None]:
    yield
    clock._Anchor.wall_ms, clock._Anchor.frozen = None, False


@dataclasses.dataclass
class Place:
    """A PAPER home beside a stepped simulator; `stop` takes the exchange away."""

    home: Home
    sim: SimHandle
    running: ExitStack

    def stop(self) -> None:
        self.running.close()

    def run(self, door: str = "router") -> Run:
        """A fresh process's run of a door; the folder is stamped."""
        now_ms = clock.start_tick()
        settings = load(self.home, {("transport", "backoff_s"): (0,)})  # type: ignore[dict-item]
        run = tick._open(door, self.home, settings, now_ms, True, False, None)
        run.journal.transact(lambda fold: [])
        return run

    def gather(self, door: str = "router", **options: Any) -> Facts:
        run = self.run(door)
        return facts_gather.gather(run, clients_of(run), run.journal.read_fold(), **options)

    def later(self, ms: int = 60_000) -> None:
        self.sim.advance(ms)

    def write(self, name: str, text: str) -> None:
        (self.home.state / name).write_text(text)


class Bent:
    """The real client with another way to read books."""

    def __init__(self, client: VenueClient, book: Callable[..., Book]) -> None:
        self._client, self.book = client, book

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with ExitStack() as running:
        exchange = running.enter_context(running_sim(symbols=("BTCUSDT", "ETHUSDT"), seed=3))
        environment = {
            "SYSTEM_MODE": "PAPER", "VENUES": "binance", "VENUE_ENV": "sim", "UNIVERSE_SYMBOLS": "BTCUSDT,ETHUSDT",
            "BINANCE_REST_URL": exchange.rest_url, "SANAD_CLOCK": exchange.admin_url + "/sim/clock",
        }  # fmt: skip
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        exchange.advance(40 * 60_000)
        yield Place(Home(home).ensure(), exchange, running)


def of(facts: Facts, name: str = NAME) -> SymbolFacts:
    return facts.symbols[name]


def denied(facts: Facts, gate: str) -> str:
    row = next(row for row in policy_engine.GATES if row.name == gate)
    found = row.gate(ENTRY, facts)
    assert not found.allowed
    return found.code


def test_a_first_snapshot_reads_everything_over_rest(place: Place) -> None:
    facts = place.gather()
    found = of(facts)
    assert set(facts.symbols) == {NAME, "binance:ETHUSDT"}
    assert found.rules is not None
    assert found.rules.status == "TRADING"
    assert found.best_bid is not None
    assert found.best_ask is not None
    assert found.book_ms == facts.now_ms
    assert found.mark_bid == found.best_bid
    assert found.problems == ()
    assert len(found.bars) >= 32
    assert found.bars[-1] not in found.closed_bars
    assert [poll.at_ms for poll in found.polls] == [found.book_ms]
    venue = facts.venue("binance")
    assert venue is not None
    assert venue.clock is not None
    assert (facts.mode, facts.stamp, facts.is_live) == ("PAPER", "PAPER", False)
    assert facts.latches is not None
    assert facts.latches.kill.active is False
    assert facts.invalid_bids == 0


def test_what_no_job_has_written_yet_is_none_and_denies(place: Place) -> None:
    facts = place.gather()
    assert (facts.status, facts.reconciled) == (None, None)
    assert denied(facts, "system_mode") == "system_mode:status_missing"
    assert denied(facts, "reconcile_fresh") == "reconcile:never"
    assert denied(facts, "breaker") == "breaker:corrupt", "no file can prove nothing is open"
    assert denied(facts, "capital") == "capital:unknown"
    assert not policy_engine.evaluate(ENTRY, facts).allowed


def test_the_clock_is_measured_once_and_read_after(place: Place) -> None:
    place.sim.fault("clock_skew_ms", arg=1500, count=None)
    first = place.gather().venues["binance"].clock
    place.sim.clear_faults()
    place.later(60_000)
    second = place.gather().venues["binance"].clock
    assert first is not None
    assert abs(first.offset_ms) == 1500
    assert second == first, "younger than resync_s: not asked again"
    place.later(300_000)
    third = place.gather().venues["binance"].clock
    assert third is not None
    assert third.offset_ms == 0


def test_rules_are_read_from_the_file_for_a_day(place: Place) -> None:
    first = of(place.gather())
    place.sim.fault("http_status", path="/api/v3/exchangeInfo", count=None, arg=500)
    place.later()
    second = of(place.gather())
    assert second.rules == first.rules
    assert second.rules_ms == first.rules_ms
    place.later(86_400_000)
    old = place.gather()
    assert of(old).rules == first.rules, "stale rules still serve an exit"
    assert denied(old, "symbol_trading") == "symbol:unknown"


def test_changed_rules_are_journalled_once(place: Place) -> None:
    place.gather()
    place.sim.fault("filter_change", arg={"symbol": "BTCUSDT", "PRICE_FILTER": {"tickSize": "0.1"}}, count=None)
    for _ in range(2):
        place.later(86_400_001)
        run = place.run()
        facts = facts_gather.gather(run, clients_of(run), run.journal.read_fold())
        run.flush()
    rules = of(facts).rules
    assert rules is not None
    assert rules.tick == Decimal("0.1")
    events = [json.loads(line)["event"] for line in place.home.journal.read_text().splitlines()]
    assert events.count("FILTERS_REFRESHED") == 1


def test_one_failing_symbol_leaves_the_other(place: Place) -> None:
    place.gather()
    place.later()
    run = place.run()
    client = clients_of(run)("binance")

    def book(symbol: str, depth: int = 20) -> Book:
        if symbol == "BTCUSDT":
            raise KeyError("a bug in a parser")
        return client.book(symbol, depth)

    facts = facts_gather.gather(run, lambda venue: Bent(client, book), run.journal.read_fold())
    assert of(facts).book is None
    assert "KeyError" in of(facts).problems[0]
    assert of(facts).mark_bid is not None, "the last poll, a minute old, still values a position"
    assert of(facts, "binance:ETHUSDT").best_bid is not None


def jumped(place: Place, factor: str) -> SymbolFacts:
    """One snapshot a minute later, with the book's prices multiplied; candles stay what they are."""
    place.later()
    run = place.run()
    client = clients_of(run)("binance")

    def book(symbol: str, depth: int = 20) -> Book:
        found = client.book(symbol, depth)
        bids, asks = (
            tuple(Level(level.price * Decimal(factor), level.quantity) for level in side)
            for side in (found.bids, found.asks)
        )
        return changed(found, bids=bids, asks=asks)

    facts = facts_gather.gather(run, lambda venue: Bent(client, book), run.journal.read_fold())
    if factor != "1" and of(facts).polls[-1].held:
        assert denied(facts, "price_sane") == "market_data:outlier"
    return of(facts)


def test_a_jump_is_held_one_poll_and_neither_marks_nor_crashes(place: Place) -> None:
    before = of(place.gather())
    spike = jumped(place, "1.3")
    assert spike.polls[-1].held
    assert spike.mark_bid == before.mark_bid
    again = jumped(place, "1.3")
    assert not again.polls[-1].held, "the next poll confirms it"
    assert again.mark_bid == again.best_bid
    drop = jumped(place, "1")
    assert not drop.polls[-1].held, "candles, the traded price, confirm the way back at once"


def test_another_venue_confirms_and_contradicts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place.running.enter_context(running_sim(venue="mexc", symbols=("BTCUSDT",), seed=3))
    other.advance(40 * 60_000)
    monkeypatch.setenv("VENUES", "binance,mexc")
    monkeypatch.setenv("MEXC_REST_URL", other.rest_url)
    monkeypatch.setenv("UNIVERSE_SYMBOLS", "BTCUSDT")
    found = of(place.gather())
    assert [mid.venue for mid in found.other_mids] == ["mexc"]
    assert found.other_mids[0].at_ms == found.book_ms


def test_an_exchange_that_is_gone_leaves_nones(place: Place) -> None:
    place.gather()
    place.later(400_000)
    run = place.run()
    place.stop()
    facts = facts_gather.gather(run, clients_of(run), run.journal.read_fold())
    assert facts.venues["binance"].clock is None
    assert of(facts).book is None
    assert of(facts).mark_bid is None, "a price older than 300 s values nothing"
    assert of(facts).rules is not None
    assert not policy_engine.evaluate(ENTRY, facts).allowed


@pytest.mark.parametrize("kind", ["crossed_book", "empty_book"])
def test_an_invalid_best_bid_is_counted_and_never_noted(place: Place, kind: str) -> None:
    place.gather()
    place.sim.fault(kind, count=None)
    place.later()
    run = place.run()
    facts = facts_gather.gather(run, clients_of(run), run.journal.read_fold())
    assert facts.invalid_bids == 2
    assert run.counts["invalid_best_bid_count"] == 2
    assert of(facts).best_bid is None
    assert len(of(facts).polls) == 1, "the earlier one only"
    assert denied(facts, "price_sane") == "market_data:invalid_bid"


def test_a_frozen_price_is_seen_after_five_polls(place: Place) -> None:
    place.sim.fault("frozen_price", count=None)
    for _ in range(4):
        facts = place.gather()
        place.later()
    assert len(of(facts).polls) == 4
    assert denied(place.gather(), "price_sane") == "market_data:frozen"


def test_polls_of_one_moment_count_once(place: Place) -> None:
    place.gather()
    assert len(of(place.gather()).polls) == 1


def test_only_the_router_writes_polls(place: Place) -> None:
    place.gather("policy_engine")
    path = store.path_of(place.home, "market_data", venue="binance", source=facts_polls.OWN)
    assert not path.exists()
    place.gather()
    assert set(json.loads(path.read_text())["symbols"]) == {"BTCUSDT", "ETHUSDT"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"symbols": 3}', '{"symbols": {"BTCUSDT": {"polls": [1, {"at_ms": "x"}]}}}']
)
def test_corrupt_observations_are_fetched_anew(place: Place, text: str) -> None:
    place.gather()
    for name in ("market_data_binance_router.json", "filters_binance.json", "clock.json", "rate_budget.json"):
        place.write(name, text)
    facts = place.gather()
    assert of(facts).problems == ()
    assert of(facts).rules is not None
    assert len(of(facts).polls) == 1
    assert facts.venues["binance"].clock is not None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"system_mode": {"mode": "FINE"}, "written_ms": 5}', '{"system_mode": {"mode": "NORMAL"}}'],
)
def test_a_status_without_sense_is_none(place: Place, text: str) -> None:
    place.write("system_status.json", text)
    place.write("reconcile.json", text)
    facts = place.gather()
    assert (facts.status, facts.reconciled) == (None, None)


def test_status_and_reconcile_are_read(place: Place) -> None:
    now_ms = place.run().tick_ms
    judged = {"mode": "DEGRADE", "reasons": [{"code": "health:latency", "since_ms": 1}]}
    status = {"judged_as": "PAPER", "system_mode": judged, "written_at": clock.iso(now_ms)}
    place.write("system_status.json", json.dumps(status))
    place.write("reconcile.json", json.dumps({"clean": True, "score": 4, "last_success_ms": now_ms - 5}))
    facts = place.gather()
    assert facts.status is not None
    assert (facts.status.mode, facts.status.reasons) == ("DEGRADE", ("health:latency",))
    assert facts.status.written_ms == now_ms
    assert facts.reconciled is not None
    assert (facts.reconciled.score, facts.reconciled.last_success_ms) == (4, now_ms - 5)


def test_breakers_and_budget_are_read_as_the_files_say(place: Place) -> None:
    run = place.run()
    breaker.Breakers(place.home, run.settings.config.breakers, "test", run.log.line).ensure(("binance",))
    found = place.gather().venues["binance"].breakers
    assert found is not None
    assert (found.api, found.orders, found.problem) == ("closed", "closed", "")
    place.write("circuit_breakers.json", "{")
    found = place.gather().venues["binance"].breakers
    assert found is not None
    assert found.problem


def test_a_journal_that_cannot_be_read_denies_and_blocks_exits(place: Place) -> None:
    run = place.run()
    facts = facts_gather.gather(run, clients_of(run), None, journal_problem="audit.jsonl: a line is wrong")
    assert (facts.stamp, facts.ledger) == (None, None)
    assert denied(facts, "audit_writable") == "audit:damaged"
    assert facts.journal is not None
    assert facts.journal.problem == "audit.jsonl: a line is wrong"
    exits = changed(ENTRY, decision__kind="EXIT", decision__side="SELL")
    assert not policy_engine.evaluate(exits, facts).allowed


def test_the_reserve_is_seen(place: Place) -> None:
    place.gather()
    files.release_reserve(place.home)
    missing = place.gather().journal
    assert missing is not None
    assert missing.reserve is False
    files.ensure_reserve(place.home)
    found = place.gather().journal
    assert found is not None
    assert (found.reserve, found.writable, found.damaged) == (True, True, False)


def test_a_corrupt_overlay_stops_entries(place: Place) -> None:
    place.write("limits_overlay.json", "{")
    facts = place.gather()
    assert facts.limits_problem
    assert denied(facts, "system_mode") == "limits:overlay_corrupt"


def test_arming_follows_the_switches_and_the_doors_flags(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.gather().arming.dry_run is False
    assert place.gather(dry_run=True).arming.dry_run is True
    assert place.gather(live=True).arming.live_flag is True
    monkeypatch.setenv("SAFE_MODE", "true")
    monkeypatch.setenv("LIVE_TRADING", "true")
    (place.home.state / "LIVE.ok").write_text("{")  # no whole file: it arms nothing
    found = place.gather().arming
    assert (found.safe_mode, found.live_trading, found.live_ok, found.certificate_valid) == (True, True, False, False)


def test_the_environments_kill_switch_reaches_the_facts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILL_SWITCH", "true")
    facts = place.gather()
    assert denied(facts, "kill_switch").startswith("risk:kill_switch")


def test_a_symbol_no_exchange_knows_is_denied_and_costs_no_more_calls(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIVERSE_SYMBOLS", "BTCUSDT,NOSUCH")
    facts = place.gather()
    assert of(facts, "binance:NOSUCH").rules is None
    assert of(facts, "binance:NOSUCH").problems == ()
    paths = [request["path"] for request in place.sim.requests() if "NOSUCH" in json.dumps(request)]
    assert not [path for path in paths if "depth" in path or "klines" in path]


def test_the_books_come_last(place: Place) -> None:
    place.gather()
    paths = [request["path"].partition("?")[0] for request in place.sim.requests()]
    books = [index for index, path in enumerate(paths) if path.endswith("/depth")]
    assert books == list(range(len(paths) - 2, len(paths)))


def test_the_same_moment_gives_the_same_facts(place: Place) -> None:
    place.gather()
    first, second = place.gather(), place.gather()
    assert changed(first, latches=None) == changed(second, latches=None)


def test_nothing_is_read_for_a_venue_that_is_not_listed(place: Place) -> None:
    assert os.environ["VENUES"] == "binance"
    assert set(place.gather().venues) == {"binance"}
