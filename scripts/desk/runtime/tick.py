"""One run of a door: settings, journal, logs, deadline, verdict, exit code. Owns the frame, never the job.

A door hands `run_door` its body. The frame reads the clock once, loads the settings, opens the journal, runs the
body, prints the verdict as the last line (or one JSON document), writes `state/runs/<door>.json`, and turns the two
error families into exit codes: a world error is one clear line, a bug is an alert, a logged traceback and exit 2.
"""

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from desk.base import clock, exit_codes, ids
from desk.base.errors import ConfigError, DeadlinePassed, InvariantError, JournalUnwritable, ModeMismatch, WorldError
from desk.base.paths import Home, find_home
from desk.base.reasons import Reason, find, shown
from desk.config import env
from desk.config.load import Settings, load
from desk.journal import check
from desk.journal.chain import Context, NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal
from desk.runtime.run_log import RunLog, tell
from desk.state import store

TRACEBACK_LINES_MAX = 40
BUFFERED_MAX = 200  # events that wait for the next group; a group holds 500


class Outcome(msgspec.Struct):
    """What a body found.

    Attributes:
        verdict: the last line, one clause.
        document: what `--json` prints beside the verdict.
    """

    exit_code: int
    verdict: str
    document: dict[str, Any] = msgspec.field(default_factory=dict)


class Run(msgspec.Struct):
    """What a body works with."""

    door: str
    home: Home
    settings: Settings
    journal: Journal
    log: RunLog
    tick_ms: int
    run_id: str
    ordinal: int
    deadline_s: float  # monotonic
    as_json: bool
    counts: dict[str, Any] = msgspec.field(default_factory=dict)  # goes to runs/<door>.json
    _buffered: list[NewEvent] = msgspec.field(default_factory=list)

    def say(self, text: str) -> None:
        """A line for the operator and the log (the log only, under --json)."""
        self.log.info(text)
        if not self.as_json:
            tell(text)

    def warn(self, level: str, text: str) -> None:
        """A WARN or CRIT line: door log, trading.log, and the operator."""
        self.log.line(level, text)
        if not self.as_json:
            tell(f"{level} {text}")

    def stage(self, name: str, *, is_bounded: bool = True) -> None:
        """Note a stage; it is written with the next group, so that a quiet tick costs one sync.

        Args:
            is_bounded: False for what a late tick must still do (protecting what was just bought).
        """
        if is_bounded:
            self.check_deadline()
        data = {"stage": name, "tick_ms": self.tick_ms, "ordinal": self.ordinal}
        self._buffered.append(NewEvent(event=Event.STAGE_CHANGED, data=data))

    def take_buffered(self) -> list[NewEvent]:
        """The events noted since the last group; the caller writes them first in its group."""
        taken, self._buffered = self._buffered, []
        return taken

    def note(self, *events: NewEvent) -> None:
        """Events that may wait for the next group (never intents or fills); many are written at once."""
        for new in events:
            self._buffered.append(new)
            if len(self._buffered) >= BUFFERED_MAX:
                self.flush()

    def flush(self) -> None:
        """Write what is buffered, if anything."""
        if self._buffered:
            self.journal.transact(lambda fold: self.take_buffered())

    def check_deadline(self) -> None:
        """Stop a tick that used up its time.

        Raises:
            DeadlinePassed: exit 124; the next tick goes on.
        """
        if clock.monotonic_s() > self.deadline_s:
            raise DeadlinePassed("the tick deadline passed", self.door, "see its log; the next tick goes on")


Body = Callable[[Run], Outcome]


def run_door(
    door: str,
    body: Body,
    *,
    as_json: bool = False,
    overrides: Mapping[tuple[str, str], env.Value] | None = None,
    any_mode: bool = False,
    deadline_s: float | None = None,
) -> int:
    """Run a door's body inside the frame; returns the exit code.

    Args:
        any_mode: the door's events go under the folder's own stamp (heartbeat, kill switch, breakers, clients).
    """
    started = clock.monotonic_s()
    run: Run | None = None
    try:
        tick_ms = clock.start_tick()
        home = find_home().ensure()
        settings = load(home, overrides)
        run = _open(door, home, settings, tick_ms, as_json, any_mode, deadline_s)
        outcome = body(run)
        run.flush()
    except WorldError as error:
        outcome = _world(run, door, error)
    except (InvariantError, AssertionError) as error:
        outcome = _bug(run, door, error)
    except Exception as error:  # noqa: BLE001 - the one broad except of a tick (style A.8.5): a bug we did not name
        outcome = _bug(run, door, error)
    duration_ms = int((clock.monotonic_s() - started) * 1000)
    if run is not None:
        _write_run(run, outcome, duration_ms)
    _finish(run, door, outcome, as_json)
    return outcome.exit_code


def _open(
    door: str, home: Home, settings: Settings, tick_ms: int, as_json: bool, any_mode: bool, deadline_s: float | None
) -> Run:
    instance = settings.instance
    ctx = Context(run_id="", cycle_id="", script=door, mode="" if any_mode else str(settings.mode), instance=instance)
    limits = settings.config.runtime
    numbers = settings.config.journal
    journal = Journal(
        home, ctx, reserve_bytes=numbers.reserve_bytes, retention_days=numbers.retention_days,
        event_bytes_max=numbers.event_bytes_max, group_events_max=numbers.group_events_max,
        unstamped_mode=str(settings.mode),
    )  # fmt: skip
    ordinal = _ordinal(journal, door, tick_ms)
    run_id = ids.run_id(instance, door, tick_ms, ordinal)
    journal.ctx = Context(run_id=run_id, cycle_id="c" + run_id[1:], script=door, mode=ctx.mode, instance=instance)
    log = RunLog(home, door, limits.log_bytes_max, limits.log_files_kept)
    until = clock.monotonic_s() + (limits.tick_deadline_s if deadline_s is None else deadline_s)
    return Run(door, home, settings, journal, log, tick_ms, run_id, ordinal, until, as_json)


def _ordinal(journal: Journal, door: str, tick_ms: int) -> int:
    """How many runs of this door this tick time has seen; 0 when the journal cannot tell (it will say so itself)."""
    with suppress(WorldError):
        last = journal.read_fold().portfolio.runs.get(door, [])
        if len(last) == 2 and last[0] == tick_ms:
            return last[1] + 1
    return 0


def _world(run: Run | None, door: str, error: WorldError) -> Outcome:
    line = error.line()
    if run is not None:
        run.log.error(line, code=type(error).__name__)
        if not isinstance(error, JournalUnwritable | ModeMismatch) and error.exit_code == exit_codes.FAIL:
            _try_alert(run, Reason.STATE_CORRUPT if "corrupt" in line else Reason.CHECK_ERROR, line)
    elif not isinstance(error, ConfigError):
        _log_bare(door, line)
    return Outcome(error.exit_code, line, {"error": line})


def _bug(run: Run | None, door: str, error: BaseException) -> Outcome:
    line = f"bug: {type(error).__name__}: {error}"
    trace = " | ".join("".join(traceback.format_exception(error)[-TRACEBACK_LINES_MAX:]).splitlines())
    if run is not None:
        run.log.error(f"{line} | {trace}", code="bug")
        _try_alert(run, Reason.BUG, line)
    else:
        _log_bare(door, f"{line} | {trace}")
    return Outcome(exit_codes.FAIL, line, {"error": line})


def _log_bare(door: str, line: str) -> None:
    with suppress(WorldError):
        RunLog(find_home().ensure(), door).error(line)


def _try_alert(run: Run, reason: Reason, text: str) -> None:
    """Journal an alert if the journal lets us; the log line stands either way. No path enters the journal."""
    text = text.replace(f"{run.home.root}/", "")
    with suppress(WorldError, InvariantError):
        run.journal.transact(lambda fold: [check.alert(reason, text, run.door)])


def alert_line(code: str, text: str) -> str:
    """The line an operator greps: code with its runbook name, text, and the one command that helps."""
    member = find(code)
    return f"{shown(code)}: {text}" + (f" -> {member.action}" if member is not None and member.action else "")


def _write_run(run: Run, outcome: Outcome, duration_ms: int) -> None:
    """`state/runs/<door>.json`: measured values live here, never in the journal."""

    def change(old: dict[str, Any] | None) -> dict[str, Any]:
        kept = old or {}
        busy = outcome.exit_code == exit_codes.BUSY
        fresh = {"lastBusyAtMs": run.tick_ms} if busy else {
            "lastRunAtMs": run.tick_ms, "lastDurationMs": duration_ms, "lastExitCode": outcome.exit_code,
            "lastVerdict": outcome.verdict, "lastRunId": run.run_id, **run.counts,
        }  # fmt: skip
        if outcome.exit_code in {exit_codes.OK, exit_codes.WARN}:
            fresh["lastSuccessAtMs"] = run.tick_ms
        return kept | fresh

    try:
        store.update(run.home, "runs", change, "runtime.tick", script=run.door)
    except WorldError:
        with suppress(WorldError):
            store.write(run.home, "runs", change(None), "runtime.tick", script=run.door)


def _finish(run: Run | None, door: str, outcome: Outcome, as_json: bool) -> None:
    if run is not None:
        run.log.info(outcome.verdict)
    if as_json:
        print(
            json.dumps({"door": door, "exit_code": outcome.exit_code, "verdict": outcome.verdict, **outcome.document})
        )
    elif run is None:
        print(outcome.verdict, file=sys.stderr)
    else:
        tell(outcome.verdict)
