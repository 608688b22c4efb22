"""The shared request budget: what stops whom, what is learned, what is written and when."""

from decimal import Decimal
from pathlib import Path

import pytest

from desk.base import clock
from desk.base.paths import Home
from desk.config.schema import Churn, RateBudget
from desk.state import store
from desk.venues import rate_budget
from desk.venues.outcome import Finding, Klass
from desk.venues.rate_budget import Budget, Meter, Use, refusal
from desk.venues.table import VENUES, Purpose

LIMITS, CHURN = RateBudget(), Churn()
BLOCK = CHURN.order_count_block_frac
NOW = 1_767_571_200_000
OK = Finding(klass=Klass.ACCEPTED, http_status=200)
ALL = tuple(Purpose)
STAYS_OPEN = {Purpose.EXIT, Purpose.CANCEL, Purpose.LOOKUP, Purpose.MEASURE}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).ensure()


def meter(home: Home, venue: str = "binance") -> Meter:
    return Meter(home, VENUES[venue], LIMITS, CHURN, lambda level, line: None)


def stopped(budget: Budget) -> set[Purpose]:
    return {purpose for purpose in ALL if refusal(budget, purpose, LIMITS, BLOCK, NOW)[0]}


@pytest.mark.parametrize(
    ("count", "expected"),
    [(4199, set()), (4200, {Purpose.ENTRY}), (5099, {Purpose.ENTRY}),
     (5100, {Purpose.ENTRY, Purpose.READ, Purpose.PROBE}), (6500, {Purpose.ENTRY, Purpose.READ, Purpose.PROBE})],
)  # fmt: skip
def test_entries_stop_at_70_reads_at_85_the_rest_may_use_all(count: int, expected: set[Purpose]) -> None:
    assert stopped(Budget(weight=Use(count=count, limit=6000, seen_ms=NOW))) == expected


def test_a_window_that_has_passed_counts_nothing() -> None:
    assert stopped(Budget(weight=Use(count=6000, limit=6000, seen_ms=NOW - 60_000))) == set()
    assert stopped(Budget(weight=Use(count=6000, limit=6000, seen_ms=NOW + 1))) == set()


def test_an_unknown_limit_is_the_configured_default() -> None:
    assert Purpose.ENTRY in stopped(Budget(weight=Use(count=840, seen_ms=NOW)))
    assert stopped(Budget(weight=Use(count=839, seen_ms=NOW))) == set()


def test_order_counts_stop_entries_only() -> None:
    assert stopped(Budget(orders={"10S": Use(count=48, limit=50, interval_s=10, seen_ms=NOW)})) == {Purpose.ENTRY}
    assert stopped(Budget(orders={"10S": Use(count=47, limit=50, interval_s=10, seen_ms=NOW)})) == set()


def test_back_off_stops_entries_and_reads_a_ban_stops_everything() -> None:
    assert stopped(Budget(back_off_until_ms=NOW + 1)) == set(ALL) - STAYS_OPEN
    assert stopped(Budget(ban_until_ms=NOW + 1)) == set(ALL)
    assert stopped(Budget(back_off_until_ms=NOW, ban_until_ms=NOW)) == set()


def test_headers_and_limits_are_shared_by_processes(home: Home) -> None:
    one, two = meter(home), meter(home)
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
    orders = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50}
    one.learn([{}, weight, orders, "rubbish"])
    one.note({"x-mbx-used-weight-1m": "4300", "x-mbx-order-count-10s": "49", "x-mbx-order-count-": "x"}, OK)
    found = rate_budget.view(home, "binance")
    assert (found.weight.count, found.weight.limit, found.orders["10S"].count) == (4300, 6000, 49)
    assert two.refusal(Purpose.ENTRY)[0] == "rate_budget:entries_stop"
    assert two.refusal(Purpose.READ) == ("", "")


def test_a_429_backs_off_up_the_ladder_and_a_success_after_it_begins_the_ladder_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = meter(home)
    limited = Finding(klass=Klass.RATE_LIMITED, http_status=429)
    for seconds in (1, 2, 4, 8, 8):
        hand.note({}, limited)
        wait_ms = rate_budget.view(home, "binance").back_off_until_ms - clock.now_ms()
        assert wait_ms == pytest.approx(seconds * 1000, abs=500)
    assert hand.refusal(Purpose.READ)[0] == "rate_budget:back_off"
    hand.note({}, OK)
    assert hand.refusal(Purpose.READ)[0] == "rate_budget:back_off", "a cancel that went through ends no back-off"
    later_ms = clock.now_ms() + 8_001
    monkeypatch.setattr(clock, "now_ms", lambda: later_ms)
    assert hand.refusal(Purpose.READ) == ("", "")
    hand.note({}, OK)
    hand.note({}, limited)
    assert rate_budget.view(home, "binance").back_off_until_ms - later_ms == 1000
    assert rate_budget.view(home, "binance").rate_limited_total == 6


def test_retry_after_rules_over_the_ladder(home: Home) -> None:
    meter(home).note({}, Finding(klass=Klass.RATE_LIMITED, http_status=429, retry_after_s=37))
    assert rate_budget.view(home, "binance").back_off_until_ms - clock.now_ms() == pytest.approx(37_000, abs=500)


@pytest.mark.parametrize(
    ("finding", "seconds"),
    [(Finding(klass=Klass.IP_BANNED, http_status=418, retry_after_s=300), 300),
     (Finding(klass=Klass.IP_BANNED, http_status=418), 120)],
)  # fmt: skip
def test_a_ban_is_written_at_once(home: Home, finding: Finding, seconds: int) -> None:
    meter(home).note({}, finding)
    assert rate_budget.view(home, "binance").ban_until_ms - clock.now_ms() == pytest.approx(seconds * 1000, abs=500)
    assert all(meter(home).refusal(purpose)[0] == "rate_budget:banned" for purpose in ALL)


def test_a_ban_may_name_its_end_in_the_message(home: Home) -> None:
    until = clock.now_ms() + 500_000
    told = Finding(klass=Klass.IP_BANNED, http_status=418, message=f"Way too much; IP banned until {until}. Please")
    meter(home).note({}, told)
    assert rate_budget.view(home, "binance").ban_until_ms == until


def test_an_earlier_success_elsewhere_does_not_lift_a_ban(home: Home) -> None:
    meter(home).note({}, Finding(klass=Klass.IP_BANNED, http_status=418, retry_after_s=300))
    meter(home).note({"x-mbx-used-weight-1m": "5000"}, OK)
    assert rate_budget.view(home, "binance").banned(clock.now_ms())


def test_mexc_has_no_header_so_we_count(home: Home) -> None:
    hand = meter(home, "mexc")
    for _ in range(349):
        hand.note({}, OK)
    assert hand.refusal(Purpose.ENTRY) == ("", "")
    hand.note({}, OK)
    assert hand.refusal(Purpose.ENTRY)[0] == "rate_budget:entries_stop"
    assert rate_budget.view(home, "mexc").weight.count >= 325, "within 5 % of what the other processes must know"


def test_small_changes_are_not_written(home: Home) -> None:
    hand = meter(home)
    hand.note({"x-mbx-used-weight-1m": "100"}, OK)
    path = store.path_of(home, "rate_budget")
    before = path.stat().st_mtime_ns
    hand.note({"x-mbx-used-weight-1m": "120"}, OK)
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"binance": 7}', '{"binance": {"ban_until": "soon"}}', '{"binance": {"weight": 1}}']
)
def test_a_broken_file_reads_as_missing_and_is_replaced(home: Home, text: str) -> None:
    store.path_of(home, "rate_budget").write_text(text)
    assert rate_budget.view(home, "binance") == Budget()
    meter(home).note({}, Finding(klass=Klass.IP_BANNED, http_status=418, retry_after_s=300))
    assert rate_budget.view(home, "binance").banned(clock.now_ms())


def test_a_stored_deadline_is_cut_to_three_days(home: Home) -> None:
    store.write(home, "rate_budget", {"binance": {"ban_until": "2999-01-01T00:00:00+00:00"}}, rate_budget.WRITER)
    assert rate_budget.view(home, "binance").ban_until_ms <= clock.now_ms() + 3 * 86_400_000


def test_a_folder_that_cannot_be_written_stops_no_call(home: Home) -> None:
    lines: list[str] = []
    hand = Meter(home, VENUES["binance"], LIMITS, CHURN, lambda level, line: lines.append(line))
    store.path_of(home, "rate_budget").mkdir()
    hand.note({}, Finding(klass=Klass.RATE_LIMITED, http_status=429))
    assert len(lines) == 1
    assert "rate budget not written" in lines[0]


def test_fractions_are_decimals() -> None:
    assert Use(count=1, limit=3, seen_ms=NOW).frac(NOW) == Decimal("0.3333333333")
