"""Recovery outcomes: which evidence leads to which, journalled from beginning to end, with the command that ends it."""

import json
from pathlib import Path

import pytest

from desk.base.reasons import Reason
from desk.execution import alert_care, lookup, protect, recovery, submit
from desk.execution.desk import Desk
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.risk import pause
from kit import Bench, bench, entry, ok

NAME = "binance:BTCUSDT"


@pytest.fixture
def b(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    return bench(home)


def outcomes(desk: Desk) -> list[tuple[str, str]]:
    return [(one.outcome, one.evidence) for one in recovery.write_down(desk)]


def told(b: Bench) -> list[tuple[str, str, str]]:
    lines = map(json.loads, b.home.journal.read_text().splitlines())
    found = [line["data"] for line in lines if line["event"] == "RECOVERY_OUTCOME"]
    return [(data["state"], data["outcome"], data["evidence"]) for data in found]


def hold(b: Bench) -> Desk:
    desk = b.desk()
    submit.submit(desk, entry(), ok)
    assert desk.facts is not None
    protect.manage(desk, NAME, desk.facts.symbols[NAME], ok)
    return desk


def test_the_table_names_three_outcomes_and_a_command_for_each_evidence() -> None:
    assert {row.outcome for row in recovery.TABLE} == {"RESUME_MANAGE_ONLY", "CLOSE_SAFELY", "PAUSE_NEEDS_MANUAL"}
    assert all(row.ends.split()[0].endswith(".py") for row in recovery.TABLE)
    assert len({row.evidence for row in recovery.TABLE}) == len(recovery.TABLE)


def test_nothing_odd_writes_nothing(b: Bench) -> None:
    desk = hold(b)
    before = b.home.journal.read_bytes()
    assert outcomes(desk) == []
    assert b.home.journal.read_bytes() == before


def test_an_unknown_order_is_manage_only_until_it_is_found(b: Bench) -> None:
    b.faults.drop_after_accept = 1
    submit.submit(b.desk(), entry(), ok)
    assert outcomes(b.desk()) == outcomes(b.desk()) == [("RESUME_MANAGE_ONLY", "unknown_order")]
    lookup.look_at_all(b.desk())
    assert outcomes(b.desk()) == []
    assert told(b) == [(what, "RESUME_MANAGE_ONLY", "unknown_order") for what in ("began", "ended")]


def test_an_anomaly_names_its_repair(b: Bench) -> None:
    desk = hold(b)
    (order_id, _) = desk.fold().intents.intents
    data = {"client_order_id": order_id, "state": "CONFIRMED", "evidence": "status ODD"}
    desk.commit_events(NewEvent(event=Event.INTENT_ANOMALY, venue="binance", symbol="BTCUSDT", data=data))
    (one,) = recovery.write_down(desk)
    assert (one.outcome, one.evidence) == ("RESUME_MANAGE_ONLY", "anomaly")
    assert f"reconcile.py --repair adopt {order_id} --reason TEXT --ack I_UNDERSTAND" in one.line()


def test_a_position_without_a_stop_is_close_safely(b: Bench) -> None:
    desk = b.desk()
    submit.submit(desk, entry(), ok)
    position = b.position()
    assert position is not None
    data = {"position_id": position.position_id, "quantity": "0.001"}
    desk.commit_events(NewEvent(event=Event.UNPROTECTED, venue="binance", symbol="BTCUSDT", data=data))
    assert outcomes(desk) == [("CLOSE_SAFELY", "unprotected")]


def test_a_pause_that_needs_a_hand_is_so_until_it_is_released(b: Bench) -> None:
    run = b.run()
    b.desk().alert(Reason.MANUAL_NEEDED, "a balance changed", "o1", "binance", "BTCUSDT")
    pause.latch_pause(run.home, run.journal, (str(Reason.MANUAL_NEEDED),), "router")
    assert outcomes(b.desk()) == [("PAUSE_NEEDS_MANUAL", "manual_needed")]
    alert_care.end_what_is_over(b.desk())
    assert "o1" in str(list(b.desk().fold().portfolio.alerts)), "the cause holds"
    b.desk().commit_events(NewEvent(event=Event.PAUSE_RELEASED, data={"reason": "looked", "by": "me"}))
    alert_care.end_what_is_over(b.desk())
    assert outcomes(b.desk()) == []
    assert "o1" not in str(list(b.desk().fold().portfolio.alerts))


def test_alerts_of_the_order_path_end_with_their_cause(b: Bench) -> None:
    b.faults.drop_after_accept = 1
    sent = submit.submit(b.desk(), entry(), ok)
    b.later(400_000)
    lookup.alert_old_unknowns(b.desk())
    alert_care.end_what_is_over(b.desk())
    code = str(Reason.UNKNOWN_ORDER)
    standing = [alert.code for alert in b.desk().fold().portfolio.alerts.values()]
    assert standing == [code], sent
    lookup.look_at_all(b.desk())
    alert_care.end_what_is_over(b.desk())
    assert not b.desk().fold().portfolio.alerts


@pytest.mark.parametrize("subject", ["health:intents:o1", "pause", "kill_switch"])
def test_alerts_of_heartbeat_and_of_latches_are_left_alone(b: Bench, subject: str) -> None:
    desk = b.desk()
    desk.commit_events(check.alert(Reason.STUCK_ORDER, "a text", subject))
    alert_care.end_what_is_over(desk)
    assert len(desk.fold().portfolio.alerts) == 1


def test_a_shut_symbol_is_over_when_it_trades_again(b: Bench) -> None:
    desk = hold(b)
    desk.alert(Reason.POSITION_SHUT, "halted", "BTCUSDT", "binance", "BTCUSDT")
    assert outcomes(desk) == [("RESUME_MANAGE_ONLY", "symbol_shut")]
    alert_care.end_what_is_over(desk)
    assert outcomes(desk) == [("RESUME_MANAGE_ONLY", "symbol_shut")], "who has not looked does not know"
    alert_care.end_what_is_over(desk, is_shut=lambda name: False)
    assert outcomes(desk) == []
