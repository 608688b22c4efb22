"""Three-way money on the simulated exchanges (P5): every difference has its name, and the operator's word settles it.

Deposits and withdrawals, orders by hand, fees in a third asset, coins that come and go past our trading: what reconcile
calls them, what `--repair` does about each (dry run first), and that the next reconcile is clean.
"""

from decimal import ROUND_DOWN
from decimal import Decimal as D
from pathlib import Path

import pytest

import badkit
import livekit
from desk.journal.state import is_open
from livekit import ACK, BASE, SYMBOL, Live

VENUES = ("binance", "mexc", "btcturk")
WHY = ("--reason", "the owner says so")


def _diffs(said: badkit.Said) -> dict[str, str]:
    """name -> handle of each difference a reconcile printed."""
    found = {}
    for line in said.lines:
        if line.startswith("DIFF "):
            _, _, name, *_ = line.split()
            found[name] = line.rpartition("[")[2].rstrip("]") if line.endswith("]") else ""
    return found


def _repair(rig: Live, how: str, handle: str, *ack: str) -> badkit.Said:
    """The dry run writes nothing; then the act."""
    before = len(rig.journal.read_bytes())
    dry = rig.door("reconcile", "--repair", how, handle, *WHY)
    assert dry.code == 1 and "dry run" in dry.last and "would " in dry.text, dry
    written = rig.journal.read_bytes()[before:]
    assert all(name not in written for name in (b"ADJUSTED", b"FOREIGN_S", b"POSITION_"))
    done = rig.door("reconcile", "--repair", how, handle, *WHY, *(ack or ("--yes",)))
    assert done.code == 0, done
    return done


def _clean(rig: Live) -> None:
    said = rig.door("reconcile")
    assert said.code == 0 and "clean, drift score 0" in said.last, said


def _equity(rig: Live) -> D:
    (capital,) = (c for name, c in rig.fold().portfolio.capital.items() if name == f"{rig.venue}:USDT")
    return capital.equity


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(("asset", "amount"), [("USDT", "2500.5"), ("USDT", "-3000"), (BASE, "0.25"), ("XYZ", "7")])
def test_a_deposit_or_withdrawal_is_a_flow_and_adopted_it_is_no_gain(
    tmp_path: Path, venue: str, asset: str, amount: str
) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        before = _equity(rig)
        assert rig.sim is not None
        rig.sim.transfer(asset, amount)
        said = rig.door("reconcile")
        assert said.code == 1 and _diffs(said) == {"balance:flow": f"{venue}:{asset}:balance"}, said
        assert f"difference {D(amount).normalize():f}" in said.text
        _repair(rig, "adopt", f"{venue}:{asset}:balance")
        _clean(rig)
        rig.tick()
        assert _equity(rig) == before
        assert not rig.fold().portfolio.kill_switch.reasons, "a withdrawal is no loss"
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
def test_a_foreign_trade_engages_the_kill_switch_until_its_owner_adopts_it(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.minute()
        told = rig.by_hand("BUY", "0.001")
        handle = f"{venue}:{SYMBOL}:order:{told.order_id}"
        said = rig.door("reconcile")
        named = _diffs(said)
        assert named == {"foreign_trade": handle, "balance:foreign": handle}, said
        assert rig.fold().portfolio.kill_switch.reasons == ["key_compromise_suspected"]
        rig.signal("no", notional_quote="100")
        rig.tick()
        assert len(rig.posts()) == 1, "no entry of ours goes"
        release = ("--reason", "mine", *ACK)
        refused = rig.door("kill_switch", "release", *release)
        assert refused.code == 1 and "has not been changed" in refused.text, refused
        assert rig.door("reconcile", "--repair", "adopt", handle, *WHY, "--yes").code == 1, "that needs the statement"
        _repair(rig, "adopt", handle, *ACK)
        _clean(rig)
        assert rig.door("kill_switch", "release", *release).code == 0
        assert rig.quantity == 0, "the coins are the owner's, no position"
        journal = {a: v for a, v in rig.fold().portfolio.balances[venue].items() if v}
        assert journal == {a: rig.owned(a) for a in journal}


@pytest.mark.parametrize("venue", VENUES)
def test_a_position_sold_by_hand_is_disowned_after_its_trade_is_adopted(tmp_path: Path, venue: str) -> None:
    """The runbook's position desync: the exchange does not hold what the journal says."""
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("hold", notional_quote="100", stop_price="30000")
        rig.tick()
        rig.tick()
        held = rig.quantity
        assert held
        for name in [n for n, i in rig.fold().intents.intents.items() if i.leg == "stop" and is_open(i)]:
            rig.door("orders", "cancel", name, "--protection", "--yes", "--reason", "x")
        before = _equity(rig)
        rig.minute()
        sold = rig.by_hand("SELL", str(held.quantize(D("0.00001"), ROUND_DOWN)))
        rig.minute()
        said = rig.door("reconcile")
        named = _diffs(said)
        order, position = f"{venue}:{SYMBOL}:order:{sold.order_id}", f"{venue}:{SYMBOL}:position"
        naked = set() if venue == "mexc" else {"unprotected"}
        assert set(named) == {"foreign_trade", "balance:foreign", "position_not_held"} | naked, said
        assert (named["foreign_trade"], named["position_not_held"]) == (order, position)
        early = rig.door("reconcile", "--repair", "disown", position, *WHY, "--yes")
        assert early.code == 2 and f"adopt {order}" in early.text, early
        _repair(rig, "adopt", order, *ACK)
        _repair(rig, "disown", position)
        rig.tick()
        _clean(rig)
        assert rig.quantity == 0
        assert abs(_equity(rig) - before) < D(2), "no loss of ours, but for what the price did meanwhile"
        assert rig.fold().portfolio.kill_switch.reasons == ["key_compromise_suspected"]


@pytest.mark.parametrize("venue", VENUES)
def test_coins_the_exchange_holds_become_a_position_with_a_stop_or_are_sold(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        assert rig.sim is not None
        before = _equity(rig)
        rig.sim.transfer(BASE, "0.002")
        handle = f"{venue}:{SYMBOL}:position"
        _repair(rig, "adopt", handle)
        assert rig.quantity == D("0.002")
        rig.tick()
        rig.tick()
        resting = [i.leg for i in rig.fold().intents.intents.values() if is_open(i)]
        assert resting == (["stop"] if venue != "mexc" else []), "MEXC has no stop orders: it is watched"
        _clean(rig)
        assert abs(_equity(rig) - before) < D(2)
        rig.sim.transfer(BASE, "0.001")
        _repair(rig, "close", handle)
        assert rig.quantity == 0
        assert rig.orders("SELL")[-1]["status"] == "FILLED"
        _clean(rig)
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
def test_a_standing_foreign_order_is_closed_or_adopted_with_the_trades_to_come(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.minute()
        theirs = rig.by_hand("BUY", "0.001", "20000", "theirs1")
        mine = rig.by_hand("BUY", "0.001", "20000", "mine1")
        names = {one: f"{venue}:{SYMBOL}:order:{order.order_id}" for one, order in (("t", theirs), ("m", mine))}
        said = rig.door("reconcile")
        assert set(_diffs(said)) == {"foreign_order"} and said.text.count("DIFF") == 2
        assert rig.fold().portfolio.kill_switch.reasons == ["key_compromise_suspected"]
        assert rig.door("reconcile", "--repair", "disown", names["t"], *WHY, *ACK).code == 2, "it stands"
        _repair(rig, "close", names["t"])
        _repair(rig, "adopt", names["m"], *ACK)
        rig.minute()
        _clean(rig)
        settled = {f.client_order_id: f.how for f in rig.fold().portfolio.foreign.values()}
        assert settled == {"theirs1": "", "mine1": "adopt"}
        refused = rig.door("kill_switch", "release", "--reason", "x", *ACK)
        assert refused.code == 1, "one of them is nobody's yet"
        _repair(rig, "disown", names["t"], *ACK)
        assert rig.door("kill_switch", "release", "--reason", "x", *ACK).code == 1, "disowned is not adopted"


@pytest.mark.parametrize(("venue", "asset"), [("binance", "BNB"), ("mexc", "MX")])
def test_fees_in_a_third_asset_close_to_the_last_digit(tmp_path: Path, venue: str, asset: str) -> None:
    sim = {"fee_asset": asset, "fee_asset_price": 600, "balances": {asset: "0.0005", "USDT": "10000"}}
    with livekit.armed(tmp_path, venue, sim=sim) as rig:
        for number in range(3):
            rig.signal(f"in{number}", notional_quote="100", stop_price="30000")
            rig.tick()
            rig.tick()
            rig.signal(f"out{number}", side="SELL", kind="EXIT", quantity="1", notional_quote=None)
            rig.tick()
            _clean(rig)
        paid = {e["data"]["fee_asset"] for e in rig.events("FILL")}
        assert paid == {asset, BASE, "USDT"}, "it lasts for some trades; then the ordinary fees"
        assert rig.fold().portfolio.aside[f"{venue}:{asset}"] < 0
        livekit.assert_books_close(rig)


def test_the_statement_of_each_asset_adds_up_and_old_positions_are_flagged(tmp_path: Path) -> None:
    sim = {"fee_asset": "BNB", "fee_asset_price": 600, "balances": {"BNB": "1", "USDT": "10000"}}
    with livekit.armed(tmp_path, sim=sim) as rig:
        rig.signal("hold", notional_quote="100", stop_price="30000")
        rig.tick()
        assert rig.sim is not None
        rig.sim.transfer("USDT", "10")
        told = rig.door("reconcile", "--json").document
        for asset, row in told["money"]["binance"].items():
            amounts = {name: D(amount) for name, amount in row.items()}
            assert amounts["opening"] + amounts["flows"] + amounts["trades"] - amounts["fees"] == amounts["journal"]
            assert amounts["exchange"] == rig.owned(asset)
        assert D(told["money"]["binance"]["BNB"]["fees"]) > 0 and told["old_positions"] == []
        rig.sim.advance(73 * 3_600_000)
        told = rig.door("reconcile", "--json").document
        assert told["old_positions"] == [f"binance:{SYMBOL}: held 73 h, more than 72"]
