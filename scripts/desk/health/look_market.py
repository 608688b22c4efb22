"""Stored prices of one venue, from whoever wrote them last: the router's polls and the refresh job's. Reads only.

For marking and for seeing a fall, never for an order. A jump nothing has confirmed is held, as the router holds it
(rules.md, price sanity), so that one bad tick is no flash crash.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from desk.base import clock
from desk.base.errors import StateError
from desk.base.money import ZERO, parse
from desk.base.paths import Home
from desk.config.schema import Config
from desk.journal.state import key
from desk.risk import market
from desk.risk.facts import Poll, SymbolFacts
from desk.state import store
from desk.venues import filters
from desk.venues.protocol import SymbolRules

SOURCES: Final = ("router", "rest", "ws")
POLLS_MAX: Final = 60
Doc = Mapping[str, Any]


def look(home: Home, venue: str, symbols: tuple[str, ...], limits: Config) -> tuple[dict[str, SymbolFacts], str]:
    """Every symbol's stored polls and mark; and what is wrong with the venue's files, "" when nothing is."""
    docs: list[Doc] = []
    problem = ""
    for source in SOURCES:
        try:
            docs.append(store.read(home, "market_data", venue=venue, source=source) or {})
        except StateError as error:
            problem = error.line()
    rules, rules_problem = _rules(home, venue)
    found = {key(venue, symbol): _symbol(venue, symbol, docs, rules.get(symbol), limits) for symbol in symbols}
    return found, problem or rules_problem


def _rules(home: Home, venue: str) -> tuple[dict[str, SymbolRules], str]:
    try:
        doc = store.read(home, "filters", venue=venue)
        return (filters.from_doc(doc), "") if doc is not None else ({}, "")
    except StateError as error:
        return {}, error.line()
    except ValueError as error:
        return {}, f"filters_{venue}.json: {error}"


def _symbol(venue: str, symbol: str, docs: list[Doc], rules: SymbolRules | None, limits: Config) -> SymbolFacts:
    rows = [row for doc in docs if (row := _row(doc, symbol))]
    items = {at_ms: item for row in rows for item in _items(row) if (at_ms := _at_ms(item))}
    polls = _held([poll for at_ms in sorted(items) if (poll := _poll(items[at_ms])) is not None], limits)[-POLLS_MAX:]
    return SymbolFacts(
        venue=venue, symbol=symbol, rules=rules, polls=tuple(polls), book_ms=polls[-1].at_ms if polls else 0,
        mark_bid=_mark(polls, limits), problems=_newest_problem(rows),
    )  # fmt: skip


def _row(doc: Doc, symbol: str) -> Doc:
    rows = doc.get("symbols")
    row = rows.get(symbol) if isinstance(rows, dict) else None
    return row if isinstance(row, dict) else {}


def _items(row: Doc) -> list[Doc]:
    listed = row.get("polls")
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _at_ms(item: Doc) -> int:
    value = item.get("at_ms")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _poll(item: Doc) -> Poll | None:
    with suppress(ValueError):
        bid, ask = parse(item.get("bid")), parse(item.get("ask"))
        return Poll(at_ms=_at_ms(item), bid=bid, ask=ask, held=item.get("held") is True) if ZERO < bid < ask else None
    return None


def _held(polls: list[Poll], limits: Config) -> list[Poll]:
    """Polls whose jump nothing confirms are held, whoever wrote them."""
    seen: list[Poll] = []
    for poll in polls:
        held = poll.held or market.is_outlier(poll, seen, (), limits.market_data)
        seen.append(msgspec.structs.replace(poll, held=held))
    return seen


def _mark(polls: list[Poll], limits: Config) -> Any:
    """The newest bid that is young enough and not held; None without one."""
    now_ms = clock.now_ms()
    oldest_ms = now_ms - 1000 * limits.market_data.marking_age_max_s
    usable = [poll.bid for poll in polls if not poll.held and oldest_ms <= poll.at_ms <= now_ms]
    return usable[-1] if usable else None


def _newest_problem(rows: list[Doc]) -> tuple[str, ...]:
    """Why the newest stored best bid cannot be used: zero, negative, crossed or missing."""
    newest = max(rows, key=lambda row: _at_ms({"at_ms": row.get("as_of_ms")}), default=None)
    if newest is None:
        return ()
    fine = _poll({"bid": newest.get("bid"), "ask": newest.get("ask"), "at_ms": 1})
    return () if fine is not None else (f"bid {newest.get('bid')!s:.40} ask {newest.get('ask')!s:.40}",)
