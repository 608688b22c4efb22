"""Every misbehaviour an operator may meet, armed by POST /sim/faults or a scenario. Owns the armed faults.

A fault: {"kind", "match": {"method", "path"}, "count", "arg"}. `match.path` is a prefix of the path without query;
missing fields match all. `count` (default 1) is how many matching requests it lasts; null or 0 = until
DELETE /sim/faults. Of several answer faults that match one request only the oldest acts and is used up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from lab.sim.fault_kinds import KINDS, Stage, is_integer


class FaultError(Exception):
    """A malformed fault: one line that names the field."""


@dataclass(slots=True)
class Fault:
    """An armed fault; `left` None = until cleared."""

    id: int
    kind: str
    method: str
    path: str
    left: int | None
    arg: Any
    armed_ms: int

    @property
    def stage(self) -> Stage:
        """When it acts."""
        return KINDS[self.kind].stage

    def fits(self, method: str, path: str) -> bool:
        """True when a request of this method and path (without query) is meant."""
        return self.method in ("", method) and path.startswith(self.path)

    def shown(self) -> dict[str, Any]:
        """As GET /sim/faults shows it."""
        match = {key: value for key, value in (("method", self.method), ("path", self.path)) if value}
        return {"id": self.id, "kind": self.kind, "match": match, "count": self.left, "arg": self.arg}


@dataclass(slots=True)
class Hit:
    """The faults that act on one request, already counted."""

    delay_ms: int = 0
    before: Fault | None = None
    after: Fault | None = None
    shaping: list[Fault] = field(default_factory=list)

    def view(self, kind: str) -> Fault | None:
        """The newest matching condition or order fault of a kind."""
        return next((fault for fault in reversed(self.shaping) if fault.kind == kind), None)

    def seconds(self, kind: str) -> int:
        """Virtual ms of a late_fill or listing_lag fault, 0 without."""
        fault = self.view(kind)
        return int(Decimal(str(fault.arg)) * 1000) if fault else 0


class FaultStore:
    """The armed faults."""

    def __init__(self) -> None:
        self.armed: list[Fault] = []
        self._made = 0

    def arm(self, raw: Any, now_ms: int, check_arg: Callable[[str, Any], None] | None = None) -> Fault:
        """Arm a fault from its JSON form.

        Raises:
            FaultError: unknown kind or key, or a bad value.
        """
        kind, match, count, arg = checked(raw)
        if check_arg:
            check_arg(kind, arg)
        self._made += 1
        fault = Fault(self._made, kind, match.get("method", ""), match.get("path", ""), count or None, arg, now_ms)
        self.armed.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm everything."""
        self.armed.clear()

    def hit(self, method: str, path: str) -> Hit:
        """Find and count the faults that act on a request."""
        hit = Hit()
        for fault in list(self.armed):
            if fault.stage is Stage.STREAM or not fault.fits(method, path):
                continue
            if fault.stage in (Stage.BEFORE, Stage.AFTER) and (hit.before or hit.after):
                continue
            self._use(fault)
            if fault.stage is Stage.DELAY:
                hit.delay_ms += int(Decimal(str(fault.arg)))
            elif fault.stage is Stage.BEFORE:
                hit.before = fault
            elif fault.stage is Stage.AFTER:
                hit.after = fault
            else:
                hit.shaping.append(fault)
        return hit

    def on_stream(self, path: str) -> Fault | None:
        """The oldest stream fault that fits a message of a WebSocket connection, counted (method WS, its path)."""
        fits = (fault for fault in self.armed if fault.stage is Stage.STREAM and fault.fits("WS", path))
        fault = next(fits, None)
        if fault:
            self._use(fault)
        return fault

    def seen_by_streams(self, path: str) -> Hit:
        """Conditions of the market that last until they are cleared; a counted one belongs to requests."""
        lasting = (fault for fault in self.armed if fault.stage is Stage.VIEW and fault.left is None)
        return Hit(shaping=[fault for fault in lasting if fault.fits("WS", path)])

    def _use(self, fault: Fault) -> None:
        if fault.left is not None:
            fault.left -= 1
            if fault.left == 0:
                self.armed.remove(fault)


def checked(raw: Any) -> tuple[str, dict[str, str], int | None, Any]:
    """(kind, match, count, arg) of a fault's JSON form.

    Raises:
        FaultError: what is wrong, and what is allowed.
    """
    if not isinstance(raw, dict):
        raise FaultError("a fault is an object {kind, match, count, arg}")
    _only(raw, {"kind", "match", "count", "arg"}, "fault")
    kind = raw.get("kind")
    if kind not in KINDS:
        raise FaultError(f"fault kind {kind!r} is unknown; one of {', '.join(KINDS)}")
    match = raw.get("match") or {}
    if not isinstance(match, dict) or not all(isinstance(value, str) for value in match.values()):
        raise FaultError("fault match is an object of strings {method, path}")
    _only(match, {"method", "path"}, "fault match")
    count = raw.get("count", 1)
    if count is not None and (not is_integer(count) or count < 0):
        raise FaultError(f"fault count {count!r} must be a whole number >= 0 or null (until cleared)")
    row, arg = KINDS[kind], raw.get("arg")
    if (arg is None and row.default is None) or (arg is not None and not row.accepts(arg)):
        raise FaultError(f"fault {kind}: arg {arg!r} is not valid; give {row.wants}")
    if "method" in match:
        match = {**match, "method": match["method"].upper()}
    return kind, match, count, row.default if arg is None else arg


def _only(raw: dict[str, Any], allowed: set[str], what: str) -> None:
    unknown = sorted(set(raw) - allowed)
    if unknown:
        raise FaultError(f"{what} has unknown key {unknown[0]!r}; allowed: {', '.join(sorted(allowed))}")
