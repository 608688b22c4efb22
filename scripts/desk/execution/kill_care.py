"""Open positions under an active kill switch: held, closed, or put to the operator (`[kill_switch.positions]`).

Runs in the router's MANAGE stage at every tick while the switch is active, so that a close goes on where the last tick
ended. Sells by the exit path alone, which the kill switch never blocks (P4); under FREEZE_ALL nothing is sent at all.
"""

from typing import Final

from desk.base import clock
from desk.base.errors import JournalError, StateError, WorldError
from desk.base.money import ZERO, text
from desk.base.reasons import Reason
from desk.execution import exits, symbol_care
from desk.execution.desk import Desk
from desk.execution.exits import MayExit
from desk.execution.intent import LEG_EXIT
from desk.journal.state import Position
from desk.risk import kill_forms, kill_reasons, latches, market
from desk.risk.facts import SymbolFacts
from desk.risk.kill_reasons import ASSESS, CLOSE, HOLD

FLASH_CRASH: Final = "flash_crash"
NOT_FRESH: Final = "no fresh book"
NOT_TRADING: Final = "its symbol takes no orders"
NOT_CONFIRMED: Final = "no second source shows the fall"


def care(desk: Desk, may_exit: MayExit) -> tuple[str, ...]:
    """Do what the active reasons say of positions; one that fails does not stop the others.

    Returns:
        The positions (`venue:symbol`) that are to be closed and could not be yet.
    """
    found = latches.effective(desk.run.home, desk.fold(), desk.run.settings)
    held = {n: p for n, p in sorted(desk.fold().positions.positions.items()) if p.quantity > ZERO}
    if not found.kill.active or found.frozen or not held:
        return ()
    chosen = desk.run.settings.config.kill_switch.positions
    policy = kill_reasons.positions_policy(found.kill.reasons, chosen)
    if policy == HOLD:
        return ()
    closing = {name for name in found.kill.reasons if kill_reasons.positions_of(name, chosen) == CLOSE}
    _announce(desk, Reason.KILL_ASSESS if policy == ASSESS else Reason.KILL_CLOSING, found.kill.reasons, held)
    if policy == ASSESS:
        return ()
    return tuple(name for name, position in held.items() if not _close(desk, name, position, closing, may_exit))


def _announce(desk: Desk, reason: Reason, why: tuple[str, ...], held: dict[str, Position]) -> None:
    """Once for each change of what is held; the alert ends with the kill switch."""
    shown = ", ".join(f"{name} {text(position.quantity)}" for name, position in held.items())
    desk.alert(reason, f"{', '.join(why)}: {shown}", kill_forms.ALERT_SUBJECT)


def _close(desk: Desk, name: str, position: Position, closing: set[str], may_exit: MayExit) -> bool:
    """True when nothing of it is left to sell."""
    why = f"kill switch {', '.join(sorted(closing))}"
    found = desk.facts.symbols.get(name) if desk.facts is not None else None
    waits_for = _waits_for(desk, name, found, closing)
    if found is None or waits_for:
        desk.run.warn("WARN", f"{name} stays for now, {why}: {waits_for or NOT_FRESH}")
        return False
    try:
        return exits.close_position(desk, position, LEG_EXIT, found.best_bid or ZERO, why, may_exit)
    except (JournalError, StateError):
        raise  # no isolated item: the whole tick stops, and PAUSE is latched
    except WorldError as error:
        desk.run.log.error(error.line(), position.venue, position.symbol, type(error).__name__)
        return False


def _waits_for(desk: Desk, name: str, found: SymbolFacts | None, closing: set[str]) -> str:
    """Why a position is not sold in this tick, "" when it may be: a fresh source must answer, and a flash crash alone
    needs a second one."""
    age_max_ms = desk.run.settings.config.market_data.price_age_max_ms
    if symbol_care.is_shut(desk, name):
        return NOT_TRADING
    if found is None or found.best_bid is None or clock.now_ms() - found.book_ms > age_max_ms:
        return NOT_FRESH
    return NOT_CONFIRMED if closing == {FLASH_CRASH} and not _is_confirmed(desk, found) else ""


def _is_confirmed(desk: Desk, found: SymbolFacts) -> bool:
    """Another source than the book agrees that the price is there: another venue, or the last traded price."""
    others = [other.mid for other in found.other_mids] + market.last_traded(found)
    return found.mid is not None and market.is_confirmed(found.mid, others, desk.run.settings.config.market_data)
