"""BTCTurk's quotas: per endpoint, over periods that start with the first request; then closed for the block time.

The table is the documented one (page Rate Limits); a test holds it against the recorded material.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


class Quota(NamedTuple):
    """A row: at most `limit` requests in `period_s`, else 429 for `block_s`."""

    path: str
    method: str
    limit: int
    period_s: int
    block_s: int
    policy: str


ACCOUNT_IP = "account, ip"
GRAPH_API = "graph-api"  # the candle host; here all of /v1/
QUOTAS = (
    Quota("/api/v1/users/balances", "GET", 120, 60, 60, "ip"),
    Quota("/api/v1/order", "POST", 300, 60, 60, ACCOUNT_IP),
    Quota("/api/v1/order", "POST", 10, 1, 1, ACCOUNT_IP),
    Quota("/api/v1/order", "DELETE", 300, 60, 60, ACCOUNT_IP),
    Quota("/api/v1/order", "DELETE", 10, 1, 1, ACCOUNT_IP),
    Quota("/api/v1/order/{orderId}", "GET", 900, 60, 60, ACCOUNT_IP),
    Quota("/api/v1/order/{orderId}", "GET", 30, 1, 1, ACCOUNT_IP),
    Quota("/api/v1/openOrders", "GET", 300, 60, 60, "ip"),
    Quota("/api/v1/allOrders", "GET", 300, 60, 60, "ip"),
    Quota("/api/v1/trades", "GET", 90, 60, 60, "ip"),
    Quota("/api/v1/users/transactions/trade", "GET", 120, 60, 60, "ip"),
    Quota("/api/v2/ticker", "GET", 600, 60, 60, "ip"),
    Quota("/api/v2/orderBook", "GET", 180, 60, 60, "ip"),
    Quota("/v1/ohlcs", "GET", 120, 60, 60, "ip"),
    Quota(GRAPH_API, "GET", 600, 600, 600, "ip"),
)
_SERVED_AS = {"/api/v2/trades": "/api/v1/trades"}  # the table says v1 where the endpoint's own page says v2


@dataclass(slots=True)
class Count:
    """What has been used of a quota since its period began."""

    began_ms: int = 0
    used: int = 0
    closed_until_ms: int = 0


class Exceeded(NamedTuple):
    """The quota that refuses a request, and when to come back."""

    quota: Quota
    retry_after_s: int


@dataclass(slots=True)
class BtcturkLimits:
    """Counters of the one account behind the one address."""

    _counts: dict[Quota, Count] = field(default_factory=lambda: {quota: Count() for quota in QUOTAS})

    def charge(self, method: str, path: str, now_ms: int) -> Exceeded | None:
        """Count a request of an endpoint (`path` in lower case); Exceeded when it must not be served."""
        quotas = [quota for quota in QUOTAS if quota.method == method and _covers(quota.path, path)]
        for quota in quotas:
            closed_ms = self._counts[quota].closed_until_ms - now_ms
            if closed_ms > 0:
                return Exceeded(quota, -(-closed_ms // 1000))
        refused = [quota for quota in quotas if not self._count(quota, now_ms)]
        return Exceeded(refused[0], refused[0].block_s) if refused else None

    def _count(self, quota: Quota, now_ms: int) -> bool:
        count = self._counts[quota]
        if not count.used or now_ms - count.began_ms >= quota.period_s * 1000:
            count.began_ms, count.used = now_ms, 0
        count.used += 1
        if count.used <= quota.limit:
            return True
        count.used, count.closed_until_ms = 0, now_ms + quota.block_s * 1000
        return False


def period_text(period_s: int) -> str:
    """'1m' for 60, '10m' for 600, '1s' for 1."""
    return f"{period_s // 60}m" if period_s % 60 == 0 else f"{period_s}s"


def _covers(quota_path: str, path: str) -> bool:
    if quota_path == GRAPH_API:
        return path.startswith("/v1/")
    return quota_path.lower() == _SERVED_AS.get(path, path)
