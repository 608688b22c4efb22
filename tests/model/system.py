"""A small model of what can happen to orders: overlapping jobs, locks, a network that loses answers, crashes.

Owns the model's state and its steps; explores nothing. One symbol, one entry and a few exits; time is one bit per order
(has the venue's quiet time passed). The life of an intent is not modelled anew: its transitions are those of
`desk.journal.intent_table`, so that the table itself is what gets explored. `BUGS` are the mistakes other systems make;
each must be found (test_explorer).
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from desk.journal import intent_table
from desk.journal.events import Event

ENTRY: Final = "e"
EXITS: Final = ("x0", "x1")
IDS: Final = (ENTRY, *EXITS)
LOOKS: Final = 2  # complete looks after the quiet time that make "not found" evidence
BUGS: Final = frozenset({
    "resend_on_timeout", "not_found_at_once", "stale_exit", "no_lease", "send_before_write", "no_last_look",
    "no_sync_before_send", "engage_forgets_file", "no_lease_wait",
})  # fmt: skip


class Order(NamedTuple):
    """One client order id: what the journal says, and what is true outside."""

    state: str = ""  # by the journal's synced groups
    posts: int = 0  # times its bytes left
    wire: str = "none"  # none, flying (the exchange may still take it), taken, gone
    quiet: bool = False  # the quiet time after its timestamp has passed
    looks: int = 0


class Job(NamedTuple):
    """A running process: its program counter and what it keeps in mind."""

    kind: str  # router, reconcile, engage, flatten
    at: str
    about: str = ""  # the client order id it works on
    note: str = ""  # what the exchange answered
    later: str = ""  # where it goes when the journal step is done
    clear: bool = False  # the last look found nothing that stops it


class World(NamedTuple):
    """Everything."""

    orders: tuple[Order, ...] = (Order(),) * len(IDS)
    jobs: tuple[Job | None, ...] = (None, None, None)
    lock: int = -1  # slot of the job that holds the journal lock
    lease: int = -1
    kill_file: bool = False
    kill_journal: bool = False
    engaged: bool = False  # engage has returned
    late_post: bool = False  # an entry's bytes left although its last look came after that
    starts: tuple[int, int, int, int] = (2, 1, 1, 0)  # routers, reconciles, engages, flattens that may still start
    crashes: int = 1
    exit_sum: int = 0  # taken sells minus taken buys may never be positive

    def order(self, name: str) -> Order:
        return self.orders[IDS.index(name)]

    def put(self, name: str, **changes: object) -> "World":
        index = IDS.index(name)
        fresh = self.orders[index]._replace(**changes)
        return self._replace(orders=(*self.orders[:index], fresh, *self.orders[index + 1 :]))

    def job(self, slot: int, job: Job | None) -> "World":
        return self._replace(jobs=(*self.jobs[:slot], job, *self.jobs[slot + 1 :]))


Step = tuple[str, World]
SENDERS: Final = frozenset({"router", "flatten"})  # those that hold the lease and may send
KINDS: Final = ("router", "reconcile", "engage", "flatten")
FIRST: Final = {"router": "lease", "reconcile": "recover", "engage": "file", "flatten": "wait"}


def steps(world: World, bugs: frozenset[str] = frozenset()) -> Iterator[Step]:
    """Everything that can happen next: a job starts, moves or dies; the exchange acts; time passes."""
    free = next((slot for slot, job in enumerate(world.jobs) if job is None), None)
    for number, kind in enumerate(KINDS):
        if free is not None and world.starts[number]:
            left = tuple(n - (i == number) for i, n in enumerate(world.starts))
            yield f"start {kind}", world._replace(starts=left).job(free, Job(kind, FIRST[kind]))  # type: ignore[arg-type]
    for slot, job in enumerate(world.jobs):
        if job is None:
            continue
        yield from PROGRAM[job.at](world, slot, job, bugs)
        if world.crashes:
            yield f"{job.kind} dies", _gone(world._replace(crashes=world.crashes - 1), slot)
    for name in IDS:
        order = world.order(name)
        if order.wire == "flying":
            yield f"exchange takes {name}", _taken(world, name)
            yield f"{name} is lost on the way", world.put(name, wire="gone")
        elif order.posts and not order.quiet:  # the venue's row promises that nothing flies longer than that
            yield f"quiet time of {name} passes", world.put(name, quiet=True)


def _gone(world: World, slot: int) -> World:
    """A job is no more; the operating system lets its locks go."""
    lock = -1 if world.lock == slot else world.lock
    lease = -1 if world.lease == slot else world.lease
    return world._replace(lock=lock, lease=lease).job(slot, None)


def _taken(world: World, name: str) -> World:
    moved = -1 if name == ENTRY else 1
    return world.put(name, wire="taken")._replace(exit_sum=world.exit_sum + moved)


def _lease(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    if "no_lease" in bugs or ("stale_exit" in bugs and not job.note):
        yield f"{job.kind} goes on", world.job(slot, job._replace(at="recover"))
    elif world.lease == -1 and job.note:
        yield "router takes the lease late", world._replace(lease=slot).job(slot, job._replace(at="lock"))
    elif world.lease == -1:
        yield "router takes the lease", world._replace(lease=slot).job(slot, job._replace(at="recover"))
    else:
        yield "router is busy", _gone(world, slot)


def _wait(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    """The operator's flatten waits for the lease, but not for ever."""
    if world.lease == -1 or "no_lease_wait" in bugs:
        yield "flatten takes the lease", world._replace(lease=slot).job(slot, job._replace(at="recover"))
    yield "flatten gives up", _gone(world, slot)


def _recover(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    """Unknown orders first; reconcile also watches those that were not found."""
    watched = {intent_table.SENT_UNKNOWN} | ({intent_table.NOT_FOUND} if job.kind == "reconcile" else set())
    name = next((n for n in IDS if world.order(n).state in watched and n > job.about), None)
    if name is not None:
        yield f"{job.kind} asks for {name}", world.job(slot, job._replace(at="asked", about=name))
    else:
        yield f"{job.kind} recovered", world.job(slot, job._replace(at="decide" if job.kind in SENDERS else "end"))


def _asked(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    order = world.order(job.about)
    yield "no answer", world.job(slot, job._replace(at="recover"))
    if order.wire == "taken":
        found = job._replace(at="lock", note="found", later="recover")
        yield f"{job.about} is found", world.job(slot, found)
    elif order.state == intent_table.SENT_UNKNOWN and (order.quiet or "not_found_at_once" in bugs):
        absent = job._replace(at="lock", note="absent", later="recover")
        yield f"{job.about} is absent", world.job(slot, absent)
    if "resend_on_timeout" in bugs and job.kind == "router" and order.state == intent_table.SENT_UNKNOWN:
        yield f"{job.about} is sent again", world.job(slot, job._replace(at="bytes", clear=True))


def _decide(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    """What the gates allow by the fold as read without a lock; submit looks again under it."""
    name = _wanted(world, job)
    if name is None:
        yield f"{job.kind} wants nothing", world.job(slot, job._replace(at="end"))
    elif "send_before_write" in bugs:
        yield f"{job.kind} sends {name} first", world.job(slot, job._replace(at="bytes", about=name, clear=True))
    else:
        plan = job._replace(at="lease" if "stale_exit" in bugs else "lock", about=name, note="plan", later="look")
        yield f"{job.kind} plans {name}", world.job(slot, plan)


def _wanted(world: World, job: Job) -> str | None:
    """The entry, once; then one exit at a time while something is held. Nothing while an order is unknown.

    Flatten only sells.
    """
    if any(order.state == intent_table.SENT_UNKNOWN for order in world.orders):
        return None
    if not world.order(ENTRY).state:
        return None if world.kill_file or world.kill_journal or job.kind == "flatten" else ENTRY
    if not _held(world):
        return None
    ended = [world.order(name).state in intent_table.TERMINAL for name in EXITS]
    return next((n for i, n in enumerate(EXITS) if not world.order(n).state and all(ended[:i])), None)


def _held(world: World) -> bool:
    """By the journal: bought and not sold."""
    is_bought = world.order(ENTRY).state == intent_table.CONFIRMED
    return is_bought and not any(world.order(name).state == intent_table.CONFIRMED for name in EXITS)


def _lock(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    if world.lock == -1:
        yield f"{job.kind} locks", world._replace(lock=slot).job(slot, job._replace(at="write"))


def _write(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    """The group is folded, decided, written and synced under the lock; dying before the sync writes nothing."""
    after, goes = WRITES[job.note](world, job, bugs)
    fresh = job._replace(at=goes, note="", later="")
    yield f"{job.kind} writes {job.note} {job.about}".rstrip(), after._replace(lock=-1).job(slot, fresh)
    if "no_sync_before_send" in bugs and job.note == "plan" and goes == "look":
        yield "the write is not on disk yet", world._replace(lock=-1).job(slot, fresh)


def _plan(world: World, job: Job, bugs: frozenset[str]) -> tuple[World, str]:
    """INTENT_CREATED and INTENT_SENT_UNKNOWN in one group, unless the fold under the lock says no."""
    if _wanted(world, job) != job.about and "stale_exit" not in bugs:
        return world, "end"
    created = intent_table.next_state("", Event.INTENT_CREATED)
    sent = intent_table.next_state(created or "", Event.INTENT_SENT_UNKNOWN)
    return world.put(job.about, state=sent), "look"


def _found(world: World, job: Job, bugs: frozenset[str]) -> tuple[World, str]:
    return _evidence(world, job.about, Event.INTENT_CONFIRMED), job.later


def _absent(world: World, job: Job, bugs: frozenset[str]) -> tuple[World, str]:
    """INTENT_LOOKED, and INTENT_NOT_FOUND with the last look that is needed."""
    order = world.order(job.about)
    if order.state != intent_table.SENT_UNKNOWN:
        return world, job.later
    looks = order.looks + 1
    enough = looks >= LOOKS or "not_found_at_once" in bugs
    world = world.put(job.about, looks=looks)
    return (_evidence(world, job.about, Event.INTENT_NOT_FOUND) if enough else world), job.later


def _rejected(world: World, job: Job, bugs: frozenset[str]) -> tuple[World, str]:
    return _evidence(world, job.about, Event.INTENT_FAILED_TERMINAL), job.later


def _not_sent(world: World, job: Job, bugs: frozenset[str]) -> tuple[World, str]:
    return _evidence(world, job.about, Event.INTENT_NOT_SENT), job.later


def _engaged(world: World, job: Job, bugs: frozenset[str]) -> tuple[World, str]:
    return world._replace(kill_journal=True), job.later


def _evidence(world: World, name: str, event: Event) -> World:
    """The table's step; a pair it does not have is an anomaly, shown as such."""
    following = intent_table.next_state(world.order(name).state, event)
    return world.put(name, state=following if following is not None else "ANOMALY")


WRITES: Final[dict[str, Callable[[World, Job, frozenset[str]], tuple[World, str]]]] = {
    "plan": _plan, "found": _found, "absent": _absent, "rejected": _rejected, "not_sent": _not_sent,
    "engaged": _engaged,
}  # fmt: skip


def _look(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    """The last look at the latches, at the moment of writing; an exit passes them."""
    stopped = job.about == ENTRY and (world.kill_file or world.kill_journal)
    if stopped and "no_last_look" not in bugs:
        ended = job._replace(at="lock", note="not_sent", later="end")
        yield "the last look stops it", world.job(slot, ended)
    else:
        yield "the last look passes", world.job(slot, job._replace(at="bytes", clear=not world.engaged))


def _bytes(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    order = world.order(job.about)
    is_late = job.about == ENTRY and world.engaged and not job.clear
    wire = order.wire if order.wire == "taken" else "flying"
    after = world.put(job.about, posts=order.posts + 1, wire=wire)._replace(late_post=world.late_post or is_late)
    yield f"bytes of {job.about}", after.job(slot, job._replace(at="answer"))


def _answer(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    order = world.order(job.about)
    yield "the answer is lost", world.job(slot, job._replace(at="end"))
    if order.wire in {"flying", "taken"}:
        after = _taken(world, job.about) if order.wire == "flying" else world
        yield "accepted", after.job(slot, job._replace(at="lock", note="found", later="end"))
    if order.wire == "flying":
        refused = world.put(job.about, wire="gone")
        yield "refused", refused.job(slot, job._replace(at="lock", note="rejected", later="end"))


def _file(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    """Engage: the file first, then the journal; it returns when either holds."""
    is_written = "engage_forgets_file" not in bugs
    after = job._replace(at="returned" if not is_written else "lock", note="engaged", later="returned")
    yield "engage writes its file", world._replace(kill_file=is_written).job(slot, after)


def _returned(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    yield "engage returns", _gone(world._replace(engaged=True), slot)


def _end(world: World, slot: int, job: Job, bugs: frozenset[str]) -> Iterator[Step]:
    yield f"{job.kind} ends", _gone(world, slot)


PROGRAM: Final[dict[str, Callable[[World, int, Job, frozenset[str]], Iterator[Step]]]] = {
    "lease": _lease, "wait": _wait, "recover": _recover, "asked": _asked, "decide": _decide, "lock": _lock,
    "write": _write, "look": _look, "bytes": _bytes, "answer": _answer, "file": _file, "returned": _returned,
    "end": _end,
}  # fmt: skip
