"""The tour: a PAPER session of router, heartbeat and reconcile on the exchange in a box, with a result table.

Owns the session's folder (`demo-home/`, made anew each time) and its progress and summary; trades nothing itself: the
doors run as separate processes, as cron would run them. With --real the doors read Binance's public market data instead
of the simulator's (PAPER all the same: orders go to the paper books).
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from desk.base import clock
from desk.base.errors import WorldError
from desk.base.money import text
from desk.base.paths import CHECKOUT, Home
from desk.journal.chain import Context
from desk.journal.journal import Journal
from desk.journal.state import Fold
from desk.state import store
from lab.day import Day, JobResult, environment, start_sim

HOME: Final = CHECKOUT / "demo-home"
MARK: Final = ".made-by-demo"
RECORDED: Final = CHECKOUT.parent / "shared" / "data" / "market" / "binance_BTCUSDT_1m_20210420-20210520.csv.gz"
RECORDED_START: Final = "2021-05-19T10:00:00Z"  # an hour before the crash of that day
SEED: Final = "11"
TICKS_MIN: Final = 1
SLEEP_REAL_S: Final = 60


def main(argv: list[str] | None = None) -> int:
    """Play the session, show the table; exit 0 when it ran whole and the journal verifies."""
    options = _parser().parse_args(argv)
    try:
        fresh_home(options.home)
        return real_session(options) if options.real else simulated_session(options)
    except WorldError as error:
        print(f"demo: {error.line()}", file=sys.stderr)
        return error.exit_code
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


def simulated_session(options: argparse.Namespace) -> int:
    """The stepped simulator, its time advanced by one minute a tick."""
    market = ["--symbol", "BTCUSDT", "--step", "--seed", SEED]
    recorded = RECORDED.exists() and not options.seeded
    market += ["--market", str(RECORDED), "--start", RECORDED_START] if recorded else []
    print(
        "market: "
        + (f"recorded {RECORDED.name} from {RECORDED_START}" if recorded else f"seeded random walk, seed {SEED}")
    )
    sim = start_sim("--venue", "binance", *market)
    try:
        day = Day(options.home, sim, environment(options.home, sim, ("BTCUSDT",)), in_process=False)
        started = clock.monotonic_s()
        day.play(options.ticks, lambda number, results: progress(number, options.ticks, results))
        print(f"\n{options.ticks} ticks in {clock.monotonic_s() - started:.0f} s")
        return summary(day.home, day.env, day.counts)
    finally:
        sim.stop()


def real_session(options: argparse.Namespace) -> int:
    """The doors in real time on Binance's public market data; a minute a tick."""
    env = {"SANAD_HOME": str(options.home), "SYSTEM_MODE": "PAPER", "VENUES": "binance", "UNIVERSE_SYMBOLS": "BTCUSDT"}
    counts: dict[str, int] = {}
    for number in range(1, options.ticks + 1):
        results = [
            spawn(door, env) for door in ("reconcile", "router", "heartbeat") if door != "reconcile" or number % 5 == 1
        ]
        for result in results:
            counts[f"{result.door} exit {result.exit_code}"] = (
                counts.get(f"{result.door} exit {result.exit_code}", 0) + 1
            )
        progress(number, options.ticks, results)
        if number < options.ticks:
            clock.pause_s(SLEEP_REAL_S)
    print()
    return summary(options.home, env, counts)


def spawn(door: str, env: dict[str, str], *arguments: str) -> JobResult:
    """Run one door as cron would."""
    command = [sys.executable, str(CHECKOUT / "scripts" / f"{door}.py"), *arguments]
    done = subprocess.run(  # noqa: S603 - our own door, our own arguments
        command, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    return JobResult(door, done.returncode, lines[-1] if lines else "")


def fresh_home(home: Path) -> None:
    """An empty folder for the session; only one this demo made before is ever removed."""
    if home.exists():
        if not (home / MARK).exists() and any(home.iterdir()):
            raise OSError(f"{home} was not made by this demo: name another folder with --home")
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARK).touch()


def progress(number: int, ticks: int, results: list[JobResult]) -> None:
    """One line every ten ticks, and every order or denial as it happens."""
    router = next((r.last_line for r in results if r.door == "router"), "")
    if number % 10 == 0 or number == 1 or ", orders 0," not in router:
        print(f"tick {number:4d}/{ticks}  {router.replace('ROUTER END — ', '')}", flush=True)


def summary(home_path: Path, env: dict[str, str], counts: dict[str, int]) -> int:
    """The result table, the journal's verified head, and where to look next."""
    from tabulate import tabulate

    home = Home(home_path)
    fold = Journal(home, Context(run_id="", cycle_id="", script="demo", mode="PAPER", instance="")).read_fold()
    status = store.read(home, "system_status") or {}
    print(tabulate(rows(fold, status, counts), headers=("what", "value"), disable_numparse=True))
    verified = spawn("audit", env, "verify")
    print(verified.last_line)
    print(f"look around: SANAD_HOME={home_path.name} SYSTEM_MODE=PAPER .venv/bin/python scripts/audit.py tail")
    crashed = [name for name in counts if name.endswith(("exit 2", "exit 124"))]
    return 1 if crashed or verified.exit_code else 0


def rows(fold: Fold, status: dict[str, Any], counts: dict[str, int]) -> list[tuple[str, str]]:
    """What happened, from the journal's folded state."""
    intents = fold.intents.intents.values()
    cycles = sum(count for name, count in counts.items() if name.startswith("router"))
    denials = {n.removeprefix("denied "): c for n, c in sorted(fold.portfolio.day.items()) if n.startswith("denied ")}
    found = [
        ("cycles", str(cycles)),
        ("orders", f"{len(intents)} ({', '.join(_count_by(i.leg for i in intents)) or 'none'})"),
        ("fills", str(fold.portfolio.fills)),
        *((f"denied {code}", str(count)) for code, count in denials.items()),
        *((f"fees {name}", text(amount)) for name, amount in sorted(fold.portfolio.fees.items())),
    ]
    for name, capital in sorted(fold.portfolio.capital.items()):
        opening = fold.portfolio.opening.get(name.partition(":")[0], {}).get(name.partition(":")[2])
        found.append((f"equity {name}", text(capital.equity)))
        found.append((f"realised P&L {name}", text(capital.realised)))
        if opening is not None:
            found.append((f"total P&L {name}", text(capital.equity - opening)))
    found += [
        ("positions open", str(len(fold.positions.positions))),
        ("kill switch", f"{fold.portfolio.kill_switch.state} {' '.join(fold.portfolio.kill_switch.reasons)}".strip()),
        ("Overall", f"{status.get('overall', 'unknown')} (trading: {status.get('trading', 'unknown')})"),
        ("job exits", ", ".join(f"{name} x{count}" for name, count in sorted(counts.items()))),
        ("journal head", f"seq {fold.seq} {fold.hash[:16]}"),
    ]
    return found


def _count_by(names: Any) -> list[str]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return [f"{name} {count}" for name, count in sorted(counts.items())]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo.py", description="A PAPER session on a simulated exchange.")
    parser.add_argument("--ticks", type=int, default=120, help="minutes of market to play")
    parser.add_argument("--home", type=Path, default=HOME, help="folder of the session, made anew")
    parser.add_argument(
        "--seeded", action="store_true", help="a seeded random walk even where a recorded market exists"
    )
    parser.add_argument("--real", action="store_true", help="Binance's public market data, in real time")
    return parser


if __name__ == "__main__":
    sys.exit(main())
