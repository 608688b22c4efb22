"""Played market days for tests: a home, a stepped simulator, and what must hold at the end of any day."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from desk.base import clock
from desk.base.paths import Home
from desk.journal.chain import Context
from desk.journal.journal import Journal
from desk.journal.state import Fold
from lab.day import Day, environment, start_sim

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "sanad.toml"


@contextmanager
def day(
    folder: Path, symbol: str, *sim_arguments: str, in_process: bool = True, changes: dict[str, str] | None = None,
    venue: str = "binance",
) -> Iterator[Day]:  # fmt: skip
    """A day ready to be played in an empty folder.

    Args:
        changes: `old text -> new text` in the day's configuration file.
    """
    (folder / "config").mkdir(parents=True)
    (folder / ".env").write_text("")
    text = CONFIG.read_text()
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "config" / "sanad.toml").write_text(text)
    sim = start_sim("--venue", venue, "--symbol", symbol, "--step", *sim_arguments)
    try:
        yield Day(folder, sim, environment(folder, sim, (symbol,), venue), in_process=in_process)
    finally:
        sim.stop()


def fold_of(folder: Path) -> Fold:
    return Journal(Home(folder), Context(run_id="", cycle_id="", script="test", mode="", instance="")).read_fold()


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Every event of the kept segments, oldest first."""
    logs = folder / "execution-logs"
    segments = sorted(logs.glob("audit-*.jsonl"), key=lambda path: int(path.name.split(".")[1]))
    return [json.loads(line) for path in [*segments, logs / "audit.jsonl"] for line in path.read_text().splitlines()]


def journal_hash(folder: Path) -> str:
    """One hash over every byte of the journal."""
    logs = folder / "execution-logs"
    segments = sorted(logs.glob("audit-*.jsonl"), key=lambda path: int(path.name.split(".")[1]))
    return hashlib.sha256(b"".join(path.read_bytes() for path in [*segments, logs / "audit.jsonl"])).hexdigest()


def assert_money_closes(folder: Path, venue: str = "binance", quote: str = "USDT") -> None:
    """P5: journal fills = the paper exchange's trades = balance changes, to the last digit."""
    fold = fold_of(folder)
    books = json.loads((folder / "state" / "paper_broker.json").read_text())
    told = {e["data"]["trade_id"]: e["data"] for e in lines_of(folder) if e["event"] == "FILL"}
    balances = dict(fold.portfolio.opening[venue])
    for data in told.values():
        base, sign = data_base(folder), 1 if data["side"] == "BUY" else -1
        quantity, price = Decimal(data["quantity"]), Decimal(data["price"])
        balances[base] = balances.get(base, Decimal(0)) + sign * quantity
        balances[quote] = balances.get(quote, Decimal(0)) - sign * quantity * price
        balances[data["fee_asset"]] = balances.get(data["fee_asset"], Decimal(0)) - Decimal(data["fee"])
    assert {a: v for a, v in fold.portfolio.balances[venue].items() if v} == {a: v for a, v in balances.items() if v}
    section = books["venues"][venue] if "venues" in books else books[venue]
    held = {
        asset: Decimal(found["free"]) + Decimal(found["locked"]) if isinstance(found, dict) else Decimal(found)
        for asset, found in section["balances"].items()
    }
    assert {a: v for a, v in held.items() if v} == {a: v for a, v in balances.items() if v}


def data_base(folder: Path) -> str:
    """The base asset of the day's one symbol."""
    return next(e["data"]["base"] for e in lines_of(folder) if e["event"] == "INTENT_CREATED")


def codes_of(folder: Path) -> dict[str, int]:
    """How often each gate code denied."""
    counts: dict[str, int] = {}
    for found in lines_of(folder):
        if found["event"] == "TRADE_REJECTED":
            counts[found["data"]["code"]] = counts.get(found["data"]["code"], 0) + 1
    return counts


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def drop_signal(played: Day, name: str, **fields: Any) -> None:
    """Put a signal into the inbox, as a producer does: written aside, then renamed."""
    now_ms = get(played.sim.admin_url + "/sim/clock")["now_ms"]
    body = {
        "id": name, "source": "test", "venue": "binance", "symbol": "BTCUSDT", "side": "BUY", "kind": "ENTRY",
        "edge_bps": "500", "stop_price": None, "target_price": None, "created_at": clock.iso(now_ms),
        "expires_at": clock.iso(now_ms + 86_400_000),
    }  # fmt: skip
    inbox = played.home / "signals"
    inbox.mkdir(exist_ok=True)
    (inbox / f".{name}.tmp").write_text(json.dumps(body | fields))
    (inbox / f".{name}.tmp").rename(inbox / f"{name}.json")


WIDE_CAPS = {
    'position_paper_frac = "0.10"': 'position_paper_frac = "1"',
    'total_frac = "0.30"': 'total_frac = "1"',
    'notional_cap_per_cycle_quote = "150"\nmax_notional_per_order_quote = "150"\nmin_order': (
        'notional_cap_per_cycle_quote = "100000"\nmax_notional_per_order_quote = "100000"\nmin_order'
    ),
}
NO_STRATEGIES = {
    "[strategies.sma_cross]\nenabled = true": "[strategies.sma_cross]\nenabled = false",
    "[strategies.rsi]\nenabled = true": "[strategies.rsi]\nenabled = false",
}
