"""The part of the facts that stands in files of this host: status, reconcile, journal health, arming. Reads only.

A file that is missing, corrupt or does not say what it must gives None; it is never filled in with a guess (P3).
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from desk.base import clock
from desk.base.errors import StateError
from desk.base.paths import Home
from desk.config.load import Settings
from desk.config.mode import VenueEnv
from desk.journal import files
from desk.journal.state import Fold
from desk.risk import arming_latch
from desk.risk.certificate import certificate
from desk.risk.facts import Arming, JournalHealth, Reconciled, Status
from desk.state import store

SYSTEM_MODES: Final = frozenset({"NORMAL", "DEGRADE", "PAUSE", "EXIT"})
AI_REQUIRED: Final = 2
SPACE_MIN_BYTES: Final = 65_536  # one group of events fits


def status(home: Home) -> Status | None:
    """system_status.json; None when it cannot be used."""
    doc = _read(home, "system_status")
    judged = doc.get("system_mode")
    if not isinstance(judged, dict):
        return None
    mode, written_ms = judged.get("mode"), _time(doc, "written")
    if not isinstance(mode, str) or mode not in SYSTEM_MODES or not written_ms:
        return None
    return Status(mode=mode, reasons=_codes(judged.get("reasons")), written_ms=written_ms)


def reconciled(home: Home) -> Reconciled | None:
    """reconcile.json; None when it cannot be used."""
    doc = _read(home, "reconcile")
    score, clean = doc.get("score"), doc.get("clean")
    if not isinstance(score, int) or isinstance(score, bool) or not isinstance(clean, bool):
        return None
    return Reconciled(last_success_ms=_time(doc, "last_success"), clean=clean, score=score)


def journal_health(home: Home, fold: Fold | None, problem: str = "") -> JournalHealth:
    """Whether the journal can take the next group.

    Args:
        fold: the folded journal, None when it could not be read.
        problem: why it could not be read: then it counts as damaged.
    """
    reserve = files.has_reserve(home)
    path = home.journal if home.journal.exists() else home.logs
    may_write = os.access(path, os.W_OK)
    roomy = _free_bytes(home) >= SPACE_MIN_BYTES
    writable = may_write and (reserve or roomy)
    why = problem or ("" if writable else "no permission" if not may_write else "no space, reserve used up")
    return JournalHealth(writable=writable, damaged=fold is None, reserve=reserve, roomy=roomy, problem=why)


def arming(settings: Settings, fold: Fold | None, *, live: bool, dry_run: bool) -> Arming:
    """What the operator has said about sending (design 6), read anew from the files.

    Args:
        fold: None when the journal cannot be read: then nothing is armed.
        live: --live on the door.
        dry_run: --dry-run on the door; DRY_RUN=true counts as well.
    """
    switches = settings.switches
    found = certificate(settings.home, settings)
    return Arming(
        live_flag=live, dry_run=dry_run or switches.dry_run, safe_mode=switches.safe_mode,
        live_trading=switches.live_trading, ack=switches.live_trading_ack,
        baseline=arming_latch.holds_baseline(settings.home, fold),
        live_ok=arming_latch.is_armed(settings.home, fold, by_hand=settings.venue_env is not VenueEnv.MAINNET),
        certificate_required=found.required, certificate_valid=found.valid,
        ai_gate_missing=settings.config.system.ai_dec == AI_REQUIRED,
    )  # fmt: skip


def _read(home: Home, key: str) -> Mapping[str, Any]:
    try:
        return store.read(home, key) or {}
    except StateError:
        return {}


def _time(doc: Mapping[str, Any], name: str) -> int:
    """`<name>_ms` as a whole number, else `<name>_at` as ISO time; 0 for neither."""
    value = doc.get(f"{name}_ms")
    if isinstance(value, int) and not isinstance(value, bool):
        return max(value, 0)
    try:
        return clock.parse_iso(doc[f"{name}_at"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0


def _codes(value: Any) -> tuple[str, ...]:
    """Reason codes, written as text or as objects with a `code`."""
    items = value if isinstance(value, list) else []
    found = (item.get("code") if isinstance(item, dict) else item for item in items)
    return tuple(code for code in found if isinstance(code, str))


def _free_bytes(home: Home) -> int:
    try:
        found = os.statvfs(home.logs)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
