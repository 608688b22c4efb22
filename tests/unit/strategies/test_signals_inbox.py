"""The inbox: what is read, in which order, what is moved where, and what a crash or a race leaves behind."""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk.base import clock, money
from desk.base.errors import StateError
from desk.base.reasons import Reason
from desk.config.schema import Config
from desk.strategies import signal_files, signals
from desk.strategies.signal_rules import InboxLimits
from desk.strategies.signals import InboxItem

NOW_MS = clock.parse_iso("2026-03-01T12:00:00+00:00")
LIMITS = InboxLimits.of(Config())
FORK = multiprocessing.get_context("fork")
KILLED = 9


def _put(folder: Path, name: str, **changes: Any) -> Path:
    body = {
        "id": name.removesuffix(".json"), "source": "scanner", "venue": "binance", "symbol": "BTCUSDT", "side": "BUY",
        "kind": "ENTRY", "notional_quote": "50", "edge_bps": "60", "stop_price": None, "target_price": None,
        "created_at": "2026-03-01T11:59:00+00:00", "expires_at": "2026-03-01T13:00:00+00:00",
    } | changes  # fmt: skip
    temporary = folder / f".{name}.tmp"
    temporary.write_text(json.dumps(body))
    os.replace(temporary, folder / name)
    return folder / name


def _scan(folder: Path, **limits: Any) -> list[InboxItem]:
    return signals.scan(folder, NOW_MS, msgspec.structs.replace(LIMITS, **limits))


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_it_reads_regular_json_files_in_name_order_and_moves_nothing(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", "c.json"):
        _put(tmp_path, name)
    for ignored in ("notes.txt", ".d.json", "e.json.tmp"):
        shutil.copy(tmp_path / "a.json", tmp_path / ignored)
    for folder in ("done", "folder.json"):
        (tmp_path / folder).mkdir()
        _put(tmp_path / folder, "deep.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "a.json")
    (tmp_path / "nowhere.json").symlink_to(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe.json")
    before = _tree(tmp_path)
    items = _scan(tmp_path)
    assert [item.name for item in items] == ["a.json", "b.json", "c.json"]
    assert [item.decision.occasion[0] for item in items if item.decision] == ["a", "b", "c"]
    assert _tree(tmp_path) == before
    assert _scan(tmp_path) == items


def test_a_file_that_turns_into_a_link_or_a_pipe_after_listing_is_not_followed(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    (tmp_path / "link").symlink_to(tmp_path / "a.json")
    os.mkfifo(tmp_path / "pipe")
    assert signal_files.head(tmp_path / "link") is None
    assert signal_files.head(tmp_path / "pipe") is None
    assert signal_files.head(tmp_path / "gone") is None


def test_a_missing_inbox_is_empty_and_an_unlistable_one_is_one_clear_line(tmp_path: Path) -> None:
    assert _scan(tmp_path / "signals") == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match=r"file: cannot be listed \(Not a directory\); check its permissions"):
        _scan(tmp_path / "file")


def test_a_crowd_is_bounded_per_look_and_starves_no_one(tmp_path: Path) -> None:
    for number in range(30):
        _put(tmp_path, f"{number:02}.json")
    assert len(_scan(tmp_path, files_per_tick_max=30)) == 30
    seen: set[str] = set()
    for tick in range(60):
        limits = msgspec.structs.replace(LIMITS, files_per_tick_max=5)
        names = [item.name for item in signals.scan(tmp_path, NOW_MS + tick * 60_000, limits)]
        assert len(names) == 5
        assert names == sorted(names)
        seen.update(names)
    assert len(seen) == 30


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "signal:malformed"), (b'{"id": "a", "sou', "signal:malformed"), (b"\xff\xfe", "signal:malformed"),
        (b"[" * 60_000, "signal:malformed"), (b" " * 65_537, "signal:too_large"),
        (b" " * 3_000_000, "signal:too_large"),
    ],
    ids=["empty", "cut", "no text", "deep", "large", "huge"],
)  # fmt: skip
def test_a_bad_file_is_an_item_with_its_code(tmp_path: Path, raw: bytes, code: str) -> None:
    (tmp_path / "bad.json").write_bytes(raw)
    _put(tmp_path, "good.json")
    bad, good = _scan(tmp_path)
    assert (bad.decision, bad.code) == (None, code)
    assert bad.detail
    assert good.decision is not None
    assert signals.move_rejected(tmp_path, bad, bad.code, bad.detail)
    assert _tree(tmp_path) == {"good.json", "rejected/bad.json", "rejected/bad.reason.json"}
    assert (tmp_path / "rejected/bad.json").read_bytes() == raw


def test_the_same_signal_in_two_files_is_proposed_once(tmp_path: Path) -> None:
    _put(tmp_path, "a.json", id="same")
    _put(tmp_path, "b.json", id="same", edge_bps="99")
    first, second = _scan(tmp_path)
    assert first.decision is not None
    assert (second.decision, second.code) == (None, "signal:duplicate")


def _unreadable(folder: Path) -> None:
    if os.geteuid() == 0:
        os.seteuid(65_534)  # root reads everything
    (item,) = _scan(folder)
    assert item.code == "signal:unreadable"
    assert signals.move_rejected(folder, item, item.code, item.detail)


def test_an_unreadable_file_is_refused_and_moved() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o777)
        _put(folder, "a.json").chmod(0)
        assert _in_process(_unreadable, folder) == 0
        assert _tree(folder) == {"rejected/a.json", "rejected/a.reason.json"}
    finally:
        shutil.rmtree(folder)


def test_done_and_rejected_carry_their_reason_beside_them(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    _put(tmp_path, "b.json")
    first, second = _scan(tmp_path)
    assert signals.move_done(tmp_path, first, {"client_order_id": "abc", "filled": money.parse("1.50")})
    assert signals.move_rejected(tmp_path, second, "edge:too_low", "edge 60 bps")
    assert _tree(tmp_path) == {"done/a.json", "done/a.reason.json", "rejected/b.json", "rejected/b.reason.json"}
    done = json.loads((tmp_path / "done/a.reason.json").read_text())
    assert done == {
        "signal": "a.json", "digest": first.digest, "outcome": {"client_order_id": "abc", "filled": "1.50"},
    }  # fmt: skip
    rejected = json.loads((tmp_path / "rejected/b.reason.json").read_text())
    assert (rejected["code"], rejected["detail"]) == ("edge:too_low", "edge 60 bps")
    assert signals.move_done(tmp_path, first, {})  # again: the file stands where it belongs
    assert _scan(tmp_path) == []


def test_a_name_used_again_gets_the_contents_digest(tmp_path: Path) -> None:
    for edge in ("60", "61"):
        _put(tmp_path, "a.json", edge_bps=edge)
        (item,) = _scan(tmp_path)
        assert signals.move_done(tmp_path, item, {"edge": edge})
    suffixed = f"a.{item.digest}"
    assert _tree(tmp_path / "done") == {"a.json", "a.reason.json", f"{suffixed}.json", f"{suffixed}.reason.json"}
    for stem, edge in (("a", "60"), (suffixed, "61")):
        assert json.loads((tmp_path / f"done/{stem}.json").read_text())["edge_bps"] == edge
        assert json.loads((tmp_path / f"done/{stem}.reason.json").read_text())["outcome"]["edge"] == edge


@pytest.mark.parametrize("step", [1, -1], ids=["after it", "before it"])
def test_a_signal_named_like_a_reason_file_overwrites_none_and_is_overwritten_by_none(
    step: int, tmp_path: Path
) -> None:
    _put(tmp_path, "x.json")
    _put(tmp_path, "x.reason.json", id="other")
    for item in _scan(tmp_path)[::step]:
        assert signals.move_rejected(tmp_path, item, "signal:expired", item.name)
    names = _tree(tmp_path / "rejected")
    assert len(names) == 4
    assert {json.loads((tmp_path / "rejected" / name).read_text()).get("id", "") for name in names} == {
        "x",
        "other",
        "",
    }
    assert json.loads((tmp_path / "rejected/x.reason.json").read_text())["detail"] == "x.json"


@pytest.mark.parametrize("name", [b"a b\n.json", b"\xff\xfe.json", b"x" * 250 + b".json", "ä.json".encode()])
def test_odd_names_are_moved_under_a_plain_one(tmp_path: Path, name: bytes) -> None:
    _put(tmp_path, "plain.json")
    os.replace(tmp_path / "plain.json", tmp_path / os.fsdecode(name))
    (item,) = _scan(tmp_path)
    assert item.decision is not None
    item.decision.signal_file.encode()  # storable
    assert signals.move_done(tmp_path, item, {})
    stems = {path.removesuffix(".json") for path in _tree(tmp_path / "done")}
    assert {stem.removesuffix(".reason") for stem in stems} == {min(stems)}
    assert min(stems).endswith(item.digest)


def test_a_file_replaced_since_it_was_read_stays(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    (item,) = _scan(tmp_path)
    _put(tmp_path, "a.json", edge_bps="61")
    assert not signals.move_done(tmp_path, item, {})
    assert _tree(tmp_path) == {"a.json"}


def test_a_folder_in_the_way_is_one_clear_line_and_the_signal_stays(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    (tmp_path / "done").write_text("in the way")
    (item,) = _scan(tmp_path)
    with pytest.raises(StateError, match=r"a\.reason\.json: cannot be written \(.*\); free disk space or check"):
        signals.move_done(tmp_path, item, {})
    (tmp_path / "done").unlink()
    (tmp_path / "done" / "a.json").mkdir(parents=True)
    with pytest.raises(StateError, match=r"a\.json: cannot be moved \(.*\); check the folder's permissions"):
        signals.move_done(tmp_path, item, {})
    assert (tmp_path / "a.json").is_file()
    assert not [name for name in _tree(tmp_path) if name.endswith(".tmp")]


# -- crash and race


def _in_process(run: Callable[[Path], None], folder: Path) -> int | None:
    process = FORK.Process(target=run, args=(folder,))
    process.start()
    process.join(30)
    return process.exitcode


def _dying_at_replace(which: int) -> Callable[[Path], None]:
    """A process that settles the one signal and dies right before its nth rename."""

    def run(folder: Path) -> None:
        count, real = 0, os.replace

        def replace(source: Any, target: Any) -> None:
            nonlocal count
            count += 1
            if count == which:
                os._exit(KILLED)
            real(source, target)

        os.replace = replace  # type: ignore[assignment]
        (item,) = _scan(folder)
        signals.move_done(folder, item, {"order": "sent"})
        os._exit(0)

    return run


def test_death_before_the_reason_leaves_the_signal_to_be_looked_at_again(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    assert _in_process(_dying_at_replace(1), tmp_path) == KILLED
    items = _scan(tmp_path)
    assert [item.name for item in items] == ["a.json"]
    assert signals.finish_interrupted(tmp_path, items) == items
    assert signals.move_done(tmp_path, items[0], {"order": "sent"})
    assert {"done/a.json", "done/a.reason.json"} <= _tree(tmp_path)


def test_death_between_reason_and_move_is_finished_by_the_next_look(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    assert _in_process(_dying_at_replace(2), tmp_path) == KILLED
    assert _tree(tmp_path) == {"a.json", "done/a.reason.json"}
    _put(tmp_path, "b.json")
    waiting = signals.finish_interrupted(tmp_path, _scan(tmp_path))
    assert [item.name for item in waiting] == ["b.json"]
    assert _tree(tmp_path) == {"b.json", "done/a.json", "done/a.reason.json"}
    assert json.loads((tmp_path / "done/a.reason.json").read_text())["outcome"] == {"order": "sent"}


def test_death_between_reason_and_move_can_also_be_settled_anew(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    assert _in_process(_dying_at_replace(2), tmp_path) == KILLED
    assert _in_process(_dying_at_replace(3), tmp_path) == 0
    assert _tree(tmp_path) == {"done/a.json", "done/a.reason.json"}


def test_another_content_under_an_interrupted_name_is_not_taken_for_it(tmp_path: Path) -> None:
    _put(tmp_path, "a.json")
    assert _in_process(_dying_at_replace(2), tmp_path) == KILLED
    _put(tmp_path, "a.json", edge_bps="61")
    items = _scan(tmp_path)
    assert signals.finish_interrupted(tmp_path, items) == items
    (tmp_path / "done/a.reason.json").write_text("[not ours")
    assert signals.finish_interrupted(tmp_path, items) == items


def _settle_all(folder: Path, barrier: Any) -> None:
    items = _scan(folder)
    barrier.wait(30)
    moved = [signals.move_done(folder, item, {"order": item.name}) for item in items]
    sys.exit(0 if len(moved) == 40 and all(moved) else 1)


def test_eight_processes_settling_the_same_signals_are_harmless(tmp_path: Path) -> None:
    contents = {f"{n:02}": _put(tmp_path, f"{n:02}.json").read_bytes() for n in range(40)}
    barrier = FORK.Barrier(8)
    processes = [FORK.Process(target=_settle_all, args=(tmp_path, barrier)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    names = {f"done/{stem}{end}" for stem in contents for end in (".json", ".reason.json")}
    assert _tree(tmp_path) == names
    for stem, raw in contents.items():
        assert (tmp_path / f"done/{stem}.json").read_bytes() == raw
        assert json.loads((tmp_path / f"done/{stem}.reason.json").read_text())["outcome"] == {"order": f"{stem}.json"}


# -- denials


def test_every_room_of_the_reason_codes_is_judged_and_none_twice() -> None:
    rooms = {str(reason.value).partition(":")[0] for reason in Reason}
    assert rooms == signals.PASSING_ROOMS | signals.FINAL_ROOMS
    assert not signals.PASSING_ROOMS & signals.FINAL_ROOMS
    assert {str(reason.value) for reason in Reason} >= signals.PASSING_CODES
    assert {code.partition(":")[0] for code in signals.PASSING_CODES} <= signals.FINAL_ROOMS


@pytest.mark.parametrize(
    "reason",
    [
        Reason.KILL_SWITCH, Reason.FREEZE_ALL, Reason.MODE_PAUSE, Reason.MODE_STAMP, Reason.ARM_DRY_RUN,
        Reason.AUDIT_UNWRITABLE, Reason.UNKNOWN_ORDER, Reason.CLOCK_SKEW, Reason.BREAKER_OPEN, Reason.DATA_STALE,
        Reason.SPREAD, Reason.SLIPPAGE, Reason.VOLATILITY, Reason.RECONCILE_STALE, Reason.DRIFT_DEGRADE,
        Reason.TOTAL_CAP, Reason.POSITIONS_MAX, Reason.SYMBOL_HELD, Reason.COOL_SYMBOL, Reason.CYCLE_ORDERS,
        Reason.OPEN_SYMBOL, Reason.RATE_BUDGET, Reason.CHURN, Reason.SYMBOL_HALTED, Reason.BALANCE,
    ],
)  # fmt: skip
def test_a_denial_that_can_pass_leaves_the_signal(reason: Reason) -> None:
    assert signals.denial_can_pass(reason)


@pytest.mark.parametrize(
    "code",
    [
        Reason.DUPLICATE, Reason.EDGE_LOW, Reason.COST_HIGH, Reason.FILTERS, Reason.NOTIONAL_MIN, Reason.NOTIONAL_MAX,
        Reason.REJECTED, Reason.AI_NOT_CONFIGURED, "signal:expired", "", "unheard_of:thing", "market_data2:x",
    ],
)  # fmt: skip
def test_a_denial_that_cannot_pass_settles_it(code: str) -> None:
    assert not signals.denial_can_pass(code)
