"""Sending an order: write-ahead, one attempt, every outcome an event (P1, P2)."""

from pathlib import Path

import pytest

from desk.base.errors import JournalUnwritable
from desk.execution import fills, lookup, submit
from kit import Bench, D, bench, entry, ok


@pytest.fixture
def desk_bench(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    return bench(home)


def _events(b: Bench) -> list[str]:
    import json

    return [json.loads(line)["event"] for line in b.home.journal.read_text().splitlines()]


def test_it_books_a_filled_entry_and_its_position(desk_bench: Bench) -> None:
    desk = desk_bench.desk()
    sent = submit.submit(desk, entry(), ok)
    assert sent.error == ""
    assert sent.intent is not None
    assert (sent.intent.state, sent.intent.status) == ("CONFIRMED", "FILLED")
    position = desk_bench.position()
    assert position is not None
    assert position.quantity == D("0.002") - sent.intent.fees["BTC"]
    assert (position.stop_price, position.target_price) == (D("49000"), D("52000"))


def test_it_writes_the_intent_before_the_exchange_sees_anything(desk_bench: Bench) -> None:
    desk = desk_bench.desk()
    seen: list[str] = []
    account = desk.account_of("binance")
    place = account.place_order

    def spy(request, timestamp_ms, **rest):  # type: ignore[no-untyped-def]
        seen.extend(_events(desk_bench))
        return place(request, timestamp_ms, **rest)

    account.place_order = spy  # type: ignore[method-assign]
    desk.account_of = lambda venue: account
    submit.submit(desk, entry(), ok)
    assert seen[-2:] == ["INTENT_CREATED", "INTENT_SENT_UNKNOWN"]


def test_it_sends_nothing_when_the_journal_cannot_be_written(
    desk_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_bench.desk()
    desk.commit_events()

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("desk.journal.files.append", broken)
    with pytest.raises(JournalUnwritable):
        submit.submit(desk, entry(), ok)
    assert desk_bench.broker().books("binance").orders == ()


def test_the_last_check_stops_the_order_at_the_moment_of_writing(desk_bench: Bench) -> None:
    sent = submit.submit(desk_bench.desk(), entry(), lambda: "risk:kill_switch")
    assert sent.intent is not None
    assert (sent.intent.state, sent.intent.code) == ("FAILED_TERMINAL", "risk:kill_switch")
    assert desk_bench.broker().books("binance").orders == ()
    assert desk_bench.position() is None


def test_the_same_decision_is_never_sent_twice(desk_bench: Bench) -> None:
    first = submit.submit(desk_bench.desk(), entry(), ok)
    again = submit.submit(desk_bench.desk(), entry(), ok)
    assert first.order_id
    assert (again.order_id, again.error) == ("", "intent:duplicate")
    assert len(desk_bench.broker().books("binance").orders) == 1


def test_a_refusal_is_final_and_leaves_no_position(desk_bench: Bench) -> None:
    desk_bench.faults.reject = 1
    sent = submit.submit(desk_bench.desk(), entry(), ok)
    assert sent.intent is not None
    assert sent.intent.state == "FAILED_TERMINAL"
    assert desk_bench.position() is None


@pytest.mark.parametrize("fault", ["drop_after_accept", "unknown_1007", "drop_before"])
def test_a_lost_answer_stays_unknown_and_is_never_resent(desk_bench: Bench, fault: str) -> None:
    setattr(desk_bench.faults, fault, 1)
    sent = submit.submit(desk_bench.desk(), entry(), ok)
    assert sent.intent is not None
    assert sent.intent.state == "SENT_UNKNOWN"
    submit.submit(desk_bench.desk(), entry(), ok)
    assert len(desk_bench.broker().books("binance").orders) == (0 if fault == "drop_before" else 1)


def test_a_lost_answer_is_found_by_its_client_id_with_its_fills(desk_bench: Bench) -> None:
    desk_bench.faults.drop_after_accept = 1
    submit.submit(desk_bench.desk(), entry(), ok)
    desk_bench.later(60_000)
    lookup.look_at_all(desk_bench.desk())
    (intent,) = desk_bench.intents().values()
    assert (intent.state, intent.status, intent.filled) == ("CONFIRMED", "FILLED", D("0.002"))


def test_not_found_needs_the_quiet_time_and_two_looks_apart(desk_bench: Bench) -> None:
    desk_bench.faults.drop_before = 1
    submit.submit(desk_bench.desk(), entry(), ok)
    states = []
    for wait_ms in (60_000, 6_000, 10_000, 30_000):
        desk_bench.later(wait_ms)
        lookup.look_at_all(desk_bench.desk())
        (intent,) = desk_bench.intents().values()
        states.append((intent.state, intent.looks))
    # 65 s quiet: the look at 60 s counts for nothing, at 66 s it is the first, at 76 s too soon, at 106 s the second
    assert states == [("SENT_UNKNOWN", 0), ("SENT_UNKNOWN", 1), ("SENT_UNKNOWN", 1), ("NOT_FOUND", 2)]
    assert desk_bench.position() is None


def test_an_order_that_appears_late_is_adopted_with_an_alert(desk_bench: Bench) -> None:
    desk_bench.faults.drop_after_accept, desk_bench.faults.listing_lag_ms = 1, 600_000
    submit.submit(desk_bench.desk(), entry(), ok)
    for wait_ms in (70_000, 40_000):
        desk_bench.later(wait_ms)
        lookup.look_at_all(desk_bench.desk())
    (intent,) = desk_bench.intents().values()
    assert intent.state == "NOT_FOUND"
    desk_bench.later(600_000)
    lookup.look_at_watched(desk_bench.desk(), "binance")
    (intent,) = desk_bench.intents().values()
    assert (intent.state, intent.filled) == ("CONFIRMED", D("0.002"))
    assert "intent:late_appearance" in desk_bench.home.journal.read_text()
    position = desk_bench.position()
    assert position is not None
    assert position.quantity > 0


def test_booking_the_same_report_twice_adds_nothing(desk_bench: Bench) -> None:
    desk = desk_bench.desk()
    sent = submit.submit(desk, entry(), ok)
    report = desk.account_of("binance").get_order("BTCUSDT", sent.order_id)
    assert report is not None
    before = desk_bench.home.journal.read_bytes()
    fills.book(desk, sent.order_id, report)
    assert desk_bench.home.journal.read_bytes() == before


def test_never_sent_intents_are_denied(desk_bench: Bench) -> None:
    from desk.execution import intent as intents

    desk = desk_bench.desk()
    created, _ = intents.written_down(entry(), "x" * 32, 0, desk_bench.now_ms, 5000)
    desk.commit_events(created)
    assert lookup.deny_never_sent(desk_bench.desk()) == 1
    assert desk_bench.intents()["x" * 32].code == "intent:never_sent"


def test_an_exit_larger_than_what_is_free_is_not_written(desk_bench: Bench) -> None:
    desk = desk_bench.desk()
    submit.submit(desk, entry(), ok)
    position = desk_bench.position()
    assert position is not None
    from desk.venues.protocol import OrderType, Side

    too_much = entry(
        quantity="0.002", price="40000", kind="EXIT", leg="exit", side=Side.SELL, type=OrderType.LIMIT_IOC,
        position_id=position.position_id,
    )  # fmt: skip
    sent = submit.submit(desk, too_much, ok)
    assert sent.order_id == ""  # 0.002 was bought, the fee took a part
