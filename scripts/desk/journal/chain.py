"""One line of the journal: its bytes, its hash, its place in the chain. Pure; opens nothing.

A line is compact JSON with fixed field order; `hash` is the last field: SHA-256 over the bytes of the line before
`,"hash":`. So anyone can check the chain from raw bytes: hash the bytes, compare, compare `prev` with the line before.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.journal.events import Event

ZERO_HASH: Final = "0" * 64
HASH_FIELD: Final = b',"hash":"'
HASH_LEN: Final = 64
LINE_BYTES_MAX: Final = 32_000_000  # a checkpoint carries the folded state; every other line is far smaller
CARRIES_FOLD: Final = frozenset({Event.JOURNAL_CHECKPOINT, Event.JOURNAL_RESEALED})  # no event_bytes_max for these


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event before it has a place in the chain. Data values are JSON: money as text, no floats, no durations."""

    event: Event
    data: dict[str, Any]
    venue: str = ""
    symbol: str = ""
    intent_id: str = ""
    decision_id: str = ""
    reason_codes: tuple[str, ...] = ()


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes: the run, the cycle, the door, the mode (PAPER or LIVE)."""

    run_id: str
    cycle_id: str
    script: str
    mode: str
    instance: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line as read back."""

    seq: int
    ts: str
    event: str
    group: tuple[int, int]
    run_id: str
    cycle_id: str
    script: str
    mode: str
    venue: str
    symbol: str
    intent_id: str
    decision_id: str
    reason_codes: tuple[str, ...]
    data: dict[str, Any]
    prev: str
    hash: str


_decoder = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder(order="sorted")


class ChainError(ValueError):
    """A line that does not belong: torn, altered, or out of its place."""


def encode(new: NewEvent, seq: int, ts: str, group: tuple[int, int], ctx: Context, prev: str) -> tuple[bytes, str]:
    """The line's bytes with newline, and its hash."""
    head = {
        "seq": seq, "ts": ts, "event": str(new.event), "group": list(group), "run_id": ctx.run_id,
        "cycle_id": ctx.cycle_id, "script": ctx.script, "mode": ctx.mode, "venue": new.venue, "symbol": new.symbol,
        "intent_id": new.intent_id, "decision_id": new.decision_id, "reason_codes": list(new.reason_codes),
    }  # fmt: skip
    body = (
        msgspec.json.encode(head)[:-1] + b',"data":' + _encoder.encode(new.data) + b',"prev":"' + prev.encode() + b'"'
    )
    mark = hashlib.sha256(body).hexdigest()
    return body + HASH_FIELD + mark.encode() + b'"}\n', mark


def decode(raw: bytes) -> Line:
    """A line's bytes (newline included) to a Line whose hash has been checked.

    Raises:
        ChainError: torn, no JSON of the right shape, or hash and bytes disagree.
    """
    tail = len(HASH_FIELD) + HASH_LEN + 3
    if not raw.endswith(b'"}\n') or raw[-tail : -tail + len(HASH_FIELD)] != HASH_FIELD:
        raise ChainError("torn or not a journal line")
    mark = raw[-HASH_LEN - 3 : -3]
    if hashlib.sha256(raw[:-tail]).hexdigest().encode() != mark:
        raise ChainError("hash does not match the line")
    return parse(raw)


def parse(raw: bytes) -> Line:
    """As `decode`, of bytes whose hash is known: `encode` has just made it.

    Raises:
        ChainError: no JSON of the right shape.
    """
    try:
        line = _decoder.decode(raw)
        clock.parse_iso(line.ts)
    except (msgspec.DecodeError, ValueError) as error:
        raise ChainError(f"not an event ({error})") from None
    return line


def check_place(line: Line, seq: int, prev: str, group: tuple[int, int] | None) -> None:
    """The line continues the chain after (seq, prev) and the group position before it (None = a group just ended).

    Raises:
        ChainError: repeated or missing seq, wrong prev, or group index out of order.
    """
    if line.seq != seq + 1:
        raise ChainError(f"seq {line.seq} after {seq}")
    if line.prev != prev:
        raise ChainError(f"prev of seq {line.seq} is not the hash before it")
    index, size = line.group
    expected = (1, size) if group is None else (group[0] + 1, group[1])
    if (index, size) != expected or not 1 <= index <= size:
        raise ChainError(f"group {index} of {size} out of order at seq {line.seq}")


def split_lines(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset, line with newline) for each line; a last one without newline is given as it is."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start) + 1 or len(raw)
        yield start, raw[start:end]
        start = end
