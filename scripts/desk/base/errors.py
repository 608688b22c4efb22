"""The two error families (style A.8.5). Owns the exception types; never logs, never exits.

A *bug* is ours: an invariant does not hold. It stops the tick, exits non-zero and raises an alert.
The *world* is everything else: files, operators, exchanges. A world error carries one clear line
(what, where, what to do), says whether trying again can help (`retryable`) and whether an order may
stand on the exchange because of it (`order_may_exist`).
"""

from desk.base import exit_codes


class InvariantError(Exception):
    """A bug of ours: a promise the code makes to itself does not hold."""


class WorldError(Exception):
    """Base of everything the world can do to us.

    Args:
        what: what is wrong, one clause.
        where: the file, key, argument or endpoint.
        hint: what the operator does about it.
    """

    retryable: bool = False
    order_may_exist: bool = False
    exit_code: int = exit_codes.FAIL

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(self.line())

    def line(self) -> str:
        """The one line an operator reads: `where: what; hint`."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(WorldError):
    """The configuration, the environment or an argument is missing, unknown or out of range."""


class BadInput(WorldError):
    """A packet, a signal or an operator's argument cannot be used."""


class StateError(WorldError):
    """A state file cannot be read, parsed or written."""


class StateCorrupt(StateError):
    """A state file exists and does not parse to its shape (never the same as missing)."""


class JournalError(WorldError):
    """The journal cannot be read or appended to."""


class JournalDamaged(JournalError):
    """A line of the journal other than a torn last group is wrong: hash, order, or bytes lost."""


class JournalUnwritable(JournalError):
    """A write or fsync of the journal failed; nothing may be sent that needs it."""


class ModeMismatch(WorldError):
    """The folder is stamped with another mode than SYSTEM_MODE."""


class LockBusy(WorldError):
    """Another process holds a lock longer than the bound."""

    retryable = True
    exit_code = exit_codes.BUSY


class DeadlinePassed(WorldError):
    """The tick used up its time; the next one goes on."""

    retryable = True
    exit_code = exit_codes.DEADLINE


class ClockUnavailable(WorldError):
    """SANAD_CLOCK does not answer or may not be used here."""
