"""What a heartbeat leaves for others: `system_status.json` (gates, resume, panel) and `cron_health.json`. Writes both.

They are observations, replaced whole each run, and carry what the next heartbeat must remember: the hysteresis of
DEGRADE, the alerts seen once, the end of its own last silence.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import StateError, WorldError
from desk.base.paths import Home
from desk.health.checks import prices
from desk.health.facts import HealthFacts
from desk.health.result import CheckResult
from desk.journal.state import Fold
from desk.risk.system_mode import ModeState
from desk.state import store

WRITER: Final = "heartbeat"
Doc = Mapping[str, Any]


def previous(home: Home, fold: Fold | None) -> tuple[ModeState, tuple[str, ...]]:
    """The mode state and the alerts seen by the last heartbeat.

    A status that was lost or is corrupt loses no DEGRADE: the journal's mode counts then, and two good heartbeats end
    it as ever.
    """
    doc: Doc = {}
    with suppress(StateError):
        doc = store.read(home, "system_status") or {}
    listed = doc.get("seen_alerts")
    seen = tuple(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else ()
    with suppress(msgspec.ValidationError):
        return msgspec.convert(_renamed(doc.get("system_mode")), ModeState), seen
    if fold is None or fold.portfolio.system_mode == "NORMAL":
        return ModeState(), seen
    journalled = fold.portfolio
    return ModeState(mode=journalled.system_mode, since_ms=journalled.system_mode_since_ms, degraded=True), seen


def _renamed(part: object) -> object:
    """The file's `system_mode` in the fields of ModeState; anything else is left to fail."""
    if not isinstance(part, dict) or not isinstance(part.get("reasons"), list):
        return None
    reasons = [item.get("code") if isinstance(item, dict) else item for item in part["reasons"]]
    return part | {"reasons": reasons, "good": part.get("good_heartbeats")}


def write(
    home: Home, facts: HealthFacts, results: Mapping[str, CheckResult], mode: ModeState, overall: str,
    trading: tuple[str, tuple[str, ...]], codes: tuple[str, ...], seen: Iterable[str],
) -> tuple[str, ...]:  # fmt: skip
    """Write both files.

    Returns:
        One clause for each that could not be written.
    """
    status = status_doc(facts, results, mode, overall, trading, codes, seen)
    problems = []
    for key, doc in (("system_status", status), ("cron_health", cron_doc(facts, results))):
        try:
            store.write(home, key, doc, WRITER)
        except WorldError as error:
            problems.append(error.line())
    return tuple(problems)


def status_doc(
    facts: HealthFacts, results: Mapping[str, CheckResult], mode: ModeState, overall: str,
    trading: tuple[str, tuple[str, ...]], codes: tuple[str, ...], seen: Iterable[str],
) -> dict[str, Any]:  # fmt: skip
    """`system_status.json`: what `risk.facts_files.status` and the release commands read, and our own memory."""
    word, unmet = trading
    return {
        "written_at": clock.iso(facts.now_ms),
        "written_ms": facts.now_ms,
        "judged_as": facts.mode,
        "overall": overall,
        "trading": word,
        "trading_codes": list(unmet),
        "system_mode": {
            "mode": mode.mode,
            "reasons": [{"code": code, "since_ms": mode.since_ms} for code in mode.reasons],
            "since_ms": mode.since_ms,
            "good_heartbeats": mode.good,
            "good_since_ms": mode.good_since_ms,
            "degraded": mode.degraded,
            "causes": list(mode.causes),
        },
        "active_codes": list(codes),
        "checks": {name: _check(result) for name, result in results.items()},
        "seen_alerts": sorted(seen),
        "rest_errors_since_ms": prices.rest_errors_since_ms(facts),
    }


def cron_doc(facts: HealthFacts, results: Mapping[str, CheckResult]) -> dict[str, Any]:
    """`cron_health.json`: each job, and since when lateness counts."""
    found = results["cron_health"]
    kept = {job.door: {"last_run_ms": job.last_run_ms} for job in facts.jobs}
    return {
        "written_at": clock.iso(facts.now_ms),
        "status": str(found.status),
        "install_ms": facts.install_ms,
        "gap_end_ms": facts.gap_end_ms,
        "jobs": {door: {**row, **found.data.get(door, {})} for door, row in kept.items()},
    }


def _check(result: CheckResult) -> dict[str, Any]:
    return {"status": str(result.status), "detail": result.detail, "codes": list(result.codes)}
