"""One process's reading of the journal: the fold, and how far into which file it reaches. Reads only; repairs nothing.

`forward` applies every whole group after what is known. Where the file is another one (rotated, switched, resealed) or
does not hold the known line any more, folding starts again from the projections or the newest checkpoint. A journal
that ends before what the hint, the projections or this process saw durable has lost bytes: JOURNAL_SHRUNK.
"""

import msgspec

from desk.base.errors import JournalDamaged
from desk.base.paths import Home
from desk.journal import files, projections, segment
from desk.journal.fold import apply
from desk.journal.state import Fold


class Moved(Exception):
    """Another segment took the journal's name while it was being read."""


class View(msgspec.Struct):
    """What this process knows of the journal.

    Attributes:
        durable_seq: lines up to here are known to be on disk.
    """

    home: Home
    fold: Fold | None = None
    identity: tuple[int, int] = (0, 0)  # device and inode of the segment the fold stands in
    durable_seq: int = 0
    opened_on: str = ""  # UTC date of the segment's first line

    def forget(self) -> None:
        """Drop everything known; the next look folds from the projections or a checkpoint."""
        self.fold, self.identity, self.durable_seq, self.opened_on = None, (0, 0), 0, ""

    def is_current(self) -> bool:
        """This process wrote or synced everything that stands in the file."""
        return self.fold is not None and self.durable_seq == self.fold.seq and self.is_unchanged()

    def is_unchanged(self) -> bool:
        """The file is the one that was read, and ends where reading ended."""
        if self.fold is None or not self.fold.seq:
            return False
        path = self.home.journal
        return files.identity(path) == self.identity and segment.size_of(path) == self.fold.portfolio.applied_offset

    def forward(self) -> tuple[Fold, segment.Tail]:
        """The fold up to the last whole group, and what stands behind it.

        Raises:
            Moved: the file was replaced meanwhile; try again.
            JournalError, JournalDamaged: unreadable, damaged, or shorter than it was.
        """
        identity = files.identity(self.home.journal)
        try:
            found = self._forward(identity)
        except BaseException as error:
            self.fold = None  # half applied, or not to be trusted
            if isinstance(error, JournalDamaged) and files.identity(self.home.journal) != identity:
                raise Moved from None
            raise
        self.identity = identity
        return found

    def _forward(self, identity: tuple[int, int]) -> tuple[Fold, segment.Tail]:
        path, hint = self.home.journal, files.read_hint(self.home)
        seen = hint.seq if hint is not None else 0
        fold = self.fold
        if fold is not None and identity == self.identity:
            seen = max(seen, self.durable_seq)
        if fold is None or identity != self.identity or not projections.stands(self.home, fold):
            fold, claimed = projections.start(self.home)
            seen = max(seen, claimed)
        first = segment.first_line(path)
        cursor = segment.Cursor(fold.seq, fold.hash, fold.portfolio.applied_offset)
        hinted = hint.offset if hint is not None and first is not None and hint.segment == first.seq else 0
        if segment.size_of(path) < hinted:
            raise self._shrunk(fold.seq, seen)
        groups, tail = segment.read_groups(path, cursor, hinted)
        if files.identity(path) != identity:
            raise Moved
        for read in (read for group in groups for read in group):
            apply(fold, read.line, read.start, read.end)
        if fold.seq < seen or (not fold.seq and (files.sealed(self.home) or projections.was_stamped(self.home))):
            raise self._shrunk(fold.seq, seen)
        self.fold, self.opened_on = fold, first.ts[:10] if first is not None else ""
        return fold, tail

    def _shrunk(self, seq: int, seen: int) -> JournalDamaged:
        return JournalDamaged(
            f"JOURNAL_SHRUNK: it ends at seq {seq}, but {f'seq {seen}' if seen else 'a longer one'} was seen durable",
            str(self.home.journal),
            segment.REPAIR_HINT,
        )
