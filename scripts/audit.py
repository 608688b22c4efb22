"""The journal for the operator: verify, rebuild, reseal, tail, explain, note, export. Owns arguments and printing.

`verify` exits 0 whole, 1 an incomplete last group, 2 anything else; every other command 0, or 2 with one clear line.
`reseal` is the one way out of a damaged journal: it needs a reason and the acknowledgement, and leaves PAUSE.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final

from desk.base import exit_codes
from desk.base.errors import BadInput
from desk.base.reasons import Reason
from desk.journal import export as exports
from desk.journal import files, reseal, search, verify
from desk.journal.chain import Line, NewEvent
from desk.journal.events import Event
from desk.risk.pause import latch_pause
from desk.runtime import operator_args
from desk.runtime.lease import order_lease
from desk.runtime.tick import Outcome, Run, run_door

DOOR: Final = "audit"
ACK: Final = "I_UNDERSTAND"
TAIL_LINES: Final = 20
DATA_CHARS_SHOWN_MAX: Final = 400
NOTE_CHARS_MAX: Final = 4000
HIDDEN: Final = frozenset({"fold", "fold_hash"})  # whole states; `export` has them


def verify_chain(run: Run, args: argparse.Namespace) -> Outcome:
    """Walk every kept segment; print each finding, then the head as an anchor to keep elsewhere."""
    anchors = dict(verify.anchor(text) for text in args.anchor)
    found = verify.verify(run.home, anchors)
    for text in found.findings:
        run.say(f"FAIL {text}" if found.code == verify.BROKEN else f"WARN {text}")
    for text in found.notes:
        run.say(f"note: {text}")
    document = {
        "seq": found.seq, "hash": found.hash, "first_seq": found.first_seq, "segments": found.segments,
        "findings": found.findings, "notes": found.notes,
    }  # fmt: skip
    return Outcome(found.code, found.line(), document)


def rebuild(run: Run, args: argparse.Namespace) -> Outcome:
    """Fold anew from the oldest kept checkpoint and write the projections."""
    fold = run.journal.rebuild()
    return Outcome(exit_codes.OK, f"AUDIT REBUILD — OK: projections stand at {fold.seq}:{fold.hash}", {"seq": fold.seq})


def reseal_journal(run: Run, args: argparse.Namespace) -> Outcome:
    """Under the order lease: PAUSE first, then what is damaged moves to archive/ and the journal goes on."""
    if args.ack != ACK:
        raise BadInput("the acknowledgement is missing", "audit.py reseal", f"--ack {ACK}")
    if not args.reason.strip():
        raise BadInput("is empty", "--reason", "say what happened")
    with order_lease(run.home, DOOR, run.settings.config.runtime.operator_lease_wait_s):
        if not reseal.is_pending(run.home):
            with files.journal_lock(run.home):
                reseal.survey(run.home)  # refuses before anything is latched when nothing is damaged
        latch_pause(run.home, run.journal, [str(Reason.AUDIT_RESEALED)], DOOR, note=args.reason.strip())
        damage = run.journal.reseal(args.reason.strip())
    for name in damage.moved:
        run.say(f"moved {name} -> {damage.archive}/")
    run.warn("CRIT", f"{Reason.AUDIT_RESEALED}: PAUSE; every symbol is unknown -> {Reason.AUDIT_RESEALED.action}")
    lost = f"{damage.lost_from}..{damage.lost_to}" if damage.lost_to >= damage.lost_from else "none"
    return Outcome(
        exit_codes.OK, f"AUDIT RESEAL — OK: lost seq {lost} ({damage.why})", {"lost": lost, "why": damage.why}
    )


def tail(run: Run, args: argparse.Namespace) -> Outcome:
    """The newest lines that match."""
    wanted = search.make_filter(args.event, args.reason, args.since)
    found = [line for _, line in search.newest(run.home, wanted, args.lines)]
    return _shown(run, found, f"AUDIT TAIL — OK: {len(found)} lines")


def explain(run: Run, args: argparse.Namespace) -> Outcome:
    """The life of a decision, client order id, position or run, in order."""
    found = search.life(run.home, args.id)
    if not found:
        raise BadInput("is not in the kept journal", args.id, "check the id; older lines may be archived")
    return _shown(run, found, f"AUDIT EXPLAIN — OK: {len(found)} lines of {args.id}, last {found[-1].event}")


def note(run: Run, args: argparse.Namespace) -> Outcome:
    """A remark into the journal."""
    text = args.text.strip()
    if not 0 < len(text) <= NOTE_CHARS_MAX:
        raise BadInput(f"has {len(text)} characters", "TEXT", f"write 1 to {NOTE_CHARS_MAX}")
    _, lines = run.journal.transact(lambda fold: [NewEvent(event=Event.NOTE, data={"text": text})])
    return Outcome(exit_codes.OK, f"AUDIT NOTE — OK: seq {lines[-1].seq}", {"seq": lines[-1].seq})


def export(run: Run, args: argparse.Namespace) -> Outcome:
    """Matching lines as they stand (jsonl) or as a table (csv), to a file or to the screen."""
    wanted = search.make_filter(args.event, args.reason, args.since)
    found = search.newest(run.home, wanted, args.last) if args.last else search.lines(run.home, wanted)
    text, count = exports.FORMATS[args.format](found)
    if args.out:
        exports.write(args.out, text)
    elif not run.as_json:
        sys.stdout.write(text)
    document = {"count": count} if args.out else {"count": count, "export": text}
    return Outcome(exit_codes.OK, f"AUDIT EXPORT — OK: {count} lines{' to ' + args.out if args.out else ''}", document)


COMMANDS: Final[dict[str, Callable[[Run, argparse.Namespace], Outcome]]] = {
    "verify": verify_chain, "rebuild": rebuild, "reseal": reseal_journal, "tail": tail, "explain": explain,
    "note": note, "export": export,
}  # fmt: skip


def _shown(run: Run, found: list[Line], verdict: str) -> Outcome:
    if not run.as_json:
        for line in found:
            print(_text(line))
    return Outcome(exit_codes.OK, verdict, {"events": [search.row(line) for line in found]})


def _text(line: Line) -> str:
    where = " ".join(part for part in (line.venue, line.symbol) if part)
    data: dict[str, Any] = {name: value for name, value in line.data.items() if name not in HIDDEN}
    shown = " ".join(f"{name}={value}" for name, value in data.items())[:DATA_CHARS_SHOWN_MAX]
    return " ".join(part for part in (str(line.seq), line.ts, line.event, where, shown, f"[{line.script}]") if part)


def _parser() -> argparse.ArgumentParser:
    parser = operator_args.OneLineParser(prog="audit.py", description="The journal: check, repair, read.")
    subs = parser.add_subparsers(dest="command", required=True)
    subs.add_parser("verify", help="check the whole chain").add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="SEQ:HASH",
        help="a head that left the host; as often as wanted",
    )
    subs.add_parser("rebuild", help="write the projections anew from the journal")
    sub = subs.add_parser("reseal", help="go on after damage; leaves PAUSE")
    sub.add_argument("--reason", required=True, type=operator_args.reason)
    sub.add_argument("--ack", default="", metavar=ACK)
    sub = subs.add_parser("tail", help="the newest lines")
    sub.add_argument("-n", "--lines", type=_count, default=TAIL_LINES)
    _filters(sub)
    subs.add_parser("explain", help="the life of one id").add_argument("id", metavar="ID")
    subs.add_parser("note", help="write a remark").add_argument("text", metavar="TEXT")
    sub = subs.add_parser("export", help="lines for other programs")
    sub.add_argument("--format", choices=sorted(exports.FORMATS), default="jsonl")
    sub.add_argument("--out", default="", metavar="FILE")
    sub.add_argument("--last", type=_count, default=0, metavar="N", help="only the newest N")
    _filters(sub)
    for sub in subs.choices.values():
        sub.add_argument("--json", action="store_true", help="one JSON document")
    return parser


def _filters(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--event", default="", help="an event, or the name a runbook knows it by")
    sub.add_argument("--reason", default="", help="a reason code, or the name a runbook knows it by")
    sub.add_argument("--since", default="", metavar="ISO", help="from this time on")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    body = COMMANDS[args.command]
    return run_door(DOOR, lambda run: body(run, args), as_json=args.json, any_mode=True)


if __name__ == "__main__":
    sys.exit(main())
