"""The order lease: one holder per account, for one cycle, network included. Owns the lock and its info file.

Every POST of an order needs it; engage, queries and cancels never do. Who holds it and when it was last alive is in
`state/order_lease.json`, so that a busy router can tell a working holder from a hung one.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from desk.base import clock
from desk.base.errors import LockBusy, StateError
from desk.base.paths import Home
from desk.state import lock, store

NAME: Final = "order_lease"  # the info file; its own sidecar lock bears this name
LOCK: Final = "account"


@contextmanager
def order_lease(home: Home, door: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the order lease.

    Args:
        wait_s: 0 for cron doors (busy = exit 3), up to a minute for operator doors.

    Raises:
        LockBusy: somebody else holds it; names the holder.
    """
    try:
        with lock.hold(home, LOCK, lock.Rank.ORDER_LEASE, wait_s):
            beat(home, door, started=True)
            try:
                yield
            finally:
                beat(home, door, ended=True)
    except LockBusy as busy:
        if busy.where != f"{LOCK}.lock":
            raise
        raise LockBusy(f"the order lease is held by {holder(home)}", "order lease", "it ends with that cycle") from None


def beat(home: Home, door: str, started: bool = False, ended: bool = False) -> None:
    """Note that the holder is alive (or has ended). Best effort: it is an observation."""
    with suppress(StateError, LockBusy):
        old = (None if started else store.read(home, NAME)) or {}
        now = clock.now_ms()
        value = {
            "door": door,
            "started_at": clock.iso(now) if started else old.get("started_at", clock.iso(now)),
            "heartbeat_ms": now,
            "held": not ended,
        }
        store.write(home, NAME, value, "runtime.tick")


def holder(home: Home) -> str:
    """The holder's door and when it was last alive, for a message."""
    with suppress(StateError):
        found = store.read(home, NAME)
        if found:
            return f"{found.get('door', 'a door')} since {found.get('started_at', '?')}"
    return "another process"


def holder_alive_ms(home: Home) -> int:
    """When the holder was last alive (epoch ms); 0 when unknown."""
    with suppress(StateError):
        found = store.read(home, NAME)
        if found and isinstance(found.get("heartbeat_ms"), int):
            return int(found["heartbeat_ms"])
    return 0
