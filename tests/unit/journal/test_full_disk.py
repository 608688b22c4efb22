"""The reserve, a full disk, a failing fsync: nothing half-written, nothing acknowledged that is not durable."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import journalkit as kit
from desk.base.errors import JournalUnwritable, StateError
from desk.base.paths import Home
from desk.journal import files, verify
from desk.state import store

SCRIPTS = Path(files.__file__).resolve().parents[2]
RESERVE = 262_144


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Home]:
    """A home on a file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).returncode:
        pytest.skip("needs root and mount")
    try:
        with kit.time_at():
            yield Home(folder).ensure()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill_up(home: Home, name: str = "hog") -> None:
    """Take every free byte."""
    handle = os.open(home.root / name, os.O_WRONLY | os.O_CREAT)
    for size in (65_536, 4096):
        try:
            while True:
                os.write(handle, b"\0" * size)
        except OSError:
            continue
    os.close(handle)


def write_until_full(home: Home, spend: bool) -> int:
    """Notes until the disk says no; how many were acknowledged."""
    book = kit.journal(home, may_spend_reserve=spend)
    written = 0
    with pytest.raises(JournalUnwritable, match="no space left"):  # noqa: PT012 - the loop is the point
        while written < 10_000:
            kit.write_notes(book, f"{written:05d}" + "x" * 1000)
            written += 1
    return written


def test_the_reserve_is_really_taken_from_the_disk(small_disk: Home):
    before = os.statvfs(small_disk.root).f_bavail
    assert files.ensure_reserve(small_disk, RESERVE)
    taken = (before - os.statvfs(small_disk.root).f_bavail) * os.statvfs(small_disk.root).f_frsize
    assert taken >= RESERVE
    assert files.ensure_reserve(small_disk, RESERVE)


def test_a_reserve_that_does_not_fit_leaves_nothing(small_disk: Home):
    assert not files.ensure_reserve(small_disk, 4_000_000)
    assert not files.has_reserve(small_disk)


def test_a_hole_is_no_reserve(house: Home):
    with (house.logs / "reserve.bin").open("wb") as handle:
        handle.truncate(RESERVE)
    assert files.ensure_reserve(house, RESERVE)
    assert (house.logs / "reserve.bin").stat().st_blocks * 512 >= RESERVE


def test_on_a_full_disk_the_reserve_keeps_exits_journalled(small_disk: Home):
    assert files.ensure_reserve(small_disk, RESERVE)
    fill_up(small_disk)
    written = write_until_full(small_disk, spend=True)
    assert written > 50
    assert not files.has_reserve(small_disk)
    found = verify.verify(small_disk, {})
    assert (found.code, found.seq) == (verify.WHOLE, written + 1)


def test_a_door_that_may_not_spend_it_stops_before(small_disk: Home):
    kit.write_notes(kit.journal(small_disk), "first")
    assert files.ensure_reserve(small_disk, RESERVE)
    fill_up(small_disk)
    assert write_until_full(small_disk, spend=False) < 20
    assert files.has_reserve(small_disk)
    kit.write_notes(kit.journal(small_disk), "an exit")
    assert verify.verify(small_disk, {}).code == verify.WHOLE


def test_the_same_handle_goes_on_when_there_is_space_again(small_disk: Home):
    book = kit.journal(small_disk)
    kit.write_notes(book, "first")
    fill_up(small_disk)
    with pytest.raises(JournalUnwritable):  # noqa: PT012 - the loop is the point
        for _ in range(1000):
            kit.write_notes(book, "x" * 1000)
    (small_disk.root / "hog").unlink()
    kit.write_notes(book, "after")
    assert kit.every_line(small_disk)[-1]["data"]["text"] == "after"
    assert verify.verify(small_disk, {}).code == verify.WHOLE


def test_a_state_file_is_never_half_written_on_a_full_disk(small_disk: Home):
    store.write(small_disk, "kill_switch", {"state": "active"}, "risk.kill_switch")
    fill_up(small_disk)
    fill_up(small_disk, "hog2")
    with pytest.raises(StateError, match="no space left"):
        store.write(small_disk, "kill_switch", {"state": "inactive", "note": "x" * 50_000}, "risk.kill_switch")
    assert (store.read(small_disk, "kill_switch") or {})["state"] == "active"
    assert list(small_disk.state.glob(".*.tmp")) == []


FSYNC_FAILS = """
import errno, os, sys
from pathlib import Path
from desk.base.errors import JournalUnwritable
from desk.base.paths import Home
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal

book = Journal(Home(Path(sys.argv[1])), Context(run_id="r", cycle_id="c", script="s", mode="PAPER", instance="i"))
note = lambda text: book.transact(lambda fold: [NewEvent(event=Event.NOTE, data={"text": text})])
note("durable")
real, os.fsync = os.fsync, lambda handle: (_ for _ in ()).throw(OSError(int(sys.argv[2]), "fsync failed"))
for attempt in ("lost", "dead"):
    try:
        note(attempt)
        print("acknowledged", attempt)
    except JournalUnwritable as error:
        print(error.line())
os.fsync = real
try:
    note("revived")
    print("acknowledged revived")
except JournalUnwritable as error:
    print(error.line())
"""


@pytest.mark.parametrize("code", [5, 28], ids=["EIO", "ENOSPC"])
def test_an_fsync_error_ends_the_handle_for_good(house: Home, code: int):
    """EIO and even ENOSPC: what fsync refused is never retried as success, not even when fsync works again."""
    assert files.ensure_reserve(house, 65_536)
    done = subprocess.run(
        [sys.executable, "-c", FSYNC_FAILS, str(house.root), str(code)], env={"PYTHONPATH": str(SCRIPTS)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("cannot be written" in line for line in lines)
    assert files.has_reserve(house)
    kit.set_time(4_000_000_000_000)
    kit.write_notes(kit.journal(house), "by another process")
    texts = [line["data"].get("text") for line in kit.every_line(house) if line["event"] == "NOTE"]
    assert texts == ["durable", "by another process"]
    assert verify.verify(house, {}).code == verify.WHOLE


def test_a_read_only_state_folder_does_not_stop_the_journal(house: Home, monkeypatch: pytest.MonkeyPatch):
    """The hint cannot be written; the group counts all the same."""
    book = kit.journal(house)
    kit.write_notes(book, "a")

    def refuse(*arguments: object) -> None:
        raise StateError("cannot be written (Read-only file system)", "audit_head.json")

    monkeypatch.setattr(files.store, "overwrite", refuse)
    kit.write_notes(book, "b")
    monkeypatch.undo()
    assert kit.journal(house).read_fold().seq == 3
