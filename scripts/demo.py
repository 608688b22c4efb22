"""The tour: a PAPER session of router, heartbeat and reconcile on the exchange in a box, with a result table.

Owns the session's folder (`demo-home/`, made anew each time), its market, its progress and its summary; trades nothing
itself: the doors run as separate processes, as cron would run them. With --real the doors read Binance's public market
data instead of the simulator's (PAPER all the same: orders go to the paper books). Exit 0: every job ended in order
and the journal verifies; 1: not so; 2: the session could not be played.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from desk.base import clock
from desk.base.errors import WorldError
from desk.base.money import text
from desk.base.paths import CHECKOUT, Home
from desk.base.reasons import shown
from desk.journal import search
from desk.journal.chain import Context, Line
from desk.journal.events import Event
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.state import store
from lab.day import Day, JobResult, Sim, environment, start_sim

HOME: Final = CHECKOUT / "demo-home"
MARK: Final = ".made-by-demo"
SYMBOL: Final = "BTCUSDT"
RECORDED: Final = CHECKOUT.parent / "shared" / "data" / "market" / "binance_BTCUSDT_1m_20210420-20210520.csv.gz"
RECORDED_START: Final = "2021-05-19T10:00:00Z"  # an hour before the crash of that day
SEED: Final = "11"
# (minute it begins, factor, minutes it takes): a seeded walk alone is too calm for any strategy to pay its costs
SWINGS: Final = (
    (3, "0.985", 6), (12, "1.025", 12), (50, "0.97", 10), (65, "1.02", 10), (73, "0.96", 8), (95, "1.03", 15),
)  # fmt: skip
TICKS: Final = 120
TICKS_REAL: Final = 5
TICKS_MAX: Final = 10_000
TICK_REAL_S: Final = 60
PROGRESS_TICKS: Final = 10
JOB_TIMEOUT_S: Final = 120
TOLD: Final = frozenset({
    Event.DECISION_PROPOSED, Event.TRADE_REJECTED, Event.INTENT_CREATED, Event.FILL, Event.KILL_SWITCH_ACTIVATED,
    Event.ALERT_RAISED, Event.BREAKER_CHANGED,
})  # fmt: skip
# What an operator's shell may hold and a demo must not hear: its own folder, its own switches, nobody's keys.
ALONE: Final = {"SAFE_MODE": "false", "DRY_RUN": "false", "KILL_SWITCH": "false"}


def main(argv: list[str] | None = None) -> int:
    """Play the session, show the table; exit 0 when it ran whole and the journal verifies."""
    options = _parser().parse_args(argv)
    options.ticks = options.ticks or (TICKS_REAL if options.real else TICKS)
    try:
        fresh_home(options.home)
        return real_session(options) if options.real else simulated_session(options)
    except WorldError as error:
        print(f"demo: {error.line()}", file=sys.stderr)
        return error.exit_code
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ndemo: stopped; what was played stays in {shown_path(options.home)}", file=sys.stderr)
        return 1


def simulated_session(options: argparse.Namespace) -> int:
    """The stepped simulator, its time advanced by one minute a tick."""
    sim = _start_market(options)
    try:
        env = environment(options.home, sim, (SYMBOL,)) | ALONE
        day = Day(options.home, sim, env, in_process=False)
        story = Story(Home(options.home), options.ticks)
        started = clock.monotonic_s()
        day.play(options.ticks, story.tick)
        print(f"\n{options.ticks} minutes of market played in {clock.monotonic_s() - started:.0f} s")
        return summary(story, env)
    finally:
        sim.stop()


def _start_market(options: argparse.Namespace) -> Sim:
    """The recorded market where it is at hand, else a seeded one with its swings."""
    if RECORDED.exists() and not options.seeded:
        print(f"market: {SYMBOL} as recorded, {RECORDED.name} from {RECORDED_START}")
        chosen = ["--market", str(RECORDED), "--start", RECORDED_START]
    else:
        print(f"market: {SYMBOL}, made up and repeatable: a random walk (seed {SEED}) with {len(SWINGS)} swings")
        scenario = options.home / "scenario.json"
        scenario.write_text(json.dumps({"events": [_swing(*swing) for swing in SWINGS]}), encoding="utf-8")
        chosen = ["--scenario", str(scenario)]
    return start_sim("--venue", "binance", "--symbol", SYMBOL, "--step", "--seed", SEED, *chosen)


def _swing(minute: int, factor: str, minutes: int) -> dict[str, Any]:
    return {"after_ms": minute * 60_000, "price": {"symbol": SYMBOL, "factor": factor, "over_ms": minutes * 60_000}}


def real_session(options: argparse.Namespace) -> int:
    """The doors in real time on Binance's public market data; a minute a tick."""
    env = {"SANAD_HOME": str(options.home), "SYSTEM_MODE": "PAPER", "VENUES": "binance", "VENUE_ENV": "mainnet",
           "UNIVERSE_SYMBOLS": SYMBOL, **ALONE}  # fmt: skip
    asked = spawn("binance_client", env, "time")
    if asked.exit_code != 0:
        raise RuntimeError(f"Binance does not answer ({asked.last_line}); without --real no network is needed")
    print(f"market: {SYMBOL} on Binance, public data, real time: {options.ticks} minutes")
    story = Story(Home(options.home), options.ticks)
    for number in range(options.ticks):
        if number:
            clock.pause_s(TICK_REAL_S)
        due = ("router", "heartbeat") if number % 5 else ("reconcile", "router", "heartbeat")
        story.tick(number + 1, [spawn(door, env) for door in due])
    print()
    return summary(story, env)


def spawn(door: str, env: dict[str, str], *arguments: str) -> JobResult:
    """Run one door as cron would."""
    command = [sys.executable, str(CHECKOUT / "scripts" / f"{door}.py"), *arguments]
    done = subprocess.run(  # noqa: S603 - our own door, our own arguments
        command, env=os.environ | env, capture_output=True, text=True, timeout=JOB_TIMEOUT_S, check=False
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    return JobResult(door, done.returncode, lines[-1] if lines else "")


def fresh_home(home: Path) -> None:
    """An empty folder for the session; only one this demo made before is ever removed."""
    if home.exists():
        if not home.is_dir() or (not (home / MARK).exists() and any(home.iterdir())):
            raise OSError(f"{home} was not made by this demo: name another folder with --home")
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARK).touch()
    (home / ".env").touch(mode=0o600)  # an empty one, so that the checkout's own is not read


@dataclass
class Story:
    """What has happened so far, told while it happens: orders and denials at once, a line of progress now and then."""

    home: Home
    ticks: int
    jobs: Counter[str] = field(default_factory=Counter)  # "router exit 0" -> how often
    events: Counter[str] = field(default_factory=Counter)
    denials: Counter[str] = field(default_factory=Counter)
    legs: dict[str, str] = field(default_factory=dict)  # client order id -> leg
    seq: int = 0

    def tick(self, number: int, results: list[JobResult]) -> None:
        """Count the jobs' ends and tell what is new in the journal."""
        self.jobs.update(f"{result.door} exit {result.exit_code}" for result in results)
        for result in results:
            if result.exit_code not in {0, 1}:
                print(f"tick {number:4d}  {result.door} exit {result.exit_code}: {result.last_line}", flush=True)
        for line in self._news():
            told = self._told(line)
            if told:
                print(f"tick {number:4d}  {told}", flush=True)
        if number % PROGRESS_TICKS == 0 or number == self.ticks:
            health = next((r.last_line for r in results if r.door == "heartbeat"), "").rpartition(" — ")[2]
            print(f"tick {number:4d}  of {self.ticks}; {health}", flush=True)

    def _news(self) -> Iterator[Line]:
        for _, line in search.lines(self.home, search.Filter(events=TOLD)):
            if line.seq > self.seq:
                self.seq = line.seq
                yield line

    def _told(self, line: Line) -> str:
        self.events[line.event] += 1
        data = line.data
        match line.event:
            case Event.TRADE_REJECTED:
                self.denials[data["code"]] += 1
                return f"denied {line.symbol} {data['kind']} by {data['gate']}: {shown(data['code'])}"
            case Event.INTENT_CREATED:
                self.legs[data["client_order_id"]] = data["leg"]
                return f"order  {data['leg']} {data['side']} {data['quantity']} {line.symbol} {data['type']}"
            case Event.FILL:
                leg = self.legs.get(data["client_order_id"], "")
                return f"fill   {leg} {data['side']} {data['quantity']} {line.symbol} at {data['price']}"
            case Event.KILL_SWITCH_ACTIVATED:
                return f"kill switch: {data['reason']}"
            case Event.ALERT_RAISED:
                return f"{data['severity']} {data['text']}"
            case Event.BREAKER_CHANGED:
                return f"breaker {data['component']} {data['from']} -> {data['to']}"
        return ""


def summary(story: Story, env: dict[str, str]) -> int:
    """The result table, the journal's verified head, and where to look next."""
    from tabulate import tabulate

    fold = Journal(story.home, Context(run_id="", cycle_id="", script="demo", mode="PAPER", instance="")).read_fold()
    status = store.read(story.home, "system_status") or {}
    print(tabulate(rows(story, fold, status), headers=("what", "value"), disable_numparse=True))
    verified = spawn("audit", env, "verify")
    print(verified.last_line)
    where = f"SANAD_HOME={shown_path(story.home.root)} SYSTEM_MODE=PAPER"
    print(f"look around: {where} python3 scripts/audit.py tail")
    crashed = [name for name in story.jobs if not name.endswith(("exit 0", "exit 1"))]
    return 1 if crashed or verified.exit_code else 0


def rows(story: Story, fold: Fold, status: dict[str, Any]) -> list[tuple[str, str]]:
    """What happened: counted from the journal's lines, and money from its folded state."""
    legs = Counter(story.legs.values())
    cycles = sum(count for name, count in story.jobs.items() if name.startswith("router"))
    found = [
        ("cycles", str(cycles)),
        ("decisions", str(story.events[Event.DECISION_PROPOSED])),
        *((f"denied {shown(code)}", str(count)) for code, count in sorted(story.denials.items())),
        ("orders", f"{sum(legs.values())} ({_listed(legs)})"),
        ("fills", str(story.events[Event.FILL])),
        *((f"fees {name}", text(amount)) for name, amount in sorted(fold.portfolio.fees.items())),
    ]
    for name, capital in sorted(fold.portfolio.capital.items()):
        venue, _, quote = name.partition(":")
        opening = fold.portfolio.opening.get(venue, {}).get(quote)
        found += [(f"realised P&L {name}", text(capital.realised)), (f"equity {name}", text(capital.equity))]
        if opening is not None:
            found.append((f"total P&L {name}", text(capital.equity - opening)))
    kill = fold.portfolio.kill_switch
    return [
        *found,
        ("positions open", str(len(fold.positions.positions))),
        ("kill switch", f"{kill.state} {' '.join(kill.reasons)}".strip()),
        ("job exits", _listed(story.jobs)),
        ("Overall", f"{status.get('overall', 'unknown')} (trading: {status.get('trading', 'unknown')})"),
    ]


def shown_path(home: Path) -> str:
    """The folder as an operator in the checkout would type it."""
    return str(home.relative_to(CHECKOUT)) if home.is_relative_to(CHECKOUT) else str(home)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} x{count}" for name, count in sorted(counts.items())) or "none"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo.py", description="A PAPER session on a simulated exchange.")
    parser.add_argument("--ticks", type=_ticks, help=f"minutes to play (default {TICKS}; with --real {TICKS_REAL})")
    parser.add_argument("--home", type=lambda name: Path(name).resolve(), default=HOME, help="its folder, made anew")
    parser.add_argument("--seeded", action="store_true", help="the made-up market even where a recorded one is at hand")
    parser.add_argument("--real", action="store_true", help="Binance's public market data, in real time, on paper")
    return parser


def _ticks(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= TICKS_MAX:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from 1 to {TICKS_MAX}")
    return int(word)


if __name__ == "__main__":
    sys.exit(main())
