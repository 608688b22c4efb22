"""Loading: file, `.env`, environment and command line into one frozen `Settings`. Writes only missing defaults.

Precedence: command line > environment > `.env` > file > default. `.env` may only be stricter than an engaged
lock, which the latches see to: false never releases one.
"""

import hashlib
import os
import re
import shutil
import tomllib
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from dotenv.parser import Binding, parse_stream

from desk.base import clock, ids
from desk.base.errors import ConfigError
from desk.base.paths import CHECKOUT, Home
from desk.config import env
from desk.config.mode import Mode, Switches, VenueEnv, read_mode, read_switches, read_venue_env
from desk.config.schema import DRAWDOWN_KILL_FRAC_MAX, Config, Job, Profile, Venue
from desk.config.secrets import Keys, keys_of

FILE_NAME = "sanad.toml"
FILE_BYTES_MAX = 1_000_000
VALUE_CHARS_MAX = 40  # of a wrong value in its error
TOP = 1_000_000_000_000
TOPS = (  # by the unit in a key's name: a fraction is never percent, a time at most a year, retention a century
    ("_frac", 1), ("_ms", 31_622_400_000), ("_s", 31_622_400), ("_min", 527_040), ("_h", 8784), ("_days", 36_600),
)  # fmt: skip
POSITIVE = frozenset({  # keys for which 0 would mean that nothing is ever asked, waited for or written
    "connect_timeout_s", "read_timeout_s", "read_timeout_max_s", "total_timeout_s", "read_attempts_max",
    "body_bytes_max", "tick_deadline_s", "interval_s", "bar_interval_s", "bars_wanted", "book_depth", "order_ttl_s",
    "recv_window_ms", "samples", "failures_max", "event_bytes_max", "group_events_max", "stale_warn_s", "retry_after_s",
    "rotate_after_s", "operator_wait_s",
})  # fmt: skip
SIM_API_PATH = "/ws-api/v3"  # a simulator serves both on one address
STREAM_SCHEMES = {"ws", "wss"}
RECV_WINDOW_MS_MAX = 60_000  # what the exchanges accept
SYMBOL = re.compile(r"[A-Z0-9_.-]{2,40}", re.ASCII)
INSTANCE = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII)


class Settings(msgspec.Struct, frozen=True):
    """Everything a door knows before it looks at state: where, which mode, which numbers, and where each came from."""

    home: Home
    mode: Mode
    venue_env: VenueEnv
    switches: Switches
    config: Config
    environment: Mapping[str, str]  # holds keys: not in the repr
    sources: Mapping[str, str]  # "section.key" -> environment name, file or default

    def __repr__(self) -> str:
        return f"Settings(home={self.home!r}, mode={self.mode!r}, venue_env={self.venue_env!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("home", self.home)]

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues this account trades, in order."""
        return self.config.system.venues

    @property
    def symbols(self) -> tuple[str, ...]:
        """The universe, as the exchanges write symbols."""
        return self.config.system.universe_symbols

    @property
    def profile(self) -> Profile:
        """The values of the chosen profile (empty for one that the file does not define)."""
        return self.config.profiles.get(self.config.system.profile, Profile())

    @property
    def instance(self) -> str:
        """The account instance (design 3): configured, else derived from mode, venues and key fingerprints."""
        marks = tuple(self.keys(venue).mark for venue in self.venues)
        return ids.instance_id(self.config.system.instance_id, self.mode, self.venues, marks)

    @property
    def recv_window_ms(self) -> int:
        """How long a signed request stays valid: the stricter of section and profile."""
        return min(self.config.clock.recv_window_ms, self.profile.recv_window_ms or self.config.clock.recv_window_ms)

    @property
    def config_hash(self) -> str:
        """SHA-256 over the effective configuration, 16 hex digits."""
        raw = msgspec.json.encode(self.config, order="deterministic")
        return hashlib.sha256(raw).hexdigest()[:16]

    def keys(self, venue: str) -> Keys:
        """The venue's key pair, possibly empty."""
        return keys_of(venue, self.environment)

    def rest_url(self, venue: str) -> str:
        """The venue's REST base URL for this VENUE_ENV and mode.

        Raises:
            ConfigError: none configured, or one that may not be used here (a LIVE mainnet URL must be the venue's
                own https host; a plain http URL must be loopback).
        """
        return _rest_url(self, venue)

    def candles_url(self, venue: str) -> str:
        """Where the venue's candles stand: its own host for them, else its REST address (a simulator serves both).

        Raises:
            ConfigError: as `rest_url`.
        """
        rest, known = _rest_url(self, venue), self.config.venues.get(venue, Venue())
        own = known.candles_url_mainnet if self.venue_env is VenueEnv.MAINNET else known.candles_url_testnet
        return rest if _is_loopback(rest, "") else own or rest

    def stream_urls(self, venue: str) -> tuple[str, str]:
        """Base addresses of the venue's market streams and of its WebSocket API.

        Raises:
            ConfigError: as `rest_url`.
        """
        known, name = self.config.venues.get(venue, Venue()), venue.upper() + "_WS_URL"
        mainnet = self.venue_env is VenueEnv.MAINNET
        official = known.stream_url_mainnet if mainnet else known.stream_url_testnet
        api = known.stream_api_url_mainnet if mainnet else known.stream_api_url_testnet
        named = _stream_url(self, name, official, venue)
        return (named, named + SIM_API_PATH) if named != official else (official, api)


def load(home: Home, overrides: Mapping[tuple[str, str], env.Value] | None = None) -> Settings:
    """Read everything and check it.

    Args:
        overrides: (section, key) -> value from the command line.

    Raises:
        ConfigError: one line naming what is wrong, where, and what to do.
    """
    ensure_defaults(home)
    environment = read_environment(home)
    mode = read_mode(environment)
    raw = _read_file(home.config / FILE_NAME)
    sources = {f"{section}.{key}": FILE_NAME for section, body in raw.items() for key in body}
    for (section, key), (value, name) in env.overrides(environment, _universe(raw)).items():
        raw.setdefault(section, {})[key] = value
        sources[f"{section}.{key}"] = name
    for (section, key), value in (overrides or {}).items():
        raw.setdefault(section, {})[key] = value
        sources[f"{section}.{key}"] = "command line"
    config = convert(raw, str(home.config / FILE_NAME), sources)
    return Settings(
        home, mode, read_venue_env(environment), read_switches(environment, mode), config, environment, sources
    )


def read_environment(home: Home) -> dict[str, str]:
    """`.env` of the home (or of the checkout when the home has none) under the process environment.

    Raises:
        ConfigError: `.env` cannot be read, or a line of it is none.
    """
    path = next((p for p in (home.root / ".env", CHECKOUT / ".env") if p.exists()), None)
    values = _read_dotenv(path) if path is not None else {}
    return values | dict(os.environ)


def _read_dotenv(path: Path) -> dict[str, str]:
    """The names of a `.env` file. A line nobody understands may hold a lock, so it is an error, not a remark."""
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read ({type(error).__name__})", str(path), "check its mode and text") from None
    wrong = next((binding for binding in bindings if binding.error), None)
    if wrong is not None:
        raise ConfigError(f"line {_line_of(wrong)} is not NAME=value", str(path), "correct it, or put # before it")
    return {b.key: b.value for b in bindings if b.key is not None and b.value is not None}


def _line_of(binding: Binding) -> int:
    """Where a binding's own text starts: the parser counts from the blank lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def ensure_defaults(home: Home) -> None:
    """Copy the checkout's default configuration into a home that has none."""
    target = home.config / FILE_NAME
    source = CHECKOUT / "config" / FILE_NAME
    if target.exists() or not source.exists():
        return
    home.ensure()
    temporary = target.with_name(f"{FILE_NAME}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"cannot be created ({error.strerror})", str(target), "check SANAD_HOME") from None


def _universe(raw: dict[str, Any]) -> tuple[str, ...]:
    """The symbols of the file, as far as it has any; what is wrong there is said when it is converted."""
    section = raw.get("system")
    found = section.get("universe_symbols") if isinstance(section, dict) else None
    return tuple(symbol for symbol in found if isinstance(symbol, str)) if isinstance(found, list) else ()


def convert(raw: dict[str, Any], where: str, sources: Mapping[str, str]) -> Config:
    """The raw tables as a typed, range-checked Config.

    Raises:
        ConfigError: unknown key, wrong type, or out of range.
    """
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        message = str(error)
        path = message.partition("`$.")[2].rstrip("`").partition("`")[0]
        origin = sources.get(path, where)
        raise ConfigError(message, where if origin == FILE_NAME else origin, "correct or remove that key") from None
    for section in msgspec.structs.fields(Config):
        body = getattr(config, section.name)
        if isinstance(body, msgspec.Struct):
            _check_ranges(section.name, body, sources, where)
        elif isinstance(body, dict):
            for name, part in body.items():
                _check_ranges(f"{section.name}.{name}", part, sources, where)
    _check_whole(config, sources, where)
    return config


def _origin(key: str, sources: Mapping[str, str], where: str) -> str:
    """Who set a key: the environment's name, or the file."""
    origin = sources.get(key, FILE_NAME)
    return where if origin == FILE_NAME else origin


def _check_ranges(section: str, body: msgspec.Struct, sources: Mapping[str, str], where: str) -> None:
    for known in msgspec.structs.fields(body):
        value = getattr(body, known.name)
        if isinstance(value, msgspec.Struct):
            _check_ranges(f"{section}.{known.name}", value, sources, where)
        if not isinstance(value, Decimal | int):
            continue
        low = 1 if known.name in POSITIVE else 0
        top = next((top for suffix, top in TOPS if known.name.endswith(suffix)), TOP)
        if not Decimal(value).is_finite() or not low <= value <= top:
            shown = str(value) if len(str(value)) <= VALUE_CHARS_MAX else f"{str(value)[:VALUE_CHARS_MAX]}..."
            hint = "fractions are 0 to 1, never percent" if top == 1 else "see the comment beside the key"
            raise ConfigError(
                f"{section}.{known.name} = {shown} is outside {low} to {top}",
                _origin(f"{section}.{known.name}", sources, where), hint,
            )  # fmt: skip


def _check_whole(config: Config, sources: Mapping[str, str], where: str) -> None:
    system, transport = config.system, config.transport
    problems = (
        (config.capital.drawdown_kill_frac > DRAWDOWN_KILL_FRAC_MAX, "capital.drawdown_kill_frac", "is above 0.20"),
        (
            config.capital.drawdown_no_entries_frac > config.capital.drawdown_kill_frac,
            "capital.drawdown_no_entries_frac", "is above drawdown_kill_frac",
        ),
        (config.strategies.sma_cross.fast >= config.strategies.sma_cross.slow, "strategies.sma_cross", "fast >= slow"),
        (not system.venues, "system.venues", "is empty"),
        (len(set(system.venues)) != len(system.venues), "system.venues", "names a venue twice"),
        (not system.universe_symbols, "system.universe_symbols", "is empty"),
        (not all(SYMBOL.fullmatch(s) for s in system.universe_symbols), "system.universe_symbols",
         "has what no exchange calls a symbol (BTCUSDT is one)"),
        (not INSTANCE.fullmatch(system.instance_id), "system.instance_id", "is not 0 to 64 letters, digits, - or _"),
        (not 0 < config.exits.default_stop_frac < 1, "exits.default_stop_frac", "is not between 0 and 1"),
        (config.clock.recv_window_ms > RECV_WINDOW_MS_MAX, "clock.recv_window_ms", "is above 60000"),
        (transport.read_timeout_s > transport.read_timeout_max_s, "transport.read_timeout_s", "is above its maximum"),
        (not config.venues, "venues", "has no exchange: copy its sections from the checkout's config folder"),
    )  # fmt: skip
    for wrong, key, text in problems:
        if wrong:
            raise ConfigError(f"{key} {text}", _origin(key, sources, where), "see the comment beside the key")
    unknown = [venue for venue in system.venues if venue not in config.venues]
    if unknown:
        known = ", ".join(sorted(config.venues))
        origin = _origin("system.venues", sources, where)
        raise ConfigError(f"unknown venue {unknown[0]!r}", origin, f"known venues: {known}")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(f"is larger than {FILE_BYTES_MAX} bytes", str(path), "this is no configuration file")
        found = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=str)
    except FileNotFoundError:
        raise ConfigError("is missing", str(path), "copy it from the checkout's config folder") from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", str(path), "check its permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not TOML ({error})", str(path), "correct that line") from None
    except RecursionError:
        raise ConfigError("is nested too deep", str(path), "this is no configuration file") from None
    stray = next((name for name, body in found.items() if not isinstance(body, dict)), None)
    if stray is not None:
        raise ConfigError(f"{stray} stands outside of every section", str(path), "move it under its [section]")
    return found


def _rest_url(settings: Settings, venue: str) -> str:
    name = venue.upper() + "_REST_URL"
    known = settings.config.venues.get(venue, Venue())
    named = settings.environment.get(name, "").strip().rstrip("/")
    if (
        named
        and _is_loopback(named, name)
        and not (settings.mode is Mode.LIVE and settings.venue_env is VenueEnv.MAINNET)
    ):
        return named
    official = known.rest_url_mainnet if settings.venue_env is VenueEnv.MAINNET else known.rest_url_testnet
    if settings.venue_env is VenueEnv.SIM:
        raise ConfigError("no loopback URL for VENUE_ENV=sim", name, "set it to the simulator's rest_url")
    if named and urlsplit(named)[:2] != urlsplit(official)[:2]:
        raise ConfigError("is not the venue's own https host", name, f"unset it, or use {official or 'the simulator'}")
    if not official:
        raise ConfigError(f"{venue} has no {settings.venue_env} address", name, "use mainnet or the simulator")
    return official


def _stream_url(settings: Settings, name: str, official: str, venue: str) -> str:
    """As `_rest_url`: a loopback address where one may be used, else the venue's own host."""
    named = settings.environment.get(name, "").strip().rstrip("/")
    is_own_world = settings.mode is Mode.LIVE and settings.venue_env is VenueEnv.MAINNET
    if named and _is_loopback(named, name, STREAM_SCHEMES) and not is_own_world:
        return named
    if settings.venue_env is VenueEnv.SIM:
        raise ConfigError("no loopback URL for VENUE_ENV=sim", name, "set it to the simulator's ws_url")
    if named and named != official.rstrip("/"):
        raise ConfigError("is not the venue's own wss host", name, f"unset it, or use {official or 'the simulator'}")
    if not official:
        raise ConfigError(f"{venue} has no {settings.venue_env} streams", name, "MARKET_DATA_MODE=rest")
    return official


def _is_loopback(url: str, name: str, schemes: Collection[str] = ("http", "https")) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises on a port that is no number
    except ValueError:
        raise ConfigError("is not a URL", name, "use http://127.0.0.1:PORT or the venue's https host") from None
    return parts.hostname in clock.LOOPBACK_HOSTS and parts.scheme in schemes


def job_of(config: Config, door: str) -> Job | None:
    """The schedule row of a door, None when it is not scheduled or disabled."""
    job = config.schedule.get(door)
    return job if job is not None and job.enabled else None
