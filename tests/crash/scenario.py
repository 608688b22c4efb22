"""What a crash scenario is. Import this (and the checks) to write one; see `scenarios_journal.py` for examples.

def run(child): ...          # the process that dies; child.ack(...) after each acknowledgement to the outside
def recover(child): ...      # a fresh process afterwards: the next tick
def check(result): ...       # -> list of violations, one sentence each

SCENARIOS = (Scenario("name", setup, run, recover, check),)
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from desk.base.paths import Home

Ack = tuple[str, dict[str, Any]]


@dataclass
class Child:
    """What scenario code gets in its process."""

    root: Path
    tell: Callable[..., None]

    @property
    def home(self) -> Home:
        """The home, folders as they are (call `ensure` as a door would)."""
        return Home(self.root)

    def ack(self, kind: str, **facts: Any) -> None:
        """Something was acknowledged to the outside world: from now on it may not be lost."""
        self.tell("ack", kind, facts)

    def order(self, client_id: str) -> None:
        """An order was exercised: counted, and known to `check` as an ack of kind "order"."""
        self.ack("order", id=client_id)


@dataclass
class Result:
    """What `check` looks at.

    Attributes:
        before: what the dying process acknowledged; after: what the recovering one did.
        world: what the scenario's world yielded (an exchange's own books, say).
        error: the traceback of a recovery that did not end well.
    """

    home: Home
    point: str
    model: str
    before: list[Ack]
    after: list[Ack]
    world: Any = None
    error: str = ""

    def acks(self, kind: str) -> list[dict[str, Any]]:
        """The facts of every acknowledgement of a kind made before the end."""
        return [facts for name, facts in self.before if name == kind]


World = Callable[[], AbstractContextManager[tuple[Any, Mapping[str, str]]]]


def no_world() -> AbstractContextManager[tuple[Any, Mapping[str, str]]]:
    """Nothing outside the home."""
    return nullcontext((None, {}))


@dataclass(frozen=True)
class Scenario:
    """One story with an end in the middle.

    Attributes:
        setup: makes the starting home, once; everything it leaves is durable.
        world: what lives outside and survives (an exchange), fresh for each run: (object for check, environment).
        counts_orders: a sweep that exercised no order fails.
    """

    name: str
    setup: Callable[[Child], None]
    run: Callable[[Child], None]
    recover: Callable[[Child], None]
    check: Callable[[Result], list[str]]
    env: Mapping[str, str] = field(default_factory=dict)
    world: World = no_world
    counts_orders: bool = False
