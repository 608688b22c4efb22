"""What a heartbeat does before and after it judges: missing files, the breakers' clock, latches, the journal.

Every step may fail without stopping the next: its line comes back, and the run says so. Nothing here sends an order.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from desk.base.errors import JournalError, WorldError
from desk.base.reasons import Reason
from desk.config.load import Settings
from desk.health import announce, gather
from desk.health.facts import HealthFacts, JournalLook
from desk.health.result import Cause, CheckResult, Status
from desk.journal import files
from desk.journal.chain import NewEvent
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import breaker, kill_snapshot, kill_switch, latches, pause, system_mode
from desk.risk.system_mode import ModeState

BY = "heartbeat"
Log = Callable[[str, str], None]


def step_breakers(settings: Settings, journal: Journal, log: Log) -> tuple[str, ...]:
    """Put missing entries in place and do what the clock does to the others; corrupt stays as it is."""
    hook = lambda note: breaker.journal_change(journal, note, log)  # noqa: E731 - one hook, in place
    hand = breaker.Breakers(settings.home, settings.config.breakers, BY, log, hook)
    try:
        hand.ensure(settings.venues)
        hand.time_step()
    except WorldError as error:
        return (error.line(),)
    return ()


def settle_latches(settings: Settings, journal: Journal) -> tuple[str, ...]:
    """Kill switch and pause files are there and agree with journal and environment; hand edits are journalled."""
    return latches.sync_environment(settings.home, journal, settings).problems


def restore_reserve(settings: Settings, look: JournalLook) -> JournalLook:
    """Make the journal's disk reserve again, where there is room for more than it."""
    if look.reserve or look.damaged:
        return look
    free = gather.disk_free_bytes(settings.home)
    if free is None or free <= settings.config.health.disk_degrade_bytes:
        return look
    made = files.ensure_reserve(settings.home, settings.config.journal.reserve_bytes)
    return msgspec.structs.replace(look, reserve=made, reserve_made=made)


def engage(settings: Settings, journal: Journal, facts: HealthFacts, results: Iterable[CheckResult]) -> tuple[str, ...]:
    """Engage the kill switch for each condition that holds, at every look; the first time with its snapshot.

    Entries that stand are cancelled by the router's next tick: an order needs the order lease, and this door none.
    """
    problems: list[str] = []
    reasons = tuple(dict.fromkeys(kill.reason for result in results for kill in result.kills))
    for reason in reasons:
        problems += kill_switch.engage(settings.home, journal, reason, BY).problems
    if reasons and facts.kill is not None and not facts.kill.active:
        held = latches.effective(settings.home, facts.fold, settings)
        try:
            document = kill_snapshot.document(facts.fold, held, facts.now_ms)
            kill_snapshot.write(settings.home, document, settings.environment)
        except WorldError as error:
            problems.append(error.line())
    return tuple(dict.fromkeys(problems))


def latch(settings: Settings, journal: Journal, signals: frozenset[str]) -> tuple[str, ...]:
    """Latch PAUSE for the signals that ask for it, at every look: it changes nothing but when each was last seen."""
    wanted = system_mode.to_latch(signals)
    if not wanted:
        return ()
    return pause.latch_pause(settings.home, journal, wanted, BY, limits_hash=settings.config_hash).problems


def write_down(
    journal: Journal, current: dict[str, NewEvent], seen: Sequence[str], overall: str, mode: ModeState,
    not_ok: dict[str, str],
) -> tuple[Cause, ...]:  # fmt: skip
    """Journal what changed; a journal that cannot be written is a cause of its own, not an end."""

    def decide(fold: Fold) -> list[NewEvent]:
        return announce.events(fold, current, seen, overall, mode, not_ok)

    try:
        if decide(journal.read_fold()):
            journal.transact(decide)
    except JournalError as error:
        text = f"not written: {error.line()}"
        return (Cause(reason=Reason.AUDIT_UNWRITABLE, text=text, status=Status.CRITICAL, signal=True),)
    except WorldError as error:
        return (Cause(reason=None, text=f"not written this time: {error.line()}"),)
    return ()
