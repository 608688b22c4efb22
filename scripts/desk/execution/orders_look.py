"""What `orders.py` looks at besides the journal: the venues' own lists, stored prices, and what an operator typed."""

from typing import Any

from desk.base.errors import BadInput, JournalError, WorldError
from desk.execution import orders_view
from desk.execution.desk import Desk
from desk.execution.operator_cancel import shown_id
from desk.execution.operator_desk import Scope
from desk.health import look_market
from desk.journal.state import Fold
from desk.risk.facts import SymbolFacts
from desk.runtime.tick import Run
from desk.venues.table import VENUES


def ask_exchanges(desk: Desk, fold: Fold, now_ms: int) -> tuple[list[dict[str, Any]], list[str]]:
    """What the venues list and the journal does not have, and one clause for each difference or venue not read."""
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for venue in desk.run.settings.venues:
        try:
            reports = desk.account_of(venue).open_orders()
        except WorldError as error:
            problems.append(f"{venue} not read: {error.line()}")
            continue
        found = orders_view.listed(fold, reports, desk.run.settings.instance, now_ms)
        rows += found
        problems += [f"{venue} lists {row['client_order_id']} ({row['state']}), the journal does not" for row in found]
        absent = sorted(orders_view.missing(fold, venue, reports))
        problems += [f"{venue} does not list {name}, which stands here" for name in absent]
    return rows, problems


def marks(run: Run, fold: Fold) -> dict[str, SymbolFacts]:
    """Stored prices and rules of everything held, dust included; for marking, never for an order."""
    wanted: dict[str, set[str]] = {}
    for name in (*fold.positions.positions, *fold.positions.dust):
        venue, _, symbol = name.partition(":")
        wanted.setdefault(venue, set()).add(symbol)
    found: dict[str, SymbolFacts] = {}
    for venue, symbols in sorted(wanted.items()):
        known, _ = look_market.look(run.home, venue, tuple(sorted(symbols)), run.settings.config)
        found |= known
    return found


def scope(run: Run, venue: str, symbol: str) -> Scope:
    """The typed scope; a venue or symbol nobody knows is a slip of the hand, never "nothing to do".

    Raises:
        BadInput: unknown venue, or a symbol that is neither in the universe nor in the journal.
    """
    if venue and venue not in VENUES:
        raise BadInput("is no venue", shown_id(venue), f"known venues: {', '.join(VENUES)}")
    if symbol and symbol not in run.settings.symbols and symbol not in _known_symbols(run, symbol):
        raise BadInput("is no symbol traded here", shown_id(symbol), "see orders.py positions and list --all")
    return Scope(venue, symbol)


def _known_symbols(run: Run, typed: str) -> set[str]:
    """Symbols of the journal; when it cannot be read nothing typed is called wrong."""
    try:
        fold = run.journal.read_fold()
    except JournalError:
        return {typed}
    known = {intent.symbol for intent in fold.intents.intents.values()}
    return known | {name.partition(":")[2] for name in (*fold.positions.positions, *fold.positions.dust)}
