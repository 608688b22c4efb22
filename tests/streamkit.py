"""Streams for tests: a socket of the simulator read until virtual now, fed to the service's own room."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

import binance_client
import market_stream
from desk.base import clock
from desk.base.paths import Home
from desk.config.load import Settings
from desk.runtime import tick
from desk.runtime.tick import Run
from desk.venues.stream_service import Service
from desk.venues.streamer import MARKET, Streamer

RECEIVE_S_MAX = 10


class Feed:
    """A market connection of the simulator and the room it feeds."""

    def __init__(self, socket: ClientConnection, settings: Settings) -> None:
        self.socket, self.settings = socket, settings
        self.desk = Streamer(settings.home, "binance", settings.symbols, settings.config, 1)

    def begin(self) -> None:
        """Connected; candles over REST, as the service reads them."""
        self.desk.opened(MARKET, clock.start_tick())
        client = binance_client.make_client(self.settings, script="market_stream", log=lambda level, line: None)
        for symbol in self.settings.symbols:
            bars = client.klines(symbol, self.desk.picture.interval_s, self.desk.bars_wanted)
            self.desk.repaired(symbol, bars, clock.now_ms())

    def pull(self) -> None:
        """Take everything up to the simulator's now, and write the observations."""
        now_ms = clock.start_tick()
        waiting = {(symbol, kind) for symbol in self.settings.symbols for kind in ("kline", "depth")}
        while waiting:
            raw = json.loads(self.socket.recv(timeout=RECEIVE_S_MAX))
            self.desk.heard(MARKET, raw, now_ms)
            waiting -= {
                (raw["stream"].partition("@")[0].upper(), kind)
                for kind in ("kline", "depth")
                if _is_now(raw, kind, now_ms)
            }
        assert self.desk.publish(now_ms, force=True) == ""


def _is_now(raw: dict[str, Any], kind: str, now_ms: int) -> bool:
    data = raw["data"]
    if kind == "kline":
        return data.get("E") == now_ms and not data["k"]["x"]
    return "bids" in data and data["lastUpdateId"] >= now_ms


def run_of(home: Path, settings: Settings) -> Run:
    """A run of the door, as its frame would open it."""
    return tick._open("market_stream", Home(home), settings, clock.start_tick(), False, True, None)


@contextmanager
def feeding(ws_url: str, settings: Settings) -> Iterator[Feed]:
    """A connected feed."""
    names = Service(
        run_of(settings.home.root, settings), lambda level, line: None, market_stream.Link, lambda venue: None
    )
    with connect(f"{ws_url}/stream?streams={'/'.join(names.streams())}", proxy=None, close_timeout=1) as socket:
        yield Feed(socket, settings)
