"""The wire against servers that misbehave: what left, what came, and that nothing waits longer than it may."""

import gzip
import socket
import time
from pathlib import Path

import msgspec
import pytest

from desk.base import clock
from desk.base.errors import InvariantError
from desk.base.paths import Home
from desk.config.schema import Transport as Limits
from desk.state import lock
from desk.venues.transport import Aborted, Broken, Outgoing, Reply, Transport, redact
from venue.kit import Serve, answer, raw_server

LIMITS = Limits(connect_timeout_s=1, read_timeout_s=1, total_timeout_s=2, body_bytes_max=100_000)
GET = Outgoing(method="GET", path="/x", query="a=1")


def nothing() -> None:
    return None


def once(url: str, out: Outgoing = GET, deadline_s: float = 2.0) -> Reply | Broken:
    return Transport(url, LIMITS).exchange(out, clock.monotonic_s() + deadline_s, 1.0, nothing)


def say(*parts: bytes, pause_s: float = 0.0, linger_s: float = 0.0) -> Serve:
    def serve(peer: socket.socket) -> None:
        for part in parts:
            peer.sendall(part)
            time.sleep(pause_s)
        time.sleep(linger_s)

    return serve


def reset(after: bytes) -> Serve:
    def serve(peer: socket.socket) -> None:
        peer.sendall(after)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    return serve


def test_a_whole_answer() -> None:
    with raw_server(say(answer(b'{"a":1}', extra="Retry-After: 3\r\n"))) as (url, heads):
        found = once(url)
    assert isinstance(found, Reply)
    assert (found.status, found.body, found.headers["retry-after"]) == (200, b'{"a":1}', "3")
    assert heads[0].startswith(b"GET /x?a=1 HTTP/1.1\r\n")


def test_the_target_is_sent_byte_for_byte_as_signed() -> None:
    query = "symbol=%E5%B8%81USDT&list=%5B%22A%22%5D&plus=%2B&tilde=~&slash=%2F&signature=a%2Bb%2F%3D"
    with raw_server(say(answer(b"{}"))) as (url, heads):
        once(url, Outgoing(method="POST", path="/api/v3/order", query=query, headers={"X-MBX-APIKEY": "k"}))
    assert heads[0].split(b"\r\n")[0] == f"POST /api/v3/order?{query} HTTP/1.1".encode()
    assert b"content-length: 0" in heads[0].lower()
    assert b"x-mbx-apikey: k" in heads[0].lower()


def test_a_body_and_another_host_of_the_exchange() -> None:
    body = b'{"q":0.1}'
    bodies: list[bytes] = []

    def read_on(peer: socket.socket) -> None:
        rest = heads[-1].split(b"\r\n\r\n", 1)[1]  # the body may come with the head or after it
        while len(rest) < len(body):
            rest += peer.recv(65536)
        bodies.append(rest)
        peer.sendall(answer(b"{}"))

    with raw_server(read_on) as (url, heads):
        out = Outgoing(method="POST", path="/x", body=body, headers={"Content-Type": "application/json"})
        found = once("http://127.0.0.1:1", msgspec.structs.replace(out, base_url=url))
    assert isinstance(found, Reply)
    assert b"content-length: 9" in heads[0].lower()
    assert bodies == [body]


def test_environment_proxies_and_netrc_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with raw_server(say(answer(b"{}"))) as (url, _):
        assert isinstance(once(url), Reply)


def test_a_redirect_is_an_answer_never_followed() -> None:
    with raw_server(say(answer(b"", "307 Temporary Redirect", "Location: /elsewhere\r\n"))) as (url, heads):
        found = once(url)
        assert isinstance(found, Reply)
        assert found.status == 307
        assert len(heads) == 1


@pytest.mark.parametrize(
    "serve",
    [
        say(b""),  # closes without a word
        reset(b""),
        reset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        say(answer(b'{"a"', length=100)),  # ends before its own length
        say(b"SSH-2.0-server\r\n"),
        say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        say(answer(b"not gzip at all", extra="Content-Encoding: gzip\r\n")),
        say(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 70_000),
        say(linger_s=1.5),  # silence
    ],
    ids=["closed", "reset", "reset-mid-body", "short", "garbage", "bad-chunk", "bad-gzip", "huge-header", "silence"],
)
def test_every_broken_answer_may_have_left(serve: Serve) -> None:
    """P2: the request was on the wire, so nobody knows."""
    with raw_server(serve) as (url, heads):
        found = once(url)
    assert isinstance(found, Broken)
    assert (found.started, found.ours, len(heads)) == (True, False, 1)


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_slow_drip_ends_at_the_deadline(where: str) -> None:
    """Each byte comes well within the read timeout; only the total deadline can end it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    drip = [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" * 40] if where == "head" else [head, *([b"{"] * 300)]
    with raw_server(say(*drip, pause_s=0.1)) as (url, _):
        began = time.monotonic()
        found = once(url, deadline_s=0.6)
        took = time.monotonic() - began
    assert isinstance(found, Broken)
    assert (found.kind, found.started) == ("deadline", True)
    assert 0.5 < took < 10  # the drip alone would take half a minute


def test_a_body_is_bounded_also_when_it_is_a_zip_bomb() -> None:
    packed = gzip.compress(b"0" * 5_000_000)
    for body, extra in ((b"x" * 200_000, ""), (packed, "Content-Encoding: gzip\r\n")):
        with raw_server(say(answer(body, extra=extra))) as (url, _):
            found = once(url)
        assert isinstance(found, Broken)
        assert (found.kind, found.started) == ("body too large", True)


def test_gzip_is_read() -> None:
    with raw_server(say(answer(gzip.compress(b'{"ok":1}'), extra="Content-Encoding: gzip\r\n"))) as (url, _):
        found = once(url)
    assert isinstance(found, Reply)
    assert found.body == b'{"ok":1}'


def test_a_refused_connection_is_proof_that_nothing_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = once(url)
    assert isinstance(found, Broken)
    assert (found.started, found.ours) == (False, False)
    assert found.kind == "connection refused or host unknown"


def test_an_unknown_host_is_proof_that_nothing_left() -> None:
    found = once("http://no-such-host.invalid")
    assert isinstance(found, Broken)
    assert not found.started


def test_a_tls_failure_is_proof_that_nothing_left() -> None:
    with raw_server(say(b"plain text, no handshake\r\n\r\n")) as (url, _):
        found = once(url.replace("http:", "https:"))
    assert isinstance(found, Broken)
    assert not found.started


def test_the_last_look_stops_with_the_connection_up_and_nothing_written() -> None:
    def stop() -> None:
        raise Aborted("kill switch")

    with raw_server(say(answer(b"{}"))) as (url, heads):
        transport = Transport(url, LIMITS)
        found = transport.exchange(GET, clock.monotonic_s() + 2, 1.0, stop)
        assert found == Broken(kind="kill switch", started=False, ours=True)
        assert isinstance(transport.exchange(GET, clock.monotonic_s() + 2, 1.0, nothing), Reply)
    assert len(heads) == 1, "the stopped request left no byte, the next one went"


def test_the_last_look_comes_once_and_after_the_connection() -> None:
    looks: list[float] = []
    with raw_server(say(answer(b"{}"))) as (url, _):
        transport = Transport(url, LIMITS)
        assert transport.connect() is None
        transport.exchange(GET, clock.monotonic_s() + 2, 1.0, lambda: looks.append(time.monotonic()))
    assert len(looks) == 1


def test_connect_opens_the_connection_the_request_uses() -> None:
    accepted: list[int] = []
    with raw_server(say(answer(b"{}"))) as (url, heads):
        transport = Transport(url, LIMITS)
        transport.connect()
        sock = transport._pool()._get_conn()
        accepted.append(sock.sock.getsockname()[1])
        transport._pool()._put_conn(sock)
        transport.connect()
        again = transport._pool()._get_conn()
        assert again.sock.getsockname()[1] == accepted[0]
        transport._pool()._put_conn(again)
        assert isinstance(transport.exchange(GET, clock.monotonic_s() + 2, 1.0, nothing), Reply)
        assert len(heads) == 1
    assert isinstance(Transport("http://127.0.0.1:1", LIMITS).connect(), Broken)


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    found = once("http://127.0.0.1:1", deadline_s=-1.0)
    assert found == Broken(kind="transport:deadline", started=False, ours=True)


def test_keep_alive_uses_one_connection() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    def twice(peer: socket.socket) -> None:
        peer.sendall(body)
        if peer.recv(65536):
            peer.sendall(body)

    with raw_server(twice) as (url, heads):
        transport = Transport(url, LIMITS)
        found = [transport.exchange(GET, clock.monotonic_s() + 2, 1.0, nothing) for _ in range(2)]
    assert all(isinstance(one, Reply) for one in found)
    assert len(heads) == 1, "the second request came on the first connection"


@pytest.mark.parametrize(
    "text",
    ["https://h/api?timestamp=1&signature=c8db56825ae71d6d&x=1", "headers {'X-MBX-APIKEY': 'vmPUZE6mv9SD5VNHk4H'}",
     '{"listenKey": "pqia91ma19a5s61cv6a81va65sdf19v8a65a1"}', "X-MEXC-APIKEY: mx0aBYs33eIilxBWC5",
     "X-PCK: mx0aBYs33eIilxBWC5", "{'X-Signature': 'abcdef0123+/='}",
     "secret NhqPtmdSJYdKjVHjA7 in a message", "signature%3Dabcdef0123"],
)  # fmt: skip
def test_nothing_secret_survives_redaction(text: str) -> None:
    clean = redact(text, ("NhqPtmdSJYdKjVHjA7", "short", ""))
    secrets = ("c8db56825ae71d6d", "vmPUZE6mv9SD5VNHk4H", "pqia91ma19", "mx0aBYs33eI", "NhqPtmdSJY", "abcdef0123")
    assert not any(secret in clean for secret in secrets)
    assert "<hidden>" in clean


def test_redaction_leaves_the_rest_readable() -> None:
    assert redact("GET /api/v3/order?symbol=BTCUSDT&signature=abc&side=BUY") == (
        "GET /api/v3/order?symbol=BTCUSDT&signature=<hidden>&side=BUY"
    )
    assert msgspec.structs.replace(GET, path="/y").path == "/y"


@pytest.mark.parametrize("rank", [lock.Rank.CONTROL, lock.Rank.JOURNAL, lock.Rank.DATA])
def test_nothing_is_sent_under_a_state_lock(rank: lock.Rank, tmp_path: Path) -> None:
    """Design 3: another process would wait for an exchange. The order lease alone may be held."""
    home = Home(tmp_path).ensure()
    with raw_server(say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as (url, _):
        with lock.hold(home, "one", rank), pytest.raises(InvariantError, match=f"state lock: {rank.name}"):
            once(url)
        with lock.hold(home, "account", lock.Rank.ORDER_LEASE):
            assert isinstance(once(url), Reply)
