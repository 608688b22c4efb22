"""Changing a folder's mode: the old chain ends, everything it owns moves under `archive/`. Owns those renames.

MODE_SWITCH is the last event of the old chain and names the archive folder. Every step can be repeated: whoever finds
MODE_SWITCH at the tail finishes it, and the last step, one rename, puts a journal with the new stamp in place. What
stays: breakers (they describe the exchange, not the account), logs and the disk reserve.
"""

import contextlib
import os
from typing import Final

from desk.base.paths import Home
from desk.journal import chain, files, rotate
from desk.journal.chain import Context, Line, NewEvent
from desk.journal.events import Event

KEPT_IN_STATE: Final = frozenset({"circuit_breakers.json", ".locks", ".gitkeep"})
KEPT_IN_LOGS: Final = frozenset({".gitkeep", "reserve.bin"})


def finish(home: Home, last: Line) -> None:
    """Carry the switch through that `last`, a MODE_SWITCH at the tail, began. Caller holds the journal lock."""
    target = home.root / str(last.data["archive"])
    for folder, kept in ((home.state, KEPT_IN_STATE), (home.logs, KEPT_IN_LOGS)):
        into = target / folder.name
        into.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            if path.name not in kept and path.suffix != ".log" and path != home.journal:
                os.replace(path, into / path.name)
        files.sync_folder(into)
        files.sync_folder(folder)
    kept_journal = target / home.logs.name / home.journal.name
    with contextlib.suppress(FileExistsError):
        os.link(home.journal, kept_journal)
    files.sync_folder(kept_journal.parent)
    ctx = Context(run_id="", cycle_id="", script="mode", mode=str(last.data["to"]), instance="")
    raw, _ = chain.encode(_genesis(last), 1, last.ts, (1, 1), ctx, chain.ZERO_HASH)
    rotate.put_first_line(home, raw, 0)


def _genesis(last: Line) -> NewEvent:
    """The new stamp, linked to the old chain's end; LIVE starts with the kill switch active."""
    data = {
        "mode": last.data["to"],
        "instance": last.data.get("instance", ""),
        "kill_switch": "active" if last.data["to"] == "LIVE" else "inactive",
        "previous": {"archive": last.data["archive"], "seq": last.seq, "hash": last.hash},
    }
    return NewEvent(event=Event.GENESIS, data=data)
