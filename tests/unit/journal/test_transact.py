"""The one append: genesis, groups, stamps, what decide may and may not do."""

import json

import pytest

import journalkit as kit
from desk.base.errors import InvariantError, JournalUnwritable, LockBusy, ModeMismatch
from desk.base.paths import Home
from desk.journal import files
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.journal import stamp


def test_the_first_write_stamps_the_folder(house: Home):
    kit.write_notes(kit.journal(house), "first")
    genesis, note = kit.every_line(house)
    assert genesis["event"] == "GENESIS"
    assert genesis["data"] == {"instance": "acct", "kill_switch": "inactive", "mode": "PAPER"}
    assert note["seq"] == 2
    assert stamp(house) == "PAPER"


def test_live_starts_with_the_kill_switch_active(house: Home):
    kit.write_notes(kit.journal(house, "LIVE"), "first")
    fold = kit.journal(house, "LIVE").read_fold()
    assert fold.portfolio.kill_switch.state == "active"
    assert fold.portfolio.kill_switch.reasons == ["manual"]


def test_a_context_without_a_mode_writes_under_the_stamp(house: Home):
    kit.write_notes(kit.journal(house), "first")
    kit.write_notes(kit.journal(house, ""), "second")
    assert {line["mode"] for line in kit.every_line(house)} == {"PAPER"}


@pytest.mark.parametrize(("fallback", "stamped"), [("PAPER", "PAPER"), ("LIVE", "LIVE")])
def test_a_fresh_folder_takes_the_stamp_the_door_knows(house: Home, fallback: str, stamped: str):
    kit.write_notes(kit.journal(house, "", unstamped_mode=fallback), "first")
    assert stamp(house) == stamped


def test_without_any_mode_the_strict_reading_stamps(house: Home):
    kit.write_notes(kit.journal(house, ""), "first")
    assert stamp(house) == "LIVE"


def test_the_other_mode_is_refused_with_the_command(house: Home):
    kit.write_notes(kit.journal(house), "first")
    with pytest.raises(ModeMismatch, match=r"mode\.py switch LIVE"):
        kit.write_notes(kit.journal(house, "LIVE"), "second")
    assert len(kit.every_line(house)) == 2


def test_events_of_one_step_are_one_group(house: Home):
    _, lines = kit.journal(house).transact(lambda fold: [kit.note("a"), kit.note("b"), kit.note("c")])
    assert [line.group for line in lines] == [(1, 3), (2, 3), (3, 3)]
    assert kit.independent_check([house.journal]) == 4


def test_wanting_nothing_writes_nothing_but_genesis(house: Home):
    book = kit.journal(house)
    assert book.transact(lambda fold: [])[1] == []
    before = house.journal.read_bytes()
    assert book.transact(lambda fold: [])[1] == []
    assert house.journal.read_bytes() == before


def test_decide_sees_what_another_process_wrote(house: Home):
    mine, other = kit.journal(house), kit.journal(house)
    kit.write_notes(mine, "a")
    kit.write_notes(other, "b")
    seen = []
    mine.transact(lambda fold: seen.append(fold.seq) or [])
    assert seen == [3]


def test_a_decide_that_raises_writes_nothing(house: Home):
    book = kit.journal(house)
    kit.write_notes(book, "a")

    def broken(fold: object) -> list[NewEvent]:
        raise InvariantError("ours")

    with pytest.raises(InvariantError):
        book.transact(broken)
    kit.write_notes(book, "b")
    assert kit.independent_check([house.journal]) == 3


def test_an_event_beyond_its_limit_is_a_bug(house: Home):
    book = kit.journal(house, event_bytes_max=2000)
    with pytest.raises(InvariantError, match="larger than 2000"):
        kit.write_notes(book, "x" * 2000)
    kit.write_notes(book, "x" * 1000)


def test_a_group_beyond_its_limit_is_a_bug(house: Home):
    book = kit.journal(house, group_events_max=3)
    with pytest.raises(InvariantError, match="a group of 4"):
        kit.write_notes(book, *"abcd")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"text": 0.1}, "a float"),
        ({"text": {"a": [1, {"b": 2.5}]}}, "a float"),
        ({"text": 2**70}, "more than 64 bits"),
        ({"text": "\ud800"}, "no UTF-8"),
        ({}, "lacks text"),
    ],
)
def test_what_is_no_journal_json_is_a_bug(house: Home, data: dict[str, object], why: str):
    with pytest.raises(InvariantError, match=why):
        kit.journal(house).transact(lambda fold: [NewEvent(event=Event.NOTE, data=data)])


def test_the_lock_is_bounded(house: Home):
    book = kit.journal(house)
    kit.write_notes(book, "a")
    from filelock import FileLock

    with FileLock(house.locks / "journal.lock"), pytest.raises(LockBusy), files.journal_lock(house, wait_s=0.02):
        pytest.fail("two holders")


def test_a_read_only_folder_is_one_clear_line(house: Home, monkeypatch: pytest.MonkeyPatch):
    book = kit.journal(house)
    kit.write_notes(book, "a")
    real = files.os.open

    def refuse(path, flags, *rest):  # root may write anywhere, so the refusal is made here
        if str(path).endswith("audit.jsonl") and flags & files.os.O_WRONLY:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *rest)

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(JournalUnwritable, match="Permission denied"):
        kit.write_notes(book, "b")
    monkeypatch.undo()
    with pytest.raises(JournalUnwritable):  # this handle writes no more
        kit.write_notes(book, "c")
    kit.write_notes(kit.journal(house), "d")
    assert kit.independent_check([house.journal]) == 3


def test_lines_hold_no_measured_values(house: Home):
    """The same run twice gives the same bytes: nothing of the host enters a line."""
    kit.write_notes(kit.journal(house), "a", "b")
    first = house.journal.read_bytes()
    with kit.temporary_home() as again:
        kit.write_notes(kit.journal(again), "a", "b")
        assert again.journal.read_bytes() == first
    assert str(house.root).encode() not in first


def test_ids_and_codes_stand_in_the_line(house: Home):
    kit.journal(house).transact(lambda fold: [kit.created(), kit.sent()])
    line = json.loads(house.journal.read_bytes().splitlines()[1])
    assert (line["intent_id"], line["decision_id"], line["run_id"]) == ("abcd1", "d1", "r1")
