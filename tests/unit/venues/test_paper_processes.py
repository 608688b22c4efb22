"""Real processes on one set of paper books: none loses an order, and a killed one loses nothing it was answered."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from desk.venues.protocol import OrderStatus
from unit.venues import paper_kit
from unit.venues.paper_kit import SYMBOL, VENUE, Desk, money_closes

TESTS = Path(paper_kit.__file__).resolve().parents[2]
SCRIPTS = TESTS.parent / "scripts"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{SCRIPTS}{os.pathsep}{TESTS}"}
WAIT_S = 60
DIES_BEFORE_ANSWERING = """
import os, signal, sys
from desk.state import store
from unit.venues import paper_kit
real = os.replace
def replace(source, target):
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
desk = paper_kit.Desk(paper_kit.Path(sys.argv[1]))
store.os.replace = replace
desk.buy("1")
"""


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def orderer(root: Path, prefix: str, count: int) -> tuple[str, ...]:
    return str(paper_kit.__file__), str(root), prefix, str(count)


@pytest.mark.parametrize(("moment", "stands"), [("before", False), ("after", True)])
def test_killed_around_the_rename_the_order_stands_whole_or_not_at_all(
    tmp_path: Path, moment: str, stands: bool
) -> None:
    Desk(tmp_path)
    with running("-c", DIES_BEFORE_ANSWERING, str(tmp_path), moment) as process:
        assert process.wait(timeout=WAIT_S) == -signal.SIGKILL
    desk = Desk(tmp_path)
    found = desk.client.get_order(SYMBOL, "c1")
    assert (found is not None and found.status is OrderStatus.FILLED) is stands
    assert desk.free("BTC") == (1 if stands else 0)
    assert money_closes(desk.broker.books(VENUE))
    assert desk.order("BUY", paper_kit.OrderType.MARKET, "1", name="next").executed == 1  # the lock died with it


@pytest.mark.parametrize("answered", [1, 7, 20])
def test_killed_in_the_middle_every_answered_order_is_there(tmp_path: Path, answered: int) -> None:
    Desk(tmp_path)
    with running(*orderer(tmp_path, "k", 500)) as process:
        assert process.stdout is not None
        names = [process.stdout.readline().strip() for _ in range(answered)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=WAIT_S)
        names += process.stdout.read().split()
    desk = Desk(tmp_path)
    standing = [order.client_order_id for order in desk.client.open_orders()]
    assert len(names) >= answered
    assert standing[: len(names)] == names
    assert len(standing) <= len(names) + 1  # at most one was accepted and not answered


def test_four_processes_lose_no_order(tmp_path: Path) -> None:
    Desk(tmp_path)
    count = 15
    commands = [subprocess.Popen(
        [sys.executable, *orderer(tmp_path, prefix, count)], env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) for prefix in "abcd"]  # fmt: skip
    try:
        endings = [process.communicate(timeout=WAIT_S) for process in commands]
    finally:
        for process in commands:
            process.kill()
    assert [process.returncode for process in commands] == [0] * 4, endings
    desk = Desk(tmp_path)
    orders = desk.client.open_orders()
    assert sorted(order.client_order_id for order in orders) == sorted(f"{p}{i}" for p in "abcd" for i in range(count))
    assert [order.order_id for order in orders] == [str(number) for number in range(1, 4 * count + 1)]
    assert desk.locked("USDT") == 600
    assert money_closes(desk.broker.books(VENUE))
