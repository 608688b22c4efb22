"""The effective latches: kill switch and PAUSE, the strictest of file, journal and environment (design 3, P11).

`effective` reads and never writes. `sync_environment` is for doors that run from cron: it engages for KILL_SWITCH=true,
takes into the journal what only a file holds, names edited files, and puts missing control files in place.
"""

from typing import Final

import msgspec

from desk.base.errors import WorldError
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.config.load import Settings
from desk.config.mode import Mode
from desk.journal.journal import Journal
from desk.journal.state import Fold, empty
from desk.risk import environment_hold, kill_forms, kill_switch, latch_file, latch_settle, pause_forms
from desk.risk.latch_file import KILL_KEY, MANUAL, PAUSE, PAUSE_KEY, REDUCE_ONLY, KillView, PauseView, Reading
from desk.state import store

ENVIRONMENT_NOTE: Final = "KILL_SWITCH=true in the environment"
BLIND: Final = "the journal cannot be read"
NOT_READ: Final = Reading(None, "missing")


class Latches(msgspec.Struct, frozen=True):
    """What holds right now.

    Attributes:
        problems: reason codes of what could not be read or understood; each made its latch read as on.
        details: the same, one clause each, for the operator.
        edited: control files written by hand and not yet journalled.
    """

    kill: KillView
    pause: PauseView
    env_kill: bool
    problems: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    kill_file: Reading = NOT_READ
    pause_file: Reading = NOT_READ

    @property
    def frozen(self) -> bool:
        """FREEZE_ALL: nothing is sent, cancels included."""
        return self.kill.active and self.kill.level == latch_file.FREEZE_ALL


class SyncReport(msgspec.Struct, frozen=True):
    """What `sync_environment` did: whether it engaged for the environment, and what could not be written."""

    engaged: bool = False
    problems: tuple[str, ...] = ()


def effective(home: Home, fold: Fold | None, settings: Settings | None) -> Latches:
    """The strictest reading of both latches; never raises for what stands on the disk.

    Args:
        fold: None when the journal cannot be read: then nothing is believed to be off.
        settings: None when the configuration cannot be read; a missing file then reads as in LIVE.
    """
    strict = is_live(fold, settings)
    kill_file, pause_file = latch_file.read_control(home, KILL_KEY), latch_file.read_control(home, PAUSE_KEY)
    env_kill = bool(environment_hold.find(home)) or (settings is not None and settings.switches.kill_switch)
    kill, kill_words = _kill(fold, kill_file, strict, env_kill)
    pause, pause_words = _pause(fold, pause_file, strict)
    details = [reading.detail for reading in (kill_file, pause_file) if reading.problem in {"corrupt", "unreadable"}]
    details += [f"kill_switch.json: unknown {word}" for word in kill_words]
    details += [f"pause.json: unknown {word}" for word in pause_words]
    codes = [str(Reason.STATE_CORRUPT)] if details else []
    if fold is None:
        details.append(BLIND)
        codes.append(str(Reason.AUDIT_DAMAGED))
    files = ((KILL_KEY, kill_file), (PAUSE_KEY, pause_file))
    edited = tuple(key for key, found in files if found.doc is not None and store.was_edited(found.doc))
    return Latches(kill, pause, env_kill, tuple(codes), tuple(details), edited, kill_file, pause_file)


def is_live(fold: Fold | None, settings: Settings | None) -> bool:
    """A missing file reads as in LIVE: by the folder's stamp, by SYSTEM_MODE, or when neither is known."""
    stamp = fold.portfolio.mode if fold is not None else ""
    modes = {stamp, settings.mode if settings is not None else ""} - {""}
    return not modes or Mode.LIVE in modes


def sync_environment(home: Home, journal: Journal, settings: Settings | None) -> SyncReport:
    """Bring file, journal and environment together, always towards the strictest. Never raises for what the disk does.

    A quiet call reads two files and the fold and writes nothing.
    """
    problems: list[str] = []
    engaged = False
    if environment_hold.find(home) or (settings is not None and settings.switches.kill_switch):
        report = kill_switch.engage(home, journal, ENVIRONMENT_NOTE, "environment")
        problems.extend(report.problems)
        engaged = True
    for settle in latch_settle.ALL:
        try:
            settle(home, journal)
        except WorldError as error:
            problems.append(error.line())
    return SyncReport(engaged, tuple(dict.fromkeys(problems)))


def _kill(fold: Fold | None, reading: Reading, strict: bool, env_kill: bool) -> tuple[KillView, tuple[str, ...]]:
    views, words = [_kill_of_fold(fold, strict)], tuple[str, ...]()
    if reading.doc is not None:
        parsed = latch_file.parse_kill(reading.doc)
        views += [parsed.kill] if parsed.kill is not None else []
        words = parsed.unknown_words
    elif reading.problem != "missing":
        views.append(KillView(True, REDUCE_ONLY, (MANUAL,), reading.detail, source=f"{reading.problem} file"))
    elif strict:
        views.append(kill_forms.MISSING_LIVE)
    if env_kill:
        views.append(KillView(True, REDUCE_ONLY, (MANUAL,), ENVIRONMENT_NOTE, by="environment", source="environment"))
    return latch_file.strictest_kill(views), words


def _kill_of_fold(fold: Fold | None, strict: bool) -> KillView:
    """The journal's latch; before the first write, the one its genesis will carry."""
    if fold is None:
        return KillView(True, REDUCE_ONLY, (MANUAL,), BLIND, source="unreadable journal")
    if not fold.seq:
        note = "a new LIVE folder starts with the kill switch active"
        return KillView(strict, REDUCE_ONLY if strict else "", (MANUAL,) if strict else (), note, source="genesis")
    return latch_file.kill_of_journal(fold.portfolio.kill_switch)


def _pause(fold: Fold | None, reading: Reading, strict: bool) -> tuple[PauseView, tuple[str, ...]]:
    blind = PauseView(PAUSE, (str(Reason.AUDIT_DAMAGED),), BLIND, source="unreadable journal")
    if reading.problem in {"corrupt", "unreadable"}:
        unread = pause_forms.unread(reading.detail)
        known = blind if fold is None else latch_file.pause_of_journal(fold.portfolio.pause)
        return latch_file.strictest_pause([known, unread]), ()
    view = pause_forms.view_of(fold or empty(), reading.doc, is_live=strict)
    words = latch_file.parse_pause(reading.doc).unknown_words if reading.doc is not None else ()
    return (view if fold is not None else latch_file.strictest_pause([blind, view])), words
