"""The stages of one router cycle. Owns what each stage does with the desk; the door owns their order.

A stage isolates its items: one symbol or one order that fails does not stop the others (its error is logged and the
cycle's exit code says so). Bugs are not caught here.
"""

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from desk.base import clock, exit_codes
from desk.base.errors import ConfigError, JournalError, StateError, WorldError
from desk.base.money import ZERO, text
from desk.base.reasons import Reason, shown
from desk.config.mode import Mode
from desk.execution import (
    accounts,
    alert_care,
    auto_kill,
    books,
    cancel,
    cycle_events,
    entry,
    exits,
    kill_care,
    lookup,
    naked,
    probe,
    protect,
    recovery,
    sizing,
    symbol_care,
)
from desk.execution import intent as intents
from desk.execution.accounts import Accounts, Clients
from desk.execution.cycle_events import Evaluation
from desk.execution.desk import Desk
from desk.execution.inbox import Inbox
from desk.execution.intent import LEG_ENTRY, LEG_EXIT, OrderPlan
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import key
from desk.risk import facts as facts_room
from desk.risk import facts_gather, latches
from desk.risk.decision import Decision, Kind, Proposal
from desk.risk.facts import Cycle as Done
from desk.risk.facts import Facts
from desk.runtime.tick import Outcome, Run
from desk.strategies import table as strategies
from desk.venues.protocol import OrderType

Evaluate = Callable[[Proposal, Facts], Evaluation]


class Cycle(msgspec.Struct):
    """One cycle's working state."""

    run: Run
    desk: Desk
    evaluate: Evaluate
    venues: Accounts
    inbox: Inbox
    live: bool
    dry_run: bool
    held_back: str = ""  # why nothing may be sent this tick
    decisions: list[Decision] = msgspec.field(default_factory=list)
    approved: list[Proposal] = msgspec.field(default_factory=list)
    blocked: dict[str, int] = msgspec.field(default_factory=dict)  # reason code -> denials this cycle
    failures: list[str] = msgspec.field(default_factory=list)
    entries: list[str] = msgspec.field(default_factory=list)  # client ids of this cycle's entries
    touched: set[str] = msgspec.field(default_factory=set)  # venue:symbol keys whose position changed
    owes_care: bool = True  # SETTLE has not begun, and journal and books still take what it does

    @staticmethod
    def begin(run: Run, evaluate: Evaluate, market_of: Clients, *, live: bool, dry_run: bool) -> "Cycle":
        """Latches from the environment first, then the working table."""
        latches.sync_environment(run.home, run.journal, run.settings)
        found = Accounts(run, market_of)
        desk = Desk(run, found.account_of, market_of=market_of)
        held_back = accounts.why_not(run, desk.fold(), live=live, dry_run=dry_run)
        desk.sends = not held_back
        found.known_offsets(desk)
        return Cycle(run, desk, evaluate, found, Inbox(run), live, dry_run, held_back)

    @property
    def facts(self) -> Facts:
        """What SNAPSHOT gathered."""
        assert self.desk.facts is not None
        return self.desk.facts

    def current_facts(self) -> Facts:
        """The same prices with the journal as it stands now and what this cycle has done."""
        fold = self.desk.fold()
        used: dict[str, Decimal] = {}
        for name in self.entries:
            intent = fold.intents.intents.get(name)
            if intent is not None:
                account = key(intent.venue, intent.quote)
                used[account] = used.get(account, ZERO) + intent.quantity * intent.price
        done = Done(entries_placed=self.desk.entries_sent, notional_used=used)
        return facts_room.refreshed(self.facts, fold, clock.now_ms(), done)

    def block(self, code: str) -> None:
        """Count a denial."""
        self.blocked[code] = self.blocked.get(code, 0) + 1

    def outcome(self) -> Outcome:
        """The cycle's verdict: 1 when anything wanted was blocked or an item failed."""
        fold = self.desk.fold()
        held = sum(1 for position in fold.positions.positions.values() if position.quantity > ZERO)
        parts = [f"decisions {len(self.decisions)}", f"orders {self.desk.orders_sent}", f"positions {held}"]
        parts += [f"blocked {shown(code)} x{count}" for code, count in sorted(self.blocked.items())]
        parts += self.failures[:3]
        code = exit_codes.WARN if self.blocked or self.failures else exit_codes.OK
        state = "completed" if code == exit_codes.OK else "completed, blocked"
        return Outcome(code, f"ROUTER END — {state}: " + ", ".join(parts), self.run.counts | {"blocked": self.blocked})


def recover(state: Cycle) -> None:
    """Never-sent intents are denied; every unknown or open order is looked up before anything else."""
    if not state.desk.sends and state.run.settings.mode is Mode.LIVE:  # a LIVE run that sends nothing says why
        state.block(state.held_back)
        state.run.say(f"NOTHING WILL BE SENT: {shown(state.held_back)}")
    lookup.deny_never_sent(state.desk)
    failed = lookup.look_at_all(state.desk) + lookup.look_at_told(state.desk)
    if failed:
        state.failures.append(f"{failed} orders could not be looked up")
    lookup.alert_old_unknowns(state.desk)
    for outcome in recovery.write_down(state.desk):
        state.run.say(outcome.line())
    books.close_day(state.desk)


def snapshot(state: Cycle) -> None:
    """One frozen Facts for the whole cycle; paper orders then meet the fresh books."""
    found = facts_gather.gather(
        state.run, state.venues.market_of, state.desk.fold(), live=state.live, dry_run=state.dry_run
    )
    usable = state.venues.take(state.desk, found)
    for venue in usable:
        books.open_books(state.desk, venue)
    _say_blind(state, found)
    probe.probe_half_open(state.desk, found, state.venues)
    state.venues.feed(state.desk, usable)
    books.mark(state.desk, _equities(state))


def manage(state: Cycle) -> None:
    """Fills booked, TTL, then each position: stops, targets, trailing, protection. Exits first, always."""
    lookup.look_at_all(state.desk)
    state.desk.facts = auto_kill.engage_if_due(state.desk, state.current_facts())
    auto_kill.cancel_under_kill(state.desk)
    cancel.cancel_expired(state.desk)
    cancel.cancel_orphans(state.desk)
    symbol_care.care(state.desk)
    if not state.desk.sends:
        return _say_unmanaged(state)
    left = kill_care.care(state.desk, lambda: accounts.exit_block(state.desk))
    state.failures += [f"{name} not yet closed" for name in left]
    for name in sorted(state.desk.fold().positions.positions):
        _say_unknown(state, name)
        if not naked.lost_its_stop_to_a_cancel(state.desk, name):  # else the exit that wanted it comes first
            state.run.check_deadline()
            _manage_one(state, name)
    return None


def propose(state: Cycle) -> None:
    """Decisions from the signals inbox, then from the strategies; none for a venue and symbol without rules."""
    config = state.run.settings.config
    needed = strategies.bars_needed(config)
    if config.market_data.bars_wanted < needed:
        raise ConfigError(f"is below {needed}, what the strategies need", "market_data.bars_wanted", "raise it")
    state.decisions = state.inbox.decisions(state.desk)
    fold = state.desk.fold()
    for _, found in sorted(state.facts.symbols.items()):
        position = fold.positions.positions.get(key(found.venue, found.symbol))
        view = strategies.StrategyView(
            venue=found.venue, symbol=found.symbol, now_ms=state.desk.exchange_ms(found.venue),
            interval_s=found.interval_s, bars=found.bars,
            held_quantity=position.quantity if position is not None else ZERO,
        )  # fmt: skip
        opened_by = position.strategy if position is not None else ""
        may_enter = found.symbol in state.run.settings.symbols  # what is only still held is left, never entered
        found_here = strategies.propose_all(view, config)
        state.decisions.extend(
            d for d in found_here if (may_enter if d.kind is Kind.ENTRY else d.strategy == opened_by)
        )
    new = [d for d in state.decisions if d.decision_id not in fold.portfolio.decisions_seen]
    state.run.note(*(cycle_events.proposed(decision) for decision in new))


def judge(state: Cycle) -> None:
    """Every decision against every gate, by the books as MANAGE left them; verdicts are journalled with numbers."""
    state.desk.facts = state.current_facts()
    fold = state.desk.fold()
    for decision in state.decisions:
        if _was_sent(fold.intents.intents.values(), decision):
            state.inbox.done(state.desk, decision, {"outcome": "already acted on"})
            continue
        proposal = Proposal(decision=decision, plan=sizing.plan(decision, state.facts))
        found = state.evaluate(proposal, state.facts)
        state.run.note(cycle_events.verdict(proposal, found))
        if found.allowed:
            state.approved.append(proposal)
        else:
            state.block(found.code)
            state.inbox.denied(state.desk, decision, found.code, found.detail)
            state.run.say(
                f"DENIED {decision.symbol} {decision.kind} {decision.strategy}: {shown(found.code)} {found.detail}"
            )


def execute(state: Cycle) -> None:
    """Approved decisions, exits first; entries are judged again after each order, for the caps count."""
    if not state.approved:
        return
    if not state.desk.sends:
        for proposal in state.approved:
            state.block(state.held_back)
            state.run.say(f"NOT SENT {proposal.decision.symbol} {proposal.decision.side}: nothing may be sent")
        return
    for proposal in sorted(state.approved, key=lambda p: p.decision.kind is Kind.ENTRY):
        _execute_one(state, proposal)


def settle(state: Cycle) -> None:
    """Fills of what was just sent, and protection in the same tick, late or not; other doors' fills count too."""
    state.owes_care = False
    if not state.desk.sends:
        return
    if clock.monotonic_s() > state.run.deadline_s:
        state.failures.append("the tick deadline passed")
    state.desk.look_again()
    for name in sorted(state.touched | set(state.desk.fold().positions.positions)):
        _manage_one(state, name, rest_only=name not in state.touched)


def guard(state: Cycle) -> None:
    """The end of every cycle: one that stopped before SETTLE still gives each position its stop (P6)."""
    if state.owes_care and state.desk.facts is not None:
        state.run.stage("SETTLE", is_bounded=False)
        settle(state)


def publish(state: Cycle) -> None:
    """Equity marks, the run's end, projections; what is measured goes to the run record only."""
    books.mark(state.desk, _equities(state))
    blocked = sorted(state.blocked)
    end = {"verdict": "blocked" if blocked else "completed", "blocked": blocked, "orders": state.desk.orders_sent}
    state.desk.commit_events(NewEvent(event=Event.RUN_ENDED, data=end, reason_codes=tuple(blocked)))
    _alert_stale_cycles(state)
    alert_care.end_what_is_over(state.desk, is_shut=functools.partial(symbol_care.is_shut, state.desk))
    recovery.write_down(state.desk)
    state.run.journal.publish()
    state.run.counts |= {
        "blockedBy": blocked, "decisions": len(state.decisions), "orders": state.desk.orders_sent,
        "positions": len(state.desk.fold().positions.positions), "failures": len(state.failures),
    }  # fmt: skip


def _say_blind(state: Cycle, facts: Facts) -> None:
    """A symbol without a usable book blocks the cycle (exit 1): nothing is decided blind, and it is said."""
    for name, found in sorted(facts.symbols.items()):
        if found.best_bid is None:
            reason = Reason.DATA_MISSING if found.book is None else Reason.DATA_INVALID_BID
            state.block(str(reason))
            state.run.warn("WARN", f"{shown(str(reason))}: {name} {'; '.join(found.problems)}".rstrip())


def _manage_one(state: Cycle, name: str, rest_only: bool = False) -> None:
    venue, _, symbol = name.partition(":")
    try:
        if (rest_only and not naked.is_uncovered(state.desk, name)) or symbol_care.is_shut(state.desk, name):
            return
        protect.manage(state.desk, name, state.facts.symbol(venue, symbol), lambda: accounts.exit_block(state.desk))
    except (JournalError, StateError):
        raise  # the journal or the paper books failed: no isolated item, the whole tick stops (and PAUSE is latched)
    except WorldError as error:
        state.failures.append(f"{symbol}: {error.what}")
        state.run.log.error(error.line(), venue, symbol, type(error).__name__)


def _execute_one(state: Cycle, proposal: Proposal) -> None:
    decision = proposal.decision
    name = key(decision.venue, decision.symbol)
    state.touched.add(name)
    state.run.check_deadline()
    try:
        if decision.kind is Kind.EXIT:
            _exit(state, decision, name)
            _manage_one(state, name)  # what is left is protected or dust before any entry is judged
        else:
            _enter(state, proposal)
    except (JournalError, StateError):
        raise  # the journal or the paper books failed: no isolated item, the whole tick stops (and PAUSE is latched)
    except WorldError as error:
        state.failures.append(f"{decision.symbol}: {error.what}")
        state.run.log.error(error.line(), decision.venue, decision.symbol, type(error).__name__)


def _exit(state: Cycle, decision: Decision, name: str) -> None:
    position = state.desk.fold().positions.positions.get(name)
    if position is None:
        return state.inbox.done(state.desk, decision, {"outcome": "no position"})
    facts = state.facts.symbol(decision.venue, decision.symbol)
    bid = facts.best_bid if facts is not None and facts.best_bid else ZERO
    why = f"{decision.strategy} {' '.join(decision.reasons)}".strip()
    part = exits.Part.of(decision.decision_id, decision.quantity, state.desk.fold())
    done = exits.close_position(state.desk, position, LEG_EXIT, bid, why, lambda: accounts.exit_block(state.desk), part)
    if done:
        state.inbox.done(state.desk, decision, {"outcome": "closed"})
    return None


def _enter(state: Cycle, proposal: Proposal) -> None:
    """One entry: judged once more against what this cycle has already done, then sent."""
    if state.desk.orders_sent:
        again = state.evaluate(proposal, state.current_facts())
        if not again.allowed:
            state.block(again.code)
            state.run.note(cycle_events.verdict(proposal, again))
            return
    plan = order_plan(proposal, state.facts)
    sent = entry.send(state.desk, plan)
    result = sent.intent.state if sent.intent is not None else sent.error
    state.run.say(
        f"ENTRY {plan.venue} {plan.symbol} {text(plan.quantity)} at most {text(plan.price)} {plan.strategy}: {result}"
    )
    if sent.intent is None or sent.intent.state == "FAILED_TERMINAL":  # wanted, and not on the exchange: exit 1
        state.block(sent.stopped_by)
    if sent.order_id:
        state.entries.append(sent.order_id)
        state.inbox.done(state.desk, proposal.decision, {"outcome": result, "client_order_id": sent.order_id})
    symbol_care.quarantine_if_due(state.desk, plan.venue, plan.symbol)


def order_plan(proposal: Proposal, facts: Facts) -> OrderPlan:
    """The sized proposal as an entry order."""
    decision, plan = proposal.decision, proposal.plan
    found = facts.symbol(decision.venue, decision.symbol)
    assert found is not None and found.rules is not None
    return OrderPlan(
        venue=decision.venue, symbol=decision.symbol, base=found.rules.base, quote=found.rules.quote,
        kind=intents.ENTRY, leg=LEG_ENTRY, side=decision.side, type=OrderType(plan.type), quantity=plan.quantity,
        price=plan.price, position_id=sizing.position_of(decision), decision_id=decision.decision_id,
        strategy=decision.strategy, plan_stop=plan.stop_price, plan_target=plan.target_price,
    )  # fmt: skip


def _say_unknown(state: Cycle, name: str) -> None:
    """A position nothing is known of this tick (its venue left VENUES, its rules cannot be read) is named."""
    venue, _, symbol = name.partition(":")
    found = state.facts.symbol(venue, symbol)
    if found is None or found.rules is None:
        quantity = text(state.desk.fold().positions.positions[name].quantity)
        state.failures.append(f"{name} not managed")
        state.run.warn("WARN", f"unmanaged position {name} {quantity}: no trading rules, or the venue is not listed")


def _say_unmanaged(state: Cycle) -> None:
    """Nothing may be sent: the positions left unmanaged are named (P4)."""
    for name, position in sorted(state.desk.fold().positions.positions.items()):
        state.run.warn("WARN", f"unmanaged position {name} {text(position.quantity)}: nothing may be sent")


def _alert_stale_cycles(state: Cycle) -> None:
    limits = state.run.settings.config.health
    for code in (str(Reason.DATA_STALE), str(Reason.DATA_INVALID_BID)):
        count = state.desk.fold().portfolio.blocked_cycles.get(code, 0)
        if count >= limits.stale_blocked_cycles_warn:
            level = "CRIT" if count >= limits.stale_blocked_cycles_crit else "WARN"
            state.run.warn(level, f"{shown(code)}: {count} cycles in a row")


def _was_sent(known: Any, decision: Decision) -> bool:
    """An entry is sent once; an exit goes on until what it asked for is sold."""
    if decision.kind is not Kind.ENTRY:
        return False
    return any(intent.decision_id == decision.decision_id and intent.kind == intents.ENTRY for intent in known)


def _equities(state: Cycle) -> dict[tuple[str, str], Decimal]:
    """Equity by (venue, quote), where every price is known."""
    ledger = state.current_facts().ledger
    known = ledger.accounts.values() if ledger is not None else ()
    return {(a.venue, a.quote): a.equity for a in known if a.opened and a.equity is not None}
