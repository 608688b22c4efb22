"""Attacks on exits and protection: freeze, deadline, parts, dust, orphans, resting entries (P2, P4, P6)."""

from pathlib import Path

import msgspec
import pytest

from desk.base.errors import DeadlinePassed
from desk.execution import cancel, exits, lookup, protect, submit
from desk.execution import intent as intents
from desk.execution.accounts import exit_block
from desk.execution.desk import Desk
from desk.journal.events import Event
from desk.risk import kill_switch, latches
from desk.venues.protocol import OrderType
from kit import Bench, D, bench, entry, ok

NAME = "binance:BTCUSDT"


@pytest.fixture
def flat(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    return bench(home)


@pytest.fixture
def held(flat: Bench) -> Bench:
    """Holds 0.002 BTC bought at about 50000, with its stop at 49000 resting; target 52000."""
    submit.submit(flat.desk(), entry(), ok)
    _tick(flat, "50000")
    return flat


def _desk_at(b: Bench, bid: str, minutes: int = 1) -> Desk:
    b.later(minutes * 60_000)
    b.bid = D(bid)
    desk = b.desk()
    lookup.look_at_all(desk)
    desk.facts = b.facts(desk)
    return desk


def _tick(b: Bench, bid: str, minutes: int = 1) -> Desk:
    desk = _desk_at(b, bid, minutes)
    assert desk.facts is not None
    protect.manage(desk, NAME, desk.facts.symbol("binance", "BTCUSDT"), lambda: exit_block(desk))
    return desk


def _standing(b: Bench) -> list[tuple[str, str]]:
    """Leg and stop price of what rests on the exchange itself."""
    legs = {name: i.leg for name, i in b.intents().items()}
    found = b.broker().client("binance").open_orders()
    return [(legs[order.client_order_id], str(order.stop_price)) for order in found]


@pytest.mark.parametrize("bid", ["52000", "51500"])
def test_freeze_all_keeps_the_resting_stop(held: Bench, bid: str) -> None:
    kill_switch.engage(held.home, held.run().journal, "manual", "test", level="freeze_all")
    _tick(held, bid)
    assert _standing(held) == [("stop", "49000")]


def test_freeze_all_sends_no_cancel(flat: Bench) -> None:
    submit.submit(flat.desk(), entry(price="49000", type=OrderType.LIMIT), ok)
    kill_switch.engage(flat.home, flat.run().journal, "manual", "test", level="freeze_all")
    cancel.cancel_expired(_desk_at(flat, "50000", 10))
    assert [leg for leg, _ in _standing(flat)] == ["entry"]


def test_a_desk_that_sends_nothing_sends_no_cancel(flat: Bench) -> None:
    submit.submit(flat.desk(), entry(price="49000", type=OrderType.LIMIT), ok)
    desk = _desk_at(flat, "50000", 10)
    desk.sends = False
    cancel.cancel_expired(desk)
    assert [leg for leg, _ in _standing(flat)] == ["entry"]


def test_the_deadline_does_not_part_a_cancel_from_its_new_stop(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = _desk_at(held, "51500")
    assert desk.facts is not None
    book = desk.account_of

    def slow(venue: str):  # type: ignore[no-untyped-def]
        desk.run.deadline_s = 0.0  # the tick's time is up as soon as the exchange has been spoken to
        return book(venue)

    desk.account_of = slow
    protect.manage(desk, NAME, desk.facts.symbol("binance", "BTCUSDT"), ok)
    assert _standing(held) == [("stop", "50985")]


def test_no_entry_is_sent_after_the_deadline(flat: Bench) -> None:
    desk = flat.desk()
    desk.run.deadline_s = 0.0
    with pytest.raises(DeadlinePassed):
        submit.submit(desk, entry(), ok)
    assert flat.intents() == {}


def test_rests_of_closed_positions_join_the_next_one(flat: Bench) -> None:
    """Each close leaves less than a lot; together they must not grow into an unprotected holding."""
    for number in range(14):
        submit.submit(flat.desk(), entry(decision=f"d{number}"), ok)
        desk = _desk_at(flat, "50000")
        position = flat.position()
        assert position is not None
        exits.close_position(desk, position, "exit", D("50000"), "test", ok)
        _tick(flat, "50000")
        assert flat.position() is None
    rest = flat.run().journal.read_fold().positions.dust[NAME]
    assert rest.quantity == flat.broker().books("binance").balances["BTC"].free < flat.rules.step


def test_a_late_sale_out_of_dust_counts_what_it_had_cost(held: Bench) -> None:
    """The position was written off as dust while its stop could still fill; then it fills."""
    fold = held.run().journal.read_fold()
    cost = fold.positions.positions[NAME].cost_quote
    stop = next(name for name, i in held.intents().items() if i.leg == "stop")
    position = held.position()
    assert position is not None
    data = {"position_id": position.position_id, "quantity": "0.001998", "value": "99"}
    held.desk().commit_events(intents.event(Event.POSITION_DUST, "binance", "BTCUSDT", data))
    held.later(60_000)
    held.bid = D("48900")
    lookup.look_at_all(held.desk())
    after = held.run().journal.read_fold()
    assert held.intents()[stop].status == "FILLED"
    proceeds = held.intents()[stop].filled_quote - held.intents()[stop].fees["USDT"]
    realised = after.portfolio.capital["binance:USDT"].realised
    left = after.positions.positions[NAME]
    assert realised - left.cost_quote == proceeds - cost
    assert left.cost_quote < D("1")


def test_a_resting_entry_is_not_cancelled_by_protecting_its_filled_part(flat: Bench) -> None:
    flat.faults.partial_fill_frac = D("0.3")
    submit.submit(flat.desk(), entry(type=OrderType.LIMIT, price="50010"), ok)
    flat.faults.partial_fill_frac = D(1)
    flat.depth = D("0.0004")
    _tick(flat, "50000")
    flat.depth = D("0.0003")
    _tick(flat, "49990")
    position = flat.position()
    assert position is not None
    assert {leg for leg, _ in _standing(flat)} >= {"entry", "stop"}
    assert position.quantity - intents.reserved(flat.run().journal.read_fold(), position) < flat.rules.step


def test_an_exit_does_not_wait_for_an_entrys_cancel(flat: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    flat.faults.partial_fill_frac = D("0.5")
    submit.submit(flat.desk(), entry(type=OrderType.LIMIT, price="50010"), ok)
    flat.faults.partial_fill_frac = D(1)
    flat.depth = D("0.000001")
    desk = _desk_at(flat, "52000")
    flat.depth = D("10")
    desk.facts = flat.facts(desk)
    real = cancel.cancel

    def stuck(desk: Desk, order_id: str, why: str) -> bool:
        found = desk.fold().intents.intents[order_id]
        return found.kind != intents.ENTRY and real(desk, order_id, why)

    monkeypatch.setattr("desk.execution.cancel.cancel", stuck)
    before = flat.position()
    assert before is not None
    exits.close_position(desk, before, "target", D("52000"), "test", ok)
    assert [i.status for i in flat.intents().values() if i.leg == "target"] == ["FILLED"]


def test_an_exit_order_without_its_position_is_cancelled(flat: Bench) -> None:
    """A stop nobody could find, given up, its position gone as dust: when it shows up it must not stay."""
    submit.submit(flat.desk(), entry(), ok)
    flat.faults.drop_after_accept, flat.faults.listing_lag_ms = 1, 400_000
    _tick(flat, "50000")
    flat.faults.listing_lag_ms = 0
    for _ in range(3):
        lookup.look_at_all(_desk_at(flat, "50000"))
    assert [i.state for i in flat.intents().values() if i.leg == "stop"] == ["NOT_FOUND"]
    flat.rules = msgspec.structs.replace(flat.rules, notional_min=D("500"))
    _tick(flat, "50000")
    assert flat.position() is None
    desk = _desk_at(flat, "50000", 10)
    assert lookup.look_at_watched(desk, "binance") == 0
    assert [leg for leg, _ in _standing(flat)] == ["stop"]
    cancel.cancel_orphans(_desk_at(flat, "50000"))
    assert _standing(flat) == []


def test_a_watched_stop_and_its_rest_are_sold_tick_by_tick_in_a_thin_book(flat: Bench) -> None:
    """No stop orders on the venue and little depth: every tick sells what the book takes, never too much."""
    flat.rules = msgspec.structs.replace(flat.rules, order_types=("LIMIT", "MARKET"))
    submit.submit(flat.desk(), entry(), ok)
    flat.depth = D("0.0006")
    for _ in range(5):
        _tick(flat, "48900")
    assert flat.position() is None
    sold = [i for i in flat.intents().values() if i.side == "SELL"]
    assert [i.filled for i in sold] == [D("0.0006"), D("0.0006"), D("0.0006"), D("0.00019")]
    assert flat.run().journal.read_fold().positions.closes[NAME].stop_out


def test_a_stop_that_fills_while_the_router_trails_it_is_booked_not_replaced(
    held: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel answers "unknown order": it had filled meanwhile."""
    desk = _desk_at(held, "51500")
    assert desk.facts is not None
    account = desk.account_of("binance")
    real = account.cancel_order

    def late(symbol: str, order_id: str):  # type: ignore[no-untyped-def]
        held.bid = D("48950")
        held.now_ms += 1
        held.broker().on_book(held.book(), held.now_ms)
        return real(symbol, order_id)

    monkeypatch.setattr(account, "cancel_order", late)
    desk.account_of = lambda venue: account
    protect.manage(desk, NAME, desk.facts.symbol("binance", "BTCUSDT"), lambda: exit_block(desk))
    assert held.position() is None or held.position().quantity < held.rules.step  # type: ignore[union-attr]
    assert [i.status for i in held.intents().values() if i.leg == "stop"] == ["FILLED"]
    assert _standing(held) == []
    assert "manual_needed" not in held.home.journal.read_text().lower()


def test_a_position_that_can_neither_be_protected_nor_sold_latches_pause(flat: Bench) -> None:
    submit.submit(flat.desk(), entry(), ok)
    flat.faults.reject = 3  # the planned stop, the default stop, the sale
    desk = _tick(flat, "50000")
    assert latches.effective(flat.home, desk.fold(), flat.settings).pause.state == "PAUSE"
    assert "PAUSE_NEEDS_MANUAL" in flat.home.journal.read_text()
    _tick(flat, "50000")  # the next tick protects it all the same
    assert _standing(flat) == [("stop", "49000")]
