"""A signed caller: encodes, stamps, signs and sends one exchange's requests. Owns no exchange's dialect.

Percent-encode first, then sign exactly the bytes that are sent; where an exchange wants its signature in headers, the
door makes them of the stamp. A clock refusal (-1021 and its kin) is answered by one
new measurement, and by one new try of a read or a cancel; an order is never sent again (its timestamp is journalled).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from desk.base import clock, money
from desk.base.errors import BadInput
from desk.base.paths import Home
from desk.config.load import Settings
from desk.config.mode import Mode
from desk.config.schema import Clock as ClockLimits
from desk.venues.clock_sync import VenueClock, probe_of
from desk.venues.fields import moment
from desk.venues.guard import Answer, BeforeSend, Guard, Log
from desk.venues.guard_types import BreakerPort
from desk.venues.outcome import Finding, Klass, VenueError
from desk.venues.protocol import TimeProbe
from desk.venues.rate_budget import Meter
from desk.venues.table import PURPOSES, Purpose, VenueRow
from desk.venues.transport import Aborted, Outgoing, Transport

T = TypeVar("T")
Params = Mapping[str, Any]
Sign = Callable[[str], str]  # payload to signature
SignedHeaders = Callable[[int], Mapping[str, str]]  # stamp to the headers that prove who asks
PAPER_SENDS_NOTHING: Final = "mode:paper_sends_no_orders"
STALE_STAMP: Final = "transport:stale_stamp"  # older than a second at the first byte


def encode(params: Params) -> str:
    """The query string: None dropped, Decimals plain, lists as compact JSON, everything percent-encoded once.

    Raises:
        BadInput: a float (money is text), or a type no exchange takes.
    """
    pairs = [(name, _plain(name, value)) for name, value in params.items() if value is not None]
    return urlencode(pairs, quote_via=quote, safe="")


def json_body(params: Params) -> bytes:
    """The parameters as one JSON object: None dropped, Decimals as exact JSON numbers.

    Raises:
        BadInput: a float, or a type no exchange takes.
    """
    plain = {name: (value, _plain(name, value)) for name, value in params.items() if value is not None}
    exact = {
        name: msgspec.Raw(text.encode()) if isinstance(value, Decimal) else value
        for name, (value, text) in plain.items()
    }
    return msgspec.json.encode(exact)


def _plain(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, Decimal):
        return money.text(value)
    if isinstance(value, list | tuple):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    raise BadInput(f"cannot send a {type(value).__name__}", f"parameter {name}", "write numbers as text or Decimal")


class Caller(msgspec.Struct, dict=True):  # dict: the clock, made once
    """One exchange's signed requests for one process. `place` and `timestamp` of orders come from the caller above.

    Attributes:
        sign: makes the signature of a payload; None when no key is set.
        key_headers: the header that names the key; sent with signed requests only.
        need_keys: raises ConfigError naming the variable that is missing.
        signed_headers: where the exchange wants stamp and signature in headers, makes them; None: in the query.
        on_refused_again: told when a stamp is refused after a new measurement too (rules.md, Clock: PAUSE in LIVE).
    """

    guard: Guard
    sign: Sign
    key_headers: Mapping[str, str]
    need_keys: Callable[[], object]
    recv_window_ms: int
    mode: Mode
    stamp_age_ms_max: int
    home: Home
    clock_limits: ClockLimits
    signed_headers: SignedHeaders | None = None
    on_refused_again: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        self.clock = VenueClock(self.home, self.row.name, self.clock_limits, self.server_time, self.guard.log)

    @property
    def row(self) -> VenueRow:
        """The venue's fixed facts."""
        return self.guard.row

    def call(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        purpose: Purpose,
        parse: Callable[[Answer], T],
        signed: bool = False,
        timeout_s: float | None = None,
        stamp_ms: int | None = None,
        before_send: BeforeSend | None = None,
        base_url: str = "",
    ) -> T:
        """Send one request and parse its answer.

        Args:
            base_url: another host of the same exchange, for unsigned reads; empty = its usual one.
            stamp_ms: an order's timestamp in the exchange's time, fixed (and journalled) by the caller.
            before_send: the last check before the first byte; raising a WorldError means not sent.

        Raises:
            VenueError: not accepted, or refused by a guard of ours.
            ConfigError: a signed call without keys.
            BadInput: a parameter that cannot be sent.
        """
        if signed:
            assert not base_url
            self.need_keys()
        self._check_may_order(purpose, method, path)
        fixed = dict(params or {})
        last_look = self._last_look(stamp_ms, before_send)

        def build() -> Outgoing:
            return msgspec.structs.replace(self._build(method, path, fixed, signed, stamp_ms), base_url=base_url)

        def attempt() -> T:
            return self.guard.call((method, path), build, purpose, parse, timeout_s=timeout_s, before_send=last_look)

        try:
            return attempt()
        except VenueError as error:
            if error.class_ is not Klass.RESYNC_CLOCK or purpose is Purpose.MEASURE:
                raise
            self.clock.resync()
            if PURPOSES[purpose].is_order or "timestamp" in fixed:
                raise
        try:
            return attempt()
        except VenueError as error:
            if error.class_ is Klass.RESYNC_CLOCK:
                self.on_refused_again(error.line())
            raise

    @contextmanager
    def ready(self, purpose: Purpose) -> Iterator[None]:
        """Around an order: admitted and connected before its timestamp is fixed.

        Raises:
            VenueError: refused by a guard of ours, or no connection; nothing left.
            ConfigError: no keys.
        """
        self.need_keys()
        self._check_may_order(purpose, "POST", self.row.order_path)
        self.guard.prepare(("POST", self.row.order_path), purpose)
        try:
            yield
        finally:
            self.guard.stand_down(purpose)

    def server_time(self) -> TimeProbe:
        """Ask the exchange's clock once; touches no breaker, is not retried."""
        sent_ms = clock.now_ms()

        def parse(answer: Answer) -> TimeProbe:
            return probe_of(sent_ms, max(sent_ms, answer.received_ms), _server_ms(answer.value))

        return self.call("GET", self.row.time_path, purpose=Purpose.MEASURE, parse=parse)

    def _build(self, method: str, path: str, params: Params, signed: bool, stamp_ms: int | None) -> Outgoing:
        if not signed:
            return Outgoing(method=method, path=path, query=encode(params))
        if self.signed_headers is not None:
            headers = self.signed_headers(stamp_ms if stamp_ms is not None else self.clock.venue_now_ms())
            if method == "POST":
                return Outgoing(
                    method=method, path=path, headers=headers, body=json_body(params), proof=_proof(headers)
                )
            return Outgoing(method=method, path=path, query=encode(params), headers=headers, proof=_proof(headers))
        moment = stamp_ms if stamp_ms is not None else params.get("timestamp") or self.clock.venue_now_ms()
        query = encode({"recvWindow": self.recv_window_ms} | dict(params) | {"timestamp": moment})
        signature = self.sign(query)
        query += "&signature=" + quote(signature, safe="")
        return Outgoing(method=method, path=path, query=query, headers=self.key_headers, proof=signature)

    def _last_look(self, stamp_ms: int | None, before_send: BeforeSend | None) -> BeforeSend | None:
        """The caller's check, after ours: a timestamp older than a second at the first byte is not sent."""
        if stamp_ms is None:
            return before_send

        def look() -> None:
            if clock.now_ms() + self.clock.known_offset_ms() - stamp_ms > self.stamp_age_ms_max:
                raise Aborted(STALE_STAMP)
            if before_send is not None:
                before_send()

        return look

    def _check_may_order(self, purpose: Purpose, method: str, path: str) -> None:
        """In PAPER no order leaves this host: the paper broker is the exchange (P10)."""
        if PURPOSES[purpose].is_order and self.mode is Mode.PAPER and not self.guard.transport.is_loopback:
            finding = Finding(klass=Klass.NOT_SENT, reason=PAPER_SENDS_NOTHING)
            raise VenueError(self.row.name, f"{method} {path}", finding, is_order=True, is_read=False)


def _server_ms(value: Any) -> int:
    if isinstance(value["serverTime"], str):
        raise ValueError("serverTime is no time")
    return moment(value, "serverTime")


def _proof(headers: Mapping[str, str]) -> str:
    return next((value for name, value in headers.items() if name.lower().endswith("signature")), "")


def make_caller(
    settings: Settings, row: VenueRow, sign: Sign, headers: Mapping[str, str], breaker: BreakerPort, log: Log,
    signed_headers: SignedHeaders | None = None,
) -> Caller:  # fmt: skip
    """Wire one venue's caller from the settings.

    Raises:
        ConfigError: no URL for this venue and VENUE_ENV.
    """
    config, keys = settings.config, settings.keys(row.name)
    transport = Transport(settings.rest_url(row.name), config.transport, (keys.api_key, keys.api_secret))

    def safe_log(level: str, line: str) -> None:
        log(level, transport.redact(line))

    meter = Meter(settings.home, row, config.rate_budget, config.churn, safe_log)
    guard = Guard(row, transport, breaker, meter, config.transport, safe_log)
    profile_ms = settings.profile.recv_window_ms
    window_ms = min(config.clock.recv_window_ms, profile_ms or config.clock.recv_window_ms)
    return Caller(
        guard, sign, headers, keys.need, window_ms, settings.mode, config.transport.stamp_to_first_byte_max_ms,
        settings.home, config.clock, signed_headers,
    )  # fmt: skip
