"""Best prices as noted cycle by cycle: `state/market_data_<venue>_router.json` and what the refresh jobs wrote.

The router's own polls serve the sanity rules (an outlier held, a frozen price); any source's newest serves marking, up
to 300 s old, never an order. Losing the file costs a few polls.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from desk.base import clock
from desk.base.errors import StateError
from desk.base.money import ZERO, parse, text
from desk.base.paths import Home
from desk.risk.facts import Poll
from desk.state import store

KEY: Final = "market_data"
OWN: Final = "router"  # the source, and the only door that writes it
MARKING: Final = ("router", "rest", "ws")
POLLS_KEPT: Final = 20


def earlier(home: Home, venue: str, now_ms: int) -> dict[str, tuple[Poll, ...]]:
    """Symbol -> the router's earlier polls, oldest first; ones from the future or without sense are dropped."""
    found = {}
    for symbol, row in _symbols(home, venue, OWN).items():
        polls = [_poll(item) for item in row.get("polls", ()) if isinstance(item, dict)]
        good = [poll for poll in polls if poll is not None and poll.at_ms <= now_ms]
        found[symbol] = tuple(sorted(good, key=lambda poll: poll.at_ms))[-POLLS_KEPT:]
    return found


def newest(home: Home, venue: str) -> dict[str, Poll]:
    """Symbol -> the newest stored best prices of any source."""
    found: dict[str, Poll] = {}
    for source in MARKING:
        for symbol, row in _symbols(home, venue, source).items():
            poll = _poll({"bid": row.get("bid"), "ask": row.get("ask"), "at_ms": row.get("as_of_ms")})
            if poll is not None and (symbol not in found or poll.at_ms > found[symbol].at_ms):
                found[symbol] = poll
    return found


def note(home: Home, venue: str, door: str, polls: Mapping[str, tuple[Poll, ...]]) -> None:
    """Write this cycle's polls, when the door is the one that may.

    Raises:
        StateError, LockBusy: the file cannot be written.
    """
    if door != OWN or not polls:
        return

    def change(doc: store.Doc | None) -> store.Doc:
        known = (doc or {}).get("symbols")
        rows = dict(known) if isinstance(known, dict) else {}
        rows |= {symbol: _row(found[-POLLS_KEPT:]) for symbol, found in sorted(polls.items())}
        return {"venue": venue, "source": OWN, "written_at": clock.iso(clock.now_ms()), "symbols": rows}

    names = {"venue": venue, "source": OWN}
    try:
        store.update(home, KEY, change, OWN, **names)
    except StateError:
        store.write(home, KEY, change(None), OWN, **names)  # corrupt reads as missing


def _symbols(home: Home, venue: str, source: str) -> dict[str, Mapping[str, Any]]:
    with suppress(StateError):
        rows = (store.read(home, KEY, venue=venue, source=source) or {}).get("symbols")
        if isinstance(rows, dict):
            return {name: row for name, row in rows.items() if isinstance(row, dict)}
    return {}


def _poll(item: Mapping[str, Any]) -> Poll | None:
    at_ms = item.get("at_ms")
    if not isinstance(at_ms, int) or isinstance(at_ms, bool):
        return None
    try:
        bid, ask = parse(item.get("bid")), parse(item.get("ask"))
    except ValueError:
        return None
    return Poll(at_ms=at_ms, bid=bid, ask=ask, held=item.get("held") is True) if ZERO < bid < ask else None


def _row(polls: tuple[Poll, ...]) -> dict[str, Any]:
    last = polls[-1]
    items = [{"at_ms": p.at_ms, "bid": text(p.bid), "ask": text(p.ask), "held": p.held} for p in polls]
    return {"bid": text(last.bid), "ask": text(last.ask), "as_of_ms": last.at_ms, "polls": items}
