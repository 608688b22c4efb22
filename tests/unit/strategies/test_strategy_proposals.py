"""What the strategies propose, when they keep silent, and what the table makes of several proposals."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from desk.base import ids
from desk.base.errors import InvariantError
from desk.config.schema import Config, Exits, Rsi, SmaCross, Strategies
from desk.risk.decision import Decision, Kind
from desk.strategies import rsi, sma_cross, table
from desk.strategies.protection_levels import Levels
from desk.strategies.table import Params, StrategyView
from desk.venues.protocol import Bar, Side

D = Decimal
STEP_MS = 60_000
Series = tuple[Bar, ...]
FOLDER = Path(table.__file__).parent
HELPERS = {"__init__", "indicators", "protection_levels", "table", "signals", "signal_files", "signal_rules"}

EXITS = Exits(atr_period=2)
SMA = Params(SmaCross(fast=2, slow=4), EXITS)
RSI = Params(Rsi(period=4, oversold=D(10)), EXITS)
SMA_UP = ["100", "100", "99", "98", "97", "102"]
SMA_DOWN = ["100", "100", "101", "102", "103", "98"]
RSI_UP = [str(117 - index) for index in range(17)] + ["101.4"]
RSI_DOWN = [str(100 + index) for index in range(17)] + ["114"]


def _view(bars: Series, held: str = "0", late_ms: int = 0) -> StrategyView:
    """The view right when the last bar has closed."""
    now_ms = bars[-1].open_ms + STEP_MS + late_ms
    return StrategyView(
        venue="binance", symbol="BTCUSDT", now_ms=now_ms, interval_s=60, bars=bars, held_quantity=D(held)
    )  # fmt: skip


def test_sma_cross_enters_on_a_cross_above(from_closes: Callable[..., Series]) -> None:
    bars = from_closes(SMA_UP)
    found = sma_cross.propose(_view(bars), SMA)
    assert found is not None
    occasion = str(bars[-1].open_ms)
    assert found.decision_id == ids.decision_id("sma_cross", "1", "binance", "BTCUSDT", "BUY", occasion)
    assert (found.side, found.kind, found.occasion) == (Side.BUY, Kind.ENTRY, occasion)
    assert (found.notional_quote, found.quantity) == (None, None)
    # ATR(2) of the ranges 0 1 1 1 5 is 2.9375: stop 102 - 2 x ATR, target 102 + 3 x ATR
    assert (found.stop_price, found.target_price) == (D("96.125"), D("110.8125"))
    assert any("crossed above" in reason for reason in found.reasons)


def test_sma_cross_states_one_deviation_over_the_slow_window_as_its_edge(from_closes: Callable[..., Series]) -> None:
    found = sma_cross.propose(_view(from_closes(SMA_UP)), SMA)
    moves = [-1 / 100, -1 / 99, -1 / 98, 5 / 97]
    expected = (sum(move * move for move in moves) / 4) ** 0.5 * 4**0.5 * 10_000
    assert found is not None
    assert float(found.edge_bps) == pytest.approx(expected, abs=0.01)


def test_sma_cross_never_claims_more_than_the_way_to_the_target(from_closes: Callable[..., Series]) -> None:
    bold = Params(SmaCross(fast=2, slow=4, edge_multiple=D(50)), EXITS)
    found = sma_cross.propose(_view(from_closes(SMA_UP)), bold)
    assert found is not None
    assert found.edge_bps == D("863.97")  # (110.8125 - 102) / 102, rounded down
    none = Params(SmaCross(fast=2, slow=4, edge_multiple=D(0)), EXITS)
    assert sma_cross.propose(_view(from_closes(SMA_UP)), none) is None


def test_rsi_enters_on_the_way_back_up_and_claims_the_way_to_the_mean(from_closes: Callable[..., Series]) -> None:
    found = rsi.propose(_view(from_closes(RSI_UP)), RSI)
    assert found is not None
    assert (found.side, found.kind) == (Side.BUY, Kind.ENTRY)
    assert found.edge_bps == D("44.37")  # mean of 103 102 101 101.4 is 101.85: 0.45 above 101.4, rounded down
    assert found.stop_price is not None
    assert found.target_price is not None
    assert found.stop_price < D("101.4") < found.target_price


def test_rsi_says_nothing_when_the_price_is_back_at_its_mean_already(from_closes: Callable[..., Series]) -> None:
    assert rsi.propose(_view(from_closes([*RSI_UP[:-1], "104"])), RSI) is None


@pytest.mark.parametrize(
    ("strategy", "params", "closes"), [(sma_cross, SMA, SMA_DOWN), (rsi, RSI, RSI_DOWN)], ids=["sma_cross", "rsi"]
)
def test_it_exits_all_that_is_held_and_only_then(
    strategy: ModuleType, params: Params[Any], closes: list[str], from_closes: Callable[..., Series]
) -> None:
    bars = from_closes(closes)
    found = strategy.propose(_view(bars, held="0.5"), params)
    assert (found.side, found.kind, found.quantity, found.stop_price) == (Side.SELL, Kind.EXIT, None, None)
    assert strategy.propose(_view(bars, held="0"), params) is None


@pytest.mark.parametrize(("closes", "held"), [(SMA_UP, "0"), (SMA_DOWN, "1")], ids=["entry", "exit"])
def test_sma_cross_speaks_on_the_bar_of_the_cross_and_not_after_it(
    closes: list[str], held: str, from_closes: Callable[..., Series]
) -> None:
    bars = from_closes([*closes, closes[-1]])  # the lead only grows on the second bar
    said = [sma_cross.propose(_view(bars[:end], held=held), SMA) is not None for end in (5, 6, 7)]
    assert said == [False, True, False]


@pytest.mark.parametrize(("closes", "held"), [(RSI_UP, "0"), (RSI_DOWN, "1")], ids=["entry", "exit"])
def test_rsi_speaks_on_the_bar_of_the_crossing_and_not_after_it(
    closes: list[str], held: str, from_closes: Callable[..., Series]
) -> None:
    bars = from_closes([closes[0], *closes, closes[-1]])
    said = [rsi.propose(_view(bars[:end], held=held), RSI) is not None for end in (18, 19, 20)]
    assert said == [False, True, False]


ENTRIES = pytest.mark.parametrize(
    ("strategy", "params", "closes"), [(sma_cross, SMA, SMA_UP), (rsi, RSI, RSI_UP)], ids=["sma_cross", "rsi"]
)


@ENTRIES
def test_no_second_entry_while_held(
    strategy: ModuleType, params: Params[Any], closes: list[str], from_closes: Callable[..., Series]
) -> None:
    assert strategy.propose(_view(from_closes(closes), held="0.1"), params) is None


@ENTRIES
def test_no_entry_on_a_gap_an_untraded_bar_an_old_bar_or_too_few(
    strategy: ModuleType, params: Params[Any], closes: list[str], from_closes: Callable[..., Series]
) -> None:
    bars = from_closes(closes)
    assert strategy.propose(_view(bars), params) is not None  # what follows takes one thing away each
    gapped = (*(msgspec.structs.replace(bar, open_ms=bar.open_ms - STEP_MS) for bar in bars[:-1]), bars[-1])
    untraded = (*bars[:-1], msgspec.structs.replace(bars[-1], volume=D(0)))
    assert strategy.propose(_view(gapped), params) is None
    assert strategy.propose(_view(untraded), params) is None
    assert strategy.propose(_view(bars, late_ms=STEP_MS - 1), params) is not None
    assert strategy.propose(_view(bars, late_ms=STEP_MS), params) is None
    needed = strategy.lookback(params.own)
    assert strategy.propose(_view(bars[-needed:]), params) is not None
    assert strategy.propose(_view(bars[-needed + 1 :]), params) is None


def test_a_gap_or_an_untraded_bar_keeps_no_position_open(from_closes: Callable[..., Series]) -> None:
    bars = from_closes(SMA_DOWN, volume="0")
    gapped = (*(msgspec.structs.replace(bar, open_ms=bar.open_ms - STEP_MS) for bar in bars[:-1]), bars[-1])
    found = sma_cross.propose(_view(gapped, held="1", late_ms=5 * STEP_MS), SMA)
    assert found is not None
    assert found.kind is Kind.EXIT


@pytest.mark.parametrize("held", ["0", "1"])
@pytest.mark.parametrize("price", ["0.00000001", "0.1", "33333.33"])
def test_nothing_at_a_constant_price(price: str, held: str, from_closes: Callable[..., Series]) -> None:
    assert table.propose_all(_view(from_closes([price] * 130), held=held), Config()) == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"close": D(0)}, {"low": D(-1)}, {"close": D("NaN")}, {"high": D("Infinity")}, {"volume": D("-1")},
        {"volume": D("sNaN")}, {"high": D(1)}, {"low": D(1000)},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(("closes", "held"), [(SMA_UP, "0"), (SMA_DOWN, "1")], ids=["entry", "exit"])
def test_nothing_at_all_on_malformed_bars(
    broken: dict[str, object], closes: list[str], held: str, from_closes: Callable[..., Series]
) -> None:
    bars = from_closes(closes)
    assert sma_cross.propose(_view(bars, held=held), SMA) is not None
    for index in range(1, len(bars)):
        bad = (*bars[:index], msgspec.structs.replace(bars[index], **broken), *bars[index + 1 :])
        view = StrategyView(
            venue="binance", symbol="BTCUSDT", now_ms=bars[-1].open_ms + STEP_MS, interval_s=60, bars=bad,
            held_quantity=D(held),
        )  # fmt: skip
        assert sma_cross.propose(view, SMA) is None, index


@pytest.mark.parametrize(("closes", "held"), [(SMA_UP, "0"), (SMA_DOWN, "1")], ids=["entry", "exit"])
def test_nothing_at_all_on_bars_out_of_order_or_repeated(
    closes: list[str], held: str, from_closes: Callable[..., Series]
) -> None:
    bars = from_closes(closes)
    assert sma_cross.propose(_view(bars, held=held), SMA) is not None
    swapped = (*bars[:2], bars[3], bars[2], *bars[4:])
    repeated = (*bars[:4], bars[3], *bars[4:])
    assert sma_cross.propose(_view(swapped, held=held), SMA) is None
    assert sma_cross.propose(_view(repeated, held=held), SMA) is None


def test_the_view_drops_bars_that_are_not_over(from_closes: Callable[..., Series]) -> None:
    bars = from_closes(["1", "2", "3"])
    for now_ms, count in ((bars[2].open_ms + STEP_MS, 3), (bars[2].open_ms + STEP_MS - 1, 2), (bars[0].open_ms, 0)):
        view = StrategyView(venue="binance", symbol="BTCUSDT", now_ms=now_ms, interval_s=60, bars=bars)
        assert view.bars == bars[:count]
    with pytest.raises(InvariantError):
        StrategyView(venue="binance", symbol="BTCUSDT", now_ms=0, interval_s=0, bars=bars)


def test_looking_again_within_the_bar_and_with_more_history_gives_an_equal_decision(
    seeded: Callable[..., Series],
) -> None:
    bars, config, seen = seeded(500), Config(), 0
    needed = table.bars_needed(config)
    for end in range(200, 500):
        cut = bars[:end]
        found = table.propose_all(_view(cut), config)
        seen += len(found)
        assert table.propose_all(_view(cut[-needed + 1 :], late_ms=STEP_MS - 1), config) == found
    assert seen > 5


def test_with_too_few_bars_for_the_atr_the_default_stop_stands(from_closes: Callable[..., Series]) -> None:
    found = sma_cross.propose(_view(from_closes(SMA_UP)), Params(SmaCross(fast=2, slow=4), Exits(atr_period=14)))
    assert found is not None
    assert (found.stop_price, found.target_price) == (D("99.96"), None)
    assert any("by default" in reason for reason in found.reasons)


def test_an_absurd_edge_is_capped(from_closes: Callable[..., Series]) -> None:
    levels = Levels(stop=D(1), target=None, basis="default")
    found = table.entry(_view(from_closes(["1", "2"])), "x", "1", D("1e60"), levels, ())
    assert found is not None
    assert found.edge_bps == 10_000


def _planted(name: str, monkeypatch: pytest.MonkeyPatch, answer: Callable[[StrategyView], Decision | None]) -> None:
    module = ModuleType(f"planted_{name}")
    setattr(module, "propose", lambda view, params: answer(view))  # noqa: B010 (a planted module has no such name yet)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(table.STRATEGIES, name, module.__name__)


def _buy(name: str) -> Callable[[StrategyView], Decision | None]:
    levels = Levels(stop=D(1), target=None, basis="default")
    return lambda view: table.entry(view, name, "1", D(20), levels, ())


def test_of_several_entries_the_first_in_the_table_wins(
    monkeypatch: pytest.MonkeyPatch, from_closes: Callable[..., Series]
) -> None:
    view = _view(from_closes(["1", "2"]))
    _planted("rsi", monkeypatch, _buy("rsi"))
    assert [found.strategy for found in table.propose_all(view, Config())] == ["rsi"]
    _planted("sma_cross", monkeypatch, _buy("sma_cross"))
    assert [found.strategy for found in table.propose_all(view, Config())] == ["sma_cross"]
    off = Config(strategies=Strategies(sma_cross=SmaCross(enabled=False)))
    assert [found.strategy for found in table.propose_all(view, off)] == ["rsi"]


def test_exits_win_over_entries(monkeypatch: pytest.MonkeyPatch, from_closes: Callable[..., Series]) -> None:
    _planted("sma_cross", monkeypatch, _buy("sma_cross"))
    _planted("rsi", monkeypatch, lambda view: table.leave(view, "rsi", "1", ("why",)))
    found = table.propose_all(_view(from_closes(["1", "2"]), held="1"), Config())
    assert [(one.strategy, one.kind) for one in found] == [("rsi", Kind.EXIT)]


def test_every_enabled_strategy_can_speak_with_the_bars_it_asks_for() -> None:
    assert table.bars_needed(Config()) == 4 * 14 + 2 + 1  # RSI's lookback and the open bar
    wide = Config(strategies=Strategies(sma_cross=SmaCross(slow=300)))
    assert table.bars_needed(wide) == 302
    none = Strategies(sma_cross=SmaCross(enabled=False), rsi=Rsi(enabled=False))
    assert table.bars_needed(Config(strategies=none)) == 4 * 14 + 1 + 1  # the ATR for signals without a stop
    assert table.bars_needed(Config()) <= Config().market_data.bars_wanted


def test_rows_files_and_config_sections_are_the_same_strategies() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - HELPERS
    sections = {field.name for field in msgspec.structs.fields(Strategies)}
    assert set(table.STRATEGIES) == files == sections
    assert not HELPERS - {path.stem for path in FOLDER.glob("*.py")}
    for name in table.STRATEGIES:
        module = table.load(name)
        assert name == module.NAME
        assert module.VERSION
        assert "Edge:" in (sys.modules[table.STRATEGIES[name]].__doc__ or "")


def test_the_table_loads_no_strategy_before_it_is_used_and_nothing_heavy() -> None:
    code = (
        "import sys; from desk.strategies import table, signals\n"
        "assert not [m for m in table.STRATEGIES.values() if m in sys.modules]\n"
        "[table.load(name) for name in table.STRATEGIES]\n"
        "print(sorted({'numpy', 'pandas', 'talib', 'requests', 'aiohttp'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER.parents[1], capture_output=True, text=True, check=False
    )
    assert (ran.stdout.strip(), ran.stderr, ran.returncode) == ("[]", "", 0)
