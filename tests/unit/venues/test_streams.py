"""Stream messages in our words, the picture with its true ages, the life of a connection, what consumers may use."""

import json
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.base.paths import Home
from desk.config.schema import Config, Streams
from desk.state import store
from desk.venues import stream_files
from desk.venues.protocol import Bar, Book, Level, OrderStatus
from desk.venues.stream_files import NO_STREAM
from desk.venues.stream_parse import AccountNote, Best, Depth, Goodbye, Kline, Nothing, OrderNote, Traded, heard
from desk.venues.stream_picture import Picture
from desk.venues.stream_watch import Phase, Watch

NOW = 1_767_571_200_000
MINUTE = 60_000

# every recorded WebSocket case of Binance -> what it must be read as
EVENTS: dict[str, Any] = {
    "streams/agg_trade": Traded(symbol="BNBBTC", price=D("0.001"), event_ms=1672515782136),
    "streams/trade": Traded(symbol="BNBBTC", price=D("0.001"), event_ms=1672515782136),
    "streams/book_ticker": Best(
        symbol="BNBUSDT", bid=Level(D("25.35190000"), D("31.21000000")), ask=Level(D("25.36520000"), D("40.66000000"))
    ),
    "streams/ticker": Best(
        symbol="BNBBTC", bid=Level(D("0.0024"), D(10)), ask=Level(D("0.0026"), D(100)), event_ms=1672515782136
    ),
    "streams/mini_ticker": Nothing(what="24hrMiniTicker", event_ms=1672515782136),
    "streams/diff_depth": Nothing(what="depthUpdate", event_ms=1672515782136),
    "streams/kline": Kline(
        symbol="BNBBTC", interval_s=60, closed=False, event_ms=1672515782136,
        bar=Bar(1672515780000, D("0.0010"), D("0.0025"), D("0.0015"), D("0.0020"), D(1000)),
    ),
    "streams/subscribe_response": Nothing(what="answer"),
    "streams/server_shutdown_raw": Goodbye(what="serverShutdown", event_ms=1770123456789),
    "ws_api/server_shutdown": Goodbye(what="serverShutdown", event_ms=1770123456789),
    "ws_api/event_envelope": AccountNote(what="outboundAccountPosition", event_ms=1728972148778),
    "ws_api/uds_subscribe_response": Nothing(what="answer"),
    "ws_api/uds_subscribe_signature_response": Nothing(what="answer"),
    "ws_api/session_logon_response": Nothing(what="answer"),
    "ws_api/rate_limits_block": Nothing(what="answer"),
    "ws_api/banned_418": Nothing(what="answer"),
    "user_data/balance_update": AccountNote(what="balanceUpdate", event_ms=1573200697110),
    "user_data/event_stream_terminated": Goodbye(what="eventStreamTerminated", event_ms=1728973001334),
    "user_data/outbound_account_position": AccountNote(what="outboundAccountPosition", event_ms=1564034571105),
    "user_data/nt_account_position_wrapped": AccountNote(what="outboundAccountPosition", event_ms=1564034571105),
    "captured/ws_agg_trade": Traded(symbol="ETHUSDT", price=D("1632.46000000"), event_ms=1675759520848),
    "captured/ws_trade": Traded(symbol="ETHUSDT", price=D("4149.74000000"), event_ms=1639351062244),
    "captured/ws_ticker_book": Best(
        symbol="ETHUSDT", bid=Level(D("4507.24000000"), D("2.35950000")),
        ask=Level(D("4507.25000000"), D("2.84570000")), event_ms=1646199228123,
    ),
}  # fmt: skip
ORDERS = {  # case -> (client order id, what, status, cumulative executed)
    "user_data/execution_report_new": ("mUvoqJxFIILMdfAW5iGSOW", "NEW", OrderStatus.NEW, "0.00000000"),
    "user_data/nt_execution_report_wrapped": ("mUvoqJxFIILMdfAW5iGSOW", "NEW", OrderStatus.NEW, "0.00000000"),
    "user_data/nt_execution_report_trade": ("x-TD67BGP9-T0000000000000", "TRADE", OrderStatus.FILLED, "1.00000000"),
    "captured/ws_execution_report_new": ("O-12345-test-new", "NEW", OrderStatus.NEW, "0.00000000"),
    "captured/ws_execution_report_canceled": (
        "O-12345-test-cancel", "CANCELED", OrderStatus.CANCELED, "0.10000000"),
    "captured/ws_execution_report_expired": ("O-12345-test-expired", "EXPIRED", OrderStatus.EXPIRED, "0.00000000"),
    "captured/ws_execution_report_trade": (
        "O-12345-test-trade", "TRADE", OrderStatus.PARTIALLY_FILLED, "0.50000000"),
}  # fmt: skip
OTHERWISE = {  # case -> why it is read by something else
    "streams/partial_depth": "names no symbol: only with its stream's name, tested below",
    "streams/subscribe_request": "a request; python-binance's combined stream names its streams in the URL",
    "ws_api/order_cancel_response": "orders go over REST alone", "ws_api/order_place_ack": "orders go over REST alone",
    "ws_api/order_place_request": "orders go over REST alone",
    "ws_api/order_place_response_error": "orders go over REST alone",
    "ws_api/order_place_response_ok": "orders go over REST alone",
    "ws_api/order_status_response": "orders are looked up over REST alone",
    "ws_api/session_logon_request": "python-binance subscribes with a signature, which takes any key and no logon",
    "ws_api/uds_subscribe_request": "wants a logon",
    "ws_api/uds_subscribe_signature_request": "made and signed by python-binance; the simulator checks it",
}  # fmt: skip


def body(shared: Path, venue: str, case: str) -> Any:
    return json.loads((shared / "data" / "contracts" / venue / f"{case}.json").read_text())["body"]


@pytest.mark.parametrize("case", EVENTS)
def test_every_recorded_event_is_read(shared: Path, case: str) -> None:
    assert heard(body(shared, "binance", case)) == EVENTS[case]


@pytest.mark.parametrize("case", ORDERS)
def test_every_recorded_order_event_is_read(shared: Path, case: str) -> None:
    note = heard(body(shared, "binance", case))
    assert isinstance(note, OrderNote)
    assert (note.client_order_id, note.what, note.status, note.executed) == (*ORDERS[case][:3], D(ORDERS[case][3]))


def test_no_recorded_case_is_left_out(shared: Path) -> None:
    folder = shared / "data" / "contracts" / "binance"
    files = [path for part in ("streams", "user_data", "ws_api") for path in (folder / part).glob("*.json")]
    found = {f"{path.parent.name}/{path.stem}" for path in [*files, *(folder / "captured").glob("ws_*.json")]}
    assert found == {*EVENTS, *ORDERS, *OTHERWISE}


def test_venues_whose_frames_no_library_here_reads_say_so(shared: Path) -> None:
    """MEXC's JSON is protobuf on the wire; BTCTurk's frames want keys of their own. Both go by REST."""
    kinds = {json.loads(path.read_text())["kind"] for path in (shared / "data/contracts/mexc/proto").glob("*.json")}
    assert kinds == {"ws_binary_frame"} and "protobuf" in NO_STREAM["mexc"]
    login = json.loads((shared / "data/contracts/btcturk/websocket.json").read_text())["login_note"]
    assert "WebSocket keys are created separately" in login and "keys of its own" in NO_STREAM["btcturk"]
    for case in ("book_ticker", "kline", "limit_depth", "private_orders"):  # nobody mistakes them for ours
        with pytest.raises(ValueError, match="no event"):
            heard(body(shared, "mexc", f"ws/{case}"))


def test_partial_depth_has_its_symbol_from_its_stream(shared: Path) -> None:
    bare = body(shared, "binance", "streams/partial_depth")
    with pytest.raises(ValueError, match="stream's name"):
        heard(bare)
    seen = heard({"stream": "bnbbtc@depth20@100ms", "data": bare})
    assert seen == Depth(symbol="BNBBTC", bids=(Level(D("0.0024"), D(10)),), asks=(Level(D("0.0026"), D(100)),))


def test_in_a_cancel_the_original_id_counts(shared: Path) -> None:
    event = body(shared, "binance", "captured/ws_execution_report_canceled")
    event["data"] |= {"c": "the-cancel", "C": "the-order"}
    note = heard(event)
    assert isinstance(note, OrderNote) and note.client_order_id == "the-order"


def test_an_unknown_status_is_kept_as_unrecognised_and_a_list_status_is_a_note() -> None:
    report = {
        "e": "executionReport",
        "E": 1,
        "s": "X",
        "c": "a",
        "C": "",
        "x": "NEW",
        "X": "DREAMING",
        "i": 1,
        "z": "0",
    }
    note = heard({"subscriptionId": 0, "event": report})
    assert isinstance(note, OrderNote) and note.status is OrderStatus.UNRECOGNISED
    assert heard({"subscriptionId": 0, "event": {"e": "listStatus", "E": 5}}) == AccountNote(
        what="listStatus", event_ms=5
    )


WORDS = ["stream", "data", "event", "id", "result", "bids", "asks", *"eEskbBaAuxXcCzip"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=8,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON, st.sampled_from([None, *sorted({"kline", "executionReport", "24hrTicker", "trade", "serverShutdown"})]))
def test_whatever_arrives_is_read_or_is_a_value_error(raw: Any, word: str | None) -> None:
    if word and isinstance(raw, dict):
        raw = raw | {"e": word}
    try:
        heard(raw)
    except ValueError:
        return


# -- the picture and its ages


def depth(bid: str = "100", ask: str = "101", symbol: str = "BTCUSDT") -> Depth:
    return Depth(symbol=symbol, bids=(Level(D(bid), D(1)),), asks=(Level(D(ask), D(1)),))


def kline(open_ms: int, event_ms: int, close: str = "100", *, closed: bool = False) -> Kline:
    bar = Bar(open_ms, D(100), D(102), D(98), D(close), D(7))
    return Kline(symbol="BTCUSDT", interval_s=60, bar=bar, closed=closed, event_ms=event_ms)


def picture(**more: Any) -> Picture:
    made = Picture("binance", ("BTCUSDT", "ETHUSDT"), 60, 5)
    made.offset_ms = more.get("offset_ms", 0)
    return made


def test_a_time_of_the_exchange_counts_in_our_clock_and_never_lies_ahead_of_the_arrival() -> None:
    seen = picture(offset_ms=400)
    seen.take(kline(NOW - MINUTE, NOW), NOW + 100)  # exchange time NOW is ours NOW - 400
    assert seen.symbols["BTCUSDT"].bars_ms == NOW - 400
    seen.take(kline(NOW - MINUTE, NOW + 9000), NOW + 200)
    assert seen.symbols["BTCUSDT"].bars_ms == NOW + 200


def test_a_message_without_a_time_is_as_late_as_its_neighbours() -> None:
    seen = picture()
    seen.take(depth(), NOW)
    assert seen.symbols["BTCUSDT"].book_ms == NOW  # nothing is known of a delay yet: its arrival
    seen.take(kline(NOW - MINUTE, NOW - 29_000), NOW + 1000)  # 30 s late
    seen.take(depth("90", "91"), NOW + 1000)
    assert seen.symbols["BTCUSDT"].book_ms == NOW - 29_000 and seen.symbols["BTCUSDT"].bids[0].price == D(90)
    seen.take(kline(NOW - MINUTE, NOW + 31_000), NOW + 31_000)  # the delay is over
    seen.take(depth("95", "96"), NOW + 31_000)
    assert seen.symbols["BTCUSDT"].book_ms == NOW + 31_000


def test_older_data_never_replaces_newer() -> None:
    seen = picture()
    seen.take(depth("100", "101"), NOW)
    seen.take(depth("90", "91"), NOW - 1)
    assert seen.symbols["BTCUSDT"].bids[0].price == D(100)


def test_the_venues_age_is_that_of_its_stalest_symbol() -> None:
    seen = picture()
    seen.take(depth(), NOW)
    assert seen.data_ms() == 0
    seen.take(depth(symbol="ETHUSDT"), NOW - 500)
    assert seen.data_ms() == NOW - 500


def test_candles_count_only_when_their_end_was_seen() -> None:
    seen = picture()
    known = seen.symbols["BTCUSDT"]
    seen.take(kline(NOW, NOW + 30_000), NOW + 30_000)
    seen.take(kline(NOW + MINUTE, NOW + MINUTE + 1000), NOW + MINUTE + 1000)  # the end of the first was not seen
    assert [bar.open_ms for bar in known.whole_bars()] == [NOW + MINUTE]
    seen.take(kline(NOW, NOW + MINUTE + 2000, closed=True), NOW + MINUTE + 2000)
    assert [bar.open_ms for bar in known.whole_bars()] == [NOW, NOW + MINUTE]
    seen.begin()  # a new connection: what went on in between is not known
    assert known.whole_bars() == []


def test_rest_fills_the_gap_and_does_not_undo_what_the_stream_showed() -> None:
    seen = picture()
    known = seen.symbols["BTCUSDT"]
    seen.take(kline(NOW, NOW + 30_000, "105"), NOW + 30_000)
    told = [Bar(NOW - place * MINUTE, D(1), D(1), D(1), D(1), D(1)) for place in range(7, -1, -1)]
    known.take_bars(told, NOW + 29_000, NOW + 29_000, 60)  # asked before, answered after
    assert [bar.close for bar in known.whole_bars()] == [D(1)] * 4 + [D(105)]  # five are kept


# -- the life of a connection


def test_back_off_then_rest_then_every_ten_minutes() -> None:
    watch, now, waits = Watch(Streams()), NOW, []
    for _ in range(7):
        assert watch.may_open(now)
        watch.lost(now, "refused")
        waits.append((watch.next_try_ms - now) // 1000)
        assert not watch.may_open(watch.next_try_ms - 1)
        now = watch.next_try_ms
    assert waits == [1, 2, 4, 8, 16, 600, 600] and watch.phase is Phase.REST


def test_only_data_ends_the_count_of_tries_a_socket_alone_does_not() -> None:
    watch, now = Watch(Streams()), NOW
    for wait_s in (1, 2, 4):
        watch.opened(now)
        assert watch.must_close(now + 10_000) == ""
        assert watch.must_close(now + 10_001) == "no data for 10 s"
        watch.lost(now + 10_001, "no data")
        assert watch.next_try_ms == now + 10_001 + 1000 * wait_s
        now = watch.next_try_ms
    watch.opened(now)
    watch.data(now + 1)
    watch.lost(now + 2, "dropped")
    assert watch.next_try_ms == now + 2 + 1000
    assert len(watch.reconnects) == 3


def test_a_connection_is_renewed_in_its_23rd_hour_at_once() -> None:
    watch, end = Watch(Streams()), NOW + 82_800_000
    watch.opened(NOW)
    watch.data(end - 1)
    assert not watch.must_renew(end - 1) and watch.must_renew(end)
    watch.renew(end)
    assert watch.may_open(end)


# -- what consumers may use


def streamed(bars: int = 5, book_ms: int = NOW, gap: bool = False) -> stream_files.Streamed:
    opens = [NOW - place * MINUTE for place in range(bars - 1, -1, -1)]
    if gap:
        del opens[1]
    book = Book(
        venue="binance", symbol="BTCUSDT", bids=(Level(D(100), D(2)),), asks=(Level(D(101), D(3)),), as_of_ms=book_ms
    )
    made = tuple(Bar(open_ms, D(1), D(1), D(1), D(1), D(1)) for open_ms in opens)
    return stream_files.Streamed(book=book, bars=made, bars_ms=NOW, interval_s=60)


def test_bars_must_be_enough_whole_and_reach_to_now() -> None:
    def given_bars(found: stream_files.Streamed, now_ms: int = NOW + 1, wanted: int = 4) -> int:
        return len(stream_files.last_bars(found, now_ms, 60, wanted) or ())

    assert given_bars(streamed()) == 4 and given_bars(streamed(), NOW + MINUTE - 1) == 4
    assert given_bars(streamed(bars=3)) == given_bars(streamed(gap=True)) == given_bars(streamed(), NOW + MINUTE) == 0
    assert given_bars(streamed(), NOW - 1) == 0  # from the future
    assert given_bars(msgspec.structs.replace(streamed(), interval_s=300)) == 0


@pytest.mark.parametrize(
    ("notional", "quantity", "enough"),
    [("200", "2", True), ("200.01", "2", False), ("200", "2.1", False), ("0", "0", True)],
)
def test_a_book_cut_short_must_cover_the_largest_order_and_what_is_held(
    notional: str, quantity: str, enough: bool
) -> None:
    book = streamed().book
    assert book is not None and stream_files.covers(book, D(notional), D(quantity)) is enough


def test_what_was_written_is_read_back_and_a_spoilt_file_reads_as_nothing(tmp_path: Path) -> None:
    home, seen = Home(tmp_path).ensure(), picture()
    seen.take(depth("100.5", "101.25"), NOW)
    seen.take(kline(NOW, NOW + 1, "100.75"), NOW + 1)
    names = {"venue": "binance", "source": "ws"}
    store.write(home, "market_data", seen.doc("now"), "market_stream", **names)
    found = stream_files.market(home, "binance")["BTCUSDT"]
    assert found.book is not None and found.book.bids == (Level(D("100.5"), D(1)),) and found.book.as_of_ms == NOW
    assert found.bars == tuple(seen.symbols["BTCUSDT"].whole_bars()) and found.bars_ms == NOW + 1
    for spoilt in ({"symbols": {"BTCUSDT": {"bids": ["x"]}}}, {"symbols": []}, {"symbols": {"BTCUSDT": 7}}):
        store.write(home, "market_data", spoilt, "market_stream", **names)
        assert stream_files.market(home, "binance") == {}


@pytest.mark.parametrize(
    ("mode", "btcturk", "asked"),
    [("rest", True, ()), ("ws", False, ("binance", "mexc")), ("ws", True, ("binance", "mexc", "btcturk"))],
)
def test_streams_are_asked_for_by_mode_and_for_btcturk_by_its_own_switch(
    mode: str, btcturk: bool, asked: tuple[str, ...]
) -> None:
    section = msgspec.structs.replace(Config().market_data, mode=mode, btcturk_ws_enabled=btcturk)
    limits = msgspec.structs.replace(Config(), market_data=section)
    assert tuple(venue for venue in ("binance", "mexc", "btcturk") if stream_files.is_asked(limits, venue)) == asked


def test_what_came_before_a_message_with_a_time_was_said_before_it() -> None:
    seen = picture()
    seen.take(depth(), NOW)  # nothing tells yet that it is late
    seen.take(kline(NOW - MINUTE, NOW - 20_000), NOW)
    assert seen.symbols["BTCUSDT"].book_ms == NOW - 20_000
