"""Scenario files: scripted drawdowns, timed faults, strict validation."""

import json
from decimal import Decimal as D

import pytest

from lab.sim.rejections import SimConfigError
from lab.sim.scenario import load_scenario

FLAT = (100, 100, 100, 100, 500)


def test_price_events_make_a_drawdown_and_a_recovery(make, write_market):
    scenario = {
        "events": [
            {"after_ms": 60_000, "price": {"symbol": "XYZUSDT", "factor": "0.80", "over_ms": 120_000}},
            {"after_ms": 300_000, "price": {"symbol": "XYZUSDT", "factor": "1.25"}},
        ]
    }
    client = make(
        symbols=["XYZUSDT"], markets=[write_market([FLAT] * 20)], start=1_700_000_040_000 + 300_000, scenario=scenario
    )
    seen = []
    for _ in range(7):
        seen.append(D(client.public("/api/v3/ticker/price", symbol="XYZUSDT").json()["price"]))
        client.sim.advance(60_000)
    assert seen == [100, 100, 90, 80, 80, 100, 100]
    lows = [D(row[3]) for row in client.public("/api/v3/klines", symbol="XYZUSDT", interval="1m").json()]
    assert min(lows) == 80 and lows[:5] == [100] * 5


def test_a_stop_fires_inside_a_scripted_crash(make, write_market):
    scenario = {"events": [{"after_ms": 60_000, "price": {"symbol": "XYZUSDT", "factor": 0.8, "over_ms": 60_000}}]}
    client = make(
        symbols=["XYZUSDT"], markets=[write_market([FLAT] * 20)], start=1_700_000_040_000 + 300_000, scenario=scenario,
        balances={"XYZ": "3"},
    )  # fmt: skip
    client.order("SELL", "STOP_LOSS", quantity="3", stopPrice="95")
    client.sim.advance(180_000)
    trade = client.sim.books()["trades"][0]
    assert D(trade["price"]) <= 95 and abs(trade["time"] - (1_700_000_040_000 + 300_000 + 75_000)) < 50


def test_timed_faults_and_clear(make):
    scenario = {
        "events": [
            {"after_ms": 2000, "clear": True},
            {"after_ms": 1000, "fault": {"kind": "http_status", "arg": 500, "count": None}},
        ]
    }
    client = make(scenario=scenario)
    states = []
    for _ in range(3):
        states.append(client.public("/api/v3/ping").status_code)
        client.sim.advance(1000)
    assert states == [200, 500, 200]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("{", "not JSON"),
        ("[]", "must be"),
        ({"events": {}}, "must be"),
        ({"events": [], "name": 1}, "must be"),
        ({"events": [{"after_ms": 1}]}, "event 0: needs after_ms and exactly one"),
        ({"events": [{"after_ms": -1, "clear": True}]}, "after_ms -1"),
        ({"events": [{"after_ms": 1, "clear": False}]}, "unknown key 'clear' or value"),
        ({"events": [{"after_ms": 1, "boom": 1}]}, "unknown key 'boom'"),
        ({"events": [{"after_ms": 1, "fault": {"kind": "gremlin"}}]}, "gremlin"),
        ({"events": [{"after_ms": 1, "fault": {"kind": "filter_change", "arg": {"NO": {}}}}]}, "'NO' is unknown"),
        ({"events": [{"after_ms": 1, "price": {"symbol": "NOPE", "factor": 1}}]}, "not traded here"),
        ({"events": [{"after_ms": 1, "price": {"symbol": "BTCUSDT", "factor": 0}}]}, "above 0"),
        ({"events": [{"after_ms": 1, "price": {"symbol": "BTCUSDT", "factor": "x"}}]}, "not a number"),
        ({"events": [{"after_ms": 1, "price": {"symbol": "BTCUSDT", "factor": 1, "by": 2}}]}, "nothing else"),
    ],
)
def test_bad_scenarios_are_one_line(tmp_path, raw, says):
    path = tmp_path / "scenario.json"
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw))
    with pytest.raises(SimConfigError, match=says) as caught:
        load_scenario(path, ["BTCUSDT"])
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_missing_scenario(tmp_path):
    with pytest.raises(SimConfigError, match="check the path"):
        load_scenario(tmp_path / "none.json", ["BTCUSDT"])
