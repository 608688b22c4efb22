"""positions, exposure, intents: what we hold, how much of it, and what stands on the exchange."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from desk.base import clock
from desk.base.money import ZERO, frac
from desk.base.money import text as money_text
from desk.base.reasons import Reason
from desk.health.facts import HealthFacts, frac_text
from desk.health.result import Cause, CheckResult, Kill, Status, judged
from desk.journal.state import Fold, Intent, Position, is_open
from desk.risk import capital
from desk.risk.equity import Account
from desk.venues.protocol import OrderType
from desk.venues.table import VENUES

HOUR_MS: Final = 3_600_000
LEG_STOP: Final = "stop"
UNSEEN: Final = "the journal cannot be read"
KILL_CODES: Final = {
    capital.KILL_DAILY_LOSS: Reason.DAILY_LOSS, capital.KILL_DRAWDOWN: Reason.MAX_DD,
}  # fmt: skip


def positions(facts: HealthFacts) -> CheckResult:
    """Every position has a mark and a stop; one older than 72 h is flagged."""
    if facts.fold is None:
        return _blind("positions", facts)
    held = {name: p for name, p in facts.fold.positions.positions.items() if p.quantity > ZERO}  # else an entry stands
    causes = [c for name, position in sorted(held.items()) for c in _position(facts, facts.fold, name, position)]
    dust = len(facts.fold.positions.dust)
    shown = f"{len(held)} open" + (f", {dust} dust" if dust else "")
    return judged("positions", causes, shown, {name: _row(facts, name, p) for name, p in sorted(held.items())})


def exposure(facts: HealthFacts) -> CheckResult:
    """Each position, their sum and their number against the caps; losses against the limits that engage the kill
    switch (with prices fresh enough to mark). A loss is a WARNING: the kill switch acts, and its own alert is CRIT."""
    if facts.fold is None:
        return _blind("exposure", facts)
    causes: list[Cause] = []
    kills: list[Kill] = []
    for name, account in sorted(facts.accounts.items()):
        causes += [*_caps(facts, facts.fold, name, account), *_losses(facts, name, account, kills)]
    count, most = len(facts.fold.positions.positions), _positions_max(facts)
    if count > most:
        causes.append(Cause(reason=Reason.POSITIONS_MAX, text=f"{count} positions, {most} allowed"))
    data = {name: _account(account) for name, account in sorted(facts.accounts.items())}
    shown = ", ".join(f"{name} {row['exposure_frac']} of equity" for name, row in data.items() if row["exposure_frac"])
    fine = f"{count} of {most} positions" + (f", {shown}" if shown else "")
    return judged("exposure", causes, fine, data, tuple(kills))


def intents(facts: HealthFacts) -> CheckResult:
    """Orders nobody knows the outcome of, orders that stand too long, and quarantined ones."""
    if facts.fold is None:
        return _blind("intents", facts)
    known = facts.fold.intents.intents
    causes = [cause for name, intent in sorted(known.items()) for cause in _intent(facts, name, intent)]
    unknown = facts.unknown_orders()
    standing = sum(1 for intent in known.values() if is_open(intent))
    outcomes = sorted(set(facts.fold.portfolio.recovery.values()))
    shown = f"{standing} open, {unknown} unknown" + (f", {', '.join(outcomes)}" if outcomes else "")
    return judged("intents", causes, shown, {"open": standing, "unknown": unknown, "recovery": outcomes})


def _position(facts: HealthFacts, fold: Fold, name: str, position: Position) -> Iterator[Cause]:
    def cause(reason: Reason | None, what: str, status: Status) -> Cause:
        return Cause(reason=reason, text=f"{name} {what}", status=status, venue=position.venue, symbol=position.symbol)

    market = facts.market.get(name)
    if market is None or market.mark_bid is None:
        yield cause(Reason.DATA_MISSING, "has no price to mark it", facts.unknown)
    if not _has_stop(facts, fold, name, position):
        is_worked_on = _is_worked_on(facts)
        status = Status.WARNING if is_worked_on else Status.CRITICAL
        yield cause(Reason.UNPROTECTED, "has no stop" + (" yet, a tick is working" if is_worked_on else ""), status)
    age_ms = facts.now_ms - position.opened_ms
    if age_ms > facts.limits.exits.position_age_flag_h * HOUR_MS:
        yield cause(None, f"is {age_ms // HOUR_MS} h old", Status.WARNING)


def _has_stop(facts: HealthFacts, fold: Fold, name: str, position: Position) -> bool:
    """A stop rests, or the exchange takes none and a stop price is watched each tick."""
    if position.unprotected_ms:
        return False
    if not _rests_stops(facts, name, position):
        return position.stop_price > ZERO
    return any(
        intent.position_id == position.position_id and intent.leg == LEG_STOP and is_open(intent)
        for intent in fold.intents.intents.values()
    )


def _rests_stops(facts: HealthFacts, name: str, position: Position) -> bool:
    """By the symbol's own rules where they are known, else by the venue's row."""
    found = facts.market.get(name)
    if found is not None and found.rules is not None:
        return str(OrderType.STOP_LOSS_LIMIT) in found.rules.order_types
    row = VENUES.get(position.venue)
    return row is None or row.has_stop_orders


def _is_worked_on(facts: HealthFacts) -> bool:
    """A live holder of the order lease may be between a fill and its stop."""
    deadline_ms = 1000 * facts.limits.runtime.tick_deadline_s
    return facts.lease.held and 0 <= facts.now_ms - facts.lease.alive_ms <= deadline_ms


def _caps(facts: HealthFacts, fold: Fold, name: str, account: Account) -> Iterator[Cause]:
    held = [n for n, p in fold.positions.positions.items() if (p.venue, p.quote) == (account.venue, account.quote)]
    if account.base is None or account.exposure is None:
        if held:
            why = f": no price for {', '.join(account.missing)}" if account.missing else ""
            text = f"{name} equity is not known{why}"
            yield Cause(reason=Reason.CAPITAL_UNKNOWN, text=text, status=facts.unknown, subject=name)
        return
    limits = facts.limits.exposure
    cap = limits.position_live_frac if facts.is_live else limits.position_paper_frac
    for position in sorted(held):
        market = facts.market.get(position)
        worth = fold.positions.positions[position].quantity * (market.mark_bid or ZERO) if market is not None else ZERO
        if frac(worth, account.base) > cap:
            text = f"{position} is {frac_text(frac(worth, account.base))} of equity, cap {cap}"
            yield Cause(reason=Reason.POSITION_CAP, text=text, subject=position)
    total = frac(account.exposure, account.base)
    if total > limits.total_frac:
        text = f"{name} exposure {frac_text(total)}, cap {limits.total_frac}"
        yield Cause(reason=Reason.TOTAL_CAP, text=text, subject=name)


def _losses(facts: HealthFacts, name: str, account: Account, kills: list[Kill]) -> Iterator[Cause]:
    found = capital.judge(account, facts.limits.capital, clock.utc_date(facts.now_ms))
    drawdown, lost = found.drawdown_frac or ZERO, found.daily_loss_frac or ZERO
    if found.kill_reason is not None:
        text = f"{name} day loss {frac_text(lost)}, drawdown {frac_text(drawdown)}"
        kills.append(Kill(reason=found.kill_reason, text=name))
        yield Cause(reason=KILL_CODES[found.kill_reason], text=text, subject=name)
    elif drawdown >= facts.limits.capital.drawdown_no_entries_frac:
        yield Cause(reason=Reason.DRAWDOWN, text=f"{name} drawdown {frac_text(drawdown)}", subject=name)


def _intent(facts: HealthFacts, name: str, intent: Intent) -> Iterator[Cause]:
    def cause(reason: Reason, what: str, status: Status) -> Cause:
        text = f"{intent.symbol} {intent.leg} {name} {what}"
        return Cause(reason=reason, text=text, status=status, subject=name, venue=intent.venue, symbol=intent.symbol)

    if intent.anomaly:
        yield cause(Reason.ANOMALY, f"is quarantined -> {Reason.ANOMALY.action}", Status.CRITICAL)
    if intent.state in {"CREATED", "SENT_UNKNOWN"}:
        age_s = (facts.now_ms - (intent.created_ms or facts.now_ms)) // 1000
        yield from _aged(facts, cause, Reason.UNKNOWN_ORDER, "unknown", age_s, 0, facts.limits.health.unknown_warn_s,
                         facts.limits.health.unknown_crit_s)  # fmt: skip
    elif is_open(intent) and (intent.kind == "ENTRY" or intent.cancel_ms):
        age_s = (facts.now_ms - (intent.cancel_ms or intent.created_ms)) // 1000
        may_rest_s = 0 if intent.cancel_ms else facts.limits.entries.order_ttl_s
        yield from _aged(facts, cause, Reason.STUCK_ORDER, "unresolved", age_s, may_rest_s,
                         facts.limits.entries.unresolved_warn_s, facts.limits.entries.unresolved_crit_s)  # fmt: skip


def _aged(
    facts: HealthFacts, cause: Any, reason: Reason, word: str, age_s: int, may_rest_s: int, warn_s: int, crit_s: int
) -> Iterator[Cause]:
    over_s = age_s - may_rest_s
    if age_s < -1:
        yield cause(Reason.TIME_FUTURE, "was written in the future", facts.unknown)
    elif over_s > warn_s:
        yield cause(reason, f"{word} for {over_s} s", Status.CRITICAL if over_s > crit_s else Status.WARNING)


def _positions_max(facts: HealthFacts) -> int:
    limits = facts.limits.exposure
    return limits.positions_live_max if facts.is_live else limits.positions_paper_max


def _blind(name: str, facts: HealthFacts) -> CheckResult:
    cause = Cause(reason=Reason.AUDIT_DAMAGED, text=UNSEEN, status=facts.unknown, signal=True, subject=name)
    return judged(name, [cause], "")


def _row(facts: HealthFacts, name: str, position: Position) -> dict[str, Any]:
    market = facts.market.get(name)
    mark: Decimal | None = market.mark_bid if market is not None else None
    return {
        "quantity": money_text(position.quantity), "mark": None if mark is None else money_text(mark),
        "stop_price": money_text(position.stop_price), "opened_ms": position.opened_ms,
    }  # fmt: skip


def _account(account: Account) -> dict[str, str | None]:
    shown = {"equity": account.equity, "exposure": account.exposure}
    row: dict[str, str | None] = {name: None if value is None else money_text(value) for name, value in shown.items()}
    known = account.base is not None and account.exposure is not None
    row["exposure_frac"] = frac_text(frac(account.exposure or ZERO, account.base or ZERO)) if known else None
    return row
