"""The reader of fenced blocks: what it takes for a block, how it runs them, and that it sees each kind of fault."""

import os
import time
from pathlib import Path

import pytest

from runbook.fences import Block, blocks, faults, first_missing, run, syntax_error

DOCUMENT = """# A document

```bash
cd sub
export NAME=kept
```

```text
«number» lines
…
last
```

<!-- test: not run: it changes the host -->
```bash
crontab new
```

<!-- test: shell second -->
```bash
false    # exit 1: nothing is there
```

```python
not_a_shell()
```

Not an output:

```text
a tree of files
```
"""


def block(code: str, expected: str = "") -> Block:
    return Block("doc.md", 1, code, "first", expected=expected.splitlines())


def ran(folder: Path, *chosen: Block) -> list[str]:
    """Every fault of running the blocks."""
    environment = {"PATH": os.environ["PATH"]}
    return [fault for one in run(list(chosen), folder, environment, 30) for fault in faults(one)]


def test_blocks_carry_their_marks_shell_and_shown_output() -> None:
    first, second, third = blocks(DOCUMENT, "doc.md")
    assert (first.line, first.shell, first.not_run) == (3, "first", "")
    assert first.expected == ["«number» lines", "last"]
    assert (second.not_run, second.expected) == ("it changes the host", [])
    assert (third.shell, third.exits(), third.expected) == ("second", {0: 1}, [])


def test_blocks_share_one_shell(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    chosen = [block("cd sub\nexport NAME=kept\nf() { echo from f; }\n"), block('echo "$NAME in ${PWD##*/}"\nf\n',
              "kept in sub\nfrom f")]  # fmt: skip
    assert ran(tmp_path, *chosen) == []


def test_a_failing_command_is_a_fault_unless_the_document_says_so(tmp_path: Path) -> None:
    assert ran(tmp_path, block("true\nfalse\ntrue\n")) == ["doc.md:1: line 2 exits 1, the document says 0"]
    assert ran(tmp_path, block("true\n(exit 3)   # exit 3 when busy\n")) == []
    assert ran(tmp_path, block("(exit 2)   # exit 3 when busy\n")) == ["doc.md:1: line 1 exits 2, the document says 3"]
    assert ran(tmp_path, block("true   # exit 1\n")) == ["doc.md:1: line 1 exits 0, the document says 1"]


def test_failures_are_found_around_a_heredoc_and_unfinished_lines(tmp_path: Path) -> None:
    code = "cat <<'PY'\none # exit 9\nPY\nprintf unfinished; (exit 4)\n"
    found = ran(tmp_path, block(code, "one # exit 9\nunfinished"))
    assert found == [
        "doc.md:1: line 4 exits 4, the document says 0",
        "doc.md:1: line 2 exits 0, the document says 9",
    ]


def test_shown_output_must_be_there_in_order(tmp_path: Path) -> None:
    code = "echo seq 17 of binance; echo between; echo last\n"
    assert ran(tmp_path, block(code, "seq «12» of   binance\nlast")) == []
    assert ran(tmp_path, block(code, "last\nseq «12» of binance")) == [
        "doc.md:1: the output has no line like: seq «12» of binance"
    ]
    assert first_missing(["seq 12 of binance"], "seq 17 of binance") == "seq 12 of binance"
    assert first_missing(["seq 1. of binance"], "seq 17 of binance") == "seq 1. of binance"


def test_a_shell_that_ends_early_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended before this block"):
        ran(tmp_path, block("exit 0\n"), block("echo never\n"))


def test_what_a_block_leaves_running_ends_with_it(tmp_path: Path) -> None:
    assert ran(tmp_path, block("(while sleep 0.02; do echo alive >> beats; done) &\nsleep 0.5\n")) == []
    time.sleep(0.2)
    counted = (tmp_path / "beats").stat().st_size
    time.sleep(0.5)
    assert 0 < counted == (tmp_path / "beats").stat().st_size


def test_a_block_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"not done in 0\.5 s"):
        run([block("echo begun\nsleep 600\n")], tmp_path, {"PATH": os.environ["PATH"]}, 0.5)


def test_bad_syntax_is_seen() -> None:
    assert syntax_error(block("if true; then echo\n"))
    assert syntax_error(block("if true; then echo; fi\n")) == ""
