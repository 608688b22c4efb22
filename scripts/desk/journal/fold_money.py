"""How money from outside changes the folded state: deposits, foreign trades, adopted and disowned holdings. Total.

None of it is gain or loss: what comes or goes is taken out of equity (`Capital.flows`), at the price the event carries.
"""

from decimal import Decimal

from desk.base.money import ZERO, parse
from desk.journal.chain import Line
from desk.journal.fold_orders import close_slot, share_of
from desk.journal.state import Fold, Foreign, Position, foreign_key, key


def balance_adjusted(state: Fold, line: Line, at_ms: int) -> None:
    """BALANCE_ADJUSTED: a deposit, a withdrawal, or an adopted balance."""
    _flow(state, line.venue, line.data["asset"], parse(line.data["amount"]))


def foreign_seen(state: Fold, line: Line, at_ms: int) -> None:
    """FOREIGN_SEEN: remembered until the owner has spoken, whatever leaves the exchange's lists meanwhile.

    More trades of an order that was disowned open the question again.
    """
    data = line.data
    found = _foreign(state, line)
    found.how = "" if found.how == "disown" else found.how
    found.side, found.seen_ms = data["side"], at_ms
    found.client_order_id = data.get("client_order_id", "") or found.client_order_id
    found.quantity = parse(data["quantity"])


def foreign_settled(state: Fold, line: Line, at_ms: int) -> None:
    """FOREIGN_SETTLED: the owner's word; the latest counts."""
    found = _foreign(state, line)
    found.how, found.seen_ms = line.data["how"], found.seen_ms or at_ms
    found.side = found.side or line.data.get("side", "")
    found.client_order_id = found.client_order_id or line.data.get("client_order_id", "")


def foreign_trade(state: Fold, line: Line, at_ms: int) -> None:
    """FOREIGN_TRADE: books one trade once; the coins are the owner's, no position."""
    data, found = line.data, _foreign(state, line)
    if data["trade_id"] in found.trade_ids:
        return
    found.trade_ids.append(data["trade_id"])
    quantity, price, fee = parse(data["quantity"]), parse(data["price"]), parse(data["fee"])
    sign = 1 if data["side"] == "BUY" else -1
    _flow(state, line.venue, data["base"], sign * quantity)
    _flow(state, line.venue, data["quote"], -sign * quantity * price)
    if fee:
        _flow(state, line.venue, data["fee_asset"], -fee)


def position_adopted(state: Fold, line: Line, at_ms: int) -> None:
    """POSITION_ADOPTED: the coins enter the position, bought at the price of now; `booked` of them were in the balances
    already, as the owner's.
    """
    data, name = line.data, key(line.venue, line.symbol)
    quantity, price, booked = parse(data["quantity"]), parse(data["price"]), parse(data["booked"])
    position = state.positions.positions.get(name)
    if position is None:
        position = Position(
            position_id=data["position_id"], venue=line.venue, symbol=line.symbol, base=data["base"],
            quote=data["quote"], strategy="adopted",
        )  # fmt: skip
        state.positions.positions[name] = position
    position.opened_ms = position.opened_ms or at_ms
    position.quantity += quantity
    position.bought += quantity
    position.cost_quote += quantity * price
    _add(state.portfolio.balances.setdefault(line.venue, {}), data["base"], quantity - booked)
    _add(state.portfolio.flows.setdefault(line.venue, {}), data["base"], -booked)
    _capital_flow(state, line.venue, data["quote"], quantity * price)


def position_disowned(state: Fold, line: Line, at_ms: int) -> None:
    """POSITION_DISOWNED: dust first, then the position, lose what is not held; `booked` of it still was in the books.

    The rest had left them before, as somebody else's trade or as a fee: there only the position was too large.
    """
    data, name = line.data, key(line.venue, line.symbol)
    quantity, booked = parse(data["quantity"]), parse(data["booked"])
    rest = _take_dust(state, name, quantity)
    position = state.positions.positions.get(name)
    rest = min(rest, position.quantity) if position is not None else ZERO
    if position is not None and rest:
        position.cost_quote -= share_of(position, rest)
        position.quantity -= rest
        if position.quantity <= ZERO:
            close_slot(state, position, at_ms)
    _add(state.portfolio.balances.setdefault(line.venue, {}), data["base"], -booked)
    _add(state.portfolio.flows.setdefault(line.venue, {}), data["base"], quantity - booked)
    _capital_flow(state, line.venue, data["quote"], -parse(data["value"]))


def _foreign(state: Fold, line: Line) -> Foreign:
    name = foreign_key(line.venue, line.symbol, line.data["order_id"])
    return state.portfolio.foreign.setdefault(name, Foreign(side=line.data.get("side", "")))


def _take_dust(state: Fold, name: str, quantity: Decimal) -> Decimal:
    """What of the quantity dust did not cover."""
    dust = state.positions.dust.get(name)
    if dust is None:
        return quantity
    taken = min(quantity, dust.quantity)
    dust.cost_quote -= share_of(dust, taken)
    dust.quantity -= taken
    if not dust.quantity:
        del state.positions.dust[name]
    return quantity - taken


def _flow(state: Fold, venue: str, asset: str, amount: Decimal) -> None:
    _add(state.portfolio.balances.setdefault(venue, {}), asset, amount)
    _add(state.portfolio.flows.setdefault(venue, {}), asset, amount)
    _capital_flow(state, venue, asset, amount)


def _capital_flow(state: Fold, venue: str, quote: str, amount: Decimal) -> None:
    """Taken out of equity where the asset is a quote currency that was marked; before that nothing was measured."""
    capital = state.portfolio.capital.get(key(venue, quote))
    if capital is not None:
        capital.flows += amount


def _add(table: dict[str, Decimal], name: str, amount: Decimal) -> None:
    table[name] = table.get(name, ZERO) + amount
