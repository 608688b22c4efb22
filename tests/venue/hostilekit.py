"""What the hostile answer tests share: a client whose exchange answers from a script, and what a sound value is.

The answers are the simulator's own (recorded once per method) or the recorded ones of ../shared; the script damages
them. The wire is left out here, so that thousands of answers cost seconds.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from desk.base import clock
from desk.venues.guard_types import Ticket
from desk.venues.outcome import Finding
from desk.venues.table import Purpose
from desk.venues.transport import Aborted, Broken, Outgoing, Reply, Transport

KEY = "simkey-fake-0123"
SECRETS = {
    "binance": "simsecret-fake-4567", "mexc": "simsecret-fake-4567",
    "btcturk": base64.b64encode(b"simsecret-fake-4567").decode(),
}  # fmt: skip
TEXT_CHARS_MAX = 64
WHOLE_MAX = 2**63 - 1
DIGITS_MAX = 38  # of a number: products and quotients of two stay inside the money context's reach
Answer = Callable[[Outgoing, Reply], Reply]


@dataclass
class Doors:
    """Breakers that let everything through and see to it that each admitted attempt is settled exactly once."""

    open_tickets: int = 0

    def admit(self, component: str, purpose: Purpose) -> Ticket:
        self.open_tickets += 1
        return Ticket(component=component, allowed=True, state="closed")

    def record_success(self, ticket: Ticket) -> None:
        self.open_tickets -= 1

    def record_failure(self, ticket: Ticket, cause: str, retry_after_s: float | None, banned: bool) -> None:
        self.open_tickets -= 1

    def release_probe(self, ticket: Ticket) -> None:
        self.open_tickets -= 1


@dataclass
class Free:
    """A budget without end; what headers do to a budget has its own test."""

    noted: int = 0

    def refusal(self, purpose: Purpose) -> tuple[str, str]:
        return "", ""

    def note(self, headers: Mapping[str, str], finding: Finding) -> None:
        self.noted += 1

    def learn(self, rate_limits: Any) -> None:
        list(rate_limits)


class Scripted(Transport):
    """Records what the simulator answers, then answers so itself, through `damage`."""

    told: dict[tuple[str, str], list[Reply]] = msgspec.field(default_factory=dict)
    damage: Answer | None = None
    sent: list[Outgoing] = msgspec.field(default_factory=list)

    def exchange(
        self, out: Outgoing, deadline_s: float, read_timeout_s: float, before_first_byte: Callable[[], None]
    ) -> Reply | Broken:
        self.sent.append(out)
        where = (out.method, out.path)
        if self.damage is None:
            reply = super().exchange(out, deadline_s, read_timeout_s, before_first_byte)
            assert isinstance(reply, Reply), reply
            self.told.setdefault(where, []).append(reply)
            return reply
        try:
            before_first_byte()
        except Aborted as stop:
            return Broken(kind=stop.reason, started=False, ours=True)
        known = self.told.get(where) or [
            reply for (method, _), replies in self.told.items() if method == out.method for reply in replies
        ]
        reply = known[min(sum((one.method, one.path) == where for one in self.sent), len(known)) - 1]
        return self.damage(out, reply)

    def connect(self) -> Broken | None:
        return super().connect() if self.damage is None else None


def script(client: Any) -> Scripted:
    """Put a script between a client and its exchange."""
    old = client.caller.guard.transport
    scripted = Scripted(old.base_url, old.limits, old.secrets)
    client.caller.guard.transport = scripted
    client.caller.guard.breaker, client.caller.guard.meter = Doors(), Free()
    return scripted


def assert_sound(value: Any, where: str = "value") -> None:
    """What a client returns is usable by everything behind it: typed, finite, bounded, printable, storable."""
    if isinstance(value, msgspec.Struct):
        assert msgspec.convert(msgspec.to_builtins(value), type(value)) == value, where
        for name in value.__struct_fields__:
            found = getattr(value, name)
            assert_sound(found, f"{where}.{name}")
            if name.endswith("_ms") and name not in {"offset_ms", "error_ms"}:
                clock.iso(found)
    elif isinstance(value, Decimal):
        assert value.is_finite() and (not value or len(format(value.normalize(), "f")) <= DIGITS_MAX + 2), where
        assert value >= 0 or "offset" in where, where
    elif isinstance(value, str):
        assert len(value) <= TEXT_CHARS_MAX and value.isprintable(), (where, value[:80])
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        assert abs(value) <= WHOLE_MAX, where
    elif isinstance(value, tuple | list):
        for item in value:
            assert_sound(item, where + "[]")
    elif isinstance(value, dict):
        for name, item in value.items():
            assert_sound(name, where + " key")
            assert_sound(item, f"{where}[{name[:TEXT_CHARS_MAX]}]")
    else:
        raise AssertionError(f"{where} is a {type(value).__name__}")


def secrets_of(venue: str, sent: list[Outgoing]) -> set[str]:
    """Everything that proves who asks: key, secret, and the signatures of these requests."""
    found = {KEY, SECRETS[venue]}
    for out in sent:
        found |= {part.partition("=")[2] for part in out.query.split("&") if part.startswith("signature=")}
        found |= {value for name, value in out.headers.items() if name == "X-Signature"}
    return {one for one in found if one}
