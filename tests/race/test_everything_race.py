"""Eight processes at once on breakers, journal, kill switch and router ticks: nothing lost, nothing twice (P7).

Issue 2: no lost update, at most one probe, one lease holder, chain verifies; and no order twice, money closes.
"""

import json
import multiprocessing
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import daykit
from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings, load
from desk.journal import verify
from desk.journal.state import Fold
from desk.risk import latches
from desk.risk.breaker_rules import State
from desk.state import store
from desk.venues.table import Purpose
from lab.day import Day
from race import racer
from race.racer import Racer, Said, Tally

pytestmark = pytest.mark.slow
SEED = 20
RACERS = 8
TRADING = ("router", "router", "router", "router", "router_twice", "reconcile", "notes", "notes")
LATCHING = ("router", "router", "engage", "engage_door", "release", "release_door", "notes", "reconcile")
ROUNDS = (TRADING, LATCHING) * 4
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT")
MINUTE_MS = 60_000
CYCLE = ("RECOVER", "SNAPSHOT", "MANAGE", "PROPOSE", "POLICY", "EXECUTE", "SETTLE", "PUBLISH", "RUN_ENDED")
OK, WARN, BUSY = 0, 1, 3


@dataclass
class Race:
    """What was left behind, and what the racers say they did."""

    home: Home
    settings: Settings
    tallies: list[Tally]
    own_releases: int
    events: list[dict[str, Any]]
    fold: Fold

    def of(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] in names]

    def doors(self, name: str) -> list[Said]:
        return [said for tally in self.tallies for said in tally.doors if said.door == name]


@dataclass
class Coordinator:
    """The one process beside the racers: between rounds it moves the market, sends a signal, lets the switch go."""

    played: Day
    home: Home
    settings: Settings
    releases: int = 0

    def prepare(self) -> None:
        """A minute later: the switch released, health as heartbeat would say it, one entry wanted."""
        self.played.sim.advance(MINUTE_MS)
        now_ms = clock.start_tick()
        journal = racer.journal_of(self.home, self.settings, "kill_switch")
        self.releases += racer.release_once(self.home, self.settings, journal)
        status = {"system_mode": {"mode": "NORMAL", "reasons": []}, "written_ms": now_ms, "active_codes": []}
        store.write(self.home, "system_status", status, "heartbeat")

    def want(self, number: int) -> None:
        """A signal that every router of the round finds."""
        now_ms = clock.now_ms()
        found = {
            "id": f"race-{number}", "source": "race", "venue": "binance", "symbol": SYMBOLS[number % len(SYMBOLS)],
            "side": "BUY", "kind": "ENTRY", "notional_quote": "100", "edge_bps": "200", "stop_price": None,
            "target_price": None, "created_at": clock.iso(now_ms), "expires_at": clock.iso(now_ms + 30 * MINUTE_MS),
        }  # fmt: skip
        fresh = self.home.signals / f".race-{number}"
        fresh.write_text(json.dumps(found))
        fresh.rename(self.home.signals / f"race-{number}.json")

    def trip(self) -> None:
        """The probed breaker starts open."""
        hand = Racer(self.home, self.settings, Tally(-1))._breakers(racer.PROBING)
        hand.record_failure(hand.admit(racer.PROBED, Purpose.READ), "http 500", None, False)


def test_everything_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One race, then everything that must hold of what it left."""
    race = _race(tmp_path / "home", monkeypatch)
    for check in CHECKS:
        check(race)


def _race(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Race:
    """Play all rounds; a last quiet minute settles what the last of them left."""
    others = [argument for symbol in SYMBOLS[1:] for argument in ("--symbol", symbol)]
    with daykit.day(folder, SYMBOLS[0], *others, "--seed", "11", in_process=False) as played:
        played.env |= {"UNIVERSE_SYMBOLS": ",".join(SYMBOLS)}
        for name, value in played.env.items():
            monkeypatch.setenv(name, value)
        home = Home(folder).ensure()
        clock.start_tick()
        coordinator = Coordinator(played, home, load(home))
        for door in ("router", "reconcile", "heartbeat"):
            assert played.run(door).exit_code == OK
        coordinator.trip()
        tallies = _play(coordinator)
        coordinator.prepare()
        for door in ("reconcile", "router", "reconcile"):
            last = played.run(door)
        assert last.exit_code == OK, last
        monkeypatch.delenv("SANAD_CLOCK")
        clock.start_tick()  # the tests after this one live in real time again
    events, fold = daykit.lines_of(folder), daykit.fold_of(folder)
    return Race(home, coordinator.settings, tallies, coordinator.releases, events, fold)


def _play(coordinator: Coordinator) -> list[Tally]:
    """Start the racers, open the rounds, collect what they say."""
    context = multiprocessing.get_context("spawn")
    gate, told = context.Barrier(RACERS + 1), context.Queue()
    draw = random.Random(SEED)
    parts = [draw.sample(parts, RACERS) for parts in ROUNDS]
    root, env = str(coordinator.home.root), coordinator.played.env
    runners = [
        context.Process(target=racer.run, args=(number, root, env, [part[number] for part in parts], gate, told))
        for number in range(RACERS)
    ]
    for runner in runners:
        runner.start()
    try:
        for number, _ in enumerate(ROUNDS):
            coordinator.prepare()
            coordinator.want(number)
            gate.wait(racer.WAIT_S)
            gate.wait(racer.WAIT_S)
    except BaseException:
        gate.abort()
        raise
    finally:
        tallies = [told.get(timeout=racer.WAIT_S) for _ in runners]
        for runner in runners:
            runner.join(racer.WAIT_S)
        assert not [tally.problem for tally in tallies if tally.problem and "BrokenBarrier" not in tally.problem]
    return tallies


def the_race_was_one(race: Race) -> None:
    """Orders went out, routers met, the switch went on and off: else everything below proves nothing."""
    assert race.fold.portfolio.fills > len(SYMBOLS) // 2
    assert BUSY in {said.exit_code for said in race.doors("router")}
    assert len(race.of("KILL_SWITCH_ACTIVATED")) > 2 and len(race.of("KILL_SWITCH_DEACTIVATED")) > 2
    assert sum(tally.engagements for tally in race.tallies)


def no_door_fails(race: Race) -> None:
    ended = [said for tally in race.tallies for said in tally.doors]
    assert [said for said in ended if said.exit_code not in {OK, WARN, BUSY}] == []
    assert [said for said in ended if said.exit_code == BUSY and said.door != "router"] == []


def no_failure_is_lost(race: Race) -> None:
    entry = json.loads((race.home.state / "circuit_breakers.json").read_text())[racer.COUNTED]
    assert entry["failure_count"] == sum(tally.failures for tally in race.tallies)
    assert entry["failure_count"] == RACERS * len(ROUNDS) * racer.FAILURES


def one_probe_a_round(race: Race) -> None:
    got = Counter(number for tally in race.tallies for number in tally.probes)
    assert got == Counter(range(len(ROUNDS)))
    steps = [e["data"] for e in race.of("BREAKER_CHANGED") if e["data"]["component"] == racer.PROBED]
    assert Counter(step["to"] for step in steps) == {State.OPEN: len(ROUNDS) + 1, State.HALF_OPEN: len(ROUNDS)}


def no_note_is_lost_and_none_was_decided_on_a_stale_fold(race: Race) -> None:
    written = race.of("NOTE")
    assert Counter(e["data"]["text"] for e in written) == Counter(t for tally in race.tallies for t in tally.notes)
    before = {event["seq"]: event["hash"] for event in race.events}
    for event in written:
        first = event["seq"] - event["group"][0]
        assert (event["data"]["after_seq"], event["data"]["after_hash"]) == (first, before[first])


def the_chain_verifies(race: Race) -> None:
    found = verify.verify(race.home, {})
    assert found.code == verify.WHOLE, found.findings
    assert [event["seq"] for event in race.events] == list(range(1, len(race.events) + 1))


def one_lease_holder(race: Race) -> None:
    """Cycles stand in the journal whole, one after another; whoever came meanwhile said so in one line."""
    told = [event for event in race.of("STAGE_CHANGED", "RUN_ENDED") if event["script"] == "router"]
    steps = [event["data"].get("stage", "RUN_ENDED") for event in told]
    assert len(steps) % len(CYCLE) == 0
    cycles = [tuple(steps[start : start + len(CYCLE)]) for start in range(0, len(steps), len(CYCLE))]
    assert set(cycles) == {CYCLE}
    routers = race.doors("router")
    assert len(cycles) == sum(said.exit_code != BUSY for said in routers) + 2, "and one before and one after the race"
    assert [said.lines for said in routers if said.exit_code == BUSY and len(said.lines) != 1] == []
    assert {said.round for said in routers if said.exit_code != BUSY} == set(range(len(ROUNDS)))


def the_kill_switch_is_let_go_only_by_those_who_said_so(race: Race) -> None:
    by_door = sum("RELEASED" in said.lines[-1] for said in race.doors("kill_switch release"))
    said = sum(tally.releases for tally in race.tallies) + by_door + race.own_releases
    assert len(race.of("KILL_SWITCH_DEACTIVATED")) == said
    found = latches.effective(race.home, race.fold, race.settings)
    assert not found.kill.active and race.fold.portfolio.kill_switch.state == "inactive"


def no_entry_goes_out_under_the_kill_switch(race: Race) -> None:
    """An entry written down while it was engaged never left: the last look before the bytes."""
    is_on, late = False, []
    for event in race.events:
        is_on = (is_on or event["event"] == "KILL_SWITCH_ACTIVATED") and event["event"] != "KILL_SWITCH_DEACTIVATED"
        if is_on and event["event"] == "INTENT_CREATED" and event["data"]["kind"] == "ENTRY":
            late.append(event["data"]["client_order_id"])
    sent = {order["client_order_id"] for order in _books(race)["orders"]}
    assert [name for name in late if name in sent] == []


def no_order_twice(race: Race) -> None:
    at_the_exchange = Counter(order["client_order_id"] for order in _books(race)["orders"])
    assert set(at_the_exchange.values()) == {1}
    created = race.of("INTENT_CREATED")
    written = Counter(event["data"]["client_order_id"] for event in created)
    assert set(written.values()) == {1} and set(at_the_exchange) <= set(written)
    entries = Counter(event["decision_id"] for event in created if event["data"]["kind"] == "ENTRY")
    assert set(entries.values()) == {1}
    assert {intent.state for intent in race.fold.intents.intents.values()} <= {"CONFIRMED", "FAILED_TERMINAL"}


def money_closes(race: Race) -> None:
    """P5: opening + fills = balances by the journal = balances of the paper exchange, to the last digit."""
    pairs = {e["data"]["client_order_id"]: (e["data"]["base"], e["data"]["quote"]) for e in race.of("INTENT_CREATED")}
    balances = dict(race.fold.portfolio.opening["binance"])
    for event in race.of("FILL"):
        fill = event["data"]
        base, quote = pairs[fill["client_order_id"]]
        bought = Decimal(fill["quantity"]) * (1 if fill["side"] == "BUY" else -1)
        paid = bought * Decimal(fill["price"])
        for asset, amount in ((base, bought), (quote, -paid), (fill["fee_asset"], -Decimal(fill["fee"]))):
            balances[asset] = balances.get(asset, Decimal(0)) + amount
    expected = {asset: amount for asset, amount in balances.items() if amount}
    assert {a: v for a, v in race.fold.portfolio.balances["binance"].items() if v} == expected
    held = {a: Decimal(found["free"]) + Decimal(found["locked"]) for a, found in _books(race)["balances"].items()}
    assert {a: v for a, v in held.items() if v} == expected
    trades = sorted(str(fill["trade_id"]) for order in _books(race)["orders"] for fill in order.get("fills", []))
    assert trades == sorted(event["data"]["trade_id"] for event in race.of("FILL"))


def _books(race: Race) -> dict[str, Any]:
    found = json.loads((race.home.state / "paper_broker.json").read_text())["venues"]["binance"]
    assert isinstance(found, dict)
    return found


CHECKS: tuple[Callable[[Race], None], ...] = (
    the_race_was_one,
    no_door_fails,
    no_failure_is_lost,
    one_probe_a_round,
    no_note_is_lost_and_none_was_decided_on_a_stale_fold,
    the_chain_verifies,
    one_lease_holder,
    the_kill_switch_is_let_go_only_by_those_who_said_so,
    no_entry_goes_out_under_the_kill_switch,
    no_order_twice,
    money_closes,
)
