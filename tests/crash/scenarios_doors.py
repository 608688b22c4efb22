"""Crash scenarios of the trading doors, on paper, against the simulator: P1, P2, P5 and P6 judged by the paper books.

The test starts one stepped simulator, plays the master home up to the moment of interest, and names both in the
environment. Time is the test's own clock (`/sim/clock`, `/turn`), so that recovery can wait without moving the market.
"""

import json
import os
import shutil
import urllib.request
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import daykit
from crash import checks, plants
from crash.scenario import Child, Result, Scenario

MASTER, JOBS, CLOCK, START = "SANAD_CRASH_MASTER", "SANAD_CRASH_JOBS", "SANAD_CRASH_CLOCK", "SANAD_CRASH_START_MS"
SETTLE_MS = (0, 70_000, 110_000)  # later ticks: long enough for "not found" to become evidence
MINIMUM_NOTIONAL = 10
PLOTS = (
    "first_tick", "entry", "exit", "trail", "reconcile", "new_day", "kill_switch", "pause_resume", "limits", "flatten",
    "cancel_protection",
)  # fmt: skip


def setup(child: Child) -> None:
    """A copy of the master home."""
    shutil.copytree(os.environ[MASTER], child.root, dirs_exist_ok=True)


def run(child: Child) -> None:
    """The doors of the scene, one after another."""
    turn(int(os.environ[START]))
    for door, *arguments in json.loads(os.environ[JOBS]):
        code = call(child.root, door, *arguments)
        assert code in {0, 1}, f"{door} ended with {code}"
        child.ack("ran", door=door, code=code)


def recover(child: Child) -> None:
    """The next ticks, now and later. The router may warn, not fail, and leaves no sellable position without a stop."""
    for wait_ms in SETTLE_MS:
        turn(int(os.environ[START]) + wait_ms)
        for door in ("router", "reconcile", "heartbeat"):
            code = call(child.root, door)
            assert code in ({0, 1} if door != "heartbeat" else {0, 1, 2}), f"{door} ended with {code}"
            if door == "router":
                naked = unprotected(child.root)
                assert not naked, f"P6: {naked}"
    for order in orders_of(child.root):
        child.order(order["client_order_id"])


def check(result: Result) -> list[str]:
    """P1, P2, P5, P6 and the chain, against the paper exchange's own books."""
    root = result.home.root
    found = [*checks.journal_whole(result), *checks.no_half_written_state(result), *_orders_once(root)]
    engaged = [facts for facts in result.acks("ran") if facts["door"] == "kill_switch"]
    if engaged and daykit.fold_of(root).portfolio.kill_switch.state != "active":
        found.append("P11: an acknowledged engage was lost")
    if found or not orders_of(root):
        return found
    try:
        daykit.assert_money_closes(root)
    except AssertionError as error:
        return [f"P5: {error}"]
    return []


def turn(now_ms: int) -> None:
    """Set the test's clock."""
    urllib.request.urlopen(f"{os.environ[CLOCK]}/turn/{now_ms}", timeout=10).read()


def call(root: Path, door: str, *arguments: str) -> int:
    """One run of a door in this process, as a fresh process would run it."""
    os.environ["SANAD_HOME"] = str(root)
    code = import_module(door).main(list(arguments))
    assert isinstance(code, int)
    return code


def orders_of(root: Path) -> list[dict[str, Any]]:
    """Every order the paper exchange ever took."""
    try:
        books = json.loads((root / "state" / "paper_broker.json").read_text())
    except FileNotFoundError:
        return []
    return list(books["venues"]["binance"]["orders"]) if "binance" in books["venues"] else []


def unprotected(root: Path) -> list[str]:
    """Positions above the minimum that no standing exit covers."""
    fold = daykit.fold_of(root)
    found = []
    for name, position in fold.positions.positions.items():
        exits = [
            i for i in fold.intents.intents.values()
            if i.position_id == position.position_id and i.kind == "EXIT"
            and (i.state == "SENT_UNKNOWN" or (i.state == "CONFIRMED" and i.status in {"NEW", "PARTIALLY_FILLED"}))
        ]  # fmt: skip
        if not exits and position.cost_quote > MINIMUM_NOTIONAL:
            found.append(f"{name} {position.quantity} without a stop")
    return found


def _orders_once(root: Path) -> list[str]:
    events = daykit.lines_of(root)
    sent = Counter(e["data"]["client_order_id"] for e in events if e["event"] == "INTENT_SENT_UNKNOWN")
    entries = Counter(
        e["decision_id"] for e in events if e["event"] == "INTENT_CREATED" and e["data"]["kind"] == "ENTRY"
    )
    taken = Counter(order["client_order_id"] for order in orders_of(root))
    found = [f"P1: order {name} stands and was never written down" for name in taken if name not in sent]
    found += [f"P2: order {name} stands {count} times" for name, count in taken.items() if count > 1]
    found += [f"P2: intent {name} was sent {count} times" for name, count in sent.items() if count > 1]
    found += [f"P1: intent {name} was not written in one group" for name in _in_pieces(events)]
    return found + [f"P2: decision {name} entered {count} times" for name, count in entries.items() if count > 1]


def _in_pieces(events: list[dict[str, Any]]) -> list[str]:
    """Intents created in another group than the one that says they are about to leave (design 4.8)."""
    group = {
        (e["event"], e["data"]["client_order_id"]): e["seq"] - e["group"][0]
        for e in events
        if e["event"] in {"INTENT_CREATED", "INTENT_SENT_UNKNOWN"}
    }
    created = [name for event, name in group if event == "INTENT_CREATED"]
    return [name for name in created if group["INTENT_CREATED", name] != group.get(("INTENT_SENT_UNKNOWN", name))]


def send_before_writing() -> None:
    """The order leaves first, its intent is written after (P1 broken)."""
    from desk.execution import intent as intents
    from desk.execution import submit

    whole = submit.submit

    def early(desk: Any, plan: Any, last_check: Any) -> Any:
        order_id, _ = intents.client_id(desk.run.settings.instance, plan, desk.fold())
        if order_id not in desk.fold().intents.intents:
            desk.account_of(plan.venue).place_order(intents.request_of(plan, order_id), desk.run.tick_ms)
        return whole(desk, plan, last_check)

    submit.submit = early


plants.register("order sent before its intent", send_before_writing)

SCENARIOS = tuple(
    Scenario(name, setup, run, recover, check, counts_orders=name not in {"first_tick", "pause_resume", "limits"})
    for name in PLOTS
)
