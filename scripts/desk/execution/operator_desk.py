"""An operator's own hands on the orders: the table, what may refuse them, and the care they owe afterwards.

`orders.py` acts for the operator (design 6): without `--live`, and in SAFE_MODE and DRY_RUN, which only hold the
router. What refuses it: FREEZE_ALL and a folder of the other mode. Cancels need no lease; whatever posts an order does.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from desk.base import clock
from desk.base.errors import JournalError, LockBusy, ModeMismatch, StateError, WorldError
from desk.base.money import ZERO
from desk.base.reasons import Reason
from desk.config.mode import Mode
from desk.execution import accounts, protect
from desk.execution import intent as intents
from desk.execution.accounts import Accounts, Clients
from desk.execution.desk import Desk
from desk.journal.state import Fold, key
from desk.risk import facts_gather, latches
from desk.risk.facts import Facts
from desk.runtime.lease import order_lease
from desk.runtime.tick import Run
from desk.state import store

DEADLINES: Final = 2  # one tick's time to begin things in, one more to carry through what has begun
ACTS: Final = "acting for the operator"


@dataclass(frozen=True)
class Scope:
    """Which orders and positions are meant; "" means every one."""

    venue: str = ""
    symbol: str = ""

    def takes(self, venue: str, symbol: str) -> bool:
        """The order or position is meant."""
        return self.venue in {"", venue} and self.symbol in {"", symbol}

    def __str__(self) -> str:
        return " ".join(part for part in (self.venue or "every venue", self.symbol) if part)


@dataclass
class Hands:
    """The run, the table and the accounts of one operator command."""

    run: Run
    desk: Desk
    accounts: Accounts

    @staticmethod
    def of(run: Run, market_of: Clients) -> "Hands":
        """A table whose orders are sent whatever holds the router."""
        found = Accounts(run, market_of)
        desk = Desk(run, found.account_of, found.rules, sends=True, market_of=market_of)
        found.known_offsets(desk)
        return Hands(run, desk, found)

    def snapshot(self) -> Facts:
        """One look at every symbol concerned, as the router's SNAPSHOT; paper orders that rest meet the fresh books."""
        found = facts_gather.gather(self.run, self.accounts.market_of, self.desk.fold(), live=True)
        self.accounts.feed(self.desk, self.accounts.take(self.desk, found))
        return found

    def may_exit(self) -> str:
        """The last check of an exit, asked at the moment of writing."""
        return accounts.exit_block(self.desk)


@contextmanager
def leased(run: Run) -> Iterator[None]:
    """Hold the order lease: at once, else after a wait that is said. The run's time starts with it.

    Raises:
        LockBusy: another door kept it all the time (exit 3).
    """
    wait_s = run.settings.config.runtime.operator_lease_wait_s
    with ExitStack() as stack:
        try:
            stack.enter_context(order_lease(run.home, run.door))
        except LockBusy as busy:
            run.say(f"waiting up to {wait_s} s: {busy.what}")
            stack.enter_context(order_lease(run.home, run.door, wait_s))
        run.tick_ms = clock.start_tick()
        run.deadline_s = clock.monotonic_s() + DEADLINES * run.settings.config.runtime.tick_deadline_s
        yield


def refusal(run: Run, fold: Fold | None) -> str:
    """The reason code that refuses the operator's own orders and cancels, "" for none.

    Args:
        fold: None when the journal cannot be read: then the stamp's mirror and the latch files tell.

    Raises:
        ModeMismatch: the folder belongs to the other mode.
    """
    stamp = fold.portfolio.mode if fold is not None else _mirrored_stamp(run)
    mode = str(run.settings.mode)
    if stamp and stamp != mode:
        what = f"the folder is stamped {stamp}, SYSTEM_MODE is {mode}"
        hint = f"mode.py switch {mode} --reason TEXT, or set SYSTEM_MODE={stamp}"
        raise ModeMismatch(f"{what} ({Reason.MODE_STAMP})", str(run.home.root), hint)
    return str(Reason.FREEZE_ALL) if latches.effective(run.home, fold, run.settings).frozen else ""


def acts_line(run: Run) -> str:
    """What holds the router now and not this command, in one line; "" when nothing does."""
    switches = run.settings.switches
    held = [
        word
        for word, holds in (
            ("no --live", run.settings.mode is Mode.LIVE), ("SAFE_MODE", switches.safe_mode),
            ("DRY_RUN", switches.dry_run),
        )
        if holds
    ]  # fmt: skip
    return f"{ACTS}: what holds the router ({', '.join(held)}) does not hold this" if held else ""


def needs_care(fold: Fold, names: Iterable[str]) -> list[str]:
    """Positions of these with a part that no order of ours sells."""
    held = {name: fold.positions.positions.get(name) for name in names}
    return sorted(n for n, p in held.items() if p is not None and p.quantity - intents.covered(fold, p) > ZERO)


def protect_uncovered(hands: Hands, names: Iterable[str], wait_s: float = 0.0) -> list[str]:
    """Fills that were just booked are protected here, under the lease; a busy holder does it in its own tick.

    Args:
        wait_s: how long the lease is waited for.

    Returns:
        Positions left to the lease holder's tick, or whose protection failed.
    """
    wanted = needs_care(hands.desk.fold(), names)
    if not wanted:
        return []
    try:
        with order_lease(hands.run.home, hands.run.door, wait_s):
            hands.desk.look_again()
            wanted = needs_care(hands.desk.fold(), wanted)  # the holder may have done it meanwhile
            if wanted:
                hands.snapshot()
            return [name for name in wanted if not restore(hands, name)]
    except LockBusy as busy:
        hands.run.say(f"left to the lease holder ({busy.what}): {', '.join(wanted)}")
        return wanted


def restore(hands: Hands, name: str) -> bool:
    """Give a position its stop (or sell what is due, or name its dust), as the router's tick would.

    Returns:
        False when the exchange failed on the way; the router's next tick tries again.
    """
    venue, _, symbol = name.partition(":")
    facts = hands.desk.facts.symbol(venue, symbol) if hands.desk.facts is not None else None
    try:
        protect.manage(hands.desk, name, facts, hands.may_exit)
    except (JournalError, StateError):
        raise  # no isolated item: the whole command stops, and PAUSE is latched
    except WorldError as error:
        hands.run.log.error(error.line(), venue, symbol, type(error).__name__)
        return False
    return facts is not None and facts.rules is not None


def touched(fold: Fold, order_ids: Iterable[str]) -> set[str]:
    """The positions these orders belong to, by `venue:symbol`."""
    known = fold.intents.intents
    return {key(known[name].venue, known[name].symbol) for name in order_ids if name in known}


def _mirrored_stamp(run: Run) -> str:
    """The stamp as `state/mode.json` mirrors it; "" when that cannot tell either."""
    try:
        found: dict[str, Any] | None = store.read(run.home, "mode")
    except StateError:
        return ""
    return str((found or {}).get("mode", ""))
