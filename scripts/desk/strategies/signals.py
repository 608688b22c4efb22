"""The `signals/` inbox: reads what others propose, moves what is settled. Writes only under signals/done and
signals/rejected; never state, never the journal.

Producers write `signals/<name>.json` by rename and use a name once. A settled file is moved with
`<name>.reason.json` beside it; the reason is written first, so a crash in between leaves a file that is looked at
again, never one without its reason. A signal denied for a cause that can pass stays until it expires.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from desk.base import ids
from desk.risk.decision import Decision
from desk.strategies import signal_files, signal_rules
from desk.strategies.signal_files import SUFFIX, Head
from desk.strategies.signal_rules import InboxLimits, Refused

DONE: Final = "done"
REJECTED: Final = "rejected"

# Rooms of reason codes (the part before the colon) whose denials can pass while a signal waits, and those whose
# cannot; a code in neither cannot: what nobody has judged is not retried.
PASSING_ROOMS: Final = frozenset({
    "mode", "risk", "kill", "arming", "audit", "state", "system_mode", "health", "clock", "time", "breaker",
    "market_data", "market", "symbol", "reconcile", "capital", "exposure", "cooldown", "cycle", "orders",
    "rate_budget", "churn", "limits", "gate",
})  # fmt: skip
FINAL_ROOMS: Final = frozenset({"signal", "order", "edge", "intent", "position", "ai_gate"})
# what can pass all the same: an order being looked up or repaired, and money that may come free
PASSING_CODES: Final = frozenset({
    "intent:unknown_order", "intent:anomaly", "intent:stuck_order", "intent:late_appearance", "order:balance",
})  # fmt: skip


class InboxItem(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the inbox: a decision, or the code it is refused with."""

    name: str  # file name in signals/
    digest: str  # of its content, 16 hex digits
    decision: Decision | None = None
    code: str = ""  # signal:<reason> when there is no decision
    detail: str = ""


def scan(home_signals: Path, now_ms: int, limits: InboxLimits) -> list[InboxItem]:
    """Read the inbox, at most files_per_tick_max files, in name order. Moves nothing.

    With more files than that the look is drawn by name and time, so that those which wait cannot starve the rest.

    Raises:
        StateError: the folder cannot be listed.
    """
    names = sorted(signal_files.names(home_signals))
    if len(names) > limits.files_per_tick_max:
        names.sort(key=lambda name: ids.digest("inbox", str(now_ms), signal_files.shown(name)))
    items: list[InboxItem] = []
    said: set[str] = set()
    for name in sorted(names[: limits.files_per_tick_max]):
        found = signal_files.head(home_signals / name)
        if found is None:
            continue
        item = _judge(found, name, now_ms, limits, said)
        items.append(item)
        if item.decision:
            said.add(item.decision.decision_id)
    return items


def finish_interrupted(home_signals: Path, items: list[InboxItem]) -> list[InboxItem]:
    """Complete the moves to signals/done that a crash cut short; returns the items still to be proposed.

    A refusal needs no such care: looked at again, the file is refused again.

    Raises:
        StateError: a file cannot be moved.
    """
    folder = home_signals / DONE
    waiting = []
    for item in items:
        stem = signal_files.stem(folder, item.name, item.digest)
        if signal_files.reason_digest(folder, stem) == item.digest:
            signal_files.move(home_signals / item.name, folder / f"{stem}{SUFFIX}", item.digest)
        else:
            waiting.append(item)
    return waiting


def move_done(home_signals: Path, item: InboxItem, outcome: dict[str, Any]) -> bool:
    """Move a signal that was acted on to signals/done, its outcome beside it. Repeatable, also by several at once.

    Returns:
        False when the file is neither in the inbox nor in the folder any more; another file of the same name in the
        inbox is left alone.

    Raises:
        StateError: the reason cannot be written or the file not be moved; it stays and is looked at again.
    """
    return _settle(home_signals, home_signals / DONE, item, {"outcome": outcome})


def move_rejected(home_signals: Path, item: InboxItem, code: str, detail: str) -> bool:
    """Move a signal that cannot be acted on to signals/rejected, code and detail beside it. As `move_done`."""
    return _settle(home_signals, home_signals / REJECTED, item, {"code": code, "detail": detail})


def denial_can_pass(code: str) -> bool:
    """True when a signal denied with this reason code waits in the inbox until it expires."""
    return code in PASSING_CODES or code.partition(":")[0] in PASSING_ROOMS


def _judge(found: Head, name: str, now_ms: int, limits: InboxLimits, said: set[str]) -> InboxItem:
    bytes_max = min(limits.bytes_max, signal_files.HEAD_BYTES)
    try:
        if found == signal_files.UNREADABLE:
            raise Refused("signal:unreadable", signal_rules.CODES["signal:unreadable"])
        if found.size > bytes_max:
            raise Refused("signal:too_large", f"{found.size} bytes, at most {bytes_max}")
        decision = signal_rules.read(found.raw, signal_files.shown(name), now_ms, limits)
        if decision.decision_id in said:
            raise Refused("signal:duplicate", signal_rules.CODES["signal:duplicate"])
    except Refused as refused:
        return InboxItem(name=name, digest=found.digest, code=refused.code, detail=refused.detail)
    return InboxItem(name=name, digest=found.digest, decision=decision)


def _settle(home_signals: Path, folder: Path, item: InboxItem, body: dict[str, Any]) -> bool:
    stem = signal_files.stem(folder, item.name, item.digest)
    source, target = home_signals / item.name, folder / f"{stem}{SUFFIX}"
    if not signal_files.holds(source, item.digest):
        return signal_files.holds(target, item.digest)
    signal_files.write_reason(folder, stem, item.name, item.digest, body)
    return signal_files.move(source, target, item.digest)
