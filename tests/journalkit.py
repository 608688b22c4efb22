"""What journal tests share: a fast home, a hand on the clock, events of one order, an independent chain check."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from desk.base import clock
from desk.base.paths import Home
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal

FAST = Path("/dev/shm")
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY_MS = 86_400_000
STEPS = ("write", "fsync", "replace", "link", "unlink", "ftruncate", "mkdir")
CTX = Context(run_id="r1", cycle_id="c1", script="router", mode="PAPER", instance="acct")


@contextmanager
def temporary_home() -> Iterator[Home]:
    """An empty home, in memory where the host has such a folder."""
    folder = Path(tempfile.mkdtemp(prefix="sanad-", dir=FAST if os.access(FAST, os.W_OK) else None))
    try:
        yield Home(folder).ensure()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def time_at(ms: int = START_MS) -> Iterator[None]:
    """The house's clock stands still at a time; `set_time` moves it."""
    anchor = clock._Anchor
    before = anchor.wall_ms, anchor.mono_ns, anchor.frozen
    anchor.wall_ms, anchor.frozen = ms, True
    try:
        yield
    finally:
        anchor.wall_ms, anchor.mono_ns, anchor.frozen = before


def set_time(ms: int) -> None:
    """Move the standing clock."""
    clock._Anchor.wall_ms = ms


def journal(home: Home, mode: str = "PAPER", **more: Any) -> Journal:
    """A handle as a door makes it."""
    ctx = Context(run_id="r1", cycle_id="c1", script="router", mode=mode, instance="acct")
    return Journal(home, ctx, **more)


def note(text: str = "a remark") -> NewEvent:
    return NewEvent(event=Event.NOTE, data={"text": text})


def write_notes(book: Journal, *texts: str) -> None:
    """One group of remarks."""
    book.transact(lambda fold: [note(text) for text in texts])


def created(client_id: str = "abcd1", side: str = "BUY", kind: str = "ENTRY", **more: Any) -> NewEvent:
    data: dict[str, Any] = {
        "client_order_id": client_id, "position_id": "p1", "leg": "entry", "attempt": 0, "side": side,
        "type": "LIMIT_IOC", "quantity": "1", "price": "100", "kind": kind, "base": "BTC", "quote": "USDT",
    } | more  # fmt: skip
    return NewEvent(
        event=Event.INTENT_CREATED, data=data, venue="binance", symbol="BTCUSDT", intent_id=client_id, decision_id="d1"
    )


def of_order(event: Event, client_id: str = "abcd1", **data: Any) -> NewEvent:
    """An event of that order with its data."""
    return NewEvent(
        event=event, data={"client_order_id": client_id} | data, venue="binance", symbol="BTCUSDT", intent_id=client_id,
        decision_id="d1",
    )  # fmt: skip


def sent(client_id: str = "abcd1") -> NewEvent:
    return of_order(Event.INTENT_SENT_UNKNOWN, client_id, timestamp_ms=START_MS, recv_window_ms=5000)


def confirmed(client_id: str = "abcd1", status: str = "FILLED", executed: str = "1") -> NewEvent:
    return of_order(Event.INTENT_CONFIRMED, client_id, status=status, executed=executed, order_id="77")


def fill(client_id: str = "abcd1", trade_id: str = "t1", quantity: str = "1", **more: Any) -> NewEvent:
    data: dict[str, Any] = {
        "trade_id": trade_id, "side": "BUY", "quantity": quantity, "price": "100", "fee": "0.001", "fee_asset": "BTC",
        "time_ms": START_MS,
    } | more  # fmt: skip
    return of_order(Event.FILL, client_id, **data)


class Died(BaseException):
    """The process ended here (raised in its place where a test wants to go on)."""


@contextmanager
def dying_at(step: int) -> Iterator[list[str]]:
    """Raise Died at the step-th change of the file system; gives the names of the steps taken."""
    taken: list[str] = []
    real = {name: getattr(os, name) for name in STEPS}

    def wrap(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(taken) == step:
                raise Died(name)
            taken.append(name)
            return real[name](*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, wrap(name))
    try:
        yield taken
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def independent_check(paths: list[Path]) -> int:
    """The chain from raw bytes, as the design says anyone can: returns how many lines; asserts every link."""
    prev, seq = None, 0
    for path in paths:
        for raw in path.read_bytes().splitlines():
            body, _, mark = raw.rpartition(b',"hash":"')
            assert hashlib.sha256(body).hexdigest().encode() == mark[:-2], f"{path.name}: hash after seq {seq}"
            line = json.loads(raw)
            assert prev is None or (line["seq"], line["prev"]) == (seq + 1, prev), f"{path.name}: link at {line['seq']}"
            prev, seq = line["hash"], line["seq"]
    return seq


def every_line(home: Home) -> list[dict[str, Any]]:
    """Every kept line as JSON, oldest first."""
    paths = [*sorted(home.logs.glob("audit-*.jsonl"), key=lambda p: int(p.name.split(".")[1])), home.journal]
    return [json.loads(raw) for path in paths if path.exists() for raw in path.read_bytes().splitlines()]


def every_line_so_far(home: Home, seq: int) -> Iterator[dict[str, Any]]:
    """Every kept line up to a seq; a torn line behind it is not looked at."""
    paths = [*sorted(home.logs.glob("audit-*.jsonl"), key=lambda p: int(p.name.split(".")[1])), home.journal]
    for path in paths:
        for raw in path.read_bytes().splitlines() if path.exists() else ():
            if raw.endswith(b'"}') and (line := json.loads(raw))["seq"] <= seq:
                yield line
