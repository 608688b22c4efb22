"""Flatten: everything held in a scope is sold at once, by the same path the router sells (P4), under the order lease.

Per position: waiting entries cancelled, protection cancelled and confirmed by query, fills booked, then one bounded
exit order of purpose EXIT for what is free (rules.md, Exits). What could not be sold has its stop again before this
ends; after a crash in between the router's next tick gives it one. A rest below the minimum is dust, by name. Sends
nothing twice: an exit whose outcome is unknown reserves its quantity, and a second run finds nothing left to do. A
journal that cannot be written refuses it before anything is cancelled: the sale could not follow (P4).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.base import clock
from desk.base.errors import JournalError, JournalUnwritable, StateError, WorldError
from desk.base.money import ZERO, divide, text
from desk.base.reasons import Reason
from desk.execution import exits, lookup, operator_cancel
from desk.execution import intent as intents
from desk.execution.desk import Desk
from desk.execution.intent import ENTRY, EXIT, LEG_EXIT
from desk.execution.operator_desk import Hands, Scope, restore
from desk.journal import intent_table
from desk.journal.state import Fold, Position, is_open
from desk.runtime import lease

FLAT: Final = "FLAT"
DUST: Final = "DUST"
LEFT: Final = "LEFT"
NO_TIME: Final = "no time left in this run: its stop stays; run it again"
LOOKS_MAX: Final = 5
LOOK_GAP_S: Final = 0.5
PRICE_PLACES: Final = Decimal("1e-8")


@dataclass(frozen=True)
class Result:
    """What became of one position. `sold` counts every exit of it, the stop that filled meanwhile included."""

    name: str
    outcome: str  # FLAT | DUST | LEFT
    sold: Decimal
    quote: Decimal  # what the sold part brought
    rest: Decimal
    why: str = ""

    def line(self) -> str:
        """One line for the operator."""
        parts = [f"{self.outcome} {self.name}"]
        if self.sold:
            price = divide(self.quote, self.sold).quantize(PRICE_PLACES)
            parts.append(f"sold {text(self.sold)} at {text(price)}")
        if self.rest:
            parts.append(f"rest {text(self.rest)}")
        return ", ".join(parts) + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class Report:
    """The whole act. `entries_left`: entries whose cancel is not confirmed, with the reason: they may still buy."""

    results: tuple[Result, ...]
    entries_left: tuple[tuple[str, str], ...] = ()

    @property
    def done(self) -> bool:
        """Nothing in scope is held above dust, and nothing may still buy."""
        return not self.entries_left and all(result.outcome != LEFT for result in self.results)


def held(fold: Fold, scope: Scope) -> dict[str, Position]:
    """Positions in scope, by `venue:symbol`."""
    known = fold.positions.positions.items()
    return {name: p for name, p in sorted(known) if p.quantity > ZERO and scope.takes(p.venue, p.symbol)}


def waiting(fold: Fold, scope: Scope) -> list[str]:
    """Entries in scope that may still buy."""
    known = fold.intents.intents.items()
    return [n for n, i in known if i.kind == ENTRY and is_open(i) and scope.takes(i.venue, i.symbol)]


def flatten(hands: Hands, scope: Scope, why: str) -> Report:
    """Sell everything in scope; the caller holds the order lease.

    Raises:
        JournalError, StateError: journal or paper books failed; what is not sold keeps or regains its stop next tick.
        JournalUnwritable: nothing more is cancelled; the stop of every position not yet begun rests where it was.
    """
    desk = hands.desk
    until_s = clock.monotonic_s() + desk.run.settings.config.runtime.tick_deadline_s
    _prove_journal(desk)
    lookup.deny_never_sent(desk)
    lookup.look_at_all(desk, scope.venue, scope.symbol)
    hands.snapshot()
    lookup.look_at_all(desk, scope.venue, scope.symbol)  # paper stops that met the fresh book are booked
    before = {p.position_id: _exits_of(desk.fold(), p.position_id) for p in held(desk.fold(), scope).values()}
    cancels = operator_cancel.carry_out(desk, waiting(desk.fold(), scope), why)
    results = []
    for name, position in held(desk.fold(), scope).items():
        lease.beat(desk.run.home, desk.run.door)
        if clock.monotonic_s() > until_s:  # a sale that has begun is carried through; none begins too late
            results.append(Result(name, LEFT, ZERO, ZERO, position.quantity, NO_TIME))
        else:
            results.append(_one(hands, name, position, why, before))
    return Report(tuple(results), tuple(cancels.left))


def _one(hands: Hands, name: str, position: Position, why: str, before: dict[str, tuple[Decimal, Decimal]]) -> Result:
    """One position: sell, then whatever is left has its stop again (or is dust) before the next one's turn."""
    facts = hands.desk.facts.symbol(position.venue, position.symbol) if hands.desk.facts is not None else None
    bid = facts.best_bid if facts is not None and facts.best_bid else ZERO
    problem = ""
    if facts is None or facts.rules is None:
        problem = "no trading rules, or the venue is not in VENUES: its stop stays"
    else:
        try:
            _sell(hands, position, bid, why)
        except (JournalError, StateError):
            raise
        except WorldError as error:
            problem = error.line()
            hands.run.log.error(problem, position.venue, position.symbol, type(error).__name__)
        if not restore(hands, name):
            problem = problem or "the exchange failed while its stop was placed anew: the router's next tick does it"
    return _result(hands, name, position.position_id, problem, before.get(position.position_id, (ZERO, ZERO)))


def _sell(hands: Hands, position: Position, bid: Decimal, why: str) -> None:
    """Free it, each cancel confirmed by query; sell; and hear from the exchange how the sale ended.

    Some exchanges answer a cancel or an order before they have worked on it: both are looked up until they are final.
    """
    desk = hands.desk
    _prove_journal(desk)
    operator_cancel.carry_out(desk, [n for n, i in intents.standing(desk.fold(), position) if i.kind == EXIT], why)
    exits.close_position(desk, position, LEG_EXIT, bid, why, hands.may_exit)
    for number in range(LOOKS_MAX):
        open_sales = intents.standing(desk.fold(), position, LEG_EXIT)
        if not open_sales:
            return
        if number:
            clock.pause_s(LOOK_GAP_S)
        for name, intent in open_sales:
            lookup.look(desk, name, intent)


def _prove_journal(desk: Desk) -> None:
    """A durable event before each cancel that makes way for a sale: one asked for earlier would write none by itself.

    Raises:
        JournalUnwritable: the sale could not be journalled, so its stop is not cancelled.
    """
    try:
        desk.run.stage("FLATTEN", is_bounded=False)
        desk.run.flush()
    except JournalUnwritable as error:
        raise JournalUnwritable(f"{error.what}: REFUSED, the stops stay", error.where, error.hint) from None


def _result(hands: Hands, name: str, position_id: str, problem: str, before: tuple[Decimal, Decimal]) -> Result:
    fold = hands.desk.fold()
    sold, quote = _exits_of(fold, position_id)
    found = fold.positions.positions.get(name)
    dust = fold.positions.dust.get(name)
    outcome, rest, clause = FLAT, ZERO, ""
    if found is not None and found.quantity > ZERO:
        outcome, rest, clause = LEFT, found.quantity, problem or _why_left(hands, position_id)
    elif dust is not None:
        outcome, rest, clause = (
            DUST,
            dust.quantity,
            f"below the exchange's minimum, {_worth(hands, name, dust.quantity)}",
        )
    return Result(name, outcome, sold - before[0], quote - before[1], rest, clause)


def _worth(hands: Hands, name: str, quantity: Decimal) -> str:
    """What a rest is worth at this look's bid."""
    venue, _, symbol = name.partition(":")
    facts = hands.desk.facts.symbol(venue, symbol) if hands.desk.facts is not None else None
    if facts is None or facts.best_bid is None or facts.rules is None:
        return "worth unknown"
    return f"worth {text((quantity * facts.best_bid).quantize(PRICE_PLACES))} {facts.rules.quote}"


def _why_left(hands: Hands, position_id: str) -> str:
    """Why something is left: the last exit's own end, or a cancel that is not confirmed."""
    frozen = hands.may_exit()
    if frozen:
        return frozen
    known = hands.desk.fold().intents.intents
    own = [(n, i) for n, i in known.items() if i.position_id == position_id and i.kind == EXIT]
    unknown = [n for n, i in own if i.state == intent_table.SENT_UNKNOWN]
    if unknown:
        return f"the outcome of {unknown[0]} is not known; it is looked up and never sent again"
    if any(is_open(i) and i.cancel_ms for _, i in own):
        return "the cancel of its protection is not confirmed: it still stands"
    sales = [i for _, i in own if i.leg == LEG_EXIT]
    last = max(sales, key=lambda i: i.attempt) if sales else None
    if last is not None and last.code:
        return f"its exit ended {last.state} {last.code}"
    return "the book took no more at a bounded price; run it again" if last is not None else str(Reason.DATA_MISSING)


def _exits_of(fold: Fold, position_id: str) -> tuple[Decimal, Decimal]:
    """Quantity sold for a position so far, and what it brought."""
    own = [i for i in fold.intents.intents.values() if i.position_id == position_id and i.kind == EXIT]
    return sum((i.filled for i in own), ZERO), sum((i.filled_quote for i in own), ZERO)
