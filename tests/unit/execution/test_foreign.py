"""Who is suspected: never an order of ours whose number nobody knows yet, always one under another's name."""

from pathlib import Path

import pytest

from desk.execution import books, foreign, submit
from desk.execution.difference import Truth
from desk.venues.protocol import Side, Trade
from kit import Bench, D, bench, entry, ok


@pytest.fixture
def paper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    found = bench(home)
    books.open_books(found.desk(), "binance")
    return found


def _truth(paper: Bench, client_id: str) -> Truth:
    trade = Trade(
        trade_id="x1", symbol="BTCUSDT", order_id="55", client_order_id=client_id, side=Side.BUY, quantity=D("0.001"),
        price=D("50000"), fee=D(0), fee_asset="BTC", time_ms=paper.now_ms + 1,
    )  # fmt: skip
    return Truth(venue="binance", orders=(), trades=(trade,), balances={}, rules={"BTCUSDT": paper.rules})


@pytest.mark.parametrize(("client_id", "is_suspected"), [("", False), ("web_1", True)])
def test_while_an_order_is_unknown_a_nameless_trade_of_its_symbol_may_be_its_own(
    paper: Bench, client_id: str, is_suspected: bool
) -> None:
    paper.faults.drop_after_accept = 2
    sent = submit.submit(paper.desk(), entry(), ok)
    assert paper.intents()[sent.order_id].state == "SENT_UNKNOWN"
    desk = paper.desk()
    foreign.suspect(desk, _truth(paper, client_id))
    assert bool(desk.fold().portfolio.foreign) is is_suspected


def test_what_was_seen_is_written_down_once_and_again_when_more_is_traded(paper: Bench) -> None:
    desk, seen = paper.desk(), _truth(paper, "web_1")
    foreign.suspect(desk, seen)
    before = desk.fold().seq
    foreign.suspect(desk, seen)
    assert desk.fold().seq == before
    more = Truth(venue="binance", orders=(), trades=(*seen.trades, *_more(seen)), balances={}, rules=seen.rules)
    foreign.suspect(desk, more)
    assert desk.fold().portfolio.foreign["binance:BTCUSDT:55"].quantity == D("0.002")


def _more(seen: Truth) -> tuple[Trade, ...]:
    (first,) = seen.trades
    return (
        Trade(
            trade_id="x2", symbol=first.symbol, order_id=first.order_id, client_order_id=first.client_order_id,
            side=first.side, quantity=first.quantity, price=first.price, fee=first.fee, fee_asset=first.fee_asset,
            time_ms=first.time_ms,
        ),
    )  # fmt: skip
