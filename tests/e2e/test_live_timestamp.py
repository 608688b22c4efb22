"""Incident: timestamp rejected (rules.md, Clock). -1021 on Binance, 700003 on MEXC, the stamp on BTCTurk.

Measured anew once, tried again once where that is safe; refused again is PAUSE, and the alert's command ends it.
"""

from pathlib import Path

import pytest

import livekit
from livekit import ACK, SYMBOL, Live

READS = {"binance": "/api/v3/openOrders", "mexc": "/api/v3/openOrders", "btcturk": "/api/v1/openOrders"}
CODE = "health:timestamp_rejected"


def _refuse(rig: Live, count: int) -> None:
    assert rig.sim is not None
    rig.sim.fault("timestamp_1021", method="GET", path=READS[rig.venue], count=count)


def _paused(rig: Live) -> list[str]:
    return list(rig.fold().portfolio.pause.reasons)


@pytest.mark.parametrize("venue", sorted(READS))
def test_a_read_refused_once_is_measured_and_tried_again(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        _refuse(rig, 1)
        told = rig.tick()
        assert told["reconcile"].code == 0, told["reconcile"]
        assert _paused(rig) == [] and "trading: ENABLED" in told["heartbeat"].text


@pytest.mark.parametrize("venue", sorted(READS))
def test_a_read_refused_again_is_pause_and_the_alerts_command_ends_it(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        _refuse(rig, 2)
        told = rig.tick()
        assert _paused(rig) == [CODE]
        assert "trading: BLOCKED" in told["heartbeat"].text
        rig.signal("in")
        assert rig.tick()["router"].code == 1 and rig.posts() == []
        alerts = [e["data"] for e in rig.events("ALERT_RAISED") if e["data"]["code"] == CODE]
        assert [(a["severity"], "resume.py --reason TEXT --ack I_UNDERSTAND" in a["action"]) for a in alerts] == [
            ("CRIT", True)
        ]
        assert rig.door("resume", "--reason", "NTP is back", *ACK).code == 0
        for _ in range(3):
            rig.tick()
        assert rig.quantity > 0


def test_resume_is_refused_until_a_heartbeat_has_looked_since(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.minute()
        _refuse(rig, 2)
        rig.door("reconcile")
        said = rig.door("resume", "--reason", "at once", *ACK)
        assert said.code == 1 and "holds" in said.text
        rig.tick()
        assert rig.door("resume", "--reason", "NTP is back", *ACK).code == 0


def test_in_a_refused_entry_nothing_is_sent_again_and_the_second_in_a_row_is_pause(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.fault("timestamp_1021", count=2)
        rig.signal("first")
        rig.tick()
        assert [i.state for i in rig.fold().intents.intents.values()] == ["FAILED_TERMINAL"]
        assert len(rig.posts()) == 1 and _paused(rig) == [], "an entry has one attempt; the clock was measured anew"
        rig.signal("second")
        rig.tick()
        assert len(rig.posts()) == 2 and _paused(rig) == [CODE]


@pytest.mark.parametrize(("count", "pauses"), [(1, []), (2, [CODE])])
def test_a_refused_exit_goes_once_more_under_a_new_id(tmp_path: Path, count: int, pauses: list[str]) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.tick()
        rig.signal("out", side="SELL", kind="EXIT", edge_bps=None, notional_quote=None)
        before = len(rig.posts())
        rig.fault("timestamp_1021", count=count)
        rig.tick()
        exits = [post["clientOrderId"] for post in rig.posts()[before:]]
        assert len(exits) == len(set(exits)) >= 2, "no id twice"
        assert _paused(rig) == pauses
        if not pauses:
            assert rig.quantity == 0
        else:
            held = rig.fold().positions.positions[f"binance:{SYMBOL}"]
            assert not held.unprotected_ms, "the stop is back in the same tick"
        rig.tick()
        assert rig.quantity == 0, "PAUSE stops no exit"
        livekit.assert_books_close(rig)
