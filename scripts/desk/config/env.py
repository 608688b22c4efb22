"""Environment names and what they set. Owns the table of names; reads no file.

The 20 names of the BTCTurk `.env.pilot` skeleton and the names of the other runbooks all load. A name is
either a setting (it overrides one key of sanad.toml) or a switch (it stands beside the file: mode, locks, keys).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from desk.base.errors import ConfigError

Value = str | int | bool | tuple[str, ...]
TRUE_WORDS: Final = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS: Final = frozenset({"false", "0", "no", "off", ""})


def boolean(name: str, text: str) -> bool:
    """`true/false`, `1/0`, `yes/no`, `on/off`; empty is false.

    Raises:
        ConfigError: any other word (a typo must not read as false).
    """
    word = text.strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ConfigError(f"{text!r} is neither true nor false", name, "write true or false")


def whole(name: str, text: str) -> int:
    """A non-negative whole number.

    Raises:
        ConfigError: anything else.
    """
    if not (text.isascii() and text.strip().isdecimal()):
        raise ConfigError(f"{text!r} is not a whole number", name, "write digits only")
    return int(text)


def words(name: str, text: str) -> tuple[str, ...]:
    """A comma list, blanks dropped."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def lower_words(name: str, text: str) -> tuple[str, ...]:
    """A comma list in lower case (venue names)."""
    return tuple(part.lower() for part in words(name, text))


def plain(name: str, text: str) -> str:
    """The text as it stands."""
    return text.strip()


def lower(name: str, text: str) -> str:
    """The text in lower case."""
    return text.strip().lower()


# environment name -> (section, key, parser); several names may set one key, the first one set wins
SETTINGS: Final[Mapping[str, tuple[str, str, Callable[[str, str], Value]]]] = {
    "VENUES": ("system", "venues", lower_words),
    "UNIVERSE_SYMBOLS": ("system", "universe_symbols", words),
    "SANAD_INSTANCE_ID": ("system", "instance_id", plain),
    "SANAD_PROFILE": ("system", "profile", lower),
    "AI_DEC": ("system", "ai_dec", whole),
    "MARKET_DATA_MODE": ("market_data", "mode", lower),
    "MAX_MARKET_DATA_AGE_MS": ("market_data", "price_age_max_ms", whole),
    "BTCTURK_WS_ENABLED": ("market_data", "btcturk_ws_enabled", boolean),
    "WS_MARKET_DATA_REST_FALLBACK": ("market_data", "ws_rest_fallback", boolean),
    "MAX_ORDERS_PER_CYCLE": ("entries", "max_orders_per_cycle", whole),
    "MAX_OPEN_ORDERS_PER_SYMBOL": ("entries", "max_open_orders_per_symbol", whole),
    "MIN_ORDER_NOTIONAL": ("entries", "min_order_notional_quote", plain),
    "NOTIONAL_CAP_PER_CYCLE": ("entries", "notional_cap_per_cycle_quote", plain),
    "MAX_NOTIONAL_PER_ORDER": ("entries", "max_notional_per_order_quote", plain),
    "TTL_SECONDS": ("entries", "order_ttl_s", whole),
    "MAX_DAILY_LOSS": ("capital", "daily_loss_quote", plain),
}

# The BTCTurk runbook's names, accepted when every symbol of the universe is quoted in TRY.
TRY_ALIASES: Final[Mapping[str, str]] = {
    "MIN_ORDER_NOTIONAL_TRY": "MIN_ORDER_NOTIONAL",
    "NOTIONAL_CAP_TRY_PER_CYCLE": "NOTIONAL_CAP_PER_CYCLE",
    "MAX_NOTIONAL_PER_ORDER_TRY": "MAX_NOTIONAL_PER_ORDER",
}

# Names that are read elsewhere: listed so that docs and `.env` checks know every name.
SWITCHES: Final = (
    "SYSTEM_MODE",
    "VENUE_ENV",
    "SANAD_HOME",
    "SANAD_CLOCK",
    "KILL_SWITCH",
    "SAFE_MODE",
    "DRY_RUN",
    "LIVE_TRADING",
    "LIVE_TRADING_ACK",
)
# Names the runbooks' skeletons set that decide nothing here: state stands under SANAD_HOME, logs have one level.
NOT_NEEDED: Final = ("STATE_DB_PATH", "LOG_LEVEL")
VENUE_SUFFIXES: Final = ("_REST_URL", "_WS_URL", "_API_KEY", "_API_SECRET")


def overrides(
    environment: Mapping[str, str], file_symbols: Sequence[str] = ()
) -> dict[tuple[str, str], tuple[Value, str]]:
    """(section, key) -> (value, environment name) for every setting the environment makes.

    Args:
        file_symbols: the universe where the environment names none (TRY names depend on it).

    Raises:
        ConfigError: a value does not parse, or a TRY name is used with symbols quoted in something else.
    """
    found: dict[tuple[str, str], tuple[Value, str]] = {}
    for name, (section, key, parser) in SETTINGS.items():
        if environment.get(name, "") != "":
            found[section, key] = (parser(name, environment[name]), name)
    for alias, name in TRY_ALIASES.items():
        if environment.get(alias, "") == "":
            continue
        symbols = words("UNIVERSE_SYMBOLS", environment.get("UNIVERSE_SYMBOLS", "")) or tuple(file_symbols)
        if not symbols or not all(symbol.upper().endswith("TRY") for symbol in symbols):
            raise ConfigError(
                "is for symbols quoted in TRY only", alias, f"use {name}, or list TRY symbols in UNIVERSE_SYMBOLS"
            )
        section, key, parser = SETTINGS[name]
        found.setdefault((section, key), (parser(alias, environment[alias]), alias))
    return found
