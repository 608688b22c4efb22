"""Reasons, errors, paths: one word each, one line each."""

import re
from pathlib import Path

import pytest

from desk.base import errors, exit_codes, reasons
from desk.base.errors import ConfigError, LockBusy, WorldError
from desk.base.paths import CHECKOUT, Home, find_home
from desk.base.reasons import Reason


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_a_reason_is_room_and_word_with_its_help(reason: Reason):
    assert re.fullmatch(r"[a-z_]+:[a-z0-9_]+", str(reason))
    assert reason.severity in {"INFO", "WARN", "CRIT"}
    assert reason.meaning
    assert reason.action
    assert reasons.find(str(reason)) is reason


def test_aliases_are_unique_and_shown():
    named = [member for member in Reason if member.alias]
    assert len(reasons.ALIASES) == len(named)
    assert reasons.shown("health:disk_low_pause") == "DISK_LOW_PAUSE (health:disk_low_pause)"
    assert reasons.shown("no:such_code") == "no:such_code"
    assert reasons.find("no:such_code") is None


@pytest.mark.parametrize("name", ["DISK_LOW_PAUSE", "RISK_CHURN_LIMIT_HIT", "DRIFT_LIMIT_EXCEEDED", "EDGE_TOO_LOW",
                                  "COST_TOO_HIGH", "KILL_SWITCH", "JOURNAL_SHRUNK"])  # fmt: skip
def test_the_runbooks_names_are_known(name: str):
    assert name in reasons.ALIASES


def test_every_critical_reason_names_what_to_do():
    assert [str(r) for r in Reason if r.severity == "CRIT" and r.action in {"nothing", ""}] == []


def test_an_error_is_one_line_of_what_where_and_what_to_do():
    assert ConfigError("is wrong", "file.toml", "correct it").line() == "file.toml: is wrong; correct it"
    assert ConfigError("is wrong").line() == "is wrong"
    assert str(ConfigError("is wrong", "x")) == "x: is wrong"


def world_errors(kind: type[WorldError] = WorldError) -> list[type[WorldError]]:
    return [kind, *(one for sub in kind.__subclasses__() for one in world_errors(sub))]


@pytest.mark.parametrize(
    "kind", [k for k in world_errors() if k.__module__ == "desk.base.errors"], ids=lambda k: k.__name__
)
def test_every_error_has_an_exit_code(kind: type[WorldError]):
    assert kind.exit_code in {exit_codes.FAIL, exit_codes.BUSY, exit_codes.DEADLINE}
    assert not issubclass(kind, errors.InvariantError)


def test_a_busy_lock_may_be_tried_again():
    assert LockBusy("x").retryable
    assert not ConfigError("x").retryable
    assert not ConfigError("x").order_may_exist


def test_the_home_is_named_or_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("SANAD_HOME", raising=False)
    assert find_home().root == CHECKOUT
    monkeypatch.setenv("SANAD_HOME", str(tmp_path / "a" / ".." / "b"))
    assert find_home().root == tmp_path / "b"


def test_missing_folders_are_made(tmp_path: Path):
    home = Home(tmp_path / "new").ensure()
    assert all(path.is_dir() for path in (home.state, home.logs, home.config, home.signals, home.locks))


def test_a_file_in_the_way_is_one_line(tmp_path: Path):
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="SANAD_HOME"):
        Home(tmp_path).ensure()
