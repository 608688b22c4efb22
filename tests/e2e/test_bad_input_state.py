"""Every registered state file spoilt in turn after a short PAPER session: its row's reading, never a looser one.

No door breaks or writes by halves, no entry leaves where the row says none, the journal verifies, heartbeat says which
file it is, and after healing (the one command named here, else simply the next ticks) the waiting entry is sent.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import badkit
from badkit import Rig
from desk.journal import projections
from desk.state import registry, store

How = Callable[[bytes], bytes | None]


def _unlike(value: Any) -> Any:
    """A value of another type."""
    if isinstance(value, dict):
        return [1]
    if isinstance(value, list):
        return {"a": 1}
    return "perhaps" if isinstance(value, bool | int | float) else 5


def _inside(change: Callable[[Any], Any]) -> How:
    """The same names with other values."""

    def how(raw: bytes) -> bytes:
        doc = json.loads(raw or b"{}")
        return json.dumps({name: change(value) for name, value in doc.items()} or {"state": 5}).encode()

    return how


def _deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _deep(item) for name, item in value.items()}
    return [_deep(item) for item in value] if isinstance(value, list) else _unlike(value)


UNREADABLE: dict[str, How] = {  # no JSON object: corrupt, which is never the same as missing
    "empty": lambda raw: b"",
    "half-written": lambda raw: raw[: len(raw.rstrip()) // 2] or b"{",
    "cut-short": lambda raw: raw.rstrip()[:-1] or b"{",
    "a-list": lambda raw: b"[1, 2]",
    "binary": lambda raw: bytes(range(256)),
    "deep": lambda raw: b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "not-a-number": lambda raw: b'{"a": NaN}',
    "surrogate": lambda raw: b'{"\\ud800": 1}',
}
READABLE: dict[str, How] = {  # a JSON object that is not what it should be
    "missing": lambda raw: None,
    "empty-object": lambda raw: b"{}",
    "wrong-types": _inside(_unlike),
    "nulls": _inside(lambda value: None),
    "wrong-types-deep": _inside(_deep),
}
HOWS = UNREADABLE | READABLE
QUICK = ("half-written", "a-list", "missing", "wrong-types", "wrong-types-deep")  # the rest is for `slow`


class Row(NamedTuple):
    """What a spoilt file means for entries, and what heals it.

    Attributes:
        closes: spoilt in these ways, it lets no entry out ("" = none of them, "all" = all).
        heal: the one command named for it; () = the next ticks alone.
        router: exit codes of a router that meets it.
    """

    closes: str = ""
    heal: tuple[str, ...] = ()
    router: frozenset[int] = frozenset({0, 1})


RELEASE = ("kill_switch", "release", *badkit.ACKNOWLEDGED)
RESET = ("breakers", "reset", "all", "--reason", "spoilt")
RESUME = ("resume", *badkit.ACKNOWLEDGED)
UNHOLD = ("arming", "baseline", "--clear", *badkit.ACKNOWLEDGED)
CLEAR = ("limits", "clear", "--reason", "spoilt")
REMOVE = ("rm",)  # no door: on paper nothing needs the file, its row says to take it away
START_ANEW = ("mode", "switch", "PAPER", "--discard", "--reason", "spoilt")
ROWS: dict[str, Row] = {
    "circuit_breakers": Row("all", RESET),
    "kill_switch": Row("unreadable empty-object wrong-types nulls wrong-types-deep", RELEASE),
    "pause": Row("unreadable empty-object wrong-types nulls wrong-types-deep", RESUME),
    "safe_mode": Row("unreadable empty-object wrong-types nulls wrong-types-deep", UNHOLD),
    "live_ok": Row("", REMOVE),
    "limits_overlay": Row("unreadable wrong-types nulls wrong-types-deep", CLEAR),
    "paper_broker": Row("all", START_ANEW, router=frozenset({2})),
    "market_data": Row("", ("binance_client", "refresh")),
    **dict.fromkeys(("user_data", "streams", "stream_control"), Row("", REMOVE)),  # no service runs that writes them
    "system_status": Row("all"),
    "reconcile": Row("all"),
}


def _cases(names: tuple[str, ...]) -> list[Any]:
    """Every registered file, families by one name each, spoilt in each of these ways."""
    found = []
    for row in registry.ROWS:
        file = row.file.format(venue="binance", source="rest", script="router")
        found += [pytest.param(row.key, file, how, id=f"{file}-{how}") for how in names]
    return found


@pytest.fixture
def rig(played_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0.001)  # corrupt is three reads; here they need not lie apart
    with badkit.spoilable(played_home, tmp_path) as found:
        yield found


def _is_closed(row: Row, how: str) -> bool:
    words = row.closes.split()
    return "all" in words or how in words or ("unreadable" in words and how in UNREADABLE)


def _check(rig: Rig, key: str, file: str, how: str) -> None:
    row, before = ROWS.get(key, Row()), rig.entries()
    badkit.spoil(rig.state(file), HOWS[how])
    rig.minute()
    badkit.assert_clear(rig.door("policy_engine", "tick"), {0, 1})
    badkit.assert_clear(rig.door("router", "--json"), set(row.router))
    closed = _is_closed(row, how)
    assert rig.entries() == before + (not closed), "looser or stricter than its row"
    for door in ("heartbeat", "reconcile"):
        badkit.assert_clear(rig.door(door), {0, 1, 2})
    badkit.assert_sound(rig, Path(file).name)
    if row.heal == REMOVE:
        rig.state(file).unlink(missing_ok=True)
    elif row.heal and (closed or not row.closes):
        badkit.assert_clear(rig.door(*row.heal), {0})
    _heals(rig, before, anew=closed and row.heal == START_ANEW)


def _heals(rig: Rig, before: int, *, anew: bool = False) -> None:
    """After at most three good minutes (two to leave DEGRADE) the waiting entry has gone out."""
    before = 0 if anew else before  # a fresh set knows nothing of the session's entry
    told = rig.tick()
    for _ in range(2):
        if any(said.code for said in told.values()):
            told = rig.tick()
    assert {door: said.code for door, said in told.items()} == dict.fromkeys(told, 0), told
    assert rig.entries() == before + 1
    badkit.assert_sound(rig)


@pytest.mark.parametrize(("key", "file", "how"), _cases(QUICK))
def test_a_spoilt_state_file(rig: Rig, key: str, file: str, how: str) -> None:
    _check(rig, key, file, how)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "file", "how"), _cases(tuple(how for how in HOWS if how not in QUICK)))
def test_a_state_file_spoilt_in_every_other_way(rig: Rig, key: str, file: str, how: str) -> None:
    _check(rig, key, file, how)


@pytest.mark.parametrize(("key", "file", "how"), _cases(("half-written",)))
def test_heartbeat_names_the_unreadable_file_and_alerts(rig: Rig, key: str, file: str, how: str) -> None:
    """Heartbeat first: what it rewrites by itself (its own files) is named the once; what stays, alerts."""
    path = rig.state(file)
    badkit.spoil(path, HOWS[how])
    said = rig.door("heartbeat")
    badkit.assert_clear(said, {0, 1, 2})
    assert file in said.text or path.name in said.text, said
    kept = list((rig.home / "state" / "quarantine").glob(f"{path.name}.*"))
    assert kept, "a copy of the corrupt bytes is kept"
    rig.minute()
    second = rig.door("heartbeat")
    if path.read_bytes() == kept[0].read_bytes():
        told = [json.dumps(event["data"]) for event in rig.events("ALERT_RAISED", "PAUSE_RAISED")]
        assert any(path.stem in data or "state:paper_lost" in data for data in told), (second, told)


@pytest.mark.parametrize(("key", "file", "how"), _cases(("folder",)))
def test_a_folder_in_its_place(rig: Rig, key: str, file: str, how: str) -> None:
    """It cannot be read nor written over: named, no entry where the row says none, and healed by taking it away."""
    row, before, path = ROWS.get(key, Row()), rig.entries(), rig.state(file)
    path.unlink(missing_ok=True)
    path.mkdir()
    rig.minute()
    said = rig.door("router")
    badkit.assert_clear(said, {0, 1, 2})
    if said.code == 2:
        assert path.name in said.last, said
    assert _is_closed(row, "empty") <= (rig.entries() == before)
    for door in ("heartbeat", "reconcile"):
        badkit.assert_clear(rig.door(door), {0, 1, 2})
    badkit.assert_sound(rig, path.name)
    path.rmdir()
    if row.heal and row.heal != REMOVE:
        badkit.assert_clear(rig.door(*row.heal), {0})
    _heals(rig, before, anew=row.heal == START_ANEW)


@pytest.mark.parametrize("how", ["a-list", "missing", "half-written", "wrong-types"])
def test_all_projections_gone_are_rebuilt_byte_for_byte(rig: Rig, how: str) -> None:
    assert rig.door("audit", "rebuild").code == 0
    names = [f"{name}.json" for name, _ in projections.PARTS]
    wanted = {name: rig.state(name).read_bytes() for name in names}
    for name in names:
        badkit.spoil(rig.state(name), HOWS[how])
    badkit.assert_clear(rig.door("audit", "rebuild", "--json"), {0})
    assert {name: rig.state(name).read_bytes() for name in names} == wanted


def test_the_whole_state_folder_gone(rig: Rig) -> None:
    """Nothing but the journal and the config: PAUSE for the lost paper books, and no entry."""
    before = rig.entries()
    shutil.rmtree(rig.home / "state")
    told = rig.tick()
    for said in told.values():
        badkit.assert_clear(said, {0, 1, 2})
    assert "paper_broker.json" in told["router"].last
    assert rig.entries() == before
    assert "state:paper_lost" in rig.events("PAUSE_RAISED")[-1]["data"]["reasons"]
    badkit.assert_sound(rig)


@pytest.mark.parametrize("door", ["router", "reconcile", "heartbeat", "policy_engine"])
def test_as_real_processes_with_every_file_half_written(rig: Rig, door: str) -> None:
    for path in [*rig.home.glob("state/*.json"), *rig.home.glob("state/runs/*.json")]:
        badkit.spoil(path, HOWS["half-written"])
    before = rig.entries()
    arguments = ("tick", "--json") if door == "policy_engine" else ("--json",)
    badkit.assert_clear(rig.spawn(door, *arguments), {1, 2})
    assert rig.entries() == before
