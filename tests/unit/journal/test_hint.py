"""The hint is written over itself (ADR 021): believed whole or not at all, and never needed."""

import json
import os
from pathlib import Path

import pytest

import journalkit as kit
from desk.base.errors import InvariantError, StateError
from desk.base.paths import Home
from desk.journal import files, verify
from desk.journal.files import Hint
from desk.state import store


@pytest.fixture
def house(tmp_path: Path) -> Home:
    return Home(tmp_path).ensure()


def path_of(house: Home) -> Path:
    return house.state / "audit_head.json"


def two_hints(house: Home) -> tuple[bytes, bytes]:
    """The file before and after one more group."""
    kit.write_notes(kit.journal(house), "a")
    before = path_of(house).read_bytes()
    kit.write_notes(kit.journal(house), "b" * 700)
    return before, path_of(house).read_bytes()


def test_every_torn_hint_reads_as_one_of_the_two_or_as_missing(house: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0)
    before, after = two_hints(house)
    whole = []
    for raw in (before, after):
        path_of(house).write_bytes(raw)
        whole.append(files.read_hint(house))
    assert len(before) == len(after) == store.OVERWRITTEN_BYTES and whole[0] != whole[1] and None not in whole
    found = set()
    for cut in range(len(after) + 1):
        for torn in (after[:cut] + before[cut:], before[:cut] + after[cut:], after[:cut]):
            path_of(house).write_bytes(torn)
            hint = files.read_hint(house)
            assert hint is None or hint in whole, torn
            found.add(hint is None)
    assert found == {True, False}


def test_a_torn_hint_costs_nothing_but_itself(house: Home) -> None:
    before, after = two_hints(house)
    path_of(house).write_bytes(after[:40] + before[40:])
    assert verify.verify(house, {}).code == verify.WHOLE
    kit.write_notes(kit.journal(house), "c")
    hint, fold = files.read_hint(house), kit.journal(house).read_fold()
    assert hint is not None and (hint.seq, hint.hash) == (fold.seq, fold.hash)
    assert verify.verify(house, {}).code == verify.WHOLE


@pytest.mark.parametrize("change", [{"seq": 1}, {"offset": 1}, {"hash": "0" * 64}, {"_digest": "0" * 16}])
def test_an_edited_hint_reads_as_missing(house: Home, change: dict[str, object]) -> None:
    _, after = two_hints(house)
    path_of(house).write_text(json.dumps(json.loads(after) | change))
    assert files.read_hint(house) is None


def test_a_longer_file_of_the_old_form_is_taken_over(house: Home) -> None:
    two_hints(house)
    path_of(house).write_text(json.dumps({"seq": 1, "note": "x" * 2000}, indent=2))
    kit.write_notes(kit.journal(house), "c")
    assert path_of(house).stat().st_size == store.OVERWRITTEN_BYTES
    assert isinstance(files.read_hint(house), Hint)


def test_the_hint_costs_one_write_and_no_rename(house: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    book = kit.journal(house)
    kit.write_notes(book, "a")
    kept = path_of(house).stat().st_ino
    monkeypatch.setattr(os, "replace", lambda *paths: pytest.fail(f"a rename: {paths}"))
    kit.write_notes(book, "b")
    assert path_of(house).stat().st_ino == kept


def test_only_small_observations_are_written_over_themselves(house: Home) -> None:
    with pytest.raises(InvariantError, match="cannot be written over itself"):
        store.overwrite(house, "audit_head", {"seq": "9" * store.OVERWRITTEN_BYTES}, "journal")
    with pytest.raises(InvariantError, match="cannot be written over itself"):
        store.overwrite(house, "intents", {}, "journal")
    with pytest.raises(InvariantError, match="may not write"):
        store.overwrite(house, "audit_head", {}, "router")


def test_a_hint_that_cannot_be_written_is_one_clear_error(house: Home) -> None:
    path_of(house).mkdir()
    with pytest.raises(StateError, match="cannot be written"):
        store.overwrite(house, "audit_head", {}, "journal")
