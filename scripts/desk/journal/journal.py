"""The journal: one append, one fold. Owns `execution-logs/audit.jsonl`, its lock, hint and projections.

`transact(decide)` is the only way to write: take the journal lock, fold to the tail, call the pure `decide(fold)`,
check its events against the tables, write them as one group, fsync, release. Two deciders can never act on one stale
fold. Readers (`read_fold`) take no lock, stop at the last whole group and never repair.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from desk.base import clock
from desk.base.errors import InvariantError, JournalDamaged, JournalError, JournalUnwritable, ModeMismatch
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal import chain, check, files, projections, rotate, segment, switch
from desk.journal.chain import Context, Line, NewEvent
from desk.journal.events import Event
from desk.journal.fold import apply
from desk.journal.state import Fold
from desk.state import lock

Decide = Callable[[Fold], Sequence[NewEvent]]
LOCK_NAME = "journal"
GROUP_EVENTS_MAX = 500
UNSTAMPED_MODE = "LIVE"  # a latch engaged in a folder nobody has stamped: the strict reading


@dataclass
class Journal:
    """One process's view of one home's journal.

    Attributes:
        may_spend_reserve: this door's events matter on a full disk (cancels, exits, reconcile): the preallocated
            reserve is released for them.
    """

    home: Home
    ctx: Context
    may_spend_reserve: bool = True
    reserve_bytes: int = files.RESERVE_BYTES
    _fold: Fold | None = None
    _identity: tuple[int, int] = (0, 0)  # device and inode of the segment the fold stands in
    _dead: str = ""
    _synced_seq: int = 0  # lines up to here are known to be on disk
    written: list[Line] = field(default_factory=list)  # lines this process appended

    def read_fold(self) -> Fold:
        """The folded state up to the last whole group, without a lock.

        Raises:
            JournalError, JournalDamaged: unreadable or damaged.
        """
        for _ in range(projections.READ_TRIES):
            try:
                fold, _ = self._fold_forward()
            except _Moved:
                self._fold = None  # a rotation went by: read again
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
        if self._dead:
            raise JournalUnwritable(self._dead, str(self.home.journal), "restart the door; see errors.log")
        with lock.hold(self.home, LOCK_NAME, lock.Rank.JOURNAL):
            fold = self._fold_locked()
            self._check_stamp(fold)
            wanted = check.complete(fold, list(decide(fold)))
            if not wanted:
                return fold, []
            if rotate.is_due(self.home, fold, clock.utc_date(clock.now_ms())):
                self._rotate(fold)
            return fold, self._append(fold, wanted)

    def publish(self) -> Fold:
        """Write the projections up to the tail (fsynced); an older process never overwrites a newer one.

        Raises:
            StateError: a projection cannot be written.
        """
        with lock.hold(self.home, LOCK_NAME, lock.Rank.JOURNAL):
            fold = self._fold_locked()
            projections.publish(self.home, fold)
            return fold

    def _fold_locked(self) -> Fold:
        """Fold under the lock: finish what a crash left, cut a torn tail, sync lines others wrote."""
        if self._is_at_tail():
            assert self._fold is not None
            return self._fold
        self._finish_steps()
        fold, tail = self._fold_forward()
        if not fold.seq:
            if tail.size:
                files.cut(self.home, tail, 0)
            self._append(fold, [check.genesis(self._stamped_ctx(fold))])
        elif tail.size:
            self._cut_tail(fold, tail)
        hint = files.read_hint(self.home)
        if hint is None or fold.seq > hint.seq or hint.hash != fold.hash:
            self._sync()
            files.write_hint(self.home, fold)
        return fold

    def _is_at_tail(self) -> bool:
        """This process wrote or folded everything that stands in the file."""
        if self._fold is None or not self._fold.seq or files.identity(self.home.journal) != self._identity:
            return False
        return self._synced_seq == self._fold.seq and segment.size_of(self.home.journal) == self._offset()

    def _offset(self) -> int:
        return self._fold.portfolio.applied_offset if self._fold is not None else 0

    def _finish_steps(self) -> None:
        last = rotate.last_line(self.home)
        if last is not None and last.event == Event.MODE_SWITCH:
            switch.finish(self.home, last)
        if last is not None and last.event == Event.JOURNAL_CHECKPOINT:
            rotate.finish(self.home, last)

    def _fold_forward(self) -> tuple[Fold, segment.Tail]:
        """Apply every whole group after what this process already knows."""
        path = self.home.journal
        identity = files.identity(path)
        hint = files.read_hint(self.home)
        claimed = 0
        if self._fold is None or identity != self._identity:
            (self._fold, claimed), self._identity = projections.start(self.home), identity
        fold = self._fold
        files.check_not_shrunk(path, hint, fold.portfolio.applied_offset)
        cursor = segment.Cursor(fold.seq, fold.hash, fold.portfolio.applied_offset)
        durable_to = hint.offset if hint is not None and hint.segment == files.first_seq(path) else 0
        groups, tail = segment.read_groups(path, cursor, durable_to)
        if files.identity(path) != identity:
            raise _Moved
        for read in (read for group in groups for read in group):
            apply(fold, read.line, read.start, read.end)
        if fold.seq < claimed:
            raise JournalDamaged(
                f"ends at seq {fold.seq}, but state/ has seen seq {claimed}: JOURNAL_SHRUNK",
                str(path),
                segment.REPAIR_HINT,
            )
        return fold, tail

    def _append(self, fold: Fold, wanted: Sequence[NewEvent]) -> list[Line]:
        if len(wanted) > GROUP_EVENTS_MAX:
            raise InvariantError(f"a group of {len(wanted)} events is larger than {GROUP_EVENTS_MAX}")
        ts = clock.iso(max(clock.now_ms(), 0))
        raw, lines, starts = bytearray(), [], []
        prev, seq, offset = fold.hash, fold.seq, fold.portfolio.applied_offset
        ctx = self._stamped_ctx(fold)
        for index, new in enumerate(wanted, 1):
            seq += 1
            text, prev = chain.encode(new, seq, ts, (index, len(wanted)), ctx, prev)
            starts.append(offset + len(raw))
            raw += text
            lines.append(chain.decode(text))
        self._write(bytes(raw), offset)
        for line, start, end in zip(lines, starts, [*starts[1:], offset + len(raw)], strict=True):
            apply(fold, line, start, end)
        self._identity = files.identity(self.home.journal)
        self._synced_seq = fold.seq
        files.write_hint(self.home, fold)
        self.written.extend(lines)
        return lines

    def _write(self, raw: bytes, offset: int) -> None:
        try:
            files.append(self.home, raw, offset)
        except files.NoSpace:
            if not self.may_spend_reserve or not files.release_reserve(self.home):
                raise JournalUnwritable("no space left", str(self.home.journal), "free disk space") from None
            self._write_last(raw, offset)
        except OSError as error:
            self._die(error)

    def _write_last(self, raw: bytes, offset: int) -> None:
        """Once more after the reserve was released."""
        try:
            files.append(self.home, raw, offset)
        except files.NoSpace:
            raise JournalUnwritable(
                "no space left, reserve used up", str(self.home.journal), "free disk space"
            ) from None
        except OSError as error:
            self._die(error)

    def _die(self, error: OSError) -> None:
        """A failed write or fsync is never retried as success: this process appends no more."""
        self._dead = f"cannot be written ({error.strerror or error})"
        self._fold = None
        raise JournalUnwritable(self._dead, str(self.home.journal), "check disk and permissions") from None

    def _sync(self) -> None:
        try:
            files.sync(self.home.journal)
            self._synced_seq = self._fold.seq if self._fold is not None else 0
        except OSError as error:
            self._die(error)

    def _cut_tail(self, fold: Fold, tail: segment.Tail) -> None:
        raw = files.cut(self.home, tail, fold.seq)
        data = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), "after_seq": fold.seq}
        codes = (str(Reason.AUDIT_TAIL_CUT),)
        self._append(
            fold,
            [
                NewEvent(event=Event.JOURNAL_TAIL_CUT, data=data, reason_codes=codes),
                check.alert(Reason.AUDIT_TAIL_CUT, f"a torn group of {len(raw)} bytes was cut after seq {fold.seq}"),
            ],
        )

    def _rotate(self, fold: Fold) -> None:
        lines = self._append(fold, [rotate.checkpoint(fold)])
        rotate.finish(self.home, lines[-1])
        self._fold = None
        fresh, _ = self._fold_forward()
        fold.intents, fold.positions, fold.portfolio = fresh.intents, fresh.positions, fresh.portfolio
        self._fold = fold
        self._identity = files.identity(self.home.journal)

    def _stamped_ctx(self, fold: Fold) -> Context:
        """A context without a mode (kill switch, breakers, notes) writes under the folder's stamp."""
        if self.ctx.mode:
            return self.ctx
        return msgspec.structs.replace(self.ctx, mode=fold.portfolio.mode or UNSTAMPED_MODE)

    def _check_stamp(self, fold: Fold) -> None:
        if self.ctx.mode and fold.portfolio.mode != self.ctx.mode:
            raise ModeMismatch(
                f"the folder is stamped {fold.portfolio.mode}, SYSTEM_MODE is {self.ctx.mode}",
                str(self.home.root),
                f"mode.py switch {self.ctx.mode} --reason TEXT, or set SYSTEM_MODE={fold.portfolio.mode}",
            )


class _Moved(Exception):
    """The segment was rotated away while it was being read."""


def stamp(home: Home) -> str:
    """The folder's mode stamp, PAPER or LIVE; empty before the first write.

    Raises:
        JournalDamaged, JournalError: the journal cannot tell.
    """
    if segment.first_line(home.journal) is None:
        return ""
    reader = Journal(home, Context(run_id="", cycle_id="", script="reader", mode="", instance=""))
    return reader.read_fold().portfolio.mode
