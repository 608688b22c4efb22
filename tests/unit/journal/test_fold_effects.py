"""Each event's effect on the folded state, the money ones to the last digit."""

from decimal import Decimal
from typing import Any

import pytest

import journalkit as kit
from desk.base.paths import Home
from desk.journal import fold as folding
from desk.journal import shapes
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.fold_risk import INTENT_KEPT_MS
from desk.journal.state import Fold

D = Decimal
BTC = "binance:BTCUSDT"


def venue_event(event: Event, **data: Any) -> NewEvent:
    return NewEvent(event=event, data=data, venue="binance", symbol="BTCUSDT")


def after(house: Home, *events: NewEvent) -> Fold:
    return kit.journal(house).transact(lambda fold: list(events))[0]


def bought(house: Home, **more: str) -> Fold:
    return after(house, kit.created(plan_stop="95", plan_target="110"), kit.sent(), kit.fill(**more), kit.confirmed())


def exit_fill(trade_id: str, quantity: str, price: str, leg: str = "exit", **more: str) -> list[NewEvent]:
    name = f"x{trade_id}"
    return [
        kit.created(name, "SELL", "EXIT", leg=leg, quantity=quantity, price=price), kit.sent(name),
        kit.fill(name, trade_id, quantity, side="SELL", price=price, **{"fee": "0", "fee_asset": "USDT"} | more),
        kit.confirmed(name, executed=quantity),
    ]  # fmt: skip


def test_a_buy_with_a_base_fee(house: Home):
    position = bought(house).positions.positions[BTC]
    assert (position.quantity, position.cost_quote, position.bought) == (D("0.999"), D(100), D(1))
    assert (position.stop_price, position.target_price) == (D(95), D(110))


def test_a_buy_with_a_quote_fee(house: Home):
    position = bought(house, fee="0.1", fee_asset="USDT").positions.positions[BTC]
    assert (position.quantity, position.cost_quote) == (D(1), D("100.1"))


def test_a_fee_in_another_asset_moves_only_that_balance(house: Home):
    fold = bought(house, fee="0.002", fee_asset="BNB")
    assert fold.portfolio.balances["binance"] == {"BTC": D(1), "USDT": D(-100), "BNB": D("-0.002")}
    assert fold.portfolio.fees == {"binance:BNB": D("0.002")}


def test_a_sale_realises_its_share(house: Home):
    bought(house, fee="0", fee_asset="USDT")
    fold = after(house, *exit_fill("t2", "0.25", "120", fee="0.03", fee_asset="USDT"))
    position = fold.positions.positions[BTC]
    assert (position.quantity, position.cost_quote, position.realised_quote) == (D("0.75"), D(75), D("4.97"))
    assert fold.portfolio.capital["binance:USDT"].realised == D("4.97")


def test_thirds_add_up_to_the_last_digit(house: Home):
    bought(house, quantity="3", price="100", fee="0.01", fee_asset="USDT")
    fold = after(
        house, *[new for n in "123" for new in exit_fill(f"e{n}", "1", "100.01", fee="0.01", fee_asset="USDT")]
    )
    assert fold.positions.positions == {}
    realised = fold.portfolio.capital["binance:USDT"].realised
    assert realised == fold.portfolio.balances["binance"]["USDT"] == D("-0.01")


def test_the_last_sale_closes_and_starts_the_cool_down(house: Home):
    bought(house, fee="0", fee_asset="USDT")
    fold = after(house, *exit_fill("t2", "1", "90", leg="stop"))
    assert fold.positions.positions == {}
    close = fold.positions.closes[BTC]
    assert (close.realised_quote, close.stop_out, close.at_ms) == (D(-10), True, kit.START_MS)
    assert fold.positions.dust == {}


def test_dust_keeps_quantity_and_cost_and_frees_the_slot(house: Home):
    bought(house)
    after(house, *exit_fill("t2", "0.99", "100"))
    fold = after(house, kit.of_order(Event.POSITION_DUST, position_id="p1", quantity="0.009", value="0.9"))
    assert fold.positions.positions == {}
    dust = fold.positions.dust[BTC]
    assert (dust.base, dust.quantity) == ("BTC", D("0.009"))
    assert dust.cost_quote == D(100) - (D(99) / D("0.999")).quantize(D("1e-16"))


def test_a_late_sale_of_dust_leaves_none(house: Home):
    bought(house, fee="0", fee_asset="USDT")
    after(house, kit.of_order(Event.POSITION_DUST, position_id="p1", quantity="1", value="100"))
    fold = after(house, *exit_fill("t2", "1", "100"))
    assert fold.positions.dust == {}
    assert fold.portfolio.balances["binance"]["BTC"] == 0


def test_an_entry_that_ends_without_a_fill_leaves_no_position(house: Home):
    assert BTC in after(house, kit.created(), kit.sent()).positions.positions
    assert after(house, kit.confirmed(status="EXPIRED", executed="0")).positions.positions == {}


def test_an_entry_whose_fills_are_outstanding_keeps_its_slot(house: Home):
    assert BTC in after(house, kit.created(), kit.sent(), kit.confirmed()).positions.positions


def test_attempts_count_up_per_leg(house: Home):
    bought(house)
    fold = after(house, *exit_fill("t2", "0.1", "100"), kit.created("y", "SELL", "EXIT", leg="exit", attempt=1))
    assert fold.positions.positions[BTC].attempts == {"entry": 1, "exit": 2}


def test_a_plan_without_a_peak_keeps_the_peak(house: Home):
    bought(house)
    after(
        house, kit.of_order(Event.EXIT_PLANNED, position_id="p1", stop_price="97", target_price="0", trail_peak="105")
    )
    fold = after(house, kit.of_order(Event.EXIT_PLANNED, position_id="p1", stop_price="98", target_price="0"))
    position = fold.positions.positions[BTC]
    assert (position.stop_price, position.trail_peak) == (D(98), D(105))


def test_a_swap_is_remembered_until_it_ends(house: Home):
    bought(house)
    swap = kit.of_order(Event.PROTECTION_SWAP, position_id="p1", old="a", new="3", fallback="2", peak="4")
    began = {"old": "a", "new": "3", "fallback": "2", "peak": "4", "attempt": "0"}
    assert after(house, swap).positions.positions[BTC].swap == began
    assert (
        after(house, kit.of_order(Event.PROTECTION_SWAPPED, position_id="p1", outcome="new"))
        .positions.positions[BTC]
        .swap
        == {}
    )


def test_unprotected_since_the_first_time(house: Home):
    bought(house)
    after(house, kit.of_order(Event.UNPROTECTED, position_id="p1", quantity="1"))
    kit.set_time(kit.START_MS + 5000)
    fold = after(house, kit.of_order(Event.UNPROTECTED, position_id="p1", quantity="1"))
    assert fold.positions.positions[BTC].unprotected_ms == kit.START_MS
    fold = after(house, kit.of_order(Event.UNPROTECTED, position_id="p1", quantity="0"))
    assert fold.positions.positions[BTC].unprotected_ms == 0


def test_opening_balances_count_once(house: Home):
    opening = venue_event(Event.INITIAL_CAPITAL, balances={"USDT": "1000", "BTC": "0.5"})
    fold = after(house, opening, opening)
    assert fold.portfolio.balances["binance"] == {"USDT": D(1000), "BTC": D("0.5")}


def test_a_deposit_is_a_flow_not_a_gain(house: Home):
    after(house, venue_event(Event.CAPITAL_MARKED, quote="USDT", equity="1000"))
    fold = after(house, venue_event(Event.BALANCE_ADJUSTED, asset="USDT", amount="-50", cause="withdrawal"))
    assert fold.portfolio.capital["binance:USDT"].flows == D(-50)
    assert fold.portfolio.balances["binance"]["USDT"] == D(-50)


def test_the_peak_and_the_day(house: Home):
    for equity in ("1000", "1100", "1050"):
        fold = after(house, venue_event(Event.CAPITAL_MARKED, quote="USDT", equity=equity))
    capital = fold.portfolio.capital["binance:USDT"]
    assert (capital.peak, capital.day_open, capital.equity) == (D(1100), D(1000), D(1050))
    kit.set_time(kit.START_MS + kit.DAY_MS)
    capital = after(house, NewEvent(event=Event.DAY_CLOSED, data={"date": "2026-01-01"})).portfolio.capital[
        "binance:USDT"
    ]
    assert (capital.day, capital.day_open, capital.peak) == ("2026-01-02", D(1050), D(1100))
    capital = after(
        house, venue_event(Event.PEAK_REBASED, quote="USDT", old="1100", new="1050", reason="x")
    ).portfolio.capital["binance:USDT"]
    assert capital.peak == D(1050)


def test_the_risk_day_only_moves_forward(house: Home):
    after(house, NewEvent(event=Event.DAY_CLOSED, data={"date": "2026-01-01"}))
    fold = after(house, NewEvent(event=Event.DAY_CLOSED, data={"date": "2025-12-31"}))
    assert fold.portfolio.day_closed == "2026-01-01"


def latch(event: Event, **data: Any) -> NewEvent:
    return NewEvent(event=event, data={"by": "test"} | data)


def test_a_second_engagement_keeps_since_and_the_worst_level(house: Home):
    after(house, latch(Event.KILL_SWITCH_ACTIVATED, reason="daily_loss", level="freeze_all"))
    kit.set_time(kit.START_MS + 1000)
    fold = after(house, latch(Event.KILL_SWITCH_ACTIVATED, reason="manual", level="reduce_only"))
    kill = fold.portfolio.kill_switch
    assert (kill.state, kill.level, kill.since_ms, kill.reasons) == (
        "active", "freeze_all", kit.START_MS, ["daily_loss", "manual"],
    )  # fmt: skip
    assert after(house, latch(Event.KILL_SWITCH_DEACTIVATED, reason="over")).portfolio.kill_switch.state == "inactive"


def test_pause_outranks_degrade(house: Home):
    after(house, latch(Event.PAUSE_RAISED, state="PAUSE", reasons=["a:b"]))
    fold = after(house, latch(Event.PAUSE_RAISED, state="DEGRADE", reasons=["c:d"]))
    assert (fold.portfolio.pause.state, fold.portfolio.pause.reasons) == ("PAUSE", ["a:b", "c:d"])
    assert after(house, latch(Event.PAUSE_RELEASED, reason="ok")).portfolio.pause.state == "NORMAL"


def final(client_id: str, *events: NewEvent) -> list[NewEvent]:
    return [kit.created(client_id, leg=client_id, position_id=client_id), kit.sent(client_id), *events]


def test_pruning_takes_only_what_is_over(house: Home):
    cases: dict[str, list[NewEvent]] = {
        "done": [kit.confirmed("done", "CANCELED", "0")],
        "gone": [kit.of_order(Event.INTENT_NOT_FOUND, "gone", looks=2)],
        "open": [kit.confirmed("open", "NEW", "0")],
        "unknown": [],
        "unsettled": [kit.confirmed("unsettled", "FILLED", "1")],
        "odd": [
            kit.of_order(Event.INTENT_NOT_SENT, "odd", why="x"),
            kit.of_order(Event.INTENT_NOT_SENT, "odd", why="x"),
        ],
    }
    for name, events in cases.items():
        after(house, *final(name, *events))
    for ms, left in ((INTENT_KEPT_MS, set(cases)), (INTENT_KEPT_MS + 1, {"open", "unknown", "unsettled", "odd"})):
        kit.set_time(kit.START_MS + ms)
        date = f"2026-01-0{1 + (ms > INTENT_KEPT_MS)}"
        fold = after(house, NewEvent(event=Event.DAY_CLOSED, data={"date": date}))
        assert set(fold.intents.intents) == left


def test_alerts_count_by_fingerprint_and_clear(house: Home):
    data = {"severity": "WARN", "code": "a:b", "text": "t", "fingerprint": "f"}
    raised = NewEvent(event=Event.ALERT_RAISED, data=data)
    assert after(house, raised, raised).portfolio.alerts["f"].count == 2
    assert after(house, NewEvent(event=Event.ALERT_CLEARED, data={"fingerprint": "f"})).portfolio.alerts == {}


def test_blocked_cycles_are_counted_in_a_row(house: Home):
    def ended(*causes: str) -> NewEvent:
        return NewEvent(event=Event.RUN_ENDED, data={"verdict": "x", "blocked": list(causes)})

    after(house, ended("market_data:stale"))
    fold = after(house, ended("market_data:stale", "breaker:open"))
    assert fold.portfolio.blocked_cycles == {"market_data:stale": 2, "breaker:open": 1}
    assert after(house, ended()).portfolio.blocked_cycles == {}


def test_trips_are_kept_a_week(house: Home):
    def tripped() -> NewEvent:
        data = {"component": "binance_api", "from": "closed", "to": "open", "cause": "x", "script": "s"}
        return NewEvent(event=Event.BREAKER_CHANGED, data=data)

    after(house, tripped())
    kit.set_time(kit.START_MS + 7 * kit.DAY_MS + 1)
    assert len(after(house, tripped()).portfolio.trips["binance_api"]) == 1


def test_every_event_that_folds_has_a_shape_and_the_other_way_round():
    shaped = set(shapes.SHAPES)
    folded = {Event(name) for name in folding.APPLY}
    unshaped = {
        Event.TRADE_REJECTED,
        Event.RUN_ENDED,
        Event.JOURNAL_RESEALED,
        Event.DECISION_PROPOSED,
    }
    assert folded - shaped == unshaped
    assert shaped - folded == set()


@pytest.mark.parametrize("event", sorted(shapes.SHAPES))
def test_a_shape_names_only_keys_the_event_needs_or_may_have(event: Event):
    needed = {name for name in shapes.SHAPES[event] if not name.endswith("?")}
    assert needed <= event.needs
