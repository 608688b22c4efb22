"""An order nobody here wrote down: the owner adopts it, disowns it, or has it cancelled.

adopt: it is the owner's; its trades, those to come too, move balances and never our capital. disown: it is nobody's we
know; its trades are booked the same way and the key stays suspected. An order under our own prefix (a journal that was
lost) is written down anew instead. close: the standing order is cancelled.
"""

from msgspec.structs import replace

from desk.base import ids
from desk.base.errors import BadInput, WorldError
from desk.base.money import text
from desk.base.reasons import Reason
from desk.execution import compare_trades, foreign, rebook
from desk.execution import truth as truths
from desk.execution.compare_trades import Stranger
from desk.execution.intent import event
from desk.execution.operator_desk import Hands, refusal
from desk.execution.repair_plan import Ask, Plan, note
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import foreign_key
from desk.venues.outcome import VenueError
from desk.venues.protocol import OPEN_STATUSES, OrderReport


def adopt(hands: Hands, ask: Ask) -> Plan:
    """The owner's statement that the order is theirs; one of ours is written down anew.

    Raises:
        BadInput: no such order that nobody wrote down, or the exchange cannot be asked.
    """
    order, strange = _seen(hands, ask)
    client_id = order.client_order_id if order is not None else strange.client_order_id if strange is not None else ""
    if ids.is_ours(client_id, hands.run.settings.instance):
        return _rebook(hands, ask, order)
    return _settle(hands, ask, "adopt", order, strange)


def disown(hands: Hands, ask: Ask) -> Plan:
    """The owner's statement that the order is not theirs: its trades are booked, the key stays suspected.

    Raises:
        BadInput: as `adopt`; or it still stands.
    """
    order, strange = _seen(hands, ask)
    if order is not None and order.status in OPEN_STATUSES:
        raise BadInput("still stands", ask.handle, "close it first")
    return _settle(hands, ask, "disown", order, strange)


def close(hands: Hands, ask: Ask) -> Plan:
    """Cancel the standing order, whoever placed it; what it traded before is settled by adopt or disown.

    Raises:
        BadInput: it does not stand, or has no client id to cancel it by; acting, also: FREEZE_ALL, the exchange's no.
    """
    order = _standing(ask)
    if order is None:
        raise BadInput("does not stand on the exchange", ask.handle, "nothing to cancel")
    if not order.client_order_id:
        raise BadInput("has no client order id", ask.handle, "cancel it on the exchange's own page")
    if order.client_order_id in hands.desk.fold().intents.intents:
        raise BadInput("is ours", order.client_order_id, "orders.py cancel does it")
    desk, name = hands.desk, order.client_order_id

    def act() -> tuple[bool, str]:
        refused = refusal(hands.run, desk.fold())
        if refused:
            raise BadInput(f"REFUSED: {refused}", ask.handle, Reason.FREEZE_ALL.action)
        desk.commit_events(note(ask, f"cancel {name}"))
        try:
            told = desk.account_of(ask.venue).cancel_order(ask.symbol, name)
        except WorldError as error:
            raise BadInput(f"the exchange did not cancel it: {error.line()}", ask.handle, "run it again") from error
        return True, f"{name} is {told.status}"

    return Plan((f"would send the cancel of {name} ({order.side} {text(order.quantity)} {order.symbol})",), act)


def _settle(hands: Hands, ask: Ask, how: str, order: OrderReport | None, strange: Stranger | None) -> Plan:
    desk, name = hands.desk, foreign_key(ask.venue, ask.symbol, ask.order_id)
    if order is None and strange is None and name not in desk.fold().portfolio.foreign:
        raise BadInput("is no foreign order the exchange or the journal knows", ask.handle, "run reconcile.py")
    rules = hands.desk.rules(ask.venue, ask.symbol)
    if strange is not None and rules is None:
        raise BadInput("the exchange tells no rules of the symbol", ask.symbol, "check the handle")
    data = {
        "order_id": ask.order_id, "how": how, "reason": ask.reason, "by": ask.by,
        "side": str(order.side) if order is not None else strange.side if strange is not None else "",
        "client_order_id": order.client_order_id if order is not None else "",
    }  # fmt: skip
    if not data["side"]:
        del data["side"]
    trades = foreign.trade_events(ask.venue, strange, rules) if strange is not None and rules is not None else []
    lines = [f"would journal FOREIGN_SETTLED {ask.venue} {ask.symbol} order {ask.order_id}: {how}"]
    lines += [_trade_line(one) for one in trades]
    if how == "disown":
        lines.append("the key stays suspected: change it, then kill_switch.py release")

    def act() -> tuple[bool, str]:
        desk.commit_events(event(Event.FOREIGN_SETTLED, ask.venue, ask.symbol, data))
        foreign.book(desk, trades)  # a crash in between: the next reconcile books an adopted order's trades
        return True, f"order {ask.order_id} of {ask.venue} {ask.symbol}, {len(trades)} trades booked"

    return Plan(tuple(lines), act, needs_ack=True)


def _rebook(hands: Hands, ask: Ask, order: OrderReport | None) -> Plan:
    """One of ours that a lost journal forgot: intent and fills, as after a reseal (ADR 013)."""
    desk = hands.desk
    if order is None:
        raise BadInput("the exchange does not list the order any more", ask.handle, "adopt the balances")
    rules = rebook.rules_of(desk, ask.venue, [order])
    instance = hands.run.settings.instance
    if not rebook.intents_of(desk.fold(), instance, [order], rules):
        hint = f"adopt {ask.venue}:{ask.symbol}:position first"
        raise BadInput("protects nothing the journal knows", ask.handle, hint)
    name = order.client_order_id

    def act() -> tuple[bool, str]:
        desk.commit(lambda fold: [note(ask, "rebook"), *rebook.intents_of(fold, instance, [order], rules)])
        rebook.settle(desk, ask.venue, order)
        found = desk.fold().intents.intents[name]
        return True, f"{name} is {found.state} {found.status}, {text(found.filled)} {found.base} filled"

    lines = (
        f"would journal INTENT_CREATED {name}: {order.symbol} {order.side} {text(order.quantity)} {order.status}",
        f"would book its fills: {text(order.executed)}",
    )
    return Plan(lines, act)


def _seen(hands: Hands, ask: Ask) -> tuple[OrderReport | None, Stranger | None]:
    """The order and its unbooked trades, as far back as it was first seen."""
    desk, truth = hands.desk, ask.truth
    known = desk.fold().portfolio.foreign.get(foreign_key(ask.venue, ask.symbol, ask.order_id))
    account = desk.account_of(ask.venue)
    since_ms = truth.since_ms
    if known is not None and known.seen_ms:
        since_ms = min(since_ms, known.seen_ms - truths.TRADES_BACK_MS)
    since_ms = max(since_ms, truth.until_ms - truths.TRADES_BACK_MAX_MS)
    try:
        trades = [t for t in account.my_trades(ask.symbol, since_ms) if t.order_id == ask.order_id]
        orders = [o for o in (_standing(ask),) if o is not None]
        if not orders and trades:
            listed = account.orders_since(ask.symbol, trades[0].time_ms - truths.ORDER_BACK_MS)
            orders = [o for o in listed if o.order_id == ask.order_id]
    except VenueError as error:
        raise BadInput(f"the exchange cannot be asked now: {error.line()}", ask.handle, "try again") from error
    ids_by = {(o.symbol, o.order_id): o.client_order_id for o in orders}
    whole = replace(truth, trades=tuple(trades), client_ids=ids_by)
    strange = compare_trades.strangers(desk.fold(), whole, hands.run.settings.instance)
    return next(iter(orders), None), next(iter(strange), None)


def _standing(ask: Ask) -> OrderReport | None:
    place = (ask.symbol, ask.order_id)
    return next((o for o in ask.truth.orders if (o.symbol, o.order_id) == place), None)


def _trade_line(new: NewEvent) -> str:
    data = new.data
    what = f"{data['side']} {data['quantity']} {data['base']} at {data['price']} {data['quote']}"
    return f"would journal FOREIGN_TRADE {what}, fee {data['fee']} {data['fee_asset']}: our capital does not move"
