"""Attacks on the stages of a cycle: parts sold twice, entries after a loss of the same cycle, answers lost (P3, P6)."""

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from desk.base import clock
from desk.base.reasons import Reason
from desk.execution import books, cycle, lookup, submit
from desk.execution.accounts import Accounts
from desk.execution.cycle import Cycle
from desk.execution.inbox import Inbox
from desk.risk import kill_switch
from desk.risk.decision import Decision, Kind, Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.gates import pace
from desk.venues.protocol import OrderType, Side
from kit import Bench, D, bench, entry, ok

NAME = "binance:BTCUSDT"


@dataclass
class Judged:
    """What one gate answered, as the policy engine would say it."""

    found: Verdict

    @property
    def allowed(self) -> bool:
        return self.found.allowed

    @property
    def gate(self) -> str:
        return self.found.gate

    @property
    def code(self) -> str:
        return self.found.code

    @property
    def detail(self) -> str:
        return self.found.detail

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return (self.found,)


def _cooldown(proposal: Proposal, facts: Facts) -> Judged:
    """Exits pass; entries are asked for the cool-down only."""
    is_exit = proposal.decision.kind is Kind.EXIT
    return Judged(Verdict(gate="cooldown", allowed=True) if is_exit else pace.cooldown(proposal, facts))


@pytest.fixture
def flat(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    monkeypatch.setenv("UNIVERSE_SYMBOLS", "BTCUSDT,ETHUSDT")
    return bench(home)


@pytest.fixture
def held(flat: Bench) -> Bench:
    submit.submit(flat.desk(), entry(), ok)
    return flat


def _cycle(b: Bench, bid: str = "50000", sends: bool = True) -> Cycle:
    """A cycle after its SNAPSHOT, a minute later."""
    b.later(60_000)
    b.bid = D(bid)
    desk = b.desk()
    desk.sends = sends
    lookup.look_at_all(desk)
    desk.facts = b.facts(desk)
    return Cycle(desk.run, desk, _cooldown, Accounts(desk.run, _no_client), Inbox(desk.run), False, not sends)


def _no_client(venue: str):  # type: ignore[no-untyped-def]
    raise AssertionError(f"{venue} is asked for over the network")


def _rest(state: Cycle) -> Cycle:
    for stage in (cycle.manage, cycle.propose, cycle.judge, cycle.execute, cycle.settle, cycle.publish):
        stage(state)
    return state


def _signal(b: Bench, name: str = "s1", **fields: object) -> None:
    body = {
        "id": name, "source": "test", "venue": "binance", "symbol": "BTCUSDT", "side": "SELL", "kind": "EXIT",
        "created_at": clock.iso(b.now_ms), "expires_at": clock.iso(b.now_ms + 3_600_000),
    }  # fmt: skip
    b.home.signals.mkdir(exist_ok=True)
    (b.home.signals / f"{name}.json").write_text(json.dumps(body | fields))


def _sold(b: Bench) -> object:
    return sum(i.filled for i in b.intents().values() if i.side == "SELL")


def test_a_part_is_not_sold_again_after_a_crash_before_its_signal_was_settled(
    held: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _signal(held, quantity="0.0005")
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "done", _dies)
        with pytest.raises(SystemExit):
            _rest(_cycle(held))
    assert _sold(held) == D("0.0005")
    _rest(_cycle(held))
    _rest(_cycle(held))
    assert _sold(held) == D("0.0005")
    assert not list(held.home.signals.glob("*.json"))


def test_a_part_filled_in_parts_is_sold_once_in_all(held: Bench) -> None:
    _signal(held, quantity="0.001")
    held.depth = D("0.0004")
    for _ in range(5):
        _rest(_cycle(held))
    assert _sold(held) == D("0.001")
    assert not list(held.home.signals.glob("*.json"))


def _dies(*_: object) -> None:
    raise SystemExit("power cut")


def _entry_decision(symbol: str = "BTCUSDT") -> Decision:
    return Decision(
        decision_id="dnext", strategy="test", version="1", venue="binance", symbol=symbol, side=Side.BUY,
        kind=Kind.ENTRY, occasion="o", edge_bps=D("500"), notional_quote=D("100"), stop_price=D("45000"),
    )  # fmt: skip


def test_a_loss_taken_in_this_cycle_shuts_this_cycles_entries(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.strategies.table.propose_all", lambda view, config: [_entry_decision()])
    state = _rest(_cycle(held, "48000"))  # through its stop before it was placed: sold at a loss in MANAGE
    assert held.position() is None
    assert state.entries == []
    assert set(state.blocked) == {str(Reason.COOL_STOP)}


def test_a_loss_taken_by_an_exit_signal_shuts_the_entry_beside_it(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    _rest(_cycle(held))
    _signal(held)
    monkeypatch.setattr("desk.strategies.table.propose_all", lambda view, config: [_entry_decision()])
    state = _rest(_cycle(held, "49500"))
    assert held.position() is None
    assert state.entries == []


def test_an_entry_whose_answer_was_lost_is_protected_in_the_same_tick(
    flat: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desk.strategies.table.propose_all", lambda view, config: [_entry_decision()])
    flat.faults.drop_after_accept = 1
    _rest(_cycle(flat))
    assert {(i.leg, i.status) for i in flat.intents().values()} == {("entry", "FILLED"), ("stop", "NEW")}


def test_strategies_do_not_enter_a_symbol_taken_off_the_universe(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.strategies.table.propose_all", lambda view, config: [_entry_decision(view.symbol)])
    state = _cycle(held)
    settings = state.run.settings
    limited = msgspec.structs.replace(settings.config.system, universe_symbols=("ETHUSDT",))
    state.run.settings = _with(settings, msgspec.structs.replace(settings.config, system=limited))
    cycle.manage(state)
    cycle.propose(state)
    assert state.decisions == []


def _with(settings, config):  # type: ignore[no-untyped-def]
    return msgspec.structs.replace(settings, config=config)


def test_an_exit_signal_for_a_held_symbol_off_the_universe_is_taken(held: Bench) -> None:
    _signal(held)
    state = _cycle(held)
    settings = state.run.settings
    limited = msgspec.structs.replace(settings.config.system, universe_symbols=("ETHUSDT",))
    state.run.settings = _with(settings, msgspec.structs.replace(settings.config, system=limited))
    _rest(state)
    assert held.position() is None


def test_an_entry_that_shows_up_under_the_kill_switch_is_cancelled_at_once(flat: Bench) -> None:
    flat.faults.drop_after_accept, flat.faults.listing_lag_ms = 1, 30_000
    submit.submit(flat.desk(), entry(price="49000", type=OrderType.LIMIT), ok)
    flat.faults.listing_lag_ms = 0
    kill_switch.engage(flat.home, flat.run().journal, "manual", "test")
    state = _cycle(flat)
    state.desk.facts = msgspec.structs.replace(state.facts, latches=_latches(flat))
    cycle.manage(state)
    assert [i.status for i in flat.intents().values()] == ["CANCELED"]


def _latches(b: Bench):  # type: ignore[no-untyped-def]
    from desk.risk import latches

    return latches.effective(b.home, b.run().journal.read_fold(), b.settings)


def test_a_dry_run_leaves_old_entries_alone(flat: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    submit.submit(flat.desk(), entry(price="49000", type=OrderType.LIMIT), ok)
    flat.later(600_000)
    _rest(_cycle(flat, sends=False))
    assert [i.status for i in flat.intents().values()] == ["NEW"]
    assert "stuck_order" not in flat.home.journal.read_text()


def test_a_position_nothing_is_known_of_is_named(held: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    state = _cycle(held)
    state.desk.facts = msgspec.structs.replace(state.facts, symbols={})
    cycle.manage(state)
    assert "unmanaged position binance:BTCUSDT" in (held.home.logs / "trading.log").read_text()


def test_a_tick_across_midnight_closes_the_day_it_began_in(held: Bench) -> None:
    """The last mark of a slow tick falls into the next day: the day before must be closed all the same."""
    books.open_books(held.desk(), "binance")
    _rest(_cycle(held))
    held.later(86_400_000 - 150_000)
    state = _cycle(held, "50500")
    held.later(60_000)  # midnight passes while the tick works
    _rest(state)
    _rest(_cycle(held, "50600"))
    cycle.recover(_cycle(held, "50700"))
    assert held.run().journal.read_fold().portfolio.day_closed == "2026-01-05"
