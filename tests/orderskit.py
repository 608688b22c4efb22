"""What tests of `orders.py` need: orders made by the real path, holders of the lease, doors that die half-way."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import badkit
from badkit import Rig
from clients import clients_of
from desk.base.paths import Home
from desk.config.load import load
from desk.execution import books, operator_desk, submit
from desk.execution.intent import OrderPlan
from desk.execution.operator_desk import Hands
from desk.journal.state import Fold, Intent
from desk.runtime.tick import Outcome, Run, run_door
from desk.venues.paper import PaperBroker
from desk.venues.protocol import Book, Level, OrderType
from kit import D, entry
from lab.day import SCRIPTS

HELD, WANTED = f"binance:{badkit.HELD}", f"binance:{badkit.WANTED}"
REASON = ("--reason", "a test")
WAIT_S_MAX = 60


def at_the_desk(rig: Rig, act: Callable[[Hands], None]) -> None:
    """Work at the order table as a router's tick would, in this process."""

    def body(run: Run) -> Outcome:
        hands = Hands.of(run, clients_of(run))
        hands.snapshot()
        for venue in run.settings.venues:
            assert books.open_books(hands.desk, venue)
        act(hands)
        return Outcome(0, "done")

    with badkit._environment(rig.env):
        assert run_door("router", body, as_json=True) == 0


def resting_entry(rig: Rig, decision: str = "resting", below: str = "0.9") -> str:
    """A limit entry for the symbol nothing is held of, waiting below the market; returns its client id."""
    made: list[str] = []

    def act(hands: Hands) -> None:
        facts = hands.desk.facts
        assert facts is not None
        found = facts.symbols[WANTED]
        assert found.best_bid is not None and found.rules is not None
        price = (found.best_bid * D(below)).quantize(D("0.01"))
        plan = entry(
            symbol=badkit.WANTED, base="ETH", quantity="0.05", price=str(price), type=OrderType.LIMIT,
            decision=decision, plan_stop=price * D("0.98"),
        )  # fmt: skip
        made.append(sent(hands, plan))

    at_the_desk(rig, act)
    return made[0]


def bought(rig: Rig, venue: str = "binance") -> None:
    """A position of 0.002 BTC bought at the market and given its stop."""

    def act(hands: Hands) -> None:
        facts = hands.desk.facts
        assert facts is not None
        found = facts.symbols[f"{venue}:{badkit.HELD}"]
        assert found.best_ask is not None
        price = (found.best_ask * D("1.01")).quantize(D("0.01"))
        stop = (found.best_ask * D("0.97")).quantize(D("0.01"))
        sent(hands, entry(venue=venue, price=str(price), plan_stop=stop, plan_target=D("0")))
        assert operator_desk.restore(hands, f"{venue}:{badkit.HELD}")

    at_the_desk(rig, act)


def sent(hands: Hands, plan: OrderPlan) -> str:
    """Submit a plan; returns its client id."""
    made = submit.submit(hands.desk, plan, lambda: "")
    assert made.order_id, made.error
    return made.order_id


def market_falls(rig: Rig, symbol: str, bid: str, depth: str) -> None:
    """The paper exchange sees one book: a best bid with so much behind it, the ask a cent above."""
    with badkit._environment(rig.env):
        home = Home(rig.home)
        broker = PaperBroker(home, load(home), lambda venue, name: None, lambda venue, name: None)
        now_ms = rig.sim.now_ms if rig.sim is not None else 0
        sides = (Level(D(bid), D(depth)),), (Level(D(bid) + D("0.01"), D(depth)),)
        broker.on_book(
            Book(venue="binance", symbol=symbol, bids=sides[0], asks=sides[1], as_of_ms=now_ms + 1), now_ms + 1
        )


def fold_of(rig: Rig) -> Fold:
    """The journal as it stands."""
    import daykit

    return daykit.fold_of(rig.home)


def order(rig: Rig, order_id: str) -> Intent:
    return fold_of(rig).intents.intents[order_id]


def stop_of(rig: Rig, name: str = HELD) -> str:
    """The client id of the position's standing stop, "" without one."""
    fold = fold_of(rig)
    position = fold.positions.positions[name]
    known = fold.intents.intents.items()
    standing = [n for n, i in known if i.position_id == position.position_id and i.leg == "stop" and i.status == "NEW"]
    return standing[0] if standing else ""


def with_config(rig: Rig, old: str, new: str) -> None:
    path = rig.home / "config" / "sanad.toml"
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new))


@contextmanager
def lease_held(rig: Rig, hold_s: float) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the order lease, for so long at most."""
    code = f"""
    import sys, time
    sys.path.insert(0, {str(SCRIPTS)!r})
    from desk.base.paths import find_home
    from desk.runtime.lease import order_lease
    with order_lease(find_home(), "router"):
        print("held", flush=True)
        time.sleep({hold_s})
    """
    env = os.environ | rig.env
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S_MAX)


def dies_at(rig: Rig, module: str, name: str, *arguments: str, after: bool = False) -> None:
    """`orders.py` in a process of its own that is killed, kill -9, when it calls a function (or when that is done)."""
    code = f"""
    import os, signal, sys
    sys.path.insert(0, {str(SCRIPTS)!r})
    import orders
    import {module} as room
    real = room.{name}
    def dies(*given, **named):
        if {after}:
            real(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    room.{name} = dies
    orders.main({list(arguments)!r})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=os.environ | rig.env, capture_output=True, text=True,
        timeout=WAIT_S_MAX,
    )  # fmt: skip
    assert done.returncode == -9, done


def paper_status(rig: Rig, order_id: str) -> str:
    """What the paper exchange's own books say of an order."""
    with badkit._environment(rig.env):
        home = Home(rig.home)
        broker = PaperBroker(home, load(home), lambda venue, name: None, lambda venue, name: None)
        symbols = (badkit.HELD, badkit.WANTED)
        found = [report for symbol in symbols if (report := broker.client("binance").get_order(symbol, order_id))]
    return str(found[0].status) if found else ""


def events_since(rig: Rig, seq: int) -> list[dict[str, Any]]:
    """The journal's lines after one of them."""
    lines = (rig.home / "execution-logs" / "audit.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["seq"] > seq]


def home_files(rig: Rig) -> dict[str, str]:
    """Every file of the home but what any run of a door notes about itself."""
    return badkit.tree(Path(rig.home), "orders.json")
