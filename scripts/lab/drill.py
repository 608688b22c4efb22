"""The kill switch drill: how long after `engage` returned does the last entry still leave? Owns the measurement.

In a throw-away LIVE folder beside a simulator of its own, one process submits entries as fast as it can by the real
path (journal, connection, last look, bytes). Round by round the switch is released, entries flow, the switch is engaged
and the time is taken from the return of `engage` to the last entry POST the simulator saw. rules.md, Kill switch: at
most 100 ms. The operator's own folder, settings and environment are neither read nor written.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from desk.base import clock, exit_codes
from desk.base.errors import LockBusy, WorldError
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.journal.state import Fold
from desk.risk import arming_latch, kill_forms, kill_switch, latches, observed
from desk.risk.kill_switch import FactsOf
from desk.runtime.tick import Outcome, Run, run_door
from lab.sim.server import SimHandle, running_sim

DOOR: Final = "drill"
SCRIPTS: Final = Path(__file__).resolve().parents[1]
SUBMITTER: Final = (sys.executable, "-m", "lab.drill_entries")
SYMBOL: Final = "BTCUSDT"
BALANCES: Final = {"USDT": "1000000", "BTC": "1"}
LIMIT_OFF: Final = 1_000_000_000  # the exchange's own limits shall not be what stops the entries
ORDER_PATH: Final = "/api/v3/order"
FLOWING_POSTS: Final = 5  # a round begins to count once so many entries have left
FLOW_S_MAX: Final = 30
LOOK_S: Final = 0.01
SETTLE_BOUNDS: Final = 3  # after the engagement the simulator is watched for so many times the bound
SETTLE_MS_MIN: Final = 200
RELEASE_TRIES_MAX: Final = 10
PHASES: Final = 7  # engagements fall on different moments of a submit
END_S_MAX: Final = 10
HEAD: Final = ("last entry POST, counted from engage's return", "rounds")
EDGES_MS: Final = (1, 5, 10, 25, 50, 100)
KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV", "PYTHONIOENCODING")
HINT: Final = "run it again; if it stays so, the checkout is broken"


@dataclass(frozen=True)
class Round:
    """One engagement: the last entry POST relative to the return of `engage` (negative: before it), and the count."""

    last_post_ms: int
    posts: int


def main(rounds: int, *, as_json: bool, submitter: Sequence[str] = SUBMITTER) -> int:
    """Run the drill and print it; returns the exit code.

    Args:
        submitter: the command of the process that submits; it runs in scripts/ with the drill's environment.
    """
    with TemporaryDirectory(prefix="sanad-drill-") as folder, _market() as sim, _environment(Path(folder), sim):
        return run_door(DOOR, lambda run: _drill(run, sim, rounds, submitter), as_json=as_json)


def _drill(run: Run, sim: SimHandle, rounds: int, submitter: Sequence[str]) -> Outcome:
    bound_ms = run.settings.config.kill_switch.engage_to_no_post_max_ms
    run.deadline_s = float("inf")  # bounded by rounds and FLOW_S_MAX
    latches.sync_environment(run.home, run.journal, run.settings)
    arming_latch.arm(run.home, run.journal, "the drill's own folder", DOOR)
    with _submitting(run.home, submitter) as process:
        found = [_round(run, sim, process, number, bound_ms) for number in range(rounds)]
    return _outcome(run, found, bound_ms)


def _round(run: Run, sim: SimHandle, process: "subprocess.Popen[bytes]", number: int, bound_ms: int) -> Round:
    """Release, let entries flow, engage, watch."""
    stopped_before = _stopped(run.journal.read_fold())
    begun_ms, before = sim.exchange.clock.now_ms(), len(_posts(sim))
    _release(run)
    _await_flow(run, sim, process, before + FLOWING_POSTS)
    clock.pause_s((number % PHASES) / 1000)
    report = kill_switch.engage(run.home, run.journal, "manual", DOOR)
    returned_ms = sim.exchange.clock.now_ms()
    if not report.durable:
        raise WorldError(f"not engaged: {'; '.join(report.problems)}", "drill folder", HINT)
    clock.pause_s(max(SETTLE_BOUNDS * bound_ms, SETTLE_MS_MIN) / 1000)
    times = [at_ms for at_ms in _posts(sim)[before:] if at_ms >= begun_ms]
    has_tried = max(times) > returned_ms or _stopped(run.journal.read_fold()) > stopped_before
    if process.poll() is not None or not has_tried:
        raise WorldError("the submitting process tried nothing after the engagement", "drill", HINT)
    return Round(max(times) - returned_ms, len(times))


def _release(run: Run) -> None:
    """Let entries go again; the journal is busy with those that are refused, so the lock may take some tries."""
    for _ in range(RELEASE_TRIES_MAX):
        facts_of = _facts_of(run)
        with suppress(LockBusy):
            report = kill_switch.release(run.home, run.journal, "next round", DOOR, facts_of, is_live=True)
            if report.held:
                raise WorldError(f"the switch of the drill is held: {report.held[0]}", "drill folder", HINT)
            return
    raise WorldError("the switch of the drill could not be released", "drill folder", HINT)


def _facts_of(run: Run) -> FactsOf:
    outside = observed.for_release(run.home, run.settings, rebase_peak=False)
    return lambda fold, doc: kill_forms.release_facts(outside, fold, doc)


def _await_flow(run: Run, sim: SimHandle, process: "subprocess.Popen[bytes]", wanted: int) -> None:
    until_s = clock.monotonic_s() + FLOW_S_MAX
    while len(_posts(sim)) < wanted:
        if process.poll() is not None or clock.monotonic_s() > until_s:
            said = (run.home.root / "submitter.err").read_text(errors="replace").strip().splitlines()
            last = f" ({said[-1]})" if said else ""
            raise WorldError(f"the submitting process sends no entries{last}", "drill", HINT)
        clock.pause_s(LOOK_S)


def _posts(sim: SimHandle) -> list[int]:
    """When each entry POST reached the simulator, by its own request log, in ms of its clock."""
    return [int(r["time"]) for r in sim.requests() if (r["method"], r["path"]) == ("POST", ORDER_PATH)]


def _stopped(fold: Fold) -> int:
    """Entries the last look has stopped so far."""
    return sum(intent.code == Reason.KILL_SWITCH for intent in fold.intents.intents.values())


def _outcome(run: Run, found: Sequence[Round], bound_ms: int) -> Outcome:
    waits_ms = [one.last_post_ms for one in found]
    stopped, posts = _stopped(run.journal.read_fold()), sum(one.posts for one in found)
    rows = histogram(waits_ms, bound_ms)
    if not run.as_json:
        from tabulate import tabulate

        print(
            tabulate(rows, headers=("last entry POST, counted from engage's return", "rounds"), disable_numparse=True)
        )
    run.say(f"{posts} entries left, {stopped} were stopped at the last look")
    worst_ms = max(waits_ms)
    word = "OK" if worst_ms <= bound_ms else "FAIL"
    verdict = (
        f"KILL SWITCH DRILL — {word}: {len(found)} rounds, median {median(waits_ms):g} ms, worst {worst_ms} ms, "
        f"bound {bound_ms} ms"
    )
    document = {
        "rounds": len(found), "bound_ms": bound_ms, "worst_ms": worst_ms, "last_post_ms": waits_ms, "posts": posts,
        "stopped": stopped, "histogram": [{"bucket": name, "rounds": int(count)} for name, count in rows],
    }  # fmt: skip
    return Outcome(exit_codes.OK if word == "OK" else exit_codes.WARN, verdict, document)


def histogram(waits_ms: Sequence[int], bound_ms: int) -> list[tuple[str, str]]:
    """Rounds by how late their last entry was; the bound is an edge, so nothing over it hides in a bucket."""
    edges = sorted({*(edge for edge in EDGES_MS if edge < bound_ms), bound_ms})
    rows = [("before it", str(sum(wait <= 0 for wait in waits_ms)))]
    low = 0
    for edge in edges:
        rows.append((f"{low} to {edge} ms", str(sum(low < wait <= edge for wait in waits_ms))))
        low = edge
    return [*rows, (f"later than {bound_ms} ms", str(sum(wait > bound_ms for wait in waits_ms)))]


@contextmanager
def _market() -> Iterator[SimHandle]:
    """An exchange of the drill's own, in real time."""
    with running_sim(
        symbols=(SYMBOL,), step=False, balances=BALANCES, weight_limit=LIMIT_OFF, orders_10s_limit=LIMIT_OFF
    ) as sim:
        yield sim


@contextmanager
def _environment(folder: Path, sim: SimHandle) -> Iterator[None]:
    """This process and its children see the drill's folder and exchange, and nothing of the operator's settings."""
    Home(folder).ensure()
    (folder / ".env").touch()  # else the checkout's own would be read
    before = dict(os.environ)
    kept = {name: before[name] for name in KEPT if name in before}
    ours: Mapping[str, Any] = {
        "SANAD_HOME": str(folder), "SYSTEM_MODE": "LIVE", "VENUE_ENV": "sim", "VENUES": "binance",
        "UNIVERSE_SYMBOLS": SYMBOL, "BINANCE_REST_URL": sim.rest_url, "BINANCE_API_KEY": "simkey",
        "BINANCE_API_SECRET": "simsecret", "LIVE_TRADING": "true", "LIVE_TRADING_ACK": "I_UNDERSTAND",
        "DRY_RUN": "false", "SAFE_MODE": "false",
    }  # fmt: skip
    os.environ.clear()
    os.environ.update(kept | dict(ours))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _submitting(home: Home, command: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    """The submitting process, ended with the drill."""
    with (home.root / "submitter.err").open("wb") as told:
        process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            list(command), cwd=SCRIPTS, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=END_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
