"""Laws that hold for any sequence of requests: money is conserved, nothing is negative, the seed decides everything."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.sim.build import SimConfig, build
from lab.sim.clock import TimeMode
from lab.sim.order_lists import ListPlan
from lab.sim.orders import Modifiers, OrderRequest
from lab.sim.rejections import Rejection

SYMBOLS = ("BTCUSDT", "ETHUSDT", "ETHBTC")
KINDS = ("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")

modifiers = st.builds(
    Modifiers,
    fill_delay_ms=st.sampled_from([0, 0, 0, 1, 30_000]),
    listing_delay_ms=st.just(0),
    fill_fraction=st.sampled_from([None, None, D(0), D("0.3"), D("0.99")]),
    empty_book=st.sampled_from([False, False, True]),
)
place = st.tuples(
    st.just("place"), st.sampled_from(SYMBOLS), st.sampled_from(["BUY", "SELL"]), st.sampled_from(KINDS),
    st.integers(-300, 300), st.integers(1, 4000), st.sampled_from(["GTC", "IOC", "FOK"]), modifiers, st.booleans(),
)  # fmt: skip
listed = st.tuples(
    st.just("list"), st.sampled_from(SYMBOLS), st.sampled_from(["OCO", "OTO", "OTOCO", "OPO", "OPOCO"]),
    st.integers(-40, 40), st.integers(60, 3000), st.sampled_from(["GTC", "IOC", "FOK"]),
    st.sampled_from([0, 0, 10, 50]), st.builds(replace, modifiers, pending_delay_ms=st.sampled_from([0, 0, 5000])),
)  # fmt: skip
step = st.one_of(
    place,
    listed,
    st.tuples(st.just("advance"), st.sampled_from([1, 999, 60_000, 3_600_000])),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("lift")),
)


def exchange_for(seed, venue="binance"):
    balances = {"USDT": D(50_000), "BTC": D(1), "ETH": D(10)}
    return build(SimConfig(venue=venue, symbols=SYMBOLS, mode=TimeMode.STEP, seed=seed, balances=balances))[0]


def request_for(exchange, symbol, side, kind, offset_bp, size, force, by_quote, number):
    rules, price = exchange.markets[symbol].rules, exchange.markets[symbol].path.price_at(exchange.now_ms)
    near = (price * (10_000 + offset_bp) / 10_000).quantize(rules.tick)
    notional = rules.min_notional * size / 10
    quantity = (notional / price).quantize(rules.step)
    stop = near if kind.startswith(("STOP", "TAKE")) else D(0)
    limit = near if kind in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT") else D(0)
    quoted = by_quote and kind == "MARKET"
    return OrderRequest(
        symbol, side, kind, f"h{number}", D(0) if quoted else quantity, notional if quoted else D(0), limit, stop, force
    )


def plan_for(exchange, symbol, kind, offset_bp, size, force, trailing_bps, number):
    """A list near the price: buys `offset_bp` away, target and stop half a percent around it."""
    rules, price = exchange.markets[symbol].rules, exchange.markets[symbol].path.price_at(exchange.now_ms)

    def at(basis_points):
        return (price * (10_000 + basis_points) / 10_000).quantize(rules.tick)

    quantity = (rules.min_notional * size / 10 / price).quantize(rules.step)
    sold = D(0) if kind.startswith("OPO") else quantity if number % 3 else quantity - rules.step
    target = OrderRequest(symbol, "SELL", "LIMIT_MAKER", f"t{number}", sold, price=at(50))
    stop = OrderRequest(symbol, "SELL", "STOP_LOSS_LIMIT", f"s{number}", sold, price=at(-70), stop_price=at(-50),
                        trailing_bps=D(trailing_bps))  # fmt: skip
    working = OrderRequest(symbol, "BUY", "LIMIT", f"w{number}", quantity, price=at(offset_bp), time_in_force=force)
    exits = (target, stop) if kind.endswith("OCO") else (stop,)
    return ListPlan(f"l{number}", None if kind == "OCO" else working, exits, kind.startswith("OPO"))


def play(exchange, steps):
    accepted = 0
    for number, (what, *rest) in enumerate(steps):
        if what == "advance":
            exchange.advance(rest[0])
        elif what == "lift":
            exchange.engine.lift_caps()
        elif what == "cancel":
            opened = exchange.engine.open_orders()
            if opened and exchange.venue == "btcturk":
                late = Modifiers(fill_delay_ms=rest[0] % 3, fill_fraction=D("0.4") if rest[0] % 2 else None)
                exchange.engine.cancel_later(opened[rest[0] % len(opened)], exchange.now_ms, 1, late)
            elif opened:
                exchange.engine.cancel(opened[rest[0] % len(opened)], exchange.now_ms)
        elif what == "list":
            symbol, kind, offset, size, force, trailing, changes = rest
            rules = exchange.markets[symbol].rules
            plan = plan_for(exchange, symbol, kind, offset, size, force, trailing, number)
            try:
                exchange.engine.lists.place(plan, exchange.now_ms, rules, changes)
                accepted += 1
            except Rejection:
                pass
            exchange.sync()
        else:
            symbol, side, kind, offset, size, force, changes, by_quote = rest
            wanted = request_for(exchange, symbol, side, kind, offset, size, force, by_quote, number)
            try:
                exchange.engine.place(wanted, exchange.now_ms, exchange.markets[symbol].rules, changes)
                accepted += 1
            except Rejection:
                pass
        check_laws(exchange)
    return accepted


def check_laws(exchange):
    expected = {asset: dict(row) for asset, row in exchange.ledger().items()}
    flow = defaultdict(D)
    for trade in exchange.engine.trades:
        rules = exchange.markets[trade.symbol].rules
        sign = 1 if trade.side == "BUY" else -1
        flow[rules.base] += sign * trade.qty
        flow[rules.quote] -= sign * trade.quote_qty
        flow[trade.commission_asset] -= trade.commission
    locked = defaultdict(D)
    for order in exchange.engine.orders:
        assert order.lock >= 0 and order.executed <= order.orig_qty
        assert order.executed == sum((trade.qty for trade in order.trades), D(0))
        assert order.is_open or order.lock == 0
        rules = exchange.markets[order.request.symbol].rules
        locked[rules.quote if order.request.side == "BUY" else rules.base] += order.lock
    for one in exchange.engine.lists.all:
        locked[exchange.markets[one.symbol].rules.base] += one.reserve
        check_list(one)
    for asset, balance in exchange.account.balances.items():
        assert balance.free >= 0 and balance.locked >= 0
        assert balance.locked == locked[asset]
        assert balance.free + balance.locked == D(expected[asset]["initial"]) + flow[asset]


def check_list(one):
    """One leg of a pair at most trades; exits trade only after a working order that is whole; a done list is still."""
    assert sum(bool(leg.executed) for leg in one.exits) <= 1
    waits = one.working is not None and one.working.status.value != "FILLED"
    for leg in one.exits:
        assert not (waits and (leg.executed or leg.lock))
        assert not (leg.is_pending and leg.lock)
    assert (one.status == "ALL_DONE") == (not any(leg.is_open for leg in one.legs))
    assert one.reserve == 0 or (one.pays_itself and one.status == "EXECUTING")
    standing = [leg for leg in one.exits if leg.is_open and not leg.is_pending]
    if len(standing) == 2:
        assert min(leg.lock for leg in standing) == 0 and not any(leg.executed for leg in standing)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(step, min_size=1, max_size=25))
def test_money_is_conserved_whatever_is_sent(steps):
    play(exchange_for(7), steps)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(step, min_size=1, max_size=25))
def test_money_is_conserved_with_fees_in_the_quote_and_cancels_that_take_time(steps):
    play(exchange_for(7, "btcturk"), steps)


@pytest.mark.parametrize("venue", ["binance", "btcturk"])
def test_a_long_busy_day_is_conserved_and_really_trades(venue):
    import random

    source = random.Random(5)
    steps = []
    for _ in range(500):
        steps.append(
            ("place", source.choice(SYMBOLS), source.choice(["BUY", "SELL"]), source.choice(KINDS),
             source.randint(-60, 60), source.randint(10, 3000), source.choice(["GTC", "IOC", "FOK"]),
             Modifiers(fill_delay_ms=source.choice([0, 0, 5000])), source.random() < 0.3)
        )  # fmt: skip
        steps.append(("advance", source.choice([1, 1000, 60_000, 600_000])))
        if source.random() < 0.3:
            steps.append(("cancel", source.randint(0, 50)))
    exchange = exchange_for(3, venue)
    accepted = play(exchange, steps)
    assert accepted > 50 and len(exchange.engine.trades) > 50
    assert any(trade.is_maker for trade in exchange.engine.trades)


def test_a_busy_day_of_lists_is_conserved_and_every_end_is_seen():
    import random

    source, seen = random.Random(11), set()
    exchange = exchange_for(3)
    steps = []
    for _ in range(400):
        changes = Modifiers(fill_delay_ms=source.choice([0, 0, 5000]), pending_delay_ms=source.choice([0, 0, 5000]),
                            fill_fraction=source.choice([None, None, None, D("0.4")]))  # fmt: skip
        steps.append(
            ("list", source.choice(SYMBOLS), source.choice(["OCO", "OTO", "OTOCO", "OPO", "OPOCO"]),
             source.randint(-100, 20), source.randint(60, 3000), source.choice(["GTC", "IOC", "FOK"]),
             source.choice([0, 0, 10, 50]), changes)
        )  # fmt: skip
        steps.append(("advance", source.choice([1, 1000, 60_000, 600_000, 3_600_000])))
        if source.random() < 0.3:
            steps.append(("cancel", source.randint(0, 50)))
    play(exchange, steps)
    for one in exchange.engine.lists.all:
        seen |= {(leg.request.type, leg.status.value, leg.expiry_reason) for leg in one.exits}
    assert len(exchange.engine.lists.all) > 100
    for end in (("LIMIT_MAKER", "FILLED", ""), ("STOP_LOSS_LIMIT", "FILLED", ""), ("STOP_LOSS_LIMIT", "CANCELED", ""),
                ("LIMIT_MAKER", "EXPIRED", "OCO_TRIGGER"), ("STOP_LOSS_LIMIT", "EXPIRED", "OCO_TRIGGER"),
                ("STOP_LOSS_LIMIT", "EXPIRED", "OTO_PHASE_ONE_EXPIRED"),
                ("STOP_LOSS_LIMIT", "EXPIRED", "REJECTED")):  # fmt: skip
        assert end in seen


def drive(client):
    bid, ask = client.best()
    client.order("BUY", "MARKET", quantity="0.02")
    client.limit("BUY", round(bid * 0.9995, 2), "0.01")
    client.sim.fault("late_fill", method="POST", arg=7)
    client.limit("BUY", round(ask * 1.001, 2), "0.01")
    for _ in range(20):
        client.sim.advance(60_000)
        client.public("/api/v3/depth", symbol="BTCUSDT")
        client.order("SELL", "MARKET", quantity="0.0005")
    return client.sim.books(), client.public("/api/v3/depth", symbol="BTCUSDT").text


def test_same_seed_same_books_other_seed_other_books(make):
    first, second, other = drive(make(seed=11)), drive(make(seed=11)), drive(make(seed=12))
    assert first == second
    assert first != other
    assert len(first[0]["trades"]) >= 20


def test_requests_do_not_change_the_market(make):
    quiet, busy = make(seed=4), make(seed=4)
    busy.order("BUY", "MARKET", quantity="0.05")
    for client in (quiet, busy):
        client.sim.advance(120_000)
    ask = {"symbol": "BTCUSDT", "interval": "1m", "limit": 100}
    assert quiet.public("/api/v3/klines", **ask).json() == busy.public("/api/v3/klines", **ask).json()
    depth = [client.public("/api/v3/depth", symbol="BTCUSDT").json() for client in (quiet, busy)]
    assert depth[0]["asks"] == depth[1]["asks"]
