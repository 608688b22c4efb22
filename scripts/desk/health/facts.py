"""What heartbeat knows when it judges: one frozen record. Owns the types and the derivations every check shares.

`health.gather` fills it in. A datum that is missing is None (or has a problem beside it), never a default that looks
like an answer. Times are epoch milliseconds of our clock; money is Decimal.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from desk.config.schema import Config
from desk.health.result import Status
from desk.journal.state import Fold
from desk.risk.breaker_rules import Entry
from desk.risk.equity import Account
from desk.risk.facts import Arming, SymbolFacts
from desk.risk.latch_file import KillView, PauseView
from desk.venues.rate_budget import Budget

FUTURE_MS: Final = 1000  # two processes' clocks on one host differ by less; a later stored time is from the future
PENDING_INTERVALS: Final = 2  # after install an observation nobody has had time to write is PENDING


class FileLook(msgspec.Struct, frozen=True, kw_only=True):
    """A state file as found: `problem` is "" when it can be used or does not exist."""

    missing: bool = False
    problem: str = ""


class ClockLook(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange's clock, measured by this heartbeat and touching nothing.

    Attributes:
        skew_ms: exchange minus ours, raw; None when it could not be measured (`problem` says why).
        stored_offset_ms: what signing uses; None when there is none that is fresh.
    """

    skew_ms: int | None
    error_ms: int = 0
    stored_offset_ms: int | None = None
    problem: str = ""


class JobLook(msgspec.Struct, frozen=True, kw_only=True):
    """One row of [schedule] and the job's own run record. Times are 0 for never."""

    door: str
    interval_s: int
    enabled: bool
    listed: bool = True  # False: the client of a venue that is not in VENUES
    last_run_ms: int = 0
    last_success_ms: int = 0
    last_busy_ms: int = 0
    last_duration_ms: int = 0
    problem: str = ""

    @property
    def interval_ms(self) -> int:
        """The interval in milliseconds."""
        return 1000 * self.interval_s


class LeaseLook(msgspec.Struct, frozen=True, kw_only=True):
    """The order lease: who holds it, since when, and when the holder was last alive."""

    held: bool = False
    door: str = ""
    started_ms: int = 0
    alive_ms: int = 0


class ReconcileLook(msgspec.Struct, frozen=True, kw_only=True):
    """reconcile.json. `last_success_ms` is 0 when it never succeeded."""

    last_success_ms: int = 0
    clean: bool = False
    score: int = 0
    problem: str = ""


class JournalLook(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the journal can be read whole and could take the next group."""

    damaged: str = ""
    shrunk: bool = False
    unwritable: str = ""
    reserve: bool = True
    reserve_made: bool = False


class ModeLook(msgspec.Struct, frozen=True, kw_only=True):
    """The system mode this heartbeat decided on."""

    mode: str  # NORMAL DEGRADE PAUSE EXIT
    reasons: tuple[str, ...]
    since_ms: int


class StreamLook(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's WebSocket data, where MARKET_DATA_MODE=ws asks for it. Times are 0 for never.

    Attributes:
        no_stream: why this venue has none; "" where it has.
        data_ms: the true age mark of the stalest symbol's book.
        gap_ms: when the user data stream was last interrupted.
    """

    no_stream: str = ""
    phase: str = ""
    why: str = ""
    data_ms: int = 0
    written_ms: int = 0
    reconnects: tuple[int, ...] = ()
    gap_ms: int = 0


class EnvFile(msgspec.Struct, frozen=True, kw_only=True):
    """`.env`: names in it that no part of the system knows, its file mode (None: there is no file), and whether it
    holds a key or secret of a real exchange."""

    unknown: tuple[str, ...] = ()
    mode: int | None = None
    has_secrets: bool = False
    problem: str = ""


class HealthFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the checks look at.

    Attributes:
        mode: SYSTEM_MODE, under which everything is judged; `stamp` is the folder's ("" = not stamped yet, None = the
            journal cannot tell).
        limits: the effective configuration; `limits_problem` says why an overlay could not be applied.
        install_ms: when the folder was stamped (or first seen); boot_ms: when the host came up, 0 under a simulated
            clock; gap_end_ms: when heartbeat's own last silence ended, 0 for none.
        fold: None when the journal cannot be read.
        streams: venue -> its WebSocket data, for venues on which streams are asked for.
        market: `venue:symbol` -> stored polls and marks, for marking only; market_ms: venue -> last price written.
        breakers: component -> entry; `breakers_problem` when the file cannot tell.
        kill_since_ms: since when REST errors have been critical without a break, 0 when they are not.
        files: state files no other field speaks for.
    """

    now_ms: int
    mode: str
    stamp: str | None
    venues: tuple[str, ...]
    symbols: tuple[str, ...]
    limits: Config
    limits_problem: str = ""
    config_hash: str = ""
    install_ms: int = 0
    boot_ms: int = 0
    gap_end_ms: int = 0
    fold: Fold | None = None
    journal: JournalLook = JournalLook()
    kill: KillView | None = None
    kill_problem: str = ""
    pause: PauseView | None = None
    pause_problem: str = ""
    env_hold: str = ""
    arming: Arming = Arming()
    system: ModeLook | None = None
    clocks: Mapping[str, ClockLook] = {}
    breakers: Mapping[str, Entry] = {}
    breakers_problem: str = ""
    rates: Mapping[str, Budget] = {}
    market: Mapping[str, SymbolFacts] = {}
    market_problems: Mapping[str, str] = {}
    streams: Mapping[str, StreamLook] = {}
    accounts: Mapping[str, Account] = {}
    reconciled: ReconcileLook | None = None
    jobs: tuple[JobLook, ...] = ()
    lease: LeaseLook = LeaseLook()
    disk_free_bytes: int | None = None
    paper_problem: str = ""
    rest_errors_since_ms: int = 0
    files: Mapping[str, FileLook] = {}
    env_file: EnvFile = EnvFile()

    @property
    def is_live(self) -> bool:
        """Judged by the strict rules."""
        return self.mode == "LIVE"

    @property
    def unknown(self) -> Status:
        """What unknown or unmeasurable counts as."""
        return Status.CRITICAL if self.is_live else Status.WARNING

    @property
    def since_ms(self) -> int:
        """Nothing is late from before this: install, boot, end of heartbeat's own gap (rules.md, Health signals)."""
        return max(self.install_ms, self.boot_ms, self.gap_end_ms)

    def job(self, door: str) -> JobLook | None:
        """The schedule row of a door that is enabled here, None else."""
        return next((job for job in self.jobs if job.door == door and job.enabled and job.listed), None)

    def interval_ms(self, door: str) -> int:
        """A door's interval; a minute for one that is not scheduled."""
        found = next((job for job in self.jobs if job.door == door), None)
        return found.interval_ms if found is not None else 60_000

    def is_future(self, at_ms: int) -> bool:
        """A stored time that lies ahead of now."""
        return at_ms > self.now_ms + FUTURE_MS

    def is_pending(self, interval_ms: int) -> bool:
        """Nobody has had time to write an observation of this interval since install."""
        return self.now_ms - self.install_ms <= PENDING_INTERVALS * interval_ms

    def unknown_orders(self) -> int:
        """Orders whose outcome nobody knows; 0 when the journal cannot tell."""
        if self.fold is None:
            return 0
        return sum(1 for intent in self.fold.intents.intents.values() if intent.state == "SENT_UNKNOWN")


def frac_text(value: Decimal) -> str:
    """A fraction for a printed line, four places."""
    return f"{value:.4f}"
