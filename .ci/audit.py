"""Audit of what we depend on and of what we commit: known vulnerabilities, bandit, secrets. Writes nothing.

All three always run. Not checked is never OK: without the vulnerability service the verdict is WARN (exit 1);
a finding is FAIL (exit 2). Bandit and the secret scan need no network.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OK, WARN, FAIL = "OK", "WARN", "FAIL"
NOT_SCANNED = ("requirements.txt", "requirements-dev.txt")  # thousands of hashes, nothing else
FAKE_SECRETS = "^(simkey|simsecret|__REDACTED__)$"  # the simulator's published pair


def module(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", name, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def judge_vulnerabilities(stdout: str) -> tuple[str, str]:
    """Read pip-audit's JSON. Its exit code is no verdict: it is 0 when every package was skipped."""
    try:
        packages = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return WARN, "NOT CHECKED: the vulnerability service did not answer"
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    hit = [
        f"{package['name']} {package['version']}: {one['id']}"
        for package in packages
        for one in package.get("vulns", [])
    ]
    if hit:
        return FAIL, "; ".join(hit)
    if skipped or not packages:
        return WARN, f"NOT CHECKED: {len(skipped)} of {len(packages)} packages unknown to the vulnerability service"
    return OK, f"{len(packages)} packages, none with a known vulnerability"


def vulnerabilities() -> tuple[str, str]:
    flags = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
    return judge_vulnerabilities(module("pip_audit", "-r", "requirements.txt", *flags).stdout)


def bandit() -> tuple[str, str]:
    done = module("bandit", "--quiet", "--severity-level", "medium", "-c", "pyproject.toml", "-r", "scripts")
    return (OK, "no finding of medium severity or more") if done.returncode == 0 else (FAIL, done.stdout + done.stderr)


def secrets() -> tuple[str, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    files = [name for name in listed.stdout.split("\0") if name and name not in NOT_SCANNED and (ROOT / name).is_file()]
    if listed.returncode != 0 or not files:
        return FAIL, "git ls-files names no file"
    done = module("detect_secrets.pre_commit_hook", "--no-verify", "--exclude-secrets", FAKE_SECRETS, *files)
    return (OK, f"{len(files)} files") if done.returncode == 0 else (FAIL, done.stdout + done.stderr)


def main() -> int:
    verdicts = []
    for name, check in (("vulnerabilities", vulnerabilities), ("bandit", bandit), ("secrets", secrets)):
        verdict, detail = check()
        verdicts.append(verdict)
        print(f"{name}: {verdict} {detail}", flush=True)
    worst = max(verdicts, key=(OK, WARN, FAIL).index)
    print(f"AUDIT END - {worst}")
    return (OK, WARN, FAIL).index(worst)


if __name__ == "__main__":
    sys.exit(main())
