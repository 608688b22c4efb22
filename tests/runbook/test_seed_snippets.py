"""The owner's runbook, pasted: its Phase 1 to 3 snippets and its rollback, run as they stand.

They are read at test time from ../shared/seeds; only the folder they `cd` into and the exchange's URL are replaced.
Pass condition of that runbook: the breaker ends closed with a recent last_success_at, heartbeat says
`circuit_breakers: OK`.
"""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runbook.operators import Checkout, account

pytestmark = pytest.mark.slow
PATCHED = ("policy_engine", "heartbeat", "binance_client", "mexc_client")
RECENT = timedelta(minutes=2)


class Seed:
    """The snippets of the owner's runbook, by what they do."""

    def __init__(self, text: str, folder: Path, url: str) -> None:
        self._text, self._folder, self._url = text, folder, url

    def snippet(self, heading: str, number: int = 0) -> str:
        """The n-th bash block under a heading, made to run here."""
        section = re.search(rf"^##+ {heading}.*?(?=^## )", self._text, re.MULTILINE | re.DOTALL)
        assert section, heading
        code = re.findall(r"^```bash\n(.*?)^```$", section[0], re.MULTILINE | re.DOTALL)[number]
        code = re.sub(r"^cd \S+$", f"cd {self._folder}", code, flags=re.MULTILINE)
        return str(code.replace("https://api.binance.com", self._url))


@pytest.fixture
def url(exchange: Callable[..., str]) -> str:
    return exchange()


@pytest.fixture
def seed(shared: Path, checkout: Checkout, url: str) -> Seed:
    path = shared / "seeds" / "sanad-trader-runbook.md"
    if not path.is_file():
        pytest.skip("../shared/seeds/sanad-trader-runbook.md is not beside the checkout")
    return Seed(path.read_text(encoding="utf-8"), checkout.folder, url)


@pytest.fixture(params=("host_python", "activated"))
def paper(request: pytest.FixtureRequest, checkout: Checkout, url: str) -> dict[str, str]:
    """A PAPER folder in which reconcile, router and heartbeat have run; python3 with packages and without."""
    environment = checkout.environment(activated=request.param == "activated", **account(url))
    for door in ("reconcile", "router", "heartbeat"):
        done = checkout.door(door, environment)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Overall: OK" in done.stdout
    return environment


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout


def overall(output: str) -> str:
    """The heartbeat's last line of a snippet's output."""
    return re.findall(r"^HEARTBEAT END — Overall: (\w+)", output, re.MULTILINE)[-1]


def breaker(checkout: Checkout) -> dict[str, str]:
    found = json.loads((checkout.folder / "state" / "circuit_breakers.json").read_text())["binance_api"]
    assert isinstance(found, dict)
    return found


def test_phase_1_monitoring(seed: Seed, checkout: Checkout, paper: dict[str, str]) -> None:
    output = ok(checkout.bash(seed.snippet("Phase 1"), paper))
    assert "Overall: OK" in output
    assert '"binance_api": {' in output
    skew = re.search(r"^abs_skew_ms: (\d+)$", output, re.MULTILINE)
    assert skew and int(skew[1]) <= 1000


def test_phase_2_reaches_its_pass_condition_and_rollback_restores(
    seed: Seed, checkout: Checkout, paper: dict[str, str]
) -> None:
    files = [f"scripts/{name}.py" for name in PATCHED] + ["state/circuit_breakers.json"]
    before = {name: (checkout.folder / name).read_bytes() for name in files}
    output = ok(checkout.bash(seed.snippet("Phase 2"), paper))
    assert re.search(r"^circuit_breakers: OK .*binance_api half_open \(probing\)", output, re.MULTILINE)
    assert overall(output) == "OK"
    assert re.search(r"^\{'serverTime': \d+\}$", output, re.MULTILINE)
    found = breaker(checkout)
    assert found["state"] == "closed" and int(found["failure_count"]) == 0
    assert datetime.now(UTC) - datetime.fromisoformat(found["last_success_at"]) < RECENT
    again = checkout.door("heartbeat", paper)
    assert re.search(r"^circuit_breakers: OK .*binance_api closed", again.stdout, re.MULTILINE)
    assert overall(again.stdout) == "OK"
    roll_back(seed, checkout, paper, before)


def roll_back(seed: Seed, checkout: Checkout, paper: dict[str, str], before: dict[str, bytes]) -> None:
    """A patch that went wrong, and the rollback: every file as it was, byte by byte, and heartbeat runs."""
    for name in PATCHED:
        (checkout.folder / "scripts" / f"{name}.py").write_text("raise SystemExit('a patch that went wrong')\n")
    code = seed.snippet("Rollback Plan")
    for name, raw in before.items():  # one maintenance window may bear two seconds: each file has its own
        (backup,) = checkout.folder.glob(f"{name}.bak.*")
        assert backup.read_bytes() == raw
        code = code.replace(f"{name}.bak.TIMESTAMP", f"{name}{''.join(backup.suffixes[-2:])}")
    assert "TIMESTAMP" not in re.sub(r"#.*", "", code)
    output = ok(checkout.bash(code, paper))
    scripts = [name for name in before if name.startswith("scripts/")]
    assert [name for name in scripts if (checkout.folder / name).read_bytes() != before[name]] == []
    assert overall(output) == "OK"
    assert breaker(checkout)["state"] == "closed"


def test_phase_3_judges_strictly_in_the_paper_folder(seed: Seed, checkout: Checkout, paper: dict[str, str]) -> None:
    engaged = checkout.door("kill_switch", paper, "engage", "--reason", "first hour")
    assert engaged.returncode == 0, engaged.stdout
    output = ok(checkout.bash(seed.snippet("Phase 3"), paper))
    assert re.search(r"^ntp_sync: OK ", output, re.MULTILINE)
    assert re.search(r"^trading: HALTED mode:stamp_mismatch", output, re.MULTILINE)
    assert re.search(r"^config: OK .* mode LIVE$", output, re.MULTILINE)
    assert overall(output) == "OK"
    assert re.search(r"^Balances: 2 assets$", output, re.MULTILINE)
    assert (checkout.folder / "state" / "mode.json").read_text().count("PAPER") == 1


def test_phase_3_strict_means_strict(checkout: Checkout) -> None:
    """An exchange that does not answer: unmeasurable is WARNING on paper and CRITICAL under SYSTEM_MODE=LIVE."""
    for mode, status in (("PAPER", "WARNING"), ("LIVE", "CRITICAL")):
        silent = account("http://127.0.0.1:9") | {"SYSTEM_MODE": mode}
        done = checkout.door("heartbeat", checkout.environment(**silent))
        assert re.search(rf"^ntp_sync: {status} ", done.stdout, re.MULTILINE), done.stdout
    assert done.returncode == 2


def test_the_mode_is_never_implicit(checkout: Checkout) -> None:
    environment = account("http://127.0.0.1:9")
    del environment["SYSTEM_MODE"]
    for door in ("heartbeat", "router", "reconcile"):
        done = checkout.door(door, checkout.environment(**environment))
        assert done.returncode == 2
        assert "SYSTEM_MODE" in done.stdout + done.stderr
        assert len((done.stdout + done.stderr).strip().splitlines()) == 1
