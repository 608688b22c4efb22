"""Locks between processes, in one order. Owns the ranks and asserts them; writes only lock files.

Order (design 3): order lease > control-file lock > journal lock > projection or observation lock; one lock of
a rank at most, each wait bounded. Taking them in any other order is a bug and raises at once, so that a
deadlock cannot hide until two processes meet.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from desk.base.errors import InvariantError, LockBusy, StateError
from desk.base.paths import Home

WAIT_S_MAX: Final = 2.0
POLL_S: Final = 0.003


class Rank(IntEnum):
    """Lower is taken first."""

    ORDER_LEASE = 1
    CONTROL = 2
    JOURNAL = 3
    DATA = 4


class _Held(threading.local):
    """Ranks this thread holds, in the order taken."""

    def __init__(self) -> None:
        self.ranks: list[Rank] = []
        self.locks: dict[
            tuple[Path, str], FileLock
        ] = {}  # made once per file: taking one is on the path of every write


_held = _Held()


def held(rank: Rank) -> bool:
    """True when this thread holds a lock of that rank."""
    return rank in _held.ranks


def assert_none_of_state() -> None:
    """State locks never cross the network (design 3); the order lease alone may.

    Raises:
        InvariantError: this thread holds one.
    """
    ranks = [rank.name for rank in _held.ranks if rank is not Rank.ORDER_LEASE]
    if ranks:
        raise InvariantError(f"a network call under a state lock: {', '.join(ranks)}")


@contextmanager
def hold(home: Home, name: str, rank: Rank, wait_s: float = WAIT_S_MAX) -> Iterator[None]:
    """Hold the sidecar lock `state/.locks/<name>.lock`.

    Args:
        wait_s: how long to wait for another process; 0 = do not wait.

    Raises:
        LockBusy: another process kept it longer than that.
        InvariantError: a lock of the same or a later rank is already held by this thread.
        StateError: the lock file cannot be made.
    """
    if _held.ranks and max(_held.ranks) >= rank:
        raise InvariantError(f"lock order: {name} ({rank.name}) after {[r.name for r in _held.ranks]}")
    lock = _lock_of(home, name)
    try:
        lock.acquire(timeout=wait_s, poll_interval=POLL_S)
    except Timeout:
        raise LockBusy(f"held by another process for {wait_s:g} s", f"{name}.lock", "wait for it to finish") from None
    except OSError as error:
        raise StateError(
            f"cannot be locked ({error.strerror})", f"{name}.lock", "check the state folder's permissions"
        ) from None
    _held.ranks.append(rank)
    try:
        yield
    finally:
        _held.ranks.remove(rank)
        lock.release()


@contextmanager
def only_one(home: Home, name: str) -> Iterator[None]:
    """Be the one process of a service for as long as it lives. Outside the ranks: nobody ever waits for it.

    Raises:
        LockBusy: another process is.
        StateError: the lock file cannot be made.
    """
    lock = FileLock(_path(home, name), is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LockBusy("runs already", name, "one is enough; end that one first") from None
    except OSError as error:
        raise StateError(f"cannot be locked ({error.strerror})", name, "check the state folder's permissions") from None
    try:
        yield
    finally:
        lock.release()


def _path(home: Home, name: str) -> Path:
    path = home.locks / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"cannot be made ({error.strerror})", str(path.parent), "check its permissions") from None
    return path


def _lock_of(home: Home, name: str) -> FileLock:
    """This thread's hand on a lock file; made once, with its folder (which a FileLock makes again, should it go)."""
    found = _held.locks.get((home.root, name))
    if found is None:
        found = _held.locks[home.root, name] = FileLock(_path(home, name), is_singleton=False)
    return found
