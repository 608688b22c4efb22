"""What a venue's stream service knows and writes down. Owns its observations; opens no socket (the door does).

It takes what the sockets say and keeps the picture of the market, the notes on orders, and the life of both
connections. An order event is a reason to look the order up, never evidence: nothing here touches the journal.
"""

from typing import Any, Final

from desk.base import clock
from desk.base.errors import BadInput, WorldError
from desk.base.money import text
from desk.base.paths import Home
from desk.config.schema import Config
from desk.state import store
from desk.venues import dialect_binance, stream_files, stream_parse
from desk.venues.protocol import Bar
from desk.venues.stream_files import SOURCE
from desk.venues.stream_parse import AccountNote, Goodbye, Nothing, OrderNote
from desk.venues.stream_picture import Picture
from desk.venues.stream_watch import Phase, Watch

WRITER: Final = "market_stream"
ORDERS_KEPT: Final = 500
GAPS_KEPT: Final = 20
BARS_SPARE: Final = 5
STATUS_EVERY_MS: Final = 1000
MARKET, USER = "market", "user"
Doc = dict[str, Any]


class Streamer:
    """One venue's streams."""

    def __init__(self, home: Home, venue: str, symbols: tuple[str, ...], limits: Config, pid: int) -> None:
        self.home, self.venue, self.limits, self._pid = home, venue, limits, pid
        window_min = max(limits.entries.volatility_window_min, limits.entries.flash_crash_window_min)
        interval_s = limits.market_data.bar_interval_s
        self.bars_wanted = max(limits.market_data.bars_wanted, window_min * 60 // interval_s + 2)
        self.picture = Picture(venue, symbols, interval_s, self.bars_wanted + BARS_SPARE)
        self.watches = {MARKET: Watch(limits.streams), USER: Watch(limits.streams)}
        self.counts = {"messages": 0, "unusable": 0}
        self.last_problem = ""
        self.answered = _number(stream_files.read(home, "streams", venue=venue).get("answered"))
        self.user_on = False
        self.orders: dict[str, Doc] = {}
        self.gaps: list[Doc] = []
        self._remember()
        self._stood: tuple[object, ...] = ()
        self._written_s = {"market_data": 0.0, "streams": 0.0}
        self._changed = {"market_data": False, "user_data": False}

    # -- what the sockets say

    def heard(self, channel: str, raw: object, received_ms: int) -> str:
        """One decoded message.

        Returns:
            Why its connection must be made anew, "" when it need not.
        """
        self.counts["messages"] += 1
        watch = self.watches[channel]
        try:
            event = stream_parse.heard(raw)
        except ValueError as error:
            self.counts["unusable"] += 1
            self.last_problem = str(error)[:200]
            return ""
        if isinstance(event, Goodbye):
            return event.what
        if isinstance(event, Nothing) and channel == MARKET:
            return ""
        watch.data(received_ms)
        if isinstance(event, OrderNote):
            self._note(event)
        elif not isinstance(event, AccountNote | Nothing):
            self.picture.take(event, received_ms)
            self._changed["market_data"] = True
        return ""

    def opened(self, channel: str, now_ms: int) -> None:
        """Connected and subscribed."""
        self.watches[channel].opened(now_ms)
        if channel == MARKET:
            self.picture.begin()
        else:
            self.user_on = True
            if self.gaps and not self.gaps[-1]["to_ms"]:
                self.gaps[-1]["to_ms"] = now_ms
            self._changed["user_data"] = True

    def closed(self, channel: str, now_ms: int, why: str, *, by_us: bool = False) -> None:
        """The connection ended (or could not be made). Until the user stream is back its events are lost: a gap,
        which the next reconcile closes over REST."""
        watch = self.watches[channel]
        if by_us:
            watch.renew(now_ms)
        else:
            watch.lost(now_ms, why)
        if channel == USER and self.user_on:
            self.user_on = False
            self.gaps = [*self.gaps, {"from_ms": watch.data_ms, "to_ms": 0, "why": why}][-GAPS_KEPT:]
            self._changed["user_data"] = True

    def repaired(self, symbol: str, bars: tuple[Bar, ...], at_ms: int) -> None:
        """Candles read over REST after a (re)connect."""
        known = self.picture.symbols[symbol]
        known.take_bars(bars, at_ms, at_ms + self.picture.offset_ms, self.picture.interval_s)
        self._changed["market_data"] = True

    def needs_bars(self) -> tuple[str, ...]:
        """Symbols whose candles do not reach back far enough."""
        found = self.picture.symbols.items()
        return tuple(symbol for symbol, known in found if len(known.whole_bars()) < self.bars_wanted)

    # -- what the operator wishes

    def wished(self) -> str:
        """The reason of a reconnect an operator has asked for and nobody has answered, "" for none."""
        control = stream_files.read(self.home, "stream_control", venue=self.venue)
        number = _number(control.get("request"))
        if number <= self.answered:
            return ""
        self.answered = number
        return str(control.get("reason", "")) or "asked for"

    # -- what is written down

    def publish(self, now_ms: int, *, force: bool = False) -> str:
        """Write what has changed, at most every `write_every_ms` of real time.

        Returns:
            One clause when a file could not be written.
        """
        try:
            if self._changed["market_data"] and (
                force or self._waited("market_data", self.limits.streams.write_every_ms)
            ):
                doc = self.picture.doc(clock.iso(now_ms))
                store.write(self.home, "market_data", doc, WRITER, venue=self.venue, source=SOURCE)
                self._changed["market_data"] = False
            if self._changed["user_data"]:
                store.write(self.home, "user_data", self._user_doc(now_ms), WRITER, venue=self.venue)
                self._changed["user_data"] = False
            standing = self._standing()
            if force or standing != self._stood or self._waited("streams", STATUS_EVERY_MS):
                store.write(self.home, "streams", self._status_doc(now_ms), WRITER, venue=self.venue)
                self._stood = standing
        except WorldError as error:
            return error.line()
        return ""

    def _standing(self) -> tuple[object, ...]:
        """What is written down at once when it changes; the rest may wait for its second."""
        return (self.watches[MARKET].phase, self.user_on, self.answered, len(self.watches[MARKET].reconnects))

    def _waited(self, key: str, every_ms: int) -> bool:
        """Whether the pause between two writes is over, in real time; it begins anew with the answer."""
        now_s = clock.monotonic_s()
        is_over = now_s - self._written_s[key] >= every_ms / 1000
        if is_over:
            self._written_s[key] = now_s
        return is_over

    def _note(self, event: OrderNote) -> None:
        """Keep the newest word on an order; a late older one changes nothing."""
        before = self.orders.get(event.client_order_id)
        if before is None or event.event_ms >= before["event_ms"]:
            self.orders.pop(event.client_order_id, None)
            self.orders[event.client_order_id] = {
                "symbol": event.symbol, "order_id": event.order_id, "what": event.what, "status": str(event.status),
                "executed": text(event.executed), "event_ms": event.event_ms - self.picture.offset_ms,
            }  # fmt: skip
            while len(self.orders) > ORDERS_KEPT:
                del self.orders[next(iter(self.orders))]
            self._changed["user_data"] = True

    def _user_doc(self, now_ms: int) -> Doc:
        return {
            "venue": self.venue, "written_at": clock.iso(now_ms), "subscribed": self.user_on,
            "gaps": self.gaps, "orders": self.orders,
        }  # fmt: skip

    def _status_doc(self, now_ms: int) -> Doc:
        market, user = self.watches[MARKET], self.watches[USER]
        return {
            "venue": self.venue, "pid": self._pid, "written_at": clock.iso(now_ms), "written_ms": now_ms,
            "phase": str(market.phase), "why": market.why, "data_ms": self.picture.data_ms(),
            "connected_ms": market.opened_ms, "next_try_ms": market.next_try_ms,
            "reconnects": sorted(at for watch in (market, user) for at in watch.reconnects),
            "user": {"subscribed": self.user_on, "phase": str(user.phase), "why": user.why},
            "gap_ms": max((gap["from_ms"] for gap in self.gaps), default=0), "answered": self.answered,
            "counts": self.counts, "last_problem": self.last_problem,
        }  # fmt: skip

    def _remember(self) -> None:
        """What the service before this one knew; what happened since its last word is a gap."""
        before = stream_files.read(self.home, "user_data", venue=self.venue)
        orders, gaps = before.get("orders"), before.get("gaps")
        rows = orders.items() if isinstance(orders, dict) else ()
        self.orders = {name: row for name, row in rows if isinstance(row, dict) and _number(row.get("event_ms"))}
        if before:
            known = [gap for gap in gaps if isinstance(gap, dict)] if isinstance(gaps, list) else []
            gap = {"from_ms": _time_ms(before.get("written_at")), "to_ms": 0, "why": "the service was not there"}
            self.gaps = [*known, gap][-GAPS_KEPT:]


def interval_word(interval_s: int) -> str:
    """The exchange's word for a candle's length.

    Raises:
        BadInput: it has none.
    """
    word = dialect_binance.INTERVALS.get(interval_s)
    if word is None:
        raise BadInput(f"no candles of {interval_s} s", "market_data.bar_interval_s", "use 60, 300, 900 or 3600")
    return word


def is_streaming(status: stream_files.Doc) -> bool:
    """The service says that data flows."""
    return status.get("phase") == str(Phase.STREAMING)


def _time_ms(value: object) -> int:
    try:
        return clock.parse_iso(str(value))
    except (ValueError, OverflowError):
        return 0


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
