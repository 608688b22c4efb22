"""The guard every exchange call goes through: budget, breaker, attempts, judgement, records. Owns the order of these.

Reads are tried three times, 1-2-4-8 s apart; everything else once (P2: an order is never sent again). Each attempt
is admitted and recorded for itself, so our own failures open the breaker under us. The result is a value or a
`VenueError`; a refusal of our own is `not_sent` and says which guard refused.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from desk.base import clock
from desk.base.errors import WorldError
from desk.config.schema import Transport as Limits
from desk.venues import outcome
from desk.venues.guard_types import BreakerPort, Ticket
from desk.venues.outcome import READS_RETRIED, Finding, Klass, VenueError
from desk.venues.rate_budget import Meter
from desk.venues.table import PURPOSES, Purpose, VenueRow, component
from desk.venues.transport import Aborted, Broken, Outgoing, Reply, Transport

T = TypeVar("T")
BeforeSend = Callable[[], None]
UNUSABLE: Final = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, StopIteration)  # from a parse
Log = Callable[[str, str], None]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted answer: the decoded JSON, and when it came by our clock."""

    value: Any
    received_ms: int
    took_ms: float


class Guard(msgspec.Struct):
    """All guards of one exchange for one process.

    Attributes:
        deadline_s: monotonic end of the tick, if the door has one; no call outlives it.
        latencies_ms: how long each answered request took, for the run record (never the journal).
    """

    row: VenueRow
    transport: Transport
    breaker: BreakerPort
    meter: Meter
    limits: Limits
    log: Log
    deadline_s: float = float("inf")
    latencies_ms: list[tuple[Purpose, float]] = msgspec.field(default_factory=list)
    _admitted: dict[Purpose, Ticket] = msgspec.field(default_factory=dict)

    def prepare(self, where: tuple[str, str], purpose: Purpose) -> None:
        """Before an order's timestamp is fixed: breaker and budget admit it, and the connection stands (design 4.8).

        The next `call` of this purpose goes on the ticket taken here; without one, `stand_down` gives it back.

        Raises:
            VenueError: refused, or no connection; nothing left this host.
        """
        ticket, code, detail = self._may_go(purpose)
        if code:
            raise self._error(where, Finding(klass=Klass.NOT_SENT, message=detail, reason=code), purpose)
        broken = self.transport.connect()
        if broken is not None:
            finding = outcome.broken(broken.kind, broken.started)
            self._record(ticket, finding)
            raise self._error(where, finding, purpose)
        if ticket is not None:
            self._admitted[purpose] = ticket

    def stand_down(self, purpose: Purpose) -> None:
        """Nothing was called after `prepare`: do not sit on a probe's lease."""
        ticket = self._admitted.pop(purpose, None)
        if ticket is not None:
            self.breaker.release_probe(ticket)

    def call(
        self,
        where: tuple[str, str],
        build: Callable[[], Outgoing],
        purpose: Purpose,
        parse: Callable[[Answer], T],
        *,
        timeout_s: float | None = None,
        before_send: BeforeSend | None = None,
    ) -> T:
        """Make one call.

        Args:
            where: method and path.
            build: makes the request anew for each attempt (fresh timestamp and signature).
            parse: turns the accepted answer into what the caller wants; one of UNUSABLE raised by it means the body
                is not what the endpoint promises, and the outcome is unknown.
            timeout_s: read timeout, at most `read_timeout_max_s`.
            before_send: called with the connection up, before the first byte; raising `Aborted` or a WorldError there
                means not sent.

        Raises:
            VenueError: every other end.
        """
        until_s = min(clock.monotonic_s() + self.limits.total_timeout_s, self.deadline_s)
        read_s = min(timeout_s or self.limits.read_timeout_s, self.limits.read_timeout_max_s)
        tries = max(1, self.limits.read_attempts_max) if PURPOSES[purpose].retried else 1
        finding = Finding(klass=Klass.NOT_SENT)
        for attempt in range(tries):
            ticket = self._admitted.pop(purpose, None)
            if ticket is None:
                ticket, code, detail = self._may_go(purpose)
                if code:
                    raise self._error(where, Finding(klass=Klass.NOT_SENT, message=detail, reason=code), purpose)
            finding, result = self._attempt(build, purpose, ticket, parse, until_s, read_s, before_send)
            if finding.klass is Klass.ACCEPTED:
                return result[0]
            if not self._wait_before_next(attempt, tries, finding, until_s):
                break
        raise self._error(where, finding, purpose)

    def _may_go(self, purpose: Purpose) -> tuple[Ticket | None, str, str]:
        """The breaker's ticket (None: this purpose has no breaker), and reason code and detail of a refusal."""
        code, detail = self.meter.refusal(purpose)
        name = component(self.row.name, purpose)
        if code or not name:
            return None, code, detail
        ticket = self.breaker.admit(name, purpose)
        return ticket, "" if ticket.allowed else ticket.reason, name

    def _attempt(
        self, build: Callable[[], Outgoing], purpose: Purpose, ticket: Ticket | None, parse: Callable[[Answer], T],
        until_s: float, read_s: float, before_send: BeforeSend | None,
    ) -> tuple[Finding, list[T]]:  # fmt: skip
        """One attempt: exchange, judge, record. The list holds the parsed value of an accepted answer."""
        settled = False
        try:
            out = build()
            answer = self.transport.exchange(out, until_s, read_s, lambda: _last_look(before_send))
            if isinstance(answer, Reply):
                answer = self.transport.without_secrets(answer, out)
            finding, result = self._judge(answer, parse)
            self._record(ticket, finding)
            settled = True
        finally:
            if ticket is not None and not settled:
                self.breaker.release_probe(ticket)  # no clock, or a bug on the way: do not sit on the lease
        if isinstance(answer, Reply):
            self.latencies_ms.append((purpose, answer.took_ms))
            self.meter.note(answer.headers, finding)
        return finding, result

    def _judge(self, answer: Reply | Broken, parse: Callable[[Answer], T]) -> tuple[Finding, list[T]]:
        if isinstance(answer, Broken):
            if answer.ours:
                return Finding(klass=Klass.NOT_SENT, reason=answer.kind), []
            return outcome.broken(answer.kind, answer.started), []
        finding = outcome.classify(self.row.errors, answer.status, answer.headers, answer.body)
        if finding.klass is not Klass.ACCEPTED:
            return finding, []
        try:
            return finding, [parse(Answer(value=finding.value, received_ms=answer.received_ms, took_ms=answer.took_ms))]
        except UNUSABLE as error:
            return outcome.bad_body(finding, f"{type(error).__name__} {error}"), []

    def _record(self, ticket: Ticket | None, finding: Finding) -> None:
        if ticket is None:
            return
        if finding.klass is Klass.ACCEPTED:
            self.breaker.record_success(ticket)
        elif finding.counts:
            banned = finding.klass is Klass.IP_BANNED
            self.breaker.record_failure(ticket, _cause(finding), finding.retry_after_s, banned)
        else:
            self.breaker.release_probe(ticket)

    def _wait_before_next(self, attempt: int, tries: int, finding: Finding, until_s: float) -> bool:
        """Wait the back-off of a read; False when there is no next attempt."""
        if attempt + 1 >= tries or finding.klass not in READS_RETRIED or finding.reason:
            return False
        ladder = self.limits.backoff_s
        wait_s = max(float(ladder[min(attempt, len(ladder) - 1)]) if ladder else 0.0, finding.retry_after_s or 0.0)
        if clock.monotonic_s() + wait_s >= until_s:
            return False
        clock.pause_s(wait_s)
        return True

    def _error(self, where: tuple[str, str], finding: Finding, purpose: Purpose) -> VenueError:
        row = PURPOSES[purpose]
        safe = msgspec.structs.replace(finding, message=outcome.shown(self.transport.redact(finding.message)))
        is_read = row.retried or not row.component
        error = VenueError(self.row.name, " ".join(where), safe, is_order=row.is_order, is_read=is_read)
        self.log("WARN" if finding.reason else "ERROR", error.line())
        return error


def _last_look(before_send: BeforeSend | None) -> None:
    """The caller's last check; a refusal of it is an abort with proof."""
    if before_send is None:
        return
    try:
        before_send()
    except WorldError as error:
        raise Aborted(error.what) from None


def _cause(finding: Finding) -> str:
    """Why a failure counts, without measured values: it is journalled."""
    if finding.http_status:
        return f"http {finding.http_status}" + (f" code {finding.code}" if finding.code is not None else "")
    return finding.message
