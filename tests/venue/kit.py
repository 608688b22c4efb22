"""Helpers of the venue tests: settings in a temporary home, a raw server that misbehaves, the contract cases."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings, load

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CONTRACTS = SHARED / "data" / "contracts"
NO_WAITS = {("transport", "backoff_s"): (0,), ("clock", "samples"): 1}
needs_contracts = pytest.mark.skipif(not CONTRACTS.is_dir(), reason="../shared/data/contracts is absent")
Serve = Callable[[socket.socket], None]


def contract(name: str) -> dict[str, Any]:
    """One recorded case."""
    case: dict[str, Any] = json.loads((CONTRACTS / name).read_text())
    return case


def make_settings(
    root: Path, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], **overrides: Any
) -> Settings:
    """Settings of a fresh home; `section__key=value` overrides the file; waits are short."""
    for name, value in ({"SYSTEM_MODE": "PAPER", "VENUE_ENV": "sim", "SANAD_CLOCK": ""} | dict(environment)).items():
        monkeypatch.setenv(name, value)
    clock.start_tick()
    values = NO_WAITS | {tuple(name.split("__", 1)): value for name, value in overrides.items()}
    return load(Home(root).ensure(), values)  # type: ignore[arg-type]


@contextmanager
def raw_server(serve: Serve) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads one request per connection and then does what `serve` wants with the socket.

    Yields its URL and the request heads it has read.
    """
    heads: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                peer, _ = listener.accept()
            except TimeoutError:
                continue
            with peer:
                peer.settimeout(5)
                try:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        got = peer.recv(65536)
                        if not got:
                            break
                        head += got
                    if head:
                        heads.append(head)
                        serve(peer)
                except OSError:
                    continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        stop.set()
        thread.join(timeout=10)
        listener.close()


def answer(body: bytes, status: str = "200 OK", extra: str = "", length: int | None = None) -> bytes:
    """A whole HTTP answer as bytes; `length` may lie."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n{extra}\r\n".encode() + body
