"""Verifying the journal: one verdict over every kept segment. Reads only; takes the journal lock for the tail alone.

0 whole; 1 an incomplete last group starting at or after the hint (the next append cuts it); 2 anything else: a wrong
line, a missing segment no reseal accounts for, a journal shorter than its hint, an anchor that does not match.
Editing, dropping and reordering break the chain; cutting and recomputing are found back to the last anchor that left
the host (P12).
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from desk.base.errors import BadInput, JournalDamaged, StateError
from desk.base.paths import Home
from desk.journal import chain, files, projections, reseal, segment
from desk.journal.chain import Line
from desk.journal.walk import Walker

WHOLE: Final = 0
TORN: Final = 1
BROKEN: Final = 2
CHAINS_MAX: Final = 100  # mode switches followed back when an anchor is looked for


@dataclass
class Verdict:
    """What verifying found: the code, the head, and one line per finding."""

    code: int = WHOLE
    first_seq: int = 0
    seq: int = 0
    hash: str = chain.ZERO_HASH
    segments: int = 0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, code: int, text: str) -> None:
        """A finding; the worst code wins."""
        self.code = max(self.code, code)
        self.findings.append(text)

    def line(self) -> str:
        """The verdict line, with the head as an anchor to keep elsewhere."""
        word = {WHOLE: "OK whole", TORN: "WARN incomplete last group", BROKEN: "FAIL damaged"}[self.code]
        what = f"seq {self.first_seq}..{self.seq} in {self.segments} segments, head {self.seq}:{self.hash}"
        return f"AUDIT VERIFY — {word}: {what}"


def anchor(text: str) -> tuple[int, str]:
    """`SEQ:HASH` as it left the host.

    Raises:
        BadInput: another form.
    """
    number, _, mark = text.partition(":")
    if not number.isdecimal() or len(mark) != chain.HASH_LEN or not set(mark) <= set("0123456789abcdef"):
        raise BadInput(f"{text!r} is no anchor", "--anchor", "use SEQ:HASH, 64 hex digits, as verify prints it")
    return int(number), mark


def verify(home: Home, anchors: Mapping[int, str]) -> Verdict:
    """Walk everything that is kept.

    Raises:
        LockBusy: the journal lock could not be had for the tail.
    """
    verdict, walker, read = Verdict(), Walker(home, anchors=dict(anchors)), set[Path]()
    broken: set[str] = set()
    _read_sealed(home, walker, verdict, read, broken)
    identity = files.identity(home.journal)
    stopped = walker.read_active()
    with ExitStack() as held:
        try:
            held.enter_context(files.journal_lock(home))
        except StateError as error:  # a read-only copy can be verified too
            verdict.notes.append(f"read without the lock ({error.what})")
        if files.identity(home.journal) != identity:  # rotated meanwhile: what was active is sealed now
            verdict, walker, read, broken = Verdict(), Walker(home, anchors=dict(anchors)), set(), set()
            _read_sealed(home, walker, verdict, read, broken)
            stopped = walker.read_active()
        _read_tail(home, walker, verdict, stopped)
    for gap in walker.gaps:
        if gap not in walker.resealed and gap not in broken:
            verdict.add(BROKEN, f"{gap}: a segment is missing")
    for line in {line.seq: line for line in walker.resealed.values()}.values():
        _check_resealed(home, verdict, line)
    _check_previous(home, walker, verdict)
    _check_anchors(home, walker, verdict)
    verdict.first_seq, verdict.seq, verdict.hash = walker.first_seq, walker.seq, walker.hash
    verdict.segments = len(read) + bool(segment.size_of(home.journal))
    verdict.notes.extend(walker.notes)
    return verdict


def _read_sealed(home: Home, walker: Walker, verdict: Verdict, read: set[Path], broken: set[str]) -> None:
    for _, path in files.sealed(home):
        read.add(path)
        found = walker.read_sealed(path)
        if found is not None:
            broken.add(path.name)
            verdict.add(BROKEN, found.line())


def _read_tail(home: Home, walker: Walker, verdict: Verdict, stopped: str) -> None:
    """What the walk without the lock could not judge: the last group, the hint, unfinished steps."""
    path, hint, first = home.journal, files.read_hint(home), segment.first_line(home.journal)
    is_same = hint is not None and first is not None and hint.segment == first.seq
    durable_to = hint.offset if hint is not None and is_same else 0
    size = segment.size_of(path)
    try:
        tail = walker.read_on(durable_to)
        if tail.size:
            verdict.add(TORN, f"{path.name}: an incomplete last group of {tail.size} bytes after seq {walker.seq}")
    except (JournalDamaged, chain.ChainError) as error:
        verdict.add(BROKEN, f"{path.name}: {stopped or error}")
    published = projections.load(home)
    seen = max(hint.seq if hint is not None else 0, published.seq if published is not None else 0)
    is_gone = (not size and bool(files.sealed(home))) or (not walker.seq and projections.was_stamped(home))
    if size < durable_to or walker.seq < seen or is_gone:
        known = f"seq {seen}" if seen else "a longer one"
        verdict.add(BROKEN, f"{path.name}: JOURNAL_SHRUNK: ends at seq {walker.seq}, {known} was seen durable")
    elif hint is not None and hint.seq == walker.seq and hint.hash != walker.hash:
        verdict.add(BROKEN, f"{path.name}: the hint knows another hash for seq {hint.seq}: rewritten (or the hint was)")
    if reseal.is_pending(home):
        verdict.notes.append("a reseal is unfinished: the next append finishes it")


def _check_resealed(home: Home, verdict: Verdict, line: Line) -> None:
    """What a reseal moved away still leads to the line the new segment follows."""
    lost = f"{line.data.get('lost_from')}..{line.data.get('lost_to', '?')}"
    verdict.notes.append(f"resealed at seq {line.seq}: lost {lost}, reason {line.data.get('reason', '')!r}")
    moved = home.root / str(line.data.get("old_file"))
    if not moved.is_file():
        verdict.notes.append(f"{line.data.get('old_file')} is not here, so what led to the reseal is not checked")
        return
    good = (line.data.get("seq"), line.data.get("hash"))
    if any(found.seq == good[0] and found.hash != good[1] for found in _decodable(moved)):
        verdict.add(BROKEN, f"{moved.name}: seq {good[0]} is not what the reseal followed")


def _check_previous(home: Home, walker: Walker, verdict: Verdict) -> None:
    """The chain before a mode switch ends where this one says."""
    if walker.previous is None:
        return
    link = walker.previous.data["previous"]
    found = segment.last_line(home.root / str(link.get("archive")) / home.logs.name / home.journal.name)
    if found is None:
        verdict.notes.append(f"{link.get('archive')}: the chain before the mode switch is not here")
    elif (found[0].seq, found[0].hash) != (link.get("seq"), link.get("hash")):
        verdict.add(BROKEN, f"{link.get('archive')}: does not end where this chain says")


def _check_anchors(home: Home, walker: Walker, verdict: Verdict) -> None:
    for seq, mark in walker.anchors.items():
        where = "here" if seq in walker.matched else _archived(home, walker.previous, seq, mark)
        if where:
            verdict.notes.append(f"anchor {seq} matches ({where})")
        elif seq > walker.seq:
            verdict.add(BROKEN, f"anchor {seq} is beyond the head {walker.seq}: the journal was cut")
        elif seq < walker.first_seq:
            verdict.add(BROKEN, f"anchor {seq} is older than the oldest kept line {walker.first_seq}")
        else:
            verdict.add(BROKEN, f"anchor {seq} does not match: the journal was rewritten{_in_lost(walker, seq)}")


def _in_lost(walker: Walker, seq: int) -> str:
    for line in walker.resealed.values():
        if line.data.get("lost_from", 0) <= seq <= line.data.get("lost_to", 0):
            return f" (in the range lost at the reseal of seq {line.seq})"
    return ""


def _archived(home: Home, previous: Line | None, seq: int, mark: str) -> str:
    """The archive whose chain holds that line, "" when none does."""
    for _ in range(CHAINS_MAX):
        if previous is None:
            return ""
        folder = Home(home.root / str(previous.data["previous"].get("archive")))
        previous = None
        for path in [*(path for _, path in files.sealed(folder)), folder.journal]:
            for line in _decodable(path):
                if (line.seq, line.hash) == (seq, mark):
                    return str(folder.root.relative_to(home.root))
                if line.event == "GENESIS" and "previous" in line.data:
                    previous = line
    return ""


def _decodable(path: Path) -> Iterator[Line]:
    """Every line that decodes, whatever stands between."""
    if not path.is_file():
        return
    with path.open("rb") as handle:
        for raw in handle:
            try:
                yield chain.decode(raw)
            except chain.ChainError:
                continue
