"""Money no trade explains, and fees in an asset of the exchange's own: deposits, withdrawals, BNB and MX."""

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from lab.sim.build import SimConfig, build
from lab.sim.rejections import SimConfigError


def _buy(client: Any, quantity: str = "0.01") -> None:
    kind = {"quoteOrderQty": "600"} if client.sim.exchange.venue == "mexc" else {"quantity": quantity}
    answer = client.order("BUY", "MARKET", **kind)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("venue", "asset"), [("binance", "BNB"), ("mexc", "MX")])
def test_fees_come_from_the_exchanges_own_asset_while_it_lasts(
    make: Callable[..., Any], venue: str, asset: str
) -> None:
    client = make(venue=venue, balances={asset: "0.0015", "USDT": "10000"}, fee_asset=asset, fee_asset_price=600)
    _buy(client)
    first, *_ = client.sim.books()["trades"]
    cost = D(first["price"]) * D(first["qty"])
    assert first["commissionAsset"] == asset and D(first["commission"]) == pytest.approx(
        cost / 1000 / 600, abs=D("1e-8")
    )
    bought = sum(D(trade["qty"]) for trade in client.sim.books()["trades"])
    assert D(client.sim.books()["balances"]["BTC"]["free"]) == bought, "nothing was taken out of what was bought"
    _buy(client)
    assert client.sim.books()["trades"][-1]["commissionAsset"] == "BTC", "not enough left: the ordinary fee"
    told = client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json()
    assert {trade["commissionAsset"] for trade in told} == {asset, "BTC"}


def test_a_transfer_moves_a_balance_and_no_trade_says_so(make: Callable[..., Any]) -> None:
    client = make()
    assert client.sim.transfer("BTC", "0.5") == D("0.5")
    assert client.sim.transfer("SOL", "3") == D(3)
    assert client.sim.transfer("USDT", "-9999.5") == D("0.5")
    with pytest.raises(ValueError, match="only"):
        client.sim.transfer("USDT", "-1")
    shown = {row["asset"]: row["free"] for row in client.signed("GET", "/api/v3/account").json()["balances"]}
    assert (D(shown["BTC"]), D(shown["USDT"]), D(shown["SOL"])) == (D("0.5"), D("0.5"), D(3))
    assert client.sim.books()["trades"] == []


def test_a_transfer_over_http_says_what_it_wants(make: Callable[..., Any]) -> None:
    client = make()
    good = client.session.post(f"{client.sim.admin_url}/sim/transfer", json={"asset": "BTC", "amount": "0.25"})
    assert good.json() == {"asset": "BTC", "free": "0.25000000"}
    for bad in ({"asset": "BTC"}, {"asset": "BTC", "amount": "many"}, {"asset": "BTC", "amount": "NaN"}):
        answer = client.session.post(f"{client.sim.admin_url}/sim/transfer", json=bad)
        assert answer.status_code == 400 and "transfer wants" in answer.json()["error"]


def test_a_fee_asset_btcturk_does_not_know_or_without_a_price_is_refused() -> None:
    with pytest.raises(SimConfigError, match="quote currency"):
        build(SimConfig(venue="btcturk", symbols=("BTCUSDT",), fee_asset="BNB"))
    with pytest.raises(SimConfigError, match="above 0"):
        build(SimConfig(fee_asset="BNB", fee_asset_price=D(0)))
