"""crontab.example, line by line, as cron runs it: /bin/sh, a bare environment, everything else from .env."""

import os
import re
import subprocess
from collections.abc import Callable

import pytest

from runbook.operators import Checkout, account

pytestmark = pytest.mark.slow
ROUNDS = 2  # the first heartbeat stands after router and reconcile in the file; the second round is any later minute


def lines(checkout: Checkout) -> tuple[dict[str, str], list[str]]:
    """(NAME=value lines, commands) of the example, its folder set as its comment says."""
    names: dict[str, str] = {}
    commands = []
    for line in (checkout.folder / "crontab.example").read_text().splitlines():
        setting = re.fullmatch(r"([A-Z_]+)=(.*)", line)
        if setting:
            names[setting[1]] = setting[2].strip('"')
        elif line and not line.startswith("#"):
            commands.append(line.split(maxsplit=5)[5])
    assert names["SANAD_CHECKOUT"].startswith("/path/to/")
    return names | {"SANAD_CHECKOUT": str(checkout.folder)}, commands


def test_a_paper_folder_set_up_from_cron_is_healthy(checkout: Checkout, exchange: Callable[..., str]) -> None:
    names, commands = lines(checkout)
    env_file = checkout.folder / ".env"
    settings = {name: value for name, value in account(exchange()).items() if name != "SYSTEM_MODE"}
    settings["MEXC_REST_URL"] = exchange("mexc")  # its refresh stands in the file; MEXC is not in VENUES
    env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    env_file.chmod(0o600)
    cron = {"HOME": os.environ.get("HOME", "/"), "LOGNAME": "sanad", "PATH": "/usr/bin:/bin", **names}
    for _ in range(ROUNDS):
        for command in commands:
            done = subprocess.run(
                [names["SHELL"], "-c", command], env=cron, capture_output=True, text=True, timeout=120,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), command + log(checkout)
    assert re.findall(r"Overall: (\w+)", log(checkout)) == ["OK"] * ROUNDS
    assert "trading: ENABLED" in log(checkout)


def log(checkout: Checkout) -> str:
    path = checkout.folder / "execution-logs" / "cron.log"
    return path.read_text() if path.exists() else "\nnothing was logged"
