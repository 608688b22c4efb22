"""How money, latch, alert and bookkeeping events change the folded state. Pure, total, bounded."""

from desk.base.money import ZERO, parse
from desk.journal.chain import Line
from desk.journal.state import Alert, Capital, Fold, Intent, Latch, PortfolioPart, is_open, is_unsettled, key

DAY_MS = 86_400_000
INTENT_KEPT_MS = DAY_MS + 3_600_000  # NOT_FOUND is watched 24 h
SEEN_KEPT_MS = 30 * DAY_MS  # longer than any signal may live
DECISION_KEPT_MS = 8 * DAY_MS
TRIPS_KEPT_MS = 7 * DAY_MS
ALERT_KEPT_MS = 7 * DAY_MS
FOREIGN_KEPT = 500  # settled ones; an order the owner left standing may trade for months


def genesis(state: Fold, line: Line, at_ms: int) -> None:
    """GENESIS: mode stamp, instance, initial latch; breakers' history is kept elsewhere."""
    portfolio = state.portfolio
    portfolio.mode, portfolio.instance = line.data["mode"], line.data["instance"]
    first = line.data["kill_switch"]
    portfolio.kill_switch = Latch(
        state=first, reasons=["manual"] if first == "active" else [], since_ms=at_ms, by="genesis"
    )
    if first == "active":
        portfolio.kill_switch.level = "reduce_only"


def note_run(portfolio: PortfolioPart, line: Line, at_ms: int) -> None:
    """Count the runs of a door at one tick time, so that run ids stay unique and reproducible."""
    tick_ms, ordinal = line.data.get("tick_ms"), line.data.get("ordinal")
    if isinstance(tick_ms, int) and isinstance(ordinal, int):
        portfolio.runs[line.script] = [tick_ms, ordinal]


def initial_capital(state: Fold, line: Line, at_ms: int) -> None:
    """INITIAL_CAPITAL: opening balances, once per venue."""
    if line.venue in state.portfolio.opening:
        return
    amounts = {asset: parse(amount) for asset, amount in line.data["balances"].items()}
    state.portfolio.opening[line.venue] = dict(amounts)
    state.portfolio.opened_ms[line.venue] = at_ms
    books = state.portfolio.balances.setdefault(line.venue, {})
    for asset, amount in amounts.items():
        books[asset] = books.get(asset, ZERO) + amount


def capital_marked(state: Fold, line: Line, at_ms: int) -> None:
    """CAPITAL_MARKED: equity at this tick; a new day opens with its first mark."""
    capital = state.portfolio.capital.setdefault(key(line.venue, line.data["quote"]), Capital())
    capital.equity = parse(line.data["equity"])
    capital.peak = max(capital.peak, capital.equity)
    day = line.ts[:10]
    if day > capital.day:
        capital.day, capital.day_open = day, capital.equity


def day_closed(state: Fold, line: Line, at_ms: int) -> None:
    """DAY_CLOSED: the risk day moves forward only; what has aged out leaves the state."""
    portfolio = state.portfolio
    if line.data["date"] <= portfolio.day_closed:
        return
    portfolio.day_closed = line.data["date"]
    portfolio.day = {}
    for capital in portfolio.capital.values():
        capital.day_open = capital.equity
        capital.day = line.ts[:10]
    _prune(state, at_ms)


def peak_rebased(state: Fold, line: Line, at_ms: int) -> None:
    """PEAK_REBASED: the drawdown is counted from a new peak."""
    capital = state.portfolio.capital.setdefault(key(line.venue, line.data["quote"]), Capital())
    capital.peak, capital.rebased_ms = parse(line.data["new"]), at_ms


def kill_activated(state: Fold, line: Line, at_ms: int) -> None:
    """KILL_SWITCH_ACTIVATED: a second engagement keeps the first `since` and adds its reason."""
    old, data = state.portfolio.kill_switch, line.data
    reasons = [*old.reasons, data["reason"]] if old.state == "active" else [data["reason"]]
    level = (
        "freeze_all" if "freeze_all" in (old.level if old.state == "active" else "", data["level"]) else "reduce_only"
    )
    state.portfolio.kill_switch = Latch(
        state="active", level=level, reasons=list(dict.fromkeys(reasons)), note=data.get("note", ""),
        since_ms=old.since_ms if old.state == "active" else at_ms, by=data["by"],
    )  # fmt: skip


def kill_deactivated(state: Fold, line: Line, at_ms: int) -> None:
    """KILL_SWITCH_DEACTIVATED."""
    state.portfolio.kill_switch = Latch(state="inactive", note=line.data["reason"], since_ms=at_ms, by=line.data["by"])


def pause_raised(state: Fold, line: Line, at_ms: int) -> None:
    """PAUSE_RAISED: PAUSE outranks DEGRADE; reasons add up."""
    old, data = state.portfolio.pause, line.data
    reasons = list(dict.fromkeys([*(old.reasons if old.state != "NORMAL" else []), *data["reasons"]]))
    worst = "PAUSE" if "PAUSE" in (old.state, data["state"]) else "DEGRADE"
    since = old.since_ms if old.state == worst else at_ms
    state.portfolio.pause = Latch(state=worst, reasons=reasons, since_ms=since, by=data["by"])


def pause_released(state: Fold, line: Line, at_ms: int) -> None:
    """PAUSE_RELEASED."""
    state.portfolio.pause = Latch(state="NORMAL", note=line.data["reason"], since_ms=at_ms, by=line.data["by"])


def live_armed(state: Fold, line: Line, at_ms: int) -> None:
    """LIVE_ARMED: state/LIVE.ok counts from here on."""
    state.portfolio.armed = Latch(state="active", note=line.data["reason"], since_ms=at_ms, by=line.data["by"])


def baseline_held(state: Fold, line: Line, at_ms: int) -> None:
    """BASELINE_HELD: disarmed, and safe mode on; a second one keeps the first `since`."""
    old, data = state.portfolio.baseline, line.data
    since = old.since_ms if old.state == "active" else at_ms
    state.portfolio.baseline = Latch(state="active", note=data["reason"], since_ms=since, by=data["by"])
    state.portfolio.armed = Latch(state="inactive", note=data["reason"], since_ms=at_ms, by=data["by"])


def baseline_cleared(state: Fold, line: Line, at_ms: int) -> None:
    """BASELINE_CLEARED: safe mode is off again; arming is another command."""
    state.portfolio.baseline = Latch(state="inactive", note=line.data["reason"], since_ms=at_ms, by=line.data["by"])


def system_mode_changed(state: Fold, line: Line, at_ms: int) -> None:
    """SYSTEM_MODE_CHANGED."""
    state.portfolio.system_mode, state.portfolio.system_mode_since_ms = line.data["to"], at_ms


def health_changed(state: Fold, line: Line, at_ms: int) -> None:
    """HEALTH_CHANGED."""
    state.portfolio.overall = line.data["overall"]


def breaker_changed(state: Fold, line: Line, at_ms: int) -> None:
    """BREAKER_CHANGED: the last state, and trips of the last week."""
    component = line.data["component"]
    state.portfolio.breakers[component] = line.data["to"]
    if line.data["to"] == "open":
        trips = state.portfolio.trips.setdefault(component, [])
        trips.append(at_ms)
        while trips and trips[0] < at_ms - TRIPS_KEPT_MS:
            trips.pop(0)


def alert_raised(state: Fold, line: Line, at_ms: int) -> None:
    """ALERT_RAISED: the same fingerprint is one alert with a count."""
    data, alerts = line.data, state.portfolio.alerts
    old = alerts.get(data["fingerprint"])
    alerts[data["fingerprint"]] = Alert(
        severity=data["severity"], code=data["code"], text=data["text"], count=old.count + 1 if old else 1,
        first_ms=old.first_ms if old else at_ms, last_ms=at_ms,
    )  # fmt: skip


def alert_cleared(state: Fold, line: Line, at_ms: int) -> None:
    """ALERT_CLEARED."""
    state.portfolio.alerts.pop(line.data["fingerprint"], None)


def decision_proposed(state: Fold, line: Line, at_ms: int) -> None:
    """DECISION_PROPOSED: remembered, so that the same occasion is not proposed twice."""
    if line.decision_id:
        state.portfolio.decisions_seen.setdefault(line.decision_id, at_ms)


def trade_rejected(state: Fold, line: Line, at_ms: int) -> None:
    """TRADE_REJECTED: counted per code for the running day."""
    name = "denied " + str(line.data["code"])
    state.portfolio.day[name] = state.portfolio.day.get(name, 0) + 1


def signal_done(state: Fold, line: Line, at_ms: int) -> None:
    """SIGNAL_DONE or SIGNAL_REJECTED: a signal id is used once."""
    name = line.data.get("signal_id", "")
    if name:
        state.portfolio.signals_seen.setdefault(name, at_ms)


def run_ended(state: Fold, line: Line, at_ms: int) -> None:
    """RUN_ENDED: cycles in a row that a cause blocked."""
    blocked = line.data.get("blocked")
    if isinstance(blocked, list) and line.script == "router":
        counts = state.portfolio.blocked_cycles
        state.portfolio.blocked_cycles = {str(cause): counts.get(str(cause), 0) + 1 for cause in blocked}


def resealed(state: Fold, line: Line, at_ms: int) -> None:
    """JOURNAL_RESEALED: books are unknown, from the last good event on, until a full reconcile."""
    portfolio = state.portfolio
    if not portfolio.resealed:
        portfolio.resealed_from_ms = portfolio.last_ms
    portfolio.resealed, portfolio.resealed_at_ms = True, at_ms


def recovery_outcome(state: Fold, line: Line, at_ms: int) -> None:
    """RECOVERY_OUTCOME: remembered from its beginning to its end."""
    name = f"{line.data['evidence']}|{line.data['subject']}"
    if line.data["state"] == "began":
        state.portfolio.recovery[name] = line.data["outcome"]
    else:
        state.portfolio.recovery.pop(name, None)


def reconcile_done(state: Fold, line: Line, at_ms: int) -> None:
    """RECONCILE_DONE: a clean full one ends the unknown after a reseal; what was read whole is remembered."""
    state.portfolio.truth_ms |= line.data.get("read", {})
    if line.data["clean"] is True:
        state.portfolio.resealed = False


def _prune(state: Fold, at_ms: int) -> None:
    """Drop what has aged out; never an intent that is open, unsettled, watched or quarantined."""
    intents, portfolio, positions = state.intents.intents, state.portfolio, state.positions
    known_ms = portfolio.truth_ms  # reconcile reads trades again from here on: what it may meet is not forgotten
    settled = {n for n, intent in intents.items() if _is_settled(intent, min(at_ms, known_ms.get(intent.venue, at_ms)))}
    awaited = {i.position_id for name, i in intents.items() if i.kind == "ENTRY" and name not in settled}
    if portfolio.resealed:  # what is re-booked is told apart by the intents that are known
        settled = set()
    for name in settled:  # while an entry may still bring fills, its exits' attempts are remembered: no id twice
        if intents[name].position_id not in awaited:
            del intents[name]
    spoken = [name for name, foreign in portfolio.foreign.items() if foreign.how]
    for name in sorted(spoken, key=lambda n: portfolio.foreign[n].seen_ms)[:-FOREIGN_KEPT]:
        del portfolio.foreign[name]
    for table, kept_ms in ((portfolio.signals_seen, SEEN_KEPT_MS), (portfolio.decisions_seen, DECISION_KEPT_MS)):
        for name in [n for n, seen_ms in table.items() if seen_ms < at_ms - kept_ms]:
            del table[name]
    for name in [n for n, a in portfolio.alerts.items() if a.last_ms < at_ms - ALERT_KEPT_MS]:
        del portfolio.alerts[name]
    for name in [n for n, until in positions.quarantine.items() if until < at_ms]:
        del positions.quarantine[name]
    for name in [n for n, recent in portfolio.churn.items() if not recent or recent[-1][0] < at_ms - DAY_MS]:
        del portfolio.churn[name]
    for name in [n for n, recent in positions.rejects.items() if not recent or recent[-1] < at_ms - DAY_MS]:
        del positions.rejects[name]


def _is_settled(intent: Intent, at_ms: int) -> bool:
    is_old = bool(intent.final_ms) and intent.final_ms < at_ms - INTENT_KEPT_MS
    return is_old and not (is_open(intent) or is_unsettled(intent) or intent.anomaly)
