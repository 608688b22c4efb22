"""The kill switch in words: one line each for state, file, journal and the ways out. Pure; prints nothing."""

from desk.base import clock
from desk.config.schema import KillPositions
from desk.journal.state import Fold
from desk.risk import kill_reasons
from desk.risk.latches import Latches


def state(found: Latches) -> str:
    """INACTIVE, or ACTIVE with level, reasons, note and since when."""
    kill = found.kill
    if not kill.active:
        return "INACTIVE"
    named = ", ".join(kill.reasons) + (f": {kill.note}" if kill.note else "")
    since = f" since {clock.iso(kill.since_ms)}" if kill.since_ms else ""
    return f"ACTIVE {kill.level} ({named}){since}"


def file_line(found: Latches) -> str:
    """What stands in kill_switch.json."""
    reading = found.kill_file
    if reading.doc is None:
        return reading.problem
    edited = " (edited by hand)" if "kill_switch" in found.edited else ""
    return f"{reading.doc.get('state')}{edited}"


def journal_line(fold: Fold | None) -> str:
    """What the journal says."""
    if fold is None:
        return "cannot be read"
    if not fold.seq:
        return "nothing written yet"
    latch = fold.portfolio.kill_switch
    named = f" {', '.join(latch.reasons)}" if latch.reasons else ""
    return f"{latch.state}{named} since {clock.iso(latch.since_ms)} by {latch.by or '-'}"


def release_rules(found: Latches, chosen: KillPositions) -> list[str]:
    """For each reason that holds: how it lets go, and what happens to positions."""
    if not found.kill.active:
        return []
    rows = {kill_reasons.row_of(name).name: kill_reasons.row_of(name) for name in found.kill.reasons}
    does = {name: kill_reasons.positions_of(name, chosen) for name in rows}
    return [f"{name}: {row.release}; positions: {does[name]}" for name, row in rows.items()]
