"""The snapshot an engagement leaves: `execution-logs/kill_switch_snapshot-<ts>.json`. Owns that file; decides nothing.

What the journal and the latches said at that moment, for the investigation afterwards: positions, open orders, balances
by journal, capital, latches. No secret is in it (P9).
"""

import contextlib
import json
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from desk.base import clock, money
from desk.base.errors import StateError
from desk.base.paths import Home
from desk.journal.state import Fold, Intent, Position, is_open
from desk.risk.latches import Latches
from desk.risk.redact import without_secrets

NAME: Final = "kill_switch_snapshot"


def open_entries(fold: Fold) -> tuple[str, ...]:
    """Client order ids of entries that may still trade."""
    return tuple(name for name, i in sorted(fold.intents.intents.items()) if i.kind == "ENTRY" and is_open(i))


def exposure_lines(fold: Fold) -> list[str]:
    """What is still held, one line per position: quantity, cost, stop."""
    lines = []
    for name, position in sorted(fold.positions.positions.items()):
        if position.quantity:
            stop = money.text(position.stop_price) if position.stop_price else "none"
            held = f"{money.text(position.quantity)} {position.base}"
            lines.append(f"{name}: {held}, cost {money.text(position.cost_quote)} {position.quote}, stop {stop}")
    return lines


def exposure_quote(fold: Fold) -> dict[str, str]:
    """Cost of everything held, per quote currency."""
    total: dict[str, Decimal] = {}
    for position in fold.positions.positions.values():
        total[position.quote] = total.get(position.quote, money.ZERO) + position.cost_quote
    return {quote: money.text(amount) for quote, amount in sorted(total.items()) if amount}


def document(fold: Fold | None, latches: Latches, at_ms: int) -> dict[str, Any]:
    """The snapshot as JSON values."""
    found: dict[str, Any] = {"at": clock.iso(at_ms), "latches": latches_document(latches)}
    if fold is None:
        return found | {"journal": "cannot be read"}
    intents = {name: _order(i) for name, i in sorted(fold.intents.intents.items()) if is_open(i)}
    positions = {name: _position(p) for name, p in sorted(fold.positions.positions.items())}
    return found | {
        "journal": {"seq": fold.seq, "hash": fold.hash, "mode": fold.portfolio.mode},
        "positions": positions,
        "open_orders": intents,
        "exposure_quote": exposure_quote(fold),
        "balances_by_journal": _plain(fold.portfolio.balances),
        "capital": _plain(fold.portfolio.capital),
    }


def latches_document(latches: Latches) -> dict[str, Any]:
    """Both effective latches as JSON values."""
    kill, pause = latches.kill, latches.pause
    return {
        "kill_switch": {
            "state": "active" if kill.active else "inactive", "level": kill.level, "reasons": list(kill.reasons),
            "note": kill.note, "since": _iso(kill.since_ms), "by": kill.by, "source": kill.source,
        },
        "pause": {
            "state": pause.state, "reasons": list(pause.reasons), "note": pause.note, "since": _iso(pause.since_ms),
            "by": pause.by, "source": pause.source,
        },
        "environment": latches.env_kill, "problems": list(latches.details), "edited": list(latches.edited),
    }  # fmt: skip


def write(home: Home, found: dict[str, Any], environment: Mapping[str, str]) -> Path:
    """Write the snapshot, synced; returns its path.

    Raises:
        StateError: it cannot be written.
    """
    stamp = found["at"].replace(":", "").replace("+0000", "Z")
    path = home.logs / f"{NAME}-{stamp}.json"
    raw = without_secrets(json.dumps(found, indent=2), environment).encode() + b"\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            view = memoryview(raw)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # nothing half-written stays on a full disk
            temporary.unlink(missing_ok=True)
        hint = "free disk space or check the folder's permissions"
        raise StateError(f"cannot be written ({error.strerror})", str(path), hint) from None
    return path


def _order(intent: Intent) -> dict[str, Any]:
    wanted = ("state", "venue", "symbol", "kind", "leg", "side", "type", "quantity", "price", "stop_price", "status")
    return {name: _plain(getattr(intent, name)) for name in (*wanted, "executed", "filled", "order_id")}


def _position(position: Position) -> dict[str, Any]:
    wanted = ("position_id", "quantity", "cost_quote", "realised_quote", "stop_price", "target_price", "base", "quote")
    return {name: _plain(getattr(position, name)) for name in wanted}


def _plain(value: object) -> Any:
    return money.text(value) if isinstance(value, Decimal) else msgspec.to_builtins(value)


def _iso(ms: int) -> str:
    return clock.iso(ms) if ms else ""
