"""The router decides the same with streams and with REST: one stepped market played both ways, journals compared."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import daykit
import streamkit
from desk.base.paths import Home
from desk.config.load import load
from lab.day import ORDER, Day

BARS_BEFORE = 130  # minutes of market before the day, so that candles are there
TICKS = 16
MEASURED = {"seq", "hash", "prev", "run_id", "cycle_id", "intent_id", "decision_id", "group"}
WS = {"MARKET_DATA_MODE": "ws"}


def play(
    folder: Path, ticks: int, extra: dict[str, str], *, mute_at: int | None = None
) -> tuple[list[Any], Counter[str]]:
    """A day of `ticks` minutes; the journal without what differs by itself, and how often REST was asked for what.

    Args:
        mute_at: from this tick on the stream shows nothing more.
    """
    with daykit.day(folder, "BTCUSDT", "--seed", "5") as played:
        played.env |= extra
        played.sim.advance(BARS_BEFORE * 60_000)
        with played._environment():
            settings = load(Home(folder).ensure())
            with streamkit.feeding(played.sim.ws_url, settings) as feed:
                if extra:
                    feed.begin()
                for number in range(ticks):
                    played.sim.advance(60_000)
                    signals(played, number)
                    if extra and (mute_at is None or number < mute_at):
                        feed.pull()
                    tick(played, number)
            asked = daykit.get(played.sim.admin_url + "/sim/requests")
    events = [
        {name: value for name, value in event.items() if name not in MEASURED} for event in daykit.lines_of(folder)
    ]
    return events, Counter(str(one["path"]) for one in asked if one["outcome"] == "accepted")


def signals(played: Day, number: int) -> None:
    """A producer buys early, sells, and tries again: entries, exits and a denial (cool-down)."""
    if number in (2, 12):
        daykit.drop_signal(played, f"in-{number}", notional_quote="100")
    elif number == 8:
        daykit.drop_signal(played, "out", side="SELL", kind="EXIT")


def tick(played: Day, number: int) -> None:
    for door in ORDER:
        if door != "reconcile" or number % 5 == 0:
            assert played.run(door).exit_code in (0, 1), door


@pytest.fixture(scope="module")
def over_rest(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], Counter[str]]:
    return play(tmp_path_factory.mktemp("rest") / "home", TICKS, {})


def decided(events: list[Any]) -> list[Any]:
    """What was proposed, denied, ordered and filled, with every number."""
    words = {"TRADE_APPROVED", "TRADE_REJECTED", "INTENT_CREATED", "INTENT_CONFIRMED", "FILL", "STAGE_CHANGED"}
    return [event for event in events if event["event"] in words]


def test_the_same_market_gives_the_same_journal_over_streams_and_over_rest(tmp_path: Path, over_rest: Any) -> None:
    events, asked = play(tmp_path / "home", TICKS, WS)
    told, rest = over_rest
    kinds = {event["event"] for event in told}
    assert {"FILL", "INTENT_CREATED"} <= kinds, "the day traded"
    assert decided(events) == decided(told)
    assert {"TRADE_REJECTED"} <= kinds, "something was denied"
    assert asked["/api/v3/klines"] <= 2 < TICKS <= rest["/api/v3/klines"]  # the streams really served
    assert asked["/api/v3/depth"] < rest["/api/v3/depth"]


def test_a_stream_that_falls_silent_is_replaced_by_rest_and_decides_the_same(tmp_path: Path, over_rest: Any) -> None:
    events, asked = play(tmp_path / "home", TICKS, WS, mute_at=10)
    assert decided(events) == decided(over_rest[0])
    assert asked["/api/v3/klines"] >= TICKS - 10


def test_without_the_fallback_old_data_denies_entries_and_nothing_is_read_over_rest(tmp_path: Path) -> None:
    alone = WS | {"WS_MARKET_DATA_REST_FALLBACK": "false"}
    events, asked = play(tmp_path / "home", 12, alone, mute_at=3)
    assert asked["/api/v3/klines"] <= 2
    late = [event for event in events if event["ts"] > events[0]["ts"] and event["event"] == "INTENT_CREATED"]
    assert [event for event in late if event["data"]["kind"] == "ENTRY" and event["ts"] >= minute(events, 5)] == []
    modes = [event["data"] for event in events if event["event"] == "SYSTEM_MODE_CHANGED"]
    assert any("health:ws_stale_degrade" in str(data) for data in modes)


def minute(events: list[Any], number: int) -> str:
    return sorted({event["ts"] for event in events})[number]
