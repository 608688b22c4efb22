"""How order, fill and position events change the folded state. Pure, total; money exact.

A fill's base fee lowers the held quantity, a quote fee raises the cost; any other fee asset moves only that balance.
"""

from decimal import Decimal

from desk.base.money import CONTEXT, ZERO, divide, parse
from desk.journal import intent_table
from desk.journal.chain import Line
from desk.journal.events import Event
from desk.journal.state import FINAL_ORDER_STATUSES, Capital, Close, Dust, Fold, Intent, Position, key

CHURN_KEPT_MS = 60_000
REJECTS_KEPT = 20
COST_STEP = Decimal("1e-16")  # price and quantity rarely have more than 8 decimals each; a cost is shared as finely
COST_ADJUSTED_MAX = 20  # a larger cost is left as divided: the step would not fit the house's 40 digits


def created(state: Fold, line: Line, at_ms: int) -> None:
    """INTENT_CREATED: the intent exists; an entry also opens its (still empty) position record."""
    data, client_id = line.data, line.data["client_order_id"]
    if client_id in state.intents.intents:
        return
    state.intents.intents[client_id] = Intent(
        state=intent_table.CREATED, venue=line.venue, symbol=line.symbol, base=data["base"], quote=data["quote"],
        kind=data["kind"], leg=data["leg"], attempt=data["attempt"], side=data["side"], type=data["type"],
        quantity=parse(data["quantity"]), price=parse(data["price"]), stop_price=parse(data.get("stop_price", "0")),
        position_id=data["position_id"], decision_id=line.decision_id, parent=data.get("parent", ""),
        list_id=data.get("list_id", ""), strategy=data.get("strategy", ""), created_ms=at_ms,
    )  # fmt: skip
    name = key(line.venue, line.symbol)
    position = state.positions.positions.get(name)
    if position is not None and position.position_id == data["position_id"]:
        position.attempts[data["leg"]] = data["attempt"] + 1
    elif data["kind"] == "ENTRY" and position is None:
        state.positions.positions[name] = Position(
            position_id=data["position_id"], venue=line.venue, symbol=line.symbol, base=data["base"],
            quote=data["quote"], decision_id=line.decision_id, strategy=data.get("strategy", ""),
            entry_client_id=client_id, attempts={data["leg"]: data["attempt"] + 1},
            stop_price=parse(data.get("plan_stop", "0")), target_price=parse(data.get("plan_target", "0")),
        )  # fmt: skip
    _churn(state, name, at_ms, "new")
    state.portfolio.day["orders"] = state.portfolio.day.get("orders", 0) + 1


def sent(state: Fold, line: Line, at_ms: int) -> None:
    """INTENT_SENT_UNKNOWN: about to leave; carries the signed timestamp and recvWindow."""
    intent = _move(state, line)
    if intent is not None:
        intent.timestamp_ms = line.data["timestamp_ms"]
        intent.recv_window_ms = line.data.get("recv_window_ms", 0)


def confirmed(state: Fold, line: Line, at_ms: int) -> None:
    """INTENT_CONFIRMED: a newer status wins; a stale one changes nothing; executed only grows."""
    intent = _move(state, line)
    if intent is None:
        return
    name = key(intent.venue, intent.symbol)
    state.positions.rejects.pop(name, None)  # "in a row": a success starts the count anew
    if not intent.unanswered:
        state.positions.timeouts.pop(name, None)
    executed, status = parse(line.data["executed"]), line.data["status"]
    is_stale = executed < intent.executed or (
        intent.status in FINAL_ORDER_STATUSES and status not in FINAL_ORDER_STATUSES
    )
    intent.executed = max(intent.executed, executed)
    intent.order_id = line.data.get("order_id", "") or intent.order_id
    if "quantity" in line.data and intent.list_id:  # the exchange found it itself
        intent.quantity = parse(line.data["quantity"])
    if is_stale:
        return
    intent.status = status
    if status in FINAL_ORDER_STATUSES and not intent.final_ms:
        intent.final_ms = at_ms
        _drop_empty_position(state, intent)


def ended(state: Fold, line: Line, at_ms: int) -> None:
    """NOT_FOUND, FAILED_TERMINAL, NOT_SENT or DENIED: the order does not stand."""
    intent = _move(state, line)
    if intent is None:
        return
    if not intent.final_ms:
        intent.final_ms = at_ms
    intent.code = line.data.get("code", "") or line.data.get("why", "") or intent.code
    name = key(intent.venue, intent.symbol)
    if line.event == Event.INTENT_FAILED_TERMINAL and not intent.unanswered:
        state.positions.timeouts.pop(name, None)  # a refusal is an answer
    if line.data.get("counts", "") == "filter_reject":
        _count(state.positions.rejects, name, at_ms)
    _drop_empty_position(state, intent)


def unanswered(state: Fold, line: Line, at_ms: int) -> None:
    """INTENT_UNANSWERED: changes no state of the order; several in a row quarantine its symbol."""
    intent = state.intents.intents.get(line.data["client_order_id"])
    if intent is None or intent.unanswered:
        return
    intent.unanswered = True
    if line.data.get("counts", "") == "timeout":
        _count(state.positions.timeouts, key(intent.venue, intent.symbol), at_ms)


def looked(state: Fold, line: Line, at_ms: int) -> None:
    """INTENT_LOOKED: one complete look that did not find it."""
    intent = _move(state, line)
    if intent is not None:
        intent.looks += 1
        intent.last_look_ms = line.data["requested_ms"]


def cancel_requested(state: Fold, line: Line, at_ms: int) -> None:
    """CANCEL_REQUESTED: remembered on the intent and counted for churn."""
    intent = _move(state, line)
    if intent is not None:
        intent.cancel_ms = intent.cancel_ms or at_ms
        _churn(state, key(intent.venue, intent.symbol), at_ms, "cancel")


def anomaly(state: Fold, line: Line, at_ms: int) -> None:
    """INTENT_ANOMALY: the intent is quarantined; its symbol takes no entries."""
    intent = state.intents.intents.get(line.data["client_order_id"])
    if intent is not None:
        intent.anomaly = f"{line.data['state']}+{line.data['evidence']}"


def unusable(state: Fold, line: Line) -> None:
    """Evidence nobody can read: its intent, when it names one, is quarantined; nothing else moves."""
    name = line.data.get("client_order_id")
    intent = state.intents.intents.get(name) if isinstance(name, str) else None
    if intent is not None:
        intent.anomaly = intent.anomaly or f"{intent.state}+{line.event} unusable"


def anomaly_cleared(state: Fold, line: Line, at_ms: int) -> None:
    """INTENT_ANOMALY_CLEARED: an operator settled it."""
    intent = state.intents.intents.get(line.data["client_order_id"])
    if intent is not None:
        intent.anomaly = ""
        if line.data["how"] == "disown" and not intent.final_ms:
            intent.final_ms = at_ms
            intent.state, intent.code = intent_table.FAILED, "disowned"


def fill(state: Fold, line: Line, at_ms: int) -> None:
    """FILL: books one trade once: intent, balances, fees, position, realised P&L."""
    data = line.data
    intent = state.intents.intents.get(data["client_order_id"])
    if intent is None or data["trade_id"] in intent.trade_ids:
        return
    _move(state, line)
    quantity, price, fee = parse(data["quantity"]), parse(data["price"]), parse(data["fee"])
    intent.trade_ids.append(data["trade_id"])
    intent.filled += quantity
    intent.filled_quote += quantity * price
    intent.executed = max(intent.executed, intent.filled)
    intent.status = intent.status or "PARTIALLY_FILLED"
    _add(intent.fees, data["fee_asset"], fee)
    portfolio = state.portfolio
    books = portfolio.balances.setdefault(line.venue, {})
    sign = 1 if data["side"] == "BUY" else -1
    _add(books, intent.base, sign * quantity)
    _add(books, intent.quote, -sign * quantity * price)
    _add(portfolio.aside, key(line.venue, intent.quote), -sign * quantity * price)
    if fee:
        _add(books, data["fee_asset"], -fee)
        if data["fee_asset"] != intent.base:
            _add(portfolio.aside, key(line.venue, data["fee_asset"]), -fee)
        _add(portfolio.fees, key(line.venue, data["fee_asset"]), fee)
    portfolio.fills += 1
    portfolio.day["fills"] = portfolio.day.get("fills", 0) + 1
    _book_position(state, intent, line, at_ms)


def exit_planned(state: Fold, line: Line, at_ms: int) -> None:
    """EXIT_PLANNED: stop and target of the position, and the trailing peak when it moved."""
    position = _position(state, line)
    if position is not None:
        position.stop_price, position.target_price = parse(line.data["stop_price"]), parse(line.data["target_price"])
        if "trail_peak" in line.data:
            position.trail_peak = parse(line.data["trail_peak"])


def swap_started(state: Fold, line: Line, at_ms: int) -> None:
    """PROTECTION_SWAP: remembered until it ends, with the stops' next attempt, so that it is resumed after a crash."""
    position = _position(state, line)
    if position is not None:
        position.swap = {name: str(line.data.get(name, "")) for name in ("old", "new", "fallback", "peak")}
        position.swap["attempt"] = str(position.attempts.get("stop", 0))
        _churn(state, key(line.venue, line.symbol), at_ms, "replace")


def swap_ended(state: Fold, line: Line, at_ms: int) -> None:
    """PROTECTION_SWAPPED."""
    position = _position(state, line)
    if position is not None:
        position.swap = {}


def unprotected(state: Fold, line: Line, at_ms: int) -> None:
    """UNPROTECTED since now; quantity 0 says it is protected again."""
    position = _position(state, line)
    if position is not None:
        position.unprotected_ms = 0 if parse(line.data["quantity"]) == ZERO else position.unprotected_ms or at_ms


def dust(state: Fold, line: Line, at_ms: int) -> None:
    """POSITION_DUST: the rest moves to the dust table and the slot is free."""
    position = _position(state, line)
    if position is not None:
        close_slot(state, position, at_ms, stop_out=position.last_exit_leg == "stop")


def symbol_quarantined(state: Fold, line: Line, at_ms: int) -> None:
    """SYMBOL_QUARANTINED until a time."""
    name = key(line.venue, line.symbol)
    state.positions.quarantine[name] = line.data["until_ms"]
    state.positions.rejects.pop(name, None)
    state.positions.timeouts.pop(name, None)


def _count(table: dict[str, list[int]], name: str, at_ms: int) -> None:
    recent = table.setdefault(name, [])
    recent.append(at_ms)
    del recent[:-REJECTS_KEPT]


def _move(state: Fold, line: Line) -> Intent | None:
    """The intent after the table's step; None when it is unknown or the table has no such pair."""
    intent = state.intents.intents.get(line.data["client_order_id"])
    if intent is None:
        return None
    event = Event[line.event]
    following = intent_table.next_state(intent.state, event)
    if following is None:
        intent.anomaly = intent.anomaly or f"{intent.state}+{line.event}"
        return intent if line.event == Event.FILL else None
    if intent_table.is_late_appearance(intent.state, event):
        intent.final_ms = 0
    intent.state = following
    return intent


def _book_position(state: Fold, intent: Intent, line: Line, at_ms: int) -> None:
    """Quantity and cost of the position after one fill; a sale realises its share of the cost."""
    name = key(line.venue, line.symbol)
    data = line.data
    quantity, price, fee = parse(data["quantity"]), parse(data["price"]), parse(data["fee"])
    position = state.positions.positions.get(name)
    if position is None:  # a late fill after the slot was freed: it is ours again
        position = Position(
            position_id=intent.position_id, venue=line.venue, symbol=line.symbol, base=intent.base,
            quote=intent.quote, decision_id=intent.decision_id, strategy=intent.strategy,
        )  # fmt: skip
        state.positions.positions[name] = position
    if not position.opened_ms:
        _take_in_dust(state, name, position)
    position.opened_ms = position.opened_ms or at_ms
    base_fee = fee if data["fee_asset"] == intent.base else ZERO
    quote_fee = fee if data["fee_asset"] == intent.quote else ZERO
    if data["side"] == "BUY":
        position.quantity += quantity - base_fee
        position.cost_quote += quantity * price + quote_fee
        position.bought += quantity
        return
    gone = quantity + base_fee
    share = share_of(position, gone)
    realised = quantity * price - quote_fee - share
    position.quantity -= gone
    position.cost_quote -= share
    position.last_exit_leg = intent.leg
    position.sold += quantity
    position.realised_quote += realised
    _capital(state, line.venue, intent.quote).realised += realised
    if position.quantity <= ZERO:
        close_slot(state, position, at_ms, stop_out=intent.leg == "stop")


def _take_in_dust(state: Fold, name: str, position: Position) -> None:
    """The rest of an earlier position is sold with the one that opens, so that rests never add up unprotected."""
    rest = state.positions.dust.pop(name, None)
    if rest is not None:
        position.quantity += rest.quantity
        position.cost_quote += rest.cost_quote


def share_of(position: Position | Dust, gone: Decimal) -> Decimal:
    """What the sold part had cost; what is taken here is what is left less there, so cost and profit always add up."""
    if gone >= position.quantity:
        return position.cost_quote
    share = divide(position.cost_quote * gone, position.quantity)
    return share.quantize(COST_STEP, context=CONTEXT) if share.adjusted() < COST_ADJUSTED_MAX else share


def close_slot(state: Fold, position: Position, at_ms: int, *, stop_out: bool = False) -> None:
    """The slot is free: what is left is dust, and cool-downs are counted from now."""
    name = key(position.venue, position.symbol)
    if position.quantity:
        rest = state.positions.dust.pop(name, None)
        quantity = position.quantity + (rest.quantity if rest else ZERO)
        if quantity:
            cost = position.cost_quote + (rest.cost_quote if rest else ZERO)
            state.positions.dust[name] = Dust(
                base=position.base, quote=position.quote, quantity=quantity, cost_quote=cost, since_ms=at_ms
            )
    state.positions.closes[name] = Close(at_ms=at_ms, realised_quote=position.realised_quote, stop_out=stop_out)
    state.positions.positions.pop(name, None)


def _drop_empty_position(state: Fold, intent: Intent) -> None:
    """An entry that ended without any fill leaves no position."""
    name = key(intent.venue, intent.symbol)
    position = state.positions.positions.get(name)
    if position is None or intent.kind != "ENTRY" or position.position_id != intent.position_id:
        return
    if not position.bought and intent.executed == intent.filled:
        state.positions.positions.pop(name)


def _position(state: Fold, line: Line) -> Position | None:
    found = state.positions.positions.get(key(line.venue, line.symbol))
    return found if found is not None and found.position_id == line.data["position_id"] else None


def _capital(state: Fold, venue: str, quote: str) -> Capital:
    return state.portfolio.capital.setdefault(key(venue, quote), Capital())


def _add(table: dict[str, Decimal], name: str, amount: Decimal) -> None:
    table[name] = table.get(name, ZERO) + amount


def _churn(state: Fold, name: str, at_ms: int, what: str) -> None:
    recent = state.portfolio.churn.setdefault(name, [])
    recent.append([at_ms, what])
    while recent and recent[0][0] < at_ms - CHURN_KEPT_MS:
        recent.pop(0)
