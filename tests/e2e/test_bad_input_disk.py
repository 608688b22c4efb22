"""A disk filled to the last byte under each door: one clear line, nothing half-written, no entry; then it recovers."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import badkit
from badkit import Rig
from desk.state import store

SIZE: Final = "3m"
CHUNKS: Final = (65_536, 4096, 512, 1)
JOBS: Final = (("router",), ("heartbeat",), ("reconcile",), badkit.STOP)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    step = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(step, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], capture_output=True)


@pytest.fixture
def rig(played_home: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0.001)
    with badkit.spoilable(played_home, small) as found:
        os.posix_fallocate(handle := os.open(found.home / "execution-logs" / "reserve.bin", os.O_WRONLY), 0, 262_144)
        os.close(handle)  # copying may have left holes in it
        yield found


def fill(folder: Path) -> Path:
    """Take every byte the file system still has."""
    path = folder / "filler"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    for size in CHUNKS:
        with contextlib.suppress(OSError):
            while os.write(handle, bytes(size)):
                pass
    os.close(handle)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (folder / "one-more").write_bytes(b"x")
    (folder / "one-more").unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job[0])
@pytest.mark.parametrize("reserve", ["reserve", "no-reserve"])
def test_a_full_disk_under_each_door(rig: Rig, small: Path, job: tuple[str, ...], reserve: str) -> None:
    before = rig.entries()
    if reserve == "no-reserve":
        (rig.home / "execution-logs" / "reserve.bin").unlink()
    filler = fill(small)
    rig.minute()
    door, *arguments = job
    said = rig.spawn(door, *arguments, "--json")
    badkit.assert_clear(said, {0, 1, 2})
    if door != "kill_switch":
        assert said.code, "a full disk is never all well"
        assert "space" in said.out or "audit:reserve_used" in said.out, said
    assert rig.entries() == before
    badkit.assert_sound(rig, verify={0, 1})
    if job == badkit.STOP:
        _assert_engaged_or_said(rig, said)
    filler.unlink()
    _recovers(rig, before)


def _assert_engaged_or_said(rig: Rig, said: badkit.Said) -> None:
    """Where one byte can still be made durable the latch stands; else exit 2 says that it does not."""
    if said.code == 2:
        assert "NOT ENGAGED" in said.document["verdict"], said
    else:
        assert rig.door("kill_switch", "status", "--json").document["verdict"].startswith("KILL SWITCH — ACTIVE")
        assert any(said.document["durable"].values())


def _recovers(rig: Rig, before: int) -> None:
    """With space again: heartbeat makes the reserve anew, the latches are released, the waiting entry goes out."""
    for _ in range(3):
        rig.tick()
    assert (rig.home / "execution-logs" / "reserve.bin").stat().st_size == 262_144
    badkit.assert_clear(rig.door("kill_switch", "release", *badkit.ACKNOWLEDGED), {0})
    badkit.assert_clear(rig.door("resume", *badkit.ACKNOWLEDGED), {0})
    for _ in range(3):
        told = rig.tick()
    assert rig.entries() == before + 1, told
    badkit.assert_sound(rig)


def test_every_job_of_ten_minutes_on_a_full_disk(rig: Rig, small: Path) -> None:
    """Cron goes on all the while: the position is kept, PAUSE is latched, alerts are journalled from the reserve."""
    before = rig.entries()
    filler = fill(small)
    for _ in range(10):
        for said in rig.tick().values():
            badkit.assert_clear(said, {0, 1, 2})
    assert rig.entries() == before
    for path in rig.home.glob("state/*.json"):
        json.loads(path.read_bytes())
    filler.unlink()
    _recovers(rig, before)
    raised = [event["data"]["text"] for event in rig.events("ALERT_RAISED")]
    assert raised, "it was alerted"


def test_a_full_disk_at_the_very_first_start(small: Path) -> None:
    filler = fill(small)
    rig = Rig(small / "home", None, {"SANAD_HOME": str(small / "home"), "SYSTEM_MODE": "PAPER"})
    for door, *arguments in (*JOBS, ("pause", "--reason", "x"), ("audit", "note", "x")):
        badkit.assert_clear(rig.door(door, *arguments, "--json"), {2})
    filler.unlink()
    badkit.assert_clear(rig.door("audit", "note", "x"), {0})
    assert not list(rig.home.rglob("*.tmp"))
