"""Is it the owner, by hand? Arming needs a terminal and the configured owner's OS user (rules.md, certificate).

So cron, systemd and a panel cannot arm, whatever they are told. On the simulator both checks are off.
"""

import os
import pwd

from desk.base.reasons import Reason
from desk.config.load import Settings
from desk.config.mode import VenueEnv

STDIN = 0


def refusal(settings: Settings) -> tuple[Reason, str] | None:
    """The code and one clause when the caller may not; None when it may."""
    if settings.venue_env is VenueEnv.SIM:
        return None
    if not _at_terminal():
        return Reason.ARM_NO_TERMINAL, "standard input is no terminal"
    owner, user = settings.config.arming.owner, _user()
    if not owner:
        return Reason.ARM_NOT_OWNER, "arming.owner is not set"
    return None if user == owner else (Reason.ARM_NOT_OWNER, f"arming.owner is {owner}, this is {user}")


def _at_terminal() -> bool:
    try:
        return os.isatty(STDIN)
    except OSError:
        return False


def _user() -> str:
    """The process's real user by the system's own table; no variable of the environment counts."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
