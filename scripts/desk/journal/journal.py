"""The journal: one append, one fold. Owns `execution-logs/audit.jsonl`, its lock, hint and projections.

`transact(decide)` is the only way to write: take the journal lock, fold to the tail, call the pure `decide(fold)`,
check its events against the tables, write them as one group, fsync, release. Two deciders can never act on one stale
fold. Readers (`read_fold`) take no lock, stop at the last whole group and never repair. Whoever takes the lock first
finishes what a crash left: a torn tail, a rotation, a mode switch, a reseal.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from desk.base import clock
from desk.base.errors import InvariantError, JournalError, JournalUnwritable, ModeMismatch
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal import chain, check, files, projections, reseal, rotate, segment, switch, walk
from desk.journal.chain import Context, Line, NewEvent
from desk.journal.events import Event
from desk.journal.fold import apply
from desk.journal.state import Fold
from desk.journal.view import Moved, View

Decide = Callable[[Fold], Sequence[NewEvent]]
Result = TypeVar("Result")
READ_TRIES: Final = 3
GROUP_EVENTS_MAX: Final = 500
EVENT_BYTES_MAX: Final = 65_536
RETENTION_DAYS: Final = 400
UNSTAMPED_MODE: Final = "LIVE"  # a latch engaged in a folder nobody has stamped: the strict reading


class Journal(msgspec.Struct, dict=True):  # dict: the view, made once
    """One process's handle on one home's journal.

    Attributes:
        may_spend_reserve: this door's events matter on a full disk (cancels, exits, reconcile): the preallocated
            reserve is released for them.
        unstamped_mode: the stamp of a fresh folder when the context names no mode.
    """

    home: Home
    ctx: Context
    may_spend_reserve: bool = True
    reserve_bytes: int = files.RESERVE_BYTES
    retention_days: int = RETENTION_DAYS
    event_bytes_max: int = EVENT_BYTES_MAX
    group_events_max: int = GROUP_EVENTS_MAX
    unstamped_mode: str = UNSTAMPED_MODE
    _dead: str = ""  # why this handle writes no more

    def __post_init__(self) -> None:
        self._view: View = View(self.home)

    def read_fold(self) -> Fold:
        """The folded state up to the last whole group, without a lock.

        Raises:
            JournalError, JournalDamaged: unreadable or damaged.
        """
        for _ in range(READ_TRIES):
            if self._view.fold is not None and self._view.is_unchanged():
                return self._view.fold
            try:
                fold, _ = self._view.forward()
            except Moved:  # a rotation went by: read again
                continue
            return fold
        raise JournalError("keeps changing while being read", str(self.home.journal), "run again")

    def transact(self, decide: Decide) -> tuple[Fold, list[Line]]:
        """Fold to the tail and append what `decide` wants, as one durable group.

        Returns:
            The fold with the new events in it, and their lines ([] when `decide` wanted nothing).

        Raises:
            JournalUnwritable: write or fsync failed; nothing of the group counts.
            JournalDamaged: a line other than a torn last group is wrong.
            ModeMismatch: the folder is stamped with another mode.
            InvariantError: `decide` broke a table of ours.
        """
        with files.journal_lock(self.home):
            fold = self._fold_locked()
            self._check_stamp(fold)
            wanted = check.complete(fold, list(decide(fold)))
            return fold, self._append_today(fold, wanted) if wanted else []

    def publish(self) -> Fold:
        """Write the projections up to the tail (fsynced); an older process never overwrites a newer one.

        Raises:
            StateError: a projection cannot be written.
        """
        with files.journal_lock(self.home):
            fold = self._fold_locked()
            projections.publish(self.home, fold)
            return fold

    def rebuild(self) -> Fold:
        """Fold anew from the oldest kept checkpoint, trusting no projection, and write the projections.

        Raises:
            JournalDamaged: the chain does not hold; the projections are left as they are.
        """
        with files.journal_lock(self.home):
            self._fold_locked()
            fold = walk.refold(self.home)
            projections.publish(self.home, fold, whatever_stands=True)
            return fold

    def reseal(self, reason: str) -> reseal.Damage:
        """Move what is damaged to `archive/` and go on from the last good group; leaves PAUSE and unknown books.

        Raises:
            BadInput: nothing is damaged.
        """
        with files.journal_lock(self.home):
            self._check_alive()
            self._view.forget()
            if self._carry(lambda: reseal.finish_pending(self.home)):
                fold = self._fold_locked()
                projections.publish(self.home, fold)
                return reseal.Damage("an earlier reseal was finished", True, (), fold, fold.seq + 1, fold.seq)
            damage = reseal.survey(self.home)
            if damage.in_active:
                ctx = self._stamped_ctx(damage.base)
                self._carry(lambda: reseal.plan(self.home, damage, ctx, reason))
                fold = self._fold_locked()
            else:
                fold = self._fold_locked()
                if not damage.is_said:
                    self._append_today(fold, reseal.events(damage, reason))
                if reseal.holds_the_start(self.home, damage):
                    self._rotate(fold)
                self._carry(lambda: reseal.move_sealed(self.home, damage))
            projections.publish(self.home, fold)
            return damage

    def _fold_locked(self) -> Fold:
        """Fold under the lock: finish what a crash left, cut a torn tail, sync lines others wrote."""
        self._check_alive()
        if self._view.is_current():
            assert self._view.fold is not None
            return self._view.fold
        if self._carry(lambda: reseal.finish_pending(self.home)):
            self._view.forget()
        fold, tail = self._view.forward()
        torn = self._carry(lambda: files.cut(self.home, tail, fold.seq)) if tail.size else b""
        if self._finish_step(fold):
            fold, _ = self._view.forward()
        if not fold.seq:
            files.ensure_reserve(self.home, self.reserve_bytes)  # from the first event on a full disk has a reserve
            self._append(fold, [check.genesis(self._stamped_ctx(fold))])
        if torn:
            self._append_today(fold, _tail_cut(torn, fold.seq))
        self._settle(fold)
        return fold

    def _finish_step(self, fold: Fold) -> bool:
        """Carry through a rotation or a mode switch whose last event stands at the tail; True when there was one."""
        portfolio = fold.portfolio
        if not fold.seq or portfolio.applied_line == portfolio.applied_offset:
            return False
        last = segment.line_at(self.home.journal, portfolio.applied_line, portfolio.applied_offset)
        step = STEPS.get(last.event) if last is not None else None
        if step is None or last is None:
            return False
        self._carry(lambda: step(self.home, last))
        self._view.forget()
        return True

    def _settle(self, fold: Fold) -> None:
        """Lines others wrote are synced before anyone acts on them; a hint at this very line says they are."""
        if self._view.durable_seq == fold.seq:
            return
        hint = files.read_hint(self.home)
        if hint is None or (hint.seq, hint.hash) != (fold.seq, fold.hash):
            try:
                files.sync(self.home.journal)
            except OSError as error:
                self._die(error)
            files.write_hint(self.home, fold)
        self._view.durable_seq = fold.seq

    def _append_today(self, fold: Fold, wanted: Sequence[NewEvent]) -> list[Line]:
        """Append, into a new segment when the UTC date is later than the segment's."""
        today = clock.utc_date(clock.now_ms())
        if fold.portfolio.applied_offset and self._view.opened_on and self._view.opened_on < today:
            self._rotate(fold)
            with contextlib.suppress(OSError):  # what stays too long does no harm
                rotate.drop_old(self.home, today, self.retention_days)
        return self._append(fold, wanted)

    def _rotate(self, fold: Fold) -> None:
        """Seal the active segment and open the next; `fold` goes on in it."""
        self._append(fold, [rotate.checkpoint(fold)])
        self._finish_step(fold)
        fresh, _ = self._view.forward()
        fold.intents, fold.positions, fold.portfolio = fresh.intents, fresh.positions, fresh.portfolio
        self._view.fold, self._view.durable_seq = fold, fold.seq

    def _append(self, fold: Fold, wanted: Sequence[NewEvent]) -> list[Line]:
        if len(wanted) > self.group_events_max:
            raise InvariantError(f"a group of {len(wanted)} events is larger than {self.group_events_max}")
        ts = clock.iso(clock.now_ms())
        texts, lines = [], []
        prev, ctx = fold.hash, self._stamped_ctx(fold)
        for index, new in enumerate(wanted, 1):
            text, prev = chain.encode(new, fold.seq + index, ts, (index, len(wanted)), ctx, prev)
            if len(text) > self.event_bytes_max and new.event not in chain.CARRIES_FOLD:
                raise InvariantError(f"{new.event} of {len(text)} bytes is larger than {self.event_bytes_max}")
            texts.append(text)
            lines.append(chain.parse(text))
        offset = fold.portfolio.applied_offset
        self._write(b"".join(texts), offset)
        for text, line in zip(texts, lines, strict=True):
            apply(fold, line, offset, offset + len(text))
            offset += len(text)
        self._view.fold, self._view.identity = fold, files.identity(self.home.journal)
        self._view.opened_on = self._view.opened_on or ts[:10]
        self._view.durable_seq = 0 if lines[-1].event in STEPS else fold.seq  # a step's last event is to be finished
        files.write_hint(self.home, fold)
        return lines

    def _write(self, raw: bytes, offset: int) -> None:
        """One durable group; on a full disk once more with the reserve given back.

        Raises:
            JournalUnwritable: nothing of the group counts.
        """
        for is_last in (False, True):
            try:
                files.append(self.home, raw, offset)
            except files.NoSpace:
                if is_last or not self.may_spend_reserve or not files.release_reserve(self.home):
                    raise JournalUnwritable("no space left", str(self.home.journal), "free disk space") from None
            except OSError as error:
                self._die(error)
            else:
                return

    def _carry(self, step: Callable[[], Result]) -> Result:
        """A repeatable step of files; on a full disk once more with the reserve given back.

        Raises:
            JournalUnwritable: it stopped half-way; the next append carries on.
        """
        for is_last in (False, True):
            try:
                return step()
            except OSError as error:
                is_full = error.errno in files.NO_SPACE
                if is_last or not (is_full and self.may_spend_reserve and files.release_reserve(self.home)):
                    what = "no space left" if is_full else f"cannot be written ({error.strerror or error})"
                    raise JournalUnwritable(
                        what, str(self.home.journal), "free disk space, check permissions"
                    ) from None
        raise AssertionError("unreachable")

    def _die(self, error: OSError) -> None:
        """A failed write or fsync is never retried as success: this process appends no more."""
        self._dead = f"cannot be written ({error.strerror or error})"
        self._view.forget()
        raise JournalUnwritable(self._dead, str(self.home.journal), "check disk and permissions") from None

    def _check_alive(self) -> None:
        if self._dead:
            raise JournalUnwritable(self._dead, str(self.home.journal), "restart the door; see errors.log")

    def _stamped_ctx(self, fold: Fold) -> Context:
        """A context without a mode (kill switch, breakers, notes) writes under the folder's stamp."""
        if self.ctx.mode:
            return self.ctx
        return msgspec.structs.replace(self.ctx, mode=fold.portfolio.mode or self.unstamped_mode)

    def _check_stamp(self, fold: Fold) -> None:
        if self.ctx.mode and fold.portfolio.mode != self.ctx.mode:
            raise ModeMismatch(
                f"the folder is stamped {fold.portfolio.mode}, SYSTEM_MODE is {self.ctx.mode}",
                str(self.home.root),
                f"mode.py switch {self.ctx.mode} --reason TEXT, or set SYSTEM_MODE={fold.portfolio.mode}",
            )


STEPS: Final[dict[str, Callable[[Home, Line], None]]] = {  # the event that ends a segment -> what carries on from it
    Event.JOURNAL_CHECKPOINT: rotate.finish,
    Event.MODE_SWITCH: switch.finish,
}


def _tail_cut(torn: bytes, after_seq: int) -> list[NewEvent]:
    data = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest(), "after_seq": after_seq}
    codes = (str(Reason.AUDIT_TAIL_CUT),)
    text = f"a torn group of {len(torn)} bytes was cut after seq {after_seq}"
    return [
        NewEvent(event=Event.JOURNAL_TAIL_CUT, data=data, reason_codes=codes),
        check.alert(Reason.AUDIT_TAIL_CUT, text),
    ]


def stamp(home: Home) -> str:
    """The folder's mode stamp, PAPER or LIVE; empty before the first write.

    Raises:
        JournalDamaged, JournalError: the journal cannot tell.
    """
    if not segment.size_of(home.journal) and not projections.was_stamped(home):
        return ""
    reader = Journal(home, Context(run_id="", cycle_id="", script="reader", mode="", instance=""))
    return reader.read_fold().portfolio.mode
