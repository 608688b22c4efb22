"""`make run`'s door beyond the README's tour: another folder, bad arguments, real prices, the operator's own shell."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runbook.operators import Checkout, account

CLOSED_PORT = "http://127.0.0.1:9"


def words(checkout: Checkout, *arguments: str, **environment: str) -> tuple[int, str]:
    """(exit code, everything it printed)."""
    done = checkout.door("demo", checkout.environment(**environment), *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_folder_it_did_not_make_is_left_alone(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    code, told = words(checkout, "--home", str(tmp_path / "mine"))
    assert code == 2 and "was not made by this demo" in told and len(told.splitlines()) == 1
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("ticks", ["0", "-1", "ten", "1.5", "99999999"])
def test_bad_ticks_are_one_clear_line(checkout: Checkout, ticks: str) -> None:
    code, told = words(checkout, "--ticks", ticks)
    assert code == 2 and f"'{ticks}' is not a whole number" in told.splitlines()[-1]
    assert not (checkout.folder / "demo-home").exists()


def test_real_prices_without_a_network_are_one_clear_line(checkout: Checkout) -> None:
    code, told = words(checkout, "--real", BINANCE_REST_URL=CLOSED_PORT)
    assert code == 2 and "Binance does not answer" in told and len(told.splitlines()) == 1


@pytest.mark.slow
def test_real_prices_are_traded_on_paper(checkout: Checkout, exchange: Callable[..., str]) -> None:
    code, told = words(checkout, "--real", "--ticks", "1", BINANCE_REST_URL=exchange())
    assert code == 0, told
    assert "on Binance, public data, real time: 1 minutes" in told
    assert "AUDIT VERIFY — OK whole" in told


@pytest.mark.slow
def test_an_operators_shell_does_not_reach_the_demo(checkout: Checkout, tmp_path: Path) -> None:
    """His mode, switches and .env are about his own folder."""
    (checkout.folder / ".env").write_text("SYSTEM_MODE=LIVE\nKILL_SWITCH=true\nMAX_ORDERS_PER_CYCLE=nonsense\n")
    his = account(CLOSED_PORT) | {"SYSTEM_MODE": "LIVE", "KILL_SWITCH": "true", "DRY_RUN": "true", "SAFE_MODE": "true"}
    code, told = words(checkout, "--seeded", "--ticks", "2", "--home", str(tmp_path / "demo"), **his)
    assert code == 0, told
    assert "kill switch" in told and "inactive" in told and "OK (trading: ENABLED)" in told
