"""Finding the packages. Imported first by every door; standard library only; writes nothing.

Cron and heredocs start whatever `python3` is on the path. If the packages are not there, the checkout's `.venv` is
used: its site-packages when its Python is ours, else (for a script) its interpreter takes over. Else: one line, exit 2.
"""

import gc
import importlib.util
import io
import os
import sys
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[3]
NEEDED: Final = ("msgspec", "requests", "filelock", "dotenv")
LOOP_GUARD: Final = "SANAD_REEXECUTED"
FAIL: Final = 2
GC_EVERY: Final = 50_000  # allocations; imports leave no garbage, and a tick is over before much comes together


def ensure_packages(checkout: Path = CHECKOUT) -> None:
    """Make the packages importable, or end with one line and exit code 2.

    Raises:
        SystemExit: they are nowhere.
    """
    if _is_script(checkout):
        _speak_utf8()
        gc.set_threshold(GC_EVERY)
    if not missing():
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = checkout / ".venv" / "lib" / version / "site-packages"
    if site.is_dir():
        sys.path.append(str(site))
        importlib.invalidate_caches()
        if not missing():
            return
    interpreter = checkout / ".venv" / "bin" / "python"
    if interpreter.exists() and _is_script(checkout) and LOOP_GUARD not in os.environ:
        os.environ[LOOP_GUARD] = "1"
        os.execv(interpreter, [str(interpreter), *sys.orig_argv[1:]])  # noqa: S606 - the same arguments, our own .venv
    names = ", ".join(missing())
    how = f"run `make setup` in {checkout}, or `. {checkout}/.venv/bin/activate`"
    sys.stderr.write(f"packages missing ({names}): {how}\n")
    raise SystemExit(FAIL)


def _speak_utf8() -> None:
    """A door's lines are greps' food: the same bytes in every locale, and a name that is no text never stops one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def missing() -> list[str]:
    """The needed packages that cannot be imported now."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def _is_script(checkout: Path) -> bool:
    """True when a door was started as a script (not imported by `python -`, a test, or an installed tool)."""
    started = getattr(sys.modules.get("__main__"), "__file__", None)
    return started is not None and Path(started).resolve().parent == checkout / "scripts"
