"""Sockets of the simulator on 127.0.0.1 only, and the misbehaviour that needs a socket (drops, resets, latency).

All state lives in `exchange`; every request is served whole on one event loop, so requests never interleave.
"""

import asyncio
import json
import socket
import struct
from typing import Any

from aiohttp import web

from lab.sim import admin, mutation
from lab.sim.binance_dialect import BinanceDialect
from lab.sim.build import Dialect
from lab.sim.calls import Call, Reply
from lab.sim.exchange import Exchange
from lab.sim.faults import Fault
from lab.sim.ws_hub import WsHub

HOST = "127.0.0.1"
BODY_BYTES_MAX = 1 << 20
SHUTDOWN_S = 0.1
LOOP_TURNS = 5
_HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body></body></html>"
_HTML_403 = "<html><head><title>403 Forbidden</title></head><body></body></html>"


class SimServer:
    """One exchange behind one port."""

    def __init__(self, exchange: Exchange, dialect: Dialect) -> None:
        self.exchange = exchange
        self._dialect = dialect
        self._runner: web.AppRunner | None = None
        self.hub = WsHub(exchange, dialect) if isinstance(dialect, BinanceDialect) else None
        self.url = ""

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1:port (0 = any free port).

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        await site.start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self.hub:
            await self.hub.close()
        if self._runner:
            server = self._runner.server
            await self._runner.cleanup()
            await _turns()
            if server is not None:
                await server.shutdown(SHUTDOWN_S)  # whoever was let in while the port was closing
            await _turns()

    def hello(self) -> dict[str, Any]:
        """What the first line on standard output says."""
        return {
            "rest_url": self.url, "admin_url": self.url, "venue": self.exchange.venue,
            "symbols": list(self.exchange.markets), "now_ms": self.exchange.now_ms,
        } | ({"ws_url": self.ws_url} if self.hub else {})  # fmt: skip

    @property
    def ws_url(self) -> str:
        """Where WebSockets are served (Binance only)."""
        return self.url.replace("http:", "ws:")

    async def settle(self) -> None:
        """What happened up to now is on its way on every WebSocket."""
        if self.hub:
            self.hub.pump()
            await self.hub.flush()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        body = (await request.read()).decode("utf-8", "replace")
        self.exchange.sync()
        if path.startswith(admin.PREFIX):
            answer = admin.answer(self.exchange, request.method, path, body)
            await self.settle()
            return _response(answer)
        self.exchange.hear()
        call = Call(request.method, path, query, body, request.headers, self.exchange.faults.hit(request.method, path))
        if call.hit.delay_ms:
            await asyncio.sleep(call.hit.delay_ms / 1000)
            self.exchange.sync()
        if call.hit.before:
            return self._instead(request, call, call.hit.before)
        if self.hub and self.hub.serves(path) and "upgrade" in request.headers.get("Connection", "").lower():
            self._log(call, "accepted", 101)
            return await self.hub.serve(request, path, query)
        reply = self._dialect.handle(call)
        if self.hub:
            self.hub.pump()
        if call.hit.after:
            return await self._after(request, call, call.hit.after, reply)
        self._log(call, "accepted" if reply.status < 400 else "rejected", reply.status)
        return _response(reply)

    def _instead(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        if fault.kind == "drop_before":
            return self._drop(request, call, fault)
        if fault.kind == "html_502":
            reply = Reply(502, _HTML_502, content_type="text/html")
        elif fault.kind == "redirect_307":
            reply = Reply(307, "", {"Location": f"{fault.arg}{request.raw_path}"}, "text/plain")
        elif fault.kind == "http_status" and fault.arg == 403:
            reply = Reply(403, _HTML_403, content_type="text/html")
        else:
            reply = self._dialect.fault_reply(fault)
        self._log(call, fault.kind, reply.status)
        return _response(reply)

    async def _after(self, request: web.Request, call: Call, fault: Fault, reply: Reply) -> web.StreamResponse:
        if fault.kind == "drop_after_accept":
            return self._drop(request, call, fault)
        if fault.kind == "reset_mid_body":
            self._log(call, fault.kind, reply.status)
            return await _reset_mid_body(request, reply)
        if fault.kind == "mutate_body":
            self._log(call, fault.kind, reply.status)
            return _bytes_response(reply, mutation.mutate(_text(reply), fault.arg))
        if fault.kind == "bad_json":
            text = _text(reply)
            reply = Reply(reply.status, text[: max(1, len(text) // 2)], reply.headers, "application/json")
        else:
            reply = self._dialect.fault_reply(fault)
        self._log(call, fault.kind, reply.status)
        return _response(reply, raw=fault.kind == "bad_json")

    def _drop(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        self._log(call, fault.kind, None)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _log(self, call: Call, outcome: str, status: int | None) -> None:
        names = ("newClientOrderId", "newOrderClientId", "listClientOrderId")
        client_id = next((call.params[name] for name in names if call.params.get(name)), None)
        self.exchange.log(call.method, call.path, outcome, status, client_id)


async def _turns() -> None:
    """Let what the loop has begun come to its end: connections being let in, transports being closed."""
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)


def _text(reply: Reply) -> str:
    if reply.content_type != "application/json":
        return str(reply.payload)
    return json.dumps(reply.payload, separators=(",", ":"), ensure_ascii=False)


def _response(reply: Reply, *, raw: bool = False) -> web.Response:
    return _bytes_response(reply, (str(reply.payload) if raw else _text(reply)).encode())


def _bytes_response(reply: Reply, body: bytes) -> web.Response:
    return web.Response(
        status=reply.status, body=body, headers=reply.headers, content_type=reply.content_type, charset="UTF-8"
    )


async def _reset_mid_body(request: web.Request, reply: Reply) -> web.StreamResponse:
    whole = _text(reply).encode()
    headers = {**reply.headers, "Content-Length": str(len(whole)), "Content-Type": "application/json;charset=UTF-8"}
    response = web.StreamResponse(status=reply.status, headers=headers)
    await response.prepare(request)
    await response.write(whole[: max(1, len(whole) // 2)])
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return response
