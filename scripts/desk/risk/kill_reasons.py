"""Why the kill switch may be engaged, what happens to positions, and when each reason lets go. Pure.

One row per reason (rules.md, Kill switch). A rule answers "" when its trigger no longer holds, else one clause for the
operator. Unknown is never healthy: what was not measured, or not recorded, still holds. To add a reason: one row here.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from desk.base import clock, money
from desk.base.reasons import Reason
from desk.config.schema import KillPositions
from desk.journal.state import Capital

HOLD, CLOSE, ASSESS = "hold", "close", "assess"
KEY_COMPROMISE: Final = "key_compromise_suspected"
HEALTHY_MS: Final = 60_000  # excessive_rest_errors, ws_stale_60s
CALM_MS: Final = 15 * 60_000  # flash_crash
REBASE_GAP_MS: Final = 7 * 86_400_000  # one PEAK_REBASED in this span


class ReleaseFacts(msgspec.Struct, frozen=True):
    """What the rules look at. Times are epoch ms; 0 = never or not known.

    Attributes:
        engaged_ms: reason -> when it was engaged.
        seen_ms: reason -> when its condition was last reported.
        measured_ms: when heartbeat last completed a run; `fresh_ms` is how old that may be.
        active_codes: reason codes whose condition heartbeat reports as holding now.
        capital: by `venue:quote`, as last marked.
        keys_then: venue -> key fingerprint at the engagement; None = not recorded. `keys_now`: as configured.
        foreign_unadopted: foreign orders journalled since the engagement and not adopted; None = unknown. A reconcile
            later than it, that of `foreign_ms`, must have looked again.
        env_hold: the line of the environment that still says KILL_SWITCH=true.
    """

    now_ms: int
    engaged_ms: Mapping[str, int] = msgspec.field(default_factory=dict)
    seen_ms: Mapping[str, int] = msgspec.field(default_factory=dict)
    measured_ms: int = 0
    fresh_ms: int = 180_000
    active_codes: frozenset[str] = frozenset()
    capital: Mapping[str, Capital] = msgspec.field(default_factory=dict)
    daily_loss_frac: Decimal = Decimal("0.05")
    daily_loss_quote: Decimal = money.ZERO
    drawdown_kill_frac: Decimal = Decimal("0.20")
    rebase_peak: bool = False
    keys_then: Mapping[str, str] | None = None
    keys_now: Mapping[str, str] = msgspec.field(default_factory=dict)
    foreign_unadopted: int | None = None
    foreign_ms: int = 0
    env_hold: str = ""


class KillReason(msgspec.Struct, frozen=True):
    """One row; `release` is the rule in words. What happens to positions is `[kill_switch.positions]` of the config."""

    name: str
    code: Reason
    release: str
    held: Callable[[ReleaseFacts], str]


def manual(facts: ReleaseFacts) -> str:
    """Any time."""
    return ""


def daily_loss(facts: ReleaseFacts) -> str:
    """The next UTC day, once that day has been opened and its own loss is below the limit."""
    engaged_ms = facts.engaged_ms.get("daily_loss", 0) or facts.now_ms
    today = clock.utc_date(facts.now_ms)
    if today <= clock.utc_date(engaged_ms):
        return f"daily_loss holds until the UTC day after {clock.utc_date(engaged_ms)}"
    for name, capital in facts.capital.items():
        if capital.day and capital.day < today:
            return f"daily_loss holds: the risk day of {name} is still {capital.day} (run router.py once)"
        loss = capital.day_open - capital.equity
        by_frac = capital.day_open > 0 and loss >= capital.day_open * facts.daily_loss_frac
        if by_frac or (facts.daily_loss_quote > 0 and loss >= facts.daily_loss_quote):
            return f"daily_loss holds: today's loss of {name} is {money.text(loss)}, at its limit"
    return ""


def max_drawdown(facts: ReleaseFacts) -> str:
    """Only with --rebase-peak, and not within 7 days of the last rebase of a peak that is in breach again."""
    if not facts.rebase_peak:
        return "max_dd_exceeded holds: a drawdown does not heal by waiting; add --rebase-peak"
    for name, capital in facts.capital.items():
        is_breach = capital.peak > 0 and capital.peak - capital.equity >= capital.peak * facts.drawdown_kill_frac
        if is_breach and is_rebased_lately(capital, facts.now_ms):
            until = clock.iso(capital.rebased_ms + REBASE_GAP_MS)
            return f"max_dd_exceeded holds: the peak of {name} was rebased less than 7 days ago (next {until})"
    return ""


def excessive_rest_errors(facts: ReleaseFacts) -> str:
    """60 s healthy."""
    return _quiet(facts, "excessive_rest_errors", Reason.KILL_REST, HEALTHY_MS)


def ws_stale(facts: ReleaseFacts) -> str:
    """60 s healthy."""
    return _quiet(facts, "ws_stale_60s", Reason.KILL_WS, HEALTHY_MS)


def flash_crash(facts: ReleaseFacts) -> str:
    """15 minutes without the condition."""
    return _quiet(facts, "flash_crash", Reason.FLASH_CRASH, CALM_MS)


def key_compromise(facts: ReleaseFacts) -> str:
    """Every key recorded at the engagement was changed, or every foreign order was adopted by its owner."""
    if facts.foreign_unadopted == 0 and facts.foreign_ms > facts.engaged_ms.get(KEY_COMPROMISE, 0):
        return ""
    if facts.keys_then is None:
        return "key_compromise_suspected holds: the keys of that time are not recorded; adopt each foreign order"
    same = sorted(name for name, mark in facts.keys_then.items() if mark and facts.keys_now.get(name, "") == mark)
    if same:
        return f"key_compromise_suspected holds: the key of {', '.join(same)} has not been changed"
    return ""


def is_rebased_lately(capital: Capital, now_ms: int) -> bool:
    """The peak was set anew within the last 7 days (a time in the future counts as lately)."""
    return bool(capital.rebased_ms) and now_ms - capital.rebased_ms < REBASE_GAP_MS


def _quiet(facts: ReleaseFacts, name: str, code: Reason, window_ms: int) -> str:
    """The condition has not been seen for `window_ms`, by a measurement that is itself fresh."""
    if str(code) in facts.active_codes:
        return f"{name} holds: heartbeat still reports it"
    age_ms = facts.now_ms - facts.measured_ms
    if not facts.measured_ms or not 0 <= age_ms <= facts.fresh_ms:
        return f"{name} holds: nothing has measured it lately (run heartbeat.py)"
    last_ms = max(facts.engaged_ms.get(name, 0), facts.seen_ms.get(name, 0)) or facts.now_ms
    missing_ms = window_ms - (facts.measured_ms - last_ms)
    return f"{name} holds: {-(-missing_ms // 1000)} s of health still missing" if missing_ms > 0 else ""


ROWS: Final[tuple[KillReason, ...]] = (
    KillReason("max_dd_exceeded", Reason.MAX_DD, "release --rebase-peak, at most once in 7 days", max_drawdown),
    KillReason("daily_loss", Reason.DAILY_LOSS, "the next UTC day", daily_loss),
    KillReason("excessive_rest_errors", Reason.KILL_REST, "60 s healthy", excessive_rest_errors),
    KillReason("ws_stale_60s", Reason.KILL_WS, "60 s healthy", ws_stale),
    KillReason("flash_crash", Reason.FLASH_CRASH, "15 minutes without the condition", flash_crash),
    KillReason(
        KEY_COMPROMISE, Reason.KILL_KEY, "every key changed, or each foreign order adopted", key_compromise
    ),
    KillReason("manual", Reason.KILL_MANUAL, "any time", manual),
)  # fmt: skip
CONDITIONS: Final = frozenset({"excessive_rest_errors", "ws_stale_60s", "flash_crash"})  # measured each heartbeat
BY_NAME: Final = {row.name: row for row in ROWS}
MANUAL_ROW: Final = BY_NAME["manual"]


def row_of(name: str) -> KillReason:
    """The row of a reason; a text nobody knows (a hand-written file) is manual."""
    return BY_NAME.get(name, MANUAL_ROW)


def classify(text: str) -> tuple[KillReason, str]:
    """An operator's or a check's reason as (row, note): a code of the table, or manual with the text as note."""
    word = text.strip()
    found = BY_NAME.get(word.lower())
    return (found, "") if found is not None else (MANUAL_ROW, word)


def still_held(reasons: tuple[str, ...], facts: ReleaseFacts) -> tuple[str, ...]:
    """Every clause that refuses a release; () when nothing does."""
    clauses = [facts.env_hold] + [row_of(name).held(facts) for name in reasons]
    return tuple(dict.fromkeys(clause for clause in clauses if clause))


def positions_of(name: str, chosen: KillPositions) -> str:
    """What one reason does to open positions: hold, close or assess."""
    found: str = getattr(chosen, row_of(name).name)
    return found


def positions_policy(reasons: tuple[str, ...], chosen: KillPositions) -> str:
    """What happens to open positions under these reasons: close outranks assess outranks hold."""
    wanted = {positions_of(name, chosen) for name in reasons}
    return next((policy for policy in (CLOSE, ASSESS) if policy in wanted), HOLD)
