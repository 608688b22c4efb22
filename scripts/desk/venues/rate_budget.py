"""What is left of an exchange's request budget, shared by all processes in `state/rate_budget.json`.

Limits come from exchangeInfo, use from the answers' headers (or from our own count where a venue sends none). The file
is an observation: written when something important changes (429, 418, limits, a jump in use), never on every call.
Entries stop at 0.70 of the weight, other reads at 0.85; cancels, exits and look-ups may use all of it. After 429
entries and reads wait; after 418 nothing is sent until the ban has passed.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeGuard

import msgspec

from desk.base import clock, money
from desk.base.errors import LockBusy, StateError
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.config.schema import Churn, RateBudget
from desk.state import store
from desk.venues.outcome import RETRY_AFTER_S_MAX, Finding, Klass
from desk.venues.table import PURPOSES, Purpose, VenueRow

KEY: Final = "rate_budget"
WRITER: Final = "venues.rate_budget"
BACK_OFF_LADDER_S: Final = (1, 2, 4, 8)
REWRITE_FRAC: Final = Decimal("0.05")  # a jump of this much in use is worth a write
REWRITE_MS: Final = 30_000  # and so is a file this old
INTERVAL_S: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
INTERVAL_LETTER: Final = {"S": 1, "M": 60, "H": 3600, "D": 86_400}
COUNT_MAX: Final = 10**9  # of a limit or an interval; a larger one is no limit anybody keeps
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")


class Use(msgspec.Struct, kw_only=True):
    """Use of one limit as last seen; 0 again once its window has passed."""

    count: int = 0
    limit: int = 0  # 0: not known
    interval_s: int = 60
    seen_ms: int = 0

    def frac(self, now_ms: int, limit_default: int = 0) -> Decimal:
        """Used share of the limit, 0 when nothing is known or the window has passed."""
        limit = self.limit or limit_default
        if not limit or not 0 <= now_ms - self.seen_ms < 1000 * self.interval_s:
            return money.ZERO
        return money.frac(Decimal(self.count), Decimal(limit))


class Budget(msgspec.Struct, kw_only=True):
    """One venue's part of the file."""

    weight: Use = msgspec.field(default_factory=Use)
    orders: dict[str, Use] = {}  # "10S", "1D" -> unfilled order count
    back_off_until_ms: int = 0
    ban_until_ms: int = 0
    consecutive_429: int = 0
    rate_limited_total: int = 0

    def order_frac(self, now_ms: int) -> Decimal:
        """The fullest order-count window."""
        return max((use.frac(now_ms) for use in self.orders.values()), default=money.ZERO)

    def banned(self, now_ms: int) -> bool:
        """True until the ban has passed."""
        return now_ms < self.ban_until_ms

    def backing_off(self, now_ms: int) -> bool:
        """True until the back-off after a 429 has passed."""
        return now_ms < self.back_off_until_ms


def view(home: Home, venue: str) -> Budget:
    """One venue's budget as the file has it; empty when missing or unreadable (it is an observation)."""
    try:
        doc = store.read(home, KEY) or {}
    except StateError:
        return Budget()
    return _parse(doc.get(venue), clock.now_ms())


def refusal(
    budget: Budget, purpose: Purpose, limits: RateBudget, order_block_frac: Decimal, now_ms: int
) -> tuple[str, str]:
    """Why a call may not be made now: reason code and detail, both "" when it may. Pure (rules: rate budget)."""
    if budget.banned(now_ms):
        return str(Reason.RATE_BANNED), f"until {clock.iso(budget.ban_until_ms)}"
    share = PURPOSES[purpose].budget
    if share == "all":
        return "", ""
    if budget.backing_off(now_ms):
        return str(Reason.RATE_BACK_OFF), f"until {clock.iso(budget.back_off_until_ms)}"
    stops = {
        "entries": (limits.entries_stop_frac, Reason.RATE_BUDGET),
        "reads": (limits.reads_stop_frac, Reason.RATE_READS),
    }
    stop_frac, reason = stops[share]
    used_frac = budget.weight.frac(now_ms, limits.weight_per_min_default)
    if used_frac >= stop_frac:
        return str(reason), f"{money.text(used_frac)} of the weight is used, limit {money.text(stop_frac)}"
    if share == "entries" and budget.order_frac(now_ms) >= order_block_frac:
        return str(Reason.RATE_ORDERS), f"{money.text(budget.order_frac(now_ms))} of the order count is used"
    return "", ""


class Meter(msgspec.Struct):
    """One process's hand on one venue's budget."""

    home: Home
    row: VenueRow
    limits: RateBudget
    churn: Churn
    log: Callable[[str, str], None]
    _own_calls: int = 0  # in the running window, not yet written; for venues without a weight header
    _own_since_ms: int = 0

    def refusal(self, purpose: Purpose) -> tuple[str, str]:
        """Why a call may not be made now: reason code and detail, both "" when it may."""
        budget = view(self.home, self.row.name)
        if not budget.weight.limit and self.row.weight_limit:
            budget.weight.limit = self.row.weight_limit
        budget.weight.count += self._own_calls
        return refusal(budget, purpose, self.limits, self.churn.order_count_block_frac, clock.now_ms())

    def note(self, headers: Mapping[str, str], finding: Finding) -> None:
        """Book an answer: used weight, order counts, back-off after 429, ban after 418."""
        now_ms = clock.now_ms()
        before = view(self.home, self.row.name)
        after = msgspec.convert(msgspec.to_builtins(before), Budget)
        self._book_use(after, headers, now_ms)
        _book_limits(after, finding, self.row, now_ms)
        if _worth_writing(before, after, now_ms, self.limits.weight_per_min_default):
            self._write(lambda budget: self._merge(budget, after))

    def learn(self, rate_limits: Iterable[Any]) -> None:
        """Take the limits of exchangeInfo; entries that say nothing usable are skipped."""
        weight, orders = _limits_of(rate_limits)

        def change(budget: Budget) -> Budget:
            if weight is not None:
                budget.weight.limit, budget.weight.interval_s = weight.limit, weight.interval_s
            for name, use in orders.items():
                known = budget.orders.setdefault(name, use)
                known.limit, known.interval_s = use.limit, use.interval_s
            return budget

        current = view(self.home, self.row.name)
        if change(msgspec.convert(msgspec.to_builtins(current), Budget)) != current:
            self._write(change)

    def _book_use(self, budget: Budget, headers: Mapping[str, str], now_ms: int) -> None:
        used = headers.get(self.row.weight_header, "") if self.row.weight_header else ""
        if used.isdecimal():
            budget.weight.count, budget.weight.seen_ms = int(used[:12]), now_ms
        elif not self.row.weight_header:
            self._count_own(now_ms)
            if now_ms - budget.weight.seen_ms >= 1000 * self.row.weight_window_s:
                budget.weight = Use(limit=self.row.weight_limit, interval_s=self.row.weight_window_s, seen_ms=now_ms)
            budget.weight.count += self._own_calls
        prefix = self.row.order_count_header
        for name in [name for name in headers if prefix and name.startswith(prefix)]:
            self._book_orders(budget, name.removeprefix(prefix).upper(), headers[name], now_ms)

    def _count_own(self, now_ms: int) -> None:
        if now_ms - self._own_since_ms >= 1000 * self.row.weight_window_s:
            self._own_calls, self._own_since_ms = 0, now_ms
        self._own_calls += 1

    @staticmethod
    def _book_orders(budget: Budget, interval: str, text: str, now_ms: int) -> None:
        unit_s = INTERVAL_LETTER.get(interval[-1:], 0)
        if not unit_s or not interval[:-1].isdecimal() or not text.isdecimal():
            return
        use = budget.orders.setdefault(interval, Use(interval_s=int(interval[:-1]) * unit_s))
        use.count, use.seen_ms = int(text[:12]), now_ms

    def _merge(self, stored: Budget, ours: Budget) -> Budget:
        """Another process may have written meanwhile: the later ban and back-off win, use is the newest."""
        ours.ban_until_ms = max(ours.ban_until_ms, stored.ban_until_ms)
        if ours.consecutive_429:
            ours.back_off_until_ms = max(ours.back_off_until_ms, stored.back_off_until_ms)
        ours.weight.limit = ours.weight.limit or stored.weight.limit
        self._own_calls = 0
        return ours

    def _write(self, change: Callable[[Budget], Budget]) -> None:
        def replace(doc: store.Doc | None) -> store.Doc:
            budget = change(_parse((doc or {}).get(self.row.name), clock.now_ms()))
            return (doc or {}) | {self.row.name: _unparse(budget)}

        try:
            try:
                store.update(self.home, KEY, replace, WRITER)
            except StateError:
                store.write(self.home, KEY, replace(None), WRITER)  # corrupt reads as missing
        except (StateError, LockBusy) as error:
            self.log("WARN", f"rate budget not written: {error.line()}")


def _book_limits(budget: Budget, finding: Finding, row: VenueRow, now_ms: int) -> None:
    if finding.klass is Klass.IP_BANNED:
        budget.ban_until_ms = max(budget.ban_until_ms, _ban_until_ms(finding, row, now_ms))
        budget.rate_limited_total += 1
    elif finding.http_status == 429 or finding.klass is Klass.RATE_LIMITED:
        ladder_s = BACK_OFF_LADDER_S[min(budget.consecutive_429, len(BACK_OFF_LADDER_S) - 1)]
        hinted_s = finding.retry_after_s if finding.retry_after_s is not None else row.pause_without_hint_s
        budget.back_off_until_ms = max(budget.back_off_until_ms, now_ms + int(1000 * max(ladder_s, hinted_s)))
        budget.consecutive_429 += 1
        budget.rate_limited_total += 1
    elif finding.klass is Klass.ACCEPTED and budget.consecutive_429 and not budget.backing_off(now_ms):
        # what is let through meanwhile (a cancel, the clock's measurement) says nothing of what must wait
        budget.consecutive_429, budget.back_off_until_ms = 0, 0


def _ban_until_ms(finding: Finding, row: VenueRow, now_ms: int) -> int:
    seconds = finding.retry_after_s if finding.retry_after_s is not None else row.ban_without_hint_s
    until_ms = now_ms + int(1000 * seconds)
    named = _BANNED_UNTIL.search(finding.message)
    if named and finding.retry_after_s is None:
        until_ms = max(until_ms, int(named[1]))
    return min(until_ms, now_ms + int(1000 * RETRY_AFTER_S_MAX))


def _worth_writing(before: Budget, after: Budget, now_ms: int, limit_default: int) -> bool:
    told = (after.rate_limited_total, after.consecutive_429) != (before.rate_limited_total, before.consecutive_429)
    orders = _counts(after) != _counts(before)
    jump = abs(after.weight.frac(now_ms, limit_default) - before.weight.frac(now_ms, limit_default)) >= REWRITE_FRAC
    return told or orders or jump or after.weight.seen_ms - before.weight.seen_ms >= REWRITE_MS


def _counts(budget: Budget) -> dict[str, int]:
    return {name: use.count for name, use in budget.orders.items()}


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= COUNT_MAX


def _limits_of(rate_limits: Iterable[Any]) -> tuple[Use | None, dict[str, Use]]:
    weight: Use | None = None
    orders: dict[str, Use] = {}
    for item in rate_limits:
        if not isinstance(item, dict):
            continue
        number, limit, interval = item.get("intervalNum"), item.get("limit"), str(item.get("interval", ""))
        if not _is_count(number) or not _is_count(limit) or interval not in INTERVAL_S:
            continue
        use = Use(limit=limit, interval_s=number * INTERVAL_S[interval])
        if item.get("rateLimitType") == "REQUEST_WEIGHT" and (weight is None or use.interval_s == 60):
            weight = use
        elif item.get("rateLimitType") == "ORDERS":
            orders[f"{number}{interval[0]}"] = use
    return weight, orders


def _parse(raw: object, now_ms: int) -> Budget:
    """The budget of a file part; anything unusable is an empty one. Stored deadlines are cut to their longest."""
    if not isinstance(raw, dict):
        return Budget()
    try:
        budget = msgspec.convert({name: _times_to_ms(value) for name, value in _flat(raw).items()}, Budget, strict=True)
    except (msgspec.ValidationError, ValueError):
        return Budget()
    longest_ms = now_ms + int(1000 * RETRY_AFTER_S_MAX)
    budget.ban_until_ms = min(budget.ban_until_ms, longest_ms)
    budget.back_off_until_ms = min(budget.back_off_until_ms, longest_ms)
    return budget


def _flat(raw: dict[str, Any]) -> dict[str, Any]:
    renamed = {"back_off_until": "back_off_until_ms", "ban_until": "ban_until_ms"}
    return {renamed.get(name, name): value for name, value in raw.items()}


def _times_to_ms(value: Any) -> Any:
    """`seen_at` and deadlines are ISO text in the file."""
    if isinstance(value, dict):
        return {("seen_ms" if k == "seen_at" else k): _times_to_ms(item) for k, item in value.items()}
    if value is None:
        return 0
    return clock.parse_iso(value) if isinstance(value, str) else value


def _unparse(budget: Budget) -> dict[str, Any]:
    def iso(at_ms: int) -> str | None:
        return clock.iso(at_ms) if at_ms else None

    def use(value: Use) -> dict[str, Any]:
        return {
            "count": value.count, "limit": value.limit, "interval_s": value.interval_s, "seen_at": iso(value.seen_ms)
        }  # fmt: skip

    return {
        "weight": use(budget.weight),
        "orders": {name: use(value) for name, value in budget.orders.items()},
        "back_off_until": iso(budget.back_off_until_ms),
        "ban_until": iso(budget.ban_until_ms),
        "consecutive_429": budget.consecutive_429,
        "rate_limited_total": budget.rate_limited_total,
    }
