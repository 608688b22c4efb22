"""An exchange that is away, slow or lies: no order on it, a line per cause, the breaker where it counts, then back."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import badkit
from badkit import Rig
from desk.state import store

DEPTH, KLINES, INFO, TIME = "/api/v3/depth", "/api/v3/klines", "/api/v3/exchangeInfo", "/api/v3/time"
MINUTES_TO_HEAL = 8  # a breaker's cool-down of five, then two good heartbeats


@pytest.fixture
def rig(played_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0.001)
    with badkit.spoilable(played_home, tmp_path) as found:
        yield found


class Fault(NamedTuple):
    """One fault of the simulator and what must come of it.

    Attributes:
        says: a word of errors.log, or "" where the answers are well-formed and only unusable.
        counts: the breaker has counted it.
        code: what the entry is refused for.
    """

    kind: str
    path: str | None = None
    arg: Any = None
    says: str = ""
    counts: bool = False
    code: str = "market_data:"


FAULTS: dict[str, Fault] = {
    "slow": Fault("latency_ms", DEPTH, 1500, "execution_unknown (", counts=True),  # a timeout, or the deadline first
    "bad-json": Fault("bad_json", DEPTH, None, "execution_unknown", counts=True),
    "html": Fault("html_502", DEPTH, None, "http 502", counts=True),
    "error-500": Fault("http_status", DEPTH, 500, "http 500", counts=True),
    "error-503": Fault("http_status", None, 503, "http 503", counts=True),
    "error-403": Fault("http_status", DEPTH, 403, "waf_block"),
    "error-400": Fault("http_status", DEPTH, 400, "http 400"),
    "reset": Fault("reset_mid_body", DEPTH, None, "connection broken", counts=True),
    "redirect": Fault("redirect_307", DEPTH, None, "http 307", counts=True),
    "dropped": Fault("drop_before", None, None, "connection broken", counts=True),
    "rate-limit": Fault("rate_limit_429", DEPTH, 30, "http 429", counts=True),
    "ban": Fault("ban_418", DEPTH, 120, "http 418", counts=True),
    "clock-refused": Fault("timestamp_1021", None, None, "resync"),
    "crossed": Fault("crossed_book"),
    "empty": Fault("empty_book"),
    "halted": Fault("symbol_halted", code="symbol:"),
    "klines-bad": Fault("bad_json", KLINES, None, "execution_unknown", counts=True, code="breaker:open"),
    "filters": Fault("filter_change", arg={"NOTIONAL": {"minNotional": "100000"}}, code="order:"),
}


def blocked_codes(rig: Rig) -> str:
    doc = json.loads(rig.state("runs/router.json").read_text())
    return " ".join(doc["blockedBy"])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_exchange_stops_entries_and_is_said(rig: Rig, name: str) -> None:
    fault, before = FAULTS[name], rig.entries()
    assert rig.sim is not None
    for file in ("filters_binance.json", "clock.json"):
        rig.state(file).unlink()  # so that they are asked for again
    rig.minute()
    rig.sim.fault(fault.kind, path=fault.path, count=None, arg=fault.arg)
    said = rig.door("router")
    badkit.assert_clear(said, {1, 2})
    assert rig.entries() == before, said
    assert fault.code in blocked_codes(rig), said
    _assert_logged(rig, fault)
    for door, *arguments in (("heartbeat",), ("reconcile",), ("policy_engine", "tick"), ("binance_client", "refresh")):
        badkit.assert_clear(rig.door(door, *arguments, "--json"), {0, 1, 2})
    assert rig.entries() == before
    badkit.assert_sound(rig)
    rig.sim.clear_faults()
    if not fault.code.startswith("order:"):  # a denial by the order's own size is final: the signal does not wait
        _heals(rig, before)


def _assert_logged(rig: Rig, fault: Fault) -> None:
    lines = [line for line in rig.log("errors.log").splitlines() if fault.says and fault.says in line]
    if fault.says:
        assert lines, rig.log("errors.log")
        assert all(f" {field}=" in lines[-1] for field in ("venue", "path", "code")), lines[-1]
        assert "venue=binance" in lines[-1], lines[-1]
    breaker = json.loads(rig.state("circuit_breakers.json").read_text())["binance_api"]
    counted = breaker["state"] != "closed" or breaker["failure_count"] > 0
    assert counted == fault.counts, (breaker, rig.log("errors.log"))


def _heals(rig: Rig, before: int) -> None:
    """By the next jobs alone, the breaker's cool-down included; a symbol that was seen shut waits out its hour."""
    if "symbol:quarantined" in _after_a_tick(rig):
        assert rig.entries() == before
        return badkit.assert_sound(rig)
    for _ in range(MINUTES_TO_HEAL):
        told = rig.tick()
        rig.door("binance_client", "refresh")
        if rig.entries() > before:
            break
    assert rig.entries() == before + 1, told
    told = rig.tick()
    return badkit.assert_sound(rig)


def _after_a_tick(rig: Rig) -> str:
    """The codes that still block once the exchange is itself again."""
    rig.tick()
    return blocked_codes(rig)


@pytest.mark.parametrize("skew_ms", [3_600_000, -3_600_000])
def test_a_clock_an_hour_away_is_a_warning_on_paper_and_no_entry_in_live(rig: Rig, skew_ms: int) -> None:
    assert rig.sim is not None
    rig.state("clock.json").unlink()
    rig.minute()
    rig.sim.fault("clock_skew_ms", count=None, arg=skew_ms)
    badkit.assert_clear(rig.door("router"), {0, 1})
    said = rig.door("heartbeat")
    badkit.assert_clear(said, {1})
    assert "ntp_sync: WARNING" in said.text
    badkit.assert_clear(rig.door("binance_client", "time"), {1}, "WARNING")
    live = rig.door("heartbeat", SYSTEM_MODE="LIVE")
    badkit.assert_clear(live, {2})
    assert "ntp_sync: CRITICAL" in live.text
    badkit.assert_sound(rig)


def test_an_exchange_that_is_away(rig: Rig) -> None:
    before, nobody = rig.entries(), "http://127.0.0.1:1"
    rig.minute()
    said = rig.door("router", BINANCE_REST_URL=nobody)
    badkit.assert_clear(said, {1, 2})
    assert "connection refused" in said.text
    for command in ("refresh", "time", "account", "filters", "book"):
        badkit.assert_clear(rig.door("binance_client", command, "--json", BINANCE_REST_URL=nobody), {1, 2})
    for door in ("heartbeat", "reconcile"):
        badkit.assert_clear(rig.door(door, BINANCE_REST_URL=nobody), {0, 1, 2})
    badkit.assert_clear(rig.door(*badkit.STOP, "--json", BINANCE_REST_URL=nobody), {0}, "ENGAGED")
    assert rig.entries() == before
    badkit.assert_sound(rig)
    badkit.assert_clear(rig.door("kill_switch", "release", *badkit.ACKNOWLEDGED), {0})
    _heals(rig, before)


def test_a_frozen_price_is_stale_after_five_polls(rig: Rig) -> None:
    assert rig.sim is not None
    rig.sim.fault("frozen_price", count=None)
    for path in list((rig.home / "signals").glob("*.json")):
        path.unlink()
    for _ in range(5):
        rig.tick()
    badkit.signal(rig, "late", symbol=badkit.WANTED)
    before = rig.entries()
    rig.minute()
    badkit.assert_clear(rig.door("router"), {1})
    assert rig.entries() == before
    rig.sim.clear_faults()
    _heals(rig, before)


def doc(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    return lambda raw: json.dumps(change(json.loads(raw))).encode()


def put(*path: str | int, value: Any) -> Callable[[bytes], bytes]:
    """One value of the answer replaced."""

    def change(found: Any) -> Any:
        here = found
        for name in path[:-1]:
            here = here[name]
        here[path[-1]] = value
        return found

    return doc(change)


def constant(raw: bytes) -> Callable[[bytes], bytes]:
    return lambda truth: raw


SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": constant(b""),
    "null": constant(b"null"),
    "a-list": constant(b"[]"),
    "an-object": constant(b"{}"),
    "a-word": constant(b'"maintenance"'),
    "a-number": constant(b"5"),
    "no-text": constant(bytes(range(128, 256))),
    "cut": lambda raw: raw[: len(raw) // 2],
    "deep": constant(b"[" * 100_000),
    "code-inside": constant(b'{"code": -1003, "msg": "way too many requests"}'),
    "code-no-number": constant(b'{"code": "abc", "msg": 5}'),
}
BOOK: dict[str, Callable[[bytes], bytes]] = {
    "sides-words": put("bids", value="x"),
    "sides-null": put("asks", value=None),
    "level-words": put("bids", 0, value=["a", "b"]),
    "level-short": put("bids", 0, value=["1"]),
    "level-object": put("bids", 0, value={"price": "1"}),
    "price-nan": put("bids", 0, 0, value="NaN"),
    "price-infinite": put("asks", 0, 0, value="Infinity"),
    "price-negative": put("bids", 0, 0, value="-60000"),
    "price-zero": put("bids", 0, 0, value="0"),
    "price-float": put("bids", 0, 0, value=60000.1),
    "price-1e400": put("bids", 0, 0, value="1e400"),
    "price-5000-digits": put("bids", 0, 0, value="9" * 5000),
    "quantity-negative": put("asks", 0, 1, value="-1"),
    "not-sorted": doc(lambda found: found | {"bids": found["bids"][::-1]}),
}
BARS: dict[str, Callable[[bytes], bytes]] = {
    "bar-short": put(0, value=[1, "2"]),
    "bar-words": put(-1, value=["x"] * 12),
    "time-huge": put(-1, 0, value=10**30),
    "time-negative": put(-1, 0, value=-1),
    "close-nan": put(-1, 4, value="NaN"),
    "close-negative": put(-1, 4, value="-5"),
    "close-zero": put(-1, 4, value="0"),
    "prices-all-zero": doc(lambda found: [*found[:-1], [found[-1][0], *["0"] * 4, *found[-1][5:]]]),
    "prices-all-negative": doc(lambda found: [*found[:-1], [found[-1][0], *["-7"] * 4, *found[-1][5:]]]),
    "high-below-low": put(-1, 2, value="0.01"),
    "backwards": doc(lambda found: found[::-1]),
}
RULES: dict[str, Callable[[bytes], bytes]] = {
    "no-symbols": put("symbols", value=[]),
    "symbols-null": put("symbols", value=None),
    "symbols-words": put("symbols", value=["BTCUSDT"]),
    "filters-null": doc(lambda found: found | {"symbols": [row | {"filters": None} for row in found["symbols"]]}),
    "filters-none": doc(lambda found: found | {"symbols": [row | {"filters": []} for row in found["symbols"]]}),
    "status-new-word": doc(lambda found: found | {"symbols": [row | {"status": "ODD"} for row in found["symbols"]]}),
    "step-zero": lambda raw: raw.replace(b'"stepSize"', b'"stepSize": "0", "was"'),
    "tick-negative": lambda raw: raw.replace(b'"tickSize"', b'"tickSize": "-1", "was"'),
    "step-nan": lambda raw: raw.replace(b'"stepSize"', b'"stepSize": "NaN", "was"'),
    "base-number": doc(lambda found: found | {"symbols": [row | {"baseAsset": 5} for row in found["symbols"]]}),
}
CLOCKS: dict[str, Callable[[bytes], bytes]] = {
    "time-missing": constant(b"{}"),
    "time-null": put("serverTime", value=None),
    "time-text": put("serverTime", value="1767571200000"),
    "time-true": put("serverTime", value=True),
    "time-negative": put("serverTime", value=-5),
    "time-huge": put("serverTime", value=10**30),
    "time-float": put("serverTime", value=1767571200000.5),
}
LIES = [
    pytest.param(path, lie, id=f"{path.rpartition('/')[2]}-{name}")
    for path, table in (
        (DEPTH, SHAPES | BOOK), (KLINES, SHAPES | BARS), (INFO, SHAPES | RULES), (TIME, SHAPES | CLOCKS),
    )
    for name, lie in table.items()
]  # fmt: skip


@pytest.mark.parametrize(("path", "lie"), LIES)
def test_a_lie_of_the_exchange_stops_entries_and_is_said(rig: Rig, path: str, lie: Callable[[bytes], bytes]) -> None:
    before = rig.entries()
    for file in ("filters_binance.json", "clock.json"):
        rig.state(file).unlink()
    rig.minute()
    with badkit.lying(rig, path, lie) as url:
        said = rig.door("router", BINANCE_REST_URL=url)
        badkit.assert_clear(said, {1, 2})
        assert rig.entries() == before, said
        for door, *arguments in (
            ("heartbeat",),
            ("reconcile",),
            ("policy_engine", "tick"),
            ("binance_client", "refresh"),
        ):
            badkit.assert_clear(rig.door(door, *arguments, "--json", BINANCE_REST_URL=url), {0, 1, 2})
    badkit.assert_sound(rig)
    assert rig.door("breakers", "reset", "all", "--reason", "the lies are over").code == 0  # not waiting five minutes
    _heals(rig, before)


def test_a_body_without_end_is_cut_off(rig: Rig) -> None:
    text = (rig.home / "config" / "sanad.toml").read_text()
    (rig.home / "config" / "sanad.toml").write_text(
        text.replace("body_bytes_max = 20_000_000", "body_bytes_max = 50_000")
    )
    with badkit.lying(rig, DEPTH, constant(b" " * 200_000)) as url:
        said = rig.door("binance_client", "book", BINANCE_REST_URL=url)
    badkit.assert_clear(said, {2}, "body too large")


@pytest.mark.parametrize("door", ["router", "heartbeat", "reconcile", "binance_client"])
def test_as_real_processes_with_the_exchange_away(rig: Rig, door: str) -> None:
    before = rig.entries()
    rig.minute()
    arguments = ("refresh", "--json") if door in badkit.CLIENTS else ("--json",)
    badkit.assert_clear(rig.spawn(door, *arguments, BINANCE_REST_URL="http://127.0.0.1:1"), {0, 1, 2})
    assert rig.entries() == before
    badkit.assert_sound(rig)
