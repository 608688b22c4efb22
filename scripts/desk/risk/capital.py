"""Daily loss and drawdown, and the kill reasons they give (rules.md, capital). Pure.

All ratios are fractions, never percent: a loss of 0.06 % is 0.0006 and far from 0.05, one of 5.1 % is 0.051 and beyond
it. What is not known gives no kill reason and no entries.
"""

from decimal import Decimal
from typing import Final

import msgspec

from desk.base.money import ZERO, frac
from desk.config.schema import Capital as Limits
from desk.risk.equity import Account

KILL_DAILY_LOSS: Final = "daily_loss"  # the kill switch's reason words (rules.md, Kill switch)
KILL_DRAWDOWN: Final = "max_dd_exceeded"


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the capital rules say. All None: not known, so no entries and no kill."""

    equity: Decimal | None
    daily_loss_frac: Decimal | None  # of the day's opening equity; negative for a gain
    drawdown_frac: Decimal | None  # of the highest equity since the last PEAK_REBASED
    kill_reason: str | None = None


UNKNOWN: Final = Judgement(equity=None, daily_loss_frac=None, drawdown_frac=None)


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


def _day_open(account: Account, equity: Decimal, today: str) -> Decimal:
    if not account.marked:
        return equity
    return account.day_open if account.day >= today else account.last_equity
