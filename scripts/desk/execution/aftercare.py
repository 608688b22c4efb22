"""After fills were booked outside the router: what they leave without a stop is protected at once (design 3).

Whoever books takes the order lease and protects; while another holds it, that holder does, for it folds anew before it
ends its tick. The wait covers a holder that had done so already. Owns no rule of protection; `protect` does.
"""

from decimal import Decimal
from typing import Final

from desk.base.money import ZERO
from desk.base.reasons import Reason, shown
from desk.execution import accounts, naked
from desk.execution import intent as intents
from desk.execution.operator_desk import Hands, protect_uncovered
from desk.journal.state import Fold

HOLDER_WAIT_S: Final = 3.0  # longer than what a tick still does after its last look at the journal


def uncovered(fold: Fold) -> dict[str, Decimal]:
    """By `venue:symbol`: what is held and no order of ours sells."""
    held = fold.positions.positions
    return {name: max(p.quantity - intents.covered(fold, p), ZERO) for name, p in held.items()}


def protect_new(hands: Hands, before: dict[str, Decimal], live: bool) -> list[str]:
    """Protect every position of which more is uncovered than before.

    Args:
        before: `uncovered` as it was before anything was booked.
        live: `--live` on the door; without it LIVE sends nothing, and the router's next tick protects.

    Returns:
        Those left to the lease holder, to the router, or whose protection failed.
    """
    fold = hands.desk.fold()
    more = sorted(name for name, rest in uncovered(fold).items() if rest > before.get(name, ZERO))
    wanted = [name for name in more if not naked.lost_its_stop_to_a_cancel(hands.desk, name)]  # an exit waits for it
    if not wanted:
        return []
    held_back = accounts.why_not(hands.run, fold, live, dry_run=False)
    if held_back:
        hands.run.say(f"{shown(held_back)}: left to the router's next tick: {', '.join(wanted)}")
        return wanted
    left = protect_uncovered(hands, wanted, HOLDER_WAIT_S)
    for name in left:
        hands.run.warn("WARN", f"{name}: {shown(str(Reason.UNPROTECTED))} until the router's tick")
    return left
