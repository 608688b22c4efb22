"""Ambient powers stay in their rooms: the clock, float money, raw file writes, sockets, broad excepts.

Each rule has an allow table, path or folder -> why. A row nothing uses fails, so the tables stay true.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping

import pytest

from tidy.house import Source, calls, imports, sources, uses

# --- the clock ---------------------------------------------------------------------------------------------

WALL_CLOCKS = frozenset({
    "time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime", "time.sleep",
    "time.clock_gettime", "time.clock_gettime_ns",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
})  # fmt: skip
CLOCK_ALLOWED = {
    "desk/base/clock.py": "the only clock",
    "lab/sim/clock.py": "an exchange has its own",
}


def wall_clock(source: Source) -> Iterator[str]:
    """time.monotonic and perf_counter are free: they measure waits, never moments."""
    for use in uses(source.tree):
        if use.name in WALL_CLOCKS:
            yield f"{source.path}:{use.line} {use.name} is banned, use desk.base.clock"


# --- money is Decimal --------------------------------------------------------------------------------------

DURATION = re.compile(r"(?i)^(timeout|speed)$|(^|_)(s|ms)(_max|_min)?$")
FLOAT_ALLOWED = {
    "exchange_sim.py": "--speed, how fast virtual time runs",
    "lab/sim/build.py": "the same",
    "lab/sim/mexc_trading.py": "the exchange answers its fee as a JSON number",
    "lab/sim/btcturk_market.py": "the exchange answers prices of ticker and candles as JSON numbers",
}


def float_money(source: Source) -> Iterator[str]:
    """No float in scripts/: not as a call, an annotation or a literal. Real durations (named ..._s, ..._ms) may."""
    if source.path.startswith("lab/") and not source.path.startswith("lab/sim/"):
        return
    yield from _floats(source.path, source.tree)


def _floats(path: str, node: ast.AST) -> Iterator[str]:
    if _names_a_duration(node) or _guards_against_floats(node):
        return
    if isinstance(node, ast.Name) and node.id == "float":
        yield f"{path}:{node.lineno} float: money is Decimal (a duration ends in _s or _ms)"
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield f"{path}:{node.lineno} {node.value}: a float literal (a duration ends in _s or _ms)"
    for child in _defaults_with_their_names(node) if isinstance(node, ast.arguments) else ast.iter_child_nodes(node):
        yield from _floats(path, child)


def _defaults_with_their_names(node: ast.arguments) -> Iterator[ast.AST]:
    """Arguments and defaults, without the default of a duration (it stands apart from its name in the tree)."""
    plain = [*node.posonlyargs, *node.args]
    pairs = [*zip(plain[len(plain) - len(node.defaults) :], node.defaults, strict=True)]
    pairs += [(arg, default) for arg, default in zip(node.kwonlyargs, node.kw_defaults, strict=True) if default]
    yield from (arg for arg in [*plain, *node.kwonlyargs, node.vararg, node.kwarg] if arg)
    yield from (default for arg, default in pairs if not _names_a_duration(arg))


def _names_a_duration(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return bool(DURATION.search(node.name))
    if isinstance(node, ast.arg | ast.keyword):
        return bool(node.arg and DURATION.search(node.arg))
    if isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
        return bool(DURATION.search(name))
    return False


def _guards_against_floats(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"


# --- raw file writes ---------------------------------------------------------------------------------------

OS_WRITES = frozenset({
    "os.replace", "os.rename", "os.renames", "os.link", "os.symlink", "os.remove", "os.unlink", "os.truncate",
    "os.ftruncate", "os.rmdir", "os.removedirs", "os.write", "os.pwrite", "os.writev",
    "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.rmtree",
})  # fmt: skip
PATH_WRITES = frozenset({"write_text", "write_bytes", "unlink", "touch", "rename", "symlink_to", "hardlink_to"})
WRITE_FLAGS = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND")
WRITE_ALLOWED = {
    "desk/state/": "the only code that writes under state/",
    "desk/journal/": "the only code that writes the journal",
    "desk/runtime/run_log.py": "the log files of the doors",
    "desk/config/load.py": "a missing config is created from the checkout's defaults",
    "demo.py": "its own throw-away home",
    "lab/drill.py": "its own throw-away home",
    "make_docs.py": "the generated pages under docs/",
    "desk/risk/kill_snapshot.py": "the snapshot of an engaged kill switch, written once beside the logs",
    "desk/strategies/signal_files.py": "the inbox: a signal moves to done/ or rejected/",
}


def raw_write(source: Source) -> Iterator[str]:
    for call, name in calls(source.tree):
        method = name.rpartition(".")[2]
        if (
            name in OS_WRITES
            or (method in PATH_WRITES and not name.startswith("os."))
            or (name == "os.open" and any(flag in ast.dump(call) for flag in WRITE_FLAGS))
            or (name in {"open", "io.open", "os.fdopen"} and _writes(call, 1))
            or (method == "open" and name not in {"os.open", "open", "io.open"} and _opens_to_write(call))
            or _is_path_replace(call, method, name)
        ):
            yield f"{source.path}:{call.lineno} {name}: only desk.state and desk.journal write files"


def _writes(call: ast.Call, position: int) -> bool:
    mode = next((k.value for k in call.keywords if k.arg == "mode"), None)
    if mode is None and len(call.args) > position:
        mode = call.args[position]
    if mode is None:
        return False
    return not isinstance(mode, ast.Constant) or (isinstance(mode.value, str) and bool(set(mode.value) & set("wax+")))


def _opens_to_write(call: ast.Call) -> bool:
    """`x.open("wb")`; many things have an `open`, so only a literal file mode tells."""
    modes = [value for value in (*call.args[:1], *(k.value for k in call.keywords)) if isinstance(value, ast.Constant)]
    return any(isinstance(m.value, str) and re.fullmatch(r"[rwaxbt+]*[wax+][rwaxbt+]*", m.value) for m in modes)


def _is_path_replace(call: ast.Call, method: str, name: str) -> bool:
    """`path.replace(target)`: text wants two arguments, datetimes and structs take keywords."""
    is_method = name != "replace" and not name.startswith(("os.", "copy.", "dataclasses.", "msgspec."))
    return method == "replace" and is_method and len(call.args) == 1 and not call.keywords


# --- sockets -----------------------------------------------------------------------------------------------

NETWORK = re.compile(r"^(socket|ssl|http|urllib\.request|urllib3|requests|aiohttp|websockets|binance|ccxt)(\.|$)")
NETWORK_ALLOWED = {
    "desk/venues/transport.py": "opens the sockets to exchanges",
    "desk/base/clock.py": "the simulator's clock, loopback only",
}


def network(source: Source) -> Iterator[str]:
    if not source.path.startswith("desk/"):
        return
    for line, name in imports(source.tree):
        if NETWORK.match(name):
            yield f"{source.path}:{line} {name}: only desk.venues.transport opens sockets"


# --- broad excepts -----------------------------------------------------------------------------------------

BROAD = frozenset({"Exception", "BaseException"})
BROAD_ALLOWED = {
    "desk/runtime/tick.py": "the one broad except of a tick: a bug we did not name becomes exit 2 and an alert",
    "desk/risk/facts_symbols.py": "one per isolated item: a symbol's bug stays with that symbol, which is then blocked",
    "policy_engine.py": "a gate that raises denies (gate:error)",
    "market_stream.py": "python-binance raises whatever its parts raise; a lost connection is one of them",
    "desk/health/merge.py": "one per isolated item: a check that raises is UNKNOWN, never OK, and the others go on",
    "lab/sim/server.py": "handed to the caller's thread, where it is raised again",
}


def broad_except(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and not _raises_on(node):
            caught = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else BROAD
            if caught & BROAD:
                yield f"{source.path}:{node.lineno} a broad except: name what can happen"
    for call, name in calls(source.tree):
        if name == "contextlib.suppress" and any(isinstance(a, ast.Name) and a.id in BROAD for a in call.args):
            yield f"{source.path}:{call.lineno} a broad suppress: name what can happen"


def _raises_on(handler: ast.ExceptHandler) -> bool:
    """It cleans up and passes the error on: nothing is swallowed."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


# --- the tests ---------------------------------------------------------------------------------------------

Check = Callable[[Source], Iterator[str]]
RULES: dict[Check, tuple[Mapping[str, str], tuple[str, ...]]] = {  # rule -> its allow table, modules that break it
    wall_clock: (
        CLOCK_ALLOWED,
        ("import time\ntime.time()", "from datetime import datetime as d\nd.now()", "from time import sleep\nsleep(1)",
         "import datetime\ndatetime.datetime.utcnow()"),
    ),
    float_money: (
        FLOAT_ALLOWED,
        ("float('1')", "price = 0.1", "def f(price: float): ...", "def f(a, b=0.1): ...", "def f(*, b=0.1): ...",
         "def f() -> float: ...", "x: dict[str, float] = {}"),
    ),
    raw_write: (
        WRITE_ALLOWED,
        ("open('f', 'w')", "p.open('ab')", "p.write_text('')", "import os\nos.replace(a, b)", "a.replace(b)",
         "from os import replace as r\nr(a, b)", "import os\nos.open(f, os.O_WRONLY)", "open(f, mode=m)",
         "(a / b).write_bytes(c)", "p.unlink()"),
    ),
    network: (
        NETWORK_ALLOWED,
        ("import socket", "import http.client", "from urllib import request", "def f():\n    import requests"),
    ),
    broad_except: (
        BROAD_ALLOWED,
        ("try:\n    f()\nexcept Exception:\n    pass", "try:\n    f()\nexcept:\n    pass",
         "try:\n    f()\nexcept (ValueError, BaseException):\n    pass",
         "import contextlib\nwith contextlib.suppress(Exception):\n    f()"),
    ),
}  # fmt: skip
FINE = (
    "import time\ntime.monotonic()",
    "timeout_s: float = 0.5\ndef wait(limit_s: float = 1.0, *, poll_ms=0.5): ...",
    "call(timeout=3.0)\nisinstance(x, float)",
    "open('f')\np.open('rb')\n'a'.replace('b', 'c')\nwhen.replace(microsecond=0)\nimport os\nos.open(f, os.O_RDONLY)",
    "from dataclasses import replace\nreplace(x)\nimport msgspec\nmsgspec.structs.replace(x)\nself.store.open(name)",
    "from urllib.parse import urlsplit",
    "try:\n    f()\nexcept (ValueError, OSError):\n    pass",
    "try:\n    f()\nexcept BaseException:\n    g()\n    raise",
)
PLANTED = [(rule, text) for rule, (_, texts) in RULES.items() for text in texts]


def covered(path: str, table: Mapping[str, str]) -> str | None:
    """The row that covers a path: the file itself, or a folder (ends in /) above it."""
    return next((row for row in table if path == row or (row.endswith("/") and path.startswith(row))), None)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Check) -> None:
    table = RULES[rule][0]
    assert not [finding for source in sources() if not covered(source.path, table) for finding in rule(source)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_allowance_is_idle(rule: Check) -> None:
    table = RULES[rule][0]
    used = {covered(source.path, table) for source in sources() if any(True for _ in rule(source))}
    assert set(table) <= used


@pytest.mark.parametrize(("rule", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_fault_is_found(rule: Check, text: str) -> None:
    assert list(rule(Source.of("desk/risk/planted.py", text)))


@pytest.mark.parametrize("text", FINE)
def test_what_is_allowed_is_not_found(text: str) -> None:
    source = Source.of("desk/risk/planted.py", text)
    assert not [finding for rule in RULES for finding in rule(source)]
