"""What a request sees of a market: conditions of faults applied to rules, prices and the book. Changes nothing."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from lab.sim.calls import Call
from lab.sim.decimals import ZERO
from lab.sim.engine import Engine
from lab.sim.faults import FaultError, Hit
from lab.sim.market import Market
from lab.sim.orders import Modifiers
from lab.sim.symbols import SymbolRules

PriceLevels = list[tuple[Decimal, Decimal]]

# filter_change: filter -> key -> rule field. MEXC's and BTCTurk's flat names stand beside Binance's filters, and
# BTCTurk's keys of PRICE_FILTER beside Binance's.
_FILTER_FIELDS: dict[str, dict[str, str]] = {
    "PRICE_FILTER": {
        "tickSize": "tick",
        "minPrice": "min_price",
        "maxPrice": "max_price",
        "minExchangeValue": "min_notional",
        "minAmount": "min_qty",
        "maxAmount": "max_qty",
    },
    "LOT_SIZE": {"stepSize": "step", "minQty": "min_qty", "maxQty": "max_qty"},
    "MARKET_LOT_SIZE": {"maxQty": "market_max_qty"},
    "NOTIONAL": {"minNotional": "min_notional", "maxNotional": "max_notional"},
    "MIN_NOTIONAL": {"minNotional": "min_notional"},
    "PERCENT_PRICE_BY_SIDE": {"bidMultiplierUp": "multiplier_up", "bidMultiplierDown": "multiplier_down"},
    "MAX_NUM_ORDERS": {"maxNumOrders": "max_orders"},
    "MAX_NUM_ALGO_ORDERS": {"maxNumAlgoOrders": "max_algo_orders"},
    "MAX_NUM_ORDER_LISTS": {"maxNumOrderLists": "max_order_lists"},
}
_FLAT_FIELDS = {"baseSizePrecision": "min_qty", "quoteAmountPrecision": "min_notional"}
_PLACES_FIELDS = {"baseAssetPrecision": "step", "quotePrecision": "tick", "numeratorScale": "step"}
_FLAG_FIELDS = {
    "ocoAllowed": "oco_allowed", "otoAllowed": "oto_allowed", "opoAllowed": "opo_allowed",
    "allowTrailingStop": "trailing_allowed",
}  # fmt: skip
_COUNT_FIELDS = {"max_orders", "max_algo_orders", "max_order_lists"}


def rules_seen(market: Market, hit: Hit) -> SymbolRules:
    """The symbol's rules under symbol_halted and filter_change."""
    rules = market.rules
    halted = hit.view("symbol_halted")
    if halted and halted.arg in ("", rules.symbol):
        rules = replace(rules, halted=True)
    changed = hit.view("filter_change")
    if changed and changed.arg.get("symbol", rules.symbol) == rules.symbol:
        rules = replace(rules, **rule_changes(changed.arg))
    return rules


def rule_changes(arg: dict[str, Any]) -> dict[str, Any]:
    """Rule fields of a filter_change argument such as {"LOT_SIZE": {"stepSize": "0.01"}, "symbol": "BTCUSDT"}.

    Raises:
        FaultError: unknown filter, key or value.
    """
    changes: dict[str, Any] = {}
    for name, value in arg.items():
        if name in _FILTER_FIELDS and isinstance(value, dict):
            for key, number in value.items():
                if key not in _FILTER_FIELDS[name]:
                    raise FaultError(f"filter_change {name} has unknown key {key!r}")
                changes[_FILTER_FIELDS[name][key]] = _number(name, number)
        elif name in _FLAT_FIELDS:
            changes[_FLAT_FIELDS[name]] = _number(name, value)
        elif name in _PLACES_FIELDS:
            changes[_PLACES_FIELDS[name]] = Decimal(1).scaleb(-int(_number(name, value)))
        elif name in _FLAG_FIELDS and isinstance(value, bool):
            changes[_FLAG_FIELDS[name]] = value
        elif name != "symbol":
            known = [*_FILTER_FIELDS, *_FLAT_FIELDS, *_PLACES_FIELDS, *_FLAG_FIELDS, "symbol"]
            raise FaultError(f"filter_change: {name!r} is unknown; one of {', '.join(known)}")
    return {name: int(value) if name in _COUNT_FIELDS else value for name, value in changes.items()}


def check_fault_arg(kind: str, arg: Any) -> None:
    """Second check of a fault's arg, where it names rules.

    Raises:
        FaultError: as rule_changes.
    """
    if kind == "filter_change":
        rule_changes(arg)


def modifiers_of(hit: Hit) -> Modifiers:
    """What the faults of a POST do to the order it makes."""
    partial = hit.view("partial_fill")
    return Modifiers(
        fill_delay_ms=hit.seconds("late_fill"),
        pending_delay_ms=hit.seconds("pending_lag"),
        listing_delay_ms=hit.seconds("listing_lag"),
        fill_fraction=Decimal(str(partial.arg)) if partial else None,
        empty_book=hit.view("empty_book") is not None,
    )


def frozen_ms(hit: Hit) -> int | None:
    """Since when the price stands still for this request, or None."""
    fault = hit.view("frozen_price")
    return fault.armed_ms if fault else None


def price_seen(market: Market, call: Call, now_ms: int) -> Decimal:
    """Last price as this request sees it."""
    frozen = frozen_ms(call.hit)
    return market.path.price_at(now_ms if frozen is None else min(now_ms, frozen))


def book_seen(engine: Engine, market: Market, call: Call, now_ms: int, count: int) -> tuple[PriceLevels, PriceLevels]:
    """(bids, asks) best first, own resting orders included, as this request sees them."""
    if call.hit.view("empty_book"):
        return [], []
    frozen = frozen_ms(call.hit)
    sides = []
    for side, levels in (("BUY", market.ladder.bids(now_ms, frozen)), ("SELL", market.ladder.asks(now_ms, frozen))):
        merged: dict[Decimal, Decimal] = {}
        for level in levels:
            merged[level.price] = level.qty
            if len(merged) >= count:
                break
        for order in engine.open_orders(market.rules.symbol):
            if order.request.side == side and order.working and order.is_limit and order.eligible_ms <= now_ms:
                merged[order.request.price] = merged.get(order.request.price, ZERO) + order.remaining
        sides.append(sorted(merged.items(), reverse=side == "BUY")[:count])
    bids, asks = sides
    if call.hit.view("crossed_book") and bids and asks:
        shift = 2 * max(asks[0][0] - bids[0][0], market.rules.tick)
        bids = [(price + shift, qty) for price, qty in bids]
    return bids, asks


def _number(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal(-1)
    if not number.is_finite() or number < 0:
        raise FaultError(f"filter_change {name}: {value!r} must be a number >= 0")
    return number
