"""Trading rules as a state file, and an order held against them. Pure; the clients fetch, the doors store.

`state/filters_<venue>.json`: {"venue", "written_at", "hash", "symbols": {SYMBOL: rules}}. The hash names the rules
(FILTERS_REFRESHED {old, new, cause}), so it depends on nothing else.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from desk.base import clock, money
from desk.venues.protocol import OrderRequest, OrderType, Side, SymbolRules

_MARKET = frozenset({OrderType.MARKET})


def to_doc(venue: str, rules: Mapping[str, SymbolRules], now_ms: int) -> dict[str, Any]:
    """The state file of these rules, money as text."""
    symbols = {name: _row(rules[name]) for name in sorted(rules)}
    return {"venue": venue, "written_at": clock.iso(now_ms), "hash": hash_of(rules), "symbols": symbols}


def from_doc(doc: Mapping[str, Any]) -> dict[str, SymbolRules]:
    """The rules of a state file.

    Raises:
        ValueError: not what `to_doc` writes.
    """
    try:
        return {name: msgspec.convert(row, SymbolRules) for name, row in doc["symbols"].items()}
    except (KeyError, AttributeError, msgspec.ValidationError) as error:
        raise ValueError(f"not a filters file ({error})") from None


def hash_of(rules: Mapping[str, SymbolRules]) -> str:
    """SHA-256 over the rules in canonical form, 16 hex digits."""
    body = json.dumps({name: _row(rules[name]) for name in rules}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def violations(rules: SymbolRules, order: OrderRequest, reference_price: Decimal) -> tuple[str, ...]:
    """The filters an order breaks, by the exchange's names; empty when it breaks none.

    Args:
        reference_price: the average or reference price, for market orders and percent filters; 0 = not known.
    """
    price = order.price if order.price is not None else reference_price
    found = [*_quantity_problems(rules, order), *_notional_problems(rules, order, price)]
    for limit_price in (order.price, order.stop_price):
        if limit_price is not None:
            found += _price_problems(rules, limit_price)
    if order.price is not None and reference_price:
        found += _percent_problems(rules, order, reference_price)
    return tuple(dict.fromkeys(found))


def _quantity_problems(rules: SymbolRules, order: OrderRequest) -> list[str]:
    found = _range("LOT_SIZE", order.quantity, rules.quantity_min, rules.quantity_max, rules.step)
    if order.type in _MARKET:
        step = rules.market_step or rules.step
        found += _range("MARKET_LOT_SIZE", order.quantity, rules.market_quantity_min, rules.market_quantity_max, step)
    return found


def _notional_problems(rules: SymbolRules, order: OrderRequest, price: Decimal) -> list[str]:
    if not price:
        return []
    return _range("NOTIONAL", order.quantity * price, rules.notional_min, rules.notional_max, money.ZERO)


def _price_problems(rules: SymbolRules, price: Decimal) -> list[str]:
    return _range("PRICE_FILTER", price, rules.price_min, rules.price_max, rules.tick)


def _percent_problems(rules: SymbolRules, order: OrderRequest, reference_price: Decimal) -> list[str]:
    buys = order.side is Side.BUY
    up = rules.bid_multiplier_up if buys else rules.ask_multiplier_up
    down = rules.bid_multiplier_down if buys else rules.ask_multiplier_down
    assert order.price is not None
    return _range("PERCENT_PRICE", order.price, reference_price * down, reference_price * up, money.ZERO)


def _range(name: str, value: Decimal, low: Decimal, high: Decimal, step: Decimal) -> list[str]:
    """[name] when the value is not positive, outside low..high (0 = no limit) or off the grid."""
    outside = value <= 0 or value < low or (high > 0 and value > high)
    return [name] if outside or not money.is_multiple(value, step) else []


def _row(rules: SymbolRules) -> dict[str, Any]:
    """The rules as JSON; Decimals in the one text form, so that 1E-8 and 0.00000001 read and hash the same."""
    builtins = msgspec.to_builtins(rules)
    values = msgspec.structs.asdict(rules)
    numbers = {name: money.text(value) for name, value in values.items() if isinstance(value, Decimal)}
    return dict(builtins) | numbers
