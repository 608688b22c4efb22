"""The symbol's own rules: does it trade, is the order's size allowed, does the order fit the filters."""

from decimal import Decimal

from desk.base.money import ONE, ZERO, floor_step
from desk.base.reasons import Reason, find
from desk.journal.state import key
from desk.risk.decision import Plan, Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.verdicts import allow, deny, is_exit
from desk.venues import filters as exchange_filters
from desk.venues.protocol import OrderRequest, OrderType, Side, SymbolRules

RULES_AGE_MAX_MS = 86_400_000  # registry: filters are stale after a day
ABOUT_SIZE = frozenset({Reason.NOTIONAL_MIN, Reason.NOTIONAL_MAX, Reason.BALANCE})
SHAPES_EXIT = ABOUT_SIZE | {Reason.DUST, Reason.FILTERS}  # an unknown price or rule never does (P4)


def symbol_trading(proposal: Proposal, facts: Facts) -> Verdict:
    """The exchange trades it, for this kind of order, and it is not in quarantine. Exits: if the venue allows them."""
    decision, found = proposal.decision, facts.symbol(proposal.decision.venue, proposal.decision.symbol)
    rules = found.rules if found is not None else None
    if is_exit(proposal):
        if rules is not None and not rules.exits_allowed:
            return deny("symbol_trading", Reason.SYMBOL_HALTED, f"status {rules.status}: no exits", status=rules.status)
        return allow("symbol_trading", rules.status if rules is not None else "rules unknown")
    if found is None or rules is None or facts.ledger is None:
        return deny("symbol_trading", Reason.SYMBOL_UNKNOWN)
    if facts.now_ms - found.rules_ms > RULES_AGE_MAX_MS or found.rules_ms - facts.now_ms > facts.error_ms(found.venue):
        return deny("symbol_trading", Reason.SYMBOL_UNKNOWN, "the rules are not of the last 24 hours")
    if rules.status != "TRADING" or not rules.entries_allowed:
        return deny("symbol_trading", Reason.SYMBOL_HALTED, f"status {rules.status}", status=rules.status)
    if facts.ledger.quarantine.get(key(decision.venue, decision.symbol), 0) > facts.now_ms:
        return deny("symbol_trading", Reason.SYMBOL_QUARANTINED)
    return allow("symbol_trading", rules.status)


def notional(proposal: Proposal, facts: Facts) -> Verdict:
    """Order value between the minimum (ours, the venue's if higher) and the maximum, and covered by free balance."""
    decision, plan = proposal.decision, proposal.plan
    found, limits = facts.symbol(decision.venue, decision.symbol), facts.limits
    rules = found.rules if found is not None else None
    if rules is None or limits is None:
        return deny("notional", Reason.SYMBOL_UNKNOWN)
    problem = find(plan.problem)
    if problem in ABOUT_SIZE:
        return deny("notional", problem or Reason.NOTIONAL_MIN, plan.problem_detail)
    least, most = max(limits.entries.min_order_notional_quote, rules.notional_min), _most(facts, rules)
    if not plan.notional >= least:
        return deny("notional", Reason.NOTIONAL_MIN, notional=plan.notional, limit=least)
    if plan.notional > most:
        return deny("notional", Reason.NOTIONAL_MAX, notional=plan.notional, limit=most)
    account = facts.account(decision.venue, rules.quote)
    if account is None:
        return deny("notional", Reason.CAPITAL_UNKNOWN)
    needed = plan.notional * (ONE + rules.taker_fee_frac)
    if needed > account.free_quote:
        return deny("notional", Reason.BALANCE, needed=needed, free=account.free_quote)
    return allow("notional", notional=plan.notional, least=least, most=most)


def filters(proposal: Proposal, facts: Facts) -> Verdict:
    """The order, and each protective leg, fits the exchange's filters.

    An exit that does not fit is denied with its code, so that the caller refreshes and retries, or books DUST; one that
    would buy, or sell more than is held, is no exit. One that could not be sized for want of prices passes (P4).
    """
    decision, plan = proposal.decision, proposal.plan
    found = facts.symbol(decision.venue, decision.symbol)
    rules = found.rules if found is not None else None
    if is_exit(proposal):
        return _exit(proposal, facts, rules)
    if plan.problem:
        return deny("filters", find(plan.problem) or Reason.FILTERS, plan.problem_detail or plan.problem)
    if rules is None or facts.limits is None:
        return deny("filters", Reason.SYMBOL_UNKNOWN)
    if decision.side is not Side.BUY:
        return deny("filters", Reason.FILTERS, "spot: an entry buys")
    broken = [*_broken(rules, decision.side, plan), *_legs(rules, plan, facts.limits.exits.protective_notional_margin)]
    if broken:
        return deny("filters", Reason.FILTERS, ", ".join(broken), quantity=plan.quantity, price=plan.price)
    return allow("filters", quantity=plan.quantity, price=plan.price)


def _most(facts: Facts, rules: SymbolRules) -> Decimal:
    assert facts.limits is not None
    ours = facts.limits.entries.max_notional_per_order_quote
    return min(ours, rules.notional_max) if rules.notional_max else ours


def _exit(proposal: Proposal, facts: Facts, rules: SymbolRules | None) -> Verdict:
    decision, plan = proposal.decision, proposal.plan
    if decision.side is not Side.SELL:
        return deny("filters", Reason.FILTERS, "spot: an exit sells")
    problem = find(plan.problem)
    if plan.problem:
        if problem in SHAPES_EXIT:
            return deny("filters", problem or Reason.FILTERS, plan.problem_detail)
        return allow("filters", f"not sized yet: {plan.problem_detail}", plan.problem)
    if facts.ledger is not None:
        position = facts.ledger.positions.get(key(decision.venue, decision.symbol))
        held = position.quantity if position is not None else ZERO
        if plan.quantity > held:
            return deny("filters", Reason.BALANCE, "more than is held", quantity=plan.quantity, held=held)
    broken = _broken(rules, decision.side, plan) if rules is not None else ()
    if broken:
        return deny("filters", Reason.FILTERS, ", ".join(broken), quantity=plan.quantity, price=plan.price)
    return allow("filters", "" if rules is not None else "rules unknown", quantity=plan.quantity, price=plan.price)


def _broken(rules: SymbolRules, side: Side, plan: Plan) -> tuple[str, ...]:
    kind = OrderType(plan.type)
    price = None if kind is OrderType.MARKET else plan.price
    order = OrderRequest(
        client_order_id="", symbol=rules.symbol, side=side, type=kind, quantity=plan.quantity, price=price
    )
    return exchange_filters.violations(rules, order, plan.reference_price)


def _legs(rules: SymbolRules, plan: Plan, margin: Decimal) -> list[str]:
    """What is wrong with the protective legs: where they stand, and their value net of fee (rules.md, Exits)."""
    if not ZERO < plan.stop_price < plan.reference_price:
        return ["no stop below the price"]
    if plan.target_price and plan.target_price <= plan.reference_price:
        return ["target not above the price"]
    net = floor_step(plan.quantity * (ONE - rules.taker_fee_frac), rules.step)
    found = []
    for name, price in (("stop", plan.stop_price), ("target", plan.target_price)):
        if price and (net <= ZERO or net * price < margin * rules.notional_min):
            found.append(f"{name} leg below the minimum notional")
    return found
