"""What the venue guard and the breaker say to each other. Owns the types; decides nothing."""

from typing import Protocol

import msgspec

from desk.venues.table import Purpose


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker's answer to one attempt: may it go, and under which state it was admitted.

    `owner` is set when the attempt holds the one half-open probe lease. `state` is "" when the file could not tell
    (the attempt was let through without it, and its result is not recorded).
    """

    component: str
    allowed: bool
    reason: str = ""  # breaker:open, breaker:half_open, breaker:corrupt
    state: str = ""
    owner: str = ""


class BreakerPort(Protocol):
    """What the guard needs of the breakers; `risk.breaker.Breakers` is the one implementation."""

    def admit(self, component: str, purpose: Purpose) -> Ticket: ...
    def record_success(self, ticket: Ticket) -> None: ...
    def record_failure(self, ticket: Ticket, cause: str, retry_after_s: float | None, banned: bool) -> None: ...
    def release_probe(self, ticket: Ticket) -> None: ...
