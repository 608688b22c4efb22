"""`orders.py` on paper, as an operator uses it: real doors, a simulator's market, and everything that comes between."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import badkit
import daykit
from badkit import HELD, Rig, Said, assert_clear
from desk.base.errors import WorldError
from desk.execution import cancel, flatten
from desk.journal import files
from desk.state import store
from desk.venues.paper_client import PaperClient
from orderskit import HELD as HELD_KEY
from orderskit import (
    REASON,
    WANTED,
    dies_at,
    events_since,
    fold_of,
    home_files,
    lease_held,
    market_falls,
    order,
    paper_status,
    resting_entry,
    stop_of,
    with_config,
)

NOWHERE = {"BINANCE_REST_URL": "http://127.0.0.1:1"}
FLATTEN = ("flatten", *REASON, "--yes")
ACTING = "acting for the operator: what holds the router ({}) does not hold this"
LIVE = {"SYSTEM_MODE": "LIVE"}


@pytest.fixture
def rig(played_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0.001)
    with badkit.spoilable(played_home, tmp_path) as found:
        for path in (found.home / "signals").glob("*.json"):
            path.unlink()
        yield found


def seq(rig: Rig) -> int:
    return fold_of(rig).seq


def names(rig: Rig, since: int, *wanted: str) -> list[str]:
    return [line["event"] for line in events_since(rig, since) if not wanted or line["event"] in wanted]


def assert_whole(rig: Rig, *, is_one_symbol: bool = True) -> None:
    """P5 and P12 at the end of whatever happened; the test's own count knows one symbol and one chain."""
    said = rig.door("reconcile")
    assert (said.code, said.last) == (0, "RECONCILE END — clean, drift score 0"), said
    assert rig.door("audit", "verify").code == 0
    if is_one_symbol:
        daykit.assert_money_closes(rig.home)


# --- looking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("list",), ("list", "--all"), ("positions",), ("show", "{stop}")])
def test_looking_needs_no_network_and_writes_no_journal(rig: Rig, words: tuple[str, ...]) -> None:
    stop, before = stop_of(rig), seq(rig)
    said = rig.spawn("orders", *(word.format(stop=stop) for word in words), **NOWHERE)
    assert_clear(said, {0})
    assert stop in said.out and seq(rig) == before


def test_list_and_positions_say_what_stands(rig: Rig) -> None:
    entry_id, stop = resting_entry(rig), stop_of(rig)
    found = rig.door("orders", "list", "--exchange", "--json").document
    rows = {row["client_order_id"]: row for row in found["orders"]}
    assert (set(rows), found["problems"], found["exit_code"]) == ({entry_id, stop}, [], 0)
    assert (rows[stop]["leg"], rows[stop]["note"], rows[stop]["age_s"]) == ("stop", "protects", 300)
    assert (rows[entry_id]["state"], rows[entry_id]["executed"], rows[entry_id]["side"]) == (
        "CONFIRMED NEW",
        "0",
        "BUY",
    )
    (held,) = rig.door("orders", "positions", "--json").document["positions"]
    assert held["position"] == HELD_KEY and held["flags"] == [] and stop in held["protection"][0]
    assert held["mark"] != "unknown" and held["age_s"] == 300
    terminal = rig.door("orders", "list", "--all", "--json").document["orders"]
    assert len(terminal) == 3


def test_an_old_price_marks_nothing(rig: Rig) -> None:
    assert rig.sim is not None
    rig.sim.advance(301_000)
    (held,) = rig.door("orders", "positions", "--json").document["positions"]
    assert (held["mark"], held["value"], held["profit"]) == ("unknown", "unknown", "unknown")


def test_a_position_of_three_days_is_flagged(rig: Rig) -> None:
    assert rig.sim is not None
    rig.sim.advance(73 * 3_600_000)
    said = rig.door("orders", "positions")
    assert said.code == 1 and "older than 72 h" in said.out and said.last.endswith("1 held, 0 dust, 1 flagged")


def test_list_marks_what_only_one_side_knows(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_id, stop, real = resting_entry(rig), stop_of(rig), PaperClient.open_orders

    def told(client: PaperClient, symbol: str | None = None) -> Any:
        reports = [r for r in real(client, symbol) if r.client_order_id != entry_id]
        (ours,) = (r for r in reports if r.client_order_id == stop)
        return (*reports, replace(ours, client_order_id="web_4711"), replace(ours, client_order_id=stop[:4] + "a" * 28))

    monkeypatch.setattr(PaperClient, "open_orders", told)
    said = rig.door("orders", "list", "--exchange")
    assert said.code == 1 and "FOREIGN NEW" in said.out and "LOST NEW" in said.out
    assert f"binance does not list {entry_id}, which stands here" in said.out
    assert said.last == "ORDERS LIST — 2 open or unknown, 3 differences"


def test_show_tells_the_life_of_one_order_by_its_beginning(rig: Rig) -> None:
    stop = stop_of(rig)
    said = rig.door("orders", "show", stop[:7])
    assert said.code == 0 and said.last == f"ORDERS SHOW — {stop}: CONFIRMED NEW"
    events = [line.split()[1] for line in said.lines if " INTENT_" in line]
    assert events == ["INTENT_CREATED", "INTENT_SENT_UNKNOWN", "INTENT_CONFIRMED"]


BAD_IDS = ["", "x", "iwki", "nosuchorder", "iwki\n", "../../etc/passwd", "\u0438\u0434\u0435\u043d\u0442", "o" * 9000,
           "\udcff\udcfe\udcfdxx"]  # fmt: skip


@pytest.mark.parametrize("typed", BAD_IDS)
@pytest.mark.parametrize("command", ["show", "cancel"])
def test_a_hand_typed_id_that_is_none_is_one_line(rig: Rig, command: str, typed: str) -> None:
    before = seq(rig)
    words = (command, typed) if command == "show" else (command, typed, *REASON, "--yes")
    for more in ((), ("--json",)):
        said = rig.door("orders", *words, *more)
        assert_clear(said, {2})
        assert len(said.lines) == 1 and len(said.last) < 400, said
    assert seq(rig) == before


@pytest.mark.parametrize(
    "words",
    [
        (), ("drop",), ("cancel",), ("cancel", "abc"), ("cancel-all",), ("flatten",), ("flatten", "--yes"),
        ("flatten", "--reason", "  "), ("cancel-all", *REASON, "--venue", "kraken"),
        ("cancel-all", *REASON, "--symbol", "BTC/USDT"), ("flatten", *REASON, "--symbol", "BTCUSD"),
        ("flatten", *REASON, "--venue", "Binance"), ("show",), ("list", "--everything"),
    ],
)  # fmt: skip
def test_bad_words_are_one_line(rig: Rig, words: tuple[str, ...]) -> None:
    before = seq(rig)
    said = rig.spawn("orders", *words)
    assert_clear(said, {2})
    assert len(said.lines) == 1 and seq(rig) == before


# --- cancels --------------------------------------------------------------------------------------------------


def test_a_dry_run_sends_nothing(rig: Rig) -> None:
    entry_id = resting_entry(rig)
    before = home_files(rig)
    for words in (("cancel", entry_id), ("cancel-all",), ("cancel-all", "--protection"), ("flatten",)):
        said = rig.door("orders", *words, *REASON)
        assert said.code == 1 and "would " in said.out and said.last.endswith("nothing was sent; add --yes"), said
    assert home_files(rig) == before


def test_cancel_all_takes_entries_and_leaves_protection(rig: Rig) -> None:
    entry_id, stop, before = resting_entry(rig), stop_of(rig), seq(rig)
    said = rig.spawn("orders", "cancel-all", *REASON, "--yes")
    assert said.code == 0 and said.last == "ORDERS CANCEL-ALL — 1 cancelled, 0 not confirmed", said
    assert f"kept {stop}: it protects a position" in said.out
    assert (order(rig, entry_id).status, order(rig, stop).status) == ("CANCELED", "NEW")
    assert names(rig, before, "CANCEL_REQUESTED", "INTENT_CONFIRMED") == ["CANCEL_REQUESTED", "INTENT_CONFIRMED"]
    assert fold_of(rig).positions.positions.keys() == {HELD_KEY}
    again = rig.door("orders", "cancel-all", *REASON, "--yes")
    assert (again.code, again.last) == (0, "ORDERS CANCEL-ALL — nothing to cancel, 1 kept")
    one = rig.door("orders", "cancel", entry_id, *REASON, "--yes")
    assert one.code == 0 and one.last.endswith(f"nothing to cancel: {entry_id} is CONFIRMED CANCELED")
    assert_whole(rig)


def test_the_scope_is_kept(rig: Rig) -> None:
    entry_id = resting_entry(rig)
    for scope in (("--symbol", HELD), ("--venue", "mexc")):
        said = rig.door("orders", "cancel-all", *REASON, *scope, "--yes")
        assert said.code == 0 and "nothing to cancel" in said.last
    assert order(rig, entry_id).status == "NEW"
    assert rig.door("orders", "cancel-all", *REASON, "--venue", "binance", "--symbol", "ethusdt", "--yes").code == 0
    assert order(rig, entry_id).status == "CANCELED"


def test_a_protective_leg_goes_only_by_name_and_comes_back(rig: Rig) -> None:
    stop = stop_of(rig)
    refused = rig.door("orders", "cancel", stop, *REASON, "--yes")
    assert refused.code == 1 and "REFUSED" in refused.last and order(rig, stop).status == "NEW"
    said = rig.door("orders", "cancel", stop, *REASON, "--protection", "--yes")
    assert said.code == 0 and f"this leaves {HELD_KEY} 0.00165 BTC without protection" in said.out, said
    assert order(rig, stop).status == "CANCELED" and stop_of(rig) == ""
    flagged = rig.door("orders", "positions")
    assert flagged.code == 1 and "UNPROTECTED" in flagged.out
    rig.tick()
    assert stop_of(rig) not in {"", stop}
    assert_whole(rig)


def test_a_cancel_that_died_is_sent_again(rig: Rig) -> None:
    """CANCEL_REQUESTED is durable before the DELETE leaves; the next command carries it through."""
    entry_id, before = resting_entry(rig), seq(rig)
    dies_at(rig, "desk.venues.paper_client", "PaperClient.cancel_order", "cancel", entry_id, *REASON, "--yes")
    assert names(rig, before) == ["CANCEL_REQUESTED"] and order(rig, entry_id).status == "NEW"
    assert "cancel asked" in rig.door("orders", "list").out
    assert rig.door("orders", "cancel", entry_id, *REASON, "--yes").code == 0
    assert order(rig, entry_id).status == "CANCELED"
    assert_whole(rig)


@pytest.fixture
def crossing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """symbol -> (bid, depth): the market trades with a resting order just before its cancel arrives."""
    falls: dict[str, tuple[str, str]] = {}
    real = PaperClient.cancel_order

    def cancel_order(client: PaperClient, symbol: str, client_order_id: str) -> Any:
        if symbol in falls:
            bid, depth = falls.pop(symbol)
            market_falls(rig, symbol, bid, depth)
        return real(client, symbol, client_order_id)

    monkeypatch.setattr(PaperClient, "cancel_order", cancel_order)
    return falls


def test_what_an_entry_bought_before_its_cancel_is_booked_and_protected(
    rig: Rig, crossing: dict[str, tuple[str, str]]
) -> None:
    entry_id = resting_entry(rig)
    crossing[badkit.WANTED] = (str(order(rig, entry_id).price - 5), "0.02")
    said = rig.door("orders", "cancel", entry_id, *REASON, "--yes")
    found = order(rig, entry_id)
    assert (said.code, found.status, str(found.filled)) == (0, "CANCELED", "0.02"), said
    assert stop_of(rig, WANTED) and fold_of(rig).positions.positions[WANTED].unprotected_ms == 0
    assert rig.door("orders", "positions").code == 0


def test_with_a_busy_lease_the_holder_protects_what_was_bought(rig: Rig, crossing: dict[str, tuple[str, str]]) -> None:
    entry_id = resting_entry(rig)
    crossing[badkit.WANTED] = (str(order(rig, entry_id).price - 5), "0.02")
    with lease_held(rig, 30):
        said = rig.door("orders", "cancel-all", *REASON, "--yes")
    assert said.code == 1 and "left to the lease holder (the order lease is held by router" in said.out, said
    assert order(rig, entry_id).status == "CANCELED" and stop_of(rig, WANTED) == ""
    rig.door("router")
    assert stop_of(rig, WANTED)
    assert_whole(rig, is_one_symbol=False)


def test_a_cancel_nobody_confirms_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_id = resting_entry(rig)
    monkeypatch.setattr(cancel, "cancel", lambda *given: False)
    said = rig.door("orders", "cancel-all", *REASON, "--yes", "--json")
    assert said.code == 1 and said.document["not_confirmed"][0][0] == entry_id


# --- flatten --------------------------------------------------------------------------------------------------


def test_flatten_sells_names_the_dust_and_is_idempotent(rig: Rig) -> None:
    entry_id, stop, before = resting_entry(rig), stop_of(rig), seq(rig)
    said = rig.spawn("orders", *FLATTEN)
    assert said.code == 0 and said.last == "ORDERS FLATTEN — 0 flat, 1 dust, 0 left", said
    assert (
        f"DUST {HELD_KEY}, sold 0.00165 at " in said.out and "rest 0.00000834: below the exchange's minimum" in said.out
    )
    assert "entries are not stopped: kill_switch.py engage" in said.out
    assert (order(rig, stop).status, order(rig, entry_id).status) == ("CANCELED", "CANCELED")
    steps = [line for line in events_since(rig, before) if line["data"].get("client_order_id") != entry_id]
    told = [line["event"] for line in steps if line["event"] != "STAGE_CHANGED"]
    assert told[:5] == ["CANCEL_REQUESTED", "INTENT_CONFIRMED", "INTENT_CREATED", "INTENT_SENT_UNKNOWN", "FILL"], told
    created = next(line["data"] for line in steps if line["event"] == "INTENT_CREATED")
    assert (created["kind"], created["leg"], created["side"]) == ("EXIT", "exit", "SELL")
    assert fold_of(rig).positions.positions == {} and HELD_KEY in fold_of(rig).positions.dust
    after = seq(rig)
    again = rig.spawn("orders", *FLATTEN)
    assert again.code == 0 and "nothing to do" in again.last and seq(rig) == after
    assert_whole(rig)


def test_flatten_keeps_to_its_scope(rig: Rig) -> None:
    said = rig.door("orders", *FLATTEN, "--symbol", badkit.WANTED)
    assert said.code == 0 and "nothing to do" in said.last and stop_of(rig)


def test_a_stop_that_fills_while_it_is_cancelled_is_booked_and_only_the_rest_is_sold(
    rig: Rig, crossing: dict[str, tuple[str, str]]
) -> None:
    stop = stop_of(rig)
    crossing[HELD] = (str(order(rig, stop).stop_price - 50), "0.001")
    said = rig.door("orders", *FLATTEN)
    assert said.code == 0, said
    assert (str(order(rig, stop).filled), order(rig, stop).status) == ("0.001", "CANCELED")
    sales = [i for i in fold_of(rig).intents.intents.values() if i.leg == "exit"]
    assert [str(i.quantity) for i in sales] == ["0.00065"] and "sold 0.00165 at" in said.out
    assert_whole(rig)


def test_flatten_waits_for_the_lease_and_says_so(rig: Rig) -> None:
    with lease_held(rig, 1.5):
        said = rig.spawn("orders", *FLATTEN)
    assert said.code == 0 and said.lines[0].startswith("waiting up to 60 s: the order lease is held by router"), said
    assert fold_of(rig).positions.positions == {}


def test_flatten_gives_up_on_a_lease_that_is_never_free(rig: Rig) -> None:
    with_config(rig, "operator_lease_wait_s = 60", "operator_lease_wait_s = 1")
    before = seq(rig)
    with lease_held(rig, 30):
        for more in ((), ("--json",)):
            said = rig.spawn("orders", *FLATTEN, *more)
            assert_clear(said, {3}, "the order lease is held by router")
    assert seq(rig) == before and stop_of(rig)


def test_no_sale_begins_when_the_time_is_up(rig: Rig) -> None:
    """Else the deadline could fall between the cancel of the stop and the sale."""
    assert rig.sim is not None
    stop = stop_of(rig)
    with_config(rig, "tick_deadline_s = 45", "tick_deadline_s = 1")
    rig.sim.fault("latency_ms", path="/api", count=None, arg=400)
    said = rig.spawn("orders", *FLATTEN)
    assert said.code == 1 and "no time left in this run: its stop stays" in said.out, said
    assert stop_of(rig) == stop


def test_two_flattens_at_once_sell_once(rig: Rig) -> None:
    """P7."""
    command = [sys.executable, str(badkit.SCRIPTS / "orders.py"), *FLATTEN]
    both = [subprocess.Popen(command, env=os.environ | rig.env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    sales = [i for i in fold_of(rig).intents.intents.values() if i.leg == "exit"]
    assert [str(i.filled) for i in sales] == ["0.00165"], told
    assert_whole(rig)


def test_a_kill_between_cancel_and_exit_is_healed_by_the_next_tick(rig: Rig) -> None:
    stop = stop_of(rig)
    dies_at(rig, "desk.execution.exits", "sellable", *FLATTEN)
    assert order(rig, stop).status == "CANCELED" and fold_of(rig).positions.positions[HELD_KEY].quantity
    flagged = rig.door("orders", "positions")
    assert flagged.code == 1 and "UNPROTECTED" in flagged.out
    assert rig.door("router").code == 0
    assert stop_of(rig) not in {"", stop}
    assert rig.spawn("orders", *FLATTEN).code == 0 and fold_of(rig).positions.positions == {}
    assert_whole(rig)


def test_a_kill_after_the_exit_left_sells_nothing_twice(rig: Rig) -> None:
    """The exchange took the exit, nobody heard the answer: the next run finds it by its id."""
    dies_at(rig, "desk.venues.paper_client", "PaperClient.place_order", *FLATTEN, after=True)
    (exit_id,) = [n for n, i in fold_of(rig).intents.intents.items() if i.leg == "exit"]
    assert (order(rig, exit_id).state, paper_status(rig, exit_id)) == ("SENT_UNKNOWN", "FILLED")
    said = rig.spawn("orders", *FLATTEN)
    assert said.code == 0, said
    assert (order(rig, exit_id).status, str(order(rig, exit_id).filled)) == ("FILLED", "0.00165")
    assert [n for n, i in fold_of(rig).intents.intents.items() if i.leg == "exit"] == [exit_id]
    assert_whole(rig)


LATCHES = {
    "kill": ("kill_switch", "engage", "--reason", "daily_loss"),
    "pause": ("pause", "--reason", "a test"),
    "degrade": ("pause", "--degrade", "--reason", "a test"),
}


@pytest.mark.parametrize("latch", LATCHES)
def test_no_latch_but_freeze_holds_the_operators_hand(rig: Rig, latch: str) -> None:
    """P4."""
    entry_id = resting_entry(rig)
    door, *words = LATCHES[latch]
    assert rig.door(door, *words).code == 0
    assert rig.door("orders", "cancel-all", *REASON, "--yes").code == 0
    assert rig.spawn("orders", *FLATTEN).code == 0
    assert order(rig, entry_id).status == "CANCELED" and fold_of(rig).positions.positions == {}
    assert_whole(rig)


def test_freeze_all_refuses_with_its_code(rig: Rig) -> None:
    entry_id = resting_entry(rig)
    assert rig.door("kill_switch", "engage", "--reason", "x", "--level", "freeze_all").code == 0
    before = seq(rig)
    for words in (("cancel", entry_id), ("cancel-all",), ("flatten",)):
        said = rig.spawn("orders", *words, *REASON, "--yes", "--json")
        assert_clear(said, {1}, "risk:freeze_all", "kill_switch.py release")
        assert said.document["refused"] == "risk:freeze_all"
    assert seq(rig) == before and rig.door("orders", "list").code == 0


def test_a_freeze_that_falls_between_cancel_and_exit_stops_the_exit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from desk.execution import exits

    real = exits.sellable

    def frozen(*given: Any) -> Any:
        rig.spawn("kill_switch", "engage", "--reason", "x", "--level", "freeze_all")
        return real(*given)

    monkeypatch.setattr(exits, "sellable", frozen)
    said = rig.door("orders", *FLATTEN)
    assert said.code == 1 and "LEFT" in said.out and "risk:freeze_all" in said.out, said
    assert [i.filled for i in fold_of(rig).intents.intents.values() if i.leg == "exit"] == [0]


@pytest.mark.parametrize("words", [("cancel-all",), ("flatten",)])
@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_the_other_modes_folder_refuses(rig: Rig, words: tuple[str, ...], yes: tuple[str, ...]) -> None:
    before = seq(rig)
    said = rig.spawn("orders", *words, *REASON, *yes, **LIVE)
    assert_clear(said, {2}, "mode:stamp_mismatch", "mode.py switch LIVE")
    assert seq(rig) == before
    assert rig.spawn("orders", "list", **LIVE).code == 0


def test_safe_mode_and_dry_run_hold_the_router_only_and_it_is_said(rig: Rig) -> None:
    held = {"SAFE_MODE": "true", "DRY_RUN": "true"}
    said = rig.spawn("orders", *FLATTEN, **held)
    assert said.code == 0 and said.lines[0] == ACTING.format("SAFE_MODE, DRY_RUN"), said
    assert fold_of(rig).positions.positions == {}


def breakers_open(rig: Rig, *components: str) -> None:
    until = "2099-01-01T00:00:00+00:00"
    doc = {name: {"state": "open", "failure_count": 5, "cooldown_until": until} for name in components}
    rig.state("circuit_breakers.json").write_text(json.dumps(doc))


def test_an_open_order_breaker_stops_no_exit(rig: Rig) -> None:
    breakers_open(rig, "binance_orders")
    assert rig.spawn("orders", *FLATTEN).code == 0 and fold_of(rig).positions.positions == {}


def sees_no_price(rig: Rig, **env: str) -> Said:
    said = rig.spawn("orders", *FLATTEN, **env)
    assert said.code == 1 and said.last == "ORDERS FLATTEN — 0 flat, 0 dust, 1 left", said
    assert "market_data:missing" in said.out, said
    return said


def test_the_paper_exchange_without_a_price_sells_nothing_and_the_stop_is_back(rig: Rig) -> None:
    """Open read breaker, or an exchange that is away: paper needs a book; what was freed is protected again."""
    stop = stop_of(rig)
    sees_no_price(rig, **NOWHERE)
    second = stop_of(rig)
    assert second not in {"", stop}
    breakers_open(rig, "binance_api", "binance_orders")
    sees_no_price(rig)
    assert stop_of(rig) not in {"", second}
    rig.state("circuit_breakers.json").unlink()
    rig.minute()
    assert rig.spawn("orders", *FLATTEN).code == 0
    assert_whole(rig)


# --- a journal that fails -------------------------------------------------------------------------------------


def test_on_a_damaged_journal_cancels_go_by_the_exchanges_list(rig: Rig) -> None:
    entry_id, stop = resting_entry(rig), stop_of(rig)
    badkit.spoil(rig.journal, lambda raw: raw[:-200] + b"#" + raw[-199:])
    assert_clear(rig.door("orders", *FLATTEN), {2}, "audit.py")
    dry = rig.door("orders", "cancel-all", *REASON)
    assert dry.code == 1 and f"would cancel {entry_id} by the exchange's list" in dry.out, dry
    said = rig.door("orders", "cancel-all", *REASON, "--yes")
    assert said.code == 1 and f"kept {stop}" in said.out and "1 cancelled by the exchange's list" in said.last, said
    assert paper_status(rig, entry_id) == "CANCELED" and paper_status(rig, stop) == "NEW"
    assert_clear(rig.door("orders", "cancel-all", *REASON, "--yes", **LIVE), {2}, "mode:stamp_mismatch")


def test_after_the_reseal_flatten_sells_under_pause(rig: Rig) -> None:
    badkit.spoil(rig.journal, lambda raw: raw[:-200] + b"#" + raw[-199:])
    assert_clear(rig.door("orders", *FLATTEN), {2})
    assert rig.door("audit", "reseal", *badkit.ACKNOWLEDGED).code == 0
    said = rig.door("orders", *FLATTEN)
    assert said.code == 0 and fold_of(rig).positions.positions == {}, said
    assert "entries are not stopped" not in said.out
    assert_whole(rig, is_one_symbol=False)


def test_a_journal_nobody_can_write_stops_no_cancel(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_id, stop, before = resting_entry(rig), stop_of(rig), seq(rig)
    with monkeypatch.context() as patch:
        patch.setattr(files, "append", broken)
        said = rig.door("orders", "cancel-all", *REASON, "--yes")
        assert said.code == 1 and "1 cancelled, 0 not confirmed, 1 not journalled: PAUSE" in said.last, said
    assert seq(rig) == before and paper_status(rig, stop) == "NEW"
    assert json.loads(rig.state("pause.json").read_text())["state"] == "PAUSE"
    rig.door("reconcile")
    assert order(rig, entry_id).status == "CANCELED"


@pytest.mark.parametrize("was_asked_for_before", [False, True])
def test_a_journal_nobody_can_write_stops_flatten_before_it_cancels(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, was_asked_for_before: bool
) -> None:
    """Judged by the exchange's own books; a cancel an earlier run has journalled is no leave to send it now."""
    entry_id, stop = resting_entry(rig), stop_of(rig)
    if was_asked_for_before:
        with monkeypatch.context() as patch:
            patch.setattr(PaperClient, "cancel_order", unanswered)
            assert rig.door("orders", "cancel", stop, *REASON, "--protection", "--yes").code == 1
        assert order(rig, stop).cancel_ms
    with monkeypatch.context() as patch:
        patch.setattr(files, "append", broken)
        said = rig.door("orders", *FLATTEN)
    assert_clear(said, {2}, "cannot be written", "REFUSED, the stops stay")
    assert paper_status(rig, stop) == paper_status(rig, entry_id) == "NEW"
    assert json.loads(rig.state("pause.json").read_text())["state"] == "PAUSE"
    assert rig.door("orders", *FLATTEN).code == 0  # the disk is back: the very same command sells
    assert fold_of(rig).positions.positions == {} and paper_status(rig, stop) == "CANCELED"


def test_a_journal_that_fails_within_flatten_cancels_nothing_it_cannot_write(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, sell = stop_of(rig), flatten._sell
    with monkeypatch.context() as patch:

        def late(*given: Any) -> None:
            patch.setattr(files, "append", broken)
            sell(*given)

        patch.setattr(flatten, "_sell", late)
        assert_clear(rig.door("orders", *FLATTEN), {2}, "cannot be written")
    assert paper_status(rig, stop) == "NEW"


def broken(*given: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


def unanswered(*given: Any, **named: Any) -> None:
    raise WorldError("no answer", "binance", "")


@pytest.mark.parametrize("words", [("cancel-all",), ("flatten",)])
def test_lost_paper_books_pause_and_say_the_way_out(rig: Rig, words: tuple[str, ...]) -> None:
    resting_entry(rig)
    rig.state("paper_broker.json").unlink()
    said = rig.door("orders", *words, *REASON, "--yes")
    assert_clear(said, {2}, "mode.py switch PAPER")
    assert "PAUSE" in rig.state("pause.json").read_text()


def test_an_empty_folder_has_nothing_to_do(tmp_path: Path, rig: Rig) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".env").write_text("")
    fresh = {"SANAD_HOME": str(tmp_path / "new")}
    for words in (("list",), ("positions",), ("cancel-all", *REASON, "--yes"), FLATTEN):
        assert_clear(rig.spawn("orders", *words, **fresh), {0})
    assert not (tmp_path / "new" / "execution-logs" / "audit.jsonl").exists()
