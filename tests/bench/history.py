"""A journal of any length, made quickly: what months of ticks would have left, every line in its chain.

Lines are encoded and folded by the journal's own rooms, segments end with real checkpoints at UTC midnight; only the
locks and syncs of a live writer are left out. The mix is that of a played PAPER day: quiet ticks of nine events, a
reconcile every five minutes, denials, and now and then a round trip that is flat again (so that balances stand still).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from desk.base import clock
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal import chain, rotate
from desk.journal.chain import Context, Line, NewEvent
from desk.journal.events import Event
from desk.journal.fold import apply
from desk.journal.state import Fold, empty

MINUTE_MS = 60_000
STAGES = ("RECOVER", "SNAPSHOT", "MANAGE", "PROPOSE", "POLICY", "EXECUTE", "SETTLE", "PUBLISH")
EVENTS_A_TICK = 9.7  # of the mix below
RECONCILE_EVERY, MARK_EVERY, DENIED_EVERY, ENTRY_EVERY, HELD_TICKS = 5, 10, 15, 60, 20
VENUE, SYMBOL, QUANTITY, PRICE = "binance", "BTCUSDT", "0.002", "50000"


@dataclass
class Writer:
    """Appends groups to segments under `execution-logs/`."""

    home: Home
    ctx: Context
    fold: Fold = field(default_factory=empty)
    _segment: bytearray = field(default_factory=bytearray)
    _opened: str = ""  # UTC date and seq of the segment's first line
    _first_seq: int = 1

    def add(self, ms: int, script: str, events: list[NewEvent]) -> None:
        """One group at a time; a later UTC day than the segment's first seals that segment."""
        ts = clock.iso(ms)
        if self._opened and ts[:10] > self._opened:
            self._seal(ts)
        self._opened = self._opened or ts[:10]
        run = script[:1] + str(ms)
        ctx = msgspec.structs.replace(self.ctx, script=script, run_id="r" + run, cycle_id="c" + run)
        for index, new in enumerate(events, 1):
            self._line(new, ts, (index, len(events)), ctx)

    def close(self) -> None:
        """Write the running segment as the active one."""
        self.home.journal.write_bytes(self._segment)

    def _seal(self, ts: str) -> None:
        self._line(rotate.checkpoint(self.fold), ts, (1, 1), self.ctx)
        name = f"audit-{self._opened}.{self._first_seq}.jsonl"
        (self.home.logs / name).write_bytes(self._segment)
        self._segment, self._opened, self._first_seq = bytearray(), ts[:10], self.fold.seq + 1
        data = {"previous": name, "seq": self.fold.seq, "hash": self.fold.hash}
        self._line(NewEvent(event=Event.JOURNAL_OPENED, data=data), ts, (1, 1), self.ctx)

    def _line(self, new: NewEvent, ts: str, group: tuple[int, int], ctx: Context) -> None:
        seq, prev, start = self.fold.seq + 1, self.fold.hash, len(self._segment)
        raw, mark = chain.encode(new, seq, ts, group, ctx, prev)
        self._segment += raw
        line = Line(
            seq=seq, ts=ts, event=str(new.event), group=group, run_id=ctx.run_id, cycle_id=ctx.cycle_id,
            script=ctx.script, mode=ctx.mode, venue=new.venue, symbol=new.symbol, intent_id=new.intent_id,
            decision_id=new.decision_id, reason_codes=new.reason_codes, data=new.data, prev=prev, hash=mark,
        )  # fmt: skip
        apply(self.fold, line, start, len(self._segment))


def write(home: Home, ctx: Context, events: int, end_ms: int, opening: dict[str, str]) -> int:
    """At least so many events, the last tick one minute before `end_ms`; returns the head's seq.

    Args:
        opening: asset -> amount, as the paper exchange opened.
    """
    ticks = int(events / EVENTS_A_TICK) + 1
    first_ms = end_ms - ticks * MINUTE_MS
    writer = Writer(home, ctx)
    writer.add(
        first_ms, "router", [_event(Event.GENESIS, mode=ctx.mode, instance=ctx.instance, kill_switch="inactive")]
    )
    writer.add(first_ms, "router", [_event(Event.INITIAL_CAPITAL, balances=opening)])
    for number in range(ticks):
        ms = first_ms + number * MINUTE_MS
        for script, group in _tick(number, ms, is_last=ticks - number <= HELD_TICKS):
            writer.add(ms, script, group)
    writer.close()
    return writer.fold.seq


def _tick(number: int, ms: int, *, is_last: bool) -> Iterator[tuple[str, list[NewEvent]]]:
    """The groups of one minute; `is_last`: no new position, so that the history ends flat."""
    if number % RECONCILE_EVERY == 0:
        done = _event(Event.RECONCILE_DONE, clean=True, score=0, differences=0)
        yield "reconcile", [_stage("RECONCILE", ms), done]
    if number and ms % (1440 * MINUTE_MS) == 0:
        yield "router", [_event(Event.DAY_CLOSED, date=clock.utc_date(ms - MINUTE_MS))]
    wanted: list[NewEvent] = []
    if number % DENIED_EVERY == 7:
        wanted = _denied(_name("d", number))
    turn, held = divmod(number, ENTRY_EVERY)
    if held == 1 and not is_last:
        yield from _order("entry", "BUY", turn, ms)
    elif held == 1 + HELD_TICKS:
        yield from _order("exit", "SELL", turn, ms)
    marks = [_event(Event.CAPITAL_MARKED, quote="USDT", equity="10000")] if number % MARK_EVERY == 0 else []
    ended = _event(Event.RUN_ENDED, verdict="completed", blocked=[], orders=0)
    yield "router", [*(_stage(stage, ms) for stage in STAGES), *wanted, *marks, ended]


def _order(leg: str, side: str, turn: int, ms: int) -> Iterator[tuple[str, list[NewEvent]]]:
    """An order from its proposal to its fill, as the router writes it."""
    name, position, decision = _name(leg, turn), "p" + _name("p", turn), _name(leg + "d", turn)
    kind = "ENTRY" if leg == "entry" else "EXIT"
    proposed = _event(Event.DECISION_PROPOSED, kind=kind, side=side, strategy="sma_cross", edge_bps="40")
    approved = _event(Event.TRADE_APPROVED, kind=kind, gates=30, quantity=QUANTITY, price=PRICE)
    created = _event(
        Event.INTENT_CREATED, client_order_id=name, position_id=position, leg=leg, attempt=0, side=side,
        type="LIMIT_IOC", quantity=QUANTITY, price=PRICE, stop_price="0", kind=kind, base="BTC", quote="USDT",
        strategy="sma_cross", parent="", plan_stop="49000", plan_target="52000",
    )  # fmt: skip
    sent = _event(Event.INTENT_SENT_UNKNOWN, client_order_id=name, timestamp_ms=ms, recv_window_ms=5000)
    yield "router", [msgspec.structs.replace(new, decision_id=decision) for new in (proposed, approved, created, sent)]
    confirmed = _event(Event.INTENT_CONFIRMED, client_order_id=name, status="FILLED", executed=QUANTITY, order_id="1")
    fill = _event(
        Event.FILL, client_order_id=name, trade_id=name, side=side, quantity=QUANTITY, price=PRICE, fee="0",
        fee_asset="USDT", time_ms=ms,
    )  # fmt: skip
    yield "router", [confirmed, fill]


def _denied(decision: str) -> list[NewEvent]:
    proposed = _event(Event.DECISION_PROPOSED, kind="ENTRY", side="BUY", strategy="rsi", edge_bps="9")
    rejected = _event(Event.TRADE_REJECTED, kind="ENTRY", gate="edge_cost", code=str(Reason.EDGE_LOW), detail="9 < 15")
    return [msgspec.structs.replace(new, decision_id=decision) for new in (proposed, rejected)]


def _stage(name: str, ms: int) -> NewEvent:
    return NewEvent(event=Event.STAGE_CHANGED, data={"stage": name, "tick_ms": ms, "ordinal": 0})


def _event(name: Event, **data: Any) -> NewEvent:
    about = (VENUE, SYMBOL) if "client_order_id" in data or "kind" in data else (VENUE, "")
    return NewEvent(
        event=name, data=data, venue=about[0], symbol=about[1], intent_id=str(data.get("client_order_id", ""))
    )


def _name(kind: str, number: int) -> str:
    """An id that looks and compresses like a real one."""
    return hashlib.sha256(f"{kind}{number}".encode()).hexdigest()[:32]
