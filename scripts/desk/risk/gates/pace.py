"""How often: one position and one entry per symbol, open orders, rests after closes, churn."""

from collections.abc import Sequence

from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.config.schema import Churn
from desk.journal.state import Intent, is_open, key
from desk.risk.decision import Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.verdicts import allow, deny

MINUTE_MS = 60_000
LEGS_PER_ENTRY = 2  # stop and target, when both rest


def one_per_symbol(proposal: Proposal, facts: Facts) -> Verdict:
    """No position in the symbol and no entry order that may still fill."""
    decision, ledger = proposal.decision, facts.ledger
    if ledger is None:
        return deny("one_per_symbol", Reason.SYMBOL_HELD, "the journal cannot tell")
    if key(decision.venue, decision.symbol) in ledger.positions:
        return deny("one_per_symbol", Reason.SYMBOL_HELD, "a position exists")
    if any(_is_open_entry(i) for i in _own(proposal, facts)):
        return deny("one_per_symbol", Reason.SYMBOL_HELD, "an entry order exists")
    return allow("one_per_symbol")


def cooldown(proposal: Proposal, facts: Facts) -> Verdict:
    """The symbol rests after a close, longer after a stop-out; all symbols rest after a losing close."""
    if facts.ledger is None or facts.limits is None:
        return deny("cooldown", Reason.COOL_SYMBOL, "the journal cannot tell")
    limits, now_ms, closes = facts.limits.cooldown, facts.now_ms, facts.ledger.closes
    own = closes.get(key(proposal.decision.venue, proposal.decision.symbol))
    if own is not None and own.stop_out and now_ms - own.at_ms < limits.after_stop_out_h * 60 * MINUTE_MS:
        return deny("cooldown", Reason.COOL_STOP, limit_h=limits.after_stop_out_h)
    if own is not None and now_ms - own.at_ms < limits.after_close_min * MINUTE_MS:
        return deny("cooldown", Reason.COOL_SYMBOL, limit_min=limits.after_close_min)
    rest_min = limits.after_losing_close_min
    for name, close in closes.items():
        if close.realised_quote < ZERO and now_ms - close.at_ms < rest_min * MINUTE_MS:
            return deny("cooldown", Reason.COOL_LOSS, f"{name} closed at a loss", limit_min=rest_min)
    return allow("cooldown")


def open_orders(proposal: Proposal, facts: Facts) -> Verdict:
    """Open entries of the symbol and in total; room for the protective legs under the venue's own limit."""
    if facts.ledger is None or facts.limits is None:
        return deny("open_orders", Reason.OPEN_TOTAL, "the journal cannot tell")
    limits, own = facts.limits.entries, _own(proposal, facts)
    here = sum(1 for i in own if _is_open_entry(i))
    if here >= limits.max_open_orders_per_symbol:
        return deny("open_orders", Reason.OPEN_SYMBOL, open=here, limit=limits.max_open_orders_per_symbol)
    total = sum(1 for i in facts.ledger.intents.values() if _is_open_entry(i))
    if total >= limits.max_open_entries:
        return deny("open_orders", Reason.OPEN_TOTAL, open=total, limit=limits.max_open_entries)
    found = facts.symbol(proposal.decision.venue, proposal.decision.symbol)
    legs_max = found.rules.algo_orders_max if found is not None and found.rules is not None else 0
    legs = sum(1 for i in own if i.kind == "EXIT" and is_open(i) and i.stop_price)
    if legs_max and legs + LEGS_PER_ENTRY > legs_max:
        return deny("open_orders", Reason.OPEN_SYMBOL, "no room for protective legs", open=legs, limit=legs_max)
    return allow("open_orders", here=here, total=total)


def churn(proposal: Proposal, facts: Facts) -> Verdict:
    """Orders, cancels and cancel-replaces of the symbol in 10 s and 60 s; a limit once reached cools 60 s."""
    if facts.ledger is None or facts.limits is None:
        return deny("churn", Reason.CHURN, "the journal cannot tell")
    limits = facts.limits.churn
    events = facts.ledger.churn.get(key(proposal.decision.venue, proposal.decision.symbol), ())
    cooling_ms = facts.now_ms - limits.cool_s * 1000
    for at_ms, _ in events:
        if at_ms > cooling_ms:
            reason = _limit_reached(events, at_ms, limits)
            if reason is not None:
                return deny("churn", reason, cool_s=limits.cool_s)
    return allow("churn")


def _limit_reached(events: Sequence[tuple[int, str]], at_ms: int, limits: Churn) -> Reason | None:
    """The limit that the events up to `at_ms` reach, counted over both windows."""
    short = [what for when, what in events if at_ms - limits.window_s * 1000 < when <= at_ms]
    long = [what for when, what in events if at_ms - limits.long_window_s * 1000 < when <= at_ms]
    if short.count("replace") >= limits.cancel_replace_max:
        return Reason.CHURN_REPLACE
    many = short.count("cancel") >= limits.cancels_max or short.count("new") >= limits.new_orders_max
    return Reason.CHURN if many or len(long) >= limits.long_window_max else None


def _own(proposal: Proposal, facts: Facts) -> list[Intent]:
    assert facts.ledger is not None
    wanted = (proposal.decision.venue, proposal.decision.symbol)
    return [intent for intent in facts.ledger.intents.values() if (intent.venue, intent.symbol) == wanted]


def _is_open_entry(intent: Intent) -> bool:
    return intent.kind == "ENTRY" and (is_open(intent) or bool(intent.anomaly))
