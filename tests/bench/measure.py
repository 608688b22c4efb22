"""What a process costs: CPU and peak memory of a child, seen from a small launcher. Owns that and nothing of doors.

The launcher is an interpreter without site packages: a child's peak memory starts from that of the process it was made
from, so a test runner of 80 MiB would hide what a door of 40 MiB needs.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FLOOR = "import requests, msgspec, filelock, dotenv"  # the packages every door stands on
RUN_S_MAX = 120
LAUNCHER = """
import json, os, sys
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=actions)
_, status, used = os.wait4(child, 0)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""


@dataclass(frozen=True)
class Cost:
    """One run of a command.

    Attributes:
        cpu_s: user and system time.
        rss_mib: peak resident memory.
        last_line: the last it printed, for a reader who wonders about its exit code.
    """

    cpu_s: float
    rss_mib: float
    exit_code: int
    last_line: str


def floor_command() -> tuple[str, ...]:
    """The floor: an interpreter that imports the packages and ends."""
    return sys.executable, "-c", FLOOR


def cost_of(command: Sequence[str], env: Mapping[str, str], printed: Path) -> Cost:
    """Run a command to its end and measure it.

    Args:
        printed: a scratch file for what it prints.
    """
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(printed), *command]
    done = subprocess.run(launcher, env=dict(env), capture_output=True, text=True, timeout=RUN_S_MAX, check=True)
    cpu_s, rss_kib, code = json.loads(done.stdout)
    lines = printed.read_text().strip().splitlines()
    return Cost(cpu_s, rss_kib / 1024, code, lines[-1] if lines else "")


def interleaved(
    commands: Mapping[str, Callable[[], Cost]], rounds: int, before_round: Callable[[], None]
) -> dict[str, list[Cost]]:
    """Run all commands in turn, `rounds` times, so that a busy host slows each of them alike."""
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        before_round()
        for name, run in commands.items():
            found[name].append(run())
    return found


def cpu_of(costs: Sequence[Cost]) -> float:
    """Median CPU seconds."""
    return statistics.median(cost.cpu_s for cost in costs)


def rss_of(costs: Sequence[Cost]) -> float:
    """The highest peak, MiB."""
    return max(cost.rss_mib for cost in costs)
