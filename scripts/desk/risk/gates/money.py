"""Money at risk: losses so far, exposure, number of positions, what one cycle may spend."""

from decimal import Decimal

from desk.base import clock
from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.risk import capital as rules_of_capital
from desk.risk import equity
from desk.risk.decision import Proposal, Verdict
from desk.risk.equity import Account
from desk.risk.facts import Facts
from desk.risk.verdicts import allow, deny

KILL_REASONS = {
    rules_of_capital.KILL_DAILY_LOSS: Reason.DAILY_LOSS,
    rules_of_capital.KILL_DRAWDOWN: Reason.MAX_DD,
}


def capital(proposal: Proposal, facts: Facts) -> Verdict:
    """Equity is known, the day's loss and the drawdown are below their limits."""
    account = _account(proposal, facts)
    if account is None or facts.limits is None:
        return deny("capital", Reason.CAPITAL_UNKNOWN)
    if account.missing:
        return deny("capital", Reason.CAPITAL_UNKNOWN, f"no price of {', '.join(account.missing)}")
    if account.base is None or not account.marked:
        return deny("capital", Reason.CAPITAL_UNKNOWN, "no opening balance or no equity mark yet")
    judged = rules_of_capital.judge(account, facts.limits.capital, clock.utc_date(facts.now_ms))
    if judged.daily_loss_frac is None or judged.drawdown_frac is None:
        return deny("capital", Reason.CAPITAL_UNKNOWN)
    lost, fallen = judged.daily_loss_frac, judged.drawdown_frac
    if judged.kill_reason is not None:
        return deny("capital", KILL_REASONS[judged.kill_reason], daily_loss_frac=lost, drawdown_frac=fallen)
    limit = facts.limits.capital.drawdown_no_entries_frac
    if fallen >= limit:
        return deny("capital", Reason.DRAWDOWN, drawdown_frac=fallen, limit_frac=limit)
    return allow("capital", daily_loss_frac=lost, drawdown_frac=fallen)


def exposure(proposal: Proposal, facts: Facts) -> Verdict:
    """This order keeps the position and the total within their fractions of equity, promised orders counted."""
    account, plan, limits = _account(proposal, facts), proposal.plan, facts.limits
    if account is None or limits is None or account.base is None or account.exposure is None:
        return deny("exposure", Reason.CAPITAL_UNKNOWN)
    if not plan.notional >= ZERO:
        return deny("exposure", Reason.POSITION_CAP, "a negative notional", notional=plan.notional)
    share = limits.exposure.position_live_frac if facts.is_live else limits.exposure.position_paper_frac
    position_max, total_max = share * account.base, limits.exposure.total_frac * account.base
    position = _held(proposal, facts) + plan.notional
    if position > position_max:
        return deny("exposure", Reason.POSITION_CAP, position=position, limit=position_max)
    total = account.exposure + plan.notional
    if total > total_max:
        return deny("exposure", Reason.TOTAL_CAP, total=total, limit=total_max)
    return allow("exposure", position=position, position_limit=position_max, total=total, total_limit=total_max)


def position_count(proposal: Proposal, facts: Facts) -> Verdict:
    """Fewer positions than allowed, on all venues together; one about to open counts."""
    if facts.ledger is None or facts.limits is None:
        return deny("position_count", Reason.POSITIONS_MAX, "the journal cannot tell")
    limits, count = facts.limits.exposure, len(facts.ledger.positions)
    most = limits.positions_live_max if facts.is_live else limits.positions_paper_max
    if count >= most:
        return deny("position_count", Reason.POSITIONS_MAX, positions=count, limit=most)
    return allow("position_count", positions=count, limit=most)


def cycle_caps(proposal: Proposal, facts: Facts) -> Verdict:
    """Entries of one cycle: their number, and their notional per venue and quote currency."""
    limits, account = facts.limits, _account(proposal, facts)
    if limits is None or account is None:
        return deny("cycle_caps", Reason.CYCLE_NOTIONAL, "the account is not known")
    placed, most = facts.cycle.entries_placed, limits.entries.max_orders_per_cycle
    if placed >= most:
        return deny("cycle_caps", Reason.CYCLE_ORDERS, placed=placed, limit=most)
    used = facts.cycle.notional_used.get(f"{account.venue}:{account.quote}", ZERO) + proposal.plan.notional
    cap = limits.entries.notional_cap_per_cycle_quote
    if not used <= cap:
        return deny("cycle_caps", Reason.CYCLE_NOTIONAL, notional=used, limit=cap)
    return allow("cycle_caps", placed=placed, notional=used, limit=cap)


def _account(proposal: Proposal, facts: Facts) -> Account | None:
    found = facts.symbol(proposal.decision.venue, proposal.decision.symbol)
    if found is None or found.rules is None:
        return None
    return facts.account(found.venue, found.rules.quote)


def _held(proposal: Proposal, facts: Facts) -> Decimal:
    """What the symbol's position and open entries are worth; an unpriced position is counted at its cost."""
    decision, ledger = proposal.decision, facts.ledger
    found = facts.symbol(decision.venue, decision.symbol)
    assert ledger is not None
    assert found is not None
    total = ZERO
    position = ledger.positions.get(f"{decision.venue}:{decision.symbol}")
    if position is not None:
        total += max(position.cost_quote, position.quantity * (found.mark_bid or ZERO))
    own = [i for i in ledger.intents.values() if i.symbol == decision.symbol]
    return total + equity.promised(own, decision.venue, found.rules.quote if found.rules else "")
