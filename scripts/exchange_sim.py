#!/usr/bin/env python3
"""Run an exchange in a box on 127.0.0.1 (Binance, MEXC or BTCTurk REST), to trade and rehearse on without an exchange.

Binance has its WebSockets too: market streams and the WebSocket API with user data. The first line on standard output
is JSON: rest_url, ws_url (Binance), admin_url, venue, symbols, now_ms. SIGTERM or Ctrl-C ends it with
exit 0; a bad argument or file is one line on standard error and exit 2.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from decimal import Decimal, InvalidOperation
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

if find_spec("aiohttp") is None:  # started by an interpreter without the packages: use the checkout's own, or say how
    venv_python = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
    if venv_python.exists() and Path(sys.prefix) != venv_python.parents[1]:
        os.execv(venv_python, [str(venv_python), *sys.argv])  # noqa: S606 - our own interpreter, our own arguments
    print("exchange_sim: package aiohttp is missing; run `make setup` in the checkout", file=sys.stderr)
    sys.exit(2)

from lab.sim.build import SimConfig, build, parse_start
from lab.sim.clock import TimeMode
from lab.sim.rejections import SimConfigError
from lab.sim.wire import SimServer

EPILOG = """admin: GET /sim/books /sim/lists /sim/ledger /sim/requests /sim/clock /sim/faults;
POST /sim/advance {"ms": N}; POST /sim/transfer {"asset", "amount"}: a deposit, a negative amount is a withdrawal;
POST /sim/faults {"kind", "match": {"method", "path"}, "count", "arg"}; DELETE /sim/faults.
A fault lasts `count` matching requests (default 1); null or 0 = until DELETE /sim/faults. crossed_book, empty_book,
frozen_price, symbol_halted, filter_change and clock_skew_ms are conditions that matching requests see; streams see
those that last until DELETE. ws_* act on messages of WebSockets (method WS, path /ws, /stream or /ws-api). On BTCTurk's
DELETE, which only receives a cancel, listing_lag postpones its effect and late_fill fills the order before it."""


class OneLineParser(argparse.ArgumentParser):
    """Reports a bad argument in one line."""

    def error(self, message: str) -> NoReturn:
        raise SimConfigError(f"{message}; see --help")


def parse(arguments: list[str]) -> tuple[SimConfig, int]:
    """(configuration, port) from the command line."""
    parser = OneLineParser(description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--venue", default="binance", help="binance, mexc or btcturk")
    add("--port", type=int, default=0, help="0 = any free port")
    add("--symbol", action="append", default=[], metavar="S", help="repeat for several")
    add("--market", action="append", default=[], type=Path, metavar="FILE",
        help="open_time_ms,open,high,low,close,volume as .csv.gz, paired with --symbol in order; without: seeded; "
        "after its last bar the price stands still")  # fmt: skip
    add("--start", help="ISO time inside the market file (default: 1000 bars into it)")
    add("--seed", type=int, default=1)
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--speed", type=float, help="virtual time runs X times real time")
    speed.add_argument("--step", action="store_true", help="time stands still until POST /sim/advance")
    add("--api-key", default="simkey")
    add("--api-secret", default="simsecret",
        help="default simsecret; BTCTurk clients other than ours decode their secret: c2ltc2VjcmV0")  # fmt: skip
    add("--ed25519-public", type=Path, metavar="PEM", help="public key that signs instead of the secret")
    add("--scenario", type=Path, metavar="FILE", help="JSON: timed faults and price moves")
    add("--balance", action="append", default=[], metavar="ASSET=N", help="default: each quote 10000, bases 0")
    add("--fee-bps", default="10", help="commission, maker and taker, in basis points (default 10); BTCTurk "
        "adds 18 percent of it as tax and takes both in the quote currency")  # fmt: skip
    add("--fee-asset", default="", metavar="ASSET=PRICE",
        help="fees are taken in this asset while enough is free, such as BNB=600 (binance) or MX=3 (mexc)")  # fmt: skip
    add("--weight-limit", type=int, default=6000, metavar="N",
        help="binance: request weight a minute (default 6000; 0 = none)")  # fmt: skip
    given = parser.parse_args(arguments)
    mode = TimeMode.STEP if given.step else TimeMode.REAL if given.speed is None else TimeMode.SPEED
    fee_asset, fee_asset_price = balance(given.fee_asset, "--fee-asset") if given.fee_asset else ("", Decimal(1))
    config = SimConfig(
        venue=given.venue, symbols=tuple(given.symbol), markets=tuple(given.market), seed=given.seed, mode=mode,
        start_ms=parse_start(given.start) if given.start else None, api_key=given.api_key, scenario=given.scenario,
        api_secret=given.api_secret, ed25519_public=given.ed25519_public, fee_bps=number("--fee-bps", given.fee_bps),
        speed=1.0 if given.speed is None else given.speed, balances=dict(balance(text) for text in given.balance),
        weight_limit=given.weight_limit, fee_asset=fee_asset, fee_asset_price=fee_asset_price,
    )  # fmt: skip
    return config, given.port


def number(name: str, text: str) -> Decimal:
    """A decimal argument."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise SimConfigError(f"{name} {text}: not a number") from None


def balance(text: str, name: str = "--balance") -> tuple[str, Decimal]:
    """ASSET=N."""
    asset, equals, amount = text.partition("=")
    if not asset or not equals:
        raise SimConfigError(f"{name} {text}: write it like USDT=10000")
    return asset, number(f"{name} {asset}", amount)


async def serve(config: SimConfig, port: int) -> None:
    """Run until a signal arrives."""
    server = SimServer(*build(config))
    stop = asyncio.Event()
    for number_of_signal in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number_of_signal, stop.set)
    try:
        await server.start(port)
    except (OSError, OverflowError) as error:
        raise SimConfigError(f"--port {port}: cannot listen ({error}); choose another or 0") from None
    print(json.dumps(server.hello()), flush=True)
    await stop.wait()
    await server.stop()


def main() -> int:
    """Door: 0 after a signal, 2 on a bad argument or file."""
    try:
        asyncio.run(serve(*parse(sys.argv[1:])))
    except SimConfigError as error:
        print(f"exchange_sim: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
