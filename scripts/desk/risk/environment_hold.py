"""KILL_SWITCH=true: which line of the environment holds the kill switch. Reads the environment and `.env`.

The strictest of both counts: `.env` may engage what the process environment leaves open, and never the other way
round; false never releases (rules.md). A word that is neither true nor false reads as true.
"""

import os
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from desk.base.errors import ConfigError
from desk.base.paths import CHECKOUT, Home
from desk.config.env import boolean

NAME: Final = "KILL_SWITCH"


def find(home: Home) -> str:
    """A clause naming the line that holds the switch; "" when none does."""
    if _holds(os.environ.get(NAME, "")):
        return f"the environment says {NAME}={os.environ[NAME].strip()}: unset it or set {NAME}=false"
    path = next((p for p in (home.root / ".env", CHECKOUT / ".env") if p.is_file()), None)
    if path is None:
        return ""
    try:
        line, value = _last_binding(path)
    except (OSError, UnicodeDecodeError) as error:
        return f"{path.name} cannot be read ({type(error).__name__}): correct it first"
    return f".env line {line} says {NAME}={value.strip()}: set {NAME}=false there" if _holds(value) else ""


def _last_binding(path: Path) -> tuple[int, str]:
    """Line number and value of the last KILL_SWITCH in a `.env`; (0, "") without one."""
    found = (0, "")
    with path.open(encoding="utf-8") as stream:
        for binding in parse_stream(stream):
            if binding.key == NAME:
                text = binding.original.string
                blank_lines = text[: len(text) - len(text.lstrip())].count("\n")
                found = (binding.original.line + blank_lines, binding.value or "")
    return found


def _holds(text: str) -> bool:
    try:
        return boolean(NAME, text)
    except ConfigError:
        return True
