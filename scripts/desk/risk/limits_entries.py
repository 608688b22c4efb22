"""The entries of the tighten-only overlay: which caps there are, and reading them. Pure.

To add a cap: one row in CAPS. Every one of them is stricter when lower.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from desk.base import clock, money
from desk.base.errors import BadInput
from desk.base.reasons import Reason
from desk.config.schema import Config
from desk.state.store import Doc

CORRUPT: Final = "_corrupt"  # a marker in the dict `read` gives, never in the file
SIZE: Final = "size_frac"
META: Final = frozenset({"until", "reason", "by", "set_at"})  # top-level words of a hand-written file
# cap -> (section, 0 means "off")
CAPS: Final[Mapping[str, tuple[str, bool]]] = {
    SIZE: ("exposure", False),
    "spread_max_frac": ("entries", False),
    "slippage_max_frac": ("entries", False),
    "volatility_halt_frac": ("entries", False),
    "flash_crash_frac": ("entries", False),
    "max_orders_per_cycle": ("entries", False),
    "max_open_orders_per_symbol": ("entries", False),
    "max_open_entries": ("entries", False),
    "notional_cap_per_cycle_quote": ("entries", False),
    "max_notional_per_order_quote": ("entries", False),
    "position_live_frac": ("exposure", False),
    "position_paper_frac": ("exposure", False),
    "total_frac": ("exposure", False),
    "positions_live_max": ("exposure", False),
    "positions_paper_max": ("exposure", False),
    "daily_loss_frac": ("capital", False),
    "daily_loss_quote": ("capital", True),
    "drawdown_no_entries_frac": ("capital", False),
    "drawdown_kill_frac": ("capital", False),
}
Number = int | Decimal


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with the overlay. `blocks`: no entries while it stands; else a warning."""

    code: str
    detail: str
    blocks: bool


class Entry(msgspec.Struct, frozen=True):
    """One cap of the overlay. `until_ms` 0: until cleared."""

    cap: str
    value: Number
    until_ms: int = 0
    reason: str = ""
    by: str = ""


def parse(overlay: Doc | None) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """The overlay's entries, or why it cannot be understood (an entry nobody understands is a limit nobody applies)."""
    if overlay is None:
        return (), ()
    if CORRUPT in overlay:
        return (), (Problem(str(Reason.OVERLAY_CORRUPT), str(overlay[CORRUPT]), blocks=True),)
    entries, problems = [], []
    for cap, body in overlay.items():
        if cap.startswith("_") or cap in META:
            continue
        try:
            entries.append(_entry(cap, body, overlay))
        except ValueError as error:
            problems.append(Problem(str(Reason.OVERLAY_CORRUPT), f"limits_overlay.json: {error}", blocks=True))
    return tuple(entries), tuple(problems)


def cap_of(text: str) -> str:
    """The cap an operator named, with or without its section.

    Raises:
        BadInput: no such cap.
    """
    section, _, name = text.strip().rpartition(".")
    if name not in CAPS or section not in {"", CAPS[name][0]}:
        raise BadInput("is no cap", text.strip(), f"caps: {', '.join(CAPS)}")
    return name


def body_of(entry: Entry) -> dict[str, Any]:
    """An entry as the file and LIMITS_SET carry it."""
    until = clock.iso(entry.until_ms) if entry.until_ms else ""
    return {"value": text_of(entry.value), "until": until, "reason": entry.reason, "by": entry.by}


def standing(config: Config, cap: str) -> Number:
    """A cap's value in a configuration."""
    found: Number = getattr(getattr(config, CAPS[cap][0]), cap)
    return found


def text_of(value: Number) -> str:
    """A cap's value as text."""
    return str(value) if isinstance(value, int) else money.text(value)


def _entry(cap: str, body: object, overlay: Doc) -> Entry:
    if cap not in CAPS:
        raise ValueError(f"{cap!r} is no cap")
    fields = body if isinstance(body, dict) else {"value": body, "until": overlay.get("until")}
    return Entry(
        cap, number_of(cap, fields.get("value")), _until(cap, fields.get("until")), str(fields.get("reason") or ""),
        str(fields.get("by") or ""),
    )  # fmt: skip


def number_of(cap: str, value: object) -> Number:
    """The value in the cap's own type and range.

    Raises:
        ValueError: not a number, or out of range.
    """
    _, zero_is_off = CAPS[cap]
    text = repr(value) if isinstance(value, float) else value  # a hand writes 0.5 without quotes
    number = money.parse(text, cap)
    if number < 0 or (cap.endswith("_frac") and number > 1):
        raise ValueError(f"{cap} = {number} is out of range")
    if zero_is_off and not number:
        raise ValueError(f"{cap} = 0 would switch it off")
    if isinstance(standing(Config(), cap), int):
        if number != int(number):
            raise ValueError(f"{cap} = {number} is not a whole number")
        return int(number)
    return number


def _until(cap: str, value: object) -> int:
    if value is None or value == "":
        return 0
    if not isinstance(value, str):
        raise ValueError(f"{cap}: until is no time")
    try:
        return clock.parse_iso(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{cap}: until {value!r} is no time with an offset") from None
