"""The power-cut model itself, against real calls: what a sync makes last lasts, what it does not may go."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crash import disk, steps
from crash.harness import Tally

Act = Callable[[Path], None]


def put(path: Path, raw: bytes, sync: bool = True, flags: int = os.O_WRONLY | os.O_CREAT) -> None:
    handle = os.open(path, flags)
    os.write(handle, raw)
    if sync:
        os.fsync(handle)
    os.close(handle)


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def left(tmp_path: Path, act: Act, style: str = "strict", seed: int = 0) -> dict[str, bytes]:
    """What an image holds after `act` ran in a recorded child."""
    home, report = tmp_path / "home", tmp_path / "report"
    home.mkdir(exist_ok=True)
    (home / "old").write_bytes(b"old")
    model = disk.Disk(home)
    pid = os.fork()
    if pid == 0:
        steps.installed(home, report)
        act(home)
        steps._real["_exit"](0)
    assert os.waitpid(pid, 0)[1] == 0
    for entry in steps.read_report(report):
        model.apply(entry)
    model.image(tmp_path / "image", style, seed)
    return {
        str(p.relative_to(tmp_path / "image")): p.read_bytes() for p in (tmp_path / "image").rglob("*") if p.is_file()
    }


def appended(home: Path) -> None:
    put(home / "old", b"+new", sync=False, flags=os.O_WRONLY | os.O_APPEND)


def test_unsynced_bytes_go_and_synced_ones_stay(tmp_path: Path):
    assert left(tmp_path, appended) == {"old": b"old"}


def test_synced_bytes_stay(tmp_path: Path):
    assert left(tmp_path, lambda home: put(home / "old", b"+new", flags=os.O_WRONLY | os.O_APPEND)) == {
        "old": b"old+new"
    }


def test_a_synced_file_without_a_synced_name_is_gone(tmp_path: Path):
    assert left(tmp_path, lambda home: put(home / "fresh", b"x")) == {"old": b"old"}


def test_a_synced_name_stays(tmp_path: Path):
    def act(home: Path) -> None:
        put(home / "fresh", b"x")
        sync_folder(home)

    assert left(tmp_path, act) == {"old": b"old", "fresh": b"x"}


def test_a_rename_lasts_whole_or_not_at_all(tmp_path: Path):
    def act(home: Path) -> None:
        put(home / "fresh", b"x")
        os.replace(home / "fresh", home / "old")

    assert left(tmp_path, act) == {"old": b"old"}
    for seed in range(20):
        image = tmp_path / f"try{seed}"
        image.mkdir()
        assert left(image, act, "mixed", seed)["old"] in {b"old", b"x", b""}


def test_a_rename_whose_bytes_were_not_synced_may_leave_an_empty_file(tmp_path: Path):
    def act(home: Path) -> None:
        put(home / "fresh", b"x", sync=False)
        os.replace(home / "fresh", home / "old")

    assert left(tmp_path, act, "names") == {"old": b""}


def test_a_file_moved_between_folders_is_never_in_neither(tmp_path: Path):
    def act(home: Path) -> None:
        (home / "other").mkdir()
        sync_folder(home)
        os.replace(home / "old", home / "other" / "old")
        sync_folder(home)

    assert left(tmp_path, act) == {"other/old": b"old"}


def test_syncing_one_folder_of_a_move_settles_what_came_before_in_both(tmp_path: Path):
    def act(home: Path) -> None:
        (home / "other").mkdir()
        sync_folder(home)
        put(home / "fresh", b"x")
        os.replace(home / "fresh", home / "old")
        os.replace(home / "old", home / "other" / "old")
        sync_folder(home / "other")

    assert left(tmp_path, act) == {"other/old": b"x"}


def test_a_hard_link_is_one_file(tmp_path: Path):
    def act(home: Path) -> None:
        os.link(home / "old", home / "second")
        sync_folder(home)

    assert left(tmp_path, act) == {"old": b"old", "second": b"old"}
    assert (tmp_path / "image" / "old").stat().st_ino == (tmp_path / "image" / "second").stat().st_ino


@pytest.mark.parametrize("seed", range(12))
def test_torn_bytes_keep_what_was_synced_and_tear_only_the_last_block(tmp_path: Path, seed: int):
    fresh = bytes(range(1, 251)) * 40

    def act(home: Path) -> None:
        put(home / "old", fresh, sync=False, flags=os.O_WRONLY | os.O_APPEND)

    raw = left(tmp_path, act, "torn", seed)["old"]
    safe = b"old" + fresh[: -disk.TORN_BYTES_MAX]
    assert raw.startswith(safe)
    assert raw != b"old" + fresh


def test_a_process_dies_before_or_in_the_middle_of_a_step(tmp_path: Path):
    for halfway, expected in ((False, b"old"), (True, b"old+n")):
        home, report = tmp_path / f"home{halfway}", tmp_path / f"report{halfway}"
        home.mkdir()
        (home / "old").write_bytes(b"old")
        pid = os.fork()
        if pid == 0:
            steps.installed(home, report, die_at=0, halfway=halfway)
            appended(home)
            steps._real["_exit"](0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == steps.DEAD
        assert (home / "old").read_bytes() == expected
        assert steps.read_report(report)[-1] == ("died", "write old")


@pytest.mark.parametrize(
    ("tally", "word"),
    [
        (Tally("x"), "no step"),
        (Tally("x", steps=1), "no process died"),
        (Tally("x", steps=1, deaths=1), "no power was cut"),
        (Tally("x", steps=1, deaths=1, images=1), "no order"),
        (Tally("x", 1, 1, 1, 1, ["P2: twice"]), "P2: twice"),
    ],
)
def test_a_sweep_that_exercised_nothing_fails(tally: Tally, word: str):
    with pytest.raises(AssertionError, match=word):
        tally.proves(counts_orders=True)
