"""Incident: stuck orders. Cancels that cross a fill, are answered unknown, or are refused (rules.md, order TTL)."""

from pathlib import Path
from typing import Any

import pytest

import livekit
from livekit import Live

RESTS = {'order_type = "LIMIT_IOC"': 'order_type = "LIMIT_MAKER"'}


def _rest(rig: Live) -> str:
    """An entry that rests at the exchange; its client id."""
    rig.signal("in")
    rig.fault("late_fill", 36_000)
    rig.tick()
    (order,) = rig.orders("BUY")
    assert order["status"] == "NEW"
    return str(order["clientOrderId"])


def _cancel(rig: Live) -> int:
    return rig.door("orders", "cancel-all", "--yes", "--reason", "a test").code


def _alerts(rig: Live) -> list[tuple[str, str]]:
    return [(alert.severity, alert.code) for alert in rig.fold().portfolio.alerts.values()]


@pytest.mark.parametrize("venue", ["binance", "mexc", "btcturk"])
@pytest.mark.parametrize(
    ("kind", "arg"), [("drop_after_accept", None), ("http_status_after_accept", 503), ("bad_json", None)], ids=str
)
def test_a_cancel_whose_answer_is_lost_is_settled_by_a_query(tmp_path: Path, venue: str, kind: str, arg: Any) -> None:
    with livekit.armed(tmp_path, venue, changes=RESTS) as rig:
        order_id = _rest(rig)
        rig.fault(kind, arg, method="DELETE")
        assert _cancel(rig) == 0
        assert rig.fold().intents.intents[order_id].status == "CANCELED"
        assert len(rig.posts()) == 1
        livekit.assert_books_close(rig)


def test_an_order_that_will_not_go_is_stuck_and_the_alert_ends_with_it(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, changes=RESTS) as rig:
        order_id = _rest(rig)
        rig.fault("http_status", 400, count=None, method="DELETE")
        for _ in range(3):
            rig.tick()
        assert ("CRIT", "intent:stuck_order") in _alerts(rig)
        assert rig.fold().intents.intents[order_id].status == "NEW"
        assert rig.sim is not None
        rig.sim.clear_faults()
        rig.tick()
        assert rig.fold().intents.intents[order_id].status == "CANCELED"
        assert ("CRIT", "intent:stuck_order") not in _alerts(rig)
        assert len(rig.posts()) == 1
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", ["binance", "mexc", "btcturk"])
def test_a_cancel_that_crosses_a_fill_books_it_and_protects(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue, changes=RESTS) as rig:
        rig.signal("in")
        rig.fault("late_fill", 90)
        rig.tick()
        assert rig.sim is not None
        rig.sim.advance(120_000)  # it fills; nobody here has looked yet
        assert _cancel(rig) in {0, 1}
        for _ in range(2):
            rig.tick()
        assert rig.quantity == rig.owned()
        assert len(rig.orders("BUY")) == 1
        if rig.quantity:
            held = rig.fold().positions.positions[f"{venue}:{livekit.SYMBOL}"]
            assert held.stop_price and not held.unprotected_ms
        livekit.assert_books_close(rig)
