"""Changing a folder's mode: who may, and how the old chain ends and everything it owns moves under `archive/`.

MODE_SWITCH is the last event of the old chain and names the archive folder. Every step can be repeated: whoever finds
MODE_SWITCH at the tail finishes it, and the last step, one rename, puts a journal with the new stamp in place. What
stays: breakers (they describe the exchange, not the account), the baseline's safe mode (only its command lifts it),
logs and the disk reserve.
"""

from typing import Final

from desk.base import clock
from desk.base.errors import BadInput
from desk.base.money import text
from desk.base.paths import Home
from desk.journal import chain, files, intent_table
from desk.journal.chain import Context, Line, NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, is_open, is_unsettled

KEPT_IN_STATE: Final = frozenset({"circuit_breakers.json", "safe_mode.json", ".locks", ".gitkeep"})
KEPT_IN_LOGS: Final = frozenset({".gitkeep", "reserve.bin"})
WATCH_MS: Final = 86_400_000  # NOT_FOUND is watched 24 h (rules.md, Intents)
MODES: Final = ("PAPER", "LIVE")
SHOWN_MAX: Final = 5


def ask(fold: Fold, to: str, reason: str, instance: str, now_ms: int, discard: bool) -> NewEvent:
    """The MODE_SWITCH that ends this chain.

    Args:
        instance: the account instance the new set is stamped with.
        discard: give up what is open; PAPER books only.

    Raises:
        BadInput: refused; says everything that stands in the way.
    """
    current = fold.portfolio.mode
    if to not in MODES:
        raise BadInput(f"{to!r} is no mode", "mode.py switch", "use PAPER or LIVE")
    if not reason.strip():
        raise BadInput("a switch needs its reason", "mode.py switch", "--reason TEXT")
    if discard and current != "PAPER":
        raise BadInput(f"the folder is {current}: only PAPER books may be discarded", "--discard", "settle them first")
    if to == current and not discard:
        raise BadInput(f"the folder is {to} already", "mode.py switch", "nothing to do (--discard starts PAPER anew)")
    standing = [] if discard else refusals(fold, now_ms)
    if standing:
        more = f" and {len(standing) - SHOWN_MAX} more" if len(standing) > SHOWN_MAX else ""
        raise BadInput(f"refused: {'; '.join(standing[:SHOWN_MAX])}{more}", "mode.py switch", _way_out(current))
    archive = f"archive/{clock.utc_date(now_ms)}.{current}.{fold.seq}.{fold.hash[:8]}"
    data = {"from": current, "to": to, "archive": archive, "reason": reason, "instance": instance, "discard": discard}
    return NewEvent(event=Event.MODE_SWITCH, data=data)


def refusals(fold: Fold, now_ms: int) -> list[str]:
    """What would be lost by ending this chain now: orders that may trade or appear, positions, unfinished swaps."""
    found = []
    for name, intent in sorted(fold.intents.intents.items()):
        if is_open(intent):
            found.append(f"order {name} is {intent.status or intent.state}")
        elif is_unsettled(intent):
            found.append(f"order {name} has fills that are not booked")
        elif intent.anomaly:
            found.append(f"order {name} is quarantined ({intent.anomaly})")
        elif intent.state == intent_table.NOT_FOUND and now_ms - intent.final_ms < WATCH_MS:
            found.append(f"order {name} was not found and is still watched")
    for name, position in sorted(fold.positions.positions.items()):
        if position.quantity:
            found.append(f"position {name} holds {text(position.quantity)} {position.base}")
        if position.swap:
            found.append(f"position {name} has an unfinished PROTECTION_SWAP")
    return found


def finish(home: Home, last: Line) -> None:
    """Carry the switch through that `last`, a MODE_SWITCH at the tail, began. Caller holds the journal lock."""
    target = home.root / str(last.data["archive"])
    files.sync(home.journal)
    for folder, kept in ((home.state, KEPT_IN_STATE), (home.logs, KEPT_IN_LOGS)):
        into = target / folder.name
        files.make_folder(into)
        for path in sorted(folder.iterdir()):
            if path.name not in kept and ".log" not in path.name and path != home.journal:
                files.move_into(path, into)
        files.sync_folder(into)
        files.sync_folder(folder)
    files.keep_link(home.journal, target / home.logs.name / home.journal.name)
    ctx = Context(run_id="", cycle_id="", script="mode", mode=str(last.data["to"]), instance="")
    raw, _ = chain.encode(_genesis(last), 1, last.ts, (1, 1), ctx, chain.ZERO_HASH)
    files.put_whole(home.journal, raw)


def _genesis(last: Line) -> NewEvent:
    """The new stamp, linked to the old chain's end; LIVE starts with the kill switch active."""
    data = {
        "mode": last.data["to"],
        "instance": last.data.get("instance", ""),
        "kill_switch": "active" if last.data["to"] == "LIVE" else "inactive",
        "previous": {"archive": last.data["archive"], "seq": last.seq, "hash": last.hash},
    }
    return NewEvent(event=Event.GENESIS, data=data)


def _way_out(current: str) -> str:
    plain = "let it settle (router.py, reconcile.py) or close it first"
    return f"{plain}, or give the PAPER books up with --discard" if current == "PAPER" else plain
