"""Whole PAPER days of 1440 ticks on recorded markets, in one process. By command: `make soak`."""

from pathlib import Path

import pytest

import daykit

pytestmark = pytest.mark.soak
CRASH_MONTH = "binance_BTCUSDT_1m_20210420-20210520.csv.gz"
THIN = "binance_COMPUSDT_3m_20220801-20230927.csv.gz"
TICKS = 1440
THREE_MINUTE_BARS = {"bar_interval_s = 60": "bar_interval_s = 180"}


def _play(folder: Path, market: Path, symbol: str, start: str, changes: dict[str, str] | None = None) -> Path:
    with daykit.day(folder, symbol, "--market", str(market), "--start", start, changes=changes) as played:
        played.play(TICKS)
        print(f"\n{market.name} from {start}: {played.counts}")
        assert not [name for name in played.counts if name.endswith(("exit 2", "exit 124"))]
    daykit.assert_money_closes(folder)
    print(f"denials {daykit.codes_of(folder)}, fills {daykit.fold_of(folder).portfolio.fills}")
    return folder


def test_the_crash_day_is_survived_with_exits_open(tmp_path: Path, shared: Path) -> None:
    market = shared / "data" / "market" / CRASH_MONTH
    folder = _play(tmp_path / "home", market, "BTCUSDT", "2021-05-19T00:00:00Z")
    events = daykit.lines_of(folder)
    engaged = next(e for e in events if e["event"] == "KILL_SWITCH_ACTIVATED")
    assert engaged["data"]["reason"] == "flash_crash"
    entries = [e for e in events if e["event"] == "INTENT_CREATED" and e["data"]["kind"] == "ENTRY"]
    exits = [e for e in events if e["event"] == "FILL" and e["data"]["side"] == "SELL"]
    assert entries and exits
    assert all(e["seq"] < engaged["seq"] for e in entries)
    assert daykit.fold_of(folder).positions.positions == {}
    assert [e for e in events if e["event"] == "DAY_CLOSED"], "midnight UTC closed the risk day"


def test_wide_caps_show_the_daily_loss(tmp_path: Path, shared: Path) -> None:
    market = shared / "data" / "market" / CRASH_MONTH
    changes = daykit.WIDE_CAPS | daykit.NO_STRATEGIES | {'trail_frac = "0.01"': 'trail_frac = "0"'}
    with daykit.day(
        tmp_path / "home", "BTCUSDT", "--market", str(market), "--start", "2021-05-19T00:00:00Z", changes=changes
    ) as played:
        played.play(3)
        daykit.drop_signal(played, "all-in", notional_quote="9900", stop_price="20000")
        played.play(TICKS - 3)
    reasons = [e["data"]["reason"] for e in daykit.lines_of(played.home) if e["event"] == "KILL_SWITCH_ACTIVATED"]
    assert reasons[:1] == ["daily_loss"]
    daykit.assert_money_closes(played.home)


def test_a_thin_market_with_bars_nobody_traded_in(tmp_path: Path, shared: Path) -> None:
    market = shared / "data" / "market" / THIN
    folder = _play(tmp_path / "home", market, "COMPUSDT", "2022-11-09T00:00:00Z", THREE_MINUTE_BARS)
    assert daykit.fold_of(folder).portfolio.fills > 0
