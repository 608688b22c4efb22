"""Cancels the journal cannot help with: what the exchange lists under our prefix, sent without writing anything down.

For a journal nobody can read (then the exchange's list tells what stands) and for one nobody can write. A cancel needs
only FREEZE_ALL off (design 6) and may be sent again; it adds no risk but where it takes protection away, so without the
journal every resting sale counts as protection. Reconcile books later what happened here.
"""

from dataclasses import dataclass, field
from typing import Final

from desk.base import clock, ids
from desk.base.errors import WorldError
from desk.base.reasons import Reason
from desk.execution.desk import Desk
from desk.execution.operator_desk import Scope
from desk.risk import latches
from desk.venues.outcome import VenueError
from desk.venues.protocol import FINAL_STATUSES, OrderReport, Side

TRIES_MAX: Final = 3
TRY_GAP_S: Final = 0.5
PROTECTS: Final = "it protects a position; --protection cancels it all the same"
QUERY: Final = "not confirmed by the exchange; the router looks it up each tick"


@dataclass
class Ended:
    """What became of the cancels: client ids confirmed gone, and the others with the reason.

    Attributes:
        unwritten: those the journal could not be told of; reconcile books them.
    """

    gone: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Blind:
    """What an operator asked for while the journal cannot be read. `order_id` "": all in scope."""

    order_id: str = ""
    protection: bool = False
    sends: bool = False


@dataclass
class BlindEnd(Ended):
    """As Ended; also what was kept, and what a dry run would cancel."""

    kept: list[tuple[str, str]] = field(default_factory=list)
    would: list[str] = field(default_factory=list)


def carry_out(desk: Desk, scope: Scope, wanted: Blind) -> BlindEnd:
    """Cancel what the venues list under our prefix; without the journal every resting sale counts as protection."""
    ended = BlindEnd()
    for venue in (scope.venue,) if scope.venue else desk.run.settings.venues:
        try:
            reports = desk.account_of(venue).open_orders(scope.symbol or None)
        except WorldError as error:
            ended.left.append((venue, error.line()))
            continue
        for report in reports:
            if _is_meant(desk, report, wanted.order_id):
                _one_blind(desk, venue, report, wanted, ended)
    return ended


def _is_meant(desk: Desk, report: OrderReport, order_id: str) -> bool:
    name = report.client_order_id
    return ids.is_ours(name, desk.run.settings.instance) and order_id in {"", name}


def _one_blind(desk: Desk, venue: str, report: OrderReport, wanted: Blind, ended: BlindEnd) -> None:
    name = report.client_order_id
    if report.side is Side.SELL and not wanted.protection:
        ended.kept.append((name, PROTECTS))
    elif not wanted.sends:
        ended.would.append(name)
    else:
        why = unjournalled(desk, venue, report.symbol, name)
        if why:
            ended.left.append((name, why))
        else:
            ended.gone.append(name)


def unjournalled(desk: Desk, venue: str, symbol: str, order_id: str) -> str:
    """Send a cancel that nothing can write down; reconcile books it later. Returns why it is not confirmed, "" when
    the exchange said that the order is final."""
    account = desk.account_of(venue)
    found: OrderReport | None = None
    for number in range(TRIES_MAX):
        if number:
            clock.pause_s(TRY_GAP_S)
        if latches.effective(desk.run.home, None, desk.run.settings).frozen:  # read anew, at the moment of sending
            return str(Reason.FREEZE_ALL)
        for ask in (account.cancel_order, account.get_order):
            try:
                found = ask(symbol, order_id)
            except VenueError as error:
                desk.run.log.error(error.line(), venue, "cancel", str(error.code or error.class_))
                continue
            if found is not None and found.status in FINAL_STATUSES:
                return ""
    return QUERY
