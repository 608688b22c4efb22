"""A configuration nested deeper than the parser can go is bad input, not a traceback (in its own process: the stack
that overflows is not the test runner's)."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def test_a_file_nested_too_deep_is_one_line(home: Path) -> None:
    (home / "config" / "sanad.toml").write_bytes(b"a = " + b"[" * 5000 + b"]" * 5000)
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "router.py")], env=os.environ | {"SYSTEM_MODE": "PAPER"}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert "sanad.toml" in line and "nested too deep" in line
