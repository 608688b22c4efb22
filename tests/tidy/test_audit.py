"""`make audit` must not take silence for safety: pip-audit exits 0 when the service knew none of our packages."""

import json
import runpy
from typing import Any

import pytest

from tidy.house import ROOT

JUDGE = runpy.run_path(str(ROOT / ".ci" / "audit.py"))["judge_vulnerabilities"]
FINE = {"name": "requests", "version": "2.0", "vulns": []}
SKIPPED = {"name": "filelock", "skip_reason": "not found"}
HIT = {"name": "tabulate", "version": "0.1", "vulns": [{"id": "PYSEC-1"}]}


@pytest.mark.parametrize(
    ("packages", "verdict"),
    [([FINE], "OK"), ([], "WARN"), ([SKIPPED], "WARN"), ([FINE, SKIPPED], "WARN"), ([FINE, SKIPPED, HIT], "FAIL")],
)
def test_the_verdict_follows_what_was_checked(packages: list[dict[str, Any]], verdict: str) -> None:
    assert JUDGE(json.dumps({"dependencies": packages}))[0] == verdict


def test_no_answer_is_not_checked() -> None:
    assert JUDGE("Traceback (most recent call last): ...")[0] == "WARN"
