"""Bad packets, signals and command lines: exit 2 and one line; under --json one document and a silent stderr."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import badkit
from badkit import PACKET, Rig
from desk.base import clock
from desk.state import store

TEN_MEGABYTES = 10_000_000
LONG = "x" * 100_000


@pytest.fixture
def rig(played_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(store, "READ_TRY_GAP_S", 0.001)
    with badkit.spoilable(played_home, tmp_path) as found:
        yield found


# field values no decision may have: in a packet they end in exit 2, in a signal in signals/rejected/
FIELDS: dict[str, dict[str, Any]] = {
    "venue-unknown": {"venue": "kraken"},
    "venue-number": {"venue": 5},
    "venue-empty": {"venue": ""},
    "symbol-null": {"symbol": None},
    "symbol-path": {"symbol": "../../etc/passwd"},
    "symbol-foreign": {"symbol": "\u0411\u0422\u0426"},
    "symbol-newline": {"symbol": "BTCUSDT\nX"},
    "symbol-long": {"symbol": "B" * 10_000},
    "side-word": {"side": "HOLD"},
    "side-lower": {"side": "buy"},
    "side-list": {"side": ["BUY"]},
    "short": {"side": "SELL"},
    "kind-word": {"kind": "MAYBE"},
    "notional-float": {"notional_quote": 0.1},
    "notional-bool": {"notional_quote": True},
    "notional-nan": {"notional_quote": "NaN"},
    "notional-signalling": {"notional_quote": "sNaN"},
    "notional-infinite": {"notional_quote": "Infinity"},
    "notional-negative": {"notional_quote": "-5"},
    "notional-zero": {"notional_quote": "0"},
    "notional-huge": {"notional_quote": "9" * 400},
    "notional-scientific": {"notional_quote": "1e400"},
    "notional-tiny": {"notional_quote": "1e-400"},
    "notional-words": {"notional_quote": "a hundred"},
    "notional-comma": {"notional_quote": "1,000"},
    "notional-underscore": {"notional_quote": "1_000"},
    "notional-digits-of-another-script": {"notional_quote": "\u0661\u0660\u0660"},
    "notional-object": {"notional_quote": {"amount": "5"}},
    "both-sizes": {"quantity": "1"},
    "no-size": {"notional_quote": None},
    "edge-words": {"edge_bps": "much"},
    "edge-nan": {"edge_bps": "NaN"},
    "edge-huge": {"edge_bps": "1e999"},
    "stop-above-target": {"stop_price": "3", "target_price": "2"},
    "stop-negative": {"stop_price": "-3"},
    "stop-list": {"stop_price": [1]},
    "target-nan": {"target_price": "NaN"},
    "created-words": {"created_at": "yesterday"},
    "created-no-zone": {"created_at": "2026-01-05T00:00:00"},
    "created-number": {"created_at": 5},
    "created-year-9999": {"created_at": "9999-12-31T23:59:59+00:00"},
    "unknown-name": {"colour": "red"},
    "surrogate": {"venue": "\ud800"},
}
TEXTS: dict[str, bytes] = {  # whole files that are no packet and no signal
    "nothing": b"",
    "null": b"null",
    "a-number": b"5",
    "a-word": b'"BUY"',
    "a-list": b"[]",
    "an-object": b"{}",
    "open": b"{",
    "two": b"{} {}",
    "not-json": b"BUY BTCUSDT 100",
    "binary": bytes(range(256)),
    "utf-16": '{"decision": {}}'.encode("utf-16"),
    "not-a-number": b'{"decision": NaN}',
    "deep": b'{"decision": ' * 50_000 + b"1" + b"}" * 50_000,
    "big": b'{"decision": "' + b"x" * TEN_MEGABYTES + b'"}',
    "names-twice": b'{"decision": 1, "decision": 2}',
}
IN_A_PACKET: dict[str, set[int]] = {  # what `check` makes of these: a denial (nothing is known of it), or no fault
    "venue-unknown": {1}, "venue-empty": {1}, "symbol-path": {1}, "symbol-foreign": {1}, "symbol-newline": {1},
    "symbol-long": {1, 2}, "created-year-9999": {0},
}  # fmt: skip


def packet(rig: Rig, raw: bytes) -> str:
    path = rig.home / "packet.json"
    path.write_bytes(raw)
    return str(path)


@pytest.mark.parametrize("name", FIELDS)
def test_a_packet_with_a_bad_field(rig: Rig, name: str) -> None:
    path = packet(rig, json.dumps({"decision": PACKET | FIELDS[name]}).encode())
    _assert_refused(rig, path, IN_A_PACKET.get(name, {2}))


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_that_is_no_packet(rig: Rig, name: str) -> None:
    _assert_refused(rig, packet(rig, TEXTS[name]))


@pytest.mark.parametrize(
    "spoil",
    [lambda path: path.mkdir(), lambda path: path.symlink_to(path), lambda path: None],
    ids=["folder", "loop", "missing"],
)
def test_a_packet_that_is_no_file(rig: Rig, spoil: Callable[[Path], None]) -> None:
    path = rig.home / "packet.json"
    spoil(path)
    _assert_refused(rig, str(path))


def _assert_refused(rig: Rig, path: str, codes: set[int] = frozenset({2})) -> None:  # type: ignore[assignment]
    said = rig.door("policy_engine", "check", path)
    named = ["packet.json"] if said.code == 2 else []
    badkit.assert_clear(said, codes, *named)
    assert len(said.last) < 600, "one line one can read"
    badkit.assert_clear(rig.door("policy_engine", "check", path, "--json"), codes, *named)
    if named:
        assert any("packet.json" in event["data"]["text"] for event in rig.events("ALERT_RAISED"))
    badkit.assert_sound(rig)


def test_bad_signals_are_rejected_each_with_its_reason_and_the_good_one_goes_out(rig: Rig) -> None:
    before, inbox = rig.entries(), rig.home / "signals"
    now_ms = json.loads(rig.state("reconcile.json").read_text())["last_run_ms"]
    head = {"source": "test", "created_at": clock.iso(now_ms), "expires_at": clock.iso(now_ms + 3_600_000)}
    for name, fields in FIELDS.items():
        (inbox / f"f-{name}.json").write_text(json.dumps(PACKET | head | {"id": name} | fields))
    for name, raw in TEXTS.items():
        (inbox / f"t-{name}.json").write_bytes(raw)
    names = {path.name for path in inbox.glob("[ft]-*.json")}
    for _ in range(4):
        rig.minute()
        badkit.assert_clear(rig.door("router"), {0, 1})
        rig.door("heartbeat")
    assert {path.name for path in inbox.glob("[ft]-*.json")} == set()
    rejected = {path.name for path in (inbox / "rejected").iterdir()}
    assert names <= rejected
    told = {event["data"]["name"]: event["data"] for event in rig.events("SIGNAL_REJECTED")}
    assert set(told) >= names
    assert all(data["code"] and data["detail"] for data in told.values())
    assert all(len(data["detail"]) < 600 for data in told.values())
    assert rig.entries() == before + 1, "the good signal is the only one sent"
    badkit.assert_sound(rig)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(), lambda path: path.symlink_to("/nowhere"), lambda path: path.symlink_to(path),
        os.mkfifo, lambda path: path.with_name("\udcff.json").write_text("{}"),
        lambda path: path.with_name("a b\nc.json").touch(),
    ],
    ids=["folder", "dangling", "loop", "pipe", "odd-name", "newline-name"],
)  # fmt: skip
def test_things_in_the_inbox_that_are_no_signals(rig: Rig, make: Callable[[Path], object]) -> None:
    before = rig.entries()
    make(rig.home / "signals" / "thing.json")
    for _ in range(2):
        told = rig.tick()
    for said in told.values():
        badkit.assert_clear(said, {0, 1})
    assert rig.entries() == before + 1
    badkit.assert_sound(rig)


def test_an_inbox_that_is_a_file(rig: Rig) -> None:
    shutil.rmtree(rig.home / "signals")
    (rig.home / "signals").write_text("no folder")
    said = rig.door("router")
    badkit.assert_clear(said, {2}, "signals")


LINES: tuple[tuple[str, ...], ...] = (
    ("router", "--nonsense"),
    ("router", "--once", "--loop"),
    ("router", "--max-cycles", "0"),
    ("router", "--max-cycles", "-1"),
    ("router", "--max-cycles", "1e3"),
    ("router", "--cycle-seconds", "\u0663"),
    ("router", "--max-cycles"),
    ("router", "extra"),
    ("heartbeat", "--nonsense"),
    ("heartbeat", "extra"),
    ("reconcile", "--repair", "adopt"),
    ("reconcile", "--repair", "melt", "x"),
    ("reconcile", "--repair", "adopt", "x"),
    ("reconcile", "--repair", "adopt", "no-such-intent", *badkit.ACKNOWLEDGED),
    ("policy_engine",),
    ("policy_engine", "guess"),
    ("policy_engine", "check"),
    ("policy_engine", "explain", "nonsense"),
    *((client, *rest) for client in badkit.CLIENTS for rest in ((), ("buy",), ("book", "--symbol"), ("time", "x"))),
    ("binance_client", "book", "--symbol", "../x"),
    ("binance_client", "explain-error"),
    ("binance_client", "explain-error", "--status", "abc", "--body", ""),
    ("binance_client", "explain-error", "--status", "99", "--body", "{}"),
    ("binance_client", "explain-error", "--status", "10000000000000", "--body", "{}"),
    ("mexc_client", "explain-error", "--status", "200", "--body", "{}", "--headers", "[1]"),
    ("mexc_client", "explain-error", "--status", "200", "--body", "{}", "--headers", "{"),
    ("breakers",),
    ("breakers", "reset"),
    ("breakers", "reset", "nothing", "--reason", "x"),
    ("breakers", "reset", "all"),
    ("breakers", "reset", "all", "--reason", " "),
    ("kill_switch",),
    ("kill_switch", "engage"),
    ("kill_switch", "engage", "--reason", " "),
    ("kill_switch", "engage", "--reason", "x", "--level", "half"),
    ("kill_switch", "release", "--reason", "x"),
    ("kill_switch", "release", "--reason", "x", "--ack", "yes"),
    ("kill_switch", "release", *badkit.ACKNOWLEDGED, "--size-frac", "0.5"),
    ("pause",),
    ("pause", "--reason", ""),
    ("resume", "--reason", "x"),
    ("resume", "--reason", "x", "--ack", "i_understand"),
    ("limits",),
    ("limits", "set", "--for", "1h", "--reason", "x"),
    ("limits", "set", "size_frac", "--for", "5h", "--reason", "x"),
    ("limits", "set", "size_frac=2", "--for", "5h", "--reason", "x"),
    ("limits", "set", "size_frac=-1", "--for", "5h", "--reason", "x"),
    ("limits", "set", "size_frac=NaN", "--for", "5h", "--reason", "x"),
    ("limits", "set", "size_frac=1e-400", "--for", "5h", "--reason", "x"),
    ("limits", "set", "size_frac=\u0660.\u0665x", "--for", "5h", "--reason", "x"),
    ("limits", "set", "colour=5", "--for", "5h", "--reason", "x"),
    ("limits", "set", "size_frac=0.5", "size_frac=0.4", "--for", "5h", "--reason", "x"),
    ("limits", "set", "size_frac=0.5", "--for", "soon", "--reason", "x"),
    ("limits", "set", "size_frac=0.5", "--for", "99999999d", "--reason", "x"),
    ("mode",),
    ("mode", "switch", "TEST", "--reason", "x"),
    ("mode", "switch", "LIVE"),
    ("mode", "switch", "LIVE", "--reason", " "),
    ("mode", "switch", "PAPER", "--reason", "x"),
    ("audit",),
    ("audit", "guess"),
    ("audit", "verify", "--anchor", "x"),
    ("audit", "verify", "--anchor", "99999999999999999999:abc"),
    ("audit", "tail", "-n", "-5"),
    ("audit", "tail", "-n", "\u0663x"),
    ("audit", "tail", "--event", "NO_SUCH_EVENT"),
    ("audit", "tail", "--reason", "no:such"),
    ("audit", "tail", "--since", "yesterday"),
    ("audit", "explain", ""),
    ("audit", "explain", "no-such-identifier-at-all"),
    ("audit", "note", " "),
    ("audit", "note", LONG),
    ("audit", "export", "--format", "xml"),
    ("audit", "export", "--out", "/nowhere/at/all.csv"),
    ("audit", "reseal", "--reason", "x"),
    ("audit", "reseal", "--reason", " ", "--ack", "I_UNDERSTAND"),
)


def _name(line: tuple[str, ...]) -> str:
    return " ".join(word[:30] or "''" for word in line)


@pytest.mark.parametrize("line", LINES, ids=_name)
def test_a_bad_command_line(rig: Rig, line: tuple[str, ...]) -> None:
    before = badkit.tree(rig.home / "state", ".json")
    door, *arguments = line
    said = rig.door(door, *arguments)
    badkit.assert_clear(said, {2})
    assert len(said.last) < 600, said
    badkit.assert_clear(rig.door(door, *arguments, "--json"), {2})
    assert badkit.tree(rig.home / "state", ".json") == before
    badkit.assert_sound(rig)


@pytest.mark.parametrize("line", LINES[:: len(LINES) // 12], ids=_name)
def test_a_bad_command_line_as_a_real_process(rig: Rig, line: tuple[str, ...]) -> None:
    door, *arguments = line
    said = rig.spawn(door, *arguments, "--json")
    badkit.assert_clear(said, {2})
    assert len(said.out.splitlines()) == 1


ODD = ("\udcff", "\u043a\u043b\u044e\u0447 \U0001f525", "a\nb\tc", LONG, "'; DROP TABLE x; --", "%s %n {0}", "\0x"[1:])


@pytest.mark.parametrize("word", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize(
    "line",
    [
        ("kill_switch", "engage", "--reason"), ("pause", "--reason"), ("breakers", "reset", "all", "--reason"),
        ("limits", "clear", "--reason"), ("mode", "switch", "PAPER", "--discard", "--reason"),
        ("resume", "--ack", "I_UNDERSTAND", "--reason"),
        ("orders", "flatten", "--yes", "--reason"),
        ("kill_switch", "release", "--ack", "I_UNDERSTAND", "--reason"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_odd_reason_is_taken_as_it_is(rig: Rig, line: tuple[str, ...], word: str) -> None:
    """Whatever an operator types at 3 a.m., the act is done, journalled on one line, and the file stays JSON."""
    door, *arguments = line
    badkit.assert_clear(rig.door(door, *arguments, word, "--json"), {0})
    badkit.assert_clear(rig.door(door, *arguments, word), {0, 1})
    badkit.assert_sound(rig)


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONUTF8": "0"}], ids=str)
def test_the_lines_are_the_same_in_every_locale(rig: Rig, locale: dict[str, str]) -> None:
    """What the runbooks grep for has a dash no old code page knows."""
    said = rig.spawn("heartbeat", **locale)
    badkit.assert_clear(said, {0}, "HEARTBEAT END — Overall: OK")
    badkit.assert_clear(rig.spawn("audit", "explain", "\udcff\udcfe-no-such-id", **locale), {2})


def test_an_odd_reason_in_a_real_process(rig: Rig) -> None:
    badkit.assert_clear(rig.spawn("kill_switch", "engage", "--reason", "\udcff\udcfe", "--json"), {0}, "ENGAGED")


LAB: tuple[tuple[str, ...], ...] = (
    ("exchange_sim",),
    ("exchange_sim", "--venue", "kraken", "--symbol", "BTCUSDT"),
    ("exchange_sim", "--venue", "binance", "--symbol", "btc/usdt"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--port", "99999"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--port", "x"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--market", "/nowhere.csv.gz"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--start", "yesterday"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--scenario", "/nowhere.json"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--balance", "USDT"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--balance", "USDT=many"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--balance", "USDT=NaN"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--speed", "-1"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--speed", "nan"),
    ("exchange_sim", "--venue", "binance", "--symbol", "BTCUSDT", "--seed", "x"),
    ("demo", "--ticks", "0"),
    ("demo", "--ticks", "many"),
    ("demo", "--nonsense"),
    ("demo", "--home", "config"),
)


@pytest.mark.parametrize("line", LAB, ids=_name)
def test_a_bad_command_line_in_the_lab(rig: Rig, line: tuple[str, ...]) -> None:
    door, *arguments = line
    before = badkit.tree(rig.home)
    said = rig.spawn(door, *arguments)
    badkit.assert_clear(said, {2})
    assert badkit.tree(rig.home) == before, "a folder of somebody else is never touched"
