"""What a clone gets: no machine path, no registry host, no key, backups ignored, pins that agree, cron = schedule."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidy.house import ROOT, tracked

# None of these patterns matches its own text, and the planted lines are written in pieces.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|Users|work)/\w")
REGISTRY = re.compile(r"pypi\.org|pythonhosted\.org|--(?:extra-)?index-url[= ]|--find-links[= ]|file:/{3}")
# Binance: 64 letters of both cases and digits. MEXC: mx0vgl... And private key blocks.
KEY = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{64}(?![A-Za-z0-9])"
    r"|\bmx0vgl[A-Za-z0-9]{10,}|-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}"
)
ALLOWED_MARK = "pragma: allowlist secret"  # the mark detect-secrets knows; for published examples only
RULES = {  # rule -> a line that breaks it
    MACHINE_PATH: "cd /" + "home/salim/trading",
    REGISTRY: "--index" + "-url https://example.org/simple",
    KEY: "BINANCE_API_KEY=" + "aB3dE6gH" * 8,
}


def findings(rule: re.Pattern[str], files: Iterator[Path] | list[Path]) -> list[str]:
    found = []
    for file in files:
        raw = file.read_bytes()
        if b"\0" in raw[:4096]:
            continue
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            if rule.search(line) and ALLOWED_MARK not in line:
                found.append(f"{file.name}:{number} {line.strip()[:100]}")
    return found


@pytest.mark.parametrize("rule", RULES, ids=("machine_path", "registry", "key"))
def test_no_tracked_file_holds(rule: re.Pattern[str]) -> None:
    assert tracked()
    assert not findings(rule, iter(tracked()))


@pytest.mark.parametrize("rule", RULES, ids=("machine_path", "registry", "key"))
def test_a_planted_line_is_found(rule: re.Pattern[str], tmp_path: Path) -> None:
    planted = tmp_path / "planted.txt"
    planted.write_text(f"first\n{RULES[rule]}\n")
    assert len(findings(rule, [planted])) == 1


IGNORED = (
    "scripts/policy_engine.py.bak.1771650000", "state/circuit_breakers.json.bak.1771650000", "state/intents.json",
    "state/LIVE.ok", "execution-logs/audit.jsonl", "execution-logs/heartbeat.log", "signals/one.json", ".env",
    ".env.pilot", "archive/x", "state/quarantine/x", "state/audit.sqlite", ".venv/x",
)  # fmt: skip
KEPT = ("state/.gitkeep", "execution-logs/.gitkeep", "signals/.gitkeep", ".env.example", "scripts/router.py")


def is_ignored(path: str) -> bool:
    return subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT).returncode == 0


def test_an_operators_own_files_stay_out_of_git() -> None:
    assert [path for path in IGNORED if not is_ignored(path)] == []
    assert [path for path in KEPT if is_ignored(path)] == []


def pins(text: str) -> dict[str, set[str]]:
    """name -> the pins it has (several where Pythons differ)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(name.lower(), set()).add(version)
    return found


def names(text: str) -> set[str]:
    """What a .in file asks for directly."""
    return {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)", text, re.MULTILINE)} - {"-r"}


def test_requirements_are_pinned_with_hashes_and_agree() -> None:
    run, dev = (ROOT / "requirements.txt").read_text(), (ROOT / "requirements-dev.txt").read_text()
    for text in (run, dev):
        blocks = re.split(r"\n(?=\S)", text)
        assert not [
            block.split()[0] for block in blocks if re.match(r"[A-Za-z0-9]", block) and "--hash=sha256:" not in block
        ]
    assert pins(run).items() <= pins(dev).items()
    assert names((ROOT / "requirements.in").read_text()) <= pins(run).keys()
    assert names((ROOT / "requirements-dev.in").read_text()) <= pins(dev).keys()
    assert pins("a==1 \\\n") != pins("a==2 \\\n")
