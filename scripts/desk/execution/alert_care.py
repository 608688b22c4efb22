"""Alerts of the order path end when their cause is gone, and the journal says so (rules.md, Alerts). Sends nothing.

One row per reason the rooms of this path raise about an order or a symbol: whether its cause still holds, by the fold
alone. Heartbeat's own alerts and those of the latches end elsewhere; a late appearance has no end, someone reads it.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.execution.desk import Desk
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, is_open, is_unsettled, key

PARTS: Final = 4  # of a fingerprint: reason, venue, symbol, subject


class About(NamedTuple):
    """What an alert speaks of, by its fingerprint."""

    venue: str
    symbol: str
    subject: str


def _is_unsettled(fold: Fold, about: About, now_ms: int) -> bool:
    """The order may still trade, or fills of it are missing."""
    intent = fold.intents.intents.get(about.subject)
    return intent is not None and (is_open(intent) or is_unsettled(intent))


def _is_unknown(fold: Fold, about: About, now_ms: int) -> bool:
    intent = fold.intents.intents.get(about.subject)
    return intent is not None and intent.state == "SENT_UNKNOWN"


def _is_anomalous(fold: Fold, about: About, now_ms: int) -> bool:
    intent = fold.intents.intents.get(about.subject)
    return intent is not None and bool(intent.anomaly)


def _is_quarantined(fold: Fold, about: About, now_ms: int) -> bool:
    return fold.positions.quarantine.get(key(about.venue, about.symbol), 0) > now_ms


def _is_held(fold: Fold, about: About, now_ms: int) -> bool:
    position = fold.positions.positions.get(key(about.venue, about.symbol))
    return position is not None and position.quantity > ZERO


def _is_naked(fold: Fold, about: About, now_ms: int) -> bool:
    position = fold.positions.positions.get(key(about.venue, about.symbol))
    return position is not None and bool(position.unprotected_ms)


def _is_paused(fold: Fold, about: About, now_ms: int) -> bool:
    return fold.portfolio.pause.state != "NORMAL" and str(Reason.MANUAL_NEEDED) in fold.portfolio.pause.reasons


HOLDS: Final[Mapping[str, Callable[[Fold, About, int], bool]]] = {
    Reason.STUCK_ORDER: _is_unsettled,
    Reason.UNKNOWN_ORDER: _is_unknown,
    Reason.ANOMALY: _is_anomalous,
    Reason.SYMBOL_QUARANTINED: _is_quarantined,
    Reason.EXIT_BLIND: _is_held,
    Reason.UNPROTECTED: _is_naked,
    Reason.MANUAL_NEEDED: _is_paused,
}


def end_what_is_over(desk: Desk, *, is_shut: Callable[[str], bool] = lambda name: True) -> None:
    """ALERT_CLEARED for every alert of the table whose cause is gone.

    Args:
        is_shut: whether a position's symbol takes no orders, by what this tick has seen; one that saw nothing says yes.
    """

    def decide(fold: Fold) -> list[NewEvent]:
        over = [name for name in sorted(fold.portfolio.alerts) if _is_over(fold, name, desk.run.tick_ms, is_shut)]
        return [NewEvent(event=Event.ALERT_CLEARED, data={"fingerprint": name}) for name in over]

    if decide(desk.fold()):
        desk.commit(decide)


def _is_over(fold: Fold, fingerprint: str, now_ms: int, is_shut: Callable[[str], bool]) -> bool:
    parts = fingerprint.split("|", PARTS - 1)
    if len(parts) != PARTS or parts[3].startswith("health:") or parts[3] in {"pause", "kill_switch"}:
        return False
    about = About(*parts[1:])
    if parts[0] == Reason.POSITION_SHUT:
        return not (_is_held(fold, about, now_ms) and is_shut(key(about.venue, about.symbol)))
    holds = HOLDS.get(parts[0])
    return holds is not None and not holds(fold, about, now_ms)
