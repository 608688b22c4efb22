"""The automatic kill switch inside a cycle: capital limits and flash crash (rules.md). Engages and cancels entries."""

from desk.base import clock
from desk.base.money import ZERO, text
from desk.execution import cancel
from desk.execution.desk import Desk
from desk.risk import capital, facts_gather, kill_switch, latches, market
from desk.risk.facts import Facts


def engage_if_due(desk: Desk, facts: Facts) -> Facts:
    """Engage when a limit is reached at this cycle's prices, and cancel the entries that stand.

    Args:
        facts: this cycle's prices with the journal as it stands now.

    Returns:
        The facts under the latches as they stand afterwards.
    """
    due = _reason(desk, facts)
    if due is None:
        return facts
    reason, detail = due
    before = latches.effective(desk.run.home, desk.fold(), desk.run.settings).kill
    kill_switch.engage(desk.run.home, desk.run.journal, reason, "router")  # again at every look: release counts from it
    if not before.active or reason not in before.reasons:
        desk.run.warn("CRIT", f"Kill-switch activated: {reason} ({detail})")
    return facts_gather.with_latches(facts, latches.effective(desk.run.home, desk.fold(), desk.run.settings))


def cancel_under_kill(desk: Desk) -> None:
    """While the switch is active, whoever engaged it, no entry is left standing (FREEZE_ALL sends nothing at all)."""
    found = latches.effective(desk.run.home, desk.fold(), desk.run.settings)
    if not found.kill.active or found.frozen:
        return
    gone, left = cancel.cancel_open_entries(desk, "kill_switch")
    if gone or left:
        desk.run.warn("WARN", f"kill switch active: entries cancelled {len(gone)}, not confirmed {len(left)}")


def _reason(desk: Desk, facts: Facts) -> tuple[str, str] | None:
    """The first automatic kill reason that holds: capital first, then a flash crash."""
    if facts.limits is None or facts.ledger is None:
        return None
    for name, account in sorted(facts.ledger.accounts.items()):
        found = capital.judge(account, facts.limits.capital, clock.utc_date(desk.run.tick_ms))
        if found.kill_reason is not None:
            numbers = f"daily loss {text(found.daily_loss_frac or ZERO)}, drawdown {text(found.drawdown_frac or ZERO)}"
            return found.kill_reason, f"{name}: {numbers}"
    for name, symbol in sorted(facts.symbols.items()):
        now_ms = desk.exchange_ms(symbol.venue)
        if market.is_flash_crash(symbol, now_ms, facts.limits.entries):
            fall = market.flash_crash_frac(symbol, now_ms, facts.limits.entries.flash_crash_window_min)
            return "flash_crash", f"{name} fell {text(fall)}"
    return None
