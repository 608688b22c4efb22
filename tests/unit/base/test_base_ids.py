"""Ids are pure functions of their inputs: short, safe, told apart."""

import re

from hypothesis import given
from hypothesis import strategies as st

from desk.base import ids

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=20)


@given(TEXT, TEXT, TEXT, st.integers(0, 99))
def test_client_ids_fit_every_venue(instance: str, position: str, leg: str, attempt: int):
    found = ids.client_order_id(instance, position, leg, attempt)
    assert re.fullmatch(r"[a-z0-9]{32}", found)
    assert found == ids.client_order_id(instance, position, leg, attempt)
    assert ids.is_ours(found, instance)


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=4))
def test_parts_do_not_run_together(one: list[str], two: list[str]):
    assert (ids.digest(*one) == ids.digest(*two)) == (one == two)


def test_every_input_counts():
    base = ids.client_order_id("i", "p", "entry", 0)
    others = [
        ids.client_order_id("j", "p", "entry", 0), ids.client_order_id("i", "q", "entry", 0),
        ids.client_order_id("i", "p", "stop", 0), ids.client_order_id("i", "p", "entry", 1),
    ]  # fmt: skip
    assert len({base, *others}) == 5


def test_another_accounts_order_is_not_ours():
    assert not ids.is_ours(ids.client_order_id("other", "p", "entry", 0), "mine")
    assert not ids.is_ours("x" * 32, "mine")


def test_the_configured_instance_wins():
    assert ids.instance_id("desk7", "PAPER", ("binance",), ("",)) == "desk7"
    paper, live = (ids.instance_id("", mode, ("binance",), ("",)) for mode in ("PAPER", "LIVE"))
    assert paper != live


def test_a_fingerprint_is_one_way_and_short():
    assert ids.fingerprint("") == ""
    assert len(ids.fingerprint("a key")) == 12
    assert "key" not in ids.fingerprint("a key")


def test_runs_of_one_tick_differ_by_ordinal():
    assert len({ids.run_id("i", "router", 1, n) for n in range(5)}) == 5
