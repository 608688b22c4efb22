"""SANAD_CLOCK: the simulator's clock, and nowhere else."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from desk.base import clock
from desk.base.errors import ClockUnavailable


@pytest.fixture(autouse=True)
def own_anchor() -> Iterator[None]:
    before = clock._Anchor.wall_ms, clock._Anchor.mono_ns, clock._Anchor.frozen
    yield
    clock._Anchor.wall_ms, clock._Anchor.mono_ns, clock._Anchor.frozen = before


class Answers(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(type(self).body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def served() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/sim/clock"
    server.shutdown()
    server.server_close()


def test_it_rules_under_sim_and_stands_still(served: str, monkeypatch: pytest.MonkeyPatch):
    Answers.body = json.dumps({"now_ms": 1_700_000_000_123}).encode()
    monkeypatch.setenv("VENUE_ENV", "sim")
    monkeypatch.setenv("SANAD_CLOCK", served)
    assert clock.start_tick() == clock.now_ms() == clock.now_ms() == 1_700_000_000_123
    assert clock.is_simulated()


@pytest.mark.parametrize("world", ["mainnet", "testnet", "", None])
def test_it_is_refused_elsewhere(served: str, monkeypatch: pytest.MonkeyPatch, world: str | None):
    if world is not None:
        monkeypatch.setenv("VENUE_ENV", world)
    monkeypatch.setenv("SANAD_CLOCK", served)
    with pytest.raises(ClockUnavailable, match="only VENUE_ENV=sim"):
        clock.start_tick()
    with pytest.raises(ClockUnavailable) as caught:
        clock.start_tick()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:80/x", "https://127.0.0.1:1/x", "http://127.0.0.1/x", "file:/" + "//etc/passwd", "x"]
)
def test_it_is_a_loopback_address(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("VENUE_ENV", "sim")
    monkeypatch.setenv("SANAD_CLOCK", url)
    with pytest.raises(ClockUnavailable, match="not a loopback"):
        clock.start_tick()


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"{}", b"[]", b'{"now_ms": "1"}', b'{"now_ms": 1.5}', b'{"now_ms": true}', b"null"]
)
def test_an_answer_without_a_time_stops_the_door(served: str, monkeypatch: pytest.MonkeyPatch, body: bytes):
    Answers.body = body
    monkeypatch.setenv("VENUE_ENV", "sim")
    monkeypatch.setenv("SANAD_CLOCK", served)
    with pytest.raises(ClockUnavailable, match="SANAD_CLOCK"):
        clock.start_tick()


def test_a_silent_one_stops_the_door(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VENUE_ENV", "sim")
    monkeypatch.setenv("SANAD_CLOCK", "http://127.0.0.1:1/sim/clock")
    with pytest.raises(ClockUnavailable, match="does not answer"):
        clock.start_tick()
