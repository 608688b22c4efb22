"""Orders and positions for the operator: `list show cancel cancel-all positions flatten`. Owns words, order, printing.

`list`, `show` and `positions` read the journal and need no network (`list --exchange` asks). `cancel`, `cancel-all` and
`flatten` say what they would do and do it with `--yes`; they act without `--live` and in SAFE_MODE and DRY_RUN, and say
so (design 6). Exit 0: nothing odd, nothing left to do; 1: something odd, a dry run that would do something, or
something not confirmed; 2: bad input, wrong folder; 3: another holds the order lease.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from clients import clients_of
from desk.base import clock, exit_codes
from desk.base.errors import BadInput, JournalError, WorldError
from desk.base.money import text
from desk.base.reasons import Reason, shown
from desk.execution import (
    cancel_blind,
    operator_cancel,
    operator_desk,
    order_life,
    orders_look,
    orders_view,
    positions_view,
    recovery,
)
from desk.execution import flatten as flattening
from desk.execution.cancel_blind import Blind
from desk.execution.operator_cancel import Choice
from desk.execution.operator_desk import Hands, Scope, leased
from desk.execution.trouble import latched
from desk.journal.state import Fold
from desk.risk import latches
from desk.risk.redact import without_secrets
from desk.runtime import operator_args
from desk.runtime.run_log import tell
from desk.runtime.tick import Outcome, Run, run_door

DOOR: Final = "orders"
OK, WARN = exit_codes.OK, exit_codes.WARN


def list_orders(run: Run, args: argparse.Namespace) -> Outcome:
    """Open, unknown and quarantined orders; `--all` terminal ones too; `--exchange` what the venues list besides."""
    fold, now_ms = run.journal.read_fold(), clock.now_ms()
    rows = orders_view.rows(fold, now_ms, with_terminal=args.all)
    problems: list[str] = []
    if args.exchange:
        foreign, problems = orders_look.ask_exchanges(Hands.of(run, clients_of(run)).desk, fold, now_ms)
        rows += foreign
    _print_table(run, orders_view.HEAD, orders_view.cells(rows))
    outcomes = [one.line() for one in recovery.found(fold)]
    for outcome in outcomes:
        run.say(outcome)
    for problem in problems:
        run.warn("WARN", problem)
    known = fold.intents.intents.values()
    odd = sum(orders_view.is_odd(i, now_ms, run.settings.config.health.unknown_warn_s) for i in known)
    counts = f"{sum(orders_view.matters(i) for i in known)} open or unknown" + (f", {odd} odd" if odd else "")
    word = f"{counts}, {len(problems)} differences" if problems else counts
    return Outcome(
        WARN if odd or problems else OK,
        f"ORDERS LIST — {word}",
        {"orders": rows, "problems": problems, "recovery": outcomes},
    )


def show(run: Run, args: argparse.Namespace) -> Outcome:
    """The life of one order, from the journal."""
    fold = run.journal.read_fold()
    order_id = order_life.resolve(run.home, fold, args.client_id)
    steps = order_life.lines(run.home, order_id)
    intent = fold.intents.intents.get(order_id)
    row = orders_view.row(order_id, intent, clock.now_ms()) if intent is not None else {}
    if row:
        run.say(" ".join(f"{row[name]}" for name in ("venue", "symbol", "leg", "side", "quantity")) + f" {row['note']}")
    for step in steps:
        run.say(order_life.text_of(step))
    state = row.get("state") or f"ended on an earlier day, last {steps[-1].event if steps else 'unknown'}"
    document = {"order": row, "events": [order_life.text_of(step) for step in steps]}
    return Outcome(OK, f"ORDERS SHOW — {order_id}: {state}", {"client_order_id": order_id, **document})


def positions(run: Run, args: argparse.Namespace) -> Outcome:
    """What is held, what it cost and is worth, which order protects it, how old it is."""
    fold, now_ms = run.journal.read_fold(), clock.now_ms()
    marks = orders_look.marks(run, fold)
    rows = positions_view.rows(fold, marks, now_ms, run.settings.config.exits.position_age_flag_h)
    dust = positions_view.dust_rows(fold, marks, now_ms)
    _print_table(run, positions_view.HEAD, positions_view.cells(rows))
    for one in dust:
        run.say(f"DUST {one['position']} {one['quantity']}, cost {one['cost']}, value {one['value']}")
    flagged = sum(bool(row["flags"]) for row in rows)
    verdict = f"ORDERS POSITIONS — {len(rows)} held, {len(dust)} dust" + (f", {flagged} flagged" if flagged else "")
    return Outcome(WARN if flagged else OK, verdict, {"positions": rows, "dust": dust})


def cancel_one(run: Run, args: argparse.Namespace) -> Outcome:
    """Cancel one order; a protective leg only with `--protection`."""

    def choose(fold: Fold) -> Choice:
        return operator_cancel.choose_one(fold, args.client_id, protection=args.protection)

    return _cancels(run, args, Scope(), choose, "CANCEL")


def cancel_all(run: Run, args: argparse.Namespace) -> Outcome:
    """Cancel every order in scope but protective legs; those too with `--protection`."""

    def choose(fold: Fold) -> Choice:
        return operator_cancel.choose_all(fold, _scope(run, args), protection=args.protection)

    return _cancels(run, args, _scope(run, args), choose, "CANCEL-ALL")


def flatten(run: Run, args: argparse.Namespace) -> Outcome:
    """Sell everything in scope, under the order lease; without `--yes` only say what it would do."""
    scope = _scope(run, args)
    fold = run.journal.read_fold()
    refused = _refused(run, fold, "FLATTEN")
    if refused is not None:
        return refused
    found, waiting = flattening.held(fold, scope), flattening.waiting(fold, scope)
    if not found and not waiting:
        return Outcome(OK, f"ORDERS FLATTEN — nothing to do: nothing held ({scope})", {"results": []})
    if not args.yes:
        for name in waiting:
            run.say(f"would cancel the entry {name}")
        for name, position in found.items():
            run.say(f"would cancel its protection and sell {name} {text(position.quantity)} {position.base}")
        return _dry(run, "FLATTEN", len(found) + len(waiting), {"would_sell": list(found), "would_cancel": waiting})
    document = _acting(run)
    with leased(run), latched(run):
        return _flatten(run, scope, _reason(run, args), document)


COMMANDS: Final[dict[str, Callable[[Run, argparse.Namespace], Outcome]]] = {
    "list": list_orders, "show": show, "cancel": cancel_one, "cancel-all": cancel_all, "positions": positions,
    "flatten": flatten,
}  # fmt: skip
READS: Final = frozenset({"list", "show", "positions"})  # judge whatever folder they stand in


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    body = COMMANDS[args.command]

    def one_line(run: Run) -> Outcome:
        try:
            return body(run, args)
        except BadInput as error:  # an operator's word, no fault of the system: no alert
            return Outcome(exit_codes.FAIL, error.line(), {"error": error.line()})

    return run_door(DOOR, one_line, as_json=args.json, any_mode=args.command in READS)


def _cancels(run: Run, args: argparse.Namespace, scope: Scope, choose: Callable[[Fold], Choice], word: str) -> Outcome:
    """Choose, say, and with `--yes` cancel; a journal nobody can read leaves the exchange's own list to go by."""
    try:
        fold = run.journal.read_fold()
    except JournalError as damage:
        return _cancel_blind(run, args, scope, word, damage)
    refused = _refused(run, fold, word)
    if refused is not None:
        return refused
    choice = choose(fold)
    for name, why in choice.kept:
        run.say(f"kept {name}: {why}")
    for clause in orders_view.uncovered_without(fold, choice.chosen):
        run.warn("WARN", f"this leaves {clause}, until the router's next tick places one anew")
    document: dict[str, Any] = {"kept": [list(pair) for pair in choice.kept]}
    if not choice.chosen:
        return _nothing(args, fold, choice, word, document)
    if not args.yes:
        for row in (orders_view.row(name, fold.intents.intents[name], clock.now_ms()) for name in choice.chosen):
            run.say(f"would cancel {row['client_order_id']} {row['leg']} {row['side']} {row['symbol']} {row['state']}")
        return _dry(run, word, len(choice.chosen), document | {"would_cancel": list(choice.chosen)})
    document |= _acting(run)
    with latched(run):
        return _carry_out(run, choice, _reason(run, args), word, document)


def _nothing(args: argparse.Namespace, fold: Fold, choice: Choice, word: str, document: dict[str, Any]) -> Outcome:
    """Nothing chosen: an order that ended, one that may not go like this, or an empty scope."""
    if word != "CANCEL":
        return Outcome(OK, f"ORDERS {word} — nothing to cancel, {len(choice.kept)} kept", document)
    if choice.kept:
        return Outcome(WARN, f"ORDERS {word} — REFUSED: {choice.kept[0][1]}", document)
    intent = fold.intents.intents[args.client_id]
    state = f"{intent.state} {intent.status}".rstrip()
    return Outcome(OK, f"ORDERS {word} — nothing to cancel: {args.client_id} is {state}", document)


def _carry_out(run: Run, choice: Choice, why: str, word: str, document: dict[str, Any]) -> Outcome:
    ended, waiting = operator_cancel.by_hand(Hands.of(run, clients_of(run)), choice.chosen, why)
    _publish(run)
    document |= {
        "cancelled": ended.gone, "not_confirmed": [list(pair) for pair in ended.left], "uncovered": waiting,
        "not_journalled": ended.unwritten,
    }  # fmt: skip
    verdict = f"ORDERS {word} — {len(ended.gone)} cancelled, {len(ended.left)} not confirmed"
    if ended.unwritten:
        verdict += f", {len(ended.unwritten)} not journalled: PAUSE ({Reason.AUDIT_UNWRITABLE})"
    return Outcome(WARN if ended.left or waiting or ended.unwritten else OK, verdict, document)


def _cancel_blind(run: Run, args: argparse.Namespace, scope: Scope, word: str, damage: JournalError) -> Outcome:
    """The journal cannot be read: what each venue lists under our prefix, sales only with `--protection`."""
    run.warn("CRIT", damage.line())
    refused = _refused(run, None, word)
    if refused is not None:
        return refused
    acting = _acting(run) if args.yes else {}
    hands, order_id = Hands.of(run, clients_of(run)), getattr(args, "client_id", "")
    blind = Blind(order_id, protection=args.protection, sends=args.yes)
    found = cancel_blind.carry_out(hands.desk, scope, blind)
    for name, why in found.kept:
        run.say(f"kept {name}: {why}")
    for name, clause in found.left:
        run.warn("WARN", f"not confirmed {name}: {clause}")
    document = acting | {
        "cancelled": found.gone, "not_confirmed": [list(pair) for pair in found.left], "would_cancel": found.would,
        "kept": [list(pair) for pair in found.kept], "journal": damage.line(),
    }  # fmt: skip
    if found.would:
        for name in found.would:
            run.say(f"would cancel {name} by the exchange's list, not journalled")
        return _dry(run, word, len(found.would), document)
    tail = (
        f"{len(found.gone)} cancelled by the exchange's list, {len(found.left)} not confirmed; the journal is damaged"
    )
    return Outcome(WARN, f"ORDERS {word} — {tail}", document)


def _flatten(run: Run, scope: Scope, why: str, document: dict[str, Any]) -> Outcome:
    hands = Hands.of(run, clients_of(run))
    report = flattening.flatten(hands, scope, why)
    _publish(run)
    for result in report.results:
        if result.outcome == flattening.LEFT:
            run.warn("WARN", result.line())
        else:
            run.say(result.line())
    for name, clause in report.entries_left:
        run.warn("WARN", f"the entry {name} may still buy: {clause}")
    found = latches.effective(run.home, hands.desk.fold(), run.settings)
    if not found.kill.active and found.pause.state == "NORMAL":
        run.say("entries are not stopped: kill_switch.py engage --reason TEXT, or pause.py --reason TEXT")
    counts = {word: sum(r.outcome == word for r in report.results) for word in
              (flattening.FLAT, flattening.DUST, flattening.LEFT)}  # fmt: skip
    document |= {
        "results": [_result(result) for result in report.results], "entries_left": [n for n, _ in report.entries_left],
    }  # fmt: skip
    verdict = f"ORDERS FLATTEN — {', '.join(f'{count} {word.lower()}' for word, count in counts.items())}"
    if report.entries_left:
        verdict += f", {len(report.entries_left)} entries not confirmed"
    return Outcome(OK if report.done else WARN, verdict, document)


def _refused(run: Run, fold: Fold | None, word: str) -> Outcome | None:
    """FREEZE_ALL refuses with its code, the other mode's folder by ModeMismatch; None = go on."""
    code = operator_desk.refusal(run, fold)
    if not code:
        return None
    reason = Reason.FREEZE_ALL
    line = f"ORDERS {word} — REFUSED: {shown(code)}: {reason.meaning} -> {reason.action}"
    return Outcome(WARN, line, {"refused": code})


def _scope(run: Run, args: argparse.Namespace) -> Scope:
    return orders_look.scope(run, args.venue or "", (args.symbol or "").upper())


def _reason(run: Run, args: argparse.Namespace) -> str:
    """Why, as it is journalled with each cancel: never a secret."""
    return f"operator: {without_secrets(args.reason, run.settings.environment)}"


def _dry(run: Run, word: str, count: int, document: dict[str, Any]) -> Outcome:
    return Outcome(WARN, f"ORDERS {word} — dry run, {count} to do: nothing was sent; add --yes", document)


def _acting(run: Run) -> dict[str, Any]:
    """Say what holds the router and not this; the same for the document."""
    line = operator_desk.acts_line(run)
    if line:
        run.say(line)
    return {"acting": line}


def _publish(run: Run) -> None:
    """Projections for the other doors; they fold the journal themselves when this fails."""
    try:
        run.journal.publish()
    except WorldError as error:
        run.log.error(error.line(), code=type(error).__name__)


def _print_table(run: Run, head: Sequence[str], cells: list[list[str]]) -> None:
    if run.as_json or not cells:
        return
    from desk.venues.commands import render

    tell(render([head, *cells]))


def _result(result: flattening.Result) -> dict[str, str]:
    return {
        "position": result.name, "outcome": result.outcome, "sold": text(result.sold), "quote": text(result.quote),
        "rest": text(result.rest), "why": result.why,
    }  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog="orders.py", description="Orders and positions, by the operator's hand.")
    subs = parser.add_subparsers(dest="command", required=True, parser_class=operator_args.OneLineParser)
    listing = subs.add_parser("list", help="orders that may still trade, with age and state")
    listing.add_argument("--all", action="store_true", help="terminal orders too")
    listing.add_argument("--exchange", action="store_true", help="ask the venues too; marks what is not ours")
    showing = subs.add_parser("show", help="the life of one order")
    one = subs.add_parser("cancel", help="cancel one order (dry run without --yes)")
    for sub in (showing, one):
        sub.add_argument("client_id", metavar="CLIENT_ID", help="show takes a beginning too, when it is the only one")
    every = subs.add_parser("cancel-all", help="cancel all but protection (dry run without --yes)")
    subs.add_parser("positions", help="what is held, its worth and its protection")
    selling = subs.add_parser("flatten", help="sell everything held (dry run without --yes)")
    for sub in (every, selling):
        sub.add_argument("--venue", help="only there")
        sub.add_argument("--symbol", help="only this one")
    for sub in (one, every):
        sub.add_argument("--protection", action="store_true", help="protective legs too")
    for sub in (one, every, selling):
        sub.add_argument("--reason", required=True, type=operator_args.reason, help="why; it is journalled")
        sub.add_argument("--yes", action="store_true", help="do it")
    for sub in subs.choices.values():
        sub.add_argument("--json", action="store_true", help="one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
