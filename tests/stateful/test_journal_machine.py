"""Random histories: orders with evidence in every state, rotations, switched handles, torn groups, lost state.

Whatever happens, nothing raises that is not a bug, what was acknowledged stays, the chain verifies, and the state is
the one the lines fold to, byte for byte.
"""

import json
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import journalkit as kit
from desk.journal import files, projections, verify, walk
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import FINAL_ORDER_STATUSES, Fold, is_open, is_unsettled, plain
from desk.state import store

AMOUNTS = st.sampled_from(["0", "0.1", "0.25", "1", "0.00000001", "3.3333"])
PRICES = st.sampled_from(["100", "99.99", "0.00012345", "101.5"])
STATUSES = st.sampled_from(["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "PENDING_NEW", "WHAT"])
IDS = st.sampled_from(["o1", "o2", "o3"])
FEES = st.sampled_from([("0", "USDT"), ("0.001", "BTC"), ("0.02", "USDT"), ("-0.01", "USDT"), ("0.0003", "BNB")])
TRADES = st.builds(
    lambda i, t, q, p, side, fee: kit.fill(i, t, q, price=p, side=side, fee=fee[0], fee_asset=fee[1]),
    IDS, st.sampled_from([f"t{n}" for n in range(40)]), AMOUNTS, PRICES, st.sampled_from(["BUY", "SELL"]), FEES,
)  # fmt: skip
EVIDENCE = st.one_of(
    st.builds(kit.confirmed, IDS, STATUSES, AMOUNTS),
    TRADES,
    st.builds(lambda i: kit.of_order(Event.INTENT_NOT_FOUND, i, looks=2), IDS),
    st.builds(lambda i: kit.of_order(Event.INTENT_FAILED_TERMINAL, i, code="-2010"), IDS),
    st.builds(lambda i: kit.of_order(Event.INTENT_NOT_SENT, i, why="stale"), IDS),
    st.builds(lambda i: kit.of_order(Event.INTENT_LOOKED, i, requested_ms=kit.START_MS), IDS),
    st.builds(lambda i: kit.of_order(Event.FILL, i, trade_id="t1", side="?", quantity="x"), IDS),
)


class JournalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.entered = kit.temporary_home()
        self.clock = kit.time_at()
        self.home = self.entered.__enter__()
        self.clock.__enter__()
        self.now_ms = kit.START_MS
        self.mine, self.other = kit.journal(self.home), kit.journal(self.home)
        self.acknowledged: list[str] = []  # hashes of every line transact gave back
        self.executed: dict[str, Decimal] = {}

    def teardown(self) -> None:
        self.clock.__exit__(None, None, None)
        self.entered.__exit__(None, None, None)

    def append(self, *events: NewEvent, by_other: bool = False) -> Fold:
        book = self.other if by_other else self.mine
        fold, lines = book.transact(lambda fold: list(events))
        self.acknowledged.extend(line.hash for line in lines)
        for name, intent in fold.intents.intents.items():
            assert intent.executed >= self.executed.get(name, Decimal(0)), "executed only grows"
            self.executed[name] = intent.executed
        return fold

    @initialize()
    def open_the_books(self) -> None:
        data = {"balances": {"USDT": "1000", "BTC": "0.5"}}
        self.append(NewEvent(event=Event.INITIAL_CAPITAL, data=data, venue="binance"))
        self.append(kit.created("o1", leg="o1"), kit.sent("o1"))

    @rule(name=IDS, kind=st.sampled_from(["ENTRY", "EXIT"]), together=st.sampled_from([True, True, False]))
    def write_down(self, name: str, kind: str, together: bool) -> None:
        intent = self.mine.read_fold().intents.intents.get(name)
        side = "BUY" if kind == "ENTRY" else "SELL"
        if intent is None:
            first = kit.created(name, side, kind, leg=name, quantity="1")
            self.append(first, *([kit.sent(name)] if together else []))
        elif intent.state == "CREATED":
            self.append(kit.sent(name))

    @rule(trades=st.lists(TRADES, min_size=1, max_size=4), by_other=st.booleans())
    def trades_arrive(self, trades: list[NewEvent], by_other: bool) -> None:
        self.append(*trades, by_other=by_other)

    @rule(reports=st.lists(st.builds(kit.confirmed, IDS, STATUSES, AMOUNTS), min_size=1, max_size=3))
    def reports_arrive(self, reports: list[NewEvent]) -> None:
        self.append(*reports)

    @rule(events=st.lists(EVIDENCE, min_size=1, max_size=5), by_other=st.booleans())
    def the_exchange_says(self, events: list[NewEvent], by_other: bool) -> None:
        self.append(*events, by_other=by_other)

    @rule(amount=st.sampled_from(["10", "-0.1", "0.00000001"]))
    def a_deposit(self, amount: str) -> None:
        data = {"asset": "USDT", "amount": amount, "cause": "deposit"}
        self.append(NewEvent(event=Event.BALANCE_ADJUSTED, data=data, venue="binance"))

    @rule(name=IDS)
    def rest_is_dust(self, name: str) -> None:
        self.append(kit.of_order(Event.POSITION_DUST, name, position_id="p1", quantity="0", value="0"))

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        before = plain(self.mine.read_fold())["intents"]["intents"]
        self.now_ms += days * kit.DAY_MS
        kit.set_time(self.now_ms)
        date = json.loads(self.home.journal.read_bytes().splitlines()[0])["ts"][:10]
        fold = self.append(NewEvent(event=Event.DAY_CLOSED, data={"date": date}))
        for name in before.keys() - fold.intents.intents.keys():
            gone = before[name]
            assert gone["anomaly"] == ""
            assert gone["state"] not in {"CREATED", "SENT_UNKNOWN"}
            assert gone["state"] != "CONFIRMED" or gone["status"] in FINAL_ORDER_STATUSES
            self.executed.pop(name, None)

    @rule()
    def publish(self) -> None:
        self.other.publish()

    @rule()
    def a_new_process(self) -> None:
        self.mine = kit.journal(self.home)

    @rule(name=st.sampled_from(["intents", "positions", "portfolio", "audit_head"]))
    def a_state_file_is_lost(self, name: str) -> None:
        store.path_of(self.home, name).unlink(missing_ok=True)

    @rule(events=st.lists(EVIDENCE, min_size=1, max_size=4), keep=st.floats(0, 1))
    def killed_before_its_fsync(self, events: list[NewEvent], keep: float) -> None:
        """A writer that died: some of its last group's bytes are there, the hint is not."""
        hint = store.path_of(self.home, "audit_head")
        known = hint.read_bytes() if hint.exists() else None
        start, kept = self.home.journal.stat().st_size, files.identity(self.home.journal)
        kit.journal(self.home).transact(lambda fold: [*events, kit.note()])
        if files.identity(self.home.journal) != kept:
            return  # it rotated: what is there is durable
        end = self.home.journal.stat().st_size
        with self.home.journal.open("r+b") as handle:
            handle.truncate(start + int((end - start) * keep))
        if known is None:
            hint.unlink(missing_ok=True)
        else:
            hint.write_bytes(known)
        self.mine, self.other = kit.journal(self.home), kit.journal(self.home)

    @invariant()
    def the_chain_holds_and_nothing_acknowledged_is_lost(self) -> None:
        found = verify.verify(self.home, {})
        assert found.code in {verify.WHOLE, verify.TORN}, found.findings
        raw = b"".join(path.read_bytes() for _, path in files.sealed(self.home)) + self.home.journal.read_bytes()
        assert all(mark.encode() in raw for mark in self.acknowledged)

    @invariant()
    def money_adds_up(self) -> None:
        fold = self.mine.read_fold()
        books = fold.portfolio.balances.get("binance", {})
        moved = books.get("BTC", Decimal(0)) - Decimal("0.5") * ("binance" in fold.portfolio.opening)
        held = sum((p.quantity for p in fold.positions.positions.values()), Decimal(0))
        held += sum((d.quantity for d in fold.positions.dust.values()), Decimal(0))
        assert moved == held
        assert {asset: amount for asset, amount in books.items() if amount} == self.from_the_lines()

    def from_the_lines(self) -> dict[str, Decimal]:
        """Balances by plain arithmetic over the journal's own lines; every trade once."""
        books: dict[str, Decimal] = {}
        trades: set[str] = set()

        def add(asset: str, amount: Decimal) -> None:
            books[asset] = books.get(asset, Decimal(0)) + amount

        whole = self.mine.read_fold().seq
        for line in (line for line in kit.every_line_so_far(self.home, whole)):
            data = line["data"]
            if line["event"] == "INITIAL_CAPITAL":
                for asset, amount in data["balances"].items():
                    add(asset, Decimal(amount))
            elif line["event"] == "BALANCE_ADJUSTED":
                add(data["asset"], Decimal(data["amount"]))
            elif line["event"] == "FILL":
                assert data["trade_id"] not in trades
                trades.add(data["trade_id"])
                sign = 1 if data["side"] == "BUY" else -1
                add("BTC", sign * Decimal(data["quantity"]))
                add("USDT", -sign * Decimal(data["quantity"]) * Decimal(data["price"]))
                add(data["fee_asset"], -Decimal(data["fee"]))
        return {asset: amount for asset, amount in books.items() if amount}

    @precondition(lambda self: self.home.journal.exists())
    @invariant()
    def the_state_is_what_the_lines_fold_to(self) -> None:
        kit.journal(self.home).transact(lambda fold: [])  # cuts what a dead writer left
        live = plain(self.mine.read_fold())
        assert live == plain(walk.refold(self.home))
        assert live == plain(kit.journal(self.home).read_fold())
        fold = self.mine.read_fold()
        for intent in fold.intents.intents.values():
            assert intent.filled <= intent.executed
            assert (
                is_open(intent)
                or intent.final_ms
                or is_unsettled(intent)
                or intent.anomaly
                or intent.state == "CONFIRMED"
            )
        documents = projections.documents(fold)
        self.mine.publish()
        assert {name: store.read(self.home, name) for name in documents} == documents


JournalMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestJournalMachine = JournalMachine.TestCase
