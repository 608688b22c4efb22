"""Market data: files, path, candles, tape, book; against hand-made bars and the recorded series."""

import gzip
from decimal import Decimal as D
from itertools import pairwise

import pytest

from lab.sim.bars import load_bars
from lab.sim.candles import Candles
from lab.sim.intervals import INTERVALS_MS, window_next, window_open
from lab.sim.path import NO_BAR, PriceEvent, PricePath
from lab.sim.rejections import SimConfigError

START = 1_700_000_040_000
UP = (100, 110, 95, 105, 60)
DOWN = (105, 108, 90, 92, 30)
FLAT = (92, 92, 92, 92, 0)


def path_of(write_market, rows, events=()):
    return PricePath(load_bars(write_market(rows)), D("0.01"), list(events))


def test_path_visits_open_low_high_close_of_an_up_bar(write_market):
    path = path_of(write_market, [UP, DOWN])
    at = [path.price_at(START + ms) for ms in (0, 10_000, 20_000, 40_000, 59_999)]
    assert at == [D(100), D("97.50"), D(95), D(110), D(105)]


def test_path_visits_open_high_low_close_of_a_down_bar(write_market):
    path = path_of(write_market, [UP, DOWN])
    assert [path.price_at(START + 60_000 + ms) for ms in (0, 20_000, 40_000, 59_999)] == [D(105), D(108), D(90), D(92)]


def test_path_is_frozen_in_a_gap_and_after_the_end(write_market):
    path = path_of(write_market, [UP, None, None, DOWN, DOWN])
    assert path.price_at(START + 60_000) == path.price_at(START + 179_999) == D(105)
    assert path.price_at(START + 10**9) == D(92)
    assert path.price_at(START - 5) == D(100)
    assert [segment.bar for segment in path.segments(START, START + 180_000)] == [0, 0, 0, NO_BAR, 1]


def test_segments_tile_time_without_hole_or_overlap(write_market):
    events = [PriceEvent(START + 70_000, D("0.8"), 30_000), PriceEvent(START + 100_001, D("1.5"), 0)]
    path = path_of(write_market, [UP, DOWN, None, FLAT, UP], events)
    segments = list(path.segments(START - 1000, START + 400_000))
    for before, after in pairwise(segments):
        assert after.start_ms <= before.last_ms + 1 <= after.last_ms


def test_price_event_scales_at_once_and_as_a_ramp(write_market):
    at_once = path_of(write_market, [FLAT] * 4, [PriceEvent(START + 60_000, D("0.5"), 0)])
    assert [at_once.price_at(START + ms) for ms in (59_999, 60_000, 200_000)] == [D(92), D(46), D(46)]
    ramp = path_of(write_market, [FLAT] * 4, [PriceEvent(START + 60_000, D("0.5"), 60_000)])
    assert [ramp.price_at(START + ms) for ms in (60_000, 90_000, 120_000)] == [D(92), D(69), D(46)]


def test_candles_of_the_file_step_are_the_file(write_market):
    rows = [UP, DOWN, FLAT, UP]
    candles = Candles(path_of(write_market, rows))
    found = candles.latest("1m", START + 4 * 60_000, 10)
    assert [(c.open, c.high, c.low, c.close, c.volume) for c in found] == [tuple(map(D, row)) for row in rows]


def test_gap_bars_are_missing_and_zero_volume_bars_are_served(write_market):
    candles = Candles(path_of(write_market, [UP, None, FLAT, None, None, UP, UP]))
    found = candles.latest("1m", START + 7 * 60_000, 10)
    assert [(c.open_ms - START) // 60_000 for c in found] == [0, 2, 5, 6]
    assert found[1].volume == 0 and found[1].trades == 0
    assert [c.open_ms for c in candles.since("1m", START + 60_000, START + 7 * 60_000, 10, None)] == [
        c.open_ms for c in found[1:]
    ]


def test_split_candles_add_up_to_the_bar(write_market):
    candles = Candles(path_of(write_market, [UP, DOWN]))
    parts = candles.since("1s", START, START + 59_999, 100, None)
    assert len(parts) == 60 and parts[0].open == D(100) and parts[-1].close == D(105)
    assert sum(part.volume for part in parts) == D(60)
    assert max(part.high for part in parts) == D(110) and min(part.low for part in parts) == D(95)


def test_unfinished_candle_shows_values_so_far_and_a_future_close(write_market):
    candles = Candles(path_of(write_market, [UP, DOWN]))
    now = START + 60_000 + 29_999
    last = candles.latest("1m", now, 1)[0]
    assert last.close_ms == START + 119_999 > now
    assert (last.open, last.high, last.volume) == (D(105), D(108), D(15))
    assert last.low > D(90)


def test_aggregates_through_the_hour_cache_equal_a_plain_sum(make):
    client = make(symbols=["ETHUSDT"])
    market = client.sim.exchange.markets["ETHUSDT"]
    now = client.sim.now_ms
    for from_ms, to_ms in ((now - 90_000_123, now), (now - 7_200_000, now - 1), (now - 3_600_001, now - 59)):
        total = market.candles.total(from_ms, to_ms)
        plain = list(market.candles._bar_parts(from_ms, to_ms))
        assert total.volume == sum(part.volume for part in plain)
        assert (total.open, total.close) == (plain[0].open, plain[-1].close)
        assert (total.high, total.low) == (max(p.high for p in plain), min(p.low for p in plain))


@pytest.mark.parametrize("interval", list(INTERVALS_MS))
def test_every_interval_is_served_aligned_and_contiguous(client, interval):
    rows = client.public("/api/v3/klines", symbol="BTCUSDT", interval=interval, limit=5).json()
    assert rows and all(len(row) == 12 for row in rows)
    for row in rows:
        assert row[0] == window_open(interval, row[0])
        assert row[6] == window_next(interval, row[0]) - 1
    assert rows[-1][0] <= client.sim.now_ms <= rows[-1][6]
    assert all(before[6] + 1 == after[0] for before, after in pairwise(rows))


def test_klines_ranges(client):
    now = client.sim.now_ms
    ask = {"symbol": "BTCUSDT", "interval": "1m"}
    since = client.public("/api/v3/klines", **ask, startTime=now - 600_000, limit=3).json()
    assert [row[0] for row in since] == [now - 600_000 + place * 60_000 for place in range(3)]
    until = client.public("/api/v3/klines", **ask, endTime=now - 600_000, limit=2).json()
    assert [row[0] for row in until] == [now - 660_000, now - 600_000]
    assert until[-1] == since[0]
    assert len(client.public("/api/v3/uiKlines", **ask, limit=5000).json()) == 1000


def test_history_does_not_change_when_time_moves(client):
    ask = {"symbol": "BTCUSDT", "interval": "5m", "limit": 50}
    before = client.public("/api/v3/klines", **ask).json()[:-1]
    client.sim.advance(300_000)
    after = client.public("/api/v3/klines", **ask).json()
    assert after[:-2] == before[1:]


def test_recorded_market_is_served_as_recorded(make, shared_market):
    path = shared_market("binance_BTCUSDT_1m_20210420-20210520.csv.gz")
    client = make(markets=[path], start="2021-05-19T13:25:30Z")
    rows = client.public("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=1000).json()
    recorded = {}
    for line in gzip.open(path, "rt").read().splitlines()[1:]:
        cells = line.split(",")
        recorded[int(cells[0])] = [D(cell) for cell in cells[1:]]
    for row in rows[:-1]:
        assert [D(cell) for cell in row[1:6]] == recorded[row[0]]
    hour = client.public("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=3).json()[1]
    inside = [recorded[ms] for ms in range(hour[0], hour[0] + 3_600_000, 60_000)]
    assert [D(cell) for cell in hour[1:6]] == [
        inside[0][0], max(b[1] for b in inside), min(b[2] for b in inside), inside[-1][3], sum(b[4] for b in inside)
    ]  # fmt: skip


def test_thin_recorded_market_serves_zero_volume_bars(make, shared_market):
    path = shared_market("binance_COMPUSDT_3m_20220801-20230927.csv.gz")
    client = make(symbols=["COMPUSDT"], markets=[path], start="2023-06-04T00:00:00Z")
    rows = client.public("/api/v3/klines", symbol="COMPUSDT", interval="3m", limit=1000).json()
    assert len(rows) == 1000 and any(D(row[5]) == 0 and row[8] == 0 for row in rows)
    assert len(client.public("/api/v3/depth", symbol="COMPUSDT").json()["bids"]) == 100


def test_book_is_sorted_deep_and_around_the_price(client):
    book = client.public("/api/v3/depth", symbol="BTCUSDT", limit=500).json()
    bids, asks = ([D(price) for price, _ in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 500
    assert bids == sorted(bids, reverse=True) and asks == sorted(asks)
    price = D(client.public("/api/v3/ticker/price", symbol="BTCUSDT").json()["price"])
    assert bids[0] <= price < asks[0] and (asks[0] - bids[0]) / price < D("0.0003")
    assert all(D(qty) > 0 for side in ("bids", "asks") for _, qty in book[side])
    assert client.public("/api/v3/depth", symbol="BTCUSDT", limit=500).json() == book


def test_tape_is_consistent(client):
    trades = client.public("/api/v3/trades", symbol="BTCUSDT", limit=50).json()
    assert [trade["id"] for trade in trades] == sorted(trade["id"] for trade in trades)
    assert all(trade["time"] <= client.sim.now_ms for trade in trades)
    again = client.public("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=trades[0]["id"], limit=50).json()
    assert again == trades
    start = trades[10]["time"]
    grouped = client.public("/api/v3/aggTrades", symbol="BTCUSDT", startTime=start, limit=5).json()
    assert grouped[0]["T"] >= start and grouped[0]["a"] == trades[10]["id"]


def test_tickers_single_list_all(make):
    client = make(symbols=["BTCUSDT", "ETHUSDT"])
    for path in ("/api/v3/ticker/24hr", "/api/v3/ticker/price", "/api/v3/ticker/bookTicker"):
        one = client.public(path, symbol="ETHUSDT").json()
        assert one["symbol"] == "ETHUSDT"
        assert client.public(path, symbols='["ETHUSDT"]').json() == [one]
        assert [row["symbol"] for row in client.public(path).json()] == ["BTCUSDT", "ETHUSDT"]
    day = client.public("/api/v3/ticker/24hr", symbol="BTCUSDT").json()
    assert D(day["lowPrice"]) <= D(day["lastPrice"]) <= D(day["highPrice"]) and D(day["volume"]) > 0
    mini = client.public("/api/v3/ticker/24hr", symbol="BTCUSDT", type="MINI").json()
    assert "bidPrice" not in mini and mini["lastPrice"] == day["lastPrice"]
    average = client.public("/api/v3/avgPrice", symbol="BTCUSDT").json()
    assert D(day["lowPrice"]) <= D(average["price"]) <= D(day["highPrice"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,open\n1,2\n", "line 1 must be"),
        ("open_time_ms,open,high,low,close,volume\n60000,1,1,1,1,1\n120000,1,x,1,1,1\n", "line 3 is not six numbers"),
        ("open_time_ms,open,high,low,close,volume\n60000,1,1,1,1,1\n60000,1,1,1,1,1\n", "line 3 does not come after"),
        ("open_time_ms,open,high,low,close,volume\n60000,1,1,1,1,1\n", "at least 2 bars"),
    ],
)
def test_bad_market_files_are_named_in_one_line(tmp_path, text, says):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(SimConfigError, match=says) as caught:
        load_bars(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(SimConfigError, match="No such file"):
        load_bars(tmp_path / "none.csv.gz")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"open_time_ms,open,high,low,close,volume\n" * 50)[:40])
    with pytest.raises(SimConfigError, match="damaged"):
        load_bars(cut)
