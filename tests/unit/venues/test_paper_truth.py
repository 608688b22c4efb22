"""The paper books as a file: opened once, durable, proven on every read, never made up."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk.base.errors import InvariantError, StateCorrupt, StateError
from desk.config.mode import Mode
from desk.state import lock, store
from desk.venues import paper_ledger, paper_proof
from desk.venues.outcome import Klass, VenueError
from desk.venues.paper import PaperBroker
from desk.venues.paper_books import VenueBooks
from desk.venues.protocol import OrderType
from unit.venues.paper_kit import RULES, START_MS, SYMBOL, VENUE, Desk, book, d, money_closes, settings_of

LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
DAY_MS = 86_400_000
DISCARD = "mode.py switch PAPER --discard --reason TEXT"
Change = Callable[[dict[str, Any]], object]


def file_of(desk: Desk) -> Path:
    return desk.home.state / "paper_broker.json"


def edit(desk: Desk, change: Change) -> None:
    """An operator with an editor."""
    whole = json.loads(file_of(desk).read_text())
    change(whole["venues"][VENUE])
    file_of(desk).write_text(json.dumps(whole))


def worked(tmp_path: Path) -> Desk:
    """A desk with a filled, a partly filled and a resting order."""
    desk = Desk(tmp_path, costs={"fee_bps": d("10"), "slippage_bps": d("5"), "latency_ms": 50})
    desk.buy("2")
    desk.order("SELL", OrderType.STOP_LOSS_LIMIT, "0.5", "90.00", "91.00")
    desk.order("BUY", LIMIT, "3", "99.00")
    desk.show([("95", "1")], [("98.99", "1"), ("99.50", "4")])
    return desk


def test_the_opening_balance_is_made_once_for_each_venues_quote(tmp_path: Path) -> None:
    desk = Desk(tmp_path, costs={"venues": (VENUE, "mexc"), "starting_balance_quote": d("1234.50")})
    desk.buy("1")
    desk.broker.open(may_create=True)  # again: nothing is reset
    assert desk.free("BTC") == 1
    for venue in (VENUE, "mexc"):
        assert desk.broker.books(venue).opening == {"USDT": d("1234.50")}
    assert desk.broker.client("mexc").balances()["USDT"].free == d("1234.50")


def test_missing_books_beside_a_journal_are_never_made_up(tmp_path: Path) -> None:
    desk = worked(tmp_path)
    file_of(desk).unlink()
    shown = book([("1", "1")], [("2", "1")])
    for call in (
        lambda: desk.broker.open(may_create=False), desk.client.balances, lambda: desk.buy("1"),
        lambda: desk.client.cancel_order(SYMBOL, "c3"), lambda: desk.broker.on_book(shown, START_MS),
    ):  # fmt: skip
        with pytest.raises(StateError) as error:
            call()
        assert DISCARD in error.value.line()
        assert not isinstance(error.value, StateCorrupt)
    assert not file_of(desk).exists()


def test_a_venue_added_later_gets_books_only_when_the_caller_may(tmp_path: Path) -> None:
    Desk(tmp_path).buy("1")
    both = Desk(tmp_path, costs={"venues": (VENUE, "mexc")}, opens=False)
    with pytest.raises(StateError, match="mexc"):
        both.broker.client("mexc").balances()
    with pytest.raises(StateError, match="mexc"):
        both.broker.open(may_create=False)
    both.broker.open(may_create=True)
    assert both.broker.client("mexc").balances()["USDT"].free == 10000
    assert both.free("BTC") == 1


def test_no_rules_for_any_symbol_opens_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    file_of(desk).unlink()
    desk.rules = type(RULES)(venue=VENUE, symbol="OTHER", base="A", quote="B", status="TRADING")
    with pytest.raises(Exception, match="UNIVERSE_SYMBOLS"):
        desk.broker.open(may_create=True)
    assert not file_of(desk).exists()


def test_outside_paper_mode_there_is_no_paper_exchange(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    live = msgspec.structs.replace(settings_of(desk.home), mode=Mode.LIVE)
    with pytest.raises(InvariantError, match="outside PAPER"):
        PaperBroker(desk.home, live, lambda v, s: None, lambda v, s: None)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"venues": []}', '{"venues": {"binance": 7}}', "\x00" * 64])
def test_a_corrupt_file_is_not_a_missing_one(tmp_path: Path, text: str) -> None:
    desk = worked(tmp_path)
    file_of(desk).write_text(text)
    for call in (lambda: desk.broker.open(may_create=True), lambda: desk.buy("1"), desk.client.balances):
        with pytest.raises(StateCorrupt):
            call()
    assert file_of(desk).read_text() == text


def _first(section: dict[str, Any]) -> dict[str, Any]:
    order: dict[str, Any] = section["orders"][0]
    return order


EDITS: dict[str, Change] = {
    "free raised": lambda s: s["balances"]["USDT"].update(free="99999"),
    "asset added": lambda s: s["balances"].update(ETH={"free": "1", "locked": "0"}),
    "opening raised": lambda s: s["opening"].update(USDT="20000"),
    "locked moved to free": lambda s: s["balances"]["BTC"].update(
        free=str(d(s["balances"]["BTC"]["free"]) + d(s["balances"]["BTC"]["locked"])), locked="0"
    ),
    "reserve and lock alike": lambda s: (
        s["orders"][2].update(reserve=str(d(s["orders"][2]["reserve"]) + 1)),
        s["balances"]["USDT"].update(
            free=str(d(s["balances"]["USDT"]["free"]) - 1), locked=str(d(s["balances"]["USDT"]["locked"]) + 1)
        ),
    ),
    "fill dropped": lambda s: _first(s)["fills"].pop(),
    "fill price": lambda s: _first(s)["fills"][0].update(price="1"),
    "fee": lambda s: _first(s)["fills"][0].update(fee="0"),
    "not a number": lambda s: s["balances"]["USDT"].update(free="NaN"),
    "infinite": lambda s: s["balances"]["USDT"].update(free="Infinity"),
    "too large": lambda s: _first(s)["fills"][0].update(quantity="1e999999"),
    "order dropped": lambda s: s["orders"].pop(),
    "order twice": lambda s: s["orders"].append(s["orders"][-1]),
    "orders swapped": lambda s: s["orders"].reverse(),
    "sequence back": lambda s: s.update(next_order_id=1),
    "trade sequence back": lambda s: s.update(next_trade_id=1),
    "trade id twice": lambda s: _first(s)["fills"][0].update(trade_id=2),
    "status": lambda s: _first(s).update(status="CANCELED"),
    "status word": lambda s: _first(s).update(status="MAYBE"),
    "quantity": lambda s: _first(s).update(quantity="2.5"),
    "client id of another": lambda s: s["orders"][1].update(client_order_id="c3"),
    "field missing": lambda s: _first(s).pop("side"),
    "balances missing": lambda s: s.pop("balances"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EDITS))
def test_a_hand_edit_that_breaks_the_books_is_named_and_nothing_goes_on(tmp_path: Path, name: str) -> None:
    desk = worked(tmp_path)
    edit(desk, EDITS[name])
    before = file_of(desk).read_bytes()
    for call in (desk.client.balances, lambda: desk.buy("1"), lambda: desk.broker.open(may_create=True)):
        with pytest.raises(StateCorrupt) as error:
            call()
        assert DISCARD in error.value.line()
        assert "\n" not in error.value.line()
    assert file_of(desk).read_bytes() == before


def test_keys_we_do_not_know_survive(tmp_path: Path) -> None:
    desk = worked(tmp_path)
    whole = json.loads(file_of(desk).read_text())
    whole["note"] = "top"
    whole["venues"][VENUE]["note"] = "venue"
    _first(whole["venues"][VENUE])["note"] = "order"
    file_of(desk).write_text(json.dumps(whole))
    desk.order("BUY", LIMIT, "1", "95.00")
    after = json.loads(file_of(desk).read_text())
    assert (after["note"], after["venues"][VENUE]["note"], _first(after["venues"][VENUE])["note"]) == (
        "top", "venue", "order",
    )  # fmt: skip


def test_what_was_answered_is_what_another_process_reads(tmp_path: Path) -> None:
    desk = worked(tmp_path)
    other = Desk(tmp_path, now_ms=desk.now_ms)
    assert other.broker.books(VENUE) == desk.broker.books(VENUE)
    assert money_closes(other.broker.books(VENUE))
    assert json.loads(file_of(desk).read_text())["venues"][VENUE]["orders"][0]["fills"][0]["price"] == "100.05"


def test_the_same_day_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    days = [worked(tmp_path / name) for name in ("first", "a-much-longer-second-path")]
    assert file_of(days[0]).read_bytes() == file_of(days[1]).read_bytes()
    assert str(tmp_path).encode() not in file_of(days[0]).read_bytes()


def test_a_step_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    desk = worked(tmp_path)
    before = file_of(desk).stat().st_ino
    assert desk.show([("95", "1")], [("101", "1")]) == ()
    with pytest.raises(VenueError):
        desk.order("BUY", LIMIT, "1", "95.001")
    assert file_of(desk).stat().st_ino == before


def test_a_change_of_ours_that_breaks_the_books_is_a_bug_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = worked(tmp_path)
    before = file_of(desk).read_bytes()
    monkeypatch.setattr(paper_ledger, "ceil_step", lambda number, step: d("-1"))  # the house pays us a fee
    with pytest.raises(InvariantError, match="would not prove themselves"):
        desk.order("BUY", MARKET, "1")
    assert file_of(desk).read_bytes() == before


def test_the_new_name_is_durable_before_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, steps = Desk(tmp_path), []
    replace, fsync = os.replace, os.fsync

    def seen_replace(source: str, target: str) -> None:
        steps.append("rename")
        replace(source, target)

    def seen_fsync(handle: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    monkeypatch.setattr(os, "replace", seen_replace)
    monkeypatch.setattr(os, "fsync", seen_fsync)
    desk.buy("1")
    assert steps == ["sync file", "rename", "sync folder"]


def test_a_folder_that_cannot_be_synced_answers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)

    def refuse(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store, "_sync_folder", refuse)
    with pytest.raises(StateError, match="Input/output error"):
        desk.buy("1")
    monkeypatch.undo()
    desk.at(START_MS)
    assert desk.client.get_order(SYMBOL, "c1") is not None  # so the intent must stay unknown, and is found


def test_busy_books_prove_that_nothing_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = worked(tmp_path)
    sidecar = lock.FileLock(desk.home.locks / "paper_broker.lock")
    with sidecar:
        monkeypatch.setattr(lock, "hold", _impatient(lock.hold))
        for call in (lambda: desk.buy("1"), lambda: desk.client.cancel_order(SYMBOL, "c3")):
            with pytest.raises(VenueError) as error:
                call()
            assert (error.value.class_, error.value.order_may_exist) == (Klass.NOT_SENT, False)
        assert len(desk.client.orders_since(None, 0)) == 3  # reading needs no lock


def _impatient(hold: Callable[..., Any]) -> Callable[..., Any]:
    return lambda home, name, rank, wait_s=0.0: hold(home, name, rank, 0.05)


def test_old_closed_orders_leave_and_the_sums_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_ledger, "KEPT_ORDERS", 4)
    desk = worked(tmp_path)  # c1 closed, c2 and c3 open with fills
    for _ in range(8):
        desk.order("BUY", OrderType.LIMIT_IOC, "0.2", "99.50")
    desk.at(START_MS + 50 + 8 * DAY_MS)
    desk.order("BUY", LIMIT, "1", "95.00", name="young")  # c1 is exactly 8 days old: not older
    assert len(desk.broker.books(VENUE).orders) == 12
    desk.at(desk.now_ms + 60_001)
    before = desk.broker.books(VENUE)
    desk.order("BUY", LIMIT, "1", "95.00", name="younger")
    books = desk.broker.books(VENUE)
    assert [order.client_order_id for order in books.orders] == [
        "c2",
        "c3",
        "c8",
        "c9",
        "c10",
        "c11",
        "young",
        "younger",
    ]
    assert set(books.pruned) == {"BTC", "USDT"}
    assert money_closes(books)
    assert sum(b.free + b.locked for b in books.balances.values()) == sum(
        b.free + b.locked for b in before.balances.values()
    )
    assert desk.buy("0.2").order_id == "14"  # ids go on


def test_young_orders_stay_whatever_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_ledger, "KEPT_ORDERS", 1)
    desk = Desk(tmp_path)
    for _ in range(5):
        desk.order("BUY", OrderType.LIMIT_IOC, "1", "50.00")
    assert len(desk.broker.books(VENUE).orders) == 5


def test_the_proof_knows_empty_books() -> None:
    assert paper_proof.problem(VenueBooks(opening={}, balances={})) == ""
