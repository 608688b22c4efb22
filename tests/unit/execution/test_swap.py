"""PROTECTION_SWAP: a stop that moves is finished exactly once, whatever step the process died at (P6, P1)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk.execution import cancel, exits, gap, lookup, naked, protect, stops, submit, swap
from desk.journal.journal import Journal
from desk.venues import table
from desk.venues.paper_client import PaperClient
from kit import Bench, D, bench, entry, ok

NAME = "binance:BTCUSDT"
LOOKS_UNTIL_NOT_FOUND = 2
STEPS_MAX = 60  # more than a swap has


class Died(BaseException):
    """The process ended here."""


@pytest.fixture
def held(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench that holds 0.002 BTC bought at about 50000, stop 49000 resting, no target."""
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    submit.submit(found.desk(), entry(plan_target=D(0)), ok)
    _tick(found, "50000")
    return found


def _tick(b: Bench, bid: str, may_exit: Callable[[], str] = ok) -> dict[str, Any]:
    """One later tick at a price; returns its run record's counts."""
    b.later(60_000)
    b.bid = D(bid)
    desk = b.desk()
    lookup.look_at_all(desk)
    desk.facts = b.facts(desk)
    protect.manage(desk, NAME, desk.facts.symbol("binance", "BTCUSDT"), may_exit)
    return desk.run.counts


def _resting(b: Bench) -> list[str]:
    """Levels of the stops the exchange itself has open."""
    open_there = [o for o in b.broker().books("binance").orders if o.status in {"NEW", "PARTIALLY_FILLED"}]
    return [str(order.stop_price) for order in open_there]


def _is_unknown(b: Bench) -> bool:
    return any(intent.state == "SENT_UNKNOWN" for intent in b.intents().values())


def _outcomes(b: Bench) -> list[str]:
    lines = [msgspec.json.decode(line) for line in b.home.journal.read_bytes().splitlines()]
    return [line["data"]["outcome"] for line in lines if line["event"] == "PROTECTION_SWAPPED"]


def _dies_at(monkeypatch: pytest.MonkeyPatch, step: int) -> list[int]:
    """Die at a step: before or after a group is written, before or after a request; counts the steps."""
    seen = [0]

    def around(whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            _maybe()
            found = whole(*args, **kwargs)
            _maybe()
            return found

        return call

    def _maybe() -> None:
        seen[0] += 1
        if seen[0] == step:
            raise Died

    monkeypatch.setattr(Journal, "transact", around(Journal.transact))
    for name in ("place_order", "cancel_order", "get_order", "balances"):
        monkeypatch.setattr(PaperClient, name, around(getattr(PaperClient, name)))
    return seen


def _swap_and_die(b: Bench, step: int) -> bool:
    """A tick whose swap dies at a step; False when it has no such step."""
    b.later(60_000)
    b.bid = D("51500")
    desk = b.desk()
    lookup.look_at_all(desk)
    desk.facts = b.facts(desk)
    with pytest.MonkeyPatch.context() as patch:
        seen = _dies_at(patch, step)
        try:
            protect.manage(desk, NAME, desk.facts.symbol("binance", "BTCUSDT"), ok)
        except Died:
            return True
        return seen[0] >= step


def test_a_swap_that_died_at_any_step_is_finished_exactly_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    died = 0
    for step in range(1, STEPS_MAX):
        b = bench(tmp_path / str(step))
        submit.submit(b.desk(), entry(plan_target=D(0)), ok)
        _tick(b, "50000")
        if not _swap_and_die(b, step):
            break
        died += 1
        _tick(b, "51500")
        for _ in range(LOOKS_UNTIL_NOT_FOUND if _is_unknown(b) else 0):
            assert _resting(b) == []  # the intent is durable, the order never left: evidence comes first (P2)
            _tick(b, "51500")
        position = b.position()
        assert position is not None and position.swap == {}, step
        assert _resting(b) == ["50985"], step
        assert position.stop_price == D("50985") and position.trail_peak == D("51500"), step
        assert _outcomes(b) == ["moved"], step
        assert len(b.broker().books("binance").orders) == 3, step  # entry, old stop, new stop: nothing sent twice
    assert died >= 12


def test_the_old_level_stands_again_when_the_new_one_is_refused(held: Bench) -> None:
    held.faults.reject = 1
    _tick(held, "51500")
    assert _resting(held) == ["49000"] and _outcomes(held) == ["fell_back"]


def test_a_swap_without_a_fallback_leaves_the_position_bare(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted mistake: what the test above guards is really what protects."""
    monkeypatch.setattr(swap, "_levels_left", lambda fold, position, rules: [D(position.swap["new"])])
    monkeypatch.setattr(stops, "last_resort", lambda *args: False)
    monkeypatch.setattr(protect, "ensure_stop", lambda *args: None)
    held.faults.reject = 1
    _tick(held, "51500")
    assert _resting(held) == []
    position = held.position()
    assert position is not None and position.unprotected_ms  # and the tick says so


def test_a_swap_that_finds_no_level_sells(held: Bench) -> None:
    held.faults.reject = 2
    _tick(held, "51500")
    assert held.position() is None and _resting(held) == []


def test_a_level_the_price_is_through_is_not_tried(held: Bench) -> None:
    """It died with the old stop cancelled; meanwhile the price fell below the new level."""
    assert _swap_and_die(held, 8)
    assert _resting(held) == []
    _tick(held, "50500")
    assert _resting(held) == ["49000"] and _outcomes(held) == ["fell_back"]
    assert len([i for i in held.intents().values() if i.leg == "stop"]) == 2


def test_a_fall_through_both_levels_is_a_stop_out(held: Bench) -> None:
    assert _swap_and_die(held, 8)
    _tick(held, "48500")
    assert held.position() is None
    assert held.run().journal.read_fold().positions.closes[NAME].stop_out


def test_under_freeze_all_an_open_swap_waits_and_goes_on_afterwards(held: Bench) -> None:
    assert _swap_and_die(held, 8)
    _tick(held, "51500", lambda: "risk:freeze_all")
    position = held.position()
    assert position is not None and position.swap and position.unprotected_ms
    _tick(held, "51500")
    assert _resting(held) == ["50985"] and _outcomes(held) == ["moved"]


def test_freeze_all_in_the_middle_of_a_swap_leaves_it_open(held: Bench) -> None:
    asked = [0]

    def later() -> str:
        asked[0] += 1
        return "risk:freeze_all" if asked[0] > 1 else ""

    _tick(held, "51500", later)
    assert _resting(held) == [] and _outcomes(held) == []
    _tick(held, "51500")
    assert _resting(held) == ["50985"] and _outcomes(held) == ["moved"]


def test_the_time_without_a_stop_is_measured_in_the_run_record_alone(held: Bench) -> None:
    counts = _tick(held, "51500")
    assert 0 <= counts[gap.COUNT] < 3000
    assert b"unprotected_ms_max" not in held.home.journal.read_bytes()


def test_the_time_between_a_freed_stop_and_the_sale_is_measured_too(held: Bench) -> None:
    counts = _tick(held, "40000")  # the stop-limit is stranded: cancelled, then sold
    assert held.position() is None and 0 <= counts[gap.COUNT] < 3000


def test_the_time_before_a_crash_counts(held: Bench) -> None:
    assert _swap_and_die(held, 8)
    assert _tick(held, "51500")[gap.COUNT] >= 60_000


def test_a_swap_that_takes_too_long_sells_rather_than_try_again(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap.Gap, "is_over", lambda self, desk: True)
    held.faults.reject = 1
    _tick(held, "51500")
    assert held.position() is None


def test_where_a_cancel_is_only_received_the_old_stop_rests_and_the_new_level_is_watched(
    held: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = msgspec.structs.replace(table.VENUES["binance"], cancel_is_only_received=True)
    monkeypatch.setitem(table.VENUES, "binance", row)
    _tick(held, "51500")
    position = held.position()
    assert position is not None and position.stop_price == D("50985")
    assert _resting(held) == ["49000"] and _outcomes(held) == []
    _tick(held, "50985")  # below the watched level, above the resting one
    assert held.position() is None
    assert held.run().journal.read_fold().positions.closes[NAME].stop_out


def test_an_uncovered_part_has_its_stop_although_the_other_stop_would_not_go(
    held: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = held.position()
    assert position is not None
    desk = held.desk()
    assert exits.free_protection(desk, position, "a test")
    rest = msgspec.structs.replace(position, quantity=D("0.001"))
    whole = exits.sellable
    with monkeypatch.context() as patch:
        patch.setattr(exits, "sellable", lambda d, p, r: min(whole(d, p, r), rest.quantity))
        assert stops.place_stop(desk, position, held.rules, D("49000"), ok)
    monkeypatch.setattr(cancel, "cancel", lambda desk, order_id, why: False)
    _tick(held, "50000")
    assert _resting(held) == ["49000", "49000"]
    now = held.position()
    assert now is not None and not naked.is_uncovered(held.desk(), NAME)
