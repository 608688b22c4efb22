"""A LIVE crash sweep of one scene on one venue: `python -m crash.live_sweep SCENE VENUE SEED [PLANT]`; JSON on stdout.

For each network outcome the scene's doors run once. Before each step the folder, what of it is durable, and the
exchange are copied, and fresh processes go on from there: after a process death (before the step, or in the middle of
a write) and after a power cut. Where nothing that matters differs from a case already judged, the verdict is that
case's; it is counted as covered, not as judged. What matters (ADR 035): every byte in the sample; in the full sweep
(SANAD_CRASH_FULL=1, every step) the journal's whole groups, latches, breakers, inbox and the exchange.
"""

import gc
import hashlib
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import livekit
from crash import disk, live_child, live_scenes, live_world, plants, steps
from crash.harness import FAST, is_full
from crash.live_scenes import OUTCOMES, SCENES, Scene

CASE_S_MAX = 120.0
VIOLATIONS_MAX = 12
OUTCOMES_SAMPLED = 3
SHARE_SAMPLED = 0.02  # of the steps, for each outcome; of those that end or begin a message to the exchange:
SHARE_SAMPLED_TALK = 0.06
CONTROL = ("circuit_breakers.json", "kill_switch.json", "pause.json", "limits_overlay.json", "mode.json", "LIVE.ok")


@dataclass
class Tally:
    """What a sweep covered and what it found."""

    scene: str
    venue: str
    outcomes: int = 0
    points: int = 0
    deaths: int = 0
    cuts: int = 0
    judged: int = 0
    orders: int = 0
    naked_ms: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"LIVE {self.scene} on {self.venue}: {self.outcomes} outcomes, {self.points} points, {self.deaths} deaths, "
            f"{self.cuts} power cuts ({self.judged} distinct), {self.orders} orders, {len(self.violations)} "
            f"violations, longest naked {self.naked_ms} ms"
        )


@dataclass
class Sweep:
    """One scene on one venue, prepared."""

    scene: Scene
    venue: str
    seed: int
    work: Path
    master: Path
    env: dict[str, str]
    exchange: Any
    dialect: Any
    tally: Tally
    seen: set[str] = field(default_factory=set)
    count: int = 0

    def outcome(self, name: str) -> None:
        """The doors run once under an outcome; a case begins at every step that is taken."""
        self.tally.outcomes += 1
        one = _Run(self, name, random.Random(f"{self.seed} {name}"))
        home = self.work / "run"
        shutil.copytree(self.master, home)
        try:
            with live_world.running(
                self.exchange, self.dialect, live_scenes.faults(self.scene, name, self.venue)
            ) as there:
                one.play(home, there)
        finally:
            shutil.rmtree(home)


@dataclass
class _Run:
    sweep: Sweep
    name: str
    rng: random.Random
    step: int = 0
    engaged: bool = False
    changes: int = 0  # of the disk, so far
    cut: tuple[int, str] = (-1, "")  # of which disk and exchange a power cut was last taken

    def play(self, home: Path, there: live_world.Copy) -> None:
        (up, told), (go, down) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(up)
            os.close(down)
            live_child.run(live_child.rig_at(home, self.sweep.env, self.sweep.venue, there.url), self.sweep.scene.jobs,
                           told, go)  # fmt: skip
        os.close(told)
        os.close(go)
        try:
            with os.fdopen(up, "rb") as stream:
                self._follow(home, there, disk.Disk(self.sweep.master), stream, down)
        finally:
            os.close(down)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _follow(self, home: Path, there: live_world.Copy, model: disk.Disk, stream: Any, down: int) -> None:
        for entry in live_child.entries(stream):
            if entry[0] == "step":
                self._cases(home, there, model, *entry[1:])
                self.step += 1
                os.write(down, b"g")
            elif entry[0] == "ack":
                self.engaged = self.engaged or entry[2]["door"] == "kill_switch"
                if entry[2]["code"] not in {0, 1}:
                    self._violates("the run", f"{entry[2]['door']} ended with {entry[2]['code']}: {entry[2]['said']}")
            elif entry[0] == "done":
                self._cases(home, there, model, "the end", "", 0, b"")
                self.sweep.tally.points += self.step
            elif entry[0] == "failed":
                self._violates("the run", entry[1])
            else:
                self.changes += entry[0] not in {"open", "close"}
                model.apply(entry)

    def _cases(self, home: Path, there: live_world.Copy, model: disk.Disk, name: str, path: str, at: int, half: bytes)\
            -> None:  # fmt: skip
        """The cases that begin before this step."""
        if not self._is_taken(name) or len(self.sweep.tally.violations) >= VIOLATIONS_MAX:
            return
        outside = there.ask(b"d")["digest"]
        style = disk.STYLES[self.changes % len(disk.STYLES)]
        models = ["death", *(["torn death"] if half else []), style]
        for kind in models if is_full() or name == "the end" else [self.rng.choice(models)]:
            where = f"{kind} before step {self.step} {name}"
            self.sweep.count += 1
            copy = self.sweep.work / f"case{self.sweep.count}"
            if kind == style:
                self.sweep.tally.cuts += 1
                if self.cut == (self.changes, outside):
                    continue
                self.cut = (self.changes, outside)
                model.image(copy, kind, self.sweep.seed * 1000 + self.step)
            else:
                self.sweep.tally.deaths += 1
                if self._is_seen(home, outside):
                    continue
                shutil.copytree(home, copy)
                if kind == "torn death":
                    _write_at(copy / path, at, half)
            try:
                if not self._is_seen(copy, outside):
                    self._case(copy, there, outside, where)
            finally:
                shutil.rmtree(copy, ignore_errors=True)

    def _is_seen(self, home: Path, outside: str) -> bool:
        return f"{outside} {digest(home)} {self.engaged}" in self.sweep.seen

    def _case(self, copy: Path, there: live_world.Copy, outside: str, where: str) -> None:
        self.sweep.seen.add(f"{outside} {digest(copy)} {self.engaged}")
        self.sweep.tally.judged += 1
        with there.copied() as world:
            rig = live_child.rig_at(copy, self.sweep.env, self.sweep.venue, world.url)
            found = _judged(rig, self.engaged, where.endswith(" the end"))
        self.sweep.tally.orders += found["orders"]
        self.sweep.tally.naked_ms = max(self.sweep.tally.naked_ms, found["naked_ms"])
        for text in found["violations"]:
            self._violates(where, f"{text} [after {found['ticks']} ticks: {found['said']}]")

    def _violates(self, where: str, text: str) -> None:
        tally = self.sweep.tally
        tally.violations.append(f"{tally.scene} on {tally.venue}, {self.name}, seed {self.sweep.seed}, {where}: {text}")

    def _is_taken(self, name: str) -> bool:
        if is_full() or name == "the end":
            return True
        talks = name in {"socket sendall", "socket recv_into"} or "audit.jsonl" in name
        share = SHARE_SAMPLED_TALK if talks else SHARE_SAMPLED
        return self.rng.random() < share / len(self.sweep.scene.jobs)


def _judged(rig: livekit.Live, engaged: bool, has_ended: bool) -> dict[str, Any]:
    """What the next ticks found, in a process of their own."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        live_child.recover(rig, engaged, has_ended, there)
    os.close(there)
    raw, until = b"", time.monotonic() + CASE_S_MAX
    with os.fdopen(here, "rb", buffering=0) as stream:
        while select.select([stream], [], [], max(0.0, until - time.monotonic()))[0] and (more := stream.read(65_536)):
            raw += more
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not raw:
        return {"violations": [f"the next ticks did not end in {CASE_S_MAX} s"], "naked_ms": 0, "ticks": 0,
                "orders": 0, "said": ""}  # fmt: skip
    found = json.loads(raw)
    assert isinstance(found, dict)
    return found


def digest(home: Path) -> str:
    """What of a folder makes a case its own."""
    return _digest_full(home) if is_full() else _digest_bytes(home)


def _digest_bytes(home: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if path.is_file() and ".locks" not in name and not name.endswith(steps.IGNORED_ENDINGS):
            whole.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _digest_full(home: Path) -> str:
    paths = [*(home / "state" / name for name in CONTROL), *sorted((home / "signals").glob("*.json"))]
    whole = hashlib.sha256(_whole_groups(home / "execution-logs" / "audit.jsonl"))
    for path in paths:
        whole.update(path.name.encode() + b"\0" + (path.read_bytes() if path.exists() else b"-") + b"\0")
    return whole.hexdigest()


def _whole_groups(journal: Path) -> bytes:
    """The journal's bytes up to its last whole group: what is left of a torn one is cut off by the next writer."""
    raw, end, place = journal.read_bytes() if journal.exists() else b"", 0, 0
    for line in raw.splitlines(keepends=True):
        place += len(line)
        try:
            number, size = json.loads(line)["group"]
        except (ValueError, KeyError, TypeError):
            break
        end = place if number == size and line.endswith(b"\n") else end
    return raw[:end]


def _write_at(path: Path, at: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(raw)


def sweep(scene_name: str, venue: str, seed: int, plant: str = "", outcomes: tuple[str, ...] = ()) -> Tally:
    """Prepare the scene, then every outcome that is wanted."""
    scene = SCENES[scene_name]
    tally = Tally(scene_name + (f" with {plant}" if plant else ""), venue)
    if plant:
        os.environ[plants.VARIABLE] = plant
    rng = random.Random(f"{seed} {scene_name} {venue}")
    names = outcomes or tuple(OUTCOMES if is_full() else sorted(rng.sample(sorted(OUTCOMES), OUTCOMES_SAMPLED)))
    with tempfile.TemporaryDirectory(prefix="sanad-live-", dir=FAST if os.access(FAST, os.W_OK) else None) as folder:
        work = Path(folder)
        changes = scene.changes | live_scenes.QUICK
        with livekit.armed(work / "master", venue, changes, scene.scenario) as rig:
            scene.prepare(rig)
            assert rig.sim is not None
            server = rig.sim._server
        gc.collect()
        gc.freeze()
        one = Sweep(scene, rig.venue, seed, work, rig.home, rig.env, server.exchange, server._dialect, tally)
        for name in names:
            one.outcome(name)
    return tally


def main() -> None:
    scene, venue, seed, *more = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a door prints is no answer
    found = sweep(scene, venue, int(seed), more[0] if more else "", tuple(more[1:]))
    print(json.dumps(asdict(found)), file=answers, flush=True)


if __name__ == "__main__":
    main()
