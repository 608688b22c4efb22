"""Bad configuration at every door: one clear line, exit 2, nothing touched; `kill_switch.py engage` works anyway."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import badkit
from badkit import Rig

Plant = Callable[[Rig], dict[str, str]]  # spoils the home; returns what stands in the environment
NOT_A_FOLDER = {"home-file", "home-below-file", "home-no-user", "home-too-long"}


@pytest.fixture
def rig(played_home: Path, tmp_path: Path) -> Iterator[Rig]:
    with badkit.spoilable(played_home, tmp_path) as found:
        yield found


def env(**values: str) -> Plant:
    return lambda rig: values


def config(old: str, new: str) -> Plant:
    """One line of the file replaced."""

    def plant(rig: Rig) -> dict[str, str]:
        path = rig.home / "config" / "sanad.toml"
        text = path.read_text()
        assert text.count(old) >= 1, old
        path.write_text(text.replace(old, new, 1))
        return {}

    return plant


def whole(raw: bytes) -> Plant:
    """The whole file replaced."""

    def plant(rig: Rig) -> dict[str, str]:
        (rig.home / "config" / "sanad.toml").write_bytes(raw)
        return {}

    return plant


def folder(name: str) -> Plant:
    """A folder where a file should be."""

    def plant(rig: Rig) -> dict[str, str]:
        (rig.home / name).unlink()
        (rig.home / name).mkdir()
        return {}

    return plant


def dotenv(raw: bytes) -> Plant:
    def plant(rig: Rig) -> dict[str, str]:
        (rig.home / ".env").write_bytes(raw)
        return {}

    return plant


def home_at(*parts: str) -> Plant:
    """SANAD_HOME below a file."""

    def plant(rig: Rig) -> dict[str, str]:
        file = rig.home.parent / "a-file"
        file.write_text("no folder")
        return {"SANAD_HOME": str(file.joinpath(*parts))}

    return plant


FILE = "sanad.toml"
# id -> (how it is planted, what the one line must name)
CASES: dict[str, tuple[Plant, tuple[str, ...]]] = {
    "mode-missing": (env(SYSTEM_MODE=""), ("SYSTEM_MODE", "is not set", "PAPER")),
    "mode-blank": (env(SYSTEM_MODE="  "), ("SYSTEM_MODE", "PAPER")),
    "mode-unknown": (env(SYSTEM_MODE="TEST"), ("SYSTEM_MODE", "'TEST'", "PAPER")),
    "mode-lower": (env(SYSTEM_MODE="live"), ("SYSTEM_MODE", "'live'")),
    "mode-two-lines": (env(SYSTEM_MODE="PAPER\nLIVE"), ("SYSTEM_MODE",)),
    "venue-env": (env(VENUE_ENV="prod", SANAD_CLOCK=""), ("VENUE_ENV", "'prod'", "testnet")),
    "venues-unknown": (env(VENUES="binance,kraken"), ("VENUES", "'kraken'", "mexc")),
    "venues-empty": (env(VENUES=",,"), ("VENUES", "empty")),
    "venues-twice": (env(VENUES="binance,binance"), ("VENUES", "twice")),
    "symbols-blank-inside": (env(UNIVERSE_SYMBOLS="BTC USDT"), ("UNIVERSE_SYMBOLS", "BTCUSDT")),
    "symbols-path": (env(UNIVERSE_SYMBOLS="../../etc"), ("UNIVERSE_SYMBOLS",)),
    "symbols-foreign": (env(UNIVERSE_SYMBOLS="\u0411\u0422\u0426"), ("UNIVERSE_SYMBOLS",)),
    "dry-run": (env(DRY_RUN="maybe"), ("DRY_RUN", "'maybe'", "true or false")),
    "safe-mode": (env(SAFE_MODE="2"), ("SAFE_MODE", "'2'")),
    "kill-switch": (env(KILL_SWITCH="ture"), ("KILL_SWITCH", "'ture'")),
    "age-with-unit": (env(MAX_MARKET_DATA_AGE_MS="3s"), ("MAX_MARKET_DATA_AGE_MS", "'3s'")),
    "orders-negative": (env(MAX_ORDERS_PER_CYCLE="-1"), ("MAX_ORDERS_PER_CYCLE", "'-1'")),
    "orders-superscript": (env(MAX_ORDERS_PER_CYCLE="\u00b2"), ("MAX_ORDERS_PER_CYCLE",)),
    "loss-nan": (env(MAX_DAILY_LOSS="NaN"), ("MAX_DAILY_LOSS", "NaN")),
    "cap-huge": (env(NOTIONAL_CAP_PER_CYCLE="1e400"), ("NOTIONAL_CAP_PER_CYCLE", "outside")),
    "cap-5000-digits": (env(NOTIONAL_CAP_PER_CYCLE="9" * 5000), ("NOTIONAL_CAP_PER_CYCLE", "999...", "outside")),
    "try-name": (env(MIN_ORDER_NOTIONAL_TRY="5"), ("MIN_ORDER_NOTIONAL_TRY", "TRY")),
    "profile": (env(SANAD_PROFILE="wild"), ("SANAD_PROFILE", "wild")),
    "ai-dec": (env(AI_DEC="x"), ("AI_DEC", "'x'")),
    "instance-long": (env(SANAD_INSTANCE_ID="x" * 100_000), ("SANAD_INSTANCE_ID", "64")),
    "clock-silent": (env(SANAD_CLOCK="http://127.0.0.1:1/sim/clock"), ("SANAD_CLOCK", "does not answer")),
    "clock-scheme": (env(SANAD_CLOCK="ftp://127.0.0.1:9/x"), ("SANAD_CLOCK", "loopback")),
    "clock-no-url": (env(SANAD_CLOCK="http://[::1"), ("SANAD_CLOCK", "loopback")),
    "clock-port": (env(SANAD_CLOCK="http://127.0.0.1:99999/"), ("SANAD_CLOCK", "loopback")),
    "clock-on-mainnet": (env(VENUE_ENV="mainnet"), ("SANAD_CLOCK", "VENUE_ENV=sim")),
    "syntax": (config("[breakers]", "[breakers"), (FILE, "is not TOML", "line")),
    "key-unknown": (config("[breakers]\n", "[breakers]\ncolour = 5\n"), (FILE, "`colour`", "$.breakers")),
    "section-unknown": (config("[breakers]\n", "[zebra]\na = 1\n[breakers]\n"), (FILE, "`zebra`")),
    "fraction-as-percent": (config('daily_loss_frac = "0.05"', 'daily_loss_frac = "5"'), (FILE, "daily_loss_frac = 5")),
    "fraction-negative": (config('total_frac = "0.30"', 'total_frac = "-0.3"'), (FILE, "exposure.total_frac = -0.3")),
    "fraction-nan": (config('total_frac = "0.30"', "total_frac = nan"), (FILE, "exposure.total_frac")),
    "drawdown": (config('drawdown_kill_frac = "0.20"', 'drawdown_kill_frac = "0.5"'), (FILE, "0.20")),
    "int-as-text": (config("failures_max = 5", 'failures_max = "five"'), (FILE, "$.breakers.failures_max")),
    "int-as-bool": (config("failures_max = 5", "failures_max = true"), (FILE, "$.breakers.failures_max")),
    "int-as-date": (config("failures_max = 5", "failures_max = 2020-01-01"), (FILE, "$.breakers.failures_max")),
    "int-negative": (config("failures_max = 5", "failures_max = -5"), (FILE, "$.breakers.failures_max")),
    "int-zero": (config("failures_max = 5", "failures_max = 0"), (FILE, "breakers.failures_max = 0 is outside 1")),
    "int-huge": (config("trips_day_warn = 3", "trips_day_warn = 99999999999999999999"), (FILE, "trips_day_warn")),
    "time-beyond-a-year": (config("cooldown_s = 300", "cooldown_s = 9999999999"), (FILE, "breakers.cooldown_s")),
    "deadline-zero": (config("tick_deadline_s = 45", "tick_deadline_s = 0"), (FILE, "tick_deadline_s = 0")),
    "body-zero": (config("body_bytes_max = 20_000_000", "body_bytes_max = 0"), (FILE, "body_bytes_max = 0")),
    "file-empty": (whole(b""), (FILE, "venues", "checkout")),
    "file-one-word": (whole(b"breakers = 5\n"), (FILE, "breakers stands outside")),
    "file-binary": (whole(bytes(range(256))), (FILE, "is not TOML")),
    "file-huge": (whole(b"#" * 2_000_000), (FILE, "larger than 1000000")),
    "file-folder": (folder("config/sanad.toml"), (FILE, "cannot be read")),
    "env-file-binary": (dotenv(bytes(range(128, 256))), (".env", "cannot be read")),
    "env-file-junk": (dotenv(b"A=1\n\nthis is no binding = at all '\n"), (".env", "line 3")),
    "env-file-open-quote": (dotenv(b"A=1\nKILL_SWITCH='true\nB=2\n"), (".env", "line 2")),
    "env-file-folder": (folder(".env"), (".env", "cannot be read")),
    "home-file": (home_at(), ("a-file", "check SANAD_HOME")),
    "home-below-file": (home_at("b", "c"), ("a-file/b/c", "check SANAD_HOME")),
    "home-no-user": (env(SANAD_HOME="~nobody-by-that-name/x"), ("SANAD_HOME",)),
    "home-too-long": (env(SANAD_HOME="/" + "x" * 5000), ("SANAD_HOME",)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_door_says_it_in_one_line_and_touches_nothing(rig: Rig, case: str) -> None:
    plant, parts = CASES[case]
    (rig.home / "packet.json").write_text(json.dumps({"decision": badkit.PACKET}))
    values = plant(rig)
    before = badkit.tree(rig.home)
    for door, *arguments in badkit.CALLS:
        for options in ([], ["--json"]):
            said = rig.door(door, *arguments, *options, **values)
            badkit.assert_clear(said, {2}, *parts)
            assert len(said.lines) == 1, said
    assert badkit.tree(rig.home) == before
    _assert_engage_works(rig, case, values)


def _assert_engage_works(rig: Rig, case: str, values: dict[str, str]) -> None:
    """The kill switch engages with any configuration; only without a folder to write to it says so and fails."""
    (rig.home / "packet.json").unlink(missing_ok=True)
    told = rig.door(*badkit.STOP, "--json", **values)
    if case in NOT_A_FOLDER:
        badkit.assert_clear(told, {2})
        return
    badkit.assert_clear(told, {0}, "ENGAGED")
    assert json.loads(rig.state("kill_switch.json").read_text())["state"] == "active"
    assert rig.events("KILL_SWITCH_ACTIVATED")
    badkit.assert_clear(rig.door("kill_switch", "status", **values), {0, 1}, "ACTIVE")


@pytest.mark.parametrize("call", [*badkit.CALLS, badkit.STOP], ids=" ".join)
def test_as_a_real_process_without_a_mode(rig: Rig, call: tuple[str, ...]) -> None:
    door, *arguments = call
    expected = {0} if call == badkit.STOP else {2}
    badkit.assert_clear(rig.spawn(door, *arguments, "--json", SYSTEM_MODE=""), expected)


def test_a_loose_word_in_the_environment_file_is_no_setting_lost(rig: Rig) -> None:
    """What python-dotenv would skip with a warning may have been the lock."""
    (rig.home / ".env").write_text("BINANCE_API_KEY=fakekey\nif [ -n $X ]; then\n")
    said = rig.spawn("router")
    badkit.assert_clear(said, {2}, ".env", "line 2")
    (rig.home / ".env").write_text("BINANCE_API_KEY=fakekey\n# if [ -n $X ]; then\nexport LOG_LEVEL=INFO\nEMPTY\n")
    badkit.assert_clear(rig.spawn("router"), {0})


URLS = {
    "foreign-host": "http://example.com",
    "no-port": "http://127.0.0.1:notaport",
    "port-beyond": "http://127.0.0.1:99999",
    "no-scheme": "127.0.0.1:80",
    "no-url": "http://[::1",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_an_exchange_address_of_no_use_blocks_entries_and_is_named(rig: Rig, url: str) -> None:
    before = rig.entries()
    for command in ("refresh", "time", "account", "filters", "book"):
        badkit.assert_clear(rig.door("binance_client", command, BINANCE_REST_URL=url), {2}, "BINANCE_REST_URL")
    said = rig.door("router", BINANCE_REST_URL=url)
    badkit.assert_clear(said, {1}, "market_data:missing")
    assert "BINANCE_REST_URL" in said.text
    badkit.assert_clear(rig.door("heartbeat", BINANCE_REST_URL=url), {1})
    assert rig.entries() == before
    badkit.assert_sound(rig)
    rig.tick()
    assert rig.entries() == before + 1


def test_keys_of_no_use_are_named_and_never_shown(rig: Rig) -> None:
    for value in ("key\nwith a line", "\u043a\u043b\u044e\u0447", "a\tb"):
        said = rig.door("binance_client", "account", BINANCE_API_KEY=value)
        badkit.assert_clear(said, {2}, "BINANCE_API_KEY")
        assert value not in said.text
    badkit.assert_clear(rig.door("binance_client", "account", BINANCE_API_SECRET=""), {2}, "BINANCE_API_SECRET")
    key = "-----BEGIN PRIVATE KEY-----\nfake"  # pragma: allowlist secret
    said = rig.door("binance_client", "account", BINANCE_API_SECRET=key)
    badkit.assert_clear(said, {2}, "BINANCE_API_SECRET")


def test_a_fresh_home_is_made_where_the_folder_is_missing(tmp_path: Path) -> None:
    """Not bad input: parts that are missing are created from the checkout's defaults."""
    rig = Rig(tmp_path / "new" / "home", None, {"SYSTEM_MODE": "PAPER", "SANAD_HOME": str(tmp_path / "new" / "home")})
    badkit.assert_clear(rig.door("audit", "verify"), {0})
    assert (rig.home / "config" / "sanad.toml").is_file()
