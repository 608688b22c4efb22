"""A LIVE day on three exchanges with something wrong every minute: what goes wrong, who trades, and who looks after it.

Owns the day's schedule and its operator; judges in `judge`. One home, three stepped simulators in this process, moved
together; cron's jobs in their order; the operator does only what an alert names, and only when something is latched.
"""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import badkit
import daykit
import livekit
from badkit import Said
from desk.base.paths import Home
from desk.config.load import load
from desk.journal.state import Fold
from desk.risk import kill_reasons, pause_causes
from desk.risk.latches import effective
from desk.venues.table import VENUES
from lab.sim.server import SimHandle, running_sim

NAMES = ("binance", "mexc", "btcturk")
SYMBOL = livekit.SYMBOL
START_MIN = 130  # of market before the folder begins
HOUR_MIN = 60
RECONCILE_MIN = 5
SIGNAL_EVERY_MIN = 3
EXIT_FRAC = 0.7  # of the signals for what is held
OPERATOR_EVERY_MIN = 10
WEIGHTS = {  # kind -> (how often, what it may be given)
    "http_status": (6, (500, 503, 429, 400, 403)), "drop_before": (6, (None,)), "drop_after_accept": (6, (None,)),
    "http_status_after_accept": (5, (503,)), "unknown_1007_after_accept": (4, (None,)), "reset_mid_body": (4, (None,)),
    "bad_json": (5, (None,)), "redirect_307": (4, (None,)), "html_502": (4, (None,)), "timestamp_1021": (4, (None,)),
    "late_fill": (4, (30, 90, 200)), "listing_lag": (4, (20, 50)), "partial_fill": (5, ("0.3", "0.7")),
    "rate_limit_429": (3, (5, 30)), "ban_418": (1, (120,)), "crossed_book": (3, (None,)), "empty_book": (3, (None,)),
    "frozen_price": (3, (None,)), "symbol_halted": (2, (SYMBOL,)), "clock_skew_ms": (3, (-400, 800, 3000)),
}  # fmt: skip
OUTAGE_ONE_IN = 45  # minutes; one exchange is broken for everything, for a while
OUTAGE_MIN = (2, 9)
OUTAGES = (("http_status", 503), ("drop_before", None), ("html_502", None), ("rate_limit_429", 30),
           ("frozen_price", None), ("crossed_book", None), ("clock_skew_ms", 3000), ("bad_json", None))  # fmt: skip
WHERE = (("POST", True), ("DELETE", True), ("GET", True), ("GET", False), (None, False))  # method, only the order path


@dataclass
class Day:
    """One chaos day under way."""

    home: Path
    sims: dict[str, SimHandle]
    env: dict[str, str]
    rng: random.Random
    minute: int = 0
    outage: tuple[str, str, Any, int] = ("", "", None, 0)  # venue, kind, argument, last minute
    last: dict[str, Said] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    armed: Counter[str] = field(default_factory=Counter)
    latched: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)  # violations
    naked_run: Counter[str] = field(default_factory=Counter)  # minutes in a row, by venue
    naked_max: int = 0

    def door(self, name: str, *arguments: str) -> Said:
        said = badkit.Rig(self.home, self.sims["binance"], self.env).door(name, *arguments)
        self.codes[f"{name} {said.code}"] += 1
        self.last[name] = said
        return said

    def step(self, *, is_calm: bool = False) -> None:
        """The next minute of the market and its jobs."""
        self.minute += 1
        for sim in self.sims.values():
            sim.advance(60_000)
            sim.clear_faults()
        if not is_calm:
            self._go_wrong()
            if self.minute % SIGNAL_EVERY_MIN == 0:
                self._signal()
        if self.minute % RECONCILE_MIN == 0:
            self.door("reconcile")
        self.door("router", "--live")
        self.door("heartbeat")

    def fold(self) -> Fold:
        return daykit.fold_of(self.home)

    def _go_wrong(self) -> None:
        """One fault of this minute, or the outage that lasts."""
        if self.minute > self.outage[3] and not self.rng.randrange(OUTAGE_ONE_IN):
            kind, arg = self.rng.choice(OUTAGES)
            self.outage = (self.rng.choice(NAMES), kind, arg, self.minute + self.rng.randint(*OUTAGE_MIN))
        if self.minute <= self.outage[3]:
            venue, kind, arg, _ = self.outage
            self.sims[venue].fault(kind, count=None, arg=arg)
            self.armed[f"outage {kind}"] += 1
            return
        venue, kinds = self.rng.choice(NAMES), list(WEIGHTS)
        kind = self.rng.choices(kinds, [WEIGHTS[one][0] for one in kinds])[0]
        method, is_order = self.rng.choice(WHERE)
        path = VENUES[venue].order_path if is_order else None
        arg, count = self.rng.choice(WEIGHTS[kind][1]), self.rng.choice((1, 1, 2, 5))
        self.sims[venue].fault(kind, method=method, path=path, count=count, arg=arg)
        self.armed[kind] += 1

    def _signal(self) -> None:
        """Somebody wants in, or out of what is held."""
        venue, held = self.rng.choice(NAMES), self.fold().positions.positions
        name = f"s{self.minute}"
        fields: dict[str, Any] = {
            "venue": venue,
            "symbol": SYMBOL,
            "notional_quote": self.rng.choice(("20", "60", "100")),
        }
        if f"{venue}:{SYMBOL}" in held and self.rng.random() < EXIT_FRAC:
            fields |= {"side": "SELL", "kind": "EXIT", "edge_bps": None, "notional_quote": None}
        badkit.signal(badkit.Rig(self.home, self.sims["binance"], self.env), name, **fields)

    # -- the operator

    def latches(self) -> tuple[str, ...]:
        """What is latched: reasons of the kill switch, then of PAUSE."""
        with badkit._environment(self.env):
            now = effective(Home(self.home), self.fold(), load(Home(self.home)))
        kill = now.kill.reasons if now.kill.active else ()
        pause = now.pause.reasons if now.pause.state != "NORMAL" else ()
        return (*(f"kill {name}" for name in kill), *(f"pause {name}" for name in pause))

    def look_after(self) -> None:
        """The one command that each latch's alert names; refused while its cause holds."""
        standing = self.latches()
        for name in standing:
            self.latched[name] += 1
            kind, _, reason = name.partition(" ")
            known = reason in kill_reasons.BY_NAME if kind == "kill" else reason in pause_causes.TABLE
            if not known:
                self.found.append(f"minute {self.minute}: a latch without a cause in the rules: {name}")
        if any(name.startswith("kill ") for name in standing):
            self._command("kill_switch", "release", "--reason", "operator", *livekit.ACK)
        if any(name.startswith("pause ") for name in standing):
            self._command("resume", "--reason", "operator", *livekit.ACK)

    def _command(self, door: str, *arguments: str) -> None:
        said = self.door(door, *arguments)
        self.commands[f"{door} {said.code}"] += 1


@contextmanager
def day(folder: Path, seed: int) -> Iterator[Day]:
    """An armed LIVE home on three exchanges."""
    home = folder / "home"
    (home / "config").mkdir(parents=True)
    (home / ".env").write_text("")
    text = daykit.CONFIG.read_text()
    for old, new in livekit.CHANGES.items():
        if old not in daykit.NO_STRATEGIES:
            assert old in text, old
            text = text.replace(old, new)
    for venue in NAMES:
        text = text.replace(f"[schedule.{venue}_client]\nenabled = true", f"[schedule.{venue}_client]\nenabled = false")
    (home / "config" / "sanad.toml").write_text(text)
    with ExitStack() as stack:
        sims = {v: stack.enter_context(running_sim(venue=v, symbols=(SYMBOL,), seed=seed + n))
                for n, v in enumerate(NAMES)}  # fmt: skip
        env = {
            "SANAD_HOME": str(home), "SYSTEM_MODE": "LIVE", "VENUES": ",".join(NAMES), "VENUE_ENV": "sim",
            "SANAD_CLOCK": sims["binance"].admin_url + "/sim/clock", "UNIVERSE_SYMBOLS": SYMBOL,
            "PYTHONDONTWRITEBYTECODE": "1",
        } | livekit.SENDS  # fmt: skip
        for venue, sim in sims.items():
            sim.advance(START_MIN * 60_000)
            env |= {f"{venue.upper()}_REST_URL": sim.rest_url, f"{venue.upper()}_API_KEY": "simkey",
                    f"{venue.upper()}_API_SECRET": "simsecret"}  # fmt: skip
        one = Day(home, sims, env, random.Random(seed))
        one.door("reconcile")
        one.step(is_calm=True)
        assert one.door("kill_switch", "release", "--reason", "a test", *livekit.ACK).code == 0
        assert one.door("arming", "arm", "--reason", "a test", *livekit.ACK).code == 0
        one.step(is_calm=True)
        yield one


def play(one: Day, minutes: int, healthy_min: int = HOUR_MIN) -> None:
    """The day, then a healthy hour near whose end the operator may act once."""
    from soak import judge

    for _ in range(minutes):
        one.step()
        judge.after_a_minute(one)
        if one.minute % OPERATOR_EVERY_MIN == 0:
            one.look_after()
    for number in range(healthy_min):
        one.step(is_calm=True)
        judge.after_a_minute(one)
        if number == healthy_min - RECONCILE_MIN - 1:
            one.look_after()
    judge.at_the_end(one)
