"""What the values of an event's data must be: one table of the keys that folding uses. Pure; raises nothing.

Writing checks it (a command of ours with a wrong value is a bug, evidence with one is quarantined) and folding checks
it again, so that a fold is total: no line of a valid chain, whoever wrote it, can make it raise.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from desk.base.money import parse
from desk.journal.events import Event

DEPTH_MAX: Final = 60  # a checkpoint carries the whole folded state
INT_MAX: Final = 2**63 - 1  # what JSON readers and the index can hold
DIGITS_MAX: Final = 20  # significant digits; so that the product of two amounts is exact in the house's 40 digits
EXPONENT_MAX: Final = 20  # no exchange trades 1e21 of anything, nor in steps finer than 1e-20
DATE_LEN: Final = 10
SIDES: Final = frozenset({"BUY", "SELL"})
Test = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT_MAX


def _money(value: Any) -> bool:
    """Any finite decimal as text."""
    try:
        parse(value)
    except ValueError:
        return False
    return isinstance(value, str)


def _exact(value: Any) -> bool:
    """A decimal whose products stay exact."""
    if not _money(value):
        return False
    number = parse(value).normalize()
    fits = number.adjusted() <= EXPONENT_MAX and number.adjusted() - len(number.as_tuple().digits) >= -EXPONENT_MAX - 1
    return fits and len(number.as_tuple().digits) <= DIGITS_MAX


def _amount(value: Any) -> bool:
    """An exact decimal that is not negative."""
    return _exact(value) and parse(value) >= 0


def _books(value: Any) -> bool:
    return isinstance(value, dict) and all(_name(asset) and _amount(amount) for asset, amount in value.items())


def _times(value: Any) -> bool:
    return isinstance(value, dict) and all(_name(venue) and _whole(at_ms) for venue, at_ms in value.items())


def _how(value: Any) -> bool:
    return value in {"adopt", "disown"}


def _side(value: Any) -> bool:
    return value in SIDES


def _date(value: Any) -> bool:
    return isinstance(value, str) and len(value) == DATE_LEN


def _latch(value: Any) -> bool:
    return value in {"active", "inactive"}


def _pause(value: Any) -> bool:
    return value in {"PAUSE", "DEGRADE"}


_ENDED: Final[Mapping[str, Test]] = {"client_order_id": _name, "code?": _text, "why?": _text, "counts?": _text}
_LIFE: Final[Mapping[str, Test]] = {"client_order_id": _name}

SHAPES: Final[Mapping[Event, Mapping[str, Test]]] = {  # a key ending in "?" may be absent
    Event.GENESIS: {"mode": _name, "instance": _text, "kill_switch": _latch},
    Event.INTENT_CREATED: {
        "client_order_id": _name, "position_id": _text, "leg": _name, "attempt": _whole, "side": _side, "type": _text,
        "quantity": _amount, "price": _amount, "kind": _name, "base": _name, "quote": _name, "stop_price?": _amount,
        "parent?": _text, "list_id?": _text, "strategy?": _text, "plan_stop?": _amount, "plan_target?": _amount,
    },
    Event.INTENT_SENT_UNKNOWN: {"client_order_id": _name, "timestamp_ms": _whole, "recv_window_ms?": _whole},
    Event.INTENT_CONFIRMED: {
        "client_order_id": _name, "status": _name, "executed": _amount, "order_id?": _text, "quantity?": _amount,
    },
    Event.INTENT_NOT_FOUND: _ENDED,
    Event.INTENT_FAILED_TERMINAL: _ENDED,
    Event.INTENT_NOT_SENT: _ENDED,
    Event.INTENT_DENIED: _ENDED,
    Event.INTENT_UNANSWERED: {"client_order_id": _name, "why": _text, "counts?": _text},
    Event.INTENT_LOOKED: {"client_order_id": _name, "requested_ms": _whole},
    Event.INTENT_ANOMALY: {"client_order_id": _text, "state": _text, "evidence": _text},
    Event.INTENT_ANOMALY_CLEARED: {"client_order_id": _name, "how": _text},
    Event.CANCEL_REQUESTED: _LIFE,
    Event.FILL: {
        "client_order_id": _name, "trade_id": _name, "side": _side, "quantity": _amount, "price": _amount,
        "fee": _exact, "fee_asset": _text, "time_ms": _whole,
    },
    Event.RECOVERY_OUTCOME: {"outcome": _name, "evidence": _name, "subject": _text, "state": _name},
    Event.EXIT_PLANNED: {
        "position_id": _text, "stop_price": _amount, "target_price": _amount, "trail_peak?": _amount,
    },
    Event.PROTECTION_SWAP: {
        "position_id": _text, "old": _text, "new": _amount, "fallback": _amount, "peak?": _amount,
    },
    Event.PROTECTION_SWAPPED: {"position_id": _text},
    Event.UNPROTECTED: {"position_id": _text, "quantity": _amount},
    Event.POSITION_DUST: {"position_id": _text},
    Event.SYMBOL_QUARANTINED: {"until_ms": _whole},
    Event.INITIAL_CAPITAL: {"balances": _books},
    Event.BALANCE_ADJUSTED: {"asset": _name, "amount": _exact},
    Event.FOREIGN_SEEN: {"order_id": _name, "side": _side, "quantity": _amount, "client_order_id?": _text},
    Event.FOREIGN_SETTLED: {"order_id": _name, "how": _how, "reason": _text, "side?": _side, "client_order_id?": _text},
    Event.FOREIGN_TRADE: {
        "order_id": _name, "trade_id": _name, "side": _side, "base": _name, "quote": _name, "quantity": _amount,
        "price": _amount, "fee": _exact, "fee_asset": _text, "time_ms": _whole,
    },
    Event.POSITION_ADOPTED: {
        "position_id": _name, "base": _name, "quote": _name, "quantity": _amount, "booked": _amount,
        "price": _amount, "reason": _text,
    },
    Event.POSITION_DISOWNED: {
        "base": _name, "quote": _name, "quantity": _amount, "booked": _amount, "value": _money, "reason": _text,
    },
    Event.RECONCILE_DONE: {"read?": _times},
    Event.CAPITAL_MARKED: {"quote": _name, "equity": _money},
    Event.DAY_CLOSED: {"date": _date},
    Event.PEAK_REBASED: {"quote": _name, "new": _money},
    Event.KILL_SWITCH_ACTIVATED: {"reason": _text, "level": _text, "by": _text, "note?": _text},
    Event.KILL_SWITCH_DEACTIVATED: {"reason": _text, "by": _text},
    Event.PAUSE_RAISED: {"state": _pause, "reasons": _texts, "by": _text},
    Event.PAUSE_RELEASED: {"reason": _text, "by": _text},
    Event.LIVE_ARMED: {"reason": _text, "by": _text},
    Event.BASELINE_HELD: {"reason": _text, "by": _text},
    Event.BASELINE_CLEARED: {"reason": _text, "by": _text},
    Event.SYSTEM_MODE_CHANGED: {"to": _text},
    Event.HEALTH_CHANGED: {"overall": _text},
    Event.BREAKER_CHANGED: {"component": _text, "to": _text},
    Event.ALERT_RAISED: {"severity": _text, "code": _text, "text": _text, "fingerprint": _text},
    Event.ALERT_CLEARED: {"fingerprint": _text},
    Event.SIGNAL_DONE: {"signal_id": _text},
    Event.SIGNAL_REJECTED: {"signal_id?": _text},
}  # fmt: skip


def problem(event: Event, data: Mapping[str, Any]) -> str:
    """What is wrong with an event's data, "" when nothing is: a key missing, or a value folding cannot use."""
    missing = event.needs - data.keys()
    if missing:
        return f"lacks {', '.join(sorted(missing))}"
    for name, test in SHAPES.get(event, {}).items():
        key = name.rstrip("?")
        if (key in data or not name.endswith("?")) and not test(data.get(key)):
            return f"cannot use {key}={str(data.get(key))[:40]!r}"
    return ""


def not_json(value: Any, depth: int = 0) -> str:
    """Why a value may not enter the journal, "" when it may: no floats (money is text), no huge integers, no endless
    nesting, no text that UTF-8 cannot hold."""
    if isinstance(value, str):
        return "" if value.isascii() or value.isprintable() or not _has_surrogate(value) else "text that is no UTF-8"
    if isinstance(value, float):
        return "a float"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > INT_MAX:
        return "an integer of more than 64 bits"
    if depth > DEPTH_MAX:
        return "nested too deep"
    items: Any = ()
    if isinstance(value, dict):
        items = (*value.keys(), *value.values())
    elif isinstance(value, list | tuple):
        items = value
    for item in items:
        kind = type(item)  # plain text and small numbers are nearly all: a call for each would cost most of the check
        if (kind is str and item.isascii()) or (kind is int and 0 <= item <= INT_MAX):
            continue
        why = not_json(item, depth + 1)
        if why:
            return why
    return ""


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in value)
