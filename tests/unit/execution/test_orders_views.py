"""What `orders.py` shows and what it would cancel, from folds made by hand: every oddity has its word."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from desk.base import ids
from desk.base.errors import BadInput
from desk.execution import operator_cancel, orders_view, positions_view
from desk.execution.operator_desk import Scope
from desk.journal.state import Dust, Fold, Intent, Position, empty
from desk.risk.facts import SymbolFacts
from desk.venues.protocol import OrderReport, OrderStatus, Side
from kit import RULES, START_MS, D

HOUR_MS = 3_600_000


def intent(**changes: Any) -> Intent:
    """A confirmed entry of 2 at 100, standing."""
    made = Intent(
        state="CONFIRMED", venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", kind="ENTRY", leg="entry",
        attempt=0, side="BUY", type="LIMIT", quantity=D(2), price=D(100), position_id="p1", status="NEW",
        created_ms=START_MS,
    )  # fmt: skip
    return replace(made, **changes)


def stop(**changes: Any) -> Intent:
    made: dict[str, Any] = {"kind": "EXIT", "leg": "stop", "side": "SELL", "stop_price": D(90), "price": D(89)}
    return intent(**(made | changes))


def position(**changes: Any) -> Position:
    """2 bought for 200 at the start, stop planned at 90."""
    made = Position(
        position_id="p1", venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", quantity=D(2),
        cost_quote=D(200), opened_ms=START_MS, stop_price=D(90),
    )  # fmt: skip
    return replace(made, **changes)


def fold(intents: dict[str, Intent] | None = None, *held: Position) -> Fold:
    made = empty()
    made.intents.intents.update(intents or {})
    made.positions.positions.update({f"{p.venue}:{p.symbol}": p for p in held})
    return made


def facts(bid: str | None = "110", **rules: Any) -> dict[str, SymbolFacts]:
    found = SymbolFacts(
        venue="binance", symbol="BTCUSDT", rules=replace(RULES, **rules), mark_bid=None if bid is None else D(bid)
    )
    return {"binance:BTCUSDT": found}


NOTES = {
    "": intent(),
    "outcome unknown, being looked up": intent(state="SENT_UNKNOWN", status=""),
    "quarantined (CONFIRMED+status LOST)": intent(anomaly="CONFIRMED+status LOST"),
    "fills not all booked": intent(status="FILLED", executed=D(2), filled=D(1)),
    "cancel asked": intent(cancel_ms=START_MS),
    "protects": stop(),
    "insufficient_balance": intent(state="FAILED_TERMINAL", status="", code="insufficient_balance"),
}


@pytest.mark.parametrize("words", NOTES)
def test_every_oddity_of_an_order_has_its_word(words: str) -> None:
    assert orders_view.note(NOTES[words]) == words


def test_list_leaves_out_what_has_ended_and_keeps_what_is_still_owed() -> None:
    known = {str(number): one for number, one in enumerate(NOTES.values())} | {"done": intent(status="FILLED")}
    shown = {row["client_order_id"] for row in orders_view.rows(fold(known), START_MS, with_terminal=False)}
    assert shown == {"0", "1", "2", "3", "4", "5"}
    assert len(orders_view.rows(fold(known), START_MS, with_terminal=True)) == len(known)


@pytest.mark.parametrize(("age_ms", "odd"), [(300_000, False), (300_001, True)])
def test_an_unknown_order_is_odd_after_five_minutes(age_ms: int, odd: bool) -> None:
    found = intent(state="SENT_UNKNOWN", status="")
    assert orders_view.is_odd(found, START_MS + age_ms, 300) is odd
    assert orders_view.is_odd(intent(anomaly="x"), START_MS, 300)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (86_399, "23h59m"), (90_000, "1d01h"),
     (-1, "in the future")],
)  # fmt: skip
def test_ages_read_well(seconds: int, text: str) -> None:
    assert orders_view.age(seconds) == text


def report(name: str) -> OrderReport:
    return OrderReport(
        venue="binance", symbol="BTCUSDT", client_order_id=name, order_id="7", side=Side.SELL, type="LIMIT",
        status=OrderStatus.NEW, status_word="NEW", quantity=D(1), executed=D(0), executed_quote=D(0), price=D(100),
        stop_price=D(0), time_ms=START_MS, update_ms=START_MS,
    )  # fmt: skip


def test_foreign_lost_and_missing_orders_are_told_apart() -> None:
    ours = ids.client_order_id("i1", "p1", "entry", 0)
    known = fold({"known": intent(), "gone": intent(), "unknown": intent(state="SENT_UNKNOWN", status=""),
                  "elsewhere": intent(venue="mexc")})  # fmt: skip
    reports = [report("known"), report("web_1"), report(ours), report("")]
    rows = orders_view.listed(known, reports, "i1", START_MS + 5000)
    assert [(row["client_order_id"], row["state"], row["age_s"]) for row in rows] == [
        ("web_1", "FOREIGN NEW", 5), (ours, "LOST NEW", 5), ("", "FOREIGN NEW", 5),
    ]  # fmt: skip
    assert orders_view.missing(known, "binance", reports) == {"gone"}


def test_positions_show_cost_worth_and_protection() -> None:
    (row,) = positions_view.rows(fold({"s1": stop()}, position()), facts(), START_MS + HOUR_MS, 72)
    assert (row["quantity"], row["cost"], row["cost_each"], row["mark"], row["value"], row["profit"]) == (
        "2", "200", "100", "110", "220", "20",
    )  # fmt: skip
    assert (row["protection"], row["flags"], row["age_s"]) == (["stop s1 2 at 90"], [], 3600)


FLAGS: dict[str, tuple[dict[str, Intent], Position, dict[str, SymbolFacts], list[str]]] = {
    "protected": ({"s": stop()}, position(), facts(), []),
    "a rest that is dust needs no stop": ({"s": stop(quantity=D("1.99999"))}, position(), facts(), []),
    "a rest the exchange would take": ({"s": stop(quantity=D(1))}, position(), facts(), ["UNPROTECTED"]),
    "no stop at all": ({}, position(), facts(), ["UNPROTECTED"]),
    "no stop, rules not known": ({}, position(), {}, ["UNPROTECTED"]),
    "covered, rules not known": ({"s": stop()}, position(), {}, []),
    "stop ended": ({"s": stop(status="CANCELED")}, position(), facts(), ["UNPROTECTED"]),
    "stop of another position": ({"s": stop(position_id="p0")}, position(), facts(), ["UNPROTECTED"]),
    "unknown stop reserves": ({"s": stop(state="SENT_UNKNOWN", status="")}, position(), facts(), []),
    "watched": ({}, position(), facts(order_types=("LIMIT",)), []),
    "watched without a price": ({}, position(stop_price=D(0)), facts(order_types=("LIMIT",)), ["UNPROTECTED"]),
    "old": ({"s": stop()}, position(opened_ms=START_MS - 72 * HOUR_MS - 1), facts(), ["older than 72 h"]),
    "not old yet": ({"s": stop()}, position(opened_ms=START_MS - 72 * HOUR_MS), facts(), []),
    "swap": ({"s": stop()}, position(swap={"old": "s", "new": "95", "fallback": "90"}), facts(),
             ["protection is being moved"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAGS)
def test_flags(name: str) -> None:
    intents, held, marks, flags = FLAGS[name]
    (row,) = positions_view.rows(fold(intents, held), marks, START_MS, 72)
    assert row["flags"] == flags


def test_a_watched_stop_says_that_it_is_watched() -> None:
    (row,) = positions_view.rows(fold({}, position()), facts(order_types=("LIMIT",)), START_MS, 72)
    assert row["protection"] == ["watched each tick at 90"]


def test_without_a_mark_nothing_is_guessed() -> None:
    (row,) = positions_view.rows(fold({"s": stop()}, position()), facts(None), START_MS, 72)
    assert (row["mark"], row["value"], row["profit"]) == ("unknown", "unknown", "unknown")


def test_a_waiting_entry_is_no_position_and_dust_has_a_value() -> None:
    known = fold({}, position(quantity=D(0)))
    known.positions.dust["binance:BTCUSDT"] = Dust(
        base="BTC", quote="USDT", quantity=D("0.01"), cost_quote=D(1), since_ms=START_MS
    )
    assert positions_view.rows(known, facts(), START_MS, 72) == []
    (row,) = positions_view.dust_rows(known, facts(), START_MS)
    assert (row["quantity"], row["value"]) == ("0.01", "1.1")


LISTED = {
    "entry": intent(list_id="l1", filled=D(1), status="PARTIALLY_FILLED"), "leg": stop(list_id="l1"),
    "other": intent(created_ms=START_MS - 1),
}  # fmt: skip


def test_an_entry_whose_list_protects_what_it_bought_is_left_to_the_holder() -> None:
    found = operator_cancel.choose_all(fold(LISTED), Scope(), protection=False)
    assert found.chosen == ("other",)
    assert dict(found.kept) == {"entry": operator_cancel.IN_A_LIST, "leg": operator_cancel.PROTECTS}
    by_name = operator_cancel.choose_all(fold(LISTED), Scope(), protection=True)
    assert by_name.chosen == ("other", "entry", "leg") and by_name.kept == ()
    unfilled = {"entry": intent(list_id="l1"), "leg": stop(list_id="l1")}
    assert operator_cancel.choose_all(fold(unfilled), Scope(), protection=False).chosen == ("entry",)


def test_the_sale_itself_is_no_protection() -> None:
    selling = {"x": intent(kind="EXIT", leg="exit", side="SELL")}
    assert operator_cancel.choose_all(fold(selling), Scope(), protection=False).chosen == ("x",)


def test_what_would_be_left_bare_is_named_once_per_position() -> None:
    known = fold({"s": stop(quantity=D("1.5")), "t": stop(leg="target", quantity=D(1)), "e": intent()}, position())
    assert orders_view.uncovered_without(known, ("s", "t", "e")) == ["binance:BTCUSDT 2 BTC without protection"]
    assert orders_view.uncovered_without(known, ("e",)) == []


@pytest.mark.parametrize(("typed", "hint"), [("en", "did you mean entry"), ("nothing", "list --all")])
def test_a_cancel_wants_the_whole_id(typed: str, hint: str) -> None:
    with pytest.raises(BadInput, match=hint):
        operator_cancel.choose_one(fold(LISTED), typed, protection=True)


def test_a_typed_id_is_shown_bounded_and_printable(tmp_path: Path) -> None:
    assert operator_cancel.shown_id("a\nb\x1b[31m") == "a?b?[31m"
    assert operator_cancel.shown_id("x" * 9000) == "x" * 32 + "..."
