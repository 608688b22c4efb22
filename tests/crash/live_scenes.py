"""The scenes and the network outcomes of the LIVE crash sweeps. Owns what leads to the moment; judges nothing.

A scene prepares an armed LIVE folder beside its simulator, then names the doors that run while everything may end. An
outcome is what the exchange or the line does to the first order (and the first cancel) of those doors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import livekit
from crash.live_world import SLOW
from desk.venues.table import VENUES
from livekit import Live

Job = tuple[str, ...]
ROUTER: Job = ("router", "--live")
MAKER = {'order_type = "LIMIT_IOC"': 'order_type = "LIMIT_MAKER"'}
TRAIL = {'trail_after_frac = "0.01"': 'trail_after_frac = "0"', 'trail_frac = "0.01"': 'trail_frac = "0.0005"'}
QUICK = {"reserve_bytes = 8_388_608": "reserve_bytes = 65_536"}  # each case copies the folder
RISES = livekit.moving("1.05", after_min=3)
RISE_MIN = 6


@dataclass(frozen=True)
class Scene:
    """What leads to the moment of interest, and the doors that run in it.

    Attributes:
        reads_fail: so many look-ups of the order fail after it was sent, so that it stays unknown for the next door.
    """

    prepare: Callable[[Live], None]
    jobs: tuple[Job, ...]
    changes: dict[str, str] = field(default_factory=dict)
    scenario: dict[str, Any] | None = None
    reads_fail: int = 0


def _enter(rig: Live) -> None:
    rig.minute()
    rig.signal("in")


def _pair(rig: Live) -> None:
    """A target too, so that stop and target want the same coins; far from both."""
    rig.minute()
    rig.signal("in", stop_price="55000", target_price="75000")


def _held(rig: Live, **fields: Any) -> None:
    rig.signal("in", **fields)
    rig.tick()
    assert rig.quantity > 0
    livekit.assert_protected(rig)
    rig.minute()


def _target(rig: Live) -> None:
    """Bought, and minutes later the price stands above the target."""
    _held(rig, target_price=str(_price(rig, "1.02")))
    for _ in range(RISE_MIN):
        rig.minute()


def _risen(rig: Live) -> None:
    _held(rig)
    for _ in range(RISE_MIN):
        rig.minute()


def _resting(rig: Live) -> None:
    rig.signal("in")
    rig.tick()
    assert [order["status"] for order in rig.orders("BUY")] == ["NEW"]
    rig.minute()


def _price(rig: Live, factor: str) -> Decimal:
    """So far from the exchange's own price now."""
    assert rig.sim is not None
    market = rig.sim.exchange.markets[livekit.SYMBOL]
    return (market.path.price_at(rig.sim.now_ms) * Decimal(factor)).quantize(Decimal(1))


SCENES: dict[str, Scene] = {
    "entry": Scene(_enter, (ROUTER,)),
    "pair": Scene(_pair, (ROUTER,)),
    "target": Scene(_target, (ROUTER,), scenario=RISES),
    "trail": Scene(_risen, (ROUTER,), TRAIL, RISES),
    "engage": Scene(_resting, (("kill_switch", "engage", "--reason", "manual"), ROUTER), MAKER),
    "unknown": Scene(_enter, (ROUTER, ("reconcile",), ROUTER), reads_fail=3),
    "flatten": Scene(_held, (("orders", "flatten", "--reason", "x", "--yes"), ROUTER)),
}

OUTCOMES: dict[str, tuple[tuple[str, Any], ...]] = {  # what happens to the first order and the first cancel
    "accepted": (),
    "rejected": (("timestamp_1021", None),),
    "lost before": (("drop_before", None),),
    "lost after": (("drop_after_accept", None),),
    "5xx after": (("http_status_after_accept", 503),),
    "redirect": (("redirect_307", None),),
    "slow": ((SLOW, None),),
    "late fill": (("late_fill", 90),),
    "listing lag": (("listing_lag", 50), ("drop_after_accept", None)),
    "partial": (("partial_fill", "0.5"),),
}
OF_ORDERS = frozenset({"timestamp_1021", "late_fill", "listing_lag", "partial_fill", SLOW})  # cancels go through


def faults(scene: Scene, outcome: str, venue: str) -> list[dict[str, Any]]:
    """What to arm for an outcome."""
    path = VENUES[venue].order_path
    found = [
        {"kind": kind, "arg": arg, "count": 1, "match": {"method": method, "path": path}}
        for kind, arg in OUTCOMES[outcome]
        for method in (("POST",) if kind in OF_ORDERS else ("POST", "DELETE"))
    ]
    if scene.reads_fail:
        reads = "/api/v1/openOrders" if venue == "btcturk" else path
        match = {"method": "GET", "path": reads}
        found.append({"kind": "http_status", "arg": 503, "count": scene.reads_fail, "match": match})
    return found
