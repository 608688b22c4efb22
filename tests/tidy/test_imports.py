"""What import-linter's lists cannot say, derived from the files: rooms never import a door, base stands on the
standard library and msgspec alone, pure rooms see neither store nor socket, and the cron path stays light.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tidy.house import SCRIPTS, Source, doors, imports, sources

BASE_MAY_IMPORT = sys.stdlib_module_names | {"msgspec", "desk"}
PURE_ROOMS = ("desk/risk/gates/", "desk/health/checks/", "desk/strategies/")
IMPURE_FILES = {"desk/strategies/signal_files.py": "moves the files of the inbox"}
IMPURE_MODULES = ("os", "shutil", "subprocess", "socket", "requests", "desk.state", "desk.venues.transport")
STREAM_DOOR = "market_stream.py"
STREAM_LIBRARIES = {"binance", "websockets"}
LIGHT_DOORS = ("router", "heartbeat", "reconcile", "policy_engine", "kill_switch", "orders")
HEAVY = frozenset({
    "binance", "ccxt", "aiohttp", "websockets", "asyncio", "numpy", "pandas", "talib", "tabulate", "sqlite3",
    "cryptography", "apprise", "matplotlib", "jinja2", "lab",
})  # fmt: skip


def room_imports_door(source: Source) -> Iterator[str]:
    if not source.path.startswith("desk/"):
        return
    for line, name in imports(source.tree):
        if name.partition(".")[0] in doors() | {"scripts"}:
            yield f"{source.path}:{line} imports {name}: doors import rooms, never the other way"


def base_stands_alone(source: Source) -> Iterator[str]:
    if not source.path.startswith("desk/base/"):
        return
    for line, name in imports(source.tree):
        root, _, rest = name.partition(".")
        if root not in BASE_MAY_IMPORT or (root == "desk" and not f"{rest}.".startswith("base.")):
            yield f"{source.path}:{line} imports {name}: base has the standard library, msgspec and itself"


def pure_room_is_pure(source: Source) -> Iterator[str]:
    if not source.path.startswith(PURE_ROOMS) or source.path in IMPURE_FILES:
        return
    for line, name in imports(source.tree):
        if any(f"{name}.".startswith(f"{impure}.") for impure in IMPURE_MODULES):
            yield f"{source.path}:{line} imports {name}: gates, checks and strategies are pure"


def one_door_streams(source: Source) -> Iterator[str]:
    if source.path == STREAM_DOOR:
        return
    for line, name in imports(source.tree):
        if name.partition(".")[0] in STREAM_LIBRARIES:
            yield f"{source.path}:{line} imports {name}: python-binance's sockets are {STREAM_DOOR}'s alone"


Check = Callable[[Source], Iterator[str]]
RULES: dict[Check, tuple[tuple[str, str], ...]] = {  # rule -> (path, text) that breaks it
    room_imports_door: (
        ("desk/risk/planted.py", "import " + min(doors(), default="router")),
        ("desk/risk/planted.py", "def f():\n    from scripts.router import main"),
    ),
    base_stands_alone: (
        ("desk/base/planted.py", "import requests"),
        ("desk/base/planted.py", "from desk.state import store"),
    ),
    pure_room_is_pure: (
        ("desk/risk/gates/planted.py", "from desk.state import store"),
        ("desk/health/checks/planted.py", "import os"),
        ("desk/strategies/planted.py", "from desk.venues import transport"),
    ),
    one_door_streams: (
        ("router.py", "def f():\n    from binance import AsyncClient"),
        ("desk/venues/planted.py", "import websockets.asyncio.client"),
    ),
}
PLANTED = [(rule, path, text) for rule, planted in RULES.items() for path, text in planted]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Check) -> None:
    assert not [finding for source in sources() for finding in rule(source)]


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_fault_is_found(rule: Check, path: str, text: str) -> None:
    assert list(rule(Source.of(path, text)))


def shadowing(names: frozenset[str]) -> list[str]:
    """Modules under scripts/ that would hide one of the standard library from every door."""
    return sorted(names & sys.stdlib_module_names)


def test_no_door_or_package_hides_the_standard_library() -> None:
    assert not shadowing(doors() | {folder.name for folder in SCRIPTS.iterdir() if folder.is_dir()})
    assert shadowing(frozenset({"router", "platform"})) == ["platform"]


def loaded_by(statement: str) -> frozenset[str]:
    """Top-level modules a fresh interpreter has after the statement."""
    code = f"{statement}\nimport sys\nprint(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("door", LIGHT_DOORS)
def test_import_budget(door: str) -> None:
    if door not in doors():
        pytest.skip(f"scripts/{door}.py is not there yet")
    assert not loaded_by(f"import {door}") & HEAVY


def test_the_import_budget_can_be_exceeded() -> None:
    assert loaded_by("import sqlite3, asyncio") & HEAVY == {"sqlite3", "asyncio"}
