"""LIVE orders to the simulated exchanges: without every arming factor nothing leaves, and the code says why (P10)."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import livekit
from desk.execution import submit
from livekit import ACK, SYMBOL

VENUES = ("binance", "mexc", "btcturk")

SWITCHES = (  # what the operator says or leaves unsaid -> the code
    ({"SAFE_MODE": "true"}, (), "arming:safe_mode"),
    ({"SAFE_MODE": ""}, (), "arming:safe_mode"),
    ({"DRY_RUN": "true"}, (), "arming:dry_run"),
    ({"DRY_RUN": ""}, (), "arming:dry_run"),
    ({}, ("--live", "--dry-run"), "arming:dry_run"),
    ({}, ("--once",), "arming:no_live_flag"),
    ({"LIVE_TRADING": "false"}, (), "arming:live_trading_off"),
    ({"LIVE_TRADING_ACK": "yes"}, (), "arming:ack_missing"),
    ({"KILL_SWITCH": "true"}, (), "KILL_SWITCH"),
    ({"AI_DEC": "2"}, (), "ai_gate:not_configured"),
)


@pytest.mark.parametrize(("env", "arguments", "code"), SWITCHES, ids=str)
def test_a_switch_that_is_not_set_to_send_sends_nothing(
    tmp_path: Path, env: dict[str, str], arguments: tuple[str, ...], code: str
) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.minute()
        told = rig.door("router", *(arguments or ("--live",)), **env)
        assert told.code == 1 and code in told.text, told
        assert rig.posts() == []


def test_without_live_ok_nothing_leaves_and_on_the_simulator_one_made_by_hand_suffices(tmp_path: Path) -> None:
    with livekit.market(tmp_path) as rig:
        rig.tick()
        assert rig.door("kill_switch", "release", "--reason", "a test", *ACK).code == 0
        rig.tick()
        rig.signal("in")
        for made in (None, "{", "[]"):
            if made is not None:
                (rig.home / "state" / "LIVE.ok").write_text(made)
            told = rig.tick()
            assert told["router"].code == 1 and "arming:live_ok_missing" in told["router"].text
            assert "arming:live_ok_missing" in told["heartbeat"].text
        assert rig.posts() == []
        (rig.home / "state" / "LIVE.ok").write_text("")
        told = rig.tick()
        assert len(livekit.sent_entries(rig)) == 1 and rig.quantity > 0, told


def test_nothing_may_be_sent_names_the_positions_left_unmanaged(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, "mexc", scenario=livekit.moving("0.95")) as rig:
        rig.signal("in")
        rig.tick()
        heard = len(rig.posts())
        for _ in range(7):
            told = rig.tick("--once")["router"]
            assert told.code == 1 and f"unmanaged position mexc:{SYMBOL}" in told.text, told
        assert len(rig.posts()) == heard and rig.quantity > 0
        rig.tick()
        assert rig.quantity == 0  # with --live the stop it passed is sold at once
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
def test_exits_stay_open_when_everything_that_arms_is_withdrawn(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue, scenario=livekit.moving("0.95")) as rig:
        rig.signal("in")
        rig.tick()
        (rig.home / "state" / "LIVE.ok").unlink()
        rig.env |= {"LIVE_TRADING": "false", "LIVE_TRADING_ACK": "", "AI_DEC": "2"}
        assert rig.door("kill_switch", "engage", "--reason", "a test").code == 0
        rig.signal("again")
        for _ in range(7):
            rig.tick()
        assert rig.quantity == 0 and len(livekit.sent_entries(rig)) == 1
        livekit.assert_books_close(rig)


def test_under_a_baseline_the_resting_stop_still_sells_and_is_booked(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, scenario=livekit.moving("0.95")) as rig:
        rig.signal("in")
        rig.tick()
        assert rig.door("arming", "baseline", "--reason", "a test").code == 0
        heard = len(rig.posts())
        for _ in range(7):
            told = rig.tick()["router"]
            assert told.code == 1 and "arming:baseline" in told.last, told
        assert len(rig.posts()) == heard and rig.quantity == rig.owned() < Decimal("0.00001")  # dust
        livekit.assert_books_close(rig)


@pytest.mark.parametrize(("removed", "code"), [("state/LIVE.ok", "arming:live_ok_missing"), ("", "risk:kill_switch")])
def test_what_is_withdrawn_after_the_gates_still_stops_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: str, code: str
) -> None:
    with livekit.armed(tmp_path) as rig:
        send = submit._send

        def withdrawn(*args: Any) -> str:
            """The intent is durable; now the operator says no."""
            if removed:
                (rig.home / removed).unlink()
            else:
                (rig.home / "state" / "kill_switch.json").write_text('{"state": "active"}')
            return send(*args)

        monkeypatch.setattr(submit, "_send", withdrawn)
        rig.signal("in")
        rig.minute()
        told = rig.door("router", "--live")
        assert told.code == 1 and code in told.last, told
        assert [e["data"]["code"] for e in rig.events("INTENT_NOT_SENT")] == [code]
        assert rig.posts() == []


def test_a_breaker_that_opens_after_the_gates_leaves_no_intent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with livekit.armed(tmp_path) as rig:
        whole = submit.submit
        far = "2036-01-01T00:00:00+00:00"

        def opened(*args: Any) -> submit.Sent:
            path = rig.home / "state" / "circuit_breakers.json"
            entries = json.loads(path.read_text())
            entries["binance_orders"] = {"state": "open", "failure_count": 5, "cooldown_until": far}
            path.write_text(json.dumps(entries))
            return whole(*args)

        monkeypatch.setattr(submit, "submit", opened)
        rig.signal("in")
        rig.minute()
        told = rig.door("router", "--live")
        assert told.code == 1 and "breaker:open" in told.last, told
        assert rig.events("INTENT_CREATED") == [] and rig.posts() == []
        assert (rig.home / "signals" / "in.json").exists()  # it was not used up
