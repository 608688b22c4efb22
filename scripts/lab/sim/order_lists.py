"""Order lists: which leg waits for which, and what the end of one does to the others. Owned by the engine.

OCO: two legs over the same coins, locked once. The first that starts working, or fills a part, takes the lock and
expires the other. OTO: the pending legs (one, or an OCO pair) are PENDING_NEW and go to the book when the working
order is filled in full; a leg refused there expires, and its pair with it. OPO: what the working order brings in is
locked for the pending legs, and their quantity is made of it. The cancel of one leg cancels all (ADR 023).
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from lab.sim.decimals import ZERO, floor_to, up8
from lab.sim.filters import check_counts, check_values
from lab.sim.funds import lock_needed, paid_asset
from lab.sim.orders import Modifiers, Order, OrderRequest, Status
from lab.sim.rejections import Reason, Rejection
from lab.sim.symbols import SymbolRules

if TYPE_CHECKING:
    from lab.sim.engine import Engine

EXECUTING, ALL_DONE = "EXECUTING", "ALL_DONE"
_AT_ONCE = Modifiers()


@dataclass(frozen=True, slots=True)
class ListPlan:
    """A well-formed list: `working` is None for an OCO, `exits` are its two legs or the pending ones.

    `pays_itself`: the exits have no quantity, it is what the working order brings in (OPO).
    """

    client_id: str
    working: OrderRequest | None
    exits: tuple[OrderRequest, ...]
    pays_itself: bool = False

    @property
    def legs(self) -> tuple[OrderRequest, ...]:
        """Every order of the list, working first."""
        return (self.working, *self.exits) if self.working else self.exits


@dataclass(slots=True, eq=False)
class OrderList:
    """One list; `reserve` is the base that a self-paying list has locked for its exits."""

    id: int
    client_id: str
    symbol: str
    time_ms: int
    working: Order | None
    pays_itself: bool
    hidden_until_ms: int
    pending_delay_ms: int
    exits: list[Order] = field(default_factory=list)
    reserve: Decimal = ZERO
    status: str = EXECUTING
    is_closing: bool = False

    @property
    def contingency(self) -> str:
        """Binance's word for the kind."""
        return "OTO" if self.working else "OCO"

    @property
    def legs(self) -> list[Order]:
        """Every order, working first."""
        return [self.working, *self.exits] if self.working else self.exits


class OrderLists:
    """All lists of the account."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.all: list[OrderList] = []
        self._open: dict[int, OrderList] = {}

    def open(self) -> list[OrderList]:
        """Lists that are not done, in order of arrival."""
        return list(self._open.values())

    def find(self, list_id: int | None, client_id: str | None) -> OrderList | None:
        """The list with this id, or the newest with this client id; both must fit when both are given."""
        for one in reversed(self.all):
            if list_id in (None, one.id) and client_id in (None, one.client_id):
                return one
        return None

    # -- commands --------------------------------------------------------------------------------------------------

    def place(self, plan: ListPlan, now_ms: int, rules: SymbolRules, modifiers: Modifiers) -> OrderList:
        """Accept a list: an OCO goes to the book, of the others the working order.

        Raises:
            Rejection: refused as a whole, nothing changed.
        """
        amount = self._check(plan, now_ms, rules)
        one = self._admit(plan, now_ms, rules, modifiers)
        self._engine.fund(one.legs[0], amount)
        self._engine.tell_list(one, now_ms)
        if one.working is not None:
            for leg in one.exits:
                self._engine.tell("NEW", leg, None, now_ms)
            self._engine.start(one.working, now_ms, modifiers)
        else:
            for leg in one.exits:
                self._engine.start(leg, now_ms, modifiers)
        return one

    def cancel(self, one: OrderList, now_ms: int) -> None:
        """Cancel every leg that still stands.

        Raises:
            Rejection: UNKNOWN_ORDER when the list is done.
        """
        if one.status == ALL_DONE:
            raise Rejection(Reason.UNKNOWN_ORDER)
        self._close(one, Status.CANCELED, now_ms, "")

    def place_due(self, now_ms: int) -> None:
        """Pending legs whose working order was filled by the last request: its answer has gone out by now."""
        for one in self.open():
            due = [leg.place_ms for leg in one.exits if leg.place_ms is not None]
            if due and min(due) <= now_ms:
                self._place_exits(one, now_ms)

    # -- what the engine tells --------------------------------------------------------------------------------------

    def place_pending(self, leg: Order, now_ms: int) -> None:
        """The time of a pending leg has come."""
        assert leg.order_list is not None
        self._place_exits(leg.order_list, now_ms)

    def claim(self, order: Order, now_ms: int) -> None:
        """A leg starts working or is about to trade: it takes the lock of the pair, and the other leg expires."""
        one = order.order_list
        if one is None or order is one.working:
            return
        for other in one.exits:
            if other is order or not other.is_open:
                continue
            order.lock, other.lock = order.lock + other.lock, ZERO
            self._engine.finish(other, Status.EXPIRED, now_ms, "OCO_TRIGGER")
            if order.request.side == "BUY" and order.is_limit:
                need = up8(order.request.price * order.remaining * self._engine.burden)
                self._engine.release(order, max(ZERO, order.lock - need))

    def traded(self, order: Order, got: Decimal, fee: Decimal) -> None:
        """The working order of a self-paying list brought base in: lock it for the exits.

        The fee is taken from what is free besides, where there is enough of it; else it lessens what is locked.
        """
        one = order.order_list
        if one is None or not one.pays_itself or order is not one.working:
            return
        account, base = self._engine.account, self._base(one)
        amount = got if account.free(base) >= got else got - fee
        account.lock(base, amount)
        one.reserve += amount

    def ended(self, order: Order, now_ms: int) -> None:
        """A leg has come to its end."""
        one = order.order_list
        if one is None or one.status == ALL_DONE:
            return
        if order is one.working and order.status is Status.FILLED:
            for leg in one.exits:
                leg.place_ms = now_ms + one.pending_delay_ms
        elif order is one.working and not one.is_closing:
            self._close(one, Status.EXPIRED, now_ms, "OTO_PHASE_ONE_EXPIRED")
        if one.status == EXECUTING and not any(leg.is_open for leg in one.legs):
            self._done(one, now_ms)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _check(self, plan: ListPlan, now_ms: int, rules: SymbolRules) -> Decimal:
        """Judge a whole list; returns the amount it locks now, the exits of an OCO being one amount."""
        engine, market = self._engine, self._engine.markets[rules.symbol]
        _check_supported(plan, rules)
        for leg in plan.legs:
            check_values(rules, leg, market.average(now_ms))
        check_counts(rules, list(plan.legs), engine.open_orders(rules.symbol))
        if sum(one.symbol == rules.symbol for one in self.open()) >= rules.max_order_lists:
            raise Rejection(Reason.FILTER, "MAX_NUM_ORDER_LISTS")
        self._check_ids(plan)
        price = None if plan.working else market.path.price_at(now_ms)
        check_pair(plan.exits, price)
        starting = (plan.working,) if plan.working else plan.exits
        for leg in starting:
            engine.check_start(leg, now_ms, rules)
        return self._affordable(starting, now_ms)

    def _check_ids(self, plan: ListPlan) -> None:
        ids = [leg.client_id for leg in plan.legs]
        if len(set(ids)) != len(ids) or plan.client_id in {one.client_id for one in self.open()}:
            raise Rejection(Reason.DUPLICATE)
        for leg in plan.legs:
            self._engine.check_client_id(leg)

    def _affordable(self, starting: tuple[OrderRequest, ...], now_ms: int) -> Decimal:
        engine, market = self._engine, self._engine.markets[starting[0].symbol]
        amount = max(lock_needed(market, leg, now_ms, engine.burden) for leg in starting)
        if amount > engine.account.free(paid_asset(market.rules, starting[0].side)):
            raise Rejection(Reason.INSUFFICIENT_BALANCE, starting[0].side)
        return amount

    def _admit(self, plan: ListPlan, now_ms: int, rules: SymbolRules, modifiers: Modifiers) -> OrderList:
        waiting = replace(modifiers, fill_delay_ms=0, fill_fraction=None, empty_book=False)
        admit = self._engine.admit
        working = admit(plan.working, now_ms, rules, modifiers) if plan.working else None
        exits = [admit(leg, now_ms, rules, waiting if working else modifiers) for leg in plan.exits]
        one = OrderList(
            len(self.all) + 1, plan.client_id, rules.symbol, now_ms, working, plan.pays_itself,
            now_ms + modifiers.listing_delay_ms, modifiers.pending_delay_ms, exits,
        )  # fmt: skip
        self.all.append(one)
        self._open[one.id] = one
        for leg in one.legs:
            leg.order_list = one
        if working is not None:
            for leg in exits:
                leg.status, leg.working = Status.PENDING_NEW, False
        return one

    def _place_exits(self, one: OrderList, now_ms: int) -> None:
        """Pending legs go to the book, or expire because it refuses one of them."""
        if one.pays_itself:
            self._find_quantity(one)
        for leg in one.exits:
            leg.place_ms = None
        refused = self._refused(one, now_ms)
        if refused is not None:
            for leg in one.exits:
                reason = "REJECTED" if leg is refused else "OCO_TRIGGER"
                self._engine.finish(leg, Status.EXPIRED, now_ms, reason)
            return
        self._engine.fund(one.exits[0], self._affordable(tuple(leg.request for leg in one.exits), now_ms))
        for leg in one.exits:
            leg.status, leg.working, leg.update_ms = Status.NEW, True, now_ms
        for leg in one.exits:
            self._engine.start(leg, now_ms, _AT_ONCE)

    def _refused(self, one: OrderList, now_ms: int) -> Order | None:
        """The leg that the book does not take as things are now."""
        market = self._engine.markets[one.symbol]
        try:
            check_pair(tuple(leg.request for leg in one.exits), market.path.price_at(now_ms))
            self._affordable(tuple(leg.request for leg in one.exits), now_ms)
        except Rejection:
            return one.exits[-1]
        for leg in one.exits:
            try:
                check_values(market.rules, leg.request, market.average(now_ms))
                if not leg.request.quantity:
                    raise Rejection(Reason.FILTER, "LOT_SIZE")
                self._engine.check_start(leg.request, now_ms, market.rules)
            except Rejection:
                return leg
        return None

    def _find_quantity(self, one: OrderList) -> None:
        """What a self-paying list brought in, on the grid of the lot size; the rest is free again."""
        rules = self._engine.markets[one.symbol].rules
        at_market = any(leg.request.type == "MARKET" for leg in one.exits)
        most = rules.market_max_qty if at_market else rules.max_qty
        quantity = floor_to(min(one.reserve, most), rules.step)
        self._free_reserve(one)
        for leg in one.exits:
            leg.request = replace(leg.request, quantity=quantity)
            leg.orig_qty = quantity

    def _free_reserve(self, one: OrderList) -> None:
        self._engine.account.unlock(self._base(one), one.reserve)
        one.reserve = ZERO

    def _close(self, one: OrderList, status: Status, now_ms: int, reason: str) -> None:
        self._free_reserve(one)
        one.is_closing = True
        for leg in one.legs:
            if leg.is_open:
                self._engine.finish(leg, status, now_ms, reason)

    def _done(self, one: OrderList, now_ms: int) -> None:
        one.status = ALL_DONE
        del self._open[one.id]
        self._engine.tell_list(one, now_ms)

    def _base(self, one: OrderList) -> str:
        return self._engine.markets[one.symbol].rules.base


def check_pair(exits: tuple[OrderRequest, ...], last: Decimal | None) -> None:
    """The prices of an OCO's legs, (above, below), against each other and the last price (None: not yet).

    Raises:
        Rejection: PRICE_RELATION.
    """
    if len(exits) == 1:
        return
    above, below = (leg.price if leg.type == "LIMIT_MAKER" else leg.stop_price for leg in exits)
    known = [price for price in (below, last, above) if price]
    if known != sorted(set(known)):
        raise Rejection(Reason.PRICE_RELATION)


def _check_supported(plan: ListPlan, rules: SymbolRules) -> None:
    wanted = {
        "OCO": len(plan.exits) > 1 and not rules.oco_allowed,
        "OTO": plan.working is not None and not rules.oto_allowed,
        "OPO": plan.pays_itself and not rules.opo_allowed,
        "Trailing stop": any(leg.trailing_bps for leg in plan.legs) and not rules.trailing_allowed,
    }
    for what, lacking in wanted.items():
        if lacking:
            raise Rejection(Reason.NOT_SUPPORTED, what)
