"""Torn tails, damage and what verify says of each; readers never repair."""

import hashlib
import json
from collections.abc import Callable

import pytest

import journalkit as kit
from desk.base.errors import BadInput, JournalDamaged
from desk.base.paths import Home
from desk.journal import chain, files, verify
from desk.state import store

Edit = Callable[[list[bytes]], list[bytes]]


def filled(house: Home, groups: int = 4) -> list[bytes]:
    """A journal of GENESIS and some groups of three; its lines."""
    book = kit.journal(house)
    for number in range(groups):
        kit.write_notes(book, *(f"{number}{letter}" for letter in "abc"))
    return house.journal.read_bytes().splitlines(keepends=True)


def head(house: Home) -> dict[int, str]:
    found = verify.verify(house, {})
    assert found.code == verify.WHOLE
    return {found.seq: found.hash}


def recompute(lines: list[bytes], start: int, change: Callable[[dict[str, object]], None]) -> list[bytes]:
    """An attacker's work: change one line and hash everything after it anew."""
    result, prev = lines[:start], json.loads(lines[start - 1])["hash"]
    for number, raw in enumerate(lines[start:]):
        line = json.loads(raw)
        if not number:
            change(line)
        line["prev"] = prev
        line.pop("hash")
        body = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
        prev = hashlib.sha256(body).hexdigest()
        result.append(body + b',"hash":"' + prev.encode() + b'"}\n')
    return result


EDITS: dict[str, Edit] = {
    "edited": lambda lines: [*lines[:5], lines[5].replace(b'"text":"1b"', b'"text":"xx"'), *lines[6:]],
    "edited_last_line": lambda lines: [*lines[:-1], lines[-1].replace(b'"text":"3c"', b'"text":"xx"')],
    "dropped": lambda lines: [*lines[:5], *lines[6:]],
    "dropped_whole_group": lambda lines: [*lines[:4], *lines[7:]],
    "reordered": lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
    "duplicated": lambda lines: [*lines[:6], lines[5], *lines[6:]],
    "garbage_between": lambda lines: [*lines[:6], b"garbage\n", *lines[6:]],
    "cut_in_a_line": lambda lines: [b"".join(lines)[:-30]],
    "cut_at_a_group": lambda lines: lines[:-3],
    "cut_in_a_group": lambda lines: lines[:-1],
    "emptied": lambda lines: [],
    "first_line_edited": lambda lines: [lines[0].replace(b"acct", b"evil"), *lines[1:]],
    "zeros_behind": lambda lines: [b"".join(lines[:-1]), b"\0" * len(lines[-1])],
}


@pytest.mark.parametrize("name", EDITS)
def test_every_hand_in_the_journal_is_verdict_2_and_stops_writers(house: Home, name: str):
    lines = filled(house)
    house.journal.write_bytes(b"".join(EDITS[name](lines)))
    damaged = house.journal.read_bytes()
    found = verify.verify(house, {})
    assert found.code == verify.BROKEN, found.findings
    with pytest.raises(JournalDamaged, match="reseal"):
        kit.write_notes(kit.journal(house), "on top")
    with pytest.raises(JournalDamaged):
        kit.journal(house).read_fold()
    assert house.journal.read_bytes() == damaged


def test_a_missing_file_is_shrunk_not_new(house: Home):
    filled(house)
    house.journal.unlink()
    assert verify.verify(house, {}).code == verify.BROKEN
    with pytest.raises(JournalDamaged, match="JOURNAL_SHRUNK"):
        kit.write_notes(kit.journal(house), "fresh start")
    assert not house.journal.exists()


def test_a_missing_file_beside_sealed_segments_is_damage_even_without_state(house: Home):
    filled(house)
    kit.set_time(kit.START_MS + kit.DAY_MS)
    kit.write_notes(kit.journal(house), "next day")
    house.journal.unlink()
    for path in house.state.glob("*.json"):
        path.unlink()
    assert verify.verify(house, {}).code == verify.BROKEN
    with pytest.raises(JournalDamaged):
        kit.write_notes(kit.journal(house), "fresh start")


def test_a_shrunk_journal_says_so(house: Home):
    lines = filled(house)
    house.journal.write_bytes(b"".join(lines[:-3]))
    with pytest.raises(JournalDamaged, match="JOURNAL_SHRUNK"):
        kit.write_notes(kit.journal(house), "x")
    assert any("JOURNAL_SHRUNK" in text for text in verify.verify(house, {}).findings)


def test_published_projections_remember_what_a_lost_hint_forgot(house: Home):
    lines = filled(house)
    kit.journal(house).publish()
    (house.state / "audit_head.json").unlink()
    house.journal.write_bytes(b"".join(lines[:-3]))
    with pytest.raises(JournalDamaged, match="JOURNAL_SHRUNK"):
        kit.write_notes(kit.journal(house), "x")
    assert verify.verify(house, {}).code == verify.BROKEN


@pytest.mark.parametrize("keep", range(1, 9, 2))
def test_a_torn_last_group_is_verdict_1_then_cut_kept_and_told(house: Home, keep: int):
    """The group of a writer that died before the hint: whatever part of it reached the disk."""
    lines = filled(house, 2)
    hint = (house.state / "audit_head.json").read_bytes()
    kit.write_notes(kit.journal(house), "torn1", "torn2", "torn3")
    raw = house.journal.read_bytes()
    (house.state / "audit_head.json").write_bytes(hint)
    whole = len(b"".join(lines))
    torn = raw[: whole + (len(raw) - whole) * keep // 9]
    house.journal.write_bytes(torn)
    found = verify.verify(house, {})
    assert (found.code, found.seq) == (verify.TORN, 7)
    assert kit.journal(house).read_fold().seq == 7
    assert house.journal.read_bytes() == torn
    kit.write_notes(kit.journal(house), "after")
    written = kit.every_line(house)
    assert [line["event"] for line in written[7:]] == ["JOURNAL_TAIL_CUT", "ALERT_RAISED", "NOTE"]
    assert written[7]["data"]["bytes"] == len(torn) - whole
    kept = list((house.state / "quarantine").glob("journal-tail.*"))
    assert [path.read_bytes() for path in kept] == [torn[whole:]]
    assert verify.verify(house, {}).code == verify.WHOLE


@pytest.mark.parametrize("hole", [(0, 40), (200, 600), (500, 10_000)])
def test_a_last_group_with_a_hole_of_zeros_is_torn(house: Home, hole: tuple[int, int]):
    """A power cut may keep later blocks of the group and lose earlier ones."""
    lines = filled(house, 2)
    hint = (house.state / "audit_head.json").read_bytes()
    kit.write_notes(kit.journal(house), "torn1", "torn2", "torn3")
    raw = bytearray(house.journal.read_bytes())
    (house.state / "audit_head.json").write_bytes(hint)
    start = len(b"".join(lines))
    first, last = start + hole[0], min(start + hole[1], len(raw))
    raw[first:last] = bytes(last - first)
    house.journal.write_bytes(bytes(raw))
    assert verify.verify(house, {}).code == verify.TORN
    kit.write_notes(kit.journal(house), "after")
    assert verify.verify(house, {}).code == verify.WHOLE


def test_a_torn_first_line_starts_anew(house: Home):
    kit.write_notes(kit.journal(house), "a")
    genesis = house.journal.read_bytes().splitlines(keepends=True)[0]
    for path in house.state.glob("*.json"):
        path.unlink()
    house.journal.write_bytes(genesis[:100])
    kit.write_notes(kit.journal(house), "b")
    assert [line["event"] for line in kit.every_line(house)] == ["GENESIS", "JOURNAL_TAIL_CUT", "ALERT_RAISED", "NOTE"]


def test_a_recomputed_tail_passes_the_chain_and_fails_the_anchor(house: Home):
    lines = filled(house)
    anchors = head(house)
    forged = recompute(lines, 5, lambda line: line["data"].update(text="forged"))
    house.journal.write_bytes(b"".join(forged))
    (house.state / "audit_head.json").unlink()
    kit.independent_check([house.journal])
    assert verify.verify(house, {}).code == verify.WHOLE
    found = verify.verify(house, anchors)
    assert found.code == verify.BROKEN
    assert "was rewritten" in found.findings[0]


def test_a_recomputed_tail_contradicts_the_hint(house: Home):
    lines = filled(house)
    house.journal.write_bytes(b"".join(recompute(lines, 5, lambda line: line["data"].update(text="fo"))))
    assert verify.verify(house, {}).code == verify.BROKEN


def test_a_cut_tail_fails_the_anchor(house: Home):
    lines = filled(house)
    anchors = head(house)
    house.journal.write_bytes(b"".join(lines[:-3]))
    (house.state / "audit_head.json").unlink()
    assert verify.verify(house, {}).code == verify.WHOLE
    found = verify.verify(house, anchors)
    assert (found.code, found.findings) == (verify.BROKEN, ["anchor 13 is beyond the head 10: the journal was cut"])


def test_an_anchor_of_every_line_matches(house: Home):
    lines = filled(house)
    anchors = {json.loads(raw)["seq"]: json.loads(raw)["hash"] for raw in lines}
    assert verify.verify(house, anchors).code == verify.WHOLE


@pytest.mark.parametrize("text", ["", "7", "x:" + "a" * 64, "7:abc", "7:" + "g" * 64, "-1:" + "a" * 64])
def test_a_bad_anchor_is_bad_input(text: str):
    with pytest.raises(BadInput, match="SEQ:HASH"):
        verify.anchor(text)


@pytest.mark.parametrize(
    "hint",
    [
        b"",
        b"{",
        b"[]",
        b'{"seq":1}',
        b'{"seq":"9","hash":"x","segment":1,"offset":1}',
        b'{"seq":1,"hash":"0000","segment":1,"offset":10}',
        b'{"seq":2,"hash":"lie","segment":77,"offset":999999}',
    ],
    ids=["empty", "torn", "list", "partial", "wrong_types", "lying", "of_another_segment"],
)
def test_a_lost_or_lying_hint_changes_nothing(house: Home, hint: bytes):
    filled(house)
    (house.state / "audit_head.json").write_bytes(hint)
    kit.write_notes(kit.journal(house), "on")
    assert json.loads((house.state / "audit_head.json").read_bytes())["seq"] == 14
    assert verify.verify(house, {}).code == verify.WHOLE


@pytest.mark.parametrize("claim", [{"seq": 99}, {"seq": 99, "offset": 1}, {"offset": 10_000_000}])
def test_a_hint_from_the_future_is_shrunk(house: Home, claim: dict[str, int]):
    filled(house)
    hint = json.loads((house.state / "audit_head.json").read_bytes()) | claim
    (house.state / "audit_head.json").write_text(json.dumps(hint | {"_digest": store.digest_of(hint)}))
    with pytest.raises(JournalDamaged, match="JOURNAL_SHRUNK"):
        kit.write_notes(kit.journal(house), "x")
    assert verify.verify(house, {}).code == verify.BROKEN


def test_a_process_remembers_what_it_saw_durable(house: Home):
    """Hint and projections are gone with the bytes, but this process knows better."""
    book = kit.journal(house)
    lines = filled(house)
    kit.write_notes(book, "mine")
    for path in house.state.glob("*.json"):
        path.unlink()
    house.journal.write_bytes(b"".join(lines[:4]))
    with pytest.raises(JournalDamaged, match="JOURNAL_SHRUNK"):
        kit.write_notes(book, "x")


def test_lines_of_a_dead_writer_are_synced_before_they_count(house: Home, monkeypatch: pytest.MonkeyPatch):
    """Killed between write and fsync: the lines are there, nobody knows whether on disk."""
    filled(house, 1)
    hint = (house.state / "audit_head.json").read_bytes()
    kit.write_notes(kit.journal(house), "unsynced")
    (house.state / "audit_head.json").write_bytes(hint)
    synced: list[str] = []
    real = files.sync
    monkeypatch.setattr(files, "sync", lambda path: (synced.append(path.name), real(path)))
    book = kit.journal(house)
    seen: list[int] = []

    def look(fold: object) -> list[object]:
        seen.append(len(synced))
        return []

    book.transact(look)
    assert seen == [1]
    book.transact(look)
    assert synced == ["audit.jsonl"]


def test_an_unknown_event_of_another_version_is_passed_over(house: Home):
    lines = filled(house, 1)
    last = json.loads(lines[-1])
    kit.journal(house).read_fold()
    raw, _ = chain.encode(kit.note(), last["seq"] + 1, last["ts"], (1, 1), kit.CTX, last["hash"])
    forged = raw.replace(b'"event":"NOTE"', b'"event":"NEWS_OF_2030"')
    body = forged[: forged.rindex(b',"hash":')]
    forged = body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'
    house.journal.write_bytes(b"".join(lines) + forged)
    assert kit.journal(house).read_fold().seq == last["seq"] + 1
