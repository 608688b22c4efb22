"""Engage and release against real files: idempotent, file and journal in their order, crashes in between."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from desk.base.errors import LockBusy
from desk.journal.chain import Line, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import kill_switch
from desk.state import lock, store
from unit.risk.latch_kit import DAY_MS, MINUTE_MS, START_MS, Room, make


class Died(BaseException):
    """The process is gone."""


class DiesBefore(Journal):
    """The file was written, the journal never is."""

    def transact(self, decide: Callable[[Fold], Sequence[NewEvent]]) -> tuple[Fold, list[Line]]:
        raise Died


class DiesAfter(Journal):
    """The journal was written, nothing after it."""

    def transact(self, decide: Callable[[Fold], Sequence[NewEvent]]) -> tuple[Fold, list[Line]]:
        super().transact(decide)
        raise Died


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr("desk.state.store.READ_TRY_GAP_S", 0.0)
    room = make(tmp_path, monkeypatch, "PAPER")
    room.stamp()
    return room


def marked(room: Room, equity: str) -> None:
    """A capital mark, as the router makes it each tick."""
    data = {"quote": "USDT", "equity": equity}
    room.journal().transact(lambda fold: [NewEvent(event=Event.CAPITAL_MARKED, data=data, venue="binance")])


def test_engage_writes_file_journal_and_alert(paper: Room) -> None:
    report = paper.engage("flash_crash")
    assert report.durable and report.file_written and report.journalled and report.problems == ()
    doc = paper.doc("kill_switch")
    assert (doc["state"], doc["level"], doc["reason"], doc["by"]) == ("active", "reduce_only", "flash_crash", "tester")
    assert doc["since"].endswith("+00:00") and not store.was_edited(doc)
    group = paper.events("KILL_SWITCH_ACTIVATED", "ALERT_RAISED")
    assert [line["event"] for line in group] == ["KILL_SWITCH_ACTIVATED", "ALERT_RAISED"]
    assert group[0]["group"][1] == group[1]["group"][1] == 2
    assert group[1]["data"]["text"] == "Kill-switch activated: flash_crash" and group[1]["data"]["severity"] == "CRIT"


def test_engage_again_changes_nothing_and_a_new_reason_is_added(paper: Room) -> None:
    paper.engage("daily_loss")
    text = paper.path("kill_switch").read_text()
    paper.at(START_MS + MINUTE_MS)
    paper.engage("daily_loss")
    assert paper.path("kill_switch").read_text() == text
    assert len(paper.events("KILL_SWITCH_ACTIVATED")) == 1
    paper.engage("spilled coffee", level="freeze_all")
    found = paper.latches().kill
    assert found.reasons == ("daily_loss", "manual") and found.level == "freeze_all" and found.since_ms == START_MS
    paper.engage("manual", level="reduce_only")
    assert paper.latches().frozen  # a lower level never lowers it


def test_a_condition_seen_again_is_noted_in_the_file_only(paper: Room) -> None:
    paper.engage("flash_crash")
    paper.at(START_MS + MINUTE_MS)
    paper.engage("flash_crash")
    assert paper.doc("kill_switch")["seen"]["flash_crash"] == "2026-01-05T00:01:00.000+00:00"
    assert len(paper.events("KILL_SWITCH_ACTIVATED")) == 1
    later = paper.at(START_MS + 15 * MINUTE_MS)
    assert paper.release(measured_ms=later).held
    later = paper.at(START_MS + 16 * MINUTE_MS)
    assert paper.release(measured_ms=later).released


def test_engage_holds_by_the_file_when_the_journal_cannot_be_written(paper: Room) -> None:
    journal = paper.journal()
    journal._dead = "cannot be written (planted)"
    report = kill_switch.engage(paper.home, journal, "manual", "tester")
    assert report.durable and report.file_written and not report.journalled
    assert "cannot be written" in report.problems[0]
    assert paper.latches().kill.active


def test_engage_holds_by_the_journal_when_the_file_cannot_be_written(paper: Room) -> None:
    paper.path("kill_switch").mkdir()
    report = paper.engage("manual")
    assert report.durable and report.journalled and not report.file_written
    assert paper.fold().portfolio.kill_switch.state == "active"


def test_engage_says_when_it_is_nowhere(paper: Room) -> None:
    paper.path("kill_switch").mkdir()
    journal = paper.journal()
    journal._dead = "cannot be written (planted)"
    report = kill_switch.engage(paper.home, journal, "manual", "tester")
    assert not report.durable and len(report.problems) == 2


def test_engage_overwrites_a_corrupt_file_and_keeps_a_copy(paper: Room) -> None:
    paper.hand("kill_switch", '{"state": "inact')
    assert paper.engage("daily_loss").file_written
    assert paper.doc("kill_switch")["reason"] == "daily_loss"
    assert [path.read_text() for path in paper.home.quarantine.glob("kill_switch*")] == ['{"state": "inact']


def test_engage_waits_for_no_one_for_long(paper: Room) -> None:
    paper.patch.setattr(lock, "WAIT_S_MAX", 0.05)
    paper.patch.setattr(lock.hold.__wrapped__, "__defaults__", (0.05,))  # type: ignore[attr-defined]
    import threading

    held, done = threading.Event(), threading.Event()

    def keep() -> None:
        with lock.hold(paper.home, "kill_switch", lock.Rank.CONTROL):
            held.set()
            done.wait(10)

    keeper = threading.Thread(target=keep)
    keeper.start()
    held.wait(10)
    try:
        report = paper.engage("manual")
        assert report.durable and report.journalled and not report.file_written
        with pytest.raises(LockBusy):
            paper.release()
    finally:
        done.set()
        keeper.join()
    assert paper.latches().kill.active


def test_release_writes_journal_then_file_and_clears_the_alert(paper: Room) -> None:
    paper.engage("manual")
    assert paper.fold().portfolio.alerts
    assert paper.release().released
    assert not paper.latches().kill.active
    assert paper.events("KILL_SWITCH_DEACTIVATED")[0]["data"] == {"by": "tester", "reason": "checked"}
    assert not paper.fold().portfolio.alerts
    doc = paper.doc("kill_switch")
    assert doc["state"] == "inactive" and "releasing" not in doc
    again = paper.release()
    assert not again.released and not again.was_active
    assert len(paper.events("KILL_SWITCH_DEACTIVATED")) == 1


def test_release_is_refused_while_a_trigger_holds_and_changes_nothing(paper: Room) -> None:
    paper.engage("daily_loss")
    before = (paper.path("kill_switch").read_text(), paper.fold().seq)
    report = paper.release()
    assert not report.released and "UTC day" in report.held[0]
    assert paper.release(env_hold=".env line 1 says KILL_SWITCH=true").held[0].startswith(".env line 1")
    assert (paper.path("kill_switch").read_text(), paper.fold().seq) == before
    paper.at(START_MS + DAY_MS)
    assert paper.release().released


def test_a_reason_added_later_counts_from_its_own_time(paper: Room) -> None:
    paper.engage("manual")
    paper.at(START_MS + DAY_MS)
    paper.engage("daily_loss")
    assert paper.release().held
    paper.at(START_MS + 2 * DAY_MS)
    assert paper.release().released


def test_rebase_journals_old_and_new_peak_once_in_seven_days(paper: Room) -> None:
    for equity in ("100", "75"):
        marked(paper, equity)
    paper.engage("max_dd_exceeded")
    assert paper.release().held
    report = paper.release(rebase_peak=True)
    assert report.released and report.rebased == ("binance:USDT",)
    rebased = paper.events("PEAK_REBASED")[0]
    assert rebased["data"] == {"new": "75", "old": "100", "quote": "USDT", "reason": "checked"}
    assert rebased["venue"] == "binance" and rebased["group"][1] >= 2
    assert paper.fold().portfolio.capital["binance:USDT"].peak == Decimal(75)
    paper.at(START_MS + 6 * DAY_MS)
    marked(paper, "50")
    paper.engage("max_dd_exceeded")
    assert "7 days" in paper.release(rebase_peak=True).held[0]
    paper.at(START_MS + 7 * DAY_MS)
    assert paper.release(rebase_peak=True).released
    assert len(paper.events("PEAK_REBASED")) == 2


def test_rebase_without_a_drawdown_reason_changes_no_peak(paper: Room) -> None:
    for equity in ("100", "75"):
        marked(paper, equity)
    paper.engage("manual")
    assert paper.release(rebase_peak=True).released
    assert paper.events("PEAK_REBASED") == []


def test_the_keys_of_the_engagement_are_recorded(paper: Room) -> None:
    paper.engage("key_compromise_suspected", key_marks={"binance": "aa"})
    paper.engage("key_compromise_suspected", key_marks={"binance": "bb"})  # the first record stands
    assert paper.doc("kill_switch")["key_marks"] == {"binance": "aa"}
    assert paper.release(keys_now={"binance": "aa"}).held
    assert paper.release(keys_now={"binance": "bb"}).released
    assert "key_marks" not in paper.doc("kill_switch")


def test_a_crash_between_file_and_journal_leaves_it_active_and_engage_finishes(paper: Room) -> None:
    with pytest.raises(Died):
        kill_switch.engage(paper.home, DiesBefore(paper.home, paper.journal().ctx), "daily_loss", "tester")
    assert paper.fold().portfolio.kill_switch.state == "inactive"
    assert paper.latches().kill.active
    paper.engage("daily_loss")
    assert paper.fold().portfolio.kill_switch.reasons == ["daily_loss"]
    assert len(paper.events("KILL_SWITCH_ACTIVATED")) == 1


def test_a_crash_between_file_and_journal_is_finished_by_the_next_tick(paper: Room) -> None:
    with pytest.raises(Died):
        kill_switch.engage(paper.home, DiesBefore(paper.home, paper.journal().ctx), "daily_loss", "tester")
    paper.sync()
    assert paper.fold().portfolio.kill_switch.reasons == ["daily_loss"]


@pytest.mark.parametrize("synced", [False, True])
def test_a_crash_between_journal_and_file_leaves_it_active_and_release_finishes(paper: Room, synced: bool) -> None:
    for equity in ("100", "75"):
        marked(paper, equity)
    paper.engage("max_dd_exceeded")
    paper.engage("daily_loss")
    paper.at(START_MS + DAY_MS)
    marked(paper, "75")
    with pytest.raises(Died):
        paper.release(DiesAfter(paper.home, paper.journal().ctx), rebase_peak=True)
    assert paper.fold().portfolio.kill_switch.state == "inactive"
    assert paper.latches().kill.active
    if synced:
        paper.sync()
        assert paper.latches().kill.active and paper.fold().portfolio.kill_switch.state == "inactive"
    marked(paper, "74")  # the market went on
    assert paper.release(env_hold=".env holds").held  # the environment is judged again
    report = paper.release(rebase_peak=True)
    assert report.released and not paper.latches().kill.active
    assert len(paper.events("KILL_SWITCH_DEACTIVATED")) == 1 and len(paper.events("PEAK_REBASED")) == 1


def test_a_crash_before_the_journal_leaves_it_active_and_release_is_judged_anew(paper: Room) -> None:
    paper.engage("manual")
    with pytest.raises(Died):
        paper.release(DiesBefore(paper.home, paper.journal().ctx))
    assert paper.latches().kill.active and paper.fold().portfolio.kill_switch.state == "active"
    paper.engage("daily_loss")
    assert "releasing" not in paper.doc("kill_switch")
    assert paper.release().held


def test_an_engagement_over_an_unfinished_release_is_judged_in_full(paper: Room) -> None:
    paper.engage("manual")
    with pytest.raises(Died):
        paper.release(DiesAfter(paper.home, paper.journal().ctx))
    paper.engage("daily_loss")
    assert paper.release().held
    assert paper.latches().kill.active


def test_a_hand_written_release_mark_is_no_release(paper: Room) -> None:
    mark = '"releasing": {"reason": "x", "by": "y", "at": "z"}'
    paper.hand("kill_switch", f'{{"state": "active", "reason": "daily_loss", {mark}}}')
    assert paper.fold().portfolio.kill_switch.state == "inactive"
    assert paper.release().held and paper.latches().kill.active
    paper.sync()
    assert paper.fold().portfolio.kill_switch.reasons == ["daily_loss"]


def test_release_of_a_corrupt_file_goes_through_the_journal(paper: Room) -> None:
    paper.hand("kill_switch", "{")
    assert paper.latches().kill.active
    assert paper.release().released
    assert not paper.latches().kill.active
    assert len(paper.events("KILL_SWITCH_DEACTIVATED")) == 1
