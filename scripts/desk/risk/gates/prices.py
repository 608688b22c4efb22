"""Prices: fresh, sane, deep enough, calm enough (rules.md: order price age, price sanity, spread, volatility)."""

from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.risk import market
from desk.risk.decision import Proposal, Verdict
from desk.risk.facts import Facts, SymbolFacts
from desk.risk.verdicts import allow, deny, is_exit
from desk.venues.protocol import OrderType, Side

WITHOUT_LIMIT = frozenset({OrderType.MARKET, OrderType.LIMIT_MAKER})  # takes at any price; takes nothing at all


def data_fresh(proposal: Proposal, facts: Facts) -> Verdict:
    """The book was read in this cycle and is younger than `market_data.price_age_max_ms`."""
    found = _symbol(proposal, facts)
    if found is None or found.book is None or facts.limits is None:
        return deny("data_fresh", Reason.DATA_MISSING, "; ".join(found.problems) if found is not None else "")
    age_ms, limit_ms = facts.now_ms - found.book_ms, facts.limits.market_data.price_age_max_ms
    if age_ms < -facts.error_ms(found.venue):
        return deny("data_fresh", Reason.TIME_FUTURE, "the book is from the future")
    if age_ms > limit_ms:
        return deny("data_fresh", Reason.DATA_STALE, limit_ms=limit_ms)
    return allow("data_fresh", limit_ms=limit_ms)


def price_sane(proposal: Proposal, facts: Facts) -> Verdict:
    """A usable best bid; no unconfirmed jump; not frozen; other venues agree.

    An exit is never denied here: without a usable bid it gets the venue's bounded market or stop exit, and the code
    says so.
    """
    found = _symbol(proposal, facts)
    problem = "no book" if found is None or found.book is None else market.bid_problem(found.book)
    if is_exit(proposal):
        return allow("price_sane", problem, Reason.EXIT_BLIND if problem else "")
    if found is None or facts.limits is None or problem:
        return deny("price_sane", Reason.DATA_INVALID_BID, problem)
    limits = facts.limits.market_data
    if not found.polls or found.polls[-1].at_ms != found.book_ms:
        return deny("price_sane", Reason.DATA_MISSING, "this cycle's poll is not noted")
    if found.polls[-1].held:
        return deny("price_sane", Reason.DATA_OUTLIER, limit_frac=limits.outlier_frac, mid=found.polls[-1].mid)
    if market.is_frozen(found.polls, limits.equal_polls_stale):
        return deny("price_sane", Reason.DATA_FROZEN, polls=limits.equal_polls_stale, bid=found.polls[-1].bid)
    return _venues_agree(found, facts)


def spread(proposal: Proposal, facts: Facts) -> Verdict:
    """Best ask minus best bid, of mid, at most `entries.spread_max_frac`."""
    found = _symbol(proposal, facts)
    bid, ask = (found.best_bid, found.best_ask) if found is not None else (None, None)
    if bid is None or ask is None or facts.limits is None:
        return deny("spread", Reason.DATA_MISSING)
    wide, limit = market.spread_frac(bid, ask), facts.limits.entries.spread_max_frac
    if wide > limit:
        return deny("spread", Reason.SPREAD, spread_frac=wide, limit_frac=limit)
    return allow("spread", spread_frac=wide, limit_frac=limit)


def slippage(proposal: Proposal, facts: Facts) -> Verdict:
    """The book covers the quantity within its limit price, at an average near mid (`entries.slippage_max_frac`)."""
    found, plan, side = _symbol(proposal, facts), proposal.plan, proposal.decision.side
    mid = found.mid if found is not None else None
    if found is None or found.book is None or mid is None or facts.limits is None:
        return deny("slippage", Reason.DATA_MISSING)
    levels = found.book.asks if side is Side.BUY else found.book.bids
    rests = side is Side.BUY and plan.type == OrderType.LIMIT and bool(levels) and plan.price < levels[0].price
    has_limit = (
        plan.type not in WITHOUT_LIMIT and plan.price > ZERO and not rests
    )  # as a post-only order: takes nothing
    limit_price = plan.price if has_limit else None
    walked = market.walk(levels, plan.quantity, side, limit_price)
    if not walked.covered or not plan.covered:
        return deny("slippage", Reason.DEPTH, quantity=plan.quantity, covered=walked.filled)
    slipped, limit = market.slippage_frac(walked.average or mid, mid, side), facts.limits.entries.slippage_max_frac
    slipped = max(slipped, plan.slippage_frac)
    if slipped > limit:
        return deny("slippage", Reason.SLIPPAGE, slippage_frac=slipped, limit_frac=limit)
    return allow("slippage", slippage_frac=slipped, limit_frac=limit)


def volatility(proposal: Proposal, facts: Facts) -> Verdict:
    """No flash crash, and a range below `entries.volatility_halt_frac`, over a complete window of bars."""
    found = _symbol(proposal, facts)
    if found is None or facts.limits is None:
        return deny("volatility", Reason.VOLATILITY_UNKNOWN, "no bars")
    limits = facts.limits.entries
    fallen = market.flash_crash_frac(found, found.bars_now_ms, limits.flash_crash_window_min)
    if fallen >= limits.flash_crash_frac:
        return deny("volatility", Reason.FLASH_CRASH, fall_frac=fallen, limit_frac=limits.flash_crash_frac)
    bars = market.window(found.bars, found.bars_now_ms, found.interval_s, limits.volatility_window_min)
    if bars is None:
        return deny("volatility", Reason.VOLATILITY_UNKNOWN, window_min=limits.volatility_window_min)
    moved = market.range_frac(bars)
    if moved >= limits.volatility_halt_frac:
        return deny("volatility", Reason.VOLATILITY, range_frac=moved, limit_frac=limits.volatility_halt_frac)
    return allow("volatility", range_frac=moved, limit_frac=limits.volatility_halt_frac)


def _venues_agree(found: SymbolFacts, facts: Facts) -> Verdict:
    """Other listed venues' mids of this cycle; one that is missing or old is no evidence either way."""
    assert facts.limits is not None
    limits = facts.limits.market_data
    fresh = [o for o in found.other_mids if abs(facts.now_ms - o.at_ms) <= limits.price_age_max_ms]
    mid = found.polls[-1].mid
    apart = market.deviation_frac(mid, fresh)
    if apart > limits.cross_venue_block_frac:
        return deny("price_sane", Reason.DATA_DEVIATION, deviation_frac=apart, limit_frac=limits.cross_venue_block_frac)
    code = Reason.DATA_DEVIATION if apart > limits.cross_venue_warn_frac else ""
    return allow("price_sane", "venues drift apart" if code else "", code, deviation_frac=apart)


def _symbol(proposal: Proposal, facts: Facts) -> SymbolFacts | None:
    return facts.symbol(proposal.decision.venue, proposal.decision.symbol)
