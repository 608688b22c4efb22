"""What is known of our own books: unknown orders, the last reconcile, drift."""

from desk.base.reasons import Reason
from desk.journal.state import is_open, is_unsettled
from desk.risk.decision import Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.verdicts import allow, deny

UNKNOWN_STATES = frozenset({"CREATED", "SENT_UNKNOWN"})


def unknown_orders(proposal: Proposal, facts: Facts) -> Verdict:
    """No order of this symbol with an unknown outcome, unbooked fills or an anomaly (P2)."""
    decision, ledger = proposal.decision, facts.ledger
    if ledger is None:
        return deny("unknown_orders", Reason.UNKNOWN_ORDER, "the journal cannot tell")
    if ledger.resealed:
        return deny("unknown_orders", Reason.AUDIT_RESEALED)
    for name, intent in ledger.intents.items():
        if (intent.venue, intent.symbol) != (decision.venue, decision.symbol):
            continue
        if intent.anomaly:
            return deny("unknown_orders", Reason.ANOMALY, f"{name}: {intent.anomaly}")
        if intent.state in UNKNOWN_STATES or is_unsettled(intent) or (is_open(intent) and not intent.status):
            return deny("unknown_orders", Reason.UNKNOWN_ORDER, name)
    return allow("unknown_orders", "none")


def reconcile_fresh(proposal: Proposal, facts: Facts) -> Verdict:
    """Reconcile has succeeded within `reconcile.age_max_s`."""
    done = facts.reconciled
    if done is None or facts.limits is None or done.last_success_ms <= 0:
        return deny("reconcile_fresh", Reason.RECONCILE_NEVER)
    age_ms, limit_s = facts.now_ms - done.last_success_ms, facts.limits.reconcile.age_max_s
    if age_ms < -facts.error_ms(proposal.decision.venue):
        return deny("reconcile_fresh", Reason.TIME_FUTURE, "the last reconcile is from the future")
    if age_ms > limit_s * 1000:
        return deny("reconcile_fresh", Reason.RECONCILE_STALE, limit_s=limit_s)
    return allow("reconcile_fresh", limit_s=limit_s)


def drift(proposal: Proposal, facts: Facts) -> Verdict:
    """The drift score of the last reconcile is below `reconcile.drift_degrade`."""
    done = facts.reconciled
    if done is None or facts.limits is None:
        return deny("drift", Reason.RECONCILE_NEVER)
    limits = facts.limits.reconcile
    if done.score >= limits.drift_pause:
        return deny("drift", Reason.DRIFT_PAUSE, score=done.score, limit=limits.drift_pause)
    if done.score >= limits.drift_degrade:
        return deny("drift", Reason.DRIFT_DEGRADE, score=done.score, limit=limits.drift_degrade)
    if done.score < 0:
        return deny("drift", Reason.RECONCILE_NEVER, "the drift score makes no sense", score=done.score)
    return allow("drift", code=Reason.DRIFT_WARN if done.score >= limits.drift_warn else "", score=done.score)
