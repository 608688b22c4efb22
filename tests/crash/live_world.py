"""The exchange of a LIVE crash case: the simulator in a process of its own, copied by fork whenever a case begins.

One copy serves the run that is to die; at each chosen step it forks, so that the case starts from exactly what the
exchange had heard by then while the run itself goes on. What the run has sent is handled before the copy is made. An
order on a slow way (`SLOW`) lands when time next moves, in the original and in every copy.
"""

import asyncio
import hashlib
import json
import os
import signal
import socket
import urllib.request
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp import web

from lab.sim import wire
from lab.sim.calls import Call
from lab.sim.exchange import Exchange
from lab.sim.wire import SimServer

SLOW = "slow"  # a kind of ours: the next matching request is heard when time next moves, its answer never comes
SETTLE_TURNS = 60  # turns of the event loop in which a request that has arrived is handled
KEEP_ALIVE_S = 86_400.0  # a run that stands still between two steps keeps its connection
NEVER_S = 86_400.0
CASE_S_MAX = 300
ANSWER_BYTES_MAX = 65_536
WAIT_S_MAX = 60


class World(SimServer):
    """A simulator that can be asked for its digest and for a copy of itself."""

    def __init__(self, exchange: Exchange, dialect: Any, flying: list[Call], slow: dict[str, str]) -> None:
        super().__init__(exchange, dialect)
        self.flying, self.slow = flying, slow

    def arm(self, faults: list[dict[str, Any]]) -> None:
        """Arm what is to happen; a redirect leads back here, so that one who follows it is heard twice."""
        for fault in faults:
            if fault["kind"] == SLOW:
                self.slow = fault["match"]
            else:
                self.exchange.arm(fault | ({"arg": self.url} if fault["kind"] == "redirect_307" else {}))

    async def start(self, port: int) -> None:
        """As the simulator, but connections outlast any pause between two steps."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=KEEP_ALIVE_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, wire.HOST, port).start()
        self.url = f"http://{wire.HOST}:{self._runner.addresses[0][1]}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path == "/sim/advance":
            self._land()
        elif self.slow and request.method == self.slow["method"] and path.startswith(self.slow["path"]):
            self.slow = {}
            body = (await request.read()).decode()
            self.flying.append(Call(request.method, path, query, body, dict(request.headers)))
            await asyncio.sleep(NEVER_S)
        return await super()._serve(request)

    def _land(self) -> None:
        """What was on its way arrives, late."""
        while self.flying:
            call = self.flying.pop(0)
            self._log(call, SLOW, self._dialect.handle(call).status)

    async def live(self, control: socket.socket, faults: list[dict[str, Any]]) -> None:
        """Serve until the other end of `control` is closed."""
        await self.start(0)
        self.arm(faults)
        _say(control, {"url": self.url, "pid": os.getpid()})
        control.setblocking(False)
        loop = asyncio.get_running_loop()
        while asked := await loop.sock_recv(control, 1):
            for _ in range(SETTLE_TURNS):
                await asyncio.sleep(0)
            if asked == b"d":
                _say(control, {"digest": self.digest()})
            elif os.fork() == 0:
                _be(World(self.exchange, self._dialect, self.flying, self.slow).case(control))

    async def case(self, control: socket.socket) -> None:
        """Serve one case; its judge ends this process, and if the judge is gone, time does."""
        await self.start(0)
        _say(control, {"url": self.url, "pid": os.getpid()})
        await asyncio.sleep(CASE_S_MAX)

    def digest(self) -> str:
        """What of the exchange can still make a difference: its books, what is armed, what is on its way."""
        exchange = self.exchange
        late = [[o.fill_cap, o.hidden_until_ms, o.late_ms, o.cancel_ms, o.eligible_ms] for o in exchange.engine.orders]
        whole = [
            exchange.books(), [fault.shown() for fault in exchange.faults.armed], late,
            [(call.method, call.path, call.query, call.body) for call in self.flying], self.slow,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(whole, default=str, sort_keys=True).encode()).hexdigest()


def _say(control: socket.socket, what: dict[str, Any]) -> None:
    control.setblocking(True)
    control.sendall(json.dumps(what).encode() + b"\n")
    control.setblocking(False)


def _be(life: Coroutine[Any, Any, None]) -> NoReturn:
    """This process is the exchange, until it is ended."""
    try:
        asyncio.run(life)
    finally:
        os._exit(0)


@dataclass
class Copy:
    """A running exchange, seen by the process that judges."""

    url: str
    pid: int
    control: socket.socket | None = None

    def ask(self, what: bytes) -> dict[str, Any]:
        """Ask for the digest (`d`) or for a copy (`c`)."""
        assert self.control is not None
        self.control.sendall(what)
        return _heard(self.control)

    @contextmanager
    def copied(self) -> Iterator["Copy"]:
        """An exchange that has heard what this one has, for one case."""
        made = self.ask(b"c")
        try:
            yield Copy(made["url"], made["pid"])
        finally:
            os.kill(made["pid"], signal.SIGKILL)


@contextmanager
def running(exchange: Exchange, dialect: Any, faults: list[dict[str, Any]]) -> Iterator[Copy]:
    """A copy of the exchange with these faults armed; the caller's own stays as it is."""
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        here.close()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # copies of this one are not waited for
        _be(World(exchange, dialect, [], {}).live(there, faults))
    there.close()
    here.settimeout(WAIT_S_MAX)
    try:
        yield Copy(_heard(here)["url"], pid, here)
    finally:
        here.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _heard(control: socket.socket) -> dict[str, Any]:
    raw = b""
    while not raw.endswith(b"\n"):
        more = control.recv(ANSWER_BYTES_MAX)
        assert more, "the exchange's process ended"
        raw += more
    found = json.loads(raw)
    assert isinstance(found, dict)
    return found


@dataclass
class Remote:
    """An exchange's /sim endpoints, with the names `lab.sim.server.SimHandle` gives them."""

    rest_url: str

    @property
    def admin_url(self) -> str:
        return self.rest_url

    def advance(self, ms: int) -> int:
        return int(self._call("POST", "/sim/advance", {"ms": ms})["now_ms"])

    def books(self) -> dict[str, Any]:
        return dict(self._call("GET", "/sim/books"))

    def requests(self) -> list[dict[str, Any]]:
        found = self._call("GET", "/sim/requests")
        return list(found["requests"] if isinstance(found, dict) else found)

    def clear_faults(self) -> None:
        self._call("DELETE", "/sim/faults")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        raw = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.rest_url + path, raw, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=WAIT_S_MAX) as answer:
            return json.loads(answer.read() or b"{}")
