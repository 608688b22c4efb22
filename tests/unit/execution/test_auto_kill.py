"""The automatic kill switch inside a cycle: whoever engaged it, the router leaves no entry standing."""

from pathlib import Path

import pytest

from desk.execution import auto_kill, submit
from desk.risk import kill_switch
from desk.venues.protocol import OrderType
from kit import Bench, bench, entry, ok


@pytest.fixture
def resting(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench with one resting limit entry far below the market."""
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    submit.submit(found.desk(), entry(price="40000", type=OrderType.LIMIT), ok)
    return found


def _status(b: Bench) -> str:
    (intent,) = b.intents().values()
    return intent.status


def test_an_entry_stands_while_the_switch_is_inactive(resting: Bench) -> None:
    auto_kill.cancel_under_kill(resting.desk())
    assert _status(resting) == "NEW"


def test_an_entry_is_cancelled_whoever_engaged(resting: Bench) -> None:
    run = resting.run()
    kill_switch.engage(run.home, run.journal, "manual", "heartbeat")
    auto_kill.cancel_under_kill(resting.desk())
    assert _status(resting) == "CANCELED"


def test_freeze_all_sends_no_cancel(resting: Bench) -> None:
    run = resting.run()
    kill_switch.engage(run.home, run.journal, "manual", "operator", level="freeze_all")
    auto_kill.cancel_under_kill(resting.desk())
    assert _status(resting) == "NEW"
