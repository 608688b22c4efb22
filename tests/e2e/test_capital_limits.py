"""Losses on a played market: the daily loss and both drawdown limits act, and exits stay open (P4)."""

import json
from pathlib import Path

import daykit


def _kill_reasons(folder: Path) -> list[str]:
    return [e["data"]["reason"] for e in daykit.lines_of(folder) if e["event"] == "KILL_SWITCH_ACTIVATED"]


def _falling(folder: Path, factor: str, minutes: int) -> str:
    """A scenario file: the price falls to `factor` over `minutes`, too slowly for a flash crash."""
    path = folder / "falling.json"
    event = {"after_ms": 900_000, "price": {"symbol": "BTCUSDT", "factor": factor, "over_ms": minutes * 60_000}}
    path.write_text(json.dumps({"events": [event]}))
    return str(path)


def test_a_daily_loss_of_five_percent_engages_the_kill_switch(tmp_path: Path) -> None:
    scenario = _falling(tmp_path, "0.90", 60)
    changes = daykit.WIDE_CAPS | daykit.NO_STRATEGIES
    with daykit.day(tmp_path / "home", "BTCUSDT", "--seed", "5", "--scenario", scenario, changes=changes) as played:
        played.play(3)
        daykit.drop_signal(played, "all-in", notional_quote="9900", stop_price="30000")
        played.play(75)
    assert _kill_reasons(played.home)[:1] == ["daily_loss"]
    engaged = next(e for e in daykit.lines_of(played.home) if e["event"] == "KILL_SWITCH_ACTIVATED")
    marks = [e for e in daykit.lines_of(played.home) if e["event"] == "CAPITAL_MARKED" and e["seq"] < engaged["seq"]]
    equities = [float(e["data"]["equity"]) for e in marks]
    assert equities[-1] <= 9500 < max(equities[-4:])  # at 5 %, not at 0.05 %
    daykit.assert_money_closes(played.home)


def test_drawdown_stops_entries_at_15_percent_and_kills_at_20(tmp_path: Path) -> None:
    scenario = _falling(tmp_path, "0.76", 90)
    changes = daykit.WIDE_CAPS | daykit.NO_STRATEGIES | {'daily_loss_frac = "0.05"': 'daily_loss_frac = "1"'}
    with daykit.day(tmp_path / "home", "BTCUSDT", "--seed", "5", "--scenario", scenario, changes=changes) as played:
        played.play(3)
        daykit.drop_signal(played, "all-in", notional_quote="9900", stop_price="30000")
        played.play(3)
        daykit.drop_signal(played, "more", notional_quote="50", stop_price="30000")
        played.play(100)
    codes = daykit.codes_of(played.home)
    assert codes.get("capital:drawdown", 0) >= 5
    assert _kill_reasons(played.home)[:1] == ["max_dd_exceeded"]
    events = daykit.lines_of(played.home)
    first = {code: next(e["seq"] for e in events if e["event"] == "TRADE_REJECTED" and e["data"]["code"] == code)
             for code in ("capital:drawdown", "risk:kill_switch")}  # fmt: skip
    assert first["capital:drawdown"] < first["risk:kill_switch"]


def test_an_exit_goes_through_an_engaged_kill_switch(tmp_path: Path) -> None:
    with daykit.day(tmp_path / "home", "BTCUSDT", "--seed", "5", changes=daykit.NO_STRATEGIES) as played:
        played.play(3)
        daykit.drop_signal(played, "in", notional_quote="100", stop_price="30000")
        played.play(2)
        result = played_kill(played)
        assert result == 0
        daykit.drop_signal(played, "out", side="SELL", kind="EXIT", edge_bps=None)
        daykit.drop_signal(played, "again", notional_quote="100", stop_price="30000")
        played.play(2)
    fold = daykit.fold_of(played.home)
    assert fold.positions.positions == {}
    assert daykit.codes_of(played.home) == {"risk:kill_switch": 2}
    assert (played.home / "signals" / "again.json").exists()  # its denial can pass
    assert (played.home / "signals" / "done" / "out.json").exists()
    daykit.assert_money_closes(played.home)


def played_kill(played: daykit.Day) -> int:
    """Engage by the operator's command, as a process."""
    return played._spawn("kill_switch", ("engage", "--reason", "rehearsal")).exit_code
