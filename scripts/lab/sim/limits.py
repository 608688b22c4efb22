"""Request weights and order counts over fixed windows of virtual time, 429 and the ban that follows persistence.

Binance: one weight budget per IP and minute, order counts per 10 s and day, ban 418 after BAN_AFTER requests past the
limit. MEXC: a budget per endpoint and 10 s; the endpoint is closed for 10 minutes once it is exceeded.
"""

from dataclasses import dataclass, field

WEIGHT_WINDOW_MS = 60_000
ORDERS_SHORT_MS = 10_000
DAY_MS = 86_400_000
BAN_AFTER = 10
BAN_FIRST_MS = 120_000
BAN_LONGEST_MS = 3 * DAY_MS
ENDPOINT_WINDOW_MS = 10_000
ENDPOINT_CLOSED_MS = 600_000


@dataclass(slots=True)
class Window:
    """A counter that starts again at every multiple of `size_ms`."""

    size_ms: int
    limit: int
    used: int = 0
    number: int = -1

    def roll(self, now_ms: int) -> int:
        """Forget earlier windows; returns what is used in this one."""
        if now_ms // self.size_ms != self.number:
            self.number, self.used = now_ms // self.size_ms, 0
        return self.used

    def left_ms(self, now_ms: int) -> int:
        """Time until the next window."""
        return self.size_ms - now_ms % self.size_ms


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a request is not served: status 429 or 418, and when to come back."""

    status: int
    retry_after_s: int
    until_ms: int


@dataclass(slots=True)
class BinanceLimits:
    """Weight and order counters of one IP and account. A `weight_limit` of 0 counts no weight."""

    weight_limit: int = 6000
    orders_10s_limit: int = 50
    orders_1d_limit: int = 160_000
    weight: Window = field(init=False)
    orders_10s: Window = field(init=False)
    orders_1d: Window = field(init=False)
    _ignored: int = 0
    _bans: int = 0
    _banned_until_ms: int = 0

    def __post_init__(self) -> None:
        self.weight = Window(WEIGHT_WINDOW_MS, self.weight_limit)
        self.orders_10s = Window(ORDERS_SHORT_MS, self.orders_10s_limit)
        self.orders_1d = Window(DAY_MS, self.orders_1d_limit)

    def charge(self, weight: int, now_ms: int) -> Verdict | None:
        """Count a request; a Verdict when it must not be served."""
        if now_ms < self._banned_until_ms:
            return self._refuse(418, self._banned_until_ms, now_ms)
        if not self.weight_limit:
            return None
        self.weight.roll(now_ms)
        if self.weight.used == 0:
            self._ignored = 0
        self.weight.used += weight
        if self.weight.used <= self.weight_limit:
            return None
        self._ignored += 1
        if self._ignored <= BAN_AFTER:
            return self._refuse(429, now_ms + self.weight.left_ms(now_ms), now_ms)
        self._banned_until_ms = now_ms + min(BAN_LONGEST_MS, BAN_FIRST_MS << self._bans)
        self._bans += 1
        return self._refuse(418, self._banned_until_ms, now_ms)

    def refund(self, weight: int) -> None:
        """A successful order placement or cancel costs nothing."""
        self.weight.used = max(0, self.weight.used - weight)

    def order_refused(self, now_ms: int, orders: int = 1) -> Window | None:
        """The exceeded order window, if so many more orders would exceed one."""
        for window in (self.orders_10s, self.orders_1d):
            if window.roll(now_ms) + orders > window.limit:
                return window
        return None

    def count_order(self, now_ms: int, orders: int = 1) -> None:
        """Orders reached the matching engine."""
        for window in (self.orders_10s, self.orders_1d):
            window.roll(now_ms)
            window.used += orders

    def _refuse(self, status: int, until_ms: int, now_ms: int) -> Verdict:
        return Verdict(status, max(1, -(-(until_ms - now_ms) // 1000)), until_ms)


@dataclass(slots=True)
class EndpointLimits:
    """MEXC: independent budgets per endpoint."""

    limit: int = 500
    _windows: dict[str, Window] = field(default_factory=dict)
    _closed_until_ms: dict[str, int] = field(default_factory=dict)

    def charge(self, endpoint: str, weight: int, now_ms: int) -> Verdict | None:
        """Count a request; a Verdict while the endpoint is closed."""
        until_ms = self._closed_until_ms.get(endpoint, 0)
        if now_ms < until_ms:
            return Verdict(429, -(-(until_ms - now_ms) // 1000), until_ms)
        window = self._windows.setdefault(endpoint, Window(ENDPOINT_WINDOW_MS, self.limit))
        window.roll(now_ms)
        window.used += weight
        if window.used <= self.limit:
            return None
        self._closed_until_ms[endpoint] = now_ms + ENDPOINT_CLOSED_MS
        return Verdict(429, ENDPOINT_CLOSED_MS // 1000, now_ms + ENDPOINT_CLOSED_MS)
