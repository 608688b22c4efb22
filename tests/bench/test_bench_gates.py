"""What all gates cost for an entry that every one of them allows."""

import statistics
import time

import pytest

from bench import report
from policy_engine import GATES, evaluate
from unit.risk.facts_kit import ENTRY, GOOD

pytestmark = pytest.mark.bench
CALLS = 500
MS_MAX = 1.0


def test_every_gate_within_a_millisecond() -> None:
    taken_ms = []
    for _ in range(CALLS):
        started = time.perf_counter()
        found = evaluate(ENTRY, GOOD)
        taken_ms.append((time.perf_counter() - started) * 1000)
    median_ms = statistics.median(taken_ms)
    row = [f"all {len(GATES)} gates, median of {CALLS}", median_ms, f"<= {MS_MAX}", report.word(median_ms, MS_MAX)]
    report.show("Policy evaluation", ["", "ms", "target", ""], [row])
    assert found.allowed and len(found.verdicts) == len(GATES), "an entry denied half-way measures half the gates"
