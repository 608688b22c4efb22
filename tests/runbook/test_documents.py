"""README.md and docs/: every bash block parses and runs, and prints what the document shows."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from desk.base.reasons import Reason
from lab.sim.fault_kinds import KINDS
from runbook.fences import Block, blocks, faults, run, syntax_error
from runbook.operators import Checkout, account
from tidy.house import ROOT, tracked

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TIMEOUT_S = 600  # a minute or so on a quiet host
DEMO_ARGS = "--ticks 22 --seeded"  # `make run` plays 120; its first trade is over after 21
LINK = re.compile(r"\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)")


def read(path: Path) -> list[Block]:
    return blocks(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())


def every_block() -> list[Block]:
    return [block for path in DOCUMENTS for block in read(path)]


def shells() -> list[tuple[Path, str]]:
    """(document, shell) of everything that is run."""
    return [
        (path, shell)
        for path in DOCUMENTS
        for shell in dict.fromkeys(block.shell for block in read(path) if not block.not_run)
    ]


@pytest.mark.parametrize("block", every_block(), ids=lambda block: block.name)
def test_every_bash_block_parses(block: Block) -> None:
    assert syntax_error(block) == ""


def test_what_is_not_run_says_why() -> None:
    skipped = [block for block in every_block() if block.not_run]
    assert [block.name for block in skipped if len(block.not_run.split()) < 3] == []
    assert len(skipped) < len(every_block()) / 4


@pytest.mark.slow
@pytest.mark.parametrize(("path", "shell"), shells(), ids=lambda value: getattr(value, "stem", value))
def test_a_document_does_what_it_says(path: Path, shell: str, checkout: Checkout, exchange: Callable[..., str]) -> None:
    """One document's blocks of one shell, in a fresh checkout, with a python3 that knows no packages."""
    chosen = [block for block in read(path) if block.shell == shell and not block.not_run]
    more = {"ARGS": DEMO_ARGS} if shell != "operator" else account(exchange())
    if shell == "operator":
        del more["SYSTEM_MODE"]  # the document sets it
    done = run(chosen, checkout.folder, checkout.environment(**more), TIMEOUT_S)
    found = [fault for one in done for fault in faults(one)]
    assert found == [], "\n".join(found) + "".join(f"\n--- {one.block.name}\n{one.output}" for one in done)


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in DOCUMENTS
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_every_door_stands_in_the_readme() -> None:
    doors = {path.name for path in (ROOT / "scripts").glob("*.py")} - {"clients.py"}
    assert [name for name in sorted(doors) if f"`{name}`" not in (ROOT / "README.md").read_text(encoding="utf-8")] == []


def test_every_file_a_document_names_is_there() -> None:
    """`scripts/x.py`, `docs/x.md`, `tests/x`, `config/x` in backticks."""
    named = re.compile(r"`((?:scripts|docs|tests|config)/[\w./*<>-]+)`")
    names = {path.relative_to(ROOT).as_posix() for path in tracked()}
    missing = []
    for path in DOCUMENTS:
        for name in named.findall(path.read_text(encoding="utf-8")):
            plain = name.rstrip("/")
            if "<" in plain or "*" in plain:
                continue
            if plain not in names and not any(one.startswith(plain + "/") for one in names):
                missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert missing == []


def test_every_reason_code_a_document_names_is_one() -> None:
    rooms = {code.partition(":")[0] for code in Reason}
    named = re.compile(r"`([a-z_]+):([a-z_]+)`")
    found = [(path.name, match) for path in DOCUMENTS for match in named.findall(path.read_text(encoding="utf-8"))]
    codes = [(name, f"{room}:{word}") for name, (room, word) in found if room in rooms]
    assert len(codes) > 10
    assert [one for one in codes if one[1] not in set(Reason)] == []


def test_the_runbook_lists_every_fault_of_the_simulator() -> None:
    text = (ROOT / "docs" / "runbook" / "sanad.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


def test_the_rehearsal_script_parses() -> None:
    done = subprocess.run(
        ["bash", "-n", str(ROOT / "docs" / "runbook" / "rehearse.sh")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
