"""The tighten-only overlay: `limits_overlay.json`, and the limits that count. Writes that file and LIMITS_SET.

The strictest of three wins: the section of sanad.toml, the profile, the overlay. An overlay entry expires, multiplies
`size_frac` or lowers a cap, and can never raise one: a raising entry (by hand) is ignored and named. A corrupt overlay
means no entries. Tightening writes file first, then journal; clearing writes journal first, then file.

The file: `{"size_frac": {"value": "0.5", "until": ISO, "reason": TEXT, "by": WHO}, ...}`. By hand a bare value will do
(`{"size_frac": "0.5", "until": ISO}`); without `until` it holds until it is cleared.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from desk.base import clock, money
from desk.base.errors import BadInput, StateCorrupt, StateError, WorldError
from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.config.load import Settings
from desk.config.schema import Config, Profile
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.journal import Journal
from desk.risk import control_edited
from desk.risk.limits_entries import (
    CAPS,
    CORRUPT,
    SIZE,
    Entry,
    Number,
    Problem,
    body_of,
    cap_of,
    number_of,
    parse,
    standing,
)
from desk.state import store
from desk.state.store import Doc

KEY: Final = "limits_overlay"
WRITER: Final = "risk.limits"
# profile key -> (section, 0 means "off"); the key has the same name there
PROFILE_KEYS: Final[Mapping[str, tuple[str, bool]]] = {
    "recv_window_ms": ("clock", False),
    "order_ttl_s": ("entries", False),
    "daily_loss_quote": ("capital", True),
    "max_orders_per_cycle": ("entries", False),
    "notional_cap_per_cycle_quote": ("entries", False),
    "max_notional_per_order_quote": ("entries", False),
}


def read(home: Home) -> Doc | None:
    """The overlay as a dict, None when there is none; what cannot be read comes back as a marked dict, not as none."""
    try:
        return store.read(home, KEY)
    except StateError as error:
        return {CORRUPT: error.line()}


def effective_limits(settings: Settings, overlay: Doc | None, now_ms: int) -> tuple[Config, tuple[Problem, ...]]:
    """The limits that count: the strictest of section, profile and overlay. Gates and sizing use these."""
    return apply(with_profile(settings.config, settings.profile), overlay, now_ms)


def with_profile(config: Config, profile: Profile) -> Config:
    """The sections, tightened by a profile."""
    for key, (section, zero_is_off) in PROFILE_KEYS.items():
        value = getattr(profile, key)
        if value is not None and _is_stricter(value, getattr(getattr(config, section), key), zero_is_off):
            config = _put(config, section, key, value)
    return config


def apply(config: Config, overlay: Doc | None, now_ms: int) -> tuple[Config, tuple[Problem, ...]]:
    """`config` tightened by the overlay's entries that have not expired. Pure.

    A blocking problem also sets the size and the orders per cycle to zero, so that nobody can overlook it.
    """
    entries, problems = parse(overlay)
    if problems:
        closed = _put(_put(config, "exposure", SIZE, money.ZERO), "entries", "max_orders_per_cycle", 0)
        return closed, problems
    ignored = []
    for entry in entries:
        if entry.until_ms and entry.until_ms <= now_ms:
            continue
        if not _may_tighten(config, entry):
            detail = f"{entry.cap} = {entry.value} is above {standing(config, entry.cap)}: ignored"
            ignored.append(Problem(str(Reason.CONTROL_EDITED), detail, blocks=False))
            continue
        config = _tightened(config, entry)
    return config, tuple(ignored)


def tightening(
    settings: Settings, overlay: Doc | None, wanted: Mapping[str, str], until_ms: int, reason: str, by: str
) -> tuple[Entry, ...]:
    """The entries an operator asks for, checked against what counts now.

    Raises:
        BadInput: no number, above what counts now, or ending before the entry it would replace.
    """
    now_ms = clock.now_ms()
    base = with_profile(settings.config, settings.profile)
    found, problems = parse(overlay)
    if problems:
        raise BadInput(problems[0].detail, "", "limits.py clear --reason TEXT, then set again")
    old = {entry.cap: entry for entry in found if not entry.until_ms or entry.until_ms > now_ms}
    entries = []
    for text, value in wanted.items():
        cap = cap_of(text)
        try:
            entry = Entry(cap, number_of(cap, value), until_ms, reason, by)
        except ValueError as error:
            hint = "write a number; fractions are 0 to 1, never percent"
            raise BadInput(str(error), f"{cap}={value}", hint) from None
        _check_tighter(base, entry, old.get(cap))
        entries.append(entry)
    return tuple(entries)


def set_entries(home: Home, journal: Journal, entries: tuple[Entry, ...], reason: str, by: str) -> tuple[str, ...]:
    """Write entries: file first, then LIMITS_SET. A journal that cannot be written is a problem, not a refusal.

    Returns:
        Problems, one clause each; () when both were written.

    Raises:
        StateCorrupt: the overlay is corrupt: clear it first.
        StateError: the file cannot be written.
    """
    limits = {entry.cap: body_of(entry) for entry in entries}
    before: list[Doc | None] = [None]

    def change(doc: Doc | None) -> Doc:
        before[0] = doc
        return (doc or {}) | limits

    store.update(home, KEY, change, WRITER)
    try:
        journal.transact(
            lambda fold: [*control_edited.events_of(fold, KEY, before[0]), _limits_set(limits, reason, by)]
        )
    except WorldError as error:
        return (error.line(),)
    return ()


def clear(home: Home, journal: Journal, reason: str, by: str) -> bool:
    """Remove every entry: LIMITS_SET first, then the file. True when there was something to remove.

    Raises:
        JournalError, StateError: nothing was loosened.
    """
    try:
        if not any(parse(store.read(home, KEY))):
            return False
        store.update(home, KEY, lambda doc: _cleared(journal, doc, reason, by), WRITER)
    except StateCorrupt:
        store.write(home, KEY, _cleared(journal, None, reason, by), WRITER)
    return True


def note_edit(home: Home, journal: Journal) -> None:
    """CONTROL_EDITED for an overlay written by hand; its content stays as it is.

    Raises:
        StateError, JournalError: it cannot be read, or the event not written.
    """
    found = store.read(home, KEY)
    if found is None or not store.was_edited(found):
        return

    def change(doc: Doc | None) -> Doc | None:
        journal.transact(lambda fold: control_edited.events_of(fold, KEY, doc))
        return doc

    store.update(home, KEY, change, WRITER)


def _cleared(journal: Journal, doc: Doc | None, reason: str, by: str) -> Doc:
    journal.transact(lambda fold: [*control_edited.events_of(fold, KEY, doc), _limits_set({}, reason, by)])
    return {key: item for key, item in (doc or {}).items() if key.startswith("_")}


def _limits_set(limits: dict[str, Any], reason: str, by: str) -> NewEvent:
    return NewEvent(event=Event.LIMITS_SET, data={"limits": limits, "reason": reason, "by": by})


def _check_tighter(base: Config, entry: Entry, old: Entry | None) -> None:
    """`entry` neither raises what counts nor ends before what it replaces; raises BadInput."""
    where, limit = f"{entry.cap}={entry.value}", old.value if old is not None else standing(base, entry.cap)
    if not _may_tighten(base, entry) or (old is not None and entry.value > old.value):
        raise BadInput(f"would raise {entry.cap} above {limit}", where, "the overlay only tightens; or clear it first")
    if old is not None and (not old.until_ms or entry.until_ms < old.until_ms):
        end = clock.iso(old.until_ms) if old.until_ms else "never"
        raise BadInput(f"would end before the entry it replaces ({end})", where, "use a longer --for, or clear first")


def _may_tighten(config: Config, entry: Entry) -> bool:
    """`size_frac` multiplies, so any fraction tightens; every other cap must not be above what stands."""
    if entry.cap == SIZE:
        return 0 <= entry.value <= 1
    now = standing(config, entry.cap)
    return entry.value == now or _is_stricter(entry.value, now, CAPS[entry.cap][1])


def _tightened(config: Config, entry: Entry) -> Config:
    if entry.cap == SIZE:
        return _put(config, "exposure", SIZE, config.exposure.size_frac * entry.value)
    config = _put(config, CAPS[entry.cap][0], entry.cap, entry.value)
    stop = min(config.capital.drawdown_no_entries_frac, config.capital.drawdown_kill_frac)
    return _put(config, "capital", "drawdown_no_entries_frac", stop)


def _is_stricter(value: Number, now: Number, zero_is_off: bool) -> bool:
    if zero_is_off and (not value or not now):
        return bool(value)
    return value < now


def _put(config: Config, section: str, key: str, value: Number) -> Config:
    body = msgspec.structs.replace(getattr(config, section), **{key: value})
    return msgspec.structs.replace(config, **{section: body})
