"""SYSTEM_MODE and the switches beside the file. Owns their reading; there is no default mode (P10)."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from desk.base.errors import ConfigError
from desk.config.env import boolean


class Mode(StrEnum):
    """The run mode of a folder and of a door."""

    PAPER = "PAPER"
    LIVE = "LIVE"


class VenueEnv(StrEnum):
    """Which of an exchange's worlds the URLs point at."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    SIM = "sim"


class Switches(msgspec.Struct, frozen=True):
    """What the operator said in the environment about sending orders. All default to the safe side."""

    kill_switch: bool  # true engages like the command; false never releases
    safe_mode: bool  # true sends nothing
    dry_run: bool  # true sends nothing
    live_trading: bool
    live_trading_ack: bool  # LIVE_TRADING_ACK=I_UNDERSTAND


def read_mode(environment: Mapping[str, str]) -> Mode:
    """SYSTEM_MODE, exactly PAPER or LIVE.

    Raises:
        ConfigError: missing or any other word.
    """
    word = environment.get("SYSTEM_MODE", "").strip()
    if word in Mode.__members__:
        return Mode(word)
    problem = f"{word!r} is not a mode" if word else "is not set"
    raise ConfigError(problem, "SYSTEM_MODE", "set SYSTEM_MODE=PAPER or SYSTEM_MODE=LIVE in .env or the environment")


def read_venue_env(environment: Mapping[str, str]) -> VenueEnv:
    """VENUE_ENV, default mainnet.

    Raises:
        ConfigError: an unknown word.
    """
    word = environment.get("VENUE_ENV", "").strip().lower() or "mainnet"
    try:
        return VenueEnv(word)
    except ValueError:
        raise ConfigError(f"{word!r} is not known", "VENUE_ENV", "use mainnet, testnet or sim") from None


def read_switches(environment: Mapping[str, str], mode: Mode) -> Switches:
    """The switches. In LIVE an unset DRY_RUN or SAFE_MODE counts as true: nothing defaults to sending.

    Raises:
        ConfigError: a word that is neither true nor false.
    """

    def flag(name: str, default: bool) -> bool:
        text = environment.get(name, "")
        return boolean(name, text) if text.strip() else default

    live = mode is Mode.LIVE
    return Switches(
        kill_switch=flag("KILL_SWITCH", False),
        safe_mode=flag("SAFE_MODE", live),
        dry_run=flag("DRY_RUN", live),
        live_trading=flag("LIVE_TRADING", False),
        live_trading_ack=environment.get("LIVE_TRADING_ACK", "").strip() == "I_UNDERSTAND",
    )
