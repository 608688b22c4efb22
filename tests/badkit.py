"""Bad input for tests: a played PAPER home to spoil, doors to run on it, and what must hold whatever was spoilt.

A case copies the prepared home, spoils one thing and runs doors against its own stepped simulator, which stands at the
minute the session ended (the same seed gives the same market). Doors run in this process (fast; a traceback that
escapes fails the test by itself) or as real processes.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import daykit
from desk.state import registry
from desk.venues import client_door
from lab.day import SCRIPTS, Day
from lab.sim.server import SimHandle, running_sim

HELD, WANTED = "BTCUSDT", "ETHUSDT"  # the session holds the first; a signal for the second waits in the inbox
SYMBOLS = (HELD, WANTED)
SEED = 11
BARS_BEFORE = 60  # minutes of market before the session, so that candles are there
SESSION_TICKS = 7
DOOR_S_MAX = 60
SHOWN_MAX = 1500  # characters of an output in a failed test
CLIENTS = ("binance_client", "mexc_client", "btcturk_client")
ACKNOWLEDGED = ("--reason", "a test", "--ack", "I_UNDERSTAND")
PACKET = {
    "venue": "binance", "symbol": WANTED, "side": "BUY", "kind": "ENTRY", "edge_bps": "500", "notional_quote": "100",
}  # fmt: skip
CALLS: tuple[tuple[str, ...], ...] = (  # every door that runs in the frame, with every command; all take --json
    ("router",),
    ("router", "--dry-run"),
    ("heartbeat",),
    ("reconcile",),
    ("reconcile", "--repair", "adopt", "nothing", *ACKNOWLEDGED),
    ("policy_engine", "tick"),
    ("policy_engine", "check", "packet.json"),
    ("policy_engine", "explain"),
    *((client, command) for client in CLIENTS for command in ("refresh", "time", "account", "filters", "book")),
    ("market_stream", "probe", "--seconds", "1"),
    ("market_stream", "reconnect", "--reason", "a test"),
    ("orders", "list"),
    ("orders", "list", "--all", "--exchange"),
    ("orders", "positions"),
    ("orders", "show", "nothing"),
    ("orders", "cancel", "nothing", "--reason", "a test", "--yes"),
    ("orders", "cancel-all", "--reason", "a test", "--yes"),
    ("orders", "flatten", "--reason", "a test", "--yes"),
    ("breakers", "status"),
    ("breakers", "reset", "all", "--reason", "a test"),
    ("kill_switch", "release", *ACKNOWLEDGED),
    ("arming", "status"),
    ("arming", "arm", *ACKNOWLEDGED),
    ("arming", "baseline", "--clear", *ACKNOWLEDGED),
    ("pause", "--reason", "a test"),
    ("resume", *ACKNOWLEDGED),
    ("limits", "show"),
    ("limits", "set", "size_frac=0.5", "--for", "5h", "--reason", "a test"),
    ("limits", "clear", "--reason", "a test"),
    ("mode", "show"),
    ("mode", "switch", "PAPER", "--reason", "a test"),
    ("audit", "verify"),
    ("audit", "rebuild"),
    ("audit", "reseal", *ACKNOWLEDGED),
    ("audit", "tail"),
    ("audit", "explain", "nothing"),
    ("audit", "note", "a test"),
    ("audit", "export"),
)
STOP = ("kill_switch", "engage", "--reason", "a test")  # works whatever is broken
CHANGES = {  # short waits and a small reserve: what is tested is what happens, not how long it takes
    "backoff_s = [1, 2, 4, 8]": "backoff_s = [0]",
    "connect_timeout_s = 3": "connect_timeout_s = 1",
    "read_timeout_s = 5": "read_timeout_s = 1",
    "total_timeout_s = 15": "total_timeout_s = 3",
    "reserve_bytes = 8_388_608": "reserve_bytes = 262_144",
    "disk_degrade_bytes = 1_073_741_824": "disk_degrade_bytes = 524_288",  # test_bad_input_disk fills a few megabytes
    "disk_pause_bytes = 536_870_912": "disk_pause_bytes = 393_216",
    "after_close_min = 30": "after_close_min = 0",  # the market may stop the held position out while a case heals
    "after_losing_close_min = 60": "after_losing_close_min = 0",
    "after_stop_out_h = 24": "after_stop_out_h = 0",
    "[schedule.policy_engine]\nenabled = true": "[schedule.policy_engine]\nenabled = false",  # not played each minute
    "[schedule.binance_client]\nenabled = true": "[schedule.binance_client]\nenabled = false",
} | daykit.NO_STRATEGIES


@dataclass(frozen=True)
class Said:
    """One door that ended."""

    door: str
    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def lines(self) -> list[str]:
        return self.text.strip().splitlines()

    @property
    def last(self) -> str:
        return self.lines[-1] if self.lines else ""

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document of a door under --json."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    def __str__(self) -> str:
        asked = ascii(" ".join(self.arguments))[:SHOWN_MAX]
        return f"{self.door} {asked} -> {self.code}\n{self.out[-SHOWN_MAX:]}{self.err[-SHOWN_MAX:]}"


@dataclass
class Rig:
    """A home to spoil, its simulator and its environment."""

    home: Path
    sim: SimHandle | None
    env: dict[str, str] = field(default_factory=dict)

    def door(self, name: str, *arguments: str, **env: str) -> Said:
        """Run a door in this process; `env` is set for this run only, an empty value unsets."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.ExitStack() as stack:
            for manager in (_environment(self.env | env), _arguments(name, arguments)):
                stack.enter_context(manager)
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))
            try:
                code = _main(name)(list(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        return Said(name, arguments, code, out.getvalue(), err.getvalue())

    def spawn(self, name: str, *arguments: str, **env: str) -> Said:
        """Run a door as cron would."""
        wanted = {key: value for key, value in (self.env | env).items() if value}
        done = subprocess.run(
            [sys.executable, str(SCRIPTS / f"{name}.py"), *arguments], capture_output=True, timeout=DOOR_S_MAX,
            env={"PATH": os.environ.get("PATH", ""), **wanted}, cwd=self.home if self.home.is_dir() else None,
        )  # fmt: skip
        return Said(name, arguments, done.returncode, done.stdout.decode(), done.stderr.decode())

    def minute(self) -> None:
        """The market's next minute."""
        assert self.sim is not None
        self.sim.advance(60_000)

    def tick(self) -> dict[str, Said]:
        """The next minute and its jobs, reconcile included."""
        self.minute()
        return {name: self.door(name) for name in ("reconcile", "router", "heartbeat")}

    def state(self, name: str) -> Path:
        return self.home / "state" / name

    @property
    def journal(self) -> Path:
        return self.home / "execution-logs" / "audit.jsonl"

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in daykit.lines_of(self.home) if line["event"] in names]

    def entries(self) -> int:
        """How many entry orders were ever sent."""
        return len([e for e in self.events("INTENT_CREATED") if e["data"]["kind"] == "ENTRY"])

    def log(self, name: str) -> str:
        path = self.home / "execution-logs" / name
        return path.read_text() if path.exists() else ""


def prepare(folder: Path) -> None:
    """Play a short session: opening balances, one protected position, every observation written, a signal waiting."""
    (folder / "config").mkdir(parents=True)
    (folder / ".env").write_text("")
    text = daykit.CONFIG.read_text()
    for old, new in CHANGES.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "config" / "sanad.toml").write_text(text)
    with market() as sim:
        rig = Rig(folder, sim, environment(folder, sim))
        for number in range(SESSION_TICKS):
            if number == 1:
                signal(rig, "held", symbol=HELD)
            told = rig.tick()
            assert {said.code for said in told.values()} == {0}, told
        for door, arguments in (("policy_engine", ("tick",)), ("binance_client", ("refresh",))):
            assert rig.door(door, *arguments).code == 0
        assert rig.door("limits", "set", "size_frac=0.9", "--for", "4h", "--reason", "a bit smaller").code == 0
        assert rig.entries() == 1
        signal(rig, "wanted", symbol=WANTED)


@contextlib.contextmanager
def market(minutes: int = 0) -> Iterator[SimHandle]:
    """The session's market before its first tick, or so many minutes later."""
    with running_sim(symbols=SYMBOLS, seed=SEED) as sim:
        sim.advance((BARS_BEFORE + minutes) * 60_000)
        yield sim


@contextlib.contextmanager
def spoilable(prepared: Path, folder: Path) -> Iterator[Rig]:
    """A copy of the prepared home, its market standing where the session ended."""
    home = folder / "home"
    shutil.copytree(prepared, home, symlinks=True)
    with market(SESSION_TICKS) as sim:
        yield Rig(home, sim, environment(home, sim))


def environment(home: Path, sim: SimHandle) -> dict[str, str]:
    """What a door needs to trade on paper against the simulator."""
    return {
        "SANAD_HOME": str(home), "SYSTEM_MODE": "PAPER", "VENUES": "binance", "VENUE_ENV": "sim",
        "BINANCE_REST_URL": sim.rest_url, "BINANCE_API_KEY": "simkey", "BINANCE_API_SECRET": "simsecret",
        "SANAD_CLOCK": sim.admin_url + "/sim/clock", "UNIVERSE_SYMBOLS": ",".join(SYMBOLS),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def signal(rig: Rig, name: str, **fields: Any) -> None:
    """An entry signal in the inbox, written as a producer does."""
    played: Any = Day(rig.home, rig.sim, rig.env, in_process=True)  # type: ignore[arg-type]  # only its admin_url
    daykit.drop_signal(played, name, **({"notional_quote": "100"} | fields))


def spoil(path: Path, how: Callable[[bytes], bytes | None]) -> None:
    """Replace a file's bytes; None takes the file away."""
    fresh = how(path.read_bytes() if path.is_file() else b"")
    path.unlink(missing_ok=True)
    if fresh is not None:
        path.write_bytes(fresh)


def tree(folder: Path, *left_out: str) -> dict[str, str]:
    """Every file below a folder by name, with a hash of its bytes; locks and logs for eyes are left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and ".locks" not in name and not name.endswith((".log", *left_out)):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def assert_clear(said: Said, codes: set[int], *parts: str) -> None:
    """A door that met bad input: an allowed exit code, no traceback, no bug, a last line that says what and where."""
    assert "Traceback" not in said.text, said
    assert "bug:" not in said.text, said
    assert said.code in codes, said
    if "--json" in said.arguments:
        assert said.err == "", said
        last = str(said.document["verdict"])
        assert said.document.get("exit_code", said.code) == said.code, said
    else:
        last = said.last
    assert last.strip() == last and last and "\n" not in last, said
    for part in parts:
        assert part in last, f"{part!r} is not in the last line of {said}"


def assert_sound(rig: Rig, *spoilt: str, verify: set[int] = frozenset({0})) -> None:  # type: ignore[assignment]
    """Nothing is half-written: no leftovers, state files parse (but the spoilt ones), journal verifies, no bug seen."""
    state = rig.home / "state"
    assert list(rig.home.rglob("*.tmp")) == []
    for path in state.rglob("*.json"):
        if path.is_file() and path.name not in spoilt and "quarantine" not in path.parts:
            assert isinstance(json.loads(path.read_bytes()), dict), path
    for name in ("errors.log", "trading.log"):
        assert "Traceback" not in rig.log(name), rig.log(name)
        assert " bug:" not in rig.log(name), rig.log(name)
    assert_clear(rig.door("audit", "verify"), verify)


def files_of(home: Path) -> list[str]:
    """Every state file the registry knows, families by the names they bear here."""
    found = []
    for row in registry.ROWS:
        pattern = row.file.replace("{venue}", "*").replace("{source}", "*").replace("{script}", "*")
        names = sorted(str(path.relative_to(home / "state")) for path in (home / "state").glob(pattern))
        found += names or [row.file]
    return found


def _main(name: str) -> Callable[[list[str]], int]:
    module: Any = import_module(name)
    if name in CLIENTS:
        return lambda argv: client_door.main(module.VENUE, module.make_client, argv)
    main: Callable[[list[str]], int] = module.main
    return main


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(wanted)
    for name in [name for name, value in wanted.items() if not value]:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _arguments(name: str, arguments: tuple[str, ...]) -> Iterator[None]:
    before = sys.argv
    sys.argv = [str(SCRIPTS / f"{name}.py"), *arguments]
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def lying(rig: Rig, path: str, lie: Callable[[bytes], bytes]) -> Iterator[str]:
    """A server before the simulator that answers truly but for one path; gives its address."""
    assert rig.sim is not None
    truth = rig.sim.rest_url

    class Liar(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower().startswith("x-")}
            with urllib.request.urlopen(urllib.request.Request(truth + self.path, headers=headers), timeout=10) as told:
                raw = told.read()
            body = lie(raw) if self.path.startswith(path) else raw
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A caller that hangs up is what is tested."""

    server = Quiet(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
