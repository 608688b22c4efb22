"""A folder with latches: real store, real journal, a clock made by hand, settings as a door would load them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings, load
from desk.journal.chain import Context
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.risk import kill_forms, kill_switch, latches
from desk.risk.kill_reasons import ReleaseFacts
from desk.risk.kill_switch import ReleaseReport
from desk.risk.latches import Latches, SyncReport

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
MINUTE_MS = 60_000
DAY_MS = 86_400_000


@dataclass
class Room:
    """One home in one mode. Every call to `journal` is a new process's view."""

    home: Home
    mode: str
    patch: pytest.MonkeyPatch

    def at(self, ms: int) -> int:
        """Set the clock; returns the time."""
        self.patch.setattr(clock._Anchor, "wall_ms", ms)
        self.patch.setattr(clock._Anchor, "frozen", True)
        return ms

    def journal(self) -> Journal:
        return Journal(self.home, Context(run_id="r1", cycle_id="c1", script="test", mode=self.mode, instance="i1"))

    def stamp(self) -> None:
        """Write the genesis."""
        self.journal().transact(lambda fold: [])

    def settings(self) -> Settings:
        return load(self.home)

    def fold(self) -> Fold:
        return self.journal().read_fold()

    def latches(self) -> Latches:
        return latches.effective(self.home, self.fold(), self.settings())

    def path(self, name: str) -> Path:
        return self.home.state / f"{name}.json"

    def doc(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.path(name).read_text()))

    def hand(self, name: str, text: str) -> None:
        """An operator's editor."""
        self.home.state.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Journal events, of these names if any are given, oldest first."""
        files = [*sorted(self.home.logs.glob("audit-*.jsonl")), self.home.journal]
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [line for line in lines if not names or line["event"] in names]

    def engage(self, reason: str = "manual", **words: Any) -> kill_switch.EngageReport:
        return kill_switch.engage(self.home, self.journal(), reason, "tester", **words)

    def release(self, journal: Journal | None = None, **facts: Any) -> ReleaseReport:
        outside = ReleaseFacts(now_ms=clock.now_ms(), **facts)
        return kill_switch.release(
            self.home, journal or self.journal(), "checked", "tester",
            lambda fold, doc: kill_forms.release_facts(outside, fold, doc), is_live=self.mode == "LIVE",
        )  # fmt: skip

    def sync(self) -> SyncReport:
        return latches.sync_environment(self.home, self.journal(), self.settings())


def make(root: Path, patch: pytest.MonkeyPatch, mode: str) -> Room:
    """A fresh, unstamped folder."""
    (root / "config").mkdir(parents=True, exist_ok=True)
    (root / ".env").write_text("")
    patch.setenv("SYSTEM_MODE", mode)
    patch.setenv("SANAD_HOME", str(root))
    room = Room(Home(root).ensure(), mode, patch)
    room.at(START_MS)
    return room
