"""Finding the packages: in place, in .venv of the same Python, by its interpreter, or one line and exit 2."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from desk.base.paths import CHECKOUT

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
DOOR = """
from desk.runtime import bootstrap
bootstrap.ensure_packages()
import json, sys, msgspec
print(json.dumps({"argv": sys.argv[1:], "path": msgspec.__file__, "prefix": sys.prefix}))
"""
NEEDED = ("msgspec", "requests", "filelock", "dotenv")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter without any package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one door and only the file under test."""
    rooms = tmp_path / "scripts" / "desk" / "runtime"
    rooms.mkdir(parents=True)
    for folder in (rooms, rooms.parent):
        (folder / "__init__.py").write_text("")
    (rooms / "bootstrap.py").write_bytes((CHECKOUT / "scripts/desk/runtime/bootstrap.py").read_bytes())
    (tmp_path / "scripts" / "door.py").write_text(DOOR)
    return tmp_path


def packages(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NEEDED:
        (folder / f"{name}.py").write_text("")


def run(python: Path, checkout: Path, *argv: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), *argv], cwd=checkout, input=stdin, text=True, capture_output=True, timeout=60,
        env={"PATH": "/bin"},
    )  # fmt: skip


def test_without_packages_it_says_how_and_ends_with_2(bare: Path, checkout: Path) -> None:
    done = run(bare, checkout, "scripts/door.py")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "msgspec, requests, filelock, dotenv" in done.stderr
    assert "make setup" in done.stderr


def test_packages_of_the_same_python_are_used_in_place(bare: Path, checkout: Path) -> None:
    site = checkout / ".venv" / "lib" / VERSION / "site-packages"
    packages(site)
    found = json.loads(run(bare, checkout, "scripts/door.py", "--once", "a b").stdout)
    assert (found["path"], found["argv"]) == (str(site / "msgspec.py"), ["--once", "a b"])
    heredoc = run(bare, checkout, "-", stdin="import sys; sys.path.insert(0, 'scripts')\nimport door")
    assert json.loads(heredoc.stdout)["path"] == str(site / "msgspec.py")


def test_another_python_of_the_venv_takes_over_with_the_same_arguments(bare: Path, checkout: Path) -> None:
    """The .venv's packages lie elsewhere for another version; its interpreter knows where."""
    venv.create(checkout / ".venv", with_pip=False, symlinks=True)
    site = checkout / ".venv" / "lib" / VERSION / "site-packages"
    packages(site)
    odd = checkout / ".venv" / "lib" / "python9.9"
    (checkout / ".venv" / "lib" / VERSION).rename(odd)
    (odd / "site-packages" / "link.pth").write_text("")
    wrapper = checkout / ".venv" / "bin" / "python"
    wrapper.unlink()
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={odd}/site-packages exec {bare} "$@"\n')
    wrapper.chmod(0o755)
    found = json.loads(run(bare, checkout, "scripts/door.py", "--loop", "x=1").stdout)
    assert (found["path"], found["argv"]) == (str(odd / "site-packages" / "msgspec.py"), ["--loop", "x=1"])


def test_a_venv_without_the_packages_is_no_endless_loop(bare: Path, checkout: Path) -> None:
    venv.create(checkout / ".venv", with_pip=False, symlinks=True)
    done = run(bare, checkout, "scripts/door.py")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_with_the_packages_nothing_happens() -> None:
    code = "from desk.runtime import bootstrap as b\nimport sys\nbefore = list(sys.path)\n"
    code += "b.ensure_packages()\nprint(before == sys.path)"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT / "scripts", text=True, capture_output=True)
    assert done.stdout.strip() == "True", done.stderr
