"""A simulator in a thread of this process: `running_sim` for tests and for doors that rehearse in process.

Owns the thread and its event loop; the exchange is only ever touched on that loop.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from lab.sim.build import SimConfig, build, parse_start
from lab.sim.clock import TimeMode
from lab.sim.wire import SimServer

Result = TypeVar("Result")


class SimHandle:
    """A running simulator seen from a test: the same as its /sim endpoints, without HTTP."""

    def __init__(self, server: SimServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self.rest_url = self.admin_url = server.url
        self.ws_url = server.ws_url if server.hub else ""
        self.exchange = server.exchange

    @property
    def now_ms(self) -> int:
        """Virtual time."""
        return self._do(self.exchange.sync)

    def advance(self, ms: int) -> int:
        """Move stepped time by `ms` and return the new now; fills and triggers happen on the way."""
        now_ms = self._do(lambda: self.exchange.advance(ms))
        if self._server.hub and self._server.hub.feeds:
            asyncio.run_coroutine_threadsafe(self._server.settle(), self._loop).result(timeout=60)
        return now_ms

    def books(self) -> dict[str, Any]:
        """As GET /sim/books."""
        return self._do(self._synced(self.exchange.books))

    def lists(self) -> list[dict[str, Any]]:
        """As GET /sim/lists."""
        return self._do(self._synced(self.exchange.lists))

    def ledger(self) -> dict[str, Any]:
        """As GET /sim/ledger."""
        return self._do(self.exchange.ledger)

    def requests(self) -> list[dict[str, Any]]:
        """As GET /sim/requests."""
        return self._do(lambda: list(self.exchange.requests))

    def transfer(self, asset: str, amount: str) -> Decimal:
        """As POST /sim/transfer: a deposit, or a withdrawal (negative); what is free afterwards."""
        return self._do(lambda: self.exchange.transfer(asset, Decimal(amount)))

    def fault(
        self, kind: str, *, method: str | None = None, path: str | None = None, count: int | None = 1, arg: Any = None
    ) -> dict[str, Any]:
        """Arm a fault; `count` None = until cleared.

        Raises:
            FaultError: malformed.
        """
        match = {key: value for key, value in (("method", method), ("path", path)) if value is not None}
        raw = {"kind": kind, "match": match, "count": count, "arg": arg}
        return self._do(self._synced(lambda: self.exchange.arm(raw).shown()))

    def clear_faults(self) -> None:
        """As DELETE /sim/faults."""
        self._do(self.exchange.clear_faults)

    def _synced(self, act: Callable[[], Result]) -> Callable[[], Result]:
        def run() -> Result:
            self.exchange.sync()
            return act()

        return run

    def _do(self, act: Callable[[], Result]) -> Result:
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(act())
            except Exception as error:  # noqa: BLE001 - handed to the caller's thread, where it is raised again
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(timeout=60)


@contextmanager
def running_sim(
    *,
    venue: str = "binance",
    symbols: tuple[str, ...] | list[str] = ("BTCUSDT",),
    markets: tuple[Path | str, ...] | list[Path | str] = (),
    start: str | int | None = None,
    seed: int = 1,
    step: bool = True,
    speed: float | None = None,
    api_key: str = "simkey",
    api_secret: str = "simsecret",
    ed25519_public: Path | None = None,
    scenario: Path | dict[str, Any] | None = None,
    balances: dict[str, str] | None = None,
    fee_bps: int | str = 10,
    fee_asset: str = "",
    fee_asset_price: int | str = 1,
    weight_limit: int = 6000,
    orders_10s_limit: int = 50,
    port: int = 0,
) -> Iterator[SimHandle]:
    """Run a simulator in a thread of this process; arguments as those of exchange_sim.py, but stepped by default.

    `start` is ISO text or ms; `speed` or `step=False` choose another time mode.

    Raises:
        SimConfigError: a bad argument or file.
    """
    mode = TimeMode.SPEED if speed is not None else TimeMode.STEP if step else TimeMode.REAL
    config = SimConfig(
        venue=venue, symbols=tuple(symbols), markets=tuple(Path(path) for path in markets),
        start_ms=parse_start(start) if isinstance(start, str) else start, seed=seed, mode=mode, speed=speed or 1.0,
        api_key=api_key, api_secret=api_secret, ed25519_public=ed25519_public, scenario=scenario,
        balances={asset: Decimal(amount) for asset, amount in (balances or {}).items()}, fee_bps=Decimal(fee_bps),
        weight_limit=weight_limit, orders_10s_limit=orders_10s_limit, fee_asset=fee_asset,
        fee_asset_price=Decimal(fee_asset_price),
    )  # fmt: skip
    server = SimServer(*build(config))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="exchange-sim", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(port), loop).result(timeout=30)
        yield SimHandle(server, loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()
