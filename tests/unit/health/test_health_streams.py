"""The websocket check: each row of the rules' table, its edges, and what it leaves to the kill switch and to PAUSE."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.health import look_streams, rest_life
from desk.health.checks.streams import websocket
from desk.health.facts import ClockLook, StreamLook
from desk.health.result import Status
from desk.risk import pause_causes, system_mode
from unit.health import world

NOW, MINUTE = world.NOW, world.MINUTE
OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
REST_OLD = {
    "breakers": {"binance_api": world.entry(last_success_ms=NOW - 3 * MINUTE), "binance_orders": world.entry()},
    "clocks": {"binance": ClockLook(skew_ms=None, problem="silent")},
}  # fmt: skip
ALONE = {"limits": world.limits("market_data", mode="ws", ws_rest_fallback=False)}
HELD = {"fold": world.fold((world.position(),))}


def look(age_s: float, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "phase": "streaming", "data_ms": NOW - int(1000 * age_s), "written_ms": NOW - 500,
    } | more  # fmt: skip
    return {"streams": {"binance": StreamLook(**values)}}


def test_it_is_not_judged_while_rest_is_asked_for() -> None:
    found = websocket(world.facts())
    assert (found.status, found.causes) == (OK, ()) and "not asked for" in found.detail


@pytest.mark.parametrize(
    ("venue", "mode", "enabled", "word"),
    [("btcturk", "ws", False, "BTCTURK_WS_ENABLED is not true"), ("btcturk", "ws", True, "BTCTurk's socket"),
     ("btcturk", "rest", False, ""), ("mexc", "ws", False, "protobuf")],
)  # fmt: skip
def test_asked_for_and_not_to_be_had_is_said(tmp_path: Path, venue: str, mode: str, enabled: bool, word: str) -> None:
    limits = world.limits("market_data", mode=mode, btcturk_ws_enabled=enabled)
    found = look_streams.looks(Home(tmp_path), (venue,), ("BTCUSDT",), limits)
    result = websocket(world.facts(limits=limits, streams=found))
    assert (result.status is OK) == (not word)
    assert word in " ".join(cause.text for cause in result.causes)


CASES: tuple[tuple[str, dict[str, Any], Status, Reason | None, bool], ...] = (
    ("fresh", look(10), OK, None, False),
    ("old, REST fresh and may stand in", look(10.001), WARNING, Reason.WS_STALE, False),
    ("very old, REST fresh and may stand in", look(3600), WARNING, Reason.WS_STALE, False),
    ("old, REST fresh but off", look(11) | ALONE, WARNING, Reason.WS_DEGRADE, True),
    ("very old, REST fresh but off", look(61) | ALONE, WARNING, Reason.WS_DEGRADE, True),
    ("old, REST stale", look(60) | REST_OLD, WARNING, Reason.WS_DEGRADE, True),
    ("very old, REST stale", look(60.001) | REST_OLD, CRITICAL, Reason.WS_PAUSE, True),
    ("never any data", look(0, data_ms=0, written_ms=0), WARNING, Reason.WS_STALE, False),
    ("from the future", look(-5), WARNING, Reason.TIME_FUTURE, True),
    ("six reconnects in two minutes", look(1, reconnects=(NOW - 1000,) * 6), WARNING, Reason.WS_RECONNECTS, True),
    ("five", look(1, reconnects=(NOW - 1000,) * 5), OK, None, False),
    ("seven in an hour", look(1, reconnects=(NOW - 30 * MINUTE,) * 7), WARNING, Reason.WS_RECONNECTS, False),
    ("six in an hour", look(1, reconnects=(NOW - 30 * MINUTE,) * 6), OK, None, False),
    ("seven, but long ago", look(1, reconnects=(NOW - 60 * MINUTE,) * 7), OK, None, False),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "status", "reason", "signal"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_each_row_of_the_table(changes: dict[str, Any], status: Status, reason: Reason | None, signal: bool) -> None:
    found = websocket(world.facts(**changes))
    assert found.status is status
    assert world.codes(found) == ({str(reason)} if reason is not None else set())
    assert found.signals == ((str(reason),) if signal else ())


def test_pause_with_positions_open_engages_the_kill_switch() -> None:
    stale = look(61) | REST_OLD
    assert websocket(world.facts(**stale)).kills == ()
    found = websocket(world.facts(**stale, **HELD))
    assert [kill.reason for kill in found.kills] == ["ws_stale_60s"]
    assert str(Reason.KILL_WS) in found.codes  # the release rule reads it as "still holds"
    assert websocket(world.facts(**stale, fold=None)).kills  # a journal that cannot tell counts as yes


def test_a_service_that_nobody_has_had_time_to_start_is_pending() -> None:
    young = look(0, data_ms=0, written_ms=0) | {"install_ms": NOW - MINUTE}
    assert websocket(world.facts(**young)).status is Status.PENDING


@pytest.mark.parametrize(
    ("fallback", "mode", "status"), [(True, "LIVE", WARNING), (False, "PAPER", WARNING), (False, "LIVE", CRITICAL)]
)
def test_a_venue_without_streams_says_why(fallback: bool, mode: str, status: Status) -> None:
    limits = world.limits("market_data", mode="ws", ws_rest_fallback=fallback)
    found = websocket(world.facts(mode, limits=limits, streams={"mexc": StreamLook(no_stream="protobuf")}))
    assert (found.status, world.codes(found)) == (status, {str(Reason.WS_OFF)})
    assert "protobuf" in found.detail


def test_rest_life_is_told_by_answers_and_not_by_what_streams_stored() -> None:
    young_prices = {"market": {world.NAME: world.symbol(age_ms=0)}}
    assert rest_life.is_fresh(world.facts(**REST_OLD, **young_prices), "binance")
    assert not rest_life.is_fresh(world.facts(**look(1), **REST_OLD, **young_prices), "binance")
    quiet = {"breakers": REST_OLD["breakers"]}  # nothing asked the breaker's component, the clock was just measured
    assert rest_life.is_fresh(world.facts(**look(1), **quiet), "binance")


def test_a_gap_is_shown_until_a_reconcile_has_closed_it() -> None:
    assert "interrupted" in websocket(world.facts(**look(1, gap_ms=NOW - MINUTE))).detail
    assert "interrupted" not in websocket(world.facts(**look(1, gap_ms=NOW - 3 * MINUTE))).detail


def test_the_codes_ask_for_their_modes_and_pause_wants_a_clean_reconcile() -> None:
    wanted = {code: system_mode.wanted(code) for code in (Reason.WS_DEGRADE, Reason.WS_PAUSE, Reason.WS_RECONNECTS)}
    assert wanted == {Reason.WS_DEGRADE: "DEGRADE", Reason.WS_PAUSE: "PAUSE", Reason.WS_RECONNECTS: "DEGRADE"}
    code = str(Reason.WS_PAUSE)
    healthy = pause_causes.ResumeFacts(
        now_ms=NOW, seen_ms={code: NOW - 5000}, measured_ms=NOW - 1000, reconcile_ms=NOW - 2000, limits_then="a",
        limits_now="a",
    )  # fmt: skip

    def held(**changes: Any) -> bool:
        return bool(pause_causes.still_held((code,), msgspec.structs.replace(healthy, **changes)))

    assert not held()
    assert held(reconcile_ms=NOW - 6000) and held(limits_now="b") and held(active_codes=frozenset({code}))
    assert held(measured_ms=NOW - 5000)
