"""Attacks by overlap: reconcile reading while the router trades, ids that meet, paths in the journal (P5, P7)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from desk.base.errors import StateError
from desk.execution import books, exits, reconcile, submit, truth
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Intent
from desk.runtime.tick import Outcome, Run, run_door
from desk.venues.protocol import OrderType, Side, Trade
from kit import Bench, D, bench, entry, freeze, ok


@pytest.fixture
def paper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    books.open_books(found.desk(), "binance")
    return found


class Interrupted:
    """The paper account; another door acts each time before one of its answers."""

    def __init__(self, desk: Desk, name: str, act: Callable[[], None]) -> None:
        self._real, self._name, self._act = desk.account_of("binance"), name, act

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        if name == self._name:
            self._act()
        return getattr(self._real, name)


@pytest.mark.parametrize("where", ["my_trades", "open_orders", "balances"])
@pytest.mark.parametrize("kind", [OrderType.LIMIT_IOC, OrderType.LIMIT])
def test_a_router_that_trades_meanwhile_is_no_drift(paper: Bench, where: str, kind: OrderType) -> None:
    acts = [lambda: submit.submit(paper.desk(), entry(decision="d2", type=kind, price="50010"), ok)]

    def once() -> None:
        if acts:
            acts.pop()()

    desk = paper.desk()
    meddled = Interrupted(desk, where, once)
    desk.account_of = lambda venue: meddled  # type: ignore[assignment,return-value]
    found = reconcile.run(desk, ("binance",))
    assert found.differences == ()
    assert found.clean


def test_a_difference_that_stays_is_named_once(paper: Bench) -> None:
    desk = paper.desk()
    paper.broker().client("binance")
    submit.submit(paper.desk(), entry(), ok)
    account = desk.account_of("binance")

    class Short:
        def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
            return dict if name == "balances" else getattr(account, name)

    desk.account_of = lambda venue: Short()  # type: ignore[assignment,return-value]
    found = reconcile.run(desk, ("binance",))
    named = sorted((d.kind, d.subject) for d in found.differences)
    assert named == [("balances", "BTC"), ("balances", "USDT"), ("positions", "BTC")]
    assert found.score == 14


def test_a_trade_is_booked_on_the_order_of_its_own_symbol(paper: Bench) -> None:
    """An exchange numbers orders per symbol: the same number on another symbol is another order."""
    sent = submit.submit(paper.desk(), entry(), ok)
    assert isinstance(sent.intent, Intent)
    stranger = Trade(
        trade_id="900", symbol="ETHUSDT", order_id=sent.intent.order_id, client_order_id="", side=Side.BUY,
        quantity=D("1"), price=D("3000"), fee=D(0), fee_asset="ETH", time_ms=paper.now_ms, maker=False,
    )  # fmt: skip
    desk = paper.desk()
    truth.book_ours(desk, "binance", (stranger,))
    assert paper.intents()[sent.order_id].filled == D("0.002")


def test_no_path_of_this_machine_enters_the_journal(paper: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANAD_HOME", str(paper.home.root))

    def fails(run: Run) -> Outcome:
        raise StateError("is corrupt", str(run.home.root / "state" / "paper_broker.json"), "restore it")

    freeze(paper.now_ms)
    assert run_door("router", fails) == 2
    text = paper.home.journal.read_text()
    assert "state/paper_broker.json: is corrupt" in text
    assert str(paper.home.root) not in text


def test_any_number_of_denials_leaves_room_for_the_next_order(paper: Bench) -> None:
    desk = paper.desk()
    denied = NewEvent(
        event=Event.TRADE_REJECTED,
        venue="binance",
        symbol="BTCUSDT",
        data={"kind": "ENTRY", "gate": "spread", "code": "market:spread"},
    )
    desk.run.note(*[denied] * 1200)
    sent = submit.submit(desk, entry(), ok)
    assert sent.intent is not None
    assert sent.intent.status == "FILLED"
    assert paper.home.journal.read_text().count("TRADE_REJECTED") == 1200


def test_an_id_is_not_used_again_while_its_entry_may_still_fill(paper: Bench) -> None:
    """An entry with fills to come outlives its exits' day; the position they closed comes back with old attempts."""
    entered = submit.submit(paper.desk(), entry(), ok)
    missing = {
        "client_order_id": entered.order_id, "status": "FILLED", "order_id": "1", "executed": "0.003",
        "executed_quote": "150",
    }  # fmt: skip
    paper.desk().commit_events(intents.event(Event.INTENT_CONFIRMED, "binance", "BTCUSDT", missing))
    paper.later(60_000)
    desk = paper.desk()
    position = paper.position()
    assert position is not None
    exits.close_position(desk, position, "exit", D("50000"), "test", ok)
    rest = {"position_id": position.position_id, "quantity": "0.000008", "value": "0.4"}
    desk.commit_events(intents.event(Event.POSITION_DUST, "binance", "BTCUSDT", rest))
    first = {i.order_id: name for name, i in paper.intents().items() if i.leg == "exit"}
    paper.later(3 * 86_400_000)
    data = {"date": "2026-01-07", "capital": {}, "counts": {}}
    paper.desk().commit_events(NewEvent(event=Event.DAY_CLOSED, data=data))
    fill = {
        "client_order_id": entered.order_id, "trade_id": "777", "order_id": "1", "side": "BUY", "quantity": "0.001",
        "price": "50000", "fee": "0", "fee_asset": "BTC", "time_ms": paper.now_ms,
    }  # fmt: skip
    desk = paper.desk()
    desk.commit_events(intents.event(Event.FILL, "binance", "BTCUSDT", fill))
    back = paper.position()
    assert back is not None
    plan = exits.exit_plan(desk, back, paper.rules, "exit", D("0.001"), D("50000"))
    order_id, _ = intents.client_id(paper.settings.instance, plan, desk.fold())
    assert first
    assert order_id not in first.values()
