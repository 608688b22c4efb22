"""What an exchange's answer means. Owns the classes, `classify` and `VenueError`; does no I/O.

An answer is judged by its HTTP status, its error code and its message, in that order of suspicion: a 5xx, a 3xx,
a timeout or a body that does not parse never says "no", whatever else it carries (P2). Only a code or message of
the venue's error table is a definite no; an unlisted code is not.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from desk.base.errors import WorldError

RETRY_AFTER_S_MAX: Final = 259_200.0  # three days: the longest ban an exchange documents
MESSAGE_CHARS_MAX: Final = 300  # of what is shown
MESSAGE_CHARS_KEPT: Final = 4096  # until it is redacted; cut before that, half a key would no longer look like one
ITEMS_MAX: Final = 1_000_000  # values of one answer; 3000 symbols of exchangeInfo are a third of it
DEPTH_MAX: Final = 32
CODE_MAX: Final = 10**12
_CODE_CHARS_MAX: Final = 14
_DECODER: Final = msgspec.json.Decoder(float_hook=str)  # a number with a point stays text, as money must


class Klass(StrEnum):
    """What an answer means for an order (shared data README); `accepted` and `not_sent` complete the list."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    EXECUTION_UNKNOWN = "execution_unknown"
    EXECUTION_UNKNOWN_OR_RETRY_READS = "execution_unknown_or_retry_reads"
    ALREADY_EXISTS = "already_exists_query_by_client_id"
    RESYNC_CLOCK = "not_executed_resync_clock"
    RATE_LIMITED = "rate_limited_back_off"
    ORDER_RATE_LIMITED = "order_rate_limited"
    IP_BANNED = "ip_banned_stop"
    WAF_BLOCK = "waf_block_back_off"
    FATAL_AUTH = "fatal_auth"
    FATAL_ACCOUNT = "fatal_account"
    REJECTED = "rejected_final"
    SYMBOL_HALTED = "rejected_final_symbol_halted"
    LOCAL_BUG = "rejected_final_local_bug"
    ORDER_NOT_FOUND = "order_not_found"
    ORDER_NOT_FOUND_QUERY_FIRST = "order_not_found_query_first"
    ORDER_ALREADY_FINAL = "order_already_final_query"
    MAINTENANCE_RETRY_CANCEL = "maintenance_retry_cancel"


class Traits(msgspec.Struct, frozen=True):
    """What a class implies for an order: may it stand, may the same request be sent again, what the operator does."""

    order_may_exist: bool
    retryable: bool
    what_to_do: str


TRAITS: Final[Mapping[Klass, Traits]] = {
    Klass.ACCEPTED: Traits(True, False, "accepted: nothing to do"),
    Klass.NOT_SENT: Traits(False, True, "no byte left this host: the next tick may try again"),
    Klass.EXECUTION_UNKNOWN: Traits(
        True, False, "never send it again: query by client order id, then open orders and trades"
    ),
    Klass.EXECUTION_UNKNOWN_OR_RETRY_READS: Traits(
        True, False, "an order: never send it again, query by client order id; a read: try again later"
    ),
    Klass.ALREADY_EXISTS: Traits(True, False, "the first send worked: query the order by its client order id"),
    Klass.RESYNC_CLOCK: Traits(False, True, "not executed: measure the clock offset again, then try once more"),
    Klass.RATE_LIMITED: Traits(False, True, "not executed: wait Retry-After seconds, then go slower"),
    Klass.ORDER_RATE_LIMITED: Traits(False, True, "not executed: too many orders, wait for the order-count window"),
    Klass.IP_BANNED: Traits(False, False, "this address is banned: no call until Retry-After has passed"),
    Klass.WAF_BLOCK: Traits(False, True, "blocked by the exchange's firewall: wait, then check address and parameters"),
    Klass.FATAL_AUTH: Traits(False, False, "key, signature, permission or IP list is wrong: check the key"),
    Klass.FATAL_ACCOUNT: Traits(False, False, "the account may not do this: ask the exchange's support"),
    Klass.REJECTED: Traits(False, False, "the exchange said no: read the message, decide anew"),
    Klass.SYMBOL_HALTED: Traits(False, False, "the symbol does not trade now: wait until its status is TRADING"),
    Klass.LOCAL_BUG: Traits(False, False, "our request was wrong: refresh the filters and check its parameters"),
    Klass.ORDER_NOT_FOUND: Traits(False, False, "the exchange knows no such order: count it as one look, by its time"),
    Klass.ORDER_NOT_FOUND_QUERY_FIRST: Traits(
        False, False, "nothing to cancel under that id: query the order, it may be filled"
    ),
    Klass.ORDER_ALREADY_FINAL: Traits(False, False, "the order is final already: query it and book its fills"),
    Klass.MAINTENANCE_RETRY_CANCEL: Traits(False, True, "maintenance: send the cancel again later"),
}
UNKNOWN: Final = frozenset({Klass.EXECUTION_UNKNOWN, Klass.EXECUTION_UNKNOWN_OR_RETRY_READS})
READ_HINT: Final = "a read: nothing was changed, the next run asks again"
READS_RETRIED: Final = UNKNOWN | {Klass.NOT_SENT, Klass.RATE_LIMITED}


class ErrorTable(msgspec.Struct, frozen=True):
    """One venue's errors: message parts first (with the code they need, None = any), then codes, then code ranges."""

    messages: tuple[tuple[int | None, str, Klass], ...]
    codes: Mapping[int, Klass]
    ranges: tuple[tuple[int, int, Klass], ...]  # lowest and highest code of the range
    counted_codes: frozenset[int]  # timeouts and rate limits by code, whatever the HTTP status
    success_codes: frozenset[int] = frozenset({0, 200})

    def lookup(self, code: int | None, message: str) -> Klass | None:
        """The class of a code and message; None when the table knows neither."""
        lowered = message.lower()
        for wanted, part, klass in self.messages:
            if wanted in (None, code) and part in lowered:
                return klass
        if code is None:
            return None
        if code in self.codes:
            return self.codes[code]
        return next((klass for low, high, klass in self.ranges if low <= code <= high), None)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One judged answer. `value` is the decoded JSON body of an accepted one; `reason` is a refusal of our own."""

    klass: Klass
    code: int | None = None
    message: str = ""
    http_status: int = 0
    counts: bool = False  # for the breaker (rules: transport errors, timeouts, 5xx, 429, 418, bad body)
    retry_after_s: float | None = None
    value: Any = None
    reason: str = ""


class VenueError(WorldError):
    """An exchange did not do what was asked, or nobody knows.

    `sent` is "not_sent" (proof: no byte left), "rejected" (the venue's definite no) or "unknown". For an order,
    only "unknown" goes with `order_may_exist`. `reason` names a refusal of our own (`breaker:open`).
    """

    def __init__(
        self, venue: str, where: str, finding: Finding, *, is_order: bool, is_read: bool, reason: str = ""
    ) -> None:
        if reason:
            finding = msgspec.structs.replace(finding, reason=reason)
        traits = TRAITS[finding.klass]
        self.venue, self.class_, self.reason = venue, finding.klass, finding.reason
        self.code, self.message, self.http_status = finding.code, finding.message, finding.http_status
        self.counts_for_breaker, self.retry_after_s = finding.counts, finding.retry_after_s
        self.order_may_exist = is_order and traits.order_may_exist
        self.retryable = traits.retryable or (is_read and finding.klass in READS_RETRIED)
        self.sent = _sent(finding.klass)
        hint = READ_HINT if is_read and finding.klass in UNKNOWN else traits.what_to_do
        super().__init__(_what(finding), f"[{venue.upper()}] {where}", hint)

    def __reduce__(self) -> tuple[Callable[..., Exception], tuple[str]]:
        return WorldError, (self.line(),)


def classify(table: ErrorTable, status: int, headers: Mapping[str, str], body: bytes) -> Finding:
    """Judge one complete HTTP answer (header names in lower case). Pure; never raises."""
    value, readable = _decode(body)
    code, message = _code_and_message(value)
    retry_after_s = _retry_after_s(headers.get("retry-after", ""))
    refused = isinstance(value, dict) and value.get("success", True) is not True
    klass = _class_of(table, status, code, message, readable, refused)
    counts = klass is not Klass.ACCEPTED and (
        status >= 500 or status in {408, 418, 429} or (status < 400 and klass in UNKNOWN) or code in table.counted_codes
    )
    return Finding(
        klass=klass, code=code, message=message[:MESSAGE_CHARS_KEPT], http_status=status, counts=counts,
        retry_after_s=retry_after_s, value=value if klass is Klass.ACCEPTED else None,
    )  # fmt: skip


def shown(text: str) -> str:
    """An exchange's words as a log and a terminal can take them: one line, nothing that steers, not too long."""
    return "".join(char if char.isprintable() else " " for char in text)[:MESSAGE_CHARS_MAX]


def bad_body(finding: Finding, detail: str) -> Finding:
    """An accepted answer whose content is not what the endpoint promises: nobody knows what happened."""
    return Finding(
        klass=Klass.EXECUTION_UNKNOWN, message=f"unusable answer: {detail}"[:MESSAGE_CHARS_KEPT],
        http_status=finding.http_status, counts=True,
    )  # fmt: skip


def broken(kind: str, started: bool) -> Finding:
    """A transport failure. `started` is whether a byte of the request may have left."""
    klass = Klass.EXECUTION_UNKNOWN if started else Klass.NOT_SENT
    return Finding(klass=klass, message=kind, counts=True)


def _class_of(table: ErrorTable, status: int, code: int | None, message: str, readable: bool, refused: bool) -> Klass:
    """`refused`: the body says `"success": false`, whatever its status (BTCTurk's envelope)."""
    known = table.lookup(code, message)
    if status == 418 or known is Klass.IP_BANNED:
        return Klass.IP_BANNED
    if status >= 500 or status < 200 or 300 <= status < 400:
        return known if known in UNKNOWN and known is not None else Klass.EXECUTION_UNKNOWN
    if status < 300:
        if not readable:
            return Klass.EXECUTION_UNKNOWN
        if not refused and (code is None or code in table.success_codes):
            return Klass.ACCEPTED
        return known or Klass.EXECUTION_UNKNOWN
    if status == 429:
        if known is Klass.EXECUTION_UNKNOWN:  # Binance -2021: too many orders, yet the cancel half was done
            return known
        return Klass.ORDER_RATE_LIMITED if known is Klass.ORDER_RATE_LIMITED else Klass.RATE_LIMITED
    if known is not None and known not in UNKNOWN:
        return known
    return {401: Klass.FATAL_AUTH, 403: Klass.WAF_BLOCK}.get(status, known or Klass.EXECUTION_UNKNOWN)


def _decode(body: bytes) -> tuple[Any, bool]:
    """The JSON of a body, and whether it is some; one with too many values or levels is none."""
    opened = body.count(b"[") + body.count(b"{")
    if opened + body.count(b",") > ITEMS_MAX:
        return None, False
    try:
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, False
    return (None, False) if opened > DEPTH_MAX and _is_deep(value) else (value, True)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [item for one in level if isinstance(one, list) for item in one] + [
            item for one in level if isinstance(one, dict) for item in one.values()
        ]
        level = [one for one in level if isinstance(one, list | dict)]
    return bool(level)


def _code_and_message(value: Any) -> tuple[int | None, str]:
    if not isinstance(value, dict):
        return None, ""
    code, message = value.get("code"), value.get("msg", value.get("message"))
    if isinstance(code, str) and code.isascii() and code.removeprefix("-").isdecimal():
        code = int(code[:_CODE_CHARS_MAX])
    if not isinstance(code, int) or isinstance(code, bool) or abs(code) > CODE_MAX:
        code = None
    return code, message if isinstance(message, str) else ""


def _retry_after_s(text: str) -> float | None:
    """Seconds, bounded; anything that is not a plain number is as good as no header."""
    plain = text.strip()
    if not plain.replace(".", "", 1).isdecimal() or not plain.isascii() or len(plain) > 20:
        return None
    return min(float(plain), RETRY_AFTER_S_MAX)


def _sent(klass: Klass) -> str:
    if klass is Klass.NOT_SENT:
        return "not_sent"
    return "unknown" if klass in UNKNOWN or klass is Klass.ALREADY_EXISTS else "rejected"


def _what(finding: Finding) -> str:
    parts = [str(finding.klass)]
    if finding.http_status:
        parts.append(f"http {finding.http_status}")
    if finding.code is not None:
        parts.append(f"code {finding.code}")
    detail = ": ".join(part for part in (finding.reason, finding.message) if part)
    return " ".join(parts) + (f" ({detail})" if detail else "")
