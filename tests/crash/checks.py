"""Invariants every scenario may use. Each returns the violations it found, one sentence each."""

import json

import journalkit as kit
from crash.scenario import Result
from desk.journal import files, projections, verify
from desk.journal.chain import Context
from desk.journal.journal import Journal
from desk.state.registry import ROWS, Kind


def journal_whole(result: Result) -> list[str]:
    """verify says 0, and the independent check of the raw bytes agrees."""
    found = verify.verify(result.home, {})
    if found.code != verify.WHOLE:
        return [f"verify: {text}" for text in found.findings]
    try:
        kit.independent_check([*(path for _, path in files.sealed(result.home)), result.home.journal])
    except AssertionError as error:
        return [str(error)]
    return []


def nothing_acknowledged_lost(result: Result, kind: str = "group") -> list[str]:
    """Every line of an acknowledged group stands in the journal (or in an archive of it), unchanged."""
    raw = b"".join(path.read_bytes() for path in sorted(result.home.root.rglob("audit*.jsonl")))
    lost = [mark for facts in result.acks(kind) for mark in facts["hashes"] if mark.encode() not in raw]
    return [f"{len(lost)} acknowledged lines are gone"] if lost else []


def groups_whole(result: Result) -> list[str]:
    """Notes `NAME:i/n` of one step are all there or none is."""
    seen: dict[str, set[str]] = {}
    for path in sorted(result.home.root.rglob("audit*.jsonl")):
        for raw in path.read_bytes().splitlines():
            line = json.loads(raw)
            name, _, part = str(line["data"].get("text", "")).partition(":")
            if line["event"] == "NOTE" and "/" in part:
                seen.setdefault(name, set()).add(part)
    return [
        f"step {name} is there in parts: {sorted(parts)}"
        for name, parts in seen.items()
        if len(parts) != int(next(iter(parts)).partition("/")[2])
    ]


def no_half_written_state(result: Result) -> list[str]:
    """Every state file of an acknowledged kind parses. (Observations may be lost to a power cut: they are re-read.)"""
    spared = {row.file for row in ROWS if row.kind is Kind.OBSERVATION} if "power" in result.model else set()
    found = []
    for path in sorted(result.home.state.rglob("*.json")):
        relative = str(path.relative_to(result.home.state))
        if "quarantine" in relative or relative in spared or relative.startswith(("runs/", "market_data", "filters_")):
            continue
        try:
            assert isinstance(json.loads(path.read_bytes()), dict)
        except (ValueError, AssertionError):
            found.append(f"state/{relative} is half-written")
    return found


def same_bytes_by_rebuild(result: Result) -> list[str]:
    """Projections as published, and as rebuilt from nothing but the journal, are the same bytes."""
    names = [f"{name}.json" for name, _ in projections.PARTS]
    book = Journal(result.home, Context(run_id="", cycle_id="", script="check", mode="", instance=""))
    book.publish()
    before = {name: (result.home.state / name).read_bytes() for name in names}
    for name in names:
        (result.home.state / name).unlink()
    book.rebuild()
    return [
        f"{name} is not what a rebuild writes"
        for name in names
        if (result.home.state / name).read_bytes() != before[name]
    ]


def everything(result: Result) -> list[str]:
    """All of the above."""
    found = [
        *journal_whole(result),
        *nothing_acknowledged_lost(result),
        *groups_whole(result),
        *no_half_written_state(result),
    ]
    return found or same_bytes_by_rebuild(result)
