"""Scenario files: {"events": [{"after_ms": N, "fault": {...}} | {..., "price": {...}} | {..., "clear": true}]}.

Validated strictly before the simulator starts. `price` = {"symbol", "factor", "over_ms"}: from then on the path is
multiplied by the factor, reached over `over_ms`. Pure but for reading the file.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from lab.sim.faults import FaultError, checked
from lab.sim.path import PriceEvent
from lab.sim.rejections import SimConfigError
from lab.sim.views import check_fault_arg


class TimedFault(NamedTuple):
    """At `after_ms` since the start: arm `fault`, or clear all when it is None."""

    after_ms: int
    fault: dict[str, Any] | None


class Scenario(NamedTuple):
    """Events by their kind; price events by symbol, times relative to the start."""

    faults: list[TimedFault]
    prices: dict[str, list[PriceEvent]]


EMPTY = Scenario([], {})


def load_scenario(path: Path, symbols: list[str]) -> Scenario:
    """Read and check a scenario file.

    Raises:
        SimConfigError: one line naming the event and what is allowed.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SimConfigError(f"scenario {path}: {error.strerror or error}; check the path") from None
    except ValueError as error:
        raise SimConfigError(f"scenario {path}: not JSON ({error}); fix the file") from None
    return parse_scenario(raw, str(path), symbols)


def parse_scenario(raw: Any, where: str, symbols: list[str]) -> Scenario:
    """Check a scenario that is already JSON material; `where` names it in errors.

    Raises:
        SimConfigError: one line naming the event and what is allowed.
    """
    if not isinstance(raw, dict) or set(raw) != {"events"} or not isinstance(raw["events"], list):
        raise SimConfigError(f'scenario {where}: must be {{"events": [...]}} and nothing else; fix the file')
    scenario = Scenario([], {})
    for number, event in enumerate(raw["events"]):
        try:
            _add(scenario, event, symbols)
        except (ValueError, FaultError) as error:
            raise SimConfigError(f"scenario {where}: event {number}: {error}") from None
    scenario.faults.sort(key=lambda timed: timed.after_ms)
    return scenario


def _add(scenario: Scenario, event: Any, symbols: list[str]) -> None:
    if not isinstance(event, dict) or len(event) != 2 or "after_ms" not in event:
        raise ValueError("needs after_ms and exactly one of fault, price, clear")
    after_ms = _whole(event["after_ms"], "after_ms")
    (what,) = set(event) - {"after_ms"}
    if what == "fault":
        fault = json.loads(json.dumps(event["fault"], default=str))
        kind, _, _, arg = checked(fault)
        check_fault_arg(kind, arg)
        scenario.faults.append(TimedFault(after_ms, fault))
    elif what == "clear" and event["clear"] is True:
        scenario.faults.append(TimedFault(after_ms, None))
    elif what == "price":
        symbol, price = _price(event["price"], after_ms, symbols)
        scenario.prices.setdefault(symbol, []).append(price)
    else:
        raise ValueError(f"unknown key {what!r} or value; allowed: fault {...}, price {...}, clear true")


def _price(raw: Any, after_ms: int, symbols: list[str]) -> tuple[str, PriceEvent]:
    if not isinstance(raw, dict) or not {"symbol", "factor"} <= set(raw) <= {"symbol", "factor", "over_ms"}:
        raise ValueError("price needs symbol and factor, may have over_ms, nothing else")
    if raw["symbol"] not in symbols:
        raise ValueError(f"price symbol {raw['symbol']!r} is not traded here; one of {', '.join(symbols)}")
    try:
        factor = Decimal(str(raw["factor"]))
    except ArithmeticError:
        raise ValueError(f"price factor {raw['factor']!r} is not a number") from None
    if not factor.is_finite() or factor <= 0:
        raise ValueError(f"price factor {raw['factor']!r} must be above 0")
    return raw["symbol"], PriceEvent(after_ms, factor, _whole(raw.get("over_ms", 0), "over_ms"))


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} {value!r} must be a whole number of ms >= 0")
    return value
