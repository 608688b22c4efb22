"""What the tidy tests share: the source files, parsed once, and names resolved through a module's imports."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


@dataclass(frozen=True)
class Source:
    """One Python file under scripts/: `path` is relative to scripts/, with forward slashes."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        return cls(path, text, ast.parse(text))


@dataclass(frozen=True)
class Use:
    """A dotted name where it is used, its root resolved: `from os import replace as r; r(...)` is `os.replace`."""

    line: int
    name: str
    node: ast.expr


@functools.cache
def sources() -> tuple[Source, ...]:
    """Every scripts/**/*.py (backup copies end in .bak.<epoch>, so they are none)."""
    files = sorted(SCRIPTS.rglob("*.py"))
    return tuple(Source.of(f.relative_to(SCRIPTS).as_posix(), f.read_text(encoding="utf-8")) for f in files)


def doors() -> frozenset[str]:
    """Module names of the files directly under scripts/: doors and venues."""
    return frozenset(source.path.removesuffix(".py") for source in sources() if "/" not in source.path)


@functools.cache
def tracked() -> tuple[Path, ...]:
    """The files git has, or would take: what a clone gets."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return tuple(ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import, also those inside functions; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def uses(tree: ast.AST) -> Iterator[Use]:
    """Every name and attribute chain that is read, resolved through the module's imports."""
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            dotted = _dotted(node)
            if dotted:
                root, _, rest = dotted.partition(".")
                whole = aliases.get(root, root)
                yield Use(node.lineno, f"{whole}.{rest}" if rest else whole, node)


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call with its resolved dotted name; a method of an expression is `?.method`."""
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            dotted = _dotted(node.func)
            if dotted:
                root, _, rest = dotted.partition(".")
                whole = aliases.get(root, root)
                yield node, f"{whole}.{rest}" if rest else whole
            elif isinstance(node.func, ast.Attribute):
                yield node, f"?.{node.func.attr}"


def _aliases(tree: ast.AST) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
