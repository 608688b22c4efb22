"""Fenced blocks of the documents: read, run as an operator would type them, and compared with the output shown.

Rules for a document (docs/add-x.md, "a command in a document"):
- A ```bash block is run; one document's blocks run in order, in one shell, so `cd`, exports and functions persist.
  `<!-- test: shell NAME -->` before a block starts another shell for it and the ones after it.
- `<!-- test: not run: REASON -->` before a block: only its syntax is checked.
- A command that must fail says so where the operator reads it: `# exit 1` at the end of its line.
- A ```text block right after a bash block is that block's output, trimmed: its lines must appear in this order; what
  stands between « and » may differ; a line of only … stands for lines left out.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FENCE: Final = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKER: Final = re.compile(r"<!-- test: (not run|shell):? (.*?) -->")
SAYS_EXIT: Final = re.compile(r"#[^#]*\bexit (\d+)\b[^#]*$")
FIRST_SHELL: Final = "first"
BEGIN, END, FAILED = "@@begin", "@@end", "@@failed"


@dataclass
class Block:
    """One ```bash block and what the document says about it."""

    document: str
    line: int  # of its opening fence
    code: str
    shell: str
    not_run: str = ""  # why, when it is only checked for syntax
    expected: list[str] = field(default_factory=list)  # lines of the output shown

    @property
    def name(self) -> str:
        return f"{self.document}:{self.line}"

    def exits(self) -> dict[int, int]:
        """Line of the code (from 0) -> the exit code its comment announces."""
        found = ((n, SAYS_EXIT.search(text)) for n, text in enumerate(self.code.splitlines()))
        return {n: int(match[1]) for n, match in found if match}


@dataclass
class Ran:
    """What running one block gave: its output, and (line of the code, exit code) of each command that failed."""

    block: Block
    output: str
    failed: list[tuple[int, int]]


def blocks(text: str, document: str) -> list[Block]:
    """Every ```bash block of a document, with its marker and the output shown after it."""
    found: list[Block] = []
    shell, end = FIRST_SHELL, 0
    for fence in FENCE.finditer(text):
        between, language, code = text[end : fence.start()], fence[1], fence[2]
        end = fence.end()
        marks = dict(MARKER.findall(between))
        shell = marks.get("shell", shell)
        if language == "bash":
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(document, line, code, shell, marks.get("not run", "")))
        elif language == "text" and found and not between.strip():
            found[-1].expected += [row for row in code.splitlines() if row.strip() not in {"", "…"}]
    return found


def syntax_error(block: Block) -> str:
    """What `bash -n` says; "" when it has nothing to say."""
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, timeout=30)
    return done.stderr.strip() if done.returncode else ""


def run(chosen: list[Block], folder: Path, environment: Mapping[str, str], timeout_s: float) -> list[Ran]:
    """Run the blocks in one bash, in `folder`; whatever they leave running is ended with it.

    Raises:
        AssertionError: they took longer than `timeout_s`; carries what had been printed by then.
    """
    script, offsets = _script(chosen)
    path, told = folder / ".blocks.sh", folder / ".blocks.out"
    path.write_text(script)
    with told.open("wb") as out:  # a file: a process left running would keep a pipe open for ever
        process = subprocess.Popen(
            ["bash", path.name], cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not done in {timeout_s} s:\n{told.read_text()[-4000:]}") from None
        finally:
            _end_group(process)
    return list(_ran(chosen, offsets, told.read_text()))


def _script(chosen: list[Block]) -> tuple[str, list[int]]:
    """The blocks as one script, and the script line on which each block's code begins."""
    lines = [f"trap 'echo \"{FAILED} $LINENO $?\"' ERR"]
    offsets = []
    for number, block in enumerate(chosen):
        lines.append(f"echo; echo {BEGIN} {number}")
        offsets.append(len(lines) + 1)
        lines += [*block.code.splitlines(), f"echo; echo {END} {number}"]
    return "\n".join(lines) + "\n", offsets


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the shell and what it left behind: all in a session of their own, started here."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _ran(chosen: list[Block], offsets: list[int], told: str) -> Iterator[Ran]:
    for number, block in enumerate(chosen):
        _, begun, rest = told.partition(f"\n{BEGIN} {number}\n")
        body, ended, _ = rest.partition(f"\n{END} {number}\n")
        assert begun and ended, f"{block.name}: the shell ended before this block did:\n{told[-4000:]}"
        failed, output = [], []
        for line in body.splitlines():
            match = re.fullmatch(rf"(.*){FAILED} (\d+) (\d+)", line)
            if match:
                failed.append((int(match[2]) - offsets[number], int(match[3])))
            if not match or match[1]:
                output.append(match[1] if match else line)
        yield Ran(block, "\n".join(output), failed)


def faults(ran: Ran) -> list[str]:
    """Where a run block differs from its document: exit codes first, then lines of the output shown."""
    announced = ran.block.exits()
    found = [
        f"{ran.block.name}: line {line + 1} exits {code}, the document says {announced.get(line, 0)}"
        for line, code in ran.failed
        if announced.get(line, 0) != code
    ]
    failed = dict(ran.failed)
    found += [
        f"{ran.block.name}: line {line + 1} exits 0, the document says {code}"
        for line, code in announced.items()
        if line not in failed
    ]
    missing = first_missing(ran.block.expected, ran.output)
    return found + ([f"{ran.block.name}: the output has no line like: {missing}"] if missing else [])


def first_missing(expected: list[str], output: str) -> str:
    """The first shown line that the output does not have (after the one before it); "" when it has them all."""
    rows = iter(_flat(row) for row in output.splitlines())
    for wanted in expected:
        pattern = re.compile(_pattern(_flat(wanted)))
        if not any(pattern.fullmatch(row) for row in rows):
            return wanted
    return ""


def _flat(row: str) -> str:
    return " ".join(row.split())


def _pattern(wanted: str) -> str:
    """A shown line as a regular expression: «what varies» and a … inside it match anything."""
    parts = re.split(r"«[^»]*»|…", wanted)
    return ".*?".join(re.escape(part) for part in parts)
