"""The text logs under execution-logs/: `<door>.log`, `trading.log`, `errors.log`. Owns their writing and rotation.

For eyes and greps; nothing reads them back to decide. One line: ISO time, level, text. WARN and CRIT lines of every
door also go to trading.log, errors with venue, path and code to errors.log. A log that cannot be written never stops
a door: the journal is the record, the log is a convenience.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from desk.base import clock
from desk.base.paths import Home

LOUD: Final = frozenset({"WARN", "WARNING", "CRIT", "CRITICAL", "ERROR"})
LINE_CHARS_MAX: Final = 4000


def tell(text: str) -> None:
    """One line on standard output. A reader that went away (`| head`) is no failure: the log has every line."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more can be told, now or at exit


class RunLog(msgspec.Struct):
    """One door's log. Lines are written as they come, in append mode."""

    home: Home
    door: str
    bytes_max: int = 20_000_000
    files_kept: int = 5
    failed: bool = False

    def info(self, text: str) -> None:
        """A line for this door's log only."""
        self.line("INFO", text)

    def line(self, level: str, text: str) -> None:
        """A line at a level; loud ones also reach trading.log."""
        self._append(f"{self.door}.log", level, text)
        if level in LOUD:
            self._append("trading.log", level, f"[{self.door}] {text}")

    def error(self, text: str, venue: str = "-", path: str = "-", code: str = "-") -> None:
        """An error with where it came from, to errors.log, trading.log and this door's log."""
        self.line("ERROR", text)
        self._append("errors.log", "ERROR", f"[{self.door}] venue={venue} path={path} code={code} {text}")

    def _append(self, name: str, level: str, text: str) -> None:
        flat = " ".join(text.split())[:LINE_CHARS_MAX]
        raw = f"{clock.iso(clock.now_ms())} {level} {flat}\n".encode("utf-8", "backslashreplace")
        path = self.home.logs / name
        try:
            self._rotate(path)
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(handle, raw)
            finally:
                os.close(handle)
        except OSError:
            self.failed = True

    def _rotate(self, path: Path) -> None:
        """Keep the last few full logs; two doors racing here lose no line, at worst rotate once more."""
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size < self.bytes_max:
                return
            for number in range(self.files_kept - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{path}.{number}", f"{path}.{number + 1}")
            os.replace(path, f"{path}.1")
