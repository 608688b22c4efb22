"""Shape: a docstring opens every module, functions fit a screen, modules a head, nothing is left unfinished.

The two tables are ratchets: a row may only shrink, and goes when its file no longer needs it. A module that is
one table (reasons, events) may have a row; a long function should be cut instead.
"""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tidy.house import Source, sources

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400

# path -> lines it may have
LONG_MODULES = {
    "desk/base/reasons.py": 600,  # one table: every reason code, its meaning, severity and remedy
}
# path::function -> lines it may have
LONG_FUNCTIONS: dict[str, int] = {}
LETTERS_ALLOWED = {"\N{EM DASH}": "verdict lines are written with it, and operators grep for them"}

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")


def docstring(source: Source) -> Iterator[str]:
    if not ast.get_docstring(source.tree):
        yield f"{source.path}:1 no docstring: say what the module owns, what it never does, what it writes"


def function_length(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            allowed = LONG_FUNCTIONS.get(f"{source.path}::{node.name}", FUNCTION_LINES_MAX)
            if lines > allowed:
                yield f"{source.path}:{node.lineno} {node.name} has {lines} lines, {allowed} allowed"


def module_length(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    allowed = LONG_MODULES.get(source.path, MODULE_LINES_MAX)
    if lines > allowed:
        yield f"{source.path} has {lines} lines, {allowed} allowed"


def unfinished(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{source.path}:{number} unfinished: {line.strip()}"


def ascii_only(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if any(not letter.isascii() and letter not in LETTERS_ALLOWED for letter in line):
            yield f"{source.path}:{number} not ASCII: {line.strip()!a}"


Check = Callable[[Source], Iterator[str]]
RULES: dict[Check, str] = {  # rule -> a module that breaks it
    docstring: "x = 1\n",
    function_length: '"""M."""\ndef f():\n' + "    pass\n" * 60,
    module_length: '"""M."""\n' + "x = 1\n" * 400,
    unfinished: '"""M."""\nx = 1  # ' + "TO" + "DO later\n",
    ascii_only: '"""M."""\nx = "\N{LATIN SMALL LETTER E WITH ACUTE}"\n',
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Check) -> None:
    assert not [finding for source in sources() for finding in rule(source)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_planted_fault_is_found(rule: Check) -> None:
    assert list(rule(Source.of("desk/risk/planted.py", RULES[rule])))


def test_the_ratchets_have_no_idle_row() -> None:
    by_path = {source.path: source for source in sources()}
    assert not [p for p in LONG_MODULES if p not in by_path or by_path[p].text.count("\n") <= MODULE_LINES_MAX]
    names = {
        f"{source.path}::{node.name}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert set(LONG_FUNCTIONS) <= names
