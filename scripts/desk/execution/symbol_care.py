"""Symbols that do not take orders as they did: quarantine, halts, rules changed under us (rules.md, quarantine).

Owns when a symbol is off for entries and when its rules are asked for again. Never stops an exit by itself: a position
whose symbol takes no sale now is named (CRIT), keeps what rests, and is tried again each tick.
"""

from typing import Final

import msgspec

from desk.base.errors import WorldError
from desk.base.money import ZERO, text
from desk.base.reasons import Reason
from desk.execution.desk import Desk
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Position, key
from desk.risk import facts_symbols
from desk.venues.outcome import Klass
from desk.venues.protocol import SymbolRules

CAUSES: Final = {Klass.LOCAL_BUG: "FILTER_REJECT", Klass.SYMBOL_HALTED: "HALTED"}  # refusals that may mean new rules


def refresh_rules(desk: Desk, venue: str, symbol: str, klass: Klass) -> None:
    """After a refusal that may mean other rules, ask for them at once; at most once a tick and symbol."""
    name = key(venue, symbol)
    found = desk.facts.symbols.get(name) if desk.facts is not None else None
    if klass not in CAUSES or desk.market_of is None or desk.facts is None or found is None or name in desk.refreshed:
        return
    desk.refreshed.add(name)
    try:
        rules = facts_symbols.refresh_rules(desk.run, desk.market_of(venue), venue, symbol, CAUSES[klass])
    except WorldError as error:
        desk.run.log.error(error.line(), venue, f"{symbol} filters", type(error).__name__)
        return
    fresh = msgspec.structs.replace(found, rules=rules)
    desk.facts = msgspec.structs.replace(desk.facts, symbols={**desk.facts.symbols, name: fresh})


def newest(desk: Desk, position: Position, rules: SymbolRules) -> SymbolRules:
    """The rules as last asked for in this tick; `rules` where the desk has none of its own."""
    found = desk.facts.symbol(position.venue, position.symbol) if desk.facts is not None else None
    return found.rules if found is not None and found.rules is not None else rules


def is_shut(desk: Desk, name: str) -> bool:
    """The exchange takes no sale of the symbol now: halted, cancel-only, or not listed any more. Says so, CRIT."""
    found = desk.facts.symbols.get(name) if desk.facts is not None else None
    position = desk.fold().positions.positions.get(name)
    if found is None or position is None or position.quantity <= ZERO:
        return False
    is_gone = found.rules is None and not found.problems  # asked for, and not listed
    if not is_gone and (found.rules is None or found.rules.exits_allowed):
        return False
    status = "not listed any more" if found.rules is None else f"status {found.rules.status}"
    where = f"{name} {text(position.quantity)} held, {status}: no order is taken"
    desk.alert(Reason.POSITION_SHUT, where, position.symbol, position.venue, position.symbol)
    return True


def care(desk: Desk) -> None:
    """Once a tick: what is due for quarantine, by refusals, by lost answers, or by its status."""
    parts = desk.fold().positions
    for name in sorted({*parts.rejects, *parts.timeouts}):
        quarantine_if_due(desk, *name.split(":", 1))
    for name, found in sorted(desk.facts.symbols.items() if desk.facts is not None else ()):
        until_ms = desk.fold().positions.quarantine.get(name, 0)
        if found.rules is not None and found.rules.status != facts_symbols.TRADING and until_ms <= desk.run.tick_ms:
            _quarantine(desk, found.venue, found.symbol, f"status {found.rules.status}")


def quarantine_if_due(desk: Desk, venue: str, symbol: str) -> None:
    """Three filter refusals, or three requests without an answer, in a row within an hour."""
    limits, parts, name = desk.run.settings.config.quarantine, desk.fold().positions, key(venue, symbol)
    since_ms = desk.run.tick_ms - limits.window_s * 1000
    for cause, table, most in (
        ("filter_rejects", parts.rejects, limits.rejects_max), ("timeouts", parts.timeouts, limits.timeouts_max),
    ):  # fmt: skip
        if sum(1 for at_ms in table.get(name, ()) if at_ms >= since_ms) >= most:
            return _quarantine(desk, venue, symbol, cause)
    return None


def _quarantine(desk: Desk, venue: str, symbol: str, cause: str) -> None:
    """Off for entries from now on; nothing else: exits, cancels and look-ups go on."""
    data = {"until_ms": desk.run.tick_ms + desk.run.settings.config.quarantine.duration_s * 1000, "cause": cause}
    codes = (str(Reason.SYMBOL_QUARANTINED),)
    desk.run.warn("WARN", f"{venue} {symbol} is off for entries: {cause}")
    desk.commit_events(
        NewEvent(event=Event.SYMBOL_QUARANTINED, venue=venue, symbol=symbol, data=data, reason_codes=codes),
        check.alert(Reason.SYMBOL_QUARANTINED, f"{symbol}: {cause}", symbol, venue, symbol),
    )
