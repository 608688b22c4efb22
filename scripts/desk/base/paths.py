"""Where things are. Owns the folder names under SANAD_HOME; creates folders, writes no file.

SANAD_HOME holds `state/ execution-logs/ config/ signals/`; the default is the checkout. What is missing is
made from the checkout's defaults by the config room.
"""

import os
from functools import cached_property
from pathlib import Path

import msgspec

from desk.base.errors import ConfigError

CHECKOUT = Path(__file__).resolve().parents[3]


class Home(msgspec.Struct, frozen=True, dict=True):  # dict: where cached_property keeps its value
    """The folders of one trading account on this host."""

    root: Path

    @cached_property
    def state(self) -> Path:
        return self.root / "state"

    @cached_property
    def logs(self) -> Path:
        return self.root / "execution-logs"

    @cached_property
    def config(self) -> Path:
        return self.root / "config"

    @cached_property
    def signals(self) -> Path:
        return self.root / "signals"

    @cached_property
    def archive(self) -> Path:
        return self.root / "archive"

    @cached_property
    def locks(self) -> Path:
        return self.state / ".locks"

    @cached_property
    def quarantine(self) -> Path:
        return self.state / "quarantine"

    @cached_property
    def journal(self) -> Path:
        return self.logs / "audit.jsonl"

    def ensure(self) -> "Home":
        """Create the folders that are missing.

        Raises:
            ConfigError: a folder cannot be made (read-only, not a folder, no space).
        """
        for folder in (self.state, self.logs, self.config, self.signals, self.locks):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"cannot make the folder ({error.strerror})", str(folder), "check SANAD_HOME and its permissions"
                ) from None
        return self


def find_home() -> Home:
    """The home named by SANAD_HOME, default the checkout.

    Raises:
        ConfigError: the name leads nowhere (no such user, a loop of links, too long).
    """
    named = os.environ.get("SANAD_HOME", "")
    try:
        root = Path(named).expanduser().resolve() if named else CHECKOUT
        root.exists()  # a name no file system takes says so here
        return Home(root)
    except (RuntimeError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"leads to no folder ({why})", "SANAD_HOME", "name the folder in full") from None
