"""Money from outside: balances move, equity does not; each trade once; nothing can make the fold raise."""

import pytest

import journalkit as kit
from desk.base.paths import Home
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.fold_risk import FOREIGN_KEPT, INTENT_KEPT_MS
from desk.journal.state import Fold
from kit import D

VENUE, SYMBOL = "binance", "BTCUSDT"
TRADE = {
    "order_id": "9", "trade_id": "x1", "side": "SELL", "base": "BTC", "quote": "USDT", "quantity": "0.5",
    "price": "100", "fee": "0.05", "fee_asset": "BNB", "time_ms": 1,
}  # fmt: skip


def event(name: Event, **data: object) -> NewEvent:
    return NewEvent(event=name, venue=VENUE, symbol=SYMBOL, data=data)


def after(house: Home, *events: NewEvent) -> Fold:
    kit.journal(house).transact(lambda fold: list(events))
    return kit.journal(house).read_fold()


OPEN = event(Event.INITIAL_CAPITAL, balances={"USDT": "1000", "BTC": "2", "BNB": "1"})
MARKED = event(Event.CAPITAL_MARKED, quote="USDT", equity="1000")


def flows(fold: Fold) -> dict[str, str]:
    return {asset: f"{amount.normalize():f}" for asset, amount in fold.portfolio.flows.get(VENUE, {}).items()}


def balances(fold: Fold) -> dict[str, str]:
    return {asset: f"{amount.normalize():f}" for asset, amount in fold.portfolio.balances[VENUE].items()}


def test_a_deposit_moves_the_balance_and_is_taken_out_of_equity(house: Home) -> None:
    fold = after(house, OPEN, MARKED, event(Event.BALANCE_ADJUSTED, asset="USDT", amount="-250.5", cause="x"))
    assert balances(fold)["USDT"] == "749.5" and flows(fold) == {"USDT": "-250.5"}
    assert fold.portfolio.capital["binance:USDT"].flows == D("-250.5")


def test_a_foreign_trade_is_booked_once_and_outside_our_capital(house: Home) -> None:
    settled = event(Event.FOREIGN_SETTLED, order_id="9", how="adopt", reason="mine", side="SELL")
    trade = event(Event.FOREIGN_TRADE, **TRADE)
    fold = after(house, OPEN, MARKED, settled, trade, trade)
    assert balances(fold) == {"USDT": "1050", "BTC": "1.5", "BNB": "0.95"}
    assert flows(fold) == {"USDT": "50", "BTC": "-0.5", "BNB": "-0.05"}
    assert fold.portfolio.capital["binance:USDT"].flows == 50
    assert fold.portfolio.foreign["binance:BTCUSDT:9"].trade_ids == ["x1"]
    assert not fold.positions.positions


def test_more_of_a_disowned_order_opens_the_question_again_and_of_an_adopted_one_does_not(house: Home) -> None:
    for how, then in (("disown", ""), ("adopt", "adopt")):
        fold = after(
            house,
            event(Event.FOREIGN_SETTLED, order_id=how, how=how, reason="x", side="BUY"),
            event(Event.FOREIGN_SEEN, order_id=how, side="BUY", quantity="1"),
        )
        assert fold.portfolio.foreign[f"binance:BTCUSDT:{how}"].how == then


def adopted(quantity: str = "0.4", booked: str = "0") -> NewEvent:
    return event(
        Event.POSITION_ADOPTED, position_id="p1", base="BTC", quote="USDT", quantity=quantity, booked=booked,
        price="100", reason="x",
    )  # fmt: skip


def disowned(quantity: str, booked: str, value: str) -> NewEvent:
    return event(
        Event.POSITION_DISOWNED, base="BTC", quote="USDT", quantity=quantity, booked=booked, value=value, reason="x"
    )


def test_an_adopted_position_comes_in_at_the_price_of_now_and_leaves_at_the_price_of_then(house: Home) -> None:
    fold = after(house, OPEN, MARKED, adopted())
    position = fold.positions.positions["binance:BTCUSDT"]
    assert (position.quantity, position.cost_quote, balances(fold)["BTC"]) == (D("0.4"), 40, "2.4")
    assert fold.portfolio.capital["binance:USDT"].flows == 40
    fold = after(house, disowned("0.1", "0.1", "12"))
    position = fold.positions.positions["binance:BTCUSDT"]
    assert (position.quantity, position.cost_quote, balances(fold)["BTC"]) == (D("0.3"), 30, "2.3")
    assert fold.portfolio.capital["binance:USDT"].flows == 28
    fold = after(house, disowned("0.3", "0", "36"))
    assert not fold.positions.positions and not fold.positions.dust
    assert balances(fold)["BTC"] == "2.3" and flows(fold)["BTC"] == "0.3"


def test_coins_that_were_the_owners_become_ours_without_moving_a_balance(house: Home) -> None:
    fold = after(house, OPEN, MARKED, adopted("0.4", "0.4"))
    assert balances(fold)["BTC"] == "2" and flows(fold)["BTC"] == "-0.4"


@pytest.mark.parametrize("quantity", ["0.4", "5"])
def test_giving_up_more_than_is_held_leaves_nothing_below_zero(house: Home, quantity: str) -> None:
    fold = after(house, OPEN, adopted(), disowned(quantity, "0", "1"))
    assert not fold.positions.positions and not fold.positions.dust


def test_an_intent_reconcile_may_meet_again_is_not_forgotten(house: Home) -> None:
    """The last complete read was before it ended: its trades are listed once more, and must not look foreign."""
    with kit.time_at(kit.START_MS):
        after(house, OPEN, MARKED, kit.created(), kit.sent(), kit.confirmed(status="CANCELED", executed="0"))
        read = {VENUE: kit.START_MS - 1}
        after(house, NewEvent(event=Event.RECONCILE_DONE, data={"clean": True, "score": 0, "read": read}))
    for later_ms, read_ms, is_known in ((3 * INTENT_KEPT_MS, 0, True), (6 * INTENT_KEPT_MS, 5 * INTENT_KEPT_MS, False)):
        now_ms = kit.START_MS + later_ms
        with kit.time_at(now_ms):
            if read_ms:
                read = {VENUE: kit.START_MS + read_ms}
                after(house, NewEvent(event=Event.RECONCILE_DONE, data={"clean": True, "score": 0, "read": read}))
            date = "2026-01-0" + ("7" if is_known else "9")
            fold = after(house, NewEvent(event=Event.DAY_CLOSED, data={"date": date}))
            assert ("abcd1" in fold.intents.intents) is is_known


def test_settled_foreign_orders_are_bounded_and_open_ones_are_kept(house: Home) -> None:
    many = [
        event(Event.FOREIGN_SETTLED, order_id=str(n), how="adopt", reason="x", side="BUY")
        for n in range(FOREIGN_KEPT + 3)
    ]
    seen = event(Event.FOREIGN_SEEN, order_id="open", side="BUY", quantity="1")
    after(house, *many[:300])
    fold = after(house, *many[300:], seen, NewEvent(event=Event.DAY_CLOSED, data={"date": "2026-01-05"}))
    assert len(fold.portfolio.foreign) == FOREIGN_KEPT + 1 and "binance:BTCUSDT:open" in fold.portfolio.foreign
