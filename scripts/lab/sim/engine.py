"""The matching engine: accepts, fills, triggers, cancels. One per simulator; the only writer of orders and balances.

Takers walk the ladder level by level. Resting orders fill at their price only when the path trades through it, at
most MAKER_SHARE of the running bar's volume per symbol. What happens while time moves is found by `timeline`.
Own resting orders never meet own takers (no self trade).
"""

from collections.abc import Callable, Iterable
from decimal import Decimal

from lab.sim.account import Account
from lab.sim.decimals import ONE, ZERO, down8, up8
from lab.sim.filters import check_filters, fillable_floor
from lab.sim.funds import crosses, lock_needed, matching, paid_asset, quote_to_base, stop_hit
from lab.sim.ladder import Level
from lab.sim.market import Market
from lab.sim.order_lists import OrderList, OrderLists
from lab.sim.orders import STOP_TYPES, Modifiers, Order, OrderRequest, Status, Trade
from lab.sim.path import NO_BAR
from lab.sim.rejections import Reason, Rejection
from lab.sim.symbols import SymbolRules
from lab.sim.terms import STANDARD, Terms
from lab.sim.trailing import track

MAKER_SHARE = Decimal("0.25")
NO_MODIFIERS = Modifiers()
CANCEL_ASKS = 4
Watcher = Callable[[str, Order, Trade | None, int], None]  # NEW, TRADE, CANCELED or EXPIRED; the order, its trade, when


class Engine:
    """Orders, trades and balances of the one account."""

    def __init__(
        self, markets: dict[str, Market], account: Account, maker_fee: Decimal, taker_fee: Decimal,
        terms: Terms = STANDARD,
    ) -> None:  # fmt: skip
        self.markets = markets
        self.account = account
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self.terms = terms
        self.burden = terms.burden(max(maker_fee, taker_fee))
        self.orders: list[Order] = []
        self.trades: list[Trade] = []
        self.lists = OrderLists(self)
        self._open: dict[int, Order] = {}
        self._maker_left: dict[str, tuple[int, Decimal]] = {}
        self.watchers: list[Watcher] = []
        self.list_watchers: list[Callable[[OrderList, int], None]] = []

    # -- questions -------------------------------------------------------------------------------------------------

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Open orders in order of arrival."""
        return [order for order in self._open.values() if symbol in (None, order.request.symbol)]

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """The order with this id, or the newest with this client id; both must fit when both are given."""
        for order in reversed(self.orders):
            fits = order.request.symbol == symbol and order_id in (None, order.id)
            if fits and client_id in (None, order.request.client_id):
                return order
        return None

    # -- commands --------------------------------------------------------------------------------------------------

    def check(self, request: OrderRequest, now_ms: int, rules: SymbolRules, modifiers: Modifiers) -> Decimal:
        """Judge a request without changing anything; returns the amount it would lock.

        Raises:
            Rejection: any reason of the engine.
        """
        market = self.markets[request.symbol]
        check_filters(rules, request, market.average(now_ms), self.open_orders(request.symbol))
        self.check_client_id(request)
        self.check_start(request, now_ms, rules)
        if request.type == "MARKET" and modifiers.empty_book:
            return ZERO
        if request.quote_quantity and self._base_of(request, now_ms) < rules.min_qty:
            raise Rejection(Reason.FILTER, "LOT_SIZE")
        amount = lock_needed(market, request, now_ms, self.burden)
        if amount > self.account.free(self._paid_by(request)):
            raise Rejection(Reason.INSUFFICIENT_BALANCE, request.side)
        return amount

    def check_client_id(self, request: OrderRequest) -> None:
        """Refuse a client id that an open order has, where the venue does.

        Raises:
            Rejection: DUPLICATE.
        """
        taken = self.terms.client_ids_unique and {order.request.client_id for order in self._open.values()}
        if taken and request.client_id in taken:
            raise Rejection(Reason.DUPLICATE)

    def check_start(self, request: OrderRequest, now_ms: int, rules: SymbolRules) -> None:
        """Refuse what may not go to the book now: a stop already hit, a maker order that would take.

        Raises:
            Rejection: WOULD_TRIGGER, WOULD_TAKE, NOT_SUPPORTED.
        """
        market = self.markets[request.symbol]
        if request.trailing_bps and not rules.trailing_allowed:
            raise Rejection(Reason.NOT_SUPPORTED, "Trailing stop")
        is_stop = request.type in STOP_TYPES and not request.trailing_bps
        if is_stop and stop_hit(request, market.path.price_at(now_ms)):
            raise Rejection(Reason.WOULD_TRIGGER)
        if request.type == "LIMIT_MAKER" and crosses(market, request, now_ms):
            raise Rejection(Reason.WOULD_TAKE)

    def place(
        self, request: OrderRequest, now_ms: int, rules: SymbolRules, modifiers: Modifiers = NO_MODIFIERS
    ) -> Order:
        """Accept an order, lock its funds and let it take what it can at once.

        Raises:
            Rejection: refused, nothing changed.
        """
        amount = self.check(request, now_ms, rules, modifiers)
        order = self.admit(request, now_ms, rules, modifiers)
        self.fund(order, amount)
        self.start(order, now_ms, modifiers)
        return order

    def admit(self, request: OrderRequest, now_ms: int, rules: SymbolRules, modifiers: Modifiers) -> Order:
        """Give a checked order its number; nothing is locked and it does not work yet."""
        order = Order(len(self.orders) + 1, request, request.quantity, now_ms, now_ms)
        order.eligible_ms = now_ms + modifiers.fill_delay_ms
        order.hidden_until_ms = now_ms + modifiers.listing_delay_ms
        if request.quote_quantity:
            order.orig_qty = self._base_of(request, now_ms)
        if modifiers.fill_fraction is not None:
            order.fill_cap = fillable_floor(order.orig_qty * modifiers.fill_fraction, rules.step)
        self.orders.append(order)
        self._open[order.id] = order
        return order

    def fund(self, order: Order, amount: Decimal) -> None:
        """Lock an amount for an order; the caller has checked that it is free."""
        self.account.lock(self._paid_by(order.request), amount)
        order.lock += amount

    def start(self, order: Order, now_ms: int, modifiers: Modifiers) -> None:
        """To the book: a stop waits for its price, the rest takes what it may."""
        request = order.request
        order.working = request.type not in STOP_TYPES
        self.tell("NEW", order, None, now_ms)
        if not order.working:
            self._track_if_due(order, now_ms)
        elif modifiers.empty_book and request.type == "MARKET":
            self.finish(order, Status.EXPIRED, now_ms, "INSUFFICIENT_LIQUIDITY")
        elif not modifiers.fill_delay_ms:
            self.activate(order, now_ms)
        else:
            order.working_ms = now_ms

    def cancel(self, order: Order, now_ms: int, restriction: str | None = None) -> Order:
        """Cancel an open order, with the whole list it belongs to; `restriction` as Binance's cancelRestrictions.

        Raises:
            Rejection: UNKNOWN_ORDER when it is not open, CANCEL_RESTRICTED.
        """
        if not order.is_open:
            raise Rejection(Reason.UNKNOWN_ORDER)
        wanted = {"ONLY_NEW": Status.NEW, "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED}.get(restriction or "")
        if wanted and order.status is not wanted:
            raise Rejection(Reason.CANCEL_RESTRICTED)
        if order.order_list is not None:
            self.lists.cancel(order.order_list, now_ms)
        else:
            self.finish(order, Status.CANCELED, now_ms)
        return order

    def cancel_later(self, order: Order, now_ms: int, delay_ms: int, modifiers: Modifiers = NO_MODIFIERS) -> None:
        """Accept a cancel that takes effect `delay_ms` from now; until then the order trades on. An earlier one stands.

        `listing_delay_ms` postpones it; after `fill_delay_ms` the remainder, or `fill_fraction` of it, fills first.

        Raises:
            Rejection: UNKNOWN_ORDER when it is not open.
        """
        if not order.is_open:
            raise Rejection(Reason.UNKNOWN_ORDER)
        cancel_ms = now_ms + max(delay_ms, modifiers.listing_delay_ms)
        if modifiers.fill_delay_ms:
            order.late_ms = now_ms + modifiers.fill_delay_ms
            cancel_ms = max(cancel_ms, order.late_ms + 1)
            if modifiers.fill_fraction is not None:
                step = self.markets[order.request.symbol].rules.step
                order.fill_cap = order.executed + fillable_floor(order.remaining * modifiers.fill_fraction, step)
        order.cancel_ms = cancel_ms if order.cancel_ms is None else min(order.cancel_ms, cancel_ms)

    def hear(self, now_ms: int) -> None:
        """A request came in while time stands still. A cancel that only waits for the next millisecond acts with the
        CANCEL_ASKS-th request after it: whoever asks again and again sees its end, as on a real exchange."""
        for order in list(self._open.values()):
            if order.cancel_ms == now_ms + 1:
                order.cancel_asks += 1
                if order.cancel_asks >= CANCEL_ASKS:
                    self.cancel(order, now_ms)

    def lift_caps(self) -> None:
        """Forget every partial_fill cap: capped orders may go on filling."""
        for order in self._open.values():
            order.fill_cap = None

    # -- events of the timeline ------------------------------------------------------------------------------------

    def activate(self, order: Order, now_ms: int) -> None:
        """The order starts working: it takes what it may, then rests, is filled, or expires."""
        if order.request.type in STOP_TYPES:
            self.lists.claim(order, now_ms)
        order.working = True
        order.working_ms = now_ms
        request = order.request
        if request.quote_quantity and request.side == "BUY" and now_ms > order.time_ms:
            order.orig_qty = self._base_of(request, now_ms)  # it is an amount of money: what that buys now
        if request.time_in_force == "FOK" and not self._fills_whole(order, now_ms):
            self.finish(order, Status.EXPIRED, now_ms, "UNFILLED_FOK_ORDER_EXPIRED")
            return
        if request.type != "LIMIT_MAKER":
            self._take(order, now_ms)
        rests = order.is_limit and request.time_in_force == "GTC"
        if order.is_open and not rests:
            reason = "UNFILLED_IOC_QUANTITY_EXPIRED" if order.is_limit else "INSUFFICIENT_LIQUIDITY"
            self.finish(order, Status.EXPIRED, now_ms, reason)

    def track(self, order: Order, now_ms: int) -> None:
        """A trailing stop begins to follow the price."""
        track(order, self.markets[order.request.symbol].path, now_ms)

    def fill_resting(self, order: Order, bar: int, now_ms: int) -> None:
        """The path trades through a resting order: fill it at its price from the bar's maker volume."""
        step = self.markets[order.request.symbol].rules.step
        left = self._maker_budget(order.request.symbol, bar)
        qty = fillable_floor(min(order.fillable, left), step)
        if qty > 0:
            self._maker_left[order.request.symbol] = (bar, left - qty)
            self._settle(order, order.request.price, qty, now_ms, is_maker=True)
        if order.is_open:
            order.blocked_bar = bar

    def fill_late(self, order: Order, now_ms: int) -> None:
        """Somebody takes what a resting order still offers, at its price; a stop that has not triggered offers none."""
        order.late_ms = None
        if order.working and order.is_limit and order.fillable > 0:
            self._settle(order, order.request.price, order.fillable, now_ms, is_maker=True)

    def finish(self, order: Order, status: Status, now_ms: int, reason: str = "") -> None:
        """The end of an order: what is locked is free again, and its list hears of it (of a fill after the trade)."""
        self.release(order, order.lock)
        order.status = status
        order.expiry_reason = reason
        self.account.update_ms = order.update_ms = now_ms
        del self._open[order.id]
        if status is not Status.FILLED:
            self.tell(status.value, order, None, now_ms)
            self.lists.ended(order, now_ms)

    def release(self, order: Order, amount: Decimal) -> None:
        """Free a part of what an order has locked."""
        if amount:
            self.account.unlock(self._paid_by(order.request), amount)
            order.lock -= amount

    def tell(self, what: str, order: Order, trade: Trade | None, now_ms: int) -> None:
        """Tell the watchers: NEW, TRADE, CANCELED or EXPIRED."""
        for watcher in self.watchers:
            watcher(what, order, trade, now_ms)

    def tell_list(self, one: OrderList, now_ms: int) -> None:
        """Tell the watchers that a list was placed or is done."""
        for watcher in self.list_watchers:
            watcher(one, now_ms)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _track_if_due(self, order: Order, now_ms: int) -> None:
        request = order.request
        price = self.markets[request.symbol].path.price_at(now_ms)
        if request.trailing_bps and (not request.stop_price or stop_hit(request, price)):
            self.track(order, now_ms)

    def _base_of(self, request: OrderRequest, now_ms: int) -> Decimal:
        burden = self.burden if request.side == "BUY" else ONE
        return quote_to_base(self.markets[request.symbol], request, now_ms, burden)

    def _maker_budget(self, symbol: str, bar: int) -> Decimal:
        known = self._maker_left.get(symbol)
        if known and known[0] == bar:
            return known[1]
        return ZERO if bar == NO_BAR else self.markets[symbol].path.bars.bar(bar).volume * MAKER_SHARE

    def _fills_whole(self, order: Order, now_ms: int) -> bool:
        levels = matching(self.markets[order.request.symbol], order.request, now_ms)
        available = sum((level.qty for level in levels), ZERO)
        return order.fillable == order.remaining <= available

    def _take(self, order: Order, now_ms: int) -> None:
        market = self.markets[order.request.symbol]
        for level in list(self._levels_for(order, now_ms)):
            qty = min(order.fillable, level.qty)
            if order.request.side == "BUY":
                affordable = self._spendable(order) / self.burden / level.price
                qty = min(qty, fillable_floor(affordable, market.rules.step))
            if qty <= 0:
                return
            market.ladder.eat(order.request.side, level, qty, now_ms)
            self._settle(order, level.price, qty, now_ms, is_maker=False)

    def _levels_for(self, order: Order, now_ms: int) -> Iterable[Level]:
        wanted = order.fillable
        for level in matching(self.markets[order.request.symbol], order.request, now_ms):
            if wanted <= 0:
                return
            yield level
            wanted -= level.qty

    def _spendable(self, order: Order) -> Decimal:
        bounded = order.is_limit or order.request.quote_quantity
        return order.lock if bounded else order.lock + self.account.free(self._paid_by(order.request))

    def _settle(self, order: Order, price: Decimal, qty: Decimal, now_ms: int, *, is_maker: bool) -> None:
        rules = self.markets[order.request.symbol].rules
        cost = down8(price * qty)
        rate = self.maker_fee if is_maker else self.taker_fee
        buys = order.request.side == "BUY"
        self.lists.claim(order, now_ms)
        paid, got, got_asset = (cost, qty, rules.base) if buys else (qty, cost, rules.quote)
        from_lock = self._unlocked(order, paid)
        self.account.pay(self._paid_by(order.request), from_lock, paid - from_lock)
        on_top = buys and self.terms.fee_in_quote
        fee, tax = self.terms.charges(cost if on_top else got, rate)
        third = self._third_asset_fee(cost, rate)
        self.account.receive(got_asset, got, ZERO if on_top or third else fee + tax)
        if third:
            fee = third
            self.account.charge(self.terms.fee_asset, ZERO, third)
        elif on_top:
            from_lock = self._unlocked(order, fee + tax)
            self.account.charge(rules.quote, from_lock, fee + tax - from_lock)
        order.executed += qty
        order.quote_filled += cost
        assert order.executed <= order.orig_qty
        fee_asset = self.terms.fee_asset if third else rules.quote if on_top else got_asset
        trade = Trade(len(self.trades) + 1, order.id, order.request.client_id, rules.symbol, order.request.side, price,
                      qty, cost, fee + tax, fee_asset, now_ms, is_maker, tax,
                      order.order_list.id if order.order_list else -1)  # fmt: skip
        self.trades.append(trade)
        order.trades.append(trade)
        self.account.update_ms = order.update_ms = now_ms
        order.status = Status.PARTIALLY_FILLED
        self.lists.traded(order, got, ZERO if on_top or third else fee + tax)
        if order.remaining == 0:
            self.finish(order, Status.FILLED, now_ms)
        elif order.is_limit and buys:
            still = up8(order.request.price * order.remaining * self.burden)
            self.release(order, order.lock - min(order.lock, still))
        self.tell("TRADE", order, trade, now_ms)
        if not order.is_open:
            self.lists.ended(order, now_ms)

    def _third_asset_fee(self, cost: Decimal, rate: Decimal) -> Decimal:
        """The fee in BNB or MX; 0 where none is set, or where less than it is free: then the ordinary fee is taken."""
        fee = self.terms.third_asset_fee(cost, rate)
        return fee if fee and self.account.free(self.terms.fee_asset) >= fee else ZERO

    def _unlocked(self, order: Order, amount: Decimal) -> Decimal:
        """The part of `amount` that the order's own lock pays; it is taken off the lock."""
        part = min(amount, order.lock)
        order.lock -= part
        return part

    def _paid_by(self, request: OrderRequest) -> str:
        return paid_asset(self.markets[request.symbol].rules, request.side)
