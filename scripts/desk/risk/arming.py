"""Arming: what must hold before a LIVE order may leave, by kind of action (design 6). One table; pure.

The `arming` gate, heartbeat's `trading` line, `arming.py` and the last look before an entry's first byte all ask
`unmet`. What else stops an order (kill switch, system mode, limits) has gates of its own. To add a factor: one row.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from desk.base.reasons import Reason
from desk.risk.facts import Arming


class Action(StrEnum):
    """What is about to be asked of an exchange. EXIT includes protection."""

    ENTRY = "entry"
    EXIT = "exit"
    CANCEL = "cancel"
    QUERY = "query"


class Factor(NamedTuple):
    """One factor: how it is met, and which actions it stops while it is not.

    Attributes:
        live_only: PAPER does not ask for it.
        per_run: said on the door's command line, so known only to that run.
    """

    name: str
    reason: Reason
    is_met: Callable[[Arming], bool]
    stops: frozenset[Action]
    live_only: bool = True
    per_run: bool = False


ENTRIES: Final = frozenset({Action.ENTRY})
SENDING: Final = frozenset({Action.ENTRY, Action.EXIT, Action.CANCEL})  # the operator's own "send nothing"
FACTORS: Final = (
    Factor("--live", Reason.ARM_NO_LIVE_FLAG, lambda found: found.live_flag, SENDING, per_run=True),
    Factor("DRY_RUN=false", Reason.ARM_DRY_RUN, lambda found: not found.dry_run, SENDING, live_only=False),
    Factor("SAFE_MODE=false", Reason.ARM_SAFE_MODE, lambda found: not found.safe_mode, SENDING, live_only=False),
    Factor("baseline cleared", Reason.ARM_BASELINE, lambda found: not found.baseline, SENDING, live_only=False),
    Factor("LIVE_TRADING=true", Reason.ARM_LIVE_TRADING, lambda found: found.live_trading, ENTRIES),
    Factor("LIVE_TRADING_ACK", Reason.ARM_ACK, lambda found: found.ack, ENTRIES),
    Factor("state/LIVE.ok", Reason.ARM_LIVE_OK, lambda found: found.live_ok, ENTRIES),
    Factor(
        "certificate", Reason.ARM_CERTIFICATE,
        lambda found: found.certificate_valid or not found.certificate_required, ENTRIES,
    ),
    Factor("AI gate, when asked for", Reason.AI_NOT_CONFIGURED, lambda found: not found.ai_gate_missing, ENTRIES),
)  # fmt: skip


def unmet(found: Arming, action: Action, *, is_live: bool) -> tuple[Reason, ...]:
    """Every factor that stops the action now, in the table's order; () when it may go as far as arming is asked."""
    return tuple(
        factor.reason
        for factor in FACTORS
        if action in factor.stops and (is_live or not factor.live_only) and not factor.is_met(found)
    )


def refusals(found: Arming) -> tuple[Reason, ...]:
    """What keeps `arming.py arm` from arming: every factor of an entry but what arming itself gives, and `--live`."""
    own = {Reason.ARM_LIVE_OK} | {factor.reason for factor in FACTORS if factor.per_run}
    return tuple(reason for reason in unmet(found, Action.ENTRY, is_live=True) if reason not in own)
