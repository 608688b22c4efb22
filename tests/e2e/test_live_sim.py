"""LIVE orders to the simulated exchanges, end to end: real doors, real requests, judged by the exchange's own books.

Whatever the exchange or the line does to an order, it is sent once, found by its id, booked, and protected (P2, P4-P6);
without every arming factor nothing leaves at all, and the code is named (P10).
"""

import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import daykit
import livekit
from desk.venues import dialect_binance
from lab.day import SCRIPTS
from lab.sim.server import running_sim
from livekit import SYMBOL

VENUES = ("binance", "binance+lists", "mexc", "btcturk")
ACCOUNTS = {"btcturk": "/api/v1/users/balances"}
ACCEPTED = (  # the order stands, its answer is lost or worthless: (fault, its argument)
    ("drop_after_accept", None), ("unknown_1007_after_accept", None), ("http_status_after_accept", 503),
    ("reset_mid_body", None), ("bad_json", None),
)  # fmt: skip
LOST = (("redirect_307", None), ("drop_before", None), ("html_502", None), ("http_status", 503))
TICKS_UNTIL_NOT_FOUND = 6  # quiet time and looks of Binance and MEXC, at a look a minute
TICKS_OF = {"btcturk": 9}  # 300 s and three looks
FEE_ON_TOP = {"btcturk": Decimal("1.00118")}  # elsewhere it comes out of what is bought
DIES = """
import os, sys
import router
from desk.execution import intent, submit

def dies(desk, plan, order_id, timestamp_ms, last_check):
    if sys.argv[1] == "after":
        desk.account_of(plan.venue).place_order(intent.request_of(plan, order_id), timestamp_ms)
    os._exit(137)

submit._send = dies
router.main(["--live"])
"""


@pytest.mark.parametrize("venue", VENUES)
def test_an_entry_is_sent_once_filled_protected_and_leaves_at_its_stop(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue, scenario=livekit.moving("0.95")) as rig:
        opening = rig.events("INITIAL_CAPITAL")
        assert [event["data"]["balances"] for event in opening] == [{"USDT": "10000"}]
        rig.signal("in")
        told = rig.tick()
        assert told["router"].code == 0, told["router"]
        assert told["heartbeat"].code == 0, told["heartbeat"]
        assert [order["status"] for order in rig.orders("BUY")] == ["FILLED"]
        assert rig.quantity == rig.owned() > 0
        livekit.assert_protected(rig)
        stop = rig.fold().positions.positions[f"{rig.venue}:{SYMBOL}"].stop_price
        for _ in range(7):
            assert rig.tick()["reconcile"].code == 0
        assert len(livekit.sent_entries(rig)) == 1
        assert rig.quantity == 0 and rig.owned() < Decimal("0.00001")
        sale = [trade for trade in rig.sim.books()["trades"] if trade["side"] == "SELL"]  # type: ignore[union-attr]
        assert sale and all(Decimal(trade["price"]) <= stop for trade in sale)
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(("kind", "arg"), ACCEPTED, ids=str)
def test_an_accepted_order_whose_answer_is_lost_is_found_and_never_sent_again(
    tmp_path: Path, venue: str, kind: str, arg: Any
) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("in")
        rig.fault(kind, arg)
        rig.tick()
        sent = [e for e in rig.events("INTENT_SENT_UNKNOWN", "INTENT_CONFIRMED") if e["symbol"] == SYMBOL]
        states = [e["event"] for e in sent if e["data"]["client_order_id"] == sent[0]["data"]["client_order_id"]]
        assert states[:2] == ["INTENT_SENT_UNKNOWN", "INTENT_CONFIRMED"]
        for _ in range(2):
            rig.tick()
        assert len(livekit.sent_entries(rig)) == len(rig.orders("BUY")) == 1
        assert rig.quantity == rig.owned() > 0
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)
        assert rig.door("heartbeat").code == 0


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(("kind", "arg"), LOST, ids=str)
def test_an_order_the_exchange_never_took_is_unknown_until_evidence_and_never_sent_again(
    tmp_path: Path, venue: str, kind: str, arg: Any
) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("in")
        rig.fault(kind, arg)
        rig.tick()
        assert {intent.state for intent in rig.fold().intents.intents.values()} == {"SENT_UNKNOWN"}
        rig.signal("again")
        denied = rig.tick()["router"]
        assert "intent:unknown_order" in denied.text and denied.code == 1  # the symbol is shut meanwhile
        (rig.home / "signals" / "again.json").unlink()
        for _ in range(TICKS_OF.get(venue, TICKS_UNTIL_NOT_FOUND)):
            rig.tick()
        assert {intent.state for intent in rig.fold().intents.intents.values()} == {"NOT_FOUND"}
        assert len(livekit.sent_entries(rig)) == 1 and rig.orders("BUY") == [] and rig.quantity == 0
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("answer_is_lost", [True, False])
def test_an_order_that_is_listed_late_is_waited_for(tmp_path: Path, venue: str, answer_is_lost: bool) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("in")
        rig.fault("listing_lag", 50)
        if answer_is_lost:
            rig.fault("drop_after_accept")
        rig.tick()
        for _ in range(2):
            rig.tick()
        assert len(livekit.sent_entries(rig)) == len(rig.orders("BUY")) == 1
        assert rig.quantity == rig.owned() > 0
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_the_exchange_takes_after_we_gave_up_waiting_is_found(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("in")
        rig.fault("latency_ms", 2500)  # the read times out after one second
        rig.tick()
        assert {intent.state for intent in rig.fold().intents.intents.values()} == {"SENT_UNKNOWN"}
        for _ in range(200):
            if rig.orders("BUY"):
                break
            time.sleep(0.05)
        rig.tick()
        assert len(livekit.sent_entries(rig)) == len(rig.orders("BUY")) == 1
        assert rig.quantity == rig.owned() > 0
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


def test_an_accepted_order_whose_trades_cannot_be_read_is_booked_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dialect_binance.order_params
    monkeypatch.setattr(dialect_binance, "order_params", lambda asked: whole(asked) | {"newOrderRespType": "RESULT"})
    with livekit.armed(tmp_path) as rig:
        assert rig.sim is not None
        rig.signal("in")
        rig.sim.fault("http_status", method="GET", path="/api/v3/myTrades", count=None, arg=500)
        rig.minute()
        assert "not sent" not in rig.door("router", "--live").text
        assert rig.fold().intents.intents and rig.quantity == 0
        rig.sim.clear_faults()
        for _ in range(6):  # the failed reads opened the breaker
            rig.tick()
        assert len(livekit.sent_entries(rig)) == len(rig.orders("BUY")) == 1
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("order_type", ["MARKET", "LIMIT", "LIMIT_IOC", "LIMIT_FOK"])
def test_every_order_type_that_takes_is_sent_and_filled(tmp_path: Path, venue: str, order_type: str) -> None:
    changes = {'order_type = "LIMIT_IOC"': f'order_type = "{order_type}"'}
    with livekit.armed(tmp_path, venue, changes) as rig:
        rig.signal("in")
        told = rig.tick()
        assert told["router"].code == 0 and told["heartbeat"].code == 0, told
        assert [order["status"] for order in rig.orders("BUY")] == ["FILLED"]
        spent = Decimal(10_000) - rig.owned("USDT")
        assert Decimal(99) < spent <= Decimal(100) * FEE_ON_TOP.get(venue, Decimal(1))
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


@pytest.mark.parametrize("venue", VENUES)
def test_a_maker_order_rests_below_the_market_and_is_cancelled_when_its_time_is_up(tmp_path: Path, venue: str) -> None:
    changes = {'order_type = "LIMIT_IOC"': 'order_type = "LIMIT_MAKER"'}
    with livekit.armed(tmp_path, venue, changes, scenario=livekit.moving("1.05", after_min=3)) as rig:
        rig.signal("in")
        told = rig.tick()
        assert told["router"].code == 0 and told["heartbeat"].code == 0, told
        assert [order["status"] for order in rig.orders("BUY")] == ["NEW"]
        for _ in range(3):
            assert rig.tick()["heartbeat"].code == 0
        assert [order["status"] for order in rig.orders("BUY")] == ["CANCELED"]
        assert len(livekit.sent_entries(rig)) == 1 and rig.quantity == 0
        livekit.assert_books_close(rig)


def test_older_trades_of_the_account_are_history_not_foreign(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.tick()
        rig.signal("out", side="SELL", kind="EXIT", edge_bps=None, notional_quote=None)
        rig.tick()
        assert rig.quantity == 0
        assert rig.door("mode", "switch", "PAPER", "--reason", "a pause", SYSTEM_MODE="PAPER").code == 0
        assert rig.door("mode", "switch", "LIVE", "--reason", "again").code == 0
        told = rig.door("reconcile")
        assert told.code == 0, told
        assert rig.events("INITIAL_CAPITAL")[0]["data"]["balances"]["USDT"] == str(rig.owned("USDT").normalize())


@pytest.mark.parametrize("venue", VENUES)
def test_a_definite_no_is_final_named_and_not_tried_again(tmp_path: Path, venue: str) -> None:
    with livekit.armed(tmp_path, venue) as rig:
        rig.signal("in")
        rig.fault("timestamp_1021")
        told = rig.tick()["router"]
        assert told.code == 1 and "intent:rejected" in told.last, told
        rig.tick()
        assert {intent.state for intent in rig.fold().intents.intents.values()} == {"FAILED_TERMINAL"}
        assert len(rig.posts()) == 1 and rig.orders("BUY") == []


@pytest.mark.parametrize("venue", VENUES)
def test_the_first_live_tick_opens_the_books_and_without_balances_nothing_enters(tmp_path: Path, venue: str) -> None:
    with livekit.market(tmp_path, venue) as rig:
        assert rig.sim is not None
        rig.sim.fault("http_status", method="GET", path=ACCOUNTS.get(venue, "/api/v3/account"), count=None, arg=500)
        rig.minute()
        rig.door("router", "--live")
        rig.door("heartbeat")
        rig.arm()
        rig.signal("in")
        rig.minute()
        rig.door("router", "--live")
        assert rig.events("INITIAL_CAPITAL") == [] and rig.posts() == []
        rig.sim.clear_faults()
        for _ in range(7):  # the breaker's cool-down, then two good heartbeats
            rig.tick()
        opening = rig.events("INITIAL_CAPITAL")
        assert [event["data"]["balances"] for event in opening] == [{"USDT": "10000"}]


def test_both_venues_trade_side_by_side(tmp_path: Path) -> None:
    with (
        running_sim(venue="mexc", symbols=(SYMBOL,), seed=livekit.SEED) as other,
        livekit.market(
            tmp_path, VENUES="binance,mexc", MEXC_REST_URL=other.rest_url, MEXC_API_KEY="simkey",
            MEXC_API_SECRET="simsecret",
        ) as rig,
    ):  # fmt: skip
        other.advance(livekit.BARS_BEFORE * 60_000)

        def tick() -> dict[str, Any]:
            other.advance(60_000)
            return rig.tick()

        tick()
        rig.arm()
        tick()
        rig.signal("here")
        rig.signal("there", venue="mexc")
        for _ in range(2):  # one entry a cycle
            tick()
        last = tick()
        assert {door: said.code for door, said in last.items()} == dict.fromkeys(last, 0), last
        for sim in (rig.sim, other):
            assert sim is not None
            assert [order["status"] for order in sim.books()["orders"] if order["side"] == "BUY"] == ["FILLED"]
        assert set(rig.fold().positions.positions) == {f"binance:{SYMBOL}", f"mexc:{SYMBOL}"}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_router_that_dies_around_the_bytes_never_doubles_the_order(tmp_path: Path, moment: str) -> None:
    """Real processes: one dies with its intent durable, just before or just after the exchange took the order."""
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.minute()
        died = subprocess.run(
            [sys.executable, "-c", DIES, moment], cwd=SCRIPTS, env={"PATH": "/usr/bin:/bin", **rig.env}, timeout=60,
            capture_output=True,
        )  # fmt: skip
        assert died.returncode == 137, died
        assert {intent.state for intent in rig.fold().intents.intents.values()} == {"SENT_UNKNOWN"}
        for _ in range(1 if moment == "after" else TICKS_UNTIL_NOT_FOUND):
            rig.minute()
            rig.spawn("reconcile")
            rig.spawn("router", "--live")
        assert len(rig.orders("BUY")) == (moment == "after")
        assert len(livekit.sent_entries(rig)) == (moment == "after")
        assert rig.quantity == rig.owned()
        if moment == "after":
            livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


def test_routers_that_overlap_send_one_order(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        rig.signal("in")
        rig.minute()
        command = [sys.executable, str(SCRIPTS / "router.py"), "--live"]
        env = {"PATH": "/usr/bin:/bin", **rig.env}
        running = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for _ in range(4)]
        assert {process.wait(timeout=60) for process in running} <= {0, 1, 3}
        rig.tick()
        assert len(livekit.sent_entries(rig)) == len(rig.orders("BUY")) == 1
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


def test_a_stepped_live_day_gives_the_same_journal_twice(tmp_path: Path) -> None:
    told = []
    for name in ("a", "b"):
        with livekit.armed(tmp_path / name, scenario=livekit.moving("0.95")) as rig:
            rig.signal("in")
            for _ in range(7):
                rig.tick()
            assert rig.orders("SELL")
            told.append(daykit.journal_hash(rig.home))
    assert told[0] == told[1]
