"""Money: equity by journal and prices, daily loss, drawdown, kill reasons; fractions, never percent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.config.schema import Capital as Limits
from desk.journal.state import Capital, Dust, Fold, empty
from desk.risk import capital, equity
from desk.risk.equity import Account
from desk.risk.facts import Cycle, Facts, SymbolFacts, ledger_of, refreshed
from unit.risk.facts_kit import (
    ACCOUNT,
    GOOD,
    HELD,
    NAME,
    NOW_MS,
    OWNED,
    SEEN,
    TODAY,
    a_book,
    an_intent,
    changed,
    d,
    polls,
)

LIMITS = Limits()


def book_of(balance: str = "10000", **marks: object) -> Fold:
    """A fold with an opened USDT account, marked today at 10000."""
    fold = empty()
    fold.portfolio.mode = "PAPER"
    fold.portfolio.opening["binance"] = {"USDT": d("10000")}
    fold.portfolio.balances["binance"] = {"USDT": d(balance)}
    values = {"equity": d("10000"), "peak": d("10000"), "day_open": d("10000"), "day": TODAY} | marks
    fold.portfolio.capital[ACCOUNT] = Capital(**values)  # type: ignore[arg-type]
    return fold


def account_of(fold: Fold, symbols: dict[str, SymbolFacts] | None = None) -> Account:
    return ledger_of(fold, symbols if symbols is not None else {NAME: SEEN}, NOW_MS).accounts[ACCOUNT]


def holding(fold: Fold, quantity: str) -> Fold:
    fold.positions.positions[NAME] = changed(HELD, quantity=d(quantity))
    return fold


def with_dust(fold: Fold, name: str = NAME) -> Fold:
    fold.positions.dust[name] = Dust(base="X", quote="USDT", quantity=d("2"), cost_quote=d("1"), since_ms=1)
    return fold


def test_equity_is_balance_plus_positions_and_dust_at_the_bid() -> None:
    found = account_of(with_dust(holding(book_of("9900"), "0.002")))
    assert found.equity == d("9900") + d("2.002") * d("49999")
    assert found.exposure == d("0.002") * d("49999")


def test_one_missing_price_makes_equity_unknown_never_zero() -> None:
    for fold in (holding(book_of(), "0.002"), with_dust(book_of(), "binance:ETHUSDT")):
        found = account_of(fold, {NAME: changed(SEEN, mark_bid=None)})
        assert (found.value, found.equity, found.exposure, found.base) == (None, None, None, None)
        assert found.missing
        judged = capital.judge(found, LIMITS, TODAY)
        assert judged == capital.UNKNOWN
        assert judged.kill_reason is None


def test_an_empty_position_record_needs_no_price() -> None:
    assert account_of(holding(book_of(), "0"), {NAME: changed(SEEN, mark_bid=None)}).equity == d("10000")


def test_flows_are_neither_gain_nor_loss() -> None:
    deposited = account_of(book_of("15000", flows=d("5000")))
    assert (deposited.value, deposited.equity, deposited.base) == (d("15000"), d("10000"), d("10000"))
    withdrawn = account_of(book_of("4000", flows=d("-6000")))
    assert (withdrawn.value, withdrawn.equity, withdrawn.base) == (d("4000"), d("10000"), d("4000"))
    assert capital.judge(withdrawn, LIMITS, TODAY).kill_reason is None


def test_an_account_without_opening_balances_is_unknown() -> None:
    fold = book_of()
    fold.portfolio.opening.clear()
    found = account_of(fold)
    assert (found.opened, found.equity, found.base) == (False, None, None)
    assert capital.judge(found, LIMITS, TODAY) == capital.UNKNOWN


def test_open_and_lately_lost_entries_are_promised() -> None:
    fold = book_of()
    fold.intents.intents = {
        "rests": an_intent(filled=d("0.001")),
        "lost": an_intent(state="NOT_FOUND", status="", final_ms=NOW_MS - 3_599_999),
        "long lost": an_intent(state="NOT_FOUND", status="", final_ms=NOW_MS - 3_600_000),
        "done": an_intent(status="FILLED", executed=d("0.002"), filled=d("0.002")),
        "unbooked": an_intent(status="FILLED", executed=d("0.002"), filled=d("0.0015")),
        "exit": an_intent(kind="EXIT", side="SELL"),
    }
    found = account_of(fold)
    assert found.free_quote == d("10000") - d("50") - d("100") - d("25")
    assert found.exposure == d("175")


def owned(now: str, **values: object) -> Account:
    return changed(OWNED, equity=d(now), value=d(now), **values)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ("9994", None),  # -0.06 %: a percent mistaken for a fraction would trip 5 %
        ("9995", None),  # -0.05 %
        ("9500.01", None),
        ("9500", "daily_loss"),  # -5 %
        ("9490", "daily_loss"),  # -5.1 %
        ("10600", None),
    ],
)
def test_the_daily_loss_is_a_fraction(now: str, reason: str | None) -> None:
    judged = capital.judge(owned(now), LIMITS, TODAY)
    assert judged.kill_reason == reason
    assert judged.daily_loss_frac == (d("10000") - d(now)) / d("10000")


def test_the_quote_limit_counts_when_it_is_set() -> None:
    assert capital.judge(owned("9980"), LIMITS, TODAY).kill_reason is None
    canary = changed(LIMITS, daily_loss_quote=d("20"))
    assert capital.judge(owned("9980"), canary, TODAY).kill_reason == "daily_loss"
    assert capital.judge(owned("9980.01"), canary, TODAY).kill_reason is None


def test_drawdown_is_counted_from_the_peak_whatever_the_day() -> None:
    healed = owned("8000", day_open=d("8000"))
    assert capital.judge(healed, LIMITS, TODAY).kill_reason == "max_dd_exceeded"
    assert capital.judge(owned("8000.01", day_open=d("8000.01")), LIMITS, TODAY).kill_reason is None
    assert capital.judge(owned("12000"), LIMITS, TODAY).drawdown_frac == 0, "a new peak"


def test_the_harder_reason_wins() -> None:
    assert capital.judge(owned("7900"), LIMITS, TODAY).kill_reason == "max_dd_exceeded"


def test_a_new_day_is_measured_from_the_last_mark_until_it_is_opened() -> None:
    """A loss over an outage at midnight belongs to the new day."""
    overnight = owned("9400", day="2026-01-04", day_open=d("9000"), last_equity=d("9900"), peak=d("9900"))
    assert capital.judge(overnight, LIMITS, TODAY).kill_reason == "daily_loss"
    calm = owned("9400", day="2026-01-04", day_open=d("10000"), last_equity=d("9410"))
    assert capital.judge(calm, LIMITS, TODAY).kill_reason is None


def test_a_clock_set_back_does_not_reopen_the_day() -> None:
    assert capital.judge(owned("9400", day="2026-01-06"), LIMITS, TODAY).kill_reason == "daily_loss"


def test_an_account_never_marked_has_lost_nothing_yet() -> None:
    fresh = owned("9000", marked=False, day="", day_open=d("0"), peak=d("0"), last_equity=d("0"))
    judged = capital.judge(fresh, LIMITS, TODAY)
    assert (judged.kill_reason, judged.daily_loss_frac, judged.drawdown_frac) == (None, 0, 0)


@pytest.mark.parametrize("zero", [{"peak": d("0"), "equity": d("0")}, {"day_open": d("0")}])
def test_a_base_of_zero_is_unknown(zero: dict[str, Decimal]) -> None:
    assert capital.judge(changed(OWNED, **zero), LIMITS, TODAY) == capital.UNKNOWN


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_kill_reasons_agree_with_the_fractions(day_open: int, now: int) -> None:
    judged = capital.judge(owned(str(now), day_open=Decimal(day_open), peak=Decimal(max(day_open, 1))), LIMITS, TODAY)
    loss, fall = judged.daily_loss_frac, judged.drawdown_frac
    assert loss is not None
    assert fall is not None
    if fall >= LIMITS.drawdown_kill_frac:
        assert judged.kill_reason == "max_dd_exceeded"
    elif loss >= LIMITS.daily_loss_frac:
        assert judged.kill_reason == "daily_loss"
    else:
        assert judged.kill_reason is None


def facts_of(fold: Fold) -> Facts:
    return refreshed(GOOD, fold, NOW_MS, GOOD.cycle)


def test_facts_do_not_change_when_the_journal_does() -> None:
    fold = holding(book_of(), "0.002")
    found = facts_of(fold)
    fold.positions.positions[NAME].quantity = d("9")
    fold.positions.positions["binance:X"] = HELD
    assert found.ledger is not None
    assert found.ledger.positions[NAME].quantity == d("0.002")
    assert list(found.ledger.positions) == [NAME]


def test_refreshed_facts_see_the_journal_as_it_stands_and_the_prices_older() -> None:
    fold = book_of("9900")
    later = refreshed(GOOD, holding(fold, "0.002"), NOW_MS + 3001, Cycle(entries_placed=1))
    assert later.ledger is not None
    assert list(later.ledger.positions) == [NAME]
    assert later.cycle.entries_placed == 1
    assert later.now_ms - later.symbols[NAME].book_ms == 3001


def test_quotes_keep_accounts_apart() -> None:
    fold = book_of()
    fold.portfolio.balances["binance"]["TRY"] = d("500")
    fold.positions.positions["binance:BTCTRY"] = changed(HELD, symbol="BTCTRY", quote="TRY", quantity=d("1"))
    marks = {"binance:BTCTRY": d("3")}
    found = equity.accounts(fold, {}, marks, {NAME: "USDT", "binance:BTCTRY": "TRY"})
    assert found["binance:TRY"].value == d("503")
    assert found[ACCOUNT].value == d("10000")


def test_a_symbols_prices_are_usable_or_none() -> None:
    assert (SEEN.best_bid, SEEN.best_ask, SEEN.mid) == (d("49999"), d("50001"), d("50000"))
    crossed = changed(SEEN, book=a_book("50002", "50001"))
    assert (crossed.best_bid, crossed.best_ask, crossed.mid) == (None, None, None)
    assert len(changed(SEEN, bars_now_ms=NOW_MS).closed_bars) == len(SEEN.bars) - 1
    assert changed(SEEN, polls=polls(("1", "2"))).polls[0].mid == d("1.5")
