"""Binance's order lists on the LIVE path: an entry takes its protection along; judged by the exchange's own books."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import livekit
from desk.execution import lists
from desk.venues import dialect_binance
from livekit import SYMBOL, Live

FAR = {"stop_price": "55000", "target_price": "75000"}  # nothing happens to them in a few minutes

LISTED = "binance+lists"
NO_TRAILING = {'trail_frac = "0.01"': 'trail_frac = "0"'}


def _legs(rig: Live) -> list[tuple[str, str]]:
    """The exchange's own sell orders that stand: type and status."""
    return [(o["type"], o["status"]) for o in rig.orders("SELL") if o["status"] in {"NEW", "PENDING_NEW"}]


def _list_posts(rig: Live) -> list[str]:
    assert rig.sim is not None
    heard = rig.sim.requests()
    return [told["path"].rpartition("/")[2] for told in heard if told["path"].startswith("/api/v3/orderList/")]


def _never(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """The symbol does not take these."""
    whole = dialect_binance.rules
    monkeypatch.setattr(dialect_binance, "rules", lambda row: whole(row | dict.fromkeys(names, False)))


def _assert_oco(rig: Live) -> None:
    """A target and a stop stand over all that is held, once."""
    standing = [o for o in rig.orders("SELL") if o["status"] == "NEW"]
    assert sorted(o["type"] for o in standing) == ["LIMIT_MAKER", "STOP_LOSS_LIMIT"]
    for order in standing:
        assert Decimal(0) <= rig.owned() - Decimal(order["origQty"]) < Decimal("0.00002")
    assert not rig.fold().positions.positions[f"binance:{SYMBOL}"].unprotected_ms


@pytest.mark.parametrize(
    ("missing", "kind"), [((), "opoco"), (("opoAllowed",), "otoco"), (("opoAllowed", "otoAllowed"), "oco")]
)
def test_an_entry_with_stop_and_target_goes_in_one_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], kind: str
) -> None:
    _never(monkeypatch, *missing)
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        told = rig.tick()
        assert told["router"].code == 0, told["router"]
        assert _list_posts(rig) == [kind]
        assert len(rig.posts()) == (2 if kind == "oco" else 1)
        _assert_oco(rig)
        created = [e["data"] for e in rig.events("INTENT_CREATED")]
        in_list = [c for c in created if c.get("list_id")]
        assert len({c["list_id"] for c in in_list}) == 1 and len(in_list) == (2 if kind == "oco" else 3)
        assert rig.tick()["reconcile"].code == 0
        assert len(rig.orders("SELL")) == 2  # the next tick leaves it alone
        livekit.assert_books_close(rig)


@pytest.mark.parametrize(("missing", "kind"), [((), "opo"), (("opoAllowed",), "oto")])
def test_an_entry_without_a_target_takes_its_stop_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], kind: str
) -> None:
    _never(monkeypatch, *missing)
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", stop_price="55000")
        rig.tick()
        assert _list_posts(rig) == [kind] and len(rig.posts()) == 1
        livekit.assert_protected(rig)
        livekit.assert_books_close(rig)


def test_a_market_entry_gets_its_oco_right_after_the_fill(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED, changes={'order_type = "LIMIT_IOC"': 'order_type = "MARKET"'}) as rig:
        rig.signal("in", **FAR)
        rig.tick()
        assert _list_posts(rig) == ["oco"]
        _assert_oco(rig)
        livekit.assert_books_close(rig)


def test_a_part_that_filled_gets_an_oco_of_its_own_in_the_same_tick(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.fault("partial_fill", "0.5")
        told = rig.tick()
        assert told["router"].code == 0, told["router"]
        assert _list_posts(rig) == ["opoco", "oco"]
        _assert_oco(rig)
        assert rig.quantity == rig.owned() > 0
        livekit.assert_books_close(rig)


@pytest.mark.parametrize(("kind", "arg"), [("drop_after_accept", None), ("http_status_after_accept", 503)])
def test_a_list_whose_answer_is_lost_is_found_leg_by_leg_and_sent_once(tmp_path: Path, kind: str, arg: Any) -> None:
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.fault(kind, arg)
        rig.tick()
        _assert_oco(rig)
        rig.tick()
        assert _list_posts(rig) == ["opoco"] and len(rig.orders("SELL")) == 2
        livekit.assert_books_close(rig)


def test_a_list_that_never_arrived_is_unknown_until_evidence_and_never_sent_again(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.fault("drop_before")
        rig.tick()
        assert {i.state for i in rig.fold().intents.intents.values()} == {"SENT_UNKNOWN"}
        for _ in range(6):
            rig.tick()
        assert {i.state for i in rig.fold().intents.intents.values()} == {"NOT_FOUND"}
        assert _list_posts(rig) == ["opoco"] and rig.orders("BUY") == []
        assert rig.fold().positions.positions == {}
        livekit.assert_books_close(rig)


def test_a_refused_list_ends_every_leg_and_counts_once(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.fault("timestamp_1021")
        assert rig.tick()["router"].code == 1
        assert {i.state for i in rig.fold().intents.intents.values()} == {"FAILED_TERMINAL"}
        assert rig.fold().positions.positions == {} and len(rig.posts()) == 1


@pytest.mark.parametrize(("factor", "leg", "levels"), [
    ("0.97", "stop", {"stop_price": "60500", "target_price": "70000"}),
    ("1.03", "target", {"stop_price": "55000", "target_price": "62500"}),
])  # fmt: skip
def test_the_leg_that_fills_ends_the_other_and_nothing_is_odd(
    tmp_path: Path, factor: str, leg: str, levels: dict[str, str]
) -> None:
    with livekit.armed(tmp_path, LISTED, changes=NO_TRAILING, scenario=livekit.moving(factor)) as rig:
        rig.signal("in", **levels)
        rig.tick()
        _assert_oco(rig)
        for _ in range(8):
            told = rig.tick()
            assert told["reconcile"].code == 0 and told["router"].code == 0, told
        legs = {i.leg: i.status for i in rig.fold().intents.intents.values() if i.kind == "EXIT"}
        assert legs.pop(leg) == "FILLED" and set(legs.values()) == {"EXPIRED"}
        assert rig.quantity == 0 and rig.events("INTENT_ANOMALY") == []
        assert len(rig.orders("SELL")) == 2  # the exchange did it alone
        livekit.assert_books_close(rig)


def test_an_exit_by_signal_takes_both_legs_away_and_sells(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.tick()
        rig.signal("out", side="SELL", kind="EXIT", edge_bps=None, notional_quote=None)
        told = rig.tick()
        assert told["router"].code == 0, told["router"]
        assert rig.quantity == 0 and _legs(rig) == []
        livekit.assert_books_close(rig)


def test_the_stop_of_an_oco_moves_by_swapping_the_whole_list(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED, scenario=livekit.moving("1.02")) as rig:
        rig.signal("in", **FAR)
        rig.tick()
        for _ in range(6):
            assert rig.tick()["router"].code == 0
            _assert_oco(rig)
        assert {e["data"]["outcome"] for e in rig.events("PROTECTION_SWAPPED")} == {"moved"}
        assert "oco" in _list_posts(rig)
        livekit.assert_books_close(rig)


def test_engage_leaves_the_protection_of_a_list_in_place(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.fault("drop_after_accept")
        rig.sim.fault("http_status", method="GET", path="/api/v3/order", count=None, arg=500)  # type: ignore[union-attr]
        rig.minute()
        rig.door("router", "--live")
        assert {i.state for i in rig.fold().intents.intents.values()} == {"SENT_UNKNOWN"}
        rig.sim.clear_faults()  # type: ignore[union-attr]
        rig.door("kill_switch", "engage", "--reason", "a test")
        assert sorted(_legs(rig)) == [("LIMIT_MAKER", "NEW"), ("STOP_LOSS_LIMIT", "NEW")]
        rig.tick()
        _assert_oco(rig)
        livekit.assert_books_close(rig)


def test_legs_that_come_late_are_waited_for(tmp_path: Path) -> None:
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.fault("pending_lag", 30)
        rig.tick()
        assert {status for _, status in _legs(rig)} == {"PENDING_NEW"}
        rig.tick()
        _assert_oco(rig)
        assert len(rig.orders("SELL")) == 2
        livekit.assert_books_close(rig)


def test_legs_the_exchange_refuses_are_replaced_in_the_same_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The market is through the stop when its turn comes: the pair expires, and the position must not stand bare."""
    whole, hit = lists.stop_leg, Decimal(70_000)

    def too_high(desk: Any, of: Any, rules: Any, quantity: Decimal, stop: Decimal) -> Any:
        return whole(desk, of, rules, quantity, hit if of.kind == "ENTRY" else stop)

    monkeypatch.setattr(lists, "stop_leg", too_high)
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.tick()
        assert [o["status"] for o in rig.orders("SELL")] == ["EXPIRED", "EXPIRED", "NEW", "NEW"]
        assert _list_posts(rig) == ["opoco", "oco"]
        _assert_oco(rig)
        livekit.assert_books_close(rig)


def test_where_the_symbol_takes_no_lists_the_stop_rests_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _never(monkeypatch, "ocoAllowed", "otoAllowed", "opoAllowed")
    with livekit.armed(tmp_path, LISTED) as rig:
        rig.signal("in", **FAR)
        rig.tick()
        assert _list_posts(rig) == []
        assert _legs(rig) == [("STOP_LOSS_LIMIT", "NEW")]
