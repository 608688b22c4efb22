"""Three-way money, pure: each difference has its own name, and what is not explained is called unknown (P5)."""

import pytest
from msgspec.structs import replace

from desk.base import ids
from desk.execution import compare, truth
from desk.execution.difference import Truth, parse
from desk.journal import state
from desk.journal.state import Dust, Fold, Foreign, Intent, Position
from desk.venues.protocol import Balance, OrderReport, OrderStatus, Side, Trade
from kit import RULES, START_MS, D

INSTANCE = "unit"
OURS = ids.client_order_id(INSTANCE, "p1", "entry", 0)
NOW_MS = START_MS + 3_600_000


def _fold() -> Fold:
    """0.5 BTC bought for 100 each out of 1000 USDT, one fee in base, one in quote, one in BNB."""
    fold = state.empty()
    portfolio = fold.portfolio
    portfolio.opened_ms = {"binance": START_MS}
    portfolio.opening = {"binance": {"USDT": D(1000), "BNB": D(1), "BTC": D(2)}}
    portfolio.balances = {"binance": {"USDT": D("949.5"), "BNB": D("0.9"), "BTC": D("2.4")}}
    portfolio.aside = {"binance:USDT": D("-50.5"), "binance:BNB": D("-0.1")}
    fold.intents.intents[OURS] = Intent(
        state="CONFIRMED", status="FILLED", venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", kind="ENTRY",
        leg="entry", attempt=0, side="BUY", type="LIMIT", quantity=D("0.5"), price=D(100), position_id="p1",
        order_id="7", executed=D("0.5"), filled=D("0.5"), filled_quote=D(50), trade_ids=["t1", "t2"],
        fees={"BTC": D("0.1"), "BNB": D("0.1"), "USDT": D("0.5")}, created_ms=START_MS + 1000,
        timestamp_ms=START_MS + 1000,
    )  # fmt: skip
    fold.positions.positions["binance:BTCUSDT"] = Position(
        position_id="p1", venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", quantity=D("0.4"),
        cost_quote=D("50.5"), opened_ms=START_MS + 1000, stop_price=D(90),
    )  # fmt: skip
    return fold


def _trade(trade_id: str, order_id: str = "7", fee: str = "0.1", asset: str = "BTC", **changes: object) -> Trade:
    trade = Trade(
        trade_id=trade_id, symbol="BTCUSDT", order_id=order_id, client_order_id="", side=Side.BUY, quantity=D("0.25"),
        price=D(100), fee=D(fee), fee_asset=asset, time_ms=START_MS + 2000,
    )  # fmt: skip
    return replace(trade, **changes)


def _order(name: str, side: Side = Side.SELL, quantity: str = "0.4", order_id: str = "8") -> OrderReport:
    return OrderReport(
        venue="binance", symbol="BTCUSDT", client_order_id=name, order_id=order_id, side=side, type="LIMIT",
        status=OrderStatus.NEW, status_word="NEW", quantity=D(quantity), executed=D(0), executed_quote=D(0),
        price=D(90), stop_price=D(90), time_ms=START_MS + 3000, update_ms=0,
    )  # fmt: skip


STOP = ids.client_order_id(INSTANCE, "p1", "stop", 0)


def _with_stop(fold: Fold) -> Fold:
    entry = fold.intents.intents[OURS]
    fold.intents.intents[STOP] = replace(
        entry, status="NEW", side="SELL", kind="EXIT", leg="stop", order_id="8", executed=D(0), filled=D(0),
        filled_quote=D(0), trade_ids=[], fees={}, quantity=D("0.4"),
    )  # fmt: skip
    return fold


def _truth(**changes: object) -> Truth:
    trades = (
        _trade("t1"),
        _trade("t2", fee="0.1", asset="BNB"),
    )
    seen = Truth(
        venue="binance", orders=(_order(STOP),), trades=trades, since_ms=START_MS - 60_000,
        symbols=frozenset({"BTCUSDT"}),
        balances=_balances(USDT="949.5", BNB="0.9", BTC="2.4"), rules={"BTCUSDT": RULES}, now_ms=NOW_MS,
    )  # fmt: skip
    return replace(seen, **changes)


def _balances(**amounts: str) -> dict[str, Balance]:
    return {name: Balance(asset=name, free=D(amount), locked=D(0)) for name, amount in amounts.items()}


def _named(fold: Fold, seen: Truth) -> dict[str, str]:
    """name -> subject of each difference."""
    return {found.name: found.subject for found in compare.compare(fold, seen, INSTANCE)}


@pytest.fixture
def fold() -> Fold:
    found = _with_stop(_fold())
    found.intents.intents[OURS].fees = {"BTC": D("0.1"), "BNB": D("0.1")}
    return found


def test_nothing_differs_when_orders_trades_fees_and_balances_agree(fold: Fold) -> None:
    assert _named(fold, _truth()) == {}


@pytest.mark.parametrize(
    ("trades", "name"),
    [
        ((_trade("t1"),), "missing_trade"),
        ((_trade("t1"), _trade("t2", asset="BNB", quantity=D("0.26"))), "fill_differs"),
        ((_trade("t1"), _trade("t2", asset="BNB", price=D("100.01"))), "fill_differs"),
        ((_trade("t1"), _trade("t2", asset="BNB", fee="0.10000001")), "fill_differs"),
        ((_trade("t1"), _trade("t2")), "fill_differs"),  # the fee was taken in another asset
    ],
)
def test_our_trades_are_compared_to_the_last_digit(fold: Fold, trades: tuple[Trade, ...], name: str) -> None:
    assert _named(fold, _truth(trades=trades)) == {name: OURS}


def test_an_order_older_than_the_window_or_too_young_to_be_listed_is_not_missed(fold: Fold) -> None:
    assert _named(fold, _truth(trades=(), since_ms=START_MS + 1000)) == {}
    assert _named(fold, _truth(trades=(), now_ms=START_MS + 60_000)) == {}


def test_balances_by_a_foreign_trade_are_traced_to_it(fold: Fold) -> None:
    seen = _truth(
        trades=(*_truth().trades, _trade("x1", "99", "0.5", "USDT", side=Side.SELL)),
        balances=_balances(USDT="974", BNB="0.9", BTC="2.15"),
    )  # fmt: skip
    found = {(d.name, d.subject): d.handle for d in compare.compare(fold, seen, INSTANCE)}
    handle = "binance:BTCUSDT:order:99"
    assert found == {
        ("foreign_trade", "99"): handle, ("balance:foreign", "BTC"): handle, ("balance:foreign", "USDT"): handle,
        ("position_not_held", "BTC"): "binance:BTCUSDT:position",  # the 2 BTC of the opening are the owner's
    }  # fmt: skip
    both = compare.compare(fold, replace(seen, balances=_balances(USDT="980", BNB="0.9", BTC="2.15")), INSTANCE)
    assert ("balance:unknown", "USDT") in {(d.name, d.subject) for d in both}


def test_trades_under_our_prefix_are_lost_and_settled_ones_are_none(fold: Fold) -> None:
    mine = ids.client_order_id(INSTANCE, "p9", "entry", 0)
    seen = _truth(trades=(*_truth().trades, _trade("x1", "99")))
    assert _named(fold, replace(seen, client_ids={("BTCUSDT", "99"): mine}))["lost_trade"] == "99"
    fold.portfolio.foreign["binance:BTCUSDT:99"] = Foreign(side="BUY", how="adopt", trade_ids=["x1"])
    assert _named(fold, seen) == {}


def test_an_adopted_order_may_stand_and_a_disowned_one_may_not(fold: Fold) -> None:
    seen = _truth(orders=(_order(STOP), _order("web1", order_id="99")))
    assert _named(fold, seen) == {"foreign_order": "web1"}
    fold.portfolio.foreign["binance:BTCUSDT:99"] = Foreign(side="SELL", how="disown")
    assert _named(fold, seen) == {"foreign_order": "web1"}
    fold.portfolio.foreign["binance:BTCUSDT:99"].how = "adopt"
    assert _named(fold, seen) == {}


@pytest.mark.parametrize(("amount", "name"), [("0.91", "balance:flow"), ("0.89", "balance:flow")])
def test_what_no_trade_explains_is_a_flow(fold: Fold, amount: str, name: str) -> None:
    assert _named(fold, _truth(balances=_balances(USDT="949.5", BNB=amount, BTC="2.4"))) == {name: "BNB"}


def test_a_gap_in_what_can_be_listed_makes_it_unknown(fold: Fold) -> None:
    seen = _truth(balances=_balances(USDT="949", BNB="0.9", BTC="2.4"), whole=False)
    assert _named(fold, seen) == {"balance:unknown": "USDT"}


def test_an_order_of_unknown_outcome_explains_before_a_flow_does(fold: Fold) -> None:
    fold.intents.intents[OURS].anomaly = "CONFIRMED+odd"
    seen = _truth(balances=_balances(USDT="949", BNB="0.9", BTC="2.4"))
    assert _named(fold, seen) == {"balance:unsettled": "USDT"}


def test_swept_dust_is_its_own_name(fold: Fold) -> None:
    fold.positions.dust["binance:ETHUSDT"] = Dust(
        base="ETH", quote="USDT", quantity=D("0.001"), cost_quote=D(3), since_ms=0
    )
    fold.portfolio.balances["binance"]["ETH"] = D("0.001")
    found = [d for d in compare.compare(fold, _truth(), INSTANCE) if d.kind == "balances"]
    assert [(d.name, d.handle) for d in found] == [("balance:dust", "binance:ETHUSDT:position")]


def test_a_position_without_a_stop_on_the_exchange_is_named_once_it_had_the_time(fold: Fold) -> None:
    del fold.intents.intents[STOP]
    seen = _truth(orders=())
    assert _named(fold, seen) == {"unprotected": "binance:BTCUSDT"}
    fold.positions.positions["binance:BTCUSDT"].opened_ms = NOW_MS - 1000
    assert _named(fold, seen) == {}
    fold.positions.positions["binance:BTCUSDT"].unprotected_ms = NOW_MS - 500
    assert _named(fold, seen) == {"unprotected": "binance:BTCUSDT"}
    assert _named(fold, replace(seen, rules={"BTCUSDT": replace(RULES, order_types=("LIMIT",))})) == {}


def test_a_fee_in_a_third_asset_may_eat_into_a_position_of_it(fold: Fold) -> None:
    """BNB is held as a position and pays the fees of other trades: what is gone is not held."""
    fold.portfolio.opening["binance"]["BNB"] = D(0)
    fold.positions.positions["binance:BNBUSDT"] = Position(
        position_id="p2", venue="binance", symbol="BNBUSDT", base="BNB", quote="USDT", quantity=D(1), cost_quote=D(600),
        opened_ms=START_MS,
    )  # fmt: skip
    (found,) = compare.compare(fold, _truth(), INSTANCE)
    assert (found.name, found.subject, found.amount) == ("position_not_held", "BNB", D("0.1"))


@pytest.mark.parametrize(
    ("read_back_days", "days", "whole"), [(None, 1, True), (0, 1, True), (3, 3, True), (40, 29, False)]
)
def test_trades_are_read_from_the_last_complete_reconcile(read_back_days: int | None, days: int, whole: bool) -> None:
    fold, day_ms = state.empty(), 86_400_000
    if read_back_days is not None:
        fold.portfolio.truth_ms["binance"] = NOW_MS - read_back_days * day_ms
    since_ms, is_whole = truth.window(fold, "binance", NOW_MS)
    slack_ms = truth.SLACK_MS if read_back_days == 3 else 0
    assert (since_ms, is_whole) == (NOW_MS - days * day_ms - slack_ms, whole)


@pytest.mark.parametrize(
    ("handle", "found"),
    [
        ("abc", ("intent", "", "", "abc")),
        ("binance:BTCUSDT:order:C02__1:x", ("order", "binance", "BTCUSDT", "C02__1:x")),
        ("mexc:MX:balance", ("balance", "mexc", "MX", "")),
        ("mexc:MXUSDT:position", ("position", "mexc", "MXUSDT", "")),
    ],
)
def test_a_handle_is_read_back(handle: str, found: tuple[str, ...]) -> None:
    assert parse(handle) == found


@pytest.mark.parametrize(
    "handle", ["", "a:b", "a:b:order", "a:b:order:", "a:b:balance:c", "a::position", "a:b:other:c"]
)
def test_what_is_no_handle_is_refused(handle: str) -> None:
    with pytest.raises(ValueError, match="is no handle"):
        parse(handle)
