"""Incident: the kill switch and what is held, on the simulated exchanges (rules.md, Kill switch; runbook, kill switch).

`close` really closes by the router's exit path, `assess` leaves it to the operator with the commands, `hold` keeps the
stop; and a reason's own command, as its alert names it, lets trading go on.
"""

from decimal import Decimal
from pathlib import Path

import pytest

import livekit
from livekit import ACK, Live


def _hold_a_position(rig: Live) -> None:
    rig.signal("in")
    assert rig.tick()["router"].code == 0
    assert rig.quantity == rig.owned() > 0


def _engage(rig: Live, reason: str) -> str:
    said = rig.door("kill_switch", "engage", "--reason", reason)
    assert said.code == 0, said
    return said.last


@pytest.mark.parametrize(("venue", "delay_s"), [("binance", 0), ("mexc", 0), ("btcturk", 0), ("btcturk", 150)])
def test_close_sells_what_is_held_and_release_lets_trading_go_on(tmp_path: Path, venue: str, delay_s: int) -> None:
    """BTCTurk answers a cancel before it works on it: the sale may come ticks later, never a second stop first."""
    with livekit.armed(tmp_path, venue) as rig:
        _hold_a_position(rig)
        if delay_s:
            rig.fault("listing_lag", delay_s, count=None, method="DELETE")
        assert "positions: close, 1 held" in _engage(rig, "ws_stale_60s")
        rig.signal("again")
        for _ in range(5):
            told = rig.tick()
        assert "trading: HALTED" in told["heartbeat"].text
        assert rig.quantity == 0 and rig.owned() < Decimal("0.00001")
        assert len(rig.orders("BUY")) == 1, "no entry under the kill switch"
        assert [order["status"] for order in rig.orders("SELL")][-1] == "FILLED"
        livekit.assert_books_close(rig)
        assert rig.door("kill_switch", "release", "--reason", "a test", *ACK).code == 0
        rig.tick()
        assert rig.quantity > 0, "the waiting signal is acted on"
        livekit.assert_books_close(rig)


def test_assess_sells_nothing_and_its_command_does(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        _hold_a_position(rig)
        assert "positions: assess, 1 held" in _engage(rig, "key_compromise_suspected")
        said = rig.tick()["router"]
        assert "orders.py flatten --reason TEXT --yes" in said.text
        assert rig.quantity > 0 and [order["status"] for order in rig.orders("SELL")] == ["NEW"]
        alert = [e for e in rig.events("ALERT_RAISED") if e["data"]["code"] == "kill:positions_open"]
        assert [e["data"]["severity"] for e in alert] == ["CRIT"]
        assert rig.door("orders", "flatten", "--reason", "a test", "--yes").code == 0
        assert rig.quantity == 0
        livekit.assert_books_close(rig)


def test_hold_keeps_the_position_and_its_stop(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        _hold_a_position(rig)
        assert "positions: hold, 1 held" in _engage(rig, "spilled coffee")
        assert rig.tick()["router"].code == 0
        assert rig.quantity > 0 and [order["status"] for order in rig.orders("SELL")] == ["NEW"]
