"""A PAPER session on BTCTurk end to end: router, heartbeat and reconcile against its simulator, on BTCTRY."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

import daykit
from lab.day import Day, JobResult

VENUE, SYMBOL = "btcturk", "BTCTRY"
TICKS, ENTRY_AT, EXIT_AT = 15, 3, 9
D = Decimal


def play(folder: Path, *, in_process: bool = True) -> Day:
    """Buy on a signal, hold behind a resting stop, sell on a signal."""

    def on_tick(number: int, results: list[JobResult]) -> None:
        heartbeat = next(result for result in results if result.door == "heartbeat")
        assert "Overall: OK" in heartbeat.last_line, heartbeat.last_line
        if number == ENTRY_AT:
            entry = {"notional_quote": "150", "stop_price": "50000"}  # the market stays above 55000
            daykit.drop_signal(played, "in", venue=VENUE, symbol=SYMBOL, **entry)
        elif number == EXIT_AT:
            assert stops(folder), "the position is held behind a stop"
            daykit.drop_signal(played, "out", venue=VENUE, symbol=SYMBOL, side="SELL", kind="EXIT")

    changes = daykit.NO_STRATEGIES
    with daykit.day(folder, SYMBOL, "--seed", "11", venue=VENUE, changes=changes, in_process=in_process) as played:
        played.play(TICKS, on_tick)
    return played


def stops(folder: Path) -> list[dict[str, str]]:
    """Stop orders that stand in the paper exchange's own books."""
    books = json.loads((folder / "state" / "paper_broker.json").read_text())["venues"][VENUE]
    return [one for one in books["orders"] if one["type"] == "STOP_LOSS_LIMIT" and D(one.get("reserve", "0"))]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Day]:
    folder = tmp_path_factory.mktemp("btcturk") / "home"
    return folder, play(folder)


def test_every_job_completes(session: tuple[Path, Day]) -> None:
    folder, played = session
    assert {name for name in played.counts if not name.endswith("exit 0")} == set()
    assert not (folder / "execution-logs" / "errors.log").exists()


def test_it_buys_holds_behind_a_stop_and_sells(session: tuple[Path, Day]) -> None:
    folder, _ = session
    created = [e["data"] for e in daykit.lines_of(folder) if e["event"] == "INTENT_CREATED"]
    assert [(one["leg"], one["type"]) for one in created] == [
        ("entry", "LIMIT"), ("stop", "STOP_LOSS_LIMIT"), ("exit", "LIMIT"),
    ]  # fmt: skip
    fold = daykit.fold_of(folder)
    assert fold.positions.positions == {}
    assert stops(folder) == []


def test_fee_and_tax_are_paid_in_lira_and_the_money_closes(session: tuple[Path, Day]) -> None:
    folder, _ = session
    fills = [e["data"] for e in daykit.lines_of(folder) if e["event"] == "FILL"]
    assert {one["side"] for one in fills} == {"BUY", "SELL"}
    for one in fills:
        due = D(one["quantity"]) * D(one["price"]) * D("0.00118")  # 10 bps and 18 % tax on them
        assert one["fee_asset"] == "TRY"
        assert 0 <= due - D(one["fee"]) < D("1e-8")
    daykit.assert_money_closes(folder, VENUE, "TRY")
    done = [e["data"] for e in daykit.lines_of(folder) if e["event"] == "RECONCILE_DONE"]
    assert len(done) == TICKS // 5
    assert all(one["clean"] for one in done)


@pytest.mark.slow
def test_separate_processes_give_the_same_journal(session: tuple[Path, Day], tmp_path: Path) -> None:
    play(tmp_path / "apart", in_process=False)
    assert daykit.journal_hash(tmp_path / "apart") == daykit.journal_hash(session[0])
