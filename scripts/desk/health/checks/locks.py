"""Kill switch and system mode: what the latches say. A kill switch that is active is an operator's choice, not a
fault: it changes `trading`, never health (design 6). What cannot be read is a fault.
"""

from collections.abc import Iterator
from typing import Final

from desk.base import clock
from desk.base.reasons import Reason, find, shown
from desk.health.facts import HealthFacts
from desk.health.result import Cause, CheckResult, Status, judged

BY_HAND: Final = frozenset({str(Reason.MANUAL_PAUSE), str(Reason.MANUAL_DEGRADE)})


def kill_switch(facts: HealthFacts) -> CheckResult:
    """The effective kill switch; unreadable reads as active and is a fault."""
    causes = []
    if facts.kill is None or facts.kill_problem:
        why = facts.kill_problem or "the kill switch could not be read"
        causes.append(Cause(reason=Reason.STATE_CORRUPT, text=why, status=facts.unknown, subject="kill_switch.json"))
    if facts.kill is None:
        return judged("kill_switch", causes, "read as ACTIVE", {"active": True})
    view = facts.kill
    data = {"active": view.active, "level": view.level, "reasons": list(view.reasons), "since_ms": view.since_ms}
    if not view.active:
        return judged("kill_switch", causes, "inactive", data)
    since = f" since {clock.iso(view.since_ms)}" if view.since_ms else ""
    by = f" by {view.by}" if view.by else ""
    held = f"; {facts.env_hold}" if facts.env_hold else ""
    return judged("kill_switch", causes, f"ACTIVE {view.level} ({', '.join(view.reasons)}){since}{by}{held}", data)


def system_mode(facts: HealthFacts) -> CheckResult:
    """The mode this heartbeat decided on. PAUSE by the operator's hand is a WARNING, by a cause CRITICAL."""
    causes = list(_pause_problems(facts))
    if facts.system is None:
        causes.append(Cause(reason=Reason.STATUS_MISSING, text="the mode is not known", status=facts.unknown))
        return judged("system_mode", causes, "")
    mode, reasons = facts.system.mode, facts.system.reasons
    since = clock.iso(facts.system.since_ms) if facts.system.since_ms else "now"
    data = {"mode": mode, "reasons": list(reasons), "since_ms": facts.system.since_ms}
    if mode == "NORMAL":
        return judged("system_mode", causes, "NORMAL", data)
    by_hand = set(reasons) <= BY_HAND
    status = Status.WARNING if mode == "DEGRADE" or by_hand else Status.CRITICAL
    reason = Reason.MODE_DEGRADE if mode == "DEGRADE" else Reason.MODE_EXIT if mode == "EXIT" else Reason.MODE_PAUSE
    named = ", ".join(shown(code) for code in reasons) or "its causes are gone, two good heartbeats end it"
    text = f"{mode} since {since}: {named}"
    if mode == "PAUSE":
        text += f" -> {Reason.MODE_PAUSE.action}"
    causes.append(Cause(reason=reason, text=text, status=status))
    return judged("system_mode", causes, "", data)


def _pause_problems(facts: HealthFacts) -> Iterator[Cause]:
    if facts.pause is None or facts.pause_problem:
        why = facts.pause_problem or "pause.json could not be read"
        yield Cause(reason=Reason.STATE_CORRUPT, text=why, status=facts.unknown, subject="pause.json")
    for code in facts.pause.reasons if facts.pause is not None else ():
        if find(code) is None and facts.pause is not None and facts.pause.state != "NORMAL":
            yield Cause(reason=Reason.CONTROL_EDITED, text=f"reason {code!r} is no code", subject="pause.json")
