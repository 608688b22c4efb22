"""What a signal file may say, line by line: each way to be wrong has its own code."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.base import clock, ids
from desk.base.errors import BadInput
from desk.config.schema import Config
from desk.risk.decision import Kind
from desk.strategies import signal_rules
from desk.strategies.signal_rules import InboxLimits, Refused
from desk.venues.protocol import Side

NOW_MS = clock.parse_iso("2026-03-01T12:00:00+00:00")
LIMITS = InboxLimits.of(Config())
ENTRY = {
    "id": "s-1", "source": "scanner", "venue": "binance", "symbol": "BTCUSDT", "side": "BUY", "kind": "ENTRY",
    "notional_quote": "50", "edge_bps": "60.5", "stop_price": "100", "target_price": "120",
    "created_at": "2026-03-01T11:59:00+00:00", "expires_at": "2026-03-01T13:00:00+00:00",
}  # fmt: skip
EXIT = {key: value for key, value in ENTRY.items() if key != "notional_quote"} | {
    "side": "SELL", "kind": "EXIT", "edge_bps": None, "stop_price": None, "target_price": None,
}  # fmt: skip


def _read(body: dict[str, Any], **changes: Any) -> Any:
    return signal_rules.read(json.dumps(body | changes).encode(), "a.json", NOW_MS, LIMITS)


def _without(body: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in keys}


def test_an_entry_becomes_a_decision() -> None:
    found = _read(ENTRY)
    occasion = "s-1@2026-03-01T11:59:00.000+00:00"
    assert found.decision_id == ids.decision_id("signal", "1", "binance", "BTCUSDT", "BUY", occasion)
    assert (found.strategy, found.version, found.occasion) == ("signal:scanner", "1", occasion)
    assert (found.side, found.kind, found.signal_file) == (Side.BUY, Kind.ENTRY, "a.json")
    assert (found.notional_quote, found.quantity) == (Decimal(50), None)
    assert (found.edge_bps, found.stop_price, found.target_price) == (Decimal("60.5"), Decimal(100), Decimal(120))
    assert (found.created_ms, found.expires_ms) == (NOW_MS - 60_000, NOW_MS + 3_600_000)


def test_the_same_moment_written_otherwise_is_the_same_decision() -> None:
    again = _read(ENTRY, created_at="2026-03-01T14:59:00.000+03:00", edge_bps=70)
    assert again.decision_id == _read(ENTRY).decision_id
    assert _read(ENTRY, created_at="2026-03-01T11:59:00Z").decision_id == _read(ENTRY).decision_id
    assert _read(ENTRY, created_at="2026-03-01T11:59:00.001Z").decision_id != _read(ENTRY).decision_id
    assert _read(ENTRY, id="s-2").decision_id != _read(ENTRY).decision_id


def test_null_or_absent_levels_and_whole_numbers_are_fine() -> None:
    found = _read(_without(ENTRY, "stop_price", "notional_quote"), target_price=None, quantity=2, edge_bps=30)
    assert (found.stop_price, found.target_price, found.quantity, found.edge_bps) == (None, None, 2, 30)


def test_an_exit_names_a_quantity_or_means_the_whole_position() -> None:
    assert (_read(EXIT).quantity, _read(EXIT).kind) == (None, Kind.EXIT)
    assert _read(EXIT, quantity="0.25").quantity == Decimal("0.25")
    assert _read(_without(EXIT, "edge_bps")).edge_bps == 0
    levels = _read(EXIT, stop_price="5", target_price="1")
    assert (levels.stop_price, levels.target_price) == (None, None)


HOURS_168 = 168 * 3600 * 1000
WRONG = [
    ("bad_id", {"id": ""}), ("bad_id", {"id": "a b"}), ("bad_id", {"id": "x" * 65}), ("bad_id", {"id": "a\n"}),
    ("bad_id", {"id": "ä"}), ("bad_id", {"source": "../x"}),
    ("venue_not_listed", {"venue": "mexc"}), ("venue_not_listed", {"venue": "BINANCE"}),
    ("symbol_not_listed", {"symbol": "ETHUSDT"}), ("symbol_not_listed", {"symbol": "btcusdt"}),
    ("wrong_side", {"side": "SELL"}), ("wrong_side", {"kind": "EXIT", "notional_quote": None}),
    ("bad_size", {"quantity": "1"}), ("bad_size", {"notional_quote": None}),
    ("bad_size", {"kind": "EXIT", "side": "SELL"}),
    ("not_positive", {"notional_quote": "0"}), ("not_positive", {"notional_quote": -5}),
    ("not_positive", {"stop_price": "0"}), ("not_positive", {"target_price": "-1"}),
    ("no_edge", {"edge_bps": None}),
    ("bad_levels", {"stop_price": "120"}), ("bad_levels", {"stop_price": "121"}),
    ("from_future", {"created_at": "2026-03-01T12:00:05.001+00:00"}),
    ("bad_life", {"expires_at": "2026-03-01T11:59:00+00:00"}),
    ("life_too_long", {"expires_at": "2026-03-08T11:59:00.001+00:00"}),
    ("too_old", {"created_at": "2026-02-22T11:59:59.999+00:00", "expires_at": "2026-03-01T11:00:00+00:00"}),
    ("expired", {"expires_at": "2026-03-01T12:00:00+00:00"}),
    ("bad_time", {"created_at": "2026-03-01T11:59:00"}), ("bad_time", {"expires_at": "tomorrow"}),
    ("bad_time", {"created_at": "2026-03-01"}), ("bad_time", {"created_at": ""}),
    ("bad_number", {"edge_bps": "NaN"}), ("bad_number", {"edge_bps": "Infinity"}), ("bad_number", {"edge_bps": ""}),
    ("bad_number", {"notional_quote": "1_000"}), ("bad_number", {"notional_quote": " 50"}),
    ("bad_number", {"notional_quote": "\u0665\u0660"}), ("bad_number", {"notional_quote": "1" * 65}),
    ("bad_number", {"notional_quote": "1e99"}), ("bad_number", {"stop_price": "0x10"}),
    ("malformed", {"notional_quote": 50.5}), ("malformed", {"edge_bps": 60.0}), ("malformed", {"quantity": True}),
    ("malformed", {"side": "buy"}), ("malformed", {"kind": "HEDGE"}), ("malformed", {"id": 7}),
    ("malformed", {"venue": None}), ("malformed", {"leverage": "10"}), ("malformed", {"created_at": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "changes"), WRONG, ids=[f"{reason}-{change}"[:60] for reason, change in WRONG])
def test_each_way_to_be_wrong_has_its_code(reason: str, changes: dict[str, Any]) -> None:
    _read(ENTRY)  # it is the change that is wrong
    with pytest.raises(Refused) as refused:
        _read(ENTRY, **changes)
    assert refused.value.code == f"signal:{reason}"
    assert refused.value.detail
    assert "\n" not in refused.value.line()


def test_the_last_millisecond_that_is_still_right() -> None:
    assert _read(ENTRY, created_at="2026-03-01T12:00:05.000+00:00").created_ms == NOW_MS + 5000
    assert _read(ENTRY, expires_at="2026-03-01T12:00:00.001+00:00").expires_ms == NOW_MS + 1
    assert _read(ENTRY, expires_at="2026-03-08T11:59:00+00:00").expires_ms == NOW_MS - 60_000 + HOURS_168
    aged = {"created_at": "2026-02-22T12:00:00+00:00", "expires_at": "2026-03-01T12:00:00+00:00"}
    with pytest.raises(Refused, match="expires_at has passed"):  # 168 h old to the millisecond is not too old
        _read(ENTRY, **aged)


@pytest.mark.parametrize("key", ["id", "source", "venue", "symbol", "side", "kind", "created_at", "expires_at"])
def test_a_missing_key_is_malformed_and_named(key: str) -> None:
    with pytest.raises(Refused, match=key) as refused:
        _read(_without(ENTRY, key))
    assert refused.value.code == "signal:malformed"


def test_every_code_is_listed_once_with_its_meaning_and_a_refusal_is_bad_input() -> None:
    listed = [code for code, _, _ in signal_rules.CHECKS]
    assert len(listed) == len(set(listed))
    assert {f"signal:{reason}" for reason, _ in WRONG} | {
        "signal:unreadable", "signal:too_large", "signal:duplicate",
    } == set(signal_rules.CODES)  # fmt: skip
    assert all(signal_rules.CODES.values())
    assert issubclass(Refused, BadInput)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None)
@given(st.one_of(st.binary(max_size=300), _json.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_are_refused_with_a_listed_code(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        signal_rules.read(raw, "a.json", NOW_MS, LIMITS)
    assert refused.value.code in signal_rules.CODES


@settings(derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from([*ENTRY, "quantity"]), _json | st.sampled_from(["1", "-1", "1e9"]), max_size=4))
def test_any_value_in_any_key_is_a_sound_decision_or_a_listed_refusal(changes: dict[str, Any]) -> None:
    try:
        found = _read(ENTRY, **changes)
    except Refused as refused:
        found, code = None, refused.code
    if found is None:
        assert code in signal_rules.CODES
        return
    assert (found.venue, found.symbol) == ("binance", "BTCUSDT")
    assert found.side is (Side.BUY if found.kind is Kind.ENTRY else Side.SELL)
    assert NOW_MS < found.expires_ms <= NOW_MS + HOURS_168 + 5000
