"""PAUSE and DEGRADE: latched, never cleared by a file, released only when every cause is gone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from desk.base.reasons import Reason
from desk.journal.chain import Line, NewEvent
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import observed, pause, pause_causes
from desk.risk.pause import ResumeReport
from desk.risk.pause_causes import ResumeFacts, still_held
from unit.risk.latch_kit import MINUTE_MS, START_MS, Room, make

NOW = START_MS + 10 * MINUTE_MS
CALM = ResumeFacts(now_ms=NOW, measured_ms=NOW, disk_free_bytes=10**10)


class Died(BaseException):
    """The process is gone."""


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


def latch(room: Room, *reasons: str, **words: str) -> pause.PauseReport:
    return pause.latch_pause(room.home, room.journal(), reasons, "tester", **words)


def resume(room: Room, facts: ResumeFacts = CALM, journal: Journal | None = None) -> ResumeReport:
    return pause.resume(
        room.home, journal or room.journal(), "checked", "tester",
        lambda fold, doc: observed.resume_facts(facts, fold, doc), is_live=room.mode == "LIVE",
    )  # fmt: skip


def test_pause_is_written_twice_and_idempotent(paper: Room) -> None:
    assert latch(paper, Reason.MANUAL_PAUSE, note="lunch").durable
    text, seq = paper.path("pause").read_text(), paper.fold().seq
    latch(paper, Reason.MANUAL_PAUSE, note="lunch")
    assert (paper.path("pause").read_text(), paper.fold().seq) == (text, seq)
    doc = paper.doc("pause")
    assert {"state", "reasons", "since", "by"} <= doc.keys() and doc["state"] == "PAUSE"
    alert = paper.events("ALERT_RAISED")[0]["data"]
    assert alert["severity"] == "CRIT" and alert["action"].startswith("resume.py --reason")


def test_a_pause_outranks_a_degrade_and_reasons_add_up(paper: Room) -> None:
    latch(paper, Reason.MANUAL_DEGRADE, state="DEGRADE")
    assert paper.latches().pause.state == "DEGRADE"
    latch(paper, Reason.DISK_PAUSE)
    latch(paper, Reason.MANUAL_DEGRADE, state="DEGRADE")
    found = paper.latches().pause
    assert found.state == "PAUSE" and set(found.reasons) == {Reason.MANUAL_DEGRADE, Reason.DISK_PAUSE}


@pytest.mark.parametrize("text", ['{"state": "NORMAL"}', '{"state": "NORMAL", "reasons": [], "by": "me"}', None])
def test_no_file_lifts_a_pause(paper: Room, text: str | None) -> None:
    latch(paper, Reason.MANUAL_PAUSE)
    paper.path("pause").unlink() if text is None else paper.hand("pause", text)
    assert paper.latches().pause.state == "PAUSE"
    paper.sync()
    assert paper.doc("pause")["state"] == "PAUSE"


def test_resume_is_journalled_and_clears_the_alert(paper: Room) -> None:
    latch(paper, Reason.MANUAL_PAUSE)
    assert resume(paper).released
    assert paper.latches().pause.state == "NORMAL" and not paper.fold().portfolio.alerts
    assert paper.events("PAUSE_RELEASED")[0]["data"] == {"by": "tester", "reason": "checked"}
    again = resume(paper)
    assert not again.released and not again.was_active and not again.held


def test_a_crash_between_journal_and_file_leaves_it_paused_and_resume_finishes(paper: Room) -> None:
    latch(paper, Reason.DISK_PAUSE)
    with pytest.raises(Died):
        resume(paper, CALM, DiesAfter(paper.home, paper.journal().ctx))
    assert paper.fold().portfolio.pause.state == "NORMAL" and paper.latches().pause.state == "PAUSE"
    paper.sync()
    assert paper.latches().pause.state == "PAUSE"
    assert resume(paper, replace(CALM, disk_free_bytes=0)).released  # judged when it was journalled
    assert paper.latches().pause.state == "NORMAL" and len(paper.events("PAUSE_RELEASED")) == 1


def test_pause_holds_by_the_file_alone_and_by_the_journal_alone(paper: Room) -> None:
    journal = paper.journal()
    journal._dead = "cannot be written (planted)"
    report = pause.latch_pause(paper.home, journal, [Reason.AUDIT_UNWRITABLE], "tester")
    assert report.file_written and not report.journalled and paper.latches().pause.state == "PAUSE"
    paper.path("pause").unlink()
    paper.path("pause").mkdir()
    report = latch(paper, Reason.DISK_PAUSE)
    assert report.journalled and not report.file_written and paper.latches().pause.state == "PAUSE"


def test_a_corrupt_pause_file_is_resumed_through_the_journal(paper: Room) -> None:
    paper.hand("pause", "{")
    assert resume(paper).released
    assert paper.doc("pause")["state"] == "NORMAL" and len(paper.events("PAUSE_RELEASED")) == 1


@pytest.mark.parametrize(
    ("code", "good", "bad"),
    [
        (Reason.MANUAL_PAUSE, CALM, None),
        (Reason.MANUAL_DEGRADE, CALM, None),
        (Reason.DISK_PAUSE, CALM, replace(CALM, disk_free_bytes=CALM.disk_pause_bytes)),
        (Reason.LOOP_PAUSE, CALM, replace(CALM, late_jobs=("router",))),
        (Reason.REST_PAUSE, replace(CALM, seen_ms={Reason.REST_PAUSE: NOW - 1}), CALM),
        (
            Reason.REST_PAUSE,
            replace(CALM, seen_ms={Reason.REST_PAUSE: 1}),
            replace(CALM, seen_ms={Reason.REST_PAUSE: NOW}),
        ),
        (
            Reason.REST_PAUSE,
            replace(CALM, seen_ms={Reason.REST_PAUSE: 1}),
            replace(CALM, seen_ms={Reason.REST_PAUSE: 1}, measured_ms=NOW - 180_001),
        ),
        (
            Reason.TIMESTAMP_PAUSE,
            replace(CALM, seen_ms={Reason.TIMESTAMP_PAUSE: 1}),
            replace(CALM, seen_ms={Reason.TIMESTAMP_PAUSE: 1}, active_codes=frozenset({str(Reason.TIMESTAMP_PAUSE)})),
        ),
        (
            Reason.DRIFT_PAUSE,
            replace(CALM, seen_ms={Reason.DRIFT_PAUSE: 5}, reconcile_ms=6),
            replace(CALM, seen_ms={Reason.DRIFT_PAUSE: 5}, reconcile_ms=5),
        ),
        (
            Reason.DRIFT_PAUSE,
            replace(CALM, seen_ms={Reason.DRIFT_PAUSE: 5}, reconcile_ms=6, limits_then="a", limits_now="a"),
            replace(CALM, seen_ms={Reason.DRIFT_PAUSE: 5}, reconcile_ms=6, limits_then="a", limits_now="b"),
        ),
        (
            Reason.MANUAL_NEEDED,
            replace(CALM, seen_ms={Reason.MANUAL_NEEDED: 5}, reconcile_ms=6),
            replace(CALM, reconcile_ms=6),  # unknown since when
        ),
        (Reason.AUDIT_RESEALED, CALM, replace(CALM, is_resealed=True)),
        (
            Reason.BREAKER_PAUSE,
            replace(CALM, has_open_breaker=True, unknown_orders=1),
            replace(CALM, has_open_breaker=True, unknown_orders=1, open_positions=1),
        ),
        (Reason.PAPER_LOST, CALM, replace(CALM, has_paper_books=False)),
        (Reason.AI_NOT_CONFIGURED, replace(CALM, seen_ms={Reason.AI_NOT_CONFIGURED: 1}), CALM),
        ("checking something", CALM, None),
    ],
)
def test_each_cause_has_its_check(code: str, good: ResumeFacts, bad: ResumeFacts | None) -> None:
    assert still_held((str(code),), good) == ()
    if bad is not None:
        assert len(still_held((str(code),), bad)) == 1


def test_resume_is_refused_while_one_of_several_causes_holds(paper: Room) -> None:
    latch(paper, Reason.MANUAL_PAUSE, Reason.DISK_PAUSE)
    before = (paper.path("pause").read_text(), paper.fold().seq)
    report = resume(paper, replace(CALM, disk_free_bytes=0))
    assert not report.released and "DISK_LOW_PAUSE" in report.held[0]
    assert (paper.path("pause").read_text(), paper.fold().seq) == before


def test_facts_come_from_the_fold_and_the_file(paper: Room) -> None:
    latch(paper, Reason.DRIFT_PAUSE, limits_hash="then")
    paper.at(NOW)
    latch(paper, Reason.DRIFT_PAUSE, limits_hash="later")
    found = observed.resume_facts(CALM, paper.fold(), paper.doc("pause"))
    assert found.limits_then == "then" and found.seen_ms == {str(Reason.DRIFT_PAUSE): NOW}


def test_outside_facts_are_read_from_records(paper: Room) -> None:
    found = observed.for_resume(paper.home, paper.settings())
    assert found.late_jobs == ("router", "reconcile") and found.measured_ms == 0 and not found.has_paper_books
    assert found.disk_free_bytes > 0
    (paper.home.state / "runs").mkdir()
    for door in ("router", "reconcile", "heartbeat"):
        paper.hand(f"runs/{door}", f'{{"lastRunAtMs": {START_MS}}}')
    paper.hand("reconcile", f'{{"clean": true, "score": 0, "last_success_ms": {START_MS - 5}}}')
    paper.hand("system_status", '{"active_codes": ["health:rest_stale_pause", 7]}')
    paper.hand("paper_broker", "{}")
    found = observed.for_resume(paper.home, paper.settings())
    assert found.late_jobs == () and found.measured_ms == START_MS and found.has_paper_books
    assert found.reconcile_ms == START_MS - 5 and found.active_codes == {"health:rest_stale_pause"}
    paper.hand("reconcile", f'{{"clean": false, "score": 9, "last_success_ms": {START_MS - 5}}}')
    assert observed.for_resume(paper.home, paper.settings()).reconcile_ms == 0


def test_every_row_of_the_table_is_a_code() -> None:
    assert all(isinstance(code, Reason) for code in pause_causes.TABLE)
