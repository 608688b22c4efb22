"""`orders.py` in LIVE, its cancels and exits sent to the simulator and judged by the simulator's own books."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import badkit
import daykit
from badkit import Rig, assert_clear
from desk.base import clock
from desk.state import store
from desk.venues.protocol import OrderType
from kit import entry
from lab.sim.server import running_sim
from orderskit import HELD, REASON, at_the_desk, bought, dies_at, events_since, fold_of, order, sent, stop_of

ORDER = "/api/v3/order"
FLATTEN = ("flatten", *REASON, "--yes")
ACTING = "acting for the operator: what holds the router ({}) does not hold this"
CHANGES = {old: new for old, new in badkit.CHANGES.items() if "_s = " in old}  # short waits


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A LIVE account on the simulator: 0.002 BTC bought at the market, its stop resting there; kill switch active."""
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0.001)
    with live_account(tmp_path / "home", "binance") as found:
        yield found


@contextmanager
def live_account(home: Path, venue: str) -> Iterator[Rig]:
    (home / "config").mkdir(parents=True)
    (home / ".env").write_text("")
    text = daykit.CONFIG.read_text()
    for old, new in CHANGES.items():
        assert old in text, old
        text = text.replace(old, new)
    (home / "config" / "sanad.toml").write_text(text)
    with running_sim(venue=venue, seed=badkit.SEED, balances={"USDT": "10000"}) as sim:
        sim.advance(badkit.BARS_BEFORE * 60_000)
        upper = venue.upper()
        live = {
            "SYSTEM_MODE": "LIVE", "VENUES": venue, "UNIVERSE_SYMBOLS": badkit.HELD, f"{upper}_REST_URL": sim.rest_url,
            f"{upper}_API_KEY": "simkey", f"{upper}_API_SECRET": "simsecret",
        }  # fmt: skip
        found = Rig(home, sim, badkit.environment(home, sim) | live)
        bought(found, venue)
        yield found


def standing(rig: Rig) -> list[dict[str, Any]]:
    """Orders the exchange itself holds open."""
    assert rig.sim is not None
    return [o for o in rig.sim.books()["orders"] if o["status"] in {"NEW", "PARTIALLY_FILLED"}]


def sales(rig: Rig) -> list[dict[str, Any]]:
    """Sells of ours that the exchange has executed."""
    assert rig.sim is not None
    found = rig.sim.books()["orders"]
    return [o for o in found if o["side"] == "SELL" and Decimal(str(o["executedQty"])) > 0]


def requests(rig: Rig, method: str) -> list[dict[str, Any]]:
    assert rig.sim is not None
    return [r for r in rig.sim.requests() if (r["method"], r["path"]) == (method, ORDER)]


def assert_whole(rig: Rig) -> None:
    said = rig.door("reconcile")
    assert (said.code, said.last) == (0, "RECONCILE END — clean, drift score 0"), said


def test_flatten_sends_the_real_thing_without_live_and_says_so(rig: Rig) -> None:
    stop, before = stop_of(rig), fold_of(rig).seq
    assert [o["clientOrderId"] for o in standing(rig)] == [stop]
    dry = rig.spawn("orders", "flatten", *REASON)
    assert dry.code == 1 and [o["clientOrderId"] for o in standing(rig)] == [stop]
    said = rig.spawn("orders", *FLATTEN)
    assert said.code == 0, said
    assert said.lines[0] == ACTING.format("no --live, SAFE_MODE, DRY_RUN")
    assert "entries are not stopped" not in said.out  # a new LIVE folder has its kill switch engaged
    assert standing(rig) == [] and [o["executedQty"] for o in sales(rig)] == ["0.00199000"]
    told = [line["event"] for line in events_since(rig, before) if line["event"] != "STAGE_CHANGED"]
    assert told[:4] == ["CANCEL_REQUESTED", "INTENT_CONFIRMED", "INTENT_CREATED", "INTENT_SENT_UNKNOWN"], told
    posts = len(requests(rig, "POST"))
    assert rig.spawn("orders", *FLATTEN).code == 0 and len(requests(rig, "POST")) == posts
    assert_whole(rig)


@pytest.mark.parametrize("kind", ["drop_after_accept", "unknown_1007_after_accept", "bad_json", "reset_mid_body"])
@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_a_lost_answer_is_looked_up_and_nothing_is_sold_twice(rig: Rig, kind: str, method: str) -> None:
    assert rig.sim is not None
    rig.sim.fault(kind, method=method, path=ORDER)
    said = rig.door("orders", *FLATTEN)
    assert said.code == 0, said
    assert standing(rig) == [] and [o["executedQty"] for o in sales(rig)] == ["0.00199000"]
    assert_whole(rig)


def test_an_exit_nobody_knows_of_is_never_sent_again(rig: Rig) -> None:
    assert rig.sim is not None
    posts = len(requests(rig, "POST"))
    rig.sim.fault("drop_before", method="POST", path=ORDER, count=None)
    for _ in range(2):
        said = rig.door("orders", *FLATTEN)
        assert said.code == 1 and "it is looked up and never sent again" in said.out, said
    exits = [(n, i) for n, i in fold_of(rig).intents.intents.items() if i.leg == "exit"]
    assert [i.state for _, i in exits] == ["SENT_UNKNOWN"]
    assert [r["clientOrderId"] for r in requests(rig, "POST")[posts:]] == [exits[0][0]]
    assert "outcome unknown" in rig.door("orders", "list").out
    rig.sim.clear_faults()
    for _ in range(4):  # quiet time and two looks; then the router gives it its stop again
        rig.minute()
        rig.door("router", "--live", SAFE_MODE="false", DRY_RUN="false")
    assert order(rig, exits[0][0]).state == "NOT_FOUND" and stop_of(rig)
    assert rig.door("orders", *FLATTEN).code == 0
    assert [o["executedQty"] for o in sales(rig)] == ["0.00199000"]


def test_an_exchange_that_refuses_every_cancel_keeps_the_stop(rig: Rig) -> None:
    assert rig.sim is not None
    stop, posts = stop_of(rig), len(requests(rig, "POST"))
    rig.sim.fault("http_status", method="DELETE", path=ORDER, count=None, arg=503)
    said = rig.door("orders", *FLATTEN)
    assert said.code == 1 and "the cancel of its protection is not confirmed: it still stands" in said.out, said
    one = rig.door("orders", "cancel", stop, *REASON, "--protection", "--yes")
    assert one.code == 1 and f"not confirmed {stop}" in one.out, one
    assert [o["clientOrderId"] for o in standing(rig)] == [stop] and len(requests(rig, "POST")) == posts


def test_an_exchange_that_is_away_keeps_everything_as_it_is(rig: Rig) -> None:
    away, stop = {"BINANCE_REST_URL": "http://127.0.0.1:1"}, stop_of(rig)
    said = rig.spawn("orders", *FLATTEN, **away)
    assert_clear(said, {1}, "1 left")
    listed = rig.spawn("orders", "list", "--exchange", **away)
    assert_clear(listed, {1})
    assert "binance not read" in listed.out and stop in listed.out
    assert [o["clientOrderId"] for o in standing(rig)] == [stop]
    assert rig.spawn("orders", *FLATTEN).code == 0 and standing(rig) == []


def test_open_breakers_stop_no_exit(rig: Rig) -> None:
    """Look-ups, cancels and exits pass them, and what they hear counts."""
    assert rig.sim is not None
    until = clock.iso(rig.sim.now_ms + 240_000)
    doc = {name: {"state": "open", "failure_count": 5, "cooldown_until": until} for name in
           ("binance_api", "binance_orders")}  # fmt: skip
    rig.state("circuit_breakers.json").write_text(json.dumps(doc))
    said = rig.spawn("orders", *FLATTEN)
    assert said.code == 0, said
    assert standing(rig) == [] and [o["executedQty"] for o in sales(rig)] == ["0.00199000"]


def test_a_kill_between_cancel_and_exit_is_healed_by_the_next_tick(rig: Rig) -> None:
    stop = stop_of(rig)
    dies_at(rig, "desk.execution.exits", "sellable", *FLATTEN)
    assert standing(rig) == [] and order(rig, stop).status == "CANCELED"
    assert rig.door("orders", "positions").code == 1
    rig.door("router", "--live", SAFE_MODE="false", DRY_RUN="false")
    assert [o["clientOrderId"] for o in standing(rig)] == [stop_of(rig)] != [stop]
    assert_whole(rig)


def test_foreign_orders_are_named_and_never_touched(rig: Rig) -> None:
    def act(hands: Any) -> None:
        client = hands.accounts.market_of("binance")
        params = {"symbol": badkit.HELD, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001",
                  "price": "50000", "newClientOrderId": "web_4711"}  # fmt: skip
        client.request("POST", ORDER, params, signed=True)

    at_the_desk(rig, act)
    said = rig.door("orders", "list", "--exchange")
    assert said.code == 1 and "FOREIGN NEW" in said.out and "binance lists web_4711" in said.out, said
    assert_clear(rig.door("orders", "cancel", "web_4711", *REASON, "--yes"), {2}, "is no order in the journal")
    assert rig.door("orders", "cancel-all", *REASON, "--protection", "--yes").code == 0
    assert [o["clientOrderId"] for o in standing(rig)] == ["web_4711"]


def test_a_thin_book_leaves_a_protected_rest(rig: Rig) -> None:
    assert rig.sim is not None
    rig.sim.fault("partial_fill", method="POST", path=ORDER, count=1, arg="0.5")
    said = rig.door("orders", *FLATTEN)
    rest = fold_of(rig).positions.positions[HELD]
    assert said.code == 1 and "LEFT" in said.out and "run it again" in said.out, said
    assert rest.quantity > 0 and [o["clientOrderId"] for o in standing(rig)] == [stop_of(rig)]
    rig.sim.clear_faults()
    rig.minute()
    assert rig.door("orders", *FLATTEN).code == 0 and standing(rig) == []
    assert_whole(rig)


def test_an_exchange_that_only_acknowledges_is_asked_until_it_has_spoken(tmp_path: Path) -> None:
    """MEXC answers an order before it has matched it, and takes no stop orders on spot."""
    with live_account(tmp_path / "home", "mexc") as rig:
        rig.door("reconcile")
        held = rig.door("orders", "positions", "--json").document["positions"]
        assert [row["protection"][0].split(" at ")[0] for row in held] == ["watched each tick"]
        said = rig.spawn("orders", *FLATTEN)
        assert said.code == 0 and fold_of(rig).positions.positions == {}, said
        assert [Decimal(str(o["executedQty"])) for o in sales(rig)] == [Decimal("0.00199")]
        assert_whole(rig)


def test_on_a_damaged_journal_the_exchanges_list_says_what_is_ours(rig: Rig) -> None:
    made: list[str] = []

    def act(hands: Any) -> None:
        plan = entry(type=OrderType.LIMIT, price="52000", decision="late", quantity="0.001")
        made.append(sent(hands, plan))

    at_the_desk(rig, act)
    stop = stop_of(rig)
    badkit.spoil(rig.journal, lambda raw: raw[:-200] + b"#" + raw[-199:])
    said = rig.door("orders", "cancel", made[0], *REASON, "--yes")
    assert said.code == 1 and "1 cancelled by the exchange's list, 0 not confirmed" in said.last, said
    assert [o["clientOrderId"] for o in standing(rig)] == [stop]
