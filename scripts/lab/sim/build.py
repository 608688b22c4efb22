"""From a configuration to a ready exchange and its dialect. Reads market, key and scenario files; opens no socket."""

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from lab.sim.account import Account
from lab.sim.auth import Keys
from lab.sim.bars import BarSource, FileBars, load_bars
from lab.sim.binance_dialect import BinanceDialect
from lab.sim.btcturk_dialect import BtcturkDialect
from lab.sim.btcturk_limits import BtcturkLimits
from lab.sim.btcturk_params import btcturk_rules
from lab.sim.calls import Call, Reply
from lab.sim.clock import SimClock, TimeMode, wall_ms
from lab.sim.decimals import ZERO
from lab.sim.exchange import Exchange
from lab.sim.faults import Fault
from lab.sim.limits import BinanceLimits, EndpointLimits
from lab.sim.market import Market
from lab.sim.mexc_dialect import MexcDialect
from lab.sim.path import PriceEvent
from lab.sim.rejections import SimConfigError
from lab.sim.scenario import EMPTY, Scenario, load_scenario, parse_scenario
from lab.sim.seeded import SeededBars, first_price
from lab.sim.symbols import SymbolRules, rules_for, split_symbol
from lab.sim.terms import STANDARD, TERMS

VENUES = ("binance", "mexc", "btcturk")
SEEDED_START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
DEFAULT_START_BAR = 1000
DEFAULT_QUOTE_BALANCE = Decimal(10_000)
_MEXC_MIN_NOTIONAL = Decimal(1)
_MEXC_MAX_ORDERS = 500


@dataclass(frozen=True, kw_only=True)
class SimConfig:
    """Everything `exchange_sim.py` can be told. Times in ms since the epoch; `fee_bps` in basis points."""

    venue: str = "binance"
    symbols: tuple[str, ...] = ("BTCUSDT",)
    markets: tuple[Path, ...] = ()
    start_ms: int | None = None
    seed: int = 1
    mode: TimeMode = TimeMode.REAL
    speed: float = 1.0
    api_key: str = "simkey"
    api_secret: str = "simsecret"
    ed25519_public: Path | None = None
    scenario: Path | dict[str, Any] | None = None
    balances: dict[str, Decimal] = field(default_factory=dict)
    fee_bps: Decimal = Decimal(10)
    fee_asset: str = ""  # BNB or MX: fees are taken in it, at `fee_asset_price` of the quote currency
    fee_asset_price: Decimal = Decimal(1)
    weight_limit: int = 6000
    orders_10s_limit: int = 50


class Dialect(Protocol):
    """What the server needs of a venue's language."""

    def handle(self, call: Call) -> Reply:
        """Serve one call."""

    def fault_reply(self, fault: Fault) -> Reply:
        """The answer a fault gives in this venue's words."""


def build(config: SimConfig) -> tuple[Exchange, Dialect]:
    """Make the exchange.

    Raises:
        SimConfigError: a bad value or file, in one line.
    """
    _check(config)
    files = [load_bars(path) for path in config.markets]
    market_start = _market_start(config, files)
    start_ms = wall_ms() if config.mode is TimeMode.REAL else market_start
    if config.mode is TimeMode.REAL and files:
        period = math.lcm(*(bars.step_ms for bars in files))
        shift = (start_ms - market_start) // period * period
        files = [bars.shifted(shift) for bars in files]
    scenario = _scenario(config)
    markets = {
        symbol: _market(config, symbol, files[place] if place < len(files) else None, start_ms, scenario)
        for place, symbol in enumerate(config.symbols)
    }
    clock = SimClock(config.mode, start_ms, config.speed)
    keys = Keys(config.api_key, config.api_secret, config.ed25519_public)
    fee = config.fee_bps / 10_000
    account = Account(_balances(config, markets))
    terms = replace(
        TERMS.get(config.venue, STANDARD), fee_asset=config.fee_asset, fee_asset_price=config.fee_asset_price
    )
    exchange = Exchange(config.venue, config.seed, clock, markets, account, keys, fee, scenario.faults, terms)
    return exchange, _dialect(config, exchange)


def _dialect(config: SimConfig, exchange: Exchange) -> Dialect:
    if config.venue == "mexc":
        return MexcDialect(exchange, EndpointLimits())
    if config.venue == "btcturk":
        return BtcturkDialect(exchange, BtcturkLimits())
    return BinanceDialect(exchange, BinanceLimits(config.weight_limit, config.orders_10s_limit))


def _check(config: SimConfig) -> None:
    if config.venue not in VENUES:
        raise SimConfigError(f"--venue {config.venue}: unknown; one of {', '.join(VENUES)}")
    if not config.symbols:
        raise SimConfigError("--symbol: none given; give at least one, such as --symbol BTCUSDT")
    if len(set(config.symbols)) != len(config.symbols):
        raise SimConfigError(f"--symbol: given twice in {', '.join(config.symbols)}; give each once")
    if len(config.markets) > len(config.symbols):
        raise SimConfigError("--market: more files than symbols; they are paired in order, add the missing --symbol")
    if config.weight_limit < 0:
        raise SimConfigError(f"--weight-limit {config.weight_limit}: must be at least 0")
    if not 0 <= config.fee_bps < 10_000:
        raise SimConfigError(f"--fee-bps {config.fee_bps}: must be from 0 to below 10000")
    if config.fee_asset and config.venue == "btcturk":
        raise SimConfigError("--fee-asset: BTCTurk takes its fees in the quote currency; use binance or mexc")
    if not config.fee_asset_price.is_finite() or config.fee_asset_price <= 0:
        raise SimConfigError(f"--fee-asset {config.fee_asset}={config.fee_asset_price}: the price must be above 0")
    if config.mode is TimeMode.SPEED and not 0 < config.speed <= 1e6:
        raise SimConfigError(f"--speed {config.speed}: must be above 0 and at most 1000000")


def _market_start(config: SimConfig, files: list[FileBars]) -> int:
    if config.start_ms is None:
        if not files:
            return SEEDED_START_MS
        return max(bars.bar(min(DEFAULT_START_BAR, len(bars) // 2)).open_ms for bars in files)
    for path, bars in zip(config.markets, files, strict=True):
        last_ms = bars.bar(len(bars) - 1).open_ms + bars.step_ms
        if not bars.first_open_ms <= config.start_ms < last_ms:
            span = f"{_iso(bars.first_open_ms)} to {_iso(last_ms)}"
            raise SimConfigError(f"--start {_iso(config.start_ms)}: outside {path} ({span}); choose a time inside")
    return config.start_ms


def _market(config: SimConfig, symbol: str, file: FileBars | None, start_ms: int, scenario: Scenario) -> Market:
    bars: BarSource
    if file is not None:
        price = file.bar(max(0, file.index_at(start_ms))).close
        rules = _venue_rules(config.venue, rules_for(symbol, price, file.decimal_places()), price)
        bars = file
    else:
        price = first_price(config.seed, split_symbol(symbol)[0])
        rules = _venue_rules(config.venue, rules_for(symbol, price), price)
        bars = SeededBars(config.seed, symbol, start_ms, price, rules.tick, rules.step)
    events = [
        PriceEvent(start_ms + event.start_ms, event.factor, event.over_ms) for event in scenario.prices.get(symbol, [])
    ]
    return Market(bars, rules, config.seed, events)


def _venue_rules(venue: str, rules: SymbolRules, price: Decimal) -> SymbolRules:
    if venue == "btcturk":
        return btcturk_rules(rules, price)
    if venue != "mexc":
        return rules
    minimum = min(rules.min_notional, _MEXC_MIN_NOTIONAL)
    return replace(rules, min_notional=minimum, max_notional=Decimal(2_000_000), max_orders=_MEXC_MAX_ORDERS)


def _balances(config: SimConfig, markets: dict[str, Market]) -> dict[str, Decimal]:
    balances: dict[str, Decimal] = {}
    for market in markets.values():
        balances.setdefault(market.rules.base, ZERO)
    for market in markets.values():
        balances[market.rules.quote] = DEFAULT_QUOTE_BALANCE
    if config.fee_asset:
        balances.setdefault(config.fee_asset, ZERO)
    for asset, amount in config.balances.items():
        if not amount.is_finite() or amount < 0:
            raise SimConfigError(f"--balance {asset}={amount}: must be a number >= 0")
        balances[asset] = amount
    return balances


def _scenario(config: SimConfig) -> Scenario:
    if config.scenario is None:
        return EMPTY
    if isinstance(config.scenario, dict):
        return parse_scenario(config.scenario, "given", list(config.symbols))
    return load_scenario(config.scenario, list(config.symbols))


def parse_start(text: str) -> int:
    """Ms since the epoch of an ISO-8601 time; without an offset it is UTC.

    Raises:
        SimConfigError: not a time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SimConfigError(f"--start {text}: not an ISO time; write it like 2021-05-19T00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
