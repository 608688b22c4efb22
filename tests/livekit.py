"""LIVE on the exchange simulator: a LIVE folder, armed by the operator's commands, and what the exchange itself says."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import badkit
import daykit
from lab.sim.server import SimHandle, running_sim

SYMBOL = "BTCUSDT"
SEED = 5
BARS_BEFORE = 130
ARMED = {"LIVE_TRADING": "true", "LIVE_TRADING_ACK": "I_UNDERSTAND", "DRY_RUN": "false", "SAFE_MODE": "false"}
CHANGES = {
    "after_close_min = 30": "after_close_min = 0",
    "after_losing_close_min = 60": "after_losing_close_min = 0",
    "after_stop_out_h = 24": "after_stop_out_h = 0",
    "[schedule.policy_engine]\nenabled = true": "[schedule.policy_engine]\nenabled = false",
    "[schedule.binance_client]\nenabled = true": "[schedule.binance_client]\nenabled = false",
} | daykit.NO_STRATEGIES


@dataclass
class Live(badkit.Rig):
    """A LIVE home on a simulator of one venue."""

    venue: str = "binance"
    exits: dict[str, set[int]] = field(default_factory=dict)

    def tick(self, *router: str) -> dict[str, badkit.Said]:
        """The next minute: reconcile, the router with --live, heartbeat."""
        self.minute()
        said = {"reconcile": self.door("reconcile"), "router": self.door("router", *(router or ("--live",)))}
        return said | {"heartbeat": self.door("heartbeat")}

    def posts(self) -> list[dict[str, Any]]:
        """Every order POST the exchange heard, whatever it made of it."""
        assert self.sim is not None
        return [r for r in self.sim.requests() if r["method"] == "POST" and r["path"].startswith("/api/v3/order")]

    def orders(self, side: str = "") -> list[dict[str, Any]]:
        """The exchange's own orders."""
        assert self.sim is not None
        return [o for o in self.sim.books()["orders"] if side in ("", o["side"])]

