"""Positions under an active kill switch: hold, close, assess (rules.md, Kill switch). Real desk, paper exchange."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from desk.base.reasons import Reason
from desk.config.schema import KillPositions
from desk.execution import accounts, kill_care, protect, submit
from desk.execution.desk import Desk
from desk.risk import kill_forms, kill_switch
from desk.risk.facts import OtherMid
from desk.risk.kill_reasons import ReleaseFacts
from desk.venues.protocol import Bar
from kit import Bench, D, bench, entry, ok

NAME = "binance:BTCUSDT"
LOT = D("0.00001")


@pytest.fixture
def held(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench that holds 0.002 BTC with its stop at the exchange."""
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    desk = found.desk()
    submit.submit(desk, entry(), ok)
    assert desk.facts is not None
    protect.manage(desk, NAME, desk.facts.symbols[NAME], ok)
    assert [i.leg for i in found.intents().values()] == ["entry", "stop"]
    return found


def choose(b: Bench, **positions: str) -> None:
    """[kill_switch.positions] of the configuration."""
    chosen = msgspec.structs.replace(KillPositions(), **positions)
    config = msgspec.structs.replace(
        b.settings.config, kill_switch=msgspec.structs.replace(b.settings.config.kill_switch, positions=chosen)
    )
    b.settings = msgspec.structs.replace(b.settings, config=config)


def engage(b: Bench, reason: str, **words: str) -> None:
    run = b.run()
    kill_switch.engage(run.home, run.journal, reason, "heartbeat", **words)  # type: ignore[arg-type]


def act(b: Bench, desk: Desk | None = None) -> tuple[str, ...]:
    desk = desk or b.desk()
    return kill_care.care(desk, lambda: accounts.exit_block(desk))


def legs(b: Bench) -> list[str]:
    return [f"{i.leg} {i.status}" for i in b.intents().values()]


def rest(b: Bench) -> Decimal:
    """What is held still."""
    position = b.position()
    return position.quantity if position is not None else D("0")


def alert(b: Bench, reason: Reason) -> str:
    alerts = b.run().journal.read_fold().portfolio.alerts.values()
    return next((found.text for found in alerts if found.code == str(reason)), "")


def test_nothing_is_sold_while_the_switch_is_inactive(held: Bench) -> None:
    choose(held, manual="close")
    assert act(held) == ()
    assert legs(held) == ["entry FILLED", "stop NEW"]


@pytest.mark.parametrize("reason", ["manual", "daily_loss", "max_dd_exceeded", "flash_crash"])
def test_hold_leaves_position_and_stop(held: Bench, reason: str) -> None:
    engage(held, reason)
    assert act(held) == ()
    assert legs(held) == ["entry FILLED", "stop NEW"]
    assert not alert(held, Reason.KILL_ASSESS) and not alert(held, Reason.KILL_CLOSING)


@pytest.mark.parametrize("reason", ["excessive_rest_errors", "key_compromise_suspected"])
def test_assess_sells_nothing_and_names_the_commands(held: Bench, reason: str) -> None:
    engage(held, reason)
    assert act(held) == ()
    assert legs(held) == ["entry FILLED", "stop NEW"]
    assert NAME in alert(held, Reason.KILL_ASSESS)
    assert "orders.py flatten" in Reason.KILL_ASSESS.action and Reason.KILL_ASSESS.severity == "CRIT"


@pytest.mark.parametrize("reason", ["ws_stale_60s", "manual"])
def test_close_cancels_the_stop_and_sells(held: Bench, reason: str) -> None:
    choose(held, manual="close")
    engage(held, reason)
    assert act(held) == ()
    assert rest(held) < LOT
    assert legs(held) == ["entry FILLED", "stop CANCELED", "exit FILLED"]
    assert NAME in alert(held, Reason.KILL_CLOSING)


def test_close_waits_for_a_source_that_answers(held: Bench) -> None:
    engage(held, "ws_stale_60s")
    held.has_bids = False
    assert act(held) == (NAME,)
    assert legs(held) == ["entry FILLED", "stop NEW"], "no bid: a blind sale is not what close means"
    held.has_bids = True
    stale = held.desk()
    assert stale.facts is not None
    old = msgspec.structs.replace(stale.facts.symbols[NAME], book_ms=held.now_ms - 3001)
    stale.facts = msgspec.structs.replace(stale.facts, symbols={NAME: old})
    assert act(held, stale) == (NAME,)
    assert act(held) == ()
    assert rest(held) < LOT


def test_close_goes_on_at_the_next_tick(held: Bench) -> None:
    engage(held, "ws_stale_60s")
    held.depth = D("0.001")
    assert act(held) == (NAME,)
    assert "exit" in legs(held)[-1]
    held.later(60_000)
    held.depth = D("10")
    assert act(held) == ()
    assert rest(held) < LOT


def test_freeze_all_sells_nothing(held: Bench) -> None:
    engage(held, "ws_stale_60s", level="freeze_all")
    assert act(held) == ()
    assert legs(held) == ["entry FILLED", "stop NEW"]


@pytest.mark.parametrize("source", ["none", "venue", "trades", "old trades", "venue disagrees"])
def test_a_flash_crash_is_sold_only_where_a_second_source_shows_it(held: Bench, source: str) -> None:
    choose(held, flash_crash="close")
    engage(held, "flash_crash")
    desk = held.desk()
    assert desk.facts is not None
    found = desk.facts.symbols[NAME]
    if source.startswith("venue"):
        mid = D("60000") if source == "venue disagrees" else D("50100")
        found = msgspec.structs.replace(found, other_mids=(OtherMid(venue="mexc", mid=mid, at_ms=held.now_ms),))
    elif source != "none":
        open_ms = held.now_ms - (3_600_000 if source == "old trades" else 0)
        price = D("50100")
        bar = Bar(open_ms=open_ms, open=price, high=price, low=price, close=price, volume=D(1))
        found = msgspec.structs.replace(found, bars=(bar,))
    desk.facts = msgspec.structs.replace(desk.facts, symbols={NAME: found})
    is_sold = source in {"venue", "trades"}
    assert act(held, desk) == (() if is_sold else (NAME,))
    assert (rest(held) < LOT) is is_sold


def test_the_alert_ends_with_the_switch(held: Bench) -> None:
    engage(held, "excessive_rest_errors")
    act(held)
    assert alert(held, Reason.KILL_ASSESS)
    held.later(60_000)
    run = held.run()
    seen = ReleaseFacts(now_ms=held.now_ms, measured_ms=held.now_ms)
    done = kill_switch.release(
        run.home, run.journal, "test", "me", lambda fold, doc: kill_forms.release_facts(seen, fold, doc), is_live=False
    )
    assert done.released, done.held
    assert not alert(held, Reason.KILL_ASSESS)
