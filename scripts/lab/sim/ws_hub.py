"""All WebSocket connections of the simulated Binance: market streams at /ws and /stream, the WebSocket API.

`pump` is called whenever time moved or an order did something; with --step nothing else pushes, so the same steps give
the same messages. In real and accelerated time a task pumps every PUMP_S.
"""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from aiohttp import WSMsgType, web

from lab.sim.binance_dialect import BinanceDialect
from lab.sim.clock import TimeMode
from lab.sim.exchange import Exchange
from lab.sim.user_events import UserEvents
from lab.sim.ws_api import Session, WsApi
from lab.sim.ws_feed import Feed

API_PATH = "/ws-api/v3"
PING_S = 20.0
PUMP_S = 0.1
FLUSH_S_MAX = 1.0
STREAMS_MAX = 1024
FEEDS_MAX = 64


class WsHub:
    """The connections of one exchange."""

    def __init__(self, exchange: Exchange, dialect: BinanceDialect) -> None:
        self._exchange = exchange
        self._api = WsApi(exchange, dialect)
        self._users = UserEvents(exchange)
        self._pumping: asyncio.Task[None] | None = None
        self.feeds: list[Feed] = []

    @staticmethod
    def serves(path: str) -> bool:
        """True for a path that is a WebSocket."""
        return path == API_PATH or path in ("/ws", "/stream") or path.startswith("/ws/")

    async def serve(self, request: web.Request, path: str, query: str) -> web.StreamResponse:
        """One connection, from its handshake to its end."""
        if len(self.feeds) >= FEEDS_MAX:
            return web.Response(status=429)
        socket = web.WebSocketResponse(heartbeat=PING_S, autoping=True)
        await socket.prepare(request)
        feed = self._open(request, socket, path, query)
        writer = asyncio.ensure_future(feed.write())
        try:
            self.pump()
            async for message in socket:
                self._exchange.sync()
                if message.type is WSMsgType.TEXT:
                    feed.say(self._hear(feed, str(message.data)))
                self.pump()
        finally:
            self.feeds.remove(feed)
            self._users.is_wanted = any(one.session for one in self.feeds)
            feed.is_cut = True
            writer.cancel()
        return socket

    def pump(self) -> None:
        """Queue what has happened up to now on every connection."""
        if not self.feeds:
            return
        events = self._users.take()
        for feed in list(self.feeds):
            feed.produce(events)

    async def flush(self) -> None:
        """Wait until what is queued has left, FLUSH_S_MAX at most (a client that does not read holds nobody up)."""
        waits: list[Awaitable[None]] = [feed.queue.join() for feed in self.feeds if not feed.is_cut]
        if waits:
            _, pending = await asyncio.wait([asyncio.ensure_future(one) for one in waits], timeout=FLUSH_S_MAX)
            for task in pending:
                task.cancel()

    async def close(self) -> None:
        """End every connection."""
        if self._pumping:
            self._pumping.cancel()
        for feed in list(self.feeds):
            feed.abort()

    def _open(self, request: web.Request, socket: web.WebSocketResponse, path: str, query: str) -> Feed:
        def abort() -> None:
            if request.transport is not None:
                request.transport.abort()

        now_ms = self._exchange.now_ms
        session = Session(now_ms) if path == API_PATH else None
        feed = Feed(socket, self._exchange, path, abort, now_ms, path == "/stream", session)
        names = path.removeprefix("/ws").strip("/").split("/") if not session else []
        if path == "/stream":
            names = dict(pair.partition("=")[::2] for pair in query.split("&")).get("streams", "").split("/")
        for name in names[:STREAMS_MAX]:
            if name:
                feed.subscribe(name)
        self.feeds.append(feed)
        self._users.is_wanted = any(one.session for one in self.feeds)
        if self._pumping is None and self._exchange.clock.mode is not TimeMode.STEP:
            self._pumping = asyncio.ensure_future(self._run())
        return feed

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PUMP_S)
            self._exchange.sync()
            self.pump()

    def _hear(self, feed: Feed, text: str) -> dict[str, Any]:
        if feed.session:
            return self._api.answer(feed.session, text)
        return _answer(feed, text)


def _answer(feed: Feed, text: str) -> dict[str, Any]:
    """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS of the market host."""
    try:
        raw = json.loads(text)
        method, params, number = raw["method"], raw.get("params", []), raw.get("id")
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            raise ValueError("params")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}}
    if method not in ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS"):
        return {"error": {"code": 2, "msg": "Invalid request: unknown method"}, "id": number}
    for name in params[:STREAMS_MAX]:
        if method == "SUBSCRIBE":
            feed.subscribe(name)
        else:
            feed.streams.pop(name, None)
    return {"result": list(feed.streams) if method == "LIST_SUBSCRIPTIONS" else None, "id": number}
