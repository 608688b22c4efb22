"""The wire: the only code that opens sockets to exchanges. Owns one request and its answer; judges nothing.

One `requests.Session`, no environment proxies, no redirects, no adapter retries. A request is sent exactly as signed:
the URL is set after preparation, so that no library re-encodes it. Every wait is bounded: connect, each read, and the
whole exchange, which a timer ends by shutting the socket down, so that a server that drips bytes cannot hold a tick.

Whether a byte may have left is not guessed from the exception: the connection's own `send` marks it. Just before the
first byte it calls `before_first_byte`, the last place where an order can be stopped with proof (`not_sent`).
"""

import contextlib
import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from desk.base import clock
from desk.config.schema import Transport as Limits
from desk.state import lock

CHUNK_BYTES: Final = 65_536
ENCODINGS: Final = frozenset({"", "identity", "gzip"})  # what we accept; several at once could unpack without end
USER_AGENT: Final = "sanad-trader"
HIDDEN: Final = "<hidden>"
DEADLINE: Final = "transport:deadline"  # our own time was up before the start
SECRET_CHARS_MIN: Final = 6  # shorter ones are no keys, and hiding them would garble every line
_SECRET_PATTERNS: Final = (
    re.compile(r"(?i)((?:signature|listenKey|apiKey)(?:=|\"?\s*:\s*\"?|%3D))[^&\s\"'\\]+"),
    re.compile(r"(?i)(X-(?:[A-Z]+-)?(?:APIKEY|PCK|Signature)[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]+"),
)
_BROKEN: Final = (
    requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError,
)  # fmt: skip


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to leave: the query string is final (encoded, then signed), and so is the body.

    `base_url` is for unsigned reads of another host of the same exchange; empty = the transport's own.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    base_url: str = ""
    proof: str = ""  # the signature, wherever it stands in the request


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A complete HTTP answer. Header names in lower case; `received_ms` by our clock."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_ms: int
    took_ms: float


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """No complete answer. `started`: a byte of the request may have left. `kind` is safe to log.

    `ours`: we stopped it ourselves (last look, deadline before the start); that says nothing about the exchange.
    """

    kind: str
    started: bool
    ours: bool = False


class Aborted(Exception):
    """Raised by a `before_first_byte` to stop a request with proof that nothing left."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Wire(msgspec.Struct):
    """What happens on the socket of the request under way in this context."""

    before_first_byte: Callable[[], None]
    started: bool = False
    expired: bool = False
    sock: Any = None
    lock: threading.Lock = msgspec.field(default_factory=threading.Lock)

    def about_to_write(self, sock: Any) -> None:
        with self.lock:
            self.sock = sock
        if not self.started:
            if self.expired:
                raise TimeoutError
            self.before_first_byte()
            self.started = True

    def expire(self) -> None:
        """The deadline: wake whoever reads or writes on the socket."""
        self.expired = True
        with self.lock:
            if isinstance(self.sock, socket.socket):
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


_wire: ContextVar[_Wire | None] = ContextVar("wire", default=None)


class _Marking:
    """Mixin for connections: connect first, tell the wire, then write."""

    sock: Any

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        wire = _wire.get()
        if wire is not None:
            wire.about_to_write(self.sock)
        super().send(data)  # type: ignore[misc]


class _PlainConnection(_Marking, HTTPConnection):
    """http, for loopback."""


class _TlsConnection(_Marking, HTTPSConnection):
    """https."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """An adapter whose connections mark the first byte and that never retries."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


class Transport(msgspec.Struct):
    """One exchange's wire.

    Attributes:
        base_url: scheme, host and port; from the config.
        secrets: literal values that must never be shown (key and secret).
    """

    base_url: str
    limits: Limits
    secrets: tuple[str, ...] = ()
    _session: requests.Session | None = None

    @property
    def is_loopback(self) -> bool:
        """True when the exchange is a simulator on this host."""
        return urlsplit(self.base_url).hostname in clock.LOOPBACK_HOSTS

    def redact(self, text: str) -> str:
        """Text without keys, secrets and signatures; everything logged or raised goes through here."""
        return redact(text, self.secrets)

    def without_secrets(self, reply: Reply, out: Outgoing) -> Reply:
        """The answer without our keys and the request's signature: an exchange that repeats them brings nothing in."""
        body = reply.body
        for secret in (*self.secrets, out.proof, quote(out.proof, safe="")):
            if len(secret) >= SECRET_CHARS_MIN and secret.encode() in body:
                body = body.replace(secret.encode(), HIDDEN.encode())
        return reply if body is reply.body else msgspec.structs.replace(reply, body=body)

    def connect(self) -> Broken | None:
        """Establish the connection the next request will use, so that an order's timestamp is fixed after it."""
        lock.assert_none_of_state()
        pool = self._pool()
        try:
            connection = pool._get_conn(timeout=self.limits.connect_timeout_s)  # noqa: SLF001 - urllib3 has no other way in
        except _BROKEN as error:
            return Broken(kind=_kind(error), started=False)
        try:
            if getattr(connection, "sock", None) is None:
                connection.timeout = self.limits.connect_timeout_s
                connection.connect()
        except _BROKEN as error:
            connection.close()
            return Broken(kind=_kind(error), started=False)
        finally:
            pool._put_conn(connection)  # noqa: SLF001
        return None

    def exchange(
        self, out: Outgoing, deadline_s: float, read_timeout_s: float, before_first_byte: Callable[[], None]
    ) -> Reply | Broken:
        """Send one request once and read its answer.

        Args:
            deadline_s: monotonic end of everything.
            before_first_byte: called with the connection up and nothing written; raising `Aborted` proves not sent.

        Raises:
            InvariantError: a state lock is held.
        """
        lock.assert_none_of_state()
        left_s = deadline_s - clock.monotonic_s()
        if left_s <= 0:
            return Broken(kind=DEADLINE, started=False, ours=True)
        wire = _Wire(before_first_byte)
        timer = threading.Timer(left_s, wire.expire)
        timer.daemon = True
        token = _wire.set(wire)
        timer.start()
        try:
            return self._send_and_read(out, wire, left_s, read_timeout_s)
        except Aborted as stop:
            return Broken(kind=stop.reason, started=False, ours=True)
        except _BROKEN as error:
            return Broken(kind="deadline" if wire.expired else _kind(error), started=wire.started)
        finally:
            timer.cancel()
            _wire.reset(token)

    def _send_and_read(self, out: Outgoing, wire: _Wire, left_s: float, read_timeout_s: float) -> Reply | Broken:
        began_s = clock.monotonic_s()
        timeout = (min(self.limits.connect_timeout_s, left_s), min(read_timeout_s, left_s))
        prepared = self._prepare(out)
        response = self._adapter(prepared.url).send(prepared, stream=True, timeout=timeout, verify=True)
        received_ms = clock.now_ms()
        with contextlib.closing(response):
            if response.headers.get("Content-Encoding", "identity").strip().lower() not in ENCODINGS:
                return Broken(kind="an encoding we did not ask for", started=True)
            body = bytearray()
            for chunk in _chunks(response.raw):
                body += chunk
                if len(body) > self.limits.body_bytes_max:
                    return Broken(kind="body too large", started=True)
        if wire.expired:
            return Broken(kind="deadline", started=True)
        headers = {name.lower(): value for name, value in response.headers.items()}
        took_ms = (clock.monotonic_s() - began_s) * 1000
        return Reply(
            status=response.status_code, headers=headers, body=bytes(body), received_ms=received_ms, took_ms=took_ms
        )

    def _prepare(self, out: Outgoing) -> requests.PreparedRequest:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **out.headers}
        url = (out.base_url or self.base_url) + out.path
        prepared = requests.Request(out.method, url, headers=headers, data=out.body or None).prepare()
        prepared.url = url + (f"?{out.query}" if out.query else "")
        return prepared

    def _adapter(self, url: str | None) -> HTTPAdapter:
        if self._session is None:
            session = requests.Session()
            session.trust_env = False
            session.mount("http://", _Adapter(max_retries=0))
            session.mount("https://", _Adapter(max_retries=0))
            self._session = session
        adapter = self._session.get_adapter(url or self.base_url)
        assert isinstance(adapter, HTTPAdapter)
        return adapter

    def _pool(self) -> Any:
        prepared = requests.Request("GET", self.base_url).prepare()
        return self._adapter(prepared.url).get_connection_with_tls_context(prepared, True, proxies={})


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Text without the given secrets and without anything that looks like a key or a signature."""
    for secret in secrets:
        if len(secret) >= SECRET_CHARS_MIN:
            text = text.replace(secret, HIDDEN)
    for pattern in _SECRET_PATTERNS:
        text = pattern.sub(lambda found: found[1] + HIDDEN, text)
    return text


def _chunks(raw: Any) -> Iterator[bytes]:
    """The decoded body as it arrives: each chunk is one read of the socket, so the deadline bites between them."""
    while chunk := raw.read1(CHUNK_BYTES, decode_content=True):
        yield chunk


def _kind(error: BaseException) -> str:
    """A name for a broken exchange; never the exception's text, which holds the signed URL."""
    if isinstance(error, requests.ConnectTimeout):
        return "connect timeout"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return "timeout"
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return "tls failure"
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", inner)
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "connection refused or host unknown"
    if isinstance(reason, BaseException) and not isinstance(reason, type(error)):
        return f"connection broken ({type(reason).__name__})"
    return f"connection broken ({type(error).__name__})"
