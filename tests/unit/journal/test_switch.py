"""Changing the mode: refusals, what moves and what stays, a crash at every step."""

import json

import pytest

import journalkit as kit
from desk.base.errors import BadInput, ModeMismatch
from desk.base.paths import Home
from desk.journal import switch, verify
from desk.journal.events import Event
from desk.journal.journal import Journal, stamp


def ask(book: Journal, to: str = "LIVE", reason: str = "ready", discard: bool = False) -> None:
    book.transact(lambda fold: [switch.ask(fold, to, reason, "acct2", kit.START_MS, discard)])
    book.publish()


def position(house: Home) -> Journal:
    """A folder that holds 1 BTC."""
    book = kit.journal(house)
    book.transact(lambda fold: [kit.created(), kit.sent(), kit.fill(fee_asset="USDT"), kit.confirmed()])
    return book


def paper_set(house: Home) -> None:
    kit.write_notes(kit.journal(house), "paper")
    kit.journal(house).publish()
    for name in ("circuit_breakers.json", "kill_switch.json", "LIVE.ok", "paper_broker.json", "clock.json"):
        (house.state / name).write_text("{}")
    (house.state / "runs").mkdir()
    (house.state / "runs" / "router.json").write_text("{}")
    (house.logs / "router.log").write_text("line\n")
    (house.logs / "router.log.1").write_text("line\n")
    (house.logs / "reserve.bin").write_bytes(b"0")


def test_a_switch_archives_one_set_and_starts_the_other(house: Home):
    paper_set(house)
    old = house.journal.read_bytes()
    ask(kit.journal(house, ""))
    assert stamp(house) == "LIVE"
    fold = kit.journal(house, "LIVE").read_fold()
    assert (fold.portfolio.kill_switch.state, fold.portfolio.instance) == ("active", "acct2")
    (archive,) = (house.root / "archive").iterdir()
    kept = (archive / "execution-logs" / "audit.jsonl").read_bytes()
    assert kept.startswith(old)
    assert json.loads(kept.splitlines()[-1])["event"] == "MODE_SWITCH"
    moved = {path.name for path in (archive / "state").iterdir()}
    assert {"kill_switch.json", "LIVE.ok", "paper_broker.json", "clock.json", "runs", "intents.json"} <= moved
    left = {path.name for path in house.state.iterdir()}
    assert left == {
        "circuit_breakers.json",
        ".locks",
        "intents.json",
        "positions.json",
        "portfolio.json",
        "mode.json",
        "audit_head.json",
    }
    assert {"router.log", "router.log.1", "reserve.bin", "audit.jsonl"} == {path.name for path in house.logs.iterdir()}


def test_the_new_chain_is_linked_to_the_old(house: Home):
    paper_set(house)
    ask(kit.journal(house, ""))
    genesis = kit.every_line(house)[0]
    link = genesis["data"]["previous"]
    old = (house.root / link["archive"] / "execution-logs" / "audit.jsonl").read_bytes().splitlines()
    assert json.loads(old[-1])["hash"] == link["hash"]
    assert verify.verify(house, {}).code == verify.WHOLE
    archived = house.root / link["archive"] / "execution-logs" / "audit.jsonl"
    archived.write_bytes(b"".join(line + b"\n" for line in old[:-1]))
    assert verify.verify(house, {}).code == verify.BROKEN


def test_an_anchor_from_before_the_switch_still_matches(house: Home):
    paper_set(house)
    head = verify.verify(house, {})
    ask(kit.journal(house, ""))
    found = verify.verify(house, {head.seq: head.hash})
    assert found.code == verify.WHOLE
    assert "archive/" in found.notes[0]


def test_a_journal_in_memory_notices_the_switch(house: Home):
    mine = kit.journal(house)
    kit.write_notes(mine, "a")
    ask(kit.journal(house, ""))
    with pytest.raises(ModeMismatch):
        kit.write_notes(mine, "b")
    any_mode = kit.journal(house, "")
    kit.write_notes(any_mode, "c")
    assert [line["mode"] for line in kit.every_line(house)] == ["LIVE", "LIVE"]


def test_back_and_forth_never_overwrites_an_archive(house: Home):
    kit.write_notes(kit.journal(house), "paper 1")
    for to in ("LIVE", "PAPER", "LIVE", "PAPER"):
        ask(kit.journal(house, ""), to)
    archives = list((house.root / "archive").iterdir())
    assert len(archives) == 4
    assert all((path / "execution-logs" / "audit.jsonl").stat().st_size for path in archives)
    assert stamp(house) == "PAPER"


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([kit.created(), kit.sent()], "SENT_UNKNOWN"),
        ([kit.created(), kit.sent(), kit.confirmed(status="NEW", executed="0")], "is NEW"),
        ([kit.created(), kit.sent(), kit.of_order(Event.INTENT_NOT_FOUND, looks=2)], "still watched"),
        ([kit.created(), kit.sent(), kit.confirmed()], "fills that are not booked"),
        ([kit.created(), kit.sent(), kit.fill(), kit.confirmed()], "position binance:BTCUSDT holds 0.999 BTC"),
        (
            [kit.created(), kit.sent(), *2 * [kit.of_order(Event.INTENT_NOT_SENT, why="x")]],
            "is quarantined",
        ),
    ],
    ids=["unknown", "open", "watched", "unsettled", "position", "anomaly"],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
def test_a_switch_waits_for_what_is_open(house: Home, mode: str, events: list[object], why: str):
    book = kit.journal(house, mode)
    book.transact(lambda fold: events)
    other = "LIVE" if mode == "PAPER" else "PAPER"
    with pytest.raises(BadInput, match=why):
        ask(book, other)
    if mode == "LIVE":
        with pytest.raises(BadInput, match="only PAPER books"):
            ask(book, other, discard=True)
    else:
        ask(book, other, discard=True)
        assert stamp(house) == other


def test_an_unfinished_protection_swap_waits(house: Home):
    book = position(house)
    book.transact(
        lambda fold: [
            kit.of_order(Event.PROTECTION_SWAP, position_id="p1", old="a", new="3", fallback="2"),
        ]
    )
    with pytest.raises(BadInput, match="unfinished PROTECTION_SWAP"):
        ask(book, "LIVE")


def test_not_found_is_free_after_its_watch(house: Home):
    book = kit.journal(house)
    book.transact(lambda fold: [kit.created(), kit.sent(), kit.of_order(Event.INTENT_NOT_FOUND, looks=2)])
    fold = book.read_fold()
    assert switch.refusals(fold, kit.START_MS + switch.WATCH_MS) == []
    assert len(switch.refusals(fold, kit.START_MS + switch.WATCH_MS - 1)) == 1


def test_dust_does_not_hold_a_switch_up(house: Home):
    book = position(house)
    assert len(switch.refusals(book.read_fold(), kit.START_MS)) == 1
    book.transact(lambda fold: [kit.of_order(Event.POSITION_DUST, position_id="p1", quantity="1", value="100")])
    assert switch.refusals(book.read_fold(), kit.START_MS) == []


@pytest.mark.parametrize(
    ("to", "reason", "discard", "why"),
    [
        ("TEST", "x", False, "is no mode"),
        ("LIVE", " ", False, "needs its reason"),
        ("PAPER", "x", False, "is PAPER already"),
    ],
)
def test_bad_requests_are_refused(house: Home, to: str, reason: str, discard: bool, why: str):
    kit.write_notes(kit.journal(house), "a")
    with pytest.raises(BadInput, match=why):
        ask(kit.journal(house, ""), to, reason, discard)


def test_paper_can_be_started_anew(house: Home):
    ask(position(house), "PAPER", discard=True)
    fold = kit.journal(house).read_fold()
    assert (fold.intents.intents, fold.positions.positions, fold.portfolio.mode) == ({}, {}, "PAPER")


def test_a_crash_at_any_step_is_finished_by_the_next_append(house: Home):
    steps = 0
    for step in range(200):
        with kit.temporary_home() as home:
            paper_set(home)
            try:
                with kit.dying_at(step) as taken:
                    ask(kit.journal(home, ""))
            except kit.Died:
                pass
            else:
                break
            (home.state / "runs").mkdir(exist_ok=True)  # a door that ran meanwhile left its record
            (home.state / "runs" / "clients.json").write_text("{}")
            kit.write_notes(kit.journal(home, ""), "after")
            if stamp(home) == "PAPER":  # it died before the switch was decided
                assert not (home.root / "archive").exists()
                continue
            steps += 1
            found = verify.verify(home, {})
            assert found.code == verify.WHOLE, (step, taken, found.findings)
            (archive,) = (home.root / "archive").iterdir()
            chain = kit.independent_check([archive / "execution-logs" / "audit.jsonl"])
            assert chain == kit.every_line(home)[0]["data"]["previous"]["seq"]
            everywhere = {path.name for path in archive.rglob("*")}
            assert {"kill_switch.json", "LIVE.ok", "paper_broker.json", "router.json"} <= everywhere
            assert not (home.state / "LIVE.ok").exists()
            assert (home.state / "circuit_breakers.json").exists()
    assert steps > 20
