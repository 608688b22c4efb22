"""What an operator sits in front of: a checkout, an interpreter, an environment."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from tidy.house import ROOT, tracked

OPERATORS_OWN = ("state/", "execution-logs/", "signals/", "archive/", ".env")
KEPT = (".gitkeep", ".env.example")


@dataclass(frozen=True)
class Checkout:
    """A copy of what a clone gets, with a .venv; nothing that happens in it reaches the checkout it was made from."""

    folder: Path
    bare_python: Path  # a folder whose python3 knows no packages, as on a host where only Python was installed

    def environment(self, *, activated: bool = False, **more: str) -> dict[str, str]:
        """An operator's environment. `activated`: python3 is the .venv's, else the host's."""
        first = self.folder / ".venv" / "bin" if activated else self.bare_python
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "USER", "LOGNAME") if name in os.environ}
        return {**kept, "PATH": f"{first}:/usr/local/bin:/usr/bin:/bin", "PYTHONIOENCODING": "utf-8", **more}

    def bash(self, code: str, environment: dict[str, str], timeout_s: int = 120) -> subprocess.CompletedProcess[str]:
        """Run lines as if pasted into a terminal."""
        return subprocess.run(
            ["bash", "-c", code], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def door(self, name: str, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a door with the .venv's interpreter."""
        command = [str(self.folder / ".venv" / "bin" / "python"), f"scripts/{name}.py", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


def make_checkout(parent: Path) -> Checkout:
    """The files git has or would take, copied; an operator's own left out; packages lent by the running interpreter."""
    folder, bare = parent / "sanad", parent / "bin"
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(OPERATORS_OWN) or name.endswith(KEPT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / name)
    for cache in (ROOT / "scripts").rglob("__pycache__"):  # compiled modules stay valid: the copies keep their times
        shutil.copytree(cache, folder / cache.relative_to(ROOT), ignore=shutil.ignore_patterns("*.pyc.*"))
    _lend_packages(folder)
    bare.mkdir()
    (bare / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
    return Checkout(folder, bare)


def _lend_packages(folder: Path) -> None:
    """A .venv as `make setup` leaves it, but for its packages: those are ours, by a link."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder / ".venv")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / ".venv" / "lib" / version / "site-packages"
    shutil.rmtree(site)
    site.symlink_to(sysconfig.get_path("purelib"))
    wanted = (folder / "requirements.txt").read_bytes() + sys.version.encode()
    (folder / ".venv" / ".installed-requirements.txt").write_text(hashlib.sha256(wanted).hexdigest() + "\n")


def account(url: str) -> dict[str, str]:
    """What an operator's .env says about a PAPER account on an exchange at `url`."""
    return {
        "SYSTEM_MODE": "PAPER", "VENUES": "binance", "VENUE_ENV": "sim", "UNIVERSE_SYMBOLS": "BTCUSDT",
        "BINANCE_REST_URL": url, "BINANCE_API_KEY": "simkey", "BINANCE_API_SECRET": "simsecret",
    }  # fmt: skip
