"""One segment a UTC day, sealed by a checkpoint; every step repeatable; retention keeps a start."""

import json
from pathlib import Path

import pytest

import journalkit as kit
from desk.base.errors import JournalDamaged
from desk.base.paths import Home
from desk.journal import files, rotate, segment, verify
from desk.journal.journal import Journal
from desk.journal.state import plain


def day(number: int) -> None:
    kit.set_time(kit.START_MS + number * kit.DAY_MS)


def sealed(house: Home) -> list[Path]:
    return [path for _, path in files.sealed(house)]


def test_the_first_append_of_a_later_date_rotates(house: Home):
    book = kit.journal(house)
    kit.write_notes(book, "a")
    day(1)
    kit.write_notes(book, "b")
    assert [path.name for path in sealed(house)] == ["audit-2026-01-01.1.jsonl"]
    events = [(line["seq"], line["event"]) for line in kit.every_line(house)]
    assert events == [(1, "GENESIS"), (2, "NOTE"), (3, "JOURNAL_CHECKPOINT"), (4, "JOURNAL_OPENED"), (5, "NOTE")]
    opened = kit.every_line(house)[3]
    assert opened["data"]["previous"] == "audit-2026-01-01.1.jsonl"
    assert (opened["data"]["seq"], opened["data"]["hash"]) == (3, opened["prev"])
    assert kit.independent_check([*sealed(house), house.journal]) == 5
    assert verify.verify(house, {}).code == verify.WHOLE


def test_never_earlier_and_never_backwards(house: Home):
    book = kit.journal(house)
    day(1)
    kit.write_notes(book, "a")
    kit.set_time(kit.START_MS + 2 * kit.DAY_MS - 1)
    kit.write_notes(book, "b")
    day(0)
    kit.write_notes(book, "c")
    assert sealed(house) == []


def test_readers_do_not_rotate(house: Home):
    kit.write_notes(kit.journal(house), "a")
    day(1)
    kit.journal(house).read_fold()
    kit.journal(house).publish()
    assert sealed(house) == []


def test_the_fold_goes_on_over_rotations(house: Home):
    book = kit.journal(house)
    book.transact(lambda fold: [kit.created(), kit.sent()])
    for number in range(1, 4):
        day(number)
        fold, _ = book.transact(lambda fold: [kit.note()])
        assert fold.intents.intents["abcd1"].state == "SENT_UNKNOWN"
        assert plain(kit.journal(house).read_fold()) == plain(fold)
    assert len(sealed(house)) == 3


def test_a_torn_tail_found_on_a_later_day_is_told_in_the_new_segment(house: Home):
    kit.write_notes(kit.journal(house), "a")
    with house.journal.open("ab") as handle:
        handle.write(b'{"seq":')
    day(1)
    kit.write_notes(kit.journal(house), "b")
    events = [line["event"] for line in kit.every_line(house)]
    assert events[-4:] == ["JOURNAL_OPENED", "JOURNAL_TAIL_CUT", "ALERT_RAISED", "NOTE"]


def test_a_crash_at_any_step_is_finished_by_the_next_append(house: Home):
    for step in range(100):
        with kit.temporary_home() as home:
            day(0)
            kit.write_notes(kit.journal(home), "a")
            day(1)
            try:
                with kit.dying_at(step) as taken:
                    kit.write_notes(kit.journal(home), "b")
            except kit.Died:
                pass
            else:
                break
            kit.write_notes(kit.journal(home), "c")
            found = verify.verify(home, {})
            assert (found.code, len(sealed(home))) == (verify.WHOLE, 1), (step, taken, found.findings)
            assert kit.independent_check([*sealed(home), home.journal]) == found.seq
            texts = [line["data"].get("text") for line in kit.every_line(home) if line["event"] == "NOTE"]
            assert texts in (["a", "c"], ["a", "b", "c"])
    assert step > 8, "the sweep must have met the rotation"


def test_a_full_disk_in_the_middle_goes_on_with_the_reserve(house: Home, monkeypatch: pytest.MonkeyPatch):
    book = kit.journal(house)
    kit.write_notes(book, "a")
    assert files.ensure_reserve(house, 65_536)
    day(1)
    real, failed = files.put_whole, []

    def full_once(path: Path, raw: bytes) -> None:
        if not failed:
            failed.append(path)
            raise OSError(28, "No space left on device")
        real(path, raw)

    monkeypatch.setattr(files, "put_whole", full_once)
    kit.write_notes(book, "b")
    assert failed
    assert not files.has_reserve(house)
    assert verify.verify(house, {}).code == verify.WHOLE


def test_another_file_with_the_sealed_name_stops_the_rotation(house: Home):
    kit.write_notes(kit.journal(house), "a")
    (house.logs / "audit-2026-01-01.1.jsonl").write_text("not ours")
    day(1)
    with pytest.raises(JournalDamaged):
        kit.write_notes(kit.journal(house), "b")
    assert (house.logs / "audit-2026-01-01.1.jsonl").read_text() == "not ours"


def days_of_notes(house: Home, numbers: list[int], **more: int) -> Journal:
    book = kit.journal(house, **more)
    for number in numbers:
        day(number)
        kit.write_notes(book, f"day {number}")
    return book


def test_retention_keeps_one_checkpoint_before_its_start(house: Home):
    days_of_notes(house, [0, 1, 2, 3, 10], retention_days=8)
    assert [path.name[6:16] for path in sealed(house)] == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    days_of_notes(house, [12], retention_days=8)
    assert [path.name[6:16] for path in sealed(house)] == ["2026-01-03", "2026-01-04", "2026-01-11"]
    found = verify.verify(house, {})
    assert (found.code, found.findings) == (verify.WHOLE, [])
    assert found.first_seq > 1


def test_rebuild_and_fresh_folds_survive_retention(house: Home):
    book = kit.journal(house, retention_days=2)
    book.transact(lambda fold: [kit.created(), kit.sent()])
    days_of_notes(house, [1, 2, 3, 20, 40], retention_days=2)
    for path in house.state.glob("*.json"):
        path.unlink()
    fold = kit.journal(house).rebuild()
    assert fold.intents.intents["abcd1"].state == "SENT_UNKNOWN"
    assert len(sealed(house)) == 2


def test_retention_with_a_crash_between_deletions_leaves_no_hole(house: Home):
    days_of_notes(house, [0, 1, 2, 3, 30])
    with pytest.raises(kit.Died), kit.dying_at(1):
        rotate.drop_old(house, "2026-02-10", 1)
    assert verify.verify(house, {}).code == verify.WHOLE
    assert len(sealed(house)) == 3


def test_the_last_line_is_read_from_the_end_whatever_its_length(house: Home):
    kit.write_notes(kit.journal(house, event_bytes_max=400_000), "x", "y" * 300_000)
    found = segment.last_line(house.journal)
    assert found is not None
    line, start, end = found
    assert (line.seq, end) == (3, house.journal.stat().st_size)
    assert segment.line_at(house.journal, start, end) == line


def test_a_checkpoint_that_lies_is_found(house: Home):
    """A checkpoint whose own hash is right, but which is not what the lines fold to."""
    book = kit.journal(house)
    book.transact(lambda fold: [kit.created(), kit.sent()])
    real = rotate.checkpoint

    def lying(fold):
        fold.intents.intents.clear()
        return real(fold)

    rotate.checkpoint = lying
    try:
        day(1)
        kit.write_notes(book, "b")
    finally:
        rotate.checkpoint = real
    found = verify.verify(house, {})
    assert found.code == verify.BROKEN
    assert "not what its lines fold to" in found.findings[0]


def test_a_checkpoint_of_another_version_is_taken_by_its_hash(house: Home):
    book = kit.journal(house)
    kit.write_notes(book, "a")
    real = rotate.sealed_state

    def older(fold):
        state = plain(fold)
        del state["portfolio"]["blocked_cycles"]
        return {"fold": state, "fold_hash": rotate.state_hash(state)}

    rotate.sealed_state = older
    try:
        day(1)
        kit.write_notes(book, "b")
    finally:
        rotate.sealed_state = real
    found = verify.verify(house, {})
    assert (found.code, len(found.notes)) == (verify.WHOLE, 1)


@pytest.mark.parametrize("victim", [0, 1])
def test_damage_in_a_sealed_segment_is_verdict_2(house: Home, victim: int):
    days_of_notes(house, [0, 1, 2])
    path = sealed(house)[victim]
    path.write_bytes(path.read_bytes().replace(f"day {victim}".encode(), b"day X"))
    found = verify.verify(house, {})
    assert (found.code, len(found.findings)) == (verify.BROKEN, 1), found.findings


def test_a_missing_sealed_segment_is_verdict_2(house: Home):
    days_of_notes(house, [0, 1, 2, 3])
    sealed(house)[1].unlink()
    found = verify.verify(house, {})
    assert (found.code, found.findings) == (verify.BROKEN, ["audit-2026-01-02.4.jsonl: a segment is missing"])


def test_old_seals_missing_is_retention_and_no_damage(house: Home):
    days_of_notes(house, [0, 1, 2, 3])
    sealed(house)[0].unlink()
    assert verify.verify(house, {}).code == verify.WHOLE


def test_the_opening_line_carries_the_date_of_the_rotation(house: Home):
    days_of_notes(house, [0, 5])
    assert json.loads(house.journal.read_bytes().splitlines()[0])["ts"][:10] == "2026-01-06"
