"""What a release may be judged by besides the journal: run records, status, reconcile, disk. Reads only.

Whatever cannot be read is 0 or absent: the rules read that as "not proven" (P3).
"""

import os
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import StateError
from desk.base.paths import Home
from desk.config.load import Settings, job_of
from desk.config.mode import Mode
from desk.journal.state import Fold
from desk.risk import environment_hold, facts_files, latch_file, limits_overlay
from desk.risk.kill_reasons import ReleaseFacts
from desk.risk.pause_causes import ResumeFacts
from desk.risk.pause_forms import LIMITS_HASH
from desk.state import store
from desk.state.store import Doc

HEARTBEAT: Final = "heartbeat"
WATCHED_JOBS: Final = ("router", "reconcile")


def for_release(home: Home, settings: Settings, *, rebase_peak: bool) -> ReleaseFacts:
    """The outside facts of a kill-switch release; `kill_forms.release_facts` adds those of the fold and the file."""
    now_ms = clock.now_ms()
    limits, _ = limits_overlay.effective_limits(settings, limits_overlay.read(home), now_ms)
    done = facts_files.reconciled(home)
    return ReleaseFacts(
        now_ms=now_ms,
        measured_ms=_last_run(home, HEARTBEAT),
        fresh_ms=_fresh_ms(settings),
        active_codes=_active_codes(home),
        daily_loss_frac=limits.capital.daily_loss_frac,
        daily_loss_quote=limits.capital.daily_loss_quote,
        drawdown_kill_frac=limits.capital.drawdown_kill_frac,
        rebase_peak=rebase_peak,
        keys_now=key_marks(settings),
        foreign_ms=done.last_success_ms if done is not None else 0,
        env_hold=environment_hold.find(home),
    )


def for_resume(home: Home, settings: Settings) -> ResumeFacts:
    """The outside facts of a resume; `resume_facts` adds those of the fold and the file."""
    done = facts_files.reconciled(home)
    paper = settings.mode is Mode.PAPER
    return ResumeFacts(
        now_ms=clock.now_ms(),
        measured_ms=_last_run(home, HEARTBEAT),
        fresh_ms=_fresh_ms(settings),
        active_codes=_active_codes(home),
        disk_free_bytes=_free_bytes(home),
        disk_pause_bytes=settings.config.health.disk_pause_bytes,
        reconcile_ms=done.last_success_ms if done is not None and done.clean else 0,
        late_jobs=_late_jobs(home, settings),
        limits_now=settings.config_hash,
        has_paper_books=not paper or latch_file.read_control(home, "paper_broker").doc is not None,
    )


def resume_facts(observed: ResumeFacts, fold: Fold, doc: Doc | None) -> ResumeFacts:
    """`observed` completed with what the fold and the file know of this pause."""
    seen = dict.fromkeys(fold.portfolio.pause.reasons, fold.portfolio.pause.since_ms)
    for code, at_ms in latch_file.seen_ms(doc).items():
        seen[code] = max(at_ms, seen.get(code, 0))
    then = (doc or {}).get(LIMITS_HASH)
    intents = fold.intents.intents.values()
    return msgspec.structs.replace(
        observed,
        seen_ms=seen,
        limits_then=then if isinstance(then, str) else "",
        is_resealed=fold.portfolio.resealed,
        has_open_breaker="open" in fold.portfolio.breakers.values(),
        unknown_orders=sum(1 for intent in intents if intent.state == "SENT_UNKNOWN"),
        open_positions=sum(1 for position in fold.positions.positions.values() if position.quantity),
    )


def key_marks(settings: Settings) -> dict[str, str]:
    """venue -> fingerprint of its API key, for every listed venue that has one."""
    marks = {venue: settings.keys(venue).mark for venue in settings.venues}
    return {venue: mark for venue, mark in marks.items() if mark}


def _fresh_ms(settings: Settings) -> int:
    job = job_of(settings.config, HEARTBEAT)
    interval_s = job.interval_s if job is not None else 60
    return settings.config.health.system_status_max_intervals * interval_s * 1000


def _late_jobs(home: Home, settings: Settings) -> tuple[str, ...]:
    """Router and reconcile, where they are later than PAUSE allows."""
    late = []
    for door in WATCHED_JOBS:
        job = job_of(settings.config, door)
        if job is None:
            continue
        allowed_ms = settings.config.health.late_pause_intervals * job.interval_s * 1000
        if clock.now_ms() - _last_run(home, door) > allowed_ms:
            late.append(door)
    return tuple(late)


def _last_run(home: Home, door: str) -> int:
    try:
        value = (store.read(home, "runs", script=door) or {}).get("lastRunAtMs")
    except StateError:
        return 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _active_codes(home: Home) -> frozenset[str]:
    """Codes whose condition holds now, as heartbeat wrote them (`active_codes` of system_status.json)."""
    codes = _read(home, "system_status").get("active_codes")
    return frozenset(code for code in codes if isinstance(code, str)) if isinstance(codes, list) else frozenset()


def _read(home: Home, key: str) -> dict[str, Any]:
    try:
        return store.read(home, key) or {}
    except StateError:
        return {}


def _free_bytes(home: Home) -> int:
    try:
        found = os.statvfs(home.logs)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
