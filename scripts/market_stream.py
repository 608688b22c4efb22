#!/usr/bin/env python3
"""WebSocket market and user data of Binance, as observations with true ages. A service; REST alone is always enough.

`run` (the default) keeps two connections: market streams, and the WebSocket API, where python-binance's user socket
subscribes by `userDataStream.subscribe.signature` (listen keys are gone since 2026-02). An order event is a reason for
router and reconcile to look the order up, never a booking. MEXC and BTCTurk go by REST; `run` says why. The sockets are
python-binance's, which only this door imports: the one exception to "only venues.transport opens sockets to exchanges".
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

os.environ["WEBSOCKETS_MAX_REDIRECTS"] = "1"  # the first try only: a redirect is never followed (P9)
for _library in ("binance", "websockets"):  # our own lines say what happened
    logging.getLogger(_library).addHandler(logging.NullHandler())
    logging.getLogger(_library).propagate = False

from clients import clients_of
from desk.base import clock, exit_codes
from desk.base.errors import BadInput, WorldError
from desk.config.load import Settings
from desk.runtime import operator_args
from desk.runtime.tick import Outcome, Run, run_door
from desk.state import lock, store
from desk.venues import stream_probe, streamer
from desk.venues.stream_files import NO_STREAM, is_asked, read
from desk.venues.stream_service import ENDED, VENUE, Message, Service, flat, is_end, serving
from desk.venues.streamer import MARKET, USER, WRITER

DOOR: Final = "market_stream"
SERVICE_DEADLINE_S = 100.0 * 366 * 86_400
CLOSE_S_MAX = 5.0
OPEN_S_MAX = 10.0
POLL_S = 0.2
PROBE_S_MAX: Final = 600


class Link:
    """One python-binance connection and the task that reads it into a queue."""

    def __init__(self, channel: str, settings: Settings, queue: "asyncio.Queue[Message]") -> None:
        self.channel, self._settings, self._queue = channel, settings, queue
        self._client: Any = None
        self._socket: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self, streams: list[str], offset_ms: int) -> None:
        """Connect and subscribe.

        Raises:
            WorldError: it could not be done, in one line.
        """
        try:
            async with asyncio.timeout(OPEN_S_MAX):
                await self._open(streams, offset_ms)
        except Exception as error:  # noqa: BLE001 - the library raises whatever its parts raise
            await self.close()
            raise WorldError(f"{type(error).__name__}: {flat(error)}", f"{VENUE} {self.channel} stream") from None
        self._reader = asyncio.ensure_future(self._read())

    async def close(self) -> None:
        """End it, CLOSE_S_MAX at most; what its end raises says nothing new."""
        if self._reader is not None:
            self._reader.cancel()
        for socket in (self._socket, getattr(self._client, "ws_api", None)):
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_S_MAX):
                    await _end(socket)
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._client.session.close()
        self._client = self._socket = self._reader = None

    async def ping(self) -> None:
        """Ask the WebSocket API for a sign of life; its answer goes where every message goes."""
        with suppress(Exception):
            async with asyncio.timeout(OPEN_S_MAX):
                answer = await self._client.ws_ping()
            self._queue.put_nowait((self.channel, {"id": 0, "result": answer}, clock.now_ms()))

    async def _open(self, streams: list[str], offset_ms: int) -> None:
        from binance import AsyncClient, BinanceSocketManager
        from binance.ws.websocket_api import WebsocketAPI

        base_url, api_url = self._settings.stream_urls(VENUE)
        self._client = AsyncClient(**(_keys(self._settings) if self.channel == USER else {}))
        self._client.timestamp_offset = clock.ahead_of_host_ms() + offset_ms
        self._client.ws_api = WebsocketAPI(url=api_url)
        self._client.ws_api._ws_kwargs = {"proxy": None}  # noqa: SLF001 - it takes no other way
        self._client.ws_api.MAX_RECONNECTS = 0  # when and how often is decided here, by rules.md
        manager = BinanceSocketManager(self._client)
        manager.STREAM_URL, manager.ws_kwargs = base_url + "/", {"proxy": None}
        manager.testnet = manager.demo = False  # the address above is the one of this VENUE_ENV
        self._socket = manager.user_socket() if self.channel == USER else manager.multiplex_socket(streams)
        self._socket.MAX_RECONNECTS = 0
        await self._socket.__aenter__()

    async def _read(self) -> None:
        while True:
            try:
                raw = await self._socket.recv()
            except Exception as error:  # noqa: BLE001 - the library raises whatever its parts raise
                over = "the connection was lost" if type(error).__name__ == "ReadLoopClosed" else flat(error)
                raw = {"e": ENDED, "m": over or type(error).__name__}
            self._queue.put_nowait((self.channel, raw, clock.now_ms()))
            if is_end(raw):
                return


async def serve(run: Run, say: Callable[[str, str], None]) -> Outcome:
    """Until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(run, say, Link, clients_of(run)) as service:
        while not stop.is_set():
            await service.step()
        desk = service.desk
    counts = desk.counts
    run.counts |= counts
    verdict = f"MARKET_STREAM END — stopped ({counts['messages']} messages, {counts['unusable']} unusable)"
    return Outcome(exit_codes.OK, verdict, {"counts": counts})


def keep(run: Run) -> Outcome:
    """`run`: the service, one per folder."""
    settings = run.settings
    if VENUE not in settings.venues:
        why = "; ".join(f"{venue}: {NO_STREAM[venue]}" for venue in settings.venues if venue in NO_STREAM)
        return Outcome(exit_codes.WARN, f"MARKET_STREAM — nothing to stream ({why or 'binance is not in VENUES'})")
    settings.stream_urls(VENUE)
    if settings.keys(VENUE).present:
        settings.keys(VENUE).need()
    with lock.only_one(run.home, DOOR):
        for venue in settings.venues:
            if venue in NO_STREAM:
                run.say(f"{venue} goes by REST: {NO_STREAM[venue]}")
        if not is_asked(settings.config, VENUE):
            run.say("MARKET_DATA_MODE=rest: what is streamed marks prices, orders are priced over REST")
        if not settings.keys(VENUE).present:
            run.say("no keys: market data only, no user data")
        return asyncio.run(serve(run, _sayer(run)))


def probe(run: Run, seconds: int) -> Outcome:
    """`probe`: connect, count, measure the worst age, and judge it. Writes no observation of the service."""
    if VENUE not in run.settings.venues:
        raise BadInput("binance is not listed", "VENUES", "only Binance streams here")
    return asyncio.run(_probe(run, seconds))


async def _probe(run: Run, seconds: int) -> Outcome:
    settings, queue = run.settings, asyncio.Queue[Message]()
    service = Service(run, _sayer(run), Link, clients_of(run))
    desk, link, problem = service.desk, Link(MARKET, settings, queue), ""
    ages = stream_probe.Ages(desk)
    try:
        await link.open(service.streams(), 0)
        desk.opened(MARKET, clock.now_ms())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not problem:
                    _, raw, arrived_ms = await queue.get()
                    problem = flat(raw.get("m")) if is_end(raw) else desk.heard(MARKET, raw, arrived_ms)
                    ages.note(clock.now_ms())
    except WorldError as error:
        problem = error.line()
    finally:
        await link.close()
    return stream_probe.judged(settings.config, desk, ages.ms, problem)


def reconnect(run: Run, reason: str) -> Outcome:
    """`reconnect`: ask the running service, and wait until data flows again."""
    limits = run.settings.config.streams
    before = read(run.home, "streams", venue=VENUE)
    written_ms = before.get("written_ms")
    if not isinstance(written_ms, int) or clock.now_ms() - written_ms > 1000 * limits.stale_pause_s:
        raise BadInput("no service runs", "market_stream.py", "start it: market_stream.py run")

    def change(doc: store.Doc | None) -> store.Doc:
        known = (doc or {}).get("request")
        number = max(known if isinstance(known, int) else 0, int(before.get("answered") or 0)) + 1
        return {"request": number, "reason": reason, "asked_at": clock.iso(clock.now_ms())}

    asked = store.update(run.home, "stream_control", change, WRITER, venue=VENUE) or {}
    until_s = clock.monotonic_s() + limits.operator_wait_s
    while clock.monotonic_s() < until_s:
        clock.pause_s(POLL_S)
        now = read(run.home, "streams", venue=VENUE)
        if int(now.get("answered") or 0) >= asked["request"] and streamer.is_streaming(now):
            return Outcome(exit_codes.OK, "MARKET_STREAM reconnect — OK (data flows)", {"request": asked["request"]})
    text = f"no data within {limits.operator_wait_s} s; REST serves where it may"
    return Outcome(exit_codes.WARN, f"MARKET_STREAM reconnect — WARNING ({text})", {"request": asked["request"]})


async def _end(socket: Any) -> None:
    """Close the socket first: the library's own close waits for its reader, which waits for the socket."""
    from binance.ws.constants import WSListenerState

    if socket is None:
        return
    socket.ws_state = WSListenerState.EXITING
    if socket.ws is not None:
        await socket.ws.close()
    socket._subscription_id = None  # noqa: SLF001 - no farewell over a connection that has gone
    await socket.__aexit__(None, None, None)


def _keys(settings: Settings) -> dict[str, Any]:
    """The account's key as python-binance takes it: a secret, or an Ed25519 key as text or file."""
    keys = settings.keys(VENUE).need()
    secret = keys.api_secret
    if secret.endswith(".pem"):
        return {"api_key": keys.api_key, "private_key": Path(secret)}
    if "PRIVATE KEY" in secret:
        return {"api_key": keys.api_key, "private_key": secret.replace("\\n", "\n").strip()}
    return {"api_key": keys.api_key, "api_secret": secret}


def _sayer(run: Run) -> Callable[[str, str], None]:
    def say(level: str, line: str) -> None:
        if level == "INFO":
            run.say(line)
        else:
            run.warn(level, line)

    return say


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= PROBE_S_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {PROBE_S_MAX}")
    return int(text)


def _parser() -> operator_args.OneLineParser:
    parser = operator_args.OneLineParser(prog="market_stream.py", description="WebSocket data as observations.")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, at the end")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="the service (the default); SIGTERM ends it")
    probing = commands.add_parser("probe", help="connect, count, measure the worst age")
    probing.add_argument("--seconds", type=_seconds, default=30)
    again = commands.add_parser("reconnect", help="ask the running service to connect anew")
    again.add_argument("--reason", type=operator_args.reason, required=True)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse and run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    bodies: dict[str, Callable[[Run], Outcome]] = {
        "probe": lambda run: probe(run, options.seconds),
        "reconnect": lambda run: reconnect(run, options.reason),
    }
    body = bodies.get(options.command, keep)
    return run_door(DOOR, body, as_json=options.json, any_mode=True, deadline_s=SERVICE_DEADLINE_S)


if __name__ == "__main__":
    sys.exit(main())
