"""One line: its bytes, its hash, its place."""

import hashlib
import json

import pytest

import journalkit as kit
from desk.journal import chain
from desk.journal.chain import ChainError, NewEvent
from desk.journal.events import Event

FIELDS = [
    "seq", "ts", "event", "group", "run_id", "cycle_id", "script", "mode", "venue", "symbol", "intent_id",
    "decision_id", "reason_codes", "data", "prev", "hash",
]  # fmt: skip


def encoded(**data: object) -> bytes:
    new = NewEvent(event=Event.NOTE, data=data or {"text": "ü"}, reason_codes=("audit:damaged",))
    return chain.encode(new, 7, "2026-01-01T00:00:00.000+00:00", (1, 2), kit.CTX, "a" * 64)[0]


def test_a_line_is_compact_json_with_the_hash_last():
    raw = encoded()
    line = json.loads(raw)
    assert list(line) == FIELDS
    assert raw == json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    body = raw[: raw.rindex(b',"hash":')]
    assert line["hash"] == hashlib.sha256(body).hexdigest()


def test_what_is_written_reads_back():
    line = chain.decode(encoded(text="x", deep={"b": ["1", 2], "a": None}))
    assert (line.seq, line.group, line.prev) == (7, (1, 2), "a" * 64)
    assert line.data == {"text": "x", "deep": {"a": None, "b": ["1", 2]}}


def test_data_keys_are_sorted_so_that_equal_data_has_equal_bytes():
    assert encoded(b="1", a="2") == encoded(a="2", b="1")


@pytest.mark.parametrize("position", range(0, 200, 7))
def test_any_changed_byte_is_noticed(position):
    raw = bytearray(encoded())
    raw[position % (len(raw) - 1)] ^= 1
    with pytest.raises(ChainError):
        chain.decode(bytes(raw))


@pytest.mark.parametrize("cut", [1, 2, 40, 90, 300])
def test_a_torn_line_is_no_line(cut):
    with pytest.raises(ChainError):
        chain.decode(encoded()[:-cut])


def test_a_line_with_a_hash_but_no_time_is_no_event():
    new = NewEvent(event=Event.NOTE, data={"text": "x"})
    raw, _ = chain.encode(new, 1, "yesterday", (1, 1), kit.CTX, chain.ZERO_HASH)
    with pytest.raises(ChainError, match="not an event"):
        chain.decode(raw)


@pytest.mark.parametrize(
    ("seq", "prev", "group", "why"),
    [
        (7, "a" * 64, None, "seq 7 after 7"),
        (5, "a" * 64, None, "seq 7 after 5"),
        (6, "b" * 64, None, "prev of seq 7"),
        (6, "a" * 64, (1, 2), "group 1 of 2 out of order"),
        (6, "a" * 64, (2, 3), "group 1 of 2 out of order"),
    ],
)
def test_a_line_out_of_its_place_is_refused(seq, prev, group, why):
    with pytest.raises(ChainError, match=why):
        chain.check_place(chain.decode(encoded()), seq, prev, group)


def test_a_line_in_its_place_is_taken():
    chain.check_place(chain.decode(encoded()), 6, "a" * 64, None)
