"""Incidents: filters changed under us, symbol halted (rules.md, quarantine and Gates: filters). On the simulator."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import livekit
from livekit import SYMBOL, Live

EXIT = {"side": "SELL", "kind": "EXIT", "edge_bps": None, "notional_quote": None}
COARSE = {"PRICE_FILTER": {"tickSize": "10"}, "LOT_SIZE": {"stepSize": "0.0001", "minQty": "0.0001"}}


def _filters(rig: Live, **change: Any) -> None:
    assert rig.sim is not None
    rig.sim.fault("filter_change", arg={"symbol": SYMBOL, **change}, count=None)


def _halt(rig: Live) -> None:
    assert rig.sim is not None
    rig.sim.fault("symbol_halted", arg=SYMBOL, count=None)


def _resting(rig: Live) -> list[str]:
    return [order["status"] for order in rig.orders("SELL")]


def _refreshed(rig: Live) -> list[str]:
    found = [e["data"] for e in rig.events("FILTERS_REFRESHED")]
    assert all(data["old"] != data["new"] for data in found)
    return [data["cause"] for data in found]


def _codes(rig: Live) -> set[str]:
    return {alert.code for alert in rig.fold().portfolio.alerts.values()}


def test_an_entry_refused_by_new_filters_has_them_read_at_once(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        _filters(rig, **COARSE)
        rig.signal("in")
        rig.tick()
        assert [i.code for i in rig.fold().intents.intents.values()] == ["rejected_final_local_bug"]
        assert _refreshed(rig) == ["FILTER_REJECT"]
        rig.signal("again")
        assert rig.tick()["router"].code == 0, "shaped by the new rules"
        assert rig.quantity == rig.owned() > 0
        held = _resting(rig)
        assert held == ["NEW"] and not rig.fold().portfolio.pause.reasons
        livekit.assert_books_close(rig)


def test_an_exit_refused_by_new_filters_goes_once_more_in_the_same_tick(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.tick()
        _filters(rig, **COARSE)
        rig.signal("out", **EXIT)
        rig.tick()
        assert rig.owned() < Decimal("0.0001"), "only what no lot holds is left"
        assert _refreshed(rig) == ["FILTER_REJECT"]
        assert not rig.fold().portfolio.pause.reasons
        livekit.assert_books_close(rig)


def test_a_stop_refused_by_new_filters_goes_once_more_in_the_same_tick(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.tick()
        stop = rig.orders("SELL")[0]["clientOrderId"]
        assert rig.door("orders", "cancel", stop, "--protection", "--yes", "--reason", "a test").code in {0, 1}
        _filters(rig, **COARSE)
        rig.tick()
        assert _resting(rig) == ["CANCELED", "NEW"]
        assert Decimal(rig.orders("SELL")[1]["price"]) % 10 == 0
        assert _refreshed(rig) == ["FILTER_REJECT"]
        assert not rig.fold().portfolio.pause.reasons


def test_a_resting_stop_below_the_new_minimum_stays(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.tick()
        _filters(rig, NOTIONAL={"minNotional": "1000"})
        (rig.home / "state" / "filters_binance.json").unlink()  # a day later: read anew
        rig.signal("out", **EXIT)
        for _ in range(3):
            rig.tick()
        assert _resting(rig) == ["NEW"], "the exchange still has it, and would take no other"
        assert rig.quantity == rig.owned() > 0
        assert not rig.fold().portfolio.pause.reasons
        assert rig.sim is not None
        rig.sim.clear_faults()
        (rig.home / "state" / "filters_binance.json").unlink()
        rig.signal("out2", **EXIT)
        rig.tick()
        assert rig.quantity == 0
        livekit.assert_books_close(rig)


def test_a_halted_symbol_keeps_its_stop_and_takes_no_entry_for_an_hour(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.tick()
        _halt(rig)
        rig.signal("out", **EXIT)
        rig.tick()
        assert "FILTER_REJECT" not in _refreshed(rig) and "HALTED" in _refreshed(rig)
        sent = len(rig.posts())
        for _ in range(3):
            rig.tick()
        assert len(rig.posts()) == sent, "nothing is sent to a symbol that takes nothing"
        assert rig.quantity > 0
        assert {"position:symbol_shut", "symbol:quarantined"} <= _codes(rig)
        assert not rig.fold().portfolio.pause.reasons, "a halt is no hand's to mend"
        assert rig.sim is not None
        rig.sim.clear_faults()
        rig.tick()
        assert rig.quantity == 0, "it sells as soon as the symbol trades"
        rig.signal("later")
        assert "symbol:quarantined" in rig.tick()["router"].text
        livekit.assert_books_close(rig)


@pytest.mark.parametrize(("profile", "cancelled_after"), [("canary", 1), ("standard", 2)])
def test_an_entry_lives_as_long_as_its_profile_says(tmp_path: Path, profile: str, cancelled_after: int) -> None:
    changes = {
        'profile = "standard"': f'profile = "{profile}"',
        'order_type = "LIMIT_IOC"': 'order_type = "LIMIT_MAKER"',
    }
    with livekit.armed(tmp_path, changes=changes) as rig:
        rig.signal("in")
        rig.fault("late_fill", 3600)
        for tick in range(cancelled_after + 1):
            assert [order["status"] for order in rig.orders("BUY")] == ["NEW"] * (tick > 0)
            rig.tick()
        assert [order["status"] for order in rig.orders("BUY")] == ["CANCELED"]
        why = [e["data"]["why"] for e in rig.events("CANCEL_REQUESTED")]
        assert why == ["ttl"]
