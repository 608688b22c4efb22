"""Daily loss and drawdown, and the kill reasons they give (rules.md, capital; volatility, flash crash). Pure.

All ratios are fractions, never percent: a loss of 0.06 % is 0.0006 and far from 0.05, one of 5.1 % is 0.051 and beyond
it. What is not known gives no kill reason and no entries.
"""

from decimal import Decimal
from typing import Final

import msgspec

from desk.base import clock
from desk.base.money import ZERO, frac, text
from desk.config.schema import Capital as Limits
from desk.journal.state import Fold, key
from desk.risk import market
from desk.risk.equity import Account
from desk.risk.facts import Cycle, Facts, refreshed

KILL_DAILY_LOSS: Final = "daily_loss"  # the kill switch's reason words (rules.md, Kill switch)
KILL_DRAWDOWN: Final = "max_dd_exceeded"
KILL_FLASH_CRASH: Final = "flash_crash"


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the capital rules say. All None: not known, so no entries and no kill."""

    equity: Decimal | None
    daily_loss_frac: Decimal | None  # of the day's opening equity; negative for a gain
    drawdown_frac: Decimal | None  # of the highest equity since the last PEAK_REBASED
    kill_reason: str | None = None


UNKNOWN: Final = Judgement(equity=None, daily_loss_frac=None, drawdown_frac=None)


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """A reason to engage the kill switch: its word in the reason table, and what was seen."""

    code: str
    detail: str


def judge(account: Account, limits: Limits, today: str) -> Judgement:
    """Losses of one account at the prices of now, and the kill reason they give, if any.

    Args:
        today: the UTC date. A day not yet opened in the journal is measured from the last mark, as DAY_CLOSED will
            open it, so that a loss over an outage is not lost between two days.
    """
    equity = account.equity
    if equity is None or not account.opened:
        return UNKNOWN
    peak = max(account.peak, equity)
    opened = _day_open(account, equity, today)
    if peak <= ZERO or opened <= ZERO:
        return UNKNOWN
    loss, drawdown = opened - equity, frac(peak - equity, peak)
    reason = None
    if loss > ZERO and (frac(loss, opened) >= limits.daily_loss_frac or ZERO < limits.daily_loss_quote <= loss):
        reason = KILL_DAILY_LOSS
    if drawdown > ZERO and drawdown >= limits.drawdown_kill_frac:
        reason = KILL_DRAWDOWN  # the one that is harder to release
    return Judgement(equity=equity, daily_loss_frac=frac(loss, opened), drawdown_frac=drawdown, kill_reason=reason)


def kill_reason(facts: Facts, fold: Fold) -> Kill | None:
    """The first reason that holds now: drawdown, daily loss, flash crash of a symbol; None for none."""
    if facts.limits is None:
        return None
    today, found = clock.utc_date(facts.now_ms), []
    for name, account in refreshed(facts, fold, facts.now_ms, facts.cycle).accounts.items():
        judged = judge(account, facts.limits.capital, today)
        if judged.kill_reason is not None:
            lost, fallen = judged.daily_loss_frac or ZERO, judged.drawdown_frac or ZERO
            detail = f"{name}: day loss {text(lost)}, drawdown {text(fallen)} (fractions of equity)"
            found.append(Kill(code=judged.kill_reason, detail=detail))
    found.sort(key=lambda kill: kill.code != KILL_DRAWDOWN)
    return found[0] if found else flash_crash(facts)


def flash_crash(facts: Facts) -> Kill | None:
    """The first symbol that fell as rules.md says, by bars or by confirmed polls; None for none."""
    if facts.limits is None:
        return None
    limits = facts.limits.entries
    for name, found in sorted(facts.symbols.items()):
        fallen = market.flash_crash_frac(found, found.bars_now_ms or facts.now_ms, limits.flash_crash_window_min)
        if fallen >= limits.flash_crash_frac:
            detail = f"{name} fell {text(fallen)} (a fraction) in {limits.flash_crash_window_min} min"
            return Kill(code=KILL_FLASH_CRASH, detail=detail)
    return None


def equities(fold: Fold, facts: Facts) -> dict[tuple[str, str], Decimal]:
    """(venue, quote) -> equity, for CAPITAL_MARKED; accounts that cannot be valued now are left out."""
    found = refreshed(facts, fold, facts.now_ms, facts.cycle).accounts.values()
    return {(a.venue, a.quote): a.equity for a in found if a.opened and a.equity is not None}


def after_entries(facts: Facts, fold: Fold, entries_sent: int) -> Facts:
    """The facts for the next entry of a cycle: the journal as it stands now, what the cycle has used, older prices."""
    used: dict[str, Decimal] = {}
    for intent in fold.intents.intents.values():
        if intent.kind == "ENTRY" and intent.created_ms >= facts.tick_ms:
            name = key(intent.venue, intent.quote)
            used[name] = used.get(name, ZERO) + intent.quantity * intent.price
    return refreshed(facts, fold, clock.now_ms(), Cycle(entries_placed=entries_sent, notional_used=used))


def _day_open(account: Account, equity: Decimal, today: str) -> Decimal:
    if not account.marked:
        return equity
    return account.day_open if account.day >= today else account.last_equity
