"""Precedence, sources, names, and one clear line for everything that is wrong."""

import os
import re
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from desk.base.errors import ConfigError
from desk.base.paths import CHECKOUT, Home
from desk.config import env
from desk.config.load import Settings, ensure_defaults, load
from desk.config.schema import Config, Job, Profile, Venue

Write = Callable[[str, str], None]

PILOT = """\
BTCTURK_API_KEY=__REDACTED__
BTCTURK_API_SECRET=__REDACTED__
SAFE_MODE=true
DRY_RUN=true
KILL_SWITCH=true
LIVE_TRADING=false
LIVE_TRADING_ACK=
MARKET_DATA_MODE=rest
MAX_MARKET_DATA_AGE_MS=3000
BTCTURK_WS_ENABLED=false
WS_MARKET_DATA_REST_FALLBACK=false
UNIVERSE_SYMBOLS=BTCTRY
MAX_ORDERS_PER_CYCLE=1
MAX_OPEN_ORDERS_PER_SYMBOL=1
MIN_ORDER_NOTIONAL_TRY=10
NOTIONAL_CAP_TRY_PER_CYCLE=150
MAX_NOTIONAL_PER_ORDER_TRY=151
TTL_SECONDS=30
STATE_DB_PATH=./var/btcbot_state.db
LOG_LEVEL=INFO
"""


def refused(home: Home) -> str:
    """The one line of a configuration that does not load."""
    with pytest.raises(ConfigError) as caught:
        load(home)
    line = caught.value.line()
    assert "\n" not in line
    return line


# -- precedence


def test_command_line_over_environment_over_dotenv_over_file_over_default(
    place: Home, change: Write, monkeypatch: pytest.MonkeyPatch
):
    key, name = ("entries", "order_ttl_s"), "entries.order_ttl_s"
    change("order_ttl_s = 120", "")
    assert (load(place).config.entries.order_ttl_s, load(place).sources.get(name)) == (120, None)
    change("[entries]", "[entries]\norder_ttl_s = 60")
    assert (load(place).config.entries.order_ttl_s, load(place).sources[name]) == (60, "sanad.toml")
    (place.root / ".env").write_text("TTL_SECONDS=50\n")
    assert (load(place).config.entries.order_ttl_s, load(place).sources[name]) == (50, "TTL_SECONDS")
    monkeypatch.setenv("TTL_SECONDS", "40")
    assert load(place).config.entries.order_ttl_s == 40
    given = load(place, {key: 30})
    assert (given.config.entries.order_ttl_s, given.sources[name]) == (30, "command line")


def test_an_empty_environment_value_is_no_value(place: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TTL_SECONDS", "")
    assert load(place).config.entries.order_ttl_s == 120


def test_dotenv_is_taken_as_it_stands(place: Home):
    """No interpolation: a dollar sign in a secret is a dollar sign."""
    (place.root / ".env").write_text("BINANCE_API_SECRET='a${HOME}b$c'\nBINANCE_API_KEY=k # note\n")
    keys = load(place).keys("binance")
    assert (keys.api_key, keys.api_secret) == ("k", "a${HOME}b$c")


def test_a_home_without_a_file_gets_the_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    home = Home(tmp_path / "fresh")
    ensure_defaults(home)
    assert (home.config / "sanad.toml").read_bytes() == (CHECKOUT / "config" / "sanad.toml").read_bytes()
    assert [path.name for path in home.config.iterdir()] == ["sanad.toml"]


# -- the shipped file


def test_the_shipped_file_says_what_the_defaults_say(place: Home):
    """Two places hold each number; they must agree."""
    shipped, default = load(place).config, Config()
    for section in msgspec.structs.fields(Config):
        if section.name not in {"venues", "schedule", "profiles"}:
            assert getattr(shipped, section.name) == getattr(default, section.name), section.name


def test_every_key_of_the_schema_is_in_the_shipped_file(place: Home):
    raw = tomllib.loads((place.config / "sanad.toml").read_text())
    for section in msgspec.structs.fields(Config):
        if section.name in {"venues", "schedule", "profiles", "strategies"}:
            continue
        wanted = {field.name for field in msgspec.structs.fields(type(getattr(Config(), section.name)))}
        assert set(raw.get(section.name, {})) == wanted, section.name


def _fields(struct: type[msgspec.Struct]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for field in msgspec.structs.fields(struct):
        inner = field.default if isinstance(field.default, msgspec.Struct) else None
        found.extend(_fields(type(inner)) if inner is not None else [(field.name, field.default)])
    return found


@pytest.mark.parametrize(("name", "default"), [*_fields(Config), *_fields(Job), *_fields(Profile)])
def test_fractions_are_fractions(name: str, default: object):
    if name.endswith("_frac") and isinstance(default, Decimal):
        assert 0 <= default <= 1
    assert not name.endswith(("_percent", "_pct"))


def test_drawdown_cannot_exceed_its_limit(place: Home, change: Write):
    change('drawdown_kill_frac = "0.20"', 'drawdown_kill_frac = "0.21"')
    assert "drawdown_kill_frac is above 0.20" in refused(place)


# -- what is wrong


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("order_ttl_s = 120", 'order_ttl_s = "soon"', ["sanad.toml", "entries.order_ttl_s"]),
        ("order_ttl_s = 120", "order_ttl_s = -1", ["sanad.toml", "entries.order_ttl_s"]),
        ("order_ttl_s = 120", "order_ttl_s = 0", ["sanad.toml", "entries.order_ttl_s"]),
        ("order_ttl_s = 120", "order_ttl_s = 1.5", ["sanad.toml", "entries.order_ttl_s"]),
        ("order_ttl_s = 120", "order_ttl_ms = 120", ["sanad.toml", "order_ttl_ms"]),
        (
            'spread_max_frac = "0.02"',
            'spread_max_frac = "2"',
            ["sanad.toml", "entries.spread_max_frac", "never percent"],
        ),
        ('spread_max_frac = "0.02"', 'spread_max_frac = "-0.1"', ["sanad.toml", "entries.spread_max_frac"]),
        ('spread_max_frac = "0.02"', 'spread_max_frac = "NaN"', ["sanad.toml", "entries.spread_max_frac"]),
        ('spread_max_frac = "0.02"', 'spread_max_frac = "two"', ["sanad.toml", "entries.spread_max_frac"]),
        ("[entries]", "[enrties]", ["sanad.toml", "enrties"]),
        ("[entries]", "[entries", ["sanad.toml", "is not TOML"]),
        ("[system]", "entries = 5\n[system]", ["sanad.toml"]),
        ("[system]", "system = 5\n[sistem]", ["sanad.toml", "system"]),
        ('order_type = "LIMIT_IOC"', 'order_type = "YOLO"', ["sanad.toml", "entries.order_type"]),
        ("recv_window_ms = 5000", "recv_window_ms = 70000", ["sanad.toml", "recv_window_ms"]),
        ("fast = 5", "fast = 30", ["sanad.toml", "sma_cross"]),
        ('venues = ["binance"]', "venues = []", ["sanad.toml", "system.venues"]),
        ('venues = ["binance"]', 'venues = ["binance", "binance"]', ["sanad.toml", "system.venues"]),
        ('venues = ["binance"]', 'venues = ["kraken"]', ["kraken"]),
        ('universe_symbols = ["BTCUSDT"]', "universe_symbols = []", ["sanad.toml", "universe_symbols"]),
        (
            "[schedule.router]\nenabled = true\ninterval_s = 60",
            "[schedule.router]\ninterval_s = 5",
            ["sanad.toml", "interval_s"],
        ),
    ],
)
def test_one_line_names_file_and_key(place: Home, change: Write, old: str, new: str, words: list[str]):
    change(old, new)
    line = refused(place)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TTL_SECONDS", "thirty"), ("TTL_SECONDS", "-3"), ("MAX_ORDERS_PER_CYCLE", "1.5"), ("AI_DEC", "7"),
        ("MARKET_DATA_MODE", "both"), ("MIN_ORDER_NOTIONAL", "ten"), ("MIN_ORDER_NOTIONAL", "-10"),
        ("MAX_DAILY_LOSS", "inf"), ("WS_MARKET_DATA_REST_FALLBACK", "maybe"), ("SANAD_PROFILE", "yolo"),
        ("VENUES", "binance,kraken"), ("VENUES", "binance,binance"), ("DRY_RUN", "nope"), ("SAFE_MODE", "2"),
        ("KILL_SWITCH", "onn"), ("LIVE_TRADING", "ja"), ("VENUE_ENV", "prod"),
    ],
)  # fmt: skip
def test_one_line_names_the_environment_variable(place: Home, monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    assert name in refused(place)


@pytest.mark.parametrize(
    ("raw", "word"),
    [(b"\xff\xfe\x00", "is not TOML"), (b"# " + b"x" * 1_000_001, "is larger than"), (b"", "")],
    ids=["not_text", "huge", "empty"],
)
def test_a_file_that_is_none(place: Home, raw: bytes, word: str):
    (place.config / "sanad.toml").write_bytes(raw)
    if word:
        assert word in refused(place)
    else:  # every key has its default; but no venue has an address
        assert "venues has no exchange" in refused(place)


def test_an_unreadable_dotenv_is_one_line(place: Home):
    (place.root / ".env").write_bytes(b"A=\xff\xfe\n")
    assert ".env" in refused(place)


# -- mode


@pytest.mark.parametrize("value", [None, "", "paper", "live", "TEST", "PAPER LIVE"])
def test_the_mode_is_named_exactly_or_the_door_stops(place: Home, monkeypatch: pytest.MonkeyPatch, value: str | None):
    if value is None:
        monkeypatch.delenv("SYSTEM_MODE")
    else:
        monkeypatch.setenv("SYSTEM_MODE", value)
    line = refused(place)
    assert line.startswith("SYSTEM_MODE: ")
    assert "SYSTEM_MODE=PAPER" in line
    with pytest.raises(ConfigError) as caught:
        load(place)
    assert caught.value.exit_code == 2


def test_the_mode_may_stand_in_dotenv(place: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SYSTEM_MODE")
    (place.root / ".env").write_text("SYSTEM_MODE=LIVE\n")
    assert load(place).mode == "LIVE"


@pytest.mark.parametrize(("mode", "sends_nothing"), [("PAPER", False), ("LIVE", True)])
def test_nothing_defaults_to_sending_in_live(
    place: Home, monkeypatch: pytest.MonkeyPatch, mode: str, sends_nothing: bool
):
    monkeypatch.setenv("SYSTEM_MODE", mode)
    switches = load(place).switches
    assert (switches.dry_run, switches.safe_mode) == (sends_nothing, sends_nothing)
    assert not (switches.live_trading or switches.live_trading_ack or switches.kill_switch)


@pytest.mark.parametrize(
    ("word", "taken"), [("I_UNDERSTAND", True), ("i_understand", False), ("yes", False), ("", False)]
)
def test_the_acknowledgement_is_one_phrase(place: Home, monkeypatch: pytest.MonkeyPatch, word: str, taken: bool):
    monkeypatch.setenv("LIVE_TRADING_ACK", word)
    assert load(place).switches.live_trading_ack is taken


# -- names of the runbooks


def test_the_pilot_skeleton_loads_whole(place: Home):
    names = [line.partition("=")[0] for line in PILOT.splitlines()]
    assert len(names) == 20
    (place.root / ".env").write_text(PILOT)
    settings = load(place)
    entries = settings.config.entries
    assert settings.symbols == ("BTCTRY",)
    assert (entries.min_order_notional_quote, entries.notional_cap_per_cycle_quote) == (10, 150)
    assert (entries.max_notional_per_order_quote, entries.order_ttl_s) == (151, 30)
    assert settings.switches.kill_switch
    assert settings.switches.safe_mode
    assert settings.switches.dry_run
    assert not settings.config.market_data.ws_rest_fallback
    assert settings.keys("btcturk").present


def test_every_pilot_name_is_known_by_name():
    """Set by the runbook, so named in our tables: as a setting, an alias, a switch, a key, or as not needed here."""
    names = {line.partition("=")[0] for line in PILOT.splitlines()}
    known = {*env.SETTINGS, *env.TRY_ALIASES, *env.SWITCHES, *env.NOT_NEEDED}
    assert {name for name in names - known if not name.endswith(env.VENUE_SUFFIXES)} == set()


@pytest.mark.parametrize("symbols", ["BTCUSDT", "BTCTRY,BTCUSDT"])
def test_a_try_name_is_for_try_quotes(place: Home, monkeypatch: pytest.MonkeyPatch, symbols: str):
    monkeypatch.setenv("UNIVERSE_SYMBOLS", symbols)
    monkeypatch.setenv("NOTIONAL_CAP_TRY_PER_CYCLE", "150")
    line = refused(place)
    assert line.startswith("NOTIONAL_CAP_TRY_PER_CYCLE: ")
    assert "NOTIONAL_CAP_PER_CYCLE" in line


def test_a_try_name_knows_the_universe_of_the_file(place: Home, change: Write, monkeypatch: pytest.MonkeyPatch):
    change('universe_symbols = ["BTCUSDT"]', 'universe_symbols = ["BTCTRY"]')
    monkeypatch.setenv("NOTIONAL_CAP_TRY_PER_CYCLE", "99")
    assert load(place).config.entries.notional_cap_per_cycle_quote == 99


def test_the_general_name_wins_over_its_alias(place: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNIVERSE_SYMBOLS", "BTCTRY")
    monkeypatch.setenv("MIN_ORDER_NOTIONAL", "20")
    monkeypatch.setenv("MIN_ORDER_NOTIONAL_TRY", "30")
    assert load(place).config.entries.min_order_notional_quote == 20


def test_lists_are_comma_lists(place: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VENUES", " Binance , mexc ,")
    monkeypatch.setenv("UNIVERSE_SYMBOLS", "BTCUSDT, ETHUSDT")
    settings = load(place)
    assert (settings.venues, settings.symbols) == (("binance", "mexc"), ("BTCUSDT", "ETHUSDT"))


def test_every_setting_names_a_real_key():
    config = Config()
    for section, key, _ in env.SETTINGS.values():
        assert hasattr(getattr(config, section), key), f"{section}.{key}"
    assert set(env.TRY_ALIASES.values()) <= set(env.SETTINGS)


# -- addresses


def settings_of(place: Home, monkeypatch: pytest.MonkeyPatch, mode: str, world: str, url: str = "") -> Settings:
    monkeypatch.setenv("SYSTEM_MODE", mode)
    monkeypatch.setenv("VENUE_ENV", world)
    monkeypatch.setenv("BINANCE_REST_URL", url)
    return load(place)


OFFICIAL = "https://api.binance.com"
TESTNET = "https://testnet.binance.vision"
LOCAL = "http://127.0.0.1:18080"


@pytest.mark.parametrize(
    ("mode", "world", "url", "expected"),
    [
        ("PAPER", "mainnet", "", OFFICIAL),
        ("PAPER", "testnet", "", TESTNET),
        ("LIVE", "mainnet", "", OFFICIAL),
        ("LIVE", "mainnet", OFFICIAL + "/", OFFICIAL),
        ("PAPER", "mainnet", LOCAL, LOCAL),
        ("PAPER", "testnet", LOCAL, LOCAL),
        ("PAPER", "sim", LOCAL, LOCAL),
        ("LIVE", "sim", LOCAL, LOCAL),
        ("LIVE", "testnet", LOCAL, LOCAL),
        ("PAPER", "sim", "http://localhost:1", "http://localhost:1"),
        ("PAPER", "sim", "http://[::1]:1", "http://[::1]:1"),
    ],
)
def test_an_address_that_may_be_used(place, monkeypatch, mode, world, url, expected):
    assert settings_of(place, monkeypatch, mode, world, url).rest_url("binance") == expected


@pytest.mark.parametrize(
    ("mode", "world", "url"),
    [
        ("LIVE", "mainnet", LOCAL),
        ("LIVE", "mainnet", "http://api.binance.com"),
        ("LIVE", "mainnet", "https://api.binance.com.evil.example"),
        ("LIVE", "mainnet", "https://api.binance.com@evil.example"),
        ("LIVE", "mainnet", "https://api.binance.com:8443"),
        ("PAPER", "mainnet", "https://evil.example"),
        ("PAPER", "sim", "http://10.0.0.1:80"),
        ("PAPER", "sim", "http://127.0.0.1.evil.example:80"),
        ("PAPER", "sim", "ftp://127.0.0.1:80"),
        ("PAPER", "sim", "http://127.0.0.1:port"),
        ("PAPER", "sim", ""),
        ("LIVE", "sim", ""),
    ],
)
def test_an_address_that_may_not(place, monkeypatch, mode, world, url):
    settings = settings_of(place, monkeypatch, mode, world, url)
    with pytest.raises(ConfigError, match="BINANCE_REST_URL"):
        settings.rest_url("binance")


def test_a_venue_without_a_test_network_says_so(place: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VENUE_ENV", "testnet")
    monkeypatch.setenv("VENUES", "mexc")
    with pytest.raises(ConfigError, match="mexc has no testnet address"):
        load(place).rest_url("mexc")


def test_every_shipped_address_is_encrypted():
    assert all(
        url.startswith(("https://", "wss://"))
        for url in re.findall(r'_url_\w+ = "(.+?)"', (CHECKOUT / "config/sanad.toml").read_text())
    )


def test_a_venue_row_has_only_its_addresses():
    names = {
        f"{kind}_url_{world}"
        for kind in ("rest", "candles", "stream", "stream_api")
        for world in ("mainnet", "testnet")
    }
    assert {field.name for field in msgspec.structs.fields(Venue)} == names


WS, WS_API = "wss://stream.binance.com:9443", "wss://ws-api.binance.com/ws-api/v3"
WS_LOCAL = "ws://127.0.0.1:8900"


@pytest.mark.parametrize(
    ("mode", "world", "named", "expected"),
    [
        ("PAPER", "mainnet", "", (WS, WS_API)),
        ("LIVE", "mainnet", WS, (WS, WS_API)),
        (
            "PAPER",
            "testnet",
            "",
            ("wss://stream.testnet.binance.vision", "wss://ws-api.testnet.binance.vision/ws-api/v3"),
        ),
        ("PAPER", "mainnet", WS_LOCAL, (WS_LOCAL, WS_LOCAL + "/ws-api/v3")),
        ("LIVE", "sim", WS_LOCAL, (WS_LOCAL, WS_LOCAL + "/ws-api/v3")),
    ],
)
def test_streams_have_their_own_addresses(place, monkeypatch, mode, world, named, expected):
    monkeypatch.setenv("BINANCE_WS_URL", named)
    assert settings_of(place, monkeypatch, mode, world, "").stream_urls("binance") == expected


@pytest.mark.parametrize(
    ("mode", "world", "named"),
    [
        ("LIVE", "mainnet", WS_LOCAL),
        ("LIVE", "mainnet", "wss://evil.example"),
        ("PAPER", "mainnet", "ws://stream.binance.com:9443"),
        ("PAPER", "sim", ""),
        ("PAPER", "sim", "ws://10.0.0.1:80"),
        ("PAPER", "sim", "http://127.0.0.1:80"),
    ],
)
def test_a_stream_address_that_may_not(place, monkeypatch, mode, world, named):
    monkeypatch.setenv("BINANCE_WS_URL", named)
    with pytest.raises(ConfigError, match="BINANCE_WS_URL"):
        settings_of(place, monkeypatch, mode, world, "").stream_urls("binance")


@pytest.mark.parametrize(
    ("venue", "world", "named", "expected"),
    [
        ("btcturk", "mainnet", "", "https://graph-api.btcturk.com"),
        ("btcturk", "sim", LOCAL, LOCAL),  # a simulator serves candles too
        ("btcturk", "mainnet", LOCAL, LOCAL),
        ("binance", "mainnet", "", OFFICIAL),
    ],
)
def test_where_candles_stand(place, monkeypatch, venue, world, named, expected):
    monkeypatch.setenv("VENUE_ENV", world)
    if named:
        monkeypatch.setenv(f"{venue.upper()}_REST_URL", named)
    assert load(place).candles_url(venue) == expected


# -- identity


def test_the_instance_does_not_depend_on_where_the_home_is(
    place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BINANCE_API_KEY", "key-one")
    one = load(place).instance
    os.rename(place.root, tmp_path / "moved")
    moved = load(Home(tmp_path / "moved"))
    assert moved.instance == one
    monkeypatch.setenv("BINANCE_API_KEY", "key-two")
    assert load(Home(tmp_path / "moved")).instance != one
    monkeypatch.setenv("SANAD_INSTANCE_ID", "desk7")
    assert load(Home(tmp_path / "moved")).instance == "desk7"


def test_the_config_hash_is_of_values_not_of_spelling(place: Home, change: Write):
    before = load(place).config_hash
    change("# Sanad Trader", "# Another comment")
    assert load(place).config_hash == before
    change("order_ttl_s = 120", "order_ttl_s = 121")
    assert load(place).config_hash != before
