"""State files: replaced whole, corrupt never missing, only their writers, unknown keys kept."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from desk.base import clock
from desk.base.errors import InvariantError, LockBusy, StateCorrupt, StateError
from desk.base.paths import Home
from desk.state import lock, registry, store
from desk.state.registry import Kind

KILL = ("kill_switch", "risk.kill_switch")


def put(house: Home, raw: bytes, name: str = "kill_switch.json") -> None:
    (house.state / name).write_bytes(raw)


def test_what_is_written_is_read(house: Home):
    store.write(house, KILL[0], {"state": "active", "n": ["1", None, {"a": True}]}, KILL[1])
    assert {k: v for k, v in (store.read(house, "kill_switch") or {}).items() if k != "_digest"} == {
        "state": "active", "n": ["1", None, {"a": True}],
    }  # fmt: skip


def test_missing_is_none(house: Home):
    assert store.read(house, "kill_switch") is None


def test_files_are_pretty_small_and_end_with_a_newline(house: Home):
    store.write(house, KILL[0], {"state": "inactive"}, KILL[1])
    text = (house.state / "kill_switch.json").read_text()
    assert text.endswith("}\n")
    assert '\n  "state": "inactive"' in text


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"state": "act', b"[]", b"null", b'"x"', b"\xff\xfe", b"{} {}", b"[" * 100_000, b'{"a": NaN}']
)
def test_corrupt_is_never_missing(house: Home, raw: bytes):
    put(house, raw)
    with pytest.raises(StateCorrupt, match=r"kill_switch\.json"):
        store.read(house, "kill_switch")
    assert (house.state / "kill_switch.json").read_bytes() == raw
    assert [path.read_bytes() for path in (house.state / "quarantine").iterdir()] == [raw]
    with pytest.raises(StateCorrupt, match="read as: active"):
        store.read(house, "kill_switch")
    assert len(list((house.state / "quarantine").iterdir())) == 1


def test_an_editor_that_writes_slowly_is_waited_for(house: Home):
    put(house, b'{"state": ')

    def finish() -> None:
        time.sleep(0.05)
        put(house, b'{"state": "active"}')

    slow = threading.Thread(target=finish)
    slow.start()
    assert store.read(house, "kill_switch") == {"state": "active"}
    slow.join()


def test_reading_gives_up_after_150_ms(house: Home, monkeypatch: pytest.MonkeyPatch):
    waited: list[float] = []
    monkeypatch.setattr(clock, "pause_s", waited.append)
    put(house, b"{")
    with pytest.raises(StateCorrupt):
        store.read(house, "kill_switch")
    assert sum(waited) == pytest.approx(0.15)


def test_a_folder_in_its_place_is_a_clear_line(house: Home):
    (house.state / "kill_switch.json").mkdir()
    with pytest.raises(StateError, match="cannot be read"):
        store.read(house, "kill_switch")


@pytest.mark.parametrize("row", registry.ROWS, ids=lambda row: row.key)
def test_only_its_writers_write(house: Home, row: registry.Row):
    names = {"venue": "v", "source": "s", "script": "x"}
    used = {name: value for name, value in names.items() if "{" + name + "}" in row.file}
    with pytest.raises(InvariantError, match="writers are"):
        store.write(house, row.key, {}, "somebody", **used)
    for writer in row.writers:
        store.write(house, row.key, {"by": writer}, writer, **used)
        assert (store.read(house, row.key, **used) or {})["by"] == writer


def test_an_unlisted_file_is_a_bug(house: Home):
    with pytest.raises(InvariantError, match="registry"):
        store.read(house, "surprise")


def test_update_keeps_keys_it_does_not_know(house: Home):
    put(house, b'{"state": "active", "my_note": "3 a.m.", "future": [1]}')
    store.update(house, "kill_switch", lambda doc: (doc or {}) | {"by": "x"}, KILL[1])
    assert (store.read(house, "kill_switch") or {}).items() >= {
        "my_note": "3 a.m.",
        "state": "active",
        "by": "x",
    }.items()


def test_update_that_wants_nothing_writes_nothing(house: Home):
    put(house, b'{ "state":"active"}')
    assert store.update(house, "kill_switch", lambda doc: None, KILL[1]) == {"state": "active"}
    assert (house.state / "kill_switch.json").read_bytes() == b'{ "state":"active"}'


def test_a_change_that_raises_leaves_the_file(house: Home):
    put(house, b'{"state":"active"}')
    with pytest.raises(ZeroDivisionError):
        store.update(house, "kill_switch", lambda doc: {"x": 1 // 0}, KILL[1])
    assert (house.state / "kill_switch.json").read_bytes() == b'{"state":"active"}'
    store.write(house, KILL[0], {}, KILL[1])


def test_a_hand_in_a_control_file_shows(house: Home):
    store.write(house, KILL[0], {"state": "active"}, KILL[1])
    doc = store.read(house, "kill_switch") or {}
    assert not store.was_edited(doc)
    assert store.was_edited(doc | {"state": "inactive"})
    assert store.was_edited({"state": "active"})
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert store.was_edited(deep | {"_digest": "x"})


def test_only_control_files_carry_a_digest(house: Home):
    store.write(house, "clock", {"a": "1"}, "venues.transport")
    assert store.read(house, "clock") == {"a": "1"}


def test_what_crashed_writers_left_is_cleared(house: Home):
    left = house.state / ".kill_switch.json.999.0.tmp"
    left.write_bytes(b"half")
    other = house.state / ".pause.json.999.0.tmp"
    other.write_bytes(b"not mine")
    store.write(house, KILL[0], {}, KILL[1])
    assert not left.exists()
    assert other.exists()


def synced_names(house: Home, monkeypatch: pytest.MonkeyPatch, key: str, writer: str) -> list[str]:
    """Which files and folders were forced to disk by the second write of a file."""
    store.write(house, key, {"n": 1}, writer)
    synced: list[str] = []
    real = os.fsync

    def noting(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name.split(".json")[0].lstrip("."))
        real(handle)

    monkeypatch.setattr(os, "fsync", noting)
    store.write(house, key, {"n": 2}, writer)
    return synced


@pytest.mark.parametrize(
    ("key", "writer", "expected"),
    [
        ("kill_switch", "risk.kill_switch", ["kill_switch", "state"]),
        ("paper_broker", "venues.paper", ["paper_broker", "state"]),
        ("intents", "journal", ["intents"]),
        ("clock", "venues.transport", []),
    ],
)
def test_each_kind_is_as_durable_as_promised(house: Home, monkeypatch: pytest.MonkeyPatch, key, writer, expected):
    assert synced_names(house, monkeypatch, key, writer) == expected


def test_a_failed_write_leaves_the_old_file_and_no_other(house: Home, monkeypatch: pytest.MonkeyPatch):
    store.write(house, KILL[0], {"state": "active"}, KILL[1])
    before = (house.state / "kill_switch.json").read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StateError, match="Read-only"):
        store.write(house, KILL[0], {"state": "inactive"}, KILL[1])
    assert (house.state / "kill_switch.json").read_bytes() == before
    assert [path.name for path in house.state.iterdir() if path.name.endswith(".tmp")] == []


def test_remove_is_repeatable(house: Home):
    store.write(house, KILL[0], {}, KILL[1])
    store.remove(house, *KILL)
    store.remove(house, *KILL)
    assert store.read(house, "kill_switch") is None


# -- locks


def test_a_held_lock_is_busy_after_its_bound(house: Home):
    def hold() -> None:
        with lock.hold(house, "kill_switch", lock.Rank.CONTROL):
            taken.set()
            release.wait(5)

    taken, release = threading.Event(), threading.Event()
    other = threading.Thread(target=hold)
    other.start()
    taken.wait(5)
    started = time.monotonic()
    with pytest.raises(LockBusy), lock.hold(house, "kill_switch", lock.Rank.CONTROL, wait_s=0.05):
        pytest.fail("two holders")
    assert time.monotonic() - started < 4  # far below the five seconds of the other holder
    release.set()
    other.join()
    with lock.hold(house, "kill_switch", lock.Rank.CONTROL, wait_s=0):
        assert lock.held(lock.Rank.CONTROL)


RANKS = list(lock.Rank)


@pytest.mark.parametrize("first", RANKS)
@pytest.mark.parametrize("second", RANKS)
def test_locks_are_taken_in_one_order_only(house: Home, first: lock.Rank, second: lock.Rank):
    with lock.hold(house, "one", first):
        if second > first:
            with lock.hold(house, "two", second):
                assert lock.held(second)
        else:
            with pytest.raises(InvariantError, match="lock order"), lock.hold(house, "two", second):
                pytest.fail("out of order")
    assert not lock.held(first)


def test_an_exception_gives_the_lock_back(house: Home):
    with pytest.raises(ZeroDivisionError), lock.hold(house, "one", lock.Rank.DATA):
        _ = 1 // 0
    assert not lock.held(lock.Rank.DATA)
    with lock.hold(house, "one", lock.Rank.DATA, wait_s=0):
        pass


def test_a_lock_folder_that_cannot_be_made_is_a_clear_line(house: Home):
    house.locks.rmdir()
    house.locks.write_text("in the way")
    with pytest.raises(StateError, match="cannot be made"), lock.hold(house, "one", lock.Rank.DATA):
        pytest.fail("held nothing")


# -- the list


def test_every_row_says_what_it_is_and_what_happens():
    for row in registry.ROWS:
        assert row.what
        assert row.if_missing
        assert row.if_corrupt
        assert row.writers
        assert (row.stale_after_s > 0) <= (row.kind is Kind.OBSERVATION)
    assert len({row.key for row in registry.ROWS}) == len(registry.ROWS)
    assert len({row.file for row in registry.ROWS}) == len(registry.ROWS)


def test_hand_written_json_keeps_its_numbers(house: Home):
    put(house, json.dumps({"state": "active", "n": 0.1, "big": 10**18}).encode())
    assert store.read(house, "kill_switch") == {"state": "active", "n": 0.1, "big": 10**18}
