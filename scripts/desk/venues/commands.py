"""What the client doors' commands do, the same for every venue. Owns the observations they write; prints nothing.

Each command answers (exit code, verdict, document); the door prints. `refresh` writes `clock.json` (by measuring),
`filters_<venue>.json` and `market_data_<venue>_rest.json`: observations, so one part failing never stops the others.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from desk.base import clock, exit_codes, money
from desk.base.errors import BadInput, LockBusy, StateError, WorldError
from desk.config.load import Settings
from desk.state import store
from desk.venues import filters, outcome
from desk.venues.caller import Caller
from desk.venues.outcome import ErrorTable, VenueError
from desk.venues.protocol import Book, SymbolRules, VenueClient

POLLS_KEPT: Final = 20
BOOK_DEPTH: Final = 5
Answer = tuple[int, str, dict[str, Any]]
OnFilters = Callable[[str, str], None]  # old hash, new hash


class Client(VenueClient, Protocol):
    """A venue client with its caller (every client of ours)."""

    caller: Caller


def refresh(client: Client, settings: Settings, on_filters: OnFilters) -> Answer:
    """Clock, filters and prices of the universe, as observations."""
    venue = client.venue
    steps: dict[str, Callable[[], str]] = {
        "clock": lambda: f"{client.caller.clock.resync().offset_ms:+d} ms",
        "filters": lambda: _refresh_filters(client, settings, on_filters),
        "prices": lambda: _refresh_prices(client, settings),
    }
    done: dict[str, str] = {}
    failed: dict[str, str] = {}
    for name, step in steps.items():
        try:
            done[name] = step()
        except WorldError as error:  # one part failing never stops the others
            failed[name] = error.line()
    return _verdict(venue, done, failed)


def show_time(client: Client, settings: Settings) -> Answer:
    """The exchange's clock against ours."""
    measured = client.caller.clock.resync()
    skew_ms, limit_ms = abs(measured.offset_ms), settings.config.clock.skew_max_ms
    document = {"offset_ms": measured.offset_ms, "error_ms": measured.error_ms, "skew_max_ms": limit_ms}
    word, code = ("OK", exit_codes.OK) if skew_ms <= limit_ms else ("WARNING", exit_codes.WARN)
    return code, f"{word} (offset {measured.offset_ms:+d} ms, error {measured.error_ms} ms)", document


def show_account(client: Client, settings: Settings) -> Answer:
    """Balances that are not zero."""
    held = [balance for balance in client.balances().values() if balance.free or balance.locked]
    rows = [[balance.asset, money.text(balance.free), money.text(balance.locked)] for balance in held]
    return exit_codes.OK, f"OK ({len(rows)} assets)", {"table": [["asset", "free", "locked"], *sorted(rows)]}


def show_filters(client: Client, settings: Settings, symbols: Sequence[str]) -> Answer:
    """Trading rules of the symbols asked for."""
    wanted = tuple(symbols) or settings.symbols
    found = client.filters(wanted)
    head = ["symbol", "status", "tick", "step", "min quantity", "min notional", "entries", "exits"]
    rows = [_filter_row(found[name]) for name in wanted if name in found]
    absent = [name for name in wanted if name not in found]
    verdict = f"OK ({len(rows)} symbols)" if not absent else f"WARNING (unknown: {', '.join(absent)})"
    document = {"table": [head, *rows], "hash": filters.hash_of(found)}
    return (exit_codes.OK if not absent else exit_codes.WARN), verdict, document


def show_book(client: Client, settings: Settings, symbols: Sequence[str]) -> Answer:
    """The top of the book."""
    rows: list[list[str]] = []
    invalid: list[str] = []
    for symbol in tuple(symbols) or settings.symbols:
        book = client.book(symbol, BOOK_DEPTH)
        rows.append([symbol, *_top(book).values()])
        if not is_usable(book):
            invalid.append(symbol)
    verdict = f"OK ({len(rows)} symbols)" if not invalid else f"WARNING (no usable book: {', '.join(invalid)})"
    document = {"table": [["symbol", "bid", "ask", "bid quantity", "ask quantity"], *rows]}
    return (exit_codes.OK if not invalid else exit_codes.WARN), verdict, document


def explain(table: ErrorTable, status: int, body: str, headers_json: str) -> dict[str, Any]:
    """What an answer to an order means, as the operator's table.

    Raises:
        BadInput: the status is no HTTP status, or the headers are no JSON object.
    """
    if not 100 <= status <= 599:
        raise BadInput(f"{status} is no HTTP status", "--status", "give 100 to 599")
    try:
        raw = json.loads(headers_json or "{}")
        headers = {str(name).lower(): str(value) for name, value in raw.items()}
    except (ValueError, AttributeError):
        raise BadInput("is no JSON object", "--headers", 'write {"Retry-After": "5"}') from None
    finding = outcome.classify(table, status, headers, body.encode())
    traits = outcome.TRAITS[finding.klass]
    return {
        "class": str(finding.klass),
        "order_may_exist": traits.order_may_exist,
        "retryable": traits.retryable,
        "counts_for_breaker": finding.counts,
        "what_to_do": traits.what_to_do,
    }


def is_usable(book: Book) -> bool:
    """Both sides there, positive, not crossed."""
    return bool(book.bids and book.asks and 0 < book.bids[0].price < book.asks[0].price)


def render(table: Sequence[Sequence[str]]) -> str:
    """Rows under their headers; plain when piped."""
    from tabulate import tabulate  # imported when printing: 30 ms a tick would pay for nothing

    style = "simple" if sys.stdout.isatty() else "plain"
    return str(tabulate(list(table[1:]), headers=list(table[0]), tablefmt=style, disable_numparse=True))


def _refresh_filters(client: Client, settings: Settings, on_filters: OnFilters) -> str:
    found = client.filters(settings.symbols)
    old = _stored(settings, "filters", venue=client.venue).get("hash", "")
    doc = filters.to_doc(client.venue, found, clock.now_ms())
    store.write(settings.home, "filters", doc, f"{client.venue}_client", venue=client.venue)
    if isinstance(old, str) and old and old != doc["hash"]:
        on_filters(old, doc["hash"])
    absent = [name for name in settings.symbols if name not in found]
    if absent:
        raise BadInput(f"{client.venue} does not know {', '.join(absent)}", "UNIVERSE_SYMBOLS", "correct the list")
    return f"{len(found)}"


def _refresh_prices(client: Client, settings: Settings) -> str:
    """Best prices per symbol; a symbol that fails keeps its last entry, with its old age."""
    fresh: dict[str, Book] = {}
    problem: VenueError | None = None
    for symbol in settings.symbols:
        try:
            fresh[symbol] = client.book(symbol, BOOK_DEPTH)
        except VenueError as error:  # one symbol failing never hides the others
            problem = error

    def change(doc: store.Doc | None) -> store.Doc:
        known = (doc or {}).get("symbols")
        symbols = dict(known) if isinstance(known, dict) else {}
        symbols |= {name: _price_entry(book, symbols.get(name)) for name, book in fresh.items()}
        head = {"venue": client.venue, "source": "rest", "written_at": clock.iso(clock.now_ms())}
        return {**head, "symbols": symbols}

    names = {"venue": client.venue, "source": "rest"}
    writer = f"{client.venue}_client"
    try:
        store.update(settings.home, "market_data", change, writer, **names)
    except StateError:
        store.write(settings.home, "market_data", change(None), writer, **names)  # corrupt reads as missing
    if problem is not None:
        raise problem
    return f"{len(fresh)}"


def _price_entry(book: Book, old: object) -> dict[str, Any]:
    top = _top(book)
    polls = old.get("polls", []) if isinstance(old, dict) else []
    poll = {"bid": top["bid"], "ask": top["ask"], "at_ms": book.as_of_ms}
    kept = [*(polls if isinstance(polls, list) else []), poll][-POLLS_KEPT:]
    return {**top, "as_of_ms": book.as_of_ms, "polls": kept}


def _top(book: Book) -> dict[str, str]:
    """Best levels as text; "0" for a side that is empty."""
    bid, ask = (side[0] if side else None for side in (book.bids, book.asks))
    return {
        "bid": money.text(bid.price) if bid else "0",
        "ask": money.text(ask.price) if ask else "0",
        "bid_qty": money.text(bid.quantity) if bid else "0",
        "ask_qty": money.text(ask.quantity) if ask else "0",
    }


def _filter_row(rules: SymbolRules) -> list[str]:
    numbers = (rules.tick, rules.step, rules.quantity_min, rules.notional_min)
    allowed = ("yes" if flag else "no" for flag in (rules.entries_allowed, rules.exits_allowed))
    return [rules.symbol, rules.status, *(money.text(number) for number in numbers), *allowed]


def _stored(settings: Settings, key: str, **names: str) -> Mapping[str, Any]:
    try:
        return store.read(settings.home, key, **names) or {}
    except (StateError, LockBusy):
        return {}


def _verdict(venue: str, done: Mapping[str, str], failed: Mapping[str, str]) -> Answer:
    parts = [f"{name} {text}" for name, text in done.items()]
    parts += [f"{name} FAILED" for name in failed]
    word, code = ("OK", exit_codes.OK)
    if failed:
        word, code = ("FAIL", exit_codes.FAIL) if not done else ("WARNING", exit_codes.WARN)
    return code, f"{word} ({', '.join(parts)})", {"done": dict(done), "failed": dict(failed), "lines": _lines(failed)}


def _lines(failed: Mapping[str, str]) -> list[str]:
    return [f"{name}: {line}" for name, line in failed.items()]
