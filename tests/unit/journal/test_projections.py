"""The three files: trusted only when they prove themselves, rebuilt to the same bytes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import journalkit as kit
from desk.base.errors import JournalDamaged
from desk.base.paths import Home
from desk.journal import files, projections, walk
from desk.journal.events import Event
from desk.journal.state import plain

NAMES = ("intents.json", "positions.json", "portfolio.json")


def bought(house: Home) -> None:
    book = kit.journal(house)
    book.transact(lambda fold: [kit.created(), kit.sent()])
    book.transact(lambda fold: [kit.fill(price="0.00000012", fee="0.00000010"), kit.confirmed()])
    book.publish()


def stored(house: Home) -> dict[str, bytes]:
    return {name: (house.state / name).read_bytes() for name in NAMES}


def test_intents_json_has_the_promised_shape(house: Home):
    bought(house)
    doc = json.loads(stored(house)["intents.json"])
    assert set(doc) == {"applied_seq", "applied_hash", "intents"}
    assert doc["intents"]["abcd1"]["state"] == "CONFIRMED"
    assert doc["applied_hash"] == kit.every_line(house)[-1]["hash"]


def test_decimals_are_plain_text(house: Home):
    bought(house)
    intent = json.loads(stored(house)["intents.json"])["intents"]["abcd1"]
    assert (intent["filled"], intent["filled_quote"]) == ("1", "0.00000012")
    assert intent["fees"] == {"BTC": "0.0000001"}
    assert json.loads(stored(house)["positions.json"])["positions"]["binance:BTCUSDT"]["quantity"] == "0.9999999"


def test_rebuild_gives_the_same_bytes(house: Home):
    bought(house)
    before = stored(house)
    for name in NAMES:
        (house.state / name).unlink()
    kit.journal(house).rebuild()
    assert stored(house) == before


def test_rebuild_deletes_nothing_before_the_journal_has_proved_itself(house: Home):
    bought(house)
    before = stored(house)
    raw = house.journal.read_bytes()
    house.journal.write_bytes(raw.replace(b'"quantity":"1"', b'"quantity":"9"', 1))
    with pytest.raises(JournalDamaged):
        kit.journal(house).rebuild()
    assert stored(house) == before


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def listed(path: Path) -> None:
    path.write_text("[]")


def missing(path: Path) -> None:
    path.unlink()


def reshaped(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"applied_seq": "many"}))


def by_hand(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"BTCUSDT", b"ETHUSDT"))


def other_hash(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"applied_hash": "f" * 64}))


@pytest.mark.parametrize("spoil", [emptied, torn, listed, missing, reshaped, by_hand, other_hash])
@pytest.mark.parametrize("name", NAMES)
def test_a_spoilt_projection_is_not_believed_and_written_anew(house: Home, name: str, spoil: Callable[[Path], None]):
    bought(house)
    right, before = plain(kit.journal(house).read_fold()), stored(house)
    spoil(house.state / name)
    assert plain(kit.journal(house).read_fold()) == right
    kit.journal(house).publish()
    assert stored(house) == before


def test_projections_of_different_moments_are_not_mixed(house: Home):
    bought(house)
    old = (house.state / "positions.json").read_bytes()
    book = kit.journal(house)
    book.transact(lambda fold: [kit.created("abcd2", "SELL", "EXIT", leg="exit")])
    book.publish()
    (house.state / "positions.json").write_bytes(old)
    assert projections.load(house) is None
    assert "abcd2" in kit.journal(house).read_fold().intents.intents


def test_an_older_process_never_overwrites_a_newer_one(house: Home):
    bought(house)
    older = kit.journal(house)
    older.read_fold()
    kit.write_notes(kit.journal(house), "newer")
    kit.journal(house).publish()
    newest = stored(house)
    older.publish()
    assert stored(house) == newest


def test_a_quiet_publish_writes_nothing(house: Home):
    bought(house)
    before = {name: (house.state / name).stat().st_mtime_ns for name in NAMES}
    kit.journal(house).publish()
    assert {name: (house.state / name).stat().st_mtime_ns for name in NAMES} == before


def test_a_fresh_process_starts_from_the_projections(house: Home, monkeypatch: pytest.MonkeyPatch):
    """The cost of a tick does not grow with the journal: nothing before the published line is read."""
    bought(house)
    offset = json.loads(stored(house)["portfolio.json"])["applied_offset"]
    starts: list[int] = []
    real = projections.segment.load_bytes
    monkeypatch.setattr(
        projections.segment, "load_bytes", lambda path, start: (starts.append(start), real(path, start))[1]
    )
    kit.write_notes(kit.journal(house), "x")
    assert starts
    assert min(starts) == offset


def test_the_stamp_is_mirrored_and_corrected(house: Home):
    bought(house)
    (house.state / "mode.json").write_text('{"mode": "LIVE"}')
    kit.journal(house).publish()
    assert json.loads((house.state / "mode.json").read_bytes()) == {"mode": "PAPER", "instance": "acct"}


def test_the_fold_of_the_live_journal_is_the_refold_of_its_lines(house: Home):
    bought(house)
    book = kit.journal(house)
    for number in range(1, 4):
        kit.set_time(kit.START_MS + number * kit.DAY_MS)
        fold, _ = book.transact(lambda fold: [kit.of_order(Event.CANCEL_REQUESTED, why="x"), kit.note()])
        assert plain(walk.refold(house)) == plain(fold)
    assert len(files.sealed(house)) == 3
