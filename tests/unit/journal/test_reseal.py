"""The one way out of a damaged journal: what is kept, what is said, a crash at every step."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import journalkit as kit
from desk.base.errors import BadInput, JournalDamaged
from desk.base.paths import Home
from desk.journal import files, reseal, verify
from desk.journal.journal import Journal
from desk.journal.state import plain


def day(number: int) -> None:
    kit.set_time(kit.START_MS + number * kit.DAY_MS)


def filled(house: Home, days: int = 1) -> Journal:
    """`days` segments of five groups; the last day holds an unknown order."""
    book = kit.journal(house)
    for number in range(days):
        day(number)
        if number == days - 1:
            book.transact(lambda fold: [kit.created(), kit.sent()])
        for letter in "abcde":
            kit.write_notes(book, f"{number}{letter}")
    book.publish()
    return book


def edit(path: Path, old: bytes, new: bytes) -> bytes:
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new))
    return path.read_bytes()


def resealed(house: Home) -> reseal.Damage:
    return kit.journal(house, "").reseal("disk trouble")


def test_damage_in_the_middle_keeps_everything_before_it(house: Home):
    filled(house)
    damaged = edit(house.journal, b'"0c"', b'"XX"')
    damage = resealed(house)
    assert (damage.lost_from, damage.lost_to) == (6, 8)
    moved = house.root / damage.archive / "audit.jsonl"
    assert moved.read_bytes() == damaged
    lines = kit.every_line(house)
    assert [line["event"] for line in lines] == ["JOURNAL_RESEALED", "PAUSE_RAISED", "ALERT_RAISED"]
    assert (lines[0]["seq"], lines[0]["data"]["seq"]) == (6, 5)
    assert lines[0]["prev"] == json.loads(damaged.splitlines()[4])["hash"]
    fold = kit.journal(house).read_fold()
    assert fold.portfolio.resealed
    assert (fold.portfolio.pause.state, fold.portfolio.pause.reasons) == ("PAUSE", ["audit:resealed"])
    assert fold.intents.intents["abcd1"].state == "SENT_UNKNOWN"
    found = verify.verify(house, {})
    assert (found.code, found.findings) == (verify.WHOLE, [])
    assert "disk trouble" in found.notes[0]


def test_it_goes_on_from_there(house: Home):
    filled(house, 2)
    edit(house.journal, b'"1c"', b'"XX"')
    resealed(house)
    kit.write_notes(kit.journal(house), "on")
    day(2)
    fold, _ = kit.journal(house).transact(lambda fold: [kit.note("rotated")])
    for path in house.state.glob("*.json"):
        path.unlink()
    assert plain(kit.journal(house).rebuild()) == plain(fold)
    assert verify.verify(house, {}).code == verify.WHOLE


def test_a_whole_journal_is_not_resealed(house: Home):
    filled(house, 2)
    before = house.journal.read_bytes()
    with pytest.raises(BadInput, match="nothing is damaged"):
        resealed(house)
    assert house.journal.read_bytes() == before


def test_a_torn_tail_is_no_damage(house: Home):
    filled(house)
    with house.journal.open("ab") as handle:
        handle.write(b'{"seq":99')
    with pytest.raises(BadInput):
        resealed(house)


def test_an_empty_folder_has_nothing_to_reseal(house: Home):
    with pytest.raises(BadInput):
        resealed(house)


def test_a_shrunk_journal_is_named(house: Home):
    filled(house)
    lines = house.journal.read_bytes().splitlines(keepends=True)
    house.journal.write_bytes(b"".join(lines[:5]))
    damage = resealed(house)
    assert (damage.lost_from, damage.lost_to, damage.shrunk_from) == (6, 8, 8)
    shrunk = [line for line in kit.every_line(house) if line["event"] == "JOURNAL_SHRUNK"]
    assert shrunk[0]["data"] == {"hint_seq": 8, "seq": 5}
    assert "audit:shrunk" in {code for line in kit.every_line(house) for code in line["reason_codes"]}
    assert verify.verify(house, {}).code == verify.WHOLE


def test_a_lost_file_goes_on_from_the_last_checkpoint(house: Home):
    filled(house, 3)
    house.journal.unlink()
    damage = resealed(house)
    assert damage.in_active
    sealed = files.sealed(house)
    assert len(sealed) == 2
    first = kit.every_line(house)[-3]
    assert first["event"] == "JOURNAL_RESEALED"
    assert first["data"]["seq"] == json.loads(sealed[-1][1].read_bytes().splitlines()[-1])["seq"]
    assert verify.verify(house, {}).code == verify.WHOLE


def test_a_lost_only_file_keeps_the_stamp_and_shuts_the_kill_switch(house: Home):
    filled(house)
    house.journal.unlink()
    resealed(house)
    fold = kit.journal(house).read_fold()
    assert (fold.portfolio.mode, fold.portfolio.instance) == ("PAPER", "acct")
    assert fold.portfolio.kill_switch.state == "active"
    assert fold.portfolio.resealed
    assert verify.verify(house, {}).code == verify.WHOLE


def test_a_damaged_first_line_goes_on_from_the_checkpoint_before(house: Home):
    filled(house, 2)
    edit(house.journal, b'"script":"journal"', b'"script":"jornal2"')
    damage = resealed(house)
    assert damage.moved == ("audit.jsonl",)
    assert verify.verify(house, {}).code == verify.WHOLE
    assert kit.journal(house).read_fold().portfolio.mode == "PAPER"


def test_damage_in_a_sealed_segment_moves_only_that_one(house: Home):
    filled(house, 4)
    name = files.sealed(house)[1][1].name
    damaged = edit(files.sealed(house)[1][1], b'"1c"', b'"XX"')
    head = verify.verify(house, {}).seq
    damage = resealed(house)
    assert (damage.in_active, damage.moved) == (False, (name,))
    assert (house.root / damage.archive / name).read_bytes() == damaged
    fold = kit.journal(house).read_fold()
    assert fold.seq == head + 3
    assert fold.portfolio.pause.state == "PAUSE"
    found = verify.verify(house, {})
    assert (found.code, found.findings) == (verify.WHOLE, [])


def test_damage_in_the_segment_before_the_active_one_leaves_a_start(house: Home):
    """Its checkpoint is where the active segment starts from: a new one must stand before it moves."""
    filled(house, 2)
    edit(files.sealed(house)[0][1], b'"0c"', b'"XX"')
    state = plain(kit.journal(house).read_fold())["intents"]["intents"]
    assert not resealed(house).in_active
    for path in house.state.glob("*.json"):
        path.unlink()
    fold = kit.journal(house).read_fold()
    assert plain(fold)["intents"]["intents"] == state
    assert verify.verify(house, {}).code == verify.WHOLE
    assert plain(kit.journal(house).rebuild()) == plain(fold)
    with pytest.raises(BadInput):
        resealed(house)


def test_a_lost_predecessor_costs_no_line_while_the_projections_stand(house: Home):
    filled(house, 2)
    before = plain(kit.journal(house).read_fold())["intents"]
    files.sealed(house)[0][1].unlink()
    damage = resealed(house)
    assert (damage.in_active, damage.lost_to) == (True, damage.lost_from - 1)
    assert plain(damage.base)["intents"] == before
    assert verify.verify(house, {}).code == verify.WHOLE


def test_a_missing_sealed_segment_is_acknowledged(house: Home):
    filled(house, 4)
    path = files.sealed(house)[1][1]
    path.unlink()
    assert verify.verify(house, {}).code == verify.BROKEN
    assert resealed(house).moved == (path.name,)
    assert verify.verify(house, {}).code == verify.WHOLE
    assert kit.journal(house).read_fold().portfolio.resealed


def test_the_newest_checkpoint_damaged_takes_the_active_segment_along(house: Home):
    filled(house, 3)
    edit(files.sealed(house)[-1][1], b'"fold_hash":"', b'"fold_hash":"0')
    for path in house.state.glob("*.json"):
        path.unlink()
    with pytest.raises(JournalDamaged):
        kit.write_notes(kit.journal(house), "x")
    damage = resealed(house)
    assert damage.in_active
    assert len(damage.moved) == 2
    assert damage.base.seq == kit.every_line(house)[-3]["seq"] - 1 == 13  # up to the group before the bad checkpoint
    found = verify.verify(house, {})
    assert (found.code, found.findings) == (verify.WHOLE, [])


def test_the_moved_segment_must_lead_to_what_followed(house: Home):
    filled(house)
    edit(house.journal, b'"0c"', b'"XX"')
    damage = resealed(house)
    moved = house.root / damage.archive / "audit.jsonl"
    lines = moved.read_bytes().splitlines(keepends=True)
    with kit.temporary_home() as other:  # another history of the same length
        book = kit.journal(other)
        for letter in "vwxyz":
            kit.write_notes(book, letter)
        moved.write_bytes(other.journal.read_bytes())
    assert verify.verify(house, {}).code == verify.BROKEN
    moved.write_bytes(b"".join(lines))
    assert verify.verify(house, {}).code == verify.WHOLE
    moved.unlink()
    assert verify.verify(house, {}).code == verify.WHOLE


def test_an_anchor_in_the_lost_range_says_where_it_went(house: Home):
    filled(house)
    lost = kit.every_line(house)[6]
    edit(house.journal, b'"0c"', b'"XX"')
    resealed(house)
    found = verify.verify(house, {lost["seq"]: lost["hash"]})
    assert found.code == verify.BROKEN
    assert "lost at the reseal of seq 6" in found.findings[0]


def test_projections_of_the_lost_range_go_to_the_archive(house: Home):
    filled(house)
    edit(house.journal, b'"0c"', b'"XX"')
    claimed = json.loads((house.state / "intents.json").read_bytes())["applied_seq"]
    damage = resealed(house)
    kept = json.loads((house.root / damage.archive / "intents.json").read_bytes())
    assert kept["applied_seq"] == claimed == 8
    assert json.loads((house.state / "intents.json").read_bytes())["applied_seq"] == 8
    assert kit.journal(house).read_fold().seq == 8


def break_middle(house: Home) -> None:
    edit(house.journal, b'"1c"', b'"XX"')


def break_by_cut(house: Home) -> None:
    house.journal.write_bytes(b"".join(house.journal.read_bytes().splitlines(keepends=True)[:-2]))


def break_newest_seal(house: Home) -> None:
    edit(files.sealed(house)[-1][1], b'"fold_hash":"', b'"fold_hash":"0')
    for path in house.state.glob("*.json"):
        path.unlink()


@pytest.mark.parametrize("breaking", [break_middle, break_by_cut, break_newest_seal])
def test_a_crash_at_any_step_is_finished_by_the_next_append(house: Home, breaking: Callable[[Home], None]):
    finished = 0
    for step in range(200):
        with kit.temporary_home() as home:
            filled(home, 2)
            breaking(home)
            try:
                with kit.dying_at(step) as taken:
                    resealed(home)
            except kit.Died:
                pass
            else:
                break
            decided = reseal.is_pending(home) or b"JOURNAL_RESEALED" in home.journal.read_bytes()
            if not decided:  # it died before the plan stood: still damaged, the same command again
                assert verify.verify(home, {}).code == verify.BROKEN
                resealed(home)
            finished += decided
            kit.write_notes(kit.journal(home), "after")
            found = verify.verify(home, {})
            assert (found.code, found.findings) == (verify.WHOLE, []), (step, taken)
            assert kit.journal(home).read_fold().portfolio.resealed
            assert list((home.root / "archive").rglob("audit.jsonl"))
    assert finished > 10


@pytest.mark.parametrize("victim", [0, 1])
def test_a_crash_while_a_sealed_one_moves_is_finished_by_the_same_command(victim: int):
    finished = 0
    for step in range(200):
        with kit.temporary_home() as home, kit.time_at():
            filled(home, 3)
            edit(files.sealed(home)[victim][1], f'"{victim}c"'.encode(), b'"XX"')
            try:
                with kit.dying_at(step) as taken:
                    resealed(home)
            except kit.Died:
                pass
            else:
                break
            if verify.verify(home, {}).code == verify.BROKEN:
                resealed(home)
            kit.write_notes(kit.journal(home), "after")
            finished += 1
            assert verify.verify(home, {}).code == verify.WHOLE, (step, taken)
            assert kit.journal(home).read_fold().portfolio.resealed
    assert finished > 10


@pytest.mark.parametrize("what_is_left", [b"", b"\0" * 4096, None])
def test_a_journal_gone_from_a_stamped_folder_is_damage_not_a_fresh_start(house: Home, what_is_left: bytes | None):
    filled(house)
    house.journal.unlink()
    for name in ("intents.json", "positions.json", "portfolio.json", "audit_head.json"):
        (house.state / name).unlink()
    if what_is_left is not None:
        house.journal.write_bytes(what_is_left)
    for look in (kit.journal(house).read_fold, lambda: kit.write_notes(kit.journal(house), "x")):
        with pytest.raises(JournalDamaged, match="JOURNAL_SHRUNK: it ends at seq 0, but a longer one"):
            look()
    resealed(house)
    fold = kit.journal(house).read_fold()
    assert (fold.portfolio.resealed, fold.portfolio.resealed_from_ms) == (True, 0)
    assert (fold.portfolio.pause.state, fold.portfolio.kill_switch.state) == ("PAUSE", "active")
