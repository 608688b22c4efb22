"""Crash scenarios of the journal and the state store, and the life of orders on an exchange next door.

The exchange is a process of its own kind: a socket, a book that survives us, and, like the real ones, no refusal of an
id it has seen. It answers a look-up by id.
"""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import journalkit as kit
from crash import checks, plants
from crash.scenario import Child, Result, Scenario
from desk.base.errors import BadInput
from desk.base.paths import Home
from desk.journal import intent_table, switch
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal
from desk.state import store

ORDERS = ("ord1", "ord2", "ord3")
PORT = "CRASH_EXCHANGE_PORT"


def _step(child: Child, book: Journal, name: str, count: int) -> None:
    """One group of notes that say which group they belong to."""
    _, lines = book.transact(lambda fold: [kit.note(f"{name}:{n}/{count}") for n in range(1, count + 1)])
    child.ack("group", hashes=[line.hash for line in lines])


def _day(number: int) -> None:
    kit.set_time(kit.START_MS + number * kit.DAY_MS)


def _frozen(number: int = 0) -> None:
    kit.time_at(kit.START_MS + number * kit.DAY_MS).__enter__()


# -- groups, projections, hint


def _groups_setup(child: Child) -> None:
    _frozen()
    home = child.home.ensure()
    kit.write_notes(kit.journal(home), "old:1/1")
    kit.journal(home).publish()


def _groups_run(child: Child) -> None:
    _frozen()
    book = kit.journal(child.home)
    _step(child, book, "one", 3)
    book.transact(lambda fold: [kit.created("a"), kit.sent("a")])
    book.publish()
    _step(child, kit.journal(child.home), "two", 5)
    book.transact(lambda fold: [kit.fill("a"), kit.confirmed("a")])
    book.publish()


def _go_on(child: Child) -> None:
    _frozen()
    book = kit.journal(child.home.ensure(), "")
    _step(child, book, "later", 2)
    book.publish()


def _groups_check(result: Result) -> list[str]:
    found = checks.everything(result)
    for intent in kit.journal(result.home, "").read_fold().intents.intents.values():
        if intent.state == intent_table.CREATED:
            found.append("INTENT_CREATED without its INTENT_SENT_UNKNOWN")
        if intent.filled and intent.status != "FILLED":
            found.append("FILL without the status of its group")
    return found


# -- a fresh home: the first names ever written


def _nothing(child: Child) -> None:
    """The home is an empty folder."""


def _fresh_run(child: Child) -> None:
    _frozen()
    home = child.home.ensure()
    store.write(home, "kill_switch", {"state": "active"}, "risk.kill_switch")
    child.ack("latch", state="active")
    book = kit.journal(home)
    _step(child, book, "first", 2)
    book.publish()


def _fresh_check(result: Result) -> list[str]:
    found = checks.everything(result)
    latch = store.read(result.home, "kill_switch") or {}
    if result.acks("latch") and latch.get("state") != "active":
        found.append("the acknowledged kill switch is gone")
    return found


# -- rotation


def _rotation_run(child: Child) -> None:
    _frozen()
    book = kit.journal(child.home, retention_days=1)
    for number in (1, 2, 5):
        _day(number)
        _step(child, book, f"day{number}", 2)
        book.publish()


def _rotation_recover(child: Child) -> None:
    _frozen(6)
    book = kit.journal(child.home, retention_days=1)
    _step(child, book, "later", 2)
    book.publish()


def _rotation_check(result: Result) -> list[str]:
    found = [*checks.journal_whole(result), *checks.groups_whole(result), *checks.no_half_written_state(result)]
    kept = [json.loads(raw) for path in result.home.logs.glob("audit*.jsonl") for raw in path.read_bytes().splitlines()]
    first = min(line["seq"] for line in kept)
    hashes = {line["hash"] for line in kept}
    kept_acks = [
        facts for facts in result.acks("group") if facts["last_seq"] >= first
    ]  # what retention took is not lost
    if any(not set(facts["hashes"]) <= hashes for facts in kept_acks):
        found.append("acknowledged lines are gone")
    return found or checks.same_bytes_by_rebuild(result)


# -- mode switch


def _switch_setup(child: Child) -> None:
    _groups_setup(child)
    home = child.home
    store.write(home, "kill_switch", {"state": "inactive"}, "risk.kill_switch")
    store.write(home, "circuit_breakers", {"binance_api": {"state": "open"}}, "risk.breaker")
    store.write(home, "paper_broker", {"orders": "kept"}, "venues.paper")
    store.write(home, "runs", {"lastRunAtMs": 1}, "runtime.tick", script="router")
    (home.state / "LIVE.ok").write_text("")


def _switch_run(child: Child) -> None:
    _frozen()
    book = kit.journal(child.home, "")
    _step(child, book, "last", 2)
    _, lines = book.transact(lambda fold: [switch.ask(fold, "LIVE", "ready", "acct2", kit.START_MS, False)])
    child.ack("switched", seq=lines[-1].seq)
    book.publish()


def _switch_check(result: Result) -> list[str]:
    found = checks.everything(result)
    fold = kit.journal(result.home, "").read_fold()
    home, archives = result.home, list((result.home.root / "archive").glob("*"))
    if fold.portfolio.mode == "PAPER":
        return [*found, *(["the acknowledged switch is undone"] if result.acks("switched") else [])]
    if fold.portfolio.kill_switch.state != "active":
        found.append("LIVE without an active kill switch")
    if (home.state / "LIVE.ok").exists() or (home.state / "kill_switch.json").exists():
        found.append("PAPER's state is in the LIVE set")
    if (store.read(home, "circuit_breakers") or {}).get("binance_api") != {"state": "open"}:
        found.append("the breakers are gone")
    kept = [path for path in archives if (path / "state" / "paper_broker.json").exists()]
    if len(kept) != 1 or json.loads((kept[0] / "state" / "paper_broker.json").read_bytes())["orders"] != "kept":
        found.append("the paper books are not in the archive")
    return found


# -- reseal


def _reseal_setup(child: Child) -> None:
    _groups_setup(child)
    book = kit.journal(child.home)
    for letter in "abcd":
        kit.write_notes(book, f"{letter}:1/1")
    path = child.home.journal
    path.write_bytes(path.read_bytes().replace(b'"c:1/1"', b'"X:1/1"'))


def _reseal_run(child: Child) -> None:
    _frozen()
    kit.journal(child.home, "").reseal("a test")
    child.ack("resealed")


def _reseal_recover(child: Child) -> None:
    _frozen()
    book = kit.journal(child.home, "")
    try:
        book.reseal("a test")  # the operator's command again
    except BadInput:
        child.ack("was_done")
    _step(child, book, "later", 2)
    book.publish()


def _reseal_check(result: Result) -> list[str]:
    found = checks.everything(result)
    fold = kit.journal(result.home, "").read_fold()
    if not fold.portfolio.resealed or fold.portfolio.pause.state != "PAUSE":
        found.append("resealed without PAUSE and unknown books")
    moved = list((result.home.root / "archive").rglob("audit.jsonl"))
    if len(moved) != 1 or b'"X:1/1"' not in moved[0].read_bytes():
        found.append("the damaged segment is not in the archive")
    return found


# -- control files


def _control_setup(child: Child) -> None:
    home = child.home.ensure()
    store.write(home, "kill_switch", {"state": "inactive", "n": 0}, "risk.kill_switch")
    store.write(home, "paper_broker", {"n": 0}, "venues.paper")


def _control_run(child: Child) -> None:
    for number in range(1, 4):
        store.update(child.home, "kill_switch", lambda doc, n=number: (doc or {}) | {"n": n}, "risk.kill_switch")
        child.ack("control", n=number)
        store.write(child.home, "paper_broker", {"n": number, "bulk": "x" * 9000}, "venues.paper")
        child.ack("paper", n=number)


def _control_recover(child: Child) -> None:
    for key, writer in (("kill_switch", "risk.kill_switch"), ("paper_broker", "venues.paper")):
        doc = store.read(child.home, key) or {}
        child.ack("found", key=key, n=doc.get("n"), edited=key == "kill_switch" and store.was_edited(doc))
        store.write(child.home, key, doc, writer)


def _control_check(result: Result) -> list[str]:
    found = checks.no_half_written_state(result)
    for kind, key in (("control", "kill_switch"), ("paper", "paper_broker")):
        least = max((facts["n"] for facts in result.acks(kind)), default=0)
        seen = next(facts for name, facts in result.after if name == "found" and facts["key"] == key)
        if seen["n"] is None or not least <= seen["n"] <= least + 1:
            found.append(f"{key} is at {seen['n']}, {least} was acknowledged")
        if seen["edited"]:
            found.append(f"{key} looks edited by hand")
    left = list(result.home.state.glob(".*.tmp"))
    return [*found, *(f"{path.name} was left behind" for path in left)]


# -- orders on an exchange next door


class Exchange(socketserver.ThreadingTCPServer):
    """Its book: every order it was sent, in order; an id it has seen is taken again, as real ones do."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.book: list[str] = []


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        exchange: Any = self.server
        for raw in self.rfile:
            verb, _, name = raw.decode().strip().partition(" ")
            if verb == "PLACE":
                exchange.book.append(name)
            self.wfile.write(b"YES\n" if name in exchange.book else b"NO\n")


@contextmanager
def exchange_next_door() -> Iterator[tuple[list[str], Mapping[str, str]]]:
    with Exchange() as exchange:
        threading.Thread(target=exchange.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield exchange.book, {PORT: str(exchange.server_address[1])}
        finally:
            exchange.shutdown()


def _ask(verb: str, name: str) -> bool:
    with socket.create_connection(("127.0.0.1", int(os.environ[PORT])), timeout=5) as line:
        line.sendall(f"{verb} {name}\n".encode())
        return line.recv(16) == b"YES\n"


def write_down(book: Journal, name: str) -> None:
    """P1: the intent and that it is about to leave, in one durable group."""
    book.transact(lambda fold: [kit.created(name, leg=name), kit.sent(name)])


def book_fill(book: Journal, name: str) -> None:
    book.transact(lambda fold: [kit.fill(name, f"t-{name}"), kit.confirmed(name)])


def place(book: Journal, name: str) -> None:
    write_down(book, name)
    _ask("PLACE", name)
    book_fill(book, name)


def _orders_run(child: Child) -> None:
    _frozen()
    book = kit.journal(child.home)
    for name in ORDERS:
        place(book, name)
        child.order(name)
    book.publish()


def _orders_recover(child: Child) -> None:
    """RECOVER, then what is left to do: never the same id twice."""
    _frozen()
    book = kit.journal(child.home)
    for name, intent in list(book.read_fold().intents.intents.items()):
        if intent.state == intent_table.CREATED:
            book.transact(lambda fold, n=name: [kit.of_order(Event.INTENT_DENIED, n, code="intent:never_sent")])
        elif intent.state == intent_table.SENT_UNKNOWN and _ask("FIND", name):
            book_fill(book, name)
        elif intent.state == intent_table.SENT_UNKNOWN:
            book.transact(lambda fold, n=name: [kit.of_order(Event.INTENT_NOT_FOUND, n, looks=2)])
    for name in ORDERS:
        if name not in book.read_fold().intents.intents:
            place(book, name)
        child.order(name)
    book.publish()


def _orders_check(result: Result) -> list[str]:
    found = checks.everything(result)
    intents = kit.journal(result.home).read_fold().intents.intents
    book: list[str] = result.world
    for name in sorted(set(book)):
        if book.count(name) > 1:
            found.append(f"P2: order {name} was sent {book.count(name)} times")
        intent = intents.get(name)
        if intent is None or intent.state != intent_table.CONFIRMED:
            found.append(f"P1: order {name} stands, the journal says {intent.state if intent else 'nothing'}")
        elif intent.filled != 1:
            found.append(f"P5: order {name} filled 1, the journal says {intent.filled}")
    found.extend(f"P5: {n} is filled here only" for n, i in intents.items() if i.filled and n not in book)
    return found


def _send_first() -> None:
    """The bug P1 forbids: the bytes leave, then the intent is written."""

    def wrong(book: Journal, name: str) -> None:
        _ask("PLACE", name)
        write_down(book, name)
        book_fill(book, name)

    globals()["place"] = wrong


plants.register("send before intent", _send_first)


def _with_last_seq(run: Any) -> Any:
    """Acks of rotating scenarios carry the seq, so that retention is told from loss."""

    def wrapped(child: Child) -> None:
        tell = child.tell

        def telling(*entry: Any) -> None:
            if entry[:2] == ("ack", "group"):
                entry[2]["last_seq"] = kit.every_line(child.home)[-1]["seq"]
            tell(*entry)

        run(Child(child.root, telling))

    return wrapped


_rotating = _with_last_seq(_rotation_run)
SCENARIOS = (
    Scenario("groups and projections", _groups_setup, _groups_run, _go_on, _groups_check),
    Scenario("a fresh home", _nothing, _fresh_run, _go_on, _fresh_check),
    Scenario("rotation and retention", _groups_setup, _rotating, _rotation_recover, _rotation_check),
    Scenario("mode switch", _switch_setup, _switch_run, _go_on, _switch_check),
    Scenario("reseal", _reseal_setup, _reseal_run, _reseal_recover, _reseal_check),
    Scenario("control files", _control_setup, _control_run, _control_recover, _control_check),
    Scenario(
        "orders next door", _groups_setup, _orders_run, _orders_recover, _orders_check, world=exchange_next_door,
        counts_orders=True,
    ),
)  # fmt: skip
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
__all__ = ["BY_NAME", "SCENARIOS", "Home", "NewEvent"]
