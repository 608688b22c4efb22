"""The two processes of a LIVE case: the run that may end at any step, and the next ticks that must put all right.

The run tells its parent of every step and stands still until it is told to go on: its clocks stand still with it. What
the parent copies meanwhile (folder, disk, exchange) is what a death there, or a power cut, would leave behind.
"""

import fcntl
import json
import os
import pickle
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from crash import live_judge, live_plants, plants, steps
from crash.live_scenes import Job
from crash.live_world import Remote
from desk.base import clock
from desk.venues import transport
from livekit import Live

MINUTE_MS = 60_000
TICKS_MAX = 14  # BTCTurk needs nine until "not found" is evidence
TICKS_MIN = 2
live_plants.register()
ROUTER_MAY = frozenset({0, 1})
DOORS_MAY = frozenset({0, 1, 2})  # a LIVE heartbeat is CRITICAL while an order is unknown


class Told(steps.Recorder):
    """A recorder whose process asks before each step."""

    def __init__(self, home: Path, up: int, down: int) -> None:
        super().__init__(home, Path(os.devnull), None, False)
        self.up, self.down, self.stood_s = up, down, 0.0

    def tell(self, *entry: Any) -> None:
        raw = pickle.dumps(entry)
        steps._real["write"](self.up, steps.HEADER.pack(len(raw)) + raw)

    def step(self, name: str, handle: int = -1, half: bytes = b"") -> None:
        began = time.monotonic()
        self.tell("step", name, *self._place(handle), half)
        os.read(self.down, 1)
        self.stood_s += time.monotonic() - began
        self.steps += 1

    def _place(self, handle: int) -> tuple[str, int]:
        """File and offset of a write under way."""
        if handle < 0:
            return "", 0
        at_end = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND
        return self.paths[handle], os.fstat(handle).st_size if at_end else os.lseek(handle, 0, os.SEEK_CUR)


class _NoTimer:
    """A deadline that does not pass while its process stands still."""

    daemon = True

    def __init__(self, interval: float, function: Callable[[], None]) -> None:
        self.ends = function

    def start(self) -> None:
        """Nothing runs out."""

    def cancel(self) -> None:
        """Nothing did."""


def run(rig: Live, jobs: tuple[Job, ...], up: int, down: int) -> NoReturn:
    """The doors of a scene, one after another, in this forked process."""
    told = Told(rig.home, up, down)
    try:
        real = clock.monotonic_s
        clock.monotonic_s = lambda: real() - told.stood_s
        clock.pause_s = lambda seconds: None  # in stepped time a pause moves nothing
        transport.threading.Timer = _NoTimer  # type: ignore[misc,assignment]
        steps.in_place(told)
        plants.apply()
        for door, *arguments in jobs:
            said = rig.door(door, *arguments)
            told.tell("ack", "ran", {"door": door, "code": said.code, "said": said.text[-1500:]})
        told.tell("done")
    except BaseException:  # noqa: BLE001 - told to the parent; the fork must never return into its loop
        told.tell("failed", traceback.format_exc())
    finally:
        steps._real["_exit"](0)


def recover(rig: Live, engaged: bool, has_ended: bool, answer: int) -> NoReturn:
    """Healthy ticks in this forked process until all has settled, judged on the way; the report goes to `answer`.

    Args:
        has_ended: the doors came to their end, so P6 must hold already.
    """
    found: dict[str, Any] = {"violations": [], "naked_ms": 0, "ticks": 0, "orders": 0, "said": ""}
    try:
        clock.pause_s = lambda seconds: None
        plants.apply()
        found["violations"] += [*live_judge.at_death(rig), *(live_judge.naked(rig) if has_ended else [])]
        _recover(rig, engaged, found)
    except BaseException:  # noqa: BLE001 - a recovery that cannot go on is a violation
        found["violations"].append(f"recovery ended: {traceback.format_exc()[-1500:]}")
    finally:
        os.write(answer, json.dumps(found).encode())
        os._exit(0)


def _recover(rig: Live, engaged: bool, found: dict[str, Any]) -> None:
    bad: list[str] = found["violations"]
    is_naked = live_judge.naked_quote(rig) > live_judge.MINIMUM_QUOTE
    assert rig.sim is not None
    rig.sim.clear_faults()
    for number in range(TICKS_MAX):
        told = rig.tick()
        found["ticks"] = number + 1
        found["said"] = " | ".join(f"{said.door} {said.code} {said.last}" for said in told.values())
        found["naked_ms"] += MINUTE_MS if is_naked else 0
        is_naked = live_judge.naked_quote(rig) > live_judge.MINIMUM_QUOTE
        bad += [f"tick {number + 1}: {text}" for text in live_judge.naked(rig)]
        bad += [f"tick {number + 1}: {s.door} ended with {s.code}: {s.text[-600:]}" for s in told.values()
                if s.code not in (ROUTER_MAY if s.door == "router" else DOORS_MAY)]  # fmt: skip
        if bad or (number + 1 >= TICKS_MIN and live_judge.is_settled(rig.fold())):
            break
    bad += live_judge.at_end(rig, engaged)
    found["orders"] = len(rig.sim.books()["orders"])


def entries(stream: BinaryIO) -> Iterator[tuple[Any, ...]]:
    """What a run tells, as it tells it."""
    while head := stream.read(steps.HEADER.size):
        yield pickle.loads(stream.read(steps.HEADER.unpack(head)[0]))


def rig_at(home: Path, env: dict[str, str], venue: str, url: str) -> Live:
    """The folder beside the exchange that answers at `url`."""
    place = {"SANAD_HOME": str(home), f"{venue.upper()}_REST_URL": url, "SANAD_CLOCK": f"{url}/sim/clock"}
    return Live(home, Remote(url), env | place, venue=venue)  # type: ignore[arg-type]
