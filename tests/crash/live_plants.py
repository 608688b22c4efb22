"""Mistakes other systems make on the way to an exchange, put in on purpose: the LIVE sweeps must catch each."""

from decimal import Decimal
from typing import Any

import msgspec

from crash import plants


def resend_on_timeout() -> None:
    """An order whose answer is lost is sent again."""
    from desk.execution import intent as intents
    from desk.execution import submit

    whole = submit._send

    def again(desk: Any, plan: Any, order_id: str, timestamp_ms: int, last_check: Any) -> str:
        error = whole(desk, plan, order_id, timestamp_ms, last_check)
        if desk.fold().intents.intents[order_id].state == "SENT_UNKNOWN":
            desk.account_of(plan.venue).place_order(intents.request_of(plan, order_id), timestamp_ms)
        return error

    submit._send = again


def not_found_at_once() -> None:
    """The first look that finds nothing ends the order."""
    from desk.venues import table

    for name, row in table.VENUES.items():
        table.VENUES[name] = msgspec.structs.replace(  # type: ignore[index]
            row, quiet_s=-60, quiet_adds_recv_window=False, looks=1, look_gap_s=0
        )


def redirect_followed() -> None:
    """A 3xx is followed, order and all."""
    from desk.venues import transport

    whole = transport.Transport._send_and_read

    def follow(self: Any, out: Any, wire: Any, left_s: float, read_timeout_s: float) -> Any:
        found = whole(self, out, wire, left_s, read_timeout_s)
        moved = getattr(found, "status", 0) in {301, 302, 307, 308}
        return whole(self, out, wire, left_s, read_timeout_s) if moved else found

    transport.Transport._send_and_read = follow  # type: ignore[method-assign]


def exit_from_a_stale_fold() -> None:
    """What other exits reserve is not known to the one that is written down."""
    from desk.execution import exits, quantise, submit
    from desk.execution import intent as intents

    def sellable(desk: Any, position: Any, rules: Any) -> Decimal:
        free = desk.account_of(position.venue).balances()[position.base].free
        return quantise.quantity_down(rules, min(position.quantity, free))

    submit.exceeds_position = lambda fold, plan: False  # type: ignore[assignment]
    intents.reserved = lambda fold, position: Decimal(0)  # type: ignore[assignment]
    exits.sellable = sellable  # type: ignore[assignment]


def swap_without_fallback() -> None:
    """A new stop that is refused is left at that: no old level, no sale, and no second look in the same tick."""
    from desk.execution import protect, stops, swap

    whole = swap._levels_left
    swap._levels_left = lambda *given: whole(*given)[:1]  # type: ignore[assignment]
    stops.last_resort = lambda *_: False  # type: ignore[assignment]
    protect.ensure_stop = lambda *_: None  # type: ignore[assignment]


def register() -> None:
    """Make them known by name."""
    plants.register("resend on timeout", resend_on_timeout)
    plants.register("not found at once", not_found_at_once)
    plants.register("redirect followed", redirect_followed)
    plants.register("exit from a stale fold", exit_from_a_stale_fold)
    plants.register("swap without fallback", swap_without_fallback)
