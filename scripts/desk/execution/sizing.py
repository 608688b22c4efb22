"""Sizing: a decision and the facts become a quantised order plan, before any gate speaks. Pure.

An entry's notional is the signal's own, or what the caps leave; the overlay's `size_frac` multiplies it. The
quantity is counted at the limit price, so that the caps hold at the worst price the order may take. The protective
leg must pass every filter too, and reach `protective_notional_margin` times the exchange's minimum notional at its
own price, net of the fee (rules.md, Exits).
"""

from decimal import Decimal

from desk.base import ids
from desk.base.money import BPS, ONE, ZERO, divide, frac, text
from desk.base.reasons import Reason
from desk.config.schema import Config
from desk.execution import quantise
from desk.journal.state import key
from desk.risk import market
from desk.risk.decision import Decision, Kind, Plan
from desk.risk.facts import Facts, SymbolFacts
from desk.strategies import protection_levels
from desk.venues import table
from desk.venues.protocol import OrderRequest, OrderType, Side, SymbolRules


def plan(decision: Decision, facts: Facts) -> Plan:
    """The order this decision would be; `problem` carries the reason code when it cannot be sized."""
    found = facts.symbol(decision.venue, decision.symbol)
    if facts.limits is None:
        return _none(Reason.OVERLAY_CORRUPT, facts.limits_problem or "limits are not known")
    if found is None or found.rules is None:
        return _none(Reason.SYMBOL_UNKNOWN, "no trading rules")
    if found.best_bid is None or found.best_ask is None:
        return _none(Reason.DATA_MISSING, "no usable book")
    if decision.kind is Kind.EXIT:
        return _exit(decision, facts, found, found.rules)
    return _entry(decision, facts, facts.limits, found, found.rules)


def position_of(decision: Decision) -> str:
    """The position an entry decision opens."""
    return ids.position_id(decision.venue, decision.symbol, decision.decision_id)


def _entry(decision: Decision, facts: Facts, limits: Config, found: SymbolFacts, rules: SymbolRules) -> Plan:
    bid, ask, mid = _prices(found)
    asked = OrderType(limits.entries.order_type)
    order_type = table.order_type(decision.venue, asked)
    wanted = _wanted_notional(decision, facts, limits, rules, ask)
    assert found.book is not None
    walk = market.walk(found.book.asks, divide(wanted, ask), Side.BUY)
    worst = walk.worst or ask
    limit = quantise.price_up(rules, worst * (ONE + limits.entries.limit_slack_bps / BPS))
    if asked is OrderType.LIMIT_MAKER:  # one that would take is refused: it rests at the best bid
        limit = quantise.price_down(rules, bid)
    quantity = quantise.quantity_down(rules, divide(wanted, limit), order_type)
    stop = decision.stop_price or protection_levels.levels(found.closed_bars, ask, limits.exits).stop
    problem, detail = _entry_problem(limits, rules, order_type, quantity, limit, stop, bid)
    slippage = market.slippage_frac(walk.average or ask, mid, Side.BUY)
    fees = rules.taker_fee_frac * 2
    return Plan(
        type=str(order_type), quantity=quantity, price=limit, reference_price=mid, notional=quantity * limit,
        stop_price=stop, target_price=decision.target_price or ZERO, spread_frac=market.spread_frac(bid, ask),
        slippage_frac=slippage, fee_frac=fees, cost_bps=(slippage + frac(mid - bid, mid) + fees) * BPS,
        covered=walk.covered, problem=problem, problem_detail=detail,
    )  # fmt: skip


def _exit(decision: Decision, facts: Facts, found: SymbolFacts, rules: SymbolRules) -> Plan:
    """A sale of what is held (or of the part asked for); what shapes it is in the rules' brackets."""
    bid, ask, mid = _prices(found)
    position = facts.ledger.positions.get(key(decision.venue, decision.symbol)) if facts.ledger is not None else None
    held = position.quantity if position is not None else ZERO
    quantity = quantise.quantity_down(rules, min(held, decision.quantity or held))
    assert found.book is not None
    walk = market.walk(found.book.bids, quantity, Side.SELL)
    slippage = market.slippage_frac(walk.average or bid, mid, Side.SELL)
    problem = "" if quantity > ZERO else str(Reason.DUST)
    order_type = table.order_type(decision.venue, OrderType.LIMIT_IOC)
    return Plan(
        type=str(order_type), quantity=quantity, price=bid, reference_price=mid, notional=quantity * bid,
        spread_frac=market.spread_frac(bid, ask), slippage_frac=slippage, fee_frac=rules.taker_fee_frac,
        covered=walk.covered, problem=problem, problem_detail="" if not problem else f"{text(held)} held",
    )  # fmt: skip


def _wanted_notional(decision: Decision, facts: Facts, limits: Config, rules: SymbolRules, ask: Decimal) -> Decimal:
    if decision.notional_quote is not None:
        return decision.notional_quote * limits.exposure.size_frac
    if decision.quantity is not None:
        return decision.quantity * ask * limits.exposure.size_frac
    account = facts.account(decision.venue, rules.quote)
    base = account.base if account is not None and account.base is not None else ZERO
    free = account.free_quote if account is not None else ZERO
    position_frac = limits.exposure.position_live_frac if facts.is_live else limits.exposure.position_paper_frac
    used = facts.cycle.notional_used.get(key(decision.venue, rules.quote), ZERO)
    exposure = account.exposure if account is not None and account.exposure is not None else ZERO
    caps = (
        limits.entries.max_notional_per_order_quote,
        limits.entries.notional_cap_per_cycle_quote - used,
        base * position_frac,
        base * limits.exposure.total_frac - exposure,
        divide(free, ONE + rules.taker_fee_frac),
    )
    return max(min(caps), ZERO) * limits.exposure.size_frac


def _entry_problem(
    limits: Config,
    rules: SymbolRules,
    order_type: OrderType,
    quantity: Decimal,
    limit: Decimal,
    stop: Decimal,
    bid: Decimal,
) -> tuple[str, str]:
    floor = limits.entries.min_order_notional_quote
    order = _order(rules, Side.BUY, order_type, quantity, limit)
    found = quantise.problem(rules, order, limit, bid, floor)
    if found[0]:
        return found
    if stop >= bid:
        return str(Reason.FILTERS), f"stop {text(stop)} is not below the best bid {text(bid)}"
    net = quantise.quantity_down(rules, quantity * (ONE - rules.taker_fee_frac))
    leg_price = quantise.price_down(rules, stop * (ONE - limits.entries.slippage_max_frac))
    leg = _order(rules, Side.SELL, OrderType.STOP_LOSS_LIMIT, net, leg_price, quantise.price_down(rules, stop))
    code, detail = quantise.problem(
        rules, leg, leg_price, bid, rules.notional_min * limits.exits.protective_notional_margin
    )
    return code, f"its stop: {detail}" if code else ""


def _order(
    rules: SymbolRules,
    side: Side,
    order_type: OrderType,
    quantity: Decimal,
    price: Decimal,
    stop: Decimal | None = None,
) -> OrderRequest:
    """An order as the filters look at it; it has no id yet."""
    limit = None if order_type is OrderType.MARKET else price
    return OrderRequest(
        client_order_id="", symbol=rules.symbol, side=side, type=order_type, quantity=quantity, price=limit,
        stop_price=stop,
    )  # fmt: skip


def _prices(found: SymbolFacts) -> tuple[Decimal, Decimal, Decimal]:
    assert found.best_bid is not None and found.best_ask is not None
    return found.best_bid, found.best_ask, (found.best_bid + found.best_ask) / 2


def _none(reason: Reason, detail: str) -> Plan:
    return Plan(
        type=str(OrderType.LIMIT_IOC), quantity=ZERO, price=ZERO, reference_price=ZERO, notional=ZERO, covered=False,
        problem=str(reason), problem_detail=detail,
    )  # fmt: skip
