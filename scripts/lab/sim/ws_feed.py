"""One WebSocket connection of the simulator: what it has subscribed to, what waits to be sent, and its faults.

Messages are made in virtual time by `produce` and leave in order through a bounded queue; a consumer that does not
read is cut off, as on the exchange. Stream faults act here, message by message.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from lab.sim.calls import Call
from lab.sim.exchange import Exchange
from lab.sim.market_streams import Source, source_of
from lab.sim.ws_api import Session

QUEUE_MAX = 2000
LATE_MAX = 10_000
GARBAGE = "<html>"
LIFE_MS = 24 * 3_600_000
DROP = None  # in the queue: cut the connection here, without a closing handshake


@dataclass(slots=True)
class Stream:
    """One subscribed stream; pushes up to `upto_ms` have been made."""

    name: str
    source: Source
    upto_ms: int


@dataclass
class Feed:
    """One connection. `session` is there on the WebSocket API, `streams` on the market host."""

    socket: web.WebSocketResponse
    exchange: Exchange
    path: str
    abort: Callable[[], None]
    since_ms: int
    is_combined: bool = False
    session: Session | None = None
    streams: dict[str, Stream | None] = field(default_factory=dict)
    queue: "asyncio.Queue[str | None]" = field(default_factory=lambda: asyncio.Queue(QUEUE_MAX))
    late: list[tuple[int, str]] = field(default_factory=list)
    is_cut: bool = False

    def subscribe(self, name: str) -> None:
        """Add a stream; what it shows now is pushed with the next `produce`."""
        if name not in self.streams:
            source = source_of(self.exchange, name, self.seen)
            now_ms = self.exchange.now_ms
            self.streams[name] = Stream(name, source, now_ms - 1) if source else None

    def seen(self) -> Call:
        """The market as this connection sees it: conditions that last apply."""
        return Call("WS", self.path, "", "", {}, self.exchange.faults.seen_by_streams(self.path))

    def produce(self, user_events: list[dict[str, Any]]) -> None:
        """Queue everything up to the exchange's now, in time order."""
        now_ms = self.exchange.now_ms
        self._release_late(now_ms)
        found: list[tuple[int, int, dict[str, Any]]] = []
        for place, stream in enumerate(list(self.streams.values())):
            if stream and stream.upto_ms < now_ms:
                found += [
                    (push.ms, place, self._framed(stream.name, push.payload))
                    for push in stream.source(stream.upto_ms, now_ms)
                ]
                stream.upto_ms = now_ms
        for _, _, message in sorted(found, key=lambda one: one[:2]):
            self._push(message)
        for event in user_events:
            if self.session and self.session.subscription is not None:
                self._push({"subscriptionId": self.session.subscription, "event": event})
        if now_ms - self.since_ms >= LIFE_MS:
            self._put(DROP)

    def say(self, message: dict[str, Any]) -> None:
        """Queue an answer; stream faults do not touch it."""
        self._put(_text(message))

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        while not self.is_cut:
            text = await self.queue.get()
            try:
                if text is DROP or text is None:
                    self.is_cut = True
                    self.abort()
                else:
                    await self.socket.send_str(text)
            except (ConnectionError, RuntimeError):  # the client has gone
                self.is_cut = True
            finally:
                self.queue.task_done()

    def _push(self, message: dict[str, Any]) -> None:
        fault = self.exchange.faults.on_stream(self.path)
        kind = fault.kind if fault else ""
        if kind == "ws_silent":
            return
        if kind == "ws_drop":
            self._put(DROP)
        elif kind == "ws_garbage":
            self._put(GARBAGE)
        elif kind == "ws_late" and fault and len(self.late) < LATE_MAX:
            self.late.append((self.exchange.now_ms + int(Decimal(str(fault.arg)) * 1000), _text(message)))
        elif kind in ("ws_shutdown", "ws_terminated"):
            self._end(kind)
        else:
            self._put(_text(message))

    def _end(self, kind: str) -> None:
        """The exchange says goodbye, as it does on this host, and hangs up."""
        now_ms = self.exchange.now_ms
        if kind == "ws_terminated" and self.session:
            subscription = self.session.subscription
            self.session.subscription = None
            self._put(_text({"subscriptionId": subscription, "event": {"e": "eventStreamTerminated", "E": now_ms}}))
            return
        event = {"e": "serverShutdown", "E": now_ms}
        self._put(_text({"event": event} if self.session else event))
        self._put(DROP)

    def _release_late(self, now_ms: int) -> None:
        due = [text for ms, text in self.late if ms <= now_ms]
        self.late = [(ms, text) for ms, text in self.late if ms > now_ms]
        for text in due:
            self._put(text)

    def _framed(self, name: str, payload: dict[str, Any]) -> dict[str, Any]:
        return {"stream": name, "data": payload} if self.is_combined else payload

    def _put(self, text: str | None) -> None:
        if self.is_cut:
            return
        try:
            self.queue.put_nowait(text)
        except asyncio.QueueFull:
            self.is_cut = True
            self.abort()


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
