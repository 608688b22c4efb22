"""The durable truth of the paper exchange: `state/paper_broker.json`. Owns its opening, reading and changing.

Never rebuilt from the journal, so that reconcile is no tautology: missing beside a PAPER journal, corrupt, or not
proving itself is an error with a way out (the folder is paused), never a fresh start. A change is one store update
under the file's lock, proven before it is written and durable before anyone answers; no network inside.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from desk.base.errors import InvariantError, StateCorrupt, StateError
from desk.base.paths import Home
from desk.state import store
from desk.venues import paper_books, paper_ledger, paper_proof
from desk.venues.paper_books import Doc, VenueBooks

KEY: Final = "paper_broker"
WRITER: Final = "venues.paper"
VERSION: Final = 1


class PaperStore:
    """The file, one venue's section at a time."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._where = str(store.path_of(home, KEY))

    def open(self, openings: Mapping[str, Callable[[], dict[str, Decimal]]], *, may_create: bool) -> None:
        """Make sure every venue has books; missing ones are created only when the caller may.

        Args:
            openings: venue -> its opening balances, asked only where books are missing.
            may_create: the PAPER journal knows nothing of these venues yet.

        Raises:
            StateError: books are missing and may not be created; the way out is named.
            StateCorrupt: the file does not parse, has another shape, or does not prove itself.
        """
        current = store.read(self._home, KEY)
        missing = [venue for venue in openings if current is None or self._section(current, venue) is None]
        if not missing:
            return
        if not may_create:
            raise self._missing(missing[0])
        fresh = {venue: paper_books.opened(openings[venue]()) for venue in missing}

        def change(doc: Doc | None) -> Doc | None:
            whole = doc if doc is not None else {"version": VERSION, "venues": {}}
            for venue, books in fresh.items():
                if self._section(whole, venue) is None:  # another process may have been first
                    whole = paper_books.encode(whole, venue, books)
            return whole

        store.update(self._home, KEY, change, WRITER)

    def read(self, venue: str) -> VenueBooks:
        """The venue's books as they stand; no lock is needed, files are replaced whole.

        Raises:
            StateError, StateCorrupt: as `open`.
        """
        return self._proven(store.read(self._home, KEY), venue)

    def change(self, venue: str, change: Callable[[VenueBooks], bool], now_ms: int) -> None:
        """Change the venue's books under the lock; durable when this returns. `change` says whether it did.

        Raises:
            StateError, StateCorrupt: as `open`, or not writable; never take it for proof that nothing was changed.
            LockBusy: another process kept the books too long; nothing was changed.
            InvariantError: the changed books do not prove themselves; they were not written.
        """

        def whole(doc: Doc | None) -> Doc | None:
            books = self._proven(doc, venue)
            if not change(books):
                return None
            paper_ledger.prune(books, now_ms)
            wrong = paper_proof.problem(books)
            if wrong:
                raise InvariantError(f"paper books of {venue} would not prove themselves: {wrong}")
            assert doc is not None
            return paper_books.encode(doc, venue, books)

        store.update(self._home, KEY, whole, WRITER)

    def _proven(self, doc: Doc | None, venue: str) -> VenueBooks:
        books = None if doc is None else self._section(doc, venue)
        if books is None:
            raise self._missing(venue)
        return books

    def _section(self, doc: Doc, venue: str) -> VenueBooks | None:
        books = paper_books.decode(doc, venue, self._where)
        wrong = "" if books is None else paper_proof.problem(books)
        if wrong:
            hint = paper_books.WAY_OUT
            raise StateCorrupt(f"does not prove itself ({venue}: {wrong})", self._where, hint)
        return books

    def _missing(self, venue: str) -> StateError:
        return StateError(f"no paper books of {venue} beside a PAPER journal", self._where, paper_books.WAY_OUT)
