"""Cancels by the operator's hand: which orders, and each one asked for, confirmed by query, or named as not confirmed.

CANCEL_REQUESTED is durable before the DELETE. An unknown order is asked for too: a cancel may be sent again, an order
never. A protective leg stays unless it is named as such. What is bought meanwhile is protected at the end. With a
journal nobody can write a cancel by hand still goes out (design 6: it needs only FREEZE_ALL off); one that makes way
for a sale does not, for the sale could not follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from desk.base import clock, ids
from desk.base.errors import BadInput, JournalError, StateError, WorldError
from desk.base.money import ZERO, text
from desk.base.reasons import Reason
from desk.execution import cancel, cancel_blind, lookup, orders_view
from desk.execution.cancel_blind import PROTECTS, QUERY, TRIES_MAX, TRY_GAP_S, Ended
from desk.execution.desk import Desk
from desk.execution.operator_desk import Hands, Scope, protect_uncovered, touched
from desk.journal.state import Fold, Intent, is_open, is_unsettled
from desk.risk import pause

IN_A_LIST: Final = "its list protects what it has bought: the router's next tick handles it; or --protection"


@dataclass(frozen=True)
class Choice:
    """Client ids to cancel, and those kept with the reason why."""

    chosen: tuple[str, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()


def choose_one(fold: Fold, order_id: str, *, protection: bool) -> Choice:
    """The one order an operator named.

    Raises:
        BadInput: no order of ours bears this id.
    """
    intent = fold.intents.intents.get(order_id)
    if intent is None:
        near = [name for name in fold.intents.intents if name.startswith(order_id)]
        hint = f"did you mean {near[0]}" if len(near) == 1 else "orders.py list --all shows the ids"
        raise BadInput("is no order in the journal", shown_id(order_id), hint)
    return _choice(fold, [(order_id, intent)], protection)


def choose_all(fold: Fold, scope: Scope, *, protection: bool) -> Choice:
    """Every order in scope that may still trade, in order of creation."""
    known = sorted(fold.intents.intents.items(), key=lambda item: (item[1].created_ms, item[0]))
    return _choice(fold, [(name, i) for name, i in known if scope.takes(i.venue, i.symbol)], protection)


def carry_out(desk: Desk, chosen: Sequence[str], why: str, *, also_unwritten: bool = False) -> Ended:
    """Cancel each, entries first so that no fill adds to what is left; one that fails does not stop the others.

    Args:
        also_unwritten: cancel without the journal when it cannot be written; only for one who sells nothing afterwards.

    Raises:
        JournalError: it cannot be written, and nothing goes out without it; what was not yet cancelled stands.
    """
    ended = Ended()
    known = desk.fold().intents.intents
    for name in sorted(chosen, key=lambda one: known[one].kind != "ENTRY"):
        left = _one(desk, name, why, ended if also_unwritten else None)
        if left:
            ended.left.append((name, left))
        else:
            ended.gone.append(name)
    return ended


def shown_id(typed: str) -> str:
    """A typed id as it may stand in a line: bounded, printable."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in typed)
    return plain if len(plain) <= ids.CLIENT_ID_LEN_MAX else plain[: ids.CLIENT_ID_LEN_MAX] + "..."


def by_hand(hands: Hands, chosen: Sequence[str], why: str) -> tuple[Ended, list[str]]:
    """Cancel, say how each ended, and protect what was bought meanwhile.

    Returns:
        The cancels' end, and the positions whose new part still waits for its stop.
    """
    desk = hands.desk
    lookup.deny_never_sent(desk)
    known = desk.fold().intents.intents
    by_wish = touched(desk.fold(), [n for n in chosen if orders_view.is_protective(known[n])])
    bought = touched(desk.fold(), chosen) - by_wish  # what --protection took away is the operator's wish
    ended = carry_out(desk, chosen, why, also_unwritten=True)
    for name in ended.gone:
        desk.run.say(f"gone {name}: {_how(desk, name, ended)}")
    for name, clause in ended.left:
        desk.run.warn("WARN", f"not confirmed {name}: {clause}")
    if ended.unwritten:  # nothing can be posted without the journal: PAUSE, as a tick would
        pause.latch_pause(desk.run.home, desk.run.journal, (str(Reason.AUDIT_UNWRITABLE),), desk.run.door)
        return ended, []
    waiting = protect_uncovered(hands, bought)
    for name in waiting:
        desk.run.warn("WARN", f"{name}: what was bought meanwhile has no stop yet; the router's next tick places it")
    return ended, waiting


def _how(desk: Desk, name: str, ended: Ended) -> str:
    """How a cancelled order ended, by the journal; or that only the exchange knows."""
    if name in ended.unwritten:
        return "the exchange says so; not journalled, reconcile.py books it"
    intent = desk.fold().intents.intents[name]
    return f"{intent.state} {intent.status}, executed {text(intent.executed)}"


def _choice(fold: Fold, wanted: Sequence[tuple[str, Intent]], protection: bool) -> Choice:
    chosen, kept = [], []
    for name, intent in wanted:
        why = _why_kept(fold, intent)
        if not is_open(intent):
            continue
        if why and not protection:
            kept.append((name, why))
        else:
            chosen.append(name)
    return Choice(tuple(chosen), tuple(kept))


def _why_kept(fold: Fold, intent: Intent) -> str:
    """Why an order is no plain cancel: it protects, or it stands in a list whose legs protect what it has bought."""
    if orders_view.is_protective(intent):
        return PROTECTS
    if not intent.list_id or intent.filled <= ZERO:
        return ""
    legs = (i for i in fold.intents.intents.values() if i.list_id == intent.list_id and orders_view.is_protective(i))
    return IN_A_LIST if any(is_open(leg) for leg in legs) else ""


def _one(desk: Desk, order_id: str, why: str, unwritten: Ended | None) -> str:
    """One cancel, asked for again while it stands; returns why it is not confirmed, "" when it is gone.

    Args:
        unwritten: where a cancel the journal could not be told of is noted; None = none goes out without the journal.
    """
    intent = desk.fold().intents.intents[order_id]
    try:
        return _until_gone(desk, order_id, why)
    except JournalError as error:
        if unwritten is None:
            raise
        desk.run.warn("WARN", f"not journalled ({error.what}): the cancel of {order_id} goes out all the same")
        unwritten.unwritten.append(order_id)
        return cancel_blind.unjournalled(desk, intent.venue, intent.symbol, order_id)
    except StateError:
        raise  # the paper books failed: no isolated item, and PAUSE is latched
    except WorldError as error:
        desk.run.log.error(error.line(), intent.venue, intent.symbol, type(error).__name__)
        return error.line()


def _until_gone(desk: Desk, order_id: str, why: str) -> str:
    for number in range(TRIES_MAX):
        if number:
            clock.pause_s(TRY_GAP_S)
        if cancel.cancel(desk, order_id, why) and _is_settled(desk, order_id):
            return ""
    return QUERY


def _is_settled(desk: Desk, order_id: str) -> bool:
    """Asked once more after the cancel: final, and every fill of it booked."""
    intent = desk.fold().intents.intents[order_id]
    if intent.state == "CONFIRMED" and not lookup.look(desk, order_id, intent) and is_unsettled(intent):
        return False
    after = desk.fold().intents.intents[order_id]
    return not is_open(after) and not is_unsettled(after)
