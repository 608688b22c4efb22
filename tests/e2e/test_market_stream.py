"""The stream service on the simulator, over python-binance's own sockets: true ages, losses, gaps, user data, commands.

Time is stepped; a turn of the service waits for a message, never for a time.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import market_stream
import streamkit
from clients import clients_of
from desk.base import clock
from desk.base.paths import Home
from desk.config.load import load
from desk.venues import stream_files
from desk.venues.stream_service import Service, serving
from desk.venues.stream_watch import Phase
from desk.venues.streamer import MARKET, USER
from lab.day import SCRIPTS
from lab.sim.server import SimHandle, running_sim

TURNS_MAX = 150
BARS_BEFORE_MS = 130 * 60_000


@pytest.fixture
def sim(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimHandle]:
    """A stepped simulator and the environment that points at it."""
    with running_sim() as running:
        running.advance(BARS_BEFORE_MS)
        for name, value in environment(running).items():
            monkeypatch.setenv(name, value)
        yield running


def environment(sim: SimHandle) -> dict[str, str]:
    return {
        "SYSTEM_MODE": "PAPER", "VENUE_ENV": "sim", "BINANCE_REST_URL": sim.rest_url, "BINANCE_WS_URL": sim.ws_url,
        "BINANCE_API_KEY": "simkey", "BINANCE_API_SECRET": "simsecret", "MARKET_DATA_MODE": "ws",
        "SANAD_CLOCK": f"{sim.admin_url}/sim/clock",
    }  # fmt: skip


async def until(service: Service, holds: Callable[[], bool]) -> None:
    """Turns until something holds."""
    for _ in range(TURNS_MAX):
        await service.step()
        if holds():
            return
    pytest.fail(f"not after {TURNS_MAX} turns: {service.desk._status_doc(clock.now_ms())}")


def serve(home: Path, play: Callable[[Service, list[str]], Coroutine[Any, Any, None]]) -> None:
    """Play with a running service; its lines are kept."""
    said: list[str] = []

    async def go() -> None:
        run = streamkit.run_of(home, load(Home(home).ensure()))
        async with serving(
            run, lambda level, line: said.append(f"{level} {line}"), market_stream.Link, clients_of(run)
        ) as service:
            await until(service, lambda: service.desk.watches[MARKET].phase is Phase.STREAMING)
            await until(service, lambda: not service.desk.needs_bars() and service.desk.user_on)
            await play(service, said)

    asyncio.run(go())


def test_it_streams_with_true_ages_and_says_what_rest_says(home: Path, sim: SimHandle) -> None:
    async def play(service: Service, said: list[str]) -> None:
        sim.advance(60_000)
        client: Any = clients_of(service.run)("binance")
        known = service.desk.picture.symbols["BTCUSDT"]
        await until(service, lambda: known.bars_ms == known.book_ms == sim.now_ms)
        await until(service, lambda: known.bids == client.book("BTCUSDT", 20).bids)
        await service.close()
        shown = stream_files.market(Home(home), "binance")["BTCUSDT"]
        assert shown.book is not None and shown.book.as_of_ms == sim.now_ms
        wanted = service.desk.bars_wanted
        assert stream_files.last_bars(shown, sim.now_ms, 60, wanted) == client.klines("BTCUSDT", 60, wanted)
        status = stream_files.read(Home(home), "streams", venue="binance")
        assert status["reconnects"] == [] and status["user"]["subscribed"] is False  # after the end

    serve(home, play)


def test_a_lost_connection_is_made_anew_after_its_wait_and_the_gap_is_filled_over_rest(
    home: Path, sim: SimHandle
) -> None:
    async def play(service: Service, said: list[str]) -> None:
        watch = service.desk.watches[MARKET]
        sim.fault("ws_drop", path="/stream")
        sim.advance(1000)
        await until(service, lambda: watch.phase is Phase.WAITING)
        assert watch.next_try_ms - clock.now_ms() == 1000
        sim.advance(999)
        for _ in range(3):
            await service.step()
        assert watch.phase is Phase.WAITING  # not a moment earlier
        sim.advance(180_001)  # candles go by unseen
        await until(service, lambda: watch.phase is Phase.STREAMING and not service.desk.needs_bars())
        assert len(watch.reconnects) == 1
        opens = [bar.open_ms for bar in service.desk.picture.symbols["BTCUSDT"].whole_bars()]
        assert {new - old for old, new in pairwise(opens)} == {60_000}
        assert any("next try in 1 s" in line for line in said)

    serve(home, play)


def test_a_connection_without_data_is_not_alive(home: Path, sim: SimHandle) -> None:
    async def play(service: Service, said: list[str]) -> None:
        watch = service.desk.watches[MARKET]
        sim.fault("ws_silent", path="/stream", count=None)
        sim.advance(10_000)
        await service.step()
        assert watch.phase is Phase.STREAMING
        sim.advance(1000)
        await until(service, lambda: watch.phase is Phase.WAITING)
        assert any("no data for 11 s" in line for line in said)

    serve(home, play)


def test_late_messages_show_their_true_age(home: Path, sim: SimHandle) -> None:
    async def play(service: Service, said: list[str]) -> None:
        sim.fault("ws_late", path="/stream", count=None, arg=8)
        sim.advance(1000)
        told_ms = sim.now_ms
        sim.advance(4000)
        sim.advance(4000)  # what was said at told_ms arrives now, with a candle whose time says so
        picture = service.desk.picture
        await until(service, lambda: picture.symbols["BTCUSDT"].bars_ms == told_ms)
        assert picture.delay_ms == 8000
        assert told_ms - 1000 <= picture.data_ms() <= told_ms

    serve(home, play)


@pytest.mark.parametrize("kind", ["ws_shutdown", "ws_garbage"])
def test_a_goodbye_or_garbage_ends_in_a_new_connection(home: Path, sim: SimHandle, kind: str) -> None:
    async def play(service: Service, said: list[str]) -> None:
        watch = service.desk.watches[MARKET]
        sim.fault(kind, path="/stream")
        sim.advance(1000)
        await until(service, lambda: watch.phase is Phase.WAITING)
        sim.advance(1000)
        await until(service, lambda: watch.phase is Phase.STREAMING)
        assert len(watch.reconnects) == 1

    serve(home, play)


def test_user_data_notes_orders_and_a_termination_leaves_a_gap_for_reconcile(home: Path, sim: SimHandle) -> None:
    async def play(service: Service, said: list[str]) -> None:
        client: Any = clients_of(service.run)("binance")

        def buy(name: str) -> None:
            params = {
                "symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": name,
            }  # fmt: skip
            client.request("POST", "/api/v3/order", params, signed=True)

        buy("first")
        await until(service, lambda: stream_files.orders_seen(Home(home), "binance").get("first") is not None)
        await until(service, lambda: stream_files.orders_seen(Home(home), "binance")["first"].status == "FILLED")
        sim.fault("ws_terminated", path="/ws-api")
        buy("lost")
        await until(service, lambda: not service.desk.user_on)
        assert service.desk.gaps[-1]["why"] == "eventStreamTerminated" and service.desk.gaps[-1]["to_ms"] == 0
        sim.advance(1000)
        await until(service, lambda: service.desk.user_on)
        assert service.desk.gaps[-1]["to_ms"] == sim.now_ms
        buy("after")
        await until(service, lambda: "after" in stream_files.orders_seen(Home(home), "binance"))
        assert "lost" not in stream_files.orders_seen(Home(home), "binance")  # the gap says why

    serve(home, play)


def test_a_redirect_is_not_followed(home: Path, sim: SimHandle) -> None:
    async def play(service: Service, said: list[str]) -> None:
        with running_sim() as other:
            watch = service.desk.watches[USER]
            sim.fault("redirect_307", path="/ws-api", count=None, arg=other.rest_url)
            sim.fault("ws_terminated", path="/ws-api")
            client: Any = clients_of(service.run)("binance")
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
            client.request("POST", "/api/v3/order", order, signed=True)
            await until(service, lambda: watch.phase is Phase.WAITING)
            sim.advance(1000)
            await until(service, lambda: watch.tries == 2)
            assert other.requests() == []

    serve(home, play)


# -- commands


def door(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "market_stream.py"), *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_probe_judges_what_it_saw(home: Path, sim: SimHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = door("probe", "--seconds", "1")
    assert code == 0 and told["messages"] >= 2 and told["worst_age_ms"] <= 1000, told
    sim.fault("ws_silent", path="/stream", count=None)
    code, told = door("probe", "--seconds", "1")
    assert (code, told["silent"]) == (2, ["BTCUSDT"])
    monkeypatch.setenv("BINANCE_WS_URL", "ws://127.0.0.1:1")
    code, told = door("probe", "--seconds", "1")
    assert code == 2 and "no data" in told["verdict"]
    monkeypatch.delenv("BINANCE_WS_URL")
    code, told = door("probe")
    assert code == 2 and "BINANCE_WS_URL" in told["verdict"]
    assert not (home / "state" / "market_data_binance_ws.json").exists()


def test_one_service_a_folder_reconnects_when_asked_and_ends_by_sigterm(home: Path, sim: SimHandle) -> None:
    code, told = door("reconnect", "--reason", "a test")
    assert code == 2 and "no service runs" in told["verdict"]
    service = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "market_stream.py"), "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None and service.stderr is not None
        while "user stream: connected" not in service.stdout.readline():
            assert service.poll() is None
        assert door("run")[0] == 3
        code, told = door("reconnect", "--reason", "a test")
        assert (code, told["verdict"]) == (0, "MARKET_STREAM reconnect — OK (data flows)"), told
        os.kill(service.pid, signal.SIGTERM)
        out, err = service.stdout.read(), service.stderr.read()
        service.wait(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            service.kill()
        service.wait(timeout=60)
        for pipe in (service.stdout, service.stderr):
            if pipe is not None:
                pipe.close()
    assert service.returncode == 0 and err == "", err
    assert out.strip().splitlines()[-1].startswith("MARKET_STREAM END — stopped (")
    assert stream_files.read(Home(home), "streams", venue="binance")["reconnects"]


def test_venues_without_streams_go_by_rest_and_the_reason_is_said(
    home: Path, sim: SimHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENUES", "mexc,btcturk")
    code, told = door("run")
    assert code == 1 and "protobuf" in told["verdict"] and "keys of its own" in told["verdict"]
