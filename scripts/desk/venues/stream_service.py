"""The stream service's loop: tends its connections, takes their messages, writes the observations.

Opens no socket: the door hands in what makes a link (the library lives there), and the REST client for gap repair.
Decides by `stream_watch`, remembers by `streamer`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from desk.base import clock
from desk.base.errors import WorldError
from desk.config.load import Settings
from desk.runtime.tick import Run
from desk.venues import streamer as room
from desk.venues.stream_watch import Phase
from desk.venues.streamer import MARKET, USER, Streamer

VENUE: Final = "binance"
TICK_S = 0.2  # how long to wait for a message before looking at the clock again
QUIET_TURNS: Final = 3  # so many turns without a message before silence counts
PING_EVERY_MS: Final = 4000  # of the user connection, which may be silent for hours and yet alive
REPAIR_EVERY_MS: Final = 60_000
ENDED: Final = "error"  # python-binance's own word for a connection that is over
PROBLEM_CHARS_MAX: Final = 200
Message = tuple[str, Any, int]  # channel, what was said, when it arrived
Say = Callable[[str, str], None]


class Link(Protocol):
    """One connection; what it hears goes into the queue it was made with."""

    async def open(self, streams: list[str], offset_ms: int) -> None: ...
    async def close(self) -> None: ...
    async def ping(self) -> None: ...


MakeLink = Callable[[str, Settings, "asyncio.Queue[Message]"], Link]


class Service:
    """The loop: tends both connections, takes their messages, writes the observations."""

    def __init__(self, run: Run, say: Say, make_link: MakeLink, rest: Callable[[str], Any]) -> None:
        self.run, self._say, self._make_link, self._rest = run, say, make_link, rest
        self.desk = Streamer(run.home, VENUE, run.settings.symbols, run.settings.config, os.getpid())
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        self.links: dict[str, Link] = {}
        self._repair: asyncio.Task[None] | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._quiet = {MARKET: 0, USER: 0}
        self._asked_ms = {"repair": 0, "ping": 0}
        self._problem = ""

    @property
    def channels(self) -> tuple[str, ...]:
        """Market data always, user data where there are keys."""
        return (MARKET, USER) if self.run.settings.keys(VENUE).present else (MARKET,)

    async def step(self) -> None:
        """One turn: clock, connections, messages, files."""
        await self._take()
        for channel in self.channels:
            await self._tend(channel, clock.now_ms())
        self._mend(clock.now_ms())
        problem = self.desk.publish(clock.now_ms())
        if problem and problem != self._problem:
            self._say("WARN", problem)
        self._problem = problem

    async def close(self) -> None:
        """End every connection and leave a last word."""
        if self._repair is not None:
            self._repair.cancel()
        for channel, link in self.links.items():
            await link.close()
            self.desk.closed(channel, clock.now_ms(), "stopped", by_us=True)
        self.desk.publish(clock.now_ms(), force=True)

    async def _tend(self, channel: str, now_ms: int) -> None:
        watch = self.desk.watches[channel]
        wish = self.desk.wished() if channel == MARKET else ""
        if wish:
            self._say("INFO", f"{VENUE}: reconnect asked for ({wish})")
            for one in self.channels:
                await self._give_up(one, f"reconnect asked for: {wish}", by_us=True)
        elif watch.must_renew(now_ms):
            await self._give_up(channel, "renewed before the exchange's 24 hours are over", by_us=True)
        elif why := watch.must_close(now_ms):
            self._quiet[channel] += 1  # the clock may have jumped over messages that are still on their way
            if self._quiet[channel] >= QUIET_TURNS:
                await self._give_up(channel, why)
        if watch.may_open(now_ms):
            await self._open(channel)

    async def _open(self, channel: str) -> None:
        link = self._make_link(channel, self.run.settings, self.queue)
        try:
            await link.open(self.streams(), self.desk.picture.offset_ms)
        except WorldError as error:
            self._lost(channel, error.line())
            return
        self.links[channel] = link
        self.desk.opened(channel, clock.now_ms())
        self._say("INFO", f"{VENUE} {channel} stream: connected")
        self._asked_ms["repair"] = 0

    async def _give_up(self, channel: str, why: str, *, by_us: bool = False) -> None:
        link = self.links.pop(channel, None)
        if link is not None:
            await link.close()
        if by_us:
            self.desk.closed(channel, clock.now_ms(), why, by_us=True)
        else:
            self._lost(channel, why)

    def _lost(self, channel: str, why: str) -> None:
        self.desk.closed(channel, clock.now_ms(), why)
        watch = self.desk.watches[channel]
        wait_s = (watch.next_try_ms - clock.now_ms()) // 1000
        served = "; REST serves" if watch.phase is Phase.REST else ""
        self._say("WARN", f"{VENUE} {channel} stream: {why}; next try in {wait_s} s{served}")

    def streams(self) -> list[str]:
        """The names of the market streams."""
        levels = self.run.settings.config.streams.depth_levels
        interval = room.interval_word(self.desk.picture.interval_s)
        kinds = (f"depth{levels}@100ms", f"kline_{interval}")
        return [f"{symbol.lower()}@{kind}" for symbol in self.run.settings.symbols for kind in kinds]

    async def _take(self) -> None:
        """What has arrived, after waiting a moment for the first of it."""
        messages: list[Message] = []
        with suppress(TimeoutError):
            messages.append(await asyncio.wait_for(self.queue.get(), TICK_S))
        while not self.queue.empty():
            messages.append(self.queue.get_nowait())
        stepped_ms = clock.start_tick() if clock.is_simulated() else 0
        for channel, raw, arrived_ms in messages:
            self._quiet[channel] = 0
            if channel not in self.links:
                continue  # of a connection that has been given up
            ended = is_end(raw)
            why = flat(raw.get("m")) if ended else self.desk.heard(channel, raw, stepped_ms or arrived_ms)
            if ended or why:
                await self._give_up(channel, why or "the connection ended")

    def _mend(self, now_ms: int) -> None:
        """Candles the streams could not show, over REST; a sign of life of the user connection."""
        if USER in self.links and now_ms - self._asked_ms["ping"] >= PING_EVERY_MS:
            self._asked_ms["ping"] = now_ms
            self._pinging = asyncio.ensure_future(self.links[USER].ping())
        is_idle = self._repair is None or self._repair.done()
        is_due = now_ms - self._asked_ms["repair"] >= REPAIR_EVERY_MS
        if MARKET in self.links and is_idle and is_due and self.desk.needs_bars():
            self._asked_ms["repair"] = now_ms
            self._repair = asyncio.ensure_future(self.repair())

    async def repair(self) -> None:
        """The exchange's clock, then the candles of every symbol that lacks some."""
        try:
            client: Any = self._rest(VENUE)
            self.desk.picture.offset_ms = (await asyncio.to_thread(client.caller.clock.resync)).offset_ms
            for symbol in self.desk.needs_bars():
                wanted = self.desk.bars_wanted
                bars = await asyncio.to_thread(client.klines, symbol, self.desk.picture.interval_s, wanted)
                self.desk.repaired(symbol, bars, clock.now_ms())
        except WorldError as error:
            self._say("WARN", f"{VENUE}: candles not repaired: {error.line()}")


def is_end(raw: Any) -> bool:
    """The library says that the connection is over."""
    return isinstance(raw, dict) and raw.get("e") == ENDED


def flat(error: object) -> str:
    """One bounded line."""
    return " ".join(str(error).split())[:PROBLEM_CHARS_MAX]


@asynccontextmanager
async def serving(run: Run, say: Say, make_link: MakeLink, rest: Callable[[str], Any]) -> AsyncIterator[Service]:
    """A service that leaves no connection behind."""
    service = Service(run, say, make_link, rest)
    try:
        yield service
    finally:
        await service.close()
