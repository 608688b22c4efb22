"""The door frame without a configuration: for what must work at 3 a.m. whatever is broken. Owns that frame only.

Shipped defaults, the folder's stamp, else LIVE (the strict reading). Used by `kill_switch.py engage` and `status`.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping

from desk.base import clock, ids
from desk.base.errors import ClockUnavailable, ConfigError, WorldError
from desk.base.paths import Home, find_home
from desk.config.load import Settings, load, read_environment
from desk.config.mode import Mode, VenueEnv, read_switches, read_venue_env
from desk.config.schema import Config
from desk.journal.chain import Context
from desk.journal.journal import Journal, stamp
from desk.runtime.run_log import RunLog
from desk.runtime.tick import Outcome, Run, run_door


def run_anyway(door: str, body: Callable[[Run], Outcome], *, as_json: bool) -> int:
    """Run a door in its frame, under the folder's stamp; with a configuration or clock of no use, in the bare one."""
    try:
        load(find_home())
        clock.start_tick()
    except (ConfigError, ClockUnavailable) as error:
        return _run_bare(door, body, as_json, error)
    return run_door(door, body, as_json=as_json, any_mode=is_stamped())


def is_stamped() -> bool:
    """An unstamped folder takes SYSTEM_MODE's stamp; a stamped (or unreadable) one is written under its own."""
    try:
        return bool(stamp(find_home()))
    except WorldError:
        return True


def _run_bare(door: str, body: Callable[[Run], Outcome], as_json: bool, why: WorldError) -> int:
    try:
        tick_ms = clock.start_tick_anyway()
        home = find_home().ensure()
        settings = _default_settings(home)
        run_id = ids.run_id(settings.instance, door, tick_ms, 0)
        ctx = Context(run_id=run_id, cycle_id="c" + run_id[1:], script=door, mode="", instance=settings.instance)
        until = clock.monotonic_s() + settings.config.runtime.tick_deadline_s
        run = Run(door, home, settings, Journal(home, ctx), RunLog(home, door), tick_ms, run_id, 0, until, as_json)
        run.warn("WARN", f"going on without configuration: {why.line()}")
        outcome = body(run)
        run.log.info(outcome.verdict)
    except WorldError as error:
        outcome = Outcome(error.exit_code, error.line(), {"error": error.line()})
    document = {"door": door, "exit_code": outcome.exit_code, "verdict": outcome.verdict, **outcome.document}
    sys.stdout.write((json.dumps(document) if as_json else outcome.verdict) + "\n")
    return outcome.exit_code


def _default_settings(home: Home) -> Settings:
    try:
        environment = read_environment(home)
        mode = Mode(stamp(home) or Mode.LIVE)
        switches = read_switches(environment, mode)
    except WorldError:
        environment, mode = dict(os.environ), Mode.LIVE
        switches = read_switches({}, mode)
    return Settings(home, mode, _venue_env(environment), switches, Config(), environment, {})


def _venue_env(environment: Mapping[str, str]) -> VenueEnv:
    """Where cancels go: what VENUE_ENV says, so that a test account's orders are not looked for on mainnet."""
    try:
        return read_venue_env(environment)
    except ConfigError:
        return VenueEnv.MAINNET
