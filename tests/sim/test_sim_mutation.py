"""The damaged answers of the simulator: deterministic, damaged, and the exchange itself untouched by them."""

import json

import pytest

from lab.sim import mutation

TEXT = json.dumps({"symbol": "BTCUSDT", "orderId": 7, "price": "1.50", "fills": [{"qty": "0.1", "maker": True}]})


@pytest.mark.parametrize("damage", mutation.DAMAGES)
def test_the_same_seed_does_the_same_damage_and_damage_it_is(damage: str) -> None:
    damaged = [mutation.mutate(TEXT, seed, damage) for seed in range(40)]
    assert damaged == [mutation.mutate(TEXT, seed, damage) for seed in range(40)]
    assert len(set(damaged)) >= 4
    assert damaged.count(TEXT.encode()) == 0


def test_a_text_without_values_or_keys_is_damaged_too() -> None:
    for damage in mutation.DAMAGES:
        assert isinstance(mutation.mutate("[]", 3, damage), bytes)


def test_a_damaged_answer_follows_an_order_that_was_taken(client) -> None:
    for seed in range(6):
        client.sim.fault("mutate_body", method="POST", path="/api/v3/order", arg=seed)
        answer = client.order("BUY", "MARKET", quantity="0.01", newClientOrderId=f"m{seed}")
        assert client.sim.requests()[-1]["outcome"] == "mutate_body" and answer.status_code == 200
    assert [order["status"] for order in client.sim.books()["orders"]] == ["FILLED"] * 6
