"""LIVE on the exchange simulator: a LIVE folder, armed by the operator, and what the exchange itself says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import badkit
import daykit
from desk.base import clock
from desk.base.paths import Home
from desk.config.load import load
from desk.journal.state import Fold
from desk.venues.protocol import OrderReport, OrderRequest, OrderType, Side
from desk.venues.table import VENUES
from lab.sim.server import running_sim

SYMBOL, BASE = "BTCUSDT", "BTC"
SEED = 5
STOPS = {"btcturk": "stoplimit"}  # the venue's own word
BARS_BEFORE = 130  # minutes of market before the folder begins, so that candles are there
ACK = ("--ack", "I_UNDERSTAND")
SENDS = {"LIVE_TRADING": "true", "LIVE_TRADING_ACK": "I_UNDERSTAND", "DRY_RUN": "false", "SAFE_MODE": "false"}
LISTS = {"order_lists = false": "order_lists = true"}
CHANGES = {
    "order_lists = true": "order_lists = false",  # one order, one intent; LISTS turns them on, as "binance+lists" does
    "after_close_min = 30": "after_close_min = 0",  # a case may trade again at once
    "after_losing_close_min = 60": "after_losing_close_min = 0",
    "after_stop_out_h = 24": "after_stop_out_h = 0",
    "backoff_s = [1, 2, 4, 8]": "backoff_s = [0]",
    "read_timeout_s = 5": "read_timeout_s = 1",
    "[schedule.policy_engine]\nenabled = true": "[schedule.policy_engine]\nenabled = false",  # not played
    "[schedule.binance_client]\nenabled = true": "[schedule.binance_client]\nenabled = false",
} | daykit.NO_STRATEGIES


@dataclass
class Live(badkit.Rig):
    """A LIVE home beside a stepped simulator of one venue."""

    venue: str = "binance"

    @property
    def order_path(self) -> str:
        """Where the venue takes new orders."""
        return VENUES[self.venue].order_path

    def tick(self, *router: str) -> dict[str, badkit.Said]:
        """The next minute: reconcile, the router (with --live unless told otherwise), heartbeat."""
        self.minute()
        reconciled, routed = self.door("reconcile", "--live"), self.door("router", *(router or ("--live",)))
        return {"reconcile": reconciled, "router": routed, "heartbeat": self.door("heartbeat")}

    def arm(self) -> None:
        """What the operator does, in the runbook's order."""
        assert self.door("kill_switch", "release", "--reason", "a test", *ACK).code == 0
        assert self.door("arming", "arm", "--reason", "a test", *ACK).code == 0

    def signal(self, name: str, **fields: Any) -> None:
        """An entry signal for 100 of the quote currency."""
        badkit.signal(self, name, **({"symbol": SYMBOL, "venue": self.venue} | fields))

    def fault(self, kind: str, arg: Any = None, count: int | None = 1, method: str = "POST") -> None:
        """The exchange misbehaves on the next order requests."""
        assert self.sim is not None
        self.sim.fault(kind, method=method, path=self.order_path, count=count, arg=arg)

    def by_hand(self, side: str, quantity: str, price: str | None = None, name: str = "byhand1") -> OrderReport:
        """The owner (or a thief) trades past us with the same key: at the market, or as a limit order that rests."""
        wanted = OrderRequest(
            client_order_id=name, symbol=SYMBOL, side=Side(side), quantity=Decimal(quantity),
            type=OrderType.MARKET if price is None else OrderType.LIMIT, price=Decimal(price) if price else None,
            sized_at=None if price else Decimal(60_000),
        )  # fmt: skip
        with badkit._environment(self.env):
            clock.start_tick()
            client = import_module(f"{self.venue}_client").make_client(load(Home(self.home)))
            with client.ready():
                told: OrderReport = client.place_order(wanted, client.caller.clock.venue_now_ms())
        return told

    def fold(self) -> Fold:
        return daykit.fold_of(self.home)

    @property
    def quantity(self) -> Decimal:
        """What the journal says is held."""
        held = self.fold().positions.positions.get(f"{self.venue}:{SYMBOL}")
        return held.quantity if held is not None else Decimal(0)

    # -- what the exchange says

    def posts(self) -> list[dict[str, Any]]:
        """Every new order the exchange heard of, whatever it made of it."""
        assert self.sim is not None
        heard = [t for t in self.sim.requests() if t["method"] == "POST" and t["path"].startswith(self.order_path)]
        return [told for told in heard if not told["path"].endswith("/test")]

    def orders(self, side: str) -> list[dict[str, Any]]:
        """The exchange's own orders of a side, oldest first."""
        assert self.sim is not None
        return [order for order in self.sim.books()["orders"] if order["side"] == side]

    def owned(self, asset: str = BASE) -> Decimal:
        """The exchange's own balance, free and locked."""
        assert self.sim is not None
        held = self.sim.books()["balances"].get(asset, {"free": "0", "locked": "0"})
        return Decimal(held["free"]) + Decimal(held["locked"])


@contextmanager
def market(folder: Path, venue: str = "binance", changes: dict[str, str] | None = None,
           scenario: dict[str, Any] | None = None, sim: dict[str, Any] | None = None, **env: str,
) -> Iterator[Live]:  # fmt: skip
    """A new LIVE home (nothing has run in it) and its exchange, some hours into its market.

    Args:
        venue: a venue's name; "binance+lists" is Binance with order lists.
        changes: `old text -> new text` in the configuration file, beside CHANGES.
        sim: more arguments of `running_sim`.
    """
    venue, _, extra = venue.partition("+")
    changes = (LISTS if extra else {}) | (changes or {})
    home = folder / "home"
    (home / "config").mkdir(parents=True)
    (home / ".env").write_text("")
    text = daykit.CONFIG.read_text()
    for old, new in (CHANGES | changes).items():
        assert old in text, old
        text = text.replace(old, new)
    (home / "config" / "sanad.toml").write_text(text)
    arguments: dict[str, Any] = {"symbols": (SYMBOL,), "seed": SEED, "scenario": scenario} | (sim or {})
    with running_sim(venue=venue, **arguments) as exchange:
        exchange.advance(BARS_BEFORE * 60_000)
        upper = venue.upper()
        wanted = {
            "SANAD_HOME": str(home), "SYSTEM_MODE": "LIVE", "VENUES": venue, "VENUE_ENV": "sim",
            f"{upper}_REST_URL": exchange.rest_url, f"{upper}_API_KEY": "simkey",
            f"{upper}_API_SECRET": "simsecret", "SANAD_CLOCK": exchange.admin_url + "/sim/clock",
            "UNIVERSE_SYMBOLS": SYMBOL, "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        yield Live(home, exchange, wanted | SENDS | env, venue=venue)


@contextmanager
def armed(folder: Path, venue: str = "binance", changes: dict[str, str] | None = None,
          scenario: dict[str, Any] | None = None, sim: dict[str, Any] | None = None, **env: str,
) -> Iterator[Live]:  # fmt: skip
    """A LIVE home whose first ticks have run and whose entries may go."""
    with market(folder, venue, changes, scenario, sim, **env) as rig:
        for said in rig.tick().values():
            assert said.code == 0, said
        rig.arm()
        assert rig.tick()["heartbeat"].text.count("trading: ENABLED") == 1
        yield rig


def assert_books_close(rig: Live) -> None:
    """P5 against the exchange's own books: every trade booked once, every balance equal to the last digit."""
    assert rig.sim is not None
    books = rig.sim.books()
    booked = sorted((e["data"]["trade_id"], Decimal(e["data"]["quantity"])) for e in rig.events("FILL"))
    assert booked == sorted((str(t["id"]), Decimal(t["qty"])) for t in books["trades"])
    journal = {asset: amount for asset, amount in rig.fold().portfolio.balances[rig.venue].items() if amount}
    assert journal == {asset: rig.owned(asset) for asset in books["balances"] if rig.owned(asset)}


def moving(factor: str, after_min: int = 4) -> dict[str, Any]:
    """The price moves by a factor within five minutes, some minutes after the folder began."""
    at_ms = (BARS_BEFORE + after_min) * 60_000
    return {"events": [{"after_ms": at_ms, "price": {"symbol": SYMBOL, "factor": factor, "over_ms": 300_000}}]}


def sent_entries(rig: Live) -> list[str]:
    """Client ids of the entries the exchange heard of (a list under its own), one for each time it heard."""
    created = [e["data"] for e in rig.events("INTENT_CREATED") if e["data"]["kind"] == "ENTRY"]
    entries = {entry.get("list_id") or entry["client_order_id"] for entry in created}
    return [post["clientOrderId"] for post in rig.posts() if post.get("clientOrderId") in entries]


def assert_protected(rig: Live) -> None:
    """A stop rests for all that is held; MEXC has no stop orders, so the level is watched."""
    held = rig.fold().positions.positions[f"{rig.venue}:{SYMBOL}"]
    assert held.stop_price > 0 and not held.unprotected_ms
    resting = [o for o in rig.orders("SELL") if o["status"] == "NEW" and o["type"] != "LIMIT_MAKER"]  # no target
    if rig.venue == "mexc":
        assert resting == []
        return
    assert {order["type"] for order in resting} == {STOPS.get(rig.venue, "STOP_LOSS_LIMIT")}
    bare = rig.owned() - sum(Decimal(order["origQty"]) for order in resting)
    assert Decimal(0) <= bare < Decimal("0.00001")  # but for what no lot holds
