"""Protection: every sellable position has its stop at the end of the tick; exits go first, and go (P4, P6)."""

from pathlib import Path

import msgspec
import pytest

from desk.execution import exits, protect, submit
from desk.execution import intent as intents
from kit import Bench, D, bench, entry, ok

NAME = "binance:BTCUSDT"


@pytest.fixture
def held(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench that holds 0.002 BTC bought at about 50000, stop 49000, target 52000."""
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    submit.submit(found.desk(), entry(), ok)
    return found


def _tick(b: Bench, bid: str, minutes: int = 1) -> None:
    """One later tick at a price: rest meets the book, orders are looked up, positions managed."""
    from desk.execution import lookup

    b.later(minutes * 60_000)
    b.bid = D(bid)
    desk = b.desk()
    lookup.look_at_all(desk)
    desk.facts = b.facts(desk)
    protect.manage(desk, NAME, desk.facts.symbol("binance", "BTCUSDT"), ok)


def _stops(b: Bench) -> list[tuple[str, str]]:
    return [(i.status, str(i.stop_price)) for i in b.intents().values() if i.leg == "stop"]


def test_a_new_position_gets_its_stop(held: Bench) -> None:
    _tick(held, "50000")
    assert _stops(held) == [("NEW", "49000")]
    position = held.position()
    assert position is not None
    assert position.unprotected_ms == 0


def test_a_second_tick_places_no_second_stop(held: Bench) -> None:
    _tick(held, "50000")
    before = held.home.journal.stat().st_size
    _tick(held, "50001")
    assert len(_stops(held)) == 1
    assert held.home.journal.stat().st_size == before


def test_a_hit_stop_closes_the_position_as_a_stop_out(held: Bench) -> None:
    _tick(held, "50000")
    _tick(held, "48900")
    assert held.position() is None
    close = held.run().journal.read_fold().positions.closes[NAME]
    assert close.stop_out
    assert close.realised_quote < 0


def test_a_market_that_fell_through_the_stops_limit_is_sold_anyway(held: Bench) -> None:
    _tick(held, "50000")
    _tick(held, "40000")  # below 49000 - 3 %: the stop-limit is stranded
    assert held.position() is None
    legs = [(i.leg, i.type, i.status) for i in held.intents().values() if i.kind == "EXIT"]
    assert ("stop", "LIMIT_IOC", "FILLED") in legs


def test_a_price_through_the_stop_before_it_could_be_placed_is_sold_at_once(held: Bench) -> None:
    _tick(held, "48000")
    assert held.position() is None


def test_the_target_closes_the_position(held: Bench) -> None:
    _tick(held, "50000")
    _tick(held, "52000")
    assert held.position() is None
    close = held.run().journal.read_fold().positions.closes[NAME]
    assert not close.stop_out
    assert close.realised_quote > 0


def test_the_stop_trails_the_price_and_never_goes_back(held: Bench) -> None:
    _tick(held, "50000")
    _tick(held, "51500")
    position = held.position()
    assert position is not None
    assert position.stop_price == D("50985")  # 1 % below the peak
    assert position.swap == {}
    assert [s for s in _stops(held) if s[0] == "NEW"] == [("NEW", "50985")]
    _tick(held, "51200")
    moved = held.position()
    assert moved is not None
    assert moved.stop_price == D("50985")


def test_a_trail_step_below_the_minimum_moves_nothing(held: Bench) -> None:
    _tick(held, "50000")
    _tick(held, "51500")
    _tick(held, "51520")
    assert len(_stops(held)) == 2


def test_a_swap_whose_cancel_is_not_confirmed_keeps_the_old_stop(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    _tick(held, "50000")
    monkeypatch.setattr("desk.execution.cancel.cancel", lambda desk, order_id, why: False)
    _tick(held, "51500")
    position = held.position()
    assert position is not None
    assert (position.stop_price, position.swap) == (D("49000"), {})
    assert _stops(held) == [("NEW", "49000")]


def test_a_swap_cut_short_by_a_crash_is_repaired_next_tick(held: Bench) -> None:
    _tick(held, "50000")
    desk = held.desk()
    stop = next(name for name, i in held.intents().items() if i.leg == "stop")
    from desk.execution import cancel
    from desk.execution.intent import event
    from desk.journal.events import Event

    position = held.position()
    assert position is not None
    data = {"position_id": position.position_id, "old": stop, "new": "50500", "fallback": "49000"}
    desk.commit_events(event(Event.PROTECTION_SWAP, "binance", "BTCUSDT", data))
    assert cancel.cancel(desk, stop, "trail")  # and here the process dies
    _tick(held, "50100")
    after = held.position()
    assert after is not None
    assert after.swap == {}
    assert [s for s in _stops(held) if s[0] == "NEW"] == [("NEW", "49000")]


def test_no_room_for_a_new_stop_falls_back_to_the_old_level(held: Bench) -> None:
    _tick(held, "50000")
    held.faults.reject = 1
    _tick(held, "51500")
    assert [s for s in _stops(held) if s[0] == "NEW"] == [("NEW", "49000")]
    position = held.position()
    assert position is not None
    assert position.stop_price == D("49000")


def test_without_any_stop_the_position_is_sold(held: Bench) -> None:
    _tick(held, "50000")
    held.faults.reject = 2
    _tick(held, "51500")
    assert held.position() is None


def test_an_unknown_stop_reserves_its_quantity_and_is_not_doubled(held: Bench) -> None:
    held.faults.drop_after_accept, held.faults.listing_lag_ms = 1, 100_000
    _tick(held, "50000")
    _tick(held, "50000")
    stops = [i for i in held.intents().values() if i.leg == "stop"]
    assert [i.state for i in stops] == ["SENT_UNKNOWN"]
    assert len(held.broker().books("binance").orders) == 2  # the entry and one stop


def test_a_partly_filled_entry_is_protected_for_what_it_holds(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    found.faults.partial_fill_frac = D("0.5")
    submit.submit(found.desk(), entry(), ok)
    found.faults.partial_fill_frac = D(1)
    _tick(found, "50000")
    position = found.position()
    assert position is not None
    stop = next(i for i in found.intents().values() if i.leg == "stop")
    assert stop.quantity <= position.quantity < stop.quantity + found.rules.step


def test_a_rest_below_the_minimum_becomes_dust_and_frees_the_slot(held: Bench) -> None:
    held.rules = msgspec.structs.replace(held.rules, notional_min=D("500"))
    _tick(held, "50000")
    assert held.position() is None
    fold = held.run().journal.read_fold()
    assert fold.positions.dust[NAME].quantity > 0
    assert "POSITION_DUST" in held.home.journal.read_text()


def test_without_stop_orders_the_stop_is_watched_each_tick(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    found.rules = msgspec.structs.replace(found.rules, order_types=("LIMIT", "MARKET"))
    submit.submit(found.desk(), entry(), ok)
    _tick(found, "50000")
    assert _stops(found) == []
    _tick(found, "48999")
    assert found.position() is None


def test_a_null_stop_becomes_the_default_stop(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    submit.submit(found.desk(), entry(plan_stop=D(0), plan_target=D(0)), ok)
    _tick(found, "50000")
    position = found.position()
    assert position is not None
    assert D("48900") < position.stop_price < D("49200")  # default_stop_frac 0.02 below the entry


def test_no_bid_leaves_the_resting_stop_and_a_wanted_exit_goes_at_market(held: Bench) -> None:
    _tick(held, "50000")
    held.has_bids = False
    _tick(held, "50000")
    assert [s[0] for s in _stops(held)] == ["NEW"]
    desk = held.desk()
    position = held.position()
    assert position is not None
    exits.close_position(desk, position, "exit", D(0), "test", ok)
    market = [i for i in held.intents().values() if i.type == "MARKET"]
    assert len(market) == 1
    assert "position:exit_blind" in held.home.journal.read_text()


def test_freeze_all_stops_even_an_exit(held: Bench) -> None:
    _tick(held, "50000")
    position = held.position()
    assert position is not None
    done = exits.close_position(held.desk(), position, "exit", D("50000"), "test", lambda: "risk:freeze_all")
    assert not done
    assert held.position() is not None


def test_a_part_can_be_sold_and_the_rest_is_protected_again(held: Bench) -> None:
    _tick(held, "50000")
    position = held.position()
    assert position is not None
    exits.close_position(held.desk(), position, "exit", D("50000"), "test", ok, exits.Part(at_most=D("0.001")))
    _tick(held, "50000")
    rest = held.position()
    assert rest is not None
    assert D("0.0009") < rest.quantity < D("0.001")
    open_stop = [i for i in held.intents().values() if i.leg == "stop" and i.status == "NEW"]
    assert len(open_stop) == 1
    assert rest.quantity - open_stop[0].quantity < held.rules.step
    assert intents.reserved(held.run().journal.read_fold(), rest) == open_stop[0].quantity


def test_fills_balances_and_the_exchange_agree_to_the_last_digit(held: Bench) -> None:
    for bid in ("50000", "51500", "51000", "50900"):
        _tick(held, bid)
    fold = held.run().journal.read_fold()
    books = held.broker().books("binance")
    broker_balances = {b.asset: b.free + b.locked for b in held.broker().client("binance").balances().values()}
    from desk.execution import books as books_room

    desk = held.desk()
    books_room.open_books(desk, "binance")
    booked = sum(len(i.trade_ids) for i in fold.intents.intents.values())
    assert booked == len(books.trades)
    opening = D(held.settings.config.paper.starting_balance_quote)
    assert fold.portfolio.balances["binance"]["USDT"] + opening == broker_balances["USDT"]
    assert fold.portfolio.balances["binance"].get("BTC", D(0)) == broker_balances.get("BTC", D(0))


def test_a_stop_the_filters_refuse_becomes_the_default_stop(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    found.rules = msgspec.structs.replace(found.rules, ask_multiplier_down=D("0.8"), ask_multiplier_up=D("5"))
    submit.submit(found.desk(), entry(plan_stop=D("10000")), ok)
    _tick(found, "50000")
    position = found.position()
    assert position is not None
    assert D("48900") < position.stop_price < D("49200")
    assert [s[0] for s in _stops(found)] == ["NEW"]


def test_a_position_no_stop_can_protect_is_sold(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    submit.submit(found.desk(), entry(), ok)
    found.faults.reject = 2  # the planned stop and the default stop
    _tick(found, "50000")
    assert found.position() is None


def test_with_freeze_all_nothing_is_sent_and_the_position_is_reported(held: Bench) -> None:
    from desk.execution import lookup

    held.later(60_000)
    desk = held.desk()
    lookup.look_at_all(desk)
    desk.facts = held.facts(desk)
    protect.manage(desk, NAME, desk.facts.symbol("binance", "BTCUSDT"), lambda: "risk:freeze_all")
    position = held.position()
    assert position is not None
    assert position.unprotected_ms > 0
    assert len(held.broker().books("binance").orders) == 1
