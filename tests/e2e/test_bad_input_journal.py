"""The journal spoilt: no order on it, one line naming it, the kill switch still engages, and one way back: reseal."""

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

import badkit
from badkit import Rig
from desk.state import store

SEED: Final = 5
HINTS: Final = ("audit_head.json", "intents.json", "positions.json", "portfolio.json")  # what else knows the head
JOBS: Final = (("router",), ("heartbeat",), ("reconcile",), ("policy_engine", "tick"))


@pytest.fixture
def rig(played_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0.001)
    with badkit.spoilable(played_home, tmp_path) as found:
        yield found


def cut_at(fraction: float) -> Callable[[bytes], bytes]:
    return lambda raw: raw[: int(len(raw) * fraction)]


def flip_at(fraction: float) -> Callable[[bytes], bytes]:
    """One bit of one byte."""

    def how(raw: bytes) -> bytes:
        place = int(len(raw) * fraction)
        return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]

    return how


def line_gone(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join(lines[:20] + lines[21:])


def lines_swapped(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join([*lines[:20], lines[21], lines[20], *lines[22:]])


DICE = random.Random(SEED)
How = Callable[[bytes], bytes | None]
LATE: dict[str, How] = {  # the session's position is in what is left: reconcile re-books the rest
    **{f"cut-{place:.3f}": cut_at(place) for place in sorted(DICE.uniform(0.6, 1) for _ in range(3))},
    "doubled": lambda raw: raw + raw,
    "old-line-again": lambda raw: raw + raw.splitlines(keepends=True)[-1],
}
WHOLE: dict[str, How] = {  # the books are lost with it: on paper they are given up
    "missing": lambda raw: None,
    "empty": lambda raw: b"",
    **{f"cut-{place:.3f}": cut_at(place) for place in sorted(DICE.uniform(0, 0.2) for _ in range(2))},
    "line-gone": line_gone,
    "binary": lambda raw: bytes(range(256)) * 8,
    "a-list": lambda raw: b"[1]\n[2]\n",
    "blank-lines": lambda raw: raw.replace(b"\n", b"\n\n"),
    "windows-lines": lambda raw: raw.replace(b"\n", b"\r\n"),
}
OLD: dict[str, How] = {  # lines a tick no longer reads, the length kept: verify finds it
    **{f"flipped-{place:.3f}": flip_at(place) for place in sorted(DICE.uniform(0, 0.95) for _ in range(4))},
    "lines-swapped": lines_swapped,
}


@pytest.mark.parametrize("how", LATE | WHOLE)
def test_damage_stops_every_order_until_it_is_resealed(rig: Rig, how: str) -> None:
    before = rig.entries()
    badkit.spoil(rig.journal, (LATE | WHOLE)[how])
    spoilt = rig.journal.read_bytes() if rig.journal.exists() else None
    rig.minute()
    for door, *arguments in JOBS:
        said = rig.door(door, *arguments, "--json")
        badkit.assert_clear(said, {1, 2})
        assert "audit.jsonl" in said.out, said
    badkit.assert_clear(rig.door("audit", "verify"), {2}, "damaged")
    badkit.assert_clear(rig.door(*badkit.STOP), {0}, "ENGAGED")
    assert (rig.journal.read_bytes() if rig.journal.exists() else None) == spoilt, "nobody repairs it silently"
    badkit.assert_sound(rig, verify={2})
    badkit.assert_clear(rig.door("audit", "reseal", *badkit.ACKNOWLEDGED), {0}, "AUDIT RESEAL — OK")
    badkit.assert_clear(rig.door("audit", "verify"), {0})
    assert list((rig.home / "archive").iterdir()), "what was damaged is kept"
    if how in WHOLE:
        badkit.assert_clear(rig.door("mode", "switch", "PAPER", "--discard", "--reason", "lost"), {0})
        before = 0
    _comes_back(rig, before)


def _comes_back(rig: Rig, before: int) -> None:
    """A reconcile, release and resume (where something is latched): then the waiting entry goes out."""
    rig.tick()
    rig.tick()
    badkit.assert_clear(rig.door("kill_switch", "release", *badkit.ACKNOWLEDGED), {0})
    badkit.assert_clear(rig.door("resume", *badkit.ACKNOWLEDGED), {0})
    for _ in range(3):
        told = rig.tick()
    sent = {event["symbol"] for event in rig.events("INTENT_CREATED") if event["data"]["kind"] == "ENTRY"}
    assert badkit.WANTED in sent, told
    badkit.assert_sound(rig)


@pytest.mark.parametrize("how", OLD)
def test_damage_behind_the_head_is_found_by_verify_and_by_every_refold(rig: Rig, how: str) -> None:
    badkit.spoil(rig.journal, OLD[how])
    badkit.assert_clear(rig.door("audit", "verify"), {2}, "damaged")
    badkit.assert_clear(rig.door("audit", "rebuild", "--json"), {2}, "audit.jsonl", "reseal")
    for name in HINTS:
        rig.state(name).unlink()
    for door, *arguments in JOBS:
        badkit.assert_clear(rig.door(door, *arguments), {1, 2})
    badkit.assert_clear(rig.door("router"), {2}, "audit.jsonl", "reseal")
    assert rig.door("audit", "verify").code == 2


TORN: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda raw: raw + b"\0\1\2 garbage",
    "half-a-line": lambda raw: raw + raw.splitlines(keepends=True)[-1][:50],
    "a-block-of-zeros": lambda raw: raw + bytes(4096),
}


@pytest.mark.parametrize("how", TORN)
def test_a_torn_tail_is_cut_kept_and_alerted(rig: Rig, how: str) -> None:
    before, whole = rig.entries(), rig.journal.read_bytes()
    badkit.spoil(rig.journal, TORN[how])
    badkit.assert_clear(rig.door("audit", "verify"), {1}, "incomplete")
    told = rig.tick()
    assert {said.code for said in told.values()} == {0}, told
    assert rig.journal.read_bytes().startswith(whole)
    assert rig.events("JOURNAL_TAIL_CUT")
    assert [e for e in rig.events("ALERT_RAISED") if "torn" in e["data"]["text"]]
    kept = list((rig.home / "state" / "quarantine").glob("journal-tail.*"))
    assert [TORN[how](whole)[len(whole) :]] == [path.read_bytes() for path in kept]
    assert rig.entries() == before + 1
    badkit.assert_sound(rig)


@pytest.mark.parametrize("place", sorted(random.Random(SEED + 1).random() for _ in range(4)))
def test_a_torn_tail_with_every_hint_gone_is_cut_to_the_last_whole_group(rig: Rig, place: float) -> None:
    """Nothing else remembers the head (as after a restore): the journal goes on from its last whole group."""
    raw = rig.journal.read_bytes()
    whole = raw[: raw.rindex(b"\n", 0, int(len(raw) * place)) + 1]
    badkit.spoil(rig.journal, lambda raw: raw[: len(whole) + 30])
    for name in HINTS:
        rig.state(name).unlink()
    rig.minute()
    for door in ("reconcile", "router", "heartbeat"):
        badkit.assert_clear(rig.door(door), {0, 1, 2})
    assert rig.events("JOURNAL_TAIL_CUT")
    badkit.assert_sound(rig)


def test_a_folder_in_its_place(rig: Rig) -> None:
    before = rig.entries()
    aside = rig.home / "aside.jsonl"
    rig.journal.rename(aside)
    rig.journal.mkdir()
    rig.minute()
    others = (("audit", "verify"), ("audit", "tail"), ("pause", "--reason", "x"), ("mode", "show"))
    for door, *arguments in (*JOBS, *others):
        badkit.assert_clear(rig.door(door, *arguments, "--json"), {0, 1, 2})
    badkit.assert_clear(rig.door("router"), {2}, "audit.jsonl", "directory")
    badkit.assert_clear(rig.door(*badkit.STOP), {0}, "file only")
    rig.journal.rmdir()
    aside.rename(rig.journal)
    assert rig.entries() == before
    _comes_back(rig, before)


@pytest.fixture
def read_only(rig: Rig) -> Iterator[Rig]:
    """The home on a file system that refuses every write."""
    home = str(rig.home)
    steps = (["mount", "--bind", home, home], ["mount", "-o", "remount,bind,ro", home])
    for number, step in enumerate(steps):
        if shutil.which("mount") is None or subprocess.run(step, capture_output=True).returncode:
            if number:
                subprocess.run(["umount", home], capture_output=True)
            pytest.skip("mounting needs root")
    yield rig
    subprocess.run(["umount", "-l", home], capture_output=True)


def test_a_read_only_home_is_one_line_at_every_door(read_only: Rig) -> None:
    before = badkit.tree(read_only.home)
    (read_only.home.parent / "packet.json").write_text("{}")
    read_only.minute()
    for door, *arguments in badkit.CALLS:
        said = read_only.door(door, *arguments, "--json")
        badkit.assert_clear(said, {0, 1, 2})
        if door in {"router", "pause"}:
            assert said.code == 2, said
    badkit.assert_clear(read_only.door(*badkit.STOP), {2}, "NOT ENGAGED", "Read-only")
    said = read_only.door("heartbeat")
    badkit.assert_clear(said, {2})
    assert "Read-only" in said.text, said
    badkit.assert_clear(read_only.spawn("router"), {2}, "Read-only")
    assert badkit.tree(read_only.home) == before


def test_after_a_read_only_spell_it_trades_again(rig: Rig, request: pytest.FixtureRequest) -> None:
    before = rig.entries()
    request.getfixturevalue("read_only")
    rig.tick()
    subprocess.run(["umount", str(rig.home)], check=True)
    assert rig.entries() == before
    for _ in range(2):
        rig.tick()
    badkit.assert_clear(rig.door("resume", *badkit.ACKNOWLEDGED), {0})
    for _ in range(3):
        rig.tick()
    assert rig.entries() == before + 1
    badkit.assert_sound(rig)
