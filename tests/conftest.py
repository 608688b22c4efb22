"""Fixtures every test may use: a clean environment, the shared data, a home, a stepped exchange simulator."""

import dataclasses
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from desk.base import clock

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
OURS = ("SANAD_", "KILL_SWITCH", "SAFE_MODE", "DRY_RUN", "LIVE_TRADING", "SYSTEM_MODE", "VENUE", "UNIVERSE_SYMBOLS")
OUR_ENDINGS = ("_API_KEY", "_API_SECRET", "_REST_URL", "_WS_URL", "_WS_ENABLED", "_REST_FALLBACK")
OUR_LIMITS = ("MAX_", "MIN_ORDER_", "NOTIONAL_CAP_", "TTL_SECONDS", "MARKET_DATA_", "AI_DEC")
SIM_START_S_MAX = 30
settings.register_profile("house", deadline=None, derandomize=True)  # the same examples everywhere; nothing is timed
settings.load_profile("house")
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback only, whatever the host's proxy


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test ever sees the operator's mode, limits or keys, nor do the processes it starts."""
    for name in list(os.environ):
        ours = name.startswith(OURS + OUR_LIMITS) or name.endswith(OUR_ENDINGS)
        if ours and name != "SANAD_CRASH_FULL":  # how many points `make crash` takes, not a setting
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def own_clock() -> Iterator[None]:
    """A test that stops the house clock leaves it running for the next one."""
    yield
    clock._Anchor.wall_ms, clock._Anchor.frozen = None, False


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded markets and exchange answers beside the checkout; absent on most machines."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("../shared/data is not beside the checkout")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty SANAD_HOME with the checkout's config and an empty .env (so that the checkout's own is not read)."""
    folder = tmp_path / "home"
    (folder / "config").mkdir(parents=True)
    (folder / ".env").write_text("")
    config = ROOT / "config" / "sanad.toml"
    if config.is_file():
        (folder / "config" / "sanad.toml").write_bytes(config.read_bytes())
    monkeypatch.setenv("SANAD_HOME", str(folder))
    return folder


@dataclasses.dataclass(frozen=True)
class Sim:
    """One running simulator: what its first line said, and its admin door."""

    process: subprocess.Popen[bytes]
    hello: dict[str, Any]

    @property
    def rest_url(self) -> str:
        return str(self.hello["rest_url"])

    @property
    def admin_url(self) -> str:
        return str(self.hello["admin_url"])

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call `/sim/...`; returns the decoded JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.admin_url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with NO_PROXY.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def advance(self, ms: int) -> Any:
        return self.admin("POST", "/sim/advance", {"ms": ms})

    def fault(self, kind: str, **rest: Any) -> Any:
        return self.admin("POST", "/sim/faults", {"kind": kind, **rest})

    def environment(self, venue: str = "binance") -> dict[str, str]:
        """What a door needs to trade here."""
        return {
            "VENUE_ENV": "sim",
            "VENUES": venue,
            f"{venue.upper()}_REST_URL": self.rest_url,
            f"{venue.upper()}_API_KEY": "simkey",
            f"{venue.upper()}_API_SECRET": "simsecret",
            "SANAD_CLOCK": self.admin_url + "/sim/clock",
        }


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Callable[..., Sim]]:
    """Start simulators: `sim("--venue", "binance", "--symbol", "BTCUSDT")`; each is stepped and ends with the test."""
    if not (SCRIPTS / "exchange_sim.py").is_file():
        pytest.skip("scripts/exchange_sim.py is not there yet")
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> Sim:
        told, failed = tmp_path / f"sim-{len(started)}.out", tmp_path / f"sim-{len(started)}.err"
        command = [sys.executable, str(SCRIPTS / "exchange_sim.py"), "--port", "0", "--step", *arguments]
        with told.open("wb") as out, failed.open("wb") as err:  # files: a full pipe would stop the simulator
            process = subprocess.Popen(command, stdout=out, stderr=err)
        started.append(process)
        deadline = time.monotonic() + SIM_START_S_MAX
        while b"\n" not in told.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the simulator did not start: {failed.read_text()[-2000:]}")
            time.sleep(0.02)
        return Sim(process, json.loads(told.read_bytes().splitlines()[0]))

    yield start
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
